//! `/api/v1/admin/tsdb/*`: deleting series, rewriting what holds deleted samples, snapshots.
//!
//! As in Prometheus the routes that destroy are off unless the configuration says `admin_api:
//! true`. A snapshot destroys nothing and is how `yagura backup` copies a running Yagura; it may
//! always be taken, and only into the data folder. Both may take minutes on a large store: they
//! go one at a time, and a second one is told so (409).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::SeriesAdmin;
use serde_json::json;

use super::{Form, TIME_MS_MAX, json};
use crate::api::error::ApiError;
use crate::{Services, ask};

/// The door to the store, where it may be gone through.
fn allowed(services: &Services) -> Result<Arc<dyn SeriesAdmin>, ApiError> {
    if services.admin_api {
        return Ok(services.series_admin.clone());
    }
    Err(ApiError::unavailable(
        "admin APIs disabled: set `admin_api: true` in the configuration file",
    ))
}

/// Runs what may take minutes: one at a time, without a limit of time, and to its end also when
/// nobody waits for it any more.
async fn alone<T: Send + 'static>(
    services: &Arc<Services>,
    work: impl FnOnce(&Services) -> T + Send + 'static,
) -> Result<T, ApiError> {
    let Ok(turn) = services.copying.clone().try_acquire_owned() else {
        return Err(ApiError::conflict(
            "a snapshot or a cleaning of deleted series is under way: ask again when it is done",
        ));
    };
    let own = services.clone();
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work(&own)
    });
    work.await.map_err(|_| {
        services.metrics.panics.inc();
        ask::NoAnswer::Panicked.into()
    })
}

/// `match[]` (at least one), `start`, `end`.
pub(super) async fn delete_series(
    State(services): State<Arc<Services>>,
    form: Form,
) -> Result<Response, ApiError> {
    let admin = allowed(&services)?;
    let selectors = form.selectors()?;
    if selectors.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let start_ms = form.time_ms("start")?.unwrap_or(-TIME_MS_MAX);
    let end_ms = form.time_ms("end")?.unwrap_or(TIME_MS_MAX);
    ask::blocking(&services, move |_| {
        admin.delete_series(&selectors, start_ms, end_ms)
    })
    .await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Rewrites what holds deleted samples.
pub(super) async fn clean_tombstones(
    State(services): State<Arc<Services>>,
) -> Result<Response, ApiError> {
    let admin = allowed(&services)?;
    alone(&services, move |_| admin.clean_tombstones()).await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Makes `DATA/snapshots/NAME` and tells the name.
pub(super) async fn snapshot(State(services): State<Arc<Services>>) -> Result<Response, ApiError> {
    let name = alone(&services, |services| (services.snapshot)())
        .await?
        .map_err(ApiError::internal)?;
    Ok(json::success(&json!({ "name": name })))
}
