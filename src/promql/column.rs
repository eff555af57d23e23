//! Columns: what an expression is worth at every step, one dense column of numbers per series.
//!
//! A step without a value holds [`ABSENT`], the bits of the stale marker: selectors never let a
//! stale marker through as a value and arithmetic only makes quiet NaNs, so these bits are free
//! to mean "nothing here", while every other NaN stays a value. Native histograms stand beside
//! the numbers in a list that is empty for nearly all columns; `histogram_nan` holds their place.

use std::sync::Arc;

use model::{Histogram, Labels, METRIC_NAME, STALE_NAN_BITS, Samples, histogram_nan};
use rustc_hash::FxHashMap;

use crate::grid::Grid;
use crate::query::Lease;
use crate::value::{ErrorKind, QueryError};

/// A step without a value. Test with [`is_absent`], never with `==`.
pub(crate) const ABSENT: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether a slot of a column holds nothing.
#[inline]
pub(crate) fn is_absent(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// Whether a slot of a column holds a value (which may be NaN, or stand for a histogram).
#[inline]
pub(crate) fn is_present(value: f64) -> bool {
    !is_absent(value)
}

/// What one step holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Slot {
    Absent,
    Number(f64),
    Histogram(Arc<Histogram>),
}

impl Slot {
    /// A histogram.
    pub(crate) fn of(histogram: Histogram) -> Self {
        Self::Histogram(Arc::new(histogram))
    }
}

/// The values of one series.
#[derive(Debug, Clone, Default)]
pub(crate) struct Column {
    /// One slot per step.
    pub(crate) values: Vec<f64>,
    /// The native histograms among them: steps, ascending, and values.
    pub(crate) histograms: Vec<(usize, Arc<Histogram>)>,
}

impl Column {
    /// A column of numbers.
    pub(crate) fn of(values: Vec<f64>) -> Self {
        Self {
            values,
            histograms: Vec::new(),
        }
    }

    /// A column without any value.
    pub(crate) fn absent(steps: usize) -> Self {
        Self::of(vec![ABSENT; steps])
    }

    /// Empties the column and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.histograms.clear();
    }

    /// Whether there is any value.
    pub(crate) fn has_values(&self) -> bool {
        self.values.iter().any(|value| is_present(*value))
    }

    /// Whether there is a value at a step.
    #[inline]
    pub(crate) fn is_present(&self, step: usize) -> bool {
        is_present(self.values[step])
    }

    /// The histogram of a step, if it holds one.
    #[inline]
    pub(crate) fn histogram(&self, step: usize) -> Option<&Arc<Histogram>> {
        if self.histograms.is_empty() {
            return None;
        }
        let at = self.histograms.binary_search_by_key(&step, |(at, _)| *at);
        at.ok().map(|i| &self.histograms[i].1)
    }

    /// What a step holds.
    pub(crate) fn slot(&self, step: usize) -> Slot {
        match self.histogram(step) {
            Some(histogram) => Slot::Histogram(Arc::clone(histogram)),
            None if self.is_present(step) => Slot::Number(self.values[step]),
            None => Slot::Absent,
        }
    }

    /// Overwrites a step.
    pub(crate) fn set(&mut self, step: usize, slot: Slot) {
        let known = self.histograms.binary_search_by_key(&step, |(at, _)| *at);
        if let Ok(at) = known
            && !matches!(slot, Slot::Histogram(_))
        {
            self.histograms.remove(at);
        }
        self.values[step] = match slot {
            Slot::Absent => ABSENT,
            Slot::Number(value) => value,
            Slot::Histogram(histogram) => {
                match known {
                    Ok(at) => self.histograms[at].1 = histogram,
                    Err(at) => self.histograms.insert(at, (step, histogram)),
                }
                histogram_nan()
            }
        };
    }

    /// Takes the histograms out of the column: nothing is left at their steps.
    pub(crate) fn take_histograms(&mut self) -> Vec<(usize, Arc<Histogram>)> {
        for (step, _) in &self.histograms {
            self.values[*step] = ABSENT;
        }
        std::mem::take(&mut self.histograms)
    }

    /// Keeps the steps for which `keep` says so.
    pub(crate) fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        for (step, value) in self.values.iter_mut().enumerate() {
            if !keep(step) {
                *value = ABSENT;
            }
        }
        self.histograms.retain(|(step, _)| keep(*step));
    }

    /// Memory in numbers.
    pub(crate) fn slots(&self) -> usize {
        self.values.len() + slots_of(&self.histograms)
    }

    /// The steps that have a value, as samples.
    pub(crate) fn into_samples(self, grid: &Grid) -> Samples {
        let mut samples = Samples::default();
        let mut histograms = self.histograms.into_iter().peekable();
        for (step, value) in self.values.into_iter().enumerate() {
            if let Some((_, histogram)) = histograms.next_if(|(at, _)| *at == step) {
                samples.push_histogram(grid.time_ms(step), histogram);
            } else if is_present(value) {
                samples.push(grid.time_ms(step), value);
            }
        }
        samples
    }
}

/// What histograms take beside their slots, in numbers.
pub(crate) fn slots_of(histograms: &[(usize, Arc<Histogram>)]) -> usize {
    let one = |histogram: &Histogram| {
        let fixed = size_of::<Histogram>() / size_of::<f64>() + 4;
        let spans = histogram.positive.spans.len() + histogram.negative.spans.len();
        let counts = histogram.positive.counts.len() + histogram.negative.counts.len();
        fixed + spans + counts
    };
    histograms.iter().map(|(_, histogram)| one(histogram)).sum()
}

/// One series over all steps.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// Its labels; the metric's name stays among them until the very end, so that functions may
    /// still ask for it.
    pub(crate) labels: Labels,
    /// Whether the metric's name no longer fits the values and is left out in the end.
    pub(crate) drops_name: bool,
    /// Its values.
    pub(crate) column: Column,
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

    /// Drops the names that no longer fit.
    pub(crate) fn drop_names(&mut self) -> Result<(), QueryError> {
        let mut any = false;
        for series in &mut self.series {
            if series.drops_name {
                series.labels = without_name(&series.labels);
                series.drops_name = false;
                any = true;
            }
        }
        if any && self.series.len() > 1 {
            self.merge_same_labels()?;
        }
        Ok(())
    }

    /// Leaves out series without any value.
    pub(crate) fn drop_empty(&mut self) {
        self.series.retain(|series| series.column.has_values());
    }
}

/// Fills the gaps of one series with the values of another.
fn overlay(into: &mut Series, from: &Series) -> Result<(), QueryError> {
    for step in 0..from.column.values.len() {
        if from.column.is_present(step) {
            if into.column.is_present(step) {
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
            into.column.set(step, from.column.slot(step));
        }
    }
    into.drops_name |= from.drops_name;
    Ok(())
}

/// Whether a label says what a metric is rather than whose: its name, and, where they are kept as
/// labels, its type and unit.
pub(crate) fn describes_metric(name: &str) -> bool {
    name == METRIC_NAME || name == "__type__" || name == "__unit__"
}

/// The labels without the metric's name, type and unit.
pub(crate) fn without_name(labels: &Labels) -> Labels {
    labels.filtered(|name| !describes_metric(name))
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
    #[inline]
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

/// Changes the numbers of a column in place.
type NumberChange = Box<dyn Fn(&mut [f64]) + Send + Sync>;

/// What becomes of a histogram at a step.
type HistogramChange = Box<dyn Fn(usize, &Histogram) -> Slot + Send + Sync>;

/// A change of every value of a column: a function of numbers, or an operator with a scalar.
pub(crate) struct Map {
    /// Whether the metric's name no longer fits the result.
    pub(crate) drops_name: bool,
    numbers: NumberChange,
    /// Without it histograms are left out.
    histograms: Option<HistogramChange>,
}

impl Map {
    /// A map from a function of step and number that may answer [`ABSENT`].
    pub(crate) fn new(
        drops_name: bool,
        f: impl Fn(usize, f64) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            drops_name,
            // The loop lies inside the box, so that the call by pointer is once per column.
            numbers: Box::new(move |column| {
                for (step, value) in column.iter_mut().enumerate() {
                    if is_present(*value) {
                        *value = f(step, *value);
                    }
                }
            }),
            histograms: None,
        }
    }

    /// Says what becomes of histograms.
    pub(crate) fn with_histograms(
        self,
        f: impl Fn(usize, &Histogram) -> Slot + Send + Sync + 'static,
    ) -> Self {
        Self {
            histograms: Some(Box::new(f)),
            ..self
        }
    }

    /// Changes a column in place.
    pub(crate) fn apply(&self, column: &mut Column) {
        if column.histograms.is_empty() {
            (self.numbers)(&mut column.values);
            return;
        }
        let histograms = column.take_histograms();
        (self.numbers)(&mut column.values);
        if let Some(change) = &self.histograms {
            for (step, histogram) in histograms {
                column.set(step, change(step, &histogram));
            }
        }
    }
}
