//! Rules as they were read and checked: what does not change while they are evaluated.

use std::sync::Arc;

use template::Template;

use crate::query::Reads;

/// A text with a template in it, parsed.
#[derive(Debug, Clone)]
pub struct Text {
    /// As written.
    pub source: Arc<str>,
    /// As parsed.
    pub(crate) template: Template,
}

/// The template follows from the source.
impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// What a rule makes.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleOutput {
    /// A new series.
    Recording,
    /// Alerts.
    Alerting {
        /// How long the expression must give an alert before it fires, milliseconds.
        for_ms: i64,
        /// How long it goes on firing after the expression gives it no more, milliseconds.
        keep_firing_for_ms: i64,
        /// Texts for people, by name, in order of name.
        annotations: Vec<(Arc<str>, Text)>,
    },
}

/// Who answers the expression of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Source {
    /// The metric store, in PromQL.
    #[default]
    Metrics,
    /// The log store, in LogQL or the search language.
    Logs,
}

impl Source {
    /// The word for it in rule files and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSpec {
    /// The alert's or the new series' name.
    pub name: Arc<str>,
    /// The expression as written, without white space around it.
    pub expression: Arc<str>,
    /// Who answers it.
    pub source: Source,
    /// Labels to add, those of the group included, in order of name.
    pub labels: Vec<(Arc<str>, Text)>,
    /// What it makes.
    pub output: RuleOutput,
    /// Which metrics it reads, its templates included.
    pub reads: Reads,
    /// Why it cannot be evaluated, where it cannot: such a rule is shown, with its error, and
    /// left alone.
    pub broken: Option<String>,
    /// Why it is not evaluated though it could be (a built-in rule that is switched off).
    pub idle: Option<String>,
}

/// A group of rules that are evaluated one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSpec {
    /// Its name, unique within its file.
    pub name: Arc<str>,
    /// The file that it comes from, or `built-in`.
    pub file: Arc<str>,
    /// Evaluated every so many milliseconds; `None` for the interval of the whole installation.
    pub interval_ms: Option<i64>,
    /// Expressions are asked, and results stored, so many milliseconds before the evaluation;
    /// `None` for the offset of the whole installation.
    pub query_offset_ms: Option<i64>,
    /// Most alerts or series that each of its rules may give; 0 for the limits of this room.
    pub limit: usize,
    /// Whether a rule is left alone as long as what it needs does not exist: built-in rules,
    /// which are written for any machine.
    pub where_applicable: bool,
    /// Its rules, in order of evaluation.
    pub rules: Vec<Arc<RuleSpec>>,
}

impl RuleSpec {
    /// The labels that are known before anything is found: those without a template.
    pub(crate) fn constant_labels(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.labels
            .iter()
            .filter(|(key, text)| text.template.is_constant() && &**key != "alertname")
            .map(|(key, text)| (key, &text.source))
    }
}

impl GroupSpec {
    /// The name of its target in the metric store, stable over restarts.
    pub(crate) fn target_name(&self) -> String {
        format!("rules/{}/{}", self.file, self.name)
    }
}
