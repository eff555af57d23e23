//! The HTTP APIs: Prometheus', the logs', and the process' own.

mod process;

use std::sync::Arc;

use axum::Router;

use crate::Services;

/// All API routes.
pub(crate) fn router() -> Router<Arc<Services>> {
    Router::new().merge(process::router())
}
