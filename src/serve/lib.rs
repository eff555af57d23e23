//! What does the browser see?
//!
//! The router, the HTTP APIs ([`api`], thin) and the pages ([`pages`], one file per page with a
//! template and a script of the same name in `web/`). It reads through the traits and snapshots
//! of [`Services`] that the binary hands over; it knows no store and no collector.

mod services;

mod api;
mod pages;

mod around;
mod ask;
mod assets;
mod chart;
mod guard;
mod html;
mod humanize;
mod metrics;
mod request;
mod server;
mod shell;
mod sparkline;
mod time_range;

pub use metrics::Metrics;
pub use pages::rule_id;
pub use server::run;
pub use services::{
    Failing, Growth, ImportLines, Rehearse, RelabelSteps, RuleMissing, Services, StatusReport,
    TaskReport, Totals, View,
};

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

/// Everything that is served: pages, APIs, assets.
pub fn router(services: Arc<Services>) -> Router {
    Router::new()
        .merge(pages::router())
        .merge(api::router())
        .merge(assets::router())
        .fallback(pages::not_found)
        .layer(DefaultBodyLimit::max(guard::BODY_BYTES_MAX))
        .layer(from_fn(api::push::greet))
        // Assets are compressed at build time; what is made on the way out is compressed fast.
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(from_fn_with_state(services.clone(), guard::contain))
        .layer(from_fn_with_state(services.clone(), guard::admit))
        .layer(from_fn(guard::harden))
        .layer(from_fn_with_state(services.clone(), guard::measure))
        .with_state(services)
}
