//! A column of values as few bytes, losslessly: every f64 comes back bit for bit.
//!
//! How a column is written (the byte layout is in `docs/formats/metric_store.md`):
//! 1. All values have the same bits: one value ([`Mode::ConstantBits`], [`Mode::ConstantDecimal`]).
//! 2. NaN, infinities and negative zero (and a few values that are no short decimals) become
//!    exceptions beside the column, so that one stale marker does not cost the decimal path.
//! 3. Values that are decimals of up to twelve places are written as integers, checked bit by bit:
//!    the few changes where there are few ([`Mode::Sparse`]), else residuals of order 0, 1 or 2,
//!    bit-packed ([`pack`]).
//! 4. What is left are measurements with full mantissas: pco on pages, XOR in the short blocks of
//!    the head ([`float`]).
//!
//! The codec knows nothing of timestamps, series and files; the caller keeps the sample count.

pub(crate) mod chunk;
pub mod decimal;
pub mod float;
pub(crate) mod histogram_pieces;
pub mod histograms;
pub mod pack;
pub mod times;
pub mod varint;

use decimal::Decimals;
use pack::PackScratch;
use varint::{Reader, put_varint, put_zigzag};

/// Bytes that do not decode as a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// They end too early.
    #[error("ends too early")]
    Truncated,
    /// They say something impossible; the text says what.
    #[error("{0}")]
    Malformed(&'static str),
}

/// How hard to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// For the short blocks of the head: no sorting for outliers, no pco.
    Head,
    /// For pages, written once and kept.
    Page,
}

/// The low three bits of a column's first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Mode {
    /// One value, eight raw bytes.
    ConstantBits = 0,
    /// One decimal.
    ConstantDecimal = 1,
    /// A decimal and its few changes.
    Sparse = 2,
    /// Decimals, bit-packed.
    Order0 = 3,
    /// First differences of decimals, bit-packed.
    Order1 = 4,
    /// Second differences of decimals, bit-packed.
    Order2 = 5,
    /// Each value XOR the one before, in whole bytes.
    Xor = 6,
    /// A pco chunk.
    Pco = 7,
}

impl Mode {
    fn of(head: u8) -> Self {
        match head & 7 {
            0 => Self::ConstantBits,
            1 => Self::ConstantDecimal,
            2 => Self::Sparse,
            3 => Self::Order0,
            4 => Self::Order1,
            5 => Self::Order2,
            6 => Self::Xor,
            _ => Self::Pco,
        }
    }
}

/// The bit of the first byte that says: a list of exceptions follows.
const HAS_EXCEPTIONS: u8 = 0x08;

/// A column is written as changes when at most one sample in so many is one.
const SPARSE_RATIO: usize = 12;

/// Values that often are exceptions and cost one byte; code 0 is followed by eight raw bytes.
const EXCEPTION_CODES: [u64; 6] = [
    model::STALE_NAN_BITS,
    0x7ff8_0000_0000_0001,     // the NaN that Go programs send
    0x7ff8_0000_0000_0000,     // the NaN of everybody else
    0x7ff0_0000_0000_0000,     // +Inf
    0xfff0_0000_0000_0000,     // -Inf
    model::HISTOGRAM_NAN_BITS, // since version 2
];

/// Buffers that encoding reuses from column to column.
#[derive(Debug, Default)]
pub struct Scratch {
    decimals: Decimals,
    first: Vec<i64>,
    second: Vec<i64>,
    floats: Vec<f64>,
    pack: PackScratch,
}

/// Appends a column to `out`. An empty column is no bytes at all.
pub fn encode(values: &[f64], effort: Effort, scratch: &mut Scratch, out: &mut Vec<u8>) {
    let Some(first) = values.first() else { return };
    let bits = first.to_bits();
    if values.iter().all(|v| v.to_bits() == bits) {
        if let Some((integer, scale)) = decimal::shortest(*first) {
            out.push(Mode::ConstantDecimal as u8 | scale << 4);
            put_zigzag(out, integer);
        } else {
            out.push(Mode::ConstantBits as u8);
            out.extend_from_slice(&bits.to_le_bytes());
        }
        return;
    }
    if scratch.decimals.convert(values) {
        encode_decimals(effort, scratch, out);
    } else {
        encode_floats(values, effort, scratch, out);
    }
}

fn encode_decimals(effort: Effort, scratch: &mut Scratch, out: &mut Vec<u8>) {
    let Scratch {
        decimals,
        first,
        second,
        pack,
        ..
    } = scratch;
    let ints = &decimals.integers;
    let flags = decimals.scale << 4
        | if decimals.exceptions.is_empty() {
            0
        } else {
            HAS_EXCEPTIONS
        };
    let start = ints.first().copied().unwrap_or_default();
    let changes = ints.windows(2).filter(|w| w[0] != w[1]).count();
    if changes == 0 {
        out.push(Mode::ConstantDecimal as u8 | flags);
        put_exceptions(&decimals.exceptions, out);
        put_zigzag(out, start);
        return;
    }
    if changes * SPARSE_RATIO <= ints.len() {
        out.push(Mode::Sparse as u8 | flags);
        put_exceptions(&decimals.exceptions, out);
        put_zigzag(out, start);
        put_varint(out, changes as u64);
        let mut last = 0;
        for (i, w) in ints.windows(2).enumerate() {
            if w[0] != w[1] {
                put_varint(out, (i + 1 - last) as u64);
                put_zigzag(out, w[1] - w[0]);
                last = i + 1;
            }
        }
        return;
    }
    first.clear();
    first.extend(ints.windows(2).map(|w| w[1] - w[0]));
    second.clear();
    second.extend(first.windows(2).map(|w| w[1] - w[0]));
    let cost = match effort {
        Effort::Head => pack::ranges,
        Effort::Page => pack::spread,
    };
    let costs = [cost(ints), cost(first), cost(second)];
    let (mode, residuals): (Mode, &[i64]) = if costs[2] < costs[1].min(costs[0]) {
        (Mode::Order2, second)
    } else if costs[1] < costs[0] {
        (Mode::Order1, first)
    } else {
        (Mode::Order0, ints)
    };
    out.push(mode as u8 | flags);
    put_exceptions(&decimals.exceptions, out);
    if mode != Mode::Order0 {
        put_zigzag(out, start);
    }
    if mode == Mode::Order2 {
        put_zigzag(out, first.first().copied().unwrap_or_default());
    }
    pack::encode(residuals, effort == Effort::Page, pack, out);
}

fn encode_floats(values: &[f64], effort: Effort, scratch: &mut Scratch, out: &mut Vec<u8>) {
    let Scratch {
        decimals, floats, ..
    } = scratch;
    // Only what is not finite is an exception here; it takes its neighbour's value in the column.
    decimals.exceptions.clear();
    floats.clear();
    let mut filler = values
        .iter()
        .copied()
        .find(|v| v.is_finite())
        .unwrap_or(0.0);
    for (i, v) in values.iter().enumerate() {
        if v.is_finite() {
            filler = *v;
        } else {
            decimals.exceptions.push((i as u32, v.to_bits()));
        }
        floats.push(filler);
    }
    let flags = if decimals.exceptions.is_empty() {
        0
    } else {
        HAS_EXCEPTIONS
    };
    let head_at = out.len();
    out.push(Mode::Xor as u8 | flags);
    put_exceptions(&decimals.exceptions, out);
    let body_at = out.len();
    if effort == Effort::Page && float::encode_pco(floats, out) {
        if let Some(head) = out.get_mut(head_at) {
            *head = Mode::Pco as u8 | flags;
        }
        return;
    }
    out.truncate(body_at);
    float::encode_xor(floats, out);
}

fn put_exceptions(exceptions: &[(u32, u64)], out: &mut Vec<u8>) {
    if exceptions.is_empty() {
        return;
    }
    put_varint(out, exceptions.len() as u64);
    let mut last = 0;
    for (at, bits) in exceptions {
        put_varint(out, u64::from(at - last));
        last = *at;
        if let Some(code) = EXCEPTION_CODES.iter().position(|known| known == bits) {
            out.push(code as u8 + 1);
        } else {
            out.push(0);
            out.extend_from_slice(&bits.to_le_bytes());
        }
    }
}

fn get_exceptions(reader: &mut Reader<'_>, count: usize) -> Result<Vec<(usize, u64)>, CodecError> {
    let n = reader.varint()? as usize;
    if n > count {
        return Err(CodecError::Malformed("more exceptions than samples"));
    }
    let mut exceptions = Vec::with_capacity(n);
    let mut at = 0usize;
    for _ in 0..n {
        at = at.saturating_add(reader.varint()? as usize);
        if at >= count {
            return Err(CodecError::Malformed("an exception beyond the column"));
        }
        let code = reader.byte()?;
        let bits = match code {
            0 => reader.u64()?,
            code => *EXCEPTION_CODES
                .get(usize::from(code) - 1)
                .ok_or(CodecError::Malformed("an unknown exception"))?,
        };
        exceptions.push((at, bits));
    }
    Ok(exceptions)
}

/// Appends the `count` values of the column that `bytes` begins with. What follows the column is
/// not looked at.
pub fn decode(bytes: &[u8], count: usize, out: &mut Vec<f64>) -> Result<(), CodecError> {
    if count == 0 {
        return Ok(());
    }
    let base = out.len();
    let mut reader = Reader::new(bytes);
    let head = reader.byte()?;
    let exceptions = if head & HAS_EXCEPTIONS == 0 {
        Vec::new()
    } else {
        get_exceptions(&mut reader, count)?
    };
    let scale = head >> 4;
    match Mode::of(head) {
        Mode::ConstantBits => out.resize(base + count, f64::from_bits(reader.u64()?)),
        Mode::ConstantDecimal => {
            out.resize(base + count, decimal::value(reader.zigzag()?, scale)?);
        }
        Mode::Sparse => decode_sparse(&mut reader, count, scale, out)?,
        Mode::Order0 => pack::decode(&mut reader, count, |x| {
            out.push(decimal::value_unchecked(x, scale));
        })?,
        Mode::Order1 => {
            let mut value = reader.zigzag()?;
            out.reserve(count);
            out.push(decimal::value_unchecked(value, scale));
            pack::decode(&mut reader, count - 1, |x| {
                value = value.wrapping_add(x);
                out.push(decimal::value_unchecked(value, scale));
            })?;
        }
        Mode::Order2 => {
            let mut value = reader.zigzag()?;
            let mut step = reader.zigzag()?;
            out.reserve(count);
            out.push(decimal::value_unchecked(value, scale));
            value = value.wrapping_add(step);
            if count > 1 {
                out.push(decimal::value_unchecked(value, scale));
            }
            pack::decode(&mut reader, count.saturating_sub(2), |x| {
                step = step.wrapping_add(x);
                value = value.wrapping_add(step);
                out.push(decimal::value_unchecked(value, scale));
            })?;
        }
        Mode::Xor => float::decode_xor(&mut reader, count, out)?,
        Mode::Pco => float::decode_pco(reader.rest(), count, out)?,
    }
    for (at, bits) in exceptions {
        if let Some(value) = out.get_mut(base + at) {
            *value = f64::from_bits(bits);
        }
    }
    Ok(())
}

fn decode_sparse(
    reader: &mut Reader<'_>,
    count: usize,
    scale: u8,
    out: &mut Vec<f64>,
) -> Result<(), CodecError> {
    let end = out.len() + count;
    let mut integer = reader.zigzag()?;
    let changes = reader.varint()?;
    for _ in 0..changes {
        let run = reader.varint()? as usize;
        if run > end - out.len() {
            return Err(CodecError::Malformed("a change beyond the column"));
        }
        out.resize(out.len() + run, decimal::value(integer, scale)?);
        integer = integer.wrapping_add(reader.zigzag()?);
    }
    out.resize(end, decimal::value(integer, scale)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(values: &[f64], effort: Effort) -> usize {
        let mut bytes = Vec::new();
        encode(values, effort, &mut Scratch::default(), &mut bytes);
        let length = bytes.len();
        bytes.extend_from_slice(&[0xaa; 3]);
        let mut back = Vec::new();
        decode(&bytes, values.len(), &mut back).expect("decodes");
        let bits = |v: &[f64]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(values), bits(&back), "{effort:?}");
        length
    }

    fn check(values: &[f64], bytes_max: usize) {
        for effort in [Effort::Head, Effort::Page] {
            let length = round_trip(values, effort);
            assert!(
                length <= bytes_max,
                "{effort:?}: {length} bytes for {values:?}"
            );
        }
    }

    #[test]
    fn constants_take_a_few_bytes() {
        check(&[0.0; 480], 2);
        check(&[1.5; 480], 3);
        check(&[-0.0; 10], 9);
        check(&[std::f64::consts::PI; 480], 9);
        check(&[f64::NAN; 480], 9);
    }

    #[test]
    fn steady_counters_take_bits() {
        let counter: Vec<f64> = (0..480).map(|i| 1e9 + f64::from(i) * 150.0).collect();
        check(&counter, 32);
        let tenths: Vec<f64> = (0..480).map(|i| f64::from(i % 7) / 10.0).collect();
        check(&tenths, 480 * 3 / 8 + 90);
    }

    #[test]
    fn a_stale_marker_does_not_cost_the_decimal_path() {
        let mut counter: Vec<f64> = (0..480).map(|i| f64::from(i) * 150.0).collect();
        let plain = round_trip(&counter, Effort::Page);
        counter[240] = model::stale_nan();
        counter[479] = f64::INFINITY;
        // Each costs itself and a patch or two where the column goes on: not 8 bytes a sample.
        assert!(round_trip(&counter, Effort::Page) <= plain + 40);
    }

    #[test]
    fn an_outlier_costs_itself_only() {
        let mut values: Vec<f64> = (0..64).map(|i| f64::from(i % 3)).collect();
        values[30] = 123_456_789.0;
        assert!(round_trip(&values, Effort::Page) < 40);
    }

    #[test]
    fn damaged_bytes_are_refused_without_panic() {
        let mut bytes = Vec::new();
        let values: Vec<f64> = (0..100).map(|i| f64::from(i * i % 37)).collect();
        encode(&values, Effort::Page, &mut Scratch::default(), &mut bytes);
        for cut in 0..bytes.len() {
            let mut out = Vec::new();
            assert!(
                decode(&bytes[..cut], 100, &mut out).is_err(),
                "cut at {cut}"
            );
        }
    }

    fn any_bits() -> impl Strategy<Value = f64> {
        any::<u64>().prop_map(f64::from_bits)
    }

    fn realistic() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => (-1_000_000i64..1_000_000).prop_map(|x| x as f64),
            4 => (-1_000_000i64..1_000_000).prop_map(|x| x as f64 / 1000.0),
            1 => any_bits(),
            1 => Just(model::stale_nan()),
            1 => Just(-0.0),
        ]
    }

    proptest! {
        #[test]
        fn any_bits_come_back(values in prop::collection::vec(any_bits(), 1..300)) {
            round_trip(&values, Effort::Head);
            round_trip(&values, Effort::Page);
        }

        #[test]
        fn mixtures_come_back(values in prop::collection::vec(realistic(), 1..300)) {
            round_trip(&values, Effort::Head);
            round_trip(&values, Effort::Page);
        }

        #[test]
        fn runs_come_back(
            start in -1_000_000_000_000i64..1_000_000_000_000,
            steps in prop::collection::vec((1usize..40, -50i64..5000), 1..30),
            scale in 0i32..9,
            stale_at in 0usize..600,
        ) {
            let mut values = Vec::new();
            let mut integer = start;
            for (run, step) in steps {
                values.resize(values.len() + run, integer as f64 / 10f64.powi(scale));
                integer += step;
            }
            if let Some(value) = values.get_mut(stale_at) {
                *value = model::stale_nan();
            }
            round_trip(&values, Effort::Head);
            round_trip(&values, Effort::Page);
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0usize..500) {
            // Noise may decode to something; it must only end.
            let mut out = Vec::new();
            if decode(&bytes, count, &mut out).is_ok() {
                prop_assert_eq!(out.len(), count);
            }
        }
    }
}
