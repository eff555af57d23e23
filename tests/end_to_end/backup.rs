//! `yagura backup` and `yagura check data`: a copy that was made is one that can be started.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::appliance::{PATIENCE, Site, append, send_to};

fn yagura(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_yagura"))
        .args(arguments)
        .output()
        .expect("the binary runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

#[test]
fn a_killed_yagura_is_copied_checked_and_started_again_from_the_copy() {
    let site = Site::new();
    append(
        &site.path("logs/app.log"),
        (0..500).map(|n| format!("line {n}")),
    );
    let running = site.start();
    running.wait_for("the lines", |y| {
        (y.logs("", 1000).len() == 500).then_some(())
    });
    running.wait_for("samples", |y| y.value("count({job=\"yagura\"})"));
    let (data, copy) = (site.path("data"), site.path("copy"));
    let in_use = yagura(&["check", "data", text(&data)]);
    assert!(!in_use.status.success());
    assert!(said(&in_use).contains("in use"), "{}", said(&in_use));
    running.kill();
    let made = yagura(&["backup", text(&copy), "--data", text(&data)]);
    assert!(made.status.success(), "{}", said(&made));
    let again = yagura(&["backup", text(&copy), "--data", text(&data)]);
    assert!(said(&again).contains("exists"), "{}", said(&again));
    for folder in [&data, &copy] {
        let checked = yagura(&["check", "data", text(folder)]);
        assert!(checked.status.success(), "{}", said(&checked));
        assert!(said(&checked).contains(": good"), "{}", said(&checked));
    }
    // In the place of the original the copy is a data folder like it.
    fs::rename(&data, site.path("lost")).expect("moves");
    fs::rename(&copy, &data).expect("moves");
    let running = site.start();
    let lines = running.logs("", 1000).len();
    let lines = if lines == 500 {
        lines
    } else {
        // Lines that were not sealed are read again from their file.
        running.wait_for("the lines", |y| {
            Some(y.logs("", 1000).len()).filter(|n| *n == 500)
        })
    };
    assert_eq!(lines, 500);
    let before = running.value("max(max_over_time(yagura_metric_store_samples_total[1h]))");
    assert!(before.is_some(), "samples from before");
    drop(running);
    let page = data.join("metrics/journal");
    let journal = fs::read_dir(page).expect("lists").next();
    let journal = journal.expect("one").expect("an entry").path();
    let mut bytes = fs::read(&journal).expect("reads");
    for byte in bytes.iter_mut().skip(40).take(8) {
        *byte ^= 0xff;
    }
    fs::write(&journal, bytes).expect("writes");
    let checked = yagura(&["check", "data", text(&data)]);
    assert!(!checked.status.success(), "{}", said(&checked));
    assert!(
        said(&checked).contains(".journal: damaged at byte"),
        "{}",
        said(&checked)
    );
}

/// The names in a folder, if it is there.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.collect()
}

#[test]
fn a_running_yagura_is_copied_and_the_copy_has_the_samples() {
    let site = Site::new();
    append(
        &site.path("logs/app.log"),
        (0..50).map(|n| format!("line {n}")),
    );
    let running = site.start();
    running.wait_for("samples", |y| y.value("count({job=\"node-exporter\"})"));
    running.wait_for("the lines", |y| {
        (y.logs("", 1000).len() == 50).then_some(())
    });
    let counted = "max_over_time(yagura_metric_store_samples_total[1h])";
    let before = running.wait_for("its own count", |y| y.value(counted));
    let (data, copy) = (site.path("data"), site.path("copy"));
    let config = site.path("copied.yaml");
    let listen = running.address.trim_start_matches("http://");
    fs::write(&config, format!("listen: {listen}\n")).expect("writes");
    // What somebody else has there stays, and is named.
    let foreign = site.path("copy.partial");
    fs::create_dir(&foreign).expect("makes");
    fs::write(foreign.join("diary"), "precious").expect("writes");
    let arguments = [
        "backup",
        text(&copy),
        "--data",
        text(&data),
        "--config",
        text(&config),
    ];
    let other = [
        "backup",
        text(&foreign),
        arguments[2],
        arguments[3],
        arguments[4],
        arguments[5],
    ];
    let refused = yagura(&other);
    assert!(said(&refused).contains("exists"), "{}", said(&refused));
    let made = yagura(&arguments);
    assert!(made.status.success(), "{}", said(&made));
    assert_eq!(fs::read(foreign.join("diary")).expect("reads"), b"precious");
    assert!(names(&data.join("snapshots")).is_empty(), "it was moved");
    // It went on scraping meanwhile.
    running.wait_for("more samples", |y| y.value(counted).filter(|n| *n > before));
    let checked = yagura(&["check", "data", text(&copy)]);
    assert!(checked.status.success(), "{}", said(&checked));
    // What is cut is named.
    let cut = site.path("cut");
    let status = Command::new("cp")
        .args(["-r", text(&copy), text(&cut)])
        .status();
    assert!(status.expect("cp runs").success());
    let meta = cut.join("metrics/meta.db");
    let bytes = fs::read(&meta).expect("reads");
    fs::write(&meta, &bytes[..bytes.len() / 2]).expect("writes");
    let checked = yagura(&["check", "data", text(&cut)]);
    assert!(!checked.status.success());
    assert!(said(&checked).contains("meta.db"), "{}", said(&checked));
    // Started from the copy, it has what there was when it was made.
    running.kill();
    fs::rename(&data, site.path("lost")).expect("moves");
    fs::rename(&copy, &data).expect("moves");
    let running = site.start();
    let there = format!("max(max_over_time(yagura_metric_store_samples_total[1h])) >= {before}");
    assert!(running.value(&there).is_some(), "samples from before");
    assert!(
        running
            .value("count(last_over_time({job=\"node-exporter\"}[1h]))")
            .is_some()
    );
}

#[test]
fn a_copy_that_is_cut_short_by_a_kill_is_told_and_cleaned_up() {
    let site = Site::new();
    append(
        &site.path("logs/app.log"),
        (0..5000).map(|n| format!("line {n}")),
    );
    let mut running = site.start();
    running.wait_for("samples", |y| y.value("count({job=\"node-exporter\"})"));
    running.wait_for("the lines", |y| {
        (y.logs("", 10_000).len() == 5000).then_some(())
    });
    let data = site.path("data");
    let snapshots = data.join("snapshots");
    let deadline = Instant::now() + PATIENCE;
    let partial = loop {
        assert!(Instant::now() < deadline, "no copy was met under way");
        let address = running.address.clone();
        let asked =
            std::thread::spawn(move || send_to(&address, "/api/v1/admin/tsdb/snapshot", &[], b""));
        while !asked.is_finished()
            && !names(&snapshots)
                .iter()
                .any(|name| name.ends_with(".partial"))
        {
            std::thread::sleep(Duration::from_micros(200));
        }
        running.kill();
        let answer = asked.join().expect("does not panic");
        let left = names(&snapshots);
        if let Some(partial) = left.iter().find(|name| name.ends_with(".partial")) {
            assert!(
                answer.is_none(),
                "nobody was told that it is there: {answer:?}"
            );
            break snapshots.join(partial);
        }
        // Too late: it was whole. Once more.
        running = site.start();
    };
    let checked = yagura(&["check", "data", text(&partial)]);
    assert!(!checked.status.success());
    assert!(said(&checked).contains("cut short"), "{}", said(&checked));
    let checked = yagura(&["check", "data", text(&data)]);
    assert!(checked.status.success(), "{}", said(&checked));
    let running = site.start();
    assert!(!partial.exists(), "removed at the next start");
    let lines = running.wait_for("the lines", |y| {
        Some(y.logs("", 10_000).len()).filter(|n| *n == 5000)
    });
    assert_eq!(lines, 5000);
    let (status, body) = running.post("/api/v1/admin/tsdb/snapshot", &[]);
    assert_eq!(status, 200, "{body}");
    let whole = names(&snapshots)
        .into_iter()
        .find(|name| !name.ends_with(".partial"));
    let whole = snapshots.join(whole.expect("a copy"));
    let checked = yagura(&["check", "data", text(&whole)]);
    assert!(checked.status.success(), "{}", said(&checked));
}
