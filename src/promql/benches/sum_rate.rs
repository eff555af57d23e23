//! The query that dashboards ask most: `sum by (x) (rate(y[5m]))` over thousands of series.

use divan::Bencher;
use model::Labels;
use promql::memory::MemoryReader;
use promql::{Context, Engine};

const SERIES: i64 = 5_000;
const HOURS: i64 = 6;
const SCRAPE_MS: i64 = 15_000;

fn main() {
    divan::main();
}

/// Counters of 50 pods with 100 series each.
fn reader() -> MemoryReader {
    let mut reader = MemoryReader::new();
    for i in 0..SERIES {
        let labels = Labels::from_pairs([
            ("__name__", "requests_total".to_owned()),
            ("pod", format!("pod-{}", i % 50)),
            ("path", format!("/path/{i}")),
        ]);
        for scrape in 0..HOURS * 3_600_000 / SCRAPE_MS {
            reader.push(&labels, scrape * SCRAPE_MS, (scrape * (i % 7 + 1)) as f64);
        }
    }
    reader
}

#[divan::bench(args = ["rate(requests_total[5m])", "sum by (pod) (rate(requests_total[5m]))"])]
fn six_hours_at_a_minute(bencher: Bencher<'_, '_>, expr: &str) {
    let reader = reader();
    let engine = Engine::default();
    bencher.bench_local(|| {
        engine.range(
            &reader,
            expr,
            0,
            HOURS * 3_600_000,
            60_000,
            &Context::default(),
        )
    });
}
