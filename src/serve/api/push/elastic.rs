//! Elasticsearch's side for senders: `_bulk`, and the questions that Filebeat, Logstash, Vector
//! and Fluent Bit ask before they send.
//!
//! Everything stands at the root, where senders look by default, and under `/elasticsearch` and
//! `/insert/elasticsearch`. Templates, policies and pipelines are acknowledged and have no effect:
//! Yagura needs none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use receive::inflate::Encoding;
use receive::{Protocol, Push, Refused, elastic};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Taken, refuse, take};
use crate::Services;

const PREFIXES: [&str; 3] = ["", "/elasticsearch", "/insert/elasticsearch"];
/// The version that senders are told: they refuse servers that are older than themselves, and
/// what they ask of newer ones is the same.
const VERSION: &str = "8.17.0";
/// Clients refuse servers that do not say this.
const PRODUCT: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-elastic-product"),
    HeaderValue::from_static("Elasticsearch"),
);
/// Things that are managed by name, and that are all there already.
const MANAGED: [&str; 8] = [
    "_ilm/policy",
    "_index_template",
    "_component_template",
    "_template",
    "_ingest/pipeline",
    "_data_stream",
    "_alias",
    "_slm/policy",
];

pub(super) fn router() -> Router<Arc<Services>> {
    let mut router = Router::new();
    for prefix in PREFIXES {
        for thing in MANAGED {
            router = router
                .route(&format!("{prefix}/{thing}"), any(managed))
                .route(&format!("{prefix}/{thing}/{{name}}"), any(managed));
        }
        if !prefix.is_empty() {
            router = router
                .route(prefix, get(hello))
                .route(&format!("{prefix}/"), get(hello));
        }
        router = router
            .route(&format!("{prefix}/_license"), get(license))
            .route(&format!("{prefix}/_xpack"), get(xpack))
            .route(&format!("{prefix}/_cluster/health"), get(health))
            .route(&format!("{prefix}/_bulk"), post(bulk).put(bulk))
            .route(
                &format!("{prefix}/{{index}}/_bulk"),
                post(bulk_into).put(bulk_into),
            );
    }
    router
}

/// Answers `GET /` to clients of Elasticsearch, which want JSON; browsers get the first page.
pub(crate) async fn greet(request: Request, next: Next) -> Response {
    let is_asked = matches!(*request.method(), Method::GET | Method::HEAD)
        && request.uri().path() == "/"
        && request
            .headers()
            .get(header::ACCEPT)
            .and_then(|types| types.to_str().ok())
            .is_some_and(|types| types.contains("json") && !types.contains("text/html"));
    if is_asked {
        hello().await
    } else {
        next.run(request).await
    }
}

fn answer(body: &Value) -> Response {
    ([PRODUCT], axum::Json(body)).into_response()
}

async fn hello() -> Response {
    answer(&json!({
        "name": "yagura",
        "cluster_name": "yagura",
        "cluster_uuid": "yagura",
        "version": {
            "number": VERSION,
            "build_flavor": "default",
            "build_type": "tar",
            "build_hash": "yagura",
            "build_date": "2024-12-11T12:08:05.663969764Z",
            "build_snapshot": false,
            "lucene_version": "9.12.0",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    }))
}

async fn license() -> Response {
    answer(&json!({"license": {
        "status": "active", "uid": "yagura", "type": "basic", "issued_to": "yagura",
        "issuer": "yagura", "max_nodes": 1, "start_date_in_millis": -1,
    }}))
}

async fn xpack() -> Response {
    answer(&json!({
        "build": {"hash": "yagura", "date": "2024-12-11T12:08:05.663Z"},
        "license": {"uid": "yagura", "type": "basic", "mode": "basic", "status": "active"},
        "features": {
            "ilm": {"available": true, "enabled": true},
            "data_streams": {"available": true, "enabled": true},
        },
        "tagline": "You know, for X",
    }))
}

async fn health() -> Response {
    answer(&json!({
        "cluster_name": "yagura", "status": "green", "timed_out": false,
        "number_of_nodes": 1, "number_of_data_nodes": 1,
    }))
}

/// What is asked for is there, and what is to be made is made.
async fn managed(method: Method) -> Response {
    match method {
        Method::GET | Method::HEAD => answer(&json!({})),
        _ => answer(&json!({"acknowledged": true})),
    }
}

async fn bulk(State(services): State<Arc<Services>>, request: Request) -> Response {
    take_bulk(&services, None, request).await
}

async fn bulk_into(
    State(services): State<Arc<Services>>,
    Path(index): Path<String>,
    request: Request,
) -> Response {
    take_bulk(&services, Some(index), request).await
}

#[derive(Serialize)]
struct BulkAnswer<'a> {
    took: u128,
    errors: bool,
    items: Vec<BTreeMap<&'static str, ItemAnswer<'a>>>,
}

/// What became of one action, in Elasticsearch's words.
#[derive(Serialize)]
struct ItemAnswer<'a> {
    #[serde(rename = "_index")]
    index: &'a str,
    #[serde(rename = "_id", skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ItemError<'a>>,
}

#[derive(Serialize)]
struct ItemError<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    reason: &'a str,
}

fn item_answer(item: &elastic::Item) -> BTreeMap<&'static str, ItemAnswer<'_>> {
    let error = item.error.as_deref().map(|reason| ItemError {
        kind: "document_parsing_exception",
        reason,
    });
    let answer = ItemAnswer {
        index: &item.index,
        id: item.id.as_deref(),
        status: if error.is_some() { 400 } else { 201 },
        result: error.is_none().then_some("created"),
        error,
    };
    BTreeMap::from([(item.action, answer)])
}

async fn take_bulk(services: &Services, index: Option<String>, request: Request) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let decode = move |push: &mut Push, body: &[u8], encoding: Encoding| {
        elastic::decode(push, body, encoding, index.as_deref())
    };
    match take(services, &parts, body, Protocol::Elastic, decode).await {
        Ok(Taken {
            value, rejected, ..
        }) => {
            let body = BulkAnswer {
                took: started.elapsed().as_millis(),
                errors: rejected.is_some(),
                items: value.iter().map(item_answer).collect(),
            };
            ([PRODUCT], axum::Json(body)).into_response()
        }
        Err(why) => {
            let mut response = refuse(&why, "application/json", error_body(&why));
            let (name, value) = PRODUCT;
            response.headers_mut().insert(name, value);
            response
        }
    }
}

fn error_body(why: &Refused) -> Vec<u8> {
    let (kind, status) = match why {
        Refused::Bad(_) => ("illegal_argument_exception", 400),
        Refused::TooLarge(_) => ("content_too_long_exception", 413),
        Refused::Unsupported(_) => ("media_type_header_exception", 415),
        Refused::Full(_) => ("es_rejected_execution_exception", 429),
        Refused::Failed(_) => ("unavailable_shards_exception", 503),
    };
    json!({"error": {"type": kind, "reason": why.to_string()}, "status": status})
        .to_string()
        .into_bytes()
}
