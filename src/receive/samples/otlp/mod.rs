//! OpenTelemetry's metrics over HTTP, in protobuf or JSON, as series of Prometheus.
//!
//! | what comes | what it becomes |
//! |---|---|
//! | gauge | a gauge |
//! | sum | monotonic: a counter (`_total`), else a gauge |
//! | histogram | `_bucket`, `_sum`, `_count` |
//! | exponential histogram | a native histogram |
//! | summary | a series per quantile, `_sum`, `_count` |
//!
//! Names and labels are translated as Prometheus does by default ([`names`]); `service.name`,
//! `service.namespace` and `service.instance.id` become `job` and `instance`, the other attributes
//! of a resource a `target_info`. Deltas are added up ([`deltas`]).

mod deltas;
mod exponential;
mod json;
mod names;

use std::fmt::Write as _;

use model::{Exemplar, Labels, LabelsBuilder, METRIC_NAME, MetricKind, MetricMetadata, stale_nan};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    self as otlp, HistogramDataPoint, Metric, NumberDataPoint, SummaryDataPoint, metric,
    number_data_point,
};
use prost::Message;

use super::batch::Batch;
use super::{SampleProtocol, SampleReceiver, Written};
use crate::Refused;
use crate::inflate::{Encoding, inflate};
use crate::otlp::Format;

pub(super) use deltas::Deltas;

const AGGREGATION_DELTA: i32 = 1;
/// A point that only says that its series has ended.
const NO_RECORDED_VALUE: u32 = 1;

impl SampleReceiver {
    /// Takes an `ExportMetricsServiceRequest`.
    ///
    /// # Errors
    /// As [`SampleReceiver::remote_write`].
    pub fn otlp(
        &self,
        body: &[u8],
        format: Format,
        encoding: Encoding,
        now_ms: i64,
    ) -> Result<Written, Refused> {
        let protocol = SampleProtocol::Otlp;
        let body = inflate(body, encoding, self.limits.inflated_bytes_max)
            .inspect_err(|why| self.refused(protocol, why))?;
        let request = match format {
            Format::Protobuf => ExportMetricsServiceRequest::decode(&*body)
                .map_err(|error| Refused::Bad(format!("the body is no metrics request: {error}"))),
            Format::Json => json::decode(&body),
        };
        let request = request.inspect_err(|why| self.refused(protocol, why))?;
        drop(body);
        // Held until the store has answered: another request's deltas go on from its totals.
        let mut deltas = self.deltas.lock();
        let written = self.take(protocol, now_ms, |batch| {
            let mut taker = Taker {
                batch,
                deltas: &mut deltas,
                now_ms,
            };
            for resource in &request.resource_metrics {
                taker.resource(resource)?;
            }
            Ok(())
        });
        match &written {
            Ok(_) => deltas.keep(),
            Err(_) => deltas.take_back(),
        }
        written
    }
}

/// What all series of a metric share.
struct Family<'a> {
    name: String,
    base: &'a Labels,
    is_delta: bool,
}

struct Taker<'t, 'b> {
    batch: &'t mut Batch<'b>,
    deltas: &'t mut Deltas,
    now_ms: i64,
}

impl Taker<'_, '_> {
    fn resource(&mut self, metrics: &otlp::ResourceMetrics) -> Result<(), Refused> {
        let none = Vec::new();
        let attributes = metrics.resource.as_ref().map_or(&none, |r| &r.attributes);
        let base = target_labels(attributes);
        let mut newest_ms = None;
        for scope in &metrics.scope_metrics {
            for metric in &scope.metrics {
                let time_ms = self.metric(metric, &base)?;
                newest_ms = newest_ms.max(time_ms);
            }
        }
        let Some(time_ms) = newest_ms.filter(|_| !base.is_empty()) else {
            return Ok(());
        };
        let mut info = base.to_builder();
        info.set(METRIC_NAME, "target_info");
        let mut has_more = false;
        for attribute in attributes {
            if !IDENTITY.contains(&attribute.key.as_str()) {
                has_more = true;
                set(&mut info, attribute);
            }
        }
        if has_more && let Some(place) = self.batch.place_of(&info.build(), 1)? {
            self.batch.float(place, time_ms, 1.0);
        }
        Ok(())
    }

    /// Takes a metric; tells the time of its newest point.
    fn metric(&mut self, metric: &Metric, base: &Labels) -> Result<Option<i64>, Refused> {
        let Some(data) = &metric.data else {
            return Ok(None);
        };
        let (kind, is_delta) = match data {
            metric::Data::Gauge(_) => (MetricKind::Gauge, false),
            metric::Data::Sum(sum) if sum.is_monotonic => (
                MetricKind::Counter,
                sum.aggregation_temporality == AGGREGATION_DELTA,
            ),
            metric::Data::Sum(sum) => (
                MetricKind::Gauge,
                sum.aggregation_temporality == AGGREGATION_DELTA,
            ),
            metric::Data::Histogram(h) => (
                MetricKind::Histogram,
                h.aggregation_temporality == AGGREGATION_DELTA,
            ),
            metric::Data::ExponentialHistogram(h) => (
                MetricKind::Histogram,
                h.aggregation_temporality == AGGREGATION_DELTA,
            ),
            metric::Data::Summary(_) => (MetricKind::Summary, false),
        };
        let family = Family {
            name: names::metric(&metric.name, &metric.unit, kind),
            base,
            is_delta,
        };
        let metadata = MetricMetadata {
            kind,
            help: metric.description.as_str().into(),
            unit: names::unit(&metric.unit).into(),
        };
        self.batch.metadata(&family.name, metadata);
        let mut newest_ms = None;
        let mut saw = |time_ns: u64| newest_ms = newest_ms.max(Some(ms(time_ns)));
        match data {
            metric::Data::Gauge(otlp::Gauge { data_points })
            | metric::Data::Sum(otlp::Sum { data_points, .. }) => {
                for point in data_points {
                    saw(point.time_unix_nano);
                    self.number(&family, point)?;
                }
            }
            metric::Data::Histogram(histogram) => {
                for point in &histogram.data_points {
                    saw(point.time_unix_nano);
                    self.histogram(&family, point)?;
                }
            }
            metric::Data::ExponentialHistogram(histogram) => {
                for point in &histogram.data_points {
                    saw(point.time_unix_nano);
                    exponential::take(self, &family, point)?;
                }
            }
            metric::Data::Summary(summary) => {
                for point in &summary.data_points {
                    saw(point.time_unix_nano);
                    self.summary(&family, point)?;
                }
            }
        }
        Ok(newest_ms)
    }

    fn number(&mut self, family: &Family<'_>, point: &NumberDataPoint) -> Result<(), Refused> {
        let value = match point.value {
            _ if point.flags & NO_RECORDED_VALUE != 0 => stale_nan(),
            Some(number_data_point::Value::AsDouble(value)) => value,
            Some(number_data_point::Value::AsInt(value)) => value as f64,
            None => return Ok(()),
        };
        let labels = labels(family, "", &point.attributes, None);
        let exemplars = point.exemplars.iter().map(exemplar).collect();
        self.float(family, &labels, ms(point.time_unix_nano), value, exemplars)
    }

    fn histogram(
        &mut self,
        family: &Family<'_>,
        point: &HistogramDataPoint,
    ) -> Result<(), Refused> {
        let time_ms = ms(point.time_unix_nano);
        let has_ended = point.flags & NO_RECORDED_VALUE != 0;
        let value = |value: f64| if has_ended { stale_nan() } else { value };
        let bounds = &point.explicit_bounds;
        if !has_ended
            && !point.bucket_counts.is_empty()
            && point.bucket_counts.len() != bounds.len() + 1
        {
            self.batch.reject(1, || {
                format!(
                    "{}: a histogram has {} bounds and {} buckets, there must be one bucket more",
                    family.name,
                    bounds.len(),
                    point.bucket_counts.len()
                )
            });
            return Ok(());
        }
        let attributes = &point.attributes;
        if let Some(sum) = point.sum {
            let set = labels(family, "_sum", attributes, None);
            self.float(family, &set, time_ms, value(sum), Vec::new())?;
        }
        let set = labels(family, "_count", attributes, None);
        self.float(family, &set, time_ms, value(point.count as f64), Vec::new())?;
        let mut examples: Vec<Exemplar> = point.exemplars.iter().map(exemplar).collect();
        let mut total = 0u64;
        for (at, bound) in bounds.iter().enumerate() {
            total = total.saturating_add(point.bucket_counts.get(at).copied().unwrap_or(0));
            let le = names::number(*bound);
            let set = labels(family, "_bucket", attributes, Some(("le", &le)));
            let (here, above) = examples.into_iter().partition(|e| e.value <= *bound);
            examples = above;
            self.float(family, &set, time_ms, value(total as f64), here)?;
        }
        let set = labels(family, "_bucket", attributes, Some(("le", "+Inf")));
        self.float(family, &set, time_ms, value(point.count as f64), examples)
    }

    fn summary(&mut self, family: &Family<'_>, point: &SummaryDataPoint) -> Result<(), Refused> {
        let time_ms = ms(point.time_unix_nano);
        let has_ended = point.flags & NO_RECORDED_VALUE != 0;
        let value = |value: f64| if has_ended { stale_nan() } else { value };
        for (ending, number) in [("_sum", point.sum), ("_count", point.count as f64)] {
            let set = labels(family, ending, &point.attributes, None);
            self.float(family, &set, time_ms, value(number), Vec::new())?;
        }
        for quantile in &point.quantile_values {
            let text = names::number(quantile.quantile);
            let set = labels(family, "", &point.attributes, Some(("quantile", &text)));
            self.float(family, &set, time_ms, value(quantile.value), Vec::new())?;
        }
        Ok(())
    }

    /// Stores a value, added to those before where it is a delta.
    fn float(
        &mut self,
        family: &Family<'_>,
        labels: &Labels,
        time_ms: i64,
        value: f64,
        exemplars: Vec<Exemplar>,
    ) -> Result<(), Refused> {
        let value = if family.is_delta && !model::is_stale(value) {
            match self.deltas.add(labels, time_ms, value, self.now_ms) {
                Ok(Some(total)) => total,
                Ok(None) => return Ok(()),
                Err(why) => {
                    self.batch.reject(1, || why);
                    return Ok(());
                }
            }
        } else {
            value
        };
        if let Some(place) = self.batch.place_of(labels, 1)? {
            self.batch.float(place, time_ms, value);
            for exemplar in exemplars {
                self.batch.exemplar(place, exemplar);
            }
        }
        Ok(())
    }
}

fn ms(time_ns: u64) -> i64 {
    (time_ns / 1_000_000) as i64
}

/// Attributes of a resource that say who it is.
const IDENTITY: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];

/// `job` and `instance` of a resource.
fn target_labels(attributes: &[KeyValue]) -> Labels {
    let get = |key: &str| {
        let found = attributes.iter().find(|a| a.key == key);
        found
            .and_then(|a| a.value.as_ref())
            .map(text)
            .unwrap_or_default()
    };
    let [name, namespace, instance] = IDENTITY.map(get);
    let job = match (&*namespace, &*name) {
        (_, "") => String::new(),
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    };
    Labels::from_pairs([("job", job), ("instance", instance)])
}

fn labels(
    family: &Family<'_>,
    ending: &str,
    attributes: &[KeyValue],
    more: Option<(&str, &str)>,
) -> Labels {
    let mut builder = LabelsBuilder::default();
    for attribute in attributes {
        set(&mut builder, attribute);
    }
    // Who it is stands above what a point says.
    for label in family.base {
        builder.set(label.name.clone(), label.value.clone());
    }
    if let Some((name, value)) = more {
        builder.set(name, value);
    }
    builder.set(METRIC_NAME, format!("{}{ending}", family.name));
    builder.build()
}

/// Sets an attribute as a label. Where two become the same, the values are joined.
fn set(builder: &mut LabelsBuilder, attribute: &KeyValue) {
    let name = names::label(&attribute.key);
    let value = attribute.value.as_ref().map(text).unwrap_or_default();
    let joined = builder.get(&name).map(|before| format!("{before};{value}"));
    builder.set(name, joined.unwrap_or(value));
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::BoolValue(value)) => value.to_string(),
        Some(any_value::Value::IntValue(value)) => value.to_string(),
        Some(any_value::Value::DoubleValue(value)) => names::number(*value),
        Some(any_value::Value::ArrayValue(list)) => {
            let texts: Vec<String> = list.values.iter().map(text).collect();
            serde_json::to_string(&texts).unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn exemplar(found: &otlp::Exemplar) -> Exemplar {
    let value = match found.value {
        Some(otlp::exemplar::Value::AsDouble(value)) => value,
        Some(otlp::exemplar::Value::AsInt(value)) => value as f64,
        None => 0.0,
    };
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    let mut builder = LabelsBuilder::default();
    for attribute in &found.filtered_attributes {
        set(&mut builder, attribute);
    }
    builder.set("trace_id", hex(&found.trace_id));
    builder.set("span_id", hex(&found.span_id));
    Exemplar {
        labels: builder.build(),
        value,
        timestamp_ms: ms(found.time_unix_nano),
    }
}

#[cfg(test)]
mod tests;
