//! Aggregations: many series become one per group.
//!
//! Those that need no more than a running state per group and step (`sum`, `avg`, `max`, …) are
//! folded as the series come from the store (`fold`); those that choose or compare series
//! (`topk`, `quantile`, `count_values`, …) look at all of them together (`whole`).

mod accumulators;
mod fold;
mod grouping;
mod histograms;
mod whole;

use model::Labels;

use crate::column::{Column, Series, Vector};
use crate::grid::Grid;
use crate::query::Query;
use crate::syntax::{Aggregate, ValueKind};
use crate::value::QueryError;

use accumulators::{Avg, Count, Group, Max, Min, Stddev, Stdvar, Sum};
use fold::fold;

/// An aggregation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Limitk,
    LimitRatio,
    Quantile,
    CountValues,
}

/// All aggregations as they are written.
const NAMES: [(&str, AggregateOp); 14] = [
    ("sum", AggregateOp::Sum),
    ("avg", AggregateOp::Avg),
    ("min", AggregateOp::Min),
    ("max", AggregateOp::Max),
    ("count", AggregateOp::Count),
    ("group", AggregateOp::Group),
    ("stddev", AggregateOp::Stddev),
    ("stdvar", AggregateOp::Stdvar),
    ("topk", AggregateOp::Topk),
    ("bottomk", AggregateOp::Bottomk),
    ("limitk", AggregateOp::Limitk),
    ("limit_ratio", AggregateOp::LimitRatio),
    ("quantile", AggregateOp::Quantile),
    ("count_values", AggregateOp::CountValues),
];

impl AggregateOp {
    /// Finds an aggregation by its name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, op)| *op)
    }

    /// The names of all aggregations.
    #[cfg(test)]
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        let found = NAMES.iter().find(|(_, op)| *op == self);
        found.map_or("", |(name, _)| *name)
    }

    /// What kind of parameter it takes, if any.
    pub(crate) fn param_kind(self) -> Option<ValueKind> {
        match self {
            Self::Topk | Self::Bottomk | Self::Limitk | Self::LimitRatio | Self::Quantile => {
                Some(ValueKind::Scalar)
            }
            Self::CountValues => Some(ValueKind::Text),
            _ => None,
        }
    }
}

/// Computes an aggregation.
pub(crate) fn evaluate(
    query: &Query<'_>,
    node: &Aggregate,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    match node.op {
        AggregateOp::Sum => fold::<Sum>(query, node, grid),
        AggregateOp::Avg => fold::<Avg>(query, node, grid),
        AggregateOp::Min => fold::<Min>(query, node, grid),
        AggregateOp::Max => fold::<Max>(query, node, grid),
        AggregateOp::Count => fold::<Count>(query, node, grid),
        AggregateOp::Group => fold::<Group>(query, node, grid),
        AggregateOp::Stddev => fold::<Stddev>(query, node, grid),
        AggregateOp::Stdvar => fold::<Stdvar>(query, node, grid),
        AggregateOp::Topk
        | AggregateOp::Bottomk
        | AggregateOp::Limitk
        | AggregateOp::LimitRatio => whole::choose(query, node, grid),
        AggregateOp::Quantile => whole::quantile(query, node, grid),
        AggregateOp::CountValues => whole::count_values(query, node, grid),
    }
}

/// A vector of finished groups: labels, whether they lose the metric's name, values.
fn vector(
    query: &Query<'_>,
    grid: &Grid,
    groups: impl ExactSizeIterator<Item = (Labels, bool, Column)>,
) -> Result<Vector, QueryError> {
    let mut vector = Vector {
        lease: query.hold(groups.len(), grid.count)?,
        ordered: false,
        series: groups
            .map(|(labels, drops_name, column)| Series {
                labels,
                drops_name,
                column,
            })
            .collect(),
    };
    vector.drop_empty();
    Ok(vector)
}
