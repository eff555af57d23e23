//! Functions of a number with limits: `clamp`, `clamp_min`, `clamp_max`, `round`.

use super::{Args, max, min};
use crate::column::{ABSENT, Map, Scalar};
use crate::grid::Grid;
use crate::query::Query;
use crate::value::QueryError;

/// Limits that exclude each other leave nothing.
pub(super) fn clamp(query: &Query<'_>, args: &Args<'_>, grid: &Grid) -> Result<Map, QueryError> {
    let low = args.scalar(query, 1, grid)?;
    let high = args.scalar(query, 2, grid)?;
    Ok(Map::new(true, move |step, value| {
        let (low, high) = (low.at(step), high.at(step));
        if high < low {
            ABSENT
        } else {
            max(low, min(high, value))
        }
    }))
}

pub(super) fn clamp_min(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Map, QueryError> {
    let low = args.scalar(query, 1, grid)?;
    Ok(Map::new(true, move |step, value| max(low.at(step), value)))
}

pub(super) fn clamp_max(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Map, QueryError> {
    let high = args.scalar(query, 1, grid)?;
    Ok(Map::new(true, move |step, value| min(high.at(step), value)))
}

/// Rounds to the nearest multiple, halves upwards.
pub(super) fn round(query: &Query<'_>, args: &Args<'_>, grid: &Grid) -> Result<Map, QueryError> {
    let nearest = match args.args.get(1) {
        None => Scalar::Constant(1.0),
        Some(expr) => query.scalar(expr, grid)?,
    };
    // Dividing by the inverse keeps multiples of 0.1 exact where multiplying would not.
    let inverse = nearest.map(|nearest| 1.0 / nearest);
    Ok(Map::new(true, move |step, value| {
        let inverse = inverse.at(step);
        (value * inverse + 0.5).floor() / inverse
    }))
}
