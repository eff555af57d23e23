//! Values as JSON, as Go's encoder writes them: keys in order, `<`, `>` and `&` escaped.

use std::fmt::{self, Write};

use crate::OUTPUT_BYTES_MAX;
use crate::builtins::too_long;
use crate::layout;
use crate::value::{Bounded, Value, pair};

/// How deep values may lie in one another.
const NESTING_MAX: usize = 32;

/// A value as JSON.
///
/// # Errors
/// Numbers that JSON does not know, and values without end.
pub(crate) fn encode(value: &Value) -> Result<String, String> {
    let mut out = Bounded::new(OUTPUT_BYTES_MAX);
    write(value, 0, &mut out)?;
    Ok(out.text)
}

/// A value for the inside of a script; one that cannot be said is `null`.
pub(crate) fn script(value: &Value) -> String {
    encode(value).map_or_else(|_| "null".to_owned(), |text| text.replace('\'', "\\u0027"))
}

fn full(_: fmt::Error) -> String {
    too_long()
}

fn write(value: &Value, depth: usize, out: &mut Bounded) -> Result<(), String> {
    if depth > NESTING_MAX {
        return Err(format!("nested deeper than {NESTING_MAX} levels"));
    }
    match value {
        Value::Nil => out.write_str("null").map_err(full),
        Value::Bool(b) => write!(out, "{b}").map_err(full),
        Value::Int(i) | Value::Duration(i) => write!(out, "{i}").map_err(full),
        Value::Float(f) if !f.is_finite() => Err(format!(
            "json: unsupported value: {}",
            crate::float::shortest(*f)
        )),
        Value::Float(f) => write_float(*f, out).map_err(full),
        Value::Str(text) | Value::Html(text) | Value::Url(text) => string(text, out).map_err(full),
        Value::Time(time) => {
            string(&layout::format(time, layout::RFC3339_NANO)?, out).map_err(full)
        }
        Value::List(list) => items(list.iter(), depth, out, |item, depth, out| {
            write(item, depth, out)
        }),
        Value::Pairs(pairs) => items(pairs.iter(), depth, out, |item, depth, out| {
            write(&pair(item), depth, out)
        }),
        Value::Map(map) => object(map.iter().map(|(k, v)| (&**k, v.clone())), depth, out),
        Value::Labels(labels) | Value::KeyValues(labels) => object(
            labels
                .iter()
                .map(|label| (&*label.name, Value::Str(label.value.clone()))),
            depth,
            out,
        ),
        Value::Sample(sample) => object(
            [
                ("Labels", Value::Labels(sample.labels.clone())),
                ("Value", Value::Float(sample.value)),
            ]
            .into_iter(),
            depth,
            out,
        ),
        Value::Struct(fields) => {
            // Alertmanager's data has names of its own in JSON: the first letters in lower case.
            let lower = fields.type_name != "template.Pair";
            let keys: Vec<String> = fields
                .fields
                .iter()
                .map(|(name, _)| {
                    if lower {
                        lower_first(name)
                    } else {
                        (*name).to_owned()
                    }
                })
                .collect();
            let values = fields.fields.iter().map(|(_, value)| value.clone());
            object(keys.iter().map(String::as_str).zip(values), depth, out)
        }
    }
}

fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => first.to_ascii_lowercase().to_string() + chars.as_str(),
        None => String::new(),
    }
}

fn items<T>(
    items: impl Iterator<Item = T>,
    depth: usize,
    out: &mut Bounded,
    each: impl Fn(T, usize, &mut Bounded) -> Result<(), String>,
) -> Result<(), String> {
    out.write_char('[').map_err(full)?;
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.write_char(',').map_err(full)?;
        }
        each(item, depth + 1, out)?;
    }
    out.write_char(']').map_err(full)
}

fn object<'k>(
    entries: impl Iterator<Item = (&'k str, Value)>,
    depth: usize,
    out: &mut Bounded,
) -> Result<(), String> {
    out.write_char('{').map_err(full)?;
    for (i, (key, value)) in entries.enumerate() {
        if i > 0 {
            out.write_char(',').map_err(full)?;
        }
        string(key, out).map_err(full)?;
        out.write_char(':').map_err(full)?;
        write(&value, depth + 1, out)?;
    }
    out.write_char('}').map_err(full)
}

/// Go's encoder writes an exponent below 1e-6 and from 1e21 on.
fn write_float(value: f64, out: &mut Bounded) -> fmt::Result {
    let all = value.abs();
    if all != 0.0 && !(1e-6..1e21).contains(&all) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                write!(out, "{digits}e+{exponent}")
            }
            _ => out.write_str(&text),
        };
    }
    write!(out, "{value}")
}

fn string(text: &str, out: &mut Bounded) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '\u{8}' => out.write_str("\\b")?,
            '\u{c}' => out.write_str("\\f")?,
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => write!(out, "\\u{:04x}", u32::from(c))?,
            c if c < ' ' => write!(out, "\\u{:04x}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_gos_encoder_writes() {
        let check =
            |value: Value, expected: &str| assert_eq!(encode(&value).as_deref(), Ok(expected));
        check(Value::Nil, "null");
        check(
            Value::str("a\"<b>\n\u{1}ä"),
            r#""a\"\u003cb\u003e\n\u0001ä""#,
        );
        check(Value::Float(1.5), "1.5");
        check(Value::Float(1e21), "1e+21");
        check(Value::Float(1e20), "100000000000000000000");
        check(Value::Float(1e-7), "1e-7");
        check(
            Value::KeyValues(model::Labels::from_pairs([("b", "2"), ("a", "1")])),
            r#"{"a":"1","b":"2"}"#,
        );
        check(Value::time_ms(1_500), r#""1970-01-01T00:00:01.5Z""#);
        assert!(encode(&Value::Float(f64::NAN)).is_err());
    }
}
