//! What the pages ask about receivers, in Yagura's own routes:
//!
//! | route | gives |
//! |---|---|
//! | `GET /api/v1/notify/receivers` | each way of telling each receiver, and how it is doing |
//! | `POST /api/v1/notify/test` with `{"receiver": NAME}` or `{"labels": {…}}` | what each provider said to a test message |
//! | `GET /api/v1/notify/route?label=NAME=VALUE&…` | the receivers that these labels reach |
//! | `GET /api/v1/notify/matching?filter=MATCHER&…` | the alerts that a silence with these matchers would hit |

use std::collections::BTreeMap;
use std::sync::Arc;

use alert_notify::{Reached, TestOutcome, WayHealth};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;
use model::Labels;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{GettableAlert, Refusal, filters, map, rfc3339, with_notifier};
use crate::Services;
use crate::request::Params;

/// Alerts in an answer of `matching`; the count is of all.
const SHOWN_MAX: usize = 100;

fn when(time_ms: i64) -> Value {
    match time_ms {
        0 => Value::Null,
        time_ms => Value::String(rfc3339(time_ms)),
    }
}

/// `GET /api/v1/notify/receivers`
pub(super) async fn health(State(services): State<Arc<Services>>) -> Json<Value> {
    let ways = (services.notify_health)();
    let one = |way: &WayHealth| {
        json!({
            "receiver": way.receiver,
            "way": way.way,
            "lastSuccess": when(way.last_success_ms),
            "lastFailure": when(way.last_failure_ms),
            "lastError": way.last_error,
            "failingSince": when(way.failing_since_ms),
            "pending": way.pending,
            "retries": way.retries,
            "sent": way.sent,
            "failed": way.failed,
        })
    };
    let list: Vec<Value> = ways.iter().map(one).collect();
    Json(json!({ "status": "success", "data": list }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TestRequest {
    receiver: Option<String>,
    labels: BTreeMap<String, String>,
}

/// `POST /api/v1/notify/test`
pub(super) async fn test(
    State(services): State<Arc<Services>>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let bad = |error: serde_json::Error| Refusal::bad(format!("cannot read the request: {error}"));
    let request: TestRequest = serde_json::from_slice(&body).map_err(bad)?;
    let labels = Labels::from_pairs(request.labels);
    let mut names: Vec<String> = match request.receiver {
        Some(name) => vec![name],
        None if labels.is_empty() => return Err(Refusal::bad("write receiver or labels")),
        None => {
            let reached = services.notifier.reached_by(&labels);
            reached.iter().map(|r| r.receiver.to_string()).collect()
        }
    };
    names.dedup();
    let mut outcomes = Vec::new();
    for name in names {
        let test = services.notifier.test(&name, labels.clone()).await;
        outcomes.extend(test.map_err(Refusal::bad)?);
    }
    let one = |outcome: &TestOutcome| match &outcome.result {
        Ok(answer) => json!({
            "receiver": outcome.receiver,
            "way": outcome.way,
            "ok": true,
            "status": answer.status,
            "answer": answer.text,
        }),
        Err(error) => json!({
            "receiver": outcome.receiver,
            "way": outcome.way,
            "ok": false,
            "error": error,
        }),
    };
    let list: Vec<Value> = outcomes.iter().map(one).collect();
    Ok(Json(json!({ "status": "success", "data": list })))
}

/// `GET /api/v1/notify/route`
pub(super) async fn route(
    State(services): State<Arc<Services>>,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let params = Params::parse(uri.query().unwrap_or_default());
    let mut pairs = Vec::new();
    for text in params.all("label") {
        let pair = text.split_once('=');
        let bad = || Refusal::bad(format!("label: {text:?} is not NAME=VALUE"));
        let (name, value) = pair.ok_or_else(bad)?;
        pairs.push((name.to_owned(), value.to_owned()));
    }
    let one = |reached: &Reached| {
        json!({
            "receiver": *reached.receiver,
            "route": reached.route,
            "ways": reached.ways,
            "groupLabels": map(&reached.group_labels),
            "groupWaitMs": reached.group_wait_ms,
            "groupIntervalMs": reached.group_interval_ms,
            "repeatIntervalMs": reached.repeat_interval_ms,
        })
    };
    let reached = services.notifier.reached_by(&Labels::from_pairs(pairs));
    let list: Vec<Value> = reached.iter().map(one).collect();
    Ok(Json(json!({ "status": "success", "data": list })))
}

/// `GET /api/v1/notify/matching`
pub(super) async fn matching(
    State(services): State<Arc<Services>>,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let matchers = filters(&Params::parse(uri.query().unwrap_or_default()))?;
    if matchers.is_empty() {
        return Err(Refusal::bad("filter is missing"));
    }
    let views = with_notifier(&services, move |notifier| notifier.matching(&matchers)).await?;
    let count = views.len();
    let shown: Vec<GettableAlert> = views
        .into_iter()
        .take(SHOWN_MAX)
        .map(GettableAlert::from)
        .collect();
    Ok(Json(json!({
        "status": "success",
        "data": { "count": count, "alerts": shown },
    })))
}
