//! Prometheus' chunks of native histograms: a layout that all samples of a chunk share, then the
//! samples as differences.
//!
//! 1. Two bytes: how many samples. A byte: its two highest bits say how the first one follows what
//!    was before (00 unknown, 01 goes on, 10 reset, 11 gauge).
//! 2. The layout, in bits: zero threshold (a byte: 0, or a power of two, or 255 and 64 bits),
//!    schema, spans above and below zero, for schema -53 the bounds.
//! 3. Samples: time, count, zero count, sum, buckets. In chunks of whole numbers ([`ENCODING`])
//!    the first is written as it is, the second as the difference, the others as the difference
//!    of differences, all varbits; sums are floats, the exclusive or with the one before. In
//!    chunks of floats ([`FLOAT_ENCODING`]) everything but the time is such a float. A stale
//!    marker has a sum and no buckets.
//!
//! Written are chunks of floats only: our counts are floats.

use std::sync::Arc;

use model::{Buckets, CUSTOM_BOUNDS_SCHEMA, Histogram, ResetHint, Span, is_stale};

use crate::Malformed;
use crate::bits::{BitReader, BitWriter, XorState};

/// The number by which Prometheus knows chunks of whole numbers.
pub const ENCODING: u8 = 2;
/// The number by which Prometheus knows chunks of floats.
pub const FLOAT_ENCODING: u8 = 3;

/// More buckets, spans or bounds on one side are a mistake.
const BUCKETS_MAX: u64 = 100_000;

/// A sample of a chunk.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    /// A histogram.
    Histogram(Arc<Histogram>),
    /// The end of the series.
    Stale,
}

struct Layout {
    schema: i32,
    zero_threshold: f64,
    positive: Vec<Span>,
    negative: Vec<Span>,
    bounds: Arc<[f64]>,
}

fn buckets(spans: &[Span]) -> usize {
    spans.iter().map(|span| span.length as usize).sum()
}

fn read_spans(reader: &mut BitReader<'_>) -> Result<Vec<Span>, Malformed> {
    let count = reader.varbit_unsigned()?;
    let mut spans = Vec::new();
    let mut buckets = 0u64;
    for _ in 0..count {
        let length = reader.varbit_unsigned()?;
        let offset = reader.varbit()?;
        buckets = buckets.saturating_add(length);
        let offset = i32::try_from(offset);
        match (offset, u32::try_from(length)) {
            (Ok(offset), Ok(length)) if buckets <= BUCKETS_MAX => {
                spans.push(Span { offset, length });
            }
            _ => return Err(Malformed("a histogram chunk has spans without measure")),
        }
    }
    Ok(spans)
}

impl Layout {
    fn read(reader: &mut BitReader<'_>) -> Result<Self, Malformed> {
        let zero_threshold = match reader.bits(8)? {
            0 => 0.0,
            255 => f64::from_bits(reader.bits(64)?),
            power => 0.5 * 2f64.powi(power as i32 - 243),
        };
        let schema = i32::try_from(reader.varbit()?)
            .map_err(|_| Malformed("a histogram chunk has an unknown schema"))?;
        let positive = read_spans(reader)?;
        let negative = read_spans(reader)?;
        let mut bounds = Vec::new();
        if schema == CUSTOM_BOUNDS_SCHEMA {
            let count = reader.varbit_unsigned()?;
            if count > BUCKETS_MAX {
                return Err(Malformed("a histogram chunk has too many bounds"));
            }
            for _ in 0..count {
                bounds.push(match reader.varbit_unsigned()? {
                    0 => f64::from_bits(reader.bits(64)?),
                    thousandths => (thousandths - 1) as f64 / 1000.0,
                });
            }
        }
        Ok(Self {
            schema,
            zero_threshold,
            positive,
            negative,
            bounds: bounds.into(),
        })
    }

    fn write(histogram: &Histogram, writer: &mut BitWriter) {
        let threshold = histogram.zero_threshold;
        let power = (1..=254u64).find(|p| 0.5 * 2f64.powi(*p as i32 - 243) == threshold);
        match power {
            _ if threshold == 0.0 => writer.bits(0, 8),
            Some(power) => writer.bits(power, 8),
            None => {
                writer.bits(255, 8);
                writer.bits(threshold.to_bits(), 64);
            }
        }
        writer.varbit(i64::from(histogram.schema));
        for side in [&histogram.positive, &histogram.negative] {
            writer.varbit_unsigned(side.spans.len() as u64);
            for span in &side.spans {
                writer.varbit_unsigned(u64::from(span.length));
                writer.varbit(i64::from(span.offset));
            }
        }
        if histogram.schema == CUSTOM_BOUNDS_SCHEMA {
            writer.varbit_unsigned(histogram.bounds.len() as u64);
            for bound in histogram.bounds.iter() {
                let thousandths = (bound * 1000.0).round();
                if (0.0..=33_554_430.0).contains(&thousandths) && thousandths / 1000.0 == *bound {
                    writer.varbit_unsigned(thousandths as u64 + 1);
                } else {
                    writer.varbit_unsigned(0);
                    writer.bits(bound.to_bits(), 64);
                }
            }
        }
    }

    fn histogram(&self, reset: ResetHint, values: &Values) -> Histogram {
        let side = |spans: &[Span], counts: &[f64]| Buckets {
            spans: spans.to_vec(),
            counts: counts.to_vec(),
        };
        let (positive, negative) = values
            .buckets
            .split_at_checked(buckets(&self.positive))
            .unwrap_or_default();
        Histogram {
            reset,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: values.zero_count,
            count: values.count,
            sum: values.sum,
            positive: side(&self.positive, positive),
            negative: side(&self.negative, negative),
            bounds: self.bounds.clone(),
        }
    }
}

/// A sample's numbers; buckets above zero, then those below, as absolute counts.
#[derive(Default)]
struct Values {
    count: f64,
    zero_count: f64,
    sum: f64,
    buckets: Vec<f64>,
}

/// A whole number that is written as the difference of differences.
#[derive(Clone, Copy, Default)]
struct Whole {
    value: i64,
    delta: i64,
}

impl Whole {
    fn read(&mut self, place: u16, reader: &mut BitReader<'_>) -> Result<i64, Malformed> {
        let number = reader.varbit()?;
        self.advance(place, number);
        Ok(self.value)
    }

    fn advance(&mut self, place: u16, number: i64) {
        match place {
            0 => self.value = number,
            1 => {
                self.delta = number;
                self.value = self.value.wrapping_add(number);
            }
            _ => {
                self.delta = self.delta.wrapping_add(number);
                self.value = self.value.wrapping_add(self.delta);
            }
        }
    }
}

/// Hands over all samples of a chunk, whose kind is `encoding`.
///
/// # Errors
/// Where it is cut or its kind is unknown; the samples before were handed over.
pub fn read(
    chunk: &[u8],
    encoding: u8,
    mut take: impl FnMut(i64, Sample),
) -> Result<(), Malformed> {
    let (head, bits) = chunk
        .split_first_chunk::<3>()
        .ok_or(Malformed("a chunk is shorter than its head"))?;
    let [high, low, flags] = *head;
    let count = u16::from_be_bytes([high, low]);
    if count == 0 {
        return Ok(());
    }
    let mut reader = BitReader::new(bits);
    let layout = Layout::read(&mut reader)?;
    let n_positive = buckets(&layout.positive);
    let n_buckets = n_positive + buckets(&layout.negative);
    // A bit for each bucket is the least.
    if n_buckets > chunk.len() * 8 {
        return Err(Malformed("a histogram chunk has more buckets than bits"));
    }
    let mut hand_over = |place: u16, time_ms: i64, values: &Values| {
        let reset = match (flags >> 6, place) {
            (0b11, _) => ResetHint::Gauge,
            (0b10, 0) => ResetHint::Reset,
            (_, 0) => ResetHint::Unknown,
            _ => ResetHint::NotReset,
        };
        let sample = if is_stale(values.sum) {
            Sample::Stale
        } else {
            Sample::Histogram(Arc::new(layout.histogram(reset, values)))
        };
        take(time_ms, sample);
    };
    match encoding {
        ENCODING => read_whole(&mut reader, count, n_positive, n_buckets, &mut hand_over),
        FLOAT_ENCODING => read_floats(&mut reader, count, n_buckets, &mut hand_over),
        _ => Err(Malformed("a chunk of an unknown kind")),
    }
}

fn read_whole(
    reader: &mut BitReader<'_>,
    count: u16,
    n_positive: usize,
    n_buckets: usize,
    take: &mut impl FnMut(u16, i64, &Values),
) -> Result<(), Malformed> {
    let (mut time, mut all, mut zero) = (Whole::default(), Whole::default(), Whole::default());
    let mut sum = XorState::new(0.0);
    let mut deltas = vec![Whole::default(); n_buckets];
    let mut values = Values::default();
    for place in 0..count {
        let time_ms = time.read(place, reader)?;
        if place == 0 {
            // Counts are unsigned where they stand as they are.
            all.advance(0, reader.varbit_unsigned()? as i64);
            zero.advance(0, reader.varbit_unsigned()? as i64);
            sum = XorState::new(f64::from_bits(reader.bits(64)?));
        } else {
            all.read(place, reader)?;
            zero.read(place, reader)?;
            sum.read(reader)?;
        }
        values.count = all.value as u64 as f64;
        values.zero_count = zero.value as u64 as f64;
        values.sum = sum.value();
        if !is_stale(values.sum) || place == 0 {
            values.buckets.clear();
            let mut absolute = 0i64;
            for (i, delta) in deltas.iter_mut().enumerate() {
                if i == n_positive {
                    absolute = 0;
                }
                absolute = absolute.wrapping_add(delta.read(place, reader)?);
                values.buckets.push(absolute as f64);
            }
        }
        take(place, time_ms, &values);
    }
    Ok(())
}

fn read_floats(
    reader: &mut BitReader<'_>,
    count: u16,
    n_buckets: usize,
    take: &mut impl FnMut(u16, i64, &Values),
) -> Result<(), Malformed> {
    let mut time = Whole::default();
    // Count, zero count, sum, buckets.
    let mut columns = vec![XorState::new(0.0); n_buckets + 3];
    let mut values = Values::default();
    for place in 0..count {
        let time_ms = time.read(place, reader)?;
        let (head, buckets) = columns.split_at_mut(3);
        let mut next = |column: &mut XorState| -> Result<f64, Malformed> {
            if place == 0 {
                *column = XorState::new(f64::from_bits(reader.bits(64)?));
                return Ok(column.value());
            }
            column.read(reader)
        };
        for (column, value) in
            head.iter_mut()
                .zip([&mut values.count, &mut values.zero_count, &mut values.sum])
        {
            *value = next(column)?;
        }
        if !is_stale(values.sum) || place == 0 {
            values.buckets.clear();
            for column in buckets {
                values.buckets.push(next(column)?);
            }
        }
        take(place, time_ms, &values);
    }
    Ok(())
}

/// Writes chunks of floats.
#[derive(Debug)]
pub struct Writer {
    bits: BitWriter,
    count: u16,
    first: Arc<Histogram>,
    time: (i64, i64),
    columns: Vec<XorState>,
}

impl Writer {
    /// Begins a chunk with its first sample.
    pub fn new(time_ms: i64, first: &Arc<Histogram>) -> Self {
        let flags = match first.reset {
            ResetHint::Unknown => 0,
            ResetHint::NotReset => 0b01,
            ResetHint::Reset => 0b10,
            ResetHint::Gauge => 0b11,
        };
        let mut bits = BitWriter::after(vec![0, 1, flags << 6]);
        Layout::write(first, &mut bits);
        bits.varbit(time_ms);
        let columns: Vec<XorState> = numbers(first).map(XorState::new).collect();
        for column in &columns {
            bits.bits(column.bits, 64);
        }
        Self {
            bits,
            count: 1,
            first: first.clone(),
            time: (time_ms, 0),
            columns,
        }
    }

    /// Adds a sample; says no where it needs a chunk of its own, because its layout is another, it
    /// begins anew, or this one is full.
    #[must_use]
    pub fn push(&mut self, time_ms: i64, next: &Histogram) -> bool {
        let first = &*self.first;
        let is_gauge = |h: &Histogram| h.reset == ResetHint::Gauge;
        let fits = self.count < u16::MAX
            && next.reset != ResetHint::Reset
            && is_gauge(next) == is_gauge(first)
            && (next.schema, next.zero_threshold.to_bits())
                == (first.schema, first.zero_threshold.to_bits())
            && next.positive.spans == first.positive.spans
            && next.negative.spans == first.negative.spans
            && next.bounds == first.bounds;
        // Within a chunk nothing goes down: readers take that for granted.
        let goes_on = is_gauge(next)
            || numbers(next)
                .zip(&self.columns)
                .enumerate()
                .all(|(i, (new, old))| i == 2 || new >= old.value());
        if !fits || !goes_on {
            return false;
        }
        let (last_ms, delta) = self.time;
        let new_delta = time_ms.wrapping_sub(last_ms);
        self.bits.varbit(if self.count == 1 {
            new_delta
        } else {
            new_delta.wrapping_sub(delta)
        });
        self.time = (time_ms, new_delta);
        for (number, column) in numbers(next).zip(&mut self.columns) {
            column.write(&mut self.bits, number);
        }
        self.count += 1;
        true
    }

    /// How many samples there are.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The finished chunk.
    pub fn finish(mut self) -> Vec<u8> {
        if let Some(head) = self.bits.bytes_mut().first_chunk_mut::<2>() {
            *head = self.count.to_be_bytes();
        }
        self.bits.into_bytes()
    }
}

fn numbers(histogram: &Histogram) -> impl Iterator<Item = f64> + '_ {
    let head = [histogram.count, histogram.zero_count, histogram.sum];
    let positive = histogram.positive.counts.iter();
    head.into_iter()
        .chain(positive.chain(&histogram.negative.counts).copied())
}

#[cfg(test)]
mod tests;
