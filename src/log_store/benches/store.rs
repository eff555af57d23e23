//! What taking, sealing and finding lines costs: `cargo bench -p log_store`.
//!
//! The corpus is made here, 8 MB of JSON, logfmt and plain lines with times, identifiers and
//! numbers in them. Throughput is bytes of text.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::BytesCount;
use log_query::{Direction, LogReader, Query, Search, Stop};
use log_store::{Config, LogStore, Metrics};
use model::{Labels, Level, LogBatch, LogSink};
use prometheus_client::registry::Registry;

const NOW: i64 = 1_795_305_600_000_000_000;
const STREAMS: usize = 8;
const TEXT_BYTES: usize = 8 << 20;

fn main() {
    divan::main();
}

/// A generator of numbers that is the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % below
    }
}

fn line(i: u64, numbers: &mut Numbers) -> (Level, String) {
    let (status, id, took) = (
        [200, 200, 200, 404, 500][numbers.next(5) as usize],
        numbers.next(u64::from(u32::MAX)) << 20 | i,
        numbers.next(100_000),
    );
    let level = if status == 500 {
        Level::Error
    } else {
        Level::Info
    };
    let second = i / 100 % 60;
    let text = match i % 3 {
        0 => format!(
            "{{\"level\":\"{level}\",\"ts\":\"2026-11-22T00:00:{second:02}.{:03}Z\",\"msg\":\"request completed\",\"path\":\"/api/v1/orders/{}\",\"status\":{status},\"latency_ms\":{}.{:03},\"trace_id\":\"{id:016x}\"}}",
            i % 1000,
            took * 7,
            took / 1000,
            took % 1000
        ),
        1 => format!(
            "level={level} caller=compact.go:{} component=tsdb msg=\"write block\" id={id:016x} duration={took}ms",
            400 + took % 90
        ),
        _ => format!(
            "2026-11-22 00:00:{second:02},{:03} {level} [worker-{}] connection to 10.0.{}.{} refused after {took} attempts",
            i % 1000,
            i % 20,
            took % 250,
            id % 250
        ),
    };
    (level, text)
}

fn batches(store: &LogStore) -> Vec<LogBatch> {
    let mut numbers = Numbers(1);
    let streams: Vec<_> = (0..STREAMS)
        .map(|i| {
            let labels = Labels::from_pairs([
                ("namespace", "shop".to_owned()),
                ("pod", format!("pod-{i}")),
            ]);
            store.open_stream(&labels).expect("a stream")
        })
        .collect();
    let mut all = Vec::new();
    let mut batch = LogBatch::default();
    let (mut i, mut bytes) = (0u64, 0);
    while bytes < TEXT_BYTES {
        let (level, text) = line(i, &mut numbers);
        bytes += text.len();
        // A stream is of one kind, as real ones are.
        let stream = streams[(i % 3 + i / 3 % 2 * 3) as usize];
        batch.push(stream, NOW + i as i64 * 1_000_000, level, text.as_bytes());
        if batch.text.len() > 256 << 10 {
            all.push(std::mem::take(&mut batch));
        }
        i += 1;
    }
    all.push(batch);
    all
}

fn open(folder: &Path) -> LogStore {
    let metrics = Metrics::new(&mut Registry::default());
    LogStore::open(folder, Config::default(), metrics, NOW).expect("the store opens")
}

#[divan::bench(sample_count = 10)]
fn append(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().expect("a folder");
    bencher
        .counter(BytesCount::new(TEXT_BYTES))
        .with_inputs(|| {
            let store = open(&folder.path().join(fresh_name()));
            let batches = batches(&store);
            (store, batches)
        })
        .bench_values(|(store, batches)| {
            for batch in &batches {
                store.append(batch).expect("appended");
            }
            store
        });
}

#[divan::bench(sample_count = 5)]
fn seal(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().expect("a folder");
    bencher
        .counter(BytesCount::new(TEXT_BYTES))
        .with_inputs(|| filled(&folder.path().join(fresh_name())))
        .bench_values(|store| {
            store.seal().expect("sealed");
            store
        });
}

#[divan::bench(args = [
    "", "refused", "refused \"connection to\"", "trace_id:*", "/refused after 7/", "nothing_has_this",
    "status:500", "level:error",
])]
fn newest_100(bencher: Bencher<'_, '_>, query: &str) {
    find(bencher, query, 100);
}

#[divan::bench(args = ["", "refused", "/attempts$/", "status:>=500"], sample_count = 10)]
fn all(bencher: Bencher<'_, '_>, query: &str) {
    find(bencher, query, usize::MAX);
}

#[divan::bench(args = ["", "level:error", "refused"], sample_count = 10)]
fn histogram(bencher: Bencher<'_, '_>, query: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path());
    store.seal().expect("sealed");
    let search = Search {
        start_ns: NOW,
        end_ns: NOW + 3_600_000_000_000,
        ..search(query, 0)
    };
    bencher.bench(|| {
        store
            .histogram(&search, 60_000_000_000)
            .expect("a histogram")
    });
}

fn find(bencher: Bencher<'_, '_>, query: &str, limit: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path());
    store.seal().expect("sealed");
    let search = search(query, limit);
    bencher.bench(|| {
        store
            .search(&search, &mut |_| ControlFlow::Continue(()))
            .expect("an answer")
    });
}

fn search(query: &str, limit: usize) -> Search {
    Search {
        query: Arc::new(Query::parse(query).expect(query)),
        start_ns: i64::MIN,
        end_ns: i64::MAX,
        direction: Direction::Backward,
        limit,
        after: None,
        stop: Stop::default(),
    }
}

fn filled(folder: &Path) -> LogStore {
    let store = open(folder);
    for batch in batches(&store) {
        store.append(&batch).expect("appended");
    }
    store
}

/// A name that no folder of this run has.
fn fresh_name() -> String {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("store-{n}")
}
