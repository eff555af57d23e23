//! A full disk: appending says so, what was accepted stays, and all goes on when there is room.

use std::sync::atomic::Ordering;

use model::{
    Labels, Matcher, SampleSink, Samples, Scrape, Selection, SeriesReader, SlotId, StoreError,
    TargetId,
};
use prometheus_client::registry::Registry;

use crate::config::DAY_MS;
use crate::{Config, MetricStore, Metrics};

const T0: i64 = 20_000 * DAY_MS;
const WINDOW: i64 = 7_200_000;

fn open(dir: &std::path::Path) -> MetricStore {
    let metrics = Metrics::new(&mut Registry::default());
    MetricStore::open(dir, Config::default(), metrics, T0).expect("opens")
}

fn labels(i: u32) -> Labels {
    Labels::from_pairs([("__name__", "m".to_owned()), ("i", i.to_string())])
}

fn append(
    store: &MetricStore,
    target: TargetId,
    time_ms: i64,
    value: f64,
) -> Result<usize, StoreError> {
    // Values without structure, so that every scrape takes room.
    let noise = |i: u32| (f64::from(i) + value).sin();
    let samples: Vec<(SlotId, f64)> = (0..500).map(|i| (SlotId(i), noise(i))).collect();
    store.append(Scrape {
        target,
        timestamp_ms: time_ms,
        samples: &samples,
    })
}

fn times(store: &MetricStore) -> Vec<i64> {
    let selection = Selection {
        matchers: vec![Matcher::equal("i", "499")],
        start_ms: i64::MIN,
        end_ms: i64::MAX,
        series_max: 1,
        cursors_max: 1,
    };
    let mut samples = Samples::default();
    let mut cursors = store.select(&selection).expect("selects");
    for cursor in &mut cursors {
        cursor.next_series(&mut samples).expect("reads");
    }
    samples.timestamps_ms
}

#[test]
fn a_full_disk_refuses_scrapes_and_loses_none() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    let target = store.open_target("t").expect("opens");
    for i in 0..500 {
        store.open_slot(target, &labels(i)).expect("opens");
    }
    store.journal_quota().set(3 << 20);
    let (mut accepted, mut refused) = (Vec::new(), 0);
    for i in 0..1000 {
        let time_ms = T0 + i * 1000;
        match append(&store, target, time_ms, i as f64) {
            Ok(n) => {
                assert_eq!(n, 500);
                accepted.push(time_ms);
            }
            Err(StoreError::NoSpace(_)) => refused += 1,
            Err(other) => panic!("another error: {other}"),
        }
    }
    assert!(refused > 0 && !accepted.is_empty());
    let newcomer = store.open_slot(target, &labels(10_000));
    assert!(
        newcomer.is_ok(),
        "the series' journal has room left: {newcomer:?}"
    );
    store.journal_quota().set(u64::MAX);
    for i in 1000..1010 {
        append(&store, target, T0 + i * 1000, i as f64).expect("there is room again");
        accepted.push(T0 + i * 1000);
    }
    assert_eq!(times(&store), accepted);
    drop(store);
    let store = open(dir.path());
    assert_eq!(times(&store), accepted, "after a restart");
}

#[test]
fn sealing_on_a_full_disk_is_tried_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    let target = store.open_target("t").expect("opens");
    for i in 0..500 {
        store.open_slot(target, &labels(i)).expect("opens");
    }
    let mut accepted = Vec::new();
    for i in 0..100 {
        append(&store, target, T0 + i * 60_000, i as f64).expect("appends");
        accepted.push(T0 + i * 60_000);
    }
    let day = store
        .shared()
        .days
        .day_or_new(crate::pages::DayKey::raw(T0));
    day.pages_max.store(8, Ordering::Relaxed);
    let now = T0 + WINDOW + WINDOW / 2;
    for _ in 0..2 {
        let error = store.maintain(now).expect_err("no room for the pages");
        assert!(matches!(error, StoreError::NoSpace(_)), "{error}");
        assert_eq!(times(&store), accepted, "what waits can be read");
    }
    assert_eq!(store.stats().windows_waiting, 1);
    append(&store, target, now, 1.0).expect("appending goes on");
    accepted.push(now);
    // A kill now: the journals are still there.
    drop(store);
    let store = open(dir.path());
    assert_eq!(times(&store), accepted);
    store.maintain(now).expect("there is room again");
    let stats = store.stats();
    assert_eq!((stats.windows_waiting, stats.segments), (0, 1));
    assert_eq!(times(&store), accepted);
}
