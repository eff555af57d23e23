//! Histograms of the protobuf exposition: the classic buckets and the native ones that a message
//! may carry side by side.
//!
//! Native buckets come as spans with either the difference to the bucket before (integers) or the
//! count itself (floats). What has too many buckets, or finer ones than wanted, is made coarser:
//! two neighbours at a time become one ([`Limits`]).

use std::sync::Arc;

use model::histogram::CUSTOM_BOUNDS_SCHEMA;
use model::{Buckets, Histogram, ResetHint, Span};
use wire::{Malformed, Message, Value};

use super::line::TextExemplar;
use super::protobuf::read_exemplar;

/// Resolutions that Prometheus knows: -4 to 8. Finer ones (to 52) are reserved and can be read as
/// well, since the rule for making them coarser is the same.
const SCHEMA_MIN: i32 = -4;
const SCHEMA_MAX: i32 = 8;
const SCHEMA_RESERVED_MAX: i32 = 52;

/// Most buckets of one native histogram on a page: more than any exporter has, few enough that a
/// broken message (spans claim lengths of their own) takes no memory to speak of.
const BUCKETS_MAX: usize = 65_536;

/// What a job says about native histograms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Most buckets, positive and negative ones together; nothing for no limit.
    pub buckets: Option<usize>,
    /// The finest resolution.
    pub schema_max: i32,
}

impl Default for Limits {
    /// No limit.
    fn default() -> Self {
        Self {
            buckets: None,
            schema_max: SCHEMA_MAX,
        }
    }
}

impl Limits {
    /// The limits of `native_histogram_bucket_limit` and `native_histogram_min_bucket_factor`; 0
    /// is none.
    pub fn new(buckets: u64, factor_min: f64) -> Self {
        // A bucket of schema s is 2^(2^-s) times as wide as the one before.
        let schema = -factor_min.log2().log2();
        let schema_max = if factor_min > 1.0 {
            (schema.floor() as i32).clamp(SCHEMA_MIN, SCHEMA_MAX)
        } else {
            SCHEMA_MAX
        };
        Self {
            buckets: (buckets > 0).then_some(usize::try_from(buckets).unwrap_or(usize::MAX)),
            schema_max,
        }
    }
}

/// A bucket of a classic histogram.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClassicBucket<'a> {
    pub(crate) upper_bound: f64,
    /// Observations up to there.
    pub(crate) count: f64,
    pub(crate) exemplar: Option<TextExemplar<'a>>,
}

/// A `Histogram` message.
#[derive(Debug, Clone, Default)]
pub(crate) struct HistogramMessage<'a> {
    /// Observations in all.
    pub(crate) count: f64,
    pub(crate) sum: f64,
    /// By upper bound as they came; +Inf may be missing.
    pub(crate) classic: Vec<ClassicBucket<'a>>,
    /// Exemplars of the native histogram.
    pub(crate) exemplars: Vec<TextExemplar<'a>>,
    schema: i32,
    zero_threshold: f64,
    zero_count: f64,
    negative: Side,
    positive: Side,
}

/// Buckets of one side as they come.
#[derive(Debug, Clone, Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

impl<'a> HistogramMessage<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut out = Self::default();
        let mut fields = Message::new(body);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 if out.count == 0.0 => out.count = value.number() as f64,
                2 => out.sum = value.float(),
                3 => out.classic.push(read_bucket(value.bytes())?),
                // Floats win over integers where both are given.
                4 if value.float() > 0.0 => out.count = value.float(),
                5 => out.schema = small(value.signed())?,
                6 => out.zero_threshold = value.float(),
                7 if out.zero_count == 0.0 => out.zero_count = value.number() as f64,
                8 if value.float() > 0.0 => out.zero_count = value.float(),
                9 => out.negative.spans.push(read_span(value.bytes())?),
                10 => out.negative.read_deltas(value)?,
                11 => out.negative.read_counts(value)?,
                12 => out.positive.spans.push(read_span(value.bytes())?),
                13 => out.positive.read_deltas(value)?,
                14 => out.positive.read_counts(value)?,
                16 => out.exemplars.push(read_exemplar(value.bytes())?),
                _ => {}
            }
        }
        Ok(out)
    }

    /// Whether it carries native buckets. A client that has not observed anything yet says so by
    /// a span without length.
    pub(crate) fn is_native(&self) -> bool {
        !self.positive.spans.is_empty()
            || !self.negative.spans.is_empty()
            || self.zero_threshold > 0.0
            || self.zero_count > 0.0
    }

    /// The native histogram.
    pub(crate) fn native(&self, gauge: bool, limits: Limits) -> Result<Arc<Histogram>, String> {
        if !(SCHEMA_MIN..=SCHEMA_RESERVED_MAX).contains(&self.schema) {
            return Err(format!("schema {} is none of -4 to 8", self.schema));
        }
        let mut histogram = Histogram {
            reset: if gauge {
                ResetHint::Gauge
            } else {
                ResetHint::Unknown
            },
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive: self.positive.buckets()?,
            negative: self.negative.buckets()?,
            bounds: Arc::from([]),
        };
        let finest = limits.schema_max.min(SCHEMA_MAX);
        if histogram.schema > finest {
            coarsen(&mut histogram, finest);
        }
        while limits.buckets.is_some_and(|max| {
            histogram.positive.counts.len() + histogram.negative.counts.len() > max
        }) {
            if histogram.schema <= SCHEMA_MIN {
                return Err(format!(
                    "{} buckets at the coarsest resolution, native_histogram_bucket_limit is {}",
                    histogram.positive.counts.len() + histogram.negative.counts.len(),
                    limits.buckets.unwrap_or_default()
                ));
            }
            let coarser = histogram.schema - 1;
            coarsen(&mut histogram, coarser);
        }
        histogram.check()?;
        Ok(Arc::new(histogram))
    }
}

impl HistogramMessage<'_> {
    /// The classic buckets as a native histogram whose bounds are theirs; nothing where they are
    /// no histogram (counts that fall, a total that is not that of the last bucket).
    pub(crate) fn with_custom_bounds(&self, gauge: bool) -> Option<Arc<Histogram>> {
        let mut steps: Vec<(f64, f64)> = self
            .classic
            .iter()
            .map(|bucket| (bucket.upper_bound, bucket.count))
            .collect();
        if steps.iter().any(|(bound, _)| bound.is_nan()) {
            return None;
        }
        steps.sort_by(|a, b| a.0.total_cmp(&b.0));
        if steps.last().is_none_or(|(bound, _)| *bound < f64::INFINITY) {
            steps.push((f64::INFINITY, self.count));
        }
        if steps.last().is_some_and(|(_, count)| *count != self.count) {
            return None;
        }
        let (mut before, mut counts) = (0.0, Vec::with_capacity(steps.len()));
        for (index, (_, count)) in steps.iter().enumerate() {
            let own = count - before;
            if own.is_nan() || own < 0.0 {
                return None;
            }
            if own > 0.0 {
                counts.push((i32::try_from(index).ok()?, own));
            }
            before = *count;
        }
        steps.pop();
        let histogram = Histogram {
            reset: if gauge {
                ResetHint::Gauge
            } else {
                ResetHint::Unknown
            },
            schema: CUSTOM_BOUNDS_SCHEMA,
            zero_threshold: 0.0,
            zero_count: 0.0,
            count: self.count,
            sum: self.sum,
            positive: Buckets::from_pairs(counts),
            negative: Buckets::default(),
            bounds: steps.iter().map(|(bound, _)| *bound).collect(),
        };
        histogram.check().ok()?;
        Some(Arc::new(histogram))
    }
}

fn small(number: i64) -> Result<i32, Malformed> {
    i32::try_from(number).map_err(|_| Malformed("a number of a histogram is out of range"))
}

fn read_bucket(body: &[u8]) -> Result<ClassicBucket<'_>, Malformed> {
    let mut bucket = ClassicBucket::default();
    let mut fields = Message::new(body);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 if bucket.count == 0.0 => bucket.count = value.number() as f64,
            2 => bucket.upper_bound = value.float(),
            3 => bucket.exemplar = Some(read_exemplar(value.bytes())?),
            4 if value.float() > 0.0 => bucket.count = value.float(),
            _ => {}
        }
    }
    Ok(bucket)
}

fn read_span(body: &[u8]) -> Result<Span, Malformed> {
    let mut span = Span::default();
    let mut fields = Message::new(body);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => span.offset = small(value.signed())?,
            2 => {
                span.length = u32::try_from(value.number())
                    .map_err(|_| Malformed("a span of a histogram is too long"))?;
            }
            _ => {}
        }
    }
    Ok(span)
}

impl Side {
    fn read_deltas(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        value.numbers(|number| self.deltas.push(wire::message::zigzag(number)))
    }

    fn read_counts(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        value.fixed64s(|bits| self.counts.push(f64::from_bits(bits)))
    }

    /// The buckets with counts of their own, spans without length left out.
    fn buckets(&self) -> Result<Buckets, String> {
        let counts = if self.counts.is_empty() {
            let mut count = 0i64;
            let counts = self.deltas.iter().map(|delta| {
                count = count.wrapping_add(*delta);
                count as f64
            });
            counts.collect()
        } else {
            self.counts.clone()
        };
        let length: u64 = self.spans.iter().map(|span| u64::from(span.length)).sum();
        if length != counts.len() as u64 {
            return Err(format!(
                "its spans have {length} buckets but there are {} counts",
                counts.len()
            ));
        }
        if counts.len() > BUCKETS_MAX {
            return Err(format!(
                "it has {length} buckets, at most {BUCKETS_MAX} are read"
            ));
        }
        if self.spans.iter().skip(1).any(|span| span.offset < 0) {
            return Err("its spans overlap".to_owned());
        }
        let mut indexes = Vec::with_capacity(counts.len());
        let mut next = 0i32;
        for span in &self.spans {
            let too_far = || "a bucket of it lies too far out".to_owned();
            let first = next.checked_add(span.offset).ok_or_else(too_far)?;
            next = first
                .checked_add_unsigned(span.length)
                .ok_or_else(too_far)?;
            indexes.extend(first..next);
        }
        Ok(Buckets::from_pairs(indexes.into_iter().zip(counts)))
    }
}

/// Makes a histogram coarser: down to a schema below its own.
fn coarsen(histogram: &mut Histogram, schema: i32) {
    let steps = (histogram.schema - schema).clamp(0, 31);
    for side in [&mut histogram.positive, &mut histogram.negative] {
        let mut joined: Vec<(i32, f64)> = Vec::new();
        for (index, count) in side.iter() {
            // A bucket is named by its upper end, inclusive.
            let index = (index.saturating_sub(1) >> steps) + 1;
            match joined.last_mut() {
                Some((last, sum)) if *last == index => *sum += count,
                _ => joined.push((index, count)),
            }
        }
        *side = Buckets::from_pairs(joined);
    }
    histogram.schema = schema;
}
