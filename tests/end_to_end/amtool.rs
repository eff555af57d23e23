//! Debian's amtool against a running Yagura (skipped where it is not installed), and what a kill
//! in the wrong moment costs.

use std::process::Command;
use std::time::Instant;

use serde_json::json;

use crate::alerts::webhook;
use crate::appliance::{Appliance, PATIENCE, Site};

/// What amtool prints; `None` where it is not installed.
fn amtool(yagura: &Appliance, args: &[&str]) -> Option<String> {
    let output = Command::new("amtool")
        .arg(format!("--alertmanager.url={}", yagura.address))
        .args(args)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "amtool {args:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(text)
}

fn post(yagura: &Appliance, path: &str, body: &serde_json::Value) {
    let headers = [("content-type", "application/json")];
    let answer = yagura.send(path, &headers, body.to_string().as_bytes());
    assert_eq!(
        answer.map(|(status, _)| status),
        Some(200),
        "{}",
        yagura.log()
    );
}

#[test]
fn amtool_works_unchanged() {
    if Command::new("amtool").arg("--version").output().is_err() {
        eprintln!("skipped: amtool is not installed (Debian: prometheus-alertmanager)");
        return;
    }
    let site = Site::new();
    let alertmanager = "global:\n  slack_api_url: http://127.0.0.1:1/s3cret\nroute:\n  receiver: nobody\n  group_by: [alertname]\n  routes:\n    - matchers: [team=\"a\"]\n      receiver: chat\nreceivers:\n  - name: nobody\n  - name: chat\n    slack_configs:\n      - channel: '#a'\n";
    std::fs::write(site.path("am.yml"), alertmanager).expect("a file");
    site.configure("alertmanager: am.yml\n");
    let yagura = site.start();
    let run = |args: &[&str]| amtool(&yagura, args).expect("amtool is there");

    run(&["alert", "add", "alertname=Burn", "team=b", "node=1"]);
    run(&["alert", "add", "alertname=Smoke", "team=b"]);
    let alerts = run(&["alert", "query", "--output=json"]);
    assert!(
        alerts.contains("Burn") && alerts.contains("Smoke"),
        "{alerts}"
    );
    let burn = run(&["alert", "query", "alertname=Burn"]);
    assert!(burn.contains("Burn") && !burn.contains("Smoke"), "{burn}");

    let id = run(&[
        "silence",
        "add",
        "alertname=~Bu.*",
        "--duration=1h",
        "--author=me",
        "--comment=why",
    ]);
    let id = id.trim();
    let silences = run(&["silence", "query"]);
    assert!(
        silences.contains(id) && silences.contains("me"),
        "{silences}"
    );
    let left = run(&["alert", "query"]);
    assert!(!left.contains("Burn") && left.contains("Smoke"), "{left}");
    let hits = yagura.json("/api/v1/notify/matching?filter=alertname%3D~Bu.*");
    assert_eq!(hits["data"]["count"], 1);
    run(&["silence", "update", "--duration=2h", id]);
    run(&["silence", "expire", id]);
    assert!(!run(&["silence", "query"]).contains(id));
    assert!(run(&["silence", "query", "--expired"]).contains(id));
    assert!(run(&["alert", "query"]).contains("Burn"));

    let config = run(&["config", "show"]);
    assert!(
        config.contains("slack_api_url") && !config.contains("s3cret"),
        "{config}"
    );
    let route = run(&["config", "routes", "test", "team=a"]);
    assert_eq!(route.trim(), "chat");
    let reached = yagura.json("/api/v1/notify/route?label=team%3Da");
    assert_eq!(reached["data"][0]["receiver"], "chat");
    assert!(run(&["cluster", "show"]).contains("disabled"));
    let file = site.path("am.yml").display().to_string();
    run(&["check-config", &file]);
    let (_, metrics) = yagura.get("/alertmanager/metrics");
    assert!(metrics.contains("alertmanager_build_info{"), "{metrics}");
    assert_eq!(
        yagura.json("/alertmanager/api/v2/status")["cluster"]["status"],
        "disabled"
    );
}

#[test]
fn a_kill_between_group_wait_and_sending_costs_nothing_and_repeats_nothing() {
    let (url, bodies) = webhook();
    let site = Site::new();
    let configure = |wait: &str| {
        site.configure(&format!(
            "alertmanager:\n  route: {{ receiver: hook, group_wait: {wait}, group_interval: 200ms, group_by: [alertname], routes: [{{ receiver: nobody, matchers: ['alertname!~\"Burn|Smoke\"'] }}] }}\n  receivers:\n    - name: nobody\n    - name: hook\n      webhook_configs: [{{ url: \"{url}\" }}]\n"
        ));
    };
    configure("1h");
    let yagura = site.start();
    let alert = json!([{"labels": {"alertname": "Burn", "node": "1"}, "annotations": {"summary": "it burns"}}]);
    post(&yagura, "/api/v2/alerts", &alert);
    yagura.kill();

    configure("0s");
    let yagura = site.start();
    let body = bodies
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|_| panic!("no notification:\n{}", yagura.log()));
    assert_eq!(body["alerts"][0]["labels"]["alertname"], "Burn");
    assert_eq!(body["alerts"][0]["annotations"]["summary"], "it burns");
    // Until the log knows that it was told.
    let told = |yagura: &Appliance| yagura.json("/api/v1/notify/receivers")["data"][0]["sent"] == 1;
    let deadline = Instant::now() + PATIENCE;
    while !told(&yagura) {
        assert!(Instant::now() < deadline, "{}", yagura.log());
        std::thread::yield_now();
    }
    yagura.kill();

    let yagura = site.start();
    // The next thing that is told is something else.
    let other = json!([{"labels": {"alertname": "Smoke"}}]);
    post(&yagura, "/api/v2/alerts", &other);
    let body = bodies
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|_| panic!("no notification:\n{}", yagura.log()));
    assert_eq!(body["groupLabels"]["alertname"], "Smoke");
    let ended = json!([{"labels": {"alertname": "Burn", "node": "1"}, "endsAt": "2001-01-01T00:00:00Z", "startsAt": "2000-01-01T00:00:00Z"}]);
    post(&yagura, "/api/v2/alerts", &ended);
    let body = bodies
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|_| panic!("no notification:\n{}", yagura.log()));
    assert_eq!(
        (&body["status"], &body["groupLabels"]["alertname"]),
        (&json!("resolved"), &json!("Burn"))
    );
}
