//! `/alerts/rules/{id}`: one rule. Its expression as a graph, its alerts, why it can never fire
//! where it cannot, and, when asked, a rehearsal over the last days.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use alert_rules::rehearse::{Firing, Rehearsal};
use alert_rules::{GroupSnapshot, RuleKind, RuleSnapshot, Source};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use model::{Alert, Labels};
use promql::Value;
use serde_json::json;

use super::graph::{Graph, LINES_MAX};
use super::rules::{MISSING_MS, RuleView, language, rule_id};
use super::tone;
use crate::ask::{self, Steps};
use crate::html::Tone;
use crate::request::{Params, Visit};
use crate::services::Rehearse;
use crate::shell::{self, Page, Shell, render};
use crate::time_range::TimeRange;
use crate::{Services, humanize};

/// Points of the graph.
const POINTS: i64 = 120;

/// Firings that a rehearsal lists; all are counted.
const FIRINGS_SHOWN: usize = 50;

/// The spans that may be rehearsed, and their days.
const SPANS: [(&str, i64); 3] = [("1d", 1), ("7d", 7), ("30d", 30)];

const DAY_MS: i64 = 86_400_000;

#[derive(Template)]
#[template(path = "alert_rule.html")]
struct RulePage {
    shell: Shell,
    rule: RuleView,
    group: String,
    file: String,
    interval: String,
    language: &'static str,
    keep: String,
    labels: Labels,
    /// Annotation templates as written.
    annotations: Labels,
    alerts: Vec<Active>,
    is_alert: bool,
    graph: Option<Graph>,
    /// Series of the graph's expression.
    n_series: usize,
    graph_error: String,
    metrics_href: String,
    rehearsed: Option<Rehearsed>,
}

/// An alert of the rule.
struct Active {
    fingerprint: String,
    tone: Tone,
    word: &'static str,
    labels: Labels,
    value: String,
    since_ms: i64,
}

/// A rehearsal as the page shows it.
struct Rehearsed {
    span: String,
    /// `would have fired 3 times`
    sentence: String,
    firings: Vec<Firing>,
    more: usize,
    error: String,
    step: String,
}

/// Draws the page.
pub(super) async fn page(
    State(services): State<Arc<Services>>,
    Path(id): Path<String>,
    visit: Visit,
) -> Response {
    let groups = (services.rule_groups)();
    let Some((group, rule)) = named(&groups, &id) else {
        let sentence =
            "No rule has this address now: its file, group, name or expression has changed.";
        return shell::refuse(
            &services,
            visit,
            StatusCode::NOT_FOUND,
            "No such rule",
            sentence,
        );
    };
    let now_ms = visit.now_ms;
    let asked = rule.clone();
    let zone = visit.zone.clone();
    let drawn = ask::blocking(&services, move |services| {
        let (start_ms, end_ms) = (now_ms - MISSING_MS, now_ms);
        let missing = if asked.not_applicable.is_some() {
            Vec::new()
        } else {
            (services.rule_missing)(asked.source, &asked.expression, start_ms, end_ms)
        };
        (missing, graph(services, &asked, &zone, now_ms))
    });
    let (missing, graph) = match drawn.await {
        Ok((missing, graph)) => (missing, graph),
        Err(error) => (Vec::new(), Err(error.to_string())),
    };
    let (graph, n_series, graph_error) = match graph {
        Ok(Some((graph, n))) => (Some(graph), n, String::new()),
        Ok(None) => (None, 0, String::new()),
        Err(error) => (None, 0, error),
    };
    let wanted = visit.params.text("rehearse");
    let span = SPANS.iter().find(|(name, _)| *name == wanted);
    let rehearsed = match span {
        Some((name, days)) => Some(
            rehearse(
                &services,
                group,
                rule,
                name,
                (now_ms - days * DAY_MS, now_ms),
            )
            .await,
        ),
        None => None,
    };
    let (annotations, keep_ms, alerts) = match &rule.kind {
        RuleKind::Alerting {
            annotations,
            keep_firing_for_ms,
            alerts,
            ..
        } => (annotations.clone(), *keep_firing_for_ms, alerts.as_slice()),
        RuleKind::Recording => (Labels::empty(), 0, Default::default()),
    };
    let active = |alert: &alert_rules::ActiveAlert| Active {
        fingerprint: Alert::fingerprint_of(&alert.labels),
        tone: tone(alert.state),
        word: alert.state.as_str(),
        labels: alert.labels.clone(),
        value: humanize::value(alert.value),
        since_ms: alert.active_at_ms,
    };
    let mut view = RuleView::new(group, rule);
    view.missing = missing;
    let metrics_href = match rule.source {
        Source::Metrics => {
            let query = Params::default().with(&[("q", &rule.expression)]);
            format!("/metrics-explorer{query}")
        }
        Source::Logs => String::new(),
    };
    let mut shell = Shell::new(&services, visit, Page::Alerts);
    shell.title.clone_from(&rule.name);
    // A rehearsal is not done again while somebody reads it.
    shell.refresh = Some(if rehearsed.is_some() { 0 } else { 30 });
    render(&RulePage {
        shell,
        group: group.name.clone(),
        file: group.file.clone(),
        interval: humanize::span_ms(group.interval_ms),
        language: language(rule.source),
        keep: if keep_ms > 0 {
            humanize::span_ms(keep_ms)
        } else {
            String::new()
        },
        labels: rule.labels.clone(),
        annotations,
        alerts: alerts.iter().take(100).map(active).collect(),
        is_alert: matches!(rule.kind, RuleKind::Alerting { .. }),
        graph,
        n_series,
        graph_error,
        metrics_href,
        rehearsed,
        rule: view,
    })
}

/// The rule with this id.
fn named<'a>(
    groups: &'a [GroupSnapshot],
    id: &str,
) -> Option<(&'a GroupSnapshot, &'a RuleSnapshot)> {
    let all = groups
        .iter()
        .flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    all.into_iter()
        .find(|(group, rule)| rule_id(group, rule) == id)
}

impl RulePage {
    fn spans(&self) -> [(&'static str, i64); 3] {
        let _ = self;
        SPANS
    }
}

/// The expression's left side over the last hours, and how many series it has.
fn graph(
    services: &Services,
    rule: &RuleSnapshot,
    zone: &jiff::tz::TimeZone,
    now_ms: i64,
) -> Result<Option<(Graph, usize)>, String> {
    if rule.source != Source::Metrics {
        return Ok(None);
    }
    let range = TimeRange::of(&Params::parse("from=now-6h&to=now"), now_ms);
    let steps = Steps::over(&range, POINTS);
    let deadline = Instant::now() + services.query_timeout;
    let compared = alert_evidence::comparison(&rule.expression);
    let threshold = compared.and_then(|compared| {
        let answer = ask::instant(services, compared.right, now_ms, deadline).ok()?;
        match answer.value {
            Value::Scalar { value, .. } if value.is_finite() => {
                Some((compared.operator.to_owned(), value))
            }
            _ => None,
        }
    });
    let asked = match (&threshold, compared) {
        (Some(_), Some(compared)) => compared.left,
        _ => rule.expression.as_str(),
    };
    let answer = ask::range(services, asked, steps, deadline).map_err(|error| error.to_string())?;
    let Value::Matrix(found) = answer.value else {
        return Ok(None);
    };
    if found.is_empty() {
        return Ok(None);
    }
    let n_series = found.len();
    let lines = found.iter().take(LINES_MAX).map(|series| {
        let column = steps.column(&series.samples);
        column
            .into_iter()
            .map(|v| v.is_finite().then_some(v))
            .collect()
    });
    let graph = Graph {
        start_ms: steps.start_ms,
        step_ms: steps.step_ms,
        lines: lines.collect(),
        bands: Vec::new(),
        threshold,
        zone: zone.clone(),
        label: format!(
            "{} over the last 6 hours",
            humanize::things(n_series as u64, "series", "series")
        ),
    };
    Ok(Some((graph, n_series)))
}

/// The rule alone as a rule file: JSON is YAML.
fn rule_file(group: &GroupSnapshot, rule: &RuleSnapshot) -> String {
    let map = |labels: &Labels| -> serde_json::Map<String, serde_json::Value> {
        labels
            .iter()
            .map(|l| (l.name.to_string(), l.value.to_string().into()))
            .collect()
    };
    let mut own = json!({ "expr": rule.expression, "labels": map(&rule.labels) });
    match &rule.kind {
        RuleKind::Recording => own["record"] = json!(rule.name),
        RuleKind::Alerting {
            for_ms,
            keep_firing_for_ms,
            annotations,
            ..
        } => {
            own["alert"] = json!(rule.name);
            own["for"] = json!(format!("{for_ms}ms"));
            own["keep_firing_for"] = json!(format!("{keep_firing_for_ms}ms"));
            own["annotations"] = map(annotations).into();
        }
    }
    if rule.source == Source::Logs {
        own["source"] = json!("logs");
    }
    let interval = format!("{}ms", group.interval_ms.max(1));
    json!({ "groups": [{ "name": group.name, "interval": interval, "rules": [own] }] }).to_string()
}

async fn rehearse(
    services: &Arc<Services>,
    group: &GroupSnapshot,
    rule: &RuleSnapshot,
    span: &str,
    (start_ms, end_ms): (i64, i64),
) -> Rehearsed {
    /// Stops a rehearsal for which nobody waits any more.
    struct Waiting(Arc<AtomicBool>);
    impl Drop for Waiting {
        fn drop(&mut self) {
            self.0.store(false, Ordering::Relaxed);
        }
    }
    let wanted = Arc::new(AtomicBool::new(true));
    let _waiting = Waiting(wanted.clone());
    let deadline = Instant::now() + services.query_timeout;
    let question = Rehearse {
        file: group.file.clone(),
        text: rule_file(group, rule),
        start_ms,
        end_ms,
        stop: Box::new(move || !wanted.load(Ordering::Relaxed) || Instant::now() >= deadline),
    };
    let answer = ask::blocking(services, move |services| {
        let rehearsal = (services.rehearse)(&question);
        (rehearsal, (question.stop)())
    });
    match answer.await {
        Ok((rehearsal, cut)) => shown(rehearsal, span, cut),
        Err(error) => Rehearsed {
            span: span.to_owned(),
            sentence: "was not rehearsed".to_owned(),
            firings: Vec::new(),
            more: 0,
            error: error.to_string(),
            step: String::new(),
        },
    }
}

fn shown(rehearsal: Rehearsal, span: &str, is_cut: bool) -> Rehearsed {
    let mut error: Vec<String> = rehearsal.problems.iter().map(ToString::to_string).collect();
    let Some(done) = rehearsal.rules.into_iter().next() else {
        return Rehearsed {
            span: span.to_owned(),
            sentence: "could not be rehearsed".to_owned(),
            firings: Vec::new(),
            more: 0,
            error: error.join("; "),
            step: String::new(),
        };
    };
    if is_cut {
        error.push("there was no time for all of it: this is what was found until then".to_owned());
    }
    if !done.error.is_empty() {
        error.push(done.error);
    }
    let n = done.firings.len();
    let at_least = if done.is_cut { "at least " } else { "" };
    let mut firings = done.firings;
    // The newest first, as in the history.
    firings.reverse();
    firings.truncate(FIRINGS_SHOWN);
    Rehearsed {
        span: span.to_owned(),
        sentence: match n {
            0 if done.pending_max > 0 => "would never have fired, but was pending".to_owned(),
            0 => "would never have fired".to_owned(),
            n => format!(
                "would have fired {at_least}{}",
                humanize::things(n as u64, "time", "times")
            ),
        },
        more: n.saturating_sub(firings.len()),
        firings,
        error: error.join("; "),
        step: humanize::span_ms(rehearsal.step_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alert_rules::RuleHealth;

    #[test]
    fn a_rule_becomes_a_file_of_its_own() {
        let rule = RuleSnapshot {
            name: "High".to_owned(),
            expression: "load > 1".to_owned(),
            source: Source::Logs,
            labels: Labels::from_pairs([("severity", "x")]),
            kind: RuleKind::Alerting {
                for_ms: 300_000,
                keep_firing_for_ms: 0,
                annotations: Labels::from_pairs([("summary", "{{ $value }} \"high\"")]),
                alerts: Vec::new(),
            },
            not_applicable: None,
            health: RuleHealth::Ok,
            last_error: String::new(),
            last_evaluation_ms: 0,
            evaluation_duration_s: 0.0,
        };
        let group = GroupSnapshot {
            name: "g".to_owned(),
            file: "f".to_owned(),
            interval_ms: 15_000,
            limit: 0,
            rules: Vec::new(),
            last_evaluation_ms: 0,
            evaluation_duration_s: 0.0,
        };
        let text = rule_file(&group, &rule);
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let own = &value["groups"][0]["rules"][0];
        assert_eq!(own["alert"], "High");
        assert_eq!(
            (own["for"].as_str(), own["source"].as_str()),
            (Some("300000ms"), Some("logs"))
        );
        assert_eq!(own["annotations"]["summary"], "{{ $value }} \"high\"");
    }
}
