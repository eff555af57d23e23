//! The files of `testdata/`. One of these tests runs Debian's promtool, where it is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::run;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

fn failures(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder().join(file)).expect("a test file");
    run(file, &text, &folder(), &[])
}

#[track_caller]
fn passes(file: &str) {
    let failures = failures(file);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn rules_do_what_the_files_say() {
    passes("semantics.test.yml");
}

#[test]
fn templates_print_what_the_files_say() {
    passes("words.test.yml");
}

#[test]
fn prometheus_3_is_meant() {
    passes("prometheus3.test.yml");
}

#[test]
fn log_rules_are_tested_with_lines() {
    passes("logs.test.yml");
}

/// Needs promtool, and is skipped where it is missing: what we say of the shared files, and of
/// the same files with an expectation changed, promtool says too.
#[test]
fn promtool_gives_the_same_verdict() {
    let Ok(version) = Command::new("promtool").arg("--version").output() else {
        eprintln!("skipped: promtool is not installed");
        return;
    };
    assert!(version.status.success());
    let dir = tempfile::tempdir().expect("a folder");
    let rules = std::fs::read(folder().join("semantics.rules.yml")).expect("rules");
    std::fs::write(dir.path().join("semantics.rules.yml"), rules).expect("rules");
    let check = |text: &str, expected: bool| {
        let file = dir.path().join("t.test.yml");
        std::fs::write(&file, text).expect("a test file");
        let theirs = Command::new("promtool")
            .args(["test", "rules"])
            .arg(&file)
            .output()
            .expect("promtool runs");
        let ours = run("t.test.yml", text, dir.path(), &[]);
        let shown = String::from_utf8_lossy(&theirs.stdout).into_owned()
            + &String::from_utf8_lossy(&theirs.stderr);
        assert_eq!(theirs.status.success(), expected, "promtool: {shown}");
        assert_eq!(ours.is_empty(), expected, "ours: {}", ours.join("\n"));
    };
    for file in ["semantics.test.yml", "words.test.yml"] {
        let text = std::fs::read_to_string(folder().join(file)).expect("a test file");
        check(&text, true);
    }
    let text = std::fs::read_to_string(folder().join("semantics.test.yml")).expect("a test file");
    for (from, to) in [
        ("summary: a at 9", "summary: a at 8"),
        ("value: 64", "value: 65"),
        (
            "eval_time: 4m\n        alertname: Waits",
            "eval_time: 3m\n        alertname: Waits",
        ),
        ("severity: page}", "severity: info}"),
        (
            "group_eval_order: [order, states]",
            "group_eval_order: [order, order]",
        ),
        ("values: '2 4 8 16'", "values: '2 4 8 sixteen'"),
        (
            "rule_files: [semantics.rules.yml]",
            "rule_files: [nothing.yml]",
        ),
        ("tests:", "nonsense: true\ntests:"),
        (
            "expr: latest, eval_time: 2m",
            "expr: 'latest +', eval_time: 2m",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        check(&text.replacen(from, to, 1), false);
    }
}

#[test]
fn what_failed_is_said_in_promtools_words() {
    let text = "rule_files: [semantics.rules.yml]\ntests:\n- name: n\n  interval: 1m\n  input_series: [{series: 'load{host=\"a\"}', values: '9'}]\n  alert_rule_test: [{eval_time: 1m, alertname: AtOnce}]\n  promql_expr_test: [{expr: load, eval_time: 0m}]\n";
    let failures = run("t.yml", text, &folder(), &[]);
    assert_eq!(
        failures,
        [
            "name: n,\n    alertname: AtOnce, time: 1m, \n        exp:[], \n        got:[\n            0:\n              Labels:{alertname=\"AtOnce\", host=\"a\", severity=\"page\"}\n              Annotations:{summary=\"a at 9\"}\n            ]",
            "name: n,\n    expr: \"load\", time: 0s,\n        exp: nil\n        got: load{host=\"a\"} 9E0",
        ]
    );
    // Only the tests that are asked for run.
    assert!(run("t.yml", text, &folder(), &["other".to_owned()]).is_empty());
}

#[test]
fn a_histogram_that_differs_is_shown() {
    let check = |wanted: &str| {
        let text = format!(
            "tests:\n- input_series: [{{series: h, values: '{{{{schema:0 sum:3 count:3 buckets:[1 2]}}}}'}}]\n  promql_expr_test: [{{expr: h, eval_time: 0m, exp_samples: [{{labels: h, {wanted}}}]}}]\n"
        );
        run("t.yml", &text, &folder(), &[])
    };
    assert!(check("histogram: '{{schema:0 sum:3 count:3 buckets:[1 2 0]}}'").is_empty());
    let failures = check("histogram: '{{schema:0 sum:3 count:3 buckets:[2 1]}}'");
    assert_eq!(
        failures,
        [
            "expr: \"h\", time: 0s,\n        exp: h{} {count:3, sum:3, (0.5,1]:2, (1,2]:1}\n        got: h{} {count:3, sum:3, (0.5,1]:1, (1,2]:2}"
        ]
    );
    assert!(check("value: 3")[0].contains("exp: h{} 3E0"));
    assert!(check("histogram: '{{schema:one}}'")[0].contains("err: histogram: "));
    assert!(check("histogram: '{{schema:0}}x2'")[0].contains("err: histogram: "));
}
