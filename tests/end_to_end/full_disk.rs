//! A full disk: it says so, the rest goes on, and nothing accepted is lost.
//!
//! The data folder is a small file system of its own, which only root can mount. Without that
//! right the stories say on standard error that they are skipped.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::alerts::webhook;
use crate::appliance::{Appliance, PATIENCE, Site, append, encode};
use crate::metrics::target;

/// Lines that fill the open buffers of the smallest memory budget (8 MiB) and more.
const LINES: usize = 40_000;
/// Of those, stored before the disk is full.
const LINES_BEFORE: usize = 1_000;
/// Series of a target whose noise fills a journal within seconds.
const SERIES: u64 = 8_000;

/// A file system of 48 MB as the data folder of a site; unmounted when dropped.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// `None`, and a word on standard error, where this process may not mount.
    fn mount(site: &Site) -> Option<Self> {
        let folder = site.path("data");
        fs::create_dir(&folder).expect("a folder for data");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=48m", "yagura-story"])
            .arg(&folder)
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self { folder });
        }
        // Not by `eprintln!`: a test that passes would swallow it.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: stories about a full disk mount one, which takes root"
        );
        None
    }

    /// Takes all space that is left, to the last page.
    fn fill(&self) {
        let mut ballast = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("ballast"))
            .expect("a file for ballast");
        let page = [7; 4096];
        loop {
            match ballast.write(&page) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("cannot fill the disk: {error}"),
            }
        }
    }

    fn free(&self) {
        fs::remove_file(self.folder.join("ballast")).expect("the ballast goes");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that a failed story has left behind must not keep it.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

/// Numbers from nothing, the same each time (SplitMix64).
fn noise(n: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Numbered lines that do not compress well.
fn lines(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    range.map(|n| {
        let tail = (0..16)
            .map(|i| format!("{:016x}", noise((n * 16 + i) as u64)))
            .collect::<Vec<_>>()
            .concat();
        format!("level=info msg=\"line {n:06} of many {tail}\"")
    })
}

/// The value of the only sample of a counter in `/metrics`; labels and all before it are `name`.
fn own(yagura: &Appliance, name: &str) -> f64 {
    let (_, text) = yagura.get("/metrics");
    text.lines()
        .filter_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok())
        .sum()
}

fn stop(yagura: Appliance) {
    yagura.signal("TERM");
    let status = yagura.wait();
    assert!(status.success(), "a clean end: {status}");
}

/// Checks that each numbered line is found once.
fn each_once(yagura: &Appliance) {
    let mut times_found = BTreeMap::new();
    for part in 0..LINES / 1000 {
        for record in yagura.logs(&format!("line {part:03}*"), 3000) {
            let message = record["message"].as_str().expect("a message");
            let number: String = message.chars().take("line 000000".len()).collect();
            // The prefix may also fit the noise of another line.
            if number.starts_with(&format!("line {part:03}")) {
                *times_found.entry(number).or_insert(0) += 1;
            }
        }
    }
    let wrong: Vec<_> = times_found
        .iter()
        .filter(|(_, n)| **n != 1)
        .take(5)
        .collect();
    assert!(wrong.is_empty(), "found more than once: {wrong:?}");
    assert_eq!(times_found.len(), LINES);
}

#[test]
fn a_disk_that_fills_up_loses_nothing() {
    let site = Site::new();
    let Some(disk) = SmallDisk::mount(&site) else {
        return;
    };
    let noisy = Arc::new(AtomicBool::new(false));
    let pump = target({
        let noisy = noisy.clone();
        move |turn| {
            let seed = if noisy.load(Ordering::SeqCst) {
                turn + 1
            } else {
                0
            };
            let mut page = "pump_beat 1\n".to_owned();
            for n in 0..SERIES {
                let value = noise(seed * SERIES + n);
                let _ = writeln!(page, "pump_noise{{n=\"{n}\"}} 0.{value:020}");
            }
            page
        }
    });
    site.configure(&format!(
        "storage: {{ memory: 64MiB }}\n\
         prometheus:\n  global: {{ scrape_interval: 1s }}\n  scrape_configs:\n    \
         - job_name: pump\n      static_configs: [{{ targets: [\"{pump}\"] }}]\n"
    ));
    let file = site.path("logs/app.log");
    let beats = "count_over_time(pump_beat[1h])";

    // Some lines sealed on disk, some samples.
    append(&file, lines(0..LINES_BEFORE));
    let yagura = site.start();
    yagura.wait_for("the first lines", |y| {
        y.logs(&format!("\"line {:06}\"", LINES_BEFORE - 1), 1)
            .pop()
    });
    yagura.wait_for("the first samples", |y| y.value(beats));
    stop(yagura);

    // The disk fills up under the running process.
    let yagura = site.start();
    yagura.wait_for("samples after the restart", |y| {
        y.value(beats).filter(|n| *n >= 3.0)
    });
    disk.fill();
    noisy.store(true, Ordering::SeqCst);
    append(&file, lines(LINES_BEFORE..LINES));
    yagura.wait_for("lines that wait in their file", |y| {
        (own(
            y,
            "yagura_log_tail_store_retries_total{reason=\"no_space\"}",
        ) >= 1.0)
            .then_some(())
    });
    yagura.wait_for("samples that were refused", |y| {
        (own(y, "yagura_metric_store_samples_failed_total") >= 1.0).then_some(())
    });
    yagura.wait_for("the count of a disk that is short", |y| {
        (own(y, "yagura_storage_short_total") >= 1.0).then_some(())
    });
    assert!(own(&yagura, "yagura_log_store_seal_failures_total") >= 1.0);
    assert_eq!(own(&yagura, "yagura_storage_shed_bytes_total"), 0.0);
    let (_, page) = yagura.get("/status");
    assert!(page.contains("the disk is short"), "{page}");
    assert!(page.contains("the log store cannot write"), "{page}");
    assert_eq!(yagura.get("/-/healthy").0, 200);
    for number in [0, LINES_BEFORE - 1, LINES_BEFORE, LINES_BEFORE + 1_000] {
        let found = yagura.logs(&format!("\"line {number:06}\""), 2).len();
        assert_eq!(found, 1, "line {number} on a full disk");
    }
    let accepted = yagura.value(beats).expect("samples are read");

    // Killed now, it starts on the full disk, or says why not.
    yagura.kill();
    match site.try_start() {
        Ok(yagura) => {
            assert_eq!(yagura.get("/-/healthy").0, 200);
            assert_eq!(yagura.logs("\"line 000000\"", 2).len(), 1);
            yagura.kill();
        }
        Err(log) => assert!(log.contains("is full"), "{log}"),
    }

    // Space again: all goes on by itself, and a clean restart finds each line once.
    disk.fill();
    let yagura = site.try_start();
    noisy.store(false, Ordering::SeqCst);
    disk.free();
    let yagura = yagura.unwrap_or_else(|_| site.start());
    let last = format!("\"line {:06}\"", LINES - 1);
    yagura.wait_for("the last line", |y| y.logs(&last, 1).pop());
    yagura.wait_for("samples that go on", |y| {
        y.value(beats).filter(|n| *n > accepted)
    });
    stop(yagura);
    let yagura = site.start();
    each_once(&yagura);
    assert!(yagura.value(beats) > Some(accepted));
    stop(yagura);
}

#[test]
fn a_disk_that_is_full_at_the_start_is_named() {
    let site = Site::new();
    let Some(disk) = SmallDisk::mount(&site) else {
        return;
    };
    disk.fill();
    let Err(log) = site.try_start() else {
        panic!("there is no room for a database");
    };
    let data = site.path("data").display().to_string();
    assert!(log.contains(&format!("{data} is full")), "{log}");
    assert!(log.contains("free some space"), "{log}");
    disk.free();
    append(&site.path("logs/app.log"), ["a line at last".to_owned()]);
    let yagura = site.start();
    yagura.wait_for("the line", |y| y.logs("\"at last\"", 1).pop());
    let query = encode("yagura_storage_free_bytes > yagura_storage_reserve_bytes");
    yagura.wait_for("figures about free space", |y| {
        let answer = y.json(&format!("/api/v1/query?query={query}"));
        (!answer["data"]["result"].as_array()?.is_empty()).then_some(())
    });
    stop(yagura);
}

#[test]
fn files_that_are_rotated_while_the_disk_is_full_are_read_afterwards() {
    let site = Site::new();
    let Some(disk) = SmallDisk::mount(&site) else {
        return;
    };
    site.configure("storage: { memory: 64MiB }\n");
    let file = site.path("logs/app.log");
    let rotated = |n: usize| site.path(&format!("logs/app.log.2026030{n}"));
    let gzip = |n: usize| {
        let done = Command::new("gzip").arg(rotated(n)).status();
        assert!(done.expect("gzip is there").success());
    };
    append(&file, lines(0..LINES_BEFORE));
    let yagura = site.start();
    yagura.wait_for("the first lines", |y| {
        y.logs(&format!("\"line {:06}\"", LINES_BEFORE - 1), 1)
            .pop()
    });
    stop(yagura);

    // Rotated twice while nothing can be written, and compressed once.
    let yagura = site.start();
    disk.fill();
    append(&file, lines(LINES_BEFORE..LINES / 2));
    fs::rename(&file, rotated(1)).expect("renamed");
    append(&file, lines(LINES / 2..LINES - 1_000));
    yagura.wait_for("lines that wait in their file", |y| {
        (own(
            y,
            "yagura_log_tail_store_retries_total{reason=\"no_space\"}",
        ) >= 1.0)
            .then_some(())
    });
    fs::rename(&file, rotated(2)).expect("renamed");
    gzip(1);
    append(&file, lines(LINES - 1_000..LINES - 500));
    yagura.kill();
    append(&file, lines(LINES - 500..LINES));
    disk.free();

    let yagura = site.start();
    let last = format!("\"line {:06}\"", LINES - 1);
    yagura.wait_for("the last line", |y| y.logs(&last, 1).pop());
    yagura.wait_for("the end of the compressed file", |y| {
        y.logs(&format!("\"line {:06}\"", LINES / 2 - 1), 1).pop()
    });
    each_once(&yagura);
    stop(yagura);
}

#[test]
fn what_is_sent_to_a_full_disk_is_refused_and_taken_afterwards() {
    let site = Site::new();
    let Some(disk) = SmallDisk::mount(&site) else {
        return;
    };
    let yagura = site.start();
    let tail = "x".repeat(6_000);
    let mut acknowledged = 0;
    let mut send = |yagura: &Appliance, n: usize| {
        let line = format!("received {n:05} {tail}");
        let path = "/api/v1/logs/push?extra_fields=app%3Dsent";
        let headers = [("content-type", "text/plain")];
        let answer = yagura.send(path, &headers, line.as_bytes());
        let (status, text) = answer.expect("an answer");
        if status == 200 {
            acknowledged += 1;
        }
        (status, text)
    };
    assert_eq!(send(&yagura, 0).0, 200);
    disk.fill();
    // The journal may have room in its last page.
    let refused = (1..50).find_map(|n| {
        let (status, text) = send(&yagura, n);
        (status != 200).then_some((status, text))
    });
    let (status, text) = refused.expect("the disk is full");
    assert_eq!(status, 429, "{text}");
    assert!(text.contains("the disk is full"), "{text}");
    disk.free();
    yagura.wait_for("room in the journal", |y| {
        (send(y, 50).0 == 200).then_some(())
    });
    // What was refused is nowhere, what was taken is there once, also after a crash.
    yagura.kill();
    let yagura = site.start();
    let found = yagura.wait_for("the journal to be handed over", |y| {
        let found = y.logs("app:sent", 100);
        (found.len() >= acknowledged).then_some(found)
    });
    assert_eq!(found.len(), acknowledged);
    stop(yagura);
}

#[test]
fn alerts_are_told_once_while_nothing_can_be_written() {
    let site = Site::new();
    let Some(disk) = SmallDisk::mount(&site) else {
        return;
    };
    let (url, bodies) = webhook();
    site.configure(&format!(
        "storage: {{ disk: 256MiB, memory: 64MiB }}\nalertmanager:\n  \
         route: {{ receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 200ms }}\n  \
         receivers: [{{ name: hook, webhook_configs: [{{ url: '{url}' }}] }}]\n"
    ));
    let yagura = site.start();
    let post = |yagura: &Appliance, name: &str| {
        let now_ms = model::time::now_ms();
        let body = serde_json::json!([{
            "labels": {"alertname": name},
            "startsAt": model::time::rfc3339_ms(now_ms),
            "endsAt": model::time::rfc3339_ms(now_ms + 3_600_000),
        }]);
        let headers = [("content-type", "application/json")];
        let answer = yagura.send("/api/v2/alerts", &headers, body.to_string().as_bytes());
        assert_eq!(answer.expect("an answer").0, 200);
    };
    let told = || next_told(&bodies, &yagura);
    post(&yagura, "Before");
    assert_eq!(told(), "Before");
    // SQLite's journal may have room left within its file; that runs out, too.
    disk.fill();
    let mut names = Vec::new();
    while !yagura
        .get("/status")
        .1
        .contains("state.db cannot be written")
    {
        assert!(
            names.len() < 2_000,
            "the disk does not fill:\n{}",
            yagura.log()
        );
        let name = format!("While{}", names.len());
        post(&yagura, &name);
        assert_eq!(told(), name);
        names.push(name);
    }
    post(&yagura, "Last");
    assert_eq!(told(), "Last");
    // Many turns of each group have passed; who knows already was told nothing again.
    assert!(bodies.try_recv().is_err(), "told twice");
    let refused = yagura
        .log()
        .matches("cannot write what alerting must remember")
        .count();
    assert_eq!(refused, 1, "said once, not with every turn");

    disk.free();
    yagura.wait_for("the state on disk", |y| {
        let (_, page) = y.get("/status");
        (!page.contains("state.db cannot be written")).then_some(())
    });
    yagura.kill();
    let yagura = site.start();
    yagura.wait_for("the alerts from before", |y| {
        let alerts = y.json("/api/v2/alerts");
        let alerts = alerts.as_array().cloned().unwrap_or_default();
        let has = |name: &str| alerts.iter().any(|a| a["labels"]["alertname"] == name);
        (has("Last") && names.iter().all(|name| has(name))).then_some(())
    });
    post(&yagura, "After");
    assert_eq!(
        next_told(&bodies, &yagura),
        "After",
        "what was told before is not told again"
    );
    stop(yagura);
}

fn next_told(bodies: &std::sync::mpsc::Receiver<serde_json::Value>, yagura: &Appliance) -> String {
    let body = bodies.recv_timeout(PATIENCE);
    let body = body.unwrap_or_else(|_| panic!("nobody was told:\n{}", yagura.log()));
    body["groupLabels"]["alertname"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}
