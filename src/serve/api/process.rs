//! The process' own routes: `/-/healthy`, `/-/ready`, `POST /-/reload`, `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use crate::Services;

/// The text format of OpenMetrics, which `Services::metrics_text` writes.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) fn router() -> Router<Arc<Services>> {
    Router::new()
        .route("/-/healthy", get(async || "Yagura is healthy.\n"))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .route("/metrics", get(metrics))
}

async fn ready(State(services): State<Arc<Services>>) -> Response {
    if (services.ready)() {
        return "Yagura is ready.\n".into_response();
    }
    let sentence = "Yagura is starting or stopping.\n";
    (StatusCode::SERVICE_UNAVAILABLE, sentence).into_response()
}

/// Loads the configuration anew. Programs get 200 or 500 with the reason, as from Prometheus;
/// people who pressed the button are brought back to the Status page, which shows the reason.
async fn reload(State(services): State<Arc<Services>>, headers: HeaderMap) -> Response {
    let reload = services.reload.clone();
    let outcome = match tokio::task::spawn_blocking(move || reload()).await {
        Ok(outcome) => outcome,
        Err(_) => Err("loading the configuration made Yagura fail; the old one is in force".into()),
    };
    let from_page = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|types| types.contains("text/html"));
    match outcome {
        _ if from_page => Redirect::to("/status").into_response(),
        Ok(()) => StatusCode::OK.into_response(),
        Err(sentence) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("failed to reload config: {sentence}\n"),
        )
            .into_response(),
    }
}

async fn metrics(State(services): State<Arc<Services>>) -> Response {
    let text = (services.metrics_text)();
    ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response()
}
