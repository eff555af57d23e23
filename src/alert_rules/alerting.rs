//! The states of one rule's alerts: inactive, pending, firing, and over.
//!
//! A pure state machine: what the expression gives at a time comes in, states change, and three
//! questions can be asked: which alerts there are, which series say so, and whom to tell.

use std::collections::{HashMap, HashSet};

use model::{Alert, Labels, METRIC_NAME};

use crate::snapshot::{ActiveAlert, AlertState};

/// How long an alert that is over is still told again, milliseconds: so long that a receiver
/// which was away for a while hears of it.
pub(crate) const RESOLVED_KEPT_MS: i64 = 15 * 60_000;

/// The series that says which alerts there are.
pub(crate) const ALERTS: &str = "ALERTS";

/// The label that says how an alert stands.
pub(crate) const ALERT_STATE: &str = "alertstate";

/// The series that says since when, in seconds since 1970.
pub(crate) const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";

/// What the expression gave for one alert.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// The alert's identity, `alertname` included.
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) value: f64,
}

/// The times of a rule, milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) for_ms: i64,
    pub(crate) keep_firing_for_ms: i64,
}

/// One alert. Inactive here means over: it fired and ended at `resolved_at_ms`.
#[derive(Debug, Clone)]
struct Instance {
    annotations: Labels,
    state: AlertState,
    value: f64,
    active_at_ms: i64,
    fired_at_ms: Option<i64>,
    resolved_at_ms: Option<i64>,
    keep_firing_since_ms: Option<i64>,
    last_sent_ms: Option<i64>,
}

/// The alerts of one rule, by their labels.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alerts {
    instances: HashMap<Labels, Instance>,
    /// The time of the last update.
    updated_ms: i64,
}

impl Alerts {
    /// Takes what the expression gives at a time.
    ///
    /// # Errors
    /// Two results with the same labels, or more alerts than `limit` (0: no limit). The former
    /// changes nothing; the latter drops all alerts, as Prometheus does: a rule that floods is
    /// heard no more.
    pub(crate) fn update(
        &mut self,
        found: Vec<Found>,
        timing: Timing,
        limit: usize,
        now_ms: i64,
    ) -> Result<(), String> {
        self.follow_clock(now_ms);
        let mut present = HashSet::with_capacity(found.len());
        for found in &found {
            if !present.insert(found.labels.clone()) {
                return Err(format!(
                    "vector contains metrics with the same labelset after applying alert labels: {}",
                    found.labels
                ));
            }
        }
        for found in found {
            self.see(found, now_ms);
        }
        self.instances
            .retain(|labels, alert| alert.step(present.contains(labels), timing, now_ms));
        let active = self.active().count();
        if limit > 0 && active > limit {
            self.instances.clear();
            return Err(format!(
                "exceeded limit of {limit} with {active} alerts, all alerts of the rule are dropped"
            ));
        }
        Ok(())
    }

    /// A clock that was set back takes all times with it: otherwise alerts would be active since a
    /// time that is yet to come, and what fires would wait for its `for` again.
    fn follow_clock(&mut self, now_ms: i64) {
        let back_ms = self.updated_ms.saturating_sub(now_ms).max(0);
        self.updated_ms = now_ms;
        if back_ms == 0 {
            return;
        }
        for alert in self.instances.values_mut() {
            alert.active_at_ms = alert.active_at_ms.saturating_sub(back_ms);
            for time in [
                &mut alert.fired_at_ms,
                &mut alert.resolved_at_ms,
                &mut alert.keep_firing_since_ms,
                &mut alert.last_sent_ms,
            ] {
                *time = time.map(|at| at.saturating_sub(back_ms));
            }
        }
    }

    fn see(&mut self, found: Found, now_ms: i64) {
        match self.instances.get_mut(&found.labels) {
            Some(alert) if alert.state != AlertState::Inactive => {
                alert.value = found.value;
                alert.annotations = found.annotations;
            }
            _ => {
                let alert = Instance {
                    annotations: found.annotations,
                    state: AlertState::Pending,
                    value: found.value,
                    active_at_ms: now_ms,
                    fired_at_ms: None,
                    resolved_at_ms: None,
                    keep_firing_since_ms: None,
                    last_sent_ms: None,
                };
                self.instances.insert(found.labels, alert);
            }
        }
    }

    fn active(&self) -> impl Iterator<Item = (&Labels, &Instance)> {
        self.instances
            .iter()
            .filter(|(_, alert)| alert.state != AlertState::Inactive)
    }

    /// Whether any alert is pending or firing.
    pub(crate) fn any_active(&self) -> bool {
        self.active().next().is_some()
    }

    /// The series that say how the alerts stand.
    pub(crate) fn series(&self) -> Vec<(Labels, f64)> {
        let mut series = Vec::new();
        for (labels, alert) in self.active() {
            let mut state = labels.to_builder();
            state
                .set(METRIC_NAME, ALERTS)
                .set(ALERT_STATE, alert.state.as_str());
            series.push((state.build(), 1.0));
            let mut since = labels.to_builder();
            since.set(METRIC_NAME, ALERTS_FOR_STATE);
            series.push((since.build(), (alert.active_at_ms / 1_000) as f64));
        }
        series
    }

    /// The alerts that someone should be told about now: those that fire or have ended since they
    /// were last told, and again every `resend_ms`. They count as told.
    ///
    /// One that fires counts as over at `valid_until_ms` if nothing more is heard.
    pub(crate) fn take_due(
        &mut self,
        now_ms: i64,
        resend_ms: i64,
        valid_until_ms: i64,
        generator_url: &str,
    ) -> Vec<Alert> {
        let mut out = Vec::new();
        for (labels, alert) in &mut self.instances {
            if !alert.needs_sending(now_ms, resend_ms) {
                continue;
            }
            alert.last_sent_ms = Some(now_ms);
            out.push(Alert {
                labels: labels.clone(),
                annotations: alert.annotations.clone(),
                starts_at_ms: alert.fired_at_ms.unwrap_or(alert.active_at_ms),
                ends_at_ms: alert.resolved_at_ms.unwrap_or(valid_until_ms),
                generator_url: generator_url.to_owned(),
            });
        }
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        out
    }

    /// Sets since when the pending and firing alerts are active; `since_ms` answers for each what
    /// was known before the process ended.
    pub(crate) fn restore(&mut self, mut since_ms: impl FnMut(&Labels) -> Option<i64>) {
        for (labels, alert) in &mut self.instances {
            if alert.state != AlertState::Inactive
                && let Some(since_ms) = since_ms(labels)
            {
                alert.active_at_ms = since_ms;
            }
        }
    }

    /// Takes an alert that fired when the process ended and was not found again: it is over, and
    /// whoever was told of it must hear so. Alerts that are known already stay as they are.
    pub(crate) fn ended_while_away(
        &mut self,
        labels: Labels,
        annotations: Labels,
        since_ms: i64,
        now_ms: i64,
    ) {
        self.instances.entry(labels).or_insert(Instance {
            annotations,
            state: AlertState::Inactive,
            value: f64::NAN,
            active_at_ms: since_ms,
            fired_at_ms: Some(since_ms),
            resolved_at_ms: Some(now_ms),
            keep_firing_since_ms: None,
            last_sent_ms: None,
        });
    }

    /// The pending and firing alerts for people, most urgent first, then by labels.
    pub(crate) fn snapshot(&self) -> Vec<ActiveAlert> {
        let mut alerts: Vec<ActiveAlert> = self
            .active()
            .map(|(labels, alert)| ActiveAlert {
                labels: labels.clone(),
                annotations: alert.annotations.clone(),
                state: alert.state,
                active_at_ms: alert.active_at_ms,
                fired_at_ms: alert.fired_at_ms,
                keep_firing_since_ms: alert.keep_firing_since_ms,
                value: alert.value,
            })
            .collect();
        alerts.sort_by(|a, b| b.state.cmp(&a.state).then_with(|| a.labels.cmp(&b.labels)));
        alerts
    }
}

impl Instance {
    /// Moves the alert on, given whether the expression gives it; whether it is to be kept.
    fn step(&mut self, present: bool, timing: Timing, now_ms: i64) -> bool {
        if present {
            self.keep_firing_since_ms = None;
        } else if !self.keeps_firing(timing, now_ms) {
            match (self.state, self.resolved_at_ms) {
                (AlertState::Pending, _) => return false,
                (AlertState::Firing, _) => {
                    self.state = AlertState::Inactive;
                    self.resolved_at_ms = Some(now_ms);
                }
                (AlertState::Inactive, Some(at)) if now_ms - at > RESOLVED_KEPT_MS => {
                    return false;
                }
                (AlertState::Inactive, _) => {}
            }
            return true;
        }
        let held = now_ms - self.active_at_ms >= timing.for_ms;
        match self.state {
            AlertState::Pending if held => {
                self.state = AlertState::Firing;
                self.fired_at_ms = Some(now_ms);
            }
            // The rule's `for` has grown: the alert waits again.
            AlertState::Firing if !held => {
                self.state = AlertState::Pending;
                self.fired_at_ms = None;
            }
            _ => {}
        }
        true
    }

    /// Whether an alert that is gone goes on firing (`keep_firing_for`).
    fn keeps_firing(&mut self, timing: Timing, now_ms: i64) -> bool {
        if self.state != AlertState::Firing || timing.keep_firing_for_ms == 0 {
            return false;
        }
        let since = *self.keep_firing_since_ms.get_or_insert(now_ms);
        now_ms - since < timing.keep_firing_for_ms
    }

    fn needs_sending(&self, now_ms: i64, resend_ms: i64) -> bool {
        match (self.state, self.last_sent_ms) {
            (AlertState::Pending, _) => false,
            (_, None) => true,
            (_, Some(sent)) => {
                self.resolved_at_ms.is_some_and(|at| at > sent) || sent + resend_ms < now_ms
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn found(names: &[&str]) -> Vec<Found> {
        names
            .iter()
            .map(|name| Found {
                labels: Labels::from_pairs([("alertname", "A"), ("x", name)]),
                annotations: Labels::empty(),
                value: 1.0,
            })
            .collect()
    }

    /// Runs a rule once a minute. Each step says whether the expression gives the alert, the state
    /// afterwards (`.` inactive or gone, `p`, `f`), and whether it is told (`!`) or not.
    fn check(for_min: i64, keep_min: i64, steps: &[(bool, &str)]) {
        let mut alerts = Alerts::default();
        for (minute, (present, expected)) in (0i64..).zip(steps) {
            let now = minute * MINUTE;
            let timing = Timing {
                for_ms: for_min * MINUTE,
                keep_firing_for_ms: keep_min * MINUTE,
            };
            let input = if *present { found(&["a"]) } else { Vec::new() };
            alerts.update(input, timing, 0, now).expect("no duplicates");
            let state = match alerts.snapshot().first().map(|a| a.state) {
                Some(AlertState::Firing) => "f",
                Some(AlertState::Pending) => "p",
                _ => ".",
            };
            // Told again after two minutes.
            let sent = alerts.take_due(now, 2 * MINUTE - 1, now + 4 * MINUTE, "");
            let mark = match sent.first() {
                Some(alert) if alert.is_resolved_at(now) => "!r",
                Some(_) => "!",
                None => "",
            };
            assert_eq!(format!("{state}{mark}"), *expected, "minute {minute}");
        }
    }

    #[test]
    fn fires_at_once_without_for_and_is_told_again() {
        check(
            0,
            0,
            &[
                (true, "f!"),
                (true, "f"),
                (true, "f!"),
                (false, ".!r"),
                (false, "."),
                (false, ".!r"),
            ],
        );
    }

    #[test]
    fn waits_for_the_time_of_for() {
        check(
            2,
            0,
            &[(true, "p"), (true, "p"), (true, "f!"), (false, ".!r")],
        );
    }

    #[test]
    fn a_pending_alert_that_vanishes_is_forgotten() {
        check(
            2,
            0,
            &[
                (true, "p"),
                (false, "."),
                (true, "p"),
                (true, "p"),
                (true, "f!"),
            ],
        );
    }

    #[test]
    fn keeps_firing_for_a_while() {
        check(
            0,
            2,
            &[(true, "f!"), (false, "f"), (false, "f!"), (false, ".!r")],
        );
        // One that comes back in time never ended.
        check(
            0,
            2,
            &[
                (true, "f!"),
                (false, "f"),
                (true, "f!"),
                (false, "f"),
                (false, "f!"),
            ],
        );
    }

    #[test]
    fn an_alert_that_comes_back_is_a_new_one() {
        check(
            1,
            0,
            &[
                (true, "p"),
                (true, "f!"),
                (false, ".!r"),
                (true, "p"),
                (true, "f!"),
            ],
        );
    }

    #[test]
    fn resolved_alerts_are_told_for_fifteen_minutes() {
        let mut steps = vec![(true, "f!"), (false, ".!r")];
        steps.extend(std::iter::repeat_n([(false, "."), (false, ".!r")], 7).flatten());
        steps.extend([(false, "."), (false, "."), (false, "."), (false, ".")]);
        check(0, 0, &steps);
    }

    #[test]
    fn a_longer_for_sends_a_firing_alert_back() {
        let mut alerts = Alerts::default();
        let timing = |for_ms| Timing {
            for_ms,
            keep_firing_for_ms: 0,
        };
        alerts.update(found(&["a"]), timing(0), 0, 0).expect("one");
        assert_eq!(alerts.snapshot()[0].state, AlertState::Firing);
        alerts
            .update(found(&["a"]), timing(MINUTE), 0, 1_000)
            .expect("one");
        assert_eq!(alerts.snapshot()[0].state, AlertState::Pending);
    }

    #[test]
    fn duplicates_are_refused_and_floods_dropped() {
        let timing = Timing {
            for_ms: 0,
            keep_firing_for_ms: 0,
        };
        let mut alerts = Alerts::default();
        alerts.update(found(&["a"]), timing, 2, 0).expect("one");
        let error = alerts
            .update(found(&["b", "b"]), timing, 2, 1)
            .expect_err("twice the same");
        assert!(error.contains("same labelset"), "{error}");
        assert_eq!(alerts.snapshot().len(), 1);
        let error = alerts
            .update(found(&["a", "b", "c"]), timing, 2, 2)
            .expect_err("too many");
        assert!(
            error.contains("exceeded limit of 2 with 3 alerts"),
            "{error}"
        );
        assert!(!alerts.any_active());
    }

    #[test]
    fn series_say_the_state_and_since_when() {
        let mut alerts = Alerts::default();
        let timing = Timing {
            for_ms: MINUTE,
            keep_firing_for_ms: 0,
        };
        alerts
            .update(found(&["a"]), timing, 0, 90_500)
            .expect("one");
        let mut series: Vec<String> = alerts
            .series()
            .into_iter()
            .map(|(labels, value)| format!("{labels} {value}"))
            .collect();
        series.sort();
        assert_eq!(
            series,
            [
                r#"ALERTS_FOR_STATE{alertname="A", x="a"} 90"#,
                r#"ALERTS{alertname="A", alertstate="pending", x="a"} 1"#,
            ]
        );
    }
}
