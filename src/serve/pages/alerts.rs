//! `/alerts`: what fires and what is about to, and the pages behind it.
//!
//! | route | file |
//! |---|---|
//! | `/alerts` | here |
//! | `/alerts/{fingerprint}` | `one.rs`, with `found.rs` and `graph.rs` |
//! | `/alerts/history` | `history.rs` |
//! | `/alerts/rules`, `/alerts/rules/{id}` | `rules.rs`, `rule.rs` |
//! | `/alerts/silences` | `silences.rs` |
//! | `/alerts/receivers` | `receivers.rs` |

mod found;
mod graph;
mod history;
mod one;
mod receivers;
mod rule;
mod rules;
mod silences;

pub use rules::rule_id;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use alert_notify::{AlertView, SilenceState};
use alert_rules::{ActiveAlert, AlertState, GroupSnapshot, RuleKind, RuleSnapshot};
use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use model::{Alert, Label, Labels};

use crate::html::Tone;
use crate::request::Visit;
use crate::shell::{Page, Shell, render};
use crate::{Services, humanize};

/// Rows on one page; the rest is counted and a filter finds it.
const ROWS_MAX: usize = 500;

/// All routes below `/alerts`.
pub(crate) fn router() -> Router<Arc<Services>> {
    Router::new()
        .route("/alerts", get(page))
        .route("/alerts/history", get(history::page))
        .route("/alerts/rules", get(rules::page))
        .route("/alerts/rules/{id}", get(rule::page))
        .route("/alerts/silences", get(silences::page).post(silences::save))
        .route("/alerts/silences/expire", post(silences::expire))
        .route("/alerts/receivers", get(receivers::page))
        .route("/alerts/receivers/test", post(receivers::test))
        .route("/alerts/{fingerprint}", get(one::page))
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsPage {
    shell: Shell,
    /// `firing`, `pending`, `quiet` or empty.
    state: String,
    q: String,
    receiver: String,
    by: String,
    groups: Vec<RowGroup>,
    /// Rows that fit the filter but found no place.
    more: usize,
    shown: usize,
    total: usize,
    firing: usize,
    pending: usize,
    quiet: usize,
    receivers: Vec<String>,
    rules: usize,
    last_evaluation_ms: i64,
}

/// Rows with a label in common.
struct RowGroup {
    /// Empty where nothing is grouped.
    title: String,
    rows: Vec<AlertRow>,
}

/// Runs something that may wait for a lock or a disk; `None` where it panicked, which is counted.
async fn off<T: Send + 'static>(
    services: &Arc<Services>,
    work: impl FnOnce(&Services) -> T + Send + 'static,
) -> Option<T> {
    let own = services.clone();
    let done = tokio::task::spawn_blocking(move || work(&own)).await;
    if done.is_err() {
        services.metrics.panics.inc();
    }
    done.ok()
}

/// Draws the page.
async fn page(State(services): State<Arc<Services>>, visit: Visit) -> Response {
    let groups = (services.rule_groups)();
    let now_ms = visit.now_ms;
    let all = off(&services, move |services| rows(services, now_ms)).await;
    let all = all.unwrap_or_default();
    let state = match visit.params.text("state") {
        wanted @ ("firing" | "pending" | "quiet") => wanted.to_owned(),
        _ => String::new(),
    };
    let q = visit.params.text("q").to_owned();
    let receiver = visit.params.text("receiver").to_owned();
    let by = visit.params.text("by").to_owned();
    let needle = q.to_lowercase();
    let count = |wanted: &str| all.iter().filter(|row| row.is_in(wanted)).count();
    let (firing, pending, quiet) = (count("firing"), count("pending"), count("quiet"));
    let total = all.len();
    let mut receivers: Vec<String> = all.iter().flat_map(|row| row.receivers.clone()).collect();
    receivers.sort();
    receivers.dedup();
    let mut rows: Vec<AlertRow> = all
        .into_iter()
        .filter(|row| state.is_empty() || row.is_in(&state))
        .filter(|row| receiver.is_empty() || row.receivers.contains(&receiver))
        .filter(|row| row.says(&needle))
        .collect();
    rows.sort_by_key(|row| {
        let calm = row.is_quiet();
        (
            Reverse(row.state),
            calm,
            Reverse(row.severity),
            row.since_ms,
        )
    });
    let more = rows.len().saturating_sub(ROWS_MAX);
    rows.truncate(ROWS_MAX);
    let rules = || groups.iter().flat_map(|group| &group.rules);
    render(&AlertsPage {
        rules: rules().count(),
        last_evaluation_ms: rules()
            .map(|rule| rule.last_evaluation_ms)
            .max()
            .unwrap_or(0),
        shell: Shell::new(&services, visit, Page::Alerts),
        shown: rows.len(),
        groups: grouped(rows, &by),
        state,
        q,
        receiver,
        by,
        more,
        total,
        firing,
        pending,
        quiet,
        receivers,
    })
}

/// Rows by the value of a label (`alertname` included); in one group without.
fn grouped(rows: Vec<AlertRow>, by: &str) -> Vec<RowGroup> {
    if by.is_empty() {
        let title = String::new();
        return vec![RowGroup { title, rows }];
    }
    // The worst group first: rows come in that order.
    let mut order: Vec<String> = Vec::new();
    let mut groups: BTreeMap<String, Vec<AlertRow>> = BTreeMap::new();
    for row in rows {
        let title = match row.all_labels.get(by) {
            Some(value) if !value.is_empty() => value.to_owned(),
            _ => format!("without {by}"),
        };
        if !groups.contains_key(&title) {
            order.push(title.clone());
        }
        groups.entry(title).or_default().push(row);
    }
    let take = |title: String| RowGroup {
        rows: groups.remove(&title).unwrap_or_default(),
        title,
    };
    order.into_iter().map(take).collect()
}

impl AlertsPage {
    /// The address with another state and the rest as it is.
    fn with_state(&self, state: &str) -> String {
        let query = self.shell.visit.params.with(&[("state", state)]);
        format!("/alerts{}", query.trim_end_matches('?'))
    }

    fn is_filtered(&self) -> bool {
        !self.q.is_empty() || !self.receiver.is_empty() || !self.by.is_empty()
    }
}

/// All pending and firing alerts with the rules that they come from.
pub(crate) fn active(
    groups: &[GroupSnapshot],
) -> impl Iterator<Item = (&RuleSnapshot, &ActiveAlert)> {
    let rules = groups.iter().flat_map(|group| &group.rules);
    rules.flat_map(|rule| {
        let alerts = match &rule.kind {
            RuleKind::Alerting { alerts, .. } => alerts.as_slice(),
            RuleKind::Recording => &[],
        };
        let alerts = alerts
            .iter()
            .filter(|alert| alert.state != AlertState::Inactive);
        alerts.map(move |alert| (rule, alert))
    })
}

/// How bad an alert says that it is, from its label `severity`.
pub(crate) fn severity(labels: &Labels) -> u8 {
    match labels.get("severity") {
        Some("critical" | "page" | "emergency" | "fatal") => 3,
        Some("error" | "major" | "high") => 2,
        Some("info" | "none" | "low") => 0,
        _ => 1,
    }
}

/// What it says for people: the summary, else the description.
pub(crate) fn summary(alert: &ActiveAlert) -> &str {
    let text = |name| alert.annotations.get(name);
    text("summary")
        .or_else(|| text("description"))
        .or_else(|| text("message"))
        .unwrap_or_default()
}

/// The labels that tell this alert from others of its rule; those of a lone alert, all but its
/// name and severity.
pub(crate) fn distinguishing(rule: &RuleSnapshot, alert: &ActiveAlert) -> Vec<Label> {
    let siblings = match &rule.kind {
        RuleKind::Alerting { alerts, .. } => alerts.as_slice(),
        RuleKind::Recording => &[],
    };
    let differs = |label: &Label| {
        siblings.len() < 2
            || siblings
                .iter()
                .any(|other| other.labels.get(&label.name) != Some(&label.value))
    };
    alert
        .labels
        .iter()
        .filter(|label| !matches!(&*label.name, "alertname" | "severity"))
        .filter(|label| differs(label))
        .cloned()
        .collect()
}

/// All alerts: of our own rules, and those that were sent to us.
fn rows(services: &Services, now_ms: i64) -> Vec<AlertRow> {
    let groups = (services.rule_groups)();
    let views: HashMap<String, AlertView> = services
        .notifier
        .alerts()
        .into_iter()
        .map(|view| (view.alert.fingerprint(), view))
        .collect();
    let mut silences = services.notifier.silences();
    silences.retain(|silence| silence.state_at(now_ms) == SilenceState::Active);
    let mut own: HashSet<String> = HashSet::new();
    let mut rows: Vec<AlertRow> = active(&groups)
        .map(|(rule, alert)| {
            let mut row = AlertRow::new(rule, alert);
            if let Some(view) = views.get(&row.fingerprint) {
                row.mark(view);
            } else {
                // The notifier does not know those that are pending.
                let reached = services.notifier.reached_by(&alert.labels);
                let names = reached.iter().map(|r| r.receiver.to_string());
                row.receivers = names.collect();
                row.receivers.dedup();
                row.silenced = silences.iter().any(|s| s.matches(&alert.labels));
            }
            own.insert(row.fingerprint.clone());
            row
        })
        .collect();
    let foreign = views.iter().filter(|(id, _)| !own.contains(*id));
    rows.extend(foreign.map(|(_, view)| AlertRow::foreign(view)));
    rows
}

/// One alert on the page.
struct AlertRow {
    fingerprint: String,
    state: AlertState,
    tone: Tone,
    name: String,
    severity: u8,
    severity_word: String,
    labels: Vec<Label>,
    all_labels: Labels,
    summary: String,
    /// The value, beside what it is compared with where the expression says so; empty where
    /// nobody knows.
    value: String,
    threshold: String,
    since_ms: i64,
    silenced: bool,
    inhibited: bool,
    muted: bool,
    receivers: Vec<String>,
}

impl AlertRow {
    fn new(rule: &RuleSnapshot, alert: &ActiveAlert) -> Self {
        Self {
            fingerprint: Alert::fingerprint_of(&alert.labels),
            state: alert.state,
            tone: tone(alert.state),
            name: rule.name.clone(),
            severity: severity(&alert.labels),
            severity_word: alert.labels.get("severity").unwrap_or_default().to_owned(),
            labels: distinguishing(rule, alert),
            all_labels: alert.labels.clone(),
            summary: summary(alert).to_owned(),
            value: humanize::value(alert.value),
            threshold: threshold(&rule.expression).unwrap_or_default(),
            since_ms: alert.active_at_ms,
            silenced: false,
            inhibited: false,
            muted: false,
            receivers: Vec::new(),
        }
    }

    /// An alert that somebody has sent.
    fn foreign(view: &AlertView) -> Self {
        let alert = &view.alert;
        let text = |name| alert.annotations.get(name);
        let name = alert.labels.get("alertname").unwrap_or("(without a name)");
        let other = |label: &&Label| !matches!(&*label.name, "alertname" | "severity");
        let mut row = Self {
            fingerprint: alert.fingerprint(),
            state: AlertState::Firing,
            tone: tone(AlertState::Firing),
            name: name.to_owned(),
            severity: severity(&alert.labels),
            severity_word: alert.labels.get("severity").unwrap_or_default().to_owned(),
            labels: alert.labels.iter().filter(other).cloned().collect(),
            all_labels: alert.labels.clone(),
            summary: text("summary")
                .or_else(|| text("description"))
                .unwrap_or_default()
                .to_owned(),
            value: String::new(),
            threshold: String::new(),
            since_ms: alert.starts_at_ms,
            silenced: false,
            inhibited: false,
            muted: false,
            receivers: Vec::new(),
        };
        row.mark(view);
        row
    }

    fn mark(&mut self, view: &AlertView) {
        self.silenced = !view.silenced_by.is_empty();
        self.inhibited = !view.inhibited_by.is_empty();
        self.muted = !view.muted_by.is_empty();
        self.receivers = view.receivers.iter().map(ToString::to_string).collect();
    }

    fn is_quiet(&self) -> bool {
        self.silenced || self.inhibited || self.muted
    }

    fn is_in(&self, state: &str) -> bool {
        match state {
            "quiet" => self.is_quiet(),
            other => self.state.as_str() == other,
        }
    }

    /// Whether any of its words contains a text in lower case.
    fn says(&self, needle: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(needle);
        needle.is_empty()
            || has(&self.name)
            || has(&self.summary)
            || self
                .all_labels
                .iter()
                .any(|label| has(&format!("{}={}", label.name, label.value)))
    }
}

fn tone(state: AlertState) -> Tone {
    match state {
        AlertState::Firing => Tone::Err,
        AlertState::Pending => Tone::Warn,
        AlertState::Inactive => Tone::Fine,
    }
}

/// Whether an annotation may become a link: not `javascript:` and the like.
fn is_link(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// What an expression compares its value with, as `< 0.1`, where it ends so.
fn threshold(expression: &str) -> Option<String> {
    let compared = alert_evidence::comparison(expression)?;
    let number = compared.number()?;
    Some(format!("{} {}", compared.operator, humanize::value(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_shown_where_they_are_numbers() {
        let check = |expression: &str, expected: Option<&str>| {
            assert_eq!(threshold(expression).as_deref(), expected, "{expression}");
        };
        check("a >= bool 1e3", Some(">= 1000"));
        check("a > b", None);
    }

    #[test]
    fn only_web_addresses_become_links() {
        assert!(is_link("https://runbooks.example/x"));
        for url in [
            "javascript:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "",
        ] {
            assert!(!is_link(url), "{url}");
        }
    }
}
