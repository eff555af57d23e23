//! Reads the records of a window's journal; [`super::rows`] says what they are.

use std::sync::Arc;

use model::Histogram;
use rustc_hash::FxHashMap;

use super::histograms;
use super::rows::{
    FRESH, Last, RECORD_HISTOGRAMS, RECORD_ROW, RECORD_SLOTS, RECORD_TARGET, Runs, SAME_SLOTS,
    UNKNOWN, get_change,
};
use crate::codec::CodecError;
use crate::codec::varint::Reader;
use crate::index::SeriesId;

/// Slot numbers from here on are damage.
const SLOTS_MAX: u64 = 1 << 26;

/// Takes what a window's journal says, in order.
pub(crate) trait RowTaker {
    /// A target and its number in this file.
    fn target(&mut self, target: u32, name: &str);
    /// The series of a slot.
    fn slot(&mut self, target: u32, slot: u32, series: SeriesId);
    /// A scrape, ascending by slot.
    fn row(&mut self, target: u32, time_ms: i64, samples: &[(u32, f64)]);
    /// Native histograms of one time, ascending by slot.
    fn histograms(&mut self, target: u32, time_ms: i64, samples: &[(u32, Arc<Histogram>)]);
}

/// What the reading side knows of one target.
#[derive(Debug, Default)]
struct Known {
    last: Vec<Last>,
    last_ms: i64,
    runs: Runs,
    histograms: FxHashMap<u32, Arc<Histogram>>,
}

/// Reads the records of one file.
#[derive(Debug, Default)]
pub(crate) struct RowDecoder {
    targets: FxHashMap<u32, Known>,
    samples: Vec<(u32, f64)>,
}

impl RowDecoder {
    /// Reads a record's body.
    pub(crate) fn decode(
        &mut self,
        body: &[u8],
        taker: &mut impl RowTaker,
    ) -> Result<(), CodecError> {
        let mut reader = Reader::new(body);
        let kind = reader.byte()?;
        let target = u32::try_from(reader.varint()?)
            .map_err(|_| CodecError::Malformed("a target number beyond 32 bits"))?;
        if kind == RECORD_TARGET {
            self.targets.insert(target, Known::default());
            taker.target(target, reader.text()?);
            return Ok(());
        }
        let known = self
            .targets
            .get_mut(&target)
            .ok_or(CodecError::Malformed("a target without a name"))?;
        match kind {
            RECORD_SLOTS => known.slots(&mut reader, |slot, series| {
                taker.slot(target, slot, series);
            }),
            RECORD_ROW => {
                let time_ms = known.row(&mut reader, &mut self.samples)?;
                taker.row(target, time_ms, &self.samples);
                Ok(())
            }
            RECORD_HISTOGRAMS => {
                let mut samples = Vec::new();
                let time_ms = known.histograms(&mut reader, &mut samples)?;
                taker.histograms(target, time_ms, &samples);
                Ok(())
            }
            _ => Err(CodecError::Malformed("an unknown record")),
        }
    }
}

impl Known {
    fn slots(
        &mut self,
        reader: &mut Reader<'_>,
        mut take: impl FnMut(u32, SeriesId),
    ) -> Result<(), CodecError> {
        let (mut slot, mut series) = (0u64, 0i64);
        for _ in 0..reader.varint()? {
            slot = slot.saturating_add(reader.varint()?);
            series = series.wrapping_add(reader.zigzag()?);
            let id = SeriesId::try_from(series)
                .map_err(|_| CodecError::Malformed("a series number beyond 32 bits"))?;
            if slot >= SLOTS_MAX {
                return Err(CodecError::Malformed("a slot number beyond the limit"));
            }
            let unknown = Last {
                code: UNKNOWN,
                value: 0.0,
            };
            if self.last.len() <= slot as usize {
                self.last.resize(slot as usize + 1, unknown);
            }
            if let Some(last) = self.last.get_mut(slot as usize) {
                last.code = FRESH;
            }
            take(slot as u32, id);
        }
        Ok(())
    }

    fn row(
        &mut self,
        reader: &mut Reader<'_>,
        samples: &mut Vec<(u32, f64)>,
    ) -> Result<i64, CodecError> {
        samples.clear();
        let time_ms = self.last_ms.wrapping_add(reader.zigzag()?);
        self.last_ms = time_ms;
        if reader.byte()? & SAME_SLOTS == 0 {
            self.runs.clear();
            let mut end = 0u64;
            for _ in 0..reader.varint()? {
                let first = end.saturating_add(reader.varint()?);
                let count = reader.varint()?;
                end = first.saturating_add(count);
                if end > self.last.len() as u64 {
                    return Err(CodecError::Malformed("a row beyond the slots"));
                }
                self.runs.push((first as u32, count as u32));
            }
        }
        let count: usize = self.runs.iter().map(|(_, n)| *n as usize).sum();
        let bits = reader.bytes(count.div_ceil(8))?;
        let slots = self.runs.iter().flat_map(|(first, n)| *first..first + n);
        for (i, slot) in slots.enumerate() {
            let last = self
                .last
                .get_mut(slot as usize)
                .filter(|last| last.code != UNKNOWN)
                .ok_or(CodecError::Malformed("a row with an unknown slot"))?;
            if bits.get(i / 8).is_some_and(|b| b >> (i % 8) & 1 == 1) {
                *last = get_change(reader, *last)?;
            }
            samples.push((slot, last.value));
        }
        Ok(time_ms)
    }

    fn histograms(
        &mut self,
        reader: &mut Reader<'_>,
        samples: &mut Vec<(u32, Arc<Histogram>)>,
    ) -> Result<i64, CodecError> {
        let time_ms = self.last_ms.wrapping_add(reader.zigzag()?);
        self.last_ms = time_ms;
        let mut slot = 0u64;
        for _ in 0..reader.varint()? {
            slot = slot.saturating_add(reader.varint()?);
            let known = self.last.get(slot as usize);
            if known.is_none_or(|last| last.code == UNKNOWN) {
                return Err(CodecError::Malformed("a histogram of an unknown slot"));
            }
            let slot = slot as u32;
            let before = self.histograms.get(&slot).map(|h| &**h);
            let histogram = Arc::new(histograms::decode(reader, before)?);
            self.histograms.insert(slot, histogram.clone());
            samples.push((slot, histogram));
        }
        Ok(time_ms)
    }
}
