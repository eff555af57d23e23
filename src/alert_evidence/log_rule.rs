//! Which lines does a log rule count, and how did their number go?
//!
//! - LogQL is asked itself, over time, for the side of its comparison that changes.
//! - Of a search the lines of its filter are counted, as many as it looks back on: that is its
//!   value where it counts lines, and the next best thing where it computes something else.

use std::sync::Arc;

use log_query::logql::ast::{BinaryOp, RangeOp};
use log_query::logql::{self, Grid, MetricExpr};
use log_query::{
    Bound, Direction, FieldTest, Filter, Function, Key, LogReader, Pipe, Query, Search, Stop,
    compile_regex, look_back,
};
use model::{MatchOp, Matcher};

use crate::Question;
use crate::curve::{Curve, Span, is_of};

/// Parts into which lines are counted, at most.
const PARTS_MAX: i64 = 5_000;

/// A rule's expression, as far as evidence needs to know it.
pub(crate) struct LogRule {
    filter: Filter,
    /// How far it looks back, nanoseconds.
    window_ns: i64,
    /// Labels of its results that are labels or fields of its lines; `None` for all.
    by: Option<Vec<String>>,
    value: Value,
    limit: Option<(&'static str, f64)>,
}

enum Value {
    /// This side of the comparison; whether no lines mean 0.
    LogQl(Box<MetricExpr>, bool),
    /// The number of lines.
    Lines,
}

impl LogRule {
    /// Reads an expression; `None` for one that cannot be understood.
    pub(crate) fn parse(expression: &str) -> Option<Self> {
        match logql::parse(expression) {
            Ok(logql::Expr::Metric(metric)) => Self::of_logql(metric),
            Ok(logql::Expr::Log(_)) => None,
            Err(_) => Self::of_search(expression),
        }
    }

    fn of_logql(metric: MetricExpr) -> Option<Self> {
        let (left, limit) = compared(metric);
        let (op, range) = innermost(&left)?;
        let plan = logql::LogPlan::new(&range.log).ok()?;
        let (filter, window_ns) = (plan.query().filter.clone(), range.range_ns);
        let counts = matches!(
            op,
            RangeOp::CountOverTime | RangeOp::Rate | RangeOp::BytesOverTime | RangeOp::BytesRate
        );
        let is_absence = op == RangeOp::AbsentOverTime;
        Some(Self {
            filter,
            window_ns,
            by: None,
            value: if is_absence {
                Value::Lines
            } else {
                Value::LogQl(Box::new(left), counts)
            },
            limit: if is_absence { Some(("<", 1.0)) } else { limit },
        })
    }

    fn of_search(expression: &str) -> Option<Self> {
        let (text, window_ns) = look_back(expression)?;
        let query = Query::parse(text).ok()?;
        let mut by = Vec::new();
        let limit = match query.pipes.as_slice() {
            [] => Some((">", 0.0)),
            // More than the filter decides which lines count, or not their number is the value.
            [Pipe::Stats(stats), rest @ ..] => {
                by = stats
                    .by
                    .iter()
                    .filter_map(|key| match key {
                        Key::Field(name) => Some(name.clone()),
                        Key::Time(_) => None,
                    })
                    .collect();
                let counted = stats.columns.first();
                let counted = counted.filter(|c| matches!(c.function, Function::Count(None)));
                counted.and_then(|column| {
                    rest.iter().find_map(|pipe| match pipe {
                        Pipe::Where(Filter::Field { name, test }) if *name == column.name => {
                            limit_of(test)
                        }
                        _ => None,
                    })
                })
            }
            _ => None,
        };
        Some(Self {
            filter: query.filter,
            window_ns,
            by: Some(by),
            value: Value::Lines,
            limit,
        })
    }

    /// The lines of the rule, whatever the alert.
    pub(crate) fn all(&self) -> &Filter {
        &self.filter
    }

    /// The lines behind one alert.
    pub(crate) fn filter(&self, question: &Question<'_>) -> Filter {
        let mut all = vec![self.filter.clone()];
        for label in question.labels {
            let is_rules = question.rule_labels.get(&label.name).is_some();
            let is_theirs = match &self.by {
                None => true,
                Some(by) => by.iter().any(|name| **name == *label.name),
            };
            if is_theirs && !is_rules && &*label.name != "alertname" && !label.value.is_empty() {
                all.push(equal(&label.name, &label.value));
            }
        }
        match all.as_mut_slice() {
            [one] => one.clone(),
            _ => Filter::And(all),
        }
    }

    /// The value over time.
    pub(crate) fn curve(
        &self,
        question: &Question<'_>,
        span: Span,
        logs: &dyn LogReader,
        stop: &Stop,
    ) -> Option<Curve> {
        let values = match &self.value {
            Value::LogQl(left, counts) => {
                let grid = Grid::range(ns(span.start_ms), ns(span.end_ms), ns(span.step_ms));
                let limits = logql::Limits {
                    stop: stop.clone(),
                    ..logql::Limits::default()
                };
                let answer = logql::range(logs, left, grid, &limits).ok()?;
                let logql::Value::Series(columns) = answer.value else {
                    return None;
                };
                let own = columns
                    .iter()
                    .find(|c| is_of(&c.labels, question.labels, question.rule_labels))
                    .or(match columns.as_slice() {
                        [only] => Some(only),
                        _ => None,
                    })?;
                let value = |value: &f64| {
                    let there = !logql::is_absent(*value) && value.is_finite();
                    there.then_some(*value).or(counts.then_some(0.0))
                };
                own.values.iter().map(value).collect()
            }
            Value::Lines => self.counts(question, span, logs, stop)?,
        };
        Some(Curve {
            start_ms: span.start_ms,
            step_ms: span.step_ms,
            values,
            threshold: self.limit.map(|(op, value)| (op.to_owned(), value)),
        })
    }

    /// How many lines there were in the window that ends at each point: of several such windows
    /// in one step the one that fires first.
    fn counts(
        &self,
        question: &Question<'_>,
        span: Span,
        logs: &dyn LogReader,
        stop: &Stop,
    ) -> Option<Vec<Option<f64>>> {
        let window_ns = self.window_ns.max(1);
        let whole_ns = ns(span.end_ms - span.start_ms).saturating_add(window_ns);
        let wanted_ns = ns(span.step_ms).max(whole_ns / PARTS_MAX).max(1);
        // A window is a whole number of parts.
        let parts = (window_ns + wanted_ns - 1) / wanted_ns;
        let part_ns = (window_ns / parts).max(whole_ns / PARTS_MAX).max(1);
        let search = Search {
            query: Arc::new(Query::of(self.filter(question))),
            start_ns: ns(span.start_ms).saturating_sub(window_ns),
            end_ns: ns(span.end_ms).saturating_add(1),
            direction: Direction::Backward,
            limit: usize::MAX,
            after: None,
            stop: stop.clone(),
        };
        let buckets = logs.histogram(&search, part_ns).ok()?;
        let counted: Vec<u64> = buckets.iter().map(|b| b.counts.iter().sum()).collect();
        let parts = usize::try_from(parts).ok()?;
        let is_low = self.limit.is_some_and(|(op, _)| op.starts_with('<'));
        let mut values = vec![None; span.points()];
        for (at, bucket) in buckets.iter().enumerate() {
            let from = (at + 1).saturating_sub(parts);
            let sum = counted.get(from..=at)?.iter().sum::<u64>() as f64;
            let end_ms = bucket
                .start_ns
                .saturating_add(part_ns)
                .div_euclid(1_000_000);
            let past = end_ms.min(span.end_ms) - span.start_ms;
            let slot = usize::try_from(past.div_euclid(span.step_ms));
            if let Some(cell) = slot.ok().and_then(|slot| values.get_mut(slot)) {
                let before: Option<f64> = *cell;
                *cell = Some(match before {
                    None => sum,
                    Some(other) if is_low => other.min(sum),
                    Some(other) => other.max(sum),
                });
            }
        }
        // Steps shorter than a part repeat what was before.
        for at in 1..values.len() {
            if let (Some(None), Some(before)) = (values.get(at), values.get(at - 1).copied())
                && let Some(cell) = values.get_mut(at)
            {
                *cell = before;
            }
        }
        Some(values)
    }
}

/// How far a log rule looks back, milliseconds; `None` for what is none.
pub fn looks_back(expression: &str) -> Option<i64> {
    let rule = LogRule::parse(expression)?;
    Some(rule.window_ns.div_euclid(1_000_000))
}

/// A filter in words that the page of logs understands.
pub(crate) fn in_words(filter: &Filter) -> String {
    spoken(filter).to_string()
}

fn spoken(filter: &Filter) -> Filter {
    let all = |list: &[Filter]| list.iter().map(spoken).collect();
    match filter {
        Filter::And(list) => {
            // `a (b c) d` is `a b c d`.
            let mut flat = Vec::new();
            for filter in list.iter().map(spoken) {
                match filter {
                    Filter::And(inner) => flat.extend(inner),
                    Filter::All => {}
                    other => flat.push(other),
                }
            }
            match flat.as_slice() {
                [] => Filter::All,
                [one] => one.clone(),
                _ => Filter::And(flat),
            }
        }
        Filter::Or(list) => Filter::Or(all(list)),
        Filter::Not(inner) => Filter::Not(Box::new(spoken(inner))),
        Filter::Label(matcher) => label_in_words(matcher),
        other => other.clone(),
    }
}

fn label_in_words(matcher: &Matcher) -> Filter {
    let field = |test| Filter::Field {
        name: matcher.name.to_string(),
        test,
    };
    let is_negative = matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRegex);
    let said = match matcher.op {
        MatchOp::Equal | MatchOp::NotEqual if matcher.value.is_empty() => {
            Filter::Not(Box::new(field(FieldTest::Exists)))
        }
        MatchOp::Equal | MatchOp::NotEqual => equal(&matcher.name, &matcher.value),
        MatchOp::Regex | MatchOp::NotRegex => {
            match compile_regex(&format!("^(?:{})$", matcher.value)) {
                Ok(regex) => field(FieldTest::Regex(regex)),
                Err(_) => return Filter::All,
            }
        }
    };
    match said {
        Filter::Not(inner) if is_negative => *inner,
        said if is_negative => Filter::Not(Box::new(said)),
        said => said,
    }
}

fn equal(name: &str, value: &str) -> Filter {
    Filter::Field {
        name: name.to_owned(),
        test: FieldTest::Equal(value.to_owned()),
    }
}

/// The side of a comparison that changes, and what it is compared with.
fn compared(metric: MetricExpr) -> (MetricExpr, Option<(&'static str, f64)>) {
    match metric {
        // What stands behind only filters.
        MetricExpr::Binary {
            op: BinaryOp::And | BinaryOp::Unless,
            left,
            ..
        } => compared(*left),
        MetricExpr::Binary {
            op, left, right, ..
        } if op.comparison().is_some() && matches!(*right, MetricExpr::Number(_)) => {
            let limit = match *right {
                MetricExpr::Number(number) => Some((op.as_str(), number)),
                _ => None,
            };
            (*left, limit)
        }
        other => (other, None),
    }
}

/// The first range aggregation of an expression.
fn innermost(metric: &MetricExpr) -> Option<(RangeOp, &logql::ast::LogRange)> {
    match metric {
        MetricExpr::Number(_) | MetricExpr::Vector(_) => None,
        MetricExpr::Range { op, range, .. } => Some((*op, range)),
        MetricExpr::Aggregate { of, .. } | MetricExpr::LabelReplace { of, .. } => innermost(of),
        MetricExpr::Binary { left, right, .. } => innermost(left).or_else(|| innermost(right)),
    }
}

fn limit_of(test: &FieldTest) -> Option<(&'static str, f64)> {
    match test {
        FieldTest::Range(Bound::Excluded(value), Bound::Open) => Some((">", *value)),
        FieldTest::Range(Bound::Included(value), Bound::Open) => Some((">=", *value)),
        FieldTest::Range(Bound::Open, Bound::Excluded(value)) => Some(("<", *value)),
        FieldTest::Range(Bound::Open, Bound::Included(value)) => Some(("<=", *value)),
        FieldTest::Equal(text) => text.parse().ok().map(|value| ("==", value)),
        _ => None,
    }
}

fn ns(time_ms: i64) -> i64 {
    time_ms.saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use log_query::Record;
    use log_query::memory::MemoryReader;
    use model::{Labels, Level};

    const MINUTE_MS: i64 = 60_000;

    /// A line of pod a every minute, from the 61st on six more; pod b is quiet.
    fn lines() -> MemoryReader {
        let mut records = Vec::new();
        let mut line = |pod: &str, time_ms: i64, text: String| {
            records.push(Record {
                labels: Labels::from_pairs([("app", "shop"), ("pod", pod)]),
                sequence: records.len() as u64,
                time_ns: ns(time_ms),
                level: Level::Error,
                text: text.into_bytes(),
            });
        };
        for minute in 0..90 {
            line("b", minute * MINUTE_MS, "GET /".to_owned());
            for nth in 0..if minute > 60 { 7 } else { 1 } {
                let text = format!("timeout after {nth} s");
                line("a", minute * MINUTE_MS + nth * 100, text);
            }
        }
        MemoryReader::new(records)
    }

    fn curve(expression: &str) -> Curve {
        let labels = Labels::from_pairs([("alertname", "T"), ("pod", "a"), ("severity", "x")]);
        let rule_labels = Labels::from_pairs([("severity", "x")]);
        let question = Question {
            labels: &labels,
            rule_labels: &rule_labels,
            expression,
            is_log_rule: true,
            active_at_ms: 0,
            until_ms: 0,
        };
        let span = Span {
            start_ms: 30 * MINUTE_MS,
            end_ms: 80 * MINUTE_MS,
            step_ms: MINUTE_MS,
        };
        let rule = LogRule::parse(expression).expect(expression);
        let curve = rule.curve(&question, span, &lines(), &Stop::default());
        curve.unwrap_or_else(|| panic!("no curve of {expression}"))
    }

    #[test]
    fn both_languages_give_the_number_over_time_and_its_limit() {
        for expression in [
            "timeout | stats count() as n by (pod) | where n > 20 [5m]",
            r#"sum by (pod) (count_over_time({app="shop"} |= "timeout" [5m])) > 20"#,
        ] {
            let found = curve(expression);
            assert_eq!(
                found.threshold,
                Some((">".to_owned(), 20.0)),
                "{expression}"
            );
            assert_eq!(found.values.len(), 51, "{expression}");
            let five = |value: &Option<f64>| value.is_some_and(|v| (4.0..=6.0).contains(&v));
            assert!(found.values[..30].iter().all(five), "{:?}", found.values);
            assert_eq!(found.values[50], Some(35.0), "{expression}");
        }
        // Without a number that is compared, the lines are shown all the same.
        let found = curve("timeout | patterns new 30m [5m]");
        assert_eq!((found.threshold, found.values[50]), (None, Some(35.0)));
        assert_eq!(curve("timeout [5m]").threshold, Some((">".to_owned(), 0.0)));
    }

    #[test]
    fn silence_is_a_number_below_one() {
        let found = curve(r#"absent_over_time({app="silent"}[15m])"#);
        assert_eq!(found.threshold, Some(("<".to_owned(), 1.0)));
        assert_eq!(found.values.last(), Some(&Some(0.0)));
        let found = curve("app:silent | stats count() as n | where n < 1 [15m]");
        assert_eq!(found.threshold, Some(("<".to_owned(), 1.0)));
    }

    #[test]
    fn lines_are_named_in_words_that_the_page_of_logs_reads() {
        let check = |expression: &str, expected: &str| {
            let labels = Labels::from_pairs([("alertname", "T"), ("pod", "a b"), ("team", "x")]);
            let rule_labels = Labels::from_pairs([("team", "x")]);
            let question = Question {
                labels: &labels,
                rule_labels: &rule_labels,
                expression,
                is_log_rule: true,
                active_at_ms: 0,
                until_ms: 0,
            };
            let rule = LogRule::parse(expression).expect(expression);
            let words = in_words(&rule.filter(&question));
            assert_eq!(words, expected, "{expression}");
            Query::parse(&words).expect("it is read back");
        };
        check(
            "level:error.. timeout | stats count() as n by (pod) [10m]",
            r#"level:error.. timeout pod:"a b""#,
        );
        check("level:error.. timeout [10m]", "level:error.. timeout");
        check("* | stats count() as n [10m]", "*");
        check(
            r#"sum by (pod) (count_over_time({app="shop", env!="", tier!~"x|y"}[10m])) > 5"#,
            r#"app:shop env:* -tier:/^(?:x|y)$/ pod:"a b""#,
        );
    }

    #[test]
    fn what_is_no_rule_on_lines_is_left() {
        for expression in ["", "timeout", r#"{app="shop"}"#, "1 > 0", "a | nopipe [5m]"] {
            assert!(LogRule::parse(expression).is_none(), "{expression}");
        }
    }
}
