//! Who is told what, when: a configuration that was checked. What people write, and how it is
//! checked, is in `config_file.rs` and `config_check.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use crate::config_file::Draft;

use crate::config_check;
use crate::config_file::Mistake;
use crate::message::Wording;
use crate::receivers::Integration;
use crate::route::{GroupBy, InhibitRule, Route};
use crate::time_interval::Named;

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(.file, *.line))]
pub struct ConfigError {
    /// The file's name as the user knows it.
    pub file: String,
    /// Line, from 1; 0 where it is not known.
    pub line: u64,
    /// What is wrong and what to write instead.
    pub message: String,
}

fn place(file: &str, line: u64) -> String {
    match line {
        0 => format!("{file}: "),
        line => format!("{file}:{line}: "),
    }
}

/// Who is told what, when.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// How long an alert fires that was received without an end.
    pub resolve_timeout: Duration,
    /// The routing tree.
    pub route: Route,
    /// Receivers by name.
    pub receivers: BTreeMap<Arc<str>, Receiver>,
    /// Which alerts silence which.
    pub inhibit_rules: Vec<InhibitRule>,
    pub(crate) time_intervals: Named,
    pub(crate) wording: Wording,
    /// The configuration as YAML, secrets hidden: what the API and `amtool config show` give.
    pub original: String,
    /// What is understood and has no effect here, each a sentence.
    pub warnings: Vec<String>,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Receiver {
    pub(crate) integrations: Vec<Integration>,
}

impl Receiver {
    /// The ways in which it is told: `slack[0]`, `webhook[0]`, …
    pub fn ways(&self) -> impl Iterator<Item = String> {
        self.integrations.iter().map(Integration::name)
    }
}

impl Config {
    /// Nobody is told; alerts are seen on the pages only.
    pub fn silent() -> Self {
        let name: Arc<str> = Arc::from("nobody");
        Self {
            resolve_timeout: Duration::from_mins(5),
            route: Route {
                id: "{}".to_owned(),
                key: "{}".to_owned(),
                matchers: Vec::new(),
                receiver: name.clone(),
                group_by: GroupBy::Labels(BTreeSet::new()),
                group_wait_ms: 30_000,
                group_interval_ms: 300_000,
                repeat_interval_ms: 14_400_000,
                mute: Vec::new(),
                active: Vec::new(),
                goes_on: false,
                routes: Vec::new(),
            },
            receivers: BTreeMap::from([(name, Receiver::default())]),
            inhibit_rules: Vec::new(),
            time_intervals: Named::new(),
            wording: Wording::default(),
            original: "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n".to_owned(),
            warnings: Vec::new(),
        }
    }

    /// Reads and checks a configuration; `file` is its name in messages, relative names of files
    /// in it start in `dir`.
    pub fn parse(text: &str, file: &str, dir: &Path) -> Result<Self, ConfigError> {
        let draft: Draft = yaml::from_str(text, file).map_err(|error| ConfigError {
            file: error.file,
            line: error.line,
            message: error.message,
        })?;
        Self::check(draft, file, dir)
    }

    /// Checks a configuration whose keys were read, in a file of its own or in place.
    pub fn check(draft: Draft, file: &str, dir: &Path) -> Result<Self, ConfigError> {
        config_check::check(draft, dir).map_err(|Mistake { line, message }| ConfigError {
            file: file.to_owned(),
            line,
            message,
        })
    }

    /// Whether somebody who is told has a route for an alert of this name: for `Watchdog`, which
    /// is of use only there.
    pub fn awaits(&self, alertname: &str) -> bool {
        fn has(route: &Route, name: &str, told: &dyn Fn(&str) -> bool) -> bool {
            let is_meant = |matcher: &model::Matcher| {
                &*matcher.name == "alertname"
                    && matches!(matcher.op, model::MatchOp::Equal | model::MatchOp::Regex)
                    && matcher.matches(name)
                    // `.*` means every alert, not this one.
                    && !matcher.matches("\u{1}")
            };
            route.matchers.iter().any(is_meant) && told(&route.receiver)
                || route.routes.iter().any(|child| has(child, name, told))
        }
        let told = |receiver: &str| {
            let found = self.receivers.get(receiver);
            found.is_some_and(|receiver| !receiver.integrations.is_empty())
        };
        has(&self.route, alertname, &told)
    }

    /// The receivers that an alert with these labels reaches, in the order of its routes, with
    /// the place of each route in the tree.
    pub fn reached_by(&self, labels: &model::Labels) -> Vec<Reached> {
        let routes = self.route.matching(labels).into_iter();
        routes
            .map(|route| Reached {
                receiver: route.receiver.clone(),
                route: route.key.clone(),
                ways: self
                    .receivers
                    .get(&route.receiver)
                    .map(|receiver| receiver.ways().collect())
                    .unwrap_or_default(),
                group_labels: route.group_labels(labels),
                group_wait_ms: route.group_wait_ms,
                group_interval_ms: route.group_interval_ms,
                repeat_interval_ms: route.repeat_interval_ms,
            })
            .collect()
    }
}

/// A receiver that some labels reach, and by which route.
#[derive(Debug, Clone, PartialEq)]
pub struct Reached {
    /// Its name.
    pub receiver: Arc<str>,
    /// Matchers of the route and of those above it: `{}/{severity="critical"}`.
    pub route: String,
    /// `slack[0]`, …
    pub ways: Vec<String>,
    /// The labels that its group is named by.
    pub group_labels: model::Labels,
    /// How long a new group waits, milliseconds.
    pub group_wait_ms: i64,
    /// How long until what is new in it is told.
    pub group_interval_ms: i64,
    /// How long until it is told again.
    pub repeat_interval_ms: i64,
}
