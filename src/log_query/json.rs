//! Flattens a JSON object into (key, value) pairs, in one pass and mostly without copying.
//!
//! It is lenient where a log line deserves it: numbers are taken as they are written, invalid
//! UTF-8 becomes U+FFFD, and an object that was cut off in the middle gives the fields before the
//! cut. A text that is no object gives nothing.

use std::borrow::Cow;

use crate::fields::{DEPTH_MAX, FIELDS_MAX, Pair};

/// What a text turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A whole object, or the beginning of one; true when fields beyond [`FIELDS_MAX`] were left
    /// out.
    Object { truncated: bool },
    /// Something else.
    NoObject,
}

/// Why scanning stopped early.
enum Stop {
    /// The text ends in the middle.
    Cut,
    /// This is not JSON.
    Bad,
}

/// Appends the fields of an object to `pairs`: nested keys joined by dots, an element of an array
/// under the name of the array, `null` left out, what is nested deeper than [`DEPTH_MAX`] as JSON.
pub(crate) fn flatten<'a>(text: &'a [u8], pairs: &mut Vec<Pair<'a>>) -> Outcome {
    let before = pairs.len();
    let mut scanner = Scanner {
        bytes: text,
        at: 0,
        pairs,
        truncated: false,
    };
    scanner.skip_space();
    if scanner.peek() != Some(b'{') {
        return Outcome::NoObject;
    }
    let result = scanner.object("", 0);
    scanner.skip_space();
    let truncated = scanner.truncated;
    let whole = result.is_ok() && scanner.at == text.len();
    let cut = matches!(result, Err(Stop::Cut)) && pairs.len() > before;
    if whole || cut {
        return Outcome::Object { truncated };
    }
    pairs.truncate(before);
    Outcome::NoObject
}

struct Scanner<'a, 'p> {
    bytes: &'a [u8],
    at: usize,
    pairs: &'p mut Vec<Pair<'a>>,
    truncated: bool,
}

impl<'a> Scanner<'a, '_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The next byte that is no space.
    fn next(&mut self) -> Result<u8, Stop> {
        self.skip_space();
        let byte = self.peek().ok_or(Stop::Cut)?;
        self.at += 1;
        Ok(byte)
    }

    fn object(&mut self, prefix: &str, depth: usize) -> Result<(), Stop> {
        self.at += 1;
        let mut first = true;
        loop {
            match self.next()? {
                b'}' if first => return Ok(()),
                b'"' => {}
                _ => return Err(Stop::Bad),
            }
            first = false;
            let key = self.string()?;
            if self.next()? != b':' {
                return Err(Stop::Bad);
            }
            let name = if prefix.is_empty() {
                key
            } else {
                Cow::Owned(format!("{prefix}.{key}"))
            };
            self.value(name, depth + 1)?;
            match self.next()? {
                b',' => {}
                b'}' => return Ok(()),
                _ => return Err(Stop::Bad),
            }
        }
    }

    fn array(&mut self, name: &str, depth: usize) -> Result<(), Stop> {
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(Cow::Owned(name.to_owned()), depth + 1)?;
            match self.next()? {
                b',' => {}
                b']' => return Ok(()),
                _ => return Err(Stop::Bad),
            }
        }
    }

    fn value(&mut self, name: Cow<'a, str>, depth: usize) -> Result<(), Stop> {
        self.skip_space();
        let start = self.at;
        match self.peek().ok_or(Stop::Cut)? {
            b'{' | b'[' if depth >= DEPTH_MAX => {
                self.skip_nested()?;
                let raw = self.bytes.get(start..self.at).unwrap_or_default();
                self.push(name, String::from_utf8_lossy(raw));
            }
            b'{' => self.object(&name, depth)?,
            b'[' => self.array(&name, depth)?,
            b'"' => {
                self.at += 1;
                let value = self.string()?;
                self.push(name, value);
            }
            _ => {
                while self
                    .peek()
                    .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
                {
                    self.at += 1;
                }
                let raw = self.bytes.get(start..self.at).unwrap_or_default();
                match raw {
                    b"" => return Err(Stop::Bad),
                    b"null" => {}
                    raw => self.push(name, String::from_utf8_lossy(raw)),
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        if self.pairs.len() < FIELDS_MAX {
            self.pairs.push((name, value));
        } else {
            self.truncated = true;
        }
    }

    /// A string whose opening quote has been passed.
    fn string(&mut self) -> Result<Cow<'a, str>, Stop> {
        let bytes = self.bytes;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = bytes.get(self.at..).ok_or(Stop::Cut)?;
            let found = memchr::memchr2(b'"', b'\\', rest).ok_or(Stop::Cut)?;
            self.at += found;
            if rest.get(found) == Some(&b'"') {
                break;
            }
            escaped = true;
            self.at += 2;
        }
        let raw = bytes.get(start..self.at).unwrap_or_default();
        self.at += 1;
        let text = String::from_utf8_lossy(raw);
        Ok(if escaped {
            Cow::Owned(unescape(&text))
        } else {
            text
        })
    }

    /// Passes over an object or array without looking into it.
    fn skip_nested(&mut self) -> Result<(), Stop> {
        let mut open = 0usize;
        loop {
            match self.next()? {
                b'{' | b'[' => open += 1,
                b'}' | b']' => {
                    open -= 1;
                    if open == 0 {
                        return Ok(());
                    }
                }
                b'"' => {
                    self.string()?;
                }
                _ => {}
            }
        }
    }
}

/// Resolves backslash escapes; those that mean nothing stay as they are.
pub(crate) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, tail)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = tail.chars();
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some(c @ ('"' | '\\' | '/')) => out.push(c),
            Some('u') => {
                if let Some((c, after)) = unicode_escape(tail) {
                    out.push(c);
                    rest = after;
                    continue;
                }
                out.push_str("\\u");
            }
            Some(c) => {
                out.push('\\');
                out.push(c);
            }
            None => out.push('\\'),
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}

/// Reads `uXXXX`, or two of them that form one character; returns what follows.
fn unicode_escape(text: &str) -> Option<(char, &str)> {
    let unit = |text: &str| {
        let hex = text.strip_prefix('u')?.get(..4)?;
        hex.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
        u32::from_str_radix(hex, 16).ok()
    };
    let high = unit(text)?;
    let rest = text.get(5..)?;
    if (0xd800..0xdc00).contains(&high) {
        let pair = rest
            .strip_prefix('\\')
            .and_then(|tail| Some((unit(tail)?, tail.get(5..)?)))
            .filter(|(low, _)| (0xdc00..0xe000).contains(low));
        if let Some((low, rest)) = pair {
            let c = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            return Some((char::from_u32(c)?, rest));
        }
    }
    Some((
        char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER),
        rest,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_resolved() {
        let check = |text: &str, expected: &str| assert_eq!(unescape(text), expected, "{text}");
        check(r#"a\"b\\c\/d\n"#, "a\"b\\c/d\n");
        check(r"\u00e9\u0041", "éA");
        check(r"\ud83d\ude00!", "😀!");
        check(r"\ud83dx", "\u{fffd}x");
        check(r"\ud83d\u0041", "\u{fffd}A");
        check(r"\u00g1 \x \", r"\u00g1 \x \");
    }
}
