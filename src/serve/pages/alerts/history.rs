//! `/alerts/history`: what fired, newest first, by day.

use std::sync::Arc;

use alert_evidence::{Evidence, sparkline};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use model::Label;
use state_store::Incident;

use super::off;
use crate::request::Visit;
use crate::shell::{Page, Shell, render};
use crate::{Services, humanize};

/// Incidents of one page.
const ROWS_MAX: usize = 100;

/// Characters of a row's curve.
const WIDTH: usize = 24;

#[derive(Template)]
#[template(path = "alert_history.html")]
struct HistoryPage {
    shell: Shell,
    days: Vec<Day>,
    q: String,
    /// Where older ones are; empty where there are none.
    older: String,
    is_first: bool,
    error: String,
}

/// The incidents of a day.
struct Day {
    title: String,
    rows: Vec<Row>,
}

struct Row {
    fingerprint: String,
    name: String,
    labels: Vec<Label>,
    summary: String,
    started_ms: i64,
    /// `12 m`, or empty while it fires.
    lasted: String,
    curve: String,
    risen: String,
}

/// Draws the page.
pub(super) async fn page(State(services): State<Arc<Services>>, visit: Visit) -> Response {
    let before = visit.params.text("before").parse::<i64>().ok();
    let asked = before.unwrap_or(i64::MAX);
    let found = off(&services, move |services| {
        services.state.incidents_before(asked, ROWS_MAX + 1)
    })
    .await;
    let (mut found, error) = match found {
        Some(Ok(found)) => (found, String::new()),
        Some(Err(error)) => (Vec::new(), error.to_string()),
        None => (Vec::new(), "reading the history failed".to_owned()),
    };
    let more = found.len() > ROWS_MAX;
    found.truncate(ROWS_MAX);
    let q = visit.params.text("q").to_owned();
    let needle = q.to_lowercase();
    let older = match found.last() {
        Some(last) if more => visit
            .params
            .with(&[("before", &last.started_ms.to_string())]),
        _ => String::new(),
    };
    let mut days: Vec<Day> = Vec::new();
    for incident in found {
        let row = Row::new(&incident);
        if !row.says(&needle) {
            continue;
        }
        let title = Timestamp::from_millisecond(row.started_ms).map_or_else(
            |_| String::new(),
            |time| {
                let local = time.to_zoned_datetime(visit.zone.clone());
                local.strftime("%A, %-d %B %Y").to_string()
            },
        );
        match days.last_mut() {
            Some(day) if day.title == title => day.rows.push(row),
            _ => days.push(Day {
                title,
                rows: vec![row],
            }),
        }
    }
    let mut shell = Shell::new(&services, visit, Page::Alerts);
    "Alert history".clone_into(&mut shell.title);
    render(&HistoryPage {
        is_first: before.is_none(),
        shell,
        days,
        q,
        older,
        error,
    })
}

impl Row {
    fn new(incident: &Incident) -> Self {
        // A document that a later version wrote otherwise still has its row.
        let evidence: Evidence = serde_json::from_str(&incident.document).unwrap_or_default();
        let text = |name: &str| evidence.annotations.get(name).cloned();
        let name = evidence.labels.get("alertname").cloned();
        let curve = evidence.curve.as_ref();
        let risen = evidence.logs.as_ref().and_then(|logs| logs.risen.first());
        Self {
            fingerprint: incident.fingerprint.clone(),
            name: name.unwrap_or_else(|| incident.fingerprint.clone()),
            summary: text("summary")
                .or_else(|| text("description"))
                .unwrap_or_default(),
            started_ms: incident.started_ms,
            lasted: incident.ended_ms.map_or_else(String::new, |ended_ms| {
                humanize::span_ms(ended_ms - incident.started_ms)
            }),
            curve: curve.map_or_else(String::new, |curve| sparkline(&curve.values, WIDTH)),
            risen: risen.map_or_else(String::new, |r| format!("{}× {}", r.count, r.text)),
            labels: evidence
                .labels()
                .iter()
                .filter(|label| &*label.name != "alertname")
                .cloned()
                .collect(),
        }
    }

    fn says(&self, needle: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(needle);
        let labelled = |label: &Label| has(&format!("{}={}", label.name, label.value));
        needle.is_empty()
            || has(&self.name)
            || has(&self.summary)
            || has(&self.risen)
            || self.labels.iter().any(labelled)
    }
}
