//! The query that dashboards ask most: `sum by (x) (rate(y[5m]))` over thousands of series, from
//! a store that costs no more than a copy of the samples.

use std::collections::BTreeMap;
use std::sync::Arc;

use divan::Bencher;
use model::{
    Labels, Matcher, MetricMetadata, Samples, Selection, SeriesCursor, SeriesReader, StoreError,
};
use promql::{Context, Engine};

const SERIES: usize = 5_000;
const HOURS: i64 = 6;
const SCRAPE_MS: i64 = 15_000;

fn main() {
    divan::main();
}

/// Counters of 50 pods with 100 series each, all with the same samples.
struct Counters {
    labels: Arc<[Labels]>,
    samples: Arc<Samples>,
}

impl Counters {
    fn new() -> Self {
        let labels = (0..SERIES).map(|i| {
            Labels::from_pairs([
                ("__name__", "requests_total".to_owned()),
                ("path", format!("/path/{i:05}")),
                ("pod", format!("pod-{}", i % 50)),
                ("namespace", "shop".to_owned()),
                ("job", "checkout".to_owned()),
                ("instance", format!("10.42.0.{}:8080", i % 50)),
            ])
        });
        let mut samples = Samples::default();
        for scrape in 0..=HOURS * 3_600_000 / SCRAPE_MS {
            samples.push(
                scrape * SCRAPE_MS,
                (scrape * scrape % 1009 + scrape * 7) as f64,
            );
        }
        Self {
            labels: labels.collect(),
            samples: Arc::new(samples),
        }
    }
}

struct Cursor {
    labels: Arc<[Labels]>,
    samples: Arc<Samples>,
    places: std::ops::Range<usize>,
}

impl SeriesCursor for Cursor {
    fn next_series(&mut self, samples: &mut Samples) -> Result<Option<Labels>, StoreError> {
        let Some(place) = self.places.next() else {
            return Ok(None);
        };
        samples.clear();
        let times_ms = &self.samples.timestamps_ms;
        samples.timestamps_ms.extend_from_slice(times_ms);
        samples.values.extend_from_slice(&self.samples.values);
        Ok(self.labels.get(place).cloned())
    }
}

impl SeriesReader for Counters {
    fn select(&self, selection: &Selection) -> Result<Vec<Box<dyn SeriesCursor>>, StoreError> {
        let part = SERIES.div_ceil(selection.cursors_max.max(1));
        let cursor = |start: usize| -> Box<dyn SeriesCursor> {
            Box::new(Cursor {
                labels: self.labels.clone(),
                samples: self.samples.clone(),
                places: start..(start + part).min(SERIES),
            })
        };
        Ok((0..SERIES).step_by(part).map(cursor).collect())
    }
    fn series(
        &self,
        _: &[Matcher],
        _: i64,
        _: i64,
        _: usize,
    ) -> Result<(Vec<Labels>, bool), StoreError> {
        Ok((self.labels.to_vec(), false))
    }
    fn label_names(&self, _: &[Matcher], _: i64, _: i64) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
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

#[divan::bench(sample_count = 10, args = [
    "requests_total",
    "rate(requests_total[5m])",
    "sum by (pod) (rate(requests_total[5m]))",
    "avg_over_time(requests_total[1h])",
    "topk(5, rate(requests_total[5m]))",
])]
fn six_hours_at_a_minute(bencher: Bencher<'_, '_>, expr: &str) {
    let reader = Counters::new();
    let engine = Engine::default();
    bencher.bench_local(|| {
        let end_ms = HOURS * 3_600_000;
        engine.range(&reader, expr, 0, end_ms, 60_000, &Context::default())
    });
}
