//! What questions to a large store cost, without collector and HTTP:
//! `cargo run --release -p log_store --example corpus -- PODS DATA [QUESTION]`.
//!
//! PODS is a folder like /var/log/pods with lines in CRI format; they are stored in DATA, unless
//! that is there already. The questions are those of `benches/logs.py`; with a text behind, only
//! those whose name holds it are asked. Figures are CPU time of the whole process.

#![allow(clippy::print_stdout, reason = "what an example is for")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use log_query::{Answer, Direction, LogReader, Query, Search, Stop, run};
use log_store::{Config, LogStore, Metrics};
use model::{Labels, Level, LogBatch, LogSink};
use prometheus_client::registry::Registry;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// 2026-11-22T00:00:00Z, where the corpus begins.
const START_NS: i64 = 1_795_305_600_000_000_000;

const CPU_SECONDS: f64 = 1.0;
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds of this process so far.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok());
    (ticks(12).unwrap_or_default() + ticks(13).unwrap_or_default()) / TICKS_PER_SECOND
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "log") {
            out.push(path);
        }
    }
}

fn level_of(text: &[u8]) -> Level {
    let start = String::from_utf8_lossy(text.get(..160).unwrap_or(text));
    let mut words = start.split(|c: char| !c.is_ascii_alphabetic());
    words
        .find_map(|word| word.parse().ok())
        .unwrap_or(Level::Unknown)
}

/// A file on its way into the store.
struct Source {
    stream: model::StreamId,
    bytes: Vec<u8>,
    at: usize,
}

impl Source {
    /// Adds the lines up to a time.
    fn give(&mut self, until_ns: i64, batch: &mut LogBatch) {
        while let Some(rest) = self.bytes.get(self.at..).filter(|rest| !rest.is_empty()) {
            let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            let line = rest.get(..end).unwrap_or_default();
            let mut parts = line.splitn(4, |b| *b == b' ');
            let time = parts.next().unwrap_or_default();
            let time = String::from_utf8_lossy(time);
            let time_ns = model::time::parse_ns(&time, 0).unwrap_or_default();
            if time_ns > until_ns {
                return;
            }
            let text = parts.nth(2).unwrap_or_default();
            batch.push(self.stream, time_ns, level_of(text), text);
            self.at += end + 1;
        }
    }
}

fn fill(store: &LogStore, pods: &Path) {
    let mut paths = Vec::new();
    files(pods, &mut paths);
    let mut sources = Vec::new();
    for path in &paths {
        let names: Vec<String> = path
            .strip_prefix(pods)
            .unwrap_or(path)
            .iter()
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        let mut pod = names.first().map_or("", String::as_str).split('_');
        let labels = Labels::from_pairs([
            ("namespace", pod.next().unwrap_or_default()),
            ("pod", pod.next().unwrap_or_default()),
            ("container", names.get(1).map_or("", String::as_str)),
        ]);
        sources.push(Source {
            stream: store.open_stream(&labels).expect("a stream"),
            bytes: std::fs::read(path).expect("readable"),
            at: 0,
        });
    }
    let before = cpu();
    let quarter_ns = 900_000_000_000;
    for step in 1..=97 {
        let mut batch = LogBatch::default();
        for source in &mut sources {
            source.give(START_NS + step * quarter_ns, &mut batch);
            if batch.text.len() > 1 << 20 {
                store.append(&std::mem::take(&mut batch)).expect("appended");
            }
        }
        store.append(&batch).expect("appended");
        store
            .maintain(START_NS + step * quarter_ns)
            .expect("sealed");
    }
    store.seal().expect("sealed");
    println!("stored in {:.2} CPU s", cpu() - before);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pods, data, more @ ..] = arguments.as_slice() else {
        println!("usage: corpus PODS DATA [QUESTION]");
        return;
    };
    let metrics = Metrics::new(&mut Registry::default());
    let is_there = Path::new(data).exists();
    let store =
        LogStore::open(Path::new(data), Config::default(), metrics, START_NS).expect("the store");
    if !is_there {
        fill(&store, Path::new(pods));
    }
    let end_ns = START_NS + 25 * 3_600_000_000_000;
    for (name, kind, text) in [
        ("rare id", "lines", "cb9349c3fe4ea71d449342d200a5cf67"),
        ("word + namespace", "lines", "completed ns:shop"),
        ("phrase, newest", "lines", "\"connection refused\""),
        ("phrase, count", "1h", "\"connection refused\""),
        ("prefix", "lines", "cb9349c*"),
        ("substring", "lines", "/1d449342d200/"),
        (
            "regex, count",
            "1h",
            r#"/"status":50[34],.*"trace_id":"a[0-9]b/"#,
        ),
        ("errors per minute", "1m", "level:error"),
        ("top 10", "lines", "ns:shop | top 10 status"),
        ("top 10 of many", "lines", "level:error | top 10 path"),
        ("newest 100", "lines", ""),
        ("common word", "1h", "request"),
    ] {
        if more.first().is_some_and(|wanted| !name.contains(wanted)) {
            continue;
        }
        let search = Search {
            query: Arc::new(Query::parse(text).expect(text)),
            start_ns: START_NS,
            end_ns,
            direction: Direction::Backward,
            limit: 100,
            after: None,
            stop: Stop::default(),
        };
        let ask = || match kind {
            "lines" => {
                let mut n = 0;
                let answer = run(&store, &search, &mut |_| {
                    n += 1;
                    ControlFlow::Continue(())
                });
                match answer.expect("an answer") {
                    Answer::Table(table) => table.rows.len() as u64,
                    Answer::Lines(_) => n,
                }
            }
            step => {
                let step_ns = if step == "1m" { 60 } else { 3600 } * 1_000_000_000;
                let buckets = store.histogram(&search, step_ns).expect("an answer");
                buckets.iter().flat_map(|b| b.counts).sum()
            }
        };
        ask();
        let (before, started, mut times) = (cpu(), Instant::now(), 0);
        let mut n = 0;
        while times < 3 || (cpu() - before < CPU_SECONDS && times < 300) {
            n = ask();
            times += 1;
        }
        let each = |seconds: f64| seconds * 1e3 / f64::from(times);
        println!(
            "{name:20} {:8.2} CPU ms {:8.2} ms  {n}",
            each(cpu() - before),
            each(started.elapsed().as_secs_f64())
        );
    }
}
