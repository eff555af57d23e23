//! Prometheus' remote read: what comes back, read as a client reads it.

#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with other tests, which use more of it"
)]
mod fixture;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use fixture::House;
use model::{Buckets, Histogram, Labels};
use promql::memory::MemoryReader;
use receive::inflate::{Encoding, inflate};
use serve::Services;
use tower::ServiceExt;
use wire::writer::Writer;
use wire::{Message, crc32c, histogram_chunk, remote, xor};

const NOW_MS: i64 = 1_763_900_000_000;

/// Values by query, labels and time; a histogram's is its count.
type Read = BTreeMap<(u64, String, i64), f64>;

fn histogram(count: f64) -> Arc<Histogram> {
    Arc::new(Histogram {
        count,
        sum: 2.0 * count,
        positive: Buckets::from_pairs([(3, count)]),
        ..Histogram::default()
    })
}

/// A counter of 1000 samples, another series, and one of histograms between floats.
fn series() -> MemoryReader {
    let mut reader = MemoryReader::new();
    let labels = Labels::from_pairs([("__name__", "hits_total"), ("job", "api")]);
    for i in 0..1000 {
        reader.push(&labels, NOW_MS - 15_000 * i, 1000.0 - i as f64);
    }
    let other = Labels::from_pairs([("__name__", "hits_total"), ("job", "db")]);
    reader.push(&other, NOW_MS, -0.5);
    let native = Labels::from_pairs([("__name__", "native")]);
    reader.push(&native, NOW_MS - 3000, 7.0);
    reader.push_histogram(&native, NOW_MS - 2000, histogram(1.0));
    reader.push_histogram(&native, NOW_MS - 1000, histogram(4.0));
    reader.push(&native, NOW_MS, 8.0);
    reader
}

/// A query's start and its matchers, of type, name and value.
type Asked<'a> = (i64, &'a [(u64, &'a str, &'a str)]);

/// A request of some queries.
fn request(queries: &[Asked<'_>], accepted: &[u64]) -> Vec<u8> {
    let mut out = Writer::default();
    for (start_ms, matchers) in queries {
        out.message(1, |query| {
            query.number(1, *start_ms as u64);
            query.number(2, NOW_MS as u64);
            for (kind, name, value) in *matchers {
                query.message(3, |matcher| {
                    matcher.number(1, *kind);
                    matcher.field(2, name.as_bytes());
                    matcher.field(3, value.as_bytes());
                });
            }
        });
    }
    out.packed(2, accepted.iter().copied());
    snap::raw::Encoder::new()
        .compress_vec(out.bytes())
        .expect("packs")
}

async fn send(body: Vec<u8>) -> Response {
    let services = Services {
        series: Arc::new(series()),
        ..fixture::services(House::Busy, NOW_MS)
    };
    let request = Request::post("/api/v1/read")
        .header(header::HOST, "localhost:9849")
        .header(header::CONTENT_ENCODING, "snappy")
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .body(Body::from(body))
        .expect("a request");
    let router = serve::router(Arc::new(services));
    router.oneshot(request).await.expect("routers do not fail")
}

async fn bytes(response: Response) -> Vec<u8> {
    let body = to_bytes(response.into_body(), 64 << 20).await;
    body.expect("a body").to_vec()
}

fn fields(bytes: &[u8]) -> Vec<(u64, wire::Value<'_>)> {
    let mut message = Message::new(bytes);
    let mut fields = Vec::new();
    while let Some(field) = message.next().expect("sound") {
        fields.push(field);
    }
    fields
}

fn labels(series: &[u8]) -> String {
    let own = fields(series).into_iter().filter(|(field, _)| *field == 1);
    let pairs: Vec<(String, String)> = own
        .map(|(_, label)| {
            let parts = fields(label.bytes());
            let text = |i: usize| parts[i].1.text().expect("UTF-8").to_owned();
            (text(0), text(1))
        })
        .collect();
    Labels::from_pairs(pairs).to_string()
}

fn count(sample: &histogram_chunk::Sample) -> f64 {
    match sample {
        histogram_chunk::Sample::Histogram(histogram) => {
            assert_eq!(histogram.sum, 2.0 * histogram.count);
            histogram.count
        }
        histogram_chunk::Sample::Stale => f64::NAN,
    }
}

fn read_samples(body: &[u8]) -> Read {
    let body = inflate(body, Encoding::Snappy, 64 << 20).expect("packed");
    let mut read = Read::new();
    for (query, (_, result)) in fields(&body).into_iter().enumerate() {
        for (_, series) in fields(result.bytes()) {
            let labels = labels(series.bytes());
            for (field, value) in fields(series.bytes()) {
                let (time_ms, value) = match field {
                    2 => remote::read_sample(value.bytes()).expect("sound"),
                    4 => {
                        let (time_ms, sample) =
                            remote::read_histogram(value.bytes()).expect("sound");
                        (time_ms, count(&sample))
                    }
                    _ => continue,
                };
                read.insert((query as u64, labels.clone(), time_ms), value);
            }
        }
    }
    read
}

fn read_chunks(body: &[u8]) -> Read {
    let mut read = Read::new();
    let mut rest = Message::new(body);
    while !rest.rest().is_empty() {
        let length = rest.varint().expect("a length") as usize;
        let (sum, behind) = rest.rest().split_first_chunk::<4>().expect("a checksum");
        let (frame, behind) = behind.split_at(length);
        assert_eq!(crc32c::crc32c(frame), u32::from_be_bytes(*sum));
        rest = Message::new(behind);
        let parts = fields(frame);
        let query = parts.iter().find(|(field, _)| *field == 2);
        let query = query.map_or(0, |(_, query)| query.number());
        let series = parts[0].1.bytes();
        let labels = labels(series);
        for (_, chunk) in fields(series).into_iter().filter(|(field, _)| *field == 2) {
            let chunk = fields(chunk.bytes());
            let (start_ms, end_ms) = (chunk[0].1.number() as i64, chunk[1].1.number() as i64);
            let data = chunk[3].1.bytes();
            let mut take = |time_ms: i64, value: f64| {
                assert!((start_ms..=end_ms).contains(&time_ms));
                read.insert((query, labels.clone(), time_ms), value);
            };
            let encoding = chunk[2].1.number() as u8;
            if encoding == xor::ENCODING {
                xor::read(data, take).expect("sound");
            } else {
                let take = |time_ms, sample: histogram_chunk::Sample| take(time_ms, count(&sample));
                histogram_chunk::read(data, encoding, take).expect("sound");
            }
        }
    }
    read
}

#[tokio::test]
async fn samples_and_chunks_say_the_same() {
    let hits: &[_] = &[(0, "__name__", "hits_total"), (2, "job", "a.*|db")];
    let native: &[_] = &[(0, "__name__", "native"), (1, "job", "x"), (3, "job", "y+")];
    let queries = [(NOW_MS - 15_000 * 900, hits), (NOW_MS - 3000, native)];
    let response = send(request(&queries, &[])).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "snappy");
    let samples = read_samples(&bytes(response).await);
    // Both ends belong to the range.
    assert_eq!(samples.len(), 901 + 1 + 4);
    let at = |query: u64, labels: &str, time_ms: i64| {
        let key = (query, labels.to_owned(), time_ms);
        samples.get(&key).copied()
    };
    let api = r#"hits_total{job="api"}"#;
    assert_eq!(at(0, api, NOW_MS - 15_000 * 900), Some(100.0));
    assert_eq!(at(0, api, NOW_MS), Some(1000.0));
    assert_eq!(at(0, r#"hits_total{job="db"}"#, NOW_MS), Some(-0.5));
    assert_eq!(at(1, "native", NOW_MS - 1000), Some(4.0));

    let response = send(request(&queries, &[1, 0])).await;
    let kind = response.headers()[header::CONTENT_TYPE].to_str();
    assert_eq!(
        kind.expect("text"),
        "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
    );
    assert_eq!(read_chunks(&bytes(response).await), samples);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_in_a_sentence() {
    let bad_regex: &[_] = &[(2, "job", "a(")];
    let unknown: &[_] = &[(9, "job", "a")];
    for (body, expected) in [
        (b"not packed".to_vec(), "snappy"),
        (request(&[(0, bad_regex)], &[]), "regular expression"),
        (request(&[(0, unknown)], &[]), "unknown type 9"),
        (request(&[(0, &[][..]); 65], &[]), "at most 64 queries"),
    ] {
        let response = send(body).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let text = String::from_utf8(bytes(response).await).expect("UTF-8");
        assert!(text.contains(expected), "{text}");
    }
}
