//! Pushgateway's routes: `PUT`, `POST` and `DELETE /metrics/job/JOB{/LABEL/VALUE}`, and what is
//! kept at `GET /api/v1/metrics`.
//!
//! Client libraries push here unchanged. Statuses are Pushgateway's: 200 for a push, 202 for a
//! deletion, 400 with a sentence for what does not fit.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use metric_push::{Gateway, GroupKey, GroupView, Numbers, PushError, Way};
use model::{StoreError, time};
use receive::inflate::inflate;
use receive::{Refused, SampleProtocol};
use serde_json::{Map, Value, json};

use super::samples::{NOT_TAKEN, refuse_to_writer, take};
use super::text;
use crate::api::error::ApiError;
use crate::{Services, ask};

pub(super) fn router() -> Router<Arc<Services>> {
    let group = || put(push).post(push).delete(delete);
    Router::new()
        .route("/metrics/job/{*key}", group())
        .route("/metrics/job@base64/{*key}", group())
        .route("/api/v1/metrics", get(groups))
}

fn door(services: &Services) -> Result<Arc<Gateway>, Refused> {
    let gateway = services.gateway.clone();
    gateway.ok_or_else(|| Refused::Bad(NOT_TAKEN.to_owned()))
}

/// The group that a request's path names, read as it was sent: a `%2F` is part of a value.
fn key(path: &str) -> Result<GroupKey, Refused> {
    let path = path.strip_prefix("/metrics/").unwrap_or(path);
    GroupKey::of_path(path).map_err(|why| Refused::Bad(why.to_string()))
}

async fn push(State(services): State<Arc<Services>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let named = door(&services).and_then(|door| Ok((door, key(parts.uri.path())?)));
    let (gateway, key) = match named {
        Ok(named) => named,
        Err(why) => return refuse_to_writer(&why),
    };
    let way = match parts.method {
        Method::PUT => Way::Group,
        _ => Way::Names,
    };
    let content_type = text(&parts, &header::CONTENT_TYPE).map(str::to_owned);
    let pushed = take(
        &services,
        SampleProtocol::Push,
        &parts,
        body,
        move |receiver, body, encoding| {
            let page = inflate(body, encoding, receiver.limits().inflated_bytes_max);
            let families = page.and_then(|page| {
                let families = metric_push::read(&page, content_type.as_deref());
                families.map_err(|why| Refused::Bad(why.to_string()))
            });
            // The gateway counts what it refuses itself.
            let families =
                families.inspect_err(|why| receiver.refused(SampleProtocol::Push, why))?;
            gateway
                .push(&key, way, families, time::now_ms())
                .map_err(|why| refusal(&why))
        },
    );
    match pushed.await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(why) => refuse_to_writer(&why),
    }
}

async fn delete(State(services): State<Arc<Services>>, request: Request) -> Response {
    let named = door(&services).and_then(|door| Ok((door, key(request.uri().path())?)));
    let (gateway, key) = match named {
        Ok(named) => named,
        Err(why) => return refuse_to_writer(&why),
    };
    let deleted = tokio::task::spawn_blocking(move || gateway.delete(&key)).await;
    match deleted {
        // One that is not there is deleted already.
        Ok(Ok(_)) => StatusCode::ACCEPTED.into_response(),
        Ok(Err(why)) => refuse_to_writer(&refusal(&PushError::Store(why))),
        Err(_) => refuse_to_writer(&Refused::Failed(
            "deleting this group made a part of Yagura fail; the rest goes on".to_owned(),
        )),
    }
}

fn refusal(why: &PushError) -> Refused {
    let sentence = why.to_string();
    match why {
        PushError::Inconsistent(_) => Refused::Bad(sentence),
        PushError::Limit(_) => Refused::TooLarge(sentence),
        PushError::Store(StoreError::NoSpace(_)) => Refused::Full(sentence),
        PushError::Store(_) => Refused::Failed(sentence),
    }
}

/// All groups, in the shape of Pushgateway's own API.
async fn groups(State(services): State<Arc<Services>>) -> Result<Response, ApiError> {
    let shown = ask::blocking(&services, |services| {
        let gateway = services.gateway.as_ref();
        let groups = gateway.map(|gateway| gateway.groups());
        groups.unwrap_or_default().iter().map(shown).collect()
    });
    let data: Vec<Value> = shown.await?;
    Ok(axum::Json(json!({ "status": "success", "data": data })).into_response())
}

fn shown(group: &GroupView) -> Value {
    let mut out = Map::new();
    let labels: BTreeMap<&str, &str> = pairs(&group.labels).collect();
    out.insert("labels".to_owned(), json!(labels));
    let successful = group.pushed_ms > group.failed_ms;
    out.insert("last_push_successful".to_owned(), json!(successful));
    for pushed in &group.families {
        let family = &pushed.family;
        let metrics = family.metrics.iter().map(|metric| {
            let labels: BTreeMap<&str, &str> = pairs(&metric.labels).collect();
            let steps = |steps: &[(f64, f64)]| {
                let steps = steps.iter().map(|(at, n)| (number(*at), number(*n)));
                steps.collect::<BTreeMap<_, _>>()
            };
            match metric.numbers(family.kind) {
                Ok(Numbers::Value(value)) => json!({ "labels": labels, "value": number(value) }),
                Ok(Numbers::Summary {
                    count,
                    sum,
                    quantiles,
                }) => json!({
                    "labels": labels, "count": number(count), "sum": number(sum),
                    "quantiles": steps(&quantiles),
                }),
                Ok(Numbers::Histogram {
                    count,
                    sum,
                    buckets,
                }) => json!({
                    "labels": labels, "count": number(count), "sum": number(sum),
                    "buckets": steps(&buckets),
                }),
                // It was read when it was pushed.
                Err(why) => json!({ "labels": labels, "error": why.to_string() }),
            }
        });
        let family = json!({
            "time_stamp": time::rfc3339_ms(pushed.pushed_ms),
            "type": family.kind.as_str(),
            "help": family.help,
            "metrics": metrics.collect::<Vec<_>>(),
        });
        out.insert(pushed.family.name.clone(), family);
    }
    Value::Object(out)
}

fn pairs(labels: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().map(|(name, value)| (&**name, &**value))
}

/// A number as Prometheus writes it.
fn number(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    number.to_string()
}
