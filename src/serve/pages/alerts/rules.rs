//! `/alerts/rules`: all groups and rules, how their last evaluation went, and which of them do not
//! apply here or can never fire.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alert_rules::{AlertState, GroupSnapshot, RuleHealth, RuleKind, RuleSnapshot, Source};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use model::Labels;

use crate::html::Tone;
use crate::request::Visit;
use crate::shell::{Page, Shell, render};
use crate::{Services, ask, humanize};

/// Looking which rules can never fire takes no longer.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// The time whose series count for a rule that can never fire, milliseconds: as far back as most
/// batch jobs run.
pub(super) const MISSING_MS: i64 = 24 * 3_600_000;

/// How often the page is drawn anew, seconds: it asks the store about each rule.
const REFRESH_S: i64 = 60;

/// A rule's name in addresses: stable as long as its file, group, name and expression are.
pub fn rule_id(group: &GroupSnapshot, rule: &RuleSnapshot) -> String {
    let parts = [
        ("file", group.file.as_str()),
        ("group", group.name.as_str()),
        ("rule", rule.name.as_str()),
        ("expr", rule.expression.as_str()),
    ];
    let labels = Labels::from_pairs(parts);
    let own = format!(
        "{:016x}{:016x}",
        labels.fingerprint(),
        rule.labels.fingerprint()
    );
    // Two halves make it unlikely enough that two rules share one; half of each is short enough.
    format!(
        "{}{}",
        own.get(..10).unwrap_or_default(),
        own.get(16..22).unwrap_or_default()
    )
}

#[derive(Template)]
#[template(path = "alert_rules.html")]
struct RulesPage {
    shell: Shell,
    q: String,
    state: String,
    groups: Vec<GroupView>,
    total: usize,
    failing: usize,
    never: usize,
    absent: usize,
    /// Whether all rules were looked at for what they miss.
    is_complete: bool,
    shown: usize,
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
pub(super) struct RuleView {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) tone: Tone,
    pub(super) word: &'static str,
    pub(super) expression: String,
    pub(super) for_: String,
    pub(super) last_evaluation_ms: i64,
    pub(super) duration: String,
    pub(super) error: String,
    /// Why it is not evaluated; else empty.
    pub(super) absent: String,
    /// Why it can never fire.
    pub(super) missing: Vec<String>,
}

/// Draws the page.
pub(super) async fn page(State(services): State<Arc<Services>>, visit: Visit) -> Response {
    let groups = (services.rule_groups)();
    let asked = groups.clone();
    let now_ms = visit.now_ms;
    let missing = ask::blocking(&services, move |services| missing(services, &asked, now_ms));
    let (mut missing, is_complete) = missing.await.unwrap_or_default();
    let q = visit.params.text("q").to_owned();
    let state = visit.params.text("state").to_owned();
    let needle = q.to_lowercase();
    let mut views: Vec<GroupView> = groups
        .iter()
        .map(|group| GroupView::new(group, &mut missing))
        .collect();
    let all = || views.iter().flat_map(|group| &group.rules);
    let (total, failing, never, absent) = (
        all().count(),
        all().filter(|rule| !rule.error.is_empty()).count(),
        all().filter(|rule| !rule.missing.is_empty()).count(),
        all().filter(|rule| !rule.absent.is_empty()).count(),
    );
    for group in &mut views {
        group
            .rules
            .retain(|rule| rule.is_in(&state) && rule.says(&needle));
    }
    views.retain(|group| !group.rules.is_empty());
    views.sort_by_key(|group| Reverse(group.tone));
    let mut shell = Shell::new(&services, visit, Page::Alerts);
    "Rules".clone_into(&mut shell.title);
    shell.refresh = Some(REFRESH_S);
    render(&RulesPage {
        shown: views.iter().map(|group| group.rules.len()).sum(),
        groups: views,
        shell,
        q,
        state,
        total,
        failing,
        never,
        absent,
        is_complete,
    })
}

/// Why rules can never fire, by their ids; whether there was time for all.
fn missing(
    services: &Services,
    groups: &[GroupSnapshot],
    now_ms: i64,
) -> (HashMap<String, Vec<String>>, bool) {
    let deadline = Instant::now() + PATIENCE;
    let mut found = HashMap::new();
    for group in groups {
        for rule in &group.rules {
            // What gives something misses nothing, and what is not evaluated says why already.
            if rule.not_applicable.is_some() || rule.state() != AlertState::Inactive {
                continue;
            }
            if Instant::now() >= deadline {
                return (found, false);
            }
            let (source, expression) = (rule.source, rule.expression.as_str());
            let missing = (services.rule_missing)(source, expression, now_ms - MISSING_MS, now_ms);
            if !missing.is_empty() {
                found.insert(rule_id(group, rule), missing);
            }
        }
    }
    (found, true)
}

impl RulesPage {
    fn with_state(&self, state: &str) -> String {
        let query = self.shell.visit.params.with(&[("state", state)]);
        format!("/alerts/rules{}", query.trim_end_matches('?'))
    }
}

impl GroupView {
    fn new(group: &GroupSnapshot, missing: &mut HashMap<String, Vec<String>>) -> Self {
        let view = |rule| {
            let mut view = RuleView::new(group, rule);
            view.missing = missing.remove(&view.id).unwrap_or_default();
            view
        };
        let mut rules: Vec<RuleView> = group.rules.iter().map(view).collect();
        rules.sort_by_key(|rule| Reverse((rule.tone, !rule.missing.is_empty())));
        let count = |word: &str| rules.iter().filter(|rule| rule.word == word).count() as u64;
        let parts = [
            ("failing", count("failing")),
            ("firing", count("firing")),
            ("pending", count("pending")),
            ("not applicable", count("not applicable")),
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

    fn is_open(&self) -> bool {
        self.tone >= Tone::Warn || self.rules.iter().any(|rule| !rule.missing.is_empty())
    }
}

impl RuleView {
    pub(super) fn new(group: &GroupSnapshot, rule: &RuleSnapshot) -> Self {
        let (tone, word) = match (rule.health, rule.state(), &rule.kind) {
            _ if rule.not_applicable.is_some() => (Tone::Unknown, "not applicable"),
            (RuleHealth::Err, _, _) => (Tone::Err, "failing"),
            (_, AlertState::Firing, _) => (Tone::Err, "firing"),
            (_, AlertState::Pending, _) => (Tone::Warn, "pending"),
            (RuleHealth::Unknown, _, _) => (Tone::Unknown, "not evaluated yet"),
            (RuleHealth::Ok, _, RuleKind::Recording) => (Tone::Fine, "records"),
            (RuleHealth::Ok, _, RuleKind::Alerting { .. }) => (Tone::Fine, "inactive"),
        };
        Self {
            id: rule_id(group, rule),
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
            absent: rule.not_applicable.clone().unwrap_or_default(),
            missing: Vec::new(),
        }
    }

    fn is_in(&self, state: &str) -> bool {
        match state {
            "failing" => !self.error.is_empty(),
            "never" => !self.missing.is_empty(),
            "absent" => !self.absent.is_empty(),
            _ => true,
        }
    }

    fn says(&self, needle: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(needle);
        needle.is_empty() || has(&self.name) || has(&self.expression)
    }
}

/// Who answers a rule, in a word for people.
pub(super) fn language(source: Source) -> &'static str {
    match source {
        Source::Metrics => "PromQL, of the metrics",
        Source::Logs => "of the logs",
    }
}
