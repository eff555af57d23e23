//! How the value of an alert's expression went before and while it fired.

use log_query::{LogReader, Stop};
use model::{Labels, METRIC_NAME, SeriesReader};
use promql::{Context, Engine, ErrorKind, Value};
use serde::{Deserialize, Serialize};

use crate::Question;
use crate::log_rule::LogRule;
use crate::threshold::comparison;

/// Points of a curve, at most one more.
pub const POINTS: i64 = 60;

/// How long before the beginning the curve starts, milliseconds.
const LEAD_MS: i64 = 3_600_000;

/// The longest curve, milliseconds: of what fires for weeks, the end.
const SPAN_MS_MAX: i64 = 24 * 3_600_000;

/// A value over time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The first point, milliseconds since 1970-01-01 UTC.
    pub start_ms: i64,
    /// From point to point, milliseconds.
    pub step_ms: i64,
    /// Nothing where there is a gap.
    pub values: Vec<Option<f64>>,
    /// What the value is compared with, and how.
    pub threshold: Option<(String, f64)>,
}

/// The points of a curve.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_field_names, reason = "units are part of names")]
pub(crate) struct Span {
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// Milliseconds, more than 0.
    pub(crate) step_ms: i64,
}

impl Span {
    fn of(question: &Question<'_>) -> Self {
        let end_ms = question.until_ms;
        let start_ms = (question.active_at_ms - LEAD_MS).max(end_ms - SPAN_MS_MAX);
        Self {
            start_ms,
            end_ms,
            step_ms: ((end_ms - start_ms) / POINTS).max(1_000),
        }
    }

    pub(crate) fn points(&self) -> usize {
        let steps = (self.end_ms - self.start_ms).max(0) / self.step_ms;
        usize::try_from(steps).unwrap_or(0) + 1
    }
}

/// The curve of one alert; `None` where the expression cannot be asked or gives nothing.
pub fn of_alert(
    question: &Question<'_>,
    engine: &Engine,
    series: &dyn SeriesReader,
    logs: &dyn LogReader,
    stop: &Stop,
) -> Option<Curve> {
    let span = Span::of(question);
    if question.is_log_rule {
        let rule = LogRule::parse(question.expression)?;
        return rule.curve(question, span, logs, stop);
    }
    let asked = || stop.is_stopped().then_some(ErrorKind::Canceled);
    let context = Context {
        stop: Some(&asked),
        ..Context::default()
    };
    let Span {
        start_ms,
        end_ms,
        step_ms,
    } = span;
    let compared = comparison(question.expression);
    // The other side may be computed (`10 * 1024^3`); one that needs series is no line.
    let threshold = compared.and_then(|compared| {
        let answer = engine.instant(series, compared.right, end_ms, &context);
        match answer.ok()?.value {
            Value::Scalar { value, .. } if value.is_finite() => {
                Some((compared.operator.to_owned(), value))
            }
            _ => None,
        }
    });
    let asked_for = match (&threshold, compared) {
        (Some(_), Some(compared)) => compared.left,
        _ => question.expression,
    };
    let answer = engine.range(series, asked_for, start_ms, end_ms, step_ms, &context);
    let Value::Matrix(found) = answer.ok()?.value else {
        return None;
    };
    let own = found
        .iter()
        .find(|one| is_of(&one.labels, question.labels, question.rule_labels))
        .or(match found.as_slice() {
            [only] => Some(only),
            _ => None,
        })?;
    let mut values = vec![None; span.points()];
    for (time_ms, value) in own.samples.timestamps_ms.iter().zip(&own.samples.values) {
        let slot = usize::try_from((time_ms - start_ms) / step_ms);
        if let Some(cell) = slot.ok().and_then(|slot| values.get_mut(slot)) {
            *cell = value.is_finite().then_some(*value);
        }
    }
    Some(Curve {
        start_ms,
        step_ms,
        values,
        threshold,
    })
}

/// Whether an alert comes from a series: it has all of its labels but those that the rule has set
/// anew.
pub(crate) fn is_of(series: &Labels, alert: &Labels, rule: &Labels) -> bool {
    series
        .iter()
        .filter(|label| &*label.name != METRIC_NAME && rule.get(&label.name).is_none())
        .all(|label| alert.get(&label.name) == Some(&*label.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use promql::memory::MemoryReader;

    #[test]
    fn the_left_side_of_the_alerts_own_series_is_drawn() {
        const MINUTE: i64 = 60_000;
        let mut reader = MemoryReader::new();
        for host in ["a", "b"] {
            let labels = Labels::from_pairs([("__name__", "load"), ("host", host)]);
            for minute in 0..200_i64 {
                let own = if host == "a" { minute as f64 } else { 0.0 };
                reader.push(&labels, minute * MINUTE, own);
            }
        }
        let labels = Labels::from_pairs([("alertname", "High"), ("host", "a"), ("severity", "x")]);
        let rule_labels = Labels::from_pairs([("severity", "x")]);
        let question = |expression| Question {
            labels: &labels,
            rule_labels: &rule_labels,
            expression,
            is_log_rule: false,
            active_at_ms: 150 * MINUTE,
            until_ms: 160 * MINUTE,
        };
        let curve = |expression| {
            let engine = Engine::default();
            let logs = log_query::memory::MemoryReader::new(Vec::new());
            let question = question(expression);
            of_alert(&question, &engine, &reader, &logs, &Stop::default())
        };
        let found = curve("load > 30 * 5").expect("a curve");
        assert_eq!(found.threshold, Some((">".to_owned(), 150.0)));
        assert_eq!(found.start_ms, 90 * MINUTE);
        assert_eq!(found.values.first(), Some(&Some(90.0)));
        assert_eq!(found.values.last(), Some(&Some(160.0)));
        // Without a number to compare with there is no line, and the expression itself is drawn.
        let found = curve("load > on (host) load * 0").expect("a curve");
        assert_eq!(found.threshold, None);
        assert_eq!(curve("nothing > 1"), None);
        assert_eq!(curve("load >"), None);
    }
}
