//! Groups of alerts and when they are told: a state machine, time in, batches out.
//!
//! 1. An alert is merged with what is known of it, and put into the group of each route that it
//!    takes.
//! 2. A new group is due after `group_wait` (at once if its first alert is older than that), then
//!    every `group_interval`.
//! 3. A group that is due becomes a batch: its alerts without the inhibited ones. While a batch is
//!    under way its group is not due again.
//! 4. After a batch that was told, the alerts that were over are forgotten, and the group with the
//!    last of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use model::{Alert, Labels};

use crate::config::Config;
use crate::route::Route;

/// The most alerts that are kept. Beyond that, new ones are refused and counted.
pub const ALERTS_MAX: usize = 50_000;

/// The most groups. Beyond that, alerts that would make a new one are refused and counted.
pub const GROUPS_MAX: usize = 10_000;

/// A group's identity: the route's place in the tree and the labels that its alerts share.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GroupId {
    route: String,
    labels: Labels,
}

/// A group that is to be told.
#[derive(Debug, Clone)]
pub struct Batch {
    pub(crate) id: GroupId,
    /// Alertmanager's key of the group: `{}/{severity="critical"}:{alertname="X"}`.
    pub group_key: String,
    /// Name of the receiver.
    pub receiver: Arc<str>,
    /// The labels that the group is named by.
    pub group_labels: Labels,
    /// Its alerts, those of one job and instance together.
    pub alerts: Vec<Alert>,
    /// When it became due; alerts that ended until then are over.
    pub now_ms: i64,
    /// Told again after so many milliseconds.
    pub repeat_interval_ms: i64,
    /// Time that telling may take, milliseconds.
    pub timeout_ms: i64,
}

/// An alert of a group, for people.
#[derive(Debug, Clone)]
pub struct GroupAlert {
    /// The alert.
    pub alert: Alert,
    /// Whether another alert silences it.
    pub inhibited: bool,
}

/// A group, for people.
#[derive(Debug, Clone)]
pub struct AlertGroup {
    /// Name of the receiver.
    pub receiver: Arc<str>,
    /// The labels that the group is named by.
    pub labels: Labels,
    /// Its alerts that are not over.
    pub alerts: Vec<GroupAlert>,
}

#[derive(Debug)]
struct Group {
    route: Route,
    alerts: BTreeMap<Labels, Alert>,
    due_ms: i64,
}

/// Routes and groups alerts.
#[derive(Debug)]
pub struct Dispatcher {
    config: Arc<Config>,
    /// All alerts that are in a group, and those that fire: what may inhibit.
    alerts: HashMap<Labels, Alert>,
    groups: BTreeMap<GroupId, Group>,
    /// Groups of which a batch is under way.
    under_way: HashSet<GroupId>,
}

impl Dispatcher {
    /// A dispatcher without alerts.
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            alerts: HashMap::new(),
            groups: BTreeMap::new(),
            under_way: HashSet::new(),
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Takes alerts, new ones or news of known ones; returns how many were refused because a
    /// limit was reached.
    pub fn receive(&mut self, alerts: Vec<Alert>, now_ms: i64) -> usize {
        let mut refused = 0;
        for mut alert in alerts {
            if let Some(known) = self.alerts.get(&alert.labels) {
                merge(&mut alert, known, now_ms);
            } else if self.alerts.len() >= ALERTS_MAX {
                refused += 1;
                continue;
            }
            self.alerts.insert(alert.labels.clone(), alert.clone());
            refused += usize::from(!self.group(&alert, now_ms));
        }
        refused
    }

    /// Puts an alert into its groups; whether there was room for all of them.
    fn group(&mut self, alert: &Alert, now_ms: i64) -> bool {
        let config = self.config.clone();
        let mut complete = true;
        for route in config.route.matching(&alert.labels) {
            let id = GroupId {
                route: route.id.clone(),
                labels: route.group_labels(&alert.labels),
            };
            if !self.groups.contains_key(&id) && self.groups.len() >= GROUPS_MAX {
                complete = false;
                continue;
            }
            let group = self.groups.entry(id).or_insert_with(|| Group {
                route: Route {
                    routes: Vec::new(),
                    ..route.clone()
                },
                alerts: BTreeMap::new(),
                // An alert that has waited elsewhere waits no more.
                due_ms: now_ms
                    .max(alert.starts_at_ms + route.group_wait_ms)
                    .min(now_ms + route.group_wait_ms),
            });
            group.alerts.insert(alert.labels.clone(), alert.clone());
        }
        complete
    }

    /// The groups that are due, at most `max` of them, the one that waited longest first. Each
    /// must be answered with [`Dispatcher::done`].
    pub fn poll(&mut self, now_ms: i64, max: usize) -> Vec<Batch> {
        let mut due: Vec<(i64, GroupId)> = self
            .groups
            .iter()
            .filter(|(id, group)| group.due_ms <= now_ms && !self.under_way.contains(id))
            .map(|(id, group)| (group.due_ms, id.clone()))
            .collect();
        due.sort();
        let mut batches = Vec::new();
        for (_, id) in due {
            if batches.len() >= max {
                break;
            }
            let Some(group) = self.groups.get_mut(&id) else {
                continue;
            };
            group.due_ms = now_ms + group.route.group_interval_ms;
            let group = &self.groups[&id];
            let mut alerts: Vec<Alert> = group
                .alerts
                .values()
                .filter(|alert| !self.is_inhibited(&alert.labels, now_ms))
                .cloned()
                .collect();
            alerts.sort_by(compare);
            self.under_way.insert(id.clone());
            batches.push(Batch {
                group_key: format!("{}:{}", group.route.key, id.labels),
                receiver: group.route.receiver.clone(),
                group_labels: id.labels.clone(),
                alerts,
                now_ms,
                repeat_interval_ms: group.route.repeat_interval_ms,
                timeout_ms: group.route.group_interval_ms.max(TIMEOUT_MS_MIN),
                id,
            });
        }
        batches
    }

    /// Says how a batch went. One that was told ends the alerts in it that were over, unless they
    /// have begun anew since; one that failed is due again with the group's next turn.
    pub fn done(&mut self, batch: &Batch, told: bool) {
        self.under_way.remove(&batch.id);
        let Some(group) = self.groups.get_mut(&batch.id) else {
            return;
        };
        if told {
            for alert in batch
                .alerts
                .iter()
                .filter(|a| a.is_resolved_at(batch.now_ms))
            {
                if group
                    .alerts
                    .get(&alert.labels)
                    .is_some_and(|now| now.ends_at_ms == alert.ends_at_ms)
                {
                    group.alerts.remove(&alert.labels);
                }
            }
        }
        // An inhibited alert that is over is told to nobody.
        let in_batch: HashSet<&Labels> = batch.alerts.iter().map(|alert| &alert.labels).collect();
        group.alerts.retain(|labels, alert| {
            in_batch.contains(labels) || !alert.is_resolved_at(batch.now_ms)
        });
        if group.alerts.is_empty() {
            self.groups.remove(&batch.id);
        }
        self.forget(batch.now_ms);
    }

    /// Forgets alerts that are over and in no group.
    fn forget(&mut self, now_ms: i64) {
        let grouped: HashSet<&Labels> =
            self.groups.values().flat_map(|g| g.alerts.keys()).collect();
        self.alerts
            .retain(|labels, alert| !alert.is_resolved_at(now_ms) || grouped.contains(labels));
    }

    /// When the next group is due, milliseconds since 1970-01-01 UTC.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.groups
            .iter()
            .filter(|(id, _)| !self.under_way.contains(id))
            .map(|(_, group)| group.due_ms)
            .min()
    }

    /// Takes another configuration: all alerts are routed anew and their groups wait anew.
    pub fn apply(&mut self, config: Arc<Config>, now_ms: i64) {
        self.config = config;
        self.groups.clear();
        let alerts: Vec<Alert> = self.alerts.values().cloned().collect();
        for alert in &alerts {
            self.group(alert, now_ms);
        }
    }

    /// Whether an alert that fires silences these labels.
    fn is_inhibited(&self, target: &Labels, now_ms: i64) -> bool {
        self.config.inhibit_rules.iter().any(|rule| {
            rule.target.iter().all(|m| m.matches_labels(target))
                && self.alerts.values().any(|source| {
                    !source.is_resolved_at(now_ms) && rule.silences(&source.labels, target)
                })
        })
    }

    /// How many groups there are.
    pub fn groups_len(&self) -> usize {
        self.groups.len()
    }

    /// All groups with the alerts in them that are not over.
    pub fn groups(&self, now_ms: i64) -> Vec<AlertGroup> {
        self.groups
            .iter()
            .map(|(id, group)| AlertGroup {
                receiver: group.route.receiver.clone(),
                labels: id.labels.clone(),
                alerts: group
                    .alerts
                    .values()
                    .filter(|alert| !alert.is_resolved_at(now_ms))
                    .map(|alert| GroupAlert {
                        alert: alert.clone(),
                        inhibited: self.is_inhibited(&alert.labels, now_ms),
                    })
                    .collect(),
            })
            .filter(|group| !group.alerts.is_empty())
            .collect()
    }
}

/// The least time that telling may take, so that a group interval below a second still leaves a
/// receiver room to answer.
const TIMEOUT_MS_MIN: i64 = 10_000;

/// News of an alert that fires goes on from when it began; after its end it begins anew.
fn merge(new: &mut Alert, known: &Alert, now_ms: i64) {
    let overlaps = new.starts_at_ms <= known.ends_at_ms && known.starts_at_ms <= new.ends_at_ms;
    if overlaps && !known.is_resolved_at(now_ms) {
        new.starts_at_ms = new.starts_at_ms.min(known.starts_at_ms);
    }
}

/// Alertmanager's order in messages: by job, by instance, then by all labels.
fn compare(a: &Alert, b: &Alert) -> std::cmp::Ordering {
    let key = |alert: &Alert, name: &str| {
        let value = alert.labels.get(name).map(str::to_owned);
        // Those without the label come last.
        (value.is_none(), value)
    };
    key(a, "job")
        .cmp(&key(b, "job"))
        .then_with(|| key(a, "instance").cmp(&key(b, "instance")))
        .then_with(|| a.labels.cmp(&b.labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000;

    fn dispatcher(yaml: &str) -> Dispatcher {
        Dispatcher::new(Arc::new(
            Config::parse(yaml, "am.yml").expect("a configuration"),
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
        d.receive(vec![alert("A", "1", 100, 1_000)], 100 * SECOND);
        d.receive(vec![alert("A", "2", 110, 1_000)], 110 * SECOND);
        d.receive(vec![alert("B", "3", 120, 1_000)], 120 * SECOND);
        assert_eq!(d.next_due_ms(), Some(130 * SECOND));
        assert_eq!(told(&mut d, 129), Vec::<String>::new());
        assert_eq!(told(&mut d, 130), [r#"{}:{alertname="A"}[1 2]"#]);
        assert_eq!(told(&mut d, 150), [r#"{}:{alertname="B"}[3]"#]);
        d.receive(vec![alert("A", "1", 100, 400)], 400 * SECOND);
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
        d.receive(vec![alert("A", "1", 100, 1_000)], 120 * SECOND);
        assert_eq!(d.next_due_ms(), Some(130 * SECOND));
        d.receive(vec![alert("B", "1", 10, 1_000)], 120 * SECOND);
        assert_eq!(d.next_due_ms(), Some(120 * SECOND));
        // A start in the future (another clock) does not wait longer than usual.
        d.receive(vec![alert("C", "1", 900, 1_000)], 120 * SECOND);
        let group = d.groups.values().last().expect("a group");
        assert_eq!(group.due_ms, 150 * SECOND);
    }

    #[test]
    fn a_batch_under_way_is_not_started_twice_and_a_failed_one_loses_nothing() {
        let mut d = dispatcher(SIMPLE);
        d.receive(vec![alert("A", "1", 0, 50)], 0);
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
        d.receive(vec![alert("A", "1", 0, 50)], 0);
        let batches = d.poll(60 * SECOND, 10);
        d.receive(vec![alert("A", "1", 70, 1_000)], 70 * SECOND);
        d.done(&batches[0], true);
        assert_eq!(told(&mut d, 360), [r#"{}:{alertname="A"}[1]"#]);
    }

    #[test]
    fn news_of_an_alert_keep_when_it_began() {
        let mut d = dispatcher(SIMPLE);
        d.receive(vec![alert("A", "1", 10, 100)], 10 * SECOND);
        d.receive(vec![alert("A", "1", 50, 200)], 50 * SECOND);
        let known = d.alerts.values().next().expect("an alert");
        assert_eq!((known.starts_at_ms, known.ends_at_ms), (10_000, 200_000));
    }

    #[test]
    fn an_inhibited_alert_is_not_told_until_its_source_is_over() {
        let mut d = dispatcher(
            "route: {receiver: r, group_by: ['...'], group_wait: 0s}\nreceivers: [{name: r}]\ninhibit_rules: [{source_matchers: [alertname=Big], target_matchers: [alertname=Small], equal: [x]}]\n",
        );
        d.receive(
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
            .filter(|a| a.inhibited)
            .count();
        assert_eq!(inhibited, 1);
        let later = told(&mut d, 300);
        assert_eq!(later.iter().filter(|t| t.contains("Small")).count(), 2);
        assert!(later.iter().all(|t| !t.ends_with("[]")), "{later:?}");
    }

    #[test]
    fn another_configuration_regroups_all_alerts() {
        let mut d = dispatcher(SIMPLE);
        d.receive(
            vec![alert("A", "1", 0, 5_000), alert("A", "2", 0, 5_000)],
            0,
        );
        assert_eq!(told(&mut d, 30).len(), 1);
        let each = SIMPLE.replace("[alertname]", "['...']");
        d.apply(
            Arc::new(Config::parse(&each, "am.yml").expect("a configuration")),
            40 * SECOND,
        );
        assert_eq!(told(&mut d, 40).len(), 2);
    }

    #[test]
    fn limits_refuse_and_count() {
        let mut d = dispatcher(&SIMPLE.replace("[alertname]", "['...']"));
        let many = (0..=GROUPS_MAX)
            .map(|i| alert("A", &i.to_string(), 0, 10))
            .collect();
        assert_eq!(d.receive(many, 0), 1);
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
}
