//! What reading a push costs: a thousand lines of some 150 bytes, by `cargo bench -p receive`.

use std::sync::Arc;

use divan::Bencher;
use divan::counter::BytesCount;
use model::{Checkpoint, Labels, Level, LogBatch, LogSink, StoreError, StreamId};
use prost::Message;
use receive::inflate::Encoding;
use receive::loki::{self, Format};
use receive::{Config, Metrics, Protocol, Receiver};

fn main() {
    divan::main();
}

#[derive(Clone, PartialEq, Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<Stream>,
}

#[derive(Clone, PartialEq, Message)]
struct Stream {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Timestamp>,
    #[prost(string, tag = "2")]
    line: String,
}

#[derive(Clone, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

const NOW_S: i64 = 1_772_359_200;
const LINES: usize = 1_000;

fn line(n: usize) -> String {
    format!(
        "10.0.{}.{} - - \"GET /api/v1/items/{n} HTTP/1.1\" 200 {} \"https://shop.example/\" \
         \"Mozilla/5.0 (X11; Linux x86_64)\" rt=0.{:03}",
        n % 7,
        n % 251,
        n * 37 % 9_000,
        n * 13 % 1_000
    )
}

fn request() -> PushRequest {
    let entries = |from: usize| {
        (from..from + LINES / 4).map(|n| Entry {
            timestamp: Some(Timestamp {
                seconds: NOW_S,
                nanos: n as i32,
            }),
            line: line(n),
        })
    };
    let streams = (0..4).map(|s| Stream {
        labels: format!(r#"{{namespace="shop", pod="web-{s}", container="web"}}"#),
        entries: entries(s * LINES / 4).collect(),
    });
    PushRequest {
        streams: streams.collect(),
    }
}

fn json() -> Vec<u8> {
    let streams: Vec<String> = (0..4)
        .map(|s| {
            let values: Vec<String> = (0..LINES / 4)
                .map(|n| format!("[\"{NOW_S}{n:09}\",{:?}]", line(s * LINES / 4 + n)))
                .collect();
            format!(
                r#"{{"stream":{{"namespace":"shop","pod":"web-{s}"}},"values":[{}]}}"#,
                values.join(",")
            )
        })
        .collect();
    format!(r#"{{"streams":[{}]}}"#, streams.join(",")).into_bytes()
}

struct Nowhere;

impl LogSink for Nowhere {
    fn open_stream(&self, _: &Labels) -> Result<StreamId, StoreError> {
        Ok(StreamId(0))
    }

    fn append(&self, _: &LogBatch) -> Result<(), StoreError> {
        Ok(())
    }

    fn committed_checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        Ok(Vec::new())
    }

    fn committed_checkpoint(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
}

fn bench(bencher: Bencher<'_, '_>, body: &[u8], format: Format) {
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::open(
        folder.path(),
        Config::default(),
        Arc::new(Nowhere),
        |_| Level::Info,
        Metrics::new(&mut prometheus_client::registry::Registry::default()),
    )
    .expect("opens");
    let text: usize = (0..LINES).map(|n| line(n).len()).sum();
    bencher.counter(BytesCount::new(text)).bench(|| {
        let mut push = receiver.push(Protocol::Loki, NOW_S * 1_000_000_000);
        loki::decode(&mut push, body, format, Encoding::Plain).expect("sound");
        assert_eq!(push.lines(), LINES);
        push
    });
}

#[divan::bench]
fn protobuf(bencher: Bencher<'_, '_>) {
    let body = snap::raw::Encoder::new()
        .compress_vec(&request().encode_to_vec())
        .expect("packs");
    bench(bencher, &body, Format::Protobuf);
}

#[divan::bench]
fn json_body(bencher: Bencher<'_, '_>) {
    bench(bencher, &json(), Format::Json);
}
