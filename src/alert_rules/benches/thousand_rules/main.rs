//! The bar of rule evaluation: 1,000 rules every 15 s over 50,000 series take less than 5 % of
//! one core, which is 0.75 CPU s a round.
//!
//! `cargo bench -p alert_rules --bench thousand_rules`: two hours of a cluster in a metric store
//! of ours (20 nodes, their containers, kube-state-metrics, 80 applications of two instances),
//! none of it sealed, which is the worst that a round meets. Then rounds of a thousand rules, a
//! scrape between them: eleven for each application, as teams write them (rates by labels,
//! quantiles of recorded buckets, comparisons, joins, `absent`), and 120 over the whole cluster.
//! What is measured is all that a round does: asking, moving alerts, writing what was recorded.
//! CPU time is user and system of the whole process. A missed bar is said, and the bench ends
//! with 1. `EACH=1` prints what each kind of rule takes.

#![allow(clippy::print_stdout, reason = "a bench says what it measured")]

mod cluster;
mod rules;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alert_rules::{Group, Languages, PromqlQuery, World, parse};
use metric_store::{Config, MetricStore, Metrics};
use model::{Labels, SampleSink, Scrape};
use prometheus_client::registry::Registry;
use promql::Engine;
use tokio_util::sync::CancellationToken;

use cluster::{SCRAPE_MS, T0, Target};

/// CPU seconds that a round may take: 5 % of 15 s.
const BAR_SECONDS: f64 = 0.75;

const ROUNDS: usize = 8;

/// Rounds that are not counted: the first finds nothing recorded, and opens what it records into.
const WARM_UP: usize = 2;

/// Scrapes before the first round; the last round still ends within the window of two hours.
const SCRAPES: usize = 480 - ROUNDS - WARM_UP;

fn main() -> ExitCode {
    let dir = tempfile::tempdir().expect("a folder");
    let config = Config {
        memory_bytes_max: 1 << 30,
        ..Config::default()
    };
    let metrics = Metrics::new(&mut Registry::default());
    let store = MetricStore::open(dir.path(), config, metrics, T0).expect("opens");
    let mut targets = cluster::open(&store);
    let n_series: usize = targets.iter().map(|target| target.series.len()).sum();
    for row in 0..SCRAPES {
        scrape(&store, &mut targets, row);
    }

    let store = Arc::new(store);
    let query = PromqlQuery::new(
        Arc::new(Engine::default()),
        store.clone(),
        Duration::from_mins(2),
        CancellationToken::new(),
    );
    let languages = Languages {
        metrics: &query,
        logs: &query,
    };
    let loaded = parse("rules.yml", &rules::file(), languages);
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let groups = loaded.groups.into_iter().map(Arc::new);
    let mut groups: Vec<Group> = groups.map(|g| Group::new(g, SCRAPE_MS, false)).collect();
    let started = Instant::now();
    let elapsed = || started.elapsed();
    let no_labels = Labels::empty();
    let world = World {
        languages,
        sink: &*store,
        external_labels: &no_labels,
        external_url: "",
        resend_ms: 60_000,
        for_grace_ms: 600_000,
        outage_tolerance_ms: 3_600_000,
        query_offset_ms: 0,
        elapsed: &elapsed,
    };

    let (mut sum, mut n_rules, mut n_samples) = (0.0, 0, 0);
    for round in 0..WARM_UP + ROUNDS {
        let row = SCRAPES + round;
        scrape(&store, &mut targets, row);
        let now_ms = T0 + row as i64 * SCRAPE_MS + 7_000;
        let before = cpu_seconds();
        (n_rules, n_samples) = (0, 0);
        for group in &mut groups {
            let done = group.evaluate(now_ms, &world);
            assert_eq!(done.failures, 0, "{:?}", group.snapshot());
            n_rules += done.rules;
            n_samples += done.samples;
        }
        if round >= WARM_UP {
            sum += cpu_seconds() - before;
        }
    }
    let mean = sum / ROUNDS as f64;
    println!(
        "{n_rules} rules over {n_series} series: {mean:.3} CPU s a round, which is {:.1} % of a \
         core every 15 s; {n_samples} samples recorded",
        100.0 * mean / 15.0
    );
    if std::env::var_os("EACH").is_some() {
        tell_each(&groups);
    }
    if mean > BAR_SECONDS {
        println!("MISSED: {BAR_SECONDS} CPU s a round");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The next sample of every series.
fn scrape(store: &MetricStore, targets: &mut [Target], row: usize) {
    for target in targets {
        let samples: Vec<_> = target
            .series
            .iter()
            .map(|series| (series.slot, series.value(row)))
            .collect();
        for (nth, samples) in samples.chunks(target.together).enumerate() {
            let scrape = Scrape {
                target: target.id,
                timestamp_ms: T0 + row as i64 * SCRAPE_MS + target.offset_ms + nth as i64 * 37,
                samples,
            };
            store.append(scrape).expect("appends");
        }
    }
    store.sync().expect("syncs");
}

/// How long rules of the same name took in the last round, longest first.
fn tell_each(groups: &[Group]) {
    let mut of: BTreeMap<String, (usize, Duration)> = BTreeMap::new();
    for group in groups {
        for rule in group.snapshot().rules {
            let entry = of.entry(rule.name.clone()).or_default();
            entry.0 += 1;
            entry.1 += Duration::from_secs_f64(rule.evaluation_duration_s);
        }
    }
    let mut of: Vec<_> = of.into_iter().collect();
    of.sort_by_key(|(_, (_, took))| std::cmp::Reverse(*took));
    for (name, (count, took)) in of {
        println!("{:9.2} ms  {count:4} ×  {name}", took.as_secs_f64() * 1e3);
    }
}

/// User and system time of this process, seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("is there");
    let fields = stat.rsplit(')').next().expect("fields").split(' ');
    let ticks = fields.skip(12).take(2).map(|f| f.parse().unwrap_or(0.0));
    ticks.sum::<f64>() / 100.0
}
