//! Requests as SDKs and collectors write them; the protobuf by the official messages.

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::push::tests::{NOW_NS, push, shown};
use crate::{Limits, Protocol};

fn value_of(value: any_value::Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn text(text: &str) -> AnyValue {
    value_of(any_value::Value::StringValue(text.to_owned()))
}

fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(value),
        ..KeyValue::default()
    }
}

fn record(after_s: u64, body: AnyValue) -> LogRecord {
    LogRecord {
        time_unix_nano: NOW_NS as u64 + after_s * 1_000_000_000,
        body: Some(body),
        ..LogRecord::default()
    }
}

fn request(
    attributes: Vec<KeyValue>,
    scope: &str,
    log_records: Vec<LogRecord>,
) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource {
                attributes,
                ..Resource::default()
            }),
            scope_logs: vec![ScopeLogs {
                scope: Some(InstrumentationScope {
                    name: scope.to_owned(),
                    ..InstrumentationScope::default()
                }),
                log_records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}

fn decoded(request: &ExportLogsServiceRequest) -> Vec<String> {
    let mut push = push(Protocol::Otlp);
    let body = request.encode_to_vec();
    decode(&mut push, &body, Format::Protobuf, Encoding::Plain).expect("sound");
    shown(&push)
}

#[test]
fn a_record_of_a_pod_with_nothing_but_text_is_its_text() {
    let mut warned = record(0, text("disk is slow"));
    warned.severity_number = 13;
    warned.severity_text = "WARN".to_owned();
    let mut late = record(0, text("an ERROR"));
    late.time_unix_nano = 0;
    late.observed_time_unix_nano = NOW_NS as u64 + 2_000_000_000;
    let attributes = vec![
        pair("service.name", text("checkout")),
        pair("k8s.namespace.name", text("shop")),
        pair("k8s.pod.name", text("checkout-1")),
        pair("k8s.container.name", text("app")),
    ];
    let labels =
        r#"{container="app", namespace="shop", pod="checkout-1", service_name="checkout"}"#;
    assert_eq!(
        decoded(&request(attributes, "", vec![warned, late])),
        [
            format!("{labels} 0 warn disk is slow"),
            format!("{labels} 2 error an ERROR"),
        ]
    );
}

#[test]
fn everything_else_becomes_fields() {
    let mut full = record(1, text("paid"));
    full.severity_number = 9;
    full.severity_text = "NOTE".to_owned();
    full.attributes = vec![
        pair(
            "http.status_code",
            value_of(any_value::Value::IntValue(-200)),
        ),
        pair("ok", value_of(any_value::Value::BoolValue(true))),
        pair("took", value_of(any_value::Value::DoubleValue(0.5))),
        pair("raw", value_of(any_value::Value::BytesValue(vec![1, 2]))),
        pair("message", text("clash")),
        pair(
            "tags",
            value_of(any_value::Value::ArrayValue(ArrayValue {
                values: vec![text("a"), text("b")],
            })),
        ),
    ];
    full.trace_id = vec![0xab; 16];
    full.span_id = vec![0; 8];
    let attributes = vec![
        pair("host.name", text("h1")),
        pair("telemetry.sdk.language", text("rust")),
    ];
    let line = r#"{"message":"paid","http.status_code":-200,"ok":true,"took":0.5,"raw":"AQI=","attributes.message":"clash","tags":["a","b"],"severity":"NOTE","trace_id":"abababababababababababababababab","scope":"shop.pay","resource":{"telemetry.sdk.language":"rust"}}"#;
    assert_eq!(
        decoded(&request(attributes, "shop.pay", vec![full])),
        [format!(r#"{{host="h1"}} 1 info {line}"#)]
    );
}

#[test]
fn a_structured_body_is_the_line() {
    let body = value_of(any_value::Value::KvlistValue(KeyValueList {
        values: vec![pair("event", text("login")), pair("user", text("ana"))],
    }));
    let mut structured = record(0, body);
    structured.attributes = vec![pair("user", text("other")), pair("ip", text("10.0.0.1"))];
    assert_eq!(
        decoded(&request(Vec::new(), "", vec![structured])),
        [
            r#"{input="otlp"} 0 unknown {"event":"login","user":"ana","attributes.user":"other","ip":"10.0.0.1"}"#
        ]
    );
}

#[test]
fn the_json_form_gives_the_same() {
    let body = br#"{"resourceLogs":[{"resource":{"attributes":[
        {"key":"service.name","value":{"stringValue":"checkout"}},
        {"key":"process.pid","value":{"intValue":"42"}}]},
      "scopeLogs":[{"scope":{"name":"s"},"unknown":1,"logRecords":[
        {"timeUnixNano":"1772359201000000000","severityNumber":17,"severityText":"Error",
         "body":{"stringValue":"it \"broke\""},
         "attributes":[{"key":"n","value":{"intValue":7}},{"key":"d","value":{"doubleValue":1.5}},
           {"key":"m","value":{"kvlistValue":{"values":[{"key":"x","value":{"boolValue":false}}]}}},
           {"key":"l","value":{"arrayValue":{"values":[{"stringValue":"a"}]}}}],
         "traceId":"5b8efff798038103d269b633813fc60c","spanId":"0000000000000000"},
        {"observedTimeUnixNano":1772359202000000000,"severityNumber":"SEVERITY_NUMBER_DEBUG2",
         "body":{"stringValue":"plain"}}]}]}]}"#;
    let mut push = push(Protocol::Otlp);
    decode(&mut push, body, Format::Json, Encoding::Plain).expect("sound");
    let tail = r#""scope":"s","resource":{"process.pid":42}}"#;
    assert_eq!(
        shown(&push),
        [
            format!(
                r#"{{service_name="checkout"}} 1 error {{"message":"it \"broke\"","n":7,"d":1.5,"m":{{"x":false}},"l":["a"],"trace_id":"5b8efff798038103d269b633813fc60c",{tail}"#
            ),
            format!(r#"{{service_name="checkout"}} 2 debug {{"message":"plain",{tail}"#),
        ]
    );
}

#[test]
fn a_resource_with_bad_labels_is_a_partial_success() {
    let limits = Limits {
        label_value_bytes_max: 8,
        ..Limits::default()
    };
    let mut push = crate::push::tests::push_within(Protocol::Otlp, limits);
    let long = vec![pair("service.name", text("a name that is too long"))];
    let mut both = request(long, "", vec![record(0, text("a")), record(0, text("b"))]);
    let fine = request(Vec::new(), "", vec![record(0, text("c"))]);
    both.resource_logs.extend(fine.resource_logs);
    let body = both.encode_to_vec();
    decode(&mut push, &body, Format::Protobuf, Encoding::Plain).expect("partly");
    assert_eq!(push.lines(), 1);

    let answer = answer(Format::Protobuf, push.rejected());
    let answer = ExportLogsServiceResponse::decode(&answer[..]).expect("a response");
    let partial = answer.partial_success.expect("partial");
    assert_eq!(partial.rejected_log_records, 2);
    assert!(
        partial.error_message.contains("service_name"),
        "{partial:?}"
    );
}

#[test]
fn answers_are_what_exporters_expect() {
    assert_eq!(answer(Format::Json, None), b"{}");
    assert_eq!(answer(Format::Protobuf, None), b"");
    let partial = String::from_utf8(answer(Format::Json, Some((3, "why")))).expect("JSON");
    assert_eq!(
        partial,
        r#"{"partialSuccess":{"errorMessage":"why","rejectedLogRecords":"3"}}"#
    );
    let full = Refused::Full("full".to_owned());
    let status = refusal(Format::Json, &full);
    assert_eq!(status, br#"{"code":8,"message":"full"}"#);
    assert_eq!(refusal(Format::Protobuf, &full), b"\x08\x08\x12\x04full");
}

#[test]
fn endless_nesting_is_refused() {
    let mut value = text("x");
    for _ in 0..100 {
        value = value_of(any_value::Value::ArrayValue(ArrayValue {
            values: vec![value],
        }));
    }
    let body = request(Vec::new(), "", vec![record(0, value)]).encode_to_vec();
    let refused = decode(
        &mut push(Protocol::Otlp),
        &body,
        Format::Protobuf,
        Encoding::Plain,
    );
    assert!(matches!(refused, Err(Refused::Bad(_))), "{refused:?}");
    let open = r#"{"arrayValue":{"values":["#.repeat(200);
    let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{open}"#);
    let refused = decode(
        &mut push(Protocol::Otlp),
        body.as_bytes(),
        Format::Json,
        Encoding::Plain,
    );
    assert!(matches!(refused, Err(Refused::Bad(_))), "{refused:?}");
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = proto::decode(&mut push(Protocol::Otlp), &bytes);
        let _ = json::decode(&mut push(Protocol::Otlp), &bytes);
    }

    #[test]
    fn a_damaged_request_never_panics(at in 0usize..120, to in any::<u8>()) {
        let attributes = vec![pair("service.name", text("a")), pair("x", text("b"))];
        let mut bytes = request(attributes, "s", vec![record(0, text("c"))]).encode_to_vec();
        if let Some(byte) = bytes.get_mut(at) {
            *byte = to;
        }
        let _ = proto::decode(&mut push(Protocol::Otlp), &bytes);
    }
}
