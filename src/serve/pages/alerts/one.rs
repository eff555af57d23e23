//! `/alerts/{fingerprint}`: one alert, also when it is over. What it says, how its value went,
//! what the logs said around its beginning, who was told, and a form to silence it.

use std::sync::Arc;
use std::time::Duration;

use alert_evidence::{LogEvidence, POINTS, Question};
use alert_rules::AlertState;
use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use log_query::Stop;
use model::{Label, Labels};
use state_store::Told;

use super::found::{Found, find};
use super::graph::{Band, Graph, Strip, bands};
use super::silences::{Draft, Hits, matchers_text};
use super::{is_link, off, severity, tone};
use crate::html::Tone;
use crate::request::Visit;
use crate::shell::{self, Page, Shell, render};
use crate::{Services, ask, humanize};

/// The page waits no longer for logs and curve.
const PATIENCE: Duration = Duration::from_secs(8);

/// How often the page is drawn anew, seconds: it asks more than a list.
const REFRESH_S: i64 = 30;

/// The state history: a week in hours.
const WEEK_SLOTS: usize = 168;
const HOUR_MS: i64 = 3_600_000;

/// Entries of who was told.
const TOLD_MAX: usize = 50;

#[derive(Template)]
#[template(path = "alert.html")]
struct AlertPage {
    shell: Shell,
    tone: Tone,
    word: &'static str,
    severity_word: String,
    found: Found,
    labels: Vec<Label>,
    summary: String,
    description: String,
    /// Other annotations: name, text, and whether it is a link.
    annotations: Vec<(String, String, bool)>,
    runbook: Option<String>,
    value: String,
    graph: Option<Graph>,
    week: Strip,
    /// Empty where the week shows nothing.
    week_words: String,
    logs: LogEvidence,
    /// What the lines are searched with; empty where there are none to look at.
    logs_query: String,
    logs_href: String,
    metrics_href: String,
    /// How far a log rule looks back at each point of the graph; else empty.
    counted_over: String,
    told: Vec<Told>,
    /// Who would be told: receiver and its ways.
    reaches: Vec<(String, String)>,
    silenced_by: Vec<String>,
    inhibited_by: Vec<String>,
    muted_by: Vec<String>,
    draft: Draft,
    /// Counted by the script, or on the page of silences.
    hits: Option<Hits>,
}

/// Draws the page.
pub(super) async fn page(
    State(services): State<Arc<Services>>,
    Path(fingerprint): Path<String>,
    visit: Visit,
) -> Response {
    let now_ms = visit.now_ms;
    let asked = fingerprint.clone();
    let found = off(&services, move |services| find(services, &asked, now_ms)).await;
    let found = match found.unwrap_or_else(|| Err("looking for it failed".to_owned())) {
        Ok(Some(found)) => found,
        Ok(None) => {
            let sentence = "No alert with this address is pending or firing, and none is remembered: \
                 incidents are kept for 180 days.";
            let status = StatusCode::NOT_FOUND;
            return shell::refuse(&services, visit, status, "No such alert", sentence);
        }
        Err(error) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return shell::refuse(
                &services,
                visit,
                status,
                "Cannot look for this alert",
                &error,
            );
        }
    };
    let stop = Stop::default();
    let zone = visit.zone.clone();
    let work = ask::blocking(&services, {
        let stop = stop.clone();
        move |services| look(services, found, &zone, now_ms, &stop)
    });
    let work = tokio::time::timeout(PATIENCE, work);
    let looked = work.await;
    stop.stop();
    let looked = match looked {
        Ok(Ok(looked)) => looked,
        Ok(Err(error)) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let title = "Cannot show this alert";
            return shell::refuse(&services, visit, status, title, &error.to_string());
        }
        Err(_) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let sentence = "Yagura is busy with other questions. Try again in a moment.";
            return shell::refuse(&services, visit, status, "Not now", sentence);
        }
    };
    draw(&services, visit, fingerprint, looked).await
}

/// An alert with what was looked up.
struct Looked {
    found: Found,
    graph: Option<Graph>,
    week: Vec<Band>,
    logs: LogEvidence,
    told: Vec<Told>,
}

fn look(
    services: &Services,
    found: Found,
    zone: &jiff::tz::TimeZone,
    now_ms: i64,
    stop: &Stop,
) -> Looked {
    let until_ms = if found.ended_ms > 0 {
        found.ended_ms
    } else {
        now_ms
    };
    let question = Question {
        labels: &found.labels,
        rule_labels: &found.rule_labels,
        expression: &found.expression,
        is_log_rule: found.is_log_rule,
        active_at_ms: found.active_at_ms,
        until_ms,
    };
    let series = &*services.series;
    let lines = &*services.logs;
    let fresh = alert_evidence::of_alert(&question, &services.engine, series, lines, stop);
    let kept = found.kept.as_ref();
    // What is no longer stored was kept when it began.
    let curve = fresh.or_else(|| kept.and_then(|kept| kept.curve.clone()));
    let graph = curve.map(|curve| {
        let slots = curve.values.len().max(POINTS as usize);
        let (start, step) = (curve.start_ms, curve.step_ms);
        let bands = bands(services, &found.labels, start, step, slots);
        Graph::of(&curve, bands, zone.clone())
    });
    let mut logs = alert_evidence::look(&question, &*services.logs, stop);
    if logs.lines.is_empty()
        && let Some(kept) = kept.and_then(|kept| kept.logs.clone())
        && !kept.lines.is_empty()
        && kept.start_ms == logs.start_ms
    {
        logs = kept;
        "kept when the alert began: the lines themselves are no longer stored"
            .clone_into(&mut logs.note);
    }
    let week_start_ms = (now_ms / HOUR_MS - WEEK_SLOTS as i64 + 1) * HOUR_MS;
    let week = bands(
        services,
        &found.labels,
        week_start_ms + HOUR_MS,
        HOUR_MS,
        WEEK_SLOTS,
    );
    let told = services.state.told(found.labels.fingerprint(), 0, TOLD_MAX);
    Looked {
        graph,
        week,
        logs,
        told: told.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read who was told");
            Vec::new()
        }),
        found,
    }
}

async fn draw(
    services: &Arc<Services>,
    visit: Visit,
    fingerprint: String,
    looked: Looked,
) -> Response {
    let Looked {
        mut found,
        graph,
        week,
        logs,
        told,
    } = looked;
    let labels = found.labels.clone();
    let (views, reached) = off(services, move |services| {
        (
            services.notifier.alerts(),
            services.notifier.reached_by(&labels),
        )
    })
    .await
    .unwrap_or_default();
    let view = views
        .into_iter()
        .find(|v| v.alert.fingerprint() == fingerprint);
    let (silenced_by, inhibited_by, muted_by) = view.map_or_else(Default::default, |view| {
        (view.silenced_by, view.inhibited_by, view.muted_by)
    });
    let name = found
        .labels
        .get("alertname")
        .unwrap_or("(without a name)")
        .to_owned();
    let text = |labels: &Labels, name| labels.get(name).unwrap_or_default().to_owned();
    let annotations = found
        .annotations
        .iter()
        .filter(|l| !matches!(&*l.name, "summary" | "description" | "runbook_url"))
        .map(|l| (l.name.to_string(), l.value.to_string(), is_link(&l.value)));
    let count = |band| week.iter().filter(|b| **b == band).count() as u64;
    let hours = count(Band::Firing);
    let week_words = match (hours, count(Band::Pending)) {
        (0, 0) => String::new(),
        (0, n) => format!(
            "pending in {} of this week",
            humanize::things(n, "hour", "hours")
        ),
        (n, _) => format!(
            "firing in {} of this week",
            humanize::things(n, "hour", "hours")
        ),
    };
    let mut shell = Shell::new(services, visit, Page::Alerts);
    shell.title.clone_from(&name);
    shell.refresh = Some(if found.ended_ms > 0 { 0 } else { REFRESH_S });
    let range = (rfc3339(logs.start_ms), rfc3339(logs.end_ms));
    let logs_query = logs.query();
    let logs_href = link(
        "/logs",
        &[("q", &logs_query), ("from", &range.0), ("to", &range.1)],
    );
    let counted_over = match alert_evidence::looks_back(&found.expression) {
        Some(window_ms) if found.is_log_rule => humanize::span_ms(window_ms),
        _ => String::new(),
    };
    let metrics_href = if found.is_log_rule || found.expression.is_empty() {
        String::new()
    } else {
        link("/metrics-explorer", &[("q", &found.expression)])
    };
    let incidents = found.incidents.len();
    if incidents > 0 && found.ended_ms == 0 {
        // The first one is what the page shows.
        found.incidents.remove(0);
    }
    let page = AlertPage {
        tone: tone(found.state),
        word: match found.state {
            AlertState::Inactive => "over",
            state => state.as_str(),
        },
        severity_word: match severity(&found.labels) {
            3.. => "critical".to_owned(),
            _ => text(&found.labels, "severity"),
        },
        labels: found.labels.iter().cloned().collect(),
        summary: text(&found.annotations, "summary"),
        description: text(&found.annotations, "description"),
        annotations: annotations.collect(),
        runbook: Some(text(&found.annotations, "runbook_url")).filter(|url| is_link(url)),
        value: found.value.map(humanize::value).unwrap_or_default(),
        graph,
        week: Strip {
            bands: week,
            label: if week_words.is_empty() {
                "nothing this week".to_owned()
            } else {
                week_words.clone()
            },
        },
        week_words,
        logs_query,
        logs_href,
        metrics_href,
        counted_over,
        logs,
        told,
        reaches: reached
            .into_iter()
            .map(|r| (r.receiver.to_string(), r.ways.join(", ")))
            .collect(),
        silenced_by,
        inhibited_by,
        muted_by,
        draft: Draft {
            matchers: matchers_text(&found.labels),
            duration: "2h".to_owned(),
            back: format!("/alerts/{fingerprint}"),
            ..Draft::default()
        },
        hits: None,
        found,
        shell,
    };
    render(&page)
}

impl AlertPage {
    fn line_href(line: &alert_evidence::Line) -> String {
        format!(
            "/logs/at/{}/{}",
            model::time::rfc3339_ns(line.time_ns),
            line.id
        )
    }

    fn letter(level: &str) -> &'static str {
        match level {
            "fatal" => "F",
            "error" => "E",
            "warn" => "W",
            "info" => "I",
            "debug" => "D",
            "trace" => "T",
            _ => "–",
        }
    }

    fn usual(risen: &alert_evidence::Risen) -> String {
        if risen.usual < 0.5 {
            "not there in the hour before".to_owned()
        } else {
            format!("usually {:.0}", risen.usual)
        }
    }

    fn ms(line: &alert_evidence::Line) -> i64 {
        line.time_ns.div_euclid(1_000_000)
    }
}

fn rfc3339(ms: i64) -> String {
    model::time::rfc3339_ms(ms)
}

fn link(path: &str, pairs: &[(&str, &str)]) -> String {
    format!("{path}{}", crate::request::Params::default().with(pairs))
}
