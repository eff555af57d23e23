//! Arithmetic and comparisons between two vectors.
//!
//! 1. Series are sorted by signature: the labels by which the two sides find each other.
//! 2. One side is the side of "one" (both are, without `group_left` or `group_right`): at each
//!    step it may have one series per signature only, or nobody could say which one is meant.
//! 3. Each series of the other side is paired with each series of the "one" side that has its
//!    signature; mostly there is just one. The pair's column has a value where both have one.
//! 4. Pairs with the same labels become one series, as long as they never meet at a step.

use model::{Labels, METRIC_NAME};
use rustc_hash::FxHashMap;

use crate::column::{ABSENT, Series, Vector, is_present};
use crate::grid::Grid;
use crate::query::{Query, execution};
use crate::syntax::{Binary, Group, Matching};
use crate::value::QueryError;

/// The labels by which series find their partners.
pub(super) fn signature(matching: &Matching, labels: &Labels) -> Labels {
    labels.filtered(|name| {
        let listed = matching.labels.iter().any(|label| **label == *name);
        if matching.on {
            listed
        } else {
            !listed && name != METRIC_NAME
        }
    })
}

/// A series of the "many" side with one of the "one" side.
struct Pair {
    many: usize,
    one: usize,
}

/// Combines two vectors.
pub(super) fn combine(
    query: &Query<'_>,
    node: &Binary,
    place: Option<usize>,
    lhs: Vector,
    rhs: Vector,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let matching = &node.matching;
    let swapped = matching.group == Group::OneToMany;
    let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
    let one_by_signature = by_signature(matching, &one);
    let many_by_signature = by_signature(matching, &many);
    check_one_side(node, place, &many, &one, &one_by_signature, grid)?;

    let mut made: FxHashMap<Labels, (usize, Vec<Pair>)> = FxHashMap::default();
    let mut result = Vector {
        series: Vec::new(),
        ordered: many.ordered && !swapped,
        lease: query.hold(0, 0)?,
    };
    // In the order of the many side, so that a sorted vector stays sorted.
    for (index, series) in many.series.iter().enumerate() {
        query.check_stop()?;
        let signature = signature(matching, &series.labels);
        let Some(partners) = one_by_signature.get(&signature) else {
            continue;
        };
        if matching.group == Group::OneToOne {
            check_one_to_one(
                place,
                &many,
                &one,
                &many_by_signature[&signature],
                partners,
                index,
            )?;
        }
        for partner in partners {
            let pair = Pair {
                many: index,
                one: *partner,
            };
            let labels = labels_of(node, &series.labels, &one.series[*partner].labels);
            let column = column_of(node, swapped, &series.values, &one.series[*partner].values);
            match made.get_mut(&labels) {
                None => {
                    result.lease.grow(1, grid.count)?;
                    made.insert(labels.clone(), (result.series.len(), vec![pair]));
                    result.series.push(Series {
                        labels,
                        values: column,
                    });
                }
                Some((at, pairs)) => {
                    check_apart(place, &many, &one, pairs, &pair)?;
                    pairs.push(pair);
                    let values = &mut result.series[*at].values;
                    for (slot, value) in values.iter_mut().zip(column) {
                        if is_present(value) {
                            *slot = value;
                        }
                    }
                }
            }
        }
    }
    result
        .series
        .retain(|series| series.values.iter().any(|v| is_present(*v)));
    Ok(result)
}

fn by_signature(matching: &Matching, vector: &Vector) -> FxHashMap<Labels, Vec<usize>> {
    let mut found: FxHashMap<Labels, Vec<usize>> = FxHashMap::default();
    for (index, series) in vector.series.iter().enumerate() {
        found
            .entry(signature(matching, &series.labels))
            .or_default()
            .push(index);
    }
    found
}

/// Fails where the "one" side has two series of a signature at a step. (A step at which the
/// other side is empty does not matter.)
fn check_one_side(
    node: &Binary,
    place: Option<usize>,
    many: &Vector,
    one: &Vector,
    by_signature: &FxHashMap<Labels, Vec<usize>>,
    grid: &Grid,
) -> Result<(), QueryError> {
    let mut crowded: Vec<(&Labels, &Vec<usize>)> = by_signature
        .iter()
        .filter(|(_, members)| members.len() > 1)
        .collect();
    if crowded.is_empty() {
        return Ok(());
    }
    crowded.sort_unstable_by_key(|(signature, _)| *signature);
    let matters: Vec<bool> = (0..grid.count)
        .map(|step| many.series.iter().any(|s| is_present(s.values[step])))
        .collect();
    for (signature, members) in crowded {
        for step in (0..grid.count).filter(|step| matters[*step]) {
            let mut present = members
                .iter()
                .map(|index| &one.series[*index])
                .filter(|series| is_present(series.values[step]));
            if let (Some(a), Some(b)) = (present.next(), present.next()) {
                let side = if node.matching.group == Group::OneToMany {
                    "left"
                } else {
                    "right"
                };
                let (a, b) = if a.labels <= b.labels { (a, b) } else { (b, a) };
                return Err(execution(
                    format!(
                        "found duplicate series for the match group {} on the {side} hand-side \
                         of the operation: [{}, {}];many-to-many matching not allowed: matching \
                         labels must be unique on one side",
                        spelled_out(signature),
                        spelled_out(&a.labels),
                        spelled_out(&b.labels),
                    ),
                    place,
                ));
            }
        }
    }
    Ok(())
}

/// Fails where a series and one before it with the same signature both have a partner at a step.
fn check_one_to_one(
    place: Option<usize>,
    many: &Vector,
    one: &Vector,
    siblings: &[usize],
    partners: &[usize],
    index: usize,
) -> Result<(), QueryError> {
    let values = &many.series[index].values;
    for sibling in siblings.iter().take_while(|sibling| **sibling < index) {
        let others = &many.series[*sibling].values;
        let meet = (0..values.len()).any(|step| {
            let is_here = |column: &[f64]| is_present(column[step]);
            is_here(values)
                && is_here(others)
                && partners.iter().any(|i| is_here(&one.series[*i].values))
        });
        if meet {
            return Err(execution(
                "multiple matches for labels: many-to-one matching must be explicit \
                 (group_left/group_right)",
                place,
            ));
        }
    }
    Ok(())
}

/// Fails where a pair meets another one with the same labels at a step, also where a comparison
/// dropped the value.
fn check_apart(
    place: Option<usize>,
    many: &Vector,
    one: &Vector,
    before: &[Pair],
    pair: &Pair,
) -> Result<(), QueryError> {
    let is_there = |pair: &Pair, step: usize| {
        is_present(many.series[pair.many].values[step])
            && is_present(one.series[pair.one].values[step])
    };
    let steps = many.series[pair.many].values.len();
    let meet = (0..steps)
        .any(|step| is_there(pair, step) && before.iter().any(|other| is_there(other, step)));
    if meet {
        return Err(execution(
            "multiple matches for labels: grouping labels must ensure unique matches",
            place,
        ));
    }
    Ok(())
}

/// The labels of a pair's result.
fn labels_of(node: &Binary, many: &Labels, one: &Labels) -> Labels {
    let matching = &node.matching;
    let drops_name = node.op.drops_name(matching.returns_bool);
    let kept = many.filtered(|name| {
        if drops_name && name == METRIC_NAME {
            return false;
        }
        let listed = matching.labels.iter().any(|label| **label == *name);
        matching.group != Group::OneToOne || listed == matching.on
    });
    if matching.include.is_empty() {
        return kept;
    }
    let mut builder = kept.to_builder();
    for name in &matching.include {
        match one.get_shared(name) {
            Some(value) => builder.set(name.clone(), value.clone()),
            None => builder.remove(name),
        };
    }
    builder.build()
}

/// The values of a pair.
fn column_of(node: &Binary, swapped: bool, many: &[f64], one: &[f64]) -> Vec<f64> {
    let returns_bool = node.matching.returns_bool;
    many.iter()
        .zip(one)
        .map(|(many, one)| {
            if !is_present(*many) || !is_present(*one) {
                return ABSENT;
            }
            // A comparison that holds keeps the value of the left side.
            let (left, right) = if swapped {
                (*one, *many)
            } else {
                (*many, *one)
            };
            node.op.of_values(left, right, left, returns_bool)
        })
        .collect()
}

/// Labels in Prometheus' long form, the name as a label like the others.
fn spelled_out(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|label| format!("{}={:?}", label.name, label.value))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}
