//! Label matchers: `name = "value"`, `!=`, `=~`, `!~`.

use std::fmt;
use std::sync::Arc;

use regex::Regex;

use crate::labels::Labels;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored on both sides
    Regex,
    /// `!~`, anchored on both sides
    NotRegex,
}

impl MatchOp {
    /// The operator as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// A condition on one label. A label that is not there counts as the empty string.
#[derive(Clone)]
pub struct Matcher {
    /// The label's name.
    pub name: Arc<str>,
    /// How to compare.
    pub op: MatchOp,
    /// The value or the regular expression, as written.
    pub value: Arc<str>,
    regex: Option<Regex>,
}

/// A regular expression that does not compile.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot use {pattern:?} as a regular expression for label {name:?}: {reason}")]
pub struct BadRegex {
    /// The label.
    pub name: String,
    /// The expression as written.
    pub pattern: String,
    /// What the parser said, on one line.
    pub reason: String,
}

impl Matcher {
    /// Builds a matcher; only the regular expressions can fail. As in Prometheus they are
    /// anchored, and `.` also matches a line break.
    pub fn new(
        name: impl Into<Arc<str>>,
        op: MatchOp,
        value: impl Into<Arc<str>>,
    ) -> Result<Self, BadRegex> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => {
                Some(Regex::new(&format!("^(?s:{value})$")).map_err(|error| {
                    BadRegex {
                        name: name.to_string(),
                        pattern: value.to_string(),
                        reason: error
                            .to_string()
                            .lines()
                            .last()
                            .unwrap_or_default()
                            .trim_start_matches("error: ")
                            .to_owned(),
                    }
                })?)
            }
        };
        Ok(Self {
            name,
            op,
            value,
            regex,
        })
    }

    /// `name = "value"`.
    pub fn equal(name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            op: MatchOp::Equal,
            value: value.into(),
            regex: None,
        }
    }

    /// Whether a value of the label satisfies the condition (`""` for a label that is missing).
    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.regex) {
            (MatchOp::Equal, _) => *self.value == *value,
            (MatchOp::NotEqual, _) => *self.value != *value,
            (MatchOp::Regex, Some(regex)) => regex.is_match(value),
            (MatchOp::NotRegex, Some(regex)) => !regex.is_match(value),
            (MatchOp::Regex | MatchOp::NotRegex, None) => false,
        }
    }

    /// Whether a label set satisfies the condition.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name).unwrap_or_default())
    }

    /// Whether a set without the label satisfies the condition, so that an index must not
    /// restrict itself to the series that have it.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.op == other.op && self.value == other.value
    }
}

impl Eq for Matcher {}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op.as_str(), self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regexes_are_anchored_and_missing_labels_are_empty() {
        let check = |op, value: &str, input: &str, expected| {
            let matcher = Matcher::new("l", op, value).expect("a valid pattern");
            assert_eq!(matcher.matches(input), expected, "{matcher} on {input:?}");
        };
        check(MatchOp::Regex, "a|b", "ab", false);
        check(MatchOp::Regex, "a|b", "b", true);
        check(MatchOp::Regex, ".*", "", true);
        check(MatchOp::Regex, ".+", "", false);
        check(MatchOp::Regex, "a.b", "a\nb", true);
        check(MatchOp::NotRegex, "a.*", "abc", false);
        check(MatchOp::NotEqual, "x", "", true);
    }

    #[test]
    fn a_bad_pattern_names_itself() {
        let error = Matcher::new("pod", MatchOp::Regex, "a(").expect_err("unclosed group");
        assert!(error.to_string().contains("\"a(\""), "{error}");
        assert!(error.to_string().contains("unclosed group"), "{error}");
    }
}
