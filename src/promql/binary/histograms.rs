//! Operators with native histograms: what they give, and what is noted where they give nothing.

use std::sync::Arc;

use model::{Histogram, ResetHint};

use super::BinaryOp;
use crate::column::Slot;
use crate::native::{self, Total};
use crate::notes::Notes;

/// One side of an operator at one step.
#[derive(Clone, Copy)]
pub(super) enum Operand<'a> {
    Number(f64),
    Histogram(&'a Histogram),
}

/// What has to be known for a note.
#[derive(Clone)]
pub(super) struct Noting {
    pub(super) notes: Arc<Notes>,
    /// Where the operation stands.
    pub(super) place: Option<usize>,
}

impl Noting {
    /// The operator makes nothing of such operands.
    pub(super) fn types(&self, op: BinaryOp, left: &str, right: &str) {
        let op = op.name();
        self.notes.info(
            &format!(
                "incompatible sample types encountered for binary operator {op:?}: \
                 {left} {op} {right}"
            ),
            self.place,
        );
    }
}

/// The result where one side at least is a histogram; `None` where the operator makes nothing of
/// them at all, so that not even `bool` gives a number.
pub(super) fn calculate(
    op: BinaryOp,
    left: Operand<'_>,
    right: Operand<'_>,
    returns_bool: bool,
    noting: &Noting,
) -> Option<Slot> {
    match (left, right) {
        (Operand::Number(number), Operand::Histogram(h)) if op == BinaryOp::Mul => {
            return Some(Slot::of(native::times(h, number)));
        }
        (Operand::Histogram(h), Operand::Number(number)) => match op {
            BinaryOp::Mul => return Some(Slot::of(native::times(h, number))),
            BinaryOp::Div => return Some(Slot::of(native::divided(h, number))),
            BinaryOp::TrimUpper | BinaryOp::TrimLower => {
                let keeps_below = op == BinaryOp::TrimUpper;
                return Some(Slot::of(native::trimmed(h, number, keeps_below)));
            }
            _ => {}
        },
        (Operand::Histogram(a), Operand::Histogram(b)) => match op {
            BinaryOp::Add => return added(op, a, b, 1.0, noting),
            BinaryOp::Sub => return added(op, a, b, -1.0, noting),
            BinaryOp::Equal | BinaryOp::NotEqual => {
                let holds = native::are_equal(a, b) == (op == BinaryOp::Equal);
                return Some(match (holds, returns_bool) {
                    (holds, true) => Slot::Number(f64::from(u8::from(holds))),
                    (true, false) => Slot::of(a.clone()),
                    (false, false) => Slot::Absent,
                });
            }
            _ => {}
        },
        _ => {}
    }
    let kind = |operand| match operand {
        Operand::Number(_) => "float",
        Operand::Histogram(_) => "histogram",
    };
    noting.types(op, kind(left), kind(right));
    None
}

fn added(op: BinaryOp, a: &Histogram, b: &Histogram, sign: f64, noting: &Noting) -> Option<Slot> {
    let mut total = Total::of(a);
    let Ok(met) = total.add(b, sign) else {
        let message = "incompatible bucket layout encountered for binary operator";
        let message = format!("{message} {}", op.name());
        noting.notes.warn(&message, noting.place);
        return None;
    };
    let operation = if op == BinaryOp::Add {
        "addition"
    } else {
        "subtraction"
    };
    noting.notes.met(met, operation, noting.place);
    let mut sum = total.finish();
    if op == BinaryOp::Sub {
        // What is left may be less than nothing.
        sum.reset = ResetHint::Gauge;
    }
    Some(Slot::of(sum))
}
