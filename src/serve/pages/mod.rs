//! The pages, one file each.

use std::sync::Arc;

use axum::Router;

use crate::Services;

/// All page routes.
pub(crate) fn router() -> Router<Arc<Services>> {
    Router::new()
}
