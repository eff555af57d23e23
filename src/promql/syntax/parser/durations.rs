//! Durations of ranges, steps and offsets: literals, and formulas of them.
//!
//! After `offset` only a literal, a call or something in brackets is a duration, with a sign
//! before it: `x offset 1m + 1m` is an addition to the selector, as it has always been.

use super::{POWER, PRODUCT, Parser, SUM};
use crate::syntax::duration::{DURATION_MS_MAX, Duration, Formula, FormulaNode, FormulaOp};
use crate::syntax::token::{Kind, Token};
use crate::value::QueryError;

const EXPECTED: &str = "number, duration, step(), or range()";

impl<'t> Parser<'_, 't> {
    /// The duration of a range or step.
    pub(super) fn positive_duration(&mut self, context: &str) -> Result<Duration, QueryError> {
        let place = self.now().place;
        let formula = self.formula(SUM, context)?;
        let duration = self.duration_of(formula)?;
        if duration.formula.is_none() && duration.ms <= 0 {
            return Err(self.fail_at(place, "duration must be greater than 0"));
        }
        Ok(duration)
    }

    /// The duration of an `offset`.
    pub(super) fn offset(&mut self) -> Result<Duration, QueryError> {
        let formula = match self.sign() {
            Some(token) => {
                let inner = self.simple("offset")?;
                signed(&token, inner)
            }
            None => self.simple("offset")?,
        };
        self.duration_of(formula)
    }

    /// A literal as a number of milliseconds, anything else as a formula.
    fn duration_of(&self, formula: Formula) -> Result<Duration, QueryError> {
        let FormulaNode::Seconds { value, .. } = formula.node else {
            return Ok(Duration {
                ms: 0,
                formula: Some(Box::new(formula)),
            });
        };
        let ms = (value * 1000.0).round();
        if ms.is_nan() || ms.abs() > DURATION_MS_MAX as f64 {
            return Err(self.fail_at(formula.place, "duration out of range"));
        }
        Ok(Duration::of_ms(ms as i64))
    }

    /// A formula of operators that bind at least so tightly.
    fn formula(&mut self, least: u8, context: &str) -> Result<Formula, QueryError> {
        let mut lhs = match self.sign() {
            Some(token) => {
                let inner = self.formula(POWER, context)?;
                signed(&token, inner)
            }
            None => self.simple(context)?,
        };
        while let Some((op, precedence)) = operator(&self.now()) {
            if precedence < least {
                break;
            }
            self.take();
            let next = if precedence == POWER {
                POWER
            } else {
                precedence + 1
            };
            let rhs = self.formula(next, context)?;
            if let FormulaNode::Seconds { value: 0.0, .. } = rhs.node {
                let message = match op {
                    FormulaOp::Div => "division by zero",
                    FormulaOp::Mod => "modulo by zero",
                    _ => "",
                };
                if !message.is_empty() {
                    return Err(self.fail_at(rhs.place, message));
                }
            }
            lhs = Formula {
                place: lhs.place,
                node: FormulaNode::Two(op, Box::new(lhs), Box::new(rhs)),
            };
        }
        Ok(lhs)
    }

    fn sign(&mut self) -> Option<Token<'t>> {
        let token = self.now();
        (token.is("-") || token.is("+")).then(|| self.take())
    }

    /// A literal, a call, or a formula in brackets.
    fn simple(&mut self, context: &str) -> Result<Formula, QueryError> {
        let token = self.now();
        let place = token.place;
        let node = match token.kind {
            Kind::Number | Kind::Duration => {
                self.take();
                let is_duration = token.kind == Kind::Duration;
                let value = if is_duration {
                    self.seconds_of(&token)?
                } else {
                    self.number_of(&token)?
                };
                if value.is_nan() || value.abs() > DURATION_MS_MAX as f64 / 1000.0 {
                    return Err(self.fail_at(place, "duration out of range"));
                }
                FormulaNode::Seconds { value, is_duration }
            }
            Kind::Mark if token.text == "(" => {
                self.take();
                let inner = self.formula(SUM, context)?;
                self.expect(")", context)?;
                match inner.node {
                    // A literal in brackets is the literal.
                    FormulaNode::Seconds { .. } | FormulaNode::Paren(_) => inner.node,
                    _ => FormulaNode::Paren(Box::new(inner)),
                }
            }
            Kind::Word => return self.formula_call(context),
            _ => return Err(self.unexpected(context, EXPECTED)),
        };
        Ok(Formula { node, place })
    }

    /// `step()`, `range()`, `min_of(a, b)`, `max_of(a, b)`.
    fn formula_call(&mut self, context: &str) -> Result<Formula, QueryError> {
        let token = self.now();
        let place = token.place;
        let op = match token.text.to_ascii_lowercase().as_str() {
            "step" | "range" => None,
            // The names that Prometheus 3 gave them at first were min and max.
            "min_of" | "min" => Some(FormulaOp::Min),
            "max_of" | "max" => Some(FormulaOp::Max),
            _ => return Err(self.unexpected(context, EXPECTED)),
        };
        self.take();
        self.expect("(", context)?;
        let node = match op {
            Some(op) => {
                let lhs = self.formula(SUM, context)?;
                self.expect(",", context)?;
                let rhs = self.formula(SUM, context)?;
                FormulaNode::Two(op, Box::new(lhs), Box::new(rhs))
            }
            None if token.is_word("step") => FormulaNode::Step,
            None => FormulaNode::Range,
        };
        self.expect(")", context)?;
        Ok(Formula { node, place })
    }
}

/// A formula with a sign before it.
fn signed(token: &Token<'_>, inner: Formula) -> Formula {
    let place = token.place;
    let node = match inner.node {
        node if token.is("+") => node,
        FormulaNode::Seconds { value, is_duration } => FormulaNode::Seconds {
            value: -value,
            is_duration,
        },
        _ => FormulaNode::Negate(Box::new(inner)),
    };
    Formula { node, place }
}

fn operator(token: &Token<'_>) -> Option<(FormulaOp, u8)> {
    if token.kind != Kind::Operator {
        return None;
    }
    Some(match token.text {
        "+" => (FormulaOp::Add, SUM),
        "-" => (FormulaOp::Sub, SUM),
        "*" => (FormulaOp::Mul, PRODUCT),
        "/" => (FormulaOp::Div, PRODUCT),
        "%" => (FormulaOp::Mod, PRODUCT),
        "^" => (FormulaOp::Pow, POWER),
        _ => return None,
    })
}
