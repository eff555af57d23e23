//! Cuts LogQL into tokens. Names stay names here: which of them are functions, the parser knows
//! from where they stand, so that labels can be called `rate` or `duration`.

use std::ops::Range;

use super::error::ParseError;
use super::units;

/// What a piece of text is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name.
    Name(String),
    /// `"…"` or a raw string in backticks, without quotes and escapes.
    Text(String),
    /// A plain number.
    Number(f64),
    /// A duration, nanoseconds.
    Duration(i64),
    /// A size, bytes.
    Bytes(u64),
    /// `--strict`
    Flag(String),
    /// Operators and brackets.
    Sign(&'static str),
    /// The end of the text.
    End,
}

impl Token {
    /// As a message names it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Text(_) => "a string".to_owned(),
            Self::Number(_) => "a number".to_owned(),
            Self::Duration(_) => "a duration".to_owned(),
            Self::Bytes(_) => "a size in bytes".to_owned(),
            Self::Flag(flag) => format!("--{flag}"),
            Self::Sign(sign) => (*sign).to_owned(),
            Self::End => "the end of the query".to_owned(),
        }
    }
}

/// A token and where it stands, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: Range<usize>,
}

/// Signs, longest first.
const SIGNS: &[&str] = &[
    "|=", "|~", "|>", "!=", "!~", "!>", "=~", "==", ">=", "<=", "{", "}", "(", ")", "[", "]", ",",
    "=", ">", "<", "|", "+", "-", "*", "/", "%", "^",
];

/// Cuts a text into tokens; the last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, ParseError> {
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        at = skip_space(text, at);
        let rest = text.get(at..).unwrap_or_default();
        let Some(first) = rest.chars().next() else {
            out.push(Placed {
                token: Token::End,
                at: at..at,
            });
            return Ok(out);
        };
        let (token, len) = match first {
            '"' | '`' => quoted(text, at, first)?,
            '\'' => return Err(single_quoted(text, at)),
            '0'..='9' => number(text, at)?,
            '.' if rest
                .get(1..)
                .is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit())) =>
            {
                number(text, at)?
            }
            '$' => return Err(variable(text, at)),
            c if c.is_ascii_alphabetic() || c == '_' || c == ':' => {
                let len = rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.')))
                    .unwrap_or(rest.len());
                let name = rest.get(..len).unwrap_or_default();
                (Token::Name(name.to_owned()), len)
            }
            '-' if rest.starts_with("--")
                && rest[2..].starts_with(|c: char| c.is_ascii_lowercase()) =>
            {
                let flag = rest.get(2..).unwrap_or_default();
                let len = flag
                    .find(|c: char| !(c.is_ascii_lowercase() || c == '-'))
                    .unwrap_or(flag.len());
                let flag = flag.get(..len).unwrap_or_default();
                (Token::Flag(flag.to_owned()), len + 2)
            }
            c => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| {
                    let message = format!("syntax error: unexpected character {c:?}");
                    ParseError::at(text, at, message)
                })?;
                (Token::Sign(sign), sign.len())
            }
        };
        out.push(Placed {
            token,
            at: at..at + len,
        });
        at += len;
    }
}

/// Over spaces and comments.
fn skip_space(text: &str, from: usize) -> usize {
    let mut at = from;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        at += rest.len() - rest.trim_start().len();
        let rest = text.get(at..).unwrap_or_default();
        if !rest.starts_with('#') {
            return at;
        }
        at += rest.find('\n').unwrap_or(rest.len());
    }
}

/// A string, at its opening quote; how many bytes it takes.
fn quoted(text: &str, at: usize, quote: char) -> Result<(Token, usize), ParseError> {
    let inner = text.get(at + 1..).unwrap_or_default();
    if quote == '`' {
        return match inner.find('`') {
            Some(end) => {
                let raw = inner.get(..end).unwrap_or_default();
                Ok((Token::Text(raw.to_owned()), end + 2))
            }
            None => Err(ParseError::at(text, at, "this ` is not closed")),
        };
    }
    let mut out = String::new();
    let mut chars = inner.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(out), i + 2)),
            '\n' => break,
            '\\' => {
                let tail = inner.get(i + 1..).unwrap_or_default();
                let Some((c, len)) = escape(tail) else {
                    let inside = inner
                        .get(..inner.find('"').unwrap_or(i))
                        .unwrap_or_default();
                    let error = ParseError::at(
                        text,
                        at + 1 + i,
                        "this escape means nothing: write \\\\ for a backslash, or put the text \
                         in backticks, where nothing is escaped",
                    );
                    let whole = at..at + 1 + inside.len() + 1;
                    return Err(if inside.contains('`') {
                        error
                    } else {
                        error.instead(text, whole, &format!("`{inside}`"))
                    });
                };
                out.push(c);
                for _ in tail.get(..len).unwrap_or_default().chars() {
                    chars.next();
                }
            }
            c => out.push(c),
        }
    }
    Err(ParseError::at(text, at, "this quote is not closed"))
}

/// What stands behind a backslash in Go's strings, and its length.
fn escape(tail: &str) -> Option<(char, usize)> {
    let number = |from: usize, len: usize, radix: u32| {
        let digits = tail.get(from..from + len)?;
        let all_digits = digits.chars().all(|c| c.is_digit(radix));
        let code = u32::from_str_radix(digits, radix)
            .ok()
            .filter(|_| all_digits)?;
        Some((char::from_u32(code)?, from + len))
    };
    let c = match tail.chars().next()? {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        c @ ('\\' | '"' | '\'') => c,
        'x' => return number(1, 2, 16),
        'u' => return number(1, 4, 16),
        'U' => return number(1, 8, 16),
        '0'..='7' => return number(0, 3, 8),
        _ => return None,
    };
    Some((c, 1))
}

fn single_quoted(text: &str, at: usize) -> ParseError {
    let inner = text.get(at + 1..).unwrap_or_default();
    let error = ParseError::at(text, at, "strings stand in double quotes or backticks");
    match inner.find('\'') {
        Some(end) if !inner[..end].contains(['"', '\\']) => {
            let with = format!("\"{}\"", &inner[..end]);
            error.instead(text, at..at + end + 2, &with)
        }
        _ => error,
    }
}

fn variable(text: &str, at: usize) -> ParseError {
    let rest = text.get(at..).unwrap_or_default();
    let len = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || "_${}:.".contains(c)))
        .unwrap_or(rest.len());
    let name = rest.get(..len).unwrap_or_default();
    let message = format!("{name} is a variable that only Grafana fills in: write its value");
    let error = ParseError::at(text, at, message);
    if name.contains("interval") || name.contains("auto") || name.contains("range") {
        return error.instead(text, at..at + len, "5m");
    }
    error
}

/// A number, a duration or a size, at its first digit.
fn number(text: &str, at: usize) -> Result<(Token, usize), ParseError> {
    let rest = text.get(at..).unwrap_or_default();
    let mut len = 0;
    for (i, c) in rest.char_indices() {
        let exponent_sign = matches!(c, '+' | '-')
            && matches!(rest.as_bytes().get(i.wrapping_sub(1)), Some(b'e' | b'E'))
            && rest.get(..i - 1).is_some_and(|n| n.parse::<f64>().is_ok());
        if !(c.is_alphanumeric() || c == '.' || exponent_sign) {
            break;
        }
        len = i + c.len_utf8();
    }
    let word = rest.get(..len).unwrap_or_default();
    let token = if let Ok(number) = word.parse::<f64>() {
        Token::Number(number)
    } else if let Some(number) = hexadecimal(word) {
        Token::Number(number)
    } else if let Some(ns) = units::duration_ns(word) {
        Token::Duration(ns)
    } else if let Some(bytes) = units::bytes(word) {
        Token::Bytes(bytes)
    } else {
        let message =
            format!("{word} is neither a number nor a duration (5m, 1.5s) nor a size (10KB, 1MiB)");
        return Err(ParseError::at(text, at, message));
    };
    Ok((token, len))
}

fn hexadecimal(word: &str) -> Option<f64> {
    let digits = word
        .strip_prefix("0x")
        .or_else(|| word.strip_prefix("0X"))?;
    u32::from_str_radix(digits, 16).ok().map(f64::from)
}
