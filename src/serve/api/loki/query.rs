//! `/loki/api/v1/query`, `/query_range` and `/format_query`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::response::Response;
use log_query::logql::{self, Expr, Grid, Limits, LogRequest, MetricExpr};
use log_query::{Direction, Stop};
use serde_json::Value;

use super::{Asked, Refusal, json};
use crate::api::logs::StopOnDrop;
use crate::{Services, ask};

/// Lines of an answer when the request does not say, as in Loki.
const LIMIT_DEFAULT: usize = 100;

/// Most lines of an answer: Loki's `max_entries_limit_per_query`.
pub(super) const LIMIT_MAX: usize = 5_000;

/// `query`, `time` (default: now), `limit`, `direction`. Only metric queries have a value at one
/// time.
pub(super) async fn instant(
    State(services): State<Arc<Services>>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let time_ns = asked.time_ns("time")?.unwrap_or(asked.now_ns);
    match logql::parse(asked.text("query"))? {
        Expr::Metric(metric) => numbers(&services, metric, Grid::instant(time_ns), false).await,
        Expr::Log(_) => Err(Refusal::bad(
            "log queries are not supported as an instant query type, please change your query to \
             a range query type",
        )),
    }
}

/// `query`, `start`, `end`, `since`, and `limit` and `direction` or `step`.
pub(super) async fn range(
    State(services): State<Arc<Services>>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (start_ns, end_ns) = asked.span_ns()?;
    let expr = logql::parse(asked.text("query"))?;
    let log = match expr {
        Expr::Log(log) => log,
        Expr::Metric(metric) => {
            let step_ns = asked.step_ns(start_ns, end_ns)?;
            // As Loki: steps lie on multiples of the step, the last at or behind the end.
            let first = start_ns.div_euclid(step_ns).saturating_mul(step_ns);
            let last = end_ns
                .saturating_add(step_ns - 1)
                .div_euclid(step_ns)
                .saturating_mul(step_ns);
            let grid = Grid::range(first, last, step_ns);
            return numbers(&services, metric, grid, true).await;
        }
    };
    if asked.duration_ns("interval")?.is_some_and(|ns| ns > 0) {
        return Err(Refusal::bad(
            "interval is not supported: ask without it, or for a metric query with a step",
        ));
    }
    let stop = Stop::default();
    let request = LogRequest {
        start_ns,
        end_ns,
        direction: direction(asked.text("direction"))?,
        limit: asked.limit("limit", LIMIT_DEFAULT, LIMIT_MAX)?,
        stop: stop.clone(),
    };
    let _guard = StopOnDrop(stop);
    let categorize = asked.categorize;
    ask::blocking(&services, move |services| {
        let begun = Instant::now();
        let (entries, summary) = logql::logs(&*services.logs, &log, &request)?;
        let seconds = begun.elapsed().as_secs_f64();
        Ok(json::log_answer(&entries, categorize, &summary, seconds))
    })
    .await?
}

/// Evaluates a metric query and writes its answer.
async fn numbers(
    services: &Arc<Services>,
    metric: MetricExpr,
    grid: Grid,
    is_range: bool,
) -> Result<Response, Refusal> {
    let stop = Stop::default();
    let limits = Limits {
        stop: stop.clone(),
        ..Limits::default()
    };
    let _guard = StopOnDrop(stop);
    ask::blocking(services, move |services| {
        let begun = Instant::now();
        let answer = logql::range(&*services.logs, &metric, grid, &limits)?;
        let seconds = begun.elapsed().as_secs_f64();
        let (value, summary) = (&answer.value, &answer.summary);
        Ok(json::metric_answer(value, grid, is_range, summary, seconds))
    })
    .await?
}

/// `forward` or `backward` in any case; newest first where nothing is said.
fn direction(text: &str) -> Result<Direction, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "" | "backward" => Ok(Direction::Backward),
        "forward" => Ok(Direction::Forward),
        _ => Err(Refusal::bad(format!(
            "invalid direction '{text}': write forward or backward"
        ))),
    }
}

/// The query in one fixed way of writing.
pub(super) async fn format(asked: Asked) -> Result<Response, Refusal> {
    let expr = logql::parse(asked.text("query"))?;
    Ok(json::success(&Value::String(expr.to_string())))
}
