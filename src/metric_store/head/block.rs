//! Rows as they come, and 32 of them encoded by column.

use std::sync::Arc;

use model::Samples;

use crate::codec::{self, CodecError, Effort, Scratch};

/// Rows to a block: enough for a column to compress, few enough that the open rows stay small
/// (32 × 8 bytes a series).
pub(crate) const BLOCK_ROWS: usize = 32;

/// One scrape, a value for each column.
#[derive(Debug)]
pub(crate) struct Row {
    time_ms: i64,
    values: Box<[f64]>,
    /// A bit for each column that has a value; `None` when all have. Bits rather than a special
    /// NaN, because every NaN is a value that somebody may send.
    present: Option<Box<[u64]>>,
}

impl Row {
    /// A row of `columns` places, filled from (column, value) cells.
    pub(crate) fn new(
        time_ms: i64,
        columns: usize,
        cells: impl Iterator<Item = (u32, f64)>,
    ) -> Self {
        let mut values = vec![0.0; columns].into_boxed_slice();
        let mut present = vec![0u64; columns.div_ceil(64)].into_boxed_slice();
        let mut filled = 0;
        for (column, value) in cells {
            let at = column as usize;
            if let (Some(place), Some(word)) = (values.get_mut(at), present.get_mut(at / 64)) {
                *place = value;
                filled += usize::from(*word >> (at % 64) & 1 == 0);
                *word |= 1 << (at % 64);
            }
        }
        Self {
            time_ms,
            values,
            present: (filled < columns).then_some(present),
        }
    }

    pub(crate) fn time_ms(&self) -> i64 {
        self.time_ms
    }

    #[inline]
    pub(crate) fn get(&self, column: u32) -> Option<f64> {
        let at = column as usize;
        let value = *self.values.get(at)?;
        match &self.present {
            None => Some(value),
            Some(bits) => (bits.get(at / 64)? >> (at % 64) & 1 == 1).then_some(value),
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.values.len() * 8 + self.present.as_ref().map_or(0, |p| p.len() * 8)
    }
}

/// Rows, encoded by column.
#[derive(Debug)]
pub(crate) struct Block {
    times_ms: Box<[i64]>,
    /// The earliest and the latest of them.
    span_ms: (i64, i64),
    /// Where each column begins in `data`; one more for the end. An absent column has no bytes.
    offsets: Box<[u32]>,
    /// For each column a mask of the rows that have a value (four bytes), left out with a zero
    /// byte when all have, then the values.
    data: Box<[u8]>,
}

/// Every row has a value.
const ALL_PRESENT: u8 = 0;
/// A mask follows.
const MASKED: u8 = 1;

impl Block {
    pub(crate) fn encode(rows: &[Arc<Row>], scratch: &mut Scratch) -> Self {
        let columns = rows.iter().map(|r| r.values.len()).max().unwrap_or(0);
        let mut offsets = Vec::with_capacity(columns + 1);
        let mut data = Vec::with_capacity(columns * 8);
        let mut values = Vec::with_capacity(BLOCK_ROWS);
        for column in 0..columns as u32 {
            offsets.push(data.len() as u32);
            values.clear();
            let mut mask = 0u32;
            for (i, row) in rows.iter().enumerate() {
                if let Some(value) = row.get(column) {
                    mask |= 1 << i;
                    values.push(value);
                }
            }
            if values.is_empty() {
                continue;
            }
            if values.len() == rows.len() {
                data.push(ALL_PRESENT);
            } else {
                data.push(MASKED);
                data.extend_from_slice(&mask.to_le_bytes());
            }
            codec::encode(&values, Effort::Head, scratch, &mut data);
        }
        offsets.push(data.len() as u32);
        let times_ms = || rows.iter().map(|r| r.time_ms);
        Self {
            times_ms: times_ms().collect(),
            span_ms: (times_ms().min().unwrap_or(0), times_ms().max().unwrap_or(0)),
            offsets: offsets.into(),
            data: data.into(),
        }
    }

    pub(crate) fn times_ms(&self) -> &[i64] {
        &self.times_ms
    }

    /// Whether a row lies in `start_ms < time <= end_ms`, or may.
    pub(crate) fn overlaps(&self, start_ms: i64, end_ms: i64) -> bool {
        let (first, last) = self.span_ms;
        first <= end_ms && last > start_ms
    }

    /// The mask of a column's rows and its encoded values.
    fn column(&self, column: u32) -> Option<(u32, &[u8])> {
        let at = column as usize;
        let (start, end) = (*self.offsets.get(at)?, *self.offsets.get(at + 1)?);
        let bytes = self.data.get(start as usize..end as usize)?;
        match bytes.split_first()? {
            (&ALL_PRESENT, values) => {
                let all = u32::MAX.checked_shr(32 - self.times_ms.len() as u32);
                Some((all.unwrap_or(0), values))
            }
            (_, rest) => {
                let (mask, values) = rest.split_first_chunk::<4>()?;
                Some((u32::from_le_bytes(*mask), values))
            }
        }
    }

    pub(crate) fn has(&self, column: u32, time_ms: i64) -> bool {
        // Two scrapes may share a time and have different series.
        let mut rows = (0..).zip(self.times_ms.iter());
        let is_there = |row: u32, mask: u32| mask >> row & 1 == 1;
        self.column(column)
            .is_some_and(|(mask, _)| rows.any(|(row, t)| *t == time_ms && is_there(row, mask)))
    }

    pub(crate) fn read(&self, column: u32, out: &mut Samples) -> Result<(), CodecError> {
        let Some((mask, values)) = self.column(column) else {
            return Ok(());
        };
        let count = mask.count_ones() as usize;
        if count == self.times_ms.len() {
            out.timestamps_ms.extend_from_slice(&self.times_ms);
        } else {
            let present = self.times_ms.iter().enumerate();
            let present = present.filter(|(i, _)| mask >> i & 1 == 1);
            out.timestamps_ms.extend(present.map(|(_, t)| *t));
        }
        codec::decode(values, count, &mut out.values)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.times_ms.len() * 8 + self.offsets.len() * 4 + self.data.len()
    }
}
