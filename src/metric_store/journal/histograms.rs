//! A native histogram against the one before it in its slot, as a window's journal writes it.

use std::sync::Arc;

use model::{Buckets, Histogram};

use crate::codec::CodecError;
use crate::codec::decimal;
use crate::codec::float::{get_xor, put_xor};
use crate::codec::histogram_pieces::{
    get_layout, get_spans, put_layout, put_spans, reset_code, reset_of,
};
use crate::codec::varint::{Reader, put_varint, unzigzag, zigzag};

/// Schema, zero threshold, bounds and spans are those of the histogram before.
const SAME_LAYOUT: u8 = 0x10;

fn values(histogram: &Histogram) -> impl Iterator<Item = f64> + '_ {
    [histogram.count, histogram.zero_count, histogram.sum]
        .into_iter()
        .chain(histogram.positive.counts.iter().copied())
        .chain(histogram.negative.counts.iter().copied())
}

fn same_layout(a: &Histogram, b: &Histogram) -> bool {
    let bits = |bounds: &[f64]| bounds.iter().map(|b| b.to_bits()).collect::<Vec<_>>();
    a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive.spans == b.positive.spans
        && a.negative.spans == b.negative.spans
        && (Arc::ptr_eq(&a.bounds, &b.bounds) || bits(&a.bounds) == bits(&b.bounds))
}

/// Appends a histogram.
pub(crate) fn encode(histogram: &Histogram, before: Option<&Histogram>, out: &mut Vec<u8>) {
    let before = before.filter(|before| same_layout(before, histogram));
    let reset = reset_code(histogram.reset) as u8;
    if let Some(before) = before {
        out.push(reset | SAME_LAYOUT);
        for (value, last) in values(histogram).zip(values(before)) {
            put(value, last, out);
        }
        return;
    }
    out.push(reset);
    put_layout(histogram, out);
    put_spans(&histogram.positive.spans, out);
    put_spans(&histogram.negative.spans, out);
    let mut last = 0.0;
    for value in values(histogram) {
        put(value, last, out);
        last = value;
    }
}

/// Reads a histogram.
pub(crate) fn decode(
    reader: &mut Reader<'_>,
    before: Option<&Histogram>,
) -> Result<Histogram, CodecError> {
    let flags = reader.byte()?;
    let reset = reset_of(u64::from(flags & !SAME_LAYOUT))?;
    if flags & SAME_LAYOUT != 0 {
        let before = before.ok_or(CodecError::Malformed("a histogram like none before"))?;
        let mut lasts = values(before);
        let mut next = |reader: &mut Reader<'_>| get(reader, lasts.next().unwrap_or(0.0));
        let mut histogram = Histogram {
            reset,
            count: next(reader)?,
            zero_count: next(reader)?,
            sum: next(reader)?,
            ..before.clone()
        };
        let (positive, negative) = (&mut histogram.positive, &mut histogram.negative);
        for count in positive.counts.iter_mut().chain(&mut negative.counts) {
            *count = next(reader)?;
        }
        return Ok(histogram);
    }
    let layout = get_layout(reader)?;
    let (positive, negative) = (get_spans(reader)?, get_spans(reader)?);
    let mut last = 0.0;
    let mut next = |reader: &mut Reader<'_>| {
        last = get(reader, last)?;
        Ok(last)
    };
    let (count, zero_count, sum) = (next(reader)?, next(reader)?, next(reader)?);
    let mut side = |spans: Vec<model::Span>| {
        let n: u32 = spans.iter().map(|s| s.length).sum();
        let counts = (0..n).map(|_| next(reader));
        let counts = counts.collect::<Result<Vec<f64>, CodecError>>()?;
        Ok::<_, CodecError>(Buckets { spans, counts })
    };
    Ok(Histogram {
        reset,
        count,
        zero_count,
        sum,
        positive: side(positive)?,
        negative: side(negative)?,
        ..layout
    })
}

/// An even varint: a difference of whole numbers. One byte of 1: XOR.
fn put(value: f64, last: f64, out: &mut Vec<u8>) {
    let (integer, before) = (decimal::integer(value, 0), decimal::integer(last, 0));
    if let (Some(integer), Some(before)) = (integer, before) {
        // Whole numbers are below 2^53: their difference has room for another bit.
        put_varint(out, zigzag(integer - before) << 1);
    } else {
        out.push(1);
        put_xor(value.to_bits() ^ last.to_bits(), out);
    }
}

fn get(reader: &mut Reader<'_>, last: f64) -> Result<f64, CodecError> {
    let change = reader.varint()?;
    if change & 1 == 0 {
        let before = decimal::integer(last, 0);
        let before = before.ok_or(CodecError::Malformed("a difference to no whole number"))?;
        return decimal::value(before.wrapping_add(unzigzag(change >> 1)), 0);
    }
    if change != 1 {
        return Err(CodecError::Malformed("an unknown change"));
    }
    Ok(f64::from_bits(last.to_bits() ^ get_xor(reader)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::histograms::tests::{bits, histogram};

    proptest! {
        #[test]
        fn any_histograms_come_back(histograms in prop::collection::vec(histogram(), 1..20)) {
            let mut out = Vec::new();
            for (i, histogram) in histograms.iter().enumerate() {
                encode(histogram, i.checked_sub(1).map(|before| &histograms[before]), &mut out);
            }
            let mut reader = Reader::new(&out);
            let mut before = None;
            for histogram in &histograms {
                let back = decode(&mut reader, before.as_ref()).expect("decodes");
                prop_assert_eq!(bits(&back), bits(histogram));
                before = Some(back);
            }
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&mut Reader::new(&bytes), None);
        }
    }
}
