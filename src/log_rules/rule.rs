//! The checked form of rules, and what one rule does to one line.

use log_query::{Filter, LineView};
use model::{Labels, Level};

use crate::config::MergeConfig;
use crate::merge::{Merged, merge};
use crate::redact::Redact;
use crate::rename::{Rename, with_label};
use crate::sample::Sample;

/// Rules in their order, checked.
#[derive(Debug, Default)]
pub struct Rules {
    pub(crate) rules: Vec<Rule>,
}

impl Rules {
    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Their names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }
}

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) condition: Filter,
    pub(crate) action: Action,
}

/// What a rule does with the lines that it is about.
#[derive(Debug)]
pub(crate) enum Action {
    /// Those that match are not stored.
    Drop(Filter),
    /// Those that do not match are not stored.
    Keep(Filter),
    Sample(Sample),
    Redact(Redact),
    Rename(Rename),
    AddLabels(Vec<(String, String)>),
    SetLevel(Level),
    MergeLog(MergeConfig),
}

/// What a rule did to a line.
#[derive(Debug, Default, PartialEq)]
pub(crate) enum Effect {
    /// Nothing.
    #[default]
    Same,
    /// It is not stored.
    Dropped,
    /// It changed; parts that did not are `None`.
    Changed {
        text: Option<Vec<u8>>,
        labels: Option<Labels>,
        level: Option<Level>,
    },
}

impl Effect {
    fn of(text: Option<Vec<u8>>, labels: Option<Labels>, level: Option<Level>) -> Self {
        if text.is_none() && labels.is_none() && level.is_none() {
            return Self::Same;
        }
        Self::Changed {
            text,
            labels,
            level,
        }
    }

    fn dropped_if(dropped: bool) -> Self {
        if dropped { Self::Dropped } else { Self::Same }
    }
}

impl Action {
    /// The word by which it is written.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Drop(_) => "drop",
            Self::Keep(_) => "keep",
            Self::Sample(_) => "sample",
            Self::Redact(_) => "redact",
            Self::Rename(_) => "rename",
            Self::AddLabels(_) => "add_labels",
            Self::SetLevel(_) => "set_level",
            Self::MergeLog(_) => "merge_log",
        }
    }

    /// Decides about a line that satisfies the rule's condition.
    pub(crate) fn apply(&self, line: &LineView<'_>, time_ns: i64) -> Effect {
        match self {
            Self::Drop(filter) => Effect::dropped_if(filter.matches(line)),
            Self::Keep(filter) => Effect::dropped_if(!filter.matches(line)),
            Self::Sample(sample) => Effect::dropped_if(!sample.keeps(line, time_ns)),
            Self::Redact(redact) => Effect::of(redact.apply(line.text), None, None),
            Self::Rename(rename) => {
                Effect::of(rename.text(line.text), rename.labels(line.labels), None)
            }
            Self::AddLabels(add) => Effect::of(None, with_labels(line.labels, add), None),
            Self::SetLevel(level) => {
                Effect::of(None, None, (*level != line.level).then_some(*level))
            }
            Self::MergeLog(config) => match merge(config, line.text, line.labels) {
                None => Effect::Same,
                Some(Merged {
                    text,
                    labels,
                    level,
                }) => {
                    // What the collector found in the line itself counts more.
                    let level = level.filter(|_| line.level == Level::Unknown);
                    Effect::of(text, labels, level)
                }
            },
        }
    }
}

fn with_labels(labels: &Labels, add: &[(String, String)]) -> Option<Labels> {
    let is_there = |(name, value): &(String, String)| labels.get(name) == Some(value.as_str());
    if add.iter().all(is_there) {
        return None;
    }
    let add_one =
        |labels: Labels, (name, value): &(String, String)| with_label(&labels, name, value);
    Some(add.iter().fold(labels.clone(), add_one))
}
