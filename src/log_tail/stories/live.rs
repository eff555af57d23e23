//! The whole collector on its thread, with the system's reports of changes.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use model::LogSink;
use tokio_util::sync::CancellationToken;

use super::{Sink, append, config};
use crate::metrics::Metrics;
use crate::{Config, LogTail};

/// Nothing here takes as long; a test that waits for it has failed.
const DEADLINE: Duration = Duration::from_secs(20);

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < DEADLINE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs the collector while `story` goes on.
fn with_tail(config: Config, story: impl FnOnce(&Arc<Sink>, &LogTail)) {
    let sink = Arc::new(Sink::default());
    let as_sink = Arc::clone(&sink) as Arc<dyn LogSink>;
    let tail = LogTail::new(config, as_sink, Metrics::default()).expect("good settings");
    let cancel = CancellationToken::new();
    thread::scope(|scope| {
        // Also when the story panics: the thread must end for the scope to end.
        let _stop = cancel.clone().drop_guard();
        let run = scope.spawn(|| tail.run(&cancel));
        story(&sink, &tail);
        cancel.cancel();
        wait_for("the collector to stop", || run.is_finished());
    });
}

#[test]
fn appended_rotated_and_new_files_are_noticed_by_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.log");
    append(&path, "1\n");
    let config = Config {
        globs: vec![format!("{}/**/*.log", folder.path().display())],
        // Looks that are not asked for do not come in time.
        rescan_interval: Duration::from_hours(1),
        ..config(folder.path())
    };
    with_tail(config, |sink, tail| {
        assert_eq!(tail.summary().to_string(), "1 log file (configured files)");
        wait_for("the first line", || sink.texts() == ["1"]);
        append(&path, "2\n");
        wait_for("an appended line", || sink.texts() == ["1", "2"]);
        append(&path, "3\n");
        std::fs::rename(&path, folder.path().join("a.log.1")).expect("renamed");
        append(&path, "4\n");
        wait_for("both files of a rotation", || {
            sink.texts() == ["1", "2", "3", "4"]
        });
        let below = folder.path().join("new/folder");
        std::fs::create_dir_all(&below).expect("created");
        append(&below.join("b.log"), "5\n");
        wait_for("a file in a new folder", || sink.texts().len() == 5);
        std::fs::write(&path, "6\n").expect("truncated");
        wait_for("a truncated file", || sink.texts().len() == 6);
        assert_eq!(tail.sources().len(), 3);
    });
}

#[test]
fn a_collector_that_runs_again_sends_nothing_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.log");
    append(&path, "1\n");
    let sink = Arc::new(Sink::default());
    let as_sink = Arc::clone(&sink) as Arc<dyn LogSink>;
    let tail =
        LogTail::new(config(folder.path()), as_sink, Metrics::default()).expect("good settings");
    for round in 1..4 {
        let cancel = CancellationToken::new();
        thread::scope(|scope| {
            let _stop = cancel.clone().drop_guard();
            scope.spawn(|| tail.run(&cancel));
            wait_for("a line", || sink.texts().len() == round);
            append(&path, format!("{}\n", round + 1));
            wait_for("the next line", || sink.texts().len() == round + 1);
            cancel.cancel();
        });
    }
    // Nothing was committed in between: the sink gave no checkpoints.
    assert_eq!(sink.texts(), ["1", "2", "3", "4"]);
}

#[test]
fn stopping_does_not_wait_for_a_sink_that_takes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    append(&folder.path().join("a.log"), "1\n");
    let config = config(folder.path());
    with_tail(config, |sink, tail| {
        wait_for("the first line", || sink.texts() == ["1"]);
        sink.fail(usize::MAX);
        append(&folder.path().join("a.log"), "2\n");
        wait_for("a failed attempt", || sink.failures() < usize::MAX);
        assert_eq!(tail.sources().len(), 1);
    });
}
