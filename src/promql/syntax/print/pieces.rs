//! The parts of an expression that are always written on one line.

use std::fmt::Write;
use std::sync::Arc;
use std::time;

use model::Matcher;

use crate::syntax::duration::{Duration, Formula, FormulaNode, FormulaOp};
use crate::syntax::expr::{Aggregate, At, Binary, Extent, Group, Selector, Subquery};

/// A number, never with an exponent.
pub(in crate::syntax) fn number(out: &mut String, value: f64) {
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

pub(super) fn seconds(out: &mut String, value: f64) {
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

pub(in crate::syntax) fn aggregation(out: &mut String, node: &Aggregate) {
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
pub(in crate::syntax) fn operator(out: &mut String, node: &Binary) {
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

pub(super) fn selector(out: &mut String, node: &Selector) {
    name_and_matchers(out, node);
    at(out, node.at);
    extent(out, node.extent);
    offset(out, &node.offset);
}

pub(super) fn range_selector(out: &mut String, node: &Selector, range: &Duration) {
    name_and_matchers(out, node);
    out.push('[');
    duration(out, range);
    out.push(']');
    extent(out, node.extent);
    at(out, node.at);
    offset(out, &node.offset);
}

pub(in crate::syntax) fn subquery_suffix(out: &mut String, node: &Subquery) {
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
