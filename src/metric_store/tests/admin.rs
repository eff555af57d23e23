//! Deleting, copying, checking, rewriting, limits, and who has so many series.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::{
    T0, WINDOW, all, append, assert_same, count, labels, open, open_with, select, target,
};
use metric_store::{Config, MetricStore, check};
use model::{
    Buckets, Exemplar, Histogram, Labels, Matcher, SampleSink, Samples, SeriesAdmin, SeriesReader,
    SlotId, StoreError,
};

const DAY: i64 = 86_400_000;

/// Scrapes every minute from `from` to `to`; every third series ends in a native histogram.
fn scrape(store: &MetricStore, name: &str, series: usize, from: i64, to: i64) {
    let (id, slots) = target(store, name, series);
    for time_ms in (from..to).step_by(60_000) {
        let step = (time_ms / 60_000) as f64;
        let floats = slots.iter().filter(|s| s.0 % 3 != 2);
        let floats: Vec<(SlotId, f64)> = floats.map(|s| (*s, step * f64::from(s.0))).collect();
        append(store, id, time_ms, &floats).expect("appends");
        let histograms = slots.iter().filter(|s| s.0 % 3 == 2).map(|slot| {
            let counts = (0..5).map(|b| (b, step * f64::from(b)));
            let histogram = Histogram {
                count: step * 10.0,
                sum: step / 3.0,
                positive: Buckets::from_pairs(counts),
                ..Histogram::default()
            };
            (*slot, Arc::new(histogram))
        });
        let histograms: Vec<_> = histograms.collect();
        if !histograms.is_empty() {
            let stored = store.append_histograms(id, time_ms, &histograms);
            assert_eq!(stored.expect("appends"), histograms.len());
        }
    }
}

/// A store with three days, sealed, and the beginning of a fourth in the head; like a process that
/// ran all the time.
fn three_days(dir: &Path) -> MetricStore {
    let (store, _) = open(dir, T0);
    let end = T0 + 3 * DAY + WINDOW / 2;
    for window in (T0..end).step_by(WINDOW as usize) {
        scrape(&store, "m", 9, window, end.min(window + WINDOW));
        store.maintain(window + WINDOW - 1).expect("maintains");
    }
    store
}

fn sound(dir: &Path) -> metric_store::Report {
    let report = check(dir).expect("can be checked");
    assert_eq!(report.problems, Vec::<String>::new());
    report
}

fn sorted_files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("lists") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(sorted_files(&path));
        } else {
            let bytes = fs::read(&path).expect("reads");
            files.push((path.display().to_string(), bytes));
        }
    }
    files.sort();
    files
}

#[test]
fn days_that_are_over_become_one_segment_each() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = three_days(dir.path());
    let before = all(&store, "m");
    let many = store.stats().segments;
    assert_eq!(many, 1 + 1 + 12, "two days, and the windows of the third");
    // What was begun before goes on reading what was there.
    let selection = model::Selection {
        matchers: vec![Matcher::equal("__name__", "m")],
        start_ms: i64::MIN,
        end_ms: i64::MAX,
        series_max: usize::MAX,
        cursors_max: 1,
    };
    let mut early = store.select(&selection).expect("selects");
    store
        .maintain(T0 + 3 * DAY + 4 * WINDOW)
        .expect("maintains");
    let few = store.stats().segments;
    assert_eq!(few, 3 + 1, "three days, and a window of the fourth");
    assert_same(&all(&store, "m"), &before);
    let mut samples = Samples::default();
    let mut read = Vec::new();
    while let Some(labels) = early[0].next_series(&mut samples).expect("reads") {
        read.push((labels, samples.clone()));
    }
    assert_same(&read, &before);
    drop(early);
    let bytes = store.stats().disk_bytes;
    store
        .maintain(T0 + 3 * DAY + 4 * WINDOW)
        .expect("maintains");
    assert!(store.stats().disk_bytes < bytes, "the old pages are gone");
    assert_eq!(store.stats().samples_total, count(&before) as u64);
    drop(store);
    let report = sound(dir.path());
    assert_eq!(report.segments, few as u64);
    let (store, _) = open(dir.path(), T0 + 3 * DAY);
    assert_same(&all(&store, "m"), &before);
}

/// All files of a store as they lie on the disk now: what a kill leaves.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("makes");
    for entry in fs::read_dir(from).expect("lists") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("copies");
        }
    }
}

#[test]
fn a_kill_while_a_day_is_rewritten_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = three_days(dir.path());
    let before = all(&store, "m");
    let early = store.select(&model::Selection {
        matchers: Vec::new(),
        start_ms: i64::MIN,
        end_ms: i64::MAX,
        series_max: usize::MAX,
        cursors_max: 1,
    });
    let kills = tempfile::tempdir().expect("a folder");
    let (old, new) = (kills.path().join("old"), kills.path().join("new"));
    copy_folder(dir.path(), &old);
    // Somebody reads the old pages, so they are still there when the new ones are.
    store
        .maintain(T0 + 3 * DAY + 4 * WINDOW)
        .expect("maintains");
    copy_folder(dir.path(), &new);
    let mixed = kills.path().join("mixed");
    copy_folder(&new, &mixed);
    drop(early);
    drop(store);
    // Killed between the catalogue and the deletion of the old pages.
    let (store, _) = open(&new, T0 + 3 * DAY + 4 * WINDOW);
    assert_same(&all(&store, "m"), &before);
    assert_eq!(store.stats().segments, 4);
    drop(store);
    sound(&new);
    // Killed between the pages and the catalogue: the pages of both, but the catalogue and the
    // journals of before.
    for name in ["meta.db", "meta.db-wal", "meta.db-shm"] {
        let _ = fs::remove_file(mixed.join(name));
        let _ = fs::copy(old.join(name), mixed.join(name));
    }
    copy_folder(&old.join("journal"), &mixed.join("journal"));
    let (store, _) = open(&mixed, T0 + 3 * DAY + 4 * WINDOW);
    assert_eq!(store.stats().segments, 14);
    assert_same(&all(&store, "m"), &before);
    drop(store);
    sound(&mixed);
}

#[test]
fn the_forecast_is_what_the_last_days_took() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = open(dir.path(), T0);
    assert_eq!(store.forecast(T0), None);
    drop(store);
    let store = three_days(dir.path());
    let now = T0 + 3 * DAY + WINDOW;
    let forecast = store.forecast(now).expect("three days");
    // 9 series of 1440 samples: some kilobytes of pages.
    let per_day = forecast.bytes_per_day;
    assert!((500..200_000).contains(&per_day), "{per_day}");
    assert!((3 * DAY - 60_000..3 * DAY + WINDOW).contains(&forecast.looked_at_ms));
    let at_retention = forecast.bytes_at_retention as f64 / forecast.bytes_per_day as f64;
    // 15 days, 350 of a seventh, four years of a fiftieth.
    assert!((at_retention - 94.7).abs() < 0.1, "{at_retention}");
    assert_eq!(forecast.days_in(10 * forecast.bytes_per_day + 1), 10);
    // A week later what is older does not count.
    let later = store.forecast(now + 6 * DAY).expect("a day");
    assert!(later.looked_at_ms < 2 * DAY + WINDOW);
}

#[test]
fn what_comes_late_to_a_rewritten_day_is_not_lost_by_a_kill() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = Config {
        out_of_order_window: std::time::Duration::from_hours(100),
        ..Config::default()
    };
    let store = three_days(dir.path());
    drop(store);
    // The clock was set back: samples of the first window, journalled before the day is rewritten
    // and not sealed when the process is killed.
    let (store, _) = open_with(dir.path(), config.clone(), T0 + 3 * DAY).expect("opens");
    let (id, slots) = target(&store, "late", 1);
    append(&store, id, T0 + 5, &[(slots[0], 1.0)]).expect("appends");
    let rewritten = |store: &MetricStore| store.stats().segments;
    let before = rewritten(&store);
    store.maintain(T0 + 8 * DAY).expect("maintains");
    store.maintain(T0 + 8 * DAY).expect("maintains");
    assert!(rewritten(&store) < before);
    append(&store, id, T0 + 6, &[(slots[0], 2.0)]).expect("appends");
    drop(store);
    let (store, _) = open_with(dir.path(), config, T0 + 8 * DAY).expect("opens");
    let found = all(&store, "late");
    assert_eq!(found[0].1.values, [1.0, 2.0]);
}

#[test]
fn deleted_samples_are_hidden_at_once_and_then_gone() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = three_days(dir.path());
    let before = all(&store, "m");
    let (from, to) = (T0 + DAY, T0 + 3 * DAY + 600_000);
    let selectors = [
        vec![Matcher::equal("i", "0004")],
        vec![Matcher::equal("i", "0005")],
    ];
    assert_eq!(
        store.delete_series(&selectors, from, to).expect("deletes"),
        2
    );
    let expected: Vec<(Labels, Samples)> = before
        .iter()
        .map(|(labels, samples)| {
            let mut kept = Samples::default();
            let gone = ["0004", "0005"].contains(&labels.get("i").unwrap_or_default());
            let mut histograms = samples.histograms.iter().map(|(_, h)| h.clone());
            for (time, value) in samples.timestamps_ms.iter().zip(&samples.values) {
                let histogram = model::is_histogram(*value).then(|| histograms.next());
                let hidden = gone && (from..=to).contains(time);
                match histogram.flatten() {
                    _ if hidden => {}
                    Some(histogram) => kept.push_histogram(*time, histogram),
                    None => kept.push(*time, *value),
                }
            }
            (labels.clone(), kept)
        })
        .collect();
    let same = |store: &MetricStore| {
        assert_same(&all(store, "m"), &expected);
    };
    same(&store);
    // A series that is deleted wholly is not even named.
    let whole = [vec![Matcher::equal("i", "0001")]];
    assert_eq!(
        store
            .delete_series(&whole, i64::MIN, i64::MAX)
            .expect("deletes"),
        1
    );
    let named = |store: &MetricStore| {
        let values = store.label_values("i", &[], i64::MIN, i64::MAX);
        values.expect("reads").contains(&"0001".to_owned())
    };
    assert!(!named(&store));
    drop(store);
    let (store, _) = open(dir.path(), T0 + 3 * DAY);
    assert!(!named(&store), "after a restart");
    assert_eq!(all(&store, "m").len(), 8);
    // What comes after deleting is new.
    let (id, slots) = target(&store, "m", 9);
    let now = T0 + 3 * DAY + WINDOW - 1;
    append(&store, id, now, &[(slots[1], 7.0)]).expect("appends");
    assert!(named(&store));
    let samples = store.stats().samples_total;
    store.clean_tombstones().expect("cleans");
    assert!(store.stats().samples_total < samples);
    let one = select(&store, whole[0].clone(), i64::MIN, i64::MAX, 1);
    assert_eq!(one[0].1.values, [7.0]);
    drop(store);
    let report = sound(dir.path());
    assert_eq!(report.samples + report.journal_samples, {
        let hidden = 2 * (2 * 1440 + 11);
        (count(&before) - before[1].1.len() - hidden + 1) as u64
    });
    let (store, _) = open(dir.path(), T0 + 3 * DAY);
    assert_eq!(
        count(&all(&store, "m")) as u64,
        report.samples + report.journal_samples
    );
    // Cleaned up, the same times may be written again.
    assert_eq!(store.delete_series(&whole, T0, T0 + 1).expect("deletes"), 0);
}

#[test]
fn a_copy_of_a_working_store_is_a_store() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = three_days(dir.path());
    store
        .delete_series(&[vec![Matcher::equal("i", "0002")]], T0, T0 + DAY)
        .expect("deletes");
    let before = all(&store, "m");
    let copies = tempfile::tempdir().expect("a folder");
    let folder = copies.path().join("copy");
    // Others write and read meanwhile.
    let writing = std::thread::spawn({
        let store = store.clone();
        move || scrape(&store, "other", 30, T0 + 3 * DAY, T0 + 3 * DAY + WINDOW)
    });
    store.snapshot(&folder).expect("copies");
    writing.join().expect("writes");
    let error = store.snapshot(&folder).expect_err("it is there");
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    sound(&folder);
    let files = sorted_files(&folder);
    sound(&folder);
    assert_eq!(sorted_files(&folder), files, "checking changes nothing");
    let (copy, _) = open(&folder, T0 + 3 * DAY);
    assert_same(&all(&copy, "m"), &before);
    assert!(check(&folder).is_err_and(|e| e.to_string().contains("in use")));
    let others = count(&all(&copy, "other"));
    assert!(others <= count(&all(&store, "other")));
    scrape(
        &copy,
        "m",
        9,
        T0 + 3 * DAY + WINDOW,
        T0 + 3 * DAY + 2 * WINDOW,
    );
    copy.maintain(T0 + 4 * DAY).expect("maintains");
}

#[test]
fn damage_is_found_and_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = three_days(dir.path());
    let (id, slots) = target(&store, "noise", 60);
    for minute in 0..120 {
        let noise = |s: &SlotId| f64::from(s.0 * 1000 + minute).sin();
        let samples: Vec<(SlotId, f64)> = slots.iter().map(|s| (*s, noise(s))).collect();
        let time_ms = T0 + 3 * DAY + WINDOW + i64::from(minute) * 60_000;
        append(&store, id, time_ms, &samples).expect("appends");
    }
    store
        .maintain(T0 + 3 * DAY + 3 * WINDOW)
        .expect("maintains");
    drop(store);
    sound(dir.path());
    let path = dir.path().join("days/2026-11-26.db");
    let whole = fs::read(&path).expect("reads");
    let mut found = 0;
    for part in 1..20 {
        let mut bytes = whole.clone();
        let at = whole.len() * part / 20;
        for byte in &mut bytes[at..at + 64] {
            *byte ^= 0x55;
        }
        fs::write(&path, &bytes).expect("writes");
        match check(dir.path()) {
            Ok(report) if report.is_sound() => {}
            Ok(report) => {
                assert!(
                    report.problems[0].contains("2026-11-26.db"),
                    "{:?}",
                    report.problems
                );
                found += 1;
            }
            Err(error) => panic!("the rest can be checked: {error}"),
        }
    }
    // Some of the bytes belong to nothing.
    assert!(found >= 8, "{found} of 19");
    fs::write(&path, &whole[..whole.len() / 2]).expect("writes");
    assert!(!check(dir.path()).expect("can be checked").is_sound());
    fs::remove_file(&path).expect("removes");
    let report = check(dir.path()).expect("can be checked");
    assert!(
        report.problems[0].contains("2026-11-26.db"),
        "{:?}",
        report.problems
    );
}

#[test]
fn the_newcomer_is_refused_and_the_culprit_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = Config {
        series_max: 50,
        series_per_target_max: 30,
        ..Config::default()
    };
    let (store, metrics) = open_with(dir.path(), config, T0).expect("opens");
    let (id, slots) = target(&store, "many", 30);
    let error = store
        .open_slot(id, &labels("many", 30))
        .expect_err("too many");
    assert!(
        error.to_string().contains("\"many\" has 30 series"),
        "{error}"
    );
    assert_eq!(
        store.open_slot(id, &labels("many", 29)).expect("known"),
        slots[29]
    );
    append(&store, id, T0, &[(slots[29], 1.0)]).expect("the old go on");
    let (other, _) = target(&store, "few", 20);
    let error = store
        .open_slot(other, &labels("few", 20))
        .expect_err("too many");
    let message = error.to_string();
    assert!(matches!(error, StoreError::Limit(_)));
    assert!(message.contains("the limit is 50"), "{message}");
    assert!(
        message.contains("target \"many\" (30), metric \"many\" (30)"),
        "{message}"
    );
    assert_eq!(metrics.series_refused.get(), 2);
    assert_eq!(metrics.series_refused_by_target.get(), 1);
    let figures = store.cardinality(2).expect("counts");
    assert_eq!((figures.series, figures.series_max), (50, 50));
    let named = |list: &[model::Counted]| -> Vec<(String, u64)> {
        list.iter().map(|c| (c.name.clone(), c.count)).collect()
    };
    let pair = |name: &str, count| (name.to_owned(), count);
    assert_eq!(named(&figures.metrics), [pair("many", 30), pair("few", 20)]);
    assert_eq!(named(&figures.targets), [pair("many", 30), pair("few", 20)]);
    assert_eq!(named(&figures.labels), [pair("i", 30), pair("__name__", 2)]);
    assert_eq!(
        named(&figures.label_bytes),
        [pair("i", 120), pair("__name__", 7)]
    );
    assert_eq!(figures.pairs[0].name, "__name__=many");
    assert_eq!((figures.label_pairs, figures.churn_series), (32, 50));
    store.maintain(T0 + 60_000).expect("maintains");
    store.maintain(T0 + 7_200_000).expect("maintains");
    assert_eq!(store.cardinality(2).expect("counts").churn_series, 0);
}

#[test]
fn exemplars_come_back_in_order_of_labels_and_time() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, metrics) = open(dir.path(), T0);
    let (id, slots) = target(&store, "m", 3);
    let exemplar = |trace: &str, timestamp_ms| Exemplar {
        labels: Labels::from_pairs([("trace_id", trace)]),
        value: 0.5,
        timestamp_ms,
    };
    for (slot, trace, time) in [(2, "c", 1), (0, "a", 2), (2, "d", 3), (1, "e", 9)] {
        store.append_exemplar(id, slots[slot], exemplar(trace, time));
    }
    store.append_exemplar(id, slots[2], exemplar("d", 3));
    store.append_exemplar(id, SlotId(99), exemplar("lost", 3));
    let selectors = [
        vec![Matcher::equal("i", "0002")],
        vec![Matcher::equal("__name__", "m")],
    ];
    let found = store.exemplars(&selectors, 1, 3).expect("reads");
    let expected = [
        (labels("m", 0), vec![exemplar("a", 2)]),
        (labels("m", 2), vec![exemplar("c", 1), exemplar("d", 3)]),
    ];
    assert_eq!(found, expected);
    assert_eq!(metrics.exemplars.get(), 4);
}
