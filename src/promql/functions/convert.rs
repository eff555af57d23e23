//! From numbers to vectors and back.

use model::Labels;

use super::Args;
use crate::column::{Column, Scalar, Series, Vector};
use crate::grid::Grid;
use crate::query::Query;
use crate::value::QueryError;

/// A series without labels.
pub(super) fn vector(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let scalar = args.scalar(query, 0, grid)?;
    of_scalar(query, &scalar, grid)
}

/// A number per step as a series without labels.
pub(super) fn of_scalar(
    query: &Query<'_>,
    scalar: &Scalar,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    Ok(Vector {
        lease: query.hold(1, grid.count)?,
        ordered: false,
        series: vec![Series {
            labels: Labels::empty(),
            drops_name: false,
            column: Column::of(scalar.iter(grid.count).collect()),
        }],
    })
}

/// The value of the only series of each step; NaN where there is none or more than one.
pub(super) fn scalar(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Scalar, QueryError> {
    let vector = query.vector(args.expr_of(0)?, grid)?;
    let value = |step: usize| {
        let mut present = vector
            .series
            .iter()
            .map(|series| &series.column)
            .filter(|column| column.is_present(step) && column.histogram(step).is_none())
            .map(|column| column.values[step]);
        match (present.next(), present.next()) {
            (Some(value), None) => value,
            _ => f64::NAN,
        }
    };
    Ok(Scalar::Steps((0..grid.count).map(value).collect()))
}
