//! Records of a window's journal: a scrape against the target's scrape before.
//!
//! 1. The first scrape of a target in a file is preceded by a *target* record (its name).
//! 2. Slots that the file does not know yet are introduced by a *slots* record (slot → series).
//! 3. A *row* record names its slots as runs (or says "the same as before"), then a bit for each
//!    slot whose value changed, then the changes: a difference of decimals, usually one or two
//!    bytes, else a new decimal, else an XOR.
//! 4. A *histograms* record holds native histograms of one time, each against the one before it in
//!    its slot ([`super::histograms`]).
//!
//! [`RowEncoder`] and [`RowDecoder`] keep the same memory of a target. After a record that could
//! not be written, the encoder forgets; the target record that follows makes the decoder forget.

use std::sync::Arc;

use model::Histogram;
use rustc_hash::FxHashMap;

use super::file::{begin_frame, end_frame};
use super::histograms;
use crate::codec::CodecError;
use crate::codec::decimal::{self, SCALE_MAX};
use crate::codec::float::{get_xor, put_xor};
use crate::codec::varint::{Reader, put_text, put_varint, put_zigzag, unzigzag, zigzag};
use crate::head::target::Slot;
use crate::index::SeriesId;

const RECORD_TARGET: u8 = 1;
const RECORD_SLOTS: u8 = 2;
const RECORD_ROW: u8 = 3;
const RECORD_HISTOGRAMS: u8 = 4;

/// The row has the same slots as the target's row before.
const SAME_SLOTS: u8 = 1;

/// A slot that the file does not know.
const UNKNOWN: u8 = 255;
/// A slot whose values are no decimals.
const RAW: u8 = 254;
/// A slot that has no decimal scale yet.
const FRESH: u8 = 253;

/// A change begins with one of these, or with an even number: a difference of decimals.
const CHANGE_DECIMAL: u8 = 1;
const CHANGE_RAW: u8 = 3;

/// Slot numbers from here on are damage.
const SLOTS_MAX: u64 = 1 << 26;

/// The last value of a slot and how it was written. `code` is a decimal scale or one of the
/// constants above.
#[derive(Debug, Clone, Copy)]
struct Last {
    code: u8,
    value: f64,
}

/// Slots of a row as (first, count).
type Runs = Vec<(u32, u32)>;

fn runs_of(samples: &[(u32, f64)], runs: &mut Runs) {
    runs.clear();
    for (slot, _) in samples {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == *slot => *count += 1,
            _ => runs.push((*slot, 1)),
        }
    }
}

/// What a window's journal knows of one target, on the writing side.
#[derive(Debug, Default)]
pub(crate) struct RowEncoder {
    named: bool,
    codes: Vec<u8>,
    values: Vec<f64>,
    last_ms: i64,
    runs: Runs,
    /// The last native histogram of each slot that has any.
    histograms: FxHashMap<u32, Arc<Histogram>>,
}

impl RowEncoder {
    /// Appends the records of a scrape, whose samples are ascending by slot.
    pub(crate) fn encode(
        &mut self,
        target: u32,
        name: &str,
        time_ms: i64,
        samples: &[(u32, f64)],
        slots: &[Slot],
        out: &mut Vec<u8>,
    ) {
        self.name(target, name, out);
        self.introduce(target, samples, slots, out);
        let at = begin_frame(out);
        out.push(RECORD_ROW);
        put_varint(out, u64::from(target));
        put_zigzag(out, time_ms.wrapping_sub(self.last_ms));
        self.last_ms = time_ms;
        let mut runs = Runs::new();
        runs_of(samples, &mut runs);
        if runs == self.runs {
            out.push(SAME_SLOTS);
        } else {
            out.push(0);
            put_varint(out, runs.len() as u64);
            let mut end = 0;
            for (first, count) in &runs {
                put_varint(out, u64::from(first - end));
                put_varint(out, u64::from(*count));
                end = first + count;
            }
            self.runs = runs;
        }
        let bits_at = out.len();
        out.resize(bits_at + samples.len().div_ceil(8), 0);
        for (i, (slot, value)) in samples.iter().enumerate() {
            let slot = *slot as usize;
            let (Some(code), Some(last)) = (self.codes.get_mut(slot), self.values.get_mut(slot))
            else {
                continue;
            };
            if value.to_bits() == last.to_bits() {
                continue;
            }
            if let Some(byte) = out.get_mut(bits_at + i / 8) {
                *byte |= 1 << (i % 8);
            }
            *code = put_change(
                Last {
                    code: *code,
                    value: *last,
                },
                *value,
                out,
            );
            *last = *value;
        }
        end_frame(out, at);
    }

    /// Appends the records of native histograms of one time, ascending by slot.
    pub(crate) fn encode_histograms(
        &mut self,
        target: u32,
        name: &str,
        time_ms: i64,
        samples: &[(u32, Arc<Histogram>)],
        slots: &[Slot],
        out: &mut Vec<u8>,
    ) {
        self.name(target, name, out);
        self.introduce(target, samples, slots, out);
        let at = begin_frame(out);
        out.push(RECORD_HISTOGRAMS);
        put_varint(out, u64::from(target));
        put_zigzag(out, time_ms.wrapping_sub(self.last_ms));
        self.last_ms = time_ms;
        put_varint(out, samples.len() as u64);
        let mut last_slot = 0;
        for (slot, histogram) in samples {
            put_varint(out, u64::from(slot - last_slot));
            last_slot = *slot;
            let before = self.histograms.insert(*slot, histogram.clone());
            histograms::encode(histogram, before.as_deref(), out);
        }
        end_frame(out, at);
    }

    fn name(&mut self, target: u32, name: &str, out: &mut Vec<u8>) {
        if !self.named {
            let at = begin_frame(out);
            out.push(RECORD_TARGET);
            put_varint(out, u64::from(target));
            put_text(out, name);
            end_frame(out, at);
            self.named = true;
        }
    }

    fn introduce<V>(
        &mut self,
        target: u32,
        samples: &[(u32, V)],
        slots: &[Slot],
        out: &mut Vec<u8>,
    ) {
        let known = |codes: &[u8], slot: u32| {
            codes
                .get(slot as usize)
                .is_some_and(|code| *code != UNKNOWN)
        };
        let new = samples
            .iter()
            .filter(|(slot, _)| !known(&self.codes, *slot))
            .count();
        if new == 0 {
            return;
        }
        let at = begin_frame(out);
        out.push(RECORD_SLOTS);
        put_varint(out, u64::from(target));
        put_varint(out, new as u64);
        let (mut last_slot, mut last_series) = (0u32, 0i64);
        for (slot, _) in samples {
            if known(&self.codes, *slot) {
                continue;
            }
            let Some(state) = slots.get(*slot as usize) else {
                continue;
            };
            put_varint(out, u64::from(slot - last_slot));
            put_zigzag(out, i64::from(state.series) - last_series);
            (last_slot, last_series) = (*slot, i64::from(state.series));
            let at = *slot as usize;
            if self.codes.len() <= at {
                self.codes.resize(at + 1, UNKNOWN);
                self.values.resize(at + 1, 0.0);
            }
            if let Some(code) = self.codes.get_mut(at) {
                *code = FRESH;
            }
        }
        end_frame(out, at);
    }

    /// Forgets everything, because the last records did not reach the file.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        // A histogram here is usually the very one that the head's tail holds too.
        self.codes.capacity() * 9 + self.runs.capacity() * 8 + self.histograms.capacity() * 24
    }
}

/// Appends a change and returns the slot's new code.
fn put_change(last: Last, value: f64, out: &mut Vec<u8>) -> u8 {
    if last.code <= SCALE_MAX
        && let Some(integer) = decimal::integer(value, last.code)
        && let Some(before) = decimal::integer(last.value, last.code)
    {
        // Fast path: nearly every change.
        put_varint(out, zigzag(integer - before) << 1);
        return last.code;
    }
    if last.code != RAW {
        let lowest = if last.code <= SCALE_MAX { last.code } else { 0 };
        for scale in lowest..=SCALE_MAX {
            if let Some(integer) = decimal::integer(value, scale) {
                out.extend_from_slice(&[CHANGE_DECIMAL, scale]);
                put_zigzag(out, integer);
                return scale;
            }
        }
    }
    out.push(CHANGE_RAW);
    put_xor(value.to_bits() ^ last.value.to_bits(), out);
    // One stale marker or infinity does not make a slot's values raw.
    if value.is_finite() { RAW } else { last.code }
}

/// The inverse of [`put_change`].
fn get_change(reader: &mut Reader<'_>, last: Last) -> Result<Last, CodecError> {
    let change = reader.varint()?;
    if change & 1 == 0 {
        let before = decimal::integer(last.value, last.code)
            .ok_or(CodecError::Malformed("a difference to no decimal"))?;
        let integer = before.wrapping_add(unzigzag(change >> 1));
        let value = decimal::value(integer, last.code)?;
        return Ok(Last { value, ..last });
    }
    if change == u64::from(CHANGE_DECIMAL) {
        let code = reader.byte()?;
        let value = decimal::value(reader.zigzag()?, code)?;
        return Ok(Last { code, value });
    }
    if change != u64::from(CHANGE_RAW) {
        return Err(CodecError::Malformed("an unknown change"));
    }
    let value = f64::from_bits(last.value.to_bits() ^ get_xor(reader)?);
    let code = if value.is_finite() { RAW } else { last.code };
    Ok(Last { code, value })
}

/// The number of the target that a record's body speaks of: what readers that share a file divide
/// it by.
pub(crate) fn target_of(body: &[u8]) -> Result<u32, CodecError> {
    let mut reader = Reader::new(body);
    reader.byte()?;
    u32::try_from(reader.varint()?)
        .map_err(|_| CodecError::Malformed("a target number beyond 32 bits"))
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Taken {
        names: Vec<String>,
        slots: Vec<(u32, SeriesId)>,
        rows: Vec<(i64, Vec<(u32, u64)>)>,
    }

    fn bits(samples: &[(u32, f64)]) -> Vec<(u32, u64)> {
        samples.iter().map(|(s, v)| (*s, v.to_bits())).collect()
    }

    impl RowTaker for Taken {
        fn target(&mut self, _: u32, name: &str) {
            self.names.push(name.to_owned());
        }
        fn slot(&mut self, _: u32, slot: u32, series: SeriesId) {
            self.slots.push((slot, series));
        }
        fn row(&mut self, _: u32, time_ms: i64, samples: &[(u32, f64)]) {
            self.rows.push((time_ms, bits(samples)));
        }
        fn histograms(&mut self, _: u32, time_ms: i64, samples: &[(u32, Arc<Histogram>)]) {
            let count = |(slot, h): &(u32, Arc<Histogram>)| (*slot, h.count.to_bits());
            self.rows
                .push((time_ms, samples.iter().map(count).collect()));
        }
    }

    fn replay(bytes: &[u8]) -> Taken {
        let (mut taken, mut decoder) = (Taken::default(), RowDecoder::default());
        let mut rest = bytes;
        while let Some((head, tail)) = rest.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*head) as usize;
            decoder
                .decode(&tail[4..4 + length], &mut taken)
                .expect("decodes");
            rest = &tail[4 + length..];
        }
        taken
    }

    fn slots() -> Vec<Slot> {
        let slot = |i: u32| Slot {
            series: 1000 - i,
            active: true,
            last_ms: i64::MIN,
        };
        (0..64).map(slot).collect()
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            (-1000i64..1000).prop_map(|x| x as f64),
            (-100_000i64..100_000).prop_map(|x| x as f64 / 1000.0),
            any::<u64>().prop_map(f64::from_bits),
            Just(model::stale_nan()),
        ]
    }

    proptest! {
        #[test]
        fn rows_come_back_also_after_failures(
            rows in prop::collection::vec(
                (any::<i64>(), prop::collection::btree_map(0u32..64, value(), 1..40), 0u8..10),
                1..40,
            ),
        ) {
            let slots = slots();
            let mut encoder = RowEncoder::default();
            let (mut out, mut expected) = (Vec::new(), Vec::new());
            for (time_ms, samples, luck) in rows {
                let samples: Vec<(u32, f64)> = samples.into_iter().collect();
                let before = out.len();
                encoder.encode(5, "t", time_ms, &samples, &slots, &mut out);
                let histograms: Vec<(u32, Arc<Histogram>)> = samples
                    .iter()
                    .filter(|(slot, _)| slot % 16 == 3)
                    .map(|(slot, count)| {
                        let histogram = Histogram { count: *count, ..Histogram::default() };
                        (*slot, Arc::new(histogram))
                    })
                    .collect();
                encoder.encode_histograms(5, "t", time_ms, &histograms, &slots, &mut out);
                let counts = histograms.iter().map(|(slot, h)| (*slot, h.count.to_bits()));
                if luck == 0 {
                    out.truncate(before);
                    encoder.forget();
                } else {
                    expected.push((time_ms, bits(&samples)));
                    expected.push((time_ms, counts.collect()));
                }
            }
            let taken = replay(&out);
            prop_assert_eq!(taken.rows, expected);
            for (slot, series) in taken.slots {
                prop_assert_eq!(series, 1000 - slot);
            }
        }

        #[test]
        fn noise_never_panics(bodies in prop::collection::vec(
            prop::collection::vec(any::<u8>(), 0..60), 0..10,
        )) {
            let (mut taken, mut decoder) = (Taken::default(), RowDecoder::default());
            for mut body in bodies {
                if let Some(kind) = body.first_mut() {
                    *kind = *kind % 4 + 1;
                }
                let rows = taken.rows.len();
                if decoder.decode(&body, &mut taken).is_err() {
                    prop_assert_eq!(taken.rows.len(), rows);
                }
            }
        }
    }

    #[test]
    fn a_steady_row_takes_a_byte_for_eight_values() {
        let slots = slots();
        let mut encoder = RowEncoder::default();
        let mut samples: Vec<(u32, f64)> = (0..64).map(|i| (i, f64::from(i) / 10.0)).collect();
        encoder.encode(0, "t", 0, &samples, &slots, &mut Vec::new());
        let mut out = Vec::new();
        samples[3].1 += 1.0;
        encoder.encode(0, "t", 15_000, &samples, &slots, &mut out);
        assert!(
            out.len() <= 8 + 1 + 1 + 3 + 1 + 8 + 3,
            "{} bytes",
            out.len()
        );
    }
}
