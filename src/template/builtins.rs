//! The functions that a template may call: the table of all, and those of Go itself.
//! Prometheus' own are in `prometheus.rs`.

use std::cmp::Ordering;
use std::fmt::Write as _;

use crate::value::{self, Bounded, Value, label_value};
use crate::{Env, OUTPUT_BYTES_MAX, printf, prometheus};

/// How a function is called: its arguments, the last of which may have come through a pipe.
pub type Call = fn(&[Value], &Env<'_>) -> Result<Value, String>;

/// A function by name.
#[derive(Debug)]
pub struct Function {
    /// As templates write it.
    pub name: &'static str,
    /// How many arguments it takes.
    pub arguments: std::ops::RangeInclusive<usize>,
    /// What it does.
    pub call: Call,
}

const ANY: usize = usize::MAX;

const fn f(name: &'static str, min: usize, max: usize, call: Call) -> Function {
    Function {
        name,
        arguments: min..=max,
        call,
    }
}

/// `and` and `or` are evaluated by the interpreter itself, which stops at the first argument
/// that decides; the entries here see the arguments that were evaluated.
static FUNCTIONS: &[Function] = &[
    f("and", 1, ANY, |args, _| Ok(last(args))),
    f("or", 1, ANY, |args, _| Ok(last(args))),
    f("not", 1, 1, |args, _| Ok(Value::Bool(!args[0].is_true()))),
    f("len", 1, 1, |args, _| len(&args[0])),
    f("index", 1, ANY, |args, _| index(args)),
    f("slice", 1, 3, |args, _| slice(args)),
    f("print", 0, ANY, |args, _| printf::sprint(args)),
    f("printf", 1, ANY, |args, _| printf::sprintf(args)),
    f("println", 0, ANY, |args, _| printf::sprintln(args)),
    f("html", 0, ANY, |args, _| escaped(args, html_escape)),
    f("js", 0, ANY, |args, _| escaped(args, js_escape)),
    f("urlquery", 0, ANY, |args, _| {
        escaped(args, prometheus::query_escape)
    }),
    f("eq", 2, ANY, |args, _| equal_any(args)),
    f("ne", 2, 2, |args, _| {
        equal(&args[0], &args[1]).map(|b| Value::Bool(!b))
    }),
    f("lt", 2, 2, |args, _| ordered(args, Ordering::is_lt)),
    f("le", 2, 2, |args, _| ordered(args, Ordering::is_le)),
    f("gt", 2, 2, |args, _| ordered(args, Ordering::is_gt)),
    f("ge", 2, 2, |args, _| ordered(args, Ordering::is_ge)),
    // No value of ours is a function.
    f("call", 1, ANY, |args, _| {
        Err(format!("non-function of type {}", args[0].type_name()))
    }),
    // Evaluated by the interpreter, which knows the named templates.
    f("tmpl", 2, 2, |_, _| {
        Err("no named templates here".to_owned())
    }),
];

/// Finds a function by name.
pub(crate) fn find(name: &str, more: &'static [Function]) -> Option<&'static Function> {
    more.iter()
        .chain(FUNCTIONS)
        .chain(prometheus::FUNCTIONS)
        .find(|function| function.name == name)
}

fn last(args: &[Value]) -> Value {
    args.last().cloned().unwrap_or(Value::Nil)
}

fn len(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Str(s) | Value::Html(s) | Value::Url(s) => s.len(),
        Value::List(list) => list.len(),
        Value::Pairs(pairs) => pairs.len(),
        Value::Map(map) => map.len(),
        Value::Labels(labels) | Value::KeyValues(labels) => labels.len(),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::Int(length as i64))
}

/// A number within `0..=max`, or Go's complaint.
fn position(value: &Value, max: usize) -> Result<usize, String> {
    match value {
        Value::Int(i) => usize::try_from(*i)
            .ok()
            .filter(|i| *i <= max)
            .ok_or_else(|| format!("index out of range: {i}")),
        Value::Nil => Err("cannot index slice/array with nil".to_owned()),
        other => Err(format!(
            "cannot index slice/array with type {}",
            other.type_name()
        )),
    }
}

fn index(args: &[Value]) -> Result<Value, String> {
    let mut item = args[0].clone();
    for key in &args[1..] {
        item = match (&item, key) {
            (Value::List(list), key) => element(list, key, Value::clone)?,
            (Value::Pairs(pairs), key) => element(pairs, key, value::pair)?,
            (Value::Str(s), key) => {
                let i = position(key, s.len().saturating_sub(1))?;
                let byte = s.as_bytes().get(i).copied();
                Value::Int(
                    byte.ok_or_else(|| format!("index out of range: {i}"))?
                        .into(),
                )
            }
            (Value::Labels(labels) | Value::KeyValues(labels), Value::Str(key)) => {
                label_value(labels, key)
            }
            (Value::Map(map), Value::Str(key)) => map.get(key).cloned().unwrap_or(Value::Nil),
            (Value::Nil, _) => return Err("index of untyped nil".to_owned()),
            (Value::Map(_) | Value::Labels(_) | Value::KeyValues(_), key) => {
                return Err(format!(
                    "value has type {}; should be string",
                    key.type_name()
                ));
            }
            (other, _) => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(item)
}

fn element<T>(items: &[T], key: &Value, of: fn(&T) -> Value) -> Result<Value, String> {
    let i = position(key, items.len().saturating_sub(1))?;
    let found = items.get(i).map(of);
    found.ok_or_else(|| format!("index out of range: {i}"))
}

fn slice(args: &[Value]) -> Result<Value, String> {
    let length = match &args[0] {
        Value::Str(s) => s.len(),
        Value::List(list) => list.len(),
        Value::Pairs(pairs) => pairs.len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let start = args.get(1).map_or(Ok(0), |v| position(v, length))?;
    let end = args.get(2).map_or(Ok(length), |v| position(v, length))?;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    match &args[0] {
        Value::List(list) => Ok(Value::List(list[start..end].into())),
        Value::Pairs(pairs) => Ok(Value::Pairs(pairs[start..end].into())),
        Value::Str(s) => s
            .get(start..end)
            .map(Value::str)
            .ok_or_else(|| "slice would cut a character in two".to_owned()),
        _ => Ok(Value::Nil),
    }
}

fn equal_any(args: &[Value]) -> Result<Value, String> {
    for other in &args[1..] {
        if equal(&args[0], other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// Go compares only what has the same kind: `eq $value 0` fails, `eq $value 0.0` works.
fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (a, b) if let (Some(a), Some(b)) = (a.as_text(), b.as_text()) => Ok(a == b),
        (Value::Time(a), Value::Time(b)) => Ok(a == b),
        (Value::Nil, b) => Ok(*b == Value::Nil),
        (a, Value::Nil) => Ok(*a == Value::Nil),
        (a, b) if basic(a) && basic(b) => Err(incompatible(a, b)),
        _ => Err("non-comparable type".to_owned()),
    }
}

fn basic(value: &Value) -> bool {
    matches!(
        value,
        Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Str(_)
            | Value::Html(_)
            | Value::Url(_)
            | Value::Duration(_)
    )
}

fn incompatible(a: &Value, b: &Value) -> String {
    let hint = match (a, b) {
        (Value::Float(_), Value::Int(_)) | (Value::Int(_), Value::Float(_)) => {
            " (a float is compared with a float: write 5.0 instead of 5)"
        }
        _ => "",
    };
    format!("incompatible types for comparison{hint}")
}

fn ordered(args: &[Value], is: fn(Ordering) -> bool) -> Result<Value, String> {
    let ordering = match (&args[0], &args[1]) {
        (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => Some(a.cmp(b)),
        // Nothing is less or greater than NaN.
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Str(a), Value::Str(b)) => Some(a.cmp(b)),
        (a, b) if basic(a) && basic(b) && a.type_name() != b.type_name() => {
            return Err(incompatible(a, b));
        }
        _ => return Err("invalid type for comparison".to_owned()),
    };
    Ok(Value::Bool(ordering.is_some_and(is)))
}

/// Prints the arguments as `print` does and escapes the text.
fn escaped(args: &[Value], escape: fn(&str) -> String) -> Result<Value, String> {
    match printf::sprint(args)? {
        Value::Str(text) => Ok(Value::str(escape(&text))),
        other => Ok(other),
    }
}

/// Go's html/template escapes, also used by `html`.
pub(crate) fn html_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn js_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' | '\0'..='\u{1f}' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// The text of a value as `print` shows it, within the limit of this room.
pub(crate) fn printed(value: &Value) -> Result<String, String> {
    let mut out = Bounded::new(OUTPUT_BYTES_MAX);
    value.print(&mut out).map_err(|_| too_long())?;
    Ok(out.text)
}

/// What is said when a text grows beyond the limit.
pub(crate) fn too_long() -> String {
    format!("makes more than {OUTPUT_BYTES_MAX} bytes of text")
}

/// Adds to a bounded text.
pub(crate) fn add(out: &mut Bounded, text: &str) -> Result<(), String> {
    out.write_str(text).map_err(|_| too_long())
}
