//! What does the browser see?
//!
//! The router, the HTTP APIs ([`api`], thin) and the pages ([`pages`], one file per page with a
//! template and a script of the same name in `web/`). It reads through the traits and snapshots
//! of [`Services`] that the binary hands over; it knows no store and no collector.

pub mod api;
pub mod pages;
mod services;

pub use services::{Services, StatusReport, TaskReport, Totals};

use std::sync::Arc;

use axum::Router;

/// Everything that is served: pages, APIs, assets.
pub fn router(services: Arc<Services>) -> Router {
    Router::new()
        .merge(pages::router())
        .merge(api::router())
        .with_state(services)
}
