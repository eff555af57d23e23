//! The disk is full at every point of sealing in turn, page by page: nothing is lost, nothing is
//! there twice, and sealing goes on when there is space. Mounts a small disk, which takes root;
//! without it the test says that it was skipped.

mod common;

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{NOW, append, find_all, open, pod, search_for, small};
use log_store::{LogStore, StoreError};
use model::{Level, LogSink};

const PAGE: usize = 4096;
/// Beyond this a seal of so few lines must have succeeded.
const PAGES_MAX: usize = 200;
const LINES: u64 = 150;

struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "yagura-test"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(folder));
        }
        // Not by `eprintln!`: a test that passes would swallow it.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: a test of the log store mounts a small disk, which takes root"
        );
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves so many pages free.
    fn fill(&self, pages_free: usize) {
        let path = self.path().join("ballast");
        let mut ballast = File::create(&path).expect("a file for ballast");
        let mut written = 0;
        loop {
            match ballast.write(&[7; PAGE]) {
                Ok(n) => written += n,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("cannot fill the disk: {error}"),
            }
        }
        let kept = written.saturating_sub(pages_free * PAGE) as u64;
        ballast.set_len(kept).expect("some space again");
    }

    fn free(&self) {
        fs::remove_file(self.path().join("ballast")).expect("the ballast goes");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Words from nothing, so that a partition takes several pages.
fn noise(n: u64) -> u64 {
    let x = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn fill_buffers(store: &LogStore, from: u64) {
    let texts: Vec<String> = (from..from + LINES)
        .map(|n| format!("line {n} of {:016x}{:016x}", noise(n), noise(n + 1_000_000)))
        .collect();
    let lines: Vec<(i64, Level, &[u8])> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| (NOW + (from as i64 + i as i64), Level::Info, text.as_bytes()))
        .collect();
    append(store, &pod("a"), &lines, &(from + LINES).to_string());
}

fn numbers(store: &LogStore) -> Vec<u64> {
    let (found, summary) = find_all(store, &search_for("line"));
    assert_eq!(summary.blocks_damaged, 0);
    found.iter().map(|record| record.sequence).collect()
}

fn reached(store: &LogStore) -> Option<Vec<u8>> {
    let all = store.committed_checkpoints().expect("checkpoints");
    all.into_iter().find_map(|checkpoint| checkpoint.state)
}

#[test]
fn the_disk_is_full_at_every_point_of_sealing() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let all: Vec<u64> = (0..2 * LINES).collect();
    let mut failures = 0;
    let mut messages = std::collections::BTreeSet::new();
    for pages in 0..PAGES_MAX {
        let folder = disk.path().join("store");
        let store = open(&folder, small());
        fill_buffers(&store, 0);
        store.seal().expect("there is space");
        fill_buffers(&store, LINES);
        disk.fill(pages);
        let sealed = store.seal();
        assert_eq!(numbers(&store), all, "{pages} pages");
        let is_done = sealed.is_ok();
        if let Err(error) = sealed {
            failures += 1;
            assert!(
                matches!(error, StoreError::NoSpace(_)),
                "{pages} pages: {error}"
            );
            let told = error.to_string();
            // What could not be done, without the path.
            let what = told.split('/').next().unwrap_or_default().to_owned();
            messages.insert(what);
            // Killed now: what was not committed is read again.
            if pages % 2 == 0 {
                drop(store);
                disk.free();
                let store = open(&folder, small());
                assert_eq!(numbers(&store), all[..LINES as usize], "{pages} pages");
                assert_eq!(reached(&store), Some(LINES.to_string().into_bytes()));
                fill_buffers(&store, LINES);
                store.seal().expect("there is space again");
            } else {
                disk.free();
                store.seal().expect("there is space again");
                drop(store);
            }
        } else {
            drop(store);
            disk.free();
        }
        let store = open(&folder, small());
        assert_eq!(numbers(&store), all, "{pages} pages, after a restart");
        assert_eq!(reached(&store), Some((2 * LINES).to_string().into_bytes()));
        drop(store);
        fs::remove_dir_all(&folder).expect("removed");
        if is_done {
            break;
        }
        assert!(pages + 1 < PAGES_MAX, "sealing never succeeded");
    }
    assert!(failures > 5, "{failures} failures: {messages:?}");
    assert!(messages.len() > 1, "all at one point: {messages:?}");
}
