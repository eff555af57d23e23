//! What templates compute with, and how Go would print it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::ZonedDateTime;
use model::Labels;

use crate::{float, layout};

/// One series of an instant query: what `query` gives and `first`, `value` and `label` take.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its labels, the metric's name included.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// A value. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: a missing key of a map.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// Go's int.
    Int(i64),
    /// Go's float64.
    Float(f64),
    /// A text.
    Str(Arc<str>),
    /// A slice.
    List(Arc<[Value]>),
    /// A map of anything; a missing key is [`Value::Nil`].
    Map(Arc<BTreeMap<Arc<str>, Value>>),
    /// A map of texts; a missing key is the empty text.
    Labels(Labels),
    /// One series of a query.
    Sample(Arc<Sample>),
    /// Labels or annotations as notifications know them: a map of texts with methods.
    KeyValues(Labels),
    /// Names and values in an order.
    Pairs(Arc<[(Arc<str>, Arc<str>)]>),
    /// Named fields of a fixed type.
    Struct(Arc<Struct>),
    /// Go's time.Time.
    Time(Arc<ZonedDateTime>),
    /// Go's time.Duration, nanoseconds.
    Duration(i64),
    /// A text that is HTML already (`safeHtml`).
    Html(Arc<str>),
    /// A text that is a safe URL already (`safeUrl`).
    Url(Arc<str>),
}

/// Fields in the order in which Go would print them.
#[derive(Debug, Clone, PartialEq)]
pub struct Struct {
    /// The type as messages name it.
    pub type_name: &'static str,
    /// Names and values.
    pub fields: Vec<(&'static str, Value)>,
}

impl Struct {
    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let found = self.fields.iter().find(|(field, _)| *field == name);
        found.map(|(_, value)| value)
    }
}

impl Value {
    /// A text.
    pub fn str(text: impl Into<Arc<str>>) -> Self {
        Self::Str(text.into())
    }

    /// A time in UTC, milliseconds since 1970-01-01 UTC; times that the calendar does not hold
    /// become its first.
    pub fn time_ms(ms: i64) -> Self {
        let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MIN);
        Self::Time(Arc::new(time.to_zoned_datetime(jiff::tz::TimeZone::UTC)))
    }

    /// A struct.
    pub fn fields(type_name: &'static str, fields: Vec<(&'static str, Value)>) -> Self {
        Self::Struct(Arc::new(Struct { type_name, fields }))
    }

    /// The text, where it is one.
    pub(crate) fn as_text(&self) -> Option<&Arc<str>> {
        match self {
            Self::Str(text) | Self::Html(text) | Self::Url(text) => Some(text),
            _ => None,
        }
    }

    /// Whether `if` takes it for true: not nothing, zero or empty.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(b) => *b,
            Self::Int(i) => *i != 0,
            Self::Float(f) => *f != 0.0,
            Self::Str(s) => !s.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Labels(labels) | Self::KeyValues(labels) => !labels.is_empty(),
            Self::Pairs(pairs) => !pairs.is_empty(),
            Self::Duration(ns) => *ns != 0,
            Self::Html(text) | Self::Url(text) => !text.is_empty(),
            Self::Sample(_) | Self::Struct(_) | Self::Time(_) => true,
        }
    }

    /// The type as Go names it in messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::List(list) if list.iter().any(|v| matches!(v, Self::Sample(_))) => {
                "template.queryResult"
            }
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Labels(_) => "map[string]string",
            Self::Sample(_) => "*template.sample",
            Self::KeyValues(_) => "template.KV",
            Self::Pairs(_) => "template.Pairs",
            Self::Struct(value) => value.type_name,
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::Html(_) => "template.HTML",
            Self::Url(_) => "template.URL",
        }
    }

    /// The value of a field or key, or `None` where this kind of value has no such field.
    pub(crate) fn field(&self, name: &str) -> Option<Value> {
        match self {
            Self::Map(map) => Some(map.get(name).cloned().unwrap_or(Self::Nil)),
            Self::Labels(labels) | Self::KeyValues(labels) => Some(label_value(labels, name)),
            Self::Struct(value) => value.get(name).cloned(),
            Self::Sample(sample) => match name {
                "Labels" => Some(Self::Labels(sample.labels.clone())),
                "Value" => Some(Self::Float(sample.value)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Writes the value as Go's `%v` does; stops at the first failure of `out`.
    pub(crate) fn print(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Nil => out.write_str("<nil>"),
            Self::Bool(b) => write!(out, "{b}"),
            Self::Int(i) => write!(out, "{i}"),
            Self::Float(f) => out.write_str(&float::shortest(*f)),
            Self::Str(s) => out.write_str(s),
            Self::List(list) => {
                out.write_char('[')?;
                for (i, value) in list.iter().enumerate() {
                    if i > 0 {
                        out.write_char(' ')?;
                    }
                    value.print(out)?;
                }
                out.write_char(']')
            }
            Self::Map(map) => {
                out.write_str("map[")?;
                for (i, (key, value)) in map.iter().enumerate() {
                    write!(out, "{}{key}:", if i > 0 { " " } else { "" })?;
                    value.print(out)?;
                }
                out.write_char(']')
            }
            Self::Labels(labels) => print_labels(labels, out),
            Self::KeyValues(labels) => print_pairs(&sorted_pairs(labels), out),
            Self::Pairs(pairs) => print_pairs(pairs, out),
            Self::Struct(value) => {
                out.write_char('{')?;
                for (i, (_, field)) in value.fields.iter().enumerate() {
                    if i > 0 {
                        out.write_char(' ')?;
                    }
                    field.print(out)?;
                }
                out.write_char('}')
            }
            Self::Time(time) => {
                out.write_str(&layout::format(time, layout::STRING).map_err(|_| fmt::Error)?)
            }
            Self::Duration(ns) => out.write_str(&layout::duration(*ns)),
            Self::Html(text) | Self::Url(text) => out.write_str(text),
            Self::Sample(sample) => {
                out.write_char('{')?;
                print_labels(&sample.labels, out)?;
                write!(out, " {}}}", float::shortest(sample.value))
            }
        }
    }

    /// How deep lists and maps lie in it, and how many values that are; stops counting at `max`
    /// values.
    pub(crate) fn nesting(&self, max: usize, seen: &mut usize) -> usize {
        *seen += 1;
        if *seen > max {
            return 0;
        }
        let deepest = match self {
            Self::List(list) => list.iter().map(|v| v.nesting(max, seen)).max(),
            Self::Map(map) => map.values().map(|v| v.nesting(max, seen)).max(),
            Self::Struct(value) => value.fields.iter().map(|(_, v)| v.nesting(max, seen)).max(),
            _ => return 0,
        };
        1 + deepest.unwrap_or_default()
    }
}

/// The value of a label as a template sees it.
pub(crate) fn label_value(labels: &Labels, name: &str) -> Value {
    Value::Str(
        labels
            .get_shared(name)
            .cloned()
            .unwrap_or_else(|| Arc::from("")),
    )
}

/// Names and values in order of name, `alertname` first: how notifications list labels.
pub(crate) fn sorted_pairs(labels: &Labels) -> Vec<(Arc<str>, Arc<str>)> {
    const FIRST: &str = "alertname";
    let (first, rest): (Vec<_>, Vec<_>) = labels.iter().partition(|label| &*label.name == FIRST);
    let both = first.into_iter().chain(rest);
    both.map(|label| (label.name.clone(), label.value.clone()))
        .collect()
}

/// One of [`Value::Pairs`].
pub(crate) fn pair(pair: &(Arc<str>, Arc<str>)) -> Value {
    Value::fields(
        "template.Pair",
        vec![
            ("Name", Value::Str(pair.0.clone())),
            ("Value", Value::Str(pair.1.clone())),
        ],
    )
}

fn print_pairs(pairs: &[(Arc<str>, Arc<str>)], out: &mut dyn fmt::Write) -> fmt::Result {
    for (i, (name, value)) in pairs.iter().enumerate() {
        write!(out, "{}{name}={value}", if i > 0 { ", " } else { "" })?;
    }
    Ok(())
}

fn print_labels(labels: &Labels, out: &mut dyn fmt::Write) -> fmt::Result {
    out.write_str("map[")?;
    for (i, label) in labels.iter().enumerate() {
        let space = if i > 0 { " " } else { "" };
        write!(out, "{space}{}:{}", label.name, label.value)?;
    }
    out.write_char(']')
}

/// A text that refuses to grow beyond a limit.
#[derive(Debug)]
pub(crate) struct Bounded {
    /// What was written so far.
    pub(crate) text: String,
    max: usize,
}

impl Bounded {
    /// An empty text that takes at most `max` bytes.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            text: String::new(),
            max,
        }
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.text.len() + s.len() > self.max {
            return Err(fmt::Error);
        }
        self.text.push_str(s);
        Ok(())
    }
}
