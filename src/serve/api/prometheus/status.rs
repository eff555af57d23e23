//! `/api/v1/targets` and `/api/v1/status/*`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use model::time::rfc3339_ms;
use model::{ScrapeTarget, duration};
use serde_json::{Value, json};

use super::rules::{object, time};
use super::{Form, json};
use crate::Services;
use crate::api::error::ApiError;

/// The Prometheus whose API and language are spoken here. Grafana reads it to know what it may
/// ask for, so Yagura's own version would mislead it.
const PROMETHEUS_VERSION: &str = "3.5.0";

/// `state` (`active`, `dropped` or `any`), `scrapePool`.
pub(super) async fn targets(
    State(services): State<Arc<Services>>,
    form: Form,
) -> Result<Response, ApiError> {
    let state = form.0.text("state").to_lowercase();
    if !matches!(state.as_str(), "" | "any" | "active" | "dropped") {
        return Err(ApiError::bad_data(format!(
            "invalid parameter \"state\": {state:?} is none of active, dropped, any"
        )));
    }
    let pool = form.0.text("scrapePool");
    let active: Vec<Value> = (services.scrape_targets)()
        .iter()
        .filter(|target| state != "dropped" && (pool.is_empty() || target.scrape_pool == pool))
        .map(target_json)
        .collect();
    // Targets that relabelling drops are not kept.
    Ok(json::success(&json!({
        "activeTargets": active,
        "droppedTargets": [],
        "droppedTargetCounts": {},
    })))
}

fn target_json(target: &ScrapeTarget) -> Value {
    json!({
        "discoveredLabels": object(&target.discovered_labels),
        "labels": object(&target.labels),
        "scrapePool": target.scrape_pool,
        "scrapeUrl": target.scrape_url,
        "globalUrl": target.scrape_url,
        "lastError": target.last_error,
        "lastScrape": time(target.last_scrape_ms),
        "lastScrapeDuration": target.last_scrape_duration_s,
        "health": target.health.as_str(),
        "scrapeInterval": span(target.interval_ms),
        "scrapeTimeout": span(target.timeout_ms),
    })
}

/// Milliseconds as Prometheus writes durations.
fn span(ms: i64) -> String {
    duration::format(Duration::from_millis(u64::try_from(ms).unwrap_or_default()))
}

pub(super) async fn build_info(State(services): State<Arc<Services>>) -> Response {
    let version = (services.status)().version;
    json::success(&json!({
        "version": PROMETHEUS_VERSION,
        "revision": format!("yagura-{version}"),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

pub(super) async fn runtime_info(State(services): State<Arc<Services>>) -> Response {
    let status = (services.status)();
    json::success(&json!({
        "startTime": rfc3339_ms(status.started_ms),
        "CWD": status.data_dir,
        "serverTime": rfc3339_ms(model::time::now_ms()),
        "reloadConfigSuccess": status.reload_error.is_empty(),
        "lastConfigTime": time(status.config_loaded_ms),
        "corruptionCount": 0,
        "goroutineCount": status.tasks.len(),
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        "GOMEMLIMIT": status.memory_budget_bytes,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": span(status.retention_metrics_ms),
    }))
}

pub(super) async fn config(State(services): State<Arc<Services>>) -> Response {
    json::success(&json!({ "yaml": (services.status)().config_yaml }))
}

/// The settings that Prometheus has as flags and Yagura has too.
pub(super) async fn flags(State(services): State<Arc<Services>>) -> Response {
    let status = (services.status)();
    let options = services.engine.options();
    json::success(&json!({
        "config.file": status.config_file,
        "query.lookback-delta": span(options.lookback_ms),
        "query.max-samples": options.samples_max.to_string(),
        "query.timeout": duration::format(services.query_timeout),
        "storage.tsdb.path": status.data_dir,
        "storage.tsdb.retention.time": span(status.retention_metrics_ms),
        "web.listen-address": status.listen,
    }))
}
