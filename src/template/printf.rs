//! Go's fmt: `print`, `println` and `printf` with its verbs, flags and complaints.

use std::fmt::Write as _;

use crate::builtins::{add, printed, too_long};
use crate::value::{Bounded, Value};
use crate::{OUTPUT_BYTES_MAX, float};

/// The widest field that a format may ask for, the same as fmt's limit.
const WIDTH_MAX: usize = 1_000_000;

/// `print`: values one after the other, with a space between two that are no texts.
pub(crate) fn sprint(args: &[Value]) -> Result<Value, String> {
    let mut out = Bounded::new(OUTPUT_BYTES_MAX);
    let mut previous_text = true;
    for value in args {
        let text = matches!(value, Value::Str(_));
        if !text && !previous_text {
            add(&mut out, " ")?;
        }
        value.print(&mut out).map_err(|_| too_long())?;
        previous_text = text;
    }
    Ok(Value::str(out.text))
}

/// `println`: values with a space between any two, and a line break.
pub(crate) fn sprintln(args: &[Value]) -> Result<Value, String> {
    let mut out = Bounded::new(OUTPUT_BYTES_MAX);
    for (i, value) in args.iter().enumerate() {
        if i > 0 {
            add(&mut out, " ")?;
        }
        value.print(&mut out).map_err(|_| too_long())?;
    }
    add(&mut out, "\n")?;
    Ok(Value::str(out.text))
}

/// What stands between `%` and the verb.
#[derive(Debug, Default, Clone, Copy)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// `printf`: the format is the first argument.
pub(crate) fn sprintf(args: &[Value]) -> Result<Value, String> {
    let Some(Value::Str(format)) = args.first() else {
        let given = args.first().map_or("nothing", Value::type_name);
        return Err(format!(
            "wrong type for the format: want string, got {given}"
        ));
    };
    let mut values = args[1..].iter();
    let mut out = Bounded::new(OUTPUT_BYTES_MAX);
    let mut rest: &str = format;
    while let Some(at) = rest.find('%') {
        add(&mut out, &rest[..at])?;
        let (spec, after) = spec(&rest[at + 1..], &mut values);
        let mut chars = after.chars();
        match chars.next() {
            None => add(&mut out, "%!(NOVERB)")?,
            Some('%') => add(&mut out, "%")?,
            Some(verb) => match values.next() {
                Some(value) => add(&mut out, &formatted(spec, verb, value)?)?,
                None => add(&mut out, &format!("%!{verb}(MISSING)"))?,
            },
        }
        rest = chars.as_str();
    }
    add(&mut out, rest)?;
    if values.len() > 0 {
        let extra = values
            .map(|value| Ok(format!("{}={}", value.type_name(), printed(value)?)))
            .collect::<Result<Vec<_>, String>>()?;
        add(&mut out, &format!("%!(EXTRA {})", extra.join(", ")))?;
    }
    Ok(Value::str(out.text))
}

/// Reads flags, width and precision; `*` takes a number from the arguments.
fn spec<'a>(text: &'a str, values: &mut std::slice::Iter<'_, Value>) -> (Spec, &'a str) {
    let mut spec = Spec::default();
    let mut rest = text;
    loop {
        match rest.as_bytes().first() {
            Some(b'-') => spec.minus = true,
            Some(b'+') => spec.plus = true,
            Some(b'#') => spec.sharp = true,
            Some(b' ') => spec.space = true,
            Some(b'0') => spec.zero = true,
            _ => break,
        }
        rest = &rest[1..];
    }
    let mut number = |rest: &'a str| -> (Option<usize>, &'a str) {
        if let Some(after) = rest.strip_prefix('*') {
            let value = match values.next() {
                Some(Value::Int(i)) => usize::try_from(*i).ok(),
                _ => None,
            };
            return (value.filter(|v| *v <= WIDTH_MAX), after);
        }
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let value = rest[..end].parse().ok().filter(|v| *v <= WIDTH_MAX);
        (value, &rest[end..])
    };
    (spec.width, rest) = number(rest);
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = number(after);
        spec.precision = Some(precision.unwrap_or_default());
        rest = after;
    }
    (spec, rest)
}

fn formatted(spec: Spec, verb: char, value: &Value) -> Result<String, String> {
    let body = match (verb, value) {
        ('v', Value::Float(v)) => number(
            spec,
            match spec.precision {
                Some(precision) => float::significant(*v, precision),
                None => float::shortest(*v),
            },
        ),
        ('g' | 'G', Value::Float(v)) => number(
            spec,
            upper(
                verb,
                match spec.precision {
                    Some(precision) => float::significant(*v, precision),
                    None => float::shortest(*v),
                },
            ),
        ),
        ('f' | 'F', Value::Float(v)) => number(spec, float::fixed(*v, spec.precision.unwrap_or(6))),
        ('e' | 'E', Value::Float(v)) => number(
            spec,
            upper(verb, float::scientific(*v, spec.precision.unwrap_or(6))),
        ),
        ('v' | 'd', Value::Int(v)) => number(spec, v.to_string()),
        ('x', Value::Int(v)) => number(spec, signed(*v, format!("{:x}", v.unsigned_abs()))),
        ('X', Value::Int(v)) => number(spec, signed(*v, format!("{:X}", v.unsigned_abs()))),
        ('o', Value::Int(v)) => number(spec, signed(*v, format!("{:o}", v.unsigned_abs()))),
        ('b', Value::Int(v)) => number(spec, signed(*v, format!("{:b}", v.unsigned_abs()))),
        ('c', Value::Int(v)) => u32::try_from(*v)
            .ok()
            .and_then(char::from_u32)
            .unwrap_or('\u{fffd}')
            .to_string(),
        ('v' | 't', Value::Bool(b)) => b.to_string(),
        ('v' | 's', Value::Str(s)) => cut(spec, s).to_owned(),
        ('q', Value::Str(s)) => quoted(cut(spec, s)),
        ('x' | 'X', Value::Str(s)) => s
            .bytes()
            .map(|b| match verb {
                'x' => format!("{b:02x}"),
                _ => format!("{b:02X}"),
            })
            .collect(),
        ('T', value) => value.type_name().to_owned(),
        ('v', value) => printed(value)?,
        ('s', Value::Labels(_)) => printed(value)?,
        ('s', Value::List(list)) if list.iter().all(|v| matches!(v, Value::Str(_))) => {
            printed(value)?
        }
        (verb, Value::Nil) => return Ok(format!("%!{verb}(<nil>)")),
        (verb, value) => {
            return Ok(format!(
                "%!{verb}({}={})",
                value.type_name(),
                printed(value)?
            ));
        }
    };
    if body.len() > OUTPUT_BYTES_MAX {
        return Err(too_long());
    }
    Ok(padded(
        spec,
        body,
        matches!(value, Value::Int(_) | Value::Float(_)),
    ))
}

fn upper(verb: char, text: String) -> String {
    if verb.is_ascii_uppercase() {
        text.to_ascii_uppercase()
    } else {
        text
    }
}

fn signed(value: i64, digits: String) -> String {
    if value < 0 {
        format!("-{digits}")
    } else {
        digits
    }
}

/// The sign that `+` and space ask for.
fn number(spec: Spec, text: String) -> String {
    let signless = !text.starts_with(['-', '+']);
    if text == "+Inf" && !spec.plus {
        // `%f` of infinity keeps its plus only when asked for; `%v` prints it always.
        return text;
    }
    if spec.plus && signless {
        format!("+{text}")
    } else if spec.space && signless {
        format!(" {text}")
    } else {
        text
    }
}

/// A precision cuts texts, in characters.
fn cut(spec: Spec, text: &str) -> &str {
    match spec.precision.and_then(|max| text.char_indices().nth(max)) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

fn padded(spec: Spec, body: String, numeric: bool) -> String {
    let width = spec.width.unwrap_or_default();
    let missing = width.saturating_sub(body.chars().count());
    if missing == 0 {
        return body;
    }
    if spec.minus {
        return format!("{body}{}", " ".repeat(missing));
    }
    let finite = !body.ends_with("Inf") && !body.ends_with("NaN");
    if spec.zero && numeric && finite {
        let sign = usize::from(body.starts_with(['-', '+', ' ']));
        let (sign, digits) = body.split_at(sign);
        return format!("{sign}{}{digits}", "0".repeat(missing));
    }
    format!("{}{body}", " ".repeat(missing))
}

/// A text in double quotes as Go's strconv.Quote writes it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_as_go_does() {
        let check = |format: &str, values: &[Value], expected: &str| {
            let mut args = vec![Value::str(format)];
            args.extend_from_slice(values);
            assert_eq!(sprintf(&args), Ok(Value::str(expected)), "{format}");
        };
        let float = Value::Float;
        check("%.0f", &[float(0.5)], "0");
        check("%0.0f", &[float(12.6)], "13");
        check("%.2f%%", &[float(123_456.789)], "123456.79%");
        check("%f", &[float(1.5)], "1.500000");
        check("%.4g", &[float(123.456)], "123.5");
        check("%s", &[float(0.1)], "%!s(float64=0.1)");
        check("%d", &[float(0.1)], "%!d(float64=0.1)");
        check("%f", &[Value::Int(5)], "%!f(int=5)");
        check("%d of %s", &[Value::Int(5), Value::str("x")], "5 of x");
        check("%s", &[], "%!s(MISSING)");
        check("x", &[Value::Int(1)], "x%!(EXTRA int=1)");
        check("100%", &[], "100%!(NOVERB)");
        check("%5.1f|", &[float(2.25)], "  2.2|");
        check(
            "%-5d|%05d|%+d",
            &[Value::Int(7), Value::Int(-7), Value::Int(7)],
            "7    |-0007|+7",
        );
        check("%q", &[Value::str("a\"\n")], r#""a\"\n""#);
        check("%x", &[Value::str("hi")], "6869");
        check("%v", &[float(1e6)], "1e+06");
        check("%.3s", &[Value::str("äöüß")], "äöü");
        check("%*d", &[Value::Int(4), Value::Int(1)], "   1");
    }

    #[test]
    fn prints_spaces_only_between_values_that_are_no_texts() {
        let values = [
            Value::Int(1),
            Value::Int(2),
            Value::str("a"),
            Value::str("b"),
            Value::Int(3),
        ];
        assert_eq!(sprint(&values), Ok(Value::str("1 2ab3")));
        assert_eq!(sprintln(&values), Ok(Value::str("1 2 a b 3\n")));
    }
}
