//! Who has so many series? Counted from the index and the head, when somebody asks.

use std::collections::VecDeque;

use model::{Cardinality, Counted, METRIC_NAME};
use parking_lot::Mutex;
use roaring::RoaringBitmap;

use crate::index::SeriesId;
use crate::store::Shared;

/// "Within the last hour".
const CHURN_MS: i64 = 3_600_000;

/// Marks at least so far apart: sixty to an hour.
const MARK_MS: i64 = CHURN_MS / 60;

/// Which series are young? Numbers are given out in ascending order, so a mark of the next number
/// now and then is enough.
#[derive(Debug, Default)]
pub(crate) struct Births {
    /// Time, and the number that the next series got then.
    marks: Mutex<VecDeque<(i64, SeriesId)>>,
}

impl Births {
    /// Sets a mark, unless there is one of this minute.
    pub(crate) fn mark(&self, now_ms: i64, next_id: SeriesId) {
        let mut marks = self.marks.lock();
        if let Some((last, _)) = marks.back()
            && (*last..*last + MARK_MS).contains(&now_ms)
        {
            return;
        }
        // A clock that was set back leaves no marks of the future.
        while marks.back().is_some_and(|(at, _)| *at > now_ms) {
            marks.pop_back();
        }
        marks.push_back((now_ms, next_id));
        // One mark may be older than the hour: it says what was there before.
        while marks.get(1).is_some_and(|(at, _)| *at <= now_ms - CHURN_MS) {
            marks.pop_front();
        }
    }

    /// Series from this number on began within the last hour, or since the store was opened.
    fn young_from(&self) -> SeriesId {
        let marks = self.marks.lock();
        marks.front().map_or(SeriesId::MAX, |(_, next)| *next)
    }
}

/// The largest of a list first; equal ones by name.
fn sorted(mut counted: Vec<Counted>, limit: usize) -> Vec<Counted> {
    counted.retain(|c| c.count > 0);
    counted.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    counted.truncate(limit);
    counted
}

impl Shared {
    /// The figures of the series that are being written to.
    pub(crate) fn cardinality(&self, limit: usize) -> Cardinality {
        let mut active = RoaringBitmap::new();
        self.head.add_series_to(&mut active);
        let young_from = self.births.young_from();
        let young: RoaringBitmap = active.range(young_from..).collect();
        let mut figures = Cardinality {
            series: active.len(),
            series_max: self.limits.series_max as u64,
            churn_series: young.len(),
            targets: sorted(self.target_counts(), limit),
            head_start_ms: self.head.oldest_window(),
            head_end_ms: self.head.newest_ms(),
            ..Cardinality::default()
        };
        let (mut names, mut metrics, mut churn) = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes = Vec::new();
        let mut pairs: Vec<Counted> = Vec::new();
        self.index.read().each_label(|name, values| {
            let (mut n_values, mut value_bytes) = (0, 0);
            for (value, postings) in values {
                let count = postings.count_in(&active);
                if count == 0 {
                    continue;
                }
                n_values += 1;
                value_bytes += value.len() as u64;
                // A list of all pairs would take more memory than the index itself.
                pairs.push(Counted {
                    name: format!("{name}={value}"),
                    count,
                });
                if pairs.len() >= 2 * limit.max(1024) {
                    pairs = sorted(std::mem::take(&mut pairs), limit);
                }
                if name == METRIC_NAME {
                    let name = value.to_owned();
                    let (young, name) = (postings.count_in(&young), name);
                    churn.push(Counted {
                        name: name.clone(),
                        count: young,
                    });
                    metrics.push(Counted { name, count });
                }
            }
            figures.label_pairs += n_values;
            let counted = |count| Counted {
                name: name.to_owned(),
                count,
            };
            names.push(counted(n_values));
            bytes.push(counted(value_bytes));
        });
        figures.metrics = sorted(metrics, limit);
        figures.churn = sorted(churn, limit);
        figures.labels = sorted(names, limit);
        figures.label_bytes = sorted(bytes, limit);
        figures.pairs = sorted(pairs, limit);
        figures
    }

    fn target_counts(&self) -> Vec<Counted> {
        let targets = self.head.targets();
        let counted = targets.iter().map(|target| Counted {
            name: target.name.to_string(),
            count: target.state.lock().n_active() as u64,
        });
        counted.collect()
    }

    /// Who has most, in words: the end of a message about too many series.
    pub(crate) fn culprit(&self) -> String {
        let figures = self.cardinality(1);
        let words = |what: &str, counted: Vec<Counted>| {
            let first = counted.into_iter().next();
            first.map(|c| format!("{what} {:?} ({})", c.name, c.count))
        };
        let said = [
            words("target", figures.targets),
            words("metric", figures.metrics),
            words("the metric with most new ones this hour is", figures.churn),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        if said.is_empty() {
            return String::new();
        }
        format!("; most series have {}", said.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_marks_is_kept() {
        let births = Births::default();
        assert_eq!(births.young_from(), SeriesId::MAX);
        for minute in 0..200u32 {
            births.mark(i64::from(minute) * 60_000, minute * 10);
            births.mark(i64::from(minute) * 60_000 + 5, 77_777);
        }
        // 199 minutes: what began at minute 139 or later is young.
        assert_eq!(births.young_from(), 1390);
        assert!(births.marks.lock().len() <= 62);
        births.mark(100 * 60_000, 2000);
        assert_eq!(births.young_from(), 2000, "the clock was set back");
    }
}
