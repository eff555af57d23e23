//! Durations of selectors and subqueries: a plain length of time, or (experimental in
//! Prometheus 3) a formula of durations that may ask for the query's own step and range.
//!
//! A formula is kept as it is written, so that it can be printed; `Expr::settled` computes it
//! once the step and range of the query are known.

use crate::value::{ErrorKind, QueryError};

/// Longest duration: some 290 years, what Prometheus' nanoseconds hold; adding a few to a time
/// cannot overflow.
pub(crate) const DURATION_MS_MAX: i64 = 9_223_372_036_854;

/// A length of time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Duration {
    /// Milliseconds, negative in some offsets; of a formula only once it is computed, 0 before.
    pub ms: i64,
    /// The formula that it was written as, if it was.
    pub(crate) formula: Option<Box<Formula>>,
}

/// An expression of durations, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Formula {
    pub(crate) node: FormulaNode,
    /// Where it begins, in characters from the start of the text.
    pub(crate) place: usize,
}

/// What a formula is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FormulaNode {
    /// Seconds, and whether they are written as a duration (`5m`) or a number (`300`).
    Seconds { value: f64, is_duration: bool },
    /// The query's step: `step()`
    Step,
    /// The time from the query's first step to its last: `range()`
    Range,
    /// A sign.
    Negate(Box<Formula>),
    /// In brackets.
    Paren(Box<Formula>),
    /// An operator or function of two durations.
    Two(FormulaOp, Box<Formula>, Box<Formula>),
}

/// What is done to two durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FormulaOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    /// `min_of(a, b)`
    Min,
    /// `max_of(a, b)`
    Max,
}

/// What formulas may ask of the query, milliseconds; both 0 for an instant query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Asked {
    pub(crate) step_ms: i64,
    pub(crate) range_ms: i64,
}

impl Duration {
    /// A plain length of time.
    pub(crate) fn of_ms(ms: i64) -> Self {
        Self { ms, formula: None }
    }

    /// Computes the formula, if there is one. Ranges and steps must be longer than nothing.
    pub(crate) fn settle(&mut self, asked: Asked, is_offset: bool) -> Result<(), QueryError> {
        let Some(formula) = self.formula.take() else {
            return Ok(());
        };
        let seconds = formula.seconds(asked)?;
        let ms = (seconds * 1000.0).round();
        if ms.is_nan() || ms.abs() > DURATION_MS_MAX as f64 {
            return Err(bad("duration is out of range", formula.place));
        }
        if ms <= 0.0 && !is_offset {
            return Err(bad("duration must be greater than 0", formula.place));
        }
        self.ms = ms as i64;
        Ok(())
    }
}

impl Formula {
    /// Its value.
    fn seconds(&self, asked: Asked) -> Result<f64, QueryError> {
        Ok(match &self.node {
            FormulaNode::Seconds { value, .. } => *value,
            FormulaNode::Step => asked.step_ms as f64 / 1000.0,
            FormulaNode::Range => asked.range_ms as f64 / 1000.0,
            FormulaNode::Negate(inner) => -inner.seconds(asked)?,
            FormulaNode::Paren(inner) => inner.seconds(asked)?,
            FormulaNode::Two(op, lhs, rhs) => {
                let (a, b) = (lhs.seconds(asked)?, rhs.seconds(asked)?);
                match op {
                    FormulaOp::Add => a + b,
                    FormulaOp::Sub => a - b,
                    FormulaOp::Mul => a * b,
                    FormulaOp::Div if b == 0.0 => return Err(bad("division by zero", rhs.place)),
                    FormulaOp::Div => a / b,
                    FormulaOp::Mod if b == 0.0 => return Err(bad("modulo by zero", rhs.place)),
                    FormulaOp::Mod => a % b,
                    FormulaOp::Pow => a.powf(b),
                    FormulaOp::Min => a.min(b),
                    FormulaOp::Max => a.max(b),
                }
            }
        })
    }
}

fn bad(message: &str, place: usize) -> QueryError {
    QueryError {
        kind: ErrorKind::BadData,
        message: format!("{message} (at character {})", place + 1),
        position: Some(place),
    }
}
