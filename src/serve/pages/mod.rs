//! The pages, one file each, and what is neither page nor API: settings and the way out.

mod alerts;
mod logs;
mod metrics;
mod overview;
mod problems;
mod settings;
mod status;
mod targets;

pub use alerts::rule_id;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::Services;
use crate::request::Visit;
use crate::shell;

/// The pages about alerts, for the line of links on each of them.
pub(crate) fn alert_pages() -> &'static [(&'static str, &'static str)] {
    &[
        ("/alerts", "Alerts"),
        ("/alerts/history", "History"),
        ("/alerts/rules", "Rules"),
        ("/alerts/silences", "Silences"),
        ("/alerts/receivers", "Receivers"),
    ]
}

/// All page routes.
pub(crate) fn router() -> Router<Arc<Services>> {
    Router::new()
        .route("/", get(overview::page))
        .route("/metrics-explorer", get(metrics::page))
        .route("/metrics/cardinality", get(metrics::cardinality::page))
        .route("/api/ui/metrics/check", get(metrics::check::check))
        .route("/metrics/{name}", get(metrics::one::page))
        .route("/targets", get(targets::page))
        .route("/status", get(status::page))
        .merge(alerts::router())
        .merge(logs::router())
        .merge(settings::router())
}

/// Says that there is nothing here, to people as a page and to programs as JSON.
pub(crate) async fn not_found(State(services): State<Arc<Services>>, visit: Visit) -> Response {
    if visit.path.starts_with("/api/") {
        let body = serde_json::json!({
            "status": "error",
            "errorType": "not_found",
            "error": format!("no such route: {}", visit.path),
        });
        return (StatusCode::NOT_FOUND, axum::Json(body)).into_response();
    }
    let sentence = format!(
        "There is no page at {}. The rail on the left has them all.",
        visit.path
    );
    shell::refuse(
        &services,
        visit,
        StatusCode::NOT_FOUND,
        "Nothing here",
        &sentence,
    )
}
