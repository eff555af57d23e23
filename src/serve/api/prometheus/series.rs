//! What there is: `/api/v1/labels`, `/api/v1/label/{name}/values`, `/api/v1/series`,
//! `/api/v1/metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use model::{Labels, Matcher, MetricMetadata, SeriesReader, StoreError};
use serde::Serialize;

use super::json::{self, Envelope};
use super::{Form, TIME_MS_MAX};
use crate::api::error::ApiError;
use crate::{Services, ask};

/// Most series of an answer, whatever the request says: some 100 MB of JSON.
const SERIES_MAX: usize = 200_000;

/// What a list may be restricted to.
struct Wanted {
    selectors: Vec<Vec<Matcher>>,
    /// Exclusive.
    start_ms: i64,
    /// Inclusive.
    end_ms: i64,
    limit: Option<usize>,
}

impl Wanted {
    fn of(form: &Form) -> Result<Self, ApiError> {
        let start_ms = form.time_ms("start")?.unwrap_or(-TIME_MS_MAX);
        let end_ms = form.time_ms("end")?.unwrap_or(TIME_MS_MAX);
        if end_ms < start_ms {
            return Err(ApiError::bad_data(
                "end timestamp must not be before start timestamp",
            ));
        }
        Ok(Self {
            selectors: form.selectors()?,
            start_ms: start_ms.saturating_sub(1),
            end_ms,
            limit: form.limit("limit")?,
        })
    }

    /// Asks the store once per selector, or once for everything where there is none, and joins
    /// the answers.
    fn texts(
        &self,
        ask: impl Fn(&[Matcher]) -> Result<Vec<String>, StoreError>,
    ) -> Result<(Vec<String>, bool), StoreError> {
        let mut found = BTreeSet::new();
        if self.selectors.is_empty() {
            found.extend(ask(&[])?);
        }
        for matchers in &self.selectors {
            found.extend(ask(matchers)?);
        }
        let limit = self.limit.unwrap_or(usize::MAX);
        let was_cut = found.len() > limit;
        Ok((found.into_iter().take(limit).collect(), was_cut))
    }
}

/// `match[]`, `start`, `end`, `limit`.
pub(super) async fn labels(
    State(services): State<Arc<Services>>,
    form: Form,
) -> Result<Response, ApiError> {
    let wanted = Wanted::of(&form)?;
    list(&services, move |series| {
        let names =
            |matchers: &[Matcher]| series.label_names(matchers, wanted.start_ms, wanted.end_ms);
        let (names, was_cut) = wanted.texts(names)?;
        Ok((Envelope::of(&names), was_cut))
    })
    .await
}

/// `match[]`, `start`, `end`, `limit`.
pub(super) async fn values(
    State(services): State<Arc<Services>>,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, ApiError> {
    let wanted = Wanted::of(&form)?;
    list(&services, move |series| {
        let values = |matchers: &[Matcher]| {
            series.label_values(&name, matchers, wanted.start_ms, wanted.end_ms)
        };
        let (values, was_cut) = wanted.texts(values)?;
        Ok((Envelope::of(&values), was_cut))
    })
    .await
}

/// `match[]` (at least one), `start`, `end`, `limit`.
pub(super) async fn series(
    State(services): State<Arc<Services>>,
    form: Form,
) -> Result<Response, ApiError> {
    let wanted = Wanted::of(&form)?;
    if wanted.selectors.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    list(&services, move |series| {
        let limit = wanted.limit.unwrap_or(SERIES_MAX).min(SERIES_MAX);
        let mut found: BTreeSet<Labels> = BTreeSet::new();
        let mut was_cut = false;
        for matchers in &wanted.selectors {
            let (labels, more) = series.series(matchers, wanted.start_ms, wanted.end_ms, limit)?;
            found.extend(labels);
            was_cut |= more;
        }
        was_cut |= found.len() > limit;
        let found: Vec<Labels> = found.into_iter().take(limit).collect();
        let envelope = Envelope::with(|out| json::write_list(out, &found, json::write_labels));
        Ok((envelope, was_cut))
    })
    .await
}

/// Computes a list on a blocking thread.
async fn list(
    services: &Arc<Services>,
    compute: impl FnOnce(&dyn SeriesReader) -> Result<(Envelope, bool), StoreError> + Send + 'static,
) -> Result<Response, ApiError> {
    let body = ask::blocking(services, move |services| {
        let (envelope, was_cut) = compute(&*services.series)?;
        let warnings: &[String] = if was_cut {
            &["results truncated due to limit".to_owned()]
        } else {
            &[]
        };
        Ok::<_, StoreError>(envelope.close(warnings, &[]))
    })
    .await??;
    Ok(json::response(body))
}

#[derive(Serialize)]
struct Meaning<'a> {
    r#type: &'static str,
    help: &'a str,
    unit: &'a str,
}

/// `metric`, `limit`, `limit_per_metric` (there is one meaning per metric).
pub(super) async fn metadata(
    State(services): State<Arc<Services>>,
    form: Form,
) -> Result<Response, ApiError> {
    let limit = form.limit("limit")?.unwrap_or(usize::MAX);
    let metric = form.0.get("metric").map(str::to_owned);
    let body = ask::blocking(&services, move |services| {
        let known: BTreeMap<String, MetricMetadata> = services.series.metadata();
        let meanings: BTreeMap<&str, [Meaning<'_>; 1]> = known
            .iter()
            .filter(|(name, _)| metric.as_ref().is_none_or(|metric| metric == *name))
            .take(limit)
            .map(|(name, metadata)| {
                let meaning = Meaning {
                    r#type: metadata.kind.as_str(),
                    help: &metadata.help,
                    unit: &metadata.unit,
                };
                (name.as_str(), [meaning])
            })
            .collect();
        Envelope::of(&meanings).close(&[], &[])
    })
    .await?;
    Ok(json::response(body))
}
