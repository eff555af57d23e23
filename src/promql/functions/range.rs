//! What a function over a range gets to see.

use crate::query::Query;
use crate::value::QueryError;

/// Looks at one parameter's value: query, value, index among the numbers, place.
pub(crate) type Check = fn(&Query<'_>, f64, usize, Option<usize>) -> Result<(), QueryError>;

/// A function over a range.
pub(crate) struct RangeFunction {
    /// The value of a window that has at least one sample, or [`crate::column::ABSENT`].
    pub(crate) compute: fn(&Window<'_>) -> f64,
    /// Whether the result is still the same metric.
    pub(crate) keeps_name: bool,
    /// Whether it looks at [`Window::resets`].
    pub(crate) needs_resets: bool,
    /// Whether it looks at [`Window::eval_ms`], so that even a window fixed by `@` gives another
    /// value at each step.
    pub(crate) needs_eval_time: bool,
    /// Whether it makes sense for counters only.
    pub(crate) wants_counter: bool,
    /// Refuses or comments on its parameters.
    pub(crate) check: Option<Check>,
}

impl RangeFunction {
    /// A function that needs nothing but the samples and drops the metric's name.
    pub(crate) const fn new(compute: fn(&Window<'_>) -> f64) -> Self {
        Self {
            compute,
            keeps_name: false,
            needs_resets: false,
            needs_eval_time: false,
            wants_counter: false,
            check: None,
        }
    }
}

/// The samples of one series in one window, at least one, without stale markers.
pub(crate) struct Window<'a> {
    pub(crate) times_ms: &'a [i64],
    pub(crate) values: &'a [f64],
    /// Where the value is lower than the one before: indices into the whole series, of which
    /// this window begins at `low`.
    pub(crate) resets: &'a [usize],
    pub(crate) low: usize,
    /// Exclusive start of the window.
    pub(crate) start_ms: i64,
    /// Inclusive end of the window.
    pub(crate) end_ms: i64,
    /// The step for which it is computed.
    pub(crate) eval_ms: i64,
    /// The numbers among the arguments at this step.
    pub(crate) params: &'a [f64],
}

impl Window<'_> {
    /// How many samples there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The first value.
    pub(crate) fn first(&self) -> f64 {
        self.values[0]
    }

    /// The last value.
    pub(crate) fn last(&self) -> f64 {
        self.values[self.values.len() - 1]
    }

    /// The time of the first sample.
    pub(crate) fn first_ms(&self) -> i64 {
        self.times_ms[0]
    }

    /// The time of the last sample.
    pub(crate) fn last_ms(&self) -> i64 {
        self.times_ms[self.times_ms.len() - 1]
    }

    /// A parameter, or NaN where there is none.
    pub(crate) fn param(&self, index: usize) -> f64 {
        self.params.get(index).copied().unwrap_or(f64::NAN)
    }

    /// What the counter had reached before each of its resets.
    pub(crate) fn reset_values(&self) -> impl Iterator<Item = f64> + '_ {
        self.resets.iter().map(|i| self.values[i - self.low - 1])
    }
}
