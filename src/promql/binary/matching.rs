//! Arithmetic and comparisons between two vectors.
//!
//! 1. Series are sorted by signature: the labels by which the two sides find each other.
//! 2. One side is the side of "one" (both are, without `group_left` or `group_right`): at each
//!    step it may have one series per signature only, or nobody could say which one is meant.
//! 3. Each series of the other side is paired with each series of the "one" side that has its
//!    signature; mostly there is just one. The pair's column has a value where both have one.
//! 4. With `fill`, a series whose signature the other side lacks at a step is paired with a
//!    number there.
//! 5. Pairs with the same labels become one series, as long as they never meet at a step.

use std::sync::Arc;

use model::Labels;
use rustc_hash::FxHashMap;

use super::histograms::{self, Noting, Operand};
use crate::column::{ABSENT, Column, Series, Slot, Vector, describes_metric, is_present};
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
            !listed && !describes_metric(name)
        }
    })
}

/// One side of a pair.
#[derive(Clone, Copy)]
enum Side<'v> {
    Series(&'v Series),
    /// A number at the steps that are true.
    Fill(f64, &'v [bool]),
}

impl Side<'_> {
    fn is_present(&self, step: usize) -> bool {
        match self {
            Self::Series(series) => series.column.is_present(step),
            Self::Fill(_, steps) => steps[step],
        }
    }

    fn operand(&self, step: usize) -> Operand<'_> {
        match self {
            Self::Series(series) => match series.column.histogram(step) {
                Some(histogram) => Operand::Histogram(histogram),
                None => Operand::Number(series.column.values[step]),
            },
            Self::Fill(number, _) => Operand::Number(*number),
        }
    }

    fn drops_name(&self) -> bool {
        matches!(self, Self::Series(series) if series.drops_name)
    }
}

/// What the pairs make.
struct Pairing<'q> {
    query: &'q Query<'q>,
    node: &'q Binary,
    place: Option<usize>,
    noting: Noting,
    grid: Grid,
    /// Where the series with given labels is, and at which steps a pair made something of it:
    /// also where a comparison dropped the value.
    made: FxHashMap<Labels, (usize, Vec<bool>)>,
    result: Vector,
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

    let mut pairing = Pairing {
        query,
        node,
        place,
        noting: Noting {
            notes: Arc::clone(&query.notes),
            place,
        },
        grid: *grid,
        made: FxHashMap::default(),
        result: Vector {
            series: Vec::new(),
            ordered: many.ordered && !swapped,
            lease: query.hold(0, 0)?,
        },
    };
    // Prometheus exchanges the sides for `group_right`, but not what fills them.
    let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
    let nobody: Vec<usize> = Vec::new();
    // In the order of the many side, so that a sorted vector stays sorted.
    for (index, series) in many.series.iter().enumerate() {
        query.check_stop()?;
        let signature = signature(matching, &series.labels);
        let partners = one_by_signature.get(&signature).unwrap_or(&nobody);
        if matching.group == Group::OneToOne && (fill_one.is_some() || !partners.is_empty()) {
            let siblings = many_by_signature.get(&signature).unwrap_or(&nobody);
            check_one_to_one(place, &many, &one, siblings, partners, index, fill_one)?;
        }
        for partner in partners {
            pairing.pair(
                &series.labels,
                &one.series[*partner].labels,
                Side::Series(series),
                Side::Series(&one.series[*partner]),
            )?;
        }
        if let Some(number) = fill_one {
            let alone = alone(series, &one, partners);
            pairing.pair(
                &series.labels,
                &signature,
                Side::Series(series),
                Side::Fill(number, &alone),
            )?;
        }
    }
    if let Some(number) = fill_many {
        for series in &one.series {
            let signature = signature(matching, &series.labels);
            let partners = many_by_signature.get(&signature).unwrap_or(&nobody);
            let alone = alone(series, &many, partners);
            pairing.pair(
                &signature,
                &series.labels,
                Side::Fill(number, &alone),
                Side::Series(series),
            )?;
        }
    }
    let mut result = pairing.result;
    result.drop_empty();
    Ok(result)
}

/// The steps at which a series has a value but none of its partners has.
fn alone(series: &Series, others: &Vector, partners: &[usize]) -> Vec<bool> {
    let is_alone = |step: usize| {
        series.column.is_present(step)
            && !partners
                .iter()
                .any(|partner| others.series[*partner].column.is_present(step))
    };
    (0..series.column.values.len()).map(is_alone).collect()
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

impl Pairing<'_> {
    /// Adds what two sides make together.
    fn pair(
        &mut self,
        many_labels: &Labels,
        one_labels: &Labels,
        many: Side<'_>,
        one: Side<'_>,
    ) -> Result<(), QueryError> {
        let count = self.grid.count;
        let met: Vec<bool> = (0..count)
            .map(|step| many.is_present(step) && one.is_present(step))
            .collect();
        if !met.contains(&true) {
            return Ok(());
        }
        let column = self.column(many, one, &met);
        let labels = labels_of(self.node, many_labels, one_labels);
        match self.made.get_mut(&labels) {
            None => {
                self.result.lease.grow(1, column.slots())?;
                self.made
                    .insert(labels.clone(), (self.result.series.len(), met));
                self.result.series.push(Series {
                    labels,
                    drops_name: self.node.matching.returns_bool || many.drops_name(),
                    column,
                });
            }
            Some((at, before)) => {
                for (step, (seen, met)) in before.iter_mut().zip(&met).enumerate() {
                    if *seen && *met {
                        return Err(execution(
                            "multiple matches for labels: grouping labels must ensure unique \
                             matches",
                            self.place,
                        ));
                    }
                    *seen |= met;
                    if column.is_present(step) {
                        self.result.series[*at].column.set(step, column.slot(step));
                    }
                }
            }
        }
        self.query.check_stop()
    }

    /// The values of a pair at the steps at which both are there.
    fn column(&self, many: Side<'_>, one: Side<'_>, met: &[bool]) -> Column {
        let op = self.node.op;
        let returns_bool = self.node.matching.returns_bool;
        let swapped = self.node.matching.group == Group::OneToMany;
        if let (Side::Series(many), Side::Series(one)) = (many, one)
            && many.column.histograms.is_empty()
            && one.column.histograms.is_empty()
            && !op.is_trimming()
        {
            let pairs = many.column.values.iter().zip(&one.column.values);
            let value = |(many, one): (&f64, &f64)| {
                if !is_present(*many) || !is_present(*one) {
                    return ABSENT;
                }
                let (left, right) = if swapped {
                    (*one, *many)
                } else {
                    (*many, *one)
                };
                // A comparison that holds keeps the value of the left side.
                op.of_values(left, right, left, returns_bool)
            };
            return Column::of(pairs.map(value).collect());
        }
        let mut column = Column::absent(self.grid.count);
        for (step, _) in met.iter().enumerate().filter(|(_, met)| **met) {
            let (many, one) = (many.operand(step), one.operand(step));
            let (left, right) = if swapped { (one, many) } else { (many, one) };
            match (left, right) {
                (Operand::Number(left), Operand::Number(right)) => {
                    column.values[step] = if op.is_trimming() {
                        self.noting.types(op, "float", "float");
                        ABSENT
                    } else {
                        op.of_values(left, right, left, returns_bool)
                    };
                }
                (left, right) => {
                    let noting = &self.noting;
                    let slot = histograms::calculate(op, left, right, returns_bool, noting);
                    column.set(step, slot.unwrap_or(Slot::Absent));
                }
            }
        }
        column
    }
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
    let fills = node.matching.fill_left.is_some() || node.matching.fill_right.is_some();
    let matters: Vec<bool> = (0..grid.count)
        .map(|step| fills || many.series.iter().any(|s| s.column.is_present(step)))
        .collect();
    for (signature, members) in crowded {
        for step in (0..grid.count).filter(|step| matters[*step]) {
            let mut present = members
                .iter()
                .map(|index| &one.series[*index])
                .filter(|series| series.column.is_present(step));
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
    fill_one: Option<f64>,
) -> Result<(), QueryError> {
    let values = &many.series[index].column.values;
    for sibling in siblings.iter().take_while(|sibling| **sibling < index) {
        let others = &many.series[*sibling].column.values;
        let meet = (0..values.len()).any(|step| {
            let is_here = |column: &[f64]| is_present(column[step]);
            let has_partner = fill_one.is_some()
                || partners
                    .iter()
                    .any(|i| is_here(&one.series[*i].column.values));
            is_here(values) && is_here(others) && has_partner
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

/// The labels of a pair's result.
fn labels_of(node: &Binary, many: &Labels, one: &Labels) -> Labels {
    let matching = &node.matching;
    // A comparison keeps the name, if only to be dropped in the end.
    let drops_name = node.op.drops_name(false);
    let kept = many.filtered(|name| {
        if drops_name && describes_metric(name) {
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

/// Labels in Prometheus' long form, the name as a label like the others.
fn spelled_out(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|label| format!("{}={:?}", label.name, label.value))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}
