//! Numbers for a metric query: every step of every series at once.
//!
//! 1. Each range aggregation is one pass of the store over its lines (`leaf.rs`), which gives a
//!    column per series with a value per step.
//! 2. Operators and aggregations work on these columns (`aggregate.rs`, `binary.rs`).

mod aggregate;
mod binary;
mod leaf;
mod windows;

use std::collections::HashSet;

use model::{Labels, STALE_NAN_BITS};

use self::binary::Operation;
pub use self::windows::Grid;
use super::ast::{Grouping, LogRange, MetricExpr, RangeOp, VectorOp};
use super::error::EvalError;
use super::re2;
use crate::reader::{LogReader, SearchSummary, Stop};

/// Steps that one query may have, as Prometheus and Loki have it.
pub const STEPS_MAX: usize = 11_000;

/// Values that all series of a query have together: 40 MB.
const VALUES_MAX: usize = 5_000_000;

/// Series of an answer, where nothing else is said; Loki's `max_query_series`.
pub const SERIES_MAX_DEFAULT: usize = 500;

/// Stands where a series has no value.
const ABSENT: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether a series has no value here.
pub fn is_absent(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// A series with a value for each step; [`is_absent`] tells where it has none.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its labels.
    pub labels: Labels,
    /// Its values.
    pub values: Vec<f64>,
}

impl Column {
    fn has_values(&self) -> bool {
        self.values.iter().any(|value| !is_absent(*value))
    }
}

/// What an expression comes to.
#[derive(Debug, Clone)]
pub enum Value {
    /// A number, the same at all steps.
    Scalar(f64),
    /// Series.
    Series(Vec<Column>),
}

/// The answer to a metric query.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its value.
    pub value: Value,
    /// What it cost.
    pub summary: SearchSummary,
}

/// Who asks, and how patiently.
#[derive(Debug, Clone)]
pub struct Limits {
    /// More series are refused.
    pub series_max: usize,
    /// Ends it early.
    pub stop: Stop,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            series_max: SERIES_MAX_DEFAULT,
            stop: Stop::default(),
        }
    }
}

/// What is the same for all parts of a query.
struct Asking<'a> {
    reader: &'a dyn LogReader,
    grid: Grid,
    stop: Stop,
    summary: SearchSummary,
}

/// The values of a metric query at one time.
///
/// # Errors
/// A limit, a stage that fails, series that do not fit together, or what the store says.
pub fn instant(
    reader: &dyn LogReader,
    expr: &MetricExpr,
    time_ns: i64,
    limits: &Limits,
) -> Result<Answer, EvalError> {
    range(reader, expr, Grid::instant(time_ns), limits)
}

/// The values of a metric query at all moments of a grid.
///
/// # Errors
/// As [`instant`], and a grid of more than [`STEPS_MAX`] steps.
pub fn range(
    reader: &dyn LogReader,
    expr: &MetricExpr,
    grid: Grid,
    limits: &Limits,
) -> Result<Answer, EvalError> {
    if grid.count > STEPS_MAX {
        return Err(EvalError::Limit(format!(
            "exceeded maximum resolution of {STEPS_MAX} points per time series: widen the step or \
             narrow the range"
        )));
    }
    let mut asking = Asking {
        reader,
        grid,
        stop: limits.stop.clone(),
        summary: SearchSummary::default(),
    };
    let mut value = asking.eval(expr)?;
    if let Value::Series(columns) = &mut value {
        columns.retain(Column::has_values);
        if columns.len() > limits.series_max {
            return Err(EvalError::Limit(format!(
                "maximum of series ({}) reached for a single query: the query gives {}; select \
                 fewer streams, or keep fewer labels with sum by (…) or topk(…)",
                limits.series_max,
                columns.len()
            )));
        }
    }
    Ok(Answer {
        value,
        summary: asking.summary,
    })
}

impl Asking<'_> {
    fn eval(&mut self, expr: &MetricExpr) -> Result<Value, EvalError> {
        let value = match expr {
            MetricExpr::Number(number) => Value::Scalar(*number),
            MetricExpr::Vector(number) => Value::Series(vec![Column {
                labels: Labels::empty(),
                values: vec![*number; self.grid.count],
            }]),
            MetricExpr::Range {
                op,
                parameter,
                range,
                grouping,
            } => Value::Series(self.lines(*op, *parameter, range, grouping.as_ref())?),
            MetricExpr::Aggregate {
                op,
                parameter,
                of,
                grouping,
            } => {
                if let Some(columns) = self.summed_below(*op, of, grouping.as_ref())? {
                    return Ok(Value::Series(columns));
                }
                match self.eval(of)? {
                    Value::Scalar(_) => {
                        return Err(EvalError::Matching(format!(
                            "{} works on series, not on a number: write vector(…)",
                            op.as_str()
                        )));
                    }
                    Value::Series(columns) => Value::Series(aggregate::aggregate(
                        *op,
                        *parameter,
                        columns,
                        grouping.as_ref(),
                        self.grid.count,
                    )),
                }
            }
            MetricExpr::LabelReplace {
                of,
                target,
                replacement,
                source,
                regex,
            } => match self.eval(of)? {
                Value::Series(columns) => {
                    Value::Series(replaced(columns, target, replacement, source, regex)?)
                }
                scalar @ Value::Scalar(_) => scalar,
            },
            MetricExpr::Binary {
                op,
                left,
                right,
                bool_modifier,
                matching,
            } => {
                let left = self.eval(left)?;
                let right = self.eval(right)?;
                let operation = Operation {
                    op: *op,
                    bool_modifier: *bool_modifier,
                    matching,
                };
                operation.apply(left, right)?
            }
        };
        Ok(value)
    }

    fn lines(
        &mut self,
        op: RangeOp,
        parameter: Option<f64>,
        range: &LogRange,
        grouping: Option<&Grouping>,
    ) -> Result<Vec<Column>, EvalError> {
        leaf::answer(self, op, parameter, range, grouping)
    }

    /// Whether so many series with a value per step may be made.
    fn check_values(&self, n_series: usize) -> Result<(), EvalError> {
        if n_series.saturating_mul(self.grid.count) <= VALUES_MAX {
            return Ok(());
        }
        Err(EvalError::Limit(format!(
            "{n_series} series with {} steps each are more than {VALUES_MAX} values: widen the \
             step or keep fewer labels",
            self.grid.count
        )))
    }

    /// A sum around lines that are only added up is done while they are read: only the labels of
    /// its groups are looked at, and only as many series exist. The same holds for the least of
    /// the least and the greatest of the greatest.
    fn summed_below(
        &mut self,
        op: VectorOp,
        of: &MetricExpr,
        grouping: Option<&Grouping>,
    ) -> Result<Option<Vec<Column>>, EvalError> {
        let MetricExpr::Range {
            op: below,
            parameter,
            range,
            grouping: None,
        } = of
        else {
            return Ok(None);
        };
        let fits = match op {
            VectorOp::Sum => matches!(
                below,
                RangeOp::CountOverTime
                    | RangeOp::Rate
                    | RangeOp::BytesOverTime
                    | RangeOp::BytesRate
                    | RangeOp::SumOverTime
            ),
            VectorOp::Min => *below == RangeOp::MinOverTime,
            VectorOp::Max => *below == RangeOp::MaxOverTime,
            _ => false,
        };
        if !fits {
            return Ok(None);
        }
        let by_nothing = Grouping {
            without: false,
            labels: Vec::new(),
        };
        let mut grouping = grouping.cloned().unwrap_or(by_nothing);
        // What became the sample is no label, whatever the grouping says.
        if let Some(unwrap) = &range.unwrap {
            if grouping.without {
                grouping.labels.push(unwrap.label.clone());
            } else {
                grouping.labels.retain(|label| *label != unwrap.label);
            }
        }
        self.lines(*below, *parameter, range, Some(&grouping))
            .map(Some)
    }
}

fn replaced(
    columns: Vec<Column>,
    target: &str,
    replacement: &str,
    source: &str,
    pattern: &str,
) -> Result<Vec<Column>, EvalError> {
    let regex = re2::for_texts(&format!("^(?s:{pattern})$"))
        .map_err(|reason| EvalError::Matching(format!("label_replace: {reason}")))?;
    let mut seen: HashSet<Labels> = HashSet::new();
    let mut out = Vec::with_capacity(columns.len());
    for mut column in columns {
        let value = column.labels.get(source).unwrap_or_default();
        if let Some(found) = regex.captures(value) {
            let mut made = String::new();
            found.expand(replacement, &mut made);
            let mut labels = column.labels.to_builder();
            labels.set(target, made);
            column.labels = labels.build();
        }
        if !seen.insert(column.labels.clone()) {
            return Err(EvalError::Matching(format!(
                "label_replace gives two series the same labels {}",
                column.labels
            )));
        }
        out.push(column);
    }
    Ok(out)
}
