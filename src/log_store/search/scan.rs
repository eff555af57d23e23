//! Where lines may lie (an open segment, a sealed block), and the best lines of one such place.

use std::sync::Arc;

use log_query::{Record, Search, SearchSummary};
use model::{StoreError, StreamId};

use super::collect::{Found, Limits, Order, Rank, size_of_line};
use super::opened::Opened;
use super::plan::{OfStream, Plan};
use crate::metrics::Metrics;
use crate::open::Segment;
use crate::partition::Partition;
use crate::table::BlockMeta;

/// The time range of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Inclusive.
    pub(crate) start_ns: i64,
    /// Exclusive.
    pub(crate) end_ns: i64,
}

impl Window {
    pub(crate) fn of(search: &Search) -> Self {
        Self {
            start_ns: search.start_ns,
            end_ns: search.end_ns,
        }
    }

    pub(crate) fn contains(self, time_ns: i64) -> bool {
        (self.start_ns..self.end_ns).contains(&time_ns)
    }

    /// Whether any of these times lie in it.
    pub(crate) fn overlaps(self, min_ns: i64, max_ns: i64) -> bool {
        min_ns < self.end_ns && max_ns >= self.start_ns
    }

    /// Whether all of these times lie in it.
    pub(crate) fn covers(self, min_ns: i64, max_ns: i64) -> bool {
        self.contains(min_ns) && self.contains(max_ns)
    }
}

/// What was done for an answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    pub(crate) blocks_read: u64,
    pub(crate) blocks_skipped: u64,
    pub(crate) blocks_damaged: u64,
}

impl Counters {
    pub(crate) fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.bytes += other.bytes;
        self.blocks_read += other.blocks_read;
        self.blocks_skipped += other.blocks_skipped;
        self.blocks_damaged += other.blocks_damaged;
    }

    pub(crate) fn put_into(&self, summary: &mut SearchSummary) {
        summary.lines_scanned = self.lines;
        summary.bytes_scanned = self.bytes;
        summary.blocks_read = self.blocks_read;
        summary.blocks_skipped = self.blocks_skipped;
        summary.blocks_damaged = self.blocks_damaged;
    }

    pub(crate) fn tell(&self, metrics: &Metrics) {
        metrics.lines_scanned.inc_by(self.lines);
        metrics.blocks_read.inc_by(self.blocks_read);
        metrics.blocks_skipped.inc_by(self.blocks_skipped);
    }
}

/// A place with lines of one stream.
pub(crate) struct Source {
    pub(crate) stream: StreamId,
    pub(crate) min_ns: i64,
    pub(crate) max_ns: i64,
    pub(crate) place: Place,
}

pub(crate) enum Place {
    Open(Arc<Segment>),
    Block {
        partition: Arc<Partition>,
        number: usize,
    },
}

impl Source {
    /// The block's entry in the table, for a sealed block.
    pub(crate) fn meta(&self) -> Option<&BlockMeta> {
        match &self.place {
            Place::Open(_) => None,
            Place::Block { partition, number } => partition.blocks.get(*number),
        }
    }
}

/// The first lines of a source, and the rank from which on it may have more.
pub(crate) type BestLines = (Vec<Found>, Option<Rank>);

/// Finds the matching lines of a source that come first in the order, within the limits.
pub(crate) fn best_lines(
    source: &Source,
    plan: &Plan<'_>,
    search: &Search,
    order: Order,
    limits: &Limits,
    metrics: &Metrics,
) -> Result<(BestLines, Counters), StoreError> {
    look_into(source, plan, search, metrics, |of_stream, counters| {
        let mut opened = Opened::new(source, of_stream, Window::of(search))?;
        opened.prepare_times()?;
        let mut ranked: Vec<(Rank, usize)> = opened
            .verdict
            .maybe
            .iter()
            .map(|row| {
                let sequence = opened.sequence(row);
                (order.rank(opened.time(row), source.stream, sequence), row)
            })
            .filter(|(rank, _)| limits.admit(*rank))
            .collect();
        ranked.sort_unstable();
        opened.prepare_levels()?;
        let mut found = Vec::new();
        let mut bytes = 0;
        let mut text = Vec::new();
        for (rank, row) in ranked {
            if found.len() >= limits.lines {
                break;
            }
            if bytes > limits.bytes {
                return Ok((found, Some(rank)));
            }
            opened.text(row, &mut text)?;
            if !opened.verdict.sure.contains(row)
                && !opened.matches(row, &text, &search.query.filter, counters)
            {
                continue;
            }
            let line = Found {
                rank,
                record: Record {
                    labels: of_stream.labels.clone(),
                    sequence: opened.sequence(row),
                    time_ns: opened.time(row),
                    level: opened.level(row),
                    text: text.clone(),
                },
            };
            bytes += size_of_line(&line);
            found.push(line);
        }
        Ok((found, None))
    })
}

/// Does the work on a source unless the search was stopped. A block that is damaged or cannot be
/// read is reported, counted and left out; so is one that retention has just dropped, which is no damage.
pub(crate) fn look_into<T: Default>(
    source: &Source,
    plan: &Plan<'_>,
    search: &Search,
    metrics: &Metrics,
    work: impl FnOnce(OfStream<'_>, &mut Counters) -> Result<T, StoreError>,
) -> Result<(T, Counters), StoreError> {
    if search.stop.is_stopped() {
        return Err(StoreError::Cancelled);
    }
    let mut counters = Counters::default();
    let Some(of_stream) = plan.stream(source.stream) else {
        return Ok((T::default(), counters));
    };
    let result = work(of_stream, &mut counters);
    let Place::Block { partition, .. } = &source.place else {
        return Ok((result?, counters));
    };
    counters.blocks_read += 1;
    match result {
        Ok(found) => Ok((found, counters)),
        Err(_) if partition.is_dropped() => Ok((T::default(), counters)),
        Err(error @ (StoreError::Damaged(_) | StoreError::Io { .. })) => {
            partition.tell_damage(&error, metrics);
            counters.blocks_damaged += 1;
            Ok((T::default(), counters))
        }
        Err(error) => Err(error),
    }
}
