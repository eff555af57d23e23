//! Compares an answer with what a script expects.

use std::fmt;
use std::sync::Arc;

use model::{Buckets, Histogram, Labels, Samples, is_stale};
use promql::Value;
use promql::native::Literal;

use crate::script::{Eval, When};
use crate::sequence::Item;

/// Results may differ by this part of themselves: scripts write numbers with few digits.
const TOLERANCE: f64 = 1e-6;

/// A value of an answer.
#[derive(Clone)]
pub(crate) struct Found {
    value: f64,
    histogram: Option<Arc<Histogram>>,
}

impl Found {
    /// A sample of a series.
    pub(crate) fn at(samples: &Samples, index: usize) -> Self {
        let found = samples.histograms.iter().find(|(at, _)| *at == index);
        Self {
            value: samples.values[index],
            histogram: found.map(|(_, histogram)| Arc::clone(histogram)),
        }
    }

    fn is(&self, expected: &Item) -> bool {
        match (&self.histogram, expected) {
            (None, Item::Value(expected)) => is_close(self.value, *expected),
            (Some(histogram), Item::Histogram(expected)) => is_like(histogram, expected),
            _ => false,
        }
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.histogram {
            Some(histogram) => write!(f, "{histogram:?}"),
            None => write!(f, "{}", self.value),
        }
    }
}

/// Compares the answer to a case.
pub(crate) fn answer(eval: &Eval, value: Value) -> Result<(), String> {
    match value {
        Value::Scalar { value, .. } => match eval.number {
            Some(expected) if is_close(value, expected) => Ok(()),
            expected => Err(format!("gives {value}, not {expected:?}")),
        },
        Value::String { value, .. } => match &eval.text {
            Some(expected) if *expected == value => Ok(()),
            expected => Err(format!("gives {value:?}, not {expected:?}")),
        },
        Value::Vector(found) => {
            let found = found.into_iter().map(|point| {
                let found = Found {
                    value: point.value,
                    histogram: point.histogram,
                };
                (point.labels, found)
            });
            points(eval, found.collect())
        }
        Value::Matrix(found) => rows(
            eval,
            found.into_iter().map(|s| (s.labels, s.samples)).collect(),
        ),
    }
}

/// Compares series at one time.
pub(crate) fn points(eval: &Eval, mut found: Vec<(Labels, Found)>) -> Result<(), String> {
    let mut expected: Vec<(Labels, Item)> = Vec::new();
    for line in &eval.expected {
        match line.items.as_slice() {
            [item] => expected.push((line.labels.clone(), item.clone())),
            other => return Err(format!("the script expects {other:?}")),
        }
    }
    let number = eval.number.map(|n| (Labels::empty(), Item::Value(n)));
    expected.extend(number);
    if !eval.ordered {
        found.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let same = found.len() == expected.len()
        && found
            .iter()
            .zip(&expected)
            .all(|(a, b)| a.0 == b.0 && a.1.is(&b.1));
    if same {
        Ok(())
    } else {
        Err(format!("gives {found:?}, not {expected:?}"))
    }
}

fn rows(eval: &Eval, mut found: Vec<(Labels, Samples)>) -> Result<(), String> {
    let when = eval.range_vector.unwrap_or(eval.when);
    let When::Range {
        start_ms, step_ms, ..
    } = when
    else {
        return Err("gives a range vector".to_owned());
    };
    let mut expected: Vec<(Labels, Vec<(i64, Item)>)> = Vec::new();
    for line in &eval.expected {
        let times = (0..).map(|i| start_ms + i * step_ms);
        let is_there = |item: &Item| match item {
            Item::Missing => false,
            Item::Value(value) => !is_stale(*value),
            Item::Histogram(_) => true,
        };
        let items = times.zip(line.items.iter().cloned());
        let items = items.filter(|(_, item)| is_there(item)).collect();
        expected.push((line.labels.clone(), items));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    let same_row = |found: &Samples, expected: &[(i64, Item)]| {
        found.len() == expected.len()
            && expected.iter().enumerate().all(|(i, (time_ms, item))| {
                found.timestamps_ms[i] == *time_ms && Found::at(found, i).is(item)
            })
    };
    let same = found.len() == expected.len()
        && found
            .iter()
            .zip(&expected)
            .all(|(a, b)| a.0 == b.0 && same_row(&a.1, &b.1));
    if same {
        Ok(())
    } else {
        Err(format!("gives {found:?}, not {expected:?}"))
    }
}

/// Whether a histogram is as expected; empty buckets do not count.
fn is_like(found: &Histogram, expected: &Literal) -> bool {
    let literal = &expected.histogram;
    let same_side = |a: &Buckets, b: &Buckets| {
        let populated = |side: &Buckets| -> Vec<(i32, f64)> {
            side.iter().filter(|(_, count)| *count != 0.0).collect()
        };
        let (a, b) = (populated(a), populated(b));
        a.len() == b.len()
            && a.iter()
                .zip(&b)
                .all(|(a, b)| a.0 == b.0 && is_close(a.1, b.1))
    };
    found.schema == literal.schema
        && found.bounds == literal.bounds
        && found.zero_threshold == literal.zero_threshold
        && is_close(found.count, literal.count)
        && is_close(found.sum, literal.sum)
        && is_close(found.zero_count, literal.zero_count)
        && same_side(&found.positive, &literal.positive)
        && same_side(&found.negative, &literal.negative)
        && (!expected.says_reset || found.reset == literal.reset)
}

/// Equality within the tolerance; NaN equals NaN.
fn is_close(a: f64, b: f64) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let sum = a.abs() + b.abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return (a - b).abs() < TOLERANCE * f64::MIN_POSITIVE;
    }
    (a - b).abs() / sum.min(f64::MAX) < TOLERANCE
}
