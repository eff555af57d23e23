//! The words by which blocks are found.
//!
//! What goes into the index, per block:
//! 1. Runs of ASCII letters, digits and underscores, lower-cased, cut at [`TERM_BYTES`].
//! 2. Pairs of neighbouring characters beyond ASCII, folded: that finds Chinese, Japanese and
//!    Korean text, which has no spaces, and every other script well enough.
//! 3. Not the numbers of up to three digits (they are in every block), and not what stands in a
//!    timestamp or before a unit (`block::template`): these would be most of the index.
//! 4. A marker for each kind of timestamp that was left out, and one for backslashes.
//!
//! What is not indexed must never exclude a block: [`Word::lookup`] says for each word of a query
//! whether its absence proves anything. Both sides live in this file so that they cannot drift.

use rustc_hash::FxHashSet;

use crate::block::template::{
    begins_number_with_unit, colour_len, is_colour_and_time, is_number_with_unit,
};
use crate::block::time_text::{TimeForm, is_word_byte};

/// Terms are cut at so many bytes: enough to tell identifiers apart, half the size of the index.
pub(crate) const TERM_BYTES: usize = 16;

/// Numbers of up to so many digits are not indexed.
const NUMBER_DIGITS_SKIPPED: usize = 3;

/// What is in the index for a block whose timestamps were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    /// Years and days.
    Date,
    /// Fractions of six digits.
    Micros,
    /// Fractions of nine digits.
    Nanos,
    /// A backslash: a value may be written otherwise than it reads (`\u0041`, `\n`).
    Escapes,
}

impl Marker {
    /// Its term; no word begins with this byte.
    pub(crate) fn term(self) -> &'static [u8] {
        match self {
            Self::Date => b"\x01d",
            Self::Micros => b"\x016",
            Self::Nanos => b"\x019",
            Self::Escapes => b"\x01e",
        }
    }
}

/// The different terms of a block.
#[derive(Debug, Default)]
pub(crate) struct TermSet {
    /// Terms have at most 16 bytes and no zero byte: one number each.
    terms: FxHashSet<u128>,
}

impl TermSet {
    pub(crate) fn clear(&mut self) {
        self.terms.clear();
    }

    /// Adds the words of a text.
    pub(crate) fn add_text(&mut self, text: &[u8]) {
        let mut at = 0;
        let mut last_wide: Option<char> = None;
        while let Some(&byte) = text.get(at) {
            if byte.is_ascii() {
                last_wide = None;
                if is_word_byte(byte) {
                    at = self.add_run(text, at);
                } else {
                    at += 1;
                    if byte == 0x1b
                        && let Some(n) = colour_len(&text[at - 1..])
                    {
                        // The word behind a colour sequence counts with and without the
                        // sequence's last letter.
                        self.add_run(text, at - 1 + n);
                    }
                }
                continue;
            }
            let (wide, len) = first_char(&text[at..]);
            if let (Some(a), Some(b)) = (last_wide, wide) {
                self.insert(&pair(a, b));
            }
            last_wide = wide;
            at += len;
        }
    }

    /// Adds what stands for a timestamp that is not in the texts.
    pub(crate) fn add_time(&mut self, form: TimeForm) {
        if form.has_date() {
            self.insert(Marker::Date.term());
        }
        match form.digits() {
            6 => self.insert(Marker::Micros.term()),
            9 => self.insert(Marker::Nanos.term()),
            _ => {}
        }
    }

    /// Notes that there are backslashes in the block.
    pub(crate) fn add_escapes(&mut self) {
        self.insert(Marker::Escapes.term());
    }

    /// Adds the run of word bytes at `start` and returns its end.
    fn add_run(&mut self, text: &[u8], start: usize) -> usize {
        let mut term = [0u8; TERM_BYTES];
        let mut len = 0;
        let mut digits = 0;
        for byte in &text[start.min(text.len())..] {
            if !is_word_byte(*byte) {
                break;
            }
            if let Some(slot) = term.get_mut(len) {
                *slot = byte.to_ascii_lowercase();
            }
            digits += usize::from(byte.is_ascii_digit());
            len += 1;
        }
        if digits < len || len > NUMBER_DIGITS_SKIPPED {
            self.terms.insert(u128::from_le_bytes(term));
        }
        start + len
    }

    fn insert(&mut self, term: &[u8]) {
        let mut bytes = [0u8; TERM_BYTES];
        for (slot, byte) in bytes.iter_mut().zip(term) {
            *slot = *byte;
        }
        self.terms.insert(u128::from_le_bytes(bytes));
    }

    /// The terms with a space between them, in no order: what the index splits again.
    pub(crate) fn join(&self) -> String {
        let mut out = Vec::with_capacity(self.terms.len() * 10);
        for term in &self.terms {
            let bytes = term.to_le_bytes();
            let len = bytes.iter().position(|b| *b == 0).unwrap_or(TERM_BYTES);
            out.extend_from_slice(&bytes[..len]);
            out.push(b' ');
        }
        // Terms are ASCII or whole characters, so nothing is replaced here.
        String::from_utf8(out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

/// A part of a query's word or phrase that stands in every matching line in one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// A run of word bytes.
    Run(Run),
    /// A pair of characters beyond ASCII, as its term.
    Pair(Vec<u8>),
}

/// A run of word bytes in a query. In the text it begins where it begins here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// In lower case.
    pub(crate) text: String,
    /// Whether it may go on in the text.
    pub(crate) is_open: bool,
    /// Whether a character beyond ASCII stands next to it: it is a run of its own all the same,
    /// but perhaps not a whole word.
    pub(crate) touches_wide: bool,
}

/// What to ask the index about a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// Nothing: a block may hold the word without having a term for it.
    Nothing,
    /// Blocks that hold the word have this term, or the marker if there is one.
    Term(Vec<u8>, Option<Marker>),
    /// Blocks that hold the word have a term that begins so.
    Prefix(Vec<u8>),
}

impl Word {
    /// What to ask the index.
    pub(crate) fn lookup(&self) -> Lookup {
        match self {
            Self::Pair(term) => Lookup::Term(term.clone(), None),
            Self::Run(run) if !run.is_open => lookup_run(run.text.as_bytes()),
            Self::Run(run) => {
                let start = run.text.as_bytes();
                if start.len() >= TERM_BYTES {
                    return lookup_run(start);
                }
                let skipped = start.iter().all(u8::is_ascii_digit)
                    || begins_number_with_unit(start)
                    || is_colour_and_time(start)
                    || day_and_hour(start)
                    || digits_and_zulu(start);
                if skipped {
                    Lookup::Nothing
                } else {
                    Lookup::Prefix(start.to_vec())
                }
            }
        }
    }
}

/// Whole runs, and beginnings of at least the length at which terms are cut.
fn lookup_run(run: &[u8]) -> Lookup {
    if is_number_with_unit(run) || is_colour_and_time(run) || digits_and_zulu(run) {
        return Lookup::Nothing;
    }
    let marker = if run.iter().all(u8::is_ascii_digit) {
        match run.len() {
            0..=NUMBER_DIGITS_SKIPPED => return Lookup::Nothing,
            4 => Some(Marker::Date),
            6 => Some(Marker::Micros),
            9 => Some(Marker::Nanos),
            _ => None,
        }
    } else {
        day_and_hour(run).then_some(Marker::Date)
    };
    Lookup::Term(run[..run.len().min(TERM_BYTES)].to_vec(), marker)
}

/// `22t10`, or the beginning of it: the middle of a timestamp.
fn day_and_hour(run: &[u8]) -> bool {
    run.len() <= 5
        && run.iter().enumerate().all(|(i, b)| match i {
            2 => *b == b't',
            _ => b.is_ascii_digit(),
        })
}

/// `123z`: the end of a timestamp in UTC.
fn digits_and_zulu(run: &[u8]) -> bool {
    matches!(run.split_last(), Some((b'z', digits)) if !digits.is_empty()
        && digits.len() <= 9 && digits.iter().all(u8::is_ascii_digit))
}

/// Takes a word or phrase of a query apart. `open_end`: what it ends with may go on in the text.
pub(crate) fn words(text: &str, open_end: bool) -> Vec<Word> {
    let mut words = Vec::new();
    let mut run = String::new();
    let mut before: Option<char> = None;
    let mut run_after_wide = false;
    for c in text.chars() {
        let is_word = c.is_ascii() && is_word_byte(c as u8);
        if is_word {
            if run.is_empty() {
                run_after_wide = before.is_some_and(|c| !c.is_ascii());
            }
            run.push(c.to_ascii_lowercase());
        } else if !run.is_empty() {
            words.push(Word::Run(Run {
                text: std::mem::take(&mut run),
                is_open: false,
                touches_wide: run_after_wide || !c.is_ascii(),
            }));
        }
        if let Some(before) = before
            && let (Some(a), Some(b)) = (indexed_wide(before), indexed_wide(c))
        {
            words.push(Word::Pair(pair(a, b)));
        }
        before = Some(c);
    }
    if !run.is_empty() {
        words.push(Word::Run(Run {
            text: run,
            is_open: open_end,
            touches_wide: run_after_wide,
        }));
    }
    words
}

/// A character beyond ASCII, folded. Invalid UTF-8 reads as the replacement character and is not
/// indexed.
fn indexed_wide(c: char) -> Option<char> {
    (!c.is_ascii() && c != char::REPLACEMENT_CHARACTER).then(|| log_query::fold(c))
}

fn pair(a: char, b: char) -> Vec<u8> {
    let mut term = String::with_capacity(8);
    term.extend([a, b]);
    term.into_bytes()
}

/// The folded first character of bytes that do not begin with ASCII, where it is valid, and how
/// many bytes to go on.
fn first_char(bytes: &[u8]) -> (Option<char>, usize) {
    let window = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(window) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&window[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(c) => (Some(log_query::fold(c)), c.len_utf8()),
        None => (None, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &[u8]) -> Vec<String> {
        let mut set = TermSet::default();
        set.add_text(text);
        let mut terms: Vec<String> = set.join().split_whitespace().map(str::to_owned).collect();
        terms.sort();
        terms
    }

    #[test]
    fn texts_give_their_words() {
        let check = |text: &str, expected: &[&str]| assert_eq!(terms(text.as_bytes()), expected);
        check(
            "GET /api/v1/Orders 200 16483",
            &["16483", "api", "get", "orders", "v1"],
        );
        check("a_very_long_identifier_of_something", &["a_very_long_iden"]);
        check("na\u{ef}ve", &["na", "ve"]);
        check(
            "\u{65e5}\u{672c}\u{8a9e}",
            &["\u{65e5}\u{672c}", "\u{672c}\u{8a9e}"],
        );
        check("\u{416}\u{436}", &["\u{436}\u{436}"]);
        check("\x1b[31merror", &["31merror", "error"]);
        assert_eq!(terms(b"ab\xff\xfecd \xe6\x97"), ["ab", "cd"]);
    }

    #[test]
    fn what_is_not_indexed_is_not_asked_for() {
        let check = |word: &str, open_end, expected: &[Lookup]| {
            let lookups: Vec<Lookup> = words(word, open_end).iter().map(Word::lookup).collect();
            assert_eq!(lookups, expected, "{word}");
        };
        let term = |t: &str| Lookup::Term(t.as_bytes().to_vec(), None);
        check("Error", false, &[term("error")]);
        check("200", false, &[Lookup::Nothing]);
        check("12ms", false, &[Lookup::Nothing]);
        check("123z", false, &[Lookup::Nothing]);
        check("16483", false, &[term("16483")]);
        check(
            "2026",
            false,
            &[Lookup::Term(b"2026".to_vec(), Some(Marker::Date))],
        );
        check(
            "22T10",
            false,
            &[Lookup::Term(b"22t10".to_vec(), Some(Marker::Date))],
        );
        check(
            "123456",
            false,
            &[Lookup::Term(b"123456".to_vec(), Some(Marker::Micros))],
        );
        check("time", true, &[Lookup::Prefix(b"time".to_vec())]);
        check("164", true, &[Lookup::Nothing]);
        check("5a", true, &[Lookup::Prefix(b"5a".to_vec())]);
        check("22t", true, &[Lookup::Nothing]);
        check(
            "conn refused",
            true,
            &[term("conn"), Lookup::Prefix(b"refused".to_vec())],
        );
        check("a_very_long_identifier", true, &[term("a_very_long_iden")]);
        check("\u{e9}", false, &[]);
    }
}
