//! The functions that Prometheus adds to Go's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use regex::RegexBuilder;

use crate::builtins::Function;
use crate::value::{Sample, Value, label_value};
use crate::{Env, OUTPUT_BYTES_MAX, humanize};

/// The largest program that a regular expression may become, bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// The most series that `query` may bring into a template.
const QUERY_SERIES_MAX: usize = 10_000;

/// How deep the values of `args` may lie in one another.
const ARGS_NESTING_MAX: usize = 4;

const fn f(
    name: &'static str,
    arguments: usize,
    call: fn(&[Value], &Env<'_>) -> Result<Value, String>,
) -> Function {
    Function {
        name,
        arguments: arguments..=arguments,
        call,
    }
}

/// All of them, in the order of Prometheus' documentation.
pub(crate) static FUNCTIONS: &[Function] = &[
    f("query", 1, |args, env| query(text(&args[0])?, env)),
    f("first", 1, |args, _| first(&args[0])),
    f("label", 2, |args, _| {
        Ok(label_value(&sample(&args[1])?.labels, text(&args[0])?))
    }),
    f("value", 1, |args, _| {
        Ok(Value::Float(sample(&args[0])?.value))
    }),
    f("strvalue", 1, |args, _| {
        Ok(label_value(&sample(&args[0])?.labels, "__value__"))
    }),
    f("sortByLabel", 2, |args, _| {
        sort_by_label(text(&args[0])?, &args[1])
    }),
    f("humanize", 1, |args, _| {
        number(&args[0]).map(|v| Value::str(humanize::humanize(v)))
    }),
    f("humanize1024", 1, |args, _| {
        number(&args[0]).map(|v| Value::str(humanize::humanize1024(v)))
    }),
    f("humanizeDuration", 1, |args, _| {
        number(&args[0]).map(|v| Value::str(humanize::duration(v)))
    }),
    f("humanizePercentage", 1, |args, _| {
        number(&args[0]).map(|v| Value::str(humanize::percentage(v)))
    }),
    f("humanizeTimestamp", 1, |args, _| {
        humanize::timestamp(number(&args[0])?).map(Value::str)
    }),
    f("title", 1, |args, _| {
        text(&args[0]).map(|t| Value::str(title(t)))
    }),
    f("toUpper", 1, |args, _| {
        text(&args[0]).map(|t| Value::str(t.to_uppercase()))
    }),
    f("toLower", 1, |args, _| {
        text(&args[0]).map(|t| Value::str(t.to_lowercase()))
    }),
    f("match", 2, |args, _| {
        regex(text(&args[0])?).and_then(|r| Ok(Value::Bool(r.is_match(text(&args[1])?))))
    }),
    f("reReplaceAll", 3, |args, _| {
        replace_all(text(&args[0])?, text(&args[1])?, text(&args[2])?)
    }),
    f("stripPort", 1, |args, _| {
        text(&args[0]).map(|t| Value::str(strip_port(t)))
    }),
    f("stripDomain", 1, |args, _| {
        text(&args[0]).map(|t| Value::str(strip_domain(t)))
    }),
    f("graphLink", 1, |args, _| {
        text(&args[0]).map(|t| Value::str(link(t, 0)))
    }),
    f("tableLink", 1, |args, _| {
        text(&args[0]).map(|t| Value::str(link(t, 1)))
    }),
    f("pathPrefix", 0, |_, env| {
        Ok(Value::str(path(env.external_url)))
    }),
    f("externalURL", 0, |_, env| Ok(Value::str(env.external_url))),
    f("parseDuration", 1, |args, _| {
        let duration = model::duration::parse(text(&args[0])?).map_err(|e| e.to_string())?;
        Ok(Value::Float(duration.as_secs_f64()))
    }),
    f("urlQueryEscape", 1, |args, _| {
        text(&args[0]).map(|t| Value::str(query_escape(t)))
    }),
    f("safeHtml", 1, |args, _| {
        Ok(Value::Html(Arc::from(text(&args[0])?)))
    }),
    f("toTime", 1, |args, _| {
        let ms = humanize::time(number(&args[0])?)?;
        ms.map(Value::time_ms)
            .ok_or_else(|| "value is NaN or Inf".to_owned())
    }),
    f("toDuration", 1, |args, _| {
        // As in Go, what 64 bits cannot hold is cut off.
        Ok(Value::Duration((number(&args[0])? * 1e9) as i64))
    }),
    f("now", 0, |_, env| {
        Ok(Value::Float(env.now_ms as f64 / 1_000.0))
    }),
    Function {
        name: "args",
        arguments: 0..=usize::MAX,
        call: |args, _| arguments(args),
    },
];

/// A text argument; anything else is refused as Go refuses it.
fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Str(text) | Value::Html(text) | Value::Url(text) => Ok(text),
        other => Err(format!(
            "wrong type for value; expected string; got {}",
            other.type_name()
        )),
    }
}

/// A number, or a text that reads as one.
fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(v) => Ok(*v),
        Value::Int(v) => Ok(*v as f64),
        Value::Duration(ns) => Ok(*ns as f64 / 1e9),
        Value::Str(text) => text
            .parse()
            .map_err(|_| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax")),
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

fn sample(value: &Value) -> Result<&Sample, String> {
    match value {
        Value::Sample(sample) => Ok(sample),
        other => Err(format!(
            "wrong type for value; expected *template.sample; got {}",
            other.type_name()
        )),
    }
}

fn query(expression: &str, env: &Env<'_>) -> Result<Value, String> {
    let samples = (env.query)(expression)?;
    if samples.len() > QUERY_SERIES_MAX {
        return Err(format!(
            "{} series: a template takes at most {QUERY_SERIES_MAX}",
            samples.len()
        ));
    }
    Ok(Value::List(
        samples
            .into_iter()
            .map(|sample| Value::Sample(Arc::new(sample)))
            .collect(),
    ))
}

fn list(value: &Value) -> Result<&[Value], String> {
    match value {
        Value::List(list) => Ok(list),
        other => Err(format!(
            "wrong type for value; expected template.queryResult; got {}",
            other.type_name()
        )),
    }
}

fn first(value: &Value) -> Result<Value, String> {
    list(value)?
        .first()
        .cloned()
        .ok_or_else(|| "first() called on vector with no elements".to_owned())
}

fn sort_by_label(name: &str, value: &Value) -> Result<Value, String> {
    let mut items = list(value)?.to_vec();
    for item in &items {
        sample(item)?;
    }
    let key = |item: &Value| match item {
        Value::Sample(sample) => sample.labels.get_shared(name).cloned(),
        _ => None,
    };
    items.sort_by_key(key);
    Ok(Value::List(items.into()))
}

/// The first letter of each word in upper case, the rest as it is.
pub(crate) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() || c == '_' {
            if inside {
                out.push(c);
            } else {
                out.extend(c.to_uppercase());
            }
            inside = true;
        } else {
            // An apostrophe, point or colon between letters does not end a word.
            let joins = matches!(c, '\'' | '\u{2019}' | '.' | ':')
                && chars.peek().is_some_and(|next| next.is_alphabetic());
            inside = inside && joins;
            out.push(c);
        }
    }
    out
}

fn regex(pattern: &str) -> Result<regex::Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            format!(
                "cannot use {pattern:?} as a regular expression: {}",
                reason.trim_start_matches("error: ")
            )
        })
}

fn replace_all(pattern: &str, with: &str, text: &str) -> Result<Value, String> {
    let regex = regex(pattern)?;
    let mut out = String::new();
    let mut end = 0;
    for captures in regex.captures_iter(text) {
        let Some(found) = captures.get(0) else {
            continue;
        };
        out.push_str(&text[end..found.start()]);
        captures.expand(with, &mut out);
        end = found.end();
        if out.len() > OUTPUT_BYTES_MAX {
            return Err(crate::builtins::too_long());
        }
    }
    out.push_str(&text[end..]);
    Ok(Value::str(out))
}

fn strip_port(address: &str) -> &str {
    match address.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
            if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
                inner
            } else if host.contains(':') {
                address
            } else {
                host
            }
        }
        _ => address,
    }
}

fn strip_domain(address: &str) -> String {
    let host = strip_port(address);
    if host.parse::<std::net::IpAddr>().is_ok() {
        return address.to_owned();
    }
    let port = address.strip_prefix(host).unwrap_or_default();
    let name = host.split('.').next().unwrap_or_default();
    format!("{name}{port}")
}

/// The link to the table of an expression, from the root of the pages: what rules put behind an
/// alert.
pub fn table_link(expression: &str) -> String {
    link(expression, 1)
}

fn link(expression: &str, tab: u8) -> String {
    format!("/graph?g0.expr={}&g0.tab={tab}", query_escape(expression))
}

/// The path of a URL, without a slash at its end.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    let end = path.find(['?', '#']).unwrap_or(path.len());
    path[..end].trim_end_matches('/')
}

/// Escapes a text for the query of a URL as Go does: a space becomes `+`.
pub fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b if b.is_ascii_alphanumeric() => out.push(char::from(b)),
            b => {
                // Writing to a string cannot fail.
                let _ = write!(out, "%{b:02X}");
            }
        }
    }
    out
}

/// `args`: a map with `arg0`, `arg1`, … to hand several values to a `template`.
fn arguments(args: &[Value]) -> Result<Value, String> {
    let mut seen = 0;
    let nesting = args
        .iter()
        .map(|value| value.nesting(QUERY_SERIES_MAX, &mut seen))
        .max()
        .unwrap_or_default();
    if nesting >= ARGS_NESTING_MAX || seen > QUERY_SERIES_MAX {
        return Err("the arguments are nested too deeply".to_owned());
    }
    let map: BTreeMap<Arc<str>, Value> = args
        .iter()
        .enumerate()
        .map(|(i, value)| (Arc::from(format!("arg{i}")), value.clone()))
        .collect();
    Ok(Value::Map(Arc::new(map)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtins::html_escape;

    #[test]
    fn shortens_addresses() {
        assert_eq!(strip_port("node1:9100"), "node1");
        assert_eq!(strip_port("[::1]:9100"), "::1");
        assert_eq!(strip_port("::1"), "::1");
        assert_eq!(strip_domain("node1.example.com:9100"), "node1:9100");
        assert_eq!(strip_domain("10.0.0.1:80"), "10.0.0.1:80");
    }

    #[test]
    fn writes_titles_links_and_paths() {
        assert_eq!(title("abc dEf it's-so"), "Abc DEf It's-So");
        assert_eq!(link("up == 0", 1), "/graph?g0.expr=up+%3D%3D+0&g0.tab=1");
        assert_eq!(path("http://host:9849/yagura/?x"), "/yagura");
        assert_eq!(path("http://host"), "");
        assert_eq!(html_escape("<a>'"), "&lt;a&gt;&#39;");
    }
}
