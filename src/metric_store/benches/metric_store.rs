//! What a sample costs: appended, encoded, decoded, read; and how many bytes it takes.
//!
//! The data are made up to look like a cluster: half counters (most of them with small steps of
//! their own, some idle), gauges with few digits, memory in pages, constants, a few floats with
//! full mantissas. `cargo bench -p metric_store`; the bytes are printed first.

use std::hint::black_box;
use std::path::Path;

use divan::Bencher;
use divan::counter::ItemsCount;
use metric_store::codec::{self, Effort, Scratch as CodecScratch};
use metric_store::{Config, MetricStore, Metrics};
use model::{
    Labels, Matcher, SampleSink, Samples, Scrape, Selection, SeriesReader, SlotId, TargetId,
};
use prometheus_client::registry::Registry;

const TARGETS: usize = 20;
const SERIES: usize = 500;
/// Two hours at 15 s.
const ROWS: usize = 480;
const STEP_MS: i64 = 15_000;
const WINDOW_MS: i64 = 7_200_000;
/// 2026-11-23 00:00 UTC.
const T0: i64 = 1_795_392_000_000;

fn main() {
    tell_bytes();
    divan::main();
}

/// A small generator of numbers that look random and are the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// The values of one series. Its number says of which kind it is.
fn values(series: usize) -> Vec<f64> {
    let mut dice = Dice(series as u64 * 0x9e37_79b9_7f4a_7c15 + 1);
    let mut state = dice.roll(1_000_000) as f64;
    let busy = 1 + dice.roll(40);
    let mut next = |kind: usize| {
        match kind {
            // Histogram buckets and idle counters: rarely anything.
            0..=6 => state += if dice.roll(60) == 0 { 1.0 } else { 0.0 },
            // Counters.
            7..=10 => state += dice.roll(busy * 3) as f64,
            11 => state += (dice.roll(4) * 4096) as f64,
            // Seconds with two or three places.
            12 | 13 => state = ((state * 100.0).round() + dice.roll(busy) as f64) / 100.0,
            // Gauges.
            14 => state = dice.roll(busy) as f64,
            15 => state = (state + dice.roll(9) as f64 * 4096.0 - 16_384.0).abs(),
            // Constants.
            16..=18 => {}
            // Ratios and averages with full mantissas.
            _ => state = state * 0.9 + (dice.roll(1 << 20) as f64).sqrt(),
        }
        state
    };
    (0..ROWS).map(|_| next(series % 20)).collect()
}

fn labels(target: usize, series: usize) -> Labels {
    Labels::from_pairs([
        ("__name__", format!("metric_{:03}_total", series / 10)),
        ("instance", format!("10.0.0.{target}:9100")),
        ("job", "bench".to_owned()),
        ("path", format!("/api/v1/{}", series % 10)),
    ])
}

struct Filled {
    store: MetricStore,
    targets: Vec<(TargetId, Vec<SlotId>)>,
    columns: Vec<Vec<f64>>,
}

fn open(dir: &Path) -> Filled {
    let metrics = Metrics::new(&mut Registry::default());
    let store = MetricStore::open(dir, Config::default(), metrics, T0).expect("opens");
    let targets = (0..TARGETS).map(|t| {
        let target = store.open_target(&format!("bench/{t}")).expect("opens");
        let slot = |s| store.open_slot(target, &labels(t, s)).expect("opens");
        (target, (0..SERIES).map(slot).collect())
    });
    Filled {
        targets: targets.collect(),
        columns: (0..TARGETS * SERIES).map(values).collect(),
        store,
    }
}

impl Filled {
    /// One scrape of every target; three in ten come some milliseconds late.
    fn scrape(&self, row: usize, samples: &mut Vec<(SlotId, f64)>) -> usize {
        let mut dice = Dice(row as u64 + 77);
        let mut stored = 0;
        for (t, (target, slots)) in self.targets.iter().enumerate() {
            let jitter = if dice.roll(10) < 3 {
                1 + dice.roll(6) as i64
            } else {
                0
            };
            samples.clear();
            let columns = &self.columns[t * SERIES..(t + 1) * SERIES];
            let value = |column: &Vec<f64>| column[row % ROWS];
            samples.extend(slots.iter().copied().zip(columns.iter().map(value)));
            let scrape = Scrape {
                target: *target,
                timestamp_ms: T0 + (row as i64) * STEP_MS + 700 * t as i64 + jitter,
                samples,
            };
            stored += self.store.append(scrape).expect("appends");
        }
        stored
    }

    fn scrape_window(&self) {
        let mut samples = Vec::new();
        for row in 0..ROWS - 1 {
            self.scrape(row, &mut samples);
        }
    }
}

fn tell_bytes() {
    let dir = tempfile::tempdir().expect("a folder");
    let filled = open(dir.path());
    filled.scrape_window();
    let head = filled.store.stats();
    let per = |bytes: u64, n: f64| bytes as f64 / n;
    let samples = head.samples_total as f64;
    eprintln!(
        "{} samples of {} series: head {:.0} B/series, with index {:.0}, journal {:.2} B/sample",
        head.samples_total,
        head.head_series,
        per(head.head_bytes, head.head_series as f64),
        per(head.memory_bytes, head.head_series as f64),
        per(head.journal_bytes, samples),
    );
    let started = std::time::Instant::now();
    filled
        .store
        .maintain(T0 + 2 * WINDOW_MS)
        .expect("maintains");
    let took = started.elapsed();
    let sealed = filled.store.stats();
    drop(filled);
    let metrics = Metrics::new(&mut Registry::default());
    let store = MetricStore::open(dir.path(), Config::default(), metrics, T0).expect("opens");
    eprintln!(
        "sealed in {:.0} ns/sample; {:.3} B/sample on disk, all files",
        took.as_nanos() as f64 / samples,
        per(store.stats().disk_bytes, sealed.samples_total as f64),
    );
    tell_replay();
}

fn tell_replay() {
    let dir = tempfile::tempdir().expect("a folder");
    let filled = open(dir.path());
    filled.scrape_window();
    let samples = filled.store.stats().samples_total as f64;
    drop(filled);
    let started = std::time::Instant::now();
    let metrics = Metrics::new(&mut Registry::default());
    let store = MetricStore::open(dir.path(), Config::default(), metrics, T0).expect("opens");
    let took = started.elapsed();
    assert_eq!(store.stats().samples_total as f64, samples);
    eprintln!(
        "replayed after a kill in {:.2} s, {:.0} ns/sample",
        took.as_secs_f64(),
        took.as_nanos() as f64 / samples
    );
}

/// Scrapes of 500 series into 20 targets, journal included. Items are samples.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn append(bencher: Bencher<'_, '_>) {
    let dir = tempfile::tempdir().expect("a folder");
    let filled = open(dir.path());
    let mut row = 0;
    let mut samples = Vec::new();
    bencher
        .counter(ItemsCount::new(TARGETS * SERIES * 16))
        .bench_local(|| {
            for _ in 0..16 {
                black_box(filled.scrape(row, &mut samples));
                row += 1;
            }
        });
}

/// 1000 columns of two hours as they go to a page.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn encode(bencher: Bencher<'_, '_>) {
    let columns: Vec<Vec<f64>> = (0..1000).map(values).collect();
    let mut scratch = CodecScratch::default();
    let mut out = Vec::new();
    bencher
        .counter(ItemsCount::new(1000 * ROWS))
        .bench_local(|| {
            out.clear();
            for column in &columns {
                codec::encode(column, Effort::Page, &mut scratch, &mut out);
            }
            black_box(out.len())
        });
}

/// The same columns back.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn decode(bencher: Bencher<'_, '_>) {
    let mut scratch = CodecScratch::default();
    let encode = |series| {
        let mut out = Vec::new();
        codec::encode(&values(series), Effort::Page, &mut scratch, &mut out);
        out
    };
    let columns: Vec<Vec<u8>> = (0..1000).map(encode).collect();
    let mut out = Vec::new();
    bencher
        .counter(ItemsCount::new(1000 * ROWS))
        .bench_local(|| {
            for column in &columns {
                out.clear();
                codec::decode(column, ROWS, &mut out).expect("decodes");
                black_box(out.last());
            }
        });
}

fn read(bencher: Bencher<'_, '_>, seal: bool) {
    let dir = tempfile::tempdir().expect("a folder");
    let filled = open(dir.path());
    filled.scrape_window();
    if seal {
        filled
            .store
            .maintain(T0 + 2 * WINDOW_MS)
            .expect("maintains");
    }
    let name = "metric_0[0-4].*_total";
    let matcher = Matcher::new("__name__", model::MatchOp::Regex, name).expect("valid");
    let instances = (0..10).map(|t| format!("10.0.0.{t}:9100"));
    let instances = instances.collect::<Vec<_>>().join("|").replace('.', r"\.");
    let instance = Matcher::new("instance", model::MatchOp::Regex, instances).expect("valid");
    let selection = Selection {
        matchers: vec![matcher, instance],
        start_ms: T0 - 1,
        end_ms: T0 + WINDOW_MS,
        series_max: usize::MAX,
        cursors_max: 1,
    };
    let store = &filled.store;
    let run = || {
        let (mut series, mut n, mut samples) = (0, 0, Samples::default());
        for mut cursor in store.select(&selection).expect("selects") {
            while cursor.next_series(&mut samples).expect("reads").is_some() {
                series += 1;
                n += samples.len();
            }
        }
        (series, n)
    };
    let (series, n) = run();
    assert_eq!((series, n), (5000, 5000 * (ROWS - 1)));
    bencher
        .counter(ItemsCount::new(n))
        .bench_local(|| black_box(run()));
}

/// 5000 series over two hours from pages, one cursor.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn read_sealed(bencher: Bencher<'_, '_>) {
    read(bencher, true);
}

/// 5000 series over two hours from the head, one cursor.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn read_head(bencher: Bencher<'_, '_>) {
    read(bencher, false);
}
