//! Rules that are bad, and times that are.

use promql::{Engine, ErrorKind};

use super::*;
use crate::promql_query::PromqlQuery;

#[test]
fn a_million_series_are_refused_and_the_next_rule_is_evaluated() {
    let memory = Memory::default();
    memory.set("a", "1", START, 1.0);
    let mut group = group(
        "groups:\n- name: g\n  rules:\n  - {record: m, expr: million}\n  - {record: r, expr: a}\n",
        false,
    );
    let result = group.evaluate(START, &world(&memory));
    assert_eq!((result.failures, result.samples), (1, 1));
    assert_eq!(
        errors(&group),
        [
            "the expression gives 1000000 series, a rule may give 100000: aggregate or select fewer",
            ""
        ]
    );
    assert!(memory.last("m").is_empty());
}

#[test]
fn a_query_that_takes_too_long_is_ended_and_says_so() {
    let memory = Memory::default();
    for i in 0..2_000 {
        memory.set("a", &i.to_string(), START, 1.0);
    }
    let query = PromqlQuery::new(
        Arc::new(Engine::default()),
        Arc::new(memory),
        Duration::ZERO,
        CancellationToken::new(),
    );
    let error = query
        .instant("sum(a) + sum(a)", START)
        .expect_err("no time");
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(error.to_string().contains("took too long"), "{error}");
}

#[test]
fn texts_that_call_themselves_or_never_end_cost_only_themselves() {
    let memory = Memory::default();
    memory.set("a", "1", START, 1.0);
    let mut group = group(
        r#"
groups:
- name: g
  rules:
  - alert: A
    expr: a
    labels: {where: '{{ define "t" }}{{ template "t" }}{{ end }}{{ template "t" }}'}
    annotations:
      endless: '{{ range 100000 }}{{ range 100000 }}{{ end }}{{ end }}'
      summary: '{{ $labels.x }} is bad'
"#,
        false,
    );
    let result = group.evaluate(START, &world(&memory));
    assert_eq!((result.failures, result.panics), (0, 0));
    let alert = &result.alerts[0];
    assert_eq!(alert.annotations.get("summary"), Some("1 is bad"));
    for text in [alert.labels.get("where"), alert.annotations.get("endless")] {
        let text = text.unwrap_or_default();
        assert!(text.starts_with("<error expanding template: "), "{text}");
    }
}

/// How the only alert of the only rule stands, and since when.
fn stands(group: &Group) -> (AlertState, i64) {
    let snapshot = group.snapshot();
    let RuleKind::Alerting { alerts, .. } = &snapshot.rules[0].kind else {
        panic!("an alerting rule");
    };
    let alert = alerts.first().expect("an alert");
    (alert.state, alert.active_at_ms)
}

#[test]
fn a_clock_set_back_by_an_hour_sends_no_alert_back() {
    const HOUR: i64 = 60 * MINUTE;
    let memory = Memory::default();
    let text = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: a, for: 5m}\n";
    let (mut firing, mut pending) = (group(text, false), group(text, false));
    for minute in 0..=6 {
        let now = START + minute * MINUTE;
        memory.set("a", "1", now, 1.0);
        firing.evaluate(now, &world(&memory));
        if minute >= 3 {
            pending.evaluate(now, &world(&memory));
        }
    }
    assert_eq!(stands(&firing), (AlertState::Firing, START));
    assert_eq!(stands(&pending).0, AlertState::Pending);
    // The store of the test answers with the last sample of a time, so it gets one for each.
    let back = START + 6 * MINUTE - HOUR;
    memory.set("a", "1", back, 1.0);
    let told = firing.evaluate(back, &world(&memory)).alerts;
    assert_eq!(stands(&firing), (AlertState::Firing, START - HOUR));
    // It was told in this very minute.
    assert!(told.is_empty(), "{told:?}");
    pending.evaluate(back, &world(&memory));
    memory.set("a", "1", back + 2 * MINUTE, 1.0);
    let told = firing.evaluate(back + 2 * MINUTE, &world(&memory)).alerts;
    assert_eq!(told.len(), 1, "it is told again as ever");
    assert!(!told[0].is_resolved_at(back + 2 * MINUTE));
    // It has waited three minutes before and two since.
    let told = pending.evaluate(back + 2 * MINUTE, &world(&memory)).alerts;
    assert_eq!((stands(&pending).0, told.len()), (AlertState::Firing, 1));
    // Its end is told, too.
    let end = back + 10 * MINUTE;
    let told = firing.evaluate(end, &world(&memory)).alerts;
    assert!(
        told.iter().any(|alert| alert.is_resolved_at(end)),
        "{told:?}"
    );
}

#[test]
fn a_clock_set_forward_by_a_day_ends_what_is_not_seen_and_finds_it_again() {
    let memory = Memory::default();
    let mut group = group(
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: a}\n  - {record: r, expr: a}\n",
        false,
    );
    memory.set("a", "1", START, 1.0);
    assert_eq!(group.evaluate(START, &world(&memory)).alerts.len(), 1);
    let next = START + 24 * 60 * MINUTE;
    let over = group.evaluate(next, &world(&memory)).alerts;
    assert!(over[0].is_resolved_at(next));
    memory.set("a", "1", next + MINUTE, 1.0);
    let again = group.evaluate(next + MINUTE, &world(&memory)).alerts;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].starts_at_ms, next + MINUTE);
    assert_eq!(memory.last("r")[0].1, "1");
}
