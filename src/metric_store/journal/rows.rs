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
//! [`super::row_encoder`] and [`super::row_decoder`] keep the same memory of a target. After a record
//! that could not be written, the encoder forgets; the target record that follows makes the decoder
//! forget.

use crate::codec::CodecError;
use crate::codec::decimal::{self, SCALE_MAX};
use crate::codec::float::{get_xor, put_xor};
use crate::codec::varint::{Reader, put_varint, put_zigzag, unzigzag, zigzag};

pub(super) const RECORD_TARGET: u8 = 1;
pub(super) const RECORD_SLOTS: u8 = 2;
pub(super) const RECORD_ROW: u8 = 3;
pub(super) const RECORD_HISTOGRAMS: u8 = 4;

/// The row has the same slots as the target's row before.
pub(super) const SAME_SLOTS: u8 = 1;

/// A slot that the file does not know.
pub(super) const UNKNOWN: u8 = 255;
/// A slot whose values are no decimals.
const RAW: u8 = 254;
/// A slot that has no decimal scale yet.
pub(super) const FRESH: u8 = 253;

/// A change begins with one of these, or with an even number: a difference of decimals.
const CHANGE_DECIMAL: u8 = 1;
const CHANGE_RAW: u8 = 3;

/// The last value of a slot and how it was written. `code` is a decimal scale or one of the
/// constants above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    pub(super) code: u8,
    pub(super) value: f64,
}

/// Slots of a row as (first, count).
pub(super) type Runs = Vec<(u32, u32)>;

pub(super) fn runs_of(samples: &[(u32, f64)], runs: &mut Runs) {
    runs.clear();
    for (slot, _) in samples {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == *slot => *count += 1,
            _ => runs.push((*slot, 1)),
        }
    }
}

/// Appends a change and returns the slot's new code.
pub(super) fn put_change(last: Last, value: f64, out: &mut Vec<u8>) -> u8 {
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
pub(super) fn get_change(reader: &mut Reader<'_>, last: Last) -> Result<Last, CodecError> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::Histogram;
    use proptest::prelude::*;

    use super::super::row_decoder::{RowDecoder, RowTaker};
    use super::super::row_encoder::RowEncoder;
    use crate::head::target::Slot;
    use crate::index::SeriesId;

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
