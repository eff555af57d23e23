//! Bytes flip on the disk: what is damaged is left out and told, the rest is found, and nothing
//! that is found is wrong.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{NOW, append, find_all, open, pod, search_for, small};
use log_query::{LogReader, Wanted};
use log_store::LogStore;
use model::Level;

/// As many of these lines fit into a small block.
const LINES_PER_BLOCK: usize = 6;

const QUERIES: [&str; 5] = ["", "refused", "\"took 17ms\"", "id:0000*", "level:error"];

fn lines(part: i64) -> Vec<String> {
    (0..30)
        .map(|i| {
            format!(
                "{{\"msg\":\"connection refused, took {i}ms\",\"part\":{part},\"id\":\"{:08x}\"}}",
                i * 7919
            )
        })
        .collect()
}

/// Two partitions of some blocks.
fn write(folder: &Path) {
    let store = open(folder, small());
    for part in 0..2i64 {
        for (i, line) in lines(part).iter().enumerate() {
            let level = if i % 3 == 0 {
                Level::Error
            } else {
                Level::Info
            };
            let time_ns = NOW + (part * 100 + i as i64) * 1_000_000_000;
            append(&store, &pod("a"), &[(time_ns, level, line.as_bytes())], "x");
        }
        store.seal().expect("sealed");
    }
}

fn answers(store: &LogStore) -> Vec<(Vec<Vec<u8>>, u64)> {
    QUERIES
        .iter()
        .map(|query| {
            let (found, summary) = find_all(store, &search_for(query));
            (
                found.into_iter().map(|r| r.text).collect(),
                summary.blocks_damaged,
            )
        })
        .collect()
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.push(path);
        }
    }
}

#[test]
fn any_flipped_byte_of_a_partition_costs_no_more_than_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path());
    let store = open(folder.path(), small());
    let (whole, whole_blocks) = (answers(&store), store.stats().blocks);
    drop(store);
    let in_second = lines(1).len();
    assert_eq!(whole[0].0.len(), 2 * in_second);
    let mut all = Vec::new();
    files(&folder.path().join("partition-0000000000"), &mut all);
    assert!(all.len() > 6, "{all:?}");
    for path in all {
        let good = fs::read(&path).expect("a file");
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        // Some places of each file, the ends among them.
        let places = 12.min(good.len());
        for place in 0..places {
            let at = place * (good.len() - 1) / (places - 1).max(1);
            let mut bad = good.clone();
            bad[at] ^= 1 << (place % 8);
            fs::write(&path, &bad).expect("written");
            let store = open(folder.path(), small());
            let found = answers(&store);
            let seen = store.stats();
            for (query, ((found, damaged), (expected, _))) in
                QUERIES.iter().zip(found.iter().zip(&whole))
            {
                let place = format!("{name}, byte {at}, query {query:?}");
                let wrong = found.iter().filter(|text| !expected.contains(text)).count();
                assert_eq!(wrong, 0, "{place}");
                match name.as_str() {
                    // A block at most, and it is told.
                    "blocks" => assert!(
                        expected.len() - found.len() <= LINES_PER_BLOCK
                            && (found == expected || *damaged > 0),
                        "{place}: {} of {}",
                        found.len(),
                        expected.len()
                    ),
                    // The table knows where blocks are: without it the partition has none.
                    "table" => {
                        assert_eq!(*found, expected[expected.len() - found.len()..], "{place}");
                        let is_told = seen.blocks * 2 == whole_blocks;
                        assert!(found == expected || is_told, "{place}");
                    }
                    _ => assert_eq!(found, expected, "{place}"),
                }
            }
        }
        fs::write(&path, good).expect("written");
    }
}

#[test]
fn files_that_are_cut_or_gone_are_damage_too() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path());
    let whole = answers(&open(folder.path(), small()));
    let mut all = Vec::new();
    files(&folder.path().join("partition-0000000000"), &mut all);
    for path in all {
        let good = fs::read(&path).expect("a file");
        for cut in [Some(good.len() / 2), Some(0), None] {
            match cut {
                Some(len) => fs::write(&path, &good[..len]).expect("written"),
                None => fs::remove_file(&path).expect("removed"),
            }
            let found = answers(&open(folder.path(), small()));
            for ((found, _), (expected, _)) in found.iter().zip(&whole) {
                let wrong = found.iter().filter(|text| !expected.contains(text)).count();
                assert_eq!(wrong, 0, "{} {cut:?}", path.display());
                // What the other partition has is found in any case.
                let second = expected
                    .iter()
                    .filter(|text| String::from_utf8_lossy(text).contains("\"part\":1"));
                assert!(second.into_iter().all(|text| found.contains(text)));
            }
        }
        fs::write(&path, good).expect("written");
    }
}

#[test]
fn a_damaged_list_of_values_is_told_and_the_blocks_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path());
    let wanted = Wanted {
        fields: vec!["part".to_owned()],
        grain_ns: Some(86_400_000_000_000),
        ..Wanted::default()
    };
    let search = search_for("level:error");
    let count = |store: &LogStore| common::seen(store, &search, &wanted);
    let whole = count(&open(folder.path(), small()));
    assert_eq!(whole.len(), 20);
    let path = folder.path().join("partition-0000000000/values");
    let path = if path.exists() {
        path
    } else {
        folder.path().join("partition-0000000001/values")
    };
    let good = fs::read(&path).expect("the file");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&path, bad).expect("written");
        assert_eq!(count(&open(folder.path(), small())), whole, "byte {at}");
    }
    for len in 0..good.len() {
        fs::write(&path, &good[..len]).expect("written");
        assert_eq!(count(&open(folder.path(), small())), whole, "{len} bytes");
    }
    fs::remove_file(&path).expect("removed");
    assert_eq!(count(&open(folder.path(), small())), whole, "as before");
}
