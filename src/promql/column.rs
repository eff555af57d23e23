//! Columns: what an expression is worth at every step, one dense column of numbers per series.
//!
//! A step without a value holds [`ABSENT`], the bits of the stale marker: selectors never let a
//! stale marker through as a value and arithmetic only makes quiet NaNs, so these bits are free
//! to mean "nothing here", while every other NaN stays a value. A second kind of column, for
//! native histograms, will stand beside `Vec<f64>` in [`Series`].

use model::{Labels, METRIC_NAME, STALE_NAN_BITS};
use rustc_hash::FxHashMap;

use crate::query::Lease;
use crate::value::{ErrorKind, QueryError};

/// A step without a value. Test with [`is_absent`], never with `==`.
pub(crate) const ABSENT: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether a slot of a column holds nothing.
pub(crate) fn is_absent(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// Whether a slot of a column holds a value (which may be NaN).
pub(crate) fn is_present(value: f64) -> bool {
    !is_absent(value)
}

/// One series over all steps.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// Its labels.
    pub(crate) labels: Labels,
    /// One slot per step.
    pub(crate) values: Vec<f64>,
}

/// An instant vector over all steps.
#[derive(Debug)]
pub(crate) struct Vector {
    /// Its series; those without any value are left out.
    pub(crate) series: Vec<Series>,
    /// Whether the order means something (sort, topk); else it may be changed.
    pub(crate) ordered: bool,
    /// The memory that the columns are charged with.
    pub(crate) lease: Lease,
}

impl Vector {
    /// Joins series that have the same labels, as happens when the metric's name is dropped or a
    /// label rewritten. Where two of them have a value at the same step, there is no answer.
    pub(crate) fn merge_same_labels(&mut self) -> Result<(), QueryError> {
        let mut first: FxHashMap<Labels, usize> = FxHashMap::default();
        let mut kept: Vec<Series> = Vec::with_capacity(self.series.len());
        for series in self.series.drain(..) {
            match first.get(&series.labels) {
                None => {
                    first.insert(series.labels.clone(), kept.len());
                    kept.push(series);
                }
                Some(&index) => overlay(&mut kept[index], &series)?,
            }
        }
        self.series = kept;
        Ok(())
    }
}

/// Fills the gaps of one series with the values of another.
fn overlay(into: &mut Series, from: &Series) -> Result<(), QueryError> {
    for (slot, value) in into.values.iter_mut().zip(&from.values) {
        if is_present(*value) {
            if is_present(*slot) {
                return Err(QueryError {
                    kind: ErrorKind::Execution,
                    message: format!(
                        "vector cannot contain metrics with the same labelset: {} comes twice \
                         (keep the metric name, or aggregate first)",
                        into.labels
                    ),
                    position: None,
                });
            }
            *slot = *value;
        }
    }
    Ok(())
}

/// The labels without the metric's name.
pub(crate) fn without_name(labels: &Labels) -> Labels {
    if labels.metric_name().is_none() {
        return labels.clone();
    }
    labels.filtered(|name| name != METRIC_NAME)
}

/// A number per step.
#[derive(Debug, Clone)]
pub(crate) enum Scalar {
    /// The same at every step.
    Constant(f64),
    /// One per step.
    Steps(Vec<f64>),
}

impl Scalar {
    /// The number at a step.
    pub(crate) fn at(&self, step: usize) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Steps(values) => values.get(step).copied().unwrap_or(f64::NAN),
        }
    }

    /// The numbers of the first `count` steps.
    pub(crate) fn iter(&self, count: usize) -> impl Iterator<Item = f64> + '_ {
        (0..count).map(|step| self.at(step))
    }

    /// Computes a new number at every step.
    pub(crate) fn map(self, f: impl Fn(f64) -> f64) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(f(value)),
            Self::Steps(values) => Self::Steps(values.into_iter().map(f).collect()),
        }
    }

    /// Computes a number out of two at every step.
    pub(crate) fn zip(&self, other: &Self, count: usize, f: impl Fn(f64, f64) -> f64) -> Self {
        match (self, other) {
            (Self::Constant(a), Self::Constant(b)) => Self::Constant(f(*a, *b)),
            _ => Self::Steps((0..count).map(|i| f(self.at(i), other.at(i))).collect()),
        }
    }
}

/// Changes a column in place.
type ColumnChange = Box<dyn Fn(&mut [f64]) + Send + Sync>;

/// A change of every value of a column: a function of numbers, or an operator with a scalar.
pub(crate) struct Map {
    /// Whether the metric's name no longer fits the result.
    pub(crate) drops_name: bool,
    apply: ColumnChange,
}

impl Map {
    /// A map from a function of step and value that may answer [`ABSENT`].
    pub(crate) fn new(
        drops_name: bool,
        f: impl Fn(usize, f64) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            drops_name,
            // The loop lies inside the box, so that the call by pointer is once per column.
            apply: Box::new(move |column| {
                for (step, value) in column.iter_mut().enumerate() {
                    if is_present(*value) {
                        *value = f(step, *value);
                    }
                }
            }),
        }
    }

    /// Changes a column in place.
    pub(crate) fn apply(&self, column: &mut [f64]) {
        (self.apply)(column);
    }
}
