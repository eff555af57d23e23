//! Metrics in JSON: read into the same messages as protobuf is. Numbers of 64 bits come as strings,
//! floats that JSON does not know as words, identifiers in hexadecimal. Unknown members are passed
//! over, as the protocol demands.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{self as common, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    self as otlp, exemplar, exponential_histogram_data_point as exponential, metric,
    number_data_point, summary_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde::Deserialize;

use crate::Refused;
use crate::otlp::json::{Attributes, KeyValue, pairs};
use crate::otlp::value::{Pair, Value};
use crate::pick::Scalar;
use crate::text::Text;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow, default)]
    resource_metrics: Vec<ResourceMetrics<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceMetrics<'a> {
    #[serde(borrow, default)]
    resource: Option<Attributes<'a>>,
    #[serde(borrow, default)]
    scope_metrics: Vec<ScopeMetrics<'a>>,
}

#[derive(Deserialize)]
struct ScopeMetrics<'a> {
    #[serde(borrow, default)]
    metrics: Vec<Metric<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    description: Text<'a>,
    #[serde(borrow, default)]
    unit: Text<'a>,
    #[serde(borrow)]
    gauge: Option<Points<'a>>,
    #[serde(borrow)]
    sum: Option<Points<'a>>,
    #[serde(borrow)]
    histogram: Option<Points<'a>>,
    #[serde(borrow)]
    exponential_histogram: Option<Points<'a>>,
    #[serde(borrow)]
    summary: Option<Points<'a>>,
}

/// Whichever kind it is: their members do not contradict each other.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Points<'a> {
    #[serde(rename = "dataPoints", borrow, default)]
    list: Vec<Point<'a>>,
    #[serde(borrow)]
    aggregation_temporality: Option<Scalar<'a>>,
    #[serde(default)]
    is_monotonic: bool,
}

/// A point of whichever kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Point<'a> {
    #[serde(borrow, default)]
    attributes: Vec<KeyValue<'a>>,
    #[serde(borrow)]
    time_unix_nano: Option<Scalar<'a>>,
    #[serde(borrow)]
    flags: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    exemplars: Vec<Exemplar<'a>>,
    #[serde(borrow)]
    as_double: Option<Scalar<'a>>,
    #[serde(borrow)]
    as_int: Option<Scalar<'a>>,
    #[serde(borrow)]
    count: Option<Scalar<'a>>,
    #[serde(borrow)]
    sum: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    bucket_counts: Vec<Scalar<'a>>,
    #[serde(borrow, default)]
    explicit_bounds: Vec<Scalar<'a>>,
    #[serde(borrow)]
    scale: Option<Scalar<'a>>,
    #[serde(borrow)]
    zero_count: Option<Scalar<'a>>,
    #[serde(borrow)]
    zero_threshold: Option<Scalar<'a>>,
    #[serde(borrow)]
    positive: Option<Buckets<'a>>,
    #[serde(borrow)]
    negative: Option<Buckets<'a>>,
    #[serde(borrow, default)]
    quantile_values: Vec<Quantile<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Buckets<'a> {
    #[serde(borrow)]
    offset: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    bucket_counts: Vec<Scalar<'a>>,
}

#[derive(Deserialize)]
struct Quantile<'a> {
    #[serde(borrow)]
    quantile: Option<Scalar<'a>>,
    #[serde(borrow)]
    value: Option<Scalar<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exemplar<'a> {
    #[serde(borrow, default)]
    filtered_attributes: Vec<KeyValue<'a>>,
    #[serde(borrow)]
    time_unix_nano: Option<Scalar<'a>>,
    #[serde(borrow)]
    as_double: Option<Scalar<'a>>,
    #[serde(borrow)]
    as_int: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    trace_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    span_id: Option<Text<'a>>,
}

/// Reads a request.
pub(super) fn decode(body: &[u8]) -> Result<ExportMetricsServiceRequest, Refused> {
    // Deep nesting is refused by the parser itself.
    let request: Request<'_> = serde_json::from_slice(body)
        .map_err(|error| Refused::Bad(format!("the body is no metrics request: {error}")))?;
    let resources = request.resource_metrics.into_iter();
    let resource_metrics = resources.map(|found| otlp::ResourceMetrics {
        resource: found.resource.map(|resource| Resource {
            attributes: attributes(resource.attributes),
            ..Resource::default()
        }),
        scope_metrics: found.scope_metrics.into_iter().map(scope).collect(),
        ..otlp::ResourceMetrics::default()
    });
    Ok(ExportMetricsServiceRequest {
        resource_metrics: resource_metrics.collect(),
    })
}

fn scope(found: ScopeMetrics<'_>) -> otlp::ScopeMetrics {
    otlp::ScopeMetrics {
        metrics: found.metrics.into_iter().map(metric).collect(),
        ..otlp::ScopeMetrics::default()
    }
}

fn metric(found: Metric<'_>) -> otlp::Metric {
    let data = if let Some(data) = found.gauge {
        Some(metric::Data::Gauge(otlp::Gauge {
            data_points: all(data.list, number_point),
        }))
    } else if let Some(data) = found.sum {
        Some(metric::Data::Sum(otlp::Sum {
            aggregation_temporality: temporality(data.aggregation_temporality.as_ref()),
            is_monotonic: data.is_monotonic,
            data_points: all(data.list, number_point),
        }))
    } else if let Some(data) = found.histogram {
        Some(metric::Data::Histogram(otlp::Histogram {
            aggregation_temporality: temporality(data.aggregation_temporality.as_ref()),
            data_points: all(data.list, histogram_point),
        }))
    } else if let Some(data) = found.exponential_histogram {
        Some(metric::Data::ExponentialHistogram(
            otlp::ExponentialHistogram {
                aggregation_temporality: temporality(data.aggregation_temporality.as_ref()),
                data_points: all(data.list, exponential_point),
            },
        ))
    } else {
        found.summary.map(|data| {
            metric::Data::Summary(otlp::Summary {
                data_points: all(data.list, summary_point),
            })
        })
    };
    otlp::Metric {
        name: found.name.0.into_owned(),
        description: found.description.0.into_owned(),
        unit: found.unit.0.into_owned(),
        data,
        ..otlp::Metric::default()
    }
}

fn all<P>(points: Vec<Point<'_>>, read: impl Fn(Point<'_>) -> P) -> Vec<P> {
    points.into_iter().map(read).collect()
}

fn number_point(point: Point<'_>) -> otlp::NumberDataPoint {
    let double = float(point.as_double.as_ref()).map(number_data_point::Value::AsDouble);
    let value =
        double.or_else(|| signed(point.as_int.as_ref()).map(number_data_point::Value::AsInt));
    otlp::NumberDataPoint {
        time_unix_nano: whole(point.time_unix_nano.as_ref()),
        flags: whole(point.flags.as_ref()) as u32,
        value,
        exemplars: point.exemplars.into_iter().map(exemplar).collect(),
        attributes: attributes(point.attributes),
        ..otlp::NumberDataPoint::default()
    }
}

fn histogram_point(point: Point<'_>) -> otlp::HistogramDataPoint {
    let bounds = point.explicit_bounds.iter();
    otlp::HistogramDataPoint {
        time_unix_nano: whole(point.time_unix_nano.as_ref()),
        flags: whole(point.flags.as_ref()) as u32,
        count: whole(point.count.as_ref()),
        sum: float(point.sum.as_ref()),
        bucket_counts: wholes(&point.bucket_counts),
        explicit_bounds: bounds.map(|b| float(Some(b)).unwrap_or(f64::NAN)).collect(),
        exemplars: point.exemplars.into_iter().map(exemplar).collect(),
        attributes: attributes(point.attributes),
        ..otlp::HistogramDataPoint::default()
    }
}

fn exponential_point(point: Point<'_>) -> otlp::ExponentialHistogramDataPoint {
    otlp::ExponentialHistogramDataPoint {
        time_unix_nano: whole(point.time_unix_nano.as_ref()),
        flags: whole(point.flags.as_ref()) as u32,
        count: whole(point.count.as_ref()),
        sum: float(point.sum.as_ref()),
        scale: small(point.scale.as_ref()),
        zero_count: whole(point.zero_count.as_ref()),
        zero_threshold: float(point.zero_threshold.as_ref()).unwrap_or(0.0),
        positive: point.positive.as_ref().map(buckets),
        negative: point.negative.as_ref().map(buckets),
        exemplars: point.exemplars.into_iter().map(exemplar).collect(),
        attributes: attributes(point.attributes),
        ..otlp::ExponentialHistogramDataPoint::default()
    }
}

fn summary_point(point: Point<'_>) -> otlp::SummaryDataPoint {
    let quantiles = point.quantile_values.iter();
    let quantiles = quantiles.map(|found| summary_data_point::ValueAtQuantile {
        quantile: float(found.quantile.as_ref()).unwrap_or(0.0),
        value: float(found.value.as_ref()).unwrap_or(0.0),
    });
    otlp::SummaryDataPoint {
        time_unix_nano: whole(point.time_unix_nano.as_ref()),
        flags: whole(point.flags.as_ref()) as u32,
        count: whole(point.count.as_ref()),
        sum: float(point.sum.as_ref()).unwrap_or(0.0),
        quantile_values: quantiles.collect(),
        attributes: attributes(point.attributes),
        ..otlp::SummaryDataPoint::default()
    }
}

fn buckets(found: &Buckets<'_>) -> exponential::Buckets {
    exponential::Buckets {
        offset: small(found.offset.as_ref()),
        bucket_counts: wholes(&found.bucket_counts),
    }
}

fn exemplar(found: Exemplar<'_>) -> otlp::Exemplar {
    let double = float(found.as_double.as_ref()).map(exemplar::Value::AsDouble);
    otlp::Exemplar {
        time_unix_nano: whole(found.time_unix_nano.as_ref()),
        value: double.or_else(|| signed(found.as_int.as_ref()).map(exemplar::Value::AsInt)),
        trace_id: identifier(found.trace_id.as_ref()),
        span_id: identifier(found.span_id.as_ref()),
        filtered_attributes: attributes(found.filtered_attributes),
    }
}

fn attributes(found: Vec<KeyValue<'_>>) -> Vec<common::KeyValue> {
    pairs(found).into_iter().map(key_value).collect()
}

fn key_value((key, value): Pair<'_>) -> common::KeyValue {
    common::KeyValue {
        key: key.into_owned(),
        value: Some(any(value)),
        ..common::KeyValue::default()
    }
}

fn any(value: Value<'_>) -> common::AnyValue {
    let value = match value {
        Value::Empty => None,
        Value::Text(text) => Some(any_value::Value::StringValue(text.into_owned())),
        Value::Bool(value) => Some(any_value::Value::BoolValue(value)),
        Value::Integer(number) => Some(any_value::Value::IntValue(number)),
        Value::Float(number) => Some(any_value::Value::DoubleValue(number)),
        Value::Bytes(bytes) => Some(any_value::Value::BytesValue(bytes.into_owned())),
        Value::List(values) => Some(any_value::Value::ArrayValue(common::ArrayValue {
            values: values.into_iter().map(any).collect(),
        })),
        Value::Map(pairs) => Some(any_value::Value::KvlistValue(common::KeyValueList {
            values: pairs.into_iter().map(key_value).collect(),
        })),
    };
    common::AnyValue { value }
}

/// An identifier's bytes; none where it is no hexadecimal.
fn identifier(text: Option<&Text<'_>>) -> Vec<u8> {
    let digits = text.map_or(&b""[..], |text| text.as_bytes());
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect::<Option<Vec<u8>>>().unwrap_or_default()
}

fn float(value: Option<&Scalar<'_>>) -> Option<f64> {
    match value? {
        Scalar::Float(number) => Some(*number),
        Scalar::Integer(number) => Some(*number as f64),
        // "NaN", "Infinity", "-Infinity", and numbers that someone has quoted.
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Other => None,
    }
}

fn signed(value: Option<&Scalar<'_>>) -> Option<i64> {
    match value? {
        Scalar::Integer(number) => Some(*number),
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Float(_) | Scalar::Other => None,
    }
}

/// A `uint64`; 0 where there is none, as in protobuf.
fn whole(value: Option<&Scalar<'_>>) -> u64 {
    match value {
        Some(Scalar::Integer(number)) => (*number).max(0) as u64,
        Some(Scalar::Text(text)) => text.parse().unwrap_or(0),
        Some(Scalar::Float(number)) => *number as u64,
        Some(Scalar::Other) | None => 0,
    }
}

fn wholes(values: &[Scalar<'_>]) -> Vec<u64> {
    values.iter().map(|value| whole(Some(value))).collect()
}

/// An `int32`.
fn small(value: Option<&Scalar<'_>>) -> i32 {
    let number = signed(value).unwrap_or(0);
    number.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// By number or by name.
fn temporality(value: Option<&Scalar<'_>>) -> i32 {
    match value {
        Some(Scalar::Text(name)) => otlp::AggregationTemporality::from_str_name(name)
            .map_or_else(|| small(value), |known| known as i32),
        other => small(other),
    }
}
