//! `/api/v1/query`, `/api/v1/query_range`, `/api/v1/query_exemplars`, `/api/v1/format_query`,
//! `/api/v1/parse_query`.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::Response;
use model::StoreError;
use promql::{Answer, Context, ErrorKind, QueryError, Value};
use tokio::sync::OwnedSemaphorePermit;

use super::json::{self, Envelope};
use super::{Form, TIME_MS_MAX};
use crate::api::error::ApiError;
use crate::api::pieces;
use crate::metrics::{QueryKind, QueryLabels};
use crate::{Services, ask};

/// Answers of no more samples are written at once, which takes well below a millisecond.
const SAMPLES_AT_ONCE: usize = 5_000;

/// Parameters that both kinds of queries have.
struct Common {
    query: String,
    /// Given up after this time.
    timeout: Duration,
    lookback_ms: Option<i64>,
    /// Most series of the answer.
    limit: Option<usize>,
    with_stats: bool,
}

impl Common {
    fn of(form: &Form, services: &Services) -> Result<Self, ApiError> {
        let lookback = form.duration("lookback_delta")?;
        let timeout = form.duration("timeout")?.unwrap_or(services.query_timeout);
        Ok(Self {
            query: form.required("query")?.to_owned(),
            timeout: timeout.min(services.query_timeout),
            lookback_ms: lookback.map(|d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)),
            limit: form.limit("limit")?,
            with_stats: !form.0.text("stats").is_empty(),
        })
    }
}

/// `query`, `time` (default: now), `timeout`, `limit`, `lookback_delta`, `stats`.
pub(super) async fn instant(
    State(services): State<Arc<Services>>,
    form: Form,
) -> Result<Response, ApiError> {
    let common = Common::of(&form, &services)?;
    let time_ms = form.time_ms("time")?.unwrap_or_else(model::time::now_ms);
    answer(
        &services,
        "instant",
        common,
        move |services, query, context| {
            let series = &*services.series;
            services.engine.instant(series, query, time_ms, context)
        },
    )
    .await
}

/// `query`, `start`, `end`, `step`, `timeout`, `limit`, `lookback_delta`, `stats`.
pub(super) async fn range(
    State(services): State<Arc<Services>>,
    form: Form,
) -> Result<Response, ApiError> {
    let common = Common::of(&form, &services)?;
    form.required("start")?;
    form.required("end")?;
    form.required("step")?;
    let start_ms = form.time_ms("start")?.unwrap_or_default();
    let end_ms = form.time_ms("end")?.unwrap_or_default();
    let step = form.duration("step")?.unwrap_or_default();
    let step_ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
    answer(
        &services,
        "range",
        common,
        move |services, query, context| {
            let series = &*services.series;
            let engine = &services.engine;
            engine.range(series, query, start_ms, end_ms, step_ms, context)
        },
    )
    .await
}

/// `query`: the expression with blanks and line breaks in their places.
pub(super) async fn format(form: Form) -> Result<Response, ApiError> {
    let text = promql::format(form.required("query")?)?;
    Ok(json::success(&text))
}

/// `query`: the tree of the expression.
pub(super) async fn parse(form: Form) -> Result<Response, ApiError> {
    let tree = promql::tree_json(form.required("query")?)?;
    Ok(json::success(&tree))
}

/// `query`, `start`, `end`: the exemplars of all series that the expression reads.
pub(super) async fn exemplars(
    State(services): State<Arc<Services>>,
    form: Form,
) -> Result<Response, ApiError> {
    let expression = services.engine.parse(form.required("query")?)?;
    let start_ms = form.time_ms("start")?.unwrap_or(-TIME_MS_MAX);
    let end_ms = form.time_ms("end")?.unwrap_or(TIME_MS_MAX);
    if end_ms < start_ms {
        return Err(ApiError::bad_data(
            "end timestamp must not be before start timestamp",
        ));
    }
    let selectors = expression.selectors().into_iter();
    let selectors: Vec<_> = selectors.map(|one| one.matchers.clone()).collect();
    let body = ask::blocking(&services, move |services| {
        let found = services.series.exemplars(&selectors, start_ms, end_ms)?;
        let envelope = Envelope::with(|out| json::write_list(out, &found, json::write_exemplars));
        Ok::<_, StoreError>(envelope.close(&[], &[]))
    })
    .await??;
    Ok(json::response(body))
}

/// Says that nobody waits any more, once it is dropped: with the handler's future, that is when
/// the client goes away or the answer is on its way.
pub(super) struct Waiting(pub(super) Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Evaluates on a blocking thread, for as long as somebody waits, and writes: a large answer
/// while it is taken.
async fn answer(
    services: &Arc<Services>,
    kind: &'static str,
    common: Common,
    evaluate: impl FnOnce(&Services, &str, &Context<'_>) -> Result<Answer, QueryError> + Send + 'static,
) -> Result<Response, ApiError> {
    let asked = Instant::now();
    let outcome = evaluated(services, asked, common, evaluate).await;
    let metrics = &services.metrics;
    let word = outcome
        .as_ref()
        .map_or_else(|error| error.kind, |_| "success");
    let labels = QueryLabels {
        kind,
        outcome: word,
    };
    metrics.queries.get_or_create(&labels).inc();
    metrics
        .query_duration
        .get_or_create(&QueryKind { kind })
        .observe(asked.elapsed().as_secs_f64());
    let (answer, stats, slot) = outcome?;
    if samples_of(&answer) <= SAMPLES_AT_ONCE {
        let mut body = Vec::new();
        let _ = json::write_body(&mut body, &answer, stats.as_ref(), |_| {
            ControlFlow::Continue(())
        });
        return Ok(json::response(body));
    }
    let body = pieces::body(slot, move |writer, out| {
        json::write_body(out, &answer, stats.as_ref(), |out| writer.pause(out))
    });
    Ok(json::response(body))
}

/// What there is to say, and the slot that it still takes.
type Evaluated = (Answer, Option<serde_json::Value>, OwnedSemaphorePermit);

async fn evaluated(
    services: &Arc<Services>,
    asked: Instant,
    common: Common,
    evaluate: impl FnOnce(&Services, &str, &Context<'_>) -> Result<Answer, QueryError> + Send + 'static,
) -> Result<Evaluated, ApiError> {
    let wanted = Arc::new(AtomicBool::new(true));
    let _waiting = Waiting(wanted.clone());
    let (evaluated, slot) = ask::with_slot(services, move |services| {
        let begun = Instant::now();
        let stop = || {
            if !wanted.load(Ordering::Relaxed) {
                Some(ErrorKind::Canceled)
            } else if asked.elapsed() >= common.timeout {
                Some(ErrorKind::Timeout)
            } else {
                None
            }
        };
        let context = Context {
            stop: Some(&stop),
            lookback_ms: common.lookback_ms,
        };
        let mut answer = evaluate(services, &common.query, &context)?;
        services.metrics.query_samples.inc_by(answer.samples_read);
        if let Some(limit) = common.limit {
            cut(&mut answer, limit);
        }
        let stats = common
            .with_stats
            .then(|| stats(&answer, begun - asked, begun.elapsed()));
        Ok::<_, QueryError>((answer, stats))
    })
    .await?;
    let (answer, stats) = evaluated?;
    Ok((answer, stats, slot))
}

/// How many samples will be written.
fn samples_of(answer: &Answer) -> usize {
    match &answer.value {
        Value::Scalar { .. } | Value::String { .. } => 1,
        Value::Vector(points) => points.len(),
        Value::Matrix(all) => all.iter().map(|series| series.samples.len()).sum(),
    }
}

/// Leaves out what is beyond the limit, and says so.
fn cut(answer: &mut Answer, limit: usize) {
    let was_cut = match &mut answer.value {
        Value::Vector(points) if points.len() > limit => {
            points.truncate(limit);
            true
        }
        Value::Matrix(series) if series.len() > limit => {
            series.truncate(limit);
            true
        }
        _ => false,
    };
    if was_cut {
        answer
            .warnings
            .push("results truncated due to limit".to_owned());
    }
}

/// What Prometheus tells with `stats=all`, as far as it has a meaning here.
fn stats(answer: &Answer, queued: Duration, evaluated: Duration) -> serde_json::Value {
    serde_json::json!({
        "timings": {
            "evalTotalTime": (queued + evaluated).as_secs_f64(),
            "execQueueTime": queued.as_secs_f64(),
            "innerEvalTime": evaluated.as_secs_f64(),
        },
        "samples": {
            "totalQueryableSamples": answer.samples_read,
        },
        "series": answer.series_read,
    })
}
