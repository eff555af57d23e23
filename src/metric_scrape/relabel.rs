//! Relabelling: rules that change the labels of a target or a series, or drop it.
//!
//! The eleven actions of Prometheus with its semantics:
//! <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config>.
//! [`RelabelConfig`] is what was written, [`Relabeler`] what it means after checking.

use model::{Labels, LabelsBuilder, RelabelStep};
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::md5::md5;

/// One rule as written.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelabelConfig {
    /// Labels whose values are joined to what the rule looks at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_labels: Vec<String>,
    /// Stands between the joined values. Default `;`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// Label that gets the result; may refer to groups (`$1`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_label: Option<String>,
    /// What the joined values must match as a whole. Default `(.*)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// Divisor of `hashmod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modulus: Option<u64>,
    /// What the label gets; may refer to groups. Default `$1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// What to do, in any case. Default `replace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

/// Checked rules, in order.
#[derive(Debug, Clone, Default)]
pub struct Relabeler {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    action: Action,
    source_labels: Vec<String>,
    separator: String,
    regex: Regex,
    /// The regex is `(.*)`: no need to ask it.
    matches_all: bool,
    target_label: String,
    replacement: String,
    modulus: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

const ACTIONS: [(&str, Action); 11] = [
    ("replace", Action::Replace),
    ("keep", Action::Keep),
    ("drop", Action::Drop),
    ("keepequal", Action::KeepEqual),
    ("dropequal", Action::DropEqual),
    ("hashmod", Action::HashMod),
    ("labelmap", Action::LabelMap),
    ("labeldrop", Action::LabelDrop),
    ("labelkeep", Action::LabelKeep),
    ("lowercase", Action::Lowercase),
    ("uppercase", Action::Uppercase),
];

const REGEX_DEFAULT: &str = "(.*)";

impl Relabeler {
    /// Checks rules. The error names the rule by its place (from 1) and says what is wrong.
    pub fn new(configs: &[RelabelConfig]) -> Result<Self, String> {
        let rules = configs
            .iter()
            .enumerate()
            .map(|(i, config)| Rule::new(config).map_err(|why| format!("rule {}: {why}", i + 1)))
            .collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Applies all rules. Returns whether the labels are kept.
    pub fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        self.dropped_by(labels).is_none()
    }

    /// Applies all rules. Returns the number of the rule that drops the labels, from 1.
    pub fn dropped_by(&self, labels: &mut LabelsBuilder) -> Option<usize> {
        let dropping = self.rules.iter().position(|rule| !rule.apply(labels));
        dropping.map(|index| index + 1)
    }

    /// What each rule does to some labels, in words.
    pub fn steps(&self, labels: &Labels) -> Vec<RelabelStep> {
        let mut steps = Vec::with_capacity(self.rules.len());
        let mut before = labels.clone();
        for (index, rule) in self.rules.iter().enumerate() {
            let mut builder = before.to_builder();
            let source = rule.source(&builder);
            let drops = !rule.apply(&mut builder);
            let after = builder.build();
            let effect = if drops {
                rule.why_dropped(&source)
            } else {
                changes_in_words(&before, &after)
            };
            steps.push(RelabelStep {
                rule: index + 1,
                changes: drops || after != before,
                drops,
                effect,
            });
            if drops {
                break;
            }
            before = after;
        }
        steps
    }
}

impl Rule {
    fn new(config: &RelabelConfig) -> Result<Self, String> {
        let word = config.action.as_deref().unwrap_or("replace");
        let action = ACTIONS
            .iter()
            .find(|(name, _)| word.eq_ignore_ascii_case(name))
            .map(|(_, action)| *action)
            .ok_or_else(|| format!("action {word:?} is unknown"))?;
        check_fields(word, action, config)?;
        let text = config.regex.as_deref().unwrap_or(REGEX_DEFAULT);
        // Anchored, and a dot matches a line break too, as in Prometheus.
        let regex = Regex::new(&format!("^(?s:{text})$"))
            .map_err(|error| format!("regex {text:?}: {}", last_line(&error)))?;
        Ok(Self {
            action,
            source_labels: config.source_labels.clone(),
            separator: config.separator.clone().unwrap_or_else(|| ";".to_owned()),
            regex,
            matches_all: text == REGEX_DEFAULT,
            target_label: config.target_label.clone().unwrap_or_default(),
            replacement: config
                .replacement
                .clone()
                .unwrap_or_else(|| "$1".to_owned()),
            modulus: config.modulus.unwrap_or_default(),
        })
    }

    fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        let value = self.source(labels);
        match self.action {
            Action::Keep => return self.matches(&value),
            Action::Drop => return !self.matches(&value),
            Action::KeepEqual => {
                return labels.get(&self.target_label).unwrap_or_default() == value;
            }
            Action::DropEqual => {
                return labels.get(&self.target_label).unwrap_or_default() != value;
            }
            Action::Replace => {
                if let Some(target) = self.expand(&value, &self.target_label)
                    && let Some(result) = self.expand(&value, &self.replacement)
                    && !target.is_empty()
                {
                    labels.set(target, result);
                }
            }
            Action::Lowercase => {
                labels.set(&*self.target_label, value.to_lowercase());
            }
            Action::Uppercase => {
                labels.set(&*self.target_label, value.to_uppercase());
            }
            Action::HashMod => {
                let remainder = hash_of(&value)
                    .checked_rem(self.modulus)
                    .unwrap_or_default();
                labels.set(&*self.target_label, remainder.to_string());
            }
            Action::LabelMap => {
                for label in &labels.clone().build() {
                    if let Some(name) = self.expand(&label.name, &self.replacement)
                        && !name.is_empty()
                    {
                        labels.set(name, label.value.clone());
                    }
                }
            }
            Action::LabelDrop | Action::LabelKeep => {
                let drop_matching = self.action == Action::LabelDrop;
                for label in &labels.clone().build() {
                    if self.matches(&label.name) == drop_matching {
                        labels.remove(&label.name);
                    }
                }
            }
        }
        true
    }

    /// Why the rule drops a target whose source labels are these.
    fn why_dropped(&self, source: &str) -> String {
        let names = self.source_labels.join(&self.separator);
        // The regex is kept with its anchors.
        let regex = self.regex.as_str();
        let regex = regex
            .strip_prefix("^(?s:")
            .and_then(|r| r.strip_suffix(")$"));
        let regex = regex.unwrap_or_default();
        match self.action {
            Action::Keep => format!("drops it: {names} is {source:?}, kept is only {regex}"),
            Action::KeepEqual => {
                let label = &self.target_label;
                format!("drops it: {names} is {source:?}, which {label} is not")
            }
            Action::DropEqual => {
                let label = &self.target_label;
                format!("drops it: {names} is {source:?}, and so is {label}")
            }
            _ => format!("drops it: {names} is {source:?}, which matches {regex}"),
        }
    }

    /// The values that the rule looks at, joined.
    fn source(&self, labels: &LabelsBuilder) -> String {
        let values: Vec<&str> = self
            .source_labels
            .iter()
            .map(|name| labels.get(name).unwrap_or_default())
            .collect();
        values.join(&self.separator)
    }

    fn matches(&self, value: &str) -> bool {
        self.matches_all || self.regex.is_match(value)
    }

    /// Fills the groups of `value` into a template; `None` where the value does not match.
    fn expand(&self, value: &str, template: &str) -> Option<String> {
        if !template.contains('$') {
            return self.matches(value).then(|| template.to_owned());
        }
        // The usual rule: no regex, and the whole value is wanted.
        if self.matches_all && template == "$1" {
            return Some(value.to_owned());
        }
        let mut out = String::new();
        self.regex.captures(value)?.expand(template, &mut out);
        Some(out)
    }
}

/// What differs between labels before and after a rule.
fn changes_in_words(before: &Labels, after: &Labels) -> String {
    let mut changes = Vec::new();
    for label in after {
        match before.get(&label.name) {
            Some(old) if *old == *label.value => {}
            Some(old) => {
                changes.push(format!(
                    "changes {} from {old:?} to {:?}",
                    label.name, label.value
                ));
            }
            None => changes.push(format!("sets {} to {:?}", label.name, label.value)),
        }
    }
    let gone = before.iter().filter(|l| after.get(&l.name).is_none());
    changes.extend(gone.map(|label| format!("takes {} away", label.name)));
    if changes.is_empty() {
        "changes nothing".to_owned()
    } else {
        changes.join(", ")
    }
}

/// What Prometheus asks of a rule's fields.
fn check_fields(word: &str, action: Action, config: &RelabelConfig) -> Result<(), String> {
    use Action as A;
    let has_target = config.target_label.as_ref().is_some_and(|t| !t.is_empty());
    let needs_target = matches!(
        action,
        A::Replace | A::HashMod | A::Lowercase | A::Uppercase | A::KeepEqual | A::DropEqual
    );
    if needs_target && !has_target {
        return Err(format!("{word} needs a target_label"));
    }
    if action == A::HashMod && config.modulus.unwrap_or_default() == 0 {
        return Err("hashmod needs a modulus above 0".to_owned());
    }
    let allowed: &[&str] = match action {
        // Prometheus lets these carry settings that they do not use, and rules in the wild do.
        A::Replace | A::HashMod | A::Keep | A::Drop | A::LabelMap => return Ok(()),
        A::Lowercase | A::Uppercase => &[
            "source_labels",
            "target_label",
            "separator",
            "regex",
            "modulus",
        ],
        A::KeepEqual | A::DropEqual => &["source_labels", "target_label"],
        A::LabelDrop | A::LabelKeep => &["regex"],
    };
    // A field that repeats its default says nothing and is allowed.
    let given = [
        ("source_labels", !config.source_labels.is_empty()),
        (
            "separator",
            config.separator.as_deref().is_some_and(|s| s != ";"),
        ),
        ("target_label", has_target),
        (
            "regex",
            config.regex.as_deref().is_some_and(|r| r != REGEX_DEFAULT),
        ),
        ("modulus", config.modulus.unwrap_or_default() != 0),
        (
            "replacement",
            config.replacement.as_deref().is_some_and(|r| r != "$1"),
        ),
    ];
    match given
        .iter()
        .find(|(name, given)| *given && !allowed.contains(name))
    {
        Some((name, _)) => Err(format!("{word} does not take {name}")),
        None => Ok(()),
    }
}

/// The number that `hashmod` divides: the last eight bytes of the MD5, big-endian.
fn hash_of(value: &str) -> u64 {
    let digest = md5(value.as_bytes());
    digest[8..]
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Regex errors draw a picture over several lines; the last says in words what is wrong.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests;
