//! History that is imported: older than anything that may be appended, twice, beside the head.

mod common;

use metric_store::{Imported, MetricStore};
use model::{Labels, SampleSink, Samples, Scrape};

const HOUR: i64 = 3_600_000;
const NOW: i64 = 1_763_900_000_000;

fn series(i: usize, times: impl Iterator<Item = i64>) -> (Labels, Samples) {
    let labels = Labels::from_pairs([
        ("__name__", format!("old_metric_{}", i % 3)),
        ("i", i.to_string()),
    ]);
    let mut samples = Samples::default();
    for time_ms in times {
        samples.push(time_ms, (time_ms % 1000) as f64 + i as f64);
    }
    (labels, samples)
}

fn history() -> Vec<(Labels, Samples)> {
    let one = |i| series(i, (0..600).map(|n| NOW - 30 * HOUR + n * 60_000));
    let mut all: Vec<_> = (0..20).map(one).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn read(store: &MetricStore) -> Vec<(Labels, Samples)> {
    common::select(store, Vec::new(), NOW - 40 * HOUR, NOW, 2)
}

#[test]
fn history_is_there_also_after_a_restart_and_only_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = common::open(dir.path(), NOW).0;
    let first = store.import(history(), NOW).expect("imports");
    assert_eq!((first.samples, first.known), (20 * 600, 0));
    let all = read(&store);
    assert_eq!(all, history());
    let disk = store.stats().disk_bytes;
    let again = store.import(history(), NOW).expect("imports");
    assert_eq!(
        again,
        Imported {
            known: 20 * 600,
            ..Imported::default()
        }
    );
    assert_eq!(store.stats().disk_bytes, disk);
    drop(store);
    let store = common::open(dir.path(), NOW).0;
    assert_eq!(read(&store), history());
}

#[test]
fn what_is_too_old_is_counted() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = common::open(dir.path(), NOW).0;
    let times = [NOW - 24 * 5 * 366 * HOUR, NOW - HOUR, NOW + 24 * HOUR];
    let imported = store
        .import(vec![series(1, times.into_iter())], NOW)
        .expect("imports");
    assert_eq!((imported.samples, imported.out_of_range), (1, 2));
}

#[test]
fn the_open_window_takes_history_beside_its_head() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = common::open(dir.path(), NOW).0;
    let (labels, expected) = series(0, (0..10).map(|n| NOW - n * 60_000).rev());
    let target = store.open_target("scraped").expect("opens");
    let slot = store.open_slot(target, &labels).expect("opens");
    for at in [3usize, 7] {
        store
            .append(Scrape {
                target,
                timestamp_ms: expected.timestamps_ms[at],
                samples: &[(slot, expected.values[at])],
            })
            .expect("appends");
    }
    let part = vec![(labels.clone(), expected.clone())];
    let imported = store.import(part, NOW).expect("imports");
    assert_eq!((imported.samples, imported.known), (8, 2));
    drop(store);
    let store = common::open(dir.path(), NOW).0;
    assert_eq!(read(&store), [(labels, expected)]);
}
