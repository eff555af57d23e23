//! `/api/ui/metrics/check`: is an expression well formed? For the marks under mistakes while it
//! is written. A mistake is an answer here and no error of the request.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::Services;
use crate::request::Visit;

/// What is wrong.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Checked {
    /// A sentence; empty where nothing is wrong.
    message: String,
    /// The character that is at fault, from 0.
    position: Option<usize>,
}

/// Answers the parameter `q`.
pub(crate) async fn check(State(services): State<Arc<Services>>, visit: Visit) -> Json<Checked> {
    let q = visit.params.get("q").unwrap_or_default();
    Json(match services.engine.parse(q) {
        Ok(_) => Checked::default(),
        Err(error) => Checked {
            message: error.message,
            position: error.position,
        },
    })
}
