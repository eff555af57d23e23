//! Lines from file to search.

use std::fs;

use crate::appliance::{Site, append};

#[test]
fn an_appended_line_is_found() {
    let site = Site::new();
    let file = site.path("logs/app.log");
    append(&file, ["INFO the first line".to_owned()]);
    let yagura = site.start();
    append(
        &file,
        [r#"{"level":"error","msg":"pump stopped","valve":7}"#.to_owned()],
    );
    let found = yagura.wait_for("the line", |y| y.logs("pump", 10).pop());
    assert_eq!(found["level"], "error");
    assert_eq!(found["message"], "pump stopped");
    assert_eq!(found["fields"]["valve"].to_string().trim_matches('"'), "7");
    assert!(found["time"].as_str().expect("a time").ends_with('Z'));
    assert_eq!(
        found["labels"]["file"].as_str(),
        Some(file.display().to_string().as_str())
    );
    // Exclusion, field, phrase and the empty query on the same two lines.
    assert_eq!(yagura.logs("-pump", 10).len(), 1);
    assert_eq!(yagura.logs("valve:7", 10).len(), 1);
    assert_eq!(yagura.logs("\"the first line\"", 10).len(), 1);
    assert_eq!(yagura.logs("", 10).len(), 2);
}

#[test]
fn a_bad_query_points_at_the_character() {
    let site = Site::new();
    let yagura = site.start();
    let (status, text) = yagura.get("/api/v1/logs/query?q=error+(timeout");
    assert_eq!(status, 400, "{text}");
    let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answer["status"], "error");
    assert_eq!(answer["errorType"], "bad_data");
    let message = answer["error"].as_str().expect("a message");
    assert!(message.contains("character 7"), "{message}");
}

#[test]
fn rotation_and_truncation_lose_nothing() {
    let site = Site::new();
    let file = site.path("logs/app.log");
    append(&file, (0..100).map(|n| format!("number n{n:05} a")));
    let yagura = site.start();
    yagura.wait_for("the first hundred", |y| {
        (y.logs("number", 1000).len() == 100).then_some(())
    });
    // Renamed while more is written to the old file, as a program that was not told yet does.
    fs::rename(&file, site.path("logs/app.log.1")).expect("renamed");
    append(
        &site.path("logs/app.log.1"),
        (100..150).map(|n| format!("number n{n:05} b")),
    );
    append(&file, (150..200).map(|n| format!("number n{n:05} c")));
    yagura.wait_for("two hundred after the rotation", |y| {
        (y.logs("number", 1000).len() == 200).then_some(())
    });
    // Truncated in place.
    fs::write(&file, "").expect("truncated");
    yagura.wait_for("the truncation to be noticed", |y| {
        let (_, page) = y.get("/metrics");
        page.lines()
            .any(|l| l.starts_with("yagura_log_tail_truncations_total") && !l.ends_with(" 0"))
            .then_some(())
    });
    append(&file, (200..250).map(|n| format!("number n{n:05} d")));
    let all = yagura.wait_for("two hundred and fifty", |y| {
        let all = y.logs("number", 1000);
        (all.len() == 250).then_some(all)
    });
    let mut seen: Vec<&str> = all
        .iter()
        .map(|r| r["message"].as_str().expect("a message"))
        .map(|m| m.split(' ').nth(1).expect("a number"))
        .collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 250);
}
