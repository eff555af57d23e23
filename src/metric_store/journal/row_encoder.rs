//! Writes the records of a window's journal; [`super::rows`] says what they are.

use std::sync::Arc;

use model::Histogram;
use rustc_hash::FxHashMap;

use super::file::{begin_frame, end_frame};
use super::histograms;
use super::rows::{
    FRESH, Last, RECORD_HISTOGRAMS, RECORD_ROW, RECORD_SLOTS, RECORD_TARGET, Runs, SAME_SLOTS,
    UNKNOWN, put_change, runs_of,
};
use crate::codec::varint::{put_text, put_varint, put_zigzag};
use crate::head::target::Slot;

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
