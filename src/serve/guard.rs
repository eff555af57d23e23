//! What stands between the network and the handlers, from the outside in:
//!
//! 1. [`measure`] counts requests and their time by route.
//! 2. [`harden`] gives every answer the headers that keep foreign content out.
//! 3. [`admit`] refuses foreign hosts and origins. Yagura has no login on localhost, so a page of
//!    another site must not be able to reach it: not by a name that resolves to 127.0.0.1 (DNS
//!    rebinding, seen by the `Host` header), not by a form or WebSocket (seen by `Origin`).
//! 4. [`contain`] turns a handler's panic into an answer with status 500 and counts it: a page, or
//!    what programs understand.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use crate::metrics::{RequestLabels, RouteLabels};
use crate::request::Visit;
use crate::{Services, shell};

/// Largest body that a handler takes, bytes: a long PromQL query is a few KB. Routes that receive
/// data set limits of their own.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

/// No inline script, no inline style, nothing from elsewhere, in nobody's frame.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// Headers of every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Counts a request and the time until its answer's head.
pub(crate) async fn measure(
    State(services): State<Arc<Services>>,
    request: Request,
    next: Next,
) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let start = Instant::now();
    let response = next.run(request).await;
    let status = match response.status().as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    let metrics = &services.metrics;
    metrics
        .request_duration
        .get_or_create(&RouteLabels {
            route: route.clone(),
        })
        .observe(start.elapsed().as_secs_f64());
    metrics
        .requests
        .get_or_create(&RequestLabels { route, status })
        .inc();
    response
}

/// Adds the headers that keep foreign content out.
pub(crate) async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Lets a request in, or says why not.
pub(crate) async fn admit(
    State(services): State<Arc<Services>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    match check(&parts, &services.allowed_hosts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(sentence) => {
            services.metrics.refused.inc();
            (StatusCode::FORBIDDEN, format!("{sentence}\n")).into_response()
        }
    }
}

/// Answers for a handler that panics.
pub(crate) async fn contain(
    State(services): State<Arc<Services>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let speech = Speech::of(parts.uri.path());
    let visit = Visit::of(&parts);
    let answer = next.run(Request::from_parts(parts, body));
    // The panic itself was reported by the process' panic hook.
    if let Ok(response) = AssertUnwindSafe(answer).catch_unwind().await {
        return response;
    }
    services.metrics.panics.inc();
    tracing::error!(path = %visit.path, "a request handler panicked");
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    let sentence = "A part of Yagura failed while it answered this request. \
        The rest goes on; the reason is in the process' own log.";
    match speech {
        Speech::Json => {
            let body = serde_json::json!({
                "status": "error", "errorType": "internal", "error": sentence,
            });
            (status, axum::Json(body)).into_response()
        }
        Speech::Text => (status, format!("{sentence}\n")).into_response(),
        Speech::Page => shell::refuse(
            &services,
            visit,
            status,
            "Something broke in here",
            sentence,
        ),
    }
}

/// Paths of others' protocols: those who ask there are programs, and show people the text that
/// they get.
const FOREIGN: [&str; 7] = [
    "/loki/",
    "/insert/",
    "/otlp/",
    "/v1/",
    "/elasticsearch/",
    "/metrics/job/",
    "/metrics/job@base64/",
];

/// What the one who asks understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    /// Prometheus' envelope.
    Json,
    /// A sentence.
    Text,
    /// A page for people.
    Page,
}

impl Speech {
    fn of(path: &str) -> Self {
        if path.starts_with("/api/") {
            Self::Json
        } else if FOREIGN.iter().any(|prefix| path.starts_with(prefix)) {
            Self::Text
        } else {
            Self::Page
        }
    }
}

fn check(parts: &Parts, allowed_hosts: &[String]) -> Result<(), String> {
    // HTTP/2 carries the host in the URI. Who sends none is no browser.
    let authority = parts
        .uri
        .authority()
        .map(axum::http::uri::Authority::as_str)
        .or_else(|| text(&parts.headers, &header::HOST));
    if let Some(authority) = authority
        && !is_allowed(host_of(authority), allowed_hosts)
    {
        return Err(format!(
            "the host name {:?} is not one of Yagura's: use localhost or an IP address, or add it to allowed_hosts in the configuration",
            host_of(authority)
        ));
    }
    let reads_only = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if reads_only && !parts.headers.contains_key(header::UPGRADE) {
        return Ok(());
    }
    // Browsers always send Origin here; whoever sends none is no page of another site.
    match text(&parts.headers, &header::ORIGIN) {
        None if parts.headers.contains_key(header::ORIGIN) => {
            Err("the Origin header is not readable".to_owned())
        }
        None => Ok(()),
        Some(origin) => {
            let from = origin
                .split_once("://")
                .map_or("", |(_, authority)| authority);
            match authority {
                Some(here) if from.eq_ignore_ascii_case(here) => Ok(()),
                _ => Err(format!("a page of {origin:?} may not change anything here")),
            }
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The host of `host:port`, `[::1]:port` or `host`.
fn host_of(authority: &str) -> &str {
    let authority = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(host, _)| host);
    }
    authority
        .split_once(':')
        .map_or(authority, |(host, _)| host)
}

fn is_allowed(host: &str, allowed_hosts: &[String]) -> bool {
    let host = host.trim_end_matches('.');
    // A name under .localhost never leaves the machine (RFC 6761).
    let local = |h: &str| h.eq_ignore_ascii_case("localhost");
    local(host)
        || host.rsplit_once('.').is_some_and(|(_, last)| local(last))
        || host.parse::<IpAddr>().is_ok()
        || allowed_hosts
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(method: &str, headers: &[(&str, &str)]) -> Result<(), String> {
        let mut request = axum::http::Request::builder().method(method).uri("/alerts");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        check(&parts, &["yagura.lan".to_owned()])
    }

    #[test]
    fn programs_are_not_answered_with_pages() {
        let check = |path: &str, speech| assert_eq!(Speech::of(path), speech, "{path}");
        check("/api/v1/query", Speech::Json);
        check("/loki/api/v1/query_range", Speech::Text);
        check("/insert/jsonline", Speech::Text);
        check("/v1/logs", Speech::Text);
        check("/metrics/job/backup", Speech::Text);
        check("/metrics/job", Speech::Page);
        check("/logs", Speech::Page);
        check("/lokistatus", Speech::Page);
    }

    #[test]
    fn only_own_names_are_answered() {
        for host in [
            "localhost:9849",
            "LOCALHOST",
            "127.0.0.1:9849",
            "[::1]:9849",
            "192.168.1.4",
            "yagura.lan:80",
            "Yagura.LAN.",
            "pi.localhost",
        ] {
            assert_eq!(verdict("GET", &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io:9849",
            "evil.example@",
            "",
        ] {
            assert!(verdict("GET", &[("host", host)]).is_err(), "{host}");
        }
    }

    #[test]
    fn changes_come_from_own_pages_only() {
        let here = ("host", "localhost:9849");
        let check = |method: &str, headers: &[(&str, &str)], fine: bool| {
            let headers: Vec<_> = [here].iter().chain(headers).copied().collect();
            assert_eq!(
                verdict(method, &headers).is_ok(),
                fine,
                "{method} {headers:?}"
            );
        };
        check("POST", &[], true);
        check("POST", &[("origin", "http://localhost:9849")], true);
        check("POST", &[("origin", "https://localhost:9849")], true);
        check("POST", &[("origin", "http://localhost:3000")], false);
        check("POST", &[("origin", "http://evil.example")], false);
        check("POST", &[("origin", "null")], false);
        check("GET", &[("origin", "http://evil.example")], true);
        let socket = ("upgrade", "websocket");
        check("GET", &[socket, ("origin", "http://evil.example")], false);
        check("GET", &[socket, ("origin", "http://localhost:9849")], true);
    }
}
