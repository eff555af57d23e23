//! `sum by (app) (…)` and its kin: many series become one per group, or a choice of them.

use std::cmp::Ordering;
use std::collections::HashMap;

use model::Labels;

use super::{ABSENT, Column, is_absent};
use crate::logql::ast::{Grouping, VectorOp};

/// The labels of a group that a series belongs to.
fn group_of(labels: &Labels, grouping: Option<&Grouping>) -> Labels {
    match grouping {
        None => Labels::empty(),
        Some(Grouping {
            without,
            labels: names,
        }) => labels.filtered(|name| names.iter().any(|n| n == name) != *without),
    }
}

/// Columns by group, groups in the order in which they first come.
fn groups(columns: Vec<Column>, grouping: Option<&Grouping>) -> Vec<(Labels, Vec<Column>)> {
    let mut by_labels: HashMap<Labels, usize> = HashMap::new();
    let mut out: Vec<(Labels, Vec<Column>)> = Vec::new();
    for column in columns {
        let labels = group_of(&column.labels, grouping);
        let number = *by_labels.entry(labels.clone()).or_insert_with(|| {
            out.push((labels, Vec::new()));
            out.len() - 1
        });
        if let Some((_, columns)) = out.get_mut(number) {
            columns.push(column);
        }
    }
    out
}

/// Computes an aggregation over `steps` steps.
pub(super) fn aggregate(
    op: VectorOp,
    parameter: Option<u64>,
    columns: Vec<Column>,
    grouping: Option<&Grouping>,
    steps: usize,
) -> Vec<Column> {
    let n = usize::try_from(parameter.unwrap_or_default()).unwrap_or(usize::MAX);
    match op {
        VectorOp::Sort => sorted(columns, f64::total_cmp),
        VectorOp::SortDesc => sorted(columns, |a, b| b.total_cmp(a)),
        VectorOp::Topk | VectorOp::ApproxTopk => groups(columns, grouping)
            .into_iter()
            .flat_map(|(_, columns)| chosen(columns, n, steps, |a, b| b.total_cmp(a)))
            .collect(),
        VectorOp::Bottomk => groups(columns, grouping)
            .into_iter()
            .flat_map(|(_, columns)| chosen(columns, n, steps, f64::total_cmp))
            .collect(),
        op => {
            let mut out: Vec<Column> = groups(columns, grouping)
                .into_iter()
                .map(|(labels, columns)| Column {
                    labels,
                    values: (0..steps).map(|k| folded(op, &columns, k)).collect(),
                })
                .collect();
            out.sort_by(|a, b| a.labels.cmp(&b.labels));
            out
        }
    }
}

/// One value of many, at a step.
fn folded(op: VectorOp, columns: &[Column], k: usize) -> f64 {
    let values = || {
        columns
            .iter()
            .filter_map(move |column| column.values.get(k).copied())
            .filter(|value| !is_absent(*value))
    };
    let n = values().count() as f64;
    if n == 0.0 {
        return ABSENT;
    }
    let mean = || values().sum::<f64>() / n;
    let variance = || {
        let mean = mean();
        values().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n
    };
    match op {
        VectorOp::Avg => mean(),
        VectorOp::Min => values().fold(f64::NAN, f64::min),
        VectorOp::Max => values().fold(f64::NAN, f64::max),
        VectorOp::Count => n,
        VectorOp::Stdvar => variance(),
        VectorOp::Stddev => variance().sqrt(),
        _ => values().sum(),
    }
}

/// By the value of the first step; only an instant query has a use for it, as in Loki.
fn sorted(mut columns: Vec<Column>, order: impl Fn(&f64, &f64) -> Ordering) -> Vec<Column> {
    let first = |column: &Column| column.values.first().copied().unwrap_or(ABSENT);
    columns.sort_by(|a, b| order(&first(a), &first(b)));
    columns
}

/// The first `n` of each step in the order; other values are taken out.
fn chosen(
    mut columns: Vec<Column>,
    n: usize,
    steps: usize,
    order: impl Fn(&f64, &f64) -> Ordering,
) -> Vec<Column> {
    let mut ranked: Vec<(usize, f64)> = Vec::new();
    for k in 0..steps {
        ranked.clear();
        ranked.extend(columns.iter().enumerate().filter_map(|(i, column)| {
            let value = column.values.get(k).copied()?;
            (!is_absent(value)).then_some((i, value))
        }));
        ranked.sort_by(|(_, a), (_, b)| match (a.is_nan(), b.is_nan()) {
            (false, false) => order(a, b),
            (a, b) => a.cmp(&b),
        });
        for (i, _) in ranked.iter().skip(n) {
            if let Some(value) = columns.get_mut(*i).and_then(|c| c.values.get_mut(k)) {
                *value = ABSENT;
            }
        }
    }
    columns.retain(|column| column.values.iter().any(|value| !is_absent(*value)));
    if steps == 1 {
        return sorted(columns, order);
    }
    columns
}
