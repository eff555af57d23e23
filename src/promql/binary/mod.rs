//! Operators between two operands.
//!
//! Arithmetic and comparisons of numbers are here; vectors find each other in `matching` and
//! are combined as sets in `sets`.

mod histograms;
mod matching;
mod sets;

use std::sync::Arc;

use crate::column::{ABSENT, Map, Scalar, Slot, Vector};
use crate::grid::Grid;
use crate::query::Query;
use crate::syntax::Binary;
use crate::value::QueryError;

use histograms::{Noting, Operand};

/// An operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    And,
    Or,
    Unless,
    /// Histograms without what lies above a value: `</`
    TrimUpper,
    /// Histograms without what lies below a value: `>/`
    TrimLower,
}

/// All operators as they are written.
const NAMES: [(&str, BinaryOp); 18] = [
    ("+", BinaryOp::Add),
    ("-", BinaryOp::Sub),
    ("*", BinaryOp::Mul),
    ("/", BinaryOp::Div),
    ("%", BinaryOp::Mod),
    ("^", BinaryOp::Pow),
    ("atan2", BinaryOp::Atan2),
    ("==", BinaryOp::Equal),
    ("!=", BinaryOp::NotEqual),
    (">", BinaryOp::Greater),
    ("<", BinaryOp::Less),
    (">=", BinaryOp::GreaterOrEqual),
    ("<=", BinaryOp::LessOrEqual),
    ("and", BinaryOp::And),
    ("or", BinaryOp::Or),
    ("unless", BinaryOp::Unless),
    ("</", BinaryOp::TrimUpper),
    (">/", BinaryOp::TrimLower),
];

impl BinaryOp {
    /// Finds an operator by what is written.
    #[cfg(test)]
    pub(crate) fn find(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, op)| *op)
    }

    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        let found = NAMES.iter().find(|(_, op)| *op == self);
        found.map_or("", |(name, _)| *name)
    }

    /// Whether it combines vectors as sets.
    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// The result of arithmetic, or `None` for comparisons and set operators.
    #[inline]
    fn calculate(self, a: f64, b: f64) -> Option<f64> {
        Some(match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Mod => a % b,
            Self::Pow => a.powf(b),
            Self::Atan2 => a.atan2(b),
            _ => return None,
        })
    }

    /// Whether a comparison holds.
    #[inline]
    fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Self::Equal => a == b,
            Self::NotEqual => a != b,
            Self::Greater => a > b,
            Self::Less => a < b,
            Self::GreaterOrEqual => a >= b,
            Self::LessOrEqual => a <= b,
            _ => false,
        }
    }

    /// Whether it compares.
    pub(crate) fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Greater
                | Self::Less
                | Self::GreaterOrEqual
                | Self::LessOrEqual
        )
    }

    fn is_trimming(self) -> bool {
        matches!(self, Self::TrimUpper | Self::TrimLower)
    }

    /// Whether the result is another thing than the metric that went in.
    fn drops_name(self, returns_bool: bool) -> bool {
        !(self.is_comparison() || self.is_trimming()) || returns_bool
    }

    /// The result for two numbers; comparisons give 0 or 1.
    pub(crate) fn of_scalars(self, a: f64, b: f64) -> f64 {
        self.calculate(a, b)
            .unwrap_or_else(|| f64::from(u8::from(self.holds(a, b))))
    }

    /// The result for values of two series: a comparison keeps `kept` or drops the value, or
    /// gives 0 or 1.
    #[inline]
    fn of_values(self, a: f64, b: f64, kept: f64, returns_bool: bool) -> f64 {
        if let Some(value) = self.calculate(a, b) {
            return value;
        }
        match (self.holds(a, b), returns_bool) {
            (true, false) => kept,
            (false, false) => ABSENT,
            (holds, true) => f64::from(u8::from(holds)),
        }
    }
}

/// An operator between a vector and a number, as a change of the vector's values.
pub(crate) fn with_scalar(
    query: &Query<'_>,
    node: &Binary,
    scalar: Scalar,
    place: Option<usize>,
) -> Map {
    use crate::syntax::ValueKind;

    let op = node.op;
    let returns_bool = node.matching.returns_bool;
    let scalar_first = node.lhs.kind() == ValueKind::Scalar;
    let noting = Noting {
        notes: Arc::clone(&query.notes),
        place,
    };
    let (for_numbers, steps) = (noting.clone(), scalar.clone());
    let numbers = Map::new(op.drops_name(returns_bool), move |step, value| {
        if op.is_trimming() {
            for_numbers.types(op, "float", "float");
            return ABSENT;
        }
        let number = steps.at(step);
        if scalar_first {
            op.of_values(number, value, value, returns_bool)
        } else {
            op.of_values(value, number, value, returns_bool)
        }
    });
    numbers.with_histograms(move |step, histogram| {
        let (number, histogram) = (
            Operand::Number(scalar.at(step)),
            Operand::Histogram(histogram),
        );
        let (left, right) = if scalar_first {
            (number, histogram)
        } else {
            (histogram, number)
        };
        histograms::calculate(op, left, right, returns_bool, &noting).unwrap_or(Slot::Absent)
    })
}

/// An operator between two vectors.
pub(crate) fn evaluate(
    query: &Query<'_>,
    node: &Binary,
    place: Option<usize>,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let lhs = query.vector(&node.lhs, grid)?;
    let rhs = query.vector(&node.rhs, grid)?;
    match node.op {
        BinaryOp::And => Ok(sets::and(&node.matching, lhs, &rhs, grid)),
        BinaryOp::Unless => Ok(sets::unless(&node.matching, lhs, &rhs, grid)),
        BinaryOp::Or => sets::or(&node.matching, lhs, rhs, grid),
        _ => matching::combine(query, node, place, lhs, rhs, grid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_calculate_and_compare() {
        let check = |op: &str, a: f64, b: f64, expected: f64| {
            let op = BinaryOp::find(op).expect("known");
            assert_eq!(op.of_scalars(a, b), expected, "{a} {op:?} {b}");
        };
        check("%", -7.0, 3.0, -1.0);
        check("^", 2.0, -1.0, 0.5);
        check("/", 1.0, 0.0, f64::INFINITY);
        check("==", f64::NAN, f64::NAN, 0.0);
        check("!=", f64::NAN, f64::NAN, 1.0);
        check(">=", 2.0, 2.0, 1.0);
        check("atan2", 0.0, -1.0, std::f64::consts::PI);
    }
}
