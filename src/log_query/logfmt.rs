//! Reads `key=value` pairs: from logfmt lines, and from the many texts that end in pairs.

use std::borrow::Cow;

use crate::fields::{FIELDS_MAX, Pair};
use crate::json::unescape;

/// A longer word before `=` is no key.
const KEY_BYTES_MAX: usize = 128;

/// What was found.
pub(crate) struct Found {
    /// Whether the line begins with a pair, so that it is nothing but pairs.
    pub(crate) begins_with_pair: bool,
    /// Whether pairs beyond [`FIELDS_MAX`] were left out.
    pub(crate) truncated: bool,
}

/// Appends the pairs of a text. A key is a word of letters, digits and `_ . - / @` that begins
/// with a letter, `_` or `@`; a value is quoted or reaches to the next space. In a text that is
/// more than pairs, punctuation after a bare value (`uid=0, gid=0`) does not belong to it.
pub(crate) fn pairs<'a>(text: &'a [u8], pairs: &mut Vec<Pair<'a>>) -> Found {
    let mut found = Found {
        begins_with_pair: false,
        truncated: false,
    };
    // Fast path: most plain texts have no equals sign at all.
    if memchr::memchr(b'=', text).is_none() {
        return found;
    }
    let mut at = 0;
    let mut first = true;
    while let Some(skipped) = text
        .get(at..)
        .and_then(|rest| rest.iter().position(|b| !b.is_ascii_whitespace()))
    {
        at += skipped;
        match pair(text, at) {
            Some((key, value, end, quoted)) => {
                found.begins_with_pair |= first;
                let value = if quoted || found.begins_with_pair {
                    value
                } else {
                    trim_punctuation(value)
                };
                if pairs.len() < FIELDS_MAX {
                    let value = String::from_utf8_lossy(value);
                    let value = if quoted && value.contains('\\') {
                        Cow::Owned(unescape(&value))
                    } else {
                        value
                    };
                    pairs.push((String::from_utf8_lossy(key), value));
                } else {
                    found.truncated = true;
                }
                at = end;
            }
            None => at = end_of_word(text, at),
        }
        first = false;
    }
    found
}

fn end_of_word(text: &[u8], at: usize) -> usize {
    text.get(at..)
        .and_then(|rest| rest.iter().position(u8::is_ascii_whitespace))
        .map_or(text.len(), |n| at + n)
}

/// The pair that begins at `at`: key, value, where it ends, whether the value was quoted.
fn pair(text: &[u8], at: usize) -> Option<(&[u8], &[u8], usize, bool)> {
    let rest = text.get(at..)?;
    let first = *rest.first()?;
    if !(first.is_ascii_alphabetic() || matches!(first, b'_' | b'@')) {
        return None;
    }
    let key_len = rest
        .iter()
        .take(KEY_BYTES_MAX + 1)
        .position(|b| !(b.is_ascii_alphanumeric() || b"_.-/@".contains(b)))?;
    if rest.get(key_len) != Some(&b'=') {
        return None;
    }
    let key = rest.get(..key_len)?;
    let start = at + key_len + 1;
    match text.get(start) {
        Some(b'=' | b'>' | b'~') => None,
        Some(b'"') => {
            let value = text.get(start + 1..)?;
            let len = closing_quote(value).unwrap_or(value.len());
            let end = (start + 1 + len + 1).min(text.len());
            Some((key, value.get(..len)?, end, true))
        }
        _ => {
            let end = end_of_word(text, start);
            Some((key, text.get(start..end)?, end, false))
        }
    }
}

fn closing_quote(value: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = value.get(at..)?;
        let found = memchr::memchr2(b'"', b'\\', rest)?;
        if rest.get(found) == Some(&b'"') {
            return Some(at + found);
        }
        at += found + 2;
    }
}

fn trim_punctuation(mut value: &[u8]) -> &[u8] {
    while let Some((last, rest)) = value.split_last() {
        let opener = match last {
            b',' | b';' => None,
            b')' => Some(b'('),
            b']' => Some(b'['),
            b'}' => Some(b'{'),
            _ => break,
        };
        if opener.is_some_and(|opener| rest.contains(&opener)) {
            break;
        }
        value = rest;
    }
    value
}
