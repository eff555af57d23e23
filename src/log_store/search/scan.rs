//! Looks into one source of lines: an open segment or a sealed block.

use std::sync::Arc;

use log_query::{LineView, Record, Search};
use model::{Labels, Level, StoreError, StreamId};

use super::collect::{Found, Limits, Order, Rank, size_of_line};
use super::plan::{Need, Plan};
use crate::bits::Bits;
use crate::block::decode::Block;
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

/// The lines of a source, open for reading.
enum Reading<'a> {
    Open(&'a Segment),
    Block(Box<Block>),
}

/// A source opened, and the rows that may match.
struct Opened<'a> {
    reading: Reading<'a>,
    first_sequence: u64,
    times: std::borrow::Cow<'a, [i64]>,
    levels: std::borrow::Cow<'a, [u8]>,
    rows: Bits,
}

impl<'a> Opened<'a> {
    fn new(source: &'a Source, need: &Need, window: Window) -> Result<Self, StoreError> {
        match &source.place {
            Place::Open(segment) => {
                let (times, levels) = (segment.lines.times(), segment.lines.levels());
                let mask = need.is_exact().unwrap_or(u8::MAX);
                let mut rows = Bits::none(times.len());
                for (row, (time_ns, level)) in times.iter().zip(levels).enumerate() {
                    if window.contains(*time_ns) && mask >> level & 1 == 1 {
                        rows.insert(row);
                    }
                }
                Ok(Self {
                    reading: Reading::Open(segment),
                    first_sequence: segment.first_sequence,
                    times: times.into(),
                    levels: levels.into(),
                    rows,
                })
            }
            Place::Block { partition, number } => {
                let meta = partition.blocks.get(*number).ok_or_else(|| {
                    StoreError::Damaged(format!("the table has no block {number}"))
                })?;
                let mut block = partition.block(meta)?;
                let damaged = |error: crate::block::bytes::Corrupt| {
                    partition.damaged(meta, &error.to_string())
                };
                let times = block.times().map_err(damaged)?;
                let levels = block.levels().map_err(damaged)?;
                let mut rows = need.rows(&mut block, &times, &levels).map_err(damaged)?;
                if !window.covers(meta.min_ns, meta.max_ns) {
                    let mut inside = Bits::none(times.len());
                    for (row, time_ns) in times.iter().enumerate() {
                        if window.contains(*time_ns) {
                            inside.insert(row);
                        }
                    }
                    rows.intersect(&inside);
                }
                Ok(Self {
                    reading: Reading::Block(Box::new(block)),
                    first_sequence: meta.first_sequence,
                    times: times.into(),
                    levels: levels.into(),
                    rows,
                })
            }
        }
    }

    /// Puts the text of a line into `out`.
    fn text(&mut self, row: usize, out: &mut Vec<u8>) -> Result<(), crate::block::bytes::Corrupt> {
        out.clear();
        match &mut self.reading {
            Reading::Open(segment) => {
                out.extend_from_slice(segment.lines.text(row));
                Ok(())
            }
            Reading::Block(block) => {
                let time_ns = self.times.get(row).copied().unwrap_or_default();
                block.line(row, time_ns, out)
            }
        }
    }

    fn time(&self, row: usize) -> i64 {
        self.times.get(row).copied().unwrap_or_default()
    }

    fn level(&self, row: usize) -> Level {
        Level::from_number(self.levels.get(row).copied().unwrap_or_default())
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
    look_into(source, plan, search, metrics, |need, labels, counters| {
        let mut opened = Opened::new(source, need, Window::of(search))?;
        let mut ranked: Vec<(Rank, usize)> = opened
            .rows
            .iter()
            .map(|row| {
                let sequence = opened.first_sequence + row as u64;
                (order.rank(opened.time(row), source.stream, sequence), row)
            })
            .filter(|(rank, _)| limits.admit(*rank))
            .collect();
        ranked.sort_unstable();
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
            opened
                .text(row, &mut text)
                .map_err(|e| damaged(source, e))?;
            let level = opened.level(row);
            if need.is_exact().is_none() {
                counters.lines += 1;
                counters.bytes += text.len() as u64;
                let view = LineView::new(labels, level, &text);
                if !search.query.filter.matches(&view) {
                    continue;
                }
            }
            let line = Found {
                rank,
                record: Record {
                    labels: labels.clone(),
                    sequence: opened.first_sequence + row as u64,
                    time_ns: opened.time(row),
                    level,
                    text: text.clone(),
                },
            };
            bytes += size_of_line(&line);
            found.push(line);
        }
        Ok((found, None))
    })
}

/// Calls back with time and level of every matching line of a source.
pub(crate) fn count_lines(
    source: &Source,
    plan: &Plan<'_>,
    search: &Search,
    metrics: &Metrics,
    mut each: impl FnMut(i64, Level),
) -> Result<Counters, StoreError> {
    let counted = look_into(source, plan, search, metrics, |need, labels, counters| {
        let mut opened = Opened::new(source, need, Window::of(search))?;
        let rows: Vec<usize> = opened.rows.iter().collect();
        let mut text = Vec::new();
        let mut matching = Vec::new();
        for row in rows {
            let level = opened.level(row);
            if need.is_exact().is_none() {
                opened
                    .text(row, &mut text)
                    .map_err(|e| damaged(source, e))?;
                counters.lines += 1;
                counters.bytes += text.len() as u64;
                let view = LineView::new(labels, level, &text);
                if !search.query.filter.matches(&view) {
                    continue;
                }
            }
            matching.push((opened.time(row), level));
        }
        // Only now: of a block that turns out to be damaged nothing is counted.
        Ok(matching)
    });
    let (matching, counters) = counted?;
    for (time_ns, level) in matching {
        each(time_ns, level);
    }
    Ok(counters)
}

/// Does the work on a source unless the search was stopped. A block that is damaged or cannot be
/// read is reported, counted and left out; so is one that retention has just dropped, which is no damage.
fn look_into<T: Default>(
    source: &Source,
    plan: &Plan<'_>,
    search: &Search,
    metrics: &Metrics,
    work: impl FnOnce(&Need, &Labels, &mut Counters) -> Result<T, StoreError>,
) -> Result<(T, Counters), StoreError> {
    if search.stop.is_stopped() {
        return Err(StoreError::Cancelled);
    }
    let mut counters = Counters::default();
    let Some((_, need, labels)) = plan.stream(source.stream) else {
        return Ok((T::default(), counters));
    };
    let result = work(need, labels, &mut counters);
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

fn damaged(source: &Source, error: crate::block::bytes::Corrupt) -> StoreError {
    match (&source.place, source.meta()) {
        (Place::Block { partition, .. }, Some(meta)) => partition.damaged(meta, &error.to_string()),
        _ => StoreError::Damaged(error.to_string()),
    }
}
