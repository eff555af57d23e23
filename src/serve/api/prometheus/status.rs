//! `/api/v1/status/*`: build, settings, figures of the store.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use model::time::rfc3339_ms;
use model::{Counted, duration};
use serde_json::{Value, json};

use super::rules::time;
use super::{Form, json};
use crate::api::error::ApiError;
use crate::{Services, ask};

/// The Prometheus whose API and language are spoken here. Grafana reads it to know what it may
/// ask for, so Yagura's own version would mislead it.
const PROMETHEUS_VERSION: &str = "3.5.0";

/// Milliseconds as Prometheus writes durations.
pub(super) fn span(ms: i64) -> String {
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

/// Names of each list of `status/tsdb` when the request says nothing, as Prometheus.
const TSDB_NAMES_DEFAULT: usize = 10;

/// `limit`: names of each list.
pub(super) async fn tsdb(
    State(services): State<Arc<Services>>,
    form: Form,
) -> Result<Response, ApiError> {
    let limit = form.limit("limit")?.unwrap_or(TSDB_NAMES_DEFAULT);
    let figures = ask::blocking(&services, move |services| {
        services.series_admin.cardinality(limit)
    })
    .await??;
    let list = |names: &[Counted]| -> Vec<Value> {
        let pair = |one: &Counted| json!({ "name": one.name, "value": one.count });
        names.iter().map(pair).collect()
    };
    Ok(json::success(&json!({
        "headStats": {
            "numSeries": figures.series,
            "numLabelPairs": figures.label_pairs,
            "chunkCount": 0,
            "minTime": figures.head_start_ms.unwrap_or(i64::MAX),
            "maxTime": figures.head_end_ms.unwrap_or(i64::MIN),
        },
        "seriesCountByMetricName": list(&figures.metrics),
        "labelValueCountByLabelName": list(&figures.labels),
        "memoryInBytesByLabelName": list(&figures.label_bytes),
        "seriesCountByLabelValuePair": list(&figures.pairs),
    })))
}

/// Whoever gets an answer at all finds the journal read.
pub(super) async fn wal_replay() -> Response {
    json::success(&json!({ "min": 0, "max": 0, "current": 0, "state": "done" }))
}
