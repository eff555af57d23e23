//! The bar of an idle evening: 50,000 series scraped every 15 s take at most 1.5 % of a core, and
//! after two hours the process has at most 130 MB.
//!
//! `cargo bench -p metric_scrape --bench two_hours`: pages of 100 targets go through the reader of
//! pages into a metric store of ours for two simulated hours, each target at its own second of the
//! interval, synced each second and maintained each minute as the binary does, with the binary's
//! allocator. Five of a hundred series are replaced each hour, as pods are. The window of two
//! hours is then full and not sealed, which is when the store is largest; a few minutes later it
//! is sealed.
//!
//! CPU time is that of this thread in reading and storing; making up the pages is not counted, and
//! fetching them is not there: that costs what HTTP costs. A missed bar is said, and the bench
//! ends with 1.

#![allow(clippy::print_stdout, reason = "a bench says what it measured")]

use std::fmt::Write as _;
use std::process::ExitCode;

use metric_scrape::exposition::Format;
use metric_scrape::exposition::line::Pair;
use metric_scrape::page::{Counts, Histograms, Pages, ReadOptions, Timestamps};
use metric_store::{Config, MetricStore, Metrics};
use model::{Labels, SampleSink, Scrape, TargetId, stale_nan};
use prometheus_client::registry::Registry;

/// The binary's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// 2026-11-23 00:00 UTC.
const T0_MS: i64 = 1_795_392_000_000;
const SCRAPE_S: usize = 15;
const TARGETS: usize = 100;
const SERIES_PER_TARGET: usize = 500;
const SECONDS: usize = 7_200;

/// After the two hours, until the window that is over is sealed.
const SECONDS_MORE: usize = 900;

/// One series in twenty begins anew each hour.
const CHURN: usize = 20;

/// Part of a core.
const CPU_BAR: f64 = 0.015;

/// What the whole process may have, less the 32 MB that it has with nothing to do.
const MEMORY_BAR_BYTES: u64 = (130 - 32) << 20;

const TIMESTAMPS: Timestamps = Timestamps::Honor {
    track_staleness: false,
};

struct Target {
    id: TargetId,
    number: usize,
    pages: Pages,
}

fn main() -> ExitCode {
    let dir = tempfile::tempdir().expect("a folder");
    let metrics = Metrics::new(&mut Registry::default());
    let store = MetricStore::open(dir.path(), Config::default(), metrics, T0_MS).expect("opens");
    let open = |number: usize| Target {
        id: store
            .open_target(&format!("scrape/app/{number}"))
            .expect("opens"),
        number,
        pages: Pages::default(),
    };
    let mut targets: Vec<Target> = (0..TARGETS).map(open).collect();
    let (mut page, mut cpu, mut maintaining) = (String::new(), 0.0, 0.0);
    let (mut samples, mut full_bytes) = (0, 0);
    for second in 0..SECONDS + SECONDS_MORE {
        let now_ms = T0_MS + second as i64 * 1_000;
        for target in &mut targets {
            if target.number % SCRAPE_S != second % SCRAPE_S {
                continue;
            }
            write_page(&mut page, target.number, second);
            let started = thread_cpu();
            samples += scrape(&store, target, &page, now_ms + target.number as i64);
            cpu += thread_cpu() - started;
        }
        let started = thread_cpu();
        store.sync().expect("syncs");
        cpu += thread_cpu() - started;
        if second == SECONDS - 1 {
            full_bytes = anonymous_bytes();
        }
        if second % 60 == 0 {
            let started = thread_cpu();
            store.maintain(now_ms).expect("maintains");
            maintaining += thread_cpu() - started;
        }
    }
    let seconds = (SECONDS + SECONDS_MORE) as f64;
    let part = (cpu + maintaining) / seconds;
    println!(
        "{} series every {SCRAPE_S} s, {samples} samples in {seconds} s: {:.2} % of a core, of \
         which {:.2} % reading, storing and syncing, {:.2} % maintaining and sealing",
        TARGETS * SERIES_PER_TARGET,
        100.0 * part,
        100.0 * cpu / seconds,
        100.0 * maintaining / seconds
    );
    let mb = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "anonymous memory: {:.1} MB after two hours, {:.1} MB {SECONDS_MORE} s later, sealed; the \
         store says {:.1} MB",
        mb(full_bytes),
        mb(anonymous_bytes()),
        mb(store.stats().memory_bytes)
    );
    if part > CPU_BAR || full_bytes > MEMORY_BAR_BYTES {
        println!(
            "MISSED: {} % of a core, {:.0} MB",
            100.0 * CPU_BAR,
            mb(MEMORY_BAR_BYTES)
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Reads a page and stores it, as the ledger of a target does. Returns how many samples were
/// stored.
fn scrape(store: &MetricStore, target: &mut Target, page: &str, now_ms: i64) -> usize {
    let options = ReadOptions {
        format: Format::Text,
        timestamps: TIMESTAMPS,
        kept_max: usize::MAX,
        histograms: Histograms::default(),
    };
    let (id, number) = (target.id, target.number);
    let mut resolve = |pairs: &[Pair<'_>]| {
        let own = [
            ("instance", format!("10.0.0.{number}:8080")),
            ("job", "app".to_owned()),
        ];
        let pairs = pairs
            .iter()
            .map(|(name, value)| (&**name, value.to_string()));
        Ok(Some(Labels::from_pairs(pairs.chain(own))))
    };
    let mut counts = Counts::default();
    let reading = target
        .pages
        .read(page.as_bytes(), options, &mut resolve, &mut counts)
        .expect("a good page");
    let mut open = |labels: &Labels| store.open_slot(id, labels);
    let mut commit = target.pages.commit(reading, TIMESTAMPS, &mut open);
    let stale = commit.stale.iter().map(|slot| (*slot, stale_nan()));
    commit.samples.extend(stale);
    let scrape = Scrape {
        target: id,
        timestamp_ms: now_ms,
        samples: &commit.samples,
    };
    store.append(scrape).expect("stores")
}

/// A page of a target: families of ten series, half of which hardly ever move.
fn write_page(page: &mut String, target: usize, second: usize) {
    page.clear();
    let round = second / SCRAPE_S;
    for place in 0..SERIES_PER_TARGET {
        let family = place / 10;
        if place % 10 == 0 {
            let _ = writeln!(
                page,
                "# HELP app_requests_{family}_total How many requests there were, by all.\n\
                 # TYPE app_requests_{family}_total counter"
            );
        }
        let seed = (target * SERIES_PER_TARGET + place).wrapping_mul(0x9e37_79b9) % 1_000_003;
        // Each series begins anew every twenty hours, some of them each hour.
        let born = (second + seed % CHURN * 3_600) / (CHURN * 3_600);
        let noise = (seed ^ round.wrapping_mul(0x85eb_ca6b)) % 1_009;
        let value = match place % 8 {
            0..=3 => (seed + round / 60) as f64,
            4 | 5 => (round * (seed % 40) + noise % 40) as f64,
            6 => (round * 7 + noise) as f64 / 100.0,
            _ => (noise * 4_096) as f64,
        };
        let _ = writeln!(
            page,
            "app_requests_{family}_total{{method=\"GET\",path=\"/api/v1/things/{}\",\
             pod=\"app-{target}-{born:05x}\"}} {value}",
            place % 10
        );
    }
}

/// CPU seconds of this thread.
fn thread_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("is there");
    let ns = stat.split(' ').next().and_then(|n| n.parse::<f64>().ok());
    ns.unwrap_or(0.0) / 1e9
}

/// Anonymous resident memory, bytes.
fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("is there");
    let line = status.lines().find(|line| line.starts_with("RssAnon"));
    let digits = line.and_then(|line| line.split_whitespace().nth(1));
    digits.and_then(|d| d.parse::<u64>().ok()).unwrap_or(0) * 1_024
}
