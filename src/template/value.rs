//! What templates compute with, and how Go would print it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use model::Labels;

use crate::float;

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
}

impl Value {
    /// A text.
    pub fn str(text: impl Into<Arc<str>>) -> Self {
        Self::Str(text.into())
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
            Self::Labels(labels) => !labels.is_empty(),
            Self::Sample(_) => true,
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
        }
    }

    /// The value of a field or key, or `None` where this kind of value has no such field.
    pub(crate) fn field(&self, name: &str) -> Option<Value> {
        match self {
            Self::Map(map) => Some(map.get(name).cloned().unwrap_or(Self::Nil)),
            Self::Labels(labels) => Some(label_value(labels, name)),
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
