//! Hands matching lines to folds, on all cores.
//!
//! 1. A block of which the partition says all that is wanted is handed over as counts and not
//!    opened ([`super::counted`]).
//! 2. Of the others the matching rows are found ([`super::opened`]), and only what is wanted of
//!    them is read: nothing, times and levels, columns of fields, or their text.
//!
//! Each thread has a fold of its own and takes the next source when it is done with one. What a
//! fold gathers bounds the memory, and it may refuse to go on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use log_query::{Fold, NewFold, Search, SearchSummary, Wanted};
use model::{Level, StoreError};
use rayon::prelude::*;

use super::counted::{Counted, floor};
use super::opened::Opened;
use super::plan::{OfStream, Plan};
use super::rows;
use super::scan::{self, Counters, Source, Window};
use super::snapshot::Snapshot;
use crate::bits::Bits;
use crate::metrics::Metrics;

/// Answers [`log_query::LogReader::fold`].
pub(crate) fn fold(
    snapshot: &Snapshot,
    search: &Search,
    wanted: &Wanted,
    new: &NewFold<'_>,
    metrics: &Metrics,
) -> Result<(Box<dyn Fold>, SearchSummary), StoreError> {
    let started = Instant::now();
    if search.stop.is_stopped() {
        return Err(StoreError::Cancelled);
    }
    let mut plan = Plan::new(&search.query.filter);
    let mut counters = Counters::default();
    let sources = snapshot.sources(&mut plan, Window::of(search), metrics, &mut counters);
    let job = Job {
        counted: Counted::new(&plan, search, wanted, metrics, &sources),
        sources: &sources,
        plan: &plan,
        search,
        wanted,
        metrics,
        next: AtomicUsize::new(0),
        has_ended: AtomicBool::new(false),
    };
    let threads = rayon::current_num_threads().clamp(1, sources.len().max(1));
    let worked: Vec<Result<_, StoreError>> = if threads == 1 {
        vec![job.work(new)]
    } else {
        (0..threads)
            .into_par_iter()
            .map(|_| job.work(new))
            .collect()
    };
    let mut merged: Option<Box<dyn Fold>> = None;
    let mut summary = SearchSummary::default();
    for worked in worked {
        let (fold, lines, counted) = worked?;
        counters.add(&counted);
        summary.lines += lines;
        match &mut merged {
            None => merged = Some(fold),
            Some(merged) => merged.merge(fold),
        }
    }
    let fold = merged.unwrap_or_else(new);
    if let Some(reason) = fold.refusal() {
        return Err(StoreError::Limit(reason));
    }
    counters.put_into(&mut summary);
    counters.tell(metrics);
    metrics.searches.inc();
    metrics
        .search_seconds
        .observe(started.elapsed().as_secs_f64());
    Ok((fold, summary))
}

/// What the threads share.
struct Job<'a> {
    counted: Counted<'a>,
    sources: &'a [Source],
    plan: &'a Plan<'a>,
    search: &'a Search,
    wanted: &'a Wanted,
    metrics: &'a Metrics,
    next: AtomicUsize,
    /// Set when a thread has failed: the others need not go on.
    has_ended: AtomicBool,
}

impl Job<'_> {
    /// The work of one thread: its fold, how many lines it took, and what that cost.
    fn work(&self, new: &NewFold<'_>) -> Result<(Box<dyn Fold>, u64, Counters), StoreError> {
        let mut fold = new();
        let mut lines = 0;
        let mut counters = Counters::default();
        while !self.has_ended.load(Ordering::Relaxed) {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(source) = self.sources.get(next) else {
                break;
            };
            let folded = self.fold_source(source, &mut *fold);
            let refusal = fold.refusal().map(StoreError::Limit);
            match refusal.map_or(folded, Err) {
                Ok((n, counted)) => {
                    lines += n;
                    counters.add(&counted);
                }
                Err(error) => {
                    self.has_ended.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok((fold, lines, counters))
    }

    fn fold_source(
        &self,
        source: &Source,
        fold: &mut dyn Fold,
    ) -> Result<(u64, Counters), StoreError> {
        if let Some(lines) = self.counted.fold(source, fold) {
            if self.search.stop.is_stopped() {
                return Err(StoreError::Cancelled);
            }
            return Ok((lines, Counters::default()));
        }
        scan::look_into(
            source,
            self.plan,
            self.search,
            self.metrics,
            |of_stream, counters| {
                let mut opened = Opened::new(source, of_stream, Window::of(self.search))?;
                let rows = opened.settle(&self.search.query.filter, counters)?;
                if rows.is_empty() {
                    return Ok(0);
                }
                if let Some(grain_ns) = self.counted.grain_ns(of_stream.labels) {
                    fold_counts(source, grain_ns, of_stream, &mut opened, &rows, fold)?;
                } else {
                    rows::fold_rows(self.wanted, of_stream, &mut opened, &rows, fold)?;
                }
                Ok(rows.count() as u64)
            },
        )
    }
}

/// Counts rows by level and grain.
fn fold_counts(
    source: &Source,
    grain_ns: i64,
    of_stream: OfStream<'_>,
    opened: &mut Opened<'_>,
    rows: &Bits,
    fold: &mut dyn Fold,
) -> Result<(), StoreError> {
    let one_grain = (source.min_ns.div_euclid(grain_ns) == source.max_ns.div_euclid(grain_ns))
        .then(|| floor(source.min_ns, grain_ns));
    let one_level = source.meta().and_then(|block| {
        let levels = block.levels;
        levels
            .is_power_of_two()
            .then(|| Level::from_number(levels.trailing_zeros() as u8))
    });
    if let (Some(time_ns), Some(level)) = (one_grain, one_level) {
        fold.lines(of_stream.labels, level, time_ns, rows.count() as u64);
        return Ok(());
    }
    if one_grain.is_none() {
        opened.prepare_times()?;
    }
    if one_level.is_none() {
        opened.prepare_levels()?;
    }
    let mut counts: BTreeMap<(i64, Level), u64> = BTreeMap::new();
    // Neighbouring lines mostly go together.
    let mut last: Option<((i64, Level), u64)> = None;
    for row in rows.iter() {
        let time_ns = one_grain.unwrap_or_else(|| floor(opened.time(row), grain_ns));
        let key = (time_ns, one_level.unwrap_or_else(|| opened.level(row)));
        match &mut last {
            Some((last, n)) if *last == key => *n += 1,
            other => {
                if let Some((key, n)) = other.replace((key, 1)) {
                    *counts.entry(key).or_default() += n;
                }
            }
        }
    }
    if let Some((key, n)) = last {
        *counts.entry(key).or_default() += n;
    }
    for ((time_ns, level), n) in counts {
        fold.lines(of_stream.labels, level, time_ns, n);
    }
    Ok(())
}
