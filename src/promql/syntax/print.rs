//! Expressions as text: on one line, as Prometheus writes them, and broken into lines where one
//! would be long, as its `/api/v1/format_query` does.
//!
//! 1. The whole tree is written on one line, and each node's part of it is noted.
//! 2. From the root down, a node whose part is longer than [`LINE_MAX`] bytes is broken: its
//!    children go on lines of their own, two blanks further in.

use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;
use std::time;

use model::Matcher;

use super::duration::{Duration, Formula, FormulaNode, FormulaOp};
use super::expr::{Aggregate, At, Binary, Expr, Extent, Group, Node, Selector, Subquery};

/// Nodes that are longer are broken into lines.
const LINE_MAX: usize = 100;

/// An expression on one line.
pub(super) fn line(expr: &Expr) -> String {
    OneLine::of(expr).text
}

/// An expression on as many lines as it takes.
pub(super) fn pretty(expr: &Expr) -> String {
    let line = OneLine::of(expr);
    let mut pretty = Pretty {
        line: &line,
        next: 0,
        out: String::with_capacity(line.text.len() * 2),
    };
    pretty.expr(expr, 0, true);
    pretty.out
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
                self.expr(&node.lhs);
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

/// A number, never with an exponent.
pub(super) fn number(out: &mut String, value: f64) {
    if value == f64::INFINITY {
        out.push_str("+Inf");
    } else if value == f64::NEG_INFINITY {
        out.push_str("-Inf");
    } else {
        write!(out, "{value}").expect("a String takes everything");
    }
}

/// A length of time.
fn milliseconds(out: &mut String, ms: i64) {
    if ms < 0 {
        out.push('-');
    }
    let span = time::Duration::from_millis(ms.unsigned_abs());
    out.push_str(&model::duration::format(span));
}

fn seconds(out: &mut String, value: f64) {
    milliseconds(out, (value * 1000.0).round() as i64);
}

fn duration(out: &mut String, duration: &Duration) {
    match &duration.formula {
        Some(written) => formula(out, written),
        None => milliseconds(out, duration.ms),
    }
}

fn formula(out: &mut String, written: &Formula) {
    match &written.node {
        FormulaNode::Seconds {
            value,
            is_duration: true,
        } => seconds(out, *value),
        FormulaNode::Seconds { value, .. } => number(out, *value),
        FormulaNode::Step => out.push_str("step()"),
        FormulaNode::Range => out.push_str("range()"),
        FormulaNode::Negate(inner) => {
            out.push('-');
            formula(out, inner);
        }
        FormulaNode::Paren(inner) => {
            out.push('(');
            formula(out, inner);
            out.push(')');
        }
        FormulaNode::Two(op, lhs, rhs) => {
            let (before, between, after) = match op {
                FormulaOp::Add => ("", " + ", ""),
                FormulaOp::Sub => ("", " - ", ""),
                FormulaOp::Mul => ("", " * ", ""),
                FormulaOp::Div => ("", " / ", ""),
                FormulaOp::Mod => ("", " % ", ""),
                FormulaOp::Pow => ("", " ^ ", ""),
                FormulaOp::Min => ("min_of(", ", ", ")"),
                FormulaOp::Max => ("max_of(", ", ", ")"),
            };
            out.push_str(before);
            formula(out, lhs);
            out.push_str(between);
            formula(out, rhs);
            out.push_str(after);
        }
    }
}

/// A text in quotes, as Go quotes it.
pub(super) fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        let escape = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{b}' => "\\v",
            _ => "",
        };
        let written = if !escape.is_empty() {
            out.push_str(escape);
            Ok(())
        } else if c.is_ascii() && c.is_ascii_control() {
            write!(out, "\\x{:02x}", u32::from(c))
        } else if c.is_ascii() || is_printable(c) {
            out.push(c);
            Ok(())
        } else if u32::from(c) < 0x10000 {
            write!(out, "\\u{:04x}", u32::from(c))
        } else {
            write!(out, "\\U{:08x}", u32::from(c))
        };
        written.expect("a String takes everything");
    }
    out.push('"');
}

/// Whether a character that is not ASCII is seen as it is: not if it is a blank of another kind,
/// a control, or not assigned.
fn is_printable(c: char) -> bool {
    c.is_alphanumeric() || c.escape_debug().len() == 1
}

/// Whether a label can be written without quotes.
fn is_plain_label(name: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    name.bytes().all(is_part) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty()
}

fn label(out: &mut String, name: &str) {
    if is_plain_label(name) {
        out.push_str(name);
    } else {
        quote(out, name);
    }
}

fn labels(out: &mut String, names: &[Arc<str>]) {
    out.push('(');
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        label(out, name);
    }
    out.push(')');
}

pub(super) fn aggregation(out: &mut String, node: &Aggregate) {
    out.push_str(node.op.name());
    if node.without {
        out.push_str(" without ");
    } else if !node.labels.is_empty() {
        out.push_str(" by ");
    } else {
        return;
    }
    labels(out, &node.labels);
    out.push(' ');
}

/// An operator with all that says how its operands match.
pub(super) fn operator(out: &mut String, node: &Binary) {
    let matching = &node.matching;
    out.push_str(node.op.name());
    if matching.returns_bool {
        out.push_str(" bool");
    }
    if matching.on || !matching.labels.is_empty() || matching.group != Group::OneToOne {
        out.push_str(if matching.on { " on " } else { " ignoring " });
        labels(out, &matching.labels);
    }
    let group = match matching.group {
        Group::OneToOne => "",
        Group::ManyToOne => " group_left ",
        Group::OneToMany => " group_right ",
    };
    if !group.is_empty() {
        out.push_str(group);
        labels(out, &matching.include);
    }
    let bits = |value: Option<f64>| value.map(f64::to_bits);
    let is_same = bits(matching.fill_left) == bits(matching.fill_right);
    let fills = [
        (" fill (", matching.fill_left.filter(|_| is_same)),
        (" fill_left (", matching.fill_left.filter(|_| !is_same)),
        (" fill_right (", matching.fill_right.filter(|_| !is_same)),
    ];
    for (word, value) in fills {
        if let Some(value) = value {
            out.push_str(word);
            number(out, value);
            out.push(')');
        }
    }
}

/// A selector's name and matchers.
fn name_and_matchers(out: &mut String, node: &Selector) {
    let mut matchers: &[Matcher] = &node.matchers;
    if node.is_named
        && let Some((name, rest)) = matchers.split_first()
    {
        out.push_str(&name.value);
        matchers = rest;
    }
    if matchers.is_empty() {
        // Without a name there must be something.
        if !node.is_named {
            out.push_str("{}");
        }
        return;
    }
    let mut written: Vec<String> = matchers
        .iter()
        .map(|matcher| {
            let mut one = String::new();
            label(&mut one, &matcher.name);
            one.push_str(matcher.op.as_str());
            quote(&mut one, &matcher.value);
            one
        })
        .collect();
    written.sort_unstable();
    out.push('{');
    out.push_str(&written.join(","));
    out.push('}');
}

fn at(out: &mut String, at: Option<At>) {
    match at {
        None => {}
        Some(At::Start) => out.push_str(" @ start()"),
        Some(At::End) => out.push_str(" @ end()"),
        Some(At::Time(ms)) => {
            let sign = if ms < 0 { "-" } else { "" };
            let ms = ms.unsigned_abs();
            write!(out, " @ {sign}{}.{:03}", ms / 1000, ms % 1000)
                .expect("a String takes everything");
        }
    }
}

fn extent(out: &mut String, extent: Extent) {
    out.push_str(match extent {
        Extent::Plain => "",
        Extent::Anchored => " anchored",
        Extent::Smoothed => " smoothed",
    });
}

fn offset(out: &mut String, offset: &Duration) {
    if *offset != Duration::default() {
        out.push_str(" offset ");
        duration(out, offset);
    }
}

fn selector(out: &mut String, node: &Selector) {
    name_and_matchers(out, node);
    at(out, node.at);
    extent(out, node.extent);
    offset(out, &node.offset);
}

fn range_selector(out: &mut String, node: &Selector, range: &Duration) {
    name_and_matchers(out, node);
    out.push('[');
    duration(out, range);
    out.push(']');
    extent(out, node.extent);
    at(out, node.at);
    offset(out, &node.offset);
}

pub(super) fn subquery_suffix(out: &mut String, node: &Subquery) {
    out.push('[');
    duration(out, &node.range);
    out.push(':');
    if let Some(step) = &node.step {
        duration(out, step);
    }
    out.push(']');
    at(out, node.at);
    offset(out, &node.offset);
}
