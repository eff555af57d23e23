//! The HTTP APIs: Prometheus', Alertmanager's, the logs', what others send, and the process' own.

mod alertmanager;
pub(crate) mod error;
mod follower;
pub(crate) mod logs;
mod loki;
mod pieces;
mod process;
mod prometheus;
pub(crate) mod push;

use std::sync::Arc;

use axum::Router;

use crate::Services;

/// All API routes.
pub(crate) fn router() -> Router<Arc<Services>> {
    Router::new()
        .merge(process::router())
        .merge(alertmanager::router())
        .merge(logs::router())
        .merge(loki::router())
        .merge(prometheus::router())
        .merge(push::router())
}
