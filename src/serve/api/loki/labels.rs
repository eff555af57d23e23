//! `/loki/api/v1/labels`, `/label/{name}/values`, `/series` and `/detected_labels`.
//!
//! Streams have no label `level`, but selectors can ask for the level of lines by it: so it is in
//! the list of labels, and its values are the levels that there are lines of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use log_query::logql;
use log_query::{Direction, LEVEL, Search, Stop};
use model::{Labels, Level, Matcher, StoreError};
use serde_json::json;

use super::{Asked, LABELS_SINCE_DEFAULT_NS, Refusal, json};
use crate::{Services, ask};

/// The name under which Loki has the level that it detected.
const DETECTED_LEVEL: &str = "detected_level";

/// A label with more values than this is left to the selector in `/detected_labels`, as in Loki:
/// it helps nobody to choose.
const DETECTED_VALUES_MAX: usize = 50_000;

/// The labels of streams that fit, as far as labels tell: what a matcher says of the level of
/// lines is not asked of streams.
fn streams(
    services: &Services,
    selectors: &[Vec<Matcher>],
    start_ns: i64,
    end_ns: i64,
) -> Result<Vec<Labels>, StoreError> {
    let mut streams = services.logs.streams(start_ns, end_ns)?;
    if !selectors.is_empty() {
        streams.retain(|labels| selectors.iter().any(|selector| fits(selector, labels)));
    }
    Ok(streams)
}

fn fits(selector: &[Matcher], labels: &Labels) -> bool {
    selector.iter().all(|matcher| {
        let of_lines =
            matches!(&*matcher.name, LEVEL | DETECTED_LEVEL) && labels.get(&matcher.name).is_none();
        of_lines || matcher.matches_labels(labels)
    })
}

/// The names of labels; `start`, `end`, `since`, `query`.
pub(super) async fn names(
    State(services): State<Arc<Services>>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (start_ns, end_ns) = asked.span_ns_or(LABELS_SINCE_DEFAULT_NS)?;
    let selectors = one(asked.selector()?);
    let streams = ask::blocking(&services, move |services| {
        streams(services, &selectors, start_ns, end_ns)
    })
    .await??;
    let mut names: BTreeSet<&str> = streams
        .iter()
        .flat_map(Labels::iter)
        .map(|label| &*label.name)
        .collect();
    if !names.is_empty() {
        names.insert(LEVEL);
    }
    Ok(json::success(&json!(names)))
}

/// The selectors of `query`: none, or one.
fn one(selector: Vec<Matcher>) -> Vec<Vec<Matcher>> {
    if selector.is_empty() {
        return Vec::new();
    }
    vec![selector]
}

/// The values of a label; `start`, `end`, `since`, `query`.
pub(super) async fn values(
    State(services): State<Arc<Services>>,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (start_ns, end_ns) = asked.span_ns_or(LABELS_SINCE_DEFAULT_NS)?;
    let selector = asked.selector()?;
    let values = ask::blocking(&services, move |services| {
        let selectors = one(selector.clone());
        let streams = streams(services, &selectors, start_ns, end_ns)?;
        let mut values: BTreeSet<String> = streams
            .iter()
            .filter_map(|labels| labels.get(&name))
            .map(str::to_owned)
            .collect();
        if matches!(name.as_str(), LEVEL | DETECTED_LEVEL) {
            values.extend(levels(services, &selector, start_ns, end_ns)?);
        }
        Ok::<_, StoreError>(values)
    })
    .await??;
    Ok(json::success(&json!(values)))
}

/// The levels that there are lines of.
fn levels(
    services: &Services,
    selector: &[Matcher],
    start_ns: i64,
    end_ns: i64,
) -> Result<Vec<String>, StoreError> {
    let search = Search {
        query: Arc::new(logql::selector_query(selector)),
        start_ns,
        end_ns,
        direction: Direction::Backward,
        limit: 1,
        after: None,
        stop: Stop::default(),
    };
    // One or two bars, whatever they are aligned to.
    let width = end_ns.saturating_sub(start_ns).max(1);
    let buckets = services.logs.histogram(&search, width)?;
    Ok(Level::ALL
        .iter()
        .filter(|level| {
            buckets
                .iter()
                .any(|bucket| bucket.counts.get(**level as usize).is_some_and(|n| *n > 0))
        })
        .map(|level| level.as_str().to_owned())
        .collect())
}

/// The label sets of streams; `match[]` (or `match`), `start`, `end`, `since`.
pub(super) async fn series(
    State(services): State<Arc<Services>>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (start_ns, end_ns) = asked.span_ns_or(LABELS_SINCE_DEFAULT_NS)?;
    let selectors = asked
        .params
        .all("match[]")
        .chain(asked.params.all("match"))
        .filter(|text| !text.is_empty())
        .map(logql::parse_selector)
        .collect::<Result<Vec<_>, _>>()?;
    let streams = ask::blocking(&services, move |services| {
        streams(services, &selectors, start_ns, end_ns)
    })
    .await??;
    let series: Vec<serde_json::Value> = streams.iter().map(object).collect();
    Ok(json::success(&json!(series)))
}

fn object(labels: &Labels) -> serde_json::Value {
    labels
        .iter()
        .map(|label| (label.name.to_string(), json!(&*label.value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// How many values each label has; `query`, `start`, `end`, `since`.
pub(super) async fn detected(
    State(services): State<Arc<Services>>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (start_ns, end_ns) = asked.span_ns_or(LABELS_SINCE_DEFAULT_NS)?;
    let selectors = one(asked.selector()?);
    let streams = ask::blocking(&services, move |services| {
        streams(services, &selectors, start_ns, end_ns)
    })
    .await??;
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for label in streams.iter().flat_map(Labels::iter) {
        values.entry(&label.name).or_default().insert(&label.value);
    }
    let detected: Vec<_> = values
        .iter()
        .filter(|(_, values)| values.len() <= DETECTED_VALUES_MAX)
        .map(|(name, values)| json!({"label": name, "cardinality": values.len()}))
        .collect();
    Ok(json::response(
        json!({"detectedLabels": detected}).to_string().into_bytes(),
    ))
}
