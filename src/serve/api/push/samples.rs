//! Samples that others send: Prometheus' remote write, OpenTelemetry's metrics, and the history of
//! other stores as lines of JSON.
//!
//! Statuses are those that Prometheus' senders act on: 2xx is done, 5xx is sent again, everything
//! else is dropped by them. 429 is sent again only where a sender is told to, so that a full disk
//! is 503 here.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use model::time;
use receive::inflate::{Encoding, inflate};
use receive::samples::remote_write::Version;
use receive::{Refused, SampleProtocol, SampleReceiver, Written, otlp};

use super::{body, refuse, refuse_plainly, text};
use crate::Services;

/// What a sender of the new version wants to know of the outcome.
const WRITTEN: [HeaderName; 3] = [
    HeaderName::from_static("x-prometheus-remote-write-samples-written"),
    HeaderName::from_static("x-prometheus-remote-write-histograms-written"),
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written"),
];

pub(super) const NOT_TAKEN: &str =
    "this Yagura takes no samples over the network: set receive.http in its configuration";

pub(super) fn router() -> Router<Arc<Services>> {
    Router::new()
        .route("/api/v1/write", post(remote_write))
        .route("/api/v1/push", post(remote_write))
        .route("/api/v1/otlp/v1/metrics", post(otlp_metrics))
        .route("/v1/metrics", post(otlp_metrics))
        .route("/api/v1/import", post(import))
}

/// Reads a body and works on it where blocking is allowed.
pub(super) async fn take<T: Send + 'static>(
    services: &Services,
    protocol: SampleProtocol,
    parts: &Parts,
    body: Body,
    work: impl FnOnce(&SampleReceiver, &[u8], Encoding) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let receiver = services.samples.clone();
    let receiver = receiver.ok_or_else(|| Refused::Bad(NOT_TAKEN.to_owned()))?;
    let read = async {
        let encoding = Encoding::parse(text(parts, &header::CONTENT_ENCODING))?;
        let bytes_max = receiver.limits().body_bytes_max;
        let whole = body::read(receiver.room(), bytes_max, parts, body).await?;
        Ok((encoding, whole))
    };
    let (encoding, whole) = read
        .await
        .inspect_err(|why| receiver.refused(protocol, why))?;
    let turn = receiver.room().turn().await;
    let work = move || {
        let _turn = turn;
        work(&receiver, &whole.bytes, encoding)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        let why = "reading this request made a part of Yagura fail; the rest goes on";
        Err(Refused::Failed(why.to_owned()))
    })
}

async fn remote_write(State(services): State<Arc<Services>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let version = match Version::of(text(&parts, &header::CONTENT_TYPE)) {
        Ok(version) => version,
        Err(why) => return refuse_plainly(&why),
    };
    let work = move |receiver: &SampleReceiver, body: &[u8], encoding| {
        receiver.remote_write(body, version, encoding, time::now_ms())
    };
    match take(&services, version.protocol(), &parts, body, work).await {
        Ok(written) => answer(version, &written),
        Err(why) => {
            let mut response = refuse_to_writer(&why);
            if version == Version::V2 {
                tell(&mut response, &Written::default());
            }
            response
        }
    }
}

/// 200 with an `ExportMetricsServiceResponse`, which says what was not taken.
async fn otlp_metrics(State(services): State<Arc<Services>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let format = match otlp::Format::of(text(&parts, &header::CONTENT_TYPE)) {
        Ok(format) => format,
        Err(why) => return refuse_plainly(&why),
    };
    let work = move |receiver: &SampleReceiver, body: &[u8], encoding| {
        receiver.otlp(body, format, encoding, time::now_ms())
    };
    match take(&services, SampleProtocol::Otlp, &parts, body, work).await {
        Ok(written) => {
            let rejected = written.reason.as_deref().map(|why| (written.rejected, why));
            let answer = otlp::answer(format, rejected);
            ([(header::CONTENT_TYPE, format.content_type())], answer).into_response()
        }
        Err(why) => refuse(&why, format.content_type(), otlp::refusal(format, &why)),
    }
}

/// VictoriaMetrics' lines of JSON, of any age: 204, or 400 where some were bad (the others were
/// taken).
async fn import(State(services): State<Arc<Services>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(import) = services.import.clone() else {
        return refuse_plainly(&Refused::Bad(NOT_TAKEN.to_owned()));
    };
    let work = move |receiver: &SampleReceiver, body: &[u8], encoding| {
        let text = inflate(body, encoding, receiver.limits().inflated_bytes_max)?;
        import(&text).map_err(|(why, again)| {
            if again {
                Refused::Failed(why)
            } else {
                Refused::Bad(why)
            }
        })
    };
    match take(&services, SampleProtocol::Import, &parts, body, work).await {
        Ok((_, notices)) if notices.is_empty() => StatusCode::NO_CONTENT.into_response(),
        Ok((samples, notices)) => refuse_plainly(&Refused::Bad(format!(
            "samples taken: {samples}; {}",
            notices.join("; ")
        ))),
        Err(why) => refuse_to_writer(&why),
    }
}

/// 204, or 400 where a part was not taken and never will be (the rest was).
fn answer(version: Version, written: &Written) -> Response {
    let mut response = match &written.reason {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(why) => refuse_plainly(&Refused::Bad(format!(
            "written: {}, not written: {}; the first of those because {why}",
            written.samples + written.histograms + written.exemplars,
            written.rejected
        ))),
    };
    if version == Version::V2 {
        tell(&mut response, written);
    }
    response
}

fn tell(response: &mut Response, written: &Written) {
    let counts = [written.samples, written.histograms, written.exemplars];
    for (name, count) in WRITTEN.into_iter().zip(counts) {
        response
            .headers_mut()
            .insert(name, HeaderValue::from(count));
    }
}

pub(super) fn refuse_to_writer(why: &Refused) -> Response {
    match why {
        Refused::Full(_) => {
            let body = format!("{why}\n").into_bytes();
            let mut response = refuse(why, "text/plain; charset=utf-8", body);
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        }
        other => refuse_plainly(other),
    }
}
