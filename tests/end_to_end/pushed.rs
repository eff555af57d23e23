//! Metrics that jobs push before they end: they stay fresh, survive kill -9, and end when their
//! group is deleted.

use std::io::Write;
use std::process::Command;

use crate::appliance::{Appliance, Site};

const EVERY_SECOND: &str = "prometheus: { global: { scrape_interval: 1s } }\n";
const BACKUP: &str = "/metrics/job/backup/instance/db1";

fn push(yagura: &Appliance, method: &str, path: &str, text: &str) -> (u16, String) {
    yagura.send_as(method, path, &[], text.as_bytes())
}

/// Waits until an expression has one value.
fn becomes(yagura: &Appliance, promql: &str, expected: f64) {
    yagura.wait_for(promql, |y| {
        y.value(promql).filter(|value| *value == expected)
    });
}

#[test]
fn what_a_job_pushes_stays_fresh_until_it_is_deleted() {
    let site = Site::new();
    site.configure(EVERY_SECOND);
    let yagura = site.start();
    let taken = (200, String::new());
    let text =
        "# TYPE backup_seconds gauge\nbackup_seconds 42.5\nbackup_bytes{kind=\"full\"} 1e9\n";
    assert_eq!(push(&yagura, "POST", BACKUP, text), taken);
    let own = "{instance=\"db1\", job=\"backup\"}";
    becomes(&yagura, &format!("backup_seconds{own}"), 42.5);
    becomes(&yagura, "backup_bytes{kind=\"full\", job=\"backup\"}", 1e9);
    // Its time is that of the scrape, again and again.
    yagura.wait_for("a second sample", |y| {
        y.value(&format!("count_over_time(backup_seconds{own}[1m])"))
            .filter(|n| *n > 1.0)
    });

    // POST replaces names, PUT the group.
    assert_eq!(push(&yagura, "POST", BACKUP, "backup_seconds 43\n"), taken);
    becomes(&yagura, "backup_seconds", 43.0);
    becomes(&yagura, "backup_bytes", 1e9);
    assert_eq!(push(&yagura, "PUT", BACKUP, "backup_seconds 44\n"), taken);
    becomes(&yagura, "backup_seconds", 44.0);
    yagura.wait_for("the end of a series", |y| {
        y.query("backup_bytes").is_empty().then_some(())
    });

    // What does not fit is refused with a sentence, and when is told.
    let (status, why) = push(&yagura, "POST", BACKUP, "backup_seconds 45 1000\n");
    assert_eq!(status, 400, "{why}");
    assert!(why.contains("\"backup_seconds\" has a timestamp"), "{why}");
    let counter = "# TYPE backup_seconds counter\nbackup_seconds 1\n";
    let (status, why) = push(&yagura, "PUT", "/metrics/job/other", counter);
    assert_eq!(status, 400, "{why}");
    assert!(why.contains("another group has it as"), "{why}");
    let (status, why) = push(&yagura, "PUT", BACKUP, "backup seconds 1\n");
    assert_eq!((status, why.contains("line 1")), (400, true), "{why}");
    yagura.wait_for("the time of the refusal", |y| {
        y.value(&format!(
            "push_failure_time_seconds{own} - push_time_seconds{own} >= 0"
        ))
    });

    // A name in base64, a body in gzip, no instance of its own.
    let mut packed = Vec::new();
    let mut gzip = Command::new("gzip")
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("gzip runs");
    let mut input = gzip.stdin.take().expect("its input");
    input.write_all(b"cleaned_files 7\n").expect("gzip reads");
    drop(input);
    packed.extend(gzip.wait_with_output().expect("gzip ends").stdout);
    let path = "/metrics/job@base64/L3Zhci90bXA";
    let headers = [("content-encoding", "gzip")];
    assert_eq!(yagura.send_as("PUT", path, &headers, &packed), taken);
    becomes(
        &yagura,
        "cleaned_files{job=\"/var/tmp\", instance=\"\"}",
        7.0,
    );

    // The API and the targets page know about it.
    let kept = yagura.json("/api/v1/metrics");
    let groups = kept["data"].as_array().expect("groups");
    let backup = groups.iter().find(|g| g["labels"]["job"] == "backup");
    let backup = backup.unwrap_or_else(|| panic!("{kept}"));
    assert_eq!(backup["backup_seconds"]["metrics"][0]["value"], "44");
    assert_eq!(backup["last_push_successful"], false);
    assert_eq!(yagura.value("up{job=\"pushgateway\"}"), Some(1.0));
    let (_, page) = yagura.get("/targets");
    assert!(page.contains("built-in:pushgateway"), "{page}");
    // Pages of the same beginning are still there.
    assert_eq!(yagura.get("/metrics/backup_seconds").0, 200);
    assert!(
        yagura
            .get("/metrics")
            .1
            .contains("yagura_metric_push_groups 3")
    );

    // What was acknowledged is there after kill -9.
    yagura.kill();
    let yagura = site.start();
    becomes(&yagura, "backup_seconds", 44.0);
    assert_eq!(push(&yagura, "DELETE", BACKUP, "").0, 202);
    yagura.wait_for("the end of the group", |y| {
        let gone = y.query("backup_seconds").is_empty() && y.value("cleaned_files") == Some(7.0);
        gone.then_some(())
    });
    let (status, _) = push(&yagura, "DELETE", BACKUP, "");
    assert_eq!(status, 202, "deleted already");
}

#[test]
fn a_target_with_too_many_series_keeps_those_that_it_has() {
    let site = Site::new();
    site.configure(&format!(
        "{EVERY_SECOND}storage: {{ series_per_target_max: 30 }}\n"
    ));
    let yagura = site.start();
    let page = |range: std::ops::Range<u32>| {
        let lines = range.map(|i| format!("many{{i=\"{i}\"}} {i}\n"));
        lines.collect::<String>()
    };
    assert_eq!(
        push(&yagura, "PUT", "/metrics/job/many", &page(0..20)).0,
        200
    );
    becomes(&yagura, "count(many)", 20.0);
    // Ten more than there is room for: the old ones go on.
    assert_eq!(
        push(&yagura, "PUT", "/metrics/job/many", &page(0..40)).0,
        200
    );
    yagura.wait_for("the refusal", |y| {
        let targets = y.json("/api/v1/targets");
        let targets = targets["data"]["activeTargets"].as_array()?.clone();
        let mut targets = targets.iter();
        let pushed = targets.find(|t| t["scrapePool"] == "pushgateway")?;
        let error = pushed["lastError"].as_str()?;
        error.contains("new series were not stored").then_some(())
    });
    assert_eq!(yagura.value("count(many{i=~\"1?.\"})"), Some(20.0));
    assert!(yagura.value("count(many)").is_some_and(|n| n < 30.0));
    assert_eq!(yagura.value("up{job=\"pushgateway\"}"), Some(1.0));
}

#[test]
fn a_page_of_another_site_cannot_push() {
    let site = Site::new();
    let yagura = site.start();
    let foreign = [("origin", "http://evil.example")];
    for method in ["PUT", "POST", "DELETE"] {
        let (status, why) = yagura.send_as(method, BACKUP, &foreign, b"x 1\n");
        assert_eq!(status, 403, "{method}: {why}");
    }
}

#[test]
fn where_nothing_may_be_sent_nothing_can_be_pushed() {
    let site = Site::new();
    site.configure("receive: { http: false }\n");
    let yagura = site.start();
    let (status, why) = push(&yagura, "PUT", BACKUP, "x 1\n");
    assert_eq!(status, 400, "{why}");
    assert!(why.contains("receive.http"), "{why}");
}
