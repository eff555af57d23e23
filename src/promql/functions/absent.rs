//! `absent` and `absent_over_time`: a value where there is none.

use std::collections::BTreeMap;

use model::{Labels, METRIC_NAME};

use super::{Args, find};
use crate::column::{ABSENT, Column, Series, Vector, is_present};
use crate::grid::Grid;
use crate::leaf::Fold;
use crate::query::{Query, execution};
use crate::syntax::{Expr, Node, fixes_value};
use crate::value::QueryError;

/// 1 at the steps at which the vector is empty.
pub(super) fn absent(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let arg = args.expr_of(0)?;
    absence(query, arg, arg, grid)
}

/// 1 at the steps at which no series has a sample in the range.
pub(super) fn absent_over_time(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    // Any function that answers for every range with a sample will do.
    let last = find("last_over_time")
        .ok_or_else(|| execution("last_over_time is missing", args.expr.place))?;
    let present = Expr {
        node: Node::Call(last, args.args.to_vec()),
        place: args.expr.place,
        end: args.expr.end,
    };
    absence(query, &present, args.expr_of(0)?, grid)
}

fn absence(
    query: &Query<'_>,
    present: &Expr,
    selector: &Expr,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let seen = query.fold(present, grid, || {
        Ok(Presence {
            seen: vec![false; grid.count],
        })
    })?;
    let is_absent = |step: usize| !seen.iter().any(|part| part.seen[step]);
    let values: Vec<f64> = (0..grid.count)
        .map(|step| if is_absent(step) { 1.0 } else { ABSENT })
        .collect();
    let mut vector = Vector {
        series: Vec::new(),
        ordered: false,
        lease: query.hold(1, grid.count)?,
    };
    if values.iter().any(|v| is_present(*v)) {
        vector.series.push(Series {
            labels: labels_of(selector),
            drops_name: false,
            column: Column::of(values),
        });
    }
    Ok(vector)
}

/// The labels that a missing series would surely have: those that the selector fixes to one
/// value.
fn labels_of(expr: &Expr) -> Labels {
    let (Node::Selector(selector) | Node::Range(selector, _)) = &expr.node else {
        return Labels::empty();
    };
    let mut fixed: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for matcher in &selector.matchers {
        if &*matcher.name != METRIC_NAME {
            let value = Some(&*matcher.value).filter(|_| fixes_value(matcher));
            fixed
                .entry(&matcher.name)
                .and_modify(|before| *before = None)
                .or_insert(value);
        }
    }
    Labels::from_pairs(
        fixed
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    )
}

/// Remembers at which steps there was anything.
struct Presence {
    seen: Vec<bool>,
}

impl Fold for Presence {
    fn take(&mut self, _: Labels, _: bool, column: &mut Column) -> Result<(), QueryError> {
        for (seen, value) in self.seen.iter_mut().zip(&column.values) {
            *seen |= is_present(*value);
        }
        Ok(())
    }
}
