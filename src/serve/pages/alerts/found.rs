//! Which alert is meant by a fingerprint? One that is there now, else a kept incident, else one
//! that its `ALERTS` series still tell of: a link in a message must never die.

use alert_evidence::Evidence;
use alert_rules::{AlertState, GroupSnapshot, RuleKind, RuleSnapshot, Source};
use model::{Alert, Labels, METRIC_NAME, Matcher};
use state_store::Incident;

use super::rules::rule_id;
use crate::Services;

/// Incidents of an alert that its page lists.
const INCIDENTS_MAX: usize = 20;

/// Series that are looked through for one that tells of an alert.
const SERIES_MAX: usize = 50_000;

/// What is known of an alert.
#[derive(Default)]
pub(super) struct Found {
    pub(super) labels: Labels,
    pub(super) annotations: Labels,
    /// `Inactive` for one that is over.
    pub(super) state: AlertState,
    /// Milliseconds since 1970-01-01 UTC; 0 where nobody knows.
    pub(super) active_at_ms: i64,
    /// 0 while it does not fire.
    pub(super) fired_at_ms: i64,
    /// 0 while it is not over.
    pub(super) ended_ms: i64,
    pub(super) value: Option<f64>,
    /// Empty where nobody knows the rule.
    pub(super) expression: String,
    pub(super) is_log_rule: bool,
    pub(super) rule_labels: Labels,
    /// `/alerts/rules/…`, or empty.
    pub(super) rule_href: String,
    /// What was kept when it began.
    pub(super) kept: Option<Evidence>,
    /// Its incidents, newest first.
    pub(super) incidents: Vec<Incident>,
}

/// The rule behind an alert, where it is among those that are pending or firing.
pub(super) fn rule_of(
    groups: &[GroupSnapshot],
    is_wanted: impl Fn(&Labels) -> bool,
) -> Option<(&GroupSnapshot, &RuleSnapshot, &alert_rules::ActiveAlert)> {
    for group in groups {
        for rule in &group.rules {
            let RuleKind::Alerting { alerts, .. } = &rule.kind else {
                continue;
            };
            let found = alerts
                .iter()
                .find(|a| a.state != AlertState::Inactive && is_wanted(&a.labels));
            if let Some(alert) = found {
                return Some((group, rule, alert));
            }
        }
    }
    None
}

/// Looks everywhere; blocks. `Err` is a sentence.
pub(super) fn find(
    services: &Services,
    fingerprint: &str,
    now_ms: i64,
) -> Result<Option<Found>, String> {
    let incidents = services.state.incidents_of(fingerprint, INCIDENTS_MAX);
    let incidents = incidents.map_err(|error| error.to_string())?;
    let kept = incidents
        .first()
        .and_then(|incident| serde_json::from_str::<Evidence>(&incident.document).ok());
    let mut found = Found {
        kept,
        incidents,
        ..Found::default()
    };
    let groups = (services.rule_groups)();
    let is_it = |labels: &Labels| Alert::fingerprint_of(labels) == fingerprint;
    if let Some((group, rule, alert)) = rule_of(&groups, is_it) {
        found.labels = alert.labels.clone();
        found.annotations = alert.annotations.clone();
        found.state = alert.state;
        found.active_at_ms = alert.active_at_ms;
        found.fired_at_ms = alert.fired_at_ms.unwrap_or(0);
        found.value = Some(alert.value);
        found.expression.clone_from(&rule.expression);
        found.is_log_rule = rule.source == Source::Logs;
        found.rule_labels = rule.labels.clone();
        found.rule_href = format!("/alerts/rules/{}", rule_id(group, rule));
        return Ok(Some(found));
    }
    let views = services.notifier.alerts();
    if let Some(view) = views.iter().find(|v| v.alert.fingerprint() == fingerprint) {
        found.labels = view.alert.labels.clone();
        found.annotations = view.alert.annotations.clone();
        found.state = AlertState::Firing;
        found.active_at_ms = view.alert.starts_at_ms;
        found.fired_at_ms = view.alert.starts_at_ms;
        return Ok(Some(found));
    }
    if let (Some(kept), Some(incident)) = (found.kept.clone(), found.incidents.first()) {
        found.labels = kept.labels();
        found.annotations = Labels::from_pairs(kept.annotations);
        found.active_at_ms = match kept.active_at_ms {
            0 => incident.started_ms,
            active_at_ms => active_at_ms,
        };
        found.fired_at_ms = incident.started_ms;
        found.ended_ms = incident.ended_ms.unwrap_or(now_ms);
        found.value = kept.value;
        found.expression = kept.expression;
        found.is_log_rule = kept.is_log_rule;
        found.rule_href = rule_href(&groups, &kept.rule_id);
        return Ok(Some(found));
    }
    from_series(services, found, fingerprint, &groups, now_ms)
}

/// `/alerts/rules/…` of a rule that is still there.
fn rule_href(groups: &[GroupSnapshot], id: &str) -> String {
    let mut all = groups
        .iter()
        .flat_map(|g| g.rules.iter().map(move |r| (g, r)));
    if all.any(|(group, rule)| rule_id(group, rule) == id) {
        format!("/alerts/rules/{id}")
    } else {
        String::new()
    }
}

/// An alert that only its series tell of: from before incidents were kept, or pending once.
fn from_series(
    services: &Services,
    mut found: Found,
    fingerprint: &str,
    groups: &[GroupSnapshot],
    now_ms: i64,
) -> Result<Option<Found>, String> {
    let matchers = [Matcher::equal(METRIC_NAME, "ALERTS")];
    let series = services
        .series
        .series(&matchers, i64::MIN / 2, now_ms, SERIES_MAX);
    let (series, _) = series.map_err(|error| error.to_string())?;
    let bare = |l: &Labels| l.filtered(|name| name != METRIC_NAME && name != "alertstate");
    let labels = series.iter().map(bare);
    let Some(labels) = labels
        .into_iter()
        .find(|labels| Alert::fingerprint_of(labels) == fingerprint)
    else {
        return Ok(None);
    };
    // The last time that it was there, from its own samples.
    let mut own: Vec<Matcher> = labels
        .iter()
        .map(|label| Matcher::equal(label.name.clone(), label.value.clone()))
        .collect();
    own.push(Matcher::equal(METRIC_NAME, "ALERTS"));
    let selector = super::graph::selector(&own);
    let deadline = std::time::Instant::now() + services.query_timeout;
    let asked = format!("timestamp(last_over_time({selector}[30d]))");
    let last = crate::ask::instant(services, &asked, now_ms, deadline);
    if let Ok(promql::Value::Vector(samples)) = last.map(|answer| answer.value) {
        let seconds = samples.iter().map(|one| one.value);
        found.ended_ms = (seconds.fold(0.0, f64::max) * 1_000.0) as i64;
    }
    found.active_at_ms = found.ended_ms;
    let name = labels.get("alertname").unwrap_or_default();
    let rule = groups
        .iter()
        .flat_map(|group| group.rules.iter().map(move |rule| (group, rule)))
        .find(|(_, rule)| rule.name == name);
    if let Some((group, rule)) = rule {
        found.expression.clone_from(&rule.expression);
        found.is_log_rule = rule.source == Source::Logs;
        found.rule_labels = rule.labels.clone();
        found.rule_href = format!("/alerts/rules/{}", rule_id(group, rule));
    }
    found.labels = labels;
    Ok(Some(found))
}
