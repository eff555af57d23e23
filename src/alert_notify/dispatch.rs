//! Groups of alerts and when they are told: a state machine, time in, batches out.
//!
//! 1. An alert is merged with what is known of it, and put into the group of each route that it
//!    takes.
//! 2. A new group is due after `group_wait` (at once if one of its alerts is older than that), then
//!    every `group_interval`.
//! 3. A group that is due becomes a batch: its alerts without those that are inhibited, silenced or
//!    muted by a time interval. While a batch is under way its group is not due again.
//! 4. After a batch that was told, the alerts that were over are forgotten, and the group with the
//!    last of them.

mod batch;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::{Alert, Labels};

use crate::config::Config;
use crate::inhibit::Inhibitor;
use crate::route::Route;
use crate::silences::Silences;
use crate::time_interval;
use batch::{GroupId, TIMEOUT_MS_MIN, group_name};

pub use batch::{AlertGroup, AlertView, Batch};

/// The most alerts that are kept. Beyond that, new ones are refused and counted.
pub const ALERTS_MAX: usize = 50_000;

/// The most groups. Beyond that, alerts that would make a new one are refused and counted.
pub const GROUPS_MAX: usize = 10_000;

/// Batches that are under way to one receiver at the same time: one that hangs must leave room for
/// the others.
const BATCHES_PER_RECEIVER_MAX: usize = 16;

/// How often alerts that are over and in no group are looked for.
const SWEEP_MS: i64 = 60_000;

#[derive(Debug)]
struct Known {
    alert: Alert,
    /// Whether its end is only when it counts as over if nobody says otherwise.
    timeout: bool,
    updated_at_ms: i64,
    /// How many groups it is in.
    groups: usize,
}

#[derive(Debug)]
struct Group {
    route: Route,
    alerts: BTreeMap<Labels, Alert>,
    due_ms: i64,
    /// Whether it was due before.
    began: bool,
}

/// What became of alerts that were received.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// How many were refused because a limit was reached.
    pub(crate) refused: usize,
    /// Those of which something changed that a restart must know.
    pub(crate) news: Vec<(Alert, bool)>,
}

/// Routes and groups alerts.
#[derive(Debug)]
pub struct Dispatcher {
    config: Arc<Config>,
    /// All alerts that are in a group, and those that fire: what may inhibit.
    alerts: HashMap<Labels, Known>,
    groups: BTreeMap<GroupId, Group>,
    /// Groups of which a batch is under way, and whom it is for.
    under_way: HashMap<GroupId, Arc<str>>,
    inhibitor: Inhibitor,
    pub(crate) silences: Silences,
    /// Alerts that were forgotten since someone asked.
    forgotten: Vec<Labels>,
    swept_ms: i64,
}

impl Dispatcher {
    /// A dispatcher without alerts.
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            inhibitor: Inhibitor::new(&config.inhibit_rules),
            config,
            alerts: HashMap::new(),
            groups: BTreeMap::new(),
            under_way: HashMap::new(),
            silences: Silences::default(),
            forgotten: Vec::new(),
            swept_ms: 0,
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Takes alerts, new ones or news of known ones; with each, whether its end is a time-out.
    pub(crate) fn receive(
        &mut self,
        alerts: impl IntoIterator<Item = (Alert, bool)>,
        now_ms: i64,
    ) -> Received {
        let mut received = Received::default();
        for (mut alert, timeout) in alerts {
            let mut is_news = true;
            if let Some(known) = self.alerts.get(&alert.labels) {
                merge(&mut alert, known, now_ms);
                let over = alert.is_resolved_at(now_ms);
                is_news = over != known.alert.is_resolved_at(known.updated_at_ms)
                    || alert.starts_at_ms != known.alert.starts_at_ms
                    || alert.annotations != known.alert.annotations;
            } else if self.alerts.len() >= ALERTS_MAX {
                received.refused += 1;
                continue;
            }
            if is_news {
                received.news.push((alert.clone(), timeout));
            }
            let known = Known {
                groups: self
                    .alerts
                    .get(&alert.labels)
                    .map_or(0, |known| known.groups),
                alert: alert.clone(),
                timeout,
                updated_at_ms: now_ms,
            };
            self.alerts.insert(alert.labels.clone(), known);
            self.inhibitor.learn(&alert, now_ms);
            received.refused += usize::from(!self.group(&alert, now_ms));
        }
        received
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
                due_ms: now_ms.saturating_add(route.group_wait_ms),
                began: false,
            });
            // An alert that has waited elsewhere waits no more.
            if !group.began && alert.starts_at_ms.saturating_add(route.group_wait_ms) < now_ms {
                group.due_ms = group.due_ms.min(now_ms);
            }
            if group
                .alerts
                .insert(alert.labels.clone(), alert.clone())
                .is_none()
                && let Some(known) = self.alerts.get_mut(&alert.labels)
            {
                known.groups += 1;
            }
        }
        complete
    }

    /// The groups that are due, at most `max` of them, the one that waited longest first. Each
    /// must be answered with [`Dispatcher::done`].
    pub fn poll(&mut self, now_ms: i64, max: usize) -> Vec<Batch> {
        self.mend_clock(now_ms);
        if now_ms >= self.swept_ms.saturating_add(SWEEP_MS) {
            self.sweep(now_ms);
        }
        let mut due: Vec<(i64, GroupId)> = self
            .groups
            .iter()
            .filter(|(id, group)| group.due_ms <= now_ms && !self.under_way.contains_key(id))
            .map(|(id, group)| (group.due_ms, id.clone()))
            .collect();
        due.sort();
        let mut busy: HashMap<Arc<str>, usize> = HashMap::new();
        for receiver in self.under_way.values() {
            *busy.entry(receiver.clone()).or_default() += 1;
        }
        let mut batches = Vec::new();
        for (_, id) in due {
            if batches.len() >= max {
                break;
            }
            let Some(group) = self.groups.get(&id) else {
                continue;
            };
            let busy = busy.entry(group.route.receiver.clone()).or_default();
            if *busy < BATCHES_PER_RECEIVER_MAX {
                *busy += 1;
                batches.extend(self.batch(id, now_ms));
            }
        }
        batches
    }

    fn batch(&mut self, id: GroupId, now_ms: i64) -> Option<Batch> {
        let group = self.groups.get_mut(&id)?;
        group.due_ms = now_ms.saturating_add(group.route.group_interval_ms);
        group.began = true;
        let route = group.route.clone();
        let mut all: Vec<Alert> = group.alerts.values().cloned().collect();
        all.sort_by(compare);
        let alerts = if self.muted_by(&route, now_ms).is_empty() {
            let told = |alert: &&Alert| {
                self.inhibitor.source_of(&alert.labels, now_ms).is_none()
                    && self.silences.active_for(&alert.labels, now_ms).is_empty()
            };
            all.iter().filter(told).cloned().collect()
        } else {
            Vec::new()
        };
        self.under_way.insert(id.clone(), route.receiver.clone());
        Some(Batch {
            group_key: format!("{}:{}", route.key, group_name(&id.labels)),
            receiver: route.receiver.clone(),
            group_labels: id.labels.clone(),
            alerts,
            all,
            now_ms,
            repeat_interval_ms: route.repeat_interval_ms,
            timeout_ms: route.group_interval_ms.max(TIMEOUT_MS_MIN),
            id,
        })
    }

    /// The time intervals that keep a route quiet: those that mute it, or those of which one would
    /// have to hold.
    fn muted_by(&self, route: &Route, now_ms: i64) -> Vec<String> {
        let named = &self.config.time_intervals;
        let mut names: Vec<String> = Vec::new();
        if !route.active.is_empty()
            && time_interval::holding(&route.active, named, now_ms).is_empty()
        {
            names.extend(route.active.iter().map(ToString::to_string));
        }
        let muting = time_interval::holding(&route.mute, named, now_ms);
        names.extend(muting.into_iter().map(ToString::to_string));
        names
    }

    /// A clock that was set back would leave groups waiting for a time that is far away.
    fn mend_clock(&mut self, now_ms: i64) {
        for group in self.groups.values_mut() {
            let longest = group.route.group_interval_ms.max(group.route.group_wait_ms);
            group.due_ms = group.due_ms.min(now_ms.saturating_add(longest));
        }
        self.swept_ms = self.swept_ms.min(now_ms);
    }

    /// Says how a batch went. One that was told ends the alerts in it that were over, unless they
    /// have begun anew since; one that failed is due again with the group's next turn.
    pub fn done(&mut self, batch: &Batch, told: bool) {
        self.under_way.remove(&batch.id);
        let Some(group) = self.groups.get_mut(&batch.id) else {
            return;
        };
        if !told {
            return;
        }
        let over = batch.all.iter().filter(|a| a.is_resolved_at(batch.now_ms));
        for alert in over {
            let now = group.alerts.get(&alert.labels);
            if now.is_some_and(|now| now.ends_at_ms == alert.ends_at_ms) {
                group.alerts.remove(&alert.labels);
                let Some(known) = self.alerts.get_mut(&alert.labels) else {
                    continue;
                };
                known.groups = known.groups.saturating_sub(1);
                if known.groups == 0 && known.alert.is_resolved_at(batch.now_ms) {
                    self.alerts.remove(&alert.labels);
                    self.silences.forget_alert(&alert.labels);
                    self.forgotten.push(alert.labels.clone());
                }
            }
        }
        if group.alerts.is_empty() {
            self.groups.remove(&batch.id);
        }
    }

    /// Forgets alerts that are over and in no group, which only limits can leave behind.
    fn sweep(&mut self, now_ms: i64) {
        self.swept_ms = now_ms;
        self.inhibitor.forget(now_ms);
        let (silences, forgotten) = (&mut self.silences, &mut self.forgotten);
        self.alerts.retain(|labels, known| {
            let keep = known.groups > 0 || !known.alert.is_resolved_at(now_ms);
            if !keep {
                silences.forget_alert(labels);
                forgotten.push(labels.clone());
            }
            keep
        });
    }

    /// Whether alerts were forgotten since someone asked.
    pub(crate) fn has_forgotten(&self) -> bool {
        !self.forgotten.is_empty()
    }

    /// Alerts that were forgotten since this was last called.
    pub(crate) fn take_forgotten(&mut self) -> Vec<Labels> {
        std::mem::take(&mut self.forgotten)
    }

    /// When the next group is due, milliseconds since 1970-01-01 UTC. One that has to wait for its
    /// receiver is due already.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.groups
            .iter()
            .filter(|(id, _)| !self.under_way.contains_key(id))
            .map(|(_, group)| group.due_ms)
            .min()
    }

    /// Takes another configuration: all alerts are routed anew and their groups wait anew.
    pub fn apply(&mut self, config: Arc<Config>, now_ms: i64) {
        self.inhibitor = Inhibitor::new(&config.inhibit_rules);
        self.config = config;
        self.groups.clear();
        let alerts: Vec<Alert> = self
            .alerts
            .values()
            .map(|known| known.alert.clone())
            .collect();
        for known in self.alerts.values_mut() {
            known.groups = 0;
        }
        for alert in &alerts {
            self.inhibitor.learn(alert, now_ms);
            self.group(alert, now_ms);
        }
    }

    /// How many groups there are.
    pub fn groups_len(&self) -> usize {
        self.groups.len()
    }

    /// Alerts that fire, and how many of them nobody is told of.
    pub(crate) fn count(&mut self, now_ms: i64) -> (usize, usize) {
        let labels: Vec<Labels> = self
            .alerts
            .iter()
            .filter(|(_, known)| !known.alert.is_resolved_at(now_ms))
            .map(|(labels, _)| labels.clone())
            .collect();
        let quiet = labels
            .iter()
            .filter(|labels| {
                self.inhibitor.source_of(labels, now_ms).is_some()
                    || !self.silences.active_for(labels, now_ms).is_empty()
            })
            .count();
        (labels.len(), quiet)
    }

    /// All alerts that are not over, in order of their fingerprints.
    pub fn alerts(&mut self, now_ms: i64) -> Vec<AlertView> {
        let fire = |known: &&Known| !known.alert.is_resolved_at(now_ms);
        let alerts: Vec<(Alert, i64)> = self
            .alerts
            .values()
            .filter(fire)
            .map(|known| (known.alert.clone(), known.updated_at_ms))
            .collect();
        let mut views: Vec<(String, AlertView)> = alerts
            .into_iter()
            .map(|(alert, updated_at_ms)| {
                let fingerprint = alert.fingerprint();
                (fingerprint, self.view(alert, updated_at_ms, now_ms))
            })
            .collect();
        views.sort_by(|a, b| a.0.cmp(&b.0));
        views.into_iter().map(|(_, view)| view).collect()
    }

    fn view(&mut self, alert: Alert, updated_at_ms: i64, now_ms: i64) -> AlertView {
        let config = self.config.clone();
        let routes = config.route.matching(&alert.labels);
        let mut receivers: Vec<Arc<str>> = Vec::new();
        let mut muted: Option<Vec<String>> = None;
        for route in routes {
            if !receivers.contains(&route.receiver) {
                receivers.push(route.receiver.clone());
            }
            let by = self.muted_by(route, now_ms);
            // Quiet only where all its routes are.
            muted = Some(match muted {
                Some(before) if before.is_empty() || by.is_empty() => Vec::new(),
                Some(before) => before,
                None => by,
            });
        }
        let source = self.inhibitor.source_of(&alert.labels, now_ms);
        let fingerprint_of = |labels: &Labels| {
            Alert {
                labels: labels.clone(),
                annotations: Labels::empty(),
                starts_at_ms: 0,
                ends_at_ms: 0,
                generator_url: String::new(),
            }
            .fingerprint()
        };
        AlertView {
            inhibited_by: source.map(fingerprint_of).into_iter().collect(),
            silenced_by: self.silences.active_for(&alert.labels, now_ms),
            muted_by: muted.unwrap_or_default(),
            receivers,
            updated_at_ms,
            alert,
        }
    }

    /// All groups with the alerts in them that are not over.
    pub fn groups(&mut self, now_ms: i64) -> Vec<AlertGroup> {
        let groups: Vec<(GroupId, Route, Vec<Alert>, i64)> = self
            .groups
            .iter()
            .map(|(id, group)| {
                let fire = |alert: &&Alert| !alert.is_resolved_at(now_ms);
                let alerts = group.alerts.values().filter(fire).cloned().collect();
                (id.clone(), group.route.clone(), alerts, group.due_ms)
            })
            .collect();
        let mut result = Vec::new();
        for (id, route, alerts, due_ms) in groups {
            if alerts.is_empty() {
                continue;
            }
            let muted = self.muted_by(&route, now_ms);
            let views = alerts.into_iter().map(|alert| {
                let updated = self
                    .alerts
                    .get(&alert.labels)
                    .map_or(0, |k| k.updated_at_ms);
                let mut view = self.view(alert, updated, now_ms);
                view.muted_by.clone_from(&muted);
                view
            });
            result.push(AlertGroup {
                alerts: views.collect(),
                group_key: format!("{}:{}", route.key, group_name(&id.labels)),
                receiver: route.receiver,
                labels: id.labels,
                due_ms,
            });
        }
        result
    }
}

/// News of an alert that fires goes on from when it began; after its end it begins anew. An end
/// that its sender gave counts rather than an earlier one that is only a time-out.
fn merge(new: &mut Alert, known: &Known, now_ms: i64) {
    let old = &known.alert;
    let inside = |time: i64| time > old.starts_at_ms && time < old.ends_at_ms;
    if !inside(new.ends_at_ms) && !inside(new.starts_at_ms) {
        return;
    }
    new.starts_at_ms = new.starts_at_ms.min(old.starts_at_ms);
    let later = old.ends_at_ms > new.ends_at_ms;
    let counts = if new.is_resolved_at(now_ms) {
        old.is_resolved_at(now_ms)
    } else {
        !known.timeout
    };
    if later && counts {
        new.ends_at_ms = old.ends_at_ms;
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
mod tests;
