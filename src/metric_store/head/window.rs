//! One target's samples of one window.
//!
//! A column is a series. Columns are appended when a slot is first seen and never moved, so that
//! a scrape whose set of series changes costs only its new series. Scrapes that fill a good part
//! of the columns are rows; what comes with a timestamp of its own goes to its column's loose
//! samples; what comes late goes to a small ordered map. Everything is behind `Arc`s: a clone is
//! a snapshot that readers keep while samples go on coming.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Histogram, Samples};
use rustc_hash::FxHashMap;

use super::block::{BLOCK_ROWS, Block, Row};
use super::histograms::HistogramColumn;
use super::loose::LooseColumn;
use super::target::Slot;
use crate::codec::{self, CodecError};
use crate::index::SeriesId;

/// A scrape is a row when it fills at least one in so many columns.
const ROW_FILL: usize = 4;

/// Up to so many columns every scrape is a row: an empty place costs less than bookkeeping.
const ROW_COLUMNS_SMALL: usize = 32;

/// The slot has no column yet.
const NO_COLUMN: u32 = u32::MAX;

/// Which slot is which column.
#[derive(Debug, Clone, Default)]
struct Layout {
    column_of_slot: Vec<u32>,
    series_of_column: Vec<SeriesId>,
}

impl Layout {
    fn column(&self, slot: u32) -> Option<u32> {
        let column = *self.column_of_slot.get(slot as usize)?;
        (column != NO_COLUMN).then_some(column)
    }
}

/// The samples.
#[derive(Debug, Clone)]
pub(crate) struct WindowData {
    start_ms: i64,
    layout: Arc<Layout>,
    rows: Vec<Arc<Row>>,
    blocks: Vec<Arc<Block>>,
    /// Shared as a whole: a snapshot of a target with thousands of them costs no more than one of
    /// a target with none.
    loose: Arc<FxHashMap<u32, Arc<LooseColumn>>>,
    late: Arc<BTreeMap<(u32, i64), f64>>,
    /// Native histograms by column, late ones too: few series have any.
    histograms: Arc<FxHashMap<u32, Arc<HistogramColumn>>>,
    samples: u64,
}

impl WindowData {
    pub(crate) fn new(start_ms: i64) -> Self {
        Self {
            start_ms,
            layout: Arc::default(),
            rows: Vec::new(),
            blocks: Vec::new(),
            loose: Arc::default(),
            late: Arc::default(),
            histograms: Arc::default(),
            samples: 0,
        }
    }

    pub(crate) fn start_ms(&self) -> i64 {
        self.start_ms
    }

    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// The series of each column.
    pub(crate) fn series(&self) -> &[SeriesId] {
        &self.layout.series_of_column
    }

    /// The column of a slot, where it has one.
    pub(crate) fn column(&self, slot: u32) -> Option<u32> {
        self.layout.column(slot)
    }

    fn column_or_new(&mut self, slot: u32, series: SeriesId) -> u32 {
        if let Some(column) = self.column(slot) {
            return column;
        }
        // Copies the layout when a reader holds it, which is once for a reader.
        let layout = Arc::make_mut(&mut self.layout);
        let column = layout.series_of_column.len() as u32;
        layout.series_of_column.push(series);
        let slot = slot as usize;
        if layout.column_of_slot.len() <= slot {
            layout.column_of_slot.resize(slot + 1, NO_COLUMN);
        }
        if let Some(place) = layout.column_of_slot.get_mut(slot) {
            *place = column;
        }
        column
    }

    /// Stores samples of one time, each newer than its series' last one.
    pub(crate) fn append(
        &mut self,
        time_ms: i64,
        samples: &[(u32, f64)],
        slots: &[Slot],
        scratch: &mut codec::Scratch,
    ) {
        if samples.is_empty() {
            return;
        }
        for (slot, _) in samples {
            if let Some(state) = slots.get(*slot as usize) {
                self.column_or_new(*slot, state.series);
            }
        }
        self.samples += samples.len() as u64;
        let columns = self.series().len();
        if columns <= ROW_COLUMNS_SMALL || samples.len() * ROW_FILL >= columns {
            let cells = samples
                .iter()
                .filter_map(|(slot, value)| Some((self.column(*slot)?, *value)));
            let row = Row::new(time_ms, columns, cells);
            self.rows.push(Arc::new(row));
            if self.rows.len() == BLOCK_ROWS {
                self.blocks
                    .push(Arc::new(Block::encode(&self.rows, scratch)));
                self.rows.clear();
            }
            return;
        }
        let all = Arc::make_mut(&mut self.loose);
        for (slot, value) in samples {
            if let Some(column) = self.layout.column(*slot) {
                let loose = all.entry(column).or_default();
                Arc::make_mut(loose).push(time_ms, *value, scratch);
            }
        }
    }

    /// Stores a sample that is older than its series' newest one and not there yet.
    pub(crate) fn append_late(&mut self, time_ms: i64, slot: u32, series: SeriesId, value: f64) {
        let column = self.column_or_new(slot, series);
        if Arc::make_mut(&mut self.late)
            .insert((column, time_ms), value)
            .is_none()
        {
            self.samples += 1;
        }
    }

    /// Stores a native histogram whose time its series does not have yet.
    pub(crate) fn append_histogram(
        &mut self,
        time_ms: i64,
        slot: u32,
        series: SeriesId,
        value: Arc<Histogram>,
        scratch: &mut codec::Scratch,
    ) {
        let column = self.column_or_new(slot, series);
        let histograms = Arc::make_mut(&mut self.histograms);
        let histograms = histograms.entry(column).or_default();
        Arc::make_mut(histograms).push(time_ms, value, scratch);
        self.samples += 1;
    }

    /// Whether the slot has a sample at exactly this time.
    pub(crate) fn has(&self, slot: u32, time_ms: i64) -> bool {
        let Some(column) = self.column(slot) else {
            return false;
        };
        self.late.contains_key(&(column, time_ms))
            || self
                .rows
                .iter()
                .any(|row| row.time_ms() == time_ms && row.get(column).is_some())
            || self.blocks.iter().any(|block| block.has(column, time_ms))
            || self
                .loose
                .get(&column)
                .is_some_and(|loose| loose.has(time_ms))
            || self
                .histograms
                .get(&column)
                .is_some_and(|histograms| histograms.has(time_ms))
    }

    /// Appends a column's samples to `out`, ascending and each time once.
    pub(crate) fn read(&self, column: u32, out: &mut Samples) -> Result<(), CodecError> {
        self.read_between(column, i64::MIN, i64::MAX, out)
    }

    /// As [`WindowData::read`], but what lies outside `start_ms < time <= end_ms` may be left
    /// out: a rule asks for the last minutes of two hours.
    pub(crate) fn read_between(
        &self,
        column: u32,
        start_ms: i64,
        end_ms: i64,
        out: &mut Samples,
    ) -> Result<(), CodecError> {
        let base = out.len();
        for block in &self.blocks {
            if block.overlaps(start_ms, end_ms) {
                block.read(column, out)?;
            }
        }
        for row in &self.rows {
            let time_ms = row.time_ms();
            if start_ms < time_ms
                && time_ms <= end_ms
                && let Some(value) = row.get(column)
            {
                out.push(time_ms, value);
            }
        }
        if let Some(loose) = self.loose.get(&column) {
            loose.read_between(start_ms, end_ms, out)?;
        }
        let late = (column, i64::MIN)..=(column, i64::MAX);
        for ((_, time_ms), value) in self.late.range(late) {
            out.push(*time_ms, *value);
        }
        if let Some(histograms) = self.histograms.get(&column) {
            histograms.read(out)?;
        }
        crate::read::merge::sort_tail(out, base);
        Ok(())
    }

    /// The times of all rows, ascending: what most of the columns share.
    pub(crate) fn row_times(&self) -> Vec<i64> {
        let blocks = self.blocks.iter().flat_map(|b| b.times_ms());
        let mut times: Vec<i64> = blocks
            .copied()
            .chain(self.rows.iter().map(|r| r.time_ms()))
            .collect();
        times.sort_unstable();
        times.dedup();
        times
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let layout =
            self.layout.column_of_slot.capacity() + self.layout.series_of_column.capacity();
        let blocks: usize = self.blocks.iter().map(|b| b.memory_bytes()).sum();
        let rows: usize = self.rows.iter().map(|r| r.memory_bytes()).sum();
        let loose: usize = self.loose.values().map(|l| l.memory_bytes() + 32).sum();
        let histograms: usize = self
            .histograms
            .values()
            .map(|h| h.memory_bytes() + 32)
            .sum();
        layout * 4 + blocks + rows + loose + histograms + self.late.len() * 48
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slots(n: usize) -> Vec<Slot> {
        let slot = |i| Slot {
            series: i as u32 + 100,
            active: true,
            last_ms: i64::MIN,
        };
        (0..n).map(slot).collect()
    }

    fn read(window: &WindowData, slot: u32) -> Vec<(i64, u64)> {
        let mut out = Samples::default();
        if let Some(column) = window.column(slot) {
            window.read(column, &mut out).expect("decodes");
        }
        let values = out.values.iter().map(|v| v.to_bits());
        out.timestamps_ms.iter().copied().zip(values).collect()
    }

    #[test]
    fn a_snapshot_does_not_change() {
        let slots = slots(2);
        let mut window = WindowData::new(0);
        let mut scratch = codec::Scratch::default();
        for t in 0..40 {
            window.append(t, &[(0, t as f64)], &slots, &mut scratch);
        }
        let snapshot = window.clone();
        for t in 40..80 {
            window.append(t, &[(0, 1.0), (1, 2.0)], &slots, &mut scratch);
        }
        window.append_late(-5, 1, 101, 7.0);
        assert_eq!(read(&snapshot, 0).len(), 40);
        assert_eq!(read(&snapshot, 1).len(), 0);
        assert_eq!(read(&window, 0).len(), 80);
        assert_eq!(read(&window, 1).first(), Some(&(-5, 7f64.to_bits())));
        assert!(window.has(1, -5) && window.has(0, 3) && window.has(1, 79));
        assert!(!window.has(1, 3) && !window.has(0, 80));
    }

    proptest! {
        /// Any pattern of presence: wide rows, narrow ones, single cells.
        #[test]
        fn what_is_appended_is_read(
            scrapes in prop::collection::vec(
                (prop::collection::btree_map(0u32..120, any::<u64>(), 1..60), any::<bool>()),
                1..80,
            ),
            (start_ms, end_ms) in (-1..80i64, 0..80i64).prop_map(|(a, b)| (a * 15_000, b * 15_000)),
        ) {
            let slots = slots(120);
            let mut window = WindowData::new(0);
            let mut scratch = codec::Scratch::default();
            let mut expected: BTreeMap<u32, Vec<(i64, u64)>> = BTreeMap::new();
            for (i, (cells, single)) in scrapes.iter().enumerate() {
                let time_ms = i as i64 * 15_000;
                let cells: Vec<(u32, f64)> = cells
                    .iter()
                    .take(if *single { 1 } else { usize::MAX })
                    .map(|(slot, bits)| (*slot, f64::from_bits(*bits)))
                    .collect();
                for (slot, value) in &cells {
                    expected.entry(*slot).or_default().push((time_ms, value.to_bits()));
                }
                window.append(time_ms, &cells, &slots, &mut scratch);
            }
            for slot in 0..120 {
                let expected = expected.remove(&slot).unwrap_or_default();
                for (time_ms, _) in &expected {
                    prop_assert!(window.has(slot, *time_ms));
                }
                prop_assert_eq!(&read(&window, slot), &expected);
                let mut part = Samples::default();
                if let Some(column) = window.column(slot) {
                    window.read_between(column, start_ms, end_ms, &mut part).expect("decodes");
                }
                crate::read::merge::trim_tail(&mut part, 0, start_ms, end_ms);
                let within = expected.iter().filter(|(t, _)| start_ms < *t && *t <= end_ms);
                let bits = part.values.iter().map(|v| v.to_bits());
                let part: Vec<(i64, u64)> = part.timestamps_ms.iter().copied().zip(bits).collect();
                prop_assert_eq!(part, within.copied().collect::<Vec<_>>());
            }
        }
    }
}
