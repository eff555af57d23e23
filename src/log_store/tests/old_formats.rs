//! Stores that earlier versions have written are read as they were. The folders beside this file
//! were written by the versions themselves and never change.

mod common;

use std::fs;
use std::path::Path;

use common::{NOW, append, find_all, open, pod, search_for, small, texts};
use log_query::LogReader;
use model::{Level, LogSink};

/// The lines of the folders: two parts of two pods.
fn lines(part: i64, name: &str) -> Vec<Vec<u8>> {
    (0..24)
        .map(|i| match i % 6 {
            0 => format!(
                "{{\"level\":\"info\",\"path\":\"/api/{i}\",\"status\":{},\"took\":{}.{:03},\"id\":\"{:08x}\"}}",
                200 + i,
                i,
                i * 7,
                i * 7919
            )
            .into_bytes(),
            1 => format!("level=warn part={part} name={name} msg=\"slow \\\"query\\\" {i}\"")
                .into_bytes(),
            2 => format!("2026-11-22 00:00:{i:02},123 plain words {i} of {name}").into_bytes(),
            3 => vec![b'o', 1, b'd', 2, i as u8],
            4 => b"\xff\xfe not utf-8 \xe6\x97\xa5\xe6\x9c\xac".to_vec(),
            _ => Vec::new(),
        })
        .collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("copied");
        }
    }
}

#[test]
fn format_1_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format_1");
    copy(&written, folder.path());
    let store = open(folder.path(), small());
    let (found, summary) = find_all(&store, &search_for(""));
    assert_eq!(summary.blocks_damaged, 0);
    for part in 0..2i64 {
        for name in ["a", "b"] {
            for (i, text) in lines(part, name).into_iter().enumerate() {
                let time_ns = NOW + (part * 100 + i as i64) * 1_000_000_000;
                let is_it = found.iter().any(|record| {
                    record.labels == pod(name)
                        && record.time_ns == time_ns
                        && record.sequence == part as u64 * 24 + i as u64
                        && record.level == Level::from_number((i % 7) as u8)
                        && record.text == text
                });
                assert!(is_it, "line {i} of part {part} of {name}");
            }
        }
    }
    assert_eq!(found.len(), 4 * 24);
    let reached = store.committed_checkpoints().expect("checkpoints");
    let reached: Vec<_> = reached.into_iter().map(|c| (c.source, c.state)).collect();
    let one = Some(b"1".to_vec());
    assert_eq!(
        reached,
        [("a".to_owned(), one.clone()), ("b".to_owned(), one)]
    );
    // By index, by columns, by fields.
    assert_eq!(texts(&store, "plain part:0").len(), 0);
    assert_eq!(texts(&store, "slow part:0 name:b").len(), 4);
    assert_eq!(texts(&store, "status:>=212").len(), 8);
    assert_eq!(texts(&store, "path:/api/6 pod:a").len(), 2);
    assert_eq!(texts(&store, "\u{65e5}\u{672c}").len(), 16);
    // And goes on in the present format.
    append(&store, &pod("a"), &[(NOW, Level::Info, b"new")], "2");
    store.seal().expect("sealed");
    assert_eq!(find_all(&store, &search_for("")).0.len(), 4 * 24 + 1);
    assert_eq!(store.stats().partitions, 3);
}
