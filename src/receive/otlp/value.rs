//! `AnyValue`: what bodies and attributes hold, and how it is written as JSON.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::fields::{Object, write_string};

/// Values nested deeper than this are refused: nobody means them.
pub(super) const DEPTH_MAX: usize = 32;

/// A value of any kind.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Value<'a> {
    #[default]
    Empty,
    Text(Cow<'a, str>),
    Bool(bool),
    Integer(i64),
    Float(f64),
    Bytes(Cow<'a, [u8]>),
    List(Vec<Value<'a>>),
    Map(Vec<Pair<'a>>),
}

/// A name and its value.
pub(crate) type Pair<'a> = (Cow<'a, str>, Value<'a>);

impl Value<'_> {
    /// Writes it as JSON; bytes in base64.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Empty => out.extend_from_slice(b"null"),
            Self::Text(text) => write_string(out, text),
            Self::Bool(value) => {
                out.extend_from_slice(if *value { b"true" } else { b"false" });
            }
            Self::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
            // JSON has no infinities.
            Self::Float(number) if !number.is_finite() => write_string(out, &number.to_string()),
            Self::Float(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Self::Bytes(bytes) => write_string(out, &STANDARD.encode(bytes)),
            Self::List(values) => {
                out.push(b'[');
                for (i, value) in values.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    value.write(out);
                }
                out.push(b']');
            }
            Self::Map(pairs) => {
                let mut object = Object::begin(out);
                for (name, value) in pairs {
                    value.write(object.key(name));
                }
                object.end();
            }
        }
    }

    /// The text of a value that is good for a label.
    pub(super) fn label(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(Cow::Borrowed(text)),
            Self::Integer(number) => Some(Cow::Owned(number.to_string())),
            Self::Bool(value) => Some(Cow::Owned(value.to_string())),
            _ => None,
        }
    }
}
