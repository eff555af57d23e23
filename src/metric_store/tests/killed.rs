//! A process that is killed while it appends, seals, rewrites, rolls up and imports: what it was
//! told to be stored is there, once, and nothing else is left behind.
//!
//! The test runs its own binary as the process: time is an argument of the store, so a month
//! passes in seconds. A scrape comes every five minutes, at full multiples of them: so a day that
//! became a rollup still has each of them, and a week of hours one of twelve.

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{T0, WINDOW, all, append, labels, open_with, target};
use metric_store::{Config, MetricStore};
use model::{Samples, SlotId};

const STEP: i64 = 300_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Names the folder to the process, and makes the test below be it.
const FOLDER: &str = "YAGURA_TEST_KILLED_FOLDER";
/// From which step on it goes on.
const FROM: &str = "YAGURA_TEST_KILLED_FROM";

/// Series of the scraped target.
const SERIES: usize = 20;

fn config() -> Config {
    Config {
        retention: Duration::from_hours(24),
        rollup_retention: Duration::from_hours(2 * 24),
        ..Config::default()
    }
}

fn open(dir: &Path, now_ms: i64) -> MetricStore {
    open_with(dir, config(), now_ms).expect("opens").0
}

/// Full mantissas, so that pages have a size.
fn value(series: usize, step: i64) -> f64 {
    (series as f64 * 7.0 + step as f64).sin()
}

/// Is the process: says on standard output what is stored, step by step, until it is killed.
#[test]
fn the_process_that_is_killed() {
    let Some(dir) = std::env::var_os(FOLDER) else {
        // Only the tests below start it.
        return;
    };
    let from = std::env::var(FROM)
        .expect("a step")
        .parse()
        .expect("a number");
    let say = |line: String| writeln!(std::io::stdout(), "{line}").expect("somebody listens");
    let store = open(Path::new(&dir), T0 + from * STEP);
    let (id, slots) = target(&store, "m", SERIES);
    for step in from.. {
        let time_ms = T0 + step * STEP;
        let at = |slot: &SlotId| (*slot, value(slot.0 as usize, step));
        let samples: Vec<(SlotId, f64)> = slots.iter().map(at).collect();
        append(&store, id, time_ms, &samples).expect("appends");
        say(format!("stored {step}"));
        if step % (WINDOW / STEP) == 2 {
            say(format!("maintaining {step}"));
            store.maintain(time_ms).expect("maintains");
        }
        if step % (DAY / STEP) == 100 && step > DAY / STEP {
            // History of the day before yesterday, a sample at each of its hours.
            let day = step / (DAY / STEP);
            let mut samples = Samples::default();
            for hour in 0..24 {
                samples.push(
                    T0 + (day - 2) * DAY + hour * HOUR,
                    (day * 100 + hour) as f64,
                );
            }
            say(format!("importing {day}"));
            store
                .import(vec![(labels("imported", 0), samples)], time_ms)
                .expect("imports");
            say(format!("imported {day}"));
        }
    }
}

/// What the process said before it ended.
#[derive(Debug, Default)]
struct Said {
    /// All steps below were stored.
    steps: i64,
    imports: BTreeSet<i64>,
}

/// Starts the process and kills it when it has said `n` lines that begin with a word, and a
/// moment later.
fn run_and_kill(dir: &Path, said: &mut Said, word: &str, n: usize, later: Duration) {
    let mut child = Command::new(std::env::current_exe().expect("a test binary"))
        .args(["--exact", "the_process_that_is_killed", "--nocapture"])
        .env(FOLDER, dir)
        .env(FROM, said.steps.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut take = |line: &str| {
        let mut words = line.split(' ');
        match (words.next(), words.next().and_then(|n| n.parse().ok())) {
            (Some("stored"), Some(step)) => said.steps = step + 1,
            (Some("imported"), Some(day)) => {
                said.imports.insert(day);
            }
            _ => {}
        }
    };
    let mut met = 0;
    while met < n {
        let line = lines.next().expect("it goes on").expect("text");
        met += usize::from(line.starts_with(word));
        take(&line);
    }
    // Not to wait for anything: to meet another moment of the work each time.
    std::thread::sleep(later);
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    for line in lines {
        take(&line.expect("text"));
    }
}

/// Opens what the process left and compares it with what it said.
fn check(dir: &Path, said: &Said) {
    let now_ms = T0 + said.steps * STEP;
    let store = open(dir, now_ms);
    let coarse = model::SeriesReader::coarse_spans(&store);
    let hours = |time_ms: i64| {
        let found = coarse
            .iter()
            .find(|s| (s.start_ms..s.end_ms).contains(&time_ms));
        found.is_some_and(|span| span.resolution_ms == HOUR)
    };
    let found = all(&store, "m");
    assert_eq!(found.len(), SERIES);
    for (series, (_, samples)) in found.iter().enumerate() {
        let times = &samples.timestamps_ms;
        assert!(times.is_sorted_by(|a, b| a < b), "each is there once");
        for step in 0..said.steps {
            let time_ms = T0 + step * STEP;
            if hours(time_ms) && time_ms % HOUR != 0 {
                continue;
            }
            let at = times.binary_search(&time_ms).ok();
            let there = at.and_then(|at| samples.values.get(at));
            assert_eq!(there, Some(&value(series, step)), "{series} at step {step}");
        }
    }
    let imported = all(&store, "imported");
    for day in &said.imports {
        let (_, samples) = imported.first().expect("there were imports");
        for hour in 0..24 {
            let time_ms = T0 + (day - 2) * DAY + hour * HOUR;
            let at = samples.timestamps_ms.binary_search(&time_ms).ok();
            let there = at.and_then(|at| samples.values.get(at));
            assert_eq!(
                there,
                Some(&((day * 100 + hour) as f64)),
                "day {day} {hour} h"
            );
        }
    }
    drop(store);
    let report = metric_store::check(dir).expect("looks");
    assert!(report.is_sound(), "{report:?}");
    // Opening has removed what the kill left: nothing stands beside the known files.
    for (folder, ends) in [
        ("days", &[".db", ".db-wal", ".db-shm"][..]),
        ("journal", &[".journal"]),
    ] {
        for entry in std::fs::read_dir(dir.join(folder)).expect("lists") {
            let name = entry.expect("an entry").file_name();
            let name = name.to_string_lossy();
            assert!(ends.iter().any(|end| name.ends_with(end)), "{name}");
        }
    }
}

#[test]
fn what_was_stored_survives_a_kill_at_any_moment() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut said = Said::default();
    let ms = Duration::from_millis;
    let kills: [(&str, usize, u64); 14] = [
        // While it appends, and in the middle of the first seals.
        ("stored", 17, 0),
        ("maintaining", 3, 1),
        ("maintaining", 6, 4),
        // A day is rewritten, then rolled up.
        ("maintaining", 10, 6),
        ("maintaining", 9, 12),
        ("maintaining", 4, 20),
        ("importing", 1, 0),
        ("importing", 1, 3),
        ("maintaining", 13, 9),
        ("importing", 2, 8),
        // Past nine days: a week becomes hours, too.
        ("maintaining", 25, 2),
        ("maintaining", 15, 15),
        ("maintaining", 20, 7),
        ("importing", 1, 5),
    ];
    for (word, n, later) in kills {
        run_and_kill(dir.path(), &mut said, word, n, ms(later));
        check(dir.path(), &said);
    }
    assert!(said.imports.len() >= 4, "{said:?}");
    let last = open(dir.path(), T0 + said.steps * STEP);
    let resolutions: BTreeSet<i64> = model::SeriesReader::coarse_spans(&last)
        .iter()
        .map(|span| span.resolution_ms)
        .collect();
    assert_eq!(resolutions, BTreeSet::from([STEP, HOUR]), "{said:?}");
}
