//! Expressions as text: on one line, as Prometheus writes them, and broken into lines where one
//! would be long, as its `/api/v1/format_query` does.
//!
//! 1. The whole tree is written on one line, and each node's part of it is noted.
//! 2. From the root down, a node whose part is longer than 100 bytes is broken: its
//!    children go on lines of their own, two blanks further in.

mod pieces;
mod pretty;

use std::ops::Range;

use super::expr::{Expr, Node};
use crate::binary::BinaryOp;
use pieces::{quote, range_selector, seconds, selector};

pub(super) use pieces::{aggregation, number, operator, subquery_suffix};
pub(super) use pretty::pretty;

/// An expression on one line.
pub(super) fn line(expr: &Expr) -> String {
    OneLine::of(expr).text
}

/// A tree on one line.
pub(super) struct OneLine {
    pub(super) text: String,
    /// The parts of the nodes, each node before its children, those in the order of the text.
    pub(super) parts: Vec<Range<usize>>,
}

impl OneLine {
    pub(super) fn of(expr: &Expr) -> Self {
        let mut line = Self {
            text: String::new(),
            parts: Vec::new(),
        };
        line.expr(expr);
        line
    }

    fn expr(&mut self, expr: &Expr) {
        let index = self.parts.len();
        let start = self.text.len();
        self.parts.push(start..start);
        match &expr.node {
            Node::Number(value) => number(&mut self.text, *value),
            Node::Seconds(value) => seconds(&mut self.text, *value),
            Node::Text(text) => quote(&mut self.text, text),
            Node::Selector(node) => selector(&mut self.text, node),
            Node::Range(node, range) => range_selector(&mut self.text, node, range),
            Node::Subquery(node) => {
                self.expr(&node.expr);
                subquery_suffix(&mut self.text, node);
            }
            Node::Call(function, args) => {
                self.text.push_str(function.name);
                self.text.push('(');
                for (i, arg) in args.iter().enumerate() {
                    if i > 0 {
                        self.text.push_str(", ");
                    }
                    self.expr(arg);
                }
                self.text.push(')');
            }
            Node::Aggregate(node) => {
                aggregation(&mut self.text, node);
                self.text.push('(');
                if let Some(param) = &node.param {
                    self.expr(param);
                    self.text.push_str(", ");
                }
                self.expr(&node.expr);
                self.text.push(')');
            }
            Node::Binary(node) => {
                let lhs_start = self.text.len();
                self.expr(&node.lhs);
                // The sign of +Inf would be that of the whole power.
                let is_infinite = matches!(node.lhs.node, Node::Number(f64::INFINITY));
                if node.op == BinaryOp::Pow && is_infinite {
                    self.text.remove(lhs_start);
                    if let Some(part) = self.parts.get_mut(index + 1) {
                        part.end -= 1;
                    }
                }
                self.text.push(' ');
                operator(&mut self.text, node);
                self.text.push(' ');
                self.expr(&node.rhs);
            }
            Node::Negate(inner) => {
                self.text.push('-');
                self.expr(inner);
            }
            Node::Plus(inner) => {
                self.text.push('+');
                self.expr(inner);
            }
            Node::Paren(inner) => {
                self.text.push('(');
                self.expr(inner);
                self.text.push(')');
            }
        }
        let end = self.text.len();
        if let Some(part) = self.parts.get_mut(index) {
            part.end = end;
        }
    }
}
