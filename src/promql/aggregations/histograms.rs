//! Native histograms in aggregations: `sum` and `avg` add them up beside the numbers, `count` and
//! `group` take them like numbers, the others leave them out and say so.

use std::sync::Arc;

use model::{Histogram, ResetHint};

use super::AggregateOp;
use crate::column::{Column, Slot, is_present};
use crate::native::{Incompatible, Mean, Met, Total};
use crate::notes::Notes;

/// What an aggregation makes of histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// They are added up.
    Sum,
    /// They are averaged.
    Average,
    /// They count like numbers.
    Count,
    /// They are left out.
    Ignore,
}

impl Rule {
    /// The rule of an aggregation.
    pub(super) fn of(op: AggregateOp) -> Self {
        match op {
            AggregateOp::Sum => Self::Sum,
            AggregateOp::Avg => Self::Average,
            AggregateOp::Count
            | AggregateOp::Group
            | AggregateOp::Limitk
            | AggregateOp::LimitRatio
            | AggregateOp::CountValues => Self::Count,
            AggregateOp::Min
            | AggregateOp::Max
            | AggregateOp::Stddev
            | AggregateOp::Stdvar
            | AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::Quantile => Self::Ignore,
        }
    }
}

/// The histograms of one group and step.
#[derive(Debug, Clone)]
enum Added {
    Sum(Box<Total>),
    Average(Box<Mean>),
    /// There is no sum of exponential and custom buckets.
    Incompatible,
}

/// The histograms of one group: by step, where there are any.
#[derive(Debug, Default)]
pub(super) struct Histograms {
    steps: Vec<Option<State>>,
}

#[derive(Debug, Clone)]
struct State {
    added: Added,
    has_reset: bool,
    goes_on: bool,
}

impl State {
    fn new(rule: Rule, first: &Histogram) -> Self {
        let mut state = Self {
            added: match rule {
                Rule::Average => Added::Average(Box::new(Mean::of(first))),
                _ => Added::Sum(Box::new(Total::of(first))),
            },
            has_reset: false,
            goes_on: false,
        };
        state.look_at(first.reset);
        state
    }

    fn look_at(&mut self, reset: ResetHint) {
        self.has_reset |= reset == ResetHint::Reset;
        self.goes_on |= reset == ResetHint::NotReset;
    }

    fn add(&mut self, histogram: &Histogram) -> Result<Met, Incompatible> {
        self.look_at(histogram.reset);
        match &mut self.added {
            Added::Sum(total) => total.add(histogram, 1.0),
            Added::Average(mean) => mean.add(histogram),
            Added::Incompatible => Ok(Met::default()),
        }
    }
}

/// What has to be known for a note.
#[derive(Clone, Copy)]
pub(super) struct Noting<'a> {
    pub(super) notes: &'a Notes,
    /// Where the aggregated expression stands.
    pub(super) place: Option<usize>,
}

impl Noting<'_> {
    fn added(self, result: Result<Met, Incompatible>, metric: &str) -> bool {
        let Ok(met) = result else {
            self.notes.mixed_schemas(metric, self.place);
            return false;
        };
        let met = Met {
            reset_collision: false,
            ..met
        };
        self.notes.met(met, "aggregation", self.place);
        true
    }
}

impl Histograms {
    /// Adds the histograms of a series.
    pub(super) fn add(
        &mut self,
        rule: Rule,
        histograms: &[(usize, Arc<Histogram>)],
        metric: &str,
        noting: Noting<'_>,
    ) {
        for (step, histogram) in histograms {
            if *step >= self.steps.len() {
                self.steps.resize(step + 1, None);
            }
            let state = &mut self.steps[*step];
            match state {
                None => *state = Some(State::new(rule, histogram)),
                Some(state) => {
                    if !noting.added(state.add(histogram), metric) {
                        state.added = Added::Incompatible;
                    }
                }
            }
        }
    }

    /// Adds the histograms of another part of the group, which come after these.
    pub(super) fn merge(&mut self, rule: Rule, other: Self, noting: Noting<'_>) {
        for (step, other) in other.steps.into_iter().enumerate() {
            let Some(other) = other else {
                continue;
            };
            if step >= self.steps.len() {
                self.steps.resize(step + 1, None);
            }
            let Some(state) = &mut self.steps[step] else {
                self.steps[step] = Some(other);
                continue;
            };
            let (has_reset, goes_on) = (other.has_reset, other.goes_on);
            let merged = match (&mut state.added, other.added) {
                (Added::Sum(total), Added::Sum(other)) => total.add(&other.finish(), 1.0),
                (Added::Average(mean), Added::Average(other)) => mean.merge(&other),
                _ => {
                    state.added = Added::Incompatible;
                    Ok(Met::default())
                }
            };
            debug_assert!(matches!(rule, Rule::Sum | Rule::Average));
            if !noting.added(merged, "") {
                state.added = Added::Incompatible;
            }
            state.has_reset |= has_reset;
            state.goes_on |= goes_on;
        }
    }

    /// Puts the sums into the column of the group's numbers; where there are both, neither is
    /// left.
    pub(super) fn finish(self, column: &mut Column, noting: Noting<'_>) {
        for (step, state) in self.steps.into_iter().enumerate() {
            let Some(state) = state else {
                continue;
            };
            if is_present(column.values[step]) {
                noting.notes.mixed_group(noting.place);
                column.set(step, Slot::Absent);
                continue;
            }
            let met = Met {
                reset_collision: state.has_reset && state.goes_on,
                bounds_reconciled: false,
            };
            let sum = match state.added {
                Added::Incompatible => continue,
                Added::Sum(total) => total.finish(),
                Added::Average(mean) => mean.finish(),
            };
            noting.notes.met(met, "aggregation", noting.place);
            column.set(step, Slot::of(sum));
        }
    }
}
