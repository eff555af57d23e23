//! The rules that Yagura brings along: about the machine it runs on, the targets it asks, and
//! itself. Ordinary rule files (`builtin/*.yaml`), loaded like any other.
//!
//! Thresholds are such that a healthy machine is silent: each alert is something that a person
//! should act on, and says in its description what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use template::{RULE_VARIABLES, Template};

use crate::file::{Loaded, Problem, parse};
use crate::query::Languages;
use crate::spec::{GroupSpec, RuleOutput, RuleSpec, Text};

/// What built-in groups have for a file name.
pub const BUILTIN_FILE: &str = "built-in";

const FILES: [&str; 5] = [
    include_str!("builtin/host.yaml"),
    include_str!("builtin/targets.yaml"),
    include_str!("builtin/kubernetes.yaml"),
    include_str!("builtin/logs.yaml"),
    include_str!("builtin/yagura.yaml"),
];

/// Rules that are off until somebody wants them, and why.
const OFF: [(&str, &str); 1] = [(
    "Watchdog",
    "it always fires, for a service that misses it when it stops: it is on where a route names it \
     or `alerts: {builtin: {Watchdog: on}}` says so",
)];

/// What the configuration says of a built-in rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuiltinChange {
    /// Whether it is evaluated; `None` for as it comes.
    pub on: Option<bool>,
    /// How long before it fires, instead of its own time.
    pub hold: Option<Duration>,
    /// How bad it is, instead of its own `severity`.
    pub severity: Option<String>,
}

/// Changes by the name of the rule.
pub type BuiltinChanges = BTreeMap<String, BuiltinChange>;

/// Reads the built-in rules and changes them as the configuration wants. A rule of the user's
/// own (`others`) with the name of a built-in one takes its place.
pub fn builtin(languages: Languages<'_>, changes: &BuiltinChanges, others: &[GroupSpec]) -> Loaded {
    let mut all = Loaded::default();
    for text in FILES {
        let mut loaded = parse(BUILTIN_FILE, text, languages);
        all.groups.append(&mut loaded.groups);
        all.problems.append(&mut loaded.problems);
    }
    let own: BTreeSet<&str> = others
        .iter()
        .flat_map(|group| &group.rules)
        .filter(|rule| matches!(rule.output, RuleOutput::Alerting { .. }))
        .map(|rule| &*rule.name)
        .collect();
    let mut known = BTreeSet::new();
    for group in &mut all.groups {
        group.where_applicable = true;
        for rule in &mut group.rules {
            known.insert(rule.name.to_string());
            let change = changes.get(&*rule.name).cloned().unwrap_or_default();
            let changed = changed(rule, &change, own.contains(&*rule.name));
            *rule = Arc::new(changed);
        }
    }
    for name in changes.keys().filter(|name| !known.contains(*name)) {
        all.problems.push(Problem {
            file: "alerts.builtin".to_owned(),
            line: 0,
            message: format!("there is no built-in rule {name:?}: the Alerts page names them all"),
        });
    }
    all
}

fn changed(rule: &RuleSpec, change: &BuiltinChange, is_replaced: bool) -> RuleSpec {
    let mut rule = rule.clone();
    let off = OFF.iter().find(|(name, _)| *name == &*rule.name);
    rule.idle = match (is_replaced, change.on, off) {
        (true, ..) => Some("replaced by a rule of this name in a rule file".to_owned()),
        (_, Some(false), _) => Some("switched off by `alerts.builtin`".to_owned()),
        (_, None, Some((_, why))) => Some((*why).to_owned()),
        _ => None,
    };
    if let (Some(hold), RuleOutput::Alerting { for_ms, .. }) = (change.hold, &mut rule.output) {
        *for_ms = i64::try_from(hold.as_millis()).unwrap_or(i64::MAX);
    }
    if let Some(severity) = &change.severity
        && let Ok(template) = Template::parse("severity", severity, &RULE_VARIABLES)
    {
        rule.labels.retain(|(name, _)| &**name != "severity");
        let text = Text {
            source: Arc::from(severity.as_str()),
            template,
        };
        rule.labels.push((Arc::from("severity"), text));
        rule.labels.sort_by(|a, b| a.0.cmp(&b.0));
    }
    rule
}

#[cfg(test)]
mod scenarios;

#[cfg(test)]
mod tests {
    use model::Labels;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::testing::{Memory, languages};
    use crate::{Group, PromqlQuery, World};

    pub(super) const MINUTE: i64 = 60_000;
    pub(super) const START: i64 = 1_700_000_000_000;

    pub(super) fn query(memory: &Arc<Memory>) -> PromqlQuery {
        PromqlQuery::new(
            Arc::default(),
            memory.clone(),
            Duration::from_mins(1),
            CancellationToken::new(),
        )
    }

    pub(super) fn world<'a>(query: &'a PromqlQuery, memory: &'a Memory) -> World<'a> {
        static NOTHING: std::sync::LazyLock<Labels> = std::sync::LazyLock::new(Labels::empty);
        World {
            languages: languages(query),
            query_offset_ms: 0,
            sink: memory,
            external_labels: &NOTHING,
            external_url: "",
            resend_ms: MINUTE,
            for_grace_ms: MINUTE,
            outage_tolerance_ms: MINUTE,
            elapsed: &|| Duration::ZERO,
        }
    }

    #[test]
    fn every_rule_loads_and_says_what_to_do() {
        let memory = Arc::new(Memory::default());
        let loaded = builtin(languages(&query(&memory)), &BuiltinChanges::new(), &[]);
        assert_eq!(loaded.problems, []);
        let rules: Vec<_> = loaded.groups.iter().flat_map(|g| &g.rules).collect();
        assert!(rules.len() >= 9, "{}", rules.len());
        for rule in rules {
            let RuleOutput::Alerting { annotations, .. } = &rule.output else {
                panic!("{} is no alert", rule.name);
            };
            let keys: Vec<&str> = annotations.iter().map(|(key, _)| &**key).collect();
            assert_eq!(keys, ["description", "summary"], "{}", rule.name);
            let severity = rule.labels.iter().find(|(key, _)| &**key == "severity");
            assert!(
                severity
                    .is_some_and(|(_, s)| ["warning", "critical", "none"].contains(&&*s.source)),
                "{}",
                rule.name
            );
        }
    }

    #[test]
    fn rules_are_switched_off_changed_and_replaced_by_name() {
        let memory = Arc::new(Memory::default());
        let query = query(&memory);
        let own = parse(
            "own.yml",
            "groups: [{name: g, rules: [{alert: HostCpuSaturated, expr: up == 0}]}]",
            languages(&query),
        );
        let change = |on, severity: Option<&str>| BuiltinChange {
            on,
            hold: severity.map(|_| Duration::from_mins(7)),
            severity: severity.map(str::to_owned),
        };
        let changes = BuiltinChanges::from([
            ("HostOutOfMemoryKill".to_owned(), change(Some(false), None)),
            ("TargetDown".to_owned(), change(None, Some("critical"))),
            ("Watchdog".to_owned(), change(Some(true), None)),
            ("Watchdoge".to_owned(), change(Some(false), None)),
        ]);
        let loaded = builtin(languages(&query), &changes, &own.groups);
        assert_eq!(loaded.problems.len(), 1, "{:?}", loaded.problems);
        assert!(loaded.problems[0].message.contains("Watchdoge"));
        let rule = |name: &str| {
            let rules = loaded.groups.iter().flat_map(|group| &group.rules);
            rules
                .clone()
                .find(|rule| &*rule.name == name)
                .expect("there")
                .clone()
        };
        let idle = |name: &str| rule(name).idle.clone().unwrap_or_default();
        assert!(idle("HostOutOfMemoryKill").contains("switched off"));
        assert!(idle("HostCpuSaturated").contains("replaced"));
        assert_eq!(idle("Watchdog"), "");
        let down = rule("TargetDown");
        assert!(matches!(
            down.output,
            RuleOutput::Alerting {
                for_ms: 420_000,
                ..
            }
        ));
        assert!(
            down.labels
                .iter()
                .any(|(_, text)| &*text.source == "critical")
        );
        let plain = builtin(languages(&query), &BuiltinChanges::new(), &[]);
        let watchdog = plain.groups.iter().flat_map(|g| &g.rules);
        let watchdog = watchdog.clone().find(|rule| &*rule.name == "Watchdog");
        assert!(watchdog.is_some_and(|rule| rule.idle.is_some()));
    }

    #[test]
    fn what_does_not_exist_here_is_said_and_not_evaluated() {
        let memory = Arc::new(Memory::default());
        let query = query(&memory);
        let world = world(&query, &memory);
        let spec = builtin(languages(&query), &BuiltinChanges::new(), &[])
            .groups
            .remove(0);
        let mut group = Group::new(Arc::new(spec), MINUTE, false);
        assert_eq!(group.evaluate(START, &world).rules, 0);
        let snapshot = group.snapshot();
        let why = snapshot.rules[0]
            .not_applicable
            .as_deref()
            .unwrap_or_default();
        assert!(
            why.starts_with("not applicable here: no metric `node_filesystem_avail_bytes`"),
            "{why}"
        );
        // What appears later is watched from then on.
        let load = Labels::from_pairs([("__name__", "node_filefd_allocated"), ("instance", "a")]);
        let most = Labels::from_pairs([("__name__", "node_filefd_maximum"), ("instance", "a")]);
        let later = START + 6 * MINUTE;
        memory.put(&load, later, 1.0);
        memory.put(&most, later, 10.0);
        assert_eq!(group.evaluate(later, &world).rules, 1);
    }
}
