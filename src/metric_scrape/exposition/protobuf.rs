//! Prometheus' protobuf exposition: `MetricFamily` messages, each with its length before it.
//!
//! The only format that carries native histograms. Messages are read field by field where they
//! lie; what is wrong is said with the family's name, since there are no lines to count. Created
//! timestamps are passed over, as the text formats' `_created` says the same.

use std::borrow::Cow;

use model::{METRIC_NAME, MetricKind, MetricMetadata};
use wire::{Malformed, Message, Value};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::line::{Pair, TextExemplar};

/// A family: what it means, and its metrics, which are not read yet.
#[derive(Debug, Clone)]
pub(crate) struct Family<'a> {
    pub(crate) name: &'a str,
    pub(crate) help: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) kind: Kind,
    body: &'a [u8],
}

/// The types that this format knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Quantiles, a count and a sum.
    Summary,
    /// Nobody said.
    Untyped,
    /// Buckets, a count and a sum.
    Histogram,
    /// A histogram of how things are at the moment.
    GaugeHistogram,
}

/// One metric of a family.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metric<'a> {
    /// Its labels as they stand on the page, one message each.
    labels: Vec<&'a [u8]>,
    /// Milliseconds since 1970-01-01 UTC, where it says.
    pub(crate) timestamp_ms: Option<i64>,
    /// The message of its value: a counter, a gauge, a histogram.
    pub(crate) body: &'a [u8],
}

/// Splits a page into families.
pub(crate) struct Families<'a>(Message<'a>);

impl<'a> Families<'a> {
    pub(crate) fn new(page: &'a [u8]) -> Self {
        Self(Message::new(page))
    }

    /// The next family.
    pub(crate) fn next(&mut self) -> Result<Option<Family<'a>>, String> {
        if self.0.rest().is_empty() {
            return Ok(None);
        }
        let cut = |_| "the page ends in the middle of a family: it was cut off".to_owned();
        let length = self.0.varint().map_err(cut)?;
        let rest = self.0.rest();
        let body = usize::try_from(length)
            .ok()
            .and_then(|length| rest.split_at_checked(length));
        let Some((body, rest)) = body else {
            return Err(cut(Malformed("")));
        };
        self.0 = Message::new(rest);
        Family::read(body)
            .map(Some)
            .map_err(|error| error.to_string())
    }
}

impl<'a> Family<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut family = Self {
            name: "",
            help: "",
            unit: "",
            kind: Kind::Counter,
            body,
        };
        let mut fields = Message::new(body);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => family.name = value.text()?,
                2 => family.help = value.text()?,
                3 => family.kind = kind(value.number())?,
                5 => family.unit = value.text()?,
                _ => {}
            }
        }
        if family.name.is_empty() {
            return Err(Malformed("a family has no name"));
        }
        Ok(family)
    }

    /// Its metrics, one by one.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = Result<Metric<'a>, Malformed>> {
        let (mut fields, value_field) = (Message::new(self.body), self.kind.value_field());
        std::iter::from_fn(move || {
            loop {
                match fields.next() {
                    Ok(Some((4, value))) => return Some(Metric::read(value.bytes(), value_field)),
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    // The family was walked over before without an error.
                    Err(error) => return Some(Err(error)),
                }
            }
        })
    }

    /// What it says about itself.
    pub(crate) fn metadata(&self) -> MetricMetadata {
        MetricMetadata {
            kind: self.kind.as_model(),
            help: self.help.into(),
            unit: self.unit.into(),
        }
    }
}

fn kind(number: u64) -> Result<Kind, Malformed> {
    Ok(match number {
        0 => Kind::Counter,
        1 => Kind::Gauge,
        2 => Kind::Summary,
        3 => Kind::Untyped,
        4 => Kind::Histogram,
        5 => Kind::GaugeHistogram,
        _ => return Err(Malformed("a family has an unknown type")),
    })
}

impl Kind {
    /// The number that stands for it.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Counter => 0,
            Self::Gauge => 1,
            Self::Summary => 2,
            Self::Untyped => 3,
            Self::Histogram => 4,
            Self::GaugeHistogram => 5,
        }
    }

    /// The name of the type in Prometheus' protobuf.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "COUNTER",
            Self::Gauge => "GAUGE",
            Self::Summary => "SUMMARY",
            Self::Untyped => "UNTYPED",
            Self::Histogram => "HISTOGRAM",
            Self::GaugeHistogram => "GAUGE_HISTOGRAM",
        }
    }

    /// The field of a metric that holds the value of this type.
    pub(crate) fn value_field(self) -> u64 {
        match self {
            Self::Gauge => 2,
            Self::Counter => 3,
            Self::Summary => 4,
            Self::Untyped => 5,
            Self::Histogram | Self::GaugeHistogram => 7,
        }
    }

    pub(crate) fn as_model(self) -> MetricKind {
        match self {
            Self::Counter => MetricKind::Counter,
            Self::Gauge => MetricKind::Gauge,
            Self::Summary => MetricKind::Summary,
            Self::Untyped => MetricKind::Unknown,
            Self::Histogram => MetricKind::Histogram,
            Self::GaugeHistogram => MetricKind::GaugeHistogram,
        }
    }
}

impl<'a> Metric<'a> {
    fn read(body: &'a [u8], value_field: u64) -> Result<Self, Malformed> {
        let (mut metric, mut has_value) = (Self::default(), false);
        let mut fields = Message::new(body);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => metric.labels.push(value.bytes()),
                6 => metric.timestamp_ms = Some(value.number() as i64).filter(|time| *time != 0),
                field if field == value_field => {
                    metric.body = value.bytes();
                    has_value = true;
                }
                _ => {}
            }
        }
        if has_value {
            Ok(metric)
        } else {
            Err(Malformed("a metric has no value of its family's type"))
        }
    }

    /// A hash of its labels, and how many bytes they have.
    pub(crate) fn labels_hash(&self, seed: u64) -> (u64, usize) {
        self.labels.iter().fold((seed, 0), |(hash, length), label| {
            (xxh3_64_with_seed(label, hash), length + label.len())
        })
    }

    /// Its own labels.
    pub(crate) fn own_labels(&self) -> Result<Vec<Pair<'a>>, Malformed> {
        let mut pairs = Vec::with_capacity(self.labels.len());
        read_pairs(&self.labels, &mut pairs)?;
        Ok(pairs)
    }

    /// The pairs of one of its series: the name (which ends in `suffix`), its labels, and one
    /// that the format has elsewhere (`le`, `quantile`).
    pub(crate) fn pairs(
        &self,
        family: &'a str,
        suffix: &str,
        extra: Option<(&'static str, f64)>,
    ) -> Result<Vec<Pair<'a>>, String> {
        let name = match suffix {
            "" => Cow::Borrowed(family),
            suffix => Cow::Owned(format!("{family}{suffix}")),
        };
        let mut pairs = Vec::with_capacity(self.labels.len() + 2);
        pairs.push((Cow::Borrowed(METRIC_NAME), name));
        read_pairs(&self.labels, &mut pairs).map_err(|error| error.to_string())?;
        if let Some((name, value)) = extra {
            pairs.push((Cow::Borrowed(name), super::number::label_text(value).into()));
        }
        super::line::check_pairs(&pairs)?;
        Ok(pairs)
    }
}

fn read_pairs<'a>(labels: &[&'a [u8]], pairs: &mut Vec<Pair<'a>>) -> Result<(), Malformed> {
    for label in labels {
        let (mut name, mut text) = ("", "");
        let mut fields = Message::new(label);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => name = value.text()?,
                2 => text = value.text()?,
                _ => {}
            }
        }
        if name.is_empty() {
            return Err(Malformed("a label has no name"));
        }
        pairs.push((Cow::Borrowed(name), Cow::Borrowed(text)));
    }
    Ok(())
}

/// The value of a gauge, a counter or an untyped metric, and a counter's exemplar.
pub(crate) fn read_simple(
    body: &[u8],
    kind: Kind,
) -> Result<(f64, Option<TextExemplar<'_>>), Malformed> {
    let (mut number, mut exemplar) = (0.0, None);
    let mut fields = Message::new(body);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => number = value.float(),
            2 if kind == Kind::Counter => exemplar = Some(read_exemplar(value.bytes())?),
            _ => {}
        }
    }
    Ok((number, exemplar))
}

/// A summary.
#[derive(Debug, Clone, Default)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    /// Quantiles and their values.
    pub(crate) quantiles: Vec<(f64, f64)>,
}

/// The value of a summary.
pub(crate) fn read_summary(body: &[u8]) -> Result<Summary, Malformed> {
    let mut summary = Summary::default();
    let mut fields = Message::new(body);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => summary.count = value.number(),
            2 => summary.sum = value.float(),
            3 => {
                let (mut quantile, mut at) = (0.0, 0.0);
                let mut fields = Message::new(value.bytes());
                while let Some((field, value)) = fields.next()? {
                    match field {
                        1 => quantile = value.float(),
                        2 => at = value.float(),
                        _ => {}
                    }
                }
                summary.quantiles.push((quantile, at));
            }
            _ => {}
        }
    }
    Ok(summary)
}

/// An exemplar.
pub(crate) fn read_exemplar(body: &[u8]) -> Result<TextExemplar<'_>, Malformed> {
    let mut exemplar = TextExemplar::default();
    let mut labels = Vec::new();
    let mut fields = Message::new(body);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => labels.push(value.bytes()),
            2 => exemplar.value = value.float(),
            3 => exemplar.timestamp_ms = Some(timestamp_ms(value)?),
            _ => {}
        }
    }
    read_pairs(&labels, &mut exemplar.labels)?;
    Ok(exemplar)
}

/// `google.protobuf.Timestamp`.
fn timestamp_ms(value: Value<'_>) -> Result<i64, Malformed> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    let mut fields = Message::new(value.bytes());
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => seconds = value.number() as i64,
            2 => nanos = value.number() as i64,
            _ => {}
        }
    }
    Ok(seconds
        .saturating_mul(1000)
        .saturating_add(nanos / 1_000_000))
}

/// Gathers the metadata of all families of a page that reads well.
pub(crate) fn metadata(page: &[u8]) -> Vec<(String, MetricMetadata)> {
    let mut families = Families::new(page);
    let next = std::iter::from_fn(|| families.next().ok().flatten());
    next.map(|family| (family.name.to_owned(), family.metadata()))
        .collect()
}
