//! Replaces parts of a line's text, so that they never reach the disk.
//!
//! It sees the line as it will be stored: joined from its parts, all lines of a multi-line record
//! together. `^` and `$` mean the borders of each of them. A line that was JSON stays JSON: where a
//! number or a word without quotes is replaced, quotes are written around the replacement.

use std::ops::Range;

use regex::bytes::Regex;

use crate::presets;

/// What stands in place of a secret unless something else is wanted.
pub(crate) const WITH_DEFAULT: &str = "***";

/// The longest replacement.
pub(crate) const WITH_BYTES_MAX: usize = 64;

/// A text may become longer by so much of itself and [`GROWTH_BYTES`]; beyond, what is found is
/// taken out without a replacement.
const GROWTH_FACTOR: usize = 3;
const GROWTH_BYTES: usize = 4 << 10;

/// One thing to look for.
#[derive(Debug, Clone)]
pub(crate) enum Finder {
    /// The whole match, or its group `secret` where there is one.
    Pattern {
        /// What to look for.
        regex: Regex,
        /// The number of the group `secret`.
        secret: Option<usize>,
    },
    /// Digits with a right check digit.
    CreditCard,
}

/// Looks for several things and replaces them by one text.
#[derive(Debug, Clone)]
pub(crate) struct Redact {
    pub(crate) finders: Vec<Finder>,
    pub(crate) with: String,
}

impl Redact {
    /// The text without secrets; `None` when there are none in it.
    pub(crate) fn apply(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut changed: Option<Vec<u8>> = None;
        let bytes_max = text.len().saturating_mul(1 + GROWTH_FACTOR) + GROWTH_BYTES;
        for finder in &self.finders {
            let before = changed.as_deref().unwrap_or(text);
            if let Some(after) = self.replaced(before, finder, bytes_max) {
                changed = Some(after);
            }
        }
        changed
    }

    fn replaced(&self, text: &[u8], finder: &Finder, bytes_max: usize) -> Option<Vec<u8>> {
        let mut out = Replacing {
            text,
            out: Vec::new(),
            at: 0,
            bytes_max,
            with: self.with.as_bytes(),
            quotes: Quotes::of(text),
        };
        match finder {
            Finder::Pattern {
                regex,
                secret: None,
            } => {
                for found in regex.find_iter(text) {
                    out.replace(found.range());
                }
            }
            Finder::Pattern {
                regex,
                secret: Some(group),
            } => {
                // Fast path: looking for groups is slower, and most lines have none.
                if regex.is_match(text) {
                    for found in regex.captures_iter(text).filter_map(|c| c.get(*group)) {
                        if !matches!(found.as_bytes(), b"null" | b"true" | b"false") {
                            out.replace(found.range());
                        }
                    }
                }
            }
            Finder::CreditCard => presets::credit_cards(text, |range| out.replace(range)),
        }
        out.finish()
    }
}

/// Copies a text with replacements, which come in their order.
struct Replacing<'a> {
    text: &'a [u8],
    out: Vec<u8>,
    /// The text before it is in `out`.
    at: usize,
    bytes_max: usize,
    with: &'a [u8],
    quotes: Quotes,
}

impl Replacing<'_> {
    fn replace(&mut self, range: Range<usize>) {
        if range.is_empty() || range.start < self.at {
            return;
        }
        let Some(between) = self.text.get(self.at..range.start) else {
            return;
        };
        self.out.extend_from_slice(between);
        self.quotes.reach(self.text, range.start);
        if self.quotes.escaped {
            // Half an escape would spoil the JSON.
            self.out.pop();
        }
        let quoted = self.quotes.are_missing(self.text, &range);
        // What follows must fit as well.
        let rest = self.text.len() - range.end;
        if self.out.len() + self.with.len() + 2 + rest <= self.bytes_max {
            if quoted {
                self.out.push(b'"');
            }
            self.out.extend_from_slice(self.with);
            if quoted {
                self.out.push(b'"');
            }
        } else if quoted {
            self.out.push(b'0');
        }
        self.at = range.end;
    }

    fn finish(mut self) -> Option<Vec<u8>> {
        if self.at == 0 {
            return None;
        }
        self.out
            .extend_from_slice(self.text.get(self.at..).unwrap_or_default());
        Some(self.out)
    }
}

/// Follows the quotes of a JSON line, to tell text from numbers.
struct Quotes {
    is_json: bool,
    /// Looked at up to here.
    at: usize,
    in_string: bool,
    /// The byte before was the backslash of an escape.
    escaped: bool,
}

impl Quotes {
    fn of(text: &[u8]) -> Self {
        let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
        Self {
            is_json: first == Some(&b'{'),
            at: 0,
            in_string: false,
            escaped: false,
        }
    }

    /// Goes on to a place of the text.
    fn reach(&mut self, text: &[u8], place: usize) {
        if !self.is_json {
            return;
        }
        for byte in text.get(self.at..place).unwrap_or_default() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ => {}
            }
        }
        self.at = place;
    }

    /// Whether the range, whose start was reached, is a whole JSON value without quotes.
    fn are_missing(&self, text: &[u8], range: &Range<usize>) -> bool {
        if !self.is_json || self.in_string {
            return false;
        }
        let before = text.get(..range.start).unwrap_or_default();
        let after = text.get(range.end..).unwrap_or_default();
        let before = before.trim_ascii_end().last();
        let after = after.trim_ascii_start().first();
        matches!(before, Some(b':' | b',' | b'[')) && matches!(after, Some(b',' | b'}' | b']'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redact(pattern: &str, with: &str) -> Redact {
        let regex = Regex::new(pattern).expect(pattern);
        let secret = regex.capture_names().position(|n| n == Some("secret"));
        Redact {
            finders: vec![Finder::Pattern { regex, secret }],
            with: with.to_owned(),
        }
    }

    fn check(redact: &Redact, text: &str, expected: Option<&str>) {
        let found = redact.apply(text.as_bytes());
        let found = found.map(|t| String::from_utf8(t).expect("UTF-8"));
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn matches_or_their_secret_part_are_replaced() {
        let whole = redact(r"ab+c", "***");
        check(&whole, "x abbc y abc", Some("x *** y ***"));
        check(&whole, "x ac y", None);
        let part = redact(r"pin=(?<secret>\d+)", "#");
        check(&part, "pin=1234 pin= pin=5", Some("pin=# pin= pin=#"));
        check(&redact(r"ab+c", ""), "xabcy", Some("xy"));
    }

    #[test]
    fn json_stays_json() {
        let digits = redact(r"\b\d{4}\b", "***");
        check(
            &digits,
            r#"{"pin":1234,"list":[1234, 1234],"text":"1234, \"1234\"","n":12345}"#,
            Some(r#"{"pin":"***","list":["***", "***"],"text":"***, \"***\"","n":12345}"#),
        );
        let odd = redact("nn", "***");
        check(
            &odd,
            r#"{"a":"\nn, nn","nn":1}"#,
            Some(r#"{"a":"***, ***","***":1}"#),
        );
    }

    #[test]
    fn a_text_grows_only_so_far() {
        let every = redact("[a-z]", &"*".repeat(WITH_BYTES_MAX));
        let text = "a".repeat(100_000);
        let out = every.apply(text.as_bytes()).expect("changed");
        assert!(out.len() <= 4 * text.len() + GROWTH_BYTES, "{}", out.len());
        assert!(!out.contains(&b'a'));
    }

    proptest! {
        #[test]
        fn nothing_that_matches_is_left_and_json_stays_json(
            words in proptest::collection::vec("[a-c0-9\"\\\\]{0,6}", 0..6),
            numbers in proptest::collection::vec(0u32..3000, 0..6),
        ) {
            let digits = redact("[0-9]{3,}", "***");
            let line = serde_json::json!({ "words": words, "numbers": numbers }).to_string();
            let out = digits.apply(line.as_bytes()).unwrap_or_else(|| line.clone().into_bytes());
            prop_assert!(digits.apply(&out).is_none());
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok(), "{}", out.escape_ascii());
        }
    }
}
