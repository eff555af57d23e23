//! What can be wrong with LogQL: with its text, and while it is answered.

use std::ops::Range;

use model::StoreError;

/// A text that is no LogQL. Reads as Loki's own message does, so that Grafana and logcli show it
/// as they show Loki's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parse error at line {line}, col {column}: {message}{}", hint(.suggestion.as_deref()))]
pub struct ParseError {
    /// What is wrong and what to write instead.
    pub message: String,
    /// Where, in characters from the start of the text, beginning with 0.
    pub position: usize,
    /// The line of the place, from 1.
    pub line: usize,
    /// The column of the place in characters, from 1.
    pub column: usize,
    /// The whole query as it is probably meant, where that is known.
    pub suggestion: Option<String>,
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |text| format!(" (did you mean: {text})"))
}

impl ParseError {
    /// An error at a byte of a text.
    pub(super) fn at(text: &str, byte: usize, message: impl Into<String>) -> Self {
        let before = text.get(..byte.min(text.len())).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Self {
            message: message.into(),
            position: before.chars().count(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            suggestion: None,
        }
    }

    /// Adds the text with a part of it written differently.
    #[must_use]
    pub(super) fn instead(mut self, text: &str, part: Range<usize>, with: &str) -> Self {
        if let (Some(before), Some(after)) = (text.get(..part.start), text.get(part.end..)) {
            self.suggestion = Some(format!("{before}{with}{after}"));
        }
        self
    }
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A limit was reached, or a stage failed on a line of a metric query; the sentence names it.
    #[error("{0}")]
    Limit(String),
    /// Two sides of an operator do not fit together.
    #[error("{0}")]
    Matching(String),
}
