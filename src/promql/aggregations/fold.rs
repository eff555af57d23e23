//! Aggregations with a running state: each cursor folds its series into groups of its own, then
//! the groups of all cursors are joined.

use model::Labels;

use super::accumulators::Accumulator;
use super::grouping::{Grouping, Groups};
use super::histograms::{Histograms, Noting, Rule};
use crate::column::{Column, Vector, slots_of};
use crate::grid::Grid;
use crate::leaf::Fold;
use crate::query::{Lease, Query};
use crate::syntax::Aggregate;
use crate::value::QueryError;

/// What is known of one group.
struct State<A> {
    numbers: A,
    /// Native histograms, once there is one.
    histograms: Option<Box<Histograms>>,
    /// Whether one of its series does not deserve its name any more.
    drops_name: bool,
}

/// The groups of one cursor.
struct Folding<'e, A> {
    groups: Groups<'e>,
    states: Vec<State<A>>,
    lease: Lease,
    steps: usize,
    node: &'e Aggregate,
    rule: Rule,
    noting: Noting<'e>,
}

impl<A: Accumulator> Folding<'_, A> {
    /// The state of a group, made if it is new.
    fn state(&mut self, group: usize) -> Result<&mut State<A>, QueryError> {
        if group == self.states.len() {
            self.lease.grow(1, self.steps * A::SLOTS)?;
            self.states.push(State {
                numbers: A::new(self.steps),
                histograms: None,
                drops_name: false,
            });
        }
        Ok(&mut self.states[group])
    }

    /// Takes the histograms out of a column, as the aggregation wants it.
    fn take_histograms(
        &mut self,
        group: usize,
        labels: &Labels,
        column: &mut Column,
    ) -> Result<(), QueryError> {
        let (rule, noting) = (self.rule, self.noting);
        if rule == Rule::Count {
            return Ok(());
        }
        let histograms = column.take_histograms();
        if rule == Rule::Ignore {
            let name = self.node.op.name();
            noting.notes.ignored_in_group(name, noting.place);
            return Ok(());
        }
        if self.state(group)?.histograms.is_none() {
            // What the first series brings is what the sums will take, more or less.
            self.lease.grow(1, slots_of(&histograms))?;
        }
        let metric = labels.metric_name().unwrap_or_default();
        self.state(group)?.histograms.get_or_insert_default().add(
            rule,
            &histograms,
            metric,
            noting,
        );
        Ok(())
    }
}

impl<A: Accumulator> Fold for Folding<'_, A> {
    fn take(
        &mut self,
        labels: Labels,
        drops_name: bool,
        column: &mut Column,
    ) -> Result<(), QueryError> {
        let group = self.groups.group_of(&labels);
        if !column.histograms.is_empty() {
            self.take_histograms(group, &labels, column)?;
        }
        let state = self.state(group)?;
        state.drops_name |= drops_name;
        state.numbers.add(&column.values);
        Ok(())
    }
}

/// Computes an aggregation by folding.
pub(super) fn fold<A: Accumulator>(
    query: &Query<'_>,
    node: &Aggregate,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let grouping = Grouping::of(node);
    let noting = Noting {
        notes: &query.notes,
        place: node.expr.place,
    };
    let rule = Rule::of(node.op);
    let parts = query.fold(&node.expr, grid, || {
        Ok(Folding::<A> {
            groups: Groups::new(grouping),
            states: Vec::new(),
            lease: query.hold(0, 0)?,
            steps: grid.count,
            node,
            rule,
            noting,
        })
    })?;
    let mut parts = parts.into_iter();
    let Some(mut whole) = parts.next() else {
        return super::vector(query, grid, std::iter::empty());
    };
    for part in parts {
        for (labels, other) in part.groups.into_labels().zip(part.states) {
            let group = whole.groups.group_of(&labels);
            let state = whole.state(group)?;
            state.drops_name |= other.drops_name;
            state.numbers.merge(other.numbers);
            if let Some(histograms) = other.histograms {
                state
                    .histograms
                    .get_or_insert_default()
                    .merge(rule, *histograms, noting);
            }
        }
    }
    let finished = whole.states.into_iter().map(|state| {
        let mut column = Column::of(state.numbers.finish());
        if let Some(histograms) = state.histograms {
            histograms.finish(&mut column, noting);
        }
        (state.drops_name, column)
    });
    let groups = whole.groups.into_labels().zip(finished);
    let groups = groups.map(|(labels, (drops_name, column))| (labels, drops_name, column));
    super::vector(query, grid, groups)
}
