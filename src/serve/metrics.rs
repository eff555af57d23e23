//! What this room counts about itself.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// From a page out of memory to a query at its time-out, seconds.
const DURATION_BUCKETS_S: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// Where a request went and what became of it. Few values each: routes, not paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    /// The route's pattern, `unmatched` for none.
    pub(crate) route: String,
    /// The status code's first digit and `xx`.
    pub(crate) status: &'static str,
}

/// The route of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RouteLabels {
    /// The route's pattern, `unmatched` for none.
    pub(crate) route: String,
}

/// A PromQL query of the API and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct QueryLabels {
    /// `instant` or `range`.
    pub(crate) kind: &'static str,
    /// `success` or the type of the error.
    pub(crate) outcome: &'static str,
}

/// A kind of PromQL query.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct QueryKind {
    /// `instant` or `range`.
    pub(crate) kind: &'static str,
}

/// Counters of the HTTP side.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// HTTP requests answered, by route and class of status.
    pub(crate) requests: Family<RequestLabels, Counter>,
    /// Time until the head of the answer was ready, by route.
    pub(crate) request_duration: Family<RouteLabels, Histogram>,
    /// Requests refused because of their Host or Origin header.
    pub(crate) refused: Counter,
    /// Panics in request handlers; each was answered with status 500.
    pub(crate) panics: Counter,
    /// Log lines left out of live tails because their clients were slow.
    pub(crate) tail_lines_skipped: Counter,
    /// PromQL queries of the API, by kind and what became of them.
    pub(crate) queries: Family<QueryLabels, Counter>,
    /// Time from the request of a PromQL query to its answer, by kind.
    pub(crate) query_duration: Family<QueryKind, Histogram>,
    /// Samples that PromQL queries of the API read.
    pub(crate) query_samples: Counter,
}

impl Metrics {
    /// Registers everything.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            request_duration: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS_S)),
            refused: Counter::default(),
            panics: Counter::default(),
            tail_lines_skipped: Counter::default(),
            queries: Family::default(),
            query_duration: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS_S)),
            query_samples: Counter::default(),
        };
        registry.register(
            "yagura_serve_requests",
            "HTTP requests answered, by route and class of status",
            metrics.requests.clone(),
        );
        registry.register(
            "yagura_serve_request_duration_seconds",
            "Time until the head of the answer was ready, by route",
            metrics.request_duration.clone(),
        );
        registry.register(
            "yagura_serve_requests_refused",
            "Requests refused because of their Host or Origin header",
            metrics.refused.clone(),
        );
        registry.register(
            "yagura_serve_handler_panics",
            "Panics in request handlers, each answered with status 500",
            metrics.panics.clone(),
        );
        registry.register(
            "yagura_serve_tail_lines_skipped",
            "Log lines left out of live tails because their clients were slow",
            metrics.tail_lines_skipped.clone(),
        );
        registry.register(
            "yagura_serve_queries",
            "PromQL queries of the API, by kind and what became of them",
            metrics.queries.clone(),
        );
        registry.register(
            "yagura_serve_query_duration_seconds",
            "Time from the request of a PromQL query to its answer, by kind",
            metrics.query_duration.clone(),
        );
        registry.register(
            "yagura_serve_query_samples",
            "Samples that PromQL queries of the API read",
            metrics.query_samples.clone(),
        );
        metrics
    }
}
