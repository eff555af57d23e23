//! kill -9 loses no line, doubles no line, and loses no sample that was acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::appliance::{Site, append};

const LINES: usize = 100_000;

#[test]
fn lines_written_through_three_kills_are_found_exactly_once() {
    let site = Site::new();
    let file = site.path("logs/app.log");
    let written = Arc::new(AtomicUsize::new(0));
    let writer = {
        let (file, written) = (file.clone(), written.clone());
        std::thread::spawn(move || {
            for start in (0..LINES).step_by(500) {
                append(
                    &file,
                    (start..start + 500).map(|n| format!("level=info msg=\"line {n:06} of many\"")),
                );
                written.store(start + 500, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
            }
        })
    };
    for kill_after in [LINES / 5, LINES / 2, LINES * 4 / 5] {
        let yagura = site.start();
        yagura.wait_for("lines to come in", |y| {
            let read = y.logs("", 1).len();
            (written.load(Ordering::SeqCst) >= kill_after && read == 1).then_some(())
        });
        yagura.kill();
    }
    writer.join().expect("the writer ends");
    let yagura = site.start();
    let last = format!("\"line {:06}\"", LINES - 1);
    yagura.wait_for("the last line", |y| {
        (!y.logs(&last, 1).is_empty()).then_some(())
    });
    let mut times_found = BTreeMap::new();
    // In parts, so that no single answer has to be larger than the server allows.
    for part in 0..LINES / 1000 {
        for record in yagura.logs(&format!("line {part:03}*"), 2000) {
            let message = record["message"].as_str().expect("a message").to_owned();
            *times_found.entry(message).or_insert(0) += 1;
        }
    }
    let doubled: Vec<_> = times_found
        .iter()
        .filter(|(_, n)| **n != 1)
        .take(5)
        .collect();
    assert!(doubled.is_empty(), "found more than once: {doubled:?}");
    assert_eq!(times_found.len(), LINES);
}

#[test]
fn samples_survive_a_kill() {
    let site = Site::new();
    let yagura = site.start();
    let before = yagura.wait_for("samples about this machine", |y| {
        let count = y.value("count_over_time(node_load1[5m])")?;
        (count >= 1.0).then_some(count)
    });
    yagura.kill();
    let yagura = site.start();
    let after = yagura
        .value("count_over_time(node_load1[10m])")
        .expect("the samples are there at once");
    assert!(after >= before, "{after} of {before} samples are left");
}
