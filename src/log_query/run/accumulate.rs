//! What `stats` keeps of a group while lines come in, in any order and on several threads.

use std::borrow::Cow;

use crate::number::parse_number;
use crate::plan::Function;
use crate::run::sketch::{Distinct, Quantiles};
use crate::run::table::{Cell, Kind};

/// One column of one group.
#[derive(Debug, Clone)]
pub(crate) enum Accumulator {
    Count(u64),
    /// Sum, and how many values there were.
    Sum(Sum, u64),
    Avg(Sum, u64),
    Min(Option<f64>),
    Max(Option<f64>),
    Quantile(Quantiles),
    Distinct(Distinct),
    /// Time and value of the oldest line; at the same time the smaller value, so that the order
    /// in which lines come does not matter.
    First(Option<(i64, String)>),
    Last(Option<(i64, String)>),
}

/// A sum with what rounding took from it (Neumaier), so that 0.1 added ten times is 1.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    sum: f64,
    rest: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.rest += if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        self.sum = sum;
    }

    fn value(self) -> f64 {
        self.sum + self.rest
    }
}

/// The values that a function reads, in the order of `Function::fields`; `None` is missing.
pub(crate) type Values<'v> = [Option<Cow<'v, str>>];

impl Accumulator {
    pub(crate) fn new(function: &Function) -> Self {
        match function {
            Function::Count(_) => Self::Count(0),
            Function::Sum(_) => Self::Sum(Sum::default(), 0),
            Function::Avg(_) => Self::Avg(Sum::default(), 0),
            Function::Min(_) => Self::Min(None),
            Function::Max(_) => Self::Max(None),
            Function::Quantile(..) => Self::Quantile(Quantiles::new()),
            Function::CountDistinct(_) => Self::Distinct(Distinct::new()),
            Function::First(_) => Self::First(None),
            Function::Last(_) => Self::Last(None),
        }
    }

    /// Adds so many lines with the same values; says by how many bytes it has grown.
    pub(crate) fn add(&mut self, values: &Values<'_>, time_ns: i64, count: u64) -> usize {
        let there = |value: &&Option<Cow<'_, str>>| value.as_deref().is_some_and(|v| !v.is_empty());
        if let Self::Distinct(distinct) = self {
            if !values.iter().any(|value| there(&value)) {
                return 0;
            }
            if let [Some(value)] = values {
                return distinct.add(value.as_bytes());
            }
            let mut key = Vec::new();
            for value in values {
                super::groups::push_value(&mut key, value.as_deref());
            }
            return distinct.add(&key);
        }
        let value = values.first().filter(there).and_then(Option::as_deref);
        if let Self::Count(n) = self {
            if value.is_some() || values.is_empty() {
                *n += count;
            }
            return 0;
        }
        let Some(value) = value else { return 0 };
        match self {
            Self::First(first) => {
                let earlier = first
                    .as_ref()
                    .is_none_or(|(time, known)| (time_ns, value) < (*time, known.as_str()));
                if earlier {
                    *first = Some((time_ns, value.to_owned()));
                    return value.len();
                }
                return 0;
            }
            Self::Last(last) => {
                let later = last
                    .as_ref()
                    .is_none_or(|(time, known)| (time_ns, value) > (*time, known.as_str()));
                if later {
                    *last = Some((time_ns, value.to_owned()));
                    return value.len();
                }
                return 0;
            }
            _ => {}
        }
        let Some(number) = parse_number(value) else {
            return 0;
        };
        match self {
            Self::Sum(sum, n) | Self::Avg(sum, n) => {
                sum.add(number * count as f64);
                *n += count;
            }
            Self::Min(min) => *min = Some(min.map_or(number, |min| min.min(number))),
            Self::Max(max) => *max = Some(max.map_or(number, |max| max.max(number))),
            Self::Quantile(quantiles) => return quantiles.add(number, count),
            _ => {}
        }
        0
    }

    /// Takes over another of the same function; says by how many bytes it has grown.
    pub(crate) fn merge(&mut self, other: Self) -> usize {
        match (self, other) {
            (Self::Count(n), Self::Count(m)) => *n += m,
            (Self::Sum(a, n), Self::Sum(b, m)) | (Self::Avg(a, n), Self::Avg(b, m)) => {
                a.add(b.sum);
                a.add(b.rest);
                *n += m;
            }
            (Self::Min(a), Self::Min(Some(b))) => *a = Some(a.map_or(b, |a| a.min(b))),
            (Self::Max(a), Self::Max(Some(b))) => *a = Some(a.map_or(b, |a| a.max(b))),
            (Self::Quantile(a), Self::Quantile(b)) => return a.merge(b),
            (Self::Distinct(a), Self::Distinct(b)) => return a.merge(b),
            (Self::First(a), Self::First(Some(b))) if a.as_ref().is_none_or(|a| b < *a) => {
                *a = Some(b);
            }
            (Self::Last(a), Self::Last(Some(b))) if a.as_ref().is_none_or(|a| b > *a) => {
                *a = Some(b);
            }
            _ => {}
        }
        0
    }

    /// The answer.
    pub(crate) fn cell(&self, function: &Function) -> Cell {
        let number = |number: Option<f64>| number.map_or(Cell::Missing, Cell::Number);
        match self {
            Self::Count(n) => Cell::Count(*n),
            Self::Sum(sum, n) => number((*n > 0).then(|| sum.value())),
            Self::Avg(sum, n) => number((*n > 0).then(|| sum.value() / *n as f64)),
            Self::Min(found) | Self::Max(found) => number(*found),
            Self::Quantile(quantiles) => match function {
                Function::Quantile(q, _) => number(quantiles.at(*q)),
                _ => Cell::Missing,
            },
            Self::Distinct(distinct) => Cell::Count(distinct.count()),
            Self::First(found) | Self::Last(found) => found
                .as_ref()
                .map_or(Cell::Missing, |(_, value)| Cell::Text(value.clone())),
        }
    }

    /// Whether the answer is exact.
    pub(crate) fn is_exact(&self) -> bool {
        match self {
            Self::Quantile(quantiles) => quantiles.is_exact(),
            Self::Distinct(distinct) => distinct.is_exact(),
            _ => true,
        }
    }
}

/// What the cells of a function's column are.
pub(crate) fn kind(function: &Function) -> Kind {
    match function {
        Function::Count(_) | Function::CountDistinct(_) => Kind::Count,
        Function::First(_) | Function::Last(_) => Kind::Text,
        _ => Kind::Number,
    }
}
