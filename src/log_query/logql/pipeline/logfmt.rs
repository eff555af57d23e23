//! `| logfmt`: `key=value` pairs become labels.

use std::borrow::Cow;

use super::labels::LineLabels;
use super::sanitize;
use crate::json::unescape;

/// Behaviour by the flags of the stage.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    /// What is no pair is an error and ends it.
    pub(super) strict: bool,
    /// Keys without a value become labels.
    pub(super) keep_empty: bool,
}

/// The next pair behind `at`.
enum Next<'a> {
    Pair(&'a str, Cow<'a, str>),
    Bad,
    End,
}

fn next<'a>(text: &'a str, at: &mut usize) -> Next<'a> {
    let bytes = text.as_bytes();
    let is_space = |b: u8| b <= b' ';
    while bytes.get(*at).is_some_and(|b| is_space(*b)) {
        *at += 1;
    }
    let start = *at;
    if start >= bytes.len() {
        return Next::End;
    }
    while bytes
        .get(*at)
        .is_some_and(|b| !is_space(*b) && *b != b'=' && *b != b'"')
    {
        *at += 1;
    }
    let key = text.get(start..*at).unwrap_or_default();
    match bytes.get(*at) {
        Some(b'=') if !key.is_empty() => *at += 1,
        Some(b'=' | b'"') => {
            // Over the rest of what is no pair.
            while bytes.get(*at).is_some_and(|b| !is_space(*b)) {
                *at += 1;
            }
            return Next::Bad;
        }
        _ => return Next::Pair(key, Cow::Borrowed("")),
    }
    if bytes.get(*at) != Some(&b'"') {
        let start = *at;
        while bytes.get(*at).is_some_and(|b| !is_space(*b)) {
            *at += 1;
        }
        let value = text.get(start..*at).unwrap_or_default();
        return Next::Pair(key, Cow::Borrowed(value));
    }
    *at += 1;
    let start = *at;
    loop {
        let rest = bytes.get(*at..).unwrap_or_default();
        match memchr::memchr2(b'"', b'\\', rest) {
            Some(i) if rest.get(i) == Some(&b'"') => {
                *at += i;
                break;
            }
            Some(i) => *at = (*at + i + 2).min(bytes.len()),
            None => {
                *at = bytes.len();
                return Next::Bad;
            }
        }
    }
    let value = text.get(start..*at).unwrap_or_default();
    *at += 1;
    let value = if value.contains('\\') {
        Cow::Owned(unescape(value))
    } else {
        Cow::Borrowed(value)
    };
    Next::Pair(key, value)
}

/// Sets labels from the pairs of a line; only those of `keys` (label and key) where there are any.
pub(super) fn extract(
    text: &str,
    flags: Flags,
    keys: &[(String, String)],
    labels: &mut LineLabels<'_>,
) {
    let mut at = 0;
    let mut name = String::new();
    loop {
        let (key, value) = match next(text, &mut at) {
            Next::End => return,
            Next::Bad if flags.strict => {
                labels.fail("LogfmtParserErr", || {
                    format!("no key=value pair before byte {at}")
                });
                return;
            }
            Next::Bad => continue,
            Next::Pair(key, value) => (key, value),
        };
        if value.is_empty() && !flags.keep_empty {
            continue;
        }
        if keys.is_empty() {
            name.clear();
            sanitize(key, true, &mut name);
            if labels.wants(&name) {
                labels.extract(&name, &value, true);
            }
        } else {
            for (label, _) in keys.iter().filter(|(_, wanted)| wanted == key) {
                labels.extract(label, &value, false);
            }
        }
    }
}
