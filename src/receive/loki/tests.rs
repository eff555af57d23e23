//! Pushes as the agents write them, and as nobody should.

use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::push::tests::{NOW_NS, push, shown};
use crate::{Limits, Protocol};

/// `logproto.PushRequest` by another hand than the decoder's.
#[derive(Clone, PartialEq, Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<StreamAdapter>,
}

#[derive(Clone, PartialEq, Message)]
struct StreamAdapter {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<EntryAdapter>,
    #[prost(uint64, tag = "3")]
    hash: u64,
}

#[derive(Clone, PartialEq, Message)]
struct EntryAdapter {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Timestamp>,
    #[prost(string, tag = "2")]
    line: String,
    #[prost(message, repeated, tag = "3")]
    structured_metadata: Vec<LabelPair>,
}

#[derive(Clone, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

fn entry(after_s: i64, line: &str, metadata: &[(&str, &str)]) -> EntryAdapter {
    EntryAdapter {
        timestamp: Some(Timestamp {
            seconds: NOW_NS / 1_000_000_000 + after_s,
            nanos: 500_000_000,
        }),
        line: line.to_owned(),
        structured_metadata: metadata
            .iter()
            .map(|(name, value)| LabelPair {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            })
            .collect(),
    }
}

fn stream(labels: &str, entries: Vec<EntryAdapter>) -> StreamAdapter {
    StreamAdapter {
        labels: labels.to_owned(),
        entries,
        hash: 7,
    }
}

fn snappy(request: &PushRequest) -> Vec<u8> {
    let mut encoder = snap::raw::Encoder::new();
    encoder
        .compress_vec(&request.encode_to_vec())
        .expect("packs")
}

#[test]
fn a_push_of_promtail_or_alloy() {
    let request = PushRequest {
        streams: vec![
            stream(
                r#"{job="varlogs", filename="/var/log/app.log"}"#,
                vec![
                    entry(-2, "GET /a 200", &[]),
                    entry(-1, "ERROR: it broke", &[("trace_id", "ab12")]),
                ],
            ),
            stream(
                r#"{app="web", level="warn"}"#,
                vec![entry(0, r#"{"msg":"slow"}"#, &[("user", "ana")])],
            ),
        ],
    };
    let mut push = push(Protocol::Loki);
    let body = snappy(&request);
    decode(&mut push, &body, Format::Protobuf, Encoding::Plain).expect("sound");
    let labels = r#"{filename="/var/log/app.log", job="varlogs"}"#;
    assert_eq!(
        shown(&push),
        [
            format!("{labels} -1.5 unknown GET /a 200"),
            format!(r#"{labels} -0.5 error {{"message":"ERROR: it broke","trace_id":"ab12"}}"#),
            r#"{app="web", level="warn"} 0.5 warn {"msg":"slow","user":"ana"}"#.to_owned(),
        ]
    );
    assert_eq!(push.rejected(), None);

    // The same where the header says snappy.
    let mut again = super::super::push::tests::push(Protocol::Loki);
    decode(&mut again, &body, Format::Protobuf, Encoding::Snappy).expect("sound");
    assert_eq!(shown(&again), shown(&push));
}

#[test]
fn a_push_in_json() {
    let body = br#"{"streams":[
        {"stream":{"app":"web"},"values":[
            ["1772359199000000000","a \"quoted\" line"],
            ["1772359200000000000","with metadata",{"trace_id":"ab12","level":"error"}]]},
        {"values":[["1772359201000000000","no labels"]],"stream":{}}]}"#;
    let mut push = push(Protocol::Loki);
    decode(&mut push, body, Format::Json, Encoding::Plain).expect("sound");
    assert_eq!(
        shown(&push),
        [
            r#"{app="web"} -1 unknown a "quoted" line"#,
            r#"{app="web"} 0 error {"message":"with metadata","trace_id":"ab12","level":"error"}"#,
            r#"{input="loki"} 1 unknown no labels"#,
        ]
    );
}

#[test]
fn what_is_bad_is_named_and_the_rest_is_taken() {
    let body = br#"{"streams":[{"stream":{"app":"web"},"values":[
        ["1772359200000000000","good"],["soon","bad"],["1772359200000000000","good too"]]}]}"#;
    let mut half = push(Protocol::Loki);
    decode(&mut half, body, Format::Json, Encoding::Plain).expect("partly sound");
    assert_eq!(half.lines(), 2);
    let (rejected, why) = half.rejected().expect("one");
    assert_eq!(rejected, 1);
    assert!(
        why.starts_with("streams[0].values[1]: the time \"soon\""),
        "{why}"
    );

    let request = PushRequest {
        streams: vec![
            stream("app=web", vec![entry(0, "a", &[]), entry(0, "b", &[])]),
            stream(r#"{app="web"}"#, vec![entry(0, "c", &[])]),
        ],
    };
    let mut half = push(Protocol::Loki);
    decode(
        &mut half,
        &snappy(&request),
        Format::Protobuf,
        Encoding::Plain,
    )
    .expect("partly");
    assert_eq!((half.lines(), half.rejected().map(|r| r.0)), (1, Some(2)));

    let mut none = push(Protocol::Loki);
    let refused = decode(
        &mut none,
        b"{\"streams\":[7]}",
        Format::Json,
        Encoding::Plain,
    );
    let refused = refused.expect_err("bad").to_string();
    assert!(refused.contains("line 1 column"), "{refused}");
}

#[test]
fn content_types() {
    assert_eq!(Format::of(None), Ok(Format::Json));
    let json = Some("application/json; charset=utf-8");
    assert_eq!(Format::of(json), Ok(Format::Json));
    assert_eq!(
        Format::of(Some("application/x-protobuf")),
        Ok(Format::Protobuf)
    );
    assert!(matches!(
        Format::of(Some("text/csv")),
        Err(Refused::Unsupported(_))
    ));
}

#[test]
fn a_request_has_its_bounds() {
    let limits = Limits {
        lines_max: 2,
        ..Limits::default()
    };
    let mut push = crate::push::tests::push_within(Protocol::Loki, limits);
    let entries = vec![entry(0, "a", &[]), entry(0, "b", &[]), entry(0, "c", &[])];
    let request = PushRequest {
        streams: vec![stream(r#"{a="b"}"#, entries)],
    };
    let refused = decode(
        &mut push,
        &snappy(&request),
        Format::Protobuf,
        Encoding::Plain,
    );
    assert!(matches!(refused, Err(Refused::TooLarge(_))), "{refused:?}");
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = proto::decode(&mut push(Protocol::Loki), &bytes);
        let _ = json::decode(&mut push(Protocol::Loki), &bytes);
    }

    #[test]
    fn a_damaged_push_never_panics(at in 0usize..120, to in any::<u8>()) {
        let entries = vec![entry(0, "a line", &[("k", "v")]), entry(1, "another", &[])];
        let request = PushRequest { streams: vec![stream(r#"{a="b", c="d"}"#, entries)] };
        let mut bytes = request.encode_to_vec();
        if let Some(byte) = bytes.get_mut(at) {
            *byte = to;
        }
        let _ = proto::decode(&mut push(Protocol::Loki), &bytes);
    }
}
