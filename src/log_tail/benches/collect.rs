//! What it costs to read log files into records, with and without joining their lines: the whole
//! collector, a store that takes everything and keeps nothing.
//!
//! `YAGURA_BENCH_LOGS=DIR` reads the `*.log` files below a folder instead of made ones, and prints
//! the CPU time of the process for each way.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use divan::Bencher;
use divan::counter::BytesCount;
use log_tail::{Config, LogTail, MultilineRule, ReadRule};
use model::{Checkpoint, Labels, LogBatch, LogSink, StoreError, StreamId};
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const LINES: usize = 100_000;

fn main() {
    if let Ok(folder) = std::env::var("YAGURA_BENCH_LOGS") {
        for joined in [false, true, false, true] {
            let before = cpu_ms();
            let records = read(Path::new(&folder), joined);
            // A measurement for people, not a log.
            #[allow(clippy::print_stdout)]
            {
                println!(
                    "joined: {joined}, {records} records, {} ms of CPU",
                    cpu_ms() - before
                );
            }
        }
        return;
    }
    divan::main();
}

/// CPU time of this process so far, user and system, in the kernel's ticks of 10 ms.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse().ok())
        .collect();
    fields.iter().sum::<u64>() * 10
}

/// Counts what it is given.
#[derive(Default)]
struct Nowhere {
    records: AtomicU64,
}

impl LogSink for Nowhere {
    fn open_stream(&self, _: &Labels) -> Result<StreamId, StoreError> {
        Ok(StreamId(0))
    }

    fn append(&self, batch: &LogBatch) -> Result<(), StoreError> {
        self.records
            .fetch_add(batch.lines.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn committed_checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        Ok(Vec::new())
    }

    fn committed_checkpoint(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
}

/// Reads all files below a folder; returns how many records they are.
fn read(folder: &Path, joined: bool) -> u64 {
    let glob = format!("{}/**/*.log", folder.display());
    let config = Config {
        globs: vec![glob.clone()],
        read: vec![ReadRule {
            files: vec![glob],
            multiline: Some(MultilineRule {
                built_in: joined,
                ..MultilineRule::default()
            }),
            ..ReadRule::default()
        }],
        ..Config::default()
    };
    let sink = Arc::new(Nowhere::default());
    let metrics = log_tail::Metrics::new(&mut Registry::default());
    let tail = LogTail::new(config, sink.clone(), metrics).expect("a collector");
    let cancel = CancellationToken::new();
    std::thread::scope(|scope| {
        scope.spawn(|| tail.run(&cancel));
        loop {
            std::thread::sleep(std::time::Duration::from_millis(2));
            let sources = tail.sources();
            let all = tail.summary().n_files;
            let read = |source: &model::LogSource| source.bytes_read > 0 && source.lag_bytes == 0;
            if sources.len() == all && sources.iter().all(read) {
                cancel.cancel();
                break;
            }
        }
    });
    sink.records.load(Ordering::Relaxed)
}

/// Lines in CRI's envelope: JSON, text, and text with a trace now and then.
fn lines(kind: &str) -> String {
    let mut text = String::new();
    for n in 0..LINES {
        let at = "2026-03-01T10:00:00.123456789Z stdout F";
        let _ = match kind {
            "json" => writeln!(
                text,
                r#"{at} {{"level":"info","ts":"2026-03-01T10:00:00.123Z","msg":"request served","path":"/api/items/{n}","took_ms":{}}}"#,
                n % 977
            ),
            _ if kind == "traces" && n % 50 < 20 => match n % 50 {
                0 => writeln!(text, "{at} java.lang.IllegalStateException: number {n}"),
                _ => writeln!(text, "{at} \tat com.acme.shop.Order.create(Order.java:{n})"),
            },
            _ => writeln!(
                text,
                "{at} 2026-03-01 10:00:00.123 INFO  [main] c.a.shop.Order : order {n} was created in {} ms",
                n % 977
            ),
        };
    }
    text
}

fn bench(bencher: Bencher<'_, '_>, kind: &str, joined: bool) {
    let text = lines(kind);
    let folder = || {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::write(folder.path().join("a.log"), &text).expect("a log file");
        folder
    };
    bencher
        .counter(BytesCount::of_str(&text))
        .with_inputs(folder)
        .bench_local_refs(|folder| read(folder.path(), joined));
}

#[divan::bench(args = ["json", "text", "traces"], sample_count = 5)]
fn each_line(bencher: Bencher<'_, '_>, kind: &str) {
    bench(bencher, kind, false);
}

#[divan::bench(args = ["json", "text", "traces"], sample_count = 5)]
fn joined(bencher: Bencher<'_, '_>, kind: &str) {
    bench(bencher, kind, true);
}
