//! A chunk of a page: values of a series, and its native histograms where it has any.
//!
//! Floats alone are a column as [`super::encode`] writes it, which is nearly every chunk. A chunk
//! with histograms begins with a byte that no column begins with, then the length of the column
//! (histograms hold their places there), the column, and the histograms.

use model::{Samples, is_histogram};

use super::varint::{Reader, put_varint};
use super::{CodecError, Effort, Scratch, histograms};

/// A scale that no column has.
const WITH_HISTOGRAMS: u8 = 0xf0;

/// Appends the samples from `start` to `end`; the histograms among them must be one group
/// ([`histograms::group_length`]).
pub(crate) fn encode(
    samples: &Samples,
    start: usize,
    end: usize,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    let values = samples.values.get(start..end).unwrap_or_default();
    let of = |from: usize| samples.histograms.partition_point(|(at, _)| *at < from);
    let within = samples.histograms.get(of(start)..of(end));
    let within = within.unwrap_or_default();
    if within.is_empty() {
        // Fast path: nearly every series.
        super::encode(values, Effort::Page, scratch, out);
        return;
    }
    let mut column = Vec::new();
    super::encode(values, Effort::Page, scratch, &mut column);
    out.push(WITH_HISTOGRAMS);
    put_varint(out, column.len() as u64);
    out.extend_from_slice(&column);
    let group: Vec<_> = within.iter().map(|(_, h)| h.clone()).collect();
    histograms::encode(&group, Effort::Page, scratch, out);
}

/// Appends the `count` samples of the chunk that `bytes` begins with, without their times.
#[inline]
pub(crate) fn decode(bytes: &[u8], count: usize, out: &mut Samples) -> Result<(), CodecError> {
    if bytes.first() != Some(&WITH_HISTOGRAMS) {
        return super::decode(bytes, count, &mut out.values);
    }
    let mut reader = Reader::new(bytes);
    reader.byte()?;
    let length = reader.varint()? as usize;
    let base = out.values.len();
    super::decode(reader.bytes(length)?, count, &mut out.values)?;
    let values = out.values.iter().enumerate().skip(base);
    let places = values.filter(|(_, v)| is_histogram(**v)).map(|(at, _)| at);
    let places: Vec<usize> = places.collect();
    let mut found = Vec::with_capacity(places.len());
    histograms::decode(&mut reader, places.len(), &mut found)?;
    out.histograms.extend(places.into_iter().zip(found));
    Ok(())
}
