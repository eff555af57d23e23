//! Windows become pages, days go, series leave memory.

mod common;

use std::fs;
use std::time::Duration;

use common::{T0, WINDOW, all, append, count, labels, open, open_with, select, target};
use metric_store::Config;
use model::{MatchOp, Matcher, SampleSink, Samples, Selection, SeriesReader, SlotId, StoreError};

const DAY: i64 = 86_400_000;

fn journals(dir: &std::path::Path) -> usize {
    fs::read_dir(dir.join("journal")).expect("lists").count()
}

/// Scrapes every minute from `from` to `to`.
fn scrape(
    store: &metric_store::MetricStore,
    name: &str,
    series: usize,
    from: i64,
    to: i64,
) -> usize {
    let (id, slots) = target(store, name, series);
    let mut stored = 0;
    for time_ms in (from..to).step_by(60_000) {
        let value = |i: usize| (time_ms / 60_000) as f64 * (i + 1) as f64;
        let samples: Vec<(SlotId, f64)> = slots
            .iter()
            .enumerate()
            .map(|(i, s)| (*s, value(i)))
            .collect();
        stored += append(store, id, time_ms, &samples).expect("appends");
    }
    stored
}

#[test]
fn a_window_that_is_over_is_sealed_and_read_the_same() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, metrics) = open(dir.path(), T0);
    let stored = scrape(&store, "m", 300, T0 + 1, T0 + WINDOW);
    let before = all(&store, "m");
    assert_eq!(count(&before), stored);
    store.maintain(T0 + WINDOW).expect("maintains");
    assert_eq!(store.stats().segments, 0, "the grace time is not over");
    store
        .maintain(T0 + WINDOW + WINDOW / 24)
        .expect("maintains");
    let stats = store.stats();
    assert_eq!((stats.segments, stats.samples_head), (1, 0));
    assert_eq!(stats.samples_total, stored as u64);
    assert_eq!(journals(dir.path()), 0, "sealed journals are gone");
    assert_eq!(all(&store, "m"), before);
    assert!(metrics.pages_read.get() > 0);
    drop(store);
    let (store, _) = open(dir.path(), T0 + WINDOW * 2);
    assert_eq!(all(&store, "m"), before, "after a restart");
}

#[test]
fn a_query_sees_every_sample_while_windows_are_sealed() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = open(dir.path(), T0);
    let stored = scrape(&store, "m", 50, T0 + 1, T0 + 4 * WINDOW);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            for _ in 0..20 {
                assert_eq!(count(&all(&store, "m")), stored);
            }
        });
        for i in 1..=4 {
            store
                .maintain(T0 + i * WINDOW + WINDOW / 2)
                .expect("maintains");
        }
        reader.join().expect("every read was whole");
    });
    assert_eq!(store.stats().segments, 4);
}

#[test]
fn cursors_cut_the_selection_in_label_order() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = open(dir.path(), T0);
    scrape(&store, "b", 200, T0 + 1, T0 + WINDOW);
    scrape(&store, "a", 200, T0 + 1, T0 + WINDOW);
    store.maintain(T0 + 2 * WINDOW).expect("maintains");
    let matcher = Matcher::new("__name__", MatchOp::Regex, "a|b").expect("valid");
    let one = select(&store, vec![matcher.clone()], T0, T0 + WINDOW, 1);
    let four = select(&store, vec![matcher.clone()], T0, T0 + WINDOW, 4);
    assert_eq!(one.len(), 400);
    assert_eq!(one, four);
    let selection = Selection {
        matchers: vec![matcher],
        start_ms: T0,
        end_ms: T0 + WINDOW,
        series_max: 399,
        cursors_max: 4,
    };
    let error = store.select(&selection).err().expect("too many");
    assert!(matches!(error, StoreError::Limit(_)), "{error}");
}

#[test]
fn what_comes_late_gets_a_small_segment() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, metrics) = open(dir.path(), T0);
    scrape(&store, "m", 3, T0 + 1, T0 + WINDOW);
    let (id, slots) = target(&store, "m", 3);
    let now = T0 + WINDOW + WINDOW / 4;
    store.maintain(now).expect("maintains");
    append(&store, id, now, &[(slots[0], 1.0)]).expect("appends");
    // Half an hour back: a new time, and one that is there already.
    append(&store, id, now - WINDOW / 3, &[(slots[0], 2.0)]).expect("appends");
    append(&store, id, T0 + 1 + 60_000 * 119, &[(slots[0], 3.0)]).expect("appends");
    // Too late.
    let stored = append(&store, id, T0 + 5, &[(slots[0], 4.0)]).expect("answers");
    assert_eq!(stored, 0);
    assert_eq!(metrics.samples_out_of_order.get(), 2);
    assert_eq!(metrics.samples_too_old.get(), 1);
    let before = all(&store, "m");
    assert_eq!(before[0].1.len(), 122);
    store.maintain(now + WINDOW).expect("maintains");
    assert_eq!(store.stats().segments, 3);
    assert_eq!(all(&store, "m"), before);
    let at = before[0]
        .1
        .timestamps_ms
        .iter()
        .position(|t| *t == T0 + 1 + 60_000 * 119);
    assert_ne!(
        before[0].1.values[at.expect("there")],
        3.0,
        "the first one counts"
    );
}

#[test]
fn times_far_ahead_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, metrics) = open(dir.path(), T0);
    let (id, slots) = target(&store, "m", 1);
    let stored = append(&store, id, T0 * 1000, &[(slots[0], 1.0)]).expect("answers");
    assert_eq!((stored, metrics.samples_too_new.get()), (0, 1));
    assert_eq!(
        append(&store, id, T0, &[(slots[0], 1.0)]).expect("appends"),
        1
    );
    assert_eq!(
        append(&store, id, T0, &[(slots[0], 2.0)]).expect("answers"),
        0
    );
    assert_eq!(metrics.samples_duplicate.get(), 1);
}

#[test]
fn old_days_go_and_their_series_with_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = Config {
        retention: Duration::from_hours(48),
        rollup_retention: Duration::ZERO,
        hourly_retention: Duration::ZERO,
        ..Config::default()
    };
    let (store, metrics) = open_with(dir.path(), config.clone(), T0).expect("opens");
    for day in 0..4 {
        let from = T0 + day * DAY;
        let name = format!("day{day}");
        scrape(&store, &name, 1500, from + 1, from + 120_000);
        let id = store.open_target(&name).expect("opens");
        store.close_target(id);
        store.maintain(from + DAY - 1).expect("maintains");
    }
    let stats = store.stats();
    assert_eq!((stats.days, stats.segments), (3, 3), "{stats:?}");
    assert_eq!(metrics.days_dropped.get(), 1);
    assert!(all(&store, "day0").is_empty());
    assert_eq!(all(&store, "day1").len(), 1500);
    assert_eq!(stats.index_series, 4500);
    assert_eq!(stats.head_series, 0, "nobody writes to them any more");
    assert!(store.drop_oldest().expect("drops") > 0);
    assert!(all(&store, "day1").is_empty());
    drop(store);
    let (store, _) = open_with(dir.path(), config, T0 + 4 * DAY - 1).expect("opens");
    assert_eq!(all(&store, "day2").len(), 1500);
    let names = store
        .label_values("__name__", &[], i64::MIN, i64::MAX)
        .expect("answers");
    assert_eq!(names, ["day2", "day3"]);
    assert!(store.drop_oldest().expect("drops") > 0);
    assert!(store.drop_oldest().expect("drops") > 0);
    assert_eq!(store.drop_oldest().expect("answers"), 0);
    assert_eq!(
        fs::read_dir(dir.path().join("days"))
            .expect("lists")
            .count(),
        0
    );
}

#[test]
fn the_disk_budget_drops_the_oldest_day() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = open(dir.path(), T0);
    for day in 0..3 {
        let from = T0 + day * DAY;
        store.maintain(from).expect("maintains");
        scrape(&store, "m", 200, from + 1, from + WINDOW);
        store.maintain(from + 2 * WINDOW).expect("maintains");
    }
    drop(store);
    // Opened once more, so that no write-ahead log of the catalogue counts.
    let whole = open(dir.path(), T0 + 3 * DAY).0.stats();
    assert_eq!(whole.days, 3);
    let config = Config {
        disk_bytes_max: whole.disk_bytes - 1,
        rollup_retention: Duration::ZERO,
        hourly_retention: Duration::ZERO,
        ..Config::default()
    };
    let (store, _) = open_with(dir.path(), config, T0 + 3 * DAY).expect("opens");
    store.maintain(T0 + 3 * DAY).expect("maintains");
    let stats = store.stats();
    assert_eq!(stats.days, 2);
    assert!(stats.disk_bytes < whole.disk_bytes);
    assert_eq!(stats.oldest_ms, Some(T0 + DAY + 1));
}

#[test]
fn a_reader_finishes_what_retention_has_dropped() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = open(dir.path(), T0);
    scrape(&store, "m", 2000, T0 + 1, T0 + WINDOW);
    store.maintain(T0 + 2 * WINDOW).expect("maintains");
    let selection = Selection {
        matchers: Vec::new(),
        start_ms: T0,
        end_ms: T0 + WINDOW,
        series_max: usize::MAX,
        cursors_max: 1,
    };
    let mut cursors = store.select(&selection).expect("selects");
    let mut samples = Samples::default();
    assert!(
        cursors[0]
            .next_series(&mut samples)
            .expect("reads")
            .is_some()
    );
    store.drop_oldest().expect("drops");
    while cursors[0]
        .next_series(&mut samples)
        .expect("no error")
        .is_some()
    {}
}

#[test]
fn limits_refuse_newcomers_only() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = Config {
        series_max: 10,
        ..Config::default()
    };
    let (store, metrics) = open_with(dir.path(), config, T0).expect("opens");
    let (id, slots) = target(&store, "m", 10);
    let error = store
        .open_slot(id, &labels("m", 10))
        .expect_err("one too many");
    assert!(matches!(error, StoreError::Limit(_)), "{error}");
    assert_eq!(metrics.series_refused.get(), 1);
    assert_eq!(
        store.open_slot(id, &labels("m", 3)).expect("is there"),
        slots[3]
    );
    assert_eq!(
        append(&store, id, T0, &[(slots[9], 1.0)]).expect("appends"),
        1
    );
    let error = append(&store, id, T0, &[(SlotId(77), 1.0)]).expect_err("no such slot");
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
}

#[test]
fn an_idle_series_leaves_the_head_and_comes_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = open(dir.path(), T0);
    let (id, slots) = target(&store, "m", 2);
    append(&store, id, T0 + 1, &[(slots[0], 1.0), (slots[1], 1.0)]).expect("appends");
    for i in 1..40 {
        append(&store, id, T0 + i * WINDOW / 8, &[(slots[0], 1.0)]).expect("appends");
        store.maintain(T0 + i * WINDOW / 8).expect("maintains");
    }
    assert_eq!(store.stats().head_series, 1);
    let now = T0 + 5 * WINDOW;
    append(&store, id, now, &[(slots[0], 2.0), (slots[1], 2.0)]).expect("the slot is valid");
    assert_eq!(store.stats().head_series, 2);
    let found = all(&store, "m");
    assert_eq!(found[1].1.timestamps_ms, [T0 + 1, now]);
    store.maintain(now + 2 * WINDOW).expect("maintains");
    assert_eq!(all(&store, "m"), found);
}

#[test]
fn too_little_memory_seals_early() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = Config {
        memory_bytes_max: 400_000,
        ..Config::default()
    };
    let (store, _) = open_with(dir.path(), config, T0).expect("opens");
    let stored = scrape(&store, "m", 1000, T0 + 1, T0 + 3_000_000);
    store.maintain(T0 + 3_000_000).expect("maintains");
    let stats = store.stats();
    assert_eq!((stats.segments, stats.samples_head), (1, 0), "{stats:?}");
    assert_eq!(count(&all(&store, "m")), stored);
}
