//! `a / b`, `a > bool 5`, `a and on (app) b`: operators between series and numbers.

use std::collections::HashMap;

use model::Labels;

use super::{ABSENT, Column, Value, is_absent};
use crate::logql::ast::{BinaryOp, Many, Matching};
use crate::logql::error::EvalError;

/// How an operator is meant.
pub(super) struct Operation<'a> {
    pub(super) op: BinaryOp,
    /// A comparison gives 0 or 1 instead of leaving values out.
    pub(super) bool_modifier: bool,
    pub(super) matching: &'a Matching,
}

impl Operation<'_> {
    /// The value of two values; `ABSENT` where a comparison leaves it out. `kept` is the one that
    /// a comparison keeps.
    fn compute(&self, left: f64, right: f64, kept: f64) -> f64 {
        if let Some(comparison) = self.op.comparison() {
            return match (comparison.holds(left, right), self.bool_modifier) {
                (holds, true) => f64::from(u8::from(holds)),
                (true, false) => kept,
                (false, false) => ABSENT,
            };
        }
        match self.op {
            BinaryOp::Add => left + right,
            BinaryOp::Sub => left - right,
            BinaryOp::Mul => left * right,
            BinaryOp::Div => left / right,
            BinaryOp::Mod => left % right,
            BinaryOp::Pow => left.powf(right),
            // Sets never come here.
            _ => ABSENT,
        }
    }

    /// The labels by which two sides find each other.
    fn signature(&self, labels: &Labels) -> Labels {
        let names = &self.matching.labels;
        labels.filtered(|name| names.iter().any(|n| n == name) == self.matching.on)
    }

    /// Computes.
    pub(super) fn apply(&self, left: Value, right: Value) -> Result<Value, EvalError> {
        Ok(match (left, right) {
            (Value::Scalar(a), Value::Scalar(b)) => {
                // A comparison of two numbers is 0 or 1, with or without bool, as in Loki.
                let number = match self.op.comparison() {
                    Some(comparison) => f64::from(u8::from(comparison.holds(a, b))),
                    None => self.compute(a, b, a),
                };
                Value::Scalar(number)
            }
            (Value::Scalar(a), Value::Series(columns)) => {
                Value::Series(mapped(columns, |b| self.compute(a, b, b)))
            }
            (Value::Series(columns), Value::Scalar(b)) => {
                Value::Series(mapped(columns, |a| self.compute(a, b, a)))
            }
            (Value::Series(left), Value::Series(right)) if self.op.is_set() => {
                Value::Series(self.set(left, right))
            }
            (Value::Series(left), Value::Series(right)) => {
                Value::Series(self.matched(left, right)?)
            }
        })
    }

    /// `and`, `or`, `unless`, step by step.
    fn set(&self, left: Vec<Column>, right: Vec<Column>) -> Vec<Column> {
        let there = |columns: &[Column]| {
            let mut by_signature: HashMap<Labels, Vec<bool>> = HashMap::new();
            for column in columns {
                let steps = by_signature
                    .entry(self.signature(&column.labels))
                    .or_insert_with(|| vec![false; column.values.len()]);
                for (there, value) in steps.iter_mut().zip(&column.values) {
                    *there |= !is_absent(*value);
                }
            }
            by_signature
        };
        let masked = |columns: Vec<Column>, by: &HashMap<Labels, Vec<bool>>, wanted: bool| {
            let masked = columns.into_iter().map(|mut column| {
                let steps = by.get(&self.signature(&column.labels));
                for (k, value) in column.values.iter_mut().enumerate() {
                    let there = steps.and_then(|steps| steps.get(k)).copied();
                    if there.unwrap_or(false) != wanted {
                        *value = ABSENT;
                    }
                }
                column
            });
            masked.filter(Column::has_values).collect::<Vec<_>>()
        };
        match self.op {
            BinaryOp::And => masked(left, &there(&right), true),
            BinaryOp::Unless => masked(left, &there(&right), false),
            _ => {
                let more = masked(right, &there(&left), false);
                let mut out = left;
                // A series of both sides becomes one.
                for column in more {
                    match out.iter_mut().find(|known| known.labels == column.labels) {
                        Some(known) => {
                            for (a, b) in known.values.iter_mut().zip(&column.values) {
                                if is_absent(*a) {
                                    *a = *b;
                                }
                            }
                        }
                        None => out.push(column),
                    }
                }
                out
            }
        }
    }

    /// Arithmetic and comparisons between series that belong together.
    fn matched(&self, left: Vec<Column>, right: Vec<Column>) -> Result<Vec<Column>, EvalError> {
        let swapped = self.matching.many.as_ref().is_some_and(|many| !many.left);
        let (many, one) = if swapped {
            (right, left)
        } else {
            (left, right)
        };
        let mut ones: HashMap<Labels, Vec<&Column>> = HashMap::new();
        for column in &one {
            ones.entry(self.signature(&column.labels))
                .or_default()
                .push(column);
        }
        let mut out: Vec<Column> = Vec::new();
        let mut by_labels: HashMap<Labels, usize> = HashMap::new();
        for column in &many {
            let signature = self.signature(&column.labels);
            for partner in ones.get(&signature).into_iter().flatten() {
                let labels = self.result_labels(&column.labels, &partner.labels);
                let pairs = column.values.iter().zip(&partner.values);
                let values: Vec<f64> = pairs
                    .map(|(a, b)| match (is_absent(*a) || is_absent(*b), swapped) {
                        (true, _) => ABSENT,
                        (false, false) => self.compute(*a, *b, *a),
                        (false, true) => self.compute(*b, *a, *b),
                    })
                    .collect();
                match by_labels.get(&labels).and_then(|i| out.get_mut(*i)) {
                    None => {
                        by_labels.insert(labels.clone(), out.len());
                        out.push(Column { labels, values });
                    }
                    Some(known) => {
                        for (a, b) in known.values.iter_mut().zip(&values) {
                            if !is_absent(*a) && !is_absent(*b) {
                                return Err(clash(&signature, self.matching.many.is_some()));
                            }
                            if is_absent(*a) {
                                *a = *b;
                            }
                        }
                    }
                }
            }
            if let Some(partners) = ones.get(&signature)
                && overlap(partners)
            {
                return Err(clash(&signature, self.matching.many.is_some()));
            }
        }
        out.retain(Column::has_values);
        Ok(out)
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        match &self.matching.many {
            Some(Many { include, .. }) => {
                let mut labels = many.to_builder();
                for name in include {
                    labels.set(name.as_str(), one.get(name).unwrap_or_default());
                }
                labels.build()
            }
            None => self.signature(many),
        }
    }
}

/// Whether two of the series have a value at the same step.
fn overlap(columns: &[&Column]) -> bool {
    let steps = columns.first().map_or(0, |column| column.values.len());
    columns.len() > 1
        && (0..steps).any(|k| {
            let there = columns
                .iter()
                .filter(|c| c.values.get(k).is_some_and(|v| !is_absent(*v)));
            there.count() > 1
        })
}

fn clash(signature: &Labels, grouped: bool) -> EvalError {
    EvalError::Matching(if grouped {
        format!(
            "multiple matches for labels {signature}: grouping labels must ensure unique matches"
        )
    } else {
        format!(
            "found duplicate series for the match group {signature}: many-to-many matching is not \
             allowed; say with on (…) which labels belong together and with group_left which side \
             may have many"
        )
    })
}

fn mapped(columns: Vec<Column>, compute: impl Fn(f64) -> f64) -> Vec<Column> {
    let computed = columns.into_iter().map(|mut column| {
        for value in &mut column.values {
            if !is_absent(*value) {
                *value = compute(*value);
            }
        }
        column
    });
    computed.filter(Column::has_values).collect()
}
