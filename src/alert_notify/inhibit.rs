//! Which alerts keep which others quiet.
//!
//! For each rule, the alerts that match its source side are kept by the values of its `equal`
//! labels, so that asking about an alert costs one look into a map per rule, however many alerts
//! there are. An alert that matches both sides is not silenced by its like, nor by itself.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Alert, Labels};

use crate::route::InhibitRule;

/// Values of a rule's `equal` labels, in their order.
type Key = Vec<Arc<str>>;

#[derive(Debug)]
struct Source {
    ends_at_ms: i64,
    /// Whether it matches the target side, too.
    two_sided: bool,
}

#[derive(Debug)]
struct Index {
    rule: InhibitRule,
    sources: HashMap<Key, HashMap<Labels, Source>>,
}

impl Index {
    fn key(&self, labels: &Labels) -> Key {
        let value = |name: &Arc<str>| labels.get_shared(name).cloned();
        let values = self.rule.equal.iter().map(value);
        values
            .map(|value| value.unwrap_or_else(|| Arc::from("")))
            .collect()
    }
}

/// All inhibition rules and the alerts that may silence others.
#[derive(Debug, Default)]
pub(crate) struct Inhibitor {
    rules: Vec<Index>,
}

impl Inhibitor {
    /// Rules without alerts.
    pub(crate) fn new(rules: &[InhibitRule]) -> Self {
        let index = |rule: &InhibitRule| Index {
            rule: rule.clone(),
            sources: HashMap::new(),
        };
        Self {
            rules: rules.iter().map(index).collect(),
        }
    }

    /// Takes news of an alert.
    pub(crate) fn learn(&mut self, alert: &Alert, now_ms: i64) {
        for index in &mut self.rules {
            if !all(&index.rule.source, &alert.labels) {
                continue;
            }
            let key = index.key(&alert.labels);
            if alert.is_resolved_at(now_ms) {
                if let Some(sources) = index.sources.get_mut(&key) {
                    sources.remove(&alert.labels);
                    if sources.is_empty() {
                        index.sources.remove(&key);
                    }
                }
                continue;
            }
            let source = Source {
                ends_at_ms: alert.ends_at_ms,
                two_sided: all(&index.rule.target, &alert.labels),
            };
            let sources = index.sources.entry(key).or_default();
            sources.insert(alert.labels.clone(), source);
        }
    }

    /// The alert that keeps these labels quiet, if one does.
    pub(crate) fn source_of(&self, target: &Labels, now_ms: i64) -> Option<&Labels> {
        self.rules.iter().find_map(|index| {
            if !all(&index.rule.target, target) {
                return None;
            }
            let sources = index.sources.get(&index.key(target))?;
            let two_sided = all(&index.rule.source, target);
            let fires = |source: &Source| source.ends_at_ms > now_ms;
            sources
                .iter()
                .find(|(_, source)| fires(source) && !(two_sided && source.two_sided))
                .map(|(labels, _)| labels)
        })
    }

    /// Forgets the alerts that are over.
    pub(crate) fn forget(&mut self, now_ms: i64) {
        for index in &mut self.rules {
            index.sources.retain(|_, sources| {
                sources.retain(|_, source| source.ends_at_ms > now_ms);
                !sources.is_empty()
            });
        }
    }
}

fn all(matchers: &[model::Matcher], labels: &Labels) -> bool {
    matchers
        .iter()
        .all(|matcher| matcher.matches_labels(labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(source: &str, target: &str, equal: &[&str]) -> InhibitRule {
        let matchers = |text: &str| crate::matchers::parse(text).expect(text);
        InhibitRule {
            source: matchers(source),
            target: matchers(target),
            equal: equal.iter().map(|name| Arc::from(*name)).collect(),
        }
    }

    fn alert(pairs: &[(&str, &str)], ends_at_ms: i64) -> Alert {
        Alert {
            labels: Labels::from_pairs(pairs.iter().copied()),
            annotations: Labels::empty(),
            starts_at_ms: 0,
            ends_at_ms,
            generator_url: String::new(),
        }
    }

    #[test]
    fn inhibition_needs_equal_labels_and_no_alert_silences_its_like() {
        let rules = [rule(
            "severity=critical",
            "severity=~\"warning|critical\"",
            &["node"],
        )];
        let check = |sources: &[&[(&str, &str)]], target: &[(&str, &str)], expected: bool| {
            let mut inhibitor = Inhibitor::new(&rules);
            for source in sources {
                inhibitor.learn(&alert(source, 100), 10);
            }
            let target = Labels::from_pairs(target.iter().copied());
            assert_eq!(
                inhibitor.source_of(&target, 10).is_some(),
                expected,
                "{target}"
            );
            assert!(inhibitor.source_of(&target, 100).is_none(), "it is over");
        };
        let critical: &[(&str, &str)] = &[("severity", "critical"), ("node", "1")];
        check(&[critical], &[("severity", "warning"), ("node", "1")], true);
        check(
            &[critical],
            &[("severity", "warning"), ("node", "2")],
            false,
        );
        check(
            &[&[("severity", "critical")]],
            &[("severity", "warning")],
            true,
        );
        check(
            &[&[("severity", "critical"), ("x", "1")]],
            &[("severity", "critical")],
            false,
        );
        check(&[critical], critical, false);
        check(&[], &[("severity", "warning")], false);
    }

    #[test]
    fn a_source_that_is_over_is_forgotten() {
        let mut inhibitor = Inhibitor::new(&[rule("a=1", "b=1", &[])]);
        inhibitor.learn(&alert(&[("a", "1")], 100), 10);
        inhibitor.learn(&alert(&[("a", "1"), ("c", "1")], 50), 10);
        let target = Labels::from_pairs([("b", "1")]);
        inhibitor.learn(&alert(&[("a", "1")], 20), 30);
        assert!(inhibitor.source_of(&target, 30).is_some());
        inhibitor.forget(60);
        assert!(inhibitor.rules[0].sources.is_empty());
    }
}
