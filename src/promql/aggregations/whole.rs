//! Aggregations that look at all series of a group together: they choose some (`topk`,
//! `bottomk`, `limitk`, `limit_ratio`), sort the values (`quantile`) or count equal ones
//! (`count_values`).

use std::cmp::Ordering;

use model::Labels;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::AggregateOp;
use super::grouping::{Grouping, Groups};
use crate::column::{ABSENT, Column, Scalar, Series, Slot, Vector, is_absent, is_present};
use crate::eval;
use crate::functions;
use crate::go::{plain, shortest};
use crate::grid::Grid;
use crate::native;
use crate::query::{Query, execution};
use crate::syntax::{Aggregate, Expr, is_label_name};
use crate::value::QueryError;

/// The groups of a vector's series and, by place in the vector, their members.
fn grouped(node: &Aggregate, series: &[Series]) -> (Vec<Labels>, Vec<Vec<usize>>) {
    let mut groups = Groups::new(Grouping::of(node));
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (index, series) in series.iter().enumerate() {
        let group = groups.group_of(&series.labels);
        if group == members.len() {
            members.push(Vec::new());
        }
        members[group].push(index);
    }
    (groups.into_labels().collect(), members)
}

fn param(node: &Aggregate) -> Result<&Expr, QueryError> {
    node.param
        .as_ref()
        .ok_or_else(|| execution("the aggregation lacks its parameter", node.expr.place))
}

/// `topk`, `bottomk`, `limitk`, `limit_ratio`: some of the series, as they are.
pub(super) fn choose(
    query: &Query<'_>,
    node: &Aggregate,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let limit = query.scalar(param(node)?, grid)?;
    check_limit(query, node, &limit, grid)?;
    let mut vector = query.vector(&node.expr, grid)?;
    let is_by_size = matches!(node.op, AggregateOp::Topk | AggregateOp::Bottomk);
    if is_by_size {
        ignore_histograms(query, node, &mut vector);
    }
    let (_, members) = grouped(node, &vector.series);
    // One more slot per value while choosing.
    let _lease = query.hold(vector.series.len(), grid.count)?;
    let mut columns = vec![Column::absent(grid.count); vector.series.len()];
    let mut order: Vec<usize> = Vec::new();
    for group in &members {
        query.check_stop()?;
        for (step, limit) in limit.iter(grid.count).enumerate() {
            let chosen = chosen(node.op, &vector.series, group, step, limit);
            for index in &chosen {
                columns[*index].set(step, vector.series[*index].column.slot(step));
            }
            if grid.count == 1 {
                order.extend(chosen);
            }
        }
    }
    for (series, column) in vector.series.iter_mut().zip(columns) {
        series.column = column;
    }
    if grid.count == 1 {
        let mut series: Vec<Option<Series>> = vector.series.drain(..).map(Some).collect();
        let next = |index: usize| series.get_mut(index)?.take();
        vector.series = order.into_iter().filter_map(next).collect();
        vector.ordered = true;
    } else {
        vector.drop_empty();
    }
    Ok(vector)
}

/// Leaves histograms out, and says so.
fn ignore_histograms(query: &Query<'_>, node: &Aggregate, vector: &mut Vector) {
    for series in &mut vector.series {
        if !series.column.histograms.is_empty() {
            series.column.take_histograms();
            let name = node.op.name();
            query.notes.ignored_in_group(name, node.expr.place);
        }
    }
    vector.drop_empty();
}

fn check_limit(
    query: &Query<'_>,
    node: &Aggregate,
    limit: &Scalar,
    grid: &Grid,
) -> Result<(), QueryError> {
    let place = param(node)?.place;
    for value in limit.iter(grid.count) {
        let is_ratio = node.op == AggregateOp::LimitRatio;
        if value.is_nan() {
            let what = if is_ratio { "Ratio" } else { "Parameter" };
            return Err(execution(format!("{what} value is NaN"), place));
        }
        if is_ratio && value.abs() > 1.0 {
            query.notes.warn(
                &format!(
                    "ratio value should be between -1 and 1, got {}, capping to {}",
                    shortest(value),
                    value.signum()
                ),
                place,
            );
        }
    }
    Ok(())
}

/// The chosen series of a group at one step, in order.
fn chosen(
    op: AggregateOp,
    series: &[Series],
    group: &[usize],
    step: usize,
    limit: f64,
) -> Vec<usize> {
    let value = |index: usize| series[index].column.values[step];
    let mut present: Vec<usize> = group
        .iter()
        .copied()
        .filter(|index| is_present(value(*index)))
        .collect();
    if op == AggregateOp::LimitRatio {
        present.retain(|index| is_in_ratio(&series[*index].labels, limit));
        return present;
    }
    if limit < 1.0 {
        return Vec::new();
    }
    let k = (limit as usize).min(present.len());
    if op == AggregateOp::Limitk {
        present.truncate(k);
        return present;
    }
    // NaN comes last either way; equal values keep the order of the series.
    let compare = |a: &usize, b: &usize| {
        let (x, y) = (value(*a), value(*b));
        let by_value = match (x.is_nan(), y.is_nan()) {
            (false, false) if op == AggregateOp::Topk => y.partial_cmp(&x),
            (false, false) => x.partial_cmp(&y),
            (x, y) => Some(x.cmp(&y)),
        };
        by_value.unwrap_or(Ordering::Equal).then_with(|| a.cmp(b))
    };
    if k > 0 && k < present.len() {
        present.select_nth_unstable_by(k - 1, compare);
        present.truncate(k);
    }
    present.sort_unstable_by(compare);
    present
}

/// Whether a series is in the share that the ratio asks for: always the same series for the same
/// ratio, and `-r` gives just those that `1 - r` leaves out.
fn is_in_ratio(labels: &Labels, ratio: f64) -> bool {
    let place = labels.fingerprint() as f64 / u64::MAX as f64;
    if ratio >= 0.0 {
        place < ratio
    } else {
        place >= 1.0 + ratio
    }
}

/// `quantile`
pub(super) fn quantile(
    query: &Query<'_>,
    node: &Aggregate,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let share = query.scalar(param(node)?, grid)?;
    let place = param(node)?.place;
    for q in share.iter(grid.count) {
        functions::note_quantile(query, q, place);
    }
    let mut vector = query.vector(&node.expr, grid)?;
    ignore_histograms(query, node, &mut vector);
    let (labels, members) = grouped(node, &vector.series);
    let columns: Vec<(bool, Column)> = members
        .into_par_iter()
        .map(|group| {
            let mut values = Vec::with_capacity(group.len());
            let value = |step: usize| {
                values.clear();
                let all = group.iter().map(|i| vector.series[*i].column.values[step]);
                values.extend(all.filter(|v| is_present(*v)));
                if values.is_empty() {
                    ABSENT
                } else {
                    functions::quantile(share.at(step), &mut values)
                }
            };
            let column = Column::of((0..grid.count).map(value).collect());
            let drops_name = group.iter().any(|i| vector.series[*i].drops_name);
            (drops_name, column)
        })
        .collect();
    let groups = labels.into_iter().zip(columns);
    let groups = groups.map(|(labels, (drops_name, column))| (labels, drops_name, column));
    super::vector(query, grid, groups)
}

/// `count_values`: a series per value, which is written into a label.
pub(super) fn count_values(
    query: &Query<'_>,
    node: &Aggregate,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let label = eval::text(param(node)?)?;
    if !is_label_name(label) {
        return Err(execution(
            format!("invalid label name {label:?}"),
            param(node)?.place,
        ));
    }
    let vector = query.vector(&node.expr, grid)?;
    let (labels, members) = grouped(node, &vector.series);
    let mut counted = Vector {
        series: Vec::new(),
        ordered: false,
        lease: query.hold(0, 0)?,
    };
    // Groups fall together where the label that tells them apart is overwritten.
    let mut by_labels: FxHashMap<Labels, usize> = FxHashMap::default();
    for (labels, members) in labels.iter().zip(members) {
        let mut by_value: FxHashMap<u64, usize> = FxHashMap::default();
        // Counts a value by the number of its series, or by its text.
        let mut count = |step: usize, value: Result<usize, String>| -> Result<usize, QueryError> {
            let series = &mut counted.series;
            let index = match value {
                Ok(index) => index,
                Err(text) => {
                    let mut labels = labels.to_builder();
                    labels.set(label, text);
                    let labels = labels.build();
                    let index = *by_labels.entry(labels.clone()).or_insert(series.len());
                    if index == series.len() {
                        counted.lease.grow(1, grid.count)?;
                        series.push(Series {
                            labels,
                            drops_name: false,
                            column: Column::absent(grid.count),
                        });
                    }
                    index
                }
            };
            let count = &mut series[index].column.values[step];
            *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
            Ok(index)
        };
        for member in members {
            let column = &vector.series[member].column;
            for step in 0..grid.count {
                match column.slot(step) {
                    Slot::Absent => {}
                    Slot::Histogram(histogram) => {
                        count(step, Err(native::text(&histogram)))?;
                    }
                    Slot::Number(value) => {
                        // All NaNs read the same.
                        let value = if value.is_nan() { f64::NAN } else { value };
                        let known = by_value.get(&value.to_bits()).copied();
                        let index = count(step, known.ok_or_else(|| plain(value)))?;
                        by_value.insert(value.to_bits(), index);
                    }
                }
            }
        }
    }
    Ok(counted)
}
