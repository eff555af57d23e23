//! Stories of groups and their times, on a clock that is a number.

use super::*;

const SECOND: i64 = 1_000;

fn dispatcher(yaml: &str) -> Dispatcher {
    Dispatcher::new(Arc::new(
        Config::parse(yaml, "am.yml", std::path::Path::new(".")).expect("a configuration"),
    ))
}

const SIMPLE: &str = "route: {receiver: r, group_by: [alertname], group_wait: 30s, group_interval: 5m}\nreceivers: [{name: r}]\n";

fn alert(name: &str, x: &str, from_s: i64, to_s: i64) -> Alert {
    Alert {
        labels: Labels::from_pairs([("alertname", name), ("x", x)]),
        annotations: Labels::empty(),
        starts_at_ms: from_s * SECOND,
        ends_at_ms: to_s * SECOND,
        generator_url: String::new(),
    }
}

fn receive(d: &mut Dispatcher, alerts: Vec<Alert>, now_ms: i64) -> usize {
    let explicit = alerts.into_iter().map(|alert| (alert, false));
    d.receive(explicit, now_ms).refused
}

/// What is due at a second: `key[x…]`, alerts that are over in parentheses; all are told.
fn told(dispatcher: &mut Dispatcher, at_s: i64) -> Vec<String> {
    let batches = dispatcher.poll(at_s * SECOND, 100);
    batches
        .iter()
        .map(|batch| {
            dispatcher.done(batch, true);
            let alerts: Vec<String> = batch
                .alerts
                .iter()
                .map(|a| {
                    let x = a.labels.get("x").unwrap_or_default();
                    if a.is_resolved_at(batch.now_ms) {
                        format!("({x})")
                    } else {
                        x.to_owned()
                    }
                })
                .collect();
            format!("{}[{}]", batch.group_key, alerts.join(" "))
        })
        .collect()
}

#[test]
fn a_group_waits_then_tells_every_interval_until_all_is_over() {
    let mut d = dispatcher(SIMPLE);
    receive(&mut d, vec![alert("A", "1", 100, 1_000)], 100 * SECOND);
    receive(&mut d, vec![alert("A", "2", 110, 1_000)], 110 * SECOND);
    receive(&mut d, vec![alert("B", "3", 120, 1_000)], 120 * SECOND);
    assert_eq!(d.next_due_ms(), Some(130 * SECOND));
    assert_eq!(told(&mut d, 129), Vec::<String>::new());
    assert_eq!(told(&mut d, 130), [r#"{}:{alertname="A"}[1 2]"#]);
    assert_eq!(told(&mut d, 150), [r#"{}:{alertname="B"}[3]"#]);
    receive(&mut d, vec![alert("A", "1", 100, 400)], 400 * SECOND);
    assert_eq!(told(&mut d, 430), [r#"{}:{alertname="A"}[(1) 2]"#]);
    assert_eq!(d.groups(431 * SECOND)[0].alerts.len(), 1);
    assert_eq!(told(&mut d, 730).len(), 2);
    // The rest ends by itself when nothing more is heard.
    assert_eq!(told(&mut d, 1_100).len(), 2);
    assert_eq!(d.next_due_ms(), None);
    assert!(d.alerts.is_empty());
}

#[test]
fn an_alert_that_has_waited_long_enough_waits_no_more() {
    let mut d = dispatcher(SIMPLE);
    receive(&mut d, vec![alert("A", "1", 100, 1_000)], 120 * SECOND);
    assert_eq!(d.next_due_ms(), Some(150 * SECOND));
    // One that has waited hurries those that came before it.
    receive(&mut d, vec![alert("A", "2", 80, 1_000)], 121 * SECOND);
    assert_eq!(told(&mut d, 121), [r#"{}:{alertname="A"}[1 2]"#]);
    receive(&mut d, vec![alert("B", "1", 10, 1_000)], 120 * SECOND);
    assert_eq!(d.next_due_ms(), Some(120 * SECOND));
    // A start in the future (another clock) does not wait longer than usual.
    receive(&mut d, vec![alert("C", "1", 900, 1_000)], 120 * SECOND);
    let group = d.groups.values().last().expect("a group");
    assert_eq!(group.due_ms, 150 * SECOND);
}

#[test]
fn a_batch_under_way_is_not_started_twice_and_a_failed_one_loses_nothing() {
    let mut d = dispatcher(SIMPLE);
    receive(&mut d, vec![alert("A", "1", 0, 50)], 0);
    let batches = d.poll(60 * SECOND, 10);
    assert_eq!(batches.len(), 1);
    assert!(d.poll(1_000 * SECOND, 10).is_empty());
    assert_eq!(d.next_due_ms(), None);
    d.done(&batches[0], false);
    assert_eq!(told(&mut d, 360), [r#"{}:{alertname="A"}[(1)]"#]);
    assert!(d.groups.is_empty());
}

#[test]
fn an_alert_that_begins_anew_while_its_end_is_told_is_kept() {
    let mut d = dispatcher(SIMPLE);
    receive(&mut d, vec![alert("A", "1", 0, 50)], 0);
    let batches = d.poll(60 * SECOND, 10);
    receive(&mut d, vec![alert("A", "1", 70, 1_000)], 70 * SECOND);
    d.done(&batches[0], true);
    assert_eq!(told(&mut d, 360), [r#"{}:{alertname="A"}[1]"#]);
}

#[test]
fn news_of_an_alert_keep_when_it_began() {
    let mut d = dispatcher(SIMPLE);
    receive(&mut d, vec![alert("A", "1", 10, 100)], 10 * SECOND);
    receive(&mut d, vec![alert("A", "1", 50, 200)], 50 * SECOND);
    let known = &d.alerts.values().next().expect("an alert").alert;
    assert_eq!((known.starts_at_ms, known.ends_at_ms), (10_000, 200_000));
    // An end that was given counts rather than an earlier time-out.
    d.receive([(alert("A", "1", 60, 150), true)], 60 * SECOND);
    let known = &d.alerts.values().next().expect("an alert").alert;
    assert_eq!((known.starts_at_ms, known.ends_at_ms), (10_000, 200_000));
}

#[test]
fn an_inhibited_alert_is_not_told_until_its_source_is_over() {
    let mut d = dispatcher(
        "route: {receiver: r, group_by: ['...'], group_wait: 0s}\nreceivers: [{name: r}]\ninhibit_rules: [{source_matchers: [alertname=Big], target_matchers: [alertname=Small], equal: [x]}]\n",
    );
    receive(
        &mut d,
        vec![
            alert("Big", "1", 0, 200),
            alert("Small", "1", 0, 2_000),
            alert("Small", "2", 0, 2_000),
        ],
        0,
    );
    let told_now: Vec<String> = told(&mut d, 0);
    assert!(told_now.iter().any(|t| t.ends_with("[2]")), "{told_now:?}");
    assert!(
        told_now
            .iter()
            .any(|t| t.contains("Small") && t.ends_with("[]")),
        "{told_now:?}"
    );
    let inhibited: usize = d
        .groups(SECOND)
        .iter()
        .flat_map(|g| &g.alerts)
        .filter(|a| !a.inhibited_by.is_empty())
        .count();
    assert_eq!(inhibited, 1);
    let later = told(&mut d, 300);
    assert_eq!(later.iter().filter(|t| t.contains("Small")).count(), 2);
    assert!(later.iter().all(|t| !t.ends_with("[]")), "{later:?}");
}

#[test]
fn another_configuration_regroups_all_alerts() {
    let mut d = dispatcher(SIMPLE);
    receive(
        &mut d,
        vec![alert("A", "1", 0, 5_000), alert("A", "2", 0, 5_000)],
        0,
    );
    assert_eq!(told(&mut d, 30).len(), 1);
    let each = SIMPLE.replace("[alertname]", "['...']");
    d.apply(
        Arc::new(
            Config::parse(&each, "am.yml", std::path::Path::new(".")).expect("a configuration"),
        ),
        40 * SECOND,
    );
    assert_eq!(told(&mut d, 40).len(), 2);
}

#[test]
fn silences_and_time_intervals_keep_quiet_and_lose_nothing() {
    let mut d = dispatcher(
        "route: {receiver: r, group_by: [alertname], group_wait: 0s, group_interval: 1m, routes: [{matchers: [alertname=Night], mute_time_intervals: [always]}, {matchers: [alertname=Never], active_time_intervals: [never]}]}\nreceivers: [{name: r}]\ntime_intervals: [{name: always, time_intervals: [{}]}, {name: never, time_intervals: [{years: [1999]}]}]\n",
    );
    let silence = crate::silences::Silence {
        id: String::new(),
        matchers: crate::matchers::parse("x=2").expect("a matcher"),
        starts_at_ms: 0,
        ends_at_ms: 100 * SECOND,
        updated_at_ms: 0,
        created_by: String::new(),
        comment: String::new(),
    };
    let change = d.silences.plan_set(silence, 0).expect("a silence");
    d.silences.take(change);
    receive(
        &mut d,
        vec![
            alert("A", "1", 0, 5_000),
            alert("A", "2", 0, 5_000),
            alert("Night", "1", 0, 5_000),
            alert("Never", "1", 0, 5_000),
        ],
        0,
    );
    let expected = [
        r#"{}:{alertname="A"}[1]"#,
        r#"{}/{alertname="Never"}:{alertname="Never"}[]"#,
        r#"{}/{alertname="Night"}:{alertname="Night"}[]"#,
    ];
    assert_eq!(told(&mut d, 0), expected);
    let views = d.alerts(SECOND);
    let quiet = views.iter().filter(|view| view.is_suppressed()).count();
    assert_eq!(quiet, 3);
    let muted: Vec<&String> = views.iter().flat_map(|view| &view.muted_by).collect();
    assert_eq!(muted.len(), 2);
    assert_eq!(told(&mut d, 120)[0], r#"{}:{alertname="A"}[1 2]"#);
}

#[test]
fn a_clock_set_back_by_an_hour_loses_and_repeats_nothing() {
    let hour = 3_600;
    let mut d = dispatcher(SIMPLE);
    receive(
        &mut d,
        vec![alert("A", "1", 10_000, 10_240)],
        10_000 * SECOND,
    );
    assert_eq!(told(&mut d, 10_030), [r#"{}:{alertname="A"}[1]"#]);
    // The clock is looked at every ten seconds.
    assert!(told(&mut d, 10_100 - hour).is_empty());
    // Its rule goes on with times of the new clock, an hour earlier.
    let back = 10_100 - hour;
    let again = vec![alert("A", "1", 10_000 - hour, back + 240)];
    receive(&mut d, again, back * SECOND);
    receive(
        &mut d,
        vec![alert("A", "2", back, back + 240)],
        back * SECOND,
    );
    assert_eq!(d.alerts(back * SECOND).len(), 2);
    assert_eq!(told(&mut d, back + 300).len(), 1, "within its interval");
    // The end of the first is not outlived by what was said before.
    let end = back + 400;
    receive(
        &mut d,
        vec![alert("A", "1", 10_000 - hour, end)],
        end * SECOND,
    );
    receive(&mut d, vec![alert("A", "2", back, end + 900)], end * SECOND);
    assert_eq!(told(&mut d, end + 300), [r#"{}:{alertname="A"}[(1) 2]"#]);
}

#[test]
fn a_clock_set_forward_by_a_day_ends_alerts_and_takes_them_again() {
    let mut d = dispatcher(SIMPLE);
    receive(
        &mut d,
        vec![alert("A", "1", 10_000, 10_240)],
        10_000 * SECOND,
    );
    assert_eq!(told(&mut d, 10_030), [r#"{}:{alertname="A"}[1]"#]);
    // As Alertmanager does: nobody has said for a day that it still fires.
    let next = 10_100 + 86_400;
    assert_eq!(told(&mut d, next), [r#"{}:{alertname="A"}[(1)]"#]);
    receive(
        &mut d,
        vec![alert("A", "1", next, next + 240)],
        next * SECOND,
    );
    assert_eq!(told(&mut d, next + 30), [r#"{}:{alertname="A"}[1]"#]);
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    let mut d = dispatcher(SIMPLE);
    receive(
        &mut d,
        vec![alert("A", "1", 9_990, 20_000)],
        10_000 * SECOND,
    );
    assert!(d.poll(100 * SECOND, 10).is_empty());
    assert!(d.next_due_ms().is_some_and(|at| at <= 400 * SECOND));
}

#[test]
fn limits_refuse_and_count() {
    let mut d = dispatcher(&SIMPLE.replace("[alertname]", "['...']"));
    let many = (0..=GROUPS_MAX)
        .map(|i| alert("A", &i.to_string(), 0, 10))
        .collect();
    assert_eq!(receive(&mut d, many, 0), 1);
    assert_eq!(d.groups.len(), GROUPS_MAX);
}

#[test]
fn messages_are_ordered_as_alertmanagers() {
    let make = |pairs: &[(&str, &str)]| Alert {
        labels: Labels::from_pairs(pairs.iter().copied()),
        ..alert("", "", 0, 0)
    };
    let mut alerts = [
        make(&[("a", "0")]),
        make(&[("job", "b"), ("instance", "1")]),
        make(&[("job", "a"), ("z", "1")]),
        make(&[("job", "a"), ("instance", "2")]),
    ];
    alerts.sort_by(compare);
    let shown: Vec<String> = alerts.iter().map(|a| a.labels.to_string()).collect();
    assert_eq!(
        shown,
        [
            r#"{instance="2", job="a"}"#,
            r#"{job="a", z="1"}"#,
            r#"{instance="1", job="b"}"#,
            r#"{a="0"}"#,
        ]
    );
}
