//! Which receivers hear of an alert, and together with which others.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Labels, Matcher};

/// Which labels alerts are grouped by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// All (`...`): each alert is a group of its own.
    All,
    /// These; none makes one group of all.
    Labels(BTreeSet<Arc<str>>),
}

/// A node of the routing tree, with everything that it inherits filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Its place in the tree, such as `{}/{severity="critical"}/0`: the same after a restart.
    pub id: String,
    /// Its matchers and those above it, the first part of group keys.
    pub key: String,
    /// Conditions, all of which must hold.
    pub matchers: Vec<Matcher>,
    /// Name of the receiver.
    pub receiver: Arc<str>,
    /// How alerts are grouped.
    pub group_by: GroupBy,
    /// How long a new group waits for more alerts, milliseconds.
    pub group_wait_ms: i64,
    /// How long until a group that was told tells what is new, milliseconds.
    pub group_interval_ms: i64,
    /// How long until a group is told again though nothing is new, milliseconds.
    pub repeat_interval_ms: i64,
    /// Nothing is told while one of these time intervals holds.
    pub mute: Vec<Arc<str>>,
    /// Where there are any, nothing is told unless one of these time intervals holds.
    pub active: Vec<Arc<str>>,
    /// Whether the routes behind this one are asked, too.
    pub goes_on: bool,
    /// More special routes, in order.
    pub routes: Vec<Route>,
}

impl Route {
    /// The routes that an alert takes: children first, the node itself only if none of them
    /// matches; after the first child that matches the walk stops unless that one goes on.
    pub fn matching(&self, labels: &Labels) -> Vec<&Route> {
        if !self.matchers.iter().all(|m| m.matches_labels(labels)) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for child in &self.routes {
            let matched = child.matching(labels);
            let stop = !matched.is_empty() && !child.goes_on;
            found.extend(matched);
            if stop {
                break;
            }
        }
        if found.is_empty() {
            found.push(self);
        }
        found
    }

    /// The labels that name the group of an alert.
    pub fn group_labels(&self, labels: &Labels) -> Labels {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => labels.filtered(|name| names.contains(name)),
        }
    }
}

/// Silences some alerts while others fire (`inhibit.rs` carries it out).
#[derive(Debug, Clone, PartialEq)]
pub struct InhibitRule {
    /// Which alerts silence.
    pub source: Vec<Matcher>,
    /// Which are silenced.
    pub target: Vec<Matcher>,
    /// Labels whose values must be the same in both.
    pub equal: Vec<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const TREE: &str = r"
route:
  receiver: root
  group_by: [alertname]
  routes:
  - matchers: [team=a]
    receiver: a
    routes:
    - matchers: [severity=critical]
      receiver: a-pager
      group_by: ['...']
  - matchers: ['severity=~critical|page']
    receiver: audit
    continue: true
  - match: {severity: critical}
    match_re: {team: 'b|c'}
    receiver: b-or-c
receivers: [{name: root}, {name: a}, {name: a-pager}, {name: audit}, {name: b-or-c}]
";

    #[test]
    fn an_alert_takes_the_first_route_that_matches_unless_it_goes_on() {
        let config =
            Config::parse(TREE, "am.yml", std::path::Path::new(".")).expect("a configuration");
        let check = |pairs: &[(&str, &str)], expected: &[&str]| {
            let labels = Labels::from_pairs(pairs.iter().copied());
            let routes = config.route.matching(&labels);
            let names: Vec<&str> = routes.iter().map(|r| &*r.receiver).collect();
            assert_eq!(names, expected, "{labels}");
        };
        check(&[], &["root"]);
        check(&[("team", "a")], &["a"]);
        check(&[("team", "a"), ("severity", "critical")], &["a-pager"]);
        check(
            &[("team", "b"), ("severity", "critical")],
            &["audit", "b-or-c"],
        );
        check(&[("team", "d"), ("severity", "page")], &["audit"]);
    }

    #[test]
    fn keys_and_group_labels_are_alertmanagers() {
        let config =
            Config::parse(TREE, "am.yml", std::path::Path::new(".")).expect("a configuration");
        let labels =
            Labels::from_pairs([("alertname", "A"), ("team", "a"), ("severity", "critical")]);
        let routes = config.route.matching(&labels);
        assert_eq!(routes[0].key, r#"{}/{team="a"}/{severity="critical"}"#);
        assert_eq!(routes[0].group_labels(&labels), labels);
        assert_eq!(
            config.route.group_labels(&labels).to_string(),
            r#"{alertname="A"}"#
        );
    }
}
