//! Examples of what was counted: the newest ones, in memory only, as in Prometheus.
//!
//! A ring of all series together: a series that sends many pushes out the old ones of others, and
//! the memory is bounded whatever comes.

use std::collections::VecDeque;

use model::Exemplar;
use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;

use crate::index::SeriesId;
use crate::metrics::Metrics;

/// Exemplars kept, of all series together; Prometheus' default is three times as many. About 300
/// bytes each.
pub(crate) const EXEMPLARS_MAX: usize = 32_768;

/// OpenMetrics' limit on characters of an exemplar's names and values together.
const LABEL_CHARS_MAX: usize = 128;

/// What became of an exemplar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Kept,
    /// It is kept, and the oldest one had to go.
    Replaced,
    /// It is the newest one of its series again: a scrape finds it until there is another.
    Known,
    Refused,
}

/// The ring.
#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    ring: VecDeque<(SeriesId, Exemplar)>,
    /// How many have gone at the front.
    gone: u64,
    /// Series → number of its newest one, counted from the first ever.
    newest: FxHashMap<SeriesId, u64>,
}

impl Exemplars {
    /// Keeps one, unless its series has it already or has a newer one.
    pub(crate) fn push(&mut self, series: SeriesId, exemplar: Exemplar) -> Outcome {
        let labels = exemplar.labels.iter();
        let chars = labels.map(|l| l.name.chars().count() + l.value.chars().count());
        if chars.sum::<usize>() > LABEL_CHARS_MAX {
            return Outcome::Refused;
        }
        if let Some((_, last)) = self.newest.get(&series).and_then(|at| self.get(*at)) {
            let same_bits = last.value.to_bits() == exemplar.value.to_bits();
            if same_bits
                && last.timestamp_ms == exemplar.timestamp_ms
                && last.labels == exemplar.labels
            {
                return Outcome::Known;
            }
            if exemplar.timestamp_ms < last.timestamp_ms {
                return Outcome::Refused;
            }
        }
        let mut outcome = Outcome::Kept;
        if self.ring.len() >= EXEMPLARS_MAX
            && let Some((of, _)) = self.ring.pop_front()
        {
            if self.newest.get(&of) == Some(&self.gone) {
                self.newest.remove(&of);
            }
            self.gone += 1;
            outcome = Outcome::Replaced;
        }
        self.newest
            .insert(series, self.gone + self.ring.len() as u64);
        self.ring.push_back((series, exemplar));
        outcome
    }

    fn get(&self, number: u64) -> Option<&(SeriesId, Exemplar)> {
        self.ring.get(number.checked_sub(self.gone)? as usize)
    }

    /// Those of the series with `start_ms <= timestamp <= end_ms`, in the order they came.
    pub(crate) fn of(
        &self,
        series: &RoaringBitmap,
        start_ms: i64,
        end_ms: i64,
    ) -> FxHashMap<SeriesId, Vec<Exemplar>> {
        let mut found: FxHashMap<SeriesId, Vec<Exemplar>> = FxHashMap::default();
        let in_range = |e: &Exemplar| (start_ms..=end_ms).contains(&e.timestamp_ms);
        for (of, exemplar) in &self.ring {
            if in_range(exemplar) && series.contains(*of) {
                found.entry(*of).or_default().push(exemplar.clone());
            }
        }
        found
    }

    /// Estimated bytes of memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        const LABELS_BYTES: usize = 200;
        self.ring.capacity() * size_of::<(SeriesId, Exemplar)>()
            + self.ring.len() * LABELS_BYTES
            + self.newest.capacity() * 13
    }
}

impl Metrics {
    pub(crate) fn count_exemplar(&self, outcome: Outcome) {
        match outcome {
            Outcome::Kept => {}
            Outcome::Known => return,
            Outcome::Replaced => {
                self.exemplars_evicted.inc();
            }
            Outcome::Refused => {
                self.exemplars_refused.inc();
                return;
            }
        }
        self.exemplars.inc();
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;

    fn exemplar(trace: &str, timestamp_ms: i64) -> Exemplar {
        Exemplar {
            labels: Labels::from_pairs([("trace_id", trace)]),
            value: 1.0,
            timestamp_ms,
        }
    }

    #[test]
    fn a_series_newest_exemplar_is_kept_once_and_never_goes_back() {
        let mut exemplars = Exemplars::default();
        assert_eq!(exemplars.push(1, exemplar("a", 10)), Outcome::Kept);
        assert_eq!(exemplars.push(1, exemplar("a", 10)), Outcome::Known);
        assert_eq!(exemplars.push(1, exemplar("b", 9)), Outcome::Refused);
        assert_eq!(exemplars.push(2, exemplar("b", 9)), Outcome::Kept);
        assert_eq!(exemplars.push(1, exemplar("c", 20)), Outcome::Kept);
        let long = "x".repeat(LABEL_CHARS_MAX);
        assert_eq!(exemplars.push(1, exemplar(&long, 30)), Outcome::Refused);
        let found = exemplars.of(&RoaringBitmap::from_iter([1u32]), 10, 20);
        assert_eq!(
            found.get(&1).map(Vec::as_slice),
            Some([exemplar("a", 10), exemplar("c", 20)].as_slice())
        );
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut exemplars = Exemplars::default();
        for i in 0..EXEMPLARS_MAX as i64 {
            assert_eq!(
                exemplars.push(i as u32 % 7, exemplar("t", i)),
                Outcome::Kept
            );
        }
        assert_eq!(exemplars.push(100, exemplar("t", 0)), Outcome::Replaced);
        assert_eq!(exemplars.push(100, exemplar("t", 1)), Outcome::Replaced);
        let all: RoaringBitmap = (0..101).collect();
        let found = exemplars.of(&all, 0, i64::MAX);
        assert_eq!(found.values().map(Vec::len).sum::<usize>(), EXEMPLARS_MAX);
        assert_eq!(
            found.get(&0).and_then(|e| e.first()),
            Some(&exemplar("t", 7))
        );
        assert_eq!(exemplars.push(100, exemplar("t", 1)), Outcome::Known);
    }
}
