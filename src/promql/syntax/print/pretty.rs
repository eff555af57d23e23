//! Breaks long expressions into lines.

use super::OneLine;
use super::pieces::{aggregation, operator, subquery_suffix};
use crate::syntax::expr::{Expr, Node};

/// Nodes that are longer are broken into lines.
const LINE_MAX: usize = 100;

/// Longest result, bytes: many short arguments, deep inside, are mostly blanks.
const PRETTY_BYTES_MAX: usize = 4 << 20;

/// An expression on as many lines as it takes; `None` where that would be far too long.
pub(in crate::syntax) fn pretty(expr: &Expr) -> Option<String> {
    let line = OneLine::of(expr);
    let mut pretty = Pretty {
        line: &line,
        next: 0,
        out: String::with_capacity(line.text.len() * 2),
    };
    pretty.expr(expr, 0, true);
    (pretty.out.len() <= PRETTY_BYTES_MAX).then_some(pretty.out)
}

struct Pretty<'l> {
    line: &'l OneLine,
    /// The next node in the order of the parts.
    next: usize,
    out: String,
}

impl Pretty<'_> {
    fn indent(&mut self, level: usize) {
        for _ in 0..level {
            self.out.push_str("  ");
        }
    }

    /// Writes a node at a level, with the blanks of the level before it or without.
    fn expr(&mut self, expr: &Expr, level: usize, indented: bool) {
        if self.out.len() > PRETTY_BYTES_MAX {
            return;
        }
        let part = self.line.parts.get(self.next).cloned().unwrap_or_default();
        let is_short = part.len() <= LINE_MAX;
        let is_leaf = expr.children().is_empty();
        // What begins with a child on a line of its own leaves the blanks to it, and Prometheus
        // sets subqueries that fit on a line without any.
        let begins_itself = match expr.node {
            Node::Subquery(_) => false,
            Node::Binary(_) => is_short,
            _ => true,
        };
        if indented && begins_itself {
            self.indent(level);
        }
        if is_short || is_leaf {
            self.out
                .push_str(self.line.text.get(part.clone()).unwrap_or_default());
            // Its children are written with it.
            self.next += 1;
            while self
                .line
                .parts
                .get(self.next)
                .is_some_and(|child| child.start < part.end)
            {
                self.next += 1;
            }
            return;
        }
        self.next += 1;
        match &expr.node {
            Node::Subquery(node) => {
                self.expr(&node.expr, level, indented);
                subquery_suffix(&mut self.out, node);
            }
            Node::Call(function, args) => {
                self.out.push_str(function.name);
                self.out.push_str("(\n");
                for (i, arg) in args.iter().enumerate() {
                    if i > 0 {
                        self.out.push_str(",\n");
                    }
                    self.expr(arg, level + 1, true);
                }
                self.closing(level);
            }
            Node::Aggregate(node) => {
                aggregation(&mut self.out, node);
                self.out.push_str("(\n");
                if let Some(param) = &node.param {
                    self.expr(param, level + 1, true);
                    self.out.push_str(",\n");
                }
                self.expr(&node.expr, level + 1, true);
                self.closing(level);
            }
            Node::Binary(node) => {
                self.expr(&node.lhs, level + 1, indented);
                self.out.push('\n');
                self.indent(level);
                operator(&mut self.out, node);
                self.out.push('\n');
                self.expr(&node.rhs, level + 1, true);
            }
            Node::Negate(inner) => {
                self.out.push('-');
                self.expr(inner, level, false);
            }
            Node::Plus(inner) => {
                self.out.push('+');
                self.expr(inner, level, false);
            }
            Node::Paren(inner) => {
                self.out.push_str("(\n");
                self.expr(inner, level + 1, true);
                self.closing(level);
            }
            // Leaves are never broken.
            Node::Number(_)
            | Node::Seconds(_)
            | Node::Text(_)
            | Node::Selector(_)
            | Node::Range(..) => {}
        }
    }

    fn closing(&mut self, level: usize) {
        self.out.push('\n');
        self.indent(level);
        self.out.push(')');
    }
}
