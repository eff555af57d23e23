//! How many lines of each level were there when?
//!
//! Where labels and levels alone decide and a block lies wholly inside the time range, its counts
//! per minute are read from the block table; where its times lie within one bucket, that is true
//! for any width. Everything else is counted line by line.

use std::time::Instant;

use log_query::{Bucket, Search};
use model::StoreError;
use rayon::prelude::*;

use crate::metrics::Metrics;
use crate::search::plan::Plan;
use crate::search::scan::{self, Counters, Source, Window};
use crate::search::snapshot::Snapshot;
use crate::table::MINUTE_NS;

/// More buckets than this nobody can see; they would only take memory.
const BUCKETS_MAX: i64 = 100_000;

/// Sources counted at a time, so that a stopped search ends soon.
const BATCH: usize = 64;

/// Answers [`log_query::LogReader::histogram`].
pub(crate) fn histogram(
    snapshot: &Snapshot,
    search: &Search,
    step_ns: i64,
    metrics: &Metrics,
) -> Result<Vec<Bucket>, StoreError> {
    let started = Instant::now();
    let window = Window::of(search);
    let mut buckets = Buckets::new(window, step_ns)?;
    if buckets.counts.is_empty() {
        return Ok(Vec::new());
    }
    let mut plan = Plan::new(&search.query.filter);
    let mut counters = Counters::default();
    let sources = snapshot.sources(&mut plan, window, metrics, &mut counters);
    let mut line_by_line: Vec<&Source> = Vec::new();
    for source in &sources {
        if !buckets.add_summary(source, &plan, window) {
            line_by_line.push(source);
        }
    }
    for batch in line_by_line.chunks(BATCH) {
        if search.stop.is_stopped() {
            return Err(StoreError::Cancelled);
        }
        let counted: Result<Vec<_>, StoreError> = batch
            .par_iter()
            .map(|source| {
                let mut times = Vec::new();
                let counters =
                    scan::count_lines(source, &plan, search, metrics, |time_ns, level| {
                        times.push((time_ns, level as u8));
                    })?;
                Ok((times, counters))
            })
            .collect();
        for (times, counted) in counted? {
            counters.add(&counted);
            for (time_ns, level) in times {
                buckets.add(time_ns, level, 1);
            }
        }
    }
    counters.tell(metrics);
    metrics.searches.inc();
    metrics
        .search_seconds
        .observe(started.elapsed().as_secs_f64());
    Ok(buckets.counts)
}

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

    fn add(&mut self, time_ns: i64, level: u8, lines: u64) {
        let bucket = time_ns
            .div_euclid(self.step_ns)
            .checked_sub(self.first)
            .and_then(|i| usize::try_from(i).ok())
            .and_then(|i| self.counts.get_mut(i))
            .and_then(|bucket| bucket.counts.get_mut(usize::from(level)));
        if let Some(count) = bucket {
            *count += lines;
        }
    }

    /// Counts a block by its entry in the table, where that is exact.
    fn add_summary(&mut self, source: &Source, plan: &Plan<'_>, window: Window) -> bool {
        let (Some(block), Some((_, need, _))) = (source.meta(), plan.stream(source.stream)) else {
            return false;
        };
        let Some(levels) = need.is_exact() else {
            return false;
        };
        if !window.covers(block.min_ns, block.max_ns) {
            return false;
        }
        let one_bucket =
            block.min_ns.div_euclid(self.step_ns) == block.max_ns.div_euclid(self.step_ns);
        if !one_bucket && self.step_ns % MINUTE_NS != 0 {
            return false;
        }
        for count in &block.counts {
            if levels >> count.level & 1 == 1 {
                let time_ns = if one_bucket {
                    block.min_ns
                } else {
                    // All lines of a minute lie in one bucket, but its start may lie before the
                    // oldest line and, at the edge of time, before what 64 bits hold.
                    count.minute.saturating_mul(MINUTE_NS).max(block.min_ns)
                };
                self.add(time_ns, count.level, u64::from(count.lines));
            }
        }
        true
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
