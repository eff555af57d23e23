//! `/api/v2/alerts` and `/api/v2/alerts/groups`: what fires, and alerts that others send.

use std::collections::BTreeMap;
use std::sync::Arc;

use alert_notify::{AlertView, PostedAlert};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use model::{Alert, Labels, MatchOp, Matcher, time};
use serde::{Deserialize, Serialize};

use super::{GettableAlert, Name, Refusal, filters, map, switch, time_ms, with_notifier};
use crate::Services;
use crate::request::Params;

/// What a list leaves out.
struct Wanted {
    matchers: Vec<Matcher>,
    receiver: Option<Matcher>,
    active: bool,
    silenced: bool,
    inhibited: bool,
    muted: bool,
}

impl Wanted {
    fn read(params: &Params) -> Result<Self, Refusal> {
        let receiver = match params.text("receiver") {
            "" => None,
            pattern => Some(
                Matcher::new("receiver", MatchOp::Regex, pattern)
                    .map_err(|error| Refusal::bad(error.to_string()))?,
            ),
        };
        Ok(Self {
            matchers: filters(params)?,
            receiver,
            active: switch(params, "active")?,
            silenced: switch(params, "silenced")?,
            inhibited: switch(params, "inhibited")?,
            muted: switch(params, "muted")?,
        })
    }

    fn takes(&self, view: &AlertView) -> bool {
        (self.active || view.is_suppressed())
            && (self.silenced || view.silenced_by.is_empty())
            && (self.inhibited || view.inhibited_by.is_empty())
            && (self.muted || view.muted_by.is_empty())
            && self
                .matchers
                .iter()
                .all(|m| m.matches_labels(&view.alert.labels))
    }

    fn takes_receiver(&self, name: &str) -> bool {
        self.receiver.as_ref().is_none_or(|m| m.matches(name))
    }
}

/// `GET /api/v2/alerts`
pub(super) async fn list(
    State(services): State<Arc<Services>>,
    uri: Uri,
) -> Result<Json<Vec<GettableAlert>>, Refusal> {
    let wanted = Wanted::read(&Params::parse(uri.query().unwrap_or_default()))?;
    let views = with_notifier(&services, alert_notify::Notifier::alerts).await?;
    let list = views
        .into_iter()
        .filter(|view| wanted.takes(view))
        .filter(|view| {
            view.receivers
                .iter()
                .any(|name| wanted.takes_receiver(name))
        });
    Ok(Json(list.map(GettableAlert::from).collect()))
}

/// A group of alerts as the API gives it.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    alerts: Vec<GettableAlert>,
    labels: BTreeMap<String, String>,
    receiver: Name,
}

/// `GET /api/v2/alerts/groups`
pub(super) async fn groups(
    State(services): State<Arc<Services>>,
    uri: Uri,
) -> Result<Json<Vec<Group>>, Refusal> {
    let wanted = Wanted::read(&Params::parse(uri.query().unwrap_or_default()))?;
    let mut groups = with_notifier(&services, alert_notify::Notifier::groups).await?;
    groups.sort_by(|a, b| (&a.labels, &a.receiver).cmp(&(&b.labels, &b.receiver)));
    let mut result = Vec::new();
    for group in groups {
        if !wanted.takes_receiver(&group.receiver) {
            continue;
        }
        let alerts: Vec<GettableAlert> = group
            .alerts
            .into_iter()
            .filter(|view| wanted.takes(view))
            .map(GettableAlert::from)
            .collect();
        if !alerts.is_empty() {
            result.push(Group {
                alerts,
                labels: map(&group.labels),
                receiver: Name {
                    name: group.receiver.to_string(),
                },
            });
        }
    }
    Ok(Json(result))
}

/// An alert as Prometheus and amtool send it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostableAlert {
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    starts_at: Option<String>,
    ends_at: Option<String>,
    #[serde(rename = "generatorURL")]
    generator_url: Option<String>,
}

impl PostableAlert {
    fn read(self, now_ms: i64) -> Result<PostedAlert, Refusal> {
        let starts_at = time_ms("startsAt", self.starts_at.as_deref())?;
        let ends_at = time_ms("endsAt", self.ends_at.as_deref())?;
        if self.labels.keys().any(String::is_empty) {
            return Err(Refusal::bad("a label has no name"));
        }
        let labels = Labels::from_pairs(self.labels);
        if labels.is_empty() {
            return Err(Refusal::bad("an alert needs at least one label"));
        }
        let starts_at_ms = starts_at.or(ends_at).unwrap_or(now_ms);
        if ends_at.is_some_and(|ends_at| ends_at < starts_at_ms) {
            return Err(Refusal::bad(format!("{labels}: it ends before it starts")));
        }
        Ok(PostedAlert {
            alert: Alert {
                labels,
                annotations: Labels::from_pairs(self.annotations.unwrap_or_default()),
                starts_at_ms,
                ends_at_ms: ends_at.unwrap_or(now_ms),
                generator_url: self.generator_url.unwrap_or_default(),
            },
            has_end: ends_at.is_some(),
        })
    }
}

/// `POST /api/v2/alerts`: those that are valid are taken, also where others are not.
pub(super) async fn receive(
    State(services): State<Arc<Services>>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let bad = |error: serde_json::Error| Refusal::bad(format!("cannot read the alerts: {error}"));
    let posted: Vec<PostableAlert> = serde_json::from_slice(&body).map_err(bad)?;
    let now_ms = time::now_ms();
    let (mut alerts, mut mistakes) = (Vec::new(), Vec::new());
    for alert in posted {
        match alert.read(now_ms) {
            Ok(alert) => alerts.push(alert),
            Err(Refusal(_, message)) => mistakes.push(message),
        }
    }
    with_notifier(&services, |notifier| notifier.post(alerts)).await?;
    if mistakes.is_empty() {
        Ok(StatusCode::OK.into_response())
    } else {
        Err(Refusal::bad(mistakes.join("; ")))
    }
}
