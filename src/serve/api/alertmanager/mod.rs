//! Alertmanager's API v2, so that amtool, Prometheus, Grafana and karma can use Yagura as an
//! Alertmanager, and what the pages ask about receivers.
//!
//! - `alerts.rs`: `/api/v2/alerts`, `/api/v2/alerts/groups`.
//! - `silences.rs`: `/api/v2/silences`, `/api/v2/silence/{id}`.
//! - `status.rs`: `/api/v2/status`, `/api/v2/receivers`.
//! - `receivers.rs`: `/api/v1/notify/…`: how receivers are doing, test messages, who would be
//!   reached, what a silence would hit.
//!
//! All of API v2 is also there below `/alertmanager`, for those who expect it under a prefix.

mod alerts;
mod receivers;
mod silences;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use alert_notify::{AlertView, Notifier};
use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use model::{Labels, Matcher, time};
use serde::Serialize;

use super::process;
use crate::Services;
use crate::request::Params;

/// The largest batch of alerts, bytes; Prometheus sends at most 256 alerts in one.
const ALERTS_BYTES_MAX: usize = 16 << 20;

pub(crate) fn router() -> Router<Arc<Services>> {
    Router::new()
        .nest("/api/v2", version_2())
        .nest("/alertmanager/api/v2", version_2())
        .nest("/alertmanager", process::router())
        .route("/api/v1/notify/receivers", get(receivers::health))
        .route("/api/v1/notify/test", post(receivers::test))
        .route("/api/v1/notify/route", get(receivers::route))
        .route("/api/v1/notify/matching", get(receivers::matching))
}

fn version_2() -> Router<Arc<Services>> {
    Router::new()
        .route(
            "/alerts",
            get(alerts::list)
                .post(alerts::receive)
                .layer(DefaultBodyLimit::max(ALERTS_BYTES_MAX)),
        )
        .route("/alerts/groups", get(alerts::groups))
        .route("/silences", get(silences::list).post(silences::set))
        .route("/silence/{id}", get(silences::one).delete(silences::expire))
        .route("/status", get(status::status))
        .route("/receivers", get(status::receivers))
}

/// An error in Alertmanager's shape: a sentence as a JSON text.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl Refusal {
    fn bad(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, message.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

/// Runs something that may wait for a lock or a disk.
async fn with_notifier<T: Send + 'static>(
    services: &Arc<Services>,
    work: impl FnOnce(&Notifier) -> T + Send + 'static,
) -> Result<T, Refusal> {
    let notifier = services.notifier.clone();
    let work = tokio::task::spawn_blocking(move || work(&notifier)).await;
    work.map_err(|_| {
        services.metrics.panics.inc();
        let message = "a part of Yagura failed; the reason is in the process' own log";
        Refusal(StatusCode::INTERNAL_SERVER_ERROR, message.to_owned())
    })
}

/// The matchers of `filter`, all of which must hold.
fn filters(params: &Params) -> Result<Vec<Matcher>, Refusal> {
    let mut all = Vec::new();
    for text in params.all("filter") {
        all.extend(alert_notify::parse_matchers(text).map_err(Refusal::bad)?);
    }
    Ok(all)
}

/// A switch that is on unless it is said otherwise.
fn switch(params: &Params, name: &str) -> Result<bool, Refusal> {
    match params.text(name) {
        "" | "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(Refusal::bad(format!(
            "{name}: {other:?} is neither true nor false"
        ))),
    }
}

/// A time; Go's zero time counts as none.
fn time_ms(key: &str, text: Option<&str>) -> Result<Option<i64>, Refusal> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let bad = |_| Refusal::bad(format!("{key}: {text:?} is no time as RFC 3339 writes it"));
    let time: Timestamp = text.parse().map_err(bad)?;
    Ok(Some(time.as_millisecond()).filter(|_| !text.starts_with("0001-01-01T00:00:00")))
}

fn rfc3339(time_ms: i64) -> String {
    time::rfc3339_ms(time_ms)
}

fn map(labels: &Labels) -> BTreeMap<String, String> {
    let pair = |l: &model::Label| (l.name.to_string(), l.value.to_string());
    labels.iter().map(pair).collect()
}

/// A receiver by its name.
#[derive(Debug, Clone, Serialize)]
struct Name {
    name: String,
}

/// An alert as the API gives it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GettableAlert {
    annotations: BTreeMap<String, String>,
    ends_at: String,
    fingerprint: String,
    receivers: Vec<Name>,
    starts_at: String,
    status: AlertStatus,
    updated_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertStatus {
    inhibited_by: Vec<String>,
    muted_by: Vec<String>,
    silenced_by: Vec<String>,
    state: &'static str,
}

impl From<AlertView> for GettableAlert {
    fn from(view: AlertView) -> Self {
        let state = if view.is_suppressed() {
            "suppressed"
        } else {
            "active"
        };
        let name = |name: &Arc<str>| Name {
            name: name.to_string(),
        };
        Self {
            annotations: map(&view.alert.annotations),
            ends_at: rfc3339(view.alert.ends_at_ms),
            fingerprint: view.alert.fingerprint(),
            receivers: view.receivers.iter().map(name).collect(),
            starts_at: rfc3339(view.alert.starts_at_ms),
            status: AlertStatus {
                inhibited_by: view.inhibited_by,
                muted_by: view.muted_by,
                silenced_by: view.silenced_by,
                state,
            },
            updated_at: rfc3339(view.updated_at_ms),
            labels: map(&view.alert.labels),
            generator_url: view.alert.generator_url,
        }
    }
}
