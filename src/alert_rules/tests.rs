//! Stories of files, groups and the manager, on the store of `testing.rs`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::{Alert, Labels};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::testing::{Memory, languages};
use crate::*;

mod trouble;

const MINUTE: i64 = 60_000;
const START: i64 = 1_700_000_000_000;

fn parsed(text: &str) -> Loaded {
    parse("rules.yml", text, languages(&Memory::default()))
}

fn group(text: &str, restore: bool) -> Group {
    let mut loaded = parsed(text);
    assert_eq!(loaded.problems, []);
    Group::new(Arc::new(loaded.groups.remove(0)), MINUTE, restore)
}

fn world(memory: &Memory) -> World<'_> {
    static NOTHING: std::sync::LazyLock<Labels> = std::sync::LazyLock::new(Labels::empty);
    World {
        languages: languages(memory),
        query_offset_ms: 0,
        sink: memory,
        external_labels: &NOTHING,
        external_url: "http://yagura.example",
        resend_ms: MINUTE,
        for_grace_ms: 10 * MINUTE,
        outage_tolerance_ms: 60 * MINUTE,
        elapsed: &|| Duration::ZERO,
    }
}

fn errors(group: &Group) -> Vec<String> {
    group
        .snapshot()
        .rules
        .into_iter()
        .map(|rule| rule.last_error)
        .collect()
}

#[test]
fn a_rule_file_becomes_groups() {
    let loaded = parsed(
        r"
groups:
- name: g
  interval: 15s
  query_offset: 5s
  limit: 3
  labels: {team: a, severity: low}
  rules:
  - record: job:up
    expr: up
    labels: {severity: high}
  - alert: Down
    expr: up
    for: 5m
    keep_firing_for: 1m
    annotations:
      summary: '{{ $labels.x }} is down'
",
    );
    assert_eq!(loaded.problems, []);
    let group = &loaded.groups[0];
    assert_eq!((&*group.name, &*group.file), ("g", "rules.yml"));
    assert_eq!(group.interval_ms, Some(15_000));
    assert_eq!((group.query_offset_ms, group.limit), (Some(5_000), 3));
    let labels: Vec<(&str, &str)> = group.rules[0]
        .labels
        .iter()
        .map(|(key, text)| (&**key, &*text.source))
        .collect();
    assert_eq!(labels, [("severity", "high"), ("team", "a")]);
    let RuleOutput::Alerting { for_ms, .. } = group.rules[1].output else {
        panic!("an alerting rule");
    };
    assert_eq!(for_ms, 5 * MINUTE);
}

#[test]
fn a_kubernetes_object_is_read_too() {
    let loaded = parsed(
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: x}\nspec:\n  groups:\n  - name: g\n    rules:\n    - {record: a, expr: b}\n",
    );
    assert_eq!(loaded.problems, []);
    assert_eq!(loaded.groups.len(), 1);
}

#[test]
fn problems_name_file_line_and_rule_and_the_rest_goes_on() {
    let check = |text: &str, groups: usize, expected: &str| {
        let loaded = parsed(text);
        assert_eq!(loaded.groups.len(), groups, "{text}");
        let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{text}: {problems:?}"
        );
    };
    let rule = |rule: &str| {
        format!("groups:\n- name: g\n  rules:\n  - {rule}\n  - {{record: ok, expr: up}}\n")
    };
    check("groups: [", 0, "rules.yml:");
    check("groups:\n- nam: g\n", 0, "rules.yml:2:");
    check("groups:\n- nam: g\n", 0, "did you mean `name`?");
    check(
        &rule("{alert: A, expr: up, annotation: {a: b}}"),
        0,
        "did you mean `annotations`?",
    );
    check(
        &rule("{alert: A, expr: 'up('}"),
        1,
        "rules.yml:4: group \"g\", rule \"A\": cannot parse expression: unclosed parenthesis",
    );
    check(
        &rule("{alert: A, record: b, expr: up}"),
        1,
        "both record and alert",
    );
    check(&rule("{expr: up}"), 1, "neither record nor alert");
    check(
        &rule("{record: 'a b', expr: up}"),
        1,
        "invalid recording rule name",
    );
    check(
        &rule("{record: a, expr: up, for: 1m}"),
        1,
        "neither for nor keep_firing_for",
    );
    check(
        &rule("{alert: A, expr: up, for: 5 minutes}"),
        1,
        "for: not a duration",
    );
    check(
        &rule("{alert: A, expr: up, annotations: {summary: '{{ nope }}'}}"),
        1,
        "annotation \"summary\": template: __alert_A:1:4: function \"nope\" not defined",
    );
    check(
        &rule("{alert: A, expr: up, labels: {__name__: x}}"),
        1,
        "__name__ cannot be set",
    );
    check(
        "groups:\n- {name: g, rules: []}\n- {name: g, rules: []}\n",
        1,
        "rules.yml:3: group \"g\" is there twice",
    );
    check(
        "groups:\n- {name: g, interval: x}\n- {name: h}\n",
        1,
        "group \"g\": interval",
    );
}

#[test]
fn a_broken_rule_is_shown_and_its_neighbours_are_evaluated() {
    let mut loaded = parsed(
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: 'up('}\n  - {record: ok, expr: up}\n",
    );
    let memory = Memory::default();
    memory.set("up", "a", START, 1.0);
    let mut group = Group::new(Arc::new(loaded.groups.remove(0)), MINUTE, false);
    let result = group.evaluate(START, &world(&memory));
    assert_eq!((result.rules, result.failures), (1, 0));
    let snapshot = group.snapshot();
    assert_eq!(snapshot.rules[0].health, RuleHealth::Err);
    assert!(
        snapshot.rules[0]
            .last_error
            .contains("unclosed parenthesis")
    );
    assert_eq!(
        memory.last("ok"),
        [(r#"ok{x="a"}"#.to_owned(), "1".to_owned())]
    );
}

#[test]
fn files_are_found_by_pattern_and_each_fails_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).expect("a file");
    };
    write(
        "a.yml",
        "groups:\n- {name: a, rules: [{record: r, expr: up}]}\n",
    );
    write("b.yml", "groups: nonsense\n");
    write("c.yml", "groups:\n- {name: c, rules: []}\n");
    let patterns = ["*.yml", "a.yml", "missing.yml", "none-*.yml"].map(str::to_owned);
    let loaded = load(&patterns, dir.path(), languages(&Memory::default()));
    let names: Vec<&str> = loaded.groups.iter().map(|g| &*g.name).collect();
    assert_eq!(names, ["a", "c"]);
    let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("b.yml:1:"), "{problems:?}");
    assert!(
        problems[1].contains("missing.yml: cannot read"),
        "{problems:?}"
    );
    let none = load(
        &patterns[..1],
        Path::new("/nonexistent"),
        languages(&Memory::default()),
    );
    assert!(none.groups.is_empty());
}

#[test]
fn rules_see_what_earlier_rules_made() {
    let memory = Memory::default();
    memory.set("a", "1", START, 7.0);
    let mut group = group(
        "groups:\n- name: g\n  rules:\n  - {record: b, expr: a}\n  - {record: unrelated, expr: a}\n  - {record: c, expr: b}\n",
        false,
    );
    let result = group.evaluate(START, &world(&memory));
    assert_eq!(
        memory.last("c"),
        [(r#"c{x="1"}"#.to_owned(), "7".to_owned())]
    );
    assert_eq!(result.samples, 3);
    // Two scrapes: what `c` reads is stored before it, the rest at the end.
    assert_eq!(memory.scrapes(), 2);
}

#[test]
fn series_that_end_get_a_marker() {
    let memory = Memory::default();
    memory.set("a", "1", START, 7.0);
    let mut group = group(
        "groups:\n- name: g\n  rules:\n  - {record: b, expr: a}\n  - {alert: A, expr: a}\n",
        false,
    );
    group.evaluate(START, &world(&memory));
    assert_eq!(memory.last("ALERTS")[0].1, "1");
    group.evaluate(START + 10 * MINUTE, &world(&memory));
    assert_eq!(memory.last("b")[0].1, "stale");
    assert_eq!(memory.last("ALERTS")[0].1, "stale");
    assert_eq!(memory.last("ALERTS_FOR_STATE")[0].1, "stale");
}

#[test]
fn a_change_of_state_ends_the_series_of_the_old_state() {
    let memory = Memory::default();
    let mut group = group(
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: a, for: 1m}\n",
        false,
    );
    for minute in 0..2 {
        memory.set("a", "1", START + minute * MINUTE, 7.0);
        group.evaluate(START + minute * MINUTE, &world(&memory));
    }
    let states: Vec<(String, String)> = memory.last("ALERTS");
    assert!(
        states.iter().any(|(l, v)| l.contains("firing") && v == "1"),
        "{states:?}"
    );
    assert!(
        states
            .iter()
            .any(|(l, v)| l.contains("pending") && v == "stale"),
        "{states:?}"
    );
}

#[test]
fn an_alert_carries_labels_texts_and_a_link() {
    let memory = Memory::default();
    memory.set("a", "disk 1", START, 1_234_567.0);
    let mut group = group(
        r#"
groups:
- name: g
  rules:
  - alert: A
    expr: a
    labels: {severity: warning, where: "{{ $labels.x | toUpper }}"}
    annotations:
      summary: "{{ $labels.x }} at {{ $value | humanize }} ({{ $labels }})"
      asked: "{{ range query \"a\" }}{{ .Value }}{{ end }}"
      wrong: "{{ $labels.x | humanize }}"
"#,
        false,
    );
    let result = group.evaluate(START, &world(&memory));
    let alert = &result.alerts[0];
    assert_eq!(
        alert.labels.to_string(),
        r#"{alertname="A", severity="warning", where="DISK 1", x="disk 1"}"#
    );
    let text = |key: &str| alert.annotations.get(key).unwrap_or_default();
    assert_eq!(
        text("summary"),
        "disk 1 at 1.235M (map[__name__:a x:disk 1])"
    );
    assert_eq!(text("asked"), "1.234567e+06");
    assert!(
        text("wrong").starts_with("<error expanding template: "),
        "{alert:?}"
    );
    assert_eq!(
        alert.generator_url,
        "http://yagura.example/graph?g0.expr=a&g0.tab=1"
    );
    assert_eq!(alert.starts_at_ms, START);
    assert_eq!(alert.ends_at_ms, START + 4 * MINUTE);
}

#[test]
fn an_error_a_panic_or_a_flood_concerns_one_rule() {
    let memory = Memory::default();
    memory.set("a", "1", START, 1.0);
    let mut group = group(
        "groups:\n- name: g\n  rules:\n  - {alert: B, expr: boom}\n  - {alert: F, expr: fail}\n  - {alert: M, expr: many}\n  - {alert: A, expr: a}\n",
        false,
    );
    let result = group.evaluate(START, &world(&memory));
    assert_eq!((result.rules, result.failures, result.panics), (4, 3, 1));
    assert_eq!(result.alerts.len(), 1);
    let errors = errors(&group);
    assert_eq!(errors[0], "the evaluation panicked: boom");
    assert_eq!(errors[1], "took too long");
    assert!(errors[2].contains("gives 20000 alerts"), "{errors:?}");
    assert_eq!(errors[3], "");
}

#[test]
fn two_results_with_the_same_labels_are_an_error() {
    let memory = Memory::default();
    memory.set("a", "1", START, 1.0);
    memory.set("a", "2", START, 1.0);
    let mut group = group(
        "groups:\n- name: g\n  rules:\n  - {record: r, expr: a, labels: {x: same}}\n  - {alert: A, expr: a, labels: {x: same}}\n",
        false,
    );
    group.evaluate(START, &world(&memory));
    assert!(errors(&group).iter().all(|e| e.contains("same labelset")));
}

#[test]
fn a_full_disk_fails_the_rule_and_alerts_are_told_all_the_same() {
    let memory = Memory::default();
    memory.set("a", "1", START, 1.0);
    memory.set_full(true);
    let mut group = group(
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: a}\n",
        false,
    );
    let result = group.evaluate(START, &world(&memory));
    assert_eq!(result.samples_dropped, 2);
    assert_eq!(result.alerts.len(), 1);
    assert!(errors(&group)[0].contains("disk full"));
    memory.set_full(false);
    group.evaluate(START + MINUTE, &world(&memory));
    assert_eq!(errors(&group)[0], "");
}

#[test]
fn a_restart_does_not_set_the_clock_of_a_long_for_back() {
    const RULES: &str =
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: a, for: 1h, labels: {s: x}}\n";
    let memory = Memory::default();
    let run = |group: &mut Group, from: i64, to: i64| {
        let mut states = Vec::new();
        for minute in from..to {
            let now = START + minute * MINUTE;
            memory.set("a", "1", now, 1.0);
            group.evaluate(now, &world(&memory));
            states.push(group.snapshot().rules[0].state());
        }
        states
    };
    let mut before = group(RULES, true);
    run(&mut before, 0, 40);
    drop(before);
    // Away for ten minutes, so that it fires ten minutes later than it would have.
    let mut after = group(RULES, true);
    let states = run(&mut after, 50, 90);
    // The second evaluation after the start (minute 51) restores; the last sample is of 39.
    let fires_at = states.iter().position(|s| *s == AlertState::Firing);
    assert_eq!(fires_at.map(|i| i as i64 + 50), Some(60 + 12));
    // An alert that ended before the restart begins anew.
    let mut third = group(RULES, false);
    third.evaluate(START + 90 * MINUTE, &world(&memory));
    third.evaluate(START + 120 * MINUTE, &world(&memory));
    let mut fourth = group(RULES, true);
    run(&mut fourth, 125, 130);
    let RuleKind::Alerting { alerts, .. } = &fourth.snapshot().rules[0].kind else {
        panic!("an alerting rule");
    };
    assert_eq!(alerts[0].active_at_ms, START + 125 * MINUTE);
}

#[test]
fn a_reload_keeps_the_state_of_rules_that_stay_and_ends_the_series_of_others() {
    let memory = Memory::default();
    memory.set("a", "1", START, 1.0);
    let mut old = group(
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: a, for: 5m}\n  - {record: r, expr: a}\n",
        false,
    );
    old.evaluate(START, &world(&memory));
    let mut new = group(
        "groups:\n- name: g\n  rules:\n  - {record: s, expr: a}\n  - {alert: A, expr: a, for: 1m}\n",
        false,
    );
    new.inherit(old);
    new.evaluate(START + MINUTE, &world(&memory));
    assert_eq!(new.snapshot().rules[1].state(), AlertState::Firing);
    assert_eq!(memory.last("r")[0].1, "stale");
    assert_eq!(memory.last("s")[0].1, "1");
}

/// Waits until a condition holds; the deadline is generous, for the machine may be busy.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manager_evaluates_tells_reloads_and_stops() {
    let memory = Arc::new(Memory::default());
    memory.set("a", "1", model::time::now_ms(), 1.0);
    let told = Arc::new(Mutex::new(Vec::<Alert>::new()));
    let sink = told.clone();
    let mut registry = prometheus_client::registry::Registry::default();
    let metrics = Metrics::new(&mut registry);
    let manager = Arc::new(RuleManager::new(
        Options {
            external_labels: Labels::from_pairs([("cluster", "c"), ("x", "not this")]),
            evaluation_interval: Duration::from_millis(20),
            ..Options::default()
        },
        memory.clone(),
        memory.clone(),
        memory.clone(),
        Arc::new(move |alerts| sink.lock().extend(alerts)),
        metrics.clone(),
    ));
    let one = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: a}\n- name: h\n  rules:\n  - {record: r, expr: a}\n";
    manager.apply(parsed(one).groups);
    let cancel = CancellationToken::new();
    let task = tokio::spawn(manager.clone().run(cancel.clone()));
    eventually("the alert is told", || !told.lock().is_empty()).await;
    assert_eq!(
        told.lock()[0].labels.to_string(),
        r#"{alertname="A", cluster="c", x="1"}"#
    );
    eventually("the gauge follows", || metrics.alerts_firing.get() == 1).await;
    eventually("both are evaluated", || {
        manager.groups().iter().all(|g| g.last_evaluation_ms > 0)
    })
    .await;

    // Group h goes, g changes and keeps its alert.
    let two = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: a, annotations: {s: t}}\n";
    manager.apply(parsed(two).groups);
    assert_eq!(manager.groups().len(), 1);
    eventually("the series of h end", || memory.last("r")[0].1 == "stale").await;
    eventually("g goes on", || {
        let group = &manager.groups()[0];
        let RuleKind::Alerting { alerts, .. } = &group.rules[0].kind else {
            return false;
        };
        alerts
            .first()
            .is_some_and(|a| a.annotations.get("s") == Some("t"))
    })
    .await;
    // It never ended in between, so it was not told as something new.
    assert_eq!(told.lock().len(), 1);
    assert_eq!((metrics.groups.get(), metrics.rules.get()), (1, 1));

    cancel.cancel();
    task.await.expect("the task ends");
    assert!(metrics.evaluations.get() > 2);
}

#[test]
fn an_alert_that_ended_while_the_process_was_away_is_told_so() {
    let text = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: a, annotations: {summary: '{{ $labels.x }} is bad'}}\n  - {record: r, expr: r}\n";
    let memory = Memory::default();
    let world = world(&memory);
    let mut before = group(text, false);
    memory.set("a", "1", START, 1.0);
    memory.set("a", "2", START, 1.0);
    assert_eq!(before.evaluate(START, &world).alerts.len(), 2);
    drop(before);
    // Twenty minutes later only one of them is still there.
    let back = START + 20 * MINUTE;
    let mut after = group(text, true);
    let mut told = Vec::new();
    for minute in 0..3 {
        memory.set("a", "2", back + minute * MINUTE, 1.0);
        let result = after.evaluate(back + minute * MINUTE, &world);
        told.extend(result.alerts.into_iter().map(|alert| {
            let over = alert.is_resolved_at(back + minute * MINUTE);
            let x = alert.labels.get("x").unwrap_or_default().to_owned();
            let summary = alert.annotations.get("summary").unwrap_or_default();
            (minute, x, over, summary.to_owned(), alert.starts_at_ms)
        }));
    }
    let ended: Vec<_> = told.iter().filter(|alert| alert.2).collect();
    assert_eq!(
        ended,
        [&(1, "1".to_owned(), true, "1 is bad".to_owned(), START)]
    );
    // Its series end with the next evaluation.
    let last = memory.last("ALERTS");
    assert!(
        last.iter()
            .any(|(labels, value)| labels.contains("x=\"1\"") && value == "stale"),
        "{last:?}"
    );
    assert_eq!(after.snapshot().rules[0].state(), AlertState::Firing);
    // Where another rule may make the same alerts, nobody can say whose it was.
    let mut shared = group(text, true);
    shared.share(|_| true);
    for minute in 0..3 {
        let result = shared.evaluate(back + minute * MINUTE, &world);
        assert!(
            result
                .alerts
                .iter()
                .all(|alert| alert.labels.get("x") == Some("2"))
        );
    }
}

#[test]
fn a_log_rule_is_a_rule_whose_expression_the_log_store_answers() {
    let text = "groups:\n- name: g\n  source: logs\n  rules:\n  - {record: lines, expr: l}\n  - {alert: M, expr: m, source: metrics}\n";
    let (metrics, logs) = (Memory::default(), Memory::default());
    logs.set("l", "from logs", START, 3.0);
    metrics.set("m", "from metrics", START, 1.0);
    let mut world = world(&metrics);
    world.languages.logs = &logs;
    let mut group = group(text, false);
    assert_eq!(group.evaluate(START, &world).failures, 0);
    assert_eq!(
        metrics.last("lines"),
        [("lines{x=\"from logs\"}".to_owned(), "3".to_owned())]
    );
    let snapshot = group.snapshot();
    assert_eq!(snapshot.rules[0].source, Source::Logs);
    assert_eq!(snapshot.rules[1].state(), AlertState::Firing);
}
