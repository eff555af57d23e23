//! Loki's HTTP API, so that Grafana, logcli or curl can use Yagura as a Loki. The push endpoint
//! is not here.
//!
//! - `query.rs`: `/loki/api/v1/query`, `/query_range`, `/format_query`.
//! - `labels.rs`: `/labels`, `/label/{name}/values`, `/series`, `/detected_labels`.
//! - `fields.rs`: `/detected_fields`, `/detected_field/{name}/values`.
//! - `index.rs`: `/index/stats`, `/index/volume`, `/index/volume_range`, `/patterns`.
//! - `tail.rs`: `/tail`, a WebSocket.
//! - `json.rs`: the shapes of answers.
//!
//! Parameters come in the URL or, with POST, as a form. Errors are plain text, as Loki's are. What
//! is supported, by example: docs/loki.md.

mod fields;
mod index;
mod json;
mod labels;
mod query;
mod tail;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use log_query::logql::{self, EvalError, ParseError};
use model::{Matcher, StoreError};
use tokio::sync::Semaphore;

use crate::Services;
use crate::ask::NoAnswer;
use crate::request::Params;

/// The Loki whose API this is: Grafana asks for it to know what it may send.
const LOKI_VERSION: &str = "3.4.0";

/// How far back a query looks when it does not say, nanoseconds.
const SINCE_DEFAULT_NS: i64 = 3_600_000_000_000;

/// How far back labels and series are looked for when the request does not say, nanoseconds.
const LABELS_SINCE_DEFAULT_NS: i64 = 6 * 3_600_000_000_000;

/// Numbers of so many digits are seconds, longer ones nanoseconds, as Loki reads them.
const SECONDS_DIGITS_MAX: usize = 10;

pub(super) fn router() -> Router<Arc<Services>> {
    let api = Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/format_query", get(query::format).post(query::format))
        .route("/labels", get(labels::names).post(labels::names))
        .route("/label", get(labels::names).post(labels::names))
        .route(
            "/label/{name}/values",
            get(labels::values).post(labels::values),
        )
        .route("/series", get(labels::series).post(labels::series))
        .route(
            "/detected_labels",
            get(labels::detected).post(labels::detected),
        )
        .route("/detected_fields", get(fields::fields).post(fields::fields))
        .route(
            "/detected_field/{name}/values",
            get(fields::values).post(fields::values),
        )
        .route("/index/stats", get(index::stats).post(index::stats))
        .route("/index/volume", get(index::volume).post(index::volume))
        .route(
            "/index/volume_range",
            get(index::volume_range).post(index::volume_range),
        )
        .route("/patterns", get(index::patterns).post(index::patterns))
        .route("/tail", get(tail::tail))
        .route("/status/buildinfo", get(build_info))
        .layer(axum::Extension(Arc::new(Semaphore::new(tail::TAILS_MAX))));
    Router::new()
        .nest("/loki/api/v1", api)
        .route("/ready", get(ready))
}

/// Whether queries are answered: Loki's word for it.
async fn ready(axum::extract::State(services): axum::extract::State<Arc<Services>>) -> Response {
    if (services.ready)() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
}

/// Loki's version, whose API is spoken, and Yagura's own.
async fn build_info() -> Response {
    axum::Json(serde_json::json!({
        "version": LOKI_VERSION,
        "revision": format!("yagura-{}", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
    .into_response()
}

/// An answer that says no, in plain text.
#[derive(Debug)]
struct Refusal {
    code: StatusCode,
    message: String,
}

impl Refusal {
    fn bad(message: impl Into<String>) -> Self {
        Self {
            code: StatusCode::BAD_REQUEST,
            message: message.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.code, format!("{}\n", self.message)).into_response()
    }
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self::bad(error.to_string())
    }
}

impl From<EvalError> for Refusal {
    fn from(error: EvalError) -> Self {
        match error {
            EvalError::Store(error) => error.into(),
            error => Self::bad(error.to_string()),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Limit(_) | StoreError::Refused(_) => StatusCode::BAD_REQUEST,
            StoreError::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

impl From<NoAnswer> for Refusal {
    fn from(error: NoAnswer) -> Self {
        let code = match error {
            NoAnswer::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
            NoAnswer::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
            NoAnswer::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

/// The parameters of a request, and when it came.
struct Asked {
    params: Params,
    now_ns: i64,
    /// Whether the labels of streams, of metadata and of parsers are wanted apart.
    categorize: bool,
}

impl FromRequest<Arc<Services>> for Asked {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &Arc<Services>) -> Result<Self, Refusal> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let headers = request.headers();
        let is_form = headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
            kind.as_bytes()
                .starts_with(b"application/x-www-form-urlencoded")
        });
        let categorize = headers
            .get_all("x-loki-response-encoding-flags")
            .iter()
            .filter_map(|flags: &HeaderValue| flags.to_str().ok())
            .flat_map(|flags| flags.split(','))
            .any(|flag| flag.trim() == json::CATEGORIZE_FLAG);
        let params = if request.method() == Method::POST && is_form {
            let body = String::from_request(request, state)
                .await
                .map_err(|error| Refusal::bad(format!("cannot read the form: {error}")))?;
            Params::parse(&format!("{body}&{query}"))
        } else {
            Params::parse(&query)
        };
        Ok(Self {
            params,
            now_ns: model::time::now_ns(),
            categorize,
        })
    }
}

impl Asked {
    fn text(&self, name: &str) -> &str {
        self.params.text(name)
    }

    /// A time as Loki reads it, nanoseconds since 1970.
    fn time_ns(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        parse_time_ns(text, self.now_ns).map(Some).ok_or_else(|| {
            Refusal::bad(format!(
                "could not parse {name:?} parameter: cannot parse {text:?} to a valid timestamp \
                 (nanoseconds, seconds, or RFC 3339)"
            ))
        })
    }

    /// A duration as Loki reads it: `30s`, or a number of seconds.
    fn duration_ns(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let seconds = text.parse::<f64>().ok().filter(|s| s.is_finite());
        let ns = seconds
            .map(|seconds| (seconds * 1e9) as i64)
            .or_else(|| logql::parse_duration_ns(text));
        ns.map(Some).ok_or_else(|| {
            Refusal::bad(format!(
                "cannot parse {text:?} to a valid duration for {name:?}: write 30s, or a number of \
                 seconds"
            ))
        })
    }

    /// `start` and `end`, by default the last hour or the time `since`, nanoseconds.
    fn span_ns(&self) -> Result<(i64, i64), Refusal> {
        self.span_ns_or(SINCE_DEFAULT_NS)
    }

    /// The same with another default.
    fn span_ns_or(&self, default_ns: i64) -> Result<(i64, i64), Refusal> {
        let end = self.time_ns("end")?.unwrap_or(self.now_ns);
        let since = self.duration_ns("since")?.unwrap_or(default_ns);
        let start = self
            .time_ns("start")?
            .unwrap_or_else(|| end.min(self.now_ns).saturating_sub(since));
        if end <= start {
            return Err(Refusal::bad(
                "end timestamp must not be before or equal to start time",
            ));
        }
        Ok((start, end))
    }

    /// A number from 1 to `max`.
    fn limit(&self, name: &str, default: usize, max: usize) -> Result<usize, Refusal> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(default);
        }
        match text.parse::<i64>().map(usize::try_from) {
            Ok(Ok(limit)) if limit > max => Err(Refusal::bad(format!(
                "max entries limit per query exceeded, {name} > max_entries_limit_per_query \
                 ({limit} > {max})"
            ))),
            Ok(Ok(limit)) if limit > 0 => Ok(limit),
            _ => Err(Refusal::bad(format!(
                "{name} must be a positive value: {text}"
            ))),
        }
    }

    /// The step of a query over time: by default so that it has 250 of them.
    fn step_ns(&self, start_ns: i64, end_ns: i64) -> Result<i64, Refusal> {
        let default = || (end_ns.saturating_sub(start_ns) / 250_000_000_000).max(1) * 1_000_000_000;
        let step = self.duration_ns("step")?.unwrap_or_else(default);
        if step < 1_000_000 {
            return Err(Refusal::bad(
                "zero or negative query resolution step widths are not accepted. Try a positive \
                 integer",
            ));
        }
        // Loki's steps are whole milliseconds.
        Ok(step / 1_000_000 * 1_000_000)
    }

    /// The selector in `query`; none selects everything.
    fn selector(&self) -> Result<Vec<Matcher>, Refusal> {
        match self.text("query") {
            "" => Ok(Vec::new()),
            text => Ok(logql::parse_selector(text)?),
        }
    }
}

/// Reads nanoseconds, seconds (also with a fraction), or RFC 3339.
fn parse_time_ns(text: &str, now_ns: i64) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        return if digits.len() <= SECONDS_DIGITS_MAX {
            number.checked_mul(1_000_000_000)
        } else {
            Some(number)
        };
    }
    model::time::parse_ns(text, now_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Asked {
        Asked {
            params: Params::parse(query),
            now_ns: 1_763_900_000_000_000_000,
            categorize: false,
        }
    }

    #[test]
    fn times_are_read_as_loki_reads_them() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(parse_time_ns(text, 0), expected, "{text}");
        };
        check("1763900000", Some(1_763_900_000_000_000_000));
        check("1763900000.5", Some(1_763_900_000_500_000_000));
        check("1763900000123456789", Some(1_763_900_000_123_456_789));
        check("2025-11-23T12:13:20Z", Some(1_763_900_000_000_000_000));
        check("yesterday", None);
    }

    #[test]
    fn spans_limits_and_steps_are_checked() {
        let span = asked("since=10m").span_ns().expect("a span");
        assert_eq!(span.1 - span.0, 600_000_000_000);
        let span = asked("").span_ns().expect("a span");
        assert_eq!(span.1 - span.0, SINCE_DEFAULT_NS);
        assert!(asked("start=5&end=5").span_ns().is_err());
        assert!(asked("end=gestern").span_ns().is_err());
        let limit = |query: &str| asked(query).limit("limit", 100, 5_000);
        assert_eq!(limit("").expect("the default"), 100);
        assert_eq!(limit("limit=5000").expect("the greatest"), 5_000);
        for bad in ["limit=0", "limit=-1", "limit=5001", "limit=x"] {
            assert!(limit(bad).is_err(), "{bad}");
        }
        let step = |query: &str| asked(query).step_ns(0, 3_600_000_000_000);
        assert_eq!(step("").expect("the default"), 14_000_000_000);
        assert_eq!(step("step=15").expect("seconds"), 15_000_000_000);
        assert_eq!(step("step=1m").expect("a duration"), 60_000_000_000);
        assert!(step("step=0").is_err() && step("step=-5").is_err());
    }
}
