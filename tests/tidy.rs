//! Holds what we want to hold about the code itself: which room may use which, and which outside
//! crates belong to one room only (docs/ARCHITECTURE.md).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Room → the rooms that it may use, beside `model`.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("log_tail", &[]),
    ("log_store", &["log_query"]),
    // LogQL's line_format and label_format are Go templates.
    ("log_query", &["template"]),
    ("log_rules", &["log_query", "yaml"]),
    ("http_client", &[]),
    ("metric_scrape", &["http_client", "wire", "yaml"]),
    ("metric_host", &[]),
    ("metric_store", &[]),
    ("metric_import", &["wire"]),
    // What is pushed is a page, and is scraped.
    ("metric_push", &["metric_scrape", "wire"]),
    ("promql", &[]),
    ("wire", &[]),
    ("receive", &["wire"]),
    // Which series are sent, and under which labels, is relabelling.
    ("remote_write", &["http_client", "metric_scrape", "wire"]),
    ("alert_rules", &["promql", "log_query", "template", "yaml"]),
    ("alert_notify", &["template", "yaml", "http_client"]),
    ("alert_evidence", &["promql", "log_query"]),
    ("template", &[]),
    ("state_store", &[]),
    ("yaml", &[]),
    (
        "serve",
        &[
            "promql",
            "log_query",
            "alert_rules",
            "alert_notify",
            "alert_evidence",
            "metric_push",
            "receive",
            "state_store",
            "wire",
        ],
    ),
];

/// Outside crate → the only rooms that may know it (the binary, `yagura`, wires and may too).
const KNOWN_ONLY_TO: &[(&str, &[&str])] = &[
    ("tantivy", &["log_store"]),
    ("kube", &["kubernetes"]),
    ("axum", &["serve"]),
    ("askama", &["serve"]),
    ("rust-embed", &["serve"]),
    ("serde-saphyr", &["yaml"]),
    ("notify", &["log_tail"]),
    ("rusqlite", &["log_store", "metric_store", "state_store"]),
    ("clap", &["yagura"]),
    ("anyhow", &["yagura"]),
];

/// Folders in `src/` that belong to the binary, or that proptest leaves behind when a property
/// fails (git-ignored), and are no rooms.
const BINARY_FOLDERS: &[&str] = &["app", "cli", "config", "proptest-regressions"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rooms() -> BTreeSet<String> {
    fs::read_dir(root().join("src"))
        .expect("src is there")
        .map(|entry| entry.expect("src can be listed"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !BINARY_FOLDERS.contains(&name.as_str()))
        .collect()
}

/// Names under `[dependencies]` of a manifest.
fn dependencies(manifest: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(manifest)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", manifest.display()));
    text.lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_folder_in_src_is_a_room_of_the_table() {
    let table: BTreeSet<String> = ARROWS.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(rooms(), table);
}

#[test]
fn rooms_use_only_the_rooms_that_they_may() {
    let rooms = rooms();
    for (room, allowed) in ARROWS {
        let used = dependencies(&root().join("src").join(room).join("Cargo.toml"));
        for other in used.intersection(&rooms) {
            assert!(
                other == "model" || allowed.contains(&other.as_str()),
                "src/{room} uses src/{other}: the arrows in tests/tidy.rs do not allow that"
            );
        }
    }
}

#[test]
fn outside_crates_stay_in_their_rooms() {
    let only: BTreeMap<&str, &[&str]> = KNOWN_ONLY_TO.iter().copied().collect();
    for (room, _) in ARROWS {
        for name in dependencies(&root().join("src").join(room).join("Cargo.toml")) {
            if let Some(rooms) = only.get(name.as_str()) {
                assert!(
                    rooms.contains(room),
                    "src/{room} uses {name}, which only {rooms:?} may know"
                );
            }
        }
    }
}

#[test]
fn every_source_file_says_what_it_is_for() {
    fn walk(dir: &Path, silent: &mut Vec<String>) {
        for entry in fs::read_dir(dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, silent);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                if !text.starts_with("//!") {
                    silent.push(path.display().to_string());
                }
            }
        }
    }
    let mut silent = Vec::new();
    for dir in ["src", "tests", "benches"] {
        let dir = root().join(dir);
        if dir.is_dir() {
            walk(&dir, &mut silent);
        }
    }
    assert!(silent.is_empty(), "no //! head: {silent:#?}");
}
