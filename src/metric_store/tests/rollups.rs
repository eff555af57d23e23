//! What stays of a day that is too old to be kept as it came, told by queries.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use common::{T0, all, append, assert_same, count, labels, open_with};
use metric_store::{Config, MetricStore};
use model::{Histogram, MetricKind, MetricMetadata, SampleSink, SeriesAdmin, SlotId, stale_nan};
use promql::{Context, Engine, Value};

const DAY: i64 = 86_400_000;
const STEP: i64 = 300_000;

/// As they came for a day, then five minutes' samples for a month.
fn config() -> Config {
    Config {
        retention: Duration::from_hours(24),
        rollup_retention: Duration::from_hours(30 * 24),
        hourly_retention: Duration::ZERO,
        ..Config::default()
    }
}

fn open(dir: &Path, now_ms: i64) -> MetricStore {
    open_with(dir, config(), now_ms).expect("opens").0
}

/// A day of scrapes every 30 s: a counter of each of three speeds with resets at odd times, one
/// that falls and is above its peak within five minutes, a gauge, and one that ends by a marker.
fn fill(store: &MetricStore, from: i64) {
    let describe = |name: &str, kind| {
        let metadata = MetricMetadata {
            kind,
            ..MetricMetadata::default()
        };
        store.describe(name, &metadata);
    };
    describe("requests_total", MetricKind::Counter);
    describe("temperature", MetricKind::Gauge);
    let target = store.open_target("t").expect("opens");
    let open = |name: &str, i| store.open_slot(target, &labels(name, i)).expect("opens");
    let counters: Vec<SlotId> = (0..3).map(|i| open("requests_total", i)).collect();
    let unknown = open("said_nothing_of", 0);
    let gauge = open("temperature", 0);
    let ends = open("ends", 0);
    for i in 0..2880_i64 {
        let time_ms = from + i * 30_000;
        let count = |k: i64| ((i % (311 + 200 * k)) * (k + 1)) as f64;
        let mut samples: Vec<(SlotId, f64)> = counters
            .iter()
            .zip(0..)
            .map(|(slot, k)| (*slot, count(k)))
            .collect();
        // Resets at 1003 and grows fast: beyond its peak within five minutes.
        let fast = if i < 1003 { i } else { (i - 1003) * 1000 };
        samples.push((unknown, fast as f64));
        samples.push((gauge, 20.0 + ((i * 7919) % 101) as f64 / 10.0));
        match i {
            ..1500 => samples.push((ends, i as f64)),
            1500 => samples.push((ends, stale_nan())),
            _ => {}
        }
        append(store, target, time_ms, &samples).expect("appends");
        if i % 240 == 239 {
            store.maintain(time_ms).expect("maintains");
        }
    }
}

/// The values of an expression over a span, by labels and time.
fn query(
    store: &MetricStore,
    text: &str,
    start_ms: i64,
    end_ms: i64,
) -> BTreeMap<(String, i64), f64> {
    let engine = Engine::default();
    let answer = engine
        .range(store, text, start_ms, end_ms, STEP, &Context::default())
        .expect("answers");
    let Value::Matrix(series) = answer.value else {
        panic!("a matrix");
    };
    let mut points = BTreeMap::new();
    for one in series {
        for (time_ms, value) in one.samples.timestamps_ms.iter().zip(&one.samples.values) {
            points.insert((one.labels.to_string(), *time_ms), *value);
        }
    }
    points
}

fn assert_near(found: &BTreeMap<(String, i64), f64>, expected: &BTreeMap<(String, i64), f64>) {
    assert!(
        found.keys().eq(expected.keys()),
        "the same series and times"
    );
    for (key, found) in found {
        let expected = expected.get(key).copied().unwrap_or(f64::NAN);
        let near = (found - expected).abs() <= 1e-9 * expected.abs().max(1.0);
        assert!(near, "{key:?}: {found} is not {expected}");
    }
}

#[test]
fn queries_over_a_rollup_answer_as_they_did() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path(), T0);
    fill(&store, T0);
    store.maintain(T0 + DAY + DAY / 4).expect("maintains");
    let (from, to) = (T0 + 2 * 3_600_000, T0 + DAY - STEP);
    // At full multiples of five minutes.
    let selectors = ["requests_total", "said_nothing_of", "temperature", "ends"];
    let exact: Vec<_> = selectors
        .iter()
        .map(|text| query(&store, text, from, to))
        .collect();
    let resets = "resets(requests_total[2h])";
    let steady = "rate(requests_total[1h])";
    let fast = "resets(said_nothing_of[2h])";
    let told = [resets, fast].map(|text| query(&store, text, from, to));
    let rate = query(&store, steady, from, to);
    let samples = count(&all(&store, "requests_total"));
    let before = store.stats();

    let later = T0 + 2 * DAY + 1;
    store.maintain(later).expect("maintains");
    let after = store.stats();
    assert_eq!((after.days, after.segments), (1, 1), "{after:?}");
    assert!(after.samples_total * 5 < before.samples_total, "{after:?}");
    assert!(count(&all(&store, "requests_total")) * 8 < samples);
    let check = |store: &MetricStore| {
        for (text, expected) in selectors.iter().zip(&exact) {
            assert!(!expected.is_empty(), "{text}");
            assert_eq!(&query(store, text, from, to), expected, "{text}");
        }
        for (text, expected) in [resets, fast].iter().zip(&told) {
            assert!(expected.values().any(|n| *n > 0.0), "{text}");
            assert_eq!(&query(store, text, from, to), expected, "{text}");
        }
    };
    check(&store);
    // Any time finds one sample.
    for shift in [1, 60_000, STEP - 1] {
        let found = query(&store, "temperature", from + shift, to + shift);
        assert_eq!(found.len() as i64, (to - from) / STEP + 1);
    }
    // A rate over an hour is that of 55 of its minutes: no reset is lost or counted twice.
    let rolled = query(&store, steady, from, to);
    let worst = rolled.iter().map(|(key, found)| {
        let expected = rate.get(key).copied().unwrap_or(f64::NAN);
        (found - expected).abs() / expected
    });
    let worst = worst.fold(0.0, f64::max);
    assert!(worst < 0.1, "a rate is off by {worst}");
    // It is a store like any other: it can be checked, opened, copied, deleted from.
    let copy = dir.path().join("copy");
    store.snapshot(&copy).expect("copies");
    drop(store);
    for folder in [dir.path(), &copy] {
        let report = metric_store::check(folder).expect("looks");
        assert!(report.is_sound(), "{report:?}");
        check(&open(folder, later));
    }
    let store = open(dir.path(), later);
    // A month later it goes too.
    store.maintain(T0 + 31 * DAY + 1).expect("maintains");
    assert_eq!(store.stats().days, 0);
    assert_eq!(store.stats().oldest_ms, None);
}

#[test]
fn what_a_counter_grew_by_is_exact_between_two_samples_that_stay() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path(), T0);
    fill(&store, T0);
    store.maintain(T0 + DAY + DAY / 4).expect("maintains");
    // Without extrapolation: the last sample minus the first and what was lost at each reset.
    let grown = |store: &MetricStore| {
        let mut found = Vec::new();
        for name in ["requests_total", "said_nothing_of"] {
            for (labels, samples) in all(store, name) {
                let mut sum = 0.0;
                let mut sums = BTreeMap::new();
                let mut before = samples.values.first().copied().unwrap_or(0.0);
                for (time_ms, value) in samples.timestamps_ms.iter().zip(&samples.values) {
                    sum += if *value < before {
                        *value
                    } else {
                        value - before
                    };
                    before = *value;
                    if time_ms % STEP == 0 {
                        sums.insert(*time_ms, sum);
                    }
                }
                found.push((labels, sums));
            }
        }
        found
    };
    let expected = grown(&store);
    assert_eq!(expected.len(), 4);
    store.maintain(T0 + 2 * DAY + 1).expect("maintains");
    assert!(store.stats().samples_total < 3000, "{:?}", store.stats());
    assert_eq!(grown(&store), expected);
}

#[test]
fn for_want_of_space_samples_become_rollups_and_rollups_go_before_the_last_days() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = Config {
        retention: Duration::from_hours(90 * 24),
        rollup_retention: Duration::from_hours(365 * 24),
        hourly_retention: Duration::ZERO,
        ..Config::default()
    };
    let (store, metrics) = open_with(dir.path(), config, T0).expect("opens");
    for day in 0..4 {
        let from = T0 + day * DAY;
        store.maintain(from).expect("maintains");
        let (id, slots) = common::target(&store, "t", 400);
        for i in 0..240_u32 {
            let samples: Vec<(SlotId, f64)> = slots
                .iter()
                .map(|s| (*s, f64::from((s.0 * 104_729 + i * 7919) % 10_007).sqrt()))
                .collect();
            append(&store, id, from + i64::from(i) * 30_000, &samples).expect("appends");
        }
    }
    store.maintain(T0 + 4 * DAY).expect("maintains");
    let oldest = || store.stats().oldest_ms;
    let files = || {
        let names = std::fs::read_dir(dir.path().join("days")).expect("lists");
        let names = names.map(|e| e.expect("an entry").file_name());
        let mut names: Vec<String> = names
            .map(|n| n.to_string_lossy().into_owned())
            .filter(|n| !n.ends_with("-wal") && !n.ends_with("-shm"))
            .collect();
        names.sort();
        names
    };
    let day = |date: u32, end: &str| format!("2026-11-{date}{end}.db");
    assert_eq!(files(), [23, 24, 25, 26].map(|d| day(d, "")));
    let bytes = |name: &str| {
        let file = dir.path().join("days").join(name);
        std::fs::metadata(file).expect("is there").len()
    };
    let before = bytes(&day(23, ""));
    assert!(store.drop_oldest().expect("sheds") > 0);
    let expected = [day(23, ".5m"), day(24, ""), day(25, ""), day(26, "")];
    assert_eq!(files(), expected);
    assert!(bytes(&day(23, ".5m")) * 4 < before);
    assert_eq!(oldest(), Some(T0));
    assert!(store.drop_oldest().expect("sheds") > 0);
    assert_eq!(metrics.days_rolled_up.get(), 2);
    assert_eq!(oldest(), Some(T0));
    assert!(store.drop_oldest().expect("sheds") > 0);
    assert_eq!(files(), [day(24, ".5m"), day(25, ""), day(26, "")]);
    for left in (0..3).rev() {
        assert!(store.drop_oldest().expect("sheds") > 0);
        assert_eq!(files().len(), left);
    }
    assert_eq!(store.drop_oldest().expect("answers"), 0);
}

#[test]
fn native_histograms_stay_with_their_resets() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path(), T0);
    let target = store.open_target("t").expect("opens");
    let slot = store.open_slot(target, &labels("h", 0)).expect("opens");
    for i in 0..120_i64 {
        let count = if i < 61 { i } else { i - 61 } as f64;
        let histogram = std::sync::Arc::new(Histogram {
            count,
            sum: count * 2.0,
            zero_count: count,
            ..Histogram::default()
        });
        store
            .append_histograms(target, T0 + i * 30_000, &[(slot, histogram)])
            .expect("appends");
    }
    let (from, to) = (T0, T0 + 3_600_000 - STEP);
    let count = "histogram_count(h)";
    let before = query(&store, count, from, to);
    assert_eq!(before.len(), 12);
    store.maintain(T0 + DAY).expect("maintains");
    store.maintain(T0 + 2 * DAY + 1).expect("maintains");
    assert!(common::count(&all(&store, "h")) < 20);
    assert_near(&query(&store, count, from, to), &before);
    assert_eq!(
        query(&store, "resets(h[1h])", to, to)
            .into_values()
            .sum::<f64>(),
        1.0
    );
}

#[test]
fn a_reader_finishes_what_became_a_rollup() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path(), T0);
    fill(&store, T0);
    store.maintain(T0 + DAY + DAY / 4).expect("maintains");
    let whole = all(&store, "requests_total");
    let selection = model::Selection {
        matchers: vec![model::Matcher::equal("__name__", "requests_total")],
        start_ms: T0 - 1,
        end_ms: T0 + DAY,
        series_max: usize::MAX,
        cursors_max: 1,
    };
    let mut cursors = model::SeriesReader::select(&store, &selection).expect("selects");
    store.maintain(T0 + 2 * DAY + 1).expect("maintains");
    let mut samples = model::Samples::default();
    let mut found = Vec::new();
    while let Some(labels) = cursors[0].next_series(&mut samples).expect("reads") {
        found.push((labels, samples.clone()));
    }
    assert_same(&found, &whole);
    drop(cursors);
    store.maintain(T0 + 2 * DAY + 60_000).expect("maintains");
    assert_eq!(
        store.stats().days,
        1,
        "the old file went when the reader was done"
    );
}
