//! A page as families: what a push leaves behind, to be asked for later.
//!
//! Whoever scrapes wants samples; whoever keeps a page wants to replace it family by family, and to
//! give it back. So a page in any of the formats becomes [`Family`]s whose metrics hold their
//! values as the messages of Prometheus' protobuf: nothing is lost (exemplars, native histograms),
//! and what is given back is read like any other page. The lines that a histogram or a summary has
//! in the text formats are brought together by their labels.

mod text;

use std::collections::HashSet;

use model::METRIC_NAME;
use wire::Malformed;
use wire::writer::Writer;

use super::histogram::{HistogramMessage, Limits};
use super::protobuf::{self, Families, Metric};
use super::{Format, PageError};
use text::Twice;

pub use super::protobuf::Kind as FamilyKind;

/// Metrics of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The name; a counter's ends in `_total` where its samples do.
    pub name: String,
    /// The type.
    pub kind: FamilyKind,
    /// What it means.
    pub help: String,
    /// Its unit, or empty.
    pub unit: String,
    /// Its metrics, in the order of the page.
    pub metrics: Vec<FamilyMetric>,
}

/// One metric of a family.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilyMetric {
    /// Its labels by name, without `le` of buckets and `quantile` of summaries.
    pub labels: Vec<(String, String)>,
    /// Milliseconds since 1970-01-01 UTC, where the page says.
    pub timestamp_ms: Option<i64>,
    /// The message of its value: a counter, a gauge, a histogram.
    value: Vec<u8>,
}

/// The numbers of a metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// A counter, a gauge, or of no type.
    Value(f64),
    /// A summary.
    Summary {
        /// Observations.
        count: f64,
        /// Their sum.
        sum: f64,
        /// Quantiles and their values.
        quantiles: Vec<(f64, f64)>,
    },
    /// A histogram.
    Histogram {
        /// Observations.
        count: f64,
        /// Their sum.
        sum: f64,
        /// Upper bounds and the observations up to there; none of a native histogram.
        buckets: Vec<(f64, f64)>,
    },
}

/// Reads a page.
///
/// # Errors
/// Where the page is none of its format, names a family or a type twice, or a metric has no value
/// that its type allows.
pub fn read(page: &[u8], format: Format) -> Result<Vec<Family>, PageError> {
    match format {
        Format::Text | Format::OpenMetrics => text::read(page, format, Twice::Refused),
        Format::Protobuf => {
            let fail = |reason| PageError { line: 0, reason };
            let mut families: Vec<Family> = Vec::new();
            let mut names = HashSet::new();
            let mut messages = Families::new(page);
            while let Some(message) = messages.next().map_err(fail)? {
                let named = |why: String| fail(format!("family {:?}: {why}", message.name));
                if !names.insert(message.name) {
                    return Err(named("it is there twice".to_owned()));
                }
                let family = Family::of(&message).map_err(named)?;
                families.push(family);
            }
            families.retain(|family| !family.metrics.is_empty());
            Ok(families)
        }
    }
}

/// Reads a page of text as a scrape does: of what is there twice the first counts, and a sample
/// that does not fit to the type of its name is one without a type.
///
/// # Errors
/// Where the page is none of its format.
pub(crate) fn read_for_scrape(page: &[u8], format: Format) -> Result<Vec<Family>, PageError> {
    text::read(page, format, Twice::LeftOut)
}

impl Family {
    /// A family of gauges.
    pub fn gauges(
        name: &str,
        help: &str,
        metrics: impl IntoIterator<Item = (Vec<(String, String)>, f64)>,
    ) -> Self {
        let metrics = metrics.into_iter().map(|(labels, number)| FamilyMetric {
            labels,
            timestamp_ms: None,
            value: simple(number),
        });
        Self {
            name: name.to_owned(),
            kind: FamilyKind::Gauge,
            help: help.to_owned(),
            unit: String::new(),
            metrics: metrics.collect(),
        }
    }

    /// Reads the message that [`Family::message`] writes.
    ///
    /// # Errors
    /// Where it is no sound message.
    pub fn from_message(bytes: &[u8]) -> Result<Self, String> {
        let message = protobuf::Family::read(bytes).map_err(|error| error.to_string())?;
        Self::of(&message)
    }

    fn of(message: &protobuf::Family<'_>) -> Result<Self, String> {
        let mut family = Self {
            name: message.name.to_owned(),
            kind: message.kind,
            help: message.help.to_owned(),
            unit: message.unit.to_owned(),
            metrics: Vec::new(),
        };
        for metric in message.metrics() {
            let metric = metric.map_err(|error| error.to_string())?;
            family.metrics.push(FamilyMetric::of(&metric, family.kind)?);
        }
        Ok(family)
    }

    /// The family as a `MetricFamily` message.
    pub fn message(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.field(1, self.name.as_bytes());
        if !self.help.is_empty() {
            out.field(2, self.help.as_bytes());
        }
        out.number(3, self.kind.number());
        for metric in &self.metrics {
            out.message(4, |out| metric.write(self.kind, out));
        }
        if !self.unit.is_empty() {
            out.field(5, self.unit.as_bytes());
        }
        out.into_bytes()
    }
}

/// Adds a `MetricFamily` message to a page.
pub fn append_to_page(page: &mut Vec<u8>, message: &[u8]) {
    let mut length = Writer::default();
    length.varint(message.len() as u64);
    page.extend_from_slice(length.bytes());
    page.extend_from_slice(message);
}

impl FamilyMetric {
    fn of(metric: &Metric<'_>, kind: FamilyKind) -> Result<Self, String> {
        let mut labels: Vec<(String, String)> = Vec::new();
        for (name, value) in metric.own_labels().map_err(|error| error.to_string())? {
            if name == METRIC_NAME {
                return Err("a label is called __name__".to_owned());
            }
            labels.push((name.into_owned(), value.into_owned()));
        }
        labels.sort_unstable();
        if let Some(twice) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("label {:?} is there twice", twice[0].0));
        }
        let metric = Self {
            labels,
            timestamp_ms: metric.timestamp_ms,
            value: metric.body.to_vec(),
        };
        metric.check(kind)?;
        Ok(metric)
    }

    /// Refuses a value that no scrape could read.
    fn check(&self, kind: FamilyKind) -> Result<(), String> {
        self.numbers(kind).map_err(|error| error.to_string())?;
        if matches!(kind, FamilyKind::Histogram | FamilyKind::GaugeHistogram) {
            let message = HistogramMessage::read(&self.value).map_err(|e| e.to_string())?;
            if message.is_native() {
                let gauge = kind == FamilyKind::GaugeHistogram;
                message.native(gauge, Limits::default())?;
            }
        }
        Ok(())
    }

    /// What it counts.
    ///
    /// # Errors
    /// Never for a family of this room with its own kind: it was read before.
    pub fn numbers(&self, kind: FamilyKind) -> Result<Numbers, Malformed> {
        Ok(match kind {
            FamilyKind::Counter | FamilyKind::Gauge | FamilyKind::Untyped => {
                Numbers::Value(protobuf::read_simple(&self.value, kind)?.0)
            }
            FamilyKind::Summary => {
                let summary = protobuf::read_summary(&self.value)?;
                Numbers::Summary {
                    count: summary.count as f64,
                    sum: summary.sum,
                    quantiles: summary.quantiles,
                }
            }
            FamilyKind::Histogram | FamilyKind::GaugeHistogram => {
                let message = HistogramMessage::read(&self.value)?;
                let buckets = message.classic.iter();
                Numbers::Histogram {
                    count: message.count,
                    sum: message.sum,
                    buckets: buckets.map(|b| (b.upper_bound, b.count)).collect(),
                }
            }
        })
    }

    fn write(&self, kind: FamilyKind, out: &mut Writer) {
        for (name, value) in &self.labels {
            out.message(1, |out| {
                out.field(1, name.as_bytes());
                out.field(2, value.as_bytes());
            });
        }
        out.field(kind.value_field() as u32, &self.value);
        if let Some(time) = self.timestamp_ms {
            out.number(6, time as u64);
        }
    }
}

/// The message of a counter without an exemplar, of a gauge, of an untyped metric.
fn simple(number: f64) -> Vec<u8> {
    let mut out = Writer::default();
    out.always_float(1, number);
    out.into_bytes()
}

#[cfg(test)]
mod tests;
