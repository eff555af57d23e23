//! `/alerts`: what fires, what is about to, and the rules behind it.

use std::cmp::Reverse;
use std::sync::Arc;

use alert_rules::{ActiveAlert, AlertState, GroupSnapshot, RuleHealth, RuleKind, RuleSnapshot};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use model::{Label, Labels};

use crate::html::Tone;
use crate::request::Visit;
use crate::shell::{Page, Shell, render};
use crate::{Services, humanize};

/// Rows on one page; the rest is counted and a filter finds it.
const ROWS_MAX: usize = 500;

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsPage {
    shell: Shell,
    /// `firing`, `pending` or empty.
    state: String,
    q: String,
    rows: Vec<AlertRow>,
    /// Rows that fit the filter but found no place.
    more: usize,
    total: usize,
    firing: usize,
    pending: usize,
    groups: Vec<GroupView>,
    rules: usize,
    failing: usize,
    last_evaluation_ms: i64,
}

/// Draws the page.
pub(crate) async fn page(State(services): State<Arc<Services>>, visit: Visit) -> Response {
    let groups = (services.rule_groups)();
    let all: Vec<AlertRow> = active(&groups)
        .map(|(rule, alert)| AlertRow::new(rule, alert))
        .collect();
    let state = match visit.params.text("state") {
        wanted @ ("firing" | "pending") => wanted.to_owned(),
        _ => String::new(),
    };
    let q = visit.params.text("q").to_owned();
    let needle = q.to_lowercase();
    let count = |wanted: AlertState| all.iter().filter(|row| row.state == wanted).count();
    let (firing, pending, total) = (
        count(AlertState::Firing),
        count(AlertState::Pending),
        all.len(),
    );
    let mut rows: Vec<AlertRow> = all
        .into_iter()
        .filter(|row| state.is_empty() || row.state.as_str() == state)
        .filter(|row| row.says(&needle))
        .collect();
    rows.sort_by_key(|row| (Reverse(row.state), Reverse(row.severity), row.since_ms));
    let more = rows.len().saturating_sub(ROWS_MAX);
    rows.truncate(ROWS_MAX);
    let mut views: Vec<GroupView> = groups.iter().map(GroupView::new).collect();
    views.sort_by_key(|group| Reverse(group.tone));
    let rules = || groups.iter().flat_map(|group| &group.rules);
    render(&AlertsPage {
        rules: rules().count(),
        failing: rules()
            .filter(|rule| rule.health == RuleHealth::Err)
            .count(),
        last_evaluation_ms: rules()
            .map(|rule| rule.last_evaluation_ms)
            .max()
            .unwrap_or(0),
        shell: Shell::new(&services, visit, Page::Alerts),
        state,
        q,
        rows,
        more,
        total,
        firing,
        pending,
        groups: views,
    })
}

impl AlertsPage {
    /// The address with another state and the same text.
    fn with_state(&self, state: &str) -> String {
        format!(
            "/alerts{}",
            self.shell
                .visit
                .params
                .with(&[("state", state)])
                .trim_end_matches('?')
        )
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

/// One alert on the page.
struct AlertRow {
    state: AlertState,
    tone: Tone,
    name: String,
    severity: u8,
    severity_word: String,
    labels: Vec<Label>,
    all_labels: Labels,
    summary: String,
    description: String,
    /// The value, beside what it is compared with where the expression says so.
    value: String,
    threshold: String,
    since_ms: i64,
    /// 0 while it does not fire.
    fired_at_ms: i64,
    expression: String,
    runbook: Option<String>,
    id: String,
}

impl AlertRow {
    fn new(rule: &RuleSnapshot, alert: &ActiveAlert) -> Self {
        let text = |name| alert.annotations.get(name).unwrap_or_default().to_owned();
        Self {
            state: alert.state,
            tone: match alert.state {
                AlertState::Firing => Tone::Err,
                AlertState::Pending => Tone::Warn,
                AlertState::Inactive => Tone::Fine,
            },
            name: rule.name.clone(),
            severity: severity(&alert.labels),
            severity_word: alert.labels.get("severity").unwrap_or_default().to_owned(),
            labels: distinguishing(rule, alert),
            all_labels: alert.labels.clone(),
            summary: summary(alert).to_owned(),
            description: text("description"),
            value: humanize::value(alert.value),
            threshold: threshold(&rule.expression).unwrap_or_default(),
            since_ms: alert.active_at_ms,
            fired_at_ms: alert.fired_at_ms.unwrap_or(0),
            expression: rule.expression.clone(),
            runbook: Some(text("runbook_url")).filter(|url| is_link(url)),
            id: format!("a-{:016x}", alert.labels.fingerprint()),
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

/// Whether an annotation may become a link: not `javascript:` and the like.
fn is_link(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// What an expression compares its value with, as `< 0.1`, where it ends so. What follows an
/// `and` or `unless` only filters: the value is that of the part before it.
fn threshold(expression: &str) -> Option<String> {
    let expression = &expression[..filtered_at(expression)];
    let mut depth = 0_i32;
    let mut quote = None;
    let mut last = None;
    for (at, c) in expression.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(' | '{' | '[') => depth += 1,
            (None, ')' | '}' | ']') => depth -= 1,
            (None, '<' | '>' | '=' | '!') if depth == 0 => {
                last = Some(
                    last.filter(|(_, end)| *end == at)
                        .map_or((at, at + 1), |(start, _)| (start, at + 1)),
                );
            }
            _ => {}
        }
    }
    let (start, end) = last?;
    let (operator, number) = (expression.get(start..end)?, expression.get(end..)?.trim());
    let number: f64 = number.trim_start_matches("bool").trim().parse().ok()?;
    Some(format!("{operator} {}", humanize::value(number)))
}

/// Where the part of an expression ends that gives the value: at the first `and` or `unless`
/// outside all brackets and quotes, else at the end. With an `or` there is no telling: at 0.
fn filtered_at(expression: &str) -> usize {
    let mut depth = 0_i32;
    let mut quote = None;
    let mut word_start = None;
    for (at, c) in expression.char_indices().chain([(expression.len(), ' ')]) {
        let in_word = quote.is_none() && (c.is_ascii_alphanumeric() || c == '_' || c == ':');
        if in_word {
            word_start.get_or_insert(at);
            continue;
        }
        if let Some(start) = word_start.take()
            && depth == 0
        {
            match &expression[start..at] {
                "and" | "unless" => return start,
                "or" => return 0,
                _ => {}
            }
        }
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(' | '{' | '[') => depth += 1,
            (None, ')' | '}' | ']') => depth -= 1,
            _ => {}
        }
    }
    expression.len()
}

/// A group of rules on the page.
struct GroupView {
    name: String,
    file: String,
    interval: String,
    tone: Tone,
    /// What its rules are doing, in words.
    words: String,
    rules: Vec<RuleView>,
    last_evaluation_ms: i64,
    duration: String,
}

/// A rule on the page.
struct RuleView {
    name: String,
    tone: Tone,
    word: &'static str,
    expression: String,
    for_: String,
    last_evaluation_ms: i64,
    duration: String,
    error: String,
}

impl GroupView {
    fn new(group: &GroupSnapshot) -> Self {
        let mut rules: Vec<RuleView> = group.rules.iter().map(RuleView::new).collect();
        rules.sort_by_key(|rule| Reverse(rule.tone));
        let count = |word: &str| rules.iter().filter(|rule| rule.word == word).count() as u64;
        let parts = [
            ("failing", count("failing")),
            ("firing", count("firing")),
            ("pending", count("pending")),
        ];
        let words: Vec<String> = parts
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(word, n)| format!("{n} {word}"))
            .chain([humanize::things(rules.len() as u64, "rule", "rules")])
            .collect();
        Self {
            name: group.name.clone(),
            file: group.file.clone(),
            interval: humanize::span_ms(group.interval_ms),
            tone: rules
                .iter()
                .map(|rule| rule.tone)
                .max()
                .unwrap_or(Tone::Unknown),
            words: words.join(" · "),
            rules,
            last_evaluation_ms: group.last_evaluation_ms,
            duration: humanize::seconds(group.evaluation_duration_s),
        }
    }
}

impl RuleView {
    fn new(rule: &RuleSnapshot) -> Self {
        let (tone, word) = match (rule.health, rule.state(), &rule.kind) {
            (RuleHealth::Err, _, _) => (Tone::Err, "failing"),
            (_, AlertState::Firing, _) => (Tone::Err, "firing"),
            (_, AlertState::Pending, _) => (Tone::Warn, "pending"),
            (RuleHealth::Unknown, _, _) => (Tone::Unknown, "not evaluated yet"),
            (RuleHealth::Ok, _, RuleKind::Recording) => (Tone::Fine, "records"),
            (RuleHealth::Ok, _, RuleKind::Alerting { .. }) => (Tone::Fine, "inactive"),
        };
        Self {
            name: rule.name.clone(),
            tone,
            word,
            expression: rule.expression.clone(),
            for_: match rule.kind {
                RuleKind::Alerting { for_ms, .. } if for_ms > 0 => humanize::span_ms(for_ms),
                _ => String::new(),
            },
            last_evaluation_ms: rule.last_evaluation_ms,
            duration: humanize::seconds(rule.evaluation_duration_s),
            error: rule.last_error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_read_where_the_expression_ends_with_one() {
        let check = |expression: &str, expected: Option<&str>| {
            assert_eq!(threshold(expression).as_deref(), expected, "{expression}");
        };
        check("up == 0", Some("== 0"));
        check("a / b < 0.1", Some("< 0.1"));
        check(
            "sum by (x) (rate(e{code=~\"5..\"}[5m])) >= bool 1e3",
            Some(">= 1000"),
        );
        check("a > b", None);
        check("a > 1 and b == 0", Some("> 1"));
        check("a < 0 unless on (x) b > 5", Some("< 0"));
        check("a and b > 5", None);
        check("a > 1 or b > 5", None);
        check("sum(a and b) > 2", Some("> 2"));
        check("(a > 1)", None);
        check("absent(up{job=\"x > 1\"})", None);
        check("é > 1", Some("> 1"));
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
