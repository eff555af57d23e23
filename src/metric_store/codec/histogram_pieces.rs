//! What native histograms are written with, in pages and journals: layouts, spans, runs of equal
//! numbers, hints about resets. What is read is checked.

use model::{Histogram, ResetHint, Span};

use super::CodecError;
use super::histograms::BUCKETS_MAX;
use super::varint::{Reader, put_varint, put_zigzag};

/// Spans of a side; each but the first follows a gap.
const SPANS_MAX: u64 = BUCKETS_MAX as u64;

/// Appends schema, zero threshold and bounds.
pub(crate) fn put_layout(histogram: &Histogram, out: &mut Vec<u8>) {
    put_zigzag(out, i64::from(histogram.schema));
    out.extend_from_slice(&histogram.zero_threshold.to_le_bytes());
    put_varint(out, histogram.bounds.len() as u64);
    for bound in histogram.bounds.iter() {
        out.extend_from_slice(&bound.to_le_bytes());
    }
}

/// A histogram of that schema, zero threshold and bounds, else empty.
pub(crate) fn get_layout(reader: &mut Reader<'_>) -> Result<Histogram, CodecError> {
    let schema = i32::try_from(reader.zigzag()?)
        .map_err(|_| CodecError::Malformed("a schema beyond 32 bits"))?;
    let zero_threshold = f64::from_bits(reader.u64()?);
    let n_bounds = reader.varint()? as usize;
    if n_bounds > reader.rest().len() / 8 {
        return Err(CodecError::Truncated);
    }
    let bounds: Vec<f64> = (0..n_bounds)
        .map(|_| Ok(f64::from_bits(reader.u64()?)))
        .collect::<Result<_, CodecError>>()?;
    Ok(Histogram {
        schema,
        zero_threshold,
        bounds: bounds.into(),
        ..Histogram::default()
    })
}

/// Appends the spans of a side.
pub(crate) fn put_spans(spans: &[Span], out: &mut Vec<u8>) {
    put_varint(out, spans.len() as u64);
    for span in spans {
        put_zigzag(out, i64::from(span.offset));
        put_varint(out, u64::from(span.length));
    }
}

/// Reads the spans of a side, and checks them.
pub(crate) fn get_spans(reader: &mut Reader<'_>) -> Result<Vec<Span>, CodecError> {
    let count = reader.varint()?;
    if count > SPANS_MAX || count > reader.rest().len() as u64 / 2 {
        return Err(CodecError::Malformed("more spans than bytes"));
    }
    let mut spans = Vec::with_capacity(count as usize);
    let mut buckets = 0u64;
    for _ in 0..count {
        let offset = i32::try_from(reader.zigzag()?);
        let length = u32::try_from(reader.varint()?);
        let (Ok(offset), Ok(length)) = (offset, length) else {
            return Err(CodecError::Malformed("a span beyond 32 bits"));
        };
        buckets += u64::from(length);
        spans.push(Span { offset, length });
    }
    if buckets > BUCKETS_MAX as u64 || !ascends(&spans) {
        return Err(CodecError::Malformed("spans that cannot be"));
    }
    Ok(spans)
}

/// Appends numbers as runs of equal ones.
pub(super) fn put_runs(numbers: impl Iterator<Item = u64>, out: &mut Vec<u8>) {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((of, length)) if *of == number => *length += 1,
            _ => runs.push((number, 1)),
        }
    }
    for (number, length) in runs {
        put_varint(out, number);
        put_varint(out, length);
    }
}

/// Reads runs until they make `n` numbers.
pub(super) fn get_runs(reader: &mut Reader<'_>, n: usize) -> Result<Vec<u64>, CodecError> {
    let mut numbers = Vec::new();
    while numbers.len() < n {
        let (number, length) = (reader.varint()?, reader.varint()? as usize);
        if length == 0 || length > n - numbers.len() {
            return Err(CodecError::Malformed("a run beyond the group"));
        }
        numbers.resize(numbers.len() + length, number);
    }
    Ok(numbers)
}

/// The number that stands for a hint.
pub(crate) fn reset_code(reset: ResetHint) -> u64 {
    match reset {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    }
}

/// The inverse of [`reset_code`].
pub(crate) fn reset_of(code: u64) -> Result<ResetHint, CodecError> {
    match code {
        0 => Ok(ResetHint::Unknown),
        1 => Ok(ResetHint::Reset),
        2 => Ok(ResetHint::NotReset),
        3 => Ok(ResetHint::Gauge),
        _ => Err(CodecError::Malformed("an unknown hint about resets")),
    }
}

/// Whether spans follow each other within the range of an index.
pub(super) fn ascends(spans: &[Span]) -> bool {
    let mut end = 0i64;
    spans.iter().enumerate().all(|(i, span)| {
        let start = end + i64::from(span.offset);
        end = start + i64::from(span.length);
        let in_order = i == 0 || span.offset >= 0;
        in_order && start >= i64::from(i32::MIN) && end <= i64::from(i32::MAX)
    })
}
