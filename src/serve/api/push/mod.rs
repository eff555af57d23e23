//! What others send: Loki push, OTLP logs, Elasticsearch's `_bulk` ([`elastic`]), JSON lines,
//! samples ([`samples`]), and what jobs push before they end ([`gateway`]).
//!
//! These routes only carry: a body is read within the bounds ([`body`]), decoded and journalled by
//! the room `receive`, and the outcome is said in the words of the sender's protocol. The same
//! guards stand before them as before everything else; senders that are no browsers send no
//! `Origin` and pass.

mod body;
mod elastic;
mod gateway;
mod samples;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use receive::inflate::Encoding;
use receive::{Protocol, Push, Receiver, Refused, json_lines, loki, otlp};

use crate::Services;
use crate::request::Params;

pub(crate) use elastic::greet;

/// All routes. Those under `/insert/` are VictoriaLogs' names, `/otlp/` is Loki's.
pub(crate) fn router() -> Router<Arc<Services>> {
    Router::new()
        .route("/loki/api/v1/push", post(push_loki))
        .route("/insert/loki/api/v1/push", post(push_loki))
        .route("/v1/logs", post(push_otlp))
        .route("/otlp/v1/logs", post(push_otlp))
        .route("/insert/opentelemetry/v1/logs", post(push_otlp))
        .route("/api/v1/logs/push", post(push_json_lines))
        .route("/insert/jsonline", post(push_json_lines))
        .merge(elastic::router())
        .merge(samples::router())
        .merge(gateway::router())
        // Bodies are bounded while they are read.
        .layer(DefaultBodyLimit::disable())
}

/// A request that was taken.
struct Taken<T> {
    /// How many lines.
    lines: usize,
    /// How many lines were not taken, and why the first was not.
    rejected: Option<(u64, String)>,
    /// What the decoder gave.
    value: T,
}

/// Reads, decodes and journals a request.
async fn take<T: Send + 'static>(
    services: &Services,
    parts: &Parts,
    body: Body,
    protocol: Protocol,
    decode: impl FnOnce(&mut Push, &[u8], Encoding) -> Result<T, Refused> + Send + 'static,
) -> Result<Taken<T>, Refused> {
    let receiver = services.receiver.clone().ok_or_else(|| {
        Refused::Failed(
            "this Yagura takes no lines over the network: set receive.http in its configuration"
                .to_owned(),
        )
    })?;
    let from = body::sender(parts);
    let now_ns = model::time::now_ns();
    let result = read_and_accept(&receiver, parts, body, protocol, now_ns, decode).await;
    // What the receiver itself has refused it has counted.
    if let Err(Outcome::Before(why)) = &result {
        receiver.refused(protocol, from, now_ns, why);
    }
    result.map_err(|outcome| match outcome {
        Outcome::Before(why) | Outcome::After(why) => why,
    })
}

/// A refusal, before or after the receiver had the push.
enum Outcome {
    Before(Refused),
    After(Refused),
}

async fn read_and_accept<T: Send + 'static>(
    receiver: &Arc<Receiver>,
    parts: &Parts,
    body: Body,
    protocol: Protocol,
    now_ns: i64,
    decode: impl FnOnce(&mut Push, &[u8], Encoding) -> Result<T, Refused> + Send + 'static,
) -> Result<Taken<T>, Outcome> {
    let from = body::sender(parts);
    let encoding = text(parts, &header::CONTENT_ENCODING);
    let encoding = Encoding::parse(encoding).map_err(Outcome::Before)?;
    let bytes_max = receiver.limits().body_bytes_max;
    let whole = body::read(receiver.room(), bytes_max, parts, body).await;
    let whole = whole.map_err(Outcome::Before)?;
    let mut turn = receiver.room().turn().await;
    let receiver = receiver.clone();
    let work = move || {
        let mut push = receiver.push(protocol, now_ns);
        let value = decode(&mut push, &whole.bytes, encoding).map_err(Outcome::Before)?;
        drop(whole);
        turn.decoded();
        let lines = push.lines();
        let rejected = push.rejected().map(|(n, why)| (n, why.to_owned()));
        receiver.accept(push, from).map_err(Outcome::After)?;
        Ok(Taken {
            lines,
            rejected,
            value,
        })
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        let why = "reading this request made a part of Yagura fail; the rest goes on";
        Err(Outcome::Before(Refused::Failed(why.to_owned())))
    })
}

/// The status of a refusal, with the header that says when to come again.
fn refuse(why: &Refused, content_type: &'static str, body: Vec<u8>) -> Response {
    let status = match why {
        Refused::Bad(_) => StatusCode::BAD_REQUEST,
        Refused::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Refused::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refused::Full(_) => StatusCode::TOO_MANY_REQUESTS,
        Refused::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = (status, [(header::CONTENT_TYPE, content_type)], body).into_response();
    if matches!(why, Refused::Full(_) | Refused::Failed(_)) {
        let seconds = HeaderValue::from(receive::RETRY_AFTER_S);
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// A refusal as a sentence.
fn refuse_plainly(why: &Refused) -> Response {
    let text = format!("{why}\n").into_bytes();
    refuse(why, "text/plain; charset=utf-8", text)
}

/// A header that can be read.
fn text<'p>(parts: &'p Parts, name: &header::HeaderName) -> Option<&'p str> {
    parts
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok())
}

/// 204, as Loki answers; 400 where some lines were not taken (the others were).
async fn push_loki(State(services): State<Arc<Services>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let format = match loki::Format::of(text(&parts, &header::CONTENT_TYPE)) {
        Ok(format) => format,
        Err(why) => return refuse_plainly(&why),
    };
    let decode = move |push: &mut Push, body: &[u8], encoding: Encoding| {
        loki::decode(push, body, format, encoding)
    };
    match take(&services, &parts, body, Protocol::Loki, decode).await {
        Ok(Taken { rejected: None, .. }) => StatusCode::NO_CONTENT.into_response(),
        Ok(Taken {
            lines,
            rejected: Some((n, why)),
            ..
        }) => refuse_plainly(&Refused::Bad(partly(lines, n, &why))),
        Err(why) => refuse_plainly(&why),
    }
}

/// 200 with an `ExportLogsServiceResponse`, in the format of the request.
async fn push_otlp(State(services): State<Arc<Services>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let format = match otlp::Format::of(text(&parts, &header::CONTENT_TYPE)) {
        Ok(format) => format,
        Err(why) => return refuse_plainly(&why),
    };
    let decode = move |push: &mut Push, body: &[u8], encoding: Encoding| {
        otlp::decode(push, body, format, encoding)
    };
    let content_type = format.content_type();
    match take(&services, &parts, body, Protocol::Otlp, decode).await {
        Ok(taken) => {
            let rejected = taken.rejected.as_ref().map(|(n, why)| (*n, why.as_str()));
            let answer = otlp::answer(format, rejected);
            ([(header::CONTENT_TYPE, content_type)], answer).into_response()
        }
        Err(why) => refuse(&why, content_type, otlp::refusal(format, &why)),
    }
}

/// 200 with how many lines were taken; 400 where some were not (the others were).
async fn push_json_lines(State(services): State<Arc<Services>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let params = Params::parse(parts.uri.query().unwrap_or_default());
    let parameter = |name: &str| {
        let header = match name {
            "_stream_fields" => "vl-stream-fields",
            "_msg_field" => "vl-msg-field",
            "_time_field" => "vl-time-field",
            "extra_fields" => "vl-extra-fields",
            "ignore_fields" => "vl-ignore-fields",
            _ => "",
        };
        let in_header = || parts.headers.get(header)?.to_str().ok();
        params.get(name).or_else(in_header).map(str::to_owned)
    };
    let content_type = text(&parts, &header::CONTENT_TYPE);
    let options = match json_lines::Options::new(content_type, parameter) {
        Ok(options) => options,
        Err(why) => return refuse_as_json(&why),
    };
    let decode = move |push: &mut Push, body: &[u8], encoding: Encoding| {
        json_lines::decode(push, body, encoding, &options)
    };
    match take(&services, &parts, body, Protocol::JsonLines, decode).await {
        Ok(Taken {
            lines,
            rejected: None,
            ..
        }) => axum::Json(serde_json::json!({"status": "success", "lines": lines})).into_response(),
        Ok(Taken {
            lines,
            rejected: Some((n, why)),
            ..
        }) => refuse_as_json(&Refused::Bad(partly(lines, n, &why))),
        Err(why) => refuse_as_json(&why),
    }
}

fn refuse_as_json(why: &Refused) -> Response {
    let body = serde_json::json!({
        "status": "error", "errorType": why.reason(), "error": why.to_string(),
    });
    refuse(why, "application/json", body.to_string().into_bytes())
}

fn partly(taken: usize, rejected: u64, why: &str) -> String {
    format!("lines taken: {taken}, not taken: {rejected}; the first of those because of {why}")
}
