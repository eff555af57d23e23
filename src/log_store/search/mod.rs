//! Answers questions about lines.
//!
//! 1. [`Snapshot`]: share everything that can be found at this moment: open segments, those being
//!    sealed, sealed blocks ([`snapshot`]).
//! 2. [`plan`]: from filter and labels follows what lines must have; block table and index leave
//!    the blocks that may hold them.
//! 3. [`opened`]: open a block and let its columns tell which rows match ([`condition`]); what
//!    they leave open is rebuilt and compared with the filter.
//! 4. [`collect`]: keep the best lines in the wanted order within bounded memory, or [`fold`]:
//!    make counts, sums and lists of them.
//!
//! The work is done on the calling thread and the rayon pool. An answer is the one that
//! `Filter::matches` gives line by line.

pub(crate) mod collect;
pub(crate) mod condition;
mod counted;
pub(crate) mod fold;
mod literals;
mod opened;
pub(crate) mod plan;
mod rows;
pub(crate) mod scan;
pub(crate) mod snapshot;

use std::time::Instant;

use log_query::{Direction, RecordHandler, Search, SearchSummary};
use model::{StoreError, StreamId};
use rayon::prelude::*;

use self::collect::{Best, Order, PASS_BYTES_MAX, Rank};
use self::plan::Plan;
use self::scan::{Counters, Source, Window};
use self::snapshot::Snapshot;
use crate::metrics::Metrics;

/// Sources looked at together at first, per thread of the pool. More would decode blocks that an
/// early end makes needless.
const SOURCES_PER_THREAD: usize = 2;

/// Where nothing is found, so many are looked at together in the end: threads wait for each other
/// less often.
const SOURCES_PER_THREAD_MAX: usize = 64;

/// Answers a search.
pub(crate) fn search(
    snapshot: &Snapshot,
    search: &Search,
    metrics: &Metrics,
    handler: &mut RecordHandler<'_>,
) -> Result<SearchSummary, StoreError> {
    let started = Instant::now();
    let mut plan = Plan::new(&search.query.filter);
    let mut counters = Counters::default();
    let order = Order(search.direction);
    let window = Window::of(search);
    let mut sources = snapshot.sources(&mut plan, window, metrics, &mut counters);
    sources.sort_by_cached_key(|source| order.best_of(source));
    let mut summary = SearchSummary::default();
    // A stream that is gone has no rank: its page goes on with the whole instant, at worst twice.
    let mut after: Option<Rank> = search.after.map(|cursor| {
        let stream = snapshot.streams.read().by_fingerprint(cursor.stream);
        match (stream, search.direction) {
            (Some(stream), _) => order.rank(cursor.time_ns, stream, cursor.sequence),
            (None, Direction::Forward) => order.rank(cursor.time_ns, StreamId(0), 0),
            (None, Direction::Backward) => order.rank(cursor.time_ns, StreamId(u32::MAX), u64::MAX),
        }
    });
    let mut remaining = search.limit;
    // Each pass hands out what fits into memory and the next one goes on behind it. Nearly every
    // search is one pass.
    'passes: loop {
        // One more than wanted tells whether there are more.
        let mut best = Best::new(remaining.saturating_add(1), PASS_BYTES_MAX, after);
        // What lies wholly before has been handed out.
        if let Some(after) = after {
            sources.retain(|source| order.worst_of(source) >= after.time());
        }
        pass(
            &sources,
            &plan,
            search,
            order,
            &mut best,
            metrics,
            &mut counters,
        )?;
        let (is_whole, kept) = best.into_sorted();
        let last = kept.last().map(|line| line.rank);
        for line in kept {
            if remaining == 0 {
                summary.limit_reached = true;
                break 'passes;
            }
            remaining -= 1;
            summary.lines += 1;
            if handler(line.record).is_break() {
                break 'passes;
            }
        }
        if is_whole || last.is_none() {
            break;
        }
        after = last;
    }
    counters.put_into(&mut summary);
    counters.tell(metrics);
    metrics.searches.inc();
    metrics
        .search_seconds
        .observe(started.elapsed().as_secs_f64());
    Ok(summary)
}

/// Looks through the sources, best first, until no further one can hold a better line.
fn pass(
    sources: &[Source],
    plan: &Plan<'_>,
    search: &Search,
    order: Order,
    best: &mut Best,
    metrics: &Metrics,
    counters: &mut Counters,
) -> Result<(), StoreError> {
    let threads = rayon::current_num_threads().max(1);
    let mut batch = threads * SOURCES_PER_THREAD;
    let mut rest = sources;
    while let Some(first) = rest.first() {
        if search.stop.is_stopped() {
            return Err(StoreError::Cancelled);
        }
        if best
            .worst()
            .is_some_and(|worst| order.best_of(first) > worst.time())
        {
            break;
        }
        let (now, later) = rest.split_at(rest.len().min(batch));
        rest = later;
        let limits = best.limits();
        let found: Vec<_> = now
            .par_iter()
            .map(|source| scan::best_lines(source, plan, search, order, &limits, metrics))
            .collect();
        let mut is_nothing = true;
        for found in found {
            let ((lines, more_from), counted) = found?;
            counters.add(&counted);
            is_nothing &= lines.is_empty() && more_from.is_none();
            for line in lines {
                best.offer(line);
            }
            if let Some(rank) = more_from {
                best.give_up(rank);
            }
        }
        if is_nothing {
            batch = (batch * 2).min(threads * SOURCES_PER_THREAD_MAX);
        }
    }
    Ok(())
}
