//! `GET /api/v1/logs/sources`: every followed file with its account: what was read, stored and
//! lost, how far behind it is, and what threatens it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use model::{LogSource, LogSourceState};
use serde::Serialize;
use serde_json::json;

use crate::Services;

/// A source as the API shows it.
#[derive(Serialize)]
struct SourceJson {
    path: String,
    labels: std::collections::BTreeMap<String, String>,
    format: String,
    state: &'static str,
    /// Why it cannot be read; absent where it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    bytes_read: u64,
    lines_read: u64,
    records_stored: u64,
    bytes_stored: u64,
    lines_dropped: u64,
    losses: Vec<LossJson>,
    lag_bytes: u64,
    lag_seconds: f64,
    /// RFC 3339; absent for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_line: Option<String>,
    /// Why lines will be lost; absent where they will not.
    #[serde(skip_serializing_if = "Option::is_none")]
    danger: Option<String>,
}

#[derive(Serialize)]
struct LossJson {
    reason: &'static str,
    lines: u64,
    bytes: u64,
}

/// Answers with all sources and the collector as a whole.
pub(super) async fn sources(State(services): State<Arc<Services>>) -> Response {
    let sources: Vec<SourceJson> = (services.log_sources)().into_iter().map(json_of).collect();
    let collector = (services.log_collector)();
    Json(json!({
        "status": "success",
        "data": {
            "sources": sources,
            "openFiles": collector.open_files,
            "openFilesMax": collector.open_files_max,
            "notices": collector.notices,
        },
    }))
    .into_response()
}

fn json_of(source: LogSource) -> SourceJson {
    let (state, error) = match source.state {
        LogSourceState::Following => ("following", None),
        LogSourceState::CatchingUp => ("catching_up", None),
        LogSourceState::Draining => ("draining", None),
        LogSourceState::Failed(reason) => ("failed", Some(reason)),
    };
    SourceJson {
        labels: (source.labels.iter())
            .map(|label| (label.name.to_string(), label.value.to_string()))
            .collect(),
        path: source.path,
        format: source.format,
        state,
        error,
        bytes_read: source.bytes_read,
        lines_read: source.lines_read,
        records_stored: source.records_stored,
        bytes_stored: source.bytes_stored,
        lines_dropped: source.lines_dropped,
        losses: (source.losses.iter())
            .map(|loss| LossJson {
                reason: loss.reason,
                lines: loss.lines,
                bytes: loss.bytes,
            })
            .collect(),
        lag_bytes: source.lag_bytes,
        lag_seconds: source.lag_seconds,
        last_line: (source.last_line_ns > 0).then(|| model::time::rfc3339_ns(source.last_line_ns)),
        danger: (!source.danger.is_empty()).then_some(source.danger),
    }
}
