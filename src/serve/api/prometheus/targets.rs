//! `/api/v1/targets`, `/api/v1/targets/metadata`, `/api/v1/scrape_pools`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use model::{Matcher, MetricMetadata, ScrapeTarget};
use serde_json::{Value, json};

use super::rules::{object, time};
use super::status::span;
use super::{Form, json};
use crate::api::error::ApiError;
use crate::{Services, ask};

/// Most series that are looked at to find the metrics of one target.
const SERIES_OF_TARGET_MAX: usize = 100_000;

/// `state` (`active`, `dropped` or `any`), `scrapePool`.
pub(super) async fn targets(
    State(services): State<Arc<Services>>,
    form: Form,
) -> Result<Response, ApiError> {
    let state = form.0.text("state").to_lowercase();
    if !matches!(state.as_str(), "" | "any" | "active" | "dropped") {
        return Err(ApiError::bad_data(format!(
            "invalid parameter \"state\": {state:?} is none of active, dropped, any"
        )));
    }
    let pool = form.0.text("scrapePool");
    let wanted = |of: &str| pool.is_empty() || pool == of;
    let mut active: Vec<Value> = Vec::new();
    if state != "dropped" {
        let targets = (services.scrape_targets)();
        let targets = targets.iter().filter(|target| wanted(&target.scrape_pool));
        active.extend(targets.map(target_json));
    }
    let mut dropped: Vec<Value> = Vec::new();
    if state != "active" {
        let targets = (services.dropped_targets)();
        let targets = targets.iter().filter(|target| wanted(&target.scrape_pool));
        dropped.extend(targets.map(|target| {
            json!({
                "discoveredLabels": object(&target.discovered_labels),
                "scrapePool": target.scrape_pool,
            })
        }));
    }
    // Fewer dropped targets may be kept than there are (`keep_dropped_targets`): the counts tell.
    Ok(json::success(&json!({
        "activeTargets": active,
        "droppedTargets": dropped,
        "droppedTargetCounts": (services.dropped_counts)(),
    })))
}

fn target_json(target: &ScrapeTarget) -> Value {
    json!({
        "discoveredLabels": object(&target.discovered_labels),
        "labels": object(&target.labels),
        "scrapePool": target.scrape_pool,
        "scrapeUrl": target.scrape_url,
        "globalUrl": target.scrape_url,
        "lastError": target.last_error,
        "lastScrape": time(target.last_scrape_ms),
        "lastScrapeDuration": target.last_scrape_duration_s,
        "health": target.health.as_str(),
        "scrapeInterval": span(target.interval_ms),
        "scrapeTimeout": span(target.timeout_ms),
    })
}

/// The jobs that have targets.
pub(super) async fn scrape_pools(State(services): State<Arc<Services>>) -> Response {
    let targets = (services.scrape_targets)();
    let pools: BTreeSet<&str> = targets.iter().map(|t| t.scrape_pool.as_str()).collect();
    json::success(&json!({ "scrapePools": pools }))
}

/// `match_target` (a selector over the targets' labels), `metric`, `limit`: what the metrics of
/// each target mean.
pub(super) async fn metadata(
    State(services): State<Arc<Services>>,
    form: Form,
) -> Result<Response, ApiError> {
    let limit = form.limit("limit")?.unwrap_or(usize::MAX);
    let metric = form.0.text("metric").to_owned();
    let matchers = match form.0.text("match_target") {
        "" => Vec::new(),
        text => promql::parse_selector(text).map_err(|error| {
            ApiError::bad_data(format!("invalid parameter \"match_target\": {error}"))
        })?,
    };
    let found = ask::blocking(&services, move |services| {
        let known = services.series.metadata();
        let targets = (services.scrape_targets)();
        let mut found: Vec<Value> = Vec::new();
        for target in targets.iter().filter(|target| fits(&matchers, target)) {
            let names = metrics_of(services, target, &metric, &known)?;
            for (name, meaning) in names {
                if found.len() >= limit {
                    return Ok(found);
                }
                let mut entry = json!({
                    "target": object(&target.labels),
                    "type": meaning.kind.as_str(),
                    "help": meaning.help,
                    "unit": meaning.unit,
                });
                if metric.is_empty() {
                    entry["metric"] = json!(name);
                }
                found.push(entry);
            }
        }
        Ok::<_, model::StoreError>(found)
    })
    .await??;
    if found.is_empty() {
        return Err(ApiError::not_found("specified metadata not found"));
    }
    Ok(json::success(&found))
}

fn fits(matchers: &[Matcher], target: &ScrapeTarget) -> bool {
    let value = |name: &str| target.labels.get(name).unwrap_or_default();
    matchers.iter().all(|one| one.matches(value(&one.name)))
}

/// The families that a target has series of. What they mean is known by name, not by target: where
/// two targets say different things, the last word counts for both.
fn metrics_of<'k>(
    services: &Services,
    target: &ScrapeTarget,
    metric: &str,
    known: &'k BTreeMap<String, MetricMetadata>,
) -> Result<BTreeMap<&'k str, &'k MetricMetadata>, model::StoreError> {
    let mut matchers: Vec<Matcher> = target
        .labels
        .iter()
        .map(|label| Matcher::equal(label.name.clone(), label.value.clone()))
        .collect();
    if !metric.is_empty() {
        let Some((name, meaning)) = known.get_key_value(metric) else {
            return Ok(BTreeMap::new());
        };
        matchers.push(Matcher::equal(model::METRIC_NAME, metric));
        let (start, end) = (i64::MIN / 2, i64::MAX / 2);
        let (series, _) = services.series.series(&matchers, start, end, 1)?;
        return Ok(series
            .first()
            .map(|_| (name.as_str(), meaning))
            .into_iter()
            .collect());
    }
    let now_ms = model::time::now_ms();
    let lookback_ms = services.engine.options().lookback_ms;
    let (series, _) = services.series.series(
        &matchers,
        now_ms - lookback_ms,
        now_ms,
        SERIES_OF_TARGET_MAX,
    )?;
    let names = series.iter().filter_map(|labels| labels.metric_name());
    Ok(names
        .filter_map(|name| known.get_key_value(family(known, name)))
        .map(|(name, meaning)| (name.as_str(), meaning))
        .collect())
}

/// The family of a series' name: itself, or without what histograms and summaries add.
fn family<'n>(known: &BTreeMap<String, MetricMetadata>, name: &'n str) -> &'n str {
    if known.contains_key(name) {
        return name;
    }
    let stems = ["_bucket", "_count", "_sum", "_total", "_created", "_info"];
    let stem = stems.iter().find_map(|suffix| name.strip_suffix(suffix));
    stem.unwrap_or(name)
}
