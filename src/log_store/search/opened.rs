//! A source opened for reading, with what is known of its lines.

use log_query::{Filter, LineView};
use model::{Labels, Level, StoreError};

use super::plan::OfStream;
use super::scan::{Counters, Place, Source, Window};
use crate::bits::Bits;
use crate::block::bytes::Corrupt;
use crate::block::decode::Block;
use crate::block::verdict::Verdict;
use crate::open::Segment;
use crate::partition::Partition;
use crate::table::BlockMeta;

/// The lines of a source.
pub(crate) enum Lines<'a> {
    Open(&'a Segment),
    Block {
        block: Box<Block>,
        partition: &'a Partition,
        meta: &'a BlockMeta,
    },
}

/// A source opened.
pub(crate) struct Opened<'a> {
    pub(crate) lines: Lines<'a>,
    labels: &'a Labels,
    first_sequence: u64,
    /// Of the lines within the time range, which match and which may.
    pub(crate) verdict: Verdict,
}

impl<'a> Opened<'a> {
    pub(crate) fn new(
        source: &'a Source,
        of_stream: OfStream<'a>,
        window: Window,
    ) -> Result<Self, StoreError> {
        match &source.place {
            Place::Open(segment) => Ok(Self::open_segment(segment, of_stream, window)),
            Place::Block { partition, number } => {
                let meta = partition.blocks.get(*number).ok_or_else(|| {
                    StoreError::Damaged(format!("the table has no block {number}"))
                })?;
                Self::open_block(partition, meta, of_stream, window)
            }
        }
    }

    fn open_segment(segment: &'a Segment, of_stream: OfStream<'a>, window: Window) -> Self {
        let (times, levels) = (segment.lines.times(), segment.lines.levels());
        let exact = of_stream.need.is_exact();
        let mask = exact.unwrap_or(u8::MAX);
        let mut rows = Bits::none(times.len());
        for (row, (time_ns, level)) in times.iter().zip(levels).enumerate() {
            if window.contains(*time_ns) && mask >> level & 1 == 1 {
                rows.insert(row);
            }
        }
        let verdict = if exact.is_some() {
            Verdict::exactly(rows)
        } else {
            Verdict {
                sure: Bits::none(times.len()),
                maybe: rows,
            }
        };
        Self {
            lines: Lines::Open(segment),
            labels: of_stream.labels,
            first_sequence: segment.first_sequence,
            verdict,
        }
    }

    fn open_block(
        partition: &'a Partition,
        meta: &'a BlockMeta,
        of_stream: OfStream<'a>,
        window: Window,
    ) -> Result<Self, StoreError> {
        let mut block = partition.block(meta)?;
        let damaged = |error: Corrupt| partition.damaged(meta, &error.to_string());
        let mut among = None;
        if !window.covers(meta.min_ns, meta.max_ns) {
            block.prepare_times().map_err(damaged)?;
            let mut inside = Bits::none(block.len());
            for row in 0..block.len() {
                if window.contains(block.time(row)) {
                    inside.insert(row);
                }
            }
            among = Some(inside);
        }
        let mut verdict = of_stream
            .condition
            .decide(&mut block, meta.levels, among.as_ref())
            .map_err(damaged)?;
        if let Some(inside) = &among {
            verdict.sure.intersect(inside);
            verdict.maybe.intersect(inside);
        }
        Ok(Self {
            lines: Lines::Block {
                block: Box::new(block),
                partition,
                meta,
            },
            labels: of_stream.labels,
            first_sequence: meta.first_sequence,
            verdict,
        })
    }

    /// Makes times known for [`Opened::time`].
    pub(crate) fn prepare_times(&mut self) -> Result<(), StoreError> {
        self.with_block(Block::prepare_times)
    }

    /// Makes levels known for [`Opened::level`].
    pub(crate) fn prepare_levels(&mut self) -> Result<(), StoreError> {
        self.with_block(Block::prepare_levels)
    }

    /// Does something with the block, if it is one.
    pub(crate) fn with_block(
        &mut self,
        work: impl FnOnce(&mut Block) -> Result<(), Corrupt>,
    ) -> Result<(), StoreError> {
        match &mut self.lines {
            Lines::Open(_) => Ok(()),
            Lines::Block {
                block,
                partition,
                meta,
            } => work(block).map_err(|error| partition.damaged(meta, &error.to_string())),
        }
    }

    pub(crate) fn sequence(&self, row: usize) -> u64 {
        self.first_sequence + row as u64
    }

    /// The time of a line; of a block they must have been prepared.
    pub(crate) fn time(&self, row: usize) -> i64 {
        match &self.lines {
            Lines::Open(segment) => segment.lines.times().get(row).copied().unwrap_or_default(),
            Lines::Block { block, .. } => block.time(row),
        }
    }

    /// The level of a line; of a block they must have been prepared.
    pub(crate) fn level(&self, row: usize) -> Level {
        Level::from_number(match &self.lines {
            Lines::Open(segment) => segment.lines.levels().get(row).copied().unwrap_or_default(),
            Lines::Block { block, .. } => block.level(row),
        })
    }

    /// Puts the text of a line into `out`.
    pub(crate) fn text(&mut self, row: usize, out: &mut Vec<u8>) -> Result<(), StoreError> {
        out.clear();
        if let Lines::Open(segment) = &self.lines {
            out.extend_from_slice(segment.lines.text(row));
            return Ok(());
        }
        self.with_block(|block| block.line(row, out))
    }

    /// Whether a line matches, whose level must be known.
    pub(crate) fn matches(
        &self,
        row: usize,
        text: &[u8],
        filter: &Filter,
        counters: &mut Counters,
    ) -> bool {
        counters.lines += 1;
        counters.bytes += text.len() as u64;
        filter.matches(&LineView::new(self.labels, self.level(row), text))
    }

    /// Compares the lines that are left open, so that the verdict is sure, and returns the rows
    /// that match.
    pub(crate) fn settle(
        &mut self,
        filter: &Filter,
        counters: &mut Counters,
    ) -> Result<Bits, StoreError> {
        let mut rows = self.verdict.sure.clone();
        let open = self.verdict.open();
        if open.is_empty() {
            return Ok(rows);
        }
        self.prepare_levels()?;
        let mut text = Vec::new();
        for row in open.iter() {
            self.text(row, &mut text)?;
            if self.matches(row, &text, filter, counters) {
                rows.insert(row);
            }
        }
        self.verdict = Verdict::exactly(rows.clone());
        Ok(rows)
    }
}
