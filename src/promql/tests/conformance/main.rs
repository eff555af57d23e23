//! Runs scripts of test cases through the engine.
//!
//! The scripts are written in the language of Prometheus' promqltest (`load`, `eval instant`,
//! `eval range`, `clear`, …). Ours lie in `testdata/`. With `PROMQL_TESTDATA=DIR` all scripts of
//! another folder are run too, and what passed, failed and was skipped is told of each. Skipped
//! are cases of what the store does not keep (since when a series counts: `@st`).

mod compare;
mod literal;
mod report;
mod run;
mod script;
mod sequence;

use std::fs;
use std::path::{Path, PathBuf};

use report::Report;

fn scripts(dir: &Path) -> Vec<PathBuf> {
    let mut scripts: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", dir.display()))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "test"))
        .collect();
    scripts.sort();
    scripts
}

fn run(path: &Path) -> Report {
    let text = fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let commands =
        script::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    run::run(commands)
}

#[test]
fn our_own_scripts_pass() {
    let scripts = scripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata"));
    assert!(!scripts.is_empty());
    for path in scripts {
        let report = run(&path);
        assert!(report.passed > 0, "{}: nothing ran", path.display());
        assert!(report.skipped.is_empty(), "{}: {report}", path.display());
        assert!(report.failed.is_empty(), "{}: {report}", path.display());
    }
}

#[test]
fn the_scripts_of_another_folder_pass() {
    let Some(dir) = std::env::var_os("PROMQL_TESTDATA") else {
        return;
    };
    let mut failed = 0;
    for path in scripts(Path::new(&dir)) {
        let report = run(&path);
        eprintln!("{}: {report}", path.display());
        failed += report.failed.len();
    }
    assert_eq!(failed, 0, "cases that failed");
}
