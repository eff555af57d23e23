//! `| json`, `| json a="x.y[0]"` and `| unpack`.
//!
//! 1. A small reader walks over JSON without building a tree; values are slices of the text.
//! 2. `json` flattens: names of nested objects are joined by `_`, arrays and `null` are left out.
//! 3. With paths, objects and arrays are given as they are written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::labels::LineLabels;
use super::{JSON_ERROR, sanitize};
use crate::json::unescape;

/// Objects nest so deep; what lies deeper is left out.
const DEPTH_MAX: usize = 32;

/// A value as it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    /// Without its quotes, escapes as they are.
    Text(&'a str),
    /// A number or a boolean.
    Plain(&'a str),
    Null,
    /// With its brackets.
    Object(&'a str),
    Array(&'a str),
}

impl<'a> Value<'a> {
    /// As a label has it.
    fn shown(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) if text.contains('\\') => Cow::Owned(unescape(text)),
            Self::Text(text) | Self::Plain(text) | Self::Object(text) | Self::Array(text) => {
                Cow::Borrowed(text)
            }
            Self::Null => Cow::Borrowed(""),
        }
    }
}

/// What is no JSON, in a few words.
type Bad = &'static str;

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let space = rest
            .iter()
            .take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
            .count();
        self.at += space;
        rest.get(space).copied()
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, wanted: u8, bad: Bad) -> Result<(), Bad> {
        if self.take(wanted) { Ok(()) } else { Err(bad) }
    }

    fn string(&mut self) -> Result<&'a str, Bad> {
        self.need(b'"', "a quote is missing")?;
        let start = self.at;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let found = memchr::memchr2(b'"', b'\\', rest).ok_or("a string is not closed")?;
            self.at += found;
            if rest.get(found) == Some(&b'"') {
                break;
            }
            // Over the backslash and what it escapes, whole characters of it.
            let escaped = self.text.get(self.at + 1..).and_then(|t| t.chars().next());
            self.at += 1 + escaped.map_or(1, char::len_utf8);
        }
        let text = self.text.get(start..self.at).ok_or("a string is cut")?;
        self.at += 1;
        Ok(text)
    }

    fn value(&mut self) -> Result<Value<'a>, Bad> {
        match self.peek().ok_or("a value is missing")? {
            b'"' => self.string().map(Value::Text),
            b'{' => self.nested().map(Value::Object),
            b'[' => self.nested().map(Value::Array),
            _ => {
                let start = self.at;
                let rest = self.text.as_bytes().get(start..).unwrap_or_default();
                let len = rest
                    .iter()
                    .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
                    .count();
                self.at += len;
                match self.text.get(start..start + len).unwrap_or_default() {
                    "" => Err("a value is missing"),
                    "null" => Ok(Value::Null),
                    word @ ("true" | "false") => Ok(Value::Plain(word)),
                    word if word.parse::<f64>().is_ok() => Ok(Value::Plain(word)),
                    _ => Err("a word stands where a value should"),
                }
            }
        }
    }

    /// An object or array as it is written.
    fn nested(&mut self) -> Result<&'a str, Bad> {
        let start = self.at;
        let mut open = 0usize;
        loop {
            match self.peek().ok_or("a bracket is not closed")? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return self.text.get(start..self.at).ok_or("a character is cut");
            }
            // Between brackets whole characters are passed over.
            while !self.text.is_char_boundary(self.at) {
                self.at += 1;
            }
        }
    }

    /// The members of an object, one after the other; `Ok(false)` from `each` wants no more.
    fn members(
        &mut self,
        each: &mut dyn FnMut(&'a str, Value<'a>) -> Result<bool, Bad>,
    ) -> Result<(), Bad> {
        self.need(b'{', "no object")?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let name = self.string()?;
            self.need(b':', "a colon is missing")?;
            let value = self.value()?;
            if !each(name, value)? {
                return Ok(());
            }
            if !self.take(b',') {
                return self.need(b'}', "an object is not closed");
            }
        }
    }
}

/// `| json`: every field becomes a label.
pub(super) fn all(text: &str, labels: &mut LineLabels<'_>) {
    let mut reader = Reader::new(text);
    if let Err(bad) = flatten(&mut reader, "", 0, labels) {
        labels.fail(JSON_ERROR, || bad.to_owned());
    }
}

fn flatten(
    reader: &mut Reader<'_>,
    prefix: &str,
    depth: usize,
    labels: &mut LineLabels<'_>,
) -> Result<(), Bad> {
    reader.members(&mut |name, value| {
        let name = if name.contains('\\') {
            Cow::Owned(unescape(name))
        } else {
            Cow::Borrowed(name)
        };
        let mut full = String::with_capacity(prefix.len() + 1 + name.len());
        full.push_str(prefix);
        if !prefix.is_empty() {
            full.push('_');
        }
        sanitize(&name, prefix.is_empty(), &mut full);
        match value {
            Value::Object(inner) if depth < DEPTH_MAX => {
                flatten(&mut Reader::new(inner), &full, depth + 1, labels)?;
            }
            Value::Text(_) | Value::Plain(_) if labels.wants(&full) => {
                labels.extract(&full, &value.shown(), true);
            }
            _ => {}
        }
        Ok(true)
    })
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Name(String),
    Index(usize),
}

/// Reads `a.b[0]["c d"]`.
pub(super) fn path(text: &str) -> Result<Vec<Step>, String> {
    let bad =
        || format!("{text:?} is no path into JSON: write name.inner, list[0] or [\"a name\"]");
    let mut steps = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('[') {
            let (inside, tail) = if let Some(quoted) = tail.strip_prefix('"') {
                let (name, tail) = quoted.split_once("\"]").ok_or_else(bad)?;
                (Step::Name(unescape(name)), tail)
            } else {
                let (index, tail) = tail.split_once(']').ok_or_else(bad)?;
                (Step::Index(index.trim().parse().map_err(|_| bad())?), tail)
            };
            steps.push(inside);
            rest = tail;
        } else {
            let start = match rest.strip_prefix('.') {
                Some(tail) if !steps.is_empty() => tail,
                _ => rest,
            };
            let end = start.find(['.', '[']).unwrap_or(start.len());
            let name = start.get(..end).unwrap_or_default();
            if name.is_empty() {
                return Err(bad());
            }
            steps.push(Step::Name(name.to_owned()));
            rest = start.get(end..).unwrap_or_default();
        }
    }
    if steps.is_empty() {
        return Err(bad());
    }
    Ok(steps)
}

/// `| json a="x.y"`: what lies at the paths becomes labels.
pub(super) fn at_paths(text: &str, paths: &[(String, Vec<Step>)], labels: &mut LineLabels<'_>) {
    if let Err(bad) = Reader::new(text).members(&mut |_, _| Ok(true)) {
        labels.fail(JSON_ERROR, || bad.to_owned());
        return;
    }
    for (name, steps) in paths {
        let found = steps
            .iter()
            .try_fold(Value::Object(text), |value, step| child(value, step));
        if let Some(value) = found {
            labels.extract(name, &value.shown(), false);
        }
    }
}

fn child<'a>(value: Value<'a>, step: &Step) -> Option<Value<'a>> {
    let mut found = None;
    match (value, step) {
        (Value::Object(text), Step::Name(wanted)) => {
            let walked = Reader::new(text).members(&mut |name, value| {
                let same = name == wanted || name.contains('\\') && unescape(name) == *wanted;
                if same {
                    found = Some(value);
                }
                Ok(!same)
            });
            walked.ok()?;
        }
        (Value::Array(text), Step::Index(wanted)) => {
            let mut reader = Reader::new(text);
            reader.need(b'[', "no array").ok()?;
            for _ in 0..*wanted {
                reader.value().ok()?;
                reader.need(b',', "no more elements").ok()?;
            }
            found = reader.value().ok();
        }
        _ => {}
    }
    found
}

/// A text as a value of templates: what their function `fromJson` gives.
pub(super) fn template_value(text: &str) -> Result<template::Value, String> {
    let mut reader = Reader::new(text);
    let value = reader.value().and_then(|value| build(value, 0));
    match value {
        Ok(value) if reader.peek().is_none() => Ok(value),
        Ok(_) => Err("not JSON: something stands behind the value".to_owned()),
        Err(bad) => Err(format!("not JSON: {bad}")),
    }
}

fn build(value: Value<'_>, depth: usize) -> Result<template::Value, Bad> {
    use template::Value as Made;
    if depth > DEPTH_MAX {
        return Err("nested too deep");
    }
    Ok(match value {
        Value::Null => Made::Nil,
        Value::Plain("true") => Made::Bool(true),
        Value::Plain("false") => Made::Bool(false),
        Value::Plain(number) => Made::Float(number.parse().unwrap_or(f64::NAN)),
        Value::Text(_) => Made::str(value.shown()),
        Value::Object(text) => {
            let mut map = BTreeMap::new();
            Reader::new(text).members(&mut |name, value| {
                map.insert(Arc::from(unescape(name)), build(value, depth + 1)?);
                Ok(true)
            })?;
            Made::Map(Arc::new(map))
        }
        Value::Array(text) => {
            let mut reader = Reader::new(text);
            let mut list = Vec::new();
            reader.need(b'[', "no array")?;
            if !reader.take(b']') {
                loop {
                    list.push(build(reader.value()?, depth + 1)?);
                    if !reader.take(b',') {
                        break;
                    }
                }
                reader.need(b']', "an array is not closed")?;
            }
            Made::List(list.into())
        }
    })
}

/// `| unpack`: texts of a flat object become labels, `_entry` becomes the line.
pub(super) fn unpack(text: &str, labels: &mut LineLabels<'_>) -> Option<String> {
    let mut entry = None;
    let walked = Reader::new(text).members(&mut |name, value| {
        if let Value::Text(_) = value {
            if name == "_entry" {
                entry = Some(value.shown().into_owned());
            } else {
                labels.extract(name, &value.shown(), false);
            }
        }
        Ok(true)
    });
    if let Err(bad) = walked {
        labels.fail(JSON_ERROR, || bad.to_owned());
        return None;
    }
    entry
}
