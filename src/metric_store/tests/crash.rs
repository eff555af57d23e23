//! What a kill, a power loss and a damaged disk leave behind.

mod common;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use common::{T0, WINDOW, all, append, assert_same, count, labels, open, open_with, target};
use metric_store::Config;
use model::{MetricKind, MetricMetadata, SampleSink, SeriesReader, SlotId, StoreError};
use proptest::prelude::*;

/// 100 scrapes of 20 series; never closed and never synced.
fn fill(dir: &Path) -> usize {
    let (store, _) = open(dir, T0);
    let (id, slots) = target(&store, "m", 20);
    let mut stored = 0;
    for i in 0..100 {
        let samples: Vec<(SlotId, f64)> = slots
            .iter()
            .map(|s| (*s, f64::from(s.0) + f64::from(i) / 10.0))
            .collect();
        stored += append(&store, id, T0 + i64::from(i) * 15_000, &samples).expect("appends");
    }
    stored
}

fn journal_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("journal")).expect("lists");
    let mut files: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    files.sort();
    files
}

/// The journal of rows: the one whose header says so.
fn rows_journal(dir: &Path) -> PathBuf {
    let rows = |path: &PathBuf| fs::read(path).expect("reads").get(6) == Some(&1);
    journal_files(dir).into_iter().find(rows).expect("is there")
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    let dir = tempfile::tempdir().expect("a folder");
    let stored = fill(dir.path());
    let (store, metrics) = open(dir.path(), T0);
    assert_eq!(count(&all(&store, "m")), stored);
    assert_eq!(metrics.journal_replayed_samples.get(), stored as u64);
    assert_eq!(metrics.journal_damaged.get(), 0);
    // The same series in the same target go on.
    let (id, slots) = target(&store, "m", 20);
    assert_eq!(store.stats().head_series, 20);
    append(&store, id, T0 + 100 * 15_000, &[(slots[7], 0.5)]).expect("appends");
    drop(store);
    let (store, _) = open(dir.path(), T0);
    let found = all(&store, "m");
    assert_eq!(count(&found), stored + 1);
    assert_eq!(found[7].1.values.last(), Some(&0.5));
}

#[test]
fn a_journal_that_several_threads_read_comes_back_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = open(dir.path(), T0);
    let targets: Vec<_> = (0..9)
        .map(|t| target(&store, &format!("m{t}"), 150))
        .collect();
    let mut stored = 0;
    for row in 0..120 {
        for (t, (id, slots)) in targets.iter().enumerate() {
            let noise = |slot: &SlotId| f64::from(slot.0 * 7 + row).sin();
            let samples: Vec<(SlotId, f64)> = slots.iter().map(|s| (*s, noise(s))).collect();
            let time_ms = T0 + i64::from(row) * 15_000 + t as i64;
            stored += append(&store, *id, time_ms, &samples).expect("appends");
        }
    }
    let name = |t: usize| format!("m{t}");
    let before: Vec<_> = (0..9).map(|t| all(&store, &name(t))).collect();
    drop(store);
    let bytes = fs::metadata(rows_journal(dir.path()))
        .expect("is there")
        .len();
    assert!(bytes > 1 << 20, "{bytes} bytes are read by one thread");
    let (store, metrics) = open(dir.path(), T0);
    assert_eq!(metrics.journal_replayed_samples.get(), stored as u64);
    assert_eq!(metrics.journal_damaged.get(), 0);
    for (t, before) in before.iter().enumerate() {
        assert_same(&all(&store, &name(t)), before);
    }
}

#[test]
fn a_crash_between_catalogue_and_journal_doubles_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let stored = fill(dir.path());
    let kept: Vec<(PathBuf, Vec<u8>)> = journal_files(dir.path())
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).expect("reads")))
        .collect();
    let (store, _) = open(dir.path(), T0);
    store.maintain(T0 + 2 * WINDOW).expect("maintains");
    assert_eq!(store.stats().segments, 1);
    drop(store);
    // As if the process had ended before it could delete them.
    for (path, bytes) in kept {
        fs::write(path, bytes).expect("writes");
    }
    let (store, metrics) = open(dir.path(), T0 + 2 * WINDOW);
    assert_eq!(metrics.journal_replayed_samples.get(), 0);
    let stats = store.stats();
    assert_eq!(
        (stats.samples_head, stats.samples_total),
        (0, stored as u64)
    );
    assert_eq!(count(&all(&store, "m")), stored);
}

#[test]
fn a_crash_between_pages_and_catalogue_doubles_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let stored = fill(dir.path());
    let copy = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(copy.path().join("journal")).expect("makes");
    for path in journal_files(dir.path()) {
        let name = path.file_name().expect("a name");
        fs::copy(&path, copy.path().join("journal").join(name)).expect("copies");
    }
    let (store, _) = open(dir.path(), T0);
    store.maintain(T0 + 2 * WINDOW).expect("maintains");
    drop(store);
    // Pages without a catalogue, journals still there.
    fs::create_dir_all(copy.path().join("days")).expect("makes");
    for entry in fs::read_dir(dir.path().join("days")).expect("lists") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        fs::copy(&path, copy.path().join("days").join(name)).expect("copies");
    }
    let (store, _) = open(copy.path(), T0 + 2 * WINDOW);
    assert_eq!(count(&all(&store, "m")), stored);
    store.maintain(T0 + 2 * WINDOW).expect("maintains");
    let stats = store.stats();
    assert_eq!((stats.segments, stats.samples_total), (1, stored as u64));
    assert_eq!(count(&all(&store, "m")), stored);
}

#[test]
fn series_that_a_power_loss_took_do_not_become_others() {
    let dir = tempfile::tempdir().expect("a folder");
    fill(dir.path());
    let rows = rows_journal(dir.path());
    for path in journal_files(dir.path()) {
        if path != rows {
            fs::remove_file(path).expect("removes");
        }
    }
    let (store, metrics) = open(dir.path(), T0);
    assert_eq!(metrics.journal_orphaned_samples.get(), 2000);
    assert!(all(&store, "m").is_empty());
    let (id, slots) = target(&store, "other", 20);
    append(&store, id, T0, &[(slots[0], 1.0)]).expect("appends");
    drop(store);
    let (store, _) = open(dir.path(), T0);
    assert_eq!(count(&all(&store, "other")), 1, "no foreign samples");
    store.maintain(T0 + 2 * WINDOW).expect("maintains");
    assert_eq!(count(&all(&store, "other")), 1);
    assert_eq!(journal_files(dir.path()).len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_tail_keeps_what_is_before_it(at in 0.01f64..1.0, cut: bool, bit in 0u8..8) {
        let dir = tempfile::tempdir().expect("a folder");
        let stored = fill(dir.path());
        let path = rows_journal(dir.path());
        let bytes = fs::read(&path).expect("reads");
        let used = bytes.iter().rposition(|b| *b != 0).expect("not empty") + 1;
        let at = ((used as f64 * at) as usize).clamp(28, used - 1);
        let file = OpenOptions::new().write(true).open(&path).expect("opens");
        if cut {
            file.set_len(at as u64).expect("cuts");
        } else {
            file.write_all_at(&[bytes[at] ^ 1 << bit], at as u64).expect("writes");
        }
        drop(file);
        let (store, metrics) = open(dir.path(), T0);
        let found = all(&store, "m");
        let kept = count(&found);
        prop_assert!(kept < stored && kept.is_multiple_of(20), "whole scrapes: {kept}");
        for (_, samples) in &found {
            let expected: Vec<i64> = (0..kept as i64 / 20).map(|i| T0 + i * 15_000).collect();
            prop_assert_eq!(&samples.timestamps_ms, &expected);
        }
        if !cut {
            prop_assert_eq!(metrics.journal_damaged.get(), 1);
        }
        // It goes on, and the damage is told once.
        let (id, slots) = target(&store, "m", 20);
        append(&store, id, T0 + 1_600_000, &[(slots[0], 1.0)]).expect("appends");
        drop(store);
        let (store, metrics) = open(dir.path(), T0);
        prop_assert_eq!(count(&all(&store, "m")), kept + 1);
        prop_assert_eq!(metrics.journal_damaged.get(), 0);
    }
}

#[test]
fn a_damaged_journal_head_is_set_aside() {
    let dir = tempfile::tempdir().expect("a folder");
    fill(dir.path());
    let path = rows_journal(dir.path());
    let file = OpenOptions::new().write(true).open(&path).expect("opens");
    file.write_all_at(b"xxxx", 0).expect("writes");
    let (store, metrics) = open(dir.path(), T0);
    assert_eq!(metrics.journal_damaged.get(), 1);
    assert!(all(&store, "m").is_empty());
    assert!(path.with_extension("damaged").exists());
}

#[test]
fn a_damaged_page_fails_its_query_and_no_other() {
    let dir = tempfile::tempdir().expect("a folder");
    fill(dir.path());
    let (store, _) = open(dir.path(), T0);
    store.maintain(T0 + 2 * WINDOW).expect("maintains");
    drop(store);
    let day = dir.path().join("days/2026-11-23.db");
    let mut bytes = fs::read(&day).expect("reads");
    // The zstd frame of the only page: its magic number stands nowhere else before the directory.
    let at = bytes
        .windows(4)
        .rposition(|w| w == [0x28, 0xb5, 0x2f, 0xfd])
        .expect("a page");
    bytes[at + 10] ^= 1;
    fs::write(&day, bytes).expect("writes");
    let (store, metrics) = open(dir.path(), T0 + 2 * WINDOW);
    let (id, slots) = target(&store, "n", 1);
    append(&store, id, T0 + 2 * WINDOW, &[(slots[0], 1.0)]).expect("appends");
    assert_eq!(count(&all(&store, "n")), 1);
    let selection = model::Selection {
        matchers: vec![model::Matcher::equal("__name__", "m")],
        start_ms: T0,
        end_ms: T0 + WINDOW,
        series_max: 100,
        cursors_max: 1,
    };
    let error = store
        .select(&selection)
        .and_then(|mut cursors| cursors[0].next_series(&mut model::Samples::default()))
        .expect_err("the page is damaged");
    assert!(
        matches!(&error, StoreError::Damaged(text) if text.contains("2026-11-23.db")),
        "{error}"
    );
    assert!(metrics.damaged.get() > 0);
}

#[test]
fn a_day_file_that_is_no_database_does_not_keep_the_store_from_opening() {
    let dir = tempfile::tempdir().expect("a folder");
    fill(dir.path());
    let (store, _) = open(dir.path(), T0);
    store.maintain(T0 + 2 * WINDOW).expect("maintains");
    drop(store);
    fs::write(dir.path().join("days/2026-11-23.db"), vec![7; 40_000]).expect("writes");
    let (store, metrics) = open(dir.path(), T0 + 2 * WINDOW);
    assert_eq!(metrics.damaged.get(), 1);
    assert!(all(&store, "m").is_empty());
}

#[test]
fn a_folder_is_open_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = open(dir.path(), T0);
    let error = open_with(dir.path(), Config::default(), T0).expect_err("in use");
    assert!(error.to_string().contains("another process"), "{error}");
    store.close().expect("closes");
    drop(store);
    open(dir.path(), T0);
}

#[test]
fn a_window_must_divide_a_day() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = Config {
        window: std::time::Duration::from_hours(7),
        ..Config::default()
    };
    let error = open_with(dir.path(), config, T0).expect_err("seven hours");
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
}

#[test]
fn metadata_survives_a_clean_end() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = open(dir.path(), T0);
    let metadata = MetricMetadata {
        kind: MetricKind::Counter,
        help: "Requests.".into(),
        unit: "".into(),
    };
    store.describe("m_total", &metadata);
    store.close().expect("closes");
    drop(store);
    let (store, _) = open(dir.path(), T0);
    assert_eq!(store.metadata().get("m_total"), Some(&metadata));
    let found = store.series(&[], i64::MIN, i64::MAX, 10).expect("answers");
    assert_eq!(found, (Vec::new(), false));
    let (id, _) = target(&store, "m", 3);
    append(&store, id, T0, &[(SlotId(0), 1.0), (SlotId(2), 1.0)]).expect("appends");
    let (found, more) = store.series(&[], T0 - 1, T0, 2).expect("answers");
    assert_eq!((found, more), (vec![labels("m", 0), labels("m", 1)], true));
    assert_eq!(
        store.label_names(&[], T0 - 1, T0).expect("answers"),
        ["__name__", "i"]
    );
}
