//! How many lines of each level were there when? A fold over counts (`search::fold`).

use std::any::Any;

use log_query::{Bucket, Fold, Row, Search, Wanted};
use model::{Labels, Level, StoreError};

use crate::metrics::Metrics;
use crate::search::fold::fold;
use crate::search::scan::Window;
use crate::search::snapshot::Snapshot;

/// More buckets than this nobody can see; they would only take memory.
const BUCKETS_MAX: i64 = 100_000;

/// Answers [`log_query::LogReader::histogram`].
pub(crate) fn histogram(
    snapshot: &Snapshot,
    search: &Search,
    step_ns: i64,
    metrics: &Metrics,
) -> Result<Vec<Bucket>, StoreError> {
    let buckets = Buckets::new(Window::of(search), step_ns)?;
    if buckets.counts.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = Wanted {
        grain_ns: Some(step_ns),
        ..Wanted::default()
    };
    let (folded, _) = fold(
        snapshot,
        search,
        &wanted,
        &|| Box::new(buckets.clone()),
        metrics,
    )?;
    Ok(folded
        .into_any()
        .downcast::<Buckets>()
        .map(|buckets| buckets.counts)
        .unwrap_or_default())
}

#[derive(Clone)]
struct Buckets {
    /// Number of the first bucket: its start is this times the step.
    first: i64,
    step_ns: i64,
    counts: Vec<Bucket>,
}

impl Buckets {
    fn new(window: Window, step_ns: i64) -> Result<Self, StoreError> {
        if step_ns <= 0 {
            return Err(StoreError::Refused(
                "the width of a histogram's buckets must be more than 0".to_owned(),
            ));
        }
        let first = window.start_ns.div_euclid(step_ns);
        let n = if window.start_ns < window.end_ns {
            // Cannot overflow: both lie within i64, and so does their quotient's difference, but
            // for a step of 1 over all of time.
            (window.end_ns - 1)
                .div_euclid(step_ns)
                .saturating_sub(first)
                .saturating_add(1)
        } else {
            0
        };
        if n > BUCKETS_MAX {
            return Err(StoreError::Limit(format!(
                "a histogram of {n} buckets (at most {BUCKETS_MAX}): ask for wider ones or a \
                 shorter time"
            )));
        }
        let counts = (0..n)
            .map(|i| Bucket {
                start_ns: first.saturating_add(i).saturating_mul(step_ns),
                counts: [0; 7],
            })
            .collect();
        Ok(Self {
            first,
            step_ns,
            counts,
        })
    }
}

impl Fold for Buckets {
    fn line(&mut self, row: &Row<'_>) {
        self.lines(row.labels, row.level, row.time_ns, 1);
    }

    fn lines(&mut self, _labels: &Labels, level: Level, time_ns: i64, count: u64) {
        let bucket = time_ns
            .div_euclid(self.step_ns)
            .checked_sub(self.first)
            .and_then(|i| usize::try_from(i).ok())
            .and_then(|i| self.counts.get_mut(i))
            .and_then(|bucket| bucket.counts.get_mut(level as usize));
        if let Some(lines) = bucket {
            *lines += count;
        }
    }

    fn merge(&mut self, other: Box<dyn Fold>) {
        if let Ok(other) = other.into_any().downcast::<Self>() {
            for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
                for (mine, theirs) in mine.counts.iter_mut().zip(theirs.counts) {
                    *mine += theirs;
                }
            }
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_aligned_and_bounded() {
        let window = |start_ns, end_ns| Window { start_ns, end_ns };
        let starts = |w, step| {
            let buckets = Buckets::new(w, step).expect("buckets");
            buckets
                .counts
                .iter()
                .map(|b| b.start_ns)
                .collect::<Vec<_>>()
        };
        assert_eq!(starts(window(5, 21), 10), [0, 10, 20]);
        assert_eq!(starts(window(-5, 10), 10), [-10, 0]);
        assert_eq!(starts(window(5, 5), 10), [0i64; 0]);
        assert!(Buckets::new(window(0, 10), 0).is_err());
        assert!(matches!(
            Buckets::new(window(i64::MIN, i64::MAX), 1),
            Err(StoreError::Limit(_))
        ));
    }
}
