//! `/api/v2/silences` and `/api/v2/silence/{id}`: what people asked to be quiet about.

use std::collections::HashMap;
use std::sync::Arc;

use alert_notify::{Silence, SilenceError, SilenceState};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use model::{MatchOp, Matcher, time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Refusal, filters, rfc3339, switch, time_ms, with_notifier};
use crate::Services;
use crate::request::Params;

/// A matcher of a silence.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiMatcher {
    #[serde(default = "yes")]
    is_equal: bool,
    is_regex: bool,
    name: String,
    value: String,
}

fn yes() -> bool {
    true
}

/// A silence as the API gives it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GettableSilence {
    id: String,
    status: Status,
    updated_at: String,
    comment: String,
    created_by: String,
    ends_at: String,
    matchers: Vec<ApiMatcher>,
    starts_at: String,
}

#[derive(Debug, Serialize)]
struct Status {
    state: &'static str,
}

impl GettableSilence {
    fn of(silence: Silence, now_ms: i64) -> Self {
        let matcher = |m: &Matcher| ApiMatcher {
            is_equal: matches!(m.op, MatchOp::Equal | MatchOp::Regex),
            is_regex: matches!(m.op, MatchOp::Regex | MatchOp::NotRegex),
            name: m.name.to_string(),
            value: m.value.to_string(),
        };
        Self {
            status: Status {
                state: silence.state_at(now_ms).as_str(),
            },
            updated_at: rfc3339(silence.updated_at_ms),
            ends_at: rfc3339(silence.ends_at_ms),
            starts_at: rfc3339(silence.starts_at_ms),
            matchers: silence.matchers.iter().map(matcher).collect(),
            id: silence.id,
            comment: silence.comment,
            created_by: silence.created_by,
        }
    }
}

impl From<SilenceError> for Refusal {
    fn from(error: SilenceError) -> Self {
        let status = match error {
            SilenceError::Invalid(_) => StatusCode::BAD_REQUEST,
            SilenceError::NotFound(_) => StatusCode::NOT_FOUND,
            SilenceError::AlreadyExpired(_) => StatusCode::CONFLICT,
            SilenceError::TooMany => StatusCode::TOO_MANY_REQUESTS,
            SilenceError::NotKept(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

/// Whether a silence is about what the filters name: the values of its own matchers are taken for
/// labels.
fn fits(silence: &Silence, filters: &[Matcher]) -> bool {
    let own: HashMap<&str, &str> = silence
        .matchers
        .iter()
        .map(|m| (&*m.name, &*m.value))
        .collect();
    filters.iter().all(|filter| {
        let value = own.get(&*filter.name);
        let negative = matches!(filter.op, MatchOp::NotEqual | MatchOp::NotRegex);
        let about_presence = filter.value.is_empty() && negative == value.is_some();
        about_presence || filter.matches(value.copied().unwrap_or_default())
    })
}

/// `GET /api/v2/silences`: those in force by their end, those to come by their start, those that
/// are over by their end, the latest first.
pub(super) async fn list(
    State(services): State<Arc<Services>>,
    uri: Uri,
) -> Result<Json<Vec<GettableSilence>>, Refusal> {
    let params = Params::parse(uri.query().unwrap_or_default());
    let matchers = filters(&params)?;
    let (active, pending, expired) = (
        switch(&params, "active")?,
        switch(&params, "pending")?,
        switch(&params, "expired")?,
    );
    let now_ms = time::now_ms();
    let mut silences = with_notifier(&services, alert_notify::Notifier::silences).await?;
    silences.retain(|silence| {
        let wanted = match silence.state_at(now_ms) {
            SilenceState::Active => active,
            SilenceState::Pending => pending,
            SilenceState::Expired => expired,
        };
        wanted && fits(silence, &matchers)
    });
    silences.sort_by_key(|silence| match silence.state_at(now_ms) {
        SilenceState::Active => (0, silence.ends_at_ms),
        SilenceState::Pending => (1, silence.starts_at_ms),
        SilenceState::Expired => (2, -silence.ends_at_ms),
    });
    let list = silences.into_iter().map(|s| GettableSilence::of(s, now_ms));
    Ok(Json(list.collect()))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostableSilence {
    #[serde(default)]
    id: Option<String>,
    matchers: Vec<ApiMatcher>,
    starts_at: String,
    ends_at: String,
    created_by: String,
    comment: String,
}

/// `POST /api/v2/silences`: makes one, or changes the one whose id is given.
pub(super) async fn set(
    State(services): State<Arc<Services>>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let bad = |error: serde_json::Error| Refusal::bad(format!("cannot read the silence: {error}"));
    let posted: PostableSilence = serde_json::from_slice(&body).map_err(bad)?;
    let missing = |key: &str| Refusal::bad(format!("{key} is missing"));
    let matcher = |m: ApiMatcher| {
        let op = match (m.is_regex, m.is_equal) {
            (false, true) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (true, false) => MatchOp::NotRegex,
        };
        Matcher::new(m.name, op, m.value).map_err(|error| Refusal::bad(error.to_string()))
    };
    let silence = Silence {
        id: posted.id.unwrap_or_default(),
        matchers: posted
            .matchers
            .into_iter()
            .map(matcher)
            .collect::<Result<_, _>>()?,
        starts_at_ms: time_ms("startsAt", Some(&posted.starts_at))?
            .ok_or_else(|| missing("startsAt"))?,
        ends_at_ms: time_ms("endsAt", Some(&posted.ends_at))?.ok_or_else(|| missing("endsAt"))?,
        updated_at_ms: 0,
        created_by: posted.created_by,
        comment: posted.comment,
    };
    let id = with_notifier(&services, |notifier| notifier.set_silence(silence)).await??;
    Ok(Json(json!({ "silenceID": id })))
}

/// `GET /api/v2/silence/{id}`
pub(super) async fn one(
    State(services): State<Arc<Services>>,
    Path(id): Path<String>,
) -> Result<Json<GettableSilence>, Refusal> {
    let silence = with_notifier(&services, move |notifier| notifier.silence(&id)).await??;
    Ok(Json(GettableSilence::of(silence, time::now_ms())))
}

/// `DELETE /api/v2/silence/{id}`: ends it.
pub(super) async fn expire(
    State(services): State<Arc<Services>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    with_notifier(&services, move |notifier| notifier.expire_silence(&id)).await??;
    Ok(StatusCode::OK)
}
