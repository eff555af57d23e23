//! Crashes, damage, full disks, back-pressure: what was accepted is there exactly once, or is read
//! again from the committed checkpoints.

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{NOW, append, find_all, open, pod, search_for, small, texts};
use log_query::{LogReader, Query, Stop};
use log_store::{Config, LineCount, LogStore, StoreError};
use model::{Checkpoint, Level, LogBatch, LogSink};

fn checkpoints(store: &LogStore) -> Vec<(String, String)> {
    let all = store.committed_checkpoints().expect("checkpoints");
    let text = |state: Option<Vec<u8>>| String::from_utf8(state.unwrap_or_default()).expect("text");
    all.into_iter().map(|c| (c.source, text(c.state))).collect()
}

fn partition_folders(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

#[test]
fn a_crash_forgets_exactly_what_will_be_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    append(
        &store,
        &pod("a"),
        &[(NOW, Level::Info, b"one"), (NOW + 1, Level::Info, b"two")],
        "2",
    );
    store.seal().expect("sealed");
    append(&store, &pod("a"), &[(NOW + 2, Level::Info, b"three")], "3");
    assert_eq!(texts(&store, ""), ["one", "two", "three"]);
    drop(store);

    let store = open(folder.path(), small());
    assert_eq!(checkpoints(&store), [("a".to_owned(), "2".to_owned())]);
    assert_eq!(texts(&store, ""), ["one", "two"]);
    // The collector reads on from there, and the line gets the number that it had.
    append(&store, &pod("a"), &[(NOW + 2, Level::Info, b"three")], "3");
    let (found, _) = find_all(&store, &search_for(""));
    let numbers: Vec<u64> = found.iter().map(|r| r.sequence).collect();
    assert_eq!(numbers, [0, 1, 2]);
    store.seal().expect("sealed");
    drop(store);
    let store = open(folder.path(), small());
    assert_eq!(checkpoints(&store), [("a".to_owned(), "3".to_owned())]);
    assert_eq!(texts(&store, ""), ["one", "two", "three"]);
}

#[test]
fn lines_are_counted_by_stream_and_level() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    let lines: [(i64, Level, &[u8]); 3] = [
        (NOW, Level::Info, b"one"),
        (NOW, Level::Info, b""),
        (NOW, Level::Fatal, b"three"),
    ];
    append(&store, &pod("a"), &lines, "1");
    store
        .open_stream(&pod("b"))
        .expect("a stream without lines");
    store.seal().expect("sealed");
    append(&store, &pod("a"), &lines[..1], "2");
    let count = |lines, text_bytes| LineCount { lines, text_bytes };
    let mut expected = [LineCount::default(); 7];
    expected[Level::Info as usize] = count(3, 6);
    expected[Level::Fatal as usize] = count(1, 5);
    assert_eq!(store.counts(), [(pod("a"), expected)]);
    drop(store);
    let store = open(folder.path(), small());
    assert_eq!(store.counts(), [], "they count since the start");
}

#[test]
fn patterns_are_remembered_by_their_first_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    let line = |i: i64, text: &str| {
        append(
            &store,
            &pod("a"),
            &[(NOW + i, Level::Info, text.as_bytes())],
            "x",
        );
    };
    let seen = |store: &LogStore, patterns: &[&str]| {
        let ids: Vec<u64> = patterns.iter().map(|p| log_query::pattern_id(p)).collect();
        let found = store.first_seen(&ids, &Stop::default()).expect("an answer");
        found
            .iter()
            .map(|at| at.map(|at| at - NOW))
            .collect::<Vec<_>>()
    };
    line(5, "user 7 came");
    line(3, "{\"msg\":\"took 5 \\u0041\",\"n\":1}");
    store.seal().expect("sealed");
    line(9, "user 8 came");
    line(2, "user 9 went");
    store.seal().expect("sealed");
    line(1, "user 10 came");
    line(7, "now <new>");
    let asked = [
        "user <*> came",
        "took <*> A",
        "user <*> went",
        "now <new>",
        "never",
    ];
    let expected = [Some(1), Some(3), Some(2), Some(7), None];
    assert_eq!(seen(&store, &asked), expected);
    // The plain way, line by line, says the same.
    let ids: Vec<u64> = asked.iter().map(|p| log_query::pattern_id(p)).collect();
    let all = find_all(&store, &search_for("")).0;
    for (id, expected) in ids.iter().zip(expected) {
        let first = all
            .iter()
            .filter(|r| {
                let line = log_query::LineView::new(&r.labels, r.level, &r.text);
                log_query::pattern_id(&log_query::pattern(&line)) == *id
            })
            .map(|r| r.time_ns - NOW)
            .min();
        assert_eq!(first, expected);
    }
    // A damaged table is left out, and told.
    drop(all);
    drop(store);
    fs::write(
        partition_folders(folder.path())[0].join("patterns"),
        b"nonsense",
    )
    .expect("written");
    let store = open(folder.path(), small());
    assert_eq!(seen(&store, &asked), [Some(9), None, Some(2), None, None],);
}

#[test]
fn a_source_can_be_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    append(&store, &pod("a"), &[(NOW, Level::Info, b"x")], "1");
    store.seal().expect("sealed");
    let mut batch = LogBatch::default();
    batch.checkpoints.push(Checkpoint {
        source: "a".to_owned(),
        state: None,
    });
    store.append(&batch).expect("appended");
    store.seal().expect("sealed");
    drop(store);
    let store = open(folder.path(), small());
    assert_eq!(checkpoints(&store), []);
    assert_eq!(store.stats().partitions, 1);
}

#[test]
fn half_written_and_uncommitted_partitions_are_removed_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    append(&store, &pod("a"), &[(NOW, Level::Info, b"kept")], "1");
    store.seal().expect("sealed");
    drop(store);
    let kept = partition_folders(folder.path());
    assert_eq!(kept.len(), 1);
    for name in ["partition-0000000001", "partition-0000000002.tmp"] {
        let left_over = folder.path().join(name);
        fs::create_dir(&left_over).expect("made");
        fs::write(left_over.join("blocks"), b"half").expect("written");
    }
    let store = open(folder.path(), small());
    assert_eq!(partition_folders(folder.path()), kept);
    assert_eq!(texts(&store, ""), ["kept"]);
    append(&store, &pod("a"), &[(NOW + 1, Level::Info, b"new")], "2");
    store.seal().expect("sealed");
    assert_eq!(texts(&store, ""), ["kept", "new"]);
}

#[test]
fn a_flipped_bit_costs_one_block_and_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    let lines: Vec<String> = (0..60)
        .map(|i| format!("line {i} with some words in it"))
        .collect();
    for (i, line) in lines.iter().enumerate() {
        append(
            &store,
            &pod("a"),
            &[(NOW + i as i64, Level::Info, line.as_bytes())],
            "x",
        );
    }
    store.seal().expect("sealed");
    let blocks = store.stats().blocks;
    let path = partition_folders(folder.path())[0].join("blocks");
    let mut bytes = fs::read(&path).expect("blocks");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&path, bytes).expect("written");
    let (found, summary) = find_all(&store, &search_for("words"));
    assert_eq!(summary.blocks_damaged, 1);
    let lost = lines.len() - found.len();
    assert!(
        lost > 0 && lost <= lines.len() * 2 / blocks as usize,
        "{lost}"
    );
}

#[test]
fn damaged_tables_and_indexes_do_not_keep_the_rest_from_answering() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    for (i, text) in ["first part", "second part", "third part"]
        .iter()
        .enumerate()
    {
        append(
            &store,
            &pod("a"),
            &[(NOW + i as i64, Level::Info, text.as_bytes())],
            "x",
        );
        store.seal().expect("sealed");
    }
    drop(store);
    let folders = partition_folders(folder.path());
    fs::write(folders[0].join("table"), b"nonsense").expect("written");
    fs::remove_dir_all(folders[1].join("index")).expect("removed");
    let store = open(folder.path(), small());
    assert_eq!(texts(&store, "part"), ["second part", "third part"]);
    assert_eq!(texts(&store, "second"), ["second part"]);
}

#[test]
fn a_partition_whose_folder_is_gone_is_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    for (i, text) in [b"first", b"other"].iter().enumerate() {
        append(
            &store,
            &pod("a"),
            &[(NOW + i as i64, Level::Info, text.as_slice())],
            "x",
        );
        store.seal().expect("sealed");
    }
    drop(store);
    // As after a drop on a full disk that could not be written to the catalogue.
    fs::remove_dir_all(&partition_folders(folder.path())[0]).expect("removed");
    for _ in 0..2 {
        let store = open(folder.path(), small());
        assert_eq!(texts(&store, ""), ["other"]);
        assert_eq!(store.stats().partitions, 1);
        assert_eq!(checkpoints(&store), [("a".to_owned(), "x".to_owned())]);
    }
}

#[test]
fn only_one_process_has_the_store_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let _store = open(folder.path(), small());
    let again = LogStore::open(folder.path(), small(), common::metrics(), NOW);
    assert!(matches!(again, Err(StoreError::Refused(_))));
}

#[test]
fn a_failed_seal_keeps_everything_and_is_repeated() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        open_bytes_max: 3000,
        ..small()
    };
    let store = open(folder.path(), config);
    append(&store, &pod("a"), &[(NOW, Level::Info, b"before")], "1");
    // A file where the next partition's folder should be: sealing fails as on a broken disk.
    let obstacle = folder.path().join("partition-0000000000.tmp");
    fs::write(&obstacle, b"in the way").expect("written");
    fs::set_permissions(&obstacle, fs::Permissions::from_mode(0o400)).expect("set");
    assert!(store.seal().is_err());
    assert!(store.last_error().is_some_and(|e| e.contains("partition-")));
    assert_eq!(texts(&store, ""), ["before"]);
    append(&store, &pod("a"), &[(NOW + 1, Level::Info, b"while")], "2");
    assert_eq!(texts(&store, ""), ["before", "while"]);
    // When memory is full, the collector is told to keep its lines.
    let stream = store.open_stream(&pod("a")).expect("a stream");
    let mut batch = LogBatch::default();
    batch.push(stream, NOW, Level::Info, &[b'x'; 4000]);
    assert!(matches!(store.append(&batch), Err(StoreError::Io { .. })));
    fs::remove_file(&obstacle).expect("removed");
    // Not before some time has passed; until then the failure is told, not forgotten.
    assert!(store.maintain(NOW + 1).is_err());
    assert!(store.last_error().is_some());
    store.maintain(NOW + 10_000_000_000).expect("sealed");
    assert_eq!(store.last_error(), None);
    store.append(&batch).expect("there is room again");
    assert_eq!(texts(&store, "").len(), 3);
    drop(store);
    let store = open(folder.path(), small());
    assert_eq!(texts(&store, ""), ["before", "while"]);
    assert_eq!(checkpoints(&store), [("a".to_owned(), "2".to_owned())]);
}

#[test]
fn appending_never_waits_for_a_maintenance_that_does_not_come() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        open_bytes_max: 10_000,
        partition_bytes: 8_000,
        ..small()
    };
    let store = Arc::new(open(folder.path(), config));
    std::thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let store = Arc::clone(&store);
            scope.spawn(move || {
                for i in 0..100i64 {
                    let text = format!("{name} {i} {}", "x".repeat(200));
                    append(
                        &store,
                        &pod(name),
                        &[(NOW + i, Level::Info, text.as_bytes())],
                        "x",
                    );
                }
            });
        }
    });
    assert_eq!(texts(&store, "").len(), 300);
    assert!(store.stats().partitions > 3);
    assert!(store.stats().open_bytes <= 20_000);
}

#[test]
fn closing_wakes_whoever_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    store.close();
    assert!(matches!(
        store.append(&LogBatch::default()),
        Err(StoreError::Cancelled)
    ));
}

#[test]
fn lines_stay_found_exactly_once_while_sealing_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(open(folder.path(), small()));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        let sealer = Arc::clone(&store);
        let stop = Arc::clone(&done);
        scope.spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                sealer.seal().expect("sealed");
            }
        });
        for i in 0..150i64 {
            append(&store, &pod("a"), &[(NOW + i, Level::Info, b"word")], "x");
            let (found, _) = find_all(&store, &search_for("word"));
            let numbers: Vec<u64> = found.iter().map(|r| r.sequence).collect();
            assert_eq!(numbers, (0..=i as u64).collect::<Vec<_>>());
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn retention_drops_whole_partitions() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        retention: Duration::from_secs(100),
        partition_age: Duration::from_secs(10),
        ..small()
    };
    let store = open(folder.path(), config);
    let second = 1_000_000_000;
    append(&store, &pod("a"), &[(NOW, Level::Info, b"old")], "1");
    store.maintain(NOW + 9 * second).expect("nothing due");
    assert_eq!(store.stats().partitions, 0);
    store.maintain(NOW + 10 * second).expect("sealed");
    assert_eq!(store.stats().partitions, 1);
    append(
        &store,
        &pod("a"),
        &[(NOW + 50 * second, Level::Info, b"newer")],
        "2",
    );
    store.maintain(NOW + 60 * second).expect("sealed");
    assert_eq!(texts(&store, ""), ["old", "newer"]);
    store.maintain(NOW + 101 * second).expect("dropped");
    assert_eq!(texts(&store, ""), ["newer"]);
    assert_eq!(partition_folders(folder.path()).len(), 1);
    assert!(store.drop_oldest().expect("dropped") > 0);
    assert_eq!(store.drop_oldest().expect("nothing"), 0);
    assert_eq!(texts(&store, ""), [""; 0]);
}

#[test]
fn tails_see_new_lines_and_a_panic_ends_only_that_tail() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), small());
    append(&store, &pod("a"), &[(NOW, Level::Error, b"before")], "1");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&seen);
    let query = |text: &str| Arc::new(Query::parse(text).expect(text));
    let subscription = store
        .tail(
            query("level:error"),
            Box::new(move |record| {
                into.lock()
                    .expect("a lock")
                    .push((record.sequence, record.text));
                ControlFlow::Continue(())
            }),
        )
        .expect("a tail");
    let _panics = store
        .tail(query(""), Box::new(|_| panic!("a handler that fails")))
        .expect("a tail");
    append(
        &store,
        &pod("a"),
        &[
            (NOW + 1, Level::Error, b"one"),
            (NOW + 2, Level::Info, b"no"),
        ],
        "2",
    );
    append(&store, &pod("a"), &[(NOW + 3, Level::Error, b"two")], "3");
    drop(subscription);
    append(&store, &pod("a"), &[(NOW + 4, Level::Error, b"after")], "4");
    let seen = seen.lock().expect("a lock").clone();
    assert_eq!(seen, [(1, b"one".to_vec()), (3, b"two".to_vec())]);
    assert_eq!(texts(&store, "").len(), 5);
}
