//! What a function over a range gets to see.

use std::sync::Arc;

use model::Histogram;

use crate::column::{Scalar, Slot};
use crate::grid::Grid;
use crate::notes::Notes;
use crate::query::Query;
use crate::value::QueryError;

/// Looks at one parameter's value: query, value, index among the numbers, place.
pub(crate) type Check = fn(&Query<'_>, f64, usize, Option<usize>) -> Result<(), QueryError>;

/// Adds the places of the values that a function marks to a list: values of a whole series.
pub(crate) type Mark = fn(&[f64], &mut Vec<usize>);

/// A function over a range.
pub(crate) struct RangeFunction {
    /// The value of a window that has at least one sample, or [`crate::column::ABSENT`].
    pub(crate) compute: fn(&Window<'_>) -> f64,
    /// The values of all windows in one pass, where that is cheaper; to the bit the same.
    pub(crate) slide: Option<fn(&Slide<'_>, &mut [f64])>,
    /// Finds what [`Window::marks`] points at.
    pub(crate) marks: Option<Mark>,
    /// The value of a window with native histograms; without it they are left out.
    pub(crate) mixed: Option<fn(&MixedWindow<'_>) -> Slot>,
    /// Whether and how it looks beyond its range.
    pub(crate) extended: Extended,
    /// Whether the result is still the same metric.
    pub(crate) keeps_name: bool,
    /// Whether it looks at [`Window::eval_ms`], so that even a window fixed by `@` gives another
    /// value at each step.
    pub(crate) needs_eval_time: bool,
    /// Whether it makes sense for counters only.
    pub(crate) wants_counter: bool,
    /// Whether one sample tells it nothing. Where samples are kept less often than they came, its
    /// ranges reach back to the sample before them, and end with the last one.
    pub(crate) needs_two: bool,
    /// Refuses or comments on its parameters.
    pub(crate) check: Option<Check>,
}

/// What a function makes of `anchored` and `smoothed`.
#[derive(Clone, Copy)]
pub(crate) enum Extended {
    /// It takes neither.
    No,
    /// `anchored`: the sample before the range counts like those within.
    Anchored,
    /// Both: the difference between the ends, of a counter or not, per second or not.
    Difference { is_counter: bool, is_rate: bool },
}

impl RangeFunction {
    /// A function that needs nothing but the samples and drops the metric's name.
    pub(crate) const fn new(compute: fn(&Window<'_>) -> f64) -> Self {
        Self {
            compute,
            slide: None,
            marks: None,
            mixed: None,
            extended: Extended::No,
            keeps_name: false,
            needs_eval_time: false,
            wants_counter: false,
            needs_two: false,
            check: None,
        }
    }
}

/// The samples of one series in one window, at least one, without stale markers.
pub(crate) struct Window<'a> {
    pub(crate) times_ms: &'a [i64],
    pub(crate) values: &'a [f64],
    /// The values that are marked, but for the first of the window: indices into the whole
    /// series, of which this window begins at `low`.
    pub(crate) marks: &'a [usize],
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

    /// The values before each of the marked ones.
    pub(crate) fn before_marks(&self) -> impl Iterator<Item = f64> + '_ {
        self.marks.iter().map(|i| self.values[i - self.low - 1])
    }
}

/// The windows of one series over all steps: both ends of every window only move forward.
pub(crate) struct Slide<'a> {
    pub(crate) times_ms: &'a [i64],
    pub(crate) values: &'a [f64],
    /// The samples of each step's window; empty where there is none.
    pub(crate) windows: &'a [(usize, usize)],
    /// The numbers among the arguments.
    pub(crate) params: &'a [Scalar],
    /// The steps for which they are computed.
    pub(crate) eval: Grid,
}

impl Slide<'_> {
    /// A parameter at a step, or NaN where there is none.
    pub(crate) fn param(&self, index: usize, step: usize) -> f64 {
        self.params.get(index).map_or(f64::NAN, |p| p.at(step))
    }
}

/// One window of a series that has at least one native histogram in it.
pub(crate) struct MixedWindow<'a> {
    pub(crate) times_ms: &'a [i64],
    pub(crate) values: &'a [f64],
    pub(crate) histogram_times_ms: &'a [i64],
    pub(crate) histograms: &'a [Arc<Histogram>],
    /// Exclusive start of the window.
    pub(crate) start_ms: i64,
    /// Inclusive end of the window.
    pub(crate) end_ms: i64,
    /// The metric, for what is noted.
    pub(crate) name: &'a str,
    pub(crate) notes: &'a Notes,
    /// Where the range vector stands.
    pub(crate) place: Option<usize>,
}

impl<'a> MixedWindow<'a> {
    /// All samples in order of time: `None` stands for the next number.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = Sample<'a>> + use<'a> {
        let mut numbers = self.times_ms.iter().zip(self.values).peekable();
        let mut histograms = self
            .histogram_times_ms
            .iter()
            .zip(self.histograms)
            .peekable();
        std::iter::from_fn(move || {
            let first = histograms.peek().map(|(time, _)| **time);
            let number = numbers.next_if(|(time, _)| first.is_none_or(|first| **time < first));
            match number {
                Some((time, value)) => Some(Sample::Number(*time, *value)),
                None => histograms.next().map(|(t, h)| Sample::Histogram(*t, h)),
            }
        })
    }
}

/// A sample of a mixed window, with its time.
#[derive(Clone, Copy)]
pub(crate) enum Sample<'a> {
    Number(i64, f64),
    Histogram(i64, &'a Arc<Histogram>),
}
