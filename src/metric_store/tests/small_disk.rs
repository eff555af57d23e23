//! A file system that is full while a day is rewritten, rolled up or copied: it says so, nothing
//! is lost, nothing is left behind, and it is done when there is room.
//!
//! Needs `mount` and the right to use it; without them it says so and is skipped.

mod common;

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{T0, WINDOW, all, append, open_with, target};
use metric_store::{Config, MetricStore};
use model::{SeriesAdmin, SlotId, StoreError};

const DAY: i64 = 86_400_000;

/// A file system of 24 MB; unmounted when dropped.
struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "yagura-story"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self { dir });
        }
        let _ = writeln!(
            std::io::stderr(),
            "skipped: a story about a full disk mounts one, which takes root"
        );
        None
    }

    fn ballast(&self) -> PathBuf {
        self.dir.path().join("ballast")
    }

    /// Takes all space but so many bytes.
    fn fill_but(&self, bytes: usize) {
        let mut ballast = File::create(self.ballast()).expect("a file");
        let page = [7; 4096];
        let mut length = 0;
        loop {
            match ballast.write(&page) {
                Ok(n) => length += n as u64,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("cannot fill the disk: {error}"),
            }
        }
        let length = length.saturating_sub(bytes as u64);
        ballast.set_len(length).expect("gives some back");
    }

    fn free(&self) {
        fs::remove_file(self.ballast()).expect("the ballast goes");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.dir.path())
            .status();
    }
}

fn open(dir: &Path, now_ms: i64) -> MetricStore {
    let config = Config {
        retention: Duration::from_hours(24),
        ..Config::default()
    };
    open_with(dir, config, now_ms).expect("opens").0
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("lists");
    let names = entries.map(|e| e.expect("an entry").file_name());
    let names = names.map(|n| n.to_string_lossy().into_owned());
    let mut names: Vec<String> = names
        .filter(|n| !n.ends_with("-wal") && !n.ends_with("-shm"))
        .collect();
    names.sort();
    names
}

#[test]
fn rewriting_rolling_up_and_copying_on_a_full_disk_lose_nothing() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let root = disk.dir.path();
    let dir = root.join("metrics");
    let store = open(&dir, T0);
    let (id, slots) = target(&store, "m", 200);
    for step in 0..288_i64 {
        let time_ms = T0 + step * 300_000;
        let value = |slot: &SlotId| (f64::from(slot.0) * 3.0 + step as f64).sin();
        let samples: Vec<(SlotId, f64)> = slots.iter().map(|s| (*s, value(s))).collect();
        append(&store, id, time_ms, &samples).expect("appends");
        if step % 24 == 2 {
            store.maintain(time_ms).expect("maintains");
        }
    }
    store.maintain(T0 + DAY + WINDOW).expect("seals the last");
    let before = all(&store, "m");
    let day = |end: &str| format!("2026-11-23{end}.db");
    let is_full = |result: Result<(), StoreError>| {
        let error = result.expect_err("there is no room");
        assert!(matches!(error, StoreError::NoSpace(_)), "{error}");
    };
    // A copy: the folder is not there, nor any part of it.
    disk.fill_but(200_000);
    is_full(store.snapshot(&root.join("copy")));
    assert_eq!(names(root), ["ballast", "metrics"]);
    assert_eq!(all(&store, "m"), before);
    // The windows of the day as one.
    let parts = store.stats().segments;
    assert!(parts > 1);
    is_full(store.maintain(T0 + DAY + 3 * WINDOW));
    assert_eq!(store.stats().segments, parts);
    assert_eq!(all(&store, "m"), before);
    // A rollup of it: the day stays as it is.
    is_full(store.maintain(T0 + 2 * DAY + 1));
    assert_eq!(all(&store, "m"), before);
    // Killed and opened on the full disk, too.
    drop(store);
    let store = open(&dir, T0 + 2 * DAY + 1);
    assert_eq!(all(&store, "m"), before);
    assert_eq!(names(&dir.join("days"))[0], day(""));
    disk.free();
    store
        .maintain(T0 + 2 * DAY + WINDOW)
        .expect("there is room");
    assert_eq!(names(&dir.join("days")), [day(".5m")]);
    let rolled = all(&store, "m");
    assert_eq!(rolled.len(), before.len());
    // All but the last stand at full five minutes already.
    let (_, samples) = &rolled[7];
    assert_eq!(samples.values, before[7].1.values);
    store.snapshot(&root.join("copy")).expect("copies");
    drop(store);
    for folder in [dir, root.join("copy")] {
        let report = metric_store::check(&folder).expect("looks");
        assert!(report.is_sound(), "{report:?}");
    }
}
