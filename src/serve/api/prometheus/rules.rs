//! `/api/v1/rules`, `/api/v1/alerts` and `/api/v1/rules/rehearse`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use alert_rules::rehearse::Rehearsed;
use alert_rules::{ActiveAlert, AlertState, GroupSnapshot, RuleKind, RuleSnapshot, Source};
use axum::extract::{RawQuery, State};
use axum::response::Response;
use model::Labels;
use model::time::rfc3339_ms;
use serde_json::{Map, Value, json};

use super::query::Waiting;
use super::{Form, json};
use crate::api::error::ApiError;
use crate::request::Params;
use crate::services::Rehearse;
use crate::{Services, ask};

/// Go's time before any time.
pub(super) const NEVER: &str = "0001-01-01T00:00:00Z";

/// A time, or Go's "never" for 0.
pub(super) fn time(time_ms: i64) -> String {
    if time_ms == 0 {
        NEVER.to_owned()
    } else {
        rfc3339_ms(time_ms)
    }
}

/// Labels as an object.
pub(super) fn object(labels: &Labels) -> Value {
    let pairs = labels.iter().map(|label| {
        let value = Value::String(label.value.to_string());
        (label.name.to_string(), value)
    });
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// `type` (`alert` or `record`), `rule_name[]`, `rule_group[]`, `file[]`, `match[]`,
/// `exclude_alerts`, `group_limit`, `group_next_token`.
pub(super) async fn rules(
    State(services): State<Arc<Services>>,
    form: Form,
) -> Result<Response, ApiError> {
    let kind = form.0.text("type");
    if !matches!(kind, "" | "alert" | "record") {
        return Err(ApiError::bad_data(format!(
            "invalid parameter \"type\": {kind:?} is neither \"alert\" nor \"record\""
        )));
    }
    let with_alerts = match form.0.text("exclude_alerts") {
        "" | "false" | "0" | "f" | "F" | "FALSE" | "False" => true,
        "true" | "1" | "t" | "T" | "TRUE" | "True" => false,
        other => {
            return Err(ApiError::bad_data(format!(
                "invalid parameter \"exclude_alerts\": {other:?} is neither true nor false"
            )));
        }
    };
    let selectors = form.selectors()?;
    let page = Page::of(&form)?;
    let is_wanted = |name: &str, value: &str| {
        let mut wanted = form.0.all(name).peekable();
        wanted.peek().is_none() || wanted.any(|wanted| wanted == value)
    };
    let is_selected = |labels: &Labels| {
        selectors.is_empty()
            || selectors
                .iter()
                .any(|matchers| matchers.iter().all(|m| m.matches_labels(labels)))
    };
    let mut groups = (services.rule_groups)();
    let next_token = page.cut(&mut groups, |group| {
        is_wanted("rule_group[]", &group.name) && is_wanted("file[]", &group.file)
    })?;
    let groups: Vec<Value> = groups
        .iter()
        .filter_map(|group| {
            let rules: Vec<Value> = group
                .rules
                .iter()
                .filter(|rule| is_wanted("rule_name[]", &rule.name) && is_selected(&rule.labels))
                .filter(|rule| match rule.kind {
                    RuleKind::Alerting { .. } => kind != "record",
                    RuleKind::Recording => kind != "alert",
                })
                .map(|rule| rule_json(rule, with_alerts))
                .collect();
            // A group without a rule that is asked for is not asked for either.
            (!rules.is_empty() || group.rules.is_empty()).then(|| group_json(group, &rules))
        })
        .collect();
    let mut data = json!({ "groups": groups });
    if let (Some(token), Value::Object(data)) = (next_token, &mut data) {
        data.insert("groupNextToken".to_owned(), token.into());
    }
    Ok(json::success(&data))
}

/// Which of the groups: so many, from one on.
struct Page {
    limit: Option<usize>,
    from: String,
}

impl Page {
    fn of(form: &Form) -> Result<Self, ApiError> {
        let from = form.0.text("group_next_token").to_owned();
        let limit = form.limit("group_limit")?;
        if limit.is_none() && !from.is_empty() {
            return Err(ApiError::bad_data(
                "invalid parameter \"group_limit\": group_limit needs to be present in order to \
                 paginate over the groups",
            ));
        }
        Ok(Self { limit, from })
    }

    /// Keeps the groups of the page, in order of file and name, and names the first one behind it.
    fn cut(
        &self,
        groups: &mut Vec<GroupSnapshot>,
        is_wanted: impl Fn(&GroupSnapshot) -> bool,
    ) -> Result<Option<String>, ApiError> {
        groups.retain(|group| is_wanted(group));
        let Some(limit) = self.limit else {
            return Ok(None);
        };
        groups.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
        if !self.from.is_empty() {
            let found = groups.iter().position(|group| token(group) == self.from);
            let Some(at) = found else {
                return Err(ApiError::bad_data(format!(
                    "invalid parameter \"group_next_token\": {:?} names no group: were rule groups \
                     changed?",
                    self.from
                )));
            };
            groups.drain(..at);
        }
        let next = groups.get(limit).map(token);
        groups.truncate(limit);
        Ok(next)
    }
}

/// The name of a group on a page: a fingerprint of its file and name.
fn token(group: &GroupSnapshot) -> String {
    let name = [
        ("file", group.file.as_str()),
        ("group", group.name.as_str()),
    ];
    format!("{:016x}", Labels::from_pairs(name).fingerprint())
}

fn group_json(group: &GroupSnapshot, rules: &[Value]) -> Value {
    json!({
        "name": group.name,
        "file": group.file,
        "rules": rules,
        "interval": group.interval_ms as f64 / 1000.0,
        "limit": group.limit,
        "evaluationTime": group.evaluation_duration_s,
        "lastEvaluation": time(group.last_evaluation_ms),
    })
}

fn rule_json(rule: &RuleSnapshot, with_alerts: bool) -> Value {
    let mut value = json!({
        "name": rule.name,
        "query": rule.expression,
        "labels": object(&rule.labels),
        "health": rule.health.as_str(),
        "evaluationTime": rule.evaluation_duration_s,
        "lastEvaluation": time(rule.last_evaluation_ms),
    });
    let more = match &rule.kind {
        RuleKind::Recording => json!({ "type": "recording" }),
        RuleKind::Alerting {
            for_ms,
            keep_firing_for_ms,
            annotations,
            alerts,
        } => {
            let alerts: Vec<Value> = if with_alerts {
                alerts.iter().map(alert_json).collect()
            } else {
                Vec::new()
            };
            json!({
                "type": "alerting",
                "state": if rule.last_evaluation_ms == 0 {
                    "unknown"
                } else {
                    rule.state().as_str()
                },
                "duration": *for_ms as f64 / 1000.0,
                "keepFiringFor": *keep_firing_for_ms as f64 / 1000.0,
                "annotations": object(annotations),
                "alerts": alerts,
            })
        }
    };
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
        // What Prometheus does not have is only there where it says something.
        if rule.source != Source::Metrics {
            value.insert("source".to_owned(), rule.source.as_str().into());
        }
        if let Some(why) = &rule.not_applicable {
            value.insert("notApplicable".to_owned(), why.as_str().into());
        }
        if !rule.last_error.is_empty() {
            value.insert("lastError".to_owned(), rule.last_error.clone().into());
        }
    }
    value
}

/// All alerts that are pending or firing.
pub(super) async fn alerts(State(services): State<Arc<Services>>) -> Response {
    let groups = (services.rule_groups)();
    let alerts: Vec<Value> = groups
        .iter()
        .flat_map(|group| &group.rules)
        .filter_map(|rule| match &rule.kind {
            RuleKind::Alerting { alerts, .. } => Some(alerts),
            RuleKind::Recording => None,
        })
        .flatten()
        .filter(|alert| alert.state != AlertState::Inactive)
        .map(alert_json)
        .collect();
    json::success(&json!({ "alerts": alerts }))
}

fn alert_json(alert: &ActiveAlert) -> Value {
    let mut value = json!({
        "labels": object(&alert.labels),
        "annotations": object(&alert.annotations),
        "state": alert.state.as_str(),
        "activeAt": time(alert.active_at_ms),
        "value": json::exponent_form(alert.value),
    });
    if let (Some(since_ms), Value::Object(value)) = (alert.keep_firing_since_ms, &mut value) {
        value.insert("keepFiringSince".to_owned(), time(since_ms).into());
    }
    value
}

/// The longest history that is rehearsed, milliseconds.
const REHEARSED_MS_MAX: i64 = 90 * 24 * 3_600_000;

/// `POST /api/v1/rules/rehearse?start=now-7d&end=now&file=NAME` with a rule file as its body: when
/// would its rules have fired, and which of them never can?
pub(super) async fn rehearse(
    State(services): State<Arc<Services>>,
    RawQuery(query): RawQuery,
    text: String,
) -> Result<Response, ApiError> {
    let form = Form(Params::parse(query.as_deref().unwrap_or_default()));
    let end_ms = form.time_ms("end")?.unwrap_or_else(model::time::now_ms);
    let start_ms = form
        .time_ms("start")?
        .unwrap_or(end_ms - 7 * 24 * 3_600_000);
    if start_ms >= end_ms || end_ms - start_ms > REHEARSED_MS_MAX {
        return Err(ApiError::bad_data(
            "invalid parameter \"start\": it lies before the end, and at most 90 days before it",
        ));
    }
    let file = match form.0.text("file") {
        "" => "rules.yml",
        file => file,
    };
    let wanted = Arc::new(AtomicBool::new(true));
    let _waiting = Waiting(wanted.clone());
    let deadline = Instant::now() + services.query_timeout;
    let question = Rehearse {
        file: file.to_owned(),
        text,
        start_ms,
        end_ms,
        stop: Box::new(move || !wanted.load(Ordering::Relaxed) || Instant::now() >= deadline),
    };
    let rehearsal = ask::blocking(&services, move |services| (services.rehearse)(&question))
        .await
        .map_err(ApiError::from)?;
    let rules: Vec<Value> = rehearsal.rules.iter().map(rehearsed_json).collect();
    let problems: Vec<String> = rehearsal.problems.iter().map(ToString::to_string).collect();
    Ok(json::success(&json!({
        "start": time(start_ms),
        "end": time(end_ms),
        "step": rehearsal.step_ms as f64 / 1000.0,
        "problems": problems,
        "rules": rules,
    })))
}

fn rehearsed_json(rule: &Rehearsed) -> Value {
    let firings: Vec<Value> = rule
        .firings
        .iter()
        .map(|firing| {
            json!({
                "labels": object(&firing.labels),
                "annotations": object(&firing.annotations),
                "from": time(firing.from_ms),
                "to": firing.to_ms.map(time),
                "value": json::exponent_form(firing.value),
                "receivers": firing.receivers,
            })
        })
        .collect();
    let missing = rule.missing.iter().map(|missing| {
        json!({ "what": missing.what, "nearest": missing.nearest, "text": missing.to_string() })
    });
    json!({
        "group": rule.group,
        "name": rule.name,
        "type": if rule.is_alert { "alerting" } else { "recording" },
        "firings": firings,
        "cut": rule.is_cut,
        "pendingMax": rule.pending_max,
        "neverFires": missing.collect::<Vec<_>>(),
        "lastError": rule.error,
        "failures": rule.failures,
    })
}
