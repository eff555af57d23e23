//! Aggregations with a running state: each cursor folds its series into groups of its own, then
//! the groups of all cursors are joined.

use model::Labels;

use super::accumulators::Accumulator;
use super::grouping::{Grouping, Groups};
use crate::column::Vector;
use crate::grid::Grid;
use crate::leaf::Fold;
use crate::query::{Lease, Query};
use crate::syntax::Aggregate;
use crate::value::QueryError;

/// The groups of one cursor.
struct Folding<'e, A> {
    groups: Groups<'e>,
    states: Vec<A>,
    lease: Lease,
    steps: usize,
}

impl<A: Accumulator> Folding<'_, A> {
    /// The state of a group, made if it is new.
    fn state(&mut self, group: usize) -> Result<&mut A, QueryError> {
        if group == self.states.len() {
            self.lease.grow(1, self.steps * A::SLOTS)?;
            self.states.push(A::new(self.steps));
        }
        Ok(&mut self.states[group])
    }
}

impl<A: Accumulator> Fold for Folding<'_, A> {
    fn take(&mut self, labels: Labels, column: &mut Vec<f64>) -> Result<(), QueryError> {
        let group = self.groups.group_of(&labels);
        self.state(group)?.add(column);
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
    let parts = query.fold(&node.expr, grid, || {
        Ok(Folding::<A> {
            groups: Groups::new(grouping),
            states: Vec::new(),
            lease: query.hold(0, 0)?,
            steps: grid.count,
        })
    })?;
    let mut parts = parts.into_iter();
    let Some(mut whole) = parts.next() else {
        return super::vector(query, grid, std::iter::empty());
    };
    for part in parts {
        for (labels, state) in part.groups.into_labels().zip(part.states) {
            let group = whole.groups.group_of(&labels);
            whole.state(group)?.merge(state);
        }
    }
    let columns = whole.states.into_iter().map(A::finish);
    super::vector(query, grid, whole.groups.into_labels().zip(columns))
}
