//! Loki's template functions, beside those of Go. Texts come last, so that they can be piped:
//! `{{ .msg | trunc 10 | ToUpper }}`.

use std::fmt::Write;

use template::{Env, Function, Value};

use super::encodings::{base64_decode, base64_encode, date, urldecode, urlencode};
use super::json;
use crate::json::unescape;
use crate::logql::{re2, units};

type Answer = Result<Value, String>;

/// The longest text that a function makes.
const TEXT_BYTES_MAX: usize = 1 << 20;

const fn f(name: &'static str, n: usize, call: template::Call) -> Function {
    Function {
        name,
        arguments: n..=n,
        call,
    }
}

/// All of them.
pub(super) static FUNCTIONS: &[Function] = &[
    f("__line__", 0, |_, env| Ok(more(env, 0))),
    f("__timestamp__", 0, |_, env| Ok(more(env, 1))),
    f("ToLower", 1, |a, _| map(a, str::to_lowercase)),
    f("lower", 1, |a, _| map(a, str::to_lowercase)),
    f("ToUpper", 1, |a, _| map(a, str::to_uppercase)),
    f("upper", 1, |a, _| map(a, str::to_uppercase)),
    f("TrimSpace", 1, |a, _| map(a, |t| t.trim().to_owned())),
    f("trim", 1, |a, _| map(a, |t| t.trim().to_owned())),
    f("Trim", 2, |a, _| {
        cut(a, 0, 1, |t, set| t.trim_matches(|c| set.contains(c)))
    }),
    f("TrimLeft", 2, |a, _| {
        cut(a, 0, 1, |t, set| t.trim_start_matches(|c| set.contains(c)))
    }),
    f("TrimRight", 2, |a, _| {
        cut(a, 0, 1, |t, set| t.trim_end_matches(|c| set.contains(c)))
    }),
    f("TrimPrefix", 2, |a, _| {
        cut(a, 0, 1, |t, start| t.strip_prefix(start).unwrap_or(t))
    }),
    f("TrimSuffix", 2, |a, _| {
        cut(a, 0, 1, |t, end| t.strip_suffix(end).unwrap_or(t))
    }),
    f("trimAll", 2, |a, _| {
        cut(a, 1, 0, |t, set| t.trim_matches(|c| set.contains(c)))
    }),
    f("trimPrefix", 2, |a, _| {
        cut(a, 1, 0, |t, start| t.strip_prefix(start).unwrap_or(t))
    }),
    f("trimSuffix", 2, |a, _| {
        cut(a, 1, 0, |t, end| t.strip_suffix(end).unwrap_or(t))
    }),
    f("trunc", 2, |a, _| Ok(trunc(whole(a, 0)?, &text(a, 1)?))),
    f("substr", 3, |a, _| {
        Ok(substr(whole(a, 0)?, whole(a, 1)?, &text(a, 2)?))
    }),
    f("Replace", 4, |a, _| {
        let n = usize::try_from(whole(a, 3)?).unwrap_or(usize::MAX);
        bounded(text(a, 0)?.replacen(&text(a, 1)?, &text(a, 2)?, n))
    }),
    f("replace", 3, |a, _| {
        bounded(text(a, 2)?.replace(&text(a, 0)?, &text(a, 1)?))
    }),
    f("contains", 2, |a, _| {
        Ok(Value::Bool(text(a, 1)?.contains(&text(a, 0)?)))
    }),
    f("hasPrefix", 2, |a, _| {
        Ok(Value::Bool(text(a, 1)?.starts_with(&text(a, 0)?)))
    }),
    f("hasSuffix", 2, |a, _| {
        Ok(Value::Bool(text(a, 1)?.ends_with(&text(a, 0)?)))
    }),
    f("eqFold", 2, |a, _| {
        Ok(Value::Bool(
            text(a, 0)?.to_lowercase() == text(a, 1)?.to_lowercase(),
        ))
    }),
    f("indent", 2, |a, _| indent(whole(a, 0)?, &text(a, 1)?, "")),
    f("nindent", 2, |a, _| {
        indent(whole(a, 0)?, &text(a, 1)?, "\n")
    }),
    f("repeat", 2, |a, _| repeat(whole(a, 0)?, &text(a, 1)?)),
    f("alignLeft", 2, |a, _| {
        Ok(align(whole(a, 0)?, &text(a, 1)?, true))
    }),
    f("alignRight", 2, |a, _| {
        Ok(align(whole(a, 0)?, &text(a, 1)?, false))
    }),
    f("title", 1, |a, _| map(a, title)),
    f("default", 2, |a, _| {
        let given = text(a, 1)?;
        Ok(if given.is_empty() {
            value(a, 0)
        } else {
            value(a, 1)
        })
    }),
    f("count", 2, |a, _| {
        Ok(Value::Int(
            regex(&text(a, 0)?)?.find_iter(&text(a, 1)?).count() as i64,
        ))
    }),
    f("regexReplaceAll", 3, |a, _| {
        let replaced = regex(&text(a, 0)?)?
            .replace_all(&text(a, 1)?, groups(&text(a, 2)?).as_str())
            .into_owned();
        bounded(replaced)
    }),
    f("regexReplaceAllLiteral", 3, |a, _| {
        let with = text(a, 2)?;
        bounded(
            regex(&text(a, 0)?)?
                .replace_all(&text(a, 1)?, regex::NoExpand(&with))
                .into_owned(),
        )
    }),
    f("urlencode", 1, |a, _| map(a, urlencode)),
    f("urldecode", 1, |a, _| map(a, urldecode)),
    f("b64enc", 1, |a, _| map(a, base64_encode)),
    f("b64dec", 1, |a, _| {
        let text = text(a, 0)?;
        let bytes = base64_decode(&text).ok_or("not base64")?;
        Ok(Value::str(String::from_utf8_lossy(&bytes).into_owned()))
    }),
    f("fromJson", 1, |a, _| json::template_value(&text(a, 0)?)),
    f("unescape", 1, |a, _| map(a, unescape)),
    f("bytes", 1, |a, _| {
        let text = text(a, 0)?;
        let bytes = units::bytes(&text).ok_or_else(|| format!("{text:?} is no size"))?;
        Ok(Value::Float(bytes as f64))
    }),
    f("duration", 1, |a, _| seconds(a)),
    f("duration_seconds", 1, |a, _| seconds(a)),
    f("int", 1, |a, _| Ok(Value::Int(whole(a, 0)?))),
    f("float64", 1, |a, _| Ok(Value::Float(number(a, 0)?))),
    Function {
        name: "add",
        arguments: 1..=usize::MAX,
        call: |a, _| fold(a, i64::checked_add),
    },
    f("sub", 2, |a, _| fold(a, i64::checked_sub)),
    Function {
        name: "mul",
        arguments: 1..=usize::MAX,
        call: |a, _| fold(a, i64::checked_mul),
    },
    f("div", 2, |a, _| fold(a, i64::checked_div)),
    f("mod", 2, |a, _| fold(a, i64::checked_rem)),
    Function {
        name: "max",
        arguments: 1..=usize::MAX,
        call: |a, _| fold(a, |x, y| Some(x.max(y))),
    },
    Function {
        name: "min",
        arguments: 1..=usize::MAX,
        call: |a, _| fold(a, |x, y| Some(x.min(y))),
    },
    Function {
        name: "addf",
        arguments: 1..=usize::MAX,
        call: |a, _| foldf(a, |x, y| x + y),
    },
    Function {
        name: "subf",
        arguments: 1..=usize::MAX,
        call: |a, _| foldf(a, |x, y| x - y),
    },
    Function {
        name: "mulf",
        arguments: 1..=usize::MAX,
        call: |a, _| foldf(a, |x, y| x * y),
    },
    Function {
        name: "divf",
        arguments: 1..=usize::MAX,
        call: |a, _| foldf(a, |x, y| x / y),
    },
    Function {
        name: "maxf",
        arguments: 1..=usize::MAX,
        call: |a, _| foldf(a, f64::max),
    },
    Function {
        name: "minf",
        arguments: 1..=usize::MAX,
        call: |a, _| foldf(a, f64::min),
    },
    f("ceil", 1, |a, _| Ok(Value::Float(number(a, 0)?.ceil()))),
    f("floor", 1, |a, _| Ok(Value::Float(number(a, 0)?.floor()))),
    Function {
        name: "round",
        arguments: 1..=3,
        call: |a, _| {
            let places = if a.len() > 1 {
                whole(a, 1)?.clamp(0, 15)
            } else {
                0
            };
            let scale = 10f64.powi(places as i32);
            Ok(Value::Float((number(a, 0)? * scale).round() / scale))
        },
    },
    f("unixEpoch", 1, |a, _| {
        Ok(Value::str(
            (whole(a, 0)?.div_euclid(1_000_000_000)).to_string(),
        ))
    }),
    f("unixEpochMillis", 1, |a, _| {
        Ok(Value::str((whole(a, 0)?.div_euclid(1_000_000)).to_string()))
    }),
    f("unixEpochNanos", 1, |a, _| {
        Ok(Value::str(whole(a, 0)?.to_string()))
    }),
    f("date", 2, |a, _| {
        Ok(Value::str(date(&text(a, 0)?, whole(a, 1)?)))
    }),
    f("unixToTime", 1, |a, _| unix_to_time(&text(a, 0)?)),
    f("now", 0, |_, env| {
        Ok(Value::Int(env.now_ms.saturating_mul(1_000_000)))
    }),
];

fn more(env: &Env<'_>, i: usize) -> Value {
    env.more.get(i).cloned().unwrap_or(Value::Nil)
}

fn value(args: &[Value], i: usize) -> Value {
    args.get(i).cloned().unwrap_or(Value::Nil)
}

/// An argument as text; numbers print as Go prints them.
fn text(args: &[Value], i: usize) -> Result<String, String> {
    Ok(match args.get(i) {
        Some(Value::Str(text)) => text.to_string(),
        Some(Value::Int(n)) => n.to_string(),
        Some(Value::Float(n)) => n.to_string(),
        Some(Value::Bool(b)) => b.to_string(),
        Some(Value::Nil) | None => String::new(),
        Some(_) => return Err("wrong type for value; expected string".to_owned()),
    })
}

fn number(args: &[Value], i: usize) -> Result<f64, String> {
    Ok(match args.get(i) {
        Some(Value::Int(n)) => *n as f64,
        Some(Value::Float(n)) => *n,
        // What is no number counts as 0, as in Loki.
        _ => text(args, i)?.trim().parse().unwrap_or(0.0),
    })
}

fn whole(args: &[Value], i: usize) -> Result<i64, String> {
    if let Some(Value::Int(n)) = args.get(i) {
        return Ok(*n);
    }
    let text = text(args, i)?;
    let text = text.trim();
    let cut = || text.parse::<f64>().unwrap_or(0.0) as i64;
    Ok(text.parse().unwrap_or_else(|_| cut()))
}

fn bounded(text: String) -> Answer {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("makes more than {TEXT_BYTES_MAX} bytes of text"));
    }
    Ok(Value::str(text))
}

fn map(args: &[Value], change: impl Fn(&str) -> String) -> Answer {
    bounded(change(&text(args, 0)?))
}

fn cut(
    args: &[Value],
    subject: usize,
    what: usize,
    cut: impl for<'a> Fn(&'a str, &str) -> &'a str,
) -> Answer {
    let (subject, what) = (text(args, subject)?, text(args, what)?);
    Ok(Value::str(cut(&subject, &what)))
}

/// The first `n` characters, or with a negative number the last.
fn trunc(n: i64, text: &str) -> Value {
    let count = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
    Value::str(if n >= 0 {
        text.chars().take(count).collect::<String>()
    } else {
        let skip = text.chars().count().saturating_sub(count);
        text.chars().skip(skip).collect::<String>()
    })
}

fn substr(start: i64, end: i64, text: &str) -> Value {
    let from = usize::try_from(start).unwrap_or(0);
    let to = usize::try_from(end).unwrap_or(usize::MAX);
    let taken: String = text.chars().take(to).skip(from).collect();
    Value::str(taken)
}

fn indent(spaces: i64, text: &str, before: &str) -> Answer {
    let spaces = usize::try_from(spaces).unwrap_or(0).min(1_000);
    let pad = " ".repeat(spaces);
    let lines = text.replace('\n', &format!("\n{pad}"));
    bounded(format!("{before}{pad}{lines}"))
}

fn repeat(n: i64, text: &str) -> Answer {
    let n = usize::try_from(n).unwrap_or(0);
    if text.len().saturating_mul(n) > TEXT_BYTES_MAX {
        return Err(format!("makes more than {TEXT_BYTES_MAX} bytes of text"));
    }
    Ok(Value::str(text.repeat(n)))
}

/// Cut or filled with spaces to so many characters.
fn align(n: i64, text: &str, left: bool) -> Value {
    let n = usize::try_from(n).unwrap_or(0).min(TEXT_BYTES_MAX);
    let len = text.chars().count();
    let pad = " ".repeat(n.saturating_sub(len));
    Value::str(if left {
        let kept: String = text.chars().take(n).collect();
        format!("{kept}{pad}")
    } else {
        let kept: String = text.chars().skip(len.saturating_sub(n)).collect();
        format!("{pad}{kept}")
    })
}

fn title(text: &str) -> String {
    let mut begins = true;
    text.chars()
        .flat_map(|c| {
            let upper: Vec<char> = if begins {
                c.to_uppercase().collect()
            } else {
                vec![c]
            };
            begins = !(c.is_alphanumeric() || c == '_' || c == '\'');
            upper
        })
        .collect()
}

fn seconds(args: &[Value]) -> Answer {
    let text = text(args, 0)?;
    let ns = units::duration_ns(&text).ok_or_else(|| format!("{text:?} is no duration"))?;
    Ok(Value::Float(ns as f64 / 1e9))
}

fn fold(args: &[Value], op: fn(i64, i64) -> Option<i64>) -> Answer {
    let mut total = whole(args, 0)?;
    for i in 1..args.len() {
        let next = whole(args, i)?;
        total = op(total, next).ok_or_else(|| format!("cannot compute with {total} and {next}"))?;
    }
    Ok(Value::Int(total))
}

fn foldf(args: &[Value], op: fn(f64, f64) -> f64) -> Answer {
    let mut total = number(args, 0)?;
    for i in 1..args.len() {
        total = op(total, number(args, i)?);
    }
    Ok(Value::Float(total))
}

fn regex(pattern: &str) -> Result<regex::Regex, String> {
    re2::for_texts(pattern).map_err(|reason| format!("{pattern:?} is {reason}"))
}

/// Go writes groups as `$1x` or `${1}`; Rust would read `1x` as a name.
fn groups(template: &str) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, tail)) = rest.split_once('$') {
        out.push_str(before);
        let digits = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 0 {
            let (number, after) = tail.split_at(digits);
            let _ = write!(out, "${{{number}}}");
            rest = after;
        } else {
            out.push('$');
            rest = tail;
        }
    }
    out.push_str(rest);
    out
}

/// Seconds, milliseconds, microseconds or nanoseconds, as the number of digits tells.
fn unix_to_time(text: &str) -> Answer {
    let digits = text.trim();
    let number: i64 = digits
        .parse()
        .map_err(|_| format!("{text:?} is no epoch time"))?;
    let worth = match digits.len() {
        5 => 86_400_000_000_000,
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => {
            return Err(format!(
                "{text:?}: an epoch time has 5, 10, 13, 16 or 19 digits"
            ));
        }
    };
    let time_ns = number
        .checked_mul(worth)
        .ok_or("the time is out of range")?;
    Ok(Value::Int(time_ns))
}
