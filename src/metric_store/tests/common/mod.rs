//! What the tests of the store share.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;

use metric_store::{Config, MetricStore, Metrics};
use model::{
    Labels, Matcher, SampleSink, Samples, Scrape, Selection, SeriesReader, SlotId, StoreError,
    TargetId,
};
use prometheus_client::registry::Registry;

/// Two hours.
pub(crate) const WINDOW: i64 = 7_200_000;
/// 2026-11-23 00:00 UTC.
pub(crate) const T0: i64 = 1_795_392_000_000;

pub(crate) fn open_with(
    dir: &Path,
    config: Config,
    now_ms: i64,
) -> Result<(MetricStore, Metrics), StoreError> {
    let metrics = Metrics::new(&mut Registry::default());
    let store = MetricStore::open(dir, config, metrics.clone(), now_ms)?;
    Ok((store, metrics))
}

pub(crate) fn open(dir: &Path, now_ms: i64) -> (MetricStore, Metrics) {
    open_with(dir, Config::default(), now_ms).expect("the store opens")
}

pub(crate) fn labels(name: &str, i: usize) -> Labels {
    Labels::from_pairs([("__name__", name.to_owned()), ("i", format!("{i:04}"))])
}

/// A target with `n` series of one metric.
pub(crate) fn target(store: &MetricStore, name: &str, n: usize) -> (TargetId, Vec<SlotId>) {
    let target = store.open_target(name).expect("opens");
    let slot = |i| store.open_slot(target, &labels(name, i)).expect("opens");
    (target, (0..n).map(slot).collect())
}

pub(crate) fn append(
    store: &MetricStore,
    target: TargetId,
    timestamp_ms: i64,
    samples: &[(SlotId, f64)],
) -> Result<usize, StoreError> {
    store.append(Scrape {
        target,
        timestamp_ms,
        samples,
    })
}

/// All series that satisfy the matchers, in the order the cursors give them.
pub(crate) fn select(
    store: &MetricStore,
    matchers: Vec<Matcher>,
    start_ms: i64,
    end_ms: i64,
    cursors_max: usize,
) -> Vec<(Labels, Samples)> {
    let selection = Selection {
        matchers,
        start_ms,
        end_ms,
        series_max: usize::MAX,
        cursors_max,
    };
    let mut found = Vec::new();
    let mut samples = Samples::default();
    for mut cursor in store.select(&selection).expect("selects") {
        while let Some(labels) = cursor.next_series(&mut samples).expect("reads") {
            found.push((labels, samples.clone()));
        }
    }
    assert!(found.is_sorted_by(|a, b| a.0 < b.0), "label order");
    found
}

/// Everything of one metric.
pub(crate) fn all(store: &MetricStore, name: &str) -> Vec<(Labels, Samples)> {
    let matchers = vec![Matcher::equal("__name__", name)];
    select(store, matchers, i64::MIN, i64::MAX, 2)
}

pub(crate) fn count(found: &[(Labels, Samples)]) -> usize {
    found.iter().map(|(_, samples)| samples.len()).sum()
}

/// Whether two answers are the same to the last bit, told without printing all of them.
pub(crate) fn assert_same(found: &[(Labels, Samples)], expected: &[(Labels, Samples)]) {
    let labels = |all: &[(Labels, Samples)]| all.iter().map(|(l, _)| l.clone()).collect::<Vec<_>>();
    assert_eq!(labels(found), labels(expected));
    for ((labels, found), (_, expected)) in found.iter().zip(expected) {
        let bits = |s: &Samples| s.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let same = found.timestamps_ms == expected.timestamps_ms
            && bits(found) == bits(expected)
            && found.histograms == expected.histograms;
        let (n, of) = (found.len(), expected.len());
        assert!(same, "{labels}: {n} samples differ from the {of} expected");
    }
}
