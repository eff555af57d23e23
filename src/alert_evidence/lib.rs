//! What was going on when an alert began?
//!
//! From an alert's labels and its rule's expression to what a person would look up first:
//!
//! 1. `threshold.rs`: what the expression compares, and with which number.
//! 2. `curve.rs`: how that value went.
//! 3. `log_rule.rs`: which lines a log rule counts, and how many there were.
//! 4. `streams.rs`: which log streams are about the same thing as another alert.
//! 5. `lines.rs`: their lines around the beginning, errors first, and the patterns of which there
//!    are more than in the hour before.
//! 6. `words.rs`: all of it as a few lines of text, for receivers.
//!
//! Everything is bounded, so that an incident can be kept as a small document. This room knows no
//! rule, no receiver and no clock.

mod curve;
mod lines;
mod log_rule;
mod streams;
mod threshold;
mod words;

use std::collections::BTreeMap;

use log_query::{LogReader, Stop};
use model::{Labels, SeriesReader};
use serde::{Deserialize, Serialize};

pub use curve::{Curve, POINTS, of_alert};
pub use lines::{
    BEFORE_MS, Line, LogEvidence, Risen, USUAL_MS, WINDOW_AFTER_MS, WINDOW_BEFORE_MS, look, window,
};
pub use log_rule::looks_back;
pub use streams::{Scope, scope};
pub use threshold::{Comparison, comparison};
pub use words::{Words, sparkline};

/// What is asked about an alert.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Its labels, `alertname` included.
    pub labels: &'a Labels,
    /// Names of labels that its rule has put on, which the expression's series need not have.
    pub rule_labels: &'a Labels,
    /// The rule's expression; empty where nobody knows it.
    pub expression: &'a str,
    /// Whether it is one on log lines, not PromQL.
    pub is_log_rule: bool,
    /// Since when the expression gives the alert, milliseconds since 1970-01-01 UTC.
    pub active_at_ms: i64,
    /// Now, or when it ended.
    pub until_ms: i64,
}

/// What was found; small enough to be kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// Labels of the alert.
    pub labels: BTreeMap<String, String>,
    /// Its texts when it began.
    pub annotations: BTreeMap<String, String>,
    /// The rule's expression; empty where nobody knows it.
    pub expression: String,
    /// Whether the log store answers it.
    pub is_log_rule: bool,
    /// The rule's `for`, labels and group, to find its page.
    pub rule_id: String,
    /// Since when the expression gave the alert, milliseconds since 1970-01-01 UTC.
    pub active_at_ms: i64,
    /// The value that began it.
    pub value: Option<f64>,
    /// How the value went.
    pub curve: Option<Curve>,
    /// What the logs say.
    pub logs: Option<LogEvidence>,
}

/// The longest text that is kept of a label or annotation, characters.
const TEXT_CHARS_MAX: usize = 2_000;

/// The most labels or annotations that are kept.
const TEXTS_MAX: usize = 64;

impl Evidence {
    /// Labels or annotations as they are kept, cut where they are enormous.
    pub fn texts(labels: &Labels) -> BTreeMap<String, String> {
        let pairs = labels.iter().take(TEXTS_MAX).map(|label| {
            let value: String = label.value.chars().take(TEXT_CHARS_MAX).collect();
            (label.name.to_string(), value)
        });
        pairs.collect()
    }

    /// The alert's labels.
    pub fn labels(&self) -> Labels {
        Labels::from_pairs(self.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())))
    }

    /// Looks up curve and lines. What cannot be had is left out; `logs` says why in its note.
    pub fn gather(
        &mut self,
        question: &Question<'_>,
        engine: &promql::Engine,
        series: &dyn SeriesReader,
        logs: &dyn LogReader,
        stop: &Stop,
    ) {
        if !question.expression.is_empty() {
            self.curve = of_alert(question, engine, series, logs, stop);
        }
        self.logs = Some(look(question, logs, stop));
    }
}
