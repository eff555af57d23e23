//! `| status >= 500 and app="x"`.

use model::Matcher;

use super::ip::IpRange;
use super::labels::LineLabels;
use crate::logql::ast::{Comparison, LabelFilter, Quantity};
use crate::logql::units;

/// A label filter that is ready to be asked.
#[derive(Debug, Clone)]
pub(super) enum Test {
    And(Box<Test>, Box<Test>),
    Or(Box<Test>, Box<Test>),
    Text(Matcher),
    Number {
        name: String,
        op: Comparison,
        value: Quantity,
    },
    Ip {
        name: String,
        negated: bool,
        range: IpRange,
    },
}

impl Test {
    pub(super) fn new(filter: &LabelFilter) -> Result<Self, String> {
        let both = |a: &LabelFilter, b: &LabelFilter| {
            Ok::<_, String>((Box::new(Self::new(a)?), Box::new(Self::new(b)?)))
        };
        Ok(match filter {
            LabelFilter::And(a, b) => both(a, b).map(|(a, b)| Self::And(a, b))?,
            LabelFilter::Or(a, b) => both(a, b).map(|(a, b)| Self::Or(a, b))?,
            LabelFilter::Text(matcher) => Self::Text(matcher.clone()),
            LabelFilter::Number { name, op, value } => Self::Number {
                name: name.clone(),
                op: *op,
                value: *value,
            },
            LabelFilter::Ip {
                name,
                negated,
                range,
            } => Self::Ip {
                name: name.clone(),
                negated: *negated,
                range: IpRange::parse(range)?,
            },
        })
    }

    /// Whether a line stays. A label that is no number where one is compared leaves the line in,
    /// with `__error__`; only tests of texts can leave such a line out again.
    pub(super) fn keeps(&self, labels: &mut LineLabels<'_>) -> bool {
        match self {
            Self::And(a, b) => a.keeps(labels) && b.keeps(labels),
            Self::Or(a, b) => a.keeps(labels) || b.keeps(labels),
            Self::Text(matcher) => matcher.matches(labels.get(&matcher.name).unwrap_or_default()),
            Self::Number { name, op, value } => {
                if labels.error().is_some() {
                    return true;
                }
                let Some(text) = labels.get(name) else {
                    return false;
                };
                let (found, wanted) = match value {
                    Quantity::Number(wanted) => (text.trim().parse().ok(), *wanted),
                    Quantity::Duration(ns) => (
                        units::duration_ns(text).map(|found| found as f64),
                        *ns as f64,
                    ),
                    Quantity::Bytes(bytes) => {
                        (units::bytes(text).map(|found| found as f64), *bytes as f64)
                    }
                };
                if let Some(found) = found {
                    return op.holds(found, wanted);
                }
                let details = format!("{name}={text:?} cannot be compared with a {}", value.kind());
                labels.fail("LabelFilterErr", || details);
                true
            }
            Self::Ip {
                name,
                negated,
                range,
            } => {
                if labels.error().is_some() {
                    return true;
                }
                labels
                    .get(name)
                    .is_some_and(|text| range.contains(text) != *negated)
            }
        }
    }

    /// The labels that it looks at.
    pub(super) fn names(&self, out: &mut Vec<String>) {
        match self {
            Self::And(a, b) | Self::Or(a, b) => {
                a.names(out);
                b.names(out);
            }
            Self::Text(matcher) => out.push(matcher.name.to_string()),
            Self::Number { name, .. } | Self::Ip { name, .. } => out.push(name.clone()),
        }
    }
}

impl Quantity {
    fn kind(self) -> &'static str {
        match self {
            Self::Number(_) => "number",
            Self::Duration(_) => "duration",
            Self::Bytes(_) => "size in bytes",
        }
    }
}
