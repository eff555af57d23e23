//! What stays of a day when its samples are too old to be kept as they came: a sample of every
//! five minutes, and, when those are too old, of a week a sample of every hour. Both are made in
//! the same way, the second of the first.
//!
//! The five minutes end at a full multiple of five minutes, which belongs to them. Their last
//! sample stays, as of their end, so that an instant selector, which looks back five minutes,
//! finds exactly one at any time; at a full multiple of five minutes it finds just what it found
//! before. (The last of a file stands a millisecond before midnight: what is in a file lies within
//! its day or week.) With their own times stay:
//!
//! - of counters the first sample of the file and the two samples beside each reset, so that what
//!   a counter grew by between two samples that stay is what it was;
//! - a stale marker that is the last of its five minutes, and the sample before it.
//!
//! Whether a series is a counter is told by what its exposition said of the family. Where nothing
//! is known, one that falls now and then is taken for a counter: a gauge only keeps a few samples
//! more.

use std::collections::BTreeMap;

use model::{Histogram, MetricKind, MetricMetadata, ResetHint, Samples, is_stale};

use crate::config::DAY_MS;
use crate::index::SeriesId;
use crate::pages::DayKey;
use crate::store::Shared;

/// A series of which nothing is known and that falls more often in a day is no counter.
const FALLS_MAX: usize = 48;

/// How a series goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Up, but for resets.
    Counter,
    /// Up and down.
    Gauge,
    Unknown,
}

impl Shared {
    /// What the metadata of a series' family says of it.
    pub(crate) fn nature_of(&self, series: SeriesId) -> Nature {
        let labels = self.index.read().labels(series);
        let has_quantile = labels.get("quantile").is_some();
        let name = labels.metric_name().unwrap_or_default();
        nature(name, has_quantile, &self.families.read().all)
    }
}

fn nature(name: &str, has_quantile: bool, families: &BTreeMap<String, MetricMetadata>) -> Nature {
    let suffixes = ["", "_total", "_bucket", "_count", "_sum"];
    let known = suffixes.iter().find_map(|suffix| {
        let family = name.strip_suffix(suffix)?;
        Some((families.get(family)?.kind, *suffix))
    });
    match known {
        Some((MetricKind::Summary, suffix)) if suffix.is_empty() && has_quantile => Nature::Gauge,
        Some((MetricKind::Counter | MetricKind::Histogram | MetricKind::Summary, _)) => {
            Nature::Counter
        }
        Some((MetricKind::Unknown, _)) | None => Nature::Unknown,
        Some(_) => Nature::Gauge,
    }
}

/// Takes out of a series of a day what does not stay.
#[derive(Debug)]
pub(crate) struct Thinner {
    step_ms: i64,
    end_ms: i64,
    /// A series of which nothing is known and that falls more often is no counter.
    falls_max: usize,
    /// Which samples stay with their own time.
    kept: Vec<bool>,
    out: Samples,
}

impl Thinner {
    /// For the rollup that a file holds.
    pub(crate) fn new(file: DayKey) -> Self {
        let days = file.end_ms().saturating_sub(file.start_ms) / DAY_MS;
        Self {
            step_ms: file.resolution_ms.max(1),
            end_ms: file.end_ms(),
            falls_max: FALLS_MAX * usize::try_from(days).unwrap_or(1),
            kept: Vec::new(),
            out: Samples::default(),
        }
    }

    /// `samples` are ascending and lie within the file's span.
    pub(crate) fn thin(&mut self, samples: &mut Samples, nature: Nature) {
        self.mark(samples, nature);
        self.out.clear();
        let times = &samples.timestamps_ms;
        let mut histograms = samples.histograms.iter().peekable();
        for (at, (time_ms, value)) in times.iter().zip(&samples.values).enumerate() {
            let histogram = histograms.next_if(|(of, _)| *of == at);
            let end_ms = self.end_of(*time_ms);
            let is_last = times.get(at + 1).is_none_or(|t| self.end_of(*t) != end_ms);
            let time_ms = if is_last && !is_stale(*value) {
                end_ms.min(self.end_ms - 1)
            } else if is_last || self.kept.get(at) == Some(&true) {
                *time_ms
            } else {
                continue;
            };
            match histogram {
                Some((_, histogram)) => self.out.push_histogram(time_ms, histogram.clone()),
                None => self.out.push(time_ms, *value),
            }
        }
        std::mem::swap(samples, &mut self.out);
    }

    /// The end of the step that a time lies in.
    fn end_of(&self, time_ms: i64) -> i64 {
        let from_end = (-time_ms).rem_euclid(self.step_ms);
        time_ms.saturating_add(from_end)
    }

    /// Marks what stays with its own time.
    fn mark(&mut self, samples: &Samples, nature: Nature) {
        self.kept.clear();
        self.kept.resize(samples.len(), false);
        let mut falls: Vec<(usize, usize)> = Vec::new();
        let mut first = None;
        let mut before: Option<usize> = None;
        for (at, value) in samples.values.iter().enumerate() {
            if is_stale(*value) {
                let end = |at: usize| samples.timestamps_ms.get(at).map(|t| self.end_of(*t));
                let is_last = end(at + 1) != end(at);
                if let Some(last) = before.filter(|of| is_last && end(*of) == end(at))
                    && let Some(kept) = self.kept.get_mut(last)
                {
                    *kept = true;
                }
                continue;
            }
            first = first.or(Some(at));
            if let Some(before) = before
                && fell(samples, before, at)
            {
                falls.push((before, at));
            }
            before = Some(at);
        }
        let counts = match nature {
            Nature::Counter => true,
            Nature::Gauge => false,
            Nature::Unknown => falls.len() <= self.falls_max,
        };
        if counts {
            let beside = falls
                .into_iter()
                .flat_map(|(before, after)| [before, after]);
            for at in beside.chain(first) {
                if let Some(kept) = self.kept.get_mut(at) {
                    *kept = true;
                }
            }
        }
    }
}

/// Whether a counter began anew between two samples.
fn fell(samples: &Samples, before: usize, after: usize) -> bool {
    match (histogram(samples, before), histogram(samples, after)) {
        (Some(before), Some(after)) => match after.reset {
            ResetHint::Reset => true,
            ResetHint::Gauge => false,
            ResetHint::Unknown | ResetHint::NotReset => after.count < before.count,
        },
        (None, None) => {
            let value = |at: usize| samples.values.get(at);
            value(after) < value(before)
        }
        _ => true,
    }
}

fn histogram(samples: &Samples, at: usize) -> Option<&Histogram> {
    // Fast path: nearly no series has any.
    let all = &samples.histograms;
    let found = all.binary_search_by_key(&at, |(of, _)| *of).ok()?;
    all.get(found).map(|(_, histogram)| histogram.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FINE_MS;
    use model::stale_nan;

    fn thinned(pairs: &[(i64, f64)], nature: Nature) -> Vec<(i64, u64)> {
        let mut samples = Samples::default();
        for (t, v) in pairs {
            samples.push(*t * 1000, *v);
        }
        Thinner::new(DayKey::rollup(FINE_MS, 0)).thin(&mut samples, nature);
        let bits = samples.values.iter().map(|v| v.to_bits());
        samples.timestamps_ms.iter().copied().zip(bits).collect()
    }

    fn check(pairs: &[(i64, f64)], nature: Nature, expected: &[(i64, f64)]) {
        let expected: Vec<(i64, u64)> = expected.iter().map(|(t, v)| (*t, v.to_bits())).collect();
        assert_eq!(thinned(pairs, nature), expected, "{pairs:?}");
    }

    #[test]
    fn the_last_of_five_minutes_stands_at_their_end() {
        let pairs = [(0, 1.0), (15, 2.0), (300, 3.0), (301, 1.0), (900, 5.0)];
        let expected = [(0, 1.0), (300_000, 3.0), (600_000, 1.0), (900_000, 5.0)];
        check(&pairs, Nature::Gauge, &expected);
        let last = [(86_399, 7.0)];
        check(&last, Nature::Gauge, &[(86_399_999, 7.0)]);
    }

    #[test]
    fn what_a_counter_had_around_a_reset_stays() {
        // It grows beyond its peak again: the two beside the reset are both needed.
        let pairs = [
            (10, 5.0),
            (20, 9.0),
            (30, 9.5),
            (40, 1.0),
            (50, 2.0),
            (60, 50.0),
        ];
        let expected = [(10_000, 5.0), (30_000, 9.5), (40_000, 1.0), (300_000, 50.0)];
        check(&pairs, Nature::Counter, &expected);
        check(&pairs, Nature::Unknown, &expected);
        check(&pairs, Nature::Gauge, &[(300_000, 50.0)]);
    }

    #[test]
    fn a_series_that_often_falls_is_no_counter() {
        let pairs: Vec<(i64, f64)> = (1..=200).map(|i| (i, (i % 2) as f64)).collect();
        check(&pairs, Nature::Unknown, &[(300_000, 0.0)]);
        assert_eq!(thinned(&pairs, Nature::Counter).len(), 200);
    }

    #[test]
    fn the_end_of_a_series_keeps_its_time() {
        let pairs = [(10, 5.0), (20, 6.0), (35, stale_nan())];
        check(
            &pairs,
            Nature::Gauge,
            &[(20_000, 6.0), (35_000, stale_nan())],
        );
        let goes_on = [(10, 5.0), (20, stale_nan()), (30, 7.0)];
        check(&goes_on, Nature::Gauge, &[(300_000, 7.0)]);
    }

    #[test]
    fn metadata_says_what_a_series_is() {
        let family = |name: &str, kind| {
            let metadata = MetricMetadata {
                kind,
                ..MetricMetadata::default()
            };
            (name.to_owned(), metadata)
        };
        let families = BTreeMap::from([
            family("c", MetricKind::Counter),
            family("d_total", MetricKind::Counter),
            family("h", MetricKind::Histogram),
            family("s", MetricKind::Summary),
            family("g", MetricKind::Gauge),
        ]);
        let check = |name, expected| assert_eq!(nature(name, true, &families), expected, "{name}");
        check("c_total", Nature::Counter);
        check("d_total", Nature::Counter);
        check("h_bucket", Nature::Counter);
        check("h", Nature::Counter);
        check("s", Nature::Gauge);
        check("s_sum", Nature::Counter);
        check("g", Nature::Gauge);
        check("x_total", Nature::Unknown);
    }
}
