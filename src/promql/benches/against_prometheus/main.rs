//! Needs the program `prometheus`: CPU time of the same queries over the same data here and there.
//!
//! `cargo bench -p promql --bench against_prometheus -- [HOURS]`: 20,000 series scraped every
//! 15 s for some hours (6), in a metric store of ours and, through remote write, in Prometheus.
//! Then the bars: the query of 13,700 series at most 0.25 CPU s and 0.2 × Prometheus; a hundred
//! queries as dashboards and rules ask them 0.25 × in total and none slower; the same ones asked
//! for one instant 0.5 ×. Missed bars are said, and the bench ends with 1.
//!
//! Ours is what the engine and the store take. Theirs holds HTTP and JSON too, which is little
//! where answers are aggregated as here. CPU time is user and system of the whole process, in
//! hundredths of a second, so a query is asked until that says something.

#![allow(clippy::print_stdout, reason = "a bench says what it measured")]

use std::process::ExitCode;
use std::sync::Arc;

use metric_store::{Config, MetricStore, Metrics};
use model::{Labels, SampleSink, Samples, Scrape};
use prometheus_client::registry::Registry;
use promql::{Context, Engine, Options};

#[path = "../../tests/against_prometheus/prometheus.rs"]
mod prometheus;
mod queries;
mod series;

use prometheus::{Prometheus, cpu_seconds};
use queries::{LARGE, mix};
use series::{SCRAPE_MS, Series, T0};

/// A query is asked again until it took so much CPU time, or so often.
const ENOUGH_SECONDS: f64 = 0.15;
const TIMES_MAX: usize = 12;

/// What the clock of the system cannot tell apart.
const TICK_SECONDS: f64 = 0.01;

fn main() -> ExitCode {
    let hours = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(6);
    let Some(prometheus) = Prometheus::start("bench") else {
        return ExitCode::SUCCESS;
    };
    let series = series::all();
    let end_ms = T0 + hours * 3_600_000;
    let dir = tempfile::tempdir().expect("a folder");
    let store = fill(dir.path(), &series, end_ms);
    for from in (T0..end_ms).step_by(1_800_000) {
        let slice: Vec<(Labels, Samples)> = series
            .iter()
            .map(|series| {
                (
                    series.labels.clone(),
                    series.samples(from, from + 1_800_000),
                )
            })
            .collect();
        prometheus.write(&slice);
    }
    println!("{} series, {hours} h", series.len());
    let bench = Bench {
        prometheus,
        engine: Engine::new(Options::default()),
        store,
        start_ms: T0 + 7_000,
        end_ms: end_ms - 53_000,
    };
    let mut missed = Vec::new();
    let (ours, theirs) = bench.compare(LARGE, true);
    tell("13,700 series, range", ours, theirs);
    if ours > 0.25 || ours > 0.2 * theirs {
        missed.push("the large query".to_owned());
    }
    for (is_range, share) in [(true, 0.25), (false, 0.5)] {
        let kind = if is_range { "range" } else { "instant" };
        let (mut sum_ours, mut sum_theirs) = (0.0, 0.0);
        let queries = mix();
        for query in &queries {
            let (ours, theirs) = bench.compare(query, is_range);
            sum_ours += ours;
            sum_theirs += theirs;
            if ours > theirs + TICK_SECONDS {
                tell(query, ours, theirs);
                missed.push(format!("{kind} {query}"));
            } else if std::env::var_os("EACH").is_some() {
                tell(query, ours, theirs);
            }
        }
        tell(
            &format!("{} queries, {kind}", queries.len()),
            sum_ours,
            sum_theirs,
        );
        if sum_ours > share * sum_theirs {
            missed.push(format!("all {kind} queries together"));
        }
    }
    if missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("MISSED\n{}", missed.join("\n"));
    ExitCode::FAILURE
}

fn tell(what: &str, ours: f64, theirs: f64) {
    let ratio = ours / theirs.max(TICK_SECONDS / TIMES_MAX as f64);
    println!("{ours:8.4} s  {theirs:8.4} s  {ratio:5.2} ×  {what}");
}

/// A store with the series, all but the newest samples sealed.
fn fill(dir: &std::path::Path, series: &[Series], end_ms: i64) -> MetricStore {
    let config = Config {
        memory_bytes_max: 1 << 30,
        ..Config::default()
    };
    let metrics = Metrics::new(&mut Registry::default());
    let store = MetricStore::open(dir, config, metrics, T0).expect("opens");
    let target = store.open_target("bench").expect("opens");
    let slots: Vec<_> = series
        .iter()
        .map(|series| store.open_slot(target, &series.labels).expect("opens"))
        .collect();
    for (row, time) in (T0..end_ms).step_by(SCRAPE_MS as usize).enumerate() {
        let values = slots.iter().zip(series);
        let samples: Vec<_> = values
            .map(|(slot, series)| (*slot, series.value(row)))
            .collect();
        let scrape = Scrape {
            target,
            timestamp_ms: time,
            samples: &samples,
        };
        store.append(scrape).expect("appends");
        if row % 40 == 0 {
            store.maintain(time).expect("maintains");
        }
    }
    store.sync().expect("syncs");
    store
}

/// Both, with the same data.
struct Bench {
    prometheus: Prometheus,
    engine: Engine,
    store: MetricStore,
    start_ms: i64,
    end_ms: i64,
}

impl Bench {
    /// CPU seconds of one run of a query, ours and theirs.
    fn compare(&self, query: &str, is_range: bool) -> (f64, f64) {
        let us = std::process::id();
        let ours = measured(us, || self.ask_ours(query, is_range));
        let theirs = measured(self.prometheus.id(), || self.ask_theirs(query, is_range));
        (ours, theirs)
    }

    fn ask_ours(&self, query: &str, is_range: bool) {
        let (engine, context) = (&self.engine, Context::default());
        let answer = if is_range {
            engine.range(
                &self.store,
                query,
                self.start_ms,
                self.end_ms,
                60_000,
                &context,
            )
        } else {
            engine.instant(&self.store, query, self.end_ms, &context)
        };
        let answer = answer.unwrap_or_else(|error| panic!("{query}: {error}"));
        std::hint::black_box(Arc::new(answer));
    }

    fn ask_theirs(&self, query: &str, is_range: bool) {
        let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
        let (start, end) = (seconds(self.start_ms), seconds(self.end_ms));
        let answer = if is_range {
            let range = [
                ("query", query),
                ("start", &start),
                ("end", &end),
                ("step", "60"),
            ];
            self.prometheus.ask("query_range", &range)
        } else {
            self.prometheus
                .ask("query", &[("query", query), ("time", &end)])
        };
        let answer = answer.expect("it answers");
        assert_eq!(answer["status"], "success", "{query}: {answer}");
    }
}

/// CPU seconds of a process for one call: of many, where one is too short to be measured.
fn measured(process: u32, ask: impl Fn()) -> f64 {
    ask();
    let before = cpu_seconds(process);
    let mut times = 0;
    while times < TIMES_MAX && cpu_seconds(process) - before < ENOUGH_SECONDS {
        ask();
        times += 1;
    }
    (cpu_seconds(process) - before) / times as f64
}
