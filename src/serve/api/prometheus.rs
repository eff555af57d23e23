//! Prometheus' HTTP API, so that Grafana, promtool or curl can use Yagura as a Prometheus.
//!
//! - `query.rs`: `/api/v1/query`, `/api/v1/query_range`, `/api/v1/query_exemplars`,
//!   `/api/v1/format_query`, `/api/v1/parse_query`.
//! - `series.rs`: `/api/v1/labels`, `/api/v1/label/{name}/values`, `/api/v1/series`,
//!   `/api/v1/metadata`.
//! - `rules.rs`: `/api/v1/rules`, `/api/v1/alerts`, `/api/v1/rules/rehearse`.
//! - `status.rs`: `/api/v1/status/*`; `targets.rs`: `/api/v1/targets*`, `/api/v1/scrape_pools`.
//! - `federate.rs`: `/federate`; `remote_read.rs`: `/api/v1/read`; `admin.rs`: `/api/v1/admin/tsdb/*`.
//!
//! Parameters come in the URL or, with POST, as a form. Answers have Prometheus' envelope (file
//! `json.rs`); what takes long is computed on a blocking thread ([`crate::ask`]).

mod admin;
mod federate;
pub(super) mod json;
mod query;
mod remote_read;
mod rules;
mod series;
mod status;
mod targets;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::{Method, header};
use axum::routing::{get, post, put};
use model::Matcher;

use super::error::ApiError;
use crate::Services;
use crate::request::Params;

/// The earliest and latest times that Prometheus' clients send, milliseconds.
const TIME_MS_MAX: i64 = 1_000_000_000_000_000;

pub(crate) fn router() -> Router<Arc<Services>> {
    Router::new()
        .route("/api/v1/query", get(query::instant).post(query::instant))
        .route("/api/v1/query_range", get(query::range).post(query::range))
        .route(
            "/api/v1/query_exemplars",
            get(query::exemplars).post(query::exemplars),
        )
        .route(
            "/api/v1/format_query",
            get(query::format).post(query::format),
        )
        .route("/api/v1/parse_query", get(query::parse).post(query::parse))
        .route("/api/v1/labels", get(series::labels).post(series::labels))
        .route("/api/v1/label/{name}/values", get(series::values))
        .route("/api/v1/series", get(series::series).post(series::series))
        .route("/api/v1/metadata", get(series::metadata))
        .route("/api/v1/rules", get(rules::rules))
        .route(
            "/api/v1/rules/rehearse",
            post(rules::rehearse).layer(DefaultBodyLimit::max(RULE_FILE_BYTES_MAX)),
        )
        .route("/api/v1/alerts", get(rules::alerts))
        .route("/api/v1/targets", get(targets::targets))
        .route("/api/v1/targets/metadata", get(targets::metadata))
        .route("/api/v1/scrape_pools", get(targets::scrape_pools))
        .route("/api/v1/status/buildinfo", get(status::build_info))
        .route("/api/v1/status/runtimeinfo", get(status::runtime_info))
        .route("/api/v1/status/config", get(status::config))
        .route("/api/v1/status/flags", get(status::flags))
        .route("/api/v1/status/tsdb", get(status::tsdb))
        .route("/api/v1/status/walreplay", get(status::wal_replay))
        .route("/federate", get(federate::federate))
        .route("/api/v1/read", post(remote_read::read))
        .route(
            "/api/v1/admin/tsdb/delete_series",
            put(admin::delete_series).post(admin::delete_series),
        )
        .route(
            "/api/v1/admin/tsdb/clean_tombstones",
            put(admin::clean_tombstones).post(admin::clean_tombstones),
        )
        .route(
            "/api/v1/admin/tsdb/snapshot",
            put(admin::snapshot).post(admin::snapshot),
        )
}

/// The largest rule file that is rehearsed, bytes.
const RULE_FILE_BYTES_MAX: usize = 8 << 20;

/// The parameters of a request: those of a form before those of the URL, as Go reads them.
struct Form(Params);

impl FromRequest<Arc<Services>> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Arc<Services>) -> Result<Self, ApiError> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let is_form = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| {
                kind.as_bytes()
                    .starts_with(b"application/x-www-form-urlencoded")
            });
        if request.method() != Method::POST || !is_form {
            return Ok(Self(Params::parse(&query)));
        }
        let body = String::from_request(request, state)
            .await
            .map_err(|error| ApiError::bad_data(format!("cannot read the form: {error}")))?;
        Ok(Self(Params::parse(&format!("{body}&{query}"))))
    }
}

impl Form {
    /// A parameter that must be there.
    fn required(&self, name: &str) -> Result<&str, ApiError> {
        match self.0.text(name) {
            "" => Err(ApiError::bad_data(format!(
                "invalid parameter {name:?}: it is missing"
            ))),
            text => Ok(text),
        }
    }

    /// A time in milliseconds, where it is given.
    fn time_ms(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let text = self.0.text(name);
        // Prometheus' own words for "since ever" and "for ever", which no calendar here knows.
        if text.starts_with("-292273086-") {
            return Ok(Some(-TIME_MS_MAX));
        }
        if text.starts_with("+292278994-") {
            return Ok(Some(TIME_MS_MAX));
        }
        if text.is_empty() {
            return Ok(None);
        }
        let time_ns = model::time::parse_ns(text, model::time::now_ns());
        let Some(time_ns) = time_ns else {
            return Err(ApiError::bad_data(format!(
                "invalid parameter {name:?}: cannot parse {text:?} to a valid timestamp \
                 (seconds since 1970 or RFC 3339)"
            )));
        };
        Ok(Some(time_ns.div_euclid(1_000_000)))
    }

    /// A duration, where it is given: `30s`, or a number of seconds.
    fn duration(&self, name: &str) -> Result<Option<Duration>, ApiError> {
        let text = self.0.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let seconds = text.parse::<f64>().ok();
        let duration = match seconds {
            Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            None => model::duration::parse(text).ok(),
        };
        duration.map(Some).ok_or_else(|| {
            ApiError::bad_data(format!(
                "invalid parameter {name:?}: cannot parse {text:?} to a valid duration \
                 (such as 30s, or a number of seconds)"
            ))
        })
    }

    /// A number of things, where it is given and not 0 (which means all of them).
    fn limit(&self, name: &str) -> Result<Option<usize>, ApiError> {
        let text = self.0.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let limit: usize = text.parse().map_err(|_| {
            ApiError::bad_data(format!(
                "invalid parameter {name:?}: {text:?} is no number of 0 or more"
            ))
        })?;
        Ok(Some(limit).filter(|limit| *limit > 0))
    }

    /// The selectors of `match[]`.
    fn selectors(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        self.0
            .all("match[]")
            .map(|text| {
                promql::parse_selector(text).map_err(|error| {
                    ApiError::bad_data(format!("invalid parameter \"match[]\": {error}"))
                })
            })
            .collect()
    }
}
