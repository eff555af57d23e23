//! `/api/v1/logs/*`: searching, counting and following log lines.
//!
//! - `query`: lines, or a table where the query has pipes that make one; `export`: all of it
//!   (files `logs/stream.rs`, `logs/formats.rs`).
//! - `context`: the lines around a line (file `logs/context.rs`).
//! - `complete`: what can stand at the cursor while a query is typed (file `logs/complete.rs`).
//! - `tail`: a WebSocket with lines as they arrive (file `logs/tail.rs`).
//! - `sources`: the followed files with their accounts (file `logs/sources.rs`).
//! - `histogram`, `facets`: counts as JSON in Prometheus' envelope.
//!
//! All take `q`, the query; all but the tail take `from` and `to` (default: the last hour). Counts
//! and facets are those of the lines that the filter finds, before any pipe.

mod complete;
mod context;
mod formats;
mod record;
mod sources;
mod stream;
mod tail;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use log_query::{Bucket, Direction, Facet, Query, Search, Stop};
use model::Level;
use serde::Serialize;
use serde_json::json;
use tokio::sync::Semaphore;

use super::error::ApiError;
use crate::around::LineId;
use crate::request::Params;
use crate::{Services, ask};

pub(crate) use record::{RecordJson, id as record_id};

/// Lines of an answer when the request does not say.
const LIMIT_DEFAULT: usize = 1_000;

/// Most lines of an answer: some 30 MB of text, seconds of work. More is asked for by time range.
const LIMIT_MAX: usize = 100_000;

/// Bars of a histogram when the request does not say how wide they are.
pub(crate) const BUCKETS_WANTED: i64 = 100;

/// Most bars of a histogram.
const BUCKETS_MAX: i64 = 5_000;

/// Values of each field when the request does not say.
const FACET_VALUES_DEFAULT: usize = 10;

/// Most values of each field.
const FACET_VALUES_MAX: usize = 1_000;

/// Newest lines that fields are counted over when the request does not say; levels and labels are
/// counted over all.
pub(crate) const FACET_LINES_DEFAULT: usize = 2_000;

/// Followers at the same time; each costs a queue of lines and a check of each new line.
const TAILS_MAX: usize = 64;

/// Widths of histogram bars that people can read off, in milliseconds.
const STEPS_MS: [i64; 20] = [
    1, 10, 100, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000,
    600_000, 900_000, 1_800_000, 3_600_000, 10_800_000, 21_600_000, 86_400_000,
];

pub(crate) fn router() -> Router<Arc<Services>> {
    Router::new()
        .route("/api/v1/logs/query", get(stream::query))
        .route("/api/v1/logs/export", get(stream::export))
        .route("/api/v1/logs/histogram", get(histogram))
        .route("/api/v1/logs/facets", get(facets))
        .route("/api/v1/logs/complete", get(complete::completion))
        .route("/api/v1/logs/context", get(context::context))
        .route("/api/v1/logs/sources", get(sources::sources))
        .route("/api/v1/logs/tail", get(tail::tail))
        .layer(Extension(Arc::new(Semaphore::new(TAILS_MAX))))
        .layer(Extension(stream::Exports(Arc::new(Semaphore::new(
            stream::EXPORTS_MAX,
        )))))
}

/// Stops a search when nobody waits for its answer any more.
pub(crate) struct StopOnDrop(pub(crate) Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The parameters of a request.
struct Asked(Params);

impl Asked {
    fn of(query: Option<&str>) -> Self {
        Self(Params::parse(query.unwrap_or_default()))
    }

    /// A parameter that is there and not empty.
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).filter(|text| !text.is_empty())
    }

    fn query(&self) -> Result<Arc<Query>, ApiError> {
        Ok(Arc::new(Query::parse(self.0.get("q").unwrap_or_default())?))
    }

    /// A query where pipes cannot be used.
    fn filter(&self) -> Result<Arc<Query>, ApiError> {
        let text = self.0.get("q").unwrap_or_default();
        Ok(Arc::new(Query::parse_filter(text)?))
    }

    fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), Some("1" | "true" | "yes"))
    }

    /// A number from 1 to `max`.
    fn number(&self, name: &str, default: usize, max: usize) -> Result<usize, ApiError> {
        self.number_from(1, name, default, max)
    }

    /// A number from `min` to `max`.
    fn number_from(
        &self,
        min: usize,
        name: &str,
        default: usize,
        max: usize,
    ) -> Result<usize, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        match text.parse() {
            Ok(n) if (min..=max).contains(&n) => Ok(n),
            _ => Err(ApiError::bad_data(format!(
                "cannot use {name}={text}: write a number from {min} to {max}"
            ))),
        }
    }

    /// The name of a line.
    fn id(&self, name: &str) -> Result<Option<LineId>, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let id = LineId::parse(text).ok_or_else(|| {
            ApiError::bad_data(format!(
                "cannot use {name}={text}: the id of a line looks like 00c3a1b2d4e5f607-42"
            ))
        })?;
        Ok(Some(id))
    }

    fn time(&self, name: &str, default: &str, now_ns: i64) -> Result<i64, ApiError> {
        let text = self.text(name).unwrap_or(default);
        model::time::parse_ns(text, now_ns).ok_or_else(|| {
            ApiError::bad_data(format!(
                "cannot read {name}={text}: write RFC 3339 (2026-08-22T01:10:00Z), seconds since \
                 1970, or a time relative to now (now-1h)"
            ))
        })
    }

    /// The question to the store.
    fn search(&self, now_ns: i64, limit: usize) -> Result<Search, ApiError> {
        let start_ns = self.time("from", "now-1h", now_ns)?;
        let end_ns = self.time("to", "now", now_ns)?;
        if start_ns >= end_ns {
            return Err(ApiError::bad_data(
                "the time range is empty: from must lie before to",
            ));
        }
        let direction = match self.text("direction") {
            None | Some("backward") => Direction::Backward,
            Some("forward") => Direction::Forward,
            Some(other) => {
                return Err(ApiError::bad_data(format!(
                    "cannot use direction={other}: write backward (newest first) or forward"
                )));
            }
        };
        Ok(Search {
            query: self.query()?,
            start_ns,
            end_ns,
            direction,
            limit,
            after: None,
            stop: Stop::default(),
        })
    }
}

/// The width of bars for a range, in nanoseconds: the narrowest readable one that gives no more
/// bars than wanted.
pub(crate) fn step_ns(span_ns: i64, wanted: i64) -> i64 {
    let whole_days = |days: i64| days.saturating_mul(86_400_000);
    let least_ms = span_ns / 1_000_000 / wanted.max(1);
    let step_ms = STEPS_MS
        .into_iter()
        .find(|step| *step >= least_ms)
        .unwrap_or_else(|| whole_days(least_ms / whole_days(1) + 1));
    step_ms.saturating_mul(1_000_000)
}

async fn histogram(
    State(services): State<Arc<Services>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let asked = Asked::of(query.as_deref());
    let search = asked.search(model::time::now_ns(), LIMIT_DEFAULT)?;
    let span_ns = search.end_ns.saturating_sub(search.start_ns);
    let step_ns = match asked.text("step") {
        None => step_ns(span_ns, BUCKETS_WANTED),
        Some(text) => model::duration::parse(text)
            .ok()
            .and_then(|step: Duration| i64::try_from(step.as_nanos()).ok())
            .filter(|step| *step > 0)
            .ok_or_else(|| {
                ApiError::bad_data(format!(
                    "cannot use step={text}: write a duration such as 30s"
                ))
            })?,
    };
    if span_ns / step_ns > BUCKETS_MAX {
        return Err(ApiError::bad_data(format!(
            "a step of {} ms gives more than {BUCKETS_MAX} bars: widen it or narrow the range",
            step_ns / 1_000_000
        )));
    }
    let guard = StopOnDrop(search.stop.clone());
    let buckets = ask::blocking(&services, move |s| s.logs.histogram(&search, step_ns)).await??;
    drop(guard);
    let levels = Level::ALL.map(Level::as_str);
    let rows: Vec<_> = buckets
        .iter()
        .map(|Bucket { start_ns, counts }| (start_ns / 1_000_000, counts))
        .collect();
    Ok(success(&json!({
        "stepMs": step_ns / 1_000_000,
        "levels": levels,
        "buckets": rows,
    })))
}

async fn facets(
    State(services): State<Arc<Services>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let asked = Asked::of(query.as_deref());
    let lines_max = asked.number("limit", FACET_LINES_DEFAULT, LIMIT_MAX)?;
    let values_max = asked.number("values", FACET_VALUES_DEFAULT, FACET_VALUES_MAX)?;
    let search = asked.search(model::time::now_ns(), lines_max)?;
    let guard = StopOnDrop(search.stop.clone());
    let facets = ask::blocking(&services, move |s| s.logs.facets(&search, values_max)).await??;
    drop(guard);
    let facets: Vec<_> = facets
        .iter()
        .map(
            |Facet {
                 name,
                 values,
                 more_values,
                 whole,
             }| {
                let values: Vec<_> = values
                    .iter()
                    .map(|(value, count)| json!({"value": value, "count": count}))
                    .collect();
                json!({"name": name, "values": values, "moreValues": more_values, "whole": whole})
            },
        )
        .collect();
    Ok(success(&json!({"linesMax": lines_max, "facets": facets})))
}

fn success(data: &impl Serialize) -> Response {
    Json(json!({"status": "success", "data": data})).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_readable_and_not_too_many() {
        let check = |span_s: i64, step_ms: i64| {
            let step = step_ns(span_s * 1_000_000_000, BUCKETS_WANTED);
            assert_eq!(step, step_ms * 1_000_000, "{span_s} s");
        };
        check(1, 10);
        check(300, 5_000);
        check(3_600, 60_000);
        check(86_400, 900_000);
        check(86_400 * 365, 4 * 86_400_000);
        assert!(step_ns(i64::MAX, 1) > 0);
    }

    #[test]
    fn parameters_are_checked() {
        let check = |query: &str, part: &str| {
            let asked = Asked::of(Some(query));
            let error = asked
                .number("limit", 1, LIMIT_MAX)
                .and_then(|limit| asked.search(3_600_000_000_000, limit))
                .expect_err(query);
            assert!(error.message.contains(part), "{query}: {}", error.message);
        };
        check("limit=0", "limit=0");
        check("limit=100001", "from 1 to 100000");
        check("from=yesterday", "from=yesterday");
        check("from=now&to=now-1h", "range is empty");
        check("direction=up", "direction=up");
        check("q=a+%22b", "at character 3");
        let search = Asked::of(Some("from=&direction=forward"))
            .search(3_600_000_000_000, 7)
            .expect("valid");
        assert_eq!((search.start_ns, search.end_ns), (0, 3_600_000_000_000));
        assert_eq!((search.direction, search.limit), (Direction::Forward, 7));
    }
}
