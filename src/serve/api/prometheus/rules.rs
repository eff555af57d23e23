//! `/api/v1/rules` and `/api/v1/alerts`.

use std::sync::Arc;

use alert_rules::{ActiveAlert, AlertState, GroupSnapshot, RuleKind, RuleSnapshot};
use axum::extract::State;
use axum::response::Response;
use model::Labels;
use model::time::rfc3339_ms;
use serde_json::{Map, Value, json};

use super::{Form, json};
use crate::Services;
use crate::api::error::ApiError;

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

/// `type` (`alert` or `record`), `rule_name[]`, `rule_group[]`, `file[]`, `exclude_alerts`.
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
    let with_alerts = form.0.text("exclude_alerts") != "true";
    let is_wanted = |name: &str, value: &str| {
        let mut wanted = form.0.all(name).peekable();
        wanted.peek().is_none() || wanted.any(|wanted| wanted == value)
    };
    let groups: Vec<Value> = (services.rule_groups)()
        .iter()
        .filter(|group| is_wanted("rule_group[]", &group.name) && is_wanted("file[]", &group.file))
        .filter_map(|group| {
            let rules: Vec<Value> = group
                .rules
                .iter()
                .filter(|rule| is_wanted("rule_name[]", &rule.name))
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
    Ok(json::success(&json!({ "groups": groups })))
}

fn group_json(group: &GroupSnapshot, rules: &[Value]) -> Value {
    json!({
        "name": group.name,
        "file": group.file,
        "rules": rules,
        "interval": group.interval_ms as f64 / 1000.0,
        "limit": 0,
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
                "state": rule.state().as_str(),
                "duration": *for_ms as f64 / 1000.0,
                "keepFiringFor": *keep_firing_for_ms as f64 / 1000.0,
                "annotations": object(annotations),
                "alerts": alerts,
            })
        }
    };
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
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
    json!({
        "labels": object(&alert.labels),
        "annotations": object(&alert.annotations),
        "state": alert.state.as_str(),
        "activeAt": time(alert.active_at_ms),
        "value": json::exponent_form(alert.value),
    })
}
