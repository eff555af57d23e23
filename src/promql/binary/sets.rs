//! `and`, `or`, `unless`: vectors as sets of series.

use model::Labels;
use rustc_hash::FxHashMap;

use super::matching::signature;
use crate::column::{Series, Vector, is_present};
use crate::grid::Grid;
use crate::syntax::Matching;
use crate::value::QueryError;

/// At which steps a signature has a value in a vector.
type Presence = FxHashMap<Labels, Vec<bool>>;

/// The series of the left side that have a partner.
pub(super) fn and(matching: &Matching, lhs: Vector, rhs: &Vector, grid: &Grid) -> Vector {
    keep(matching, lhs, rhs, grid, true)
}

/// The series of the left side that have no partner.
pub(super) fn unless(matching: &Matching, lhs: Vector, rhs: &Vector, grid: &Grid) -> Vector {
    keep(matching, lhs, rhs, grid, false)
}

/// The series of the left side, and those of the right side that have no partner there.
pub(super) fn or(
    matching: &Matching,
    mut lhs: Vector,
    rhs: Vector,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let rest = keep(matching, rhs, &lhs, grid, false);
    lhs.series.extend(rest.series);
    lhs.lease.absorb(rest.lease);
    lhs.ordered = false;
    lhs.merge_same_labels()?;
    Ok(lhs)
}

fn presence(matching: &Matching, vector: &Vector, grid: &Grid) -> Presence {
    let mut presence = Presence::default();
    for series in &vector.series {
        let seen = presence
            .entry(signature(matching, &series.labels))
            .or_insert_with(|| vec![false; grid.count]);
        for (seen, value) in seen.iter_mut().zip(&series.column.values) {
            *seen |= is_present(*value);
        }
    }
    presence
}

/// Keeps the values at the steps where having a partner among `others` is as wanted.
fn keep(
    matching: &Matching,
    mut vector: Vector,
    others: &Vector,
    grid: &Grid,
    wanted: bool,
) -> Vector {
    let partners = presence(matching, others, grid);
    let nobody = vec![false; grid.count];
    vector.series.retain_mut(|series: &mut Series| {
        let partner = partners
            .get(&signature(matching, &series.labels))
            .unwrap_or(&nobody);
        series.column.retain(|step| partner[step] == wanted);
        series.column.has_values()
    });
    vector
}
