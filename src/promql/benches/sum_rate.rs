//! The queries that dashboards ask most, over thousands of series: `sum by (x) (rate(y[5m]))` and
//! functions over long windows. The samples are handed over by copying, so that what is measured
//! is the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use divan::Bencher;
use model::{
    Labels, Matcher, MetricMetadata, Samples, Selection, SeriesCursor, SeriesReader, StoreError,
};
use promql::{Context, Engine};

/// As many as the query has that the design's figures are about.
const SERIES: usize = 13_700;
const HOURS: i64 = 6;
const SCRAPE_MS: i64 = 15_000;

fn main() {
    divan::main();
}

/// Counters of 50 pods; a few columns of samples serve all of them.
struct Counters {
    labels: Arc<[Labels]>,
    columns: Arc<[Samples]>,
}

impl Counters {
    fn new() -> Self {
        let labels = (0..SERIES).map(|i| {
            Labels::from_pairs([
                ("__name__", "requests_total".to_owned()),
                ("pod", format!("pod-{}", i % 50)),
                ("path", format!("/path/{i}")),
            ])
        });
        let mut labels: Vec<Labels> = labels.collect();
        labels.sort();
        let column = |speed: i64| {
            let mut samples = Samples::default();
            for scrape in 0..HOURS * 3_600_000 / SCRAPE_MS {
                // A restart every two hours.
                samples.push(scrape * SCRAPE_MS, (scrape % 480 * speed) as f64);
            }
            samples
        };
        Self {
            labels: labels.into(),
            columns: (1..8).map(column).collect(),
        }
    }
}

struct Cursor {
    labels: Arc<[Labels]>,
    columns: Arc<[Samples]>,
    next: usize,
    end: usize,
}

impl SeriesCursor for Cursor {
    fn next_series(&mut self, samples: &mut Samples) -> Result<Option<Labels>, StoreError> {
        if self.next == self.end {
            return Ok(None);
        }
        let column = &self.columns[self.next % self.columns.len()];
        samples.clear();
        samples
            .timestamps_ms
            .extend_from_slice(&column.timestamps_ms);
        samples.values.extend_from_slice(&column.values);
        self.next += 1;
        Ok(Some(self.labels[self.next - 1].clone()))
    }
}

impl SeriesReader for Counters {
    fn select(&self, selection: &Selection) -> Result<Vec<Box<dyn SeriesCursor>>, StoreError> {
        let size = SERIES.div_ceil(selection.cursors_max.max(1));
        let cursors = (0..SERIES).step_by(size).map(|next| {
            let cursor: Box<dyn SeriesCursor> = Box::new(Cursor {
                labels: Arc::clone(&self.labels),
                columns: Arc::clone(&self.columns),
                next,
                end: (next + size).min(SERIES),
            });
            cursor
        });
        Ok(cursors.collect())
    }

    fn series(
        &self,
        _: &[Matcher],
        _: i64,
        _: i64,
        limit: usize,
    ) -> Result<(Vec<Labels>, bool), StoreError> {
        let found = self.labels.iter().take(limit).cloned().collect();
        Ok((found, limit < SERIES))
    }

    fn label_names(&self, _: &[Matcher], _: i64, _: i64) -> Result<Vec<String>, StoreError> {
        Ok(["__name__", "path", "pod"].map(str::to_owned).to_vec())
    }

    fn label_values(
        &self,
        _: &str,
        _: &[Matcher],
        _: i64,
        _: i64,
    ) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn metadata(&self) -> BTreeMap<String, MetricMetadata> {
        BTreeMap::new()
    }
}

#[divan::bench(
    sample_count = 5,
    sample_size = 1,
    args = [
        "sum by (pod) (rate(requests_total[5m]))",
        "sum by (pod) (requests_total)",
        "sum by (pod) (max_over_time(requests_total[1h]))",
        "sum by (pod) (avg_over_time(requests_total[1h]))",
        "sum by (pod) (quantile_over_time(0.9, requests_total[10m]))",
        "count(requests_total / on (path, pod) requests_total)",
    ]
)]
fn six_hours_at_a_minute(bencher: Bencher<'_, '_>, expr: &str) {
    let reader = Counters::new();
    let engine = Engine::new(promql::Options {
        memory_bytes_max: 1 << 30,
        ..promql::Options::default()
    });
    let end_ms = HOURS * 3_600_000;
    bencher.bench_local(|| {
        let answer = engine.range(&reader, expr, 0, end_ms, 60_000, &Context::default());
        answer.expect(expr)
    });
}
