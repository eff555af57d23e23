//! A configuration written back as YAML, without what is not set. Secrets read `<secret>`, for
//! that is how their type is written.

use serde::Serialize;
use serde_json::Value;

/// Writes a value as YAML.
pub(crate) fn yaml(value: &impl Serialize) -> String {
    let mut text = String::new();
    match serde_json::to_value(value) {
        Ok(value) => {
            let value = pruned(value).unwrap_or(Value::Null);
            write(&mut text, &value, 0, false);
        }
        Err(error) => tracing::error!(%error, "cannot show the configuration"),
    }
    text
}

/// Switches that are on where nobody says otherwise: of these alone "off" says something.
const ON_BY_DEFAULT: [&str; 5] = [
    "send_resolved",
    "require_tls",
    "force_implicit_tls",
    "follow_redirects",
    "enable_http2",
];

/// Whether a key has the value that it has where nobody writes it. An older amtool, which reads
/// what is written here, does not know all keys.
fn is_default(key: &str, value: &Value) -> bool {
    match value {
        Value::Bool(false) => !ON_BY_DEFAULT.contains(&key),
        Value::Number(number) => key == "max_alerts" && number.as_u64() == Some(0),
        _ => false,
    }
}

/// Without nulls, defaults, empty lists and empty maps.
fn pruned(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(list) => {
            let list: Vec<Value> = list.into_iter().filter_map(pruned).collect();
            (!list.is_empty()).then_some(Value::Array(list))
        }
        Value::Object(map) => {
            let kept = map.into_iter().filter_map(|(key, value)| {
                if is_default(&key, &value) {
                    return None;
                }
                // An empty list of labels is a setting.
                let is_setting = key == "group_by" && value.is_array();
                let value = if is_setting {
                    Some(value)
                } else {
                    pruned(value)
                };
                Some((key, value?))
            });
            let map: serde_json::Map<String, Value> = kept.collect();
            (!map.is_empty()).then_some(Value::Object(map))
        }
        other => Some(other),
    }
}

/// Writes a value at a depth; `inline` says that something stands before it on the line.
fn write(out: &mut String, value: &Value, depth: usize, inline: bool) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (i, (key, value)) in map.iter().enumerate() {
                if i > 0 || !inline {
                    out.push_str(&"  ".repeat(depth));
                }
                out.push_str(&scalar(key));
                out.push(':');
                nested(out, value, depth + 1);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for value in list {
                out.push_str(&"  ".repeat(depth));
                out.push('-');
                if value.is_object() {
                    out.push(' ');
                    write(out, value, depth + 1, true);
                } else {
                    nested(out, value, depth + 1);
                }
            }
        }
        scalar_value => {
            out.push_str(&self::scalar_of(scalar_value));
            out.push('\n');
        }
    }
}

fn nested(out: &mut String, value: &Value, depth: usize) {
    let is_block = match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => false,
    };
    if is_block {
        out.push('\n');
        write(out, value, depth, false);
    } else {
        out.push(' ');
        write(out, value, depth, true);
    }
}

fn scalar_of(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A text: bare where YAML reads it as that text, else in JSON's quotes.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 10] = [
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "~",
    ];
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-./@".contains(&b))
        && !WORDS.contains(&&*text.to_lowercase());
    if is_plain {
        text.to_owned()
    } else {
        Value::String(text.to_owned()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_reads_back() {
        let value = json!({
            "a": {"list": ["x", {"b": "yes", "c": [1, 2]}, ["n"]], "none": null, "empty": []},
            "group_by": [],
            "text": "two\nlines: {{ .x }}",
            "true": true,
        });
        let text = yaml(&value);
        let back: Value = ::yaml::from_str(&text, "t").expect(&text);
        let expected = json!({
            "a": {"list": ["x", {"b": "yes", "c": [1, 2]}, ["n"]]},
            "group_by": [],
            "text": "two\nlines: {{ .x }}",
            "true": true,
        });
        assert_eq!(back, expected, "{text}");
    }
}
