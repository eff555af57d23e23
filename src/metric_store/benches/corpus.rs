//! The bars: a cluster's worth of series scraped for some hours, and what that costs.
//!
//! 188 targets with 60,000 series: nodes, containers, applications. Every third scrape comes some
//! milliseconds late with `jitter`; five of a hundred series are replaced each hour, as pods are.
//! `benches/metrics.py` runs it; by hand:
//! `cargo bench -p metric_store --bench corpus -- [HOURS] [jitter|steady]`. With `kinds` instead it
//! tells what the values of each kind of series take, and nothing else.
//!
//! What is printed: CPU of scraping (journal included) and of sealing, bytes on disk, memory,
//! the time until ready after a kill, and a read of 13,700 series.

use std::path::Path;
use std::time::Instant;

use metric_store::codec::{self, Effort, Scratch};
use metric_store::{Config, MetricStore, Metrics};
use model::{
    Labels, Matcher, SampleSink, Samples, Scrape, Selection, SeriesAdmin, SeriesReader, SlotId,
    TargetId,
};
use prometheus_client::registry::Registry;

const STEP_MS: i64 = 15_000;
const HOUR_MS: i64 = 3_600_000;
const WINDOW_MS: i64 = 2 * HOUR_MS;
/// 2026-11-23 00:00 UTC.
const T0: i64 = 1_795_392_000_000;

/// Number of targets, series of each, and what they are: 60,008 series of 188 targets.
const GROUPS: [(usize, usize, &str); 3] = [
    (8, 1_500, "node"),
    (40, 700, "container"),
    (140, 143, "app"),
];

/// One series in twenty begins anew each hour.
const CHURN: u64 = 20;

/// Random numbers that are the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

struct Series {
    slot: SlotId,
    kind: usize,
    state: f64,
    busy: u64,
    dice: Dice,
}

impl Series {
    /// The next value: half of all series hardly ever move, as in a real cluster.
    fn next(&mut self) -> f64 {
        let (dice, busy) = (&mut self.dice, self.busy);
        match self.kind {
            0..=6 => self.state += if dice.roll(60) == 0 { 1.0 } else { 0.0 },
            7..=10 => self.state += dice.roll(busy * 3) as f64,
            11 => self.state += (dice.roll(4) * 4096) as f64,
            12 | 13 => {
                self.state = ((self.state * 100.0).round() + dice.roll(busy) as f64) / 100.0;
            }
            14 => self.state = dice.roll(busy) as f64,
            15 => self.state = (self.state + dice.roll(9) as f64 * 4096.0 - 16_384.0).abs(),
            16..=18 => {}
            _ => self.state = self.state * 0.9 + (dice.roll(1 << 20) as f64).sqrt(),
        }
        self.state
    }
}

struct Target {
    id: TargetId,
    number: usize,
    job: &'static str,
    series: Vec<Series>,
    born: usize,
}

impl Target {
    fn labels(&self, place: usize, generation: usize) -> Labels {
        let mut pairs = vec![
            (
                "__name__",
                format!("{}_metric_{:03}_total", self.job, place / 12),
            ),
            (
                "instance",
                format!("10.0.{}.{}:9100", self.number / 200, self.number % 200),
            ),
            ("job", self.job.to_owned()),
            ("path", format!("/api/v1/{}", place % 12)),
        ];
        if self.job != "node" {
            pairs.push((
                "pod",
                format!("{}-{:05x}", self.job, self.number * 7919 + generation),
            ));
        }
        Labels::from_pairs(pairs)
    }

    fn open(&mut self, store: &MetricStore, place: usize) {
        let generation = self.born;
        self.born += 1;
        let labels = self.labels(place, generation);
        let seed = (self.number * 100_003 + place * 31 + generation) as u64;
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let state = dice.roll(1_000_000) as f64;
        let series = Series {
            slot: store.open_slot(self.id, &labels).expect("opens"),
            kind: (place + self.number) % 20,
            busy: 1 + dice.roll(40),
            state,
            dice,
        };
        match self.series.get_mut(place) {
            Some(old) => *old = series,
            None => self.series.push(series),
        }
    }
}

/// User and system time of this process, seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("is there");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split(' ')
        .collect();
    let ticks = |i: usize| {
        fields
            .get(i)
            .and_then(|f| f.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(12) + ticks(13)) / 100.0
}

/// Anonymous resident memory, bytes.
fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("is there");
    let line = status
        .lines()
        .find(|l| l.starts_with("RssAnon"))
        .expect("is there");
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse::<u64>().unwrap_or(0) * 1024
}

fn open(dir: &Path, now_ms: i64) -> MetricStore {
    let config = Config {
        memory_bytes_max: 1 << 30,
        ..Config::default()
    };
    MetricStore::open(dir, config, Metrics::new(&mut Registry::default()), now_ms).expect("opens")
}

fn targets(store: &MetricStore) -> Vec<Target> {
    let mut targets = Vec::new();
    for (count, series, job) in GROUPS {
        for _ in 0..count {
            let number = targets.len();
            let name = format!("scrape/{job}/{number}");
            let mut target = Target {
                id: store.open_target(&name).expect("opens"),
                number,
                job,
                series: Vec::new(),
                born: 0,
            };
            (0..series).for_each(|place| target.open(store, place));
            targets.push(target);
        }
    }
    targets
}

/// What values take on a page, by kind: two hours of a hundred series of each, without times,
/// directories and the database around them.
fn tell_kinds() {
    const SERIES: u64 = 100;
    const ROWS: usize = 480;
    let mut scratch = Scratch::default();
    let mut all = 0.0;
    for kind in 0..20 {
        let mut page = Vec::new();
        for number in 0..SERIES {
            let seed = (number * 31 + kind as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut dice = Dice(seed);
            let state = dice.roll(1_000_000) as f64;
            let mut series = Series {
                slot: SlotId(0),
                kind,
                busy: 1 + dice.roll(40),
                state,
                dice,
            };
            let values: Vec<f64> = (0..ROWS).map(|_| series.next()).collect();
            codec::encode(&values, Effort::Page, &mut scratch, &mut page);
        }
        let packed = zstd::bulk::compress(&page, 1).expect("compresses");
        let n = SERIES as f64 * ROWS as f64;
        let bytes = packed.len() as f64 / n;
        all += bytes / 20.0;
        eprintln!(
            "kind {kind:2}: {:.3} bytes per value, {bytes:.3} compressed; {:.3} of the whole",
            page.len() as f64 / n,
            bytes / 20.0
        );
    }
    eprintln!("all kinds: {all:.3} bytes per value");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|a| a == "kinds") {
        return tell_kinds();
    }
    let hours = arguments
        .iter()
        .find_map(|a| a.parse::<i64>().ok())
        .unwrap_or(4);
    let jitter = !arguments.iter().any(|a| a == "steady");
    let dir = tempfile::tempdir_in(std::env::var("CORPUS_DIR").unwrap_or(".".to_owned()));
    let dir = dir.expect("a folder");
    let store = open(dir.path(), T0);
    let before = anonymous_bytes();
    let mut targets = targets(&store);
    let n_series: usize = targets.iter().map(|t| t.series.len()).sum();
    let (mut appending, mut maintaining, mut n_samples) = (0.0, 0.0, 0u64);
    let (mut dice, mut rows) = (Dice(77), Vec::new());
    let mut head_bytes = 0;
    // The last window stays in head and journal.
    for row in 0..hours * HOUR_MS / STEP_MS {
        let now_ms = T0 + row * STEP_MS;
        let started = thread_cpu();
        if row % 240 == 239 {
            for target in targets.iter_mut().filter(|t| t.job != "node") {
                for place in 0..target.series.len() {
                    if dice.roll(CHURN) == 0 {
                        target.open(&store, place);
                    }
                }
            }
        }
        appending += thread_cpu() - started;
        // All values of a scrape first: making them up is not what is measured. CPU time is read
        // for a whole round, because the clock of the system ticks in hundredths.
        let mut spans = Vec::new();
        rows.clear();
        for target in &mut targets {
            let from = rows.len();
            rows.extend(target.series.iter_mut().map(|s| (s.slot, s.next())));
            let late = jitter && dice.roll(10) < 3;
            let late = if late { 1 + dice.roll(6) as i64 } else { 0 };
            spans.push((
                target.id,
                now_ms + target.number as i64 * 79 + late,
                from..rows.len(),
            ));
        }
        let started = thread_cpu();
        for (target, timestamp_ms, span) in spans {
            let samples = &rows[span];
            let scrape = Scrape {
                target,
                timestamp_ms,
                samples,
            };
            n_samples += store.append(scrape).expect("appends") as u64;
        }
        if row % 4 == 0 {
            store.sync().expect("syncs");
        }
        appending += thread_cpu() - started;
        if row % 20 == 0 {
            if (now_ms - T0) % WINDOW_MS > WINDOW_MS - 600_000 {
                head_bytes = head_bytes.max(anonymous_bytes().saturating_sub(before));
            }
            let started = thread_cpu();
            store.maintain(now_ms).expect("maintains");
            maintaining += thread_cpu() - started;
        }
    }
    let per_million = 1e6 / n_samples as f64;
    eprintln!("{n_samples} samples of {n_series} series at a time, {hours} h, jitter: {jitter}");
    eprintln!("append: {:.3} CPU s per M samples", appending * per_million);
    eprintln!(
        "maintain, sealing included: {:.3} CPU s per M samples",
        maintaining * per_million
    );
    eprintln!(
        "memory at the end of a window: {:.0} MB, {:.2} KB per series",
        head_bytes as f64 / 1e6,
        head_bytes as f64 / 1e3 / n_series as f64
    );
    let end = T0 + hours * HOUR_MS;
    let waiting = store.stats().samples_head;
    drop(store);
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let store = open(dir.path(), end);
    eprintln!(
        "ready after a kill: {:.2} s, {:.2} CPU s, {:.0} ns per sample of {waiting} in journals",
        started.elapsed().as_secs_f64(),
        cpu_seconds() - cpu,
        (cpu_seconds() - cpu) * 1e9 / waiting.max(1) as f64
    );
    store.maintain(end + WINDOW_MS).expect("maintains");
    tell_bytes(&store, "windows of 2 h");
    tell_read(&store, end, 1);
    tell_read(&store, end, 2);
    let cpu = cpu_seconds();
    store.maintain(T0 + 2 * 24 * HOUR_MS).expect("maintains");
    store.maintain(T0 + 2 * 24 * HOUR_MS).expect("maintains");
    let cpu = (cpu_seconds() - cpu) * per_million;
    eprintln!("rewriting the day: {cpu:.3} CPU s per M samples");
    tell_bytes(&store, "rewritten as a day");
    tell_read(&store, end, 1);
    let copy = dir.path().join("copy");
    let started = Instant::now();
    store.snapshot(&copy).expect("copies");
    eprintln!("copy: {:.2} s", started.elapsed().as_secs_f64());
    let report = metric_store::check(&copy).expect("can be checked");
    assert!(report.is_sound(), "{:?}", report.problems);
}

/// CPU seconds of this thread, to the nanosecond.
fn thread_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("is there");
    let ns = stat.split(' ').next().and_then(|n| n.parse::<f64>().ok());
    ns.unwrap_or(0.0) / 1e9
}

fn tell_bytes(store: &MetricStore, what: &str) {
    let stats = store.stats();
    eprintln!(
        "disk, {what}: {:.3} bytes per sample all in ({} samples, {} segments)",
        stats.disk_bytes as f64 / stats.samples_total as f64,
        stats.samples_total,
        stats.segments
    );
}

/// Four container metrics of all targets and some of the applications' over all hours.
fn tell_read(store: &MetricStore, end_ms: i64, cursors_max: usize) {
    let names = "container_metric_0[0-2].*_total|node_metric_.*";
    let matcher = Matcher::new("__name__", model::MatchOp::Regex, names).expect("valid");
    let selection = Selection {
        matchers: vec![matcher],
        start_ms: T0 - 1,
        end_ms,
        series_max: usize::MAX,
        cursors_max,
    };
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let cursors = store.select(&selection).expect("selects");
    let threads: Vec<_> = cursors
        .into_iter()
        .map(|mut cursor| {
            std::thread::spawn(move || {
                let (mut series, mut n, mut samples) = (0, 0, Samples::default());
                while cursor.next_series(&mut samples).expect("reads").is_some() {
                    series += 1;
                    n += samples.len();
                }
                (series, n)
            })
        })
        .collect();
    let counted = threads.into_iter().map(|t| t.join().expect("reads"));
    let (series, n) = counted.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    eprintln!(
        "read of {series} series, {n} samples: {:.3} s, {:.3} CPU s",
        started.elapsed().as_secs_f64(),
        cpu_seconds() - cpu
    );
}
