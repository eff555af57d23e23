//! The structure of an expression for people: what each part does, from the outside in. Pages
//! show it as a tree and write beside each part how many series it gave.

use super::expr::{Expr, Node, Selector, ValueKind};
use super::print::{self, OneLine};

/// A part of an expression, with the parts that it is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// What it is.
    pub kind: OutlineKind,
    /// The part of its own, without its children: `sum by (job)`, `/ on (instance)`, `rate`,
    /// `up{job="node"}[5m]`.
    pub label: String,
    /// All of it on one line, cut where it is very long.
    pub text: String,
    /// What it gives.
    pub gives: ValueKind,
    /// Where it stands in the text, in characters: start and end (exclusive).
    pub place: (usize, usize),
    /// The series that it reads, if it is a selector.
    pub selector: Option<Selector>,
    /// The parts that it is made of, from left to right.
    pub children: Vec<Outline>,
}

/// What a part of an expression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutlineKind {
    /// A number or text.
    Literal,
    /// Series from the store, at a time or over a range.
    Selector,
    /// An expression over a range of its own.
    Subquery,
    /// A function.
    Call,
    /// An aggregation.
    Aggregation,
    /// An operator between two expressions.
    Operator,
    /// A minus before an expression.
    Sign,
}

/// Longest text of a part, characters: whoever wants more takes it from the text by its place.
const TEXT_MAX: usize = 300;

/// The outline of an expression. Brackets and signs that change nothing are left out.
pub(super) fn outline(expr: &Expr) -> Outline {
    let line = OneLine::of(expr);
    Outliner {
        line: &line,
        next: 0,
    }
    .part(expr)
}

struct Outliner<'l> {
    line: &'l OneLine,
    /// The next node in the order of the parts.
    next: usize,
}

impl Outliner<'_> {
    fn part(&mut self, expr: &Expr) -> Outline {
        let part = self.line.parts.get(self.next).cloned().unwrap_or_default();
        self.next += 1;
        let mut text = self.line.text.get(part).unwrap_or_default();
        let mut label = String::new();
        let mut selector = None;
        let kind = match &expr.node {
            Node::Paren(inner) | Node::Plus(inner) => return self.part(inner),
            Node::Number(_) | Node::Seconds(_) | Node::Text(_) => {
                label.push_str(text);
                OutlineKind::Literal
            }
            Node::Selector(node) | Node::Range(node, _) => {
                label.push_str(text);
                selector = Some(node.clone());
                OutlineKind::Selector
            }
            Node::Subquery(node) => {
                print::subquery_suffix(&mut label, node);
                OutlineKind::Subquery
            }
            Node::Call(function, _) => {
                label.push_str(function.name);
                OutlineKind::Call
            }
            Node::Aggregate(node) => {
                print::aggregation(&mut label, node);
                label.truncate(label.trim_end().len());
                OutlineKind::Aggregation
            }
            Node::Binary(node) => {
                print::operator(&mut label, node);
                OutlineKind::Operator
            }
            Node::Negate(_) => {
                label.push('-');
                OutlineKind::Sign
            }
        };
        let cut = text.char_indices().nth(TEXT_MAX).map(|(end, _)| end);
        text = text.get(..cut.unwrap_or(text.len())).unwrap_or_default();
        let more = if cut.is_some() { "…" } else { "" };
        let start = expr.place.unwrap_or_default();
        Outline {
            kind,
            label,
            text: format!("{text}{more}"),
            gives: expr.kind(),
            place: (start, expr.end.unwrap_or(start)),
            selector,
            children: expr
                .children()
                .into_iter()
                .map(|child| self.part(child))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::syntax::explain;

    #[test]
    fn shows_what_each_part_does() {
        let text = "sum by (job) (rate(up{a=\"b\"}[5m])) / on (job) (-x)";
        let outline = explain(text).expect("parses");
        let mut lines = Vec::new();
        walk(&outline, 0, &mut lines);
        assert_eq!(
            lines,
            [
                "/ on (job)",
                " sum by (job)",
                "  rate",
                "   up{a=\"b\"}[5m]",
                " -",
                "  x",
            ]
        );
        let part = &outline.children[0].children[0].children[0];
        assert_eq!(&text[part.place.0..part.place.1], "up{a=\"b\"}[5m]");
        assert!(part.selector.is_some());
        assert_eq!(outline.children[1].text, "-x");
    }

    fn walk(outline: &super::Outline, level: usize, lines: &mut Vec<String>) {
        lines.push(format!("{}{}", " ".repeat(level), outline.label));
        for child in &outline.children {
            walk(child, level + 1, lines);
        }
    }
}
