//! The parts of Prometheus' remote messages that several rooms read or write.
//!
//! ```text
//! Sample     { double value = 1; int64 timestamp = 2 }
//! Histogram  { uint64 count_int = 1 | double count_float = 2; double sum = 3; sint32 schema = 4;
//!              double zero_threshold = 5; uint64 zero_count_int = 6 | double zero_count_float = 7;
//!              Span negative_spans = 8; sint64 negative_deltas = 9; double negative_counts = 10;
//!              Span positive_spans = 11; sint64 positive_deltas = 12; double positive_counts = 13;
//!              enum reset_hint = 14; int64 timestamp = 15; double custom_values = 16 }
//! Span       { sint32 offset = 1; uint32 length = 2 }
//! ```
//!
//! The same in remote write 1.0 and 2.0 and in remote read. Types of metrics have the same numbers
//! in both versions, too.

use std::sync::Arc;

use model::{Buckets, Histogram, MetricKind, ResetHint, Span, is_stale};

use crate::message::{Message, Value, zigzag};
use crate::writer::Writer;
use crate::{Malformed, histogram_chunk};

/// Buckets of a histogram beyond this are refused, as are its spans.
const BUCKETS_MAX: usize = 10_000;

/// The largest whole number up to which every whole number is a float.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The kind of a metric by its number.
pub fn kind(number: u64) -> MetricKind {
    match number {
        1 => MetricKind::Counter,
        2 => MetricKind::Gauge,
        3 => MetricKind::Histogram,
        4 => MetricKind::GaugeHistogram,
        5 => MetricKind::Summary,
        6 => MetricKind::Info,
        7 => MetricKind::StateSet,
        _ => MetricKind::Unknown,
    }
}

/// The number of a metric's kind.
pub fn kind_number(kind: MetricKind) -> u64 {
    match kind {
        MetricKind::Unknown => 0,
        MetricKind::Counter => 1,
        MetricKind::Gauge => 2,
        MetricKind::Histogram => 3,
        MetricKind::GaugeHistogram => 4,
        MetricKind::Summary => 5,
        MetricKind::Info => 6,
        MetricKind::StateSet => 7,
    }
}

/// Reads a `Sample`: its time in milliseconds, and its value.
///
/// # Errors
/// Where it is cut.
#[inline]
pub fn read_sample(bytes: &[u8]) -> Result<(i64, f64), Malformed> {
    // Fast path: value, then a time of six bytes, which are those of this century.
    if let [
        0x09,
        v0,
        v1,
        v2,
        v3,
        v4,
        v5,
        v6,
        v7,
        0x10,
        t0,
        t1,
        t2,
        t3,
        t4,
        t5,
    ] = *bytes
        && t5 < 0x80
        && (t0 & t1 & t2 & t3 & t4) & 0x80 != 0
    {
        let value = f64::from_le_bytes([v0, v1, v2, v3, v4, v5, v6, v7]);
        let time = [t5, t4, t3, t2, t1, t0];
        let time_ms = time
            .iter()
            .fold(0i64, |all, byte| all << 7 | i64::from(byte & 0x7f));
        return Ok((time_ms, value));
    }
    let (mut time_ms, mut value) = (0, 0.0);
    let mut fields = Message::new(bytes);
    while let Some((field, found)) = fields.next()? {
        match field {
            1 => value = found.float(),
            2 => time_ms = found.number() as i64,
            _ => {}
        }
    }
    Ok((time_ms, value))
}

/// Writes a `Sample` as the field of a message.
pub fn write_sample(writer: &mut Writer, field: u32, time_ms: i64, value: f64) {
    writer.message(field, |sample| {
        sample.float(1, value);
        sample.number(2, time_ms as u64);
    });
}

/// One side of a histogram as it is read.
#[derive(Default)]
struct Side {
    spans: Vec<Span>,
    /// Absolute, from the deltas of whole numbers.
    whole: Vec<f64>,
    last: i64,
    floats: Vec<f64>,
}

impl Side {
    fn span(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut span = Span::default();
        let mut fields = Message::new(bytes);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => span.offset = value.signed() as i32,
                2 => span.length = value.number() as u32,
                _ => {}
            }
        }
        if self.spans.len() >= BUCKETS_MAX {
            return Err(Malformed("a histogram has too many spans"));
        }
        self.spans.push(span);
        Ok(())
    }

    fn deltas(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        value.numbers(|delta| {
            self.last = self.last.wrapping_add(zigzag(delta));
            self.whole.push(self.last as f64);
        })
    }

    fn counts(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        value.fixed64s(|bits| self.floats.push(f64::from_bits(bits)))
    }

    fn finish(self) -> Result<Buckets, Malformed> {
        let counts = if self.floats.is_empty() {
            self.whole
        } else {
            self.floats
        };
        if counts.len() > BUCKETS_MAX {
            return Err(Malformed("a histogram has too many buckets"));
        }
        Ok(Buckets {
            spans: self.spans,
            counts,
        })
    }
}

/// Reads a `Histogram`: its time in milliseconds, and what it says. Whether it is consistent is
/// for [`Histogram::check`] to say.
///
/// # Errors
/// Where it is cut or has too many buckets.
pub fn read_histogram(bytes: &[u8]) -> Result<(i64, histogram_chunk::Sample), Malformed> {
    let mut time_ms = 0;
    let mut found = Histogram::default();
    let (mut positive, mut negative) = (Side::default(), Side::default());
    let mut bounds = Vec::new();
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => found.count = value.number() as f64,
            2 => found.count = value.float(),
            3 => found.sum = value.float(),
            4 => found.schema = value.signed() as i32,
            5 => found.zero_threshold = value.float(),
            6 => found.zero_count = value.number() as f64,
            7 => found.zero_count = value.float(),
            8 => negative.span(value.bytes())?,
            9 => negative.deltas(value)?,
            10 => negative.counts(value)?,
            11 => positive.span(value.bytes())?,
            12 => positive.deltas(value)?,
            13 => positive.counts(value)?,
            14 => {
                found.reset = match value.number() {
                    1 => ResetHint::Reset,
                    2 => ResetHint::NotReset,
                    3 => ResetHint::Gauge,
                    _ => ResetHint::Unknown,
                }
            }
            15 => time_ms = value.number() as i64,
            16 => value.fixed64s(|bits| bounds.push(f64::from_bits(bits)))?,
            _ => {}
        }
    }
    if is_stale(found.sum) {
        return Ok((time_ms, histogram_chunk::Sample::Stale));
    }
    if bounds.len() > BUCKETS_MAX {
        return Err(Malformed("a histogram has too many bounds"));
    }
    found.positive = positive.finish()?;
    found.negative = negative.finish()?;
    found.bounds = bounds.into();
    Ok((time_ms, histogram_chunk::Sample::Histogram(Arc::new(found))))
}

/// Writes a `Histogram` as the field of a message: as whole numbers where its counts are, since
/// some receivers take no others, else as floats.
pub fn write_histogram(writer: &mut Writer, field: u32, time_ms: i64, histogram: &Histogram) {
    let is_whole = |count: &f64| (0.0..=WHOLE_MAX).contains(count) && count.fract() == 0.0;
    let sides = [&histogram.negative, &histogram.positive];
    let whole = [histogram.count, histogram.zero_count].iter().all(is_whole)
        && sides.iter().all(|side| side.counts.iter().all(is_whole));
    writer.message(field, |out| {
        if whole {
            out.always_number(1, histogram.count as u64);
        } else {
            out.always_float(2, histogram.count);
        }
        out.float(3, histogram.sum);
        out.signed(4, i64::from(histogram.schema));
        out.float(5, histogram.zero_threshold);
        if whole {
            out.always_number(6, histogram.zero_count as u64);
        } else {
            out.always_float(7, histogram.zero_count);
        }
        for (side, first) in sides.into_iter().zip([8, 11]) {
            for span in &side.spans {
                out.message(first, |inner| {
                    inner.signed(1, i64::from(span.offset));
                    inner.number(2, u64::from(span.length));
                });
            }
            if whole {
                let mut last = 0i64;
                let deltas = side.counts.iter().map(|count| {
                    let delta = *count as i64 - last;
                    last = *count as i64;
                    delta
                });
                out.packed_signed(first + 1, deltas);
            } else {
                out.packed_floats(first + 2, &side.counts);
            }
        }
        let hint = match histogram.reset {
            ResetHint::Unknown => 0,
            ResetHint::Reset => 1,
            ResetHint::NotReset => 2,
            ResetHint::Gauge => 3,
        };
        out.number(14, hint);
        out.number(15, time_ms as u64);
        out.packed_floats(16, &histogram.bounds);
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::histogram_chunk::Sample;

    fn round_trip(histogram: &Histogram) -> (i64, Sample) {
        let mut writer = Writer::default();
        write_histogram(&mut writer, 4, 1_700_000_000_123, histogram);
        let mut message = Message::new(writer.bytes());
        let (field, value) = message.next().expect("sound").expect("there");
        assert_eq!(field, 4);
        read_histogram(value.bytes()).expect("sound")
    }

    #[test]
    fn histograms_come_back() {
        for factor in [1.0, 0.5] {
            let histogram = Histogram {
                reset: ResetHint::Gauge,
                schema: -2,
                zero_threshold: 1e-9,
                zero_count: 3.0 * factor,
                count: 15.0 * factor,
                sum: -7.25,
                positive: Buckets::from_pairs([(-3, 1.0), (4, 9.0), (5, 2.0 * factor)]),
                negative: Buckets::from_pairs([(0, factor)]),
                bounds: Arc::from([]),
            };
            let (time_ms, found) = round_trip(&histogram);
            assert_eq!(time_ms, 1_700_000_000_123);
            assert_eq!(found, Sample::Histogram(Arc::new(histogram)));
        }
        let stale = Histogram {
            sum: model::stale_nan(),
            ..Histogram::default()
        };
        assert_eq!(round_trip(&stale).1, Sample::Stale);
    }

    #[test]
    fn kinds_come_back() {
        for number in 0..8 {
            assert_eq!(kind_number(kind(number)), number);
        }
    }

    proptest! {
        #[test]
        fn samples_come_back(time_ms: i64, century in 1_600_000_000_000i64..1_900_000_000_000, bits: u64) {
            for time_ms in [time_ms, century] {
                let mut writer = Writer::default();
                write_sample(&mut writer, 2, time_ms, f64::from_bits(bits));
                let mut message = Message::new(writer.bytes());
                let (_, value) = message.next().expect("sound").expect("there");
                let (found_ms, found) = read_sample(value.bytes()).expect("sound");
                prop_assert_eq!((found_ms, found.to_bits()), (time_ms, bits));
            }
        }

        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_sample(&bytes);
            let _ = read_histogram(&bytes);
        }
    }
}
