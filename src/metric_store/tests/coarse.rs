//! Queries with short ranges over days of which a sample of every five minutes or hour is left.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use common::{T0, append, labels, open_with};
use metric_store::{Config, MetricStore};
use model::{CoarseSpan, MetricKind, MetricMetadata, SampleSink, SeriesReader, SlotId};
use promql::{Answer, Context, Engine, Value};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const FIVE: i64 = 5 * MINUTE;

/// As they came for a day, a sample of every five minutes for eight, of every hour for a month.
fn open(dir: &Path) -> MetricStore {
    let config = Config {
        retention: Duration::from_hours(24),
        rollup_retention: Duration::from_hours(8 * 24),
        hourly_retention: Duration::from_hours(30 * 24),
        ..Config::default()
    };
    open_with(dir, config, T0).expect("opens").0
}

/// What the counter has grown by since the beginning; it begins anew every 1003 minutes.
fn grown(minute: i64) -> f64 {
    (minute * 3 + (minute * minute) % 7) as f64
}

fn counter(minute: i64) -> f64 {
    let began = minute - minute % 1003;
    if began == 0 {
        grown(minute)
    } else {
        grown(minute) - grown(began - 1)
    }
}

fn gauge(minute: i64) -> f64 {
    ((minute * 7919) % 101) as f64
}

/// Scrapes each minute of so many days.
fn fill(store: &MetricStore, days: i64) {
    let metadata = MetricMetadata {
        kind: MetricKind::Counter,
        ..MetricMetadata::default()
    };
    store.describe("requests_total", &metadata);
    let target = store.open_target("t").expect("opens");
    let open = |name: &str| -> SlotId { store.open_slot(target, &labels(name, 0)).expect("opens") };
    let (requests, temperature) = (open("requests_total"), open("temperature"));
    for minute in 0..days * 1440 {
        let time_ms = T0 + minute * MINUTE;
        let samples = [(requests, counter(minute)), (temperature, gauge(minute))];
        append(store, target, time_ms, &samples).expect("appends");
        if minute % 240 == 239 {
            store.maintain(time_ms).expect("maintains");
        }
    }
}

fn ask(store: &MetricStore, text: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Answer {
    Engine::default()
        .range(store, text, start_ms, end_ms, step_ms, &Context::default())
        .expect("answers")
}

/// The values of an expression that gives one series.
fn points(store: &MetricStore, text: &str, span: (i64, i64), step_ms: i64) -> BTreeMap<i64, f64> {
    let Value::Matrix(series) = ask(store, text, span.0, span.1, step_ms).value else {
        panic!("a matrix");
    };
    let all = series.iter().map(|s| &s.samples);
    all.flat_map(|s| {
        s.timestamps_ms
            .iter()
            .copied()
            .zip(s.values.iter().copied())
    })
    .collect()
}

/// The names of the files of pages, sorted.
fn files(dir: &Path) -> Vec<String> {
    let files = std::fs::read_dir(dir.join("days")).expect("lists");
    let paths = files.map(|f| f.expect("an entry").path());
    let pages = paths.filter(|path| path.extension().is_some_and(|e| e == "db"));
    let names = pages.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn steps(span: (i64, i64), step_ms: i64) -> Vec<i64> {
    (span.0..=span.1).step_by(step_ms as usize).collect()
}

#[test]
fn short_ranges_reach_back_to_the_sample_before_in_a_rollup() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    fill(&store, 3);
    store.maintain(T0 + 3 * DAY + 1).expect("maintains");
    let rolled = CoarseSpan {
        start_ms: T0,
        end_ms: T0 + 2 * DAY,
        resolution_ms: FIVE,
    };
    assert_eq!(store.coarse_spans(), [rolled]);
    let span = (T0 + HOUR, T0 + 2 * DAY - FIVE);
    // At full multiples of five minutes what it grew by in the five minutes before is exact.
    let found = points(&store, "increase(requests_total[5m])", span, FIVE);
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), steps(span, FIVE));
    for (time_ms, value) in &found {
        let minute = (time_ms - T0) / MINUTE;
        let expected = grown(minute) - grown(minute - 5);
        assert!(
            (value - expected).abs() < 1e-6,
            "{minute}: {value}, not {expected}"
        );
    }
    // An hour is an hour, not 55 minutes of it.
    for (time_ms, value) in points(&store, "increase(requests_total[1h])", span, FIVE) {
        let minute = (time_ms - T0) / MINUTE;
        let expected = grown(minute) - grown(minute - 60);
        assert!((value - expected).abs() < 1e-6, "{minute}: {value}");
    }
    // In between and with shorter ranges there is an answer, too.
    let (a_while, minute) = ((T0 + HOUR, T0 + 20 * HOUR), MINUTE);
    let everywhere = [
        "rate(requests_total[5m])",
        "rate(requests_total[1m])",
        "irate(requests_total[1m])",
        "delta(temperature[2m])",
        "idelta(temperature[5m])",
        "deriv(temperature[5m])",
        "predict_linear(temperature[5m], 60)",
        "temperature",
        "avg_over_time(temperature[1m])",
        "sum(rate(requests_total[5m] offset 10m))",
        "max_over_time(rate(requests_total[5m])[10m:1m])",
    ];
    for text in everywhere {
        let found = points(&store, text, a_while, minute);
        let times: Vec<i64> = found.keys().copied().collect();
        assert_eq!(times, steps(a_while, minute), "{text}");
    }
    for value in points(&store, "rate(requests_total[1m])", a_while, minute).values() {
        assert!((0.0..=0.12).contains(value), "{value}");
    }
    let counted = points(&store, "count_over_time(temperature[1m])", a_while, minute);
    assert!(counted.values().all(|n| *n == 1.0), "each sees one sample");
    assert_eq!(
        points(&store, "max_over_time(temperature[2m])", a_while, minute),
        points(&store, "temperature", a_while, minute)
    );
    // The answer says so, where it is so.
    let infos = |start_ms, end_ms| {
        let text = "rate(requests_total[5m])";
        ask(&store, text, start_ms, end_ms, FIVE).infos
    };
    let expected = "PromQL info: before 2026-11-25T00:00:00.000Z one sample every 5m is kept: \
                    ranges and look-back reach at least as far there";
    assert_eq!(infos(span.0, span.1), [expected]);
    assert_eq!(infos(T0 + DAY, T0 + 3 * DAY - HOUR), [expected]);
    assert!(infos(T0 + 2 * DAY + FIVE, T0 + 3 * DAY).is_empty());
    // Where the samples as they came begin there is no hole, and nothing is different beyond.
    let border = (T0 + 2 * DAY - HOUR, T0 + 2 * DAY + HOUR);
    let found = points(&store, "rate(requests_total[5m])", border, MINUTE);
    assert_eq!(
        found.keys().copied().collect::<Vec<_>>(),
        steps(border, MINUTE)
    );
    assert!(
        found.values().all(|v| (0.02..0.08).contains(v)),
        "{found:?}"
    );
}

#[test]
fn a_week_becomes_a_sample_of_every_hour_and_goes_in_the_end() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    fill(&store, 8);
    let span = (T0 + 4 * HOUR, T0 + 7 * DAY - HOUR);
    let of_hours = |store: &MetricStore, text: &str| points(store, text, span, HOUR);
    let raw = of_hours(&store, "temperature");
    store.maintain(T0 + 9 * DAY).expect("maintains");
    assert_eq!(store.stats().days, 8);
    let fine = store.stats().samples_total;
    // The week's last day has to be eight days old.
    store.maintain(T0 + 14 * DAY + HOUR).expect("maintains");
    assert_eq!(store.stats().days, 8);
    store.maintain(T0 + 15 * DAY).expect("maintains");
    let names = || files(dir.path());
    assert_eq!(names(), ["2026-11-23.1h.db", "2026-11-30.5m.db"]);
    assert!(
        store.stats().samples_total * 4 < fine,
        "{:?}",
        store.stats()
    );
    let check = |store: &MetricStore| {
        let spans = store.coarse_spans();
        let of: Vec<i64> = spans.iter().map(|s| s.resolution_ms / MINUTE).collect();
        assert_eq!(of, [60, 5]);
        assert_eq!(of_hours(store, "temperature"), raw);
        for hours in [1, 24] {
            let text = format!("increase(requests_total[{hours}h])");
            for (time_ms, value) in of_hours(store, &text) {
                let minute = (time_ms - T0) / MINUTE;
                let before = (minute - hours * 60).max(0);
                let expected = grown(minute) - grown(before);
                assert!(
                    minute < hours * 60 || (value - expected).abs() < 1e-6,
                    "{minute}: {value}, not {expected}"
                );
            }
        }
        let a_while = (T0 + DAY, T0 + DAY + 6 * HOUR);
        for text in ["temperature", "rate(requests_total[5m])"] {
            let found = points(store, text, a_while, 7 * MINUTE);
            let times: Vec<i64> = found.keys().copied().collect();
            assert_eq!(times, steps(a_while, 7 * MINUTE), "{text}");
        }
    };
    check(&store);
    drop(store);
    let report = metric_store::check(dir.path()).expect("looks");
    assert!(report.is_sound(), "{report:?}");
    let store = open(dir.path());
    check(&store);
    // What is left of the other week joins its file, and all of it goes a month later.
    store.maintain(T0 + 22 * DAY).expect("maintains");
    assert_eq!(names(), ["2026-11-23.1h.db", "2026-11-30.1h.db"]);
    store.maintain(T0 + 37 * DAY).expect("maintains");
    assert_eq!(names(), ["2026-11-30.1h.db"]);
    store.maintain(T0 + 44 * DAY).expect("maintains");
    assert_eq!(store.stats().oldest_ms, None);
}

#[test]
fn for_want_of_space_five_minutes_become_hours_before_those_go() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = Config {
        retention: Duration::from_hours(90 * 24),
        ..Config::default()
    };
    let store = open_with(dir.path(), config, T0).expect("opens").0;
    fill(&store, 9);
    store.maintain(T0 + 9 * DAY + HOUR * 5).expect("maintains");
    let files = || {
        let names = files(dir.path());
        let count = |end: &str| names.iter().filter(|n| n.ends_with(end)).count();
        let (fine, coarse) = (count(".5m.db"), count(".1h.db"));
        (names.len() - fine - coarse, fine, coarse)
    };
    let total = |store: &MetricStore| {
        let text = "increase(requests_total[8d])";
        let at = T0 + 9 * DAY - MINUTE;
        points(store, text, (at, at), MINUTE)
            .into_values()
            .sum::<f64>()
    };
    let expected = total(&store);
    let mut seen = vec![files()];
    while store.drop_oldest().expect("sheds") > 0 {
        seen.push(files());
        if files().0 == 2 && files().1 == 0 && files().2 == 2 {
            let left = total(&store);
            assert!(
                (left - expected).abs() < expected * 0.01,
                "{left} of {expected}"
            );
        }
    }
    let mut wanted: Vec<(usize, usize, usize)> = (0..8).map(|n| (9 - n, n, 0)).collect();
    wanted.extend([(2, 0, 1), (2, 0, 0), (1, 0, 0), (0, 0, 0)]);
    assert_eq!(seen, wanted);
}
