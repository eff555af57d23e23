//! Processing rules: what must not be stored never reaches the disk, what is dropped is counted,
//! and rules change while the process runs.

use std::fs;
use std::path::Path;

use crate::appliance::{Appliance, Site, append};

const PASSWORD: &str = "correct-horse-battery";
const TOKEN: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
const PERSON: &str = "ann.example@mail.example.org";

fn configure(site: &Site, rules: &str) {
    let globs = site.path("logs/*.log").display().to_string();
    let text = format!("logs:\n  files: [{globs:?}]\n  rules:\n{rules}");
    fs::write(site.path("yagura.yaml"), text).expect("a configuration file");
}

/// Every file below a folder, with what is in it.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((
                path.display().to_string(),
                fs::read(&path).unwrap_or_default(),
            ));
        }
    }
}

fn texts(yagura: &Appliance, query: &str) -> Vec<String> {
    let records = yagura.logs(query, 100);
    let text = |record: &serde_json::Value| record["message"].as_str().map(str::to_owned);
    records.iter().filter_map(text).collect()
}

fn counter(yagura: &Appliance, name: &str, rule: &str) -> Option<u64> {
    let start = format!("yagura_log_rules_{name}_total{{rule=\"{rule}\"}} ");
    let text = yagura.get("/metrics").1;
    let line = text.lines().find_map(|line| line.strip_prefix(&start))?;
    line.parse().ok()
}

#[test]
fn secrets_never_reach_the_disk_and_dropped_lines_are_counted() {
    let site = Site::new();
    configure(
        &site,
        "    - { name: health, drop: 'GET /healthz' }
    - { name: secrets, redact: { preset: [token, email] } }
",
    );
    let yagura = site.start();
    append(
        &site.path("logs/app.log"),
        [
            format!("login user=ann password={PASSWORD} ok"),
            format!(r#"{{"msg":"pushed","token":"{TOKEN}","to":"{PERSON}"}}"#),
            "GET /healthz 200".to_owned(),
            "GET /healthz 200".to_owned(),
            "the last line".to_owned(),
        ],
    );
    yagura.wait_for("the last line", |y| {
        (texts(y, "last").len() == 1).then_some(())
    });
    assert_eq!(yagura.logs("*", 100).len(), 3);
    assert_eq!(texts(&yagura, "login"), ["login user=ann password=*** ok"]);
    assert_eq!(yagura.logs(r#"to:"***" token:"***""#, 10).len(), 1);
    for secret in [PASSWORD, TOKEN, PERSON] {
        assert!(
            yagura.logs(&format!("\"{secret}\""), 10).is_empty(),
            "{secret}"
        );
    }
    yagura.wait_for("the counters", |y| {
        (counter(y, "lines_dropped", "health") == Some(2)).then_some(())
    });
    assert_eq!(counter(&yagura, "dropped_bytes", "health"), Some(32));
    assert_eq!(counter(&yagura, "lines_seen", "secrets"), Some(3));
    assert_eq!(counter(&yagura, "lines_changed", "secrets"), Some(2));

    // Stopping seals everything: the raw bytes of all files are looked at.
    yagura.signal("TERM");
    assert!(yagura.wait().success());
    let mut found = Vec::new();
    files(&site.path("data"), &mut found);
    assert!(found.len() > 3, "the data folder is in use");
    for secret in [PASSWORD, TOKEN, PERSON] {
        for (name, bytes) in &found {
            let is_there = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!is_there, "{secret} is in {name}");
        }
    }
    // What is compressed there is read back by a search in a new process.
    let yagura = site.start();
    assert_eq!(yagura.logs("*", 100).len(), 3);
    for secret in [PASSWORD, TOKEN, PERSON] {
        assert!(
            yagura.logs(&format!("/{secret}/"), 10).is_empty(),
            "{secret}"
        );
    }
    assert_eq!(yagura.logs("/password=.*ok/", 10).len(), 1);
}

#[test]
fn secrets_that_are_sent_over_the_network_are_not_in_the_journal_either() {
    let site = Site::new();
    configure(
        &site,
        "    - { name: secrets, redact: { preset: token } }
    - { name: noise, drop: ping }
    - { name: team, add_labels: { team: media } }
",
    );
    let yagura = site.start();
    let line = |text: &str| format!("{{\"message\":\"{text}\"}}\n");
    let body = line(&format!("login password={PASSWORD} ok")) + &line("ping") + &line("other");
    let json = [("content-type", "application/x-ndjson")];
    let answer = yagura.send("/api/v1/logs/push", &json, body.as_bytes());
    let (status, text) = answer.expect("an answer");
    assert!(status < 300, "{status}: {text}");
    yagura.wait_for("the lines", |y| {
        (y.logs("team:media", 10).len() == 2).then_some(())
    });
    // Nothing is sealed yet: only the journal has the lines.
    yagura.kill();
    let mut found = Vec::new();
    files(&site.path("data/receive"), &mut found);
    let has = |wanted: &str| {
        let wanted = wanted.as_bytes();
        let holds = |bytes: &[u8]| bytes.windows(wanted.len()).any(|w| w == wanted);
        found.iter().any(|(_, bytes)| holds(bytes))
    };
    assert!(has("login password="), "the journal has the line");
    assert!(!has(PASSWORD) && !has("ping"), "but not the secret");
    let yagura = site.start();
    yagura.wait_for("the lines again", |y| {
        (y.logs("team:media", 10).len() == 2).then_some(())
    });
    assert_eq!(yagura.logs("/password=/ \"***\"", 10).len(), 1);
}

#[test]
fn rules_change_at_a_reload_without_losing_lines() {
    let site = Site::new();
    let yagura = site.start();
    let log = site.path("logs/app.log");
    append(&log, (0..100).map(|n| format!("first {n} noise")));
    yagura.wait_for("the first lines", |y| {
        (y.logs("first", 1000).len() == 100).then_some(())
    });
    configure(
        &site,
        "    - { name: odd, drop: '/[13579] noise/' }
    - { name: team, add_labels: { team: media } }
",
    );
    append(&log, (0..100).map(|n| format!("between {n} silence")));
    yagura.signal("HUP");
    yagura.wait_for("the rules", |y| counter(y, "lines_seen", "odd"));
    append(&log, (0..100).map(|n| format!("second {n} noise")));
    yagura.wait_for("the second lines", |y| {
        (y.logs("second team:media", 1000).len() == 50).then_some(())
    });
    assert_eq!(yagura.logs("between", 1000).len(), 100);
    assert_eq!(yagura.logs("first", 1000).len(), 100);
    // The last line may still wait whether it goes on.
    yagura.wait_for("the last odd line", |y| {
        (counter(y, "lines_dropped", "odd") == Some(50)).then_some(())
    });

    // A mistake is named, and the rules before it stay.
    configure(&site, "    - { drop: 'level:eroor' }\n");
    let (status, text) = yagura.post("/-/reload", &[]);
    assert_eq!(status, 500, "{text}");
    assert!(
        text.contains("yagura.yaml:4:15") && text.contains("did you mean `level:error`"),
        "{text}"
    );
    append(
        &log,
        ["third 1 noise".to_owned(), "third 2 noise".to_owned()],
    );
    yagura.wait_for("the third lines", |y| {
        (y.logs("third team:media", 10).len() == 1).then_some(())
    });
}
