//! Requests as OpenTelemetry's own types write them.

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets as OtlpBuckets;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Histogram, ResourceMetrics, ScopeMetrics,
    Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::*;
use crate::samples::tests::{NOW_MS, Store, receiver};

fn attribute(key: &str, text: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(text.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn request(name: &str, unit: &str, data: metric::Data) -> Vec<u8> {
    let metric = Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: "What?".to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    let resource = Resource {
        attributes: vec![
            attribute("service.name", "shop"),
            attribute("service.namespace", "prod"),
            attribute("service.instance.id", "i1"),
            attribute("host.name", "h"),
        ],
        ..Resource::default()
    };
    let scope = ScopeMetrics {
        metrics: vec![metric],
        ..ScopeMetrics::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![scope],
            ..ResourceMetrics::default()
        }],
    }
    .encode_to_vec()
}

fn sum(value: f64, time_ms: i64, temporality: i32) -> metric::Data {
    metric::Data::Sum(Sum {
        data_points: vec![NumberDataPoint {
            attributes: vec![attribute("http.method", "GET")],
            time_unix_nano: time_ms as u64 * 1_000_000,
            value: Some(number_data_point::Value::AsDouble(value)),
            ..NumberDataPoint::default()
        }],
        aggregation_temporality: temporality,
        is_monotonic: true,
    })
}

fn send(receiver: &SampleReceiver, body: &[u8]) -> Written {
    let sent = receiver.otlp(body, Format::Protobuf, Encoding::Plain, NOW_MS);
    sent.expect("taken")
}

fn values(store: &Store, name: &str) -> Vec<f64> {
    let floats = store.floats().into_iter();
    floats
        .filter(|(series, ..)| series == name)
        .map(|(.., v)| v)
        .collect()
}

#[test]
fn a_sum_becomes_a_counter_with_its_target() {
    let (store, receiver) = receiver();
    let written = send(
        &receiver,
        &request("http.requests", "", sum(5.0, NOW_MS, 2)),
    );
    assert_eq!((written.samples, written.rejected), (2, 0));
    let counter = r#"http_requests_total{http_method="GET", instance="i1", job="prod/shop"}"#;
    assert_eq!(values(&store, counter), [5.0]);
    let info = r#"target_info{host_name="h", instance="i1", job="prod/shop"}"#;
    assert_eq!(values(&store, info), [1.0]);
    let inner = store.0.lock();
    assert_eq!(
        inner.families["http_requests_total"].kind,
        MetricKind::Counter
    );
}

#[test]
fn deltas_are_added_up_and_known_when_they_come_again() {
    let (store, receiver) = receiver();
    for (value, time_ms) in [
        (5.0, NOW_MS),
        (3.0, NOW_MS + 1),
        (3.0, NOW_MS + 1),
        (1.0, NOW_MS + 2),
    ] {
        send(&receiver, &request("a", "", sum(value, time_ms, 1)));
    }
    let counter = r#"a_total{http_method="GET", instance="i1", job="prod/shop"}"#;
    assert_eq!(values(&store, counter), [5.0, 8.0, 9.0]);
}

#[test]
fn deltas_that_the_store_could_not_write_count_when_they_come_again() {
    let (store, receiver) = receiver();
    send(&receiver, &request("a", "", sum(5.0, NOW_MS, 1)));
    let later = request("a", "", sum(3.0, NOW_MS + 1, 1));
    for _ in 0..2 {
        store.0.lock().full = true;
        let refused = receiver.otlp(&later, Format::Protobuf, Encoding::Plain, NOW_MS);
        assert!(matches!(refused, Err(Refused::Full(_))), "{refused:?}");
    }
    store.0.lock().full = false;
    send(&receiver, &later);
    let counter = r#"a_total{http_method="GET", instance="i1", job="prod/shop"}"#;
    assert_eq!(values(&store, counter), [5.0, 8.0]);
}

#[test]
fn json_says_the_same_as_protobuf() {
    let body = format!(
        r#"{{"resourceMetrics": [{{
            "resource": {{"attributes": [
                {{"key": "service.name", "value": {{"stringValue": "shop"}}}},
                {{"key": "replicas", "value": {{"intValue": "3"}}}}
            ]}},
            "scopeMetrics": [{{"scope": {{"name": "x"}}, "unknown": [1], "metrics": [
                {{"name": "a", "sum": {{
                    "aggregationTemporality": "AGGREGATION_TEMPORALITY_DELTA",
                    "isMonotonic": true,
                    "dataPoints": [{{"asInt": "7", "timeUnixNano": "{t}"}}]
                }}}},
                {{"name": "b", "gauge": {{
                    "dataPoints": [{{"asDouble": "NaN", "timeUnixNano": {t}}}]
                }}}},
                {{"name": "c", "unit": "s", "histogram": {{
                    "aggregationTemporality": 2,
                    "dataPoints": [{{
                        "timeUnixNano": "{t}", "count": "3", "sum": 2.5,
                        "bucketCounts": ["1", 2], "explicitBounds": [0.5],
                        "exemplars": [{{"asDouble": 0.25, "timeUnixNano": "{t}",
                            "traceId": "ab01"}}]
                    }}]
                }}}},
                {{"name": "d", "exponentialHistogram": {{
                    "aggregationTemporality": 2,
                    "dataPoints": [{{
                        "timeUnixNano": "{t}", "count": 1, "sum": 1, "scale": 3,
                        "positive": {{"offset": 4, "bucketCounts": ["1"]}}
                    }}]
                }}}},
                {{"name": "e", "summary": {{"dataPoints": [{{
                    "timeUnixNano": "{t}", "count": "2", "sum": 4,
                    "quantileValues": [{{"quantile": 0.5, "value": 1.5}}]
                }}]}}}}
            ]}}]
        }}]}}"#,
        t = NOW_MS as u64 * 1_000_000
    );
    let (store, receiver) = receiver();
    let written = receiver
        .otlp(body.as_bytes(), Format::Json, Encoding::Plain, NOW_MS)
        .expect("taken");
    assert_eq!((written.histograms, written.rejected), (1, 0));
    for (series, expected) in [
        (r#"a_total{job="shop"}"#, 7.0),
        (r#"c_seconds_bucket{job="shop", le="0.5"}"#, 1.0),
        (r#"c_seconds_bucket{job="shop", le="+Inf"}"#, 3.0),
        (r#"c_seconds_sum{job="shop"}"#, 2.5),
        (r#"e{job="shop", quantile="0.5"}"#, 1.5),
        (r#"target_info{job="shop", replicas="3"}"#, 1.0),
    ] {
        assert_eq!(values(&store, series), [expected], "{series}");
    }
    assert!(values(&store, r#"b{job="shop"}"#)[0].is_nan());
    let inner = store.0.lock();
    let exemplar = &inner.exemplars[0].1;
    assert_eq!(exemplar.labels.get("trace_id"), Some("ab01"));
    let native: Vec<_> = inner.histograms.values().collect();
    let buckets: Vec<_> = native[0].positive.iter().collect();
    assert_eq!(buckets, [(5, 1.0)]);
}

#[test]
fn a_histogram_becomes_buckets() {
    let (store, receiver) = receiver();
    let point = HistogramDataPoint {
        time_unix_nano: NOW_MS as u64 * 1_000_000,
        count: 6,
        sum: Some(9.5),
        explicit_bounds: vec![0.5, 10.0],
        bucket_counts: vec![1, 2, 3],
        exemplars: vec![otlp::Exemplar {
            trace_id: vec![0xab, 1],
            value: Some(otlp::exemplar::Value::AsDouble(7.0)),
            ..otlp::Exemplar::default()
        }],
        ..HistogramDataPoint::default()
    };
    let data = metric::Data::Histogram(Histogram {
        data_points: vec![point],
        aggregation_temporality: 2,
    });
    send(&receiver, &request("latency", "s", data));
    let of = |le: &str| {
        format!(r#"latency_seconds_bucket{{instance="i1", job="prod/shop", le="{le}"}}"#)
    };
    for (le, expected) in [("0.5", 1.0), ("10", 3.0), ("+Inf", 6.0)] {
        assert_eq!(values(&store, &of(le)), [expected], "{le}");
    }
    let sum = r#"latency_seconds_sum{instance="i1", job="prod/shop"}"#;
    assert_eq!(values(&store, sum), [9.5]);
    let inner = store.0.lock();
    assert_eq!(inner.exemplars[0].0, of("10"));
    assert_eq!(inner.exemplars[0].1.labels.get("trace_id"), Some("ab01"));
}

#[test]
fn an_exponential_histogram_becomes_a_native_one() {
    let (store, receiver) = receiver();
    let data = |temporality, scale| {
        metric::Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![ExponentialHistogramDataPoint {
                time_unix_nano: NOW_MS as u64 * 1_000_000,
                count: 7,
                sum: Some(3.0),
                scale,
                zero_count: 1,
                positive: Some(OtlpBuckets {
                    offset: -1,
                    bucket_counts: vec![1, 0, 2, 3],
                }),
                ..ExponentialHistogramDataPoint::default()
            }],
            aggregation_temporality: temporality,
        })
    };
    let written = send(&receiver, &request("fine", "", data(2, 9)));
    assert_eq!((written.histograms, written.rejected), (1, 0));
    let inner = store.0.lock();
    let found = inner.histograms.values().next().expect("one");
    assert_eq!(found.schema, 8);
    // -1, 0, 1, 2 halved: -1, 0, 0, 1; and numbered from the other end.
    let buckets: Vec<_> = found.positive.iter().collect();
    assert_eq!(buckets, [(0, 1.0), (1, 2.0), (2, 3.0)]);
}

#[test]
fn deltas_of_exponential_histograms_are_added_up() {
    let (store, receiver) = receiver();
    let delta = |time_ms: i64, scale, counts: &[u64]| {
        let data = metric::Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![ExponentialHistogramDataPoint {
                time_unix_nano: time_ms as u64 * 1_000_000,
                count: counts.iter().sum::<u64>() + 1,
                sum: Some(3.0),
                scale,
                zero_count: 1,
                positive: Some(OtlpBuckets {
                    offset: 0,
                    bucket_counts: counts.to_vec(),
                }),
                ..ExponentialHistogramDataPoint::default()
            }],
            aggregation_temporality: 1,
        });
        request("d", "", data)
    };
    let newest = || {
        let inner = store.0.lock();
        let found = inner.histograms.iter().max_by_key(|((_, time), _)| *time);
        found.expect("one").1.clone()
    };
    let first = delta(NOW_MS, 3, &[1, 2]);
    send(&receiver, &first);
    // It comes again: its sender had no answer.
    send(&receiver, &first);
    assert_eq!((newest().count, newest().zero_count), (4.0, 1.0));
    send(&receiver, &delta(NOW_MS + 1, 3, &[0, 1, 4]));
    let total = newest();
    assert_eq!((total.schema, total.count, total.sum), (3, 10.0, 6.0));
    let buckets: Vec<_> = total.positive.iter().collect();
    assert_eq!(buckets, [(1, 1.0), (2, 3.0), (3, 4.0)]);
    // The store is full: the delta counts once, when it comes again.
    let third = delta(NOW_MS + 2, 2, &[5]);
    store.0.lock().full = true;
    let refused = receiver.otlp(&third, Format::Protobuf, Encoding::Plain, NOW_MS);
    assert!(matches!(refused, Err(Refused::Full(_))), "{refused:?}");
    store.0.lock().full = false;
    send(&receiver, &third);
    // The coarser resolution stays: two buckets at a time are one.
    let total = newest();
    assert_eq!((total.schema, total.count), (2, 16.0));
    let buckets: Vec<_> = total.positive.iter().collect();
    assert_eq!(buckets, [(1, 9.0), (2, 4.0)]);
    total.check().expect("sound");
    // More buckets than are kept make it coarser still.
    send(&receiver, &delta(NOW_MS + 3, 2, &vec![1; 800]));
    let total = newest();
    assert!(total.schema < 2 && total.positive.counts.len() <= 320);
    total.check().expect("sound");
}

proptest::proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let (_, receiver) = receiver();
        for format in [Format::Protobuf, Format::Json] {
            let _ = receiver.otlp(&bytes, format, Encoding::Plain, NOW_MS);
        }
    }
}
