//! What is looked for in a block: a word or phrase with its borders, or plain text.
//!
//! A line of a block is a row of pieces, so what is sought may stand in one of them or reach over
//! several. Therefore it is known letter by letter: [`Sought::eat`] compares some of its letters
//! with a piece and says how far it came.

use std::ops::Range;

use log_query::{Needle, fold};
use memchr::memmem;

/// A text to be looked for, prepared once for many blocks.
#[derive(Debug, Clone)]
pub(crate) struct Sought {
    finder: Finder,
    /// Characters in folded form, or bytes.
    letters: Vec<char>,
    /// Whether a border is needed before and after it.
    pub(super) borders: (bool, bool),
    /// The bytes that it can hold, a bit each.
    bytes: [u64; 4],
    /// Whether it can stand inside a variable.
    pub(super) fits_values: bool,
    pub(super) looks: Looks,
    /// The whole bytes that it makes among packed hex digits, from its first digit on and from its
    /// second; `None` where it is not hex, or too short to tell.
    pub(super) packed: Option<Box<[memmem::Finder<'static>; 2]>>,
}

/// With fewer hex digits than this, packed bytes hold it everywhere: values are written out.
const HEX_DIGITS_MIN: usize = 4;

/// Prepares the search among packed hex digits.
fn packed_finders(letters: &[char]) -> Option<Box<[memmem::Finder<'static>; 2]>> {
    let digits: Option<Vec<u8>> = letters
        .iter()
        .map(|c| {
            c.to_digit(16)
                .filter(|_| !c.is_ascii_uppercase())
                .map(|digit| digit as u8)
        })
        .collect();
    let digits = digits.filter(|digits| digits.len() >= HEX_DIGITS_MIN)?;
    let from = |skipped: usize| {
        let whole: Vec<u8> = digits
            .get(skipped..)
            .unwrap_or_default()
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect();
        memmem::Finder::new(&whole).into_owned()
    };
    Some(Box::new([from(0), from(1)]))
}

#[derive(Debug, Clone)]
enum Finder {
    /// In any case.
    Folded(Needle),
    /// Byte for byte.
    Exact(Box<memmem::Finder<'static>>),
}

/// How far a comparison came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Eaten {
    /// The letters do not stand there.
    No,
    /// The bytes end in the middle of a character: this cannot be told here.
    Unknown,
    /// All letters stand there and end at this byte.
    All(usize),
    /// The bytes end, and the letter with this number is the next.
    Upto(usize),
}

/// Which typed columns can hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Looks {
    pub(super) integer: bool,
    pub(super) decimal: bool,
    pub(super) hex: bool,
    pub(super) time: bool,
}

impl Looks {
    fn of(letters: &[char]) -> Self {
        let all = |test: fn(char) -> bool| letters.iter().all(|c| test(*c));
        Self {
            integer: all(|c| c.is_ascii_digit()),
            decimal: all(|c| c.is_ascii_digit() || c == '.'),
            // Hex columns have no upper-case letters.
            hex: all(|c| matches!(c, '0'..='9' | 'a'..='f')),
            time: all(|c| {
                c.is_ascii_digit()
                    || matches!(c, '-' | ':' | '.' | ',' | ' ' | 'T' | 't' | 'Z' | 'z')
            }),
        }
    }
}

impl Sought {
    /// A word or phrase in any case, with the borders that the needle asks for.
    pub(crate) fn needle(needle: &Needle) -> Self {
        Self::folded(needle.clone(), needle.borders())
    }

    /// A text in any case, wherever it stands; `None` for the empty one.
    pub(crate) fn in_any_case(text: &str) -> Option<Self> {
        Some(Self::folded(Needle::prefix(text)?, (false, false)))
    }

    fn folded(needle: Needle, borders: (bool, bool)) -> Self {
        let letters: Vec<char> = needle.as_str().chars().map(fold).collect();
        let mut bytes = [0; 4];
        for c in needle.as_str().chars() {
            for form in needle_forms(c) {
                let mut buffer = [0; 4];
                form.encode_utf8(&mut buffer);
                for byte in &buffer[..form.len_utf8()] {
                    add_byte(&mut bytes, *byte);
                }
            }
        }
        Self {
            fits_values: fits_values(needle.as_str().as_bytes()),
            looks: Looks::of(&letters),
            packed: packed_finders(&letters),
            finder: Finder::Folded(needle),
            letters,
            borders,
            bytes,
        }
    }

    /// These very bytes, wherever they stand; `None` for none.
    pub(crate) fn exact(text: &[u8]) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let mut bytes = [0; 4];
        for byte in text {
            add_byte(&mut bytes, *byte);
        }
        let letters: Vec<char> = text.iter().map(|byte| char::from(*byte)).collect();
        Some(Self {
            finder: Finder::Exact(Box::new(memmem::Finder::new(text).into_owned())),
            looks: Looks::of(&letters),
            packed: packed_finders(&letters),
            letters,
            borders: (false, false),
            bytes,
            fits_values: fits_values(text),
        })
    }

    pub(super) fn letters(&self) -> &[char] {
        &self.letters
    }

    /// Whether it can hold this byte.
    pub(super) fn has_byte(&self, byte: u8) -> bool {
        self.bytes
            .get(usize::from(byte >> 6))
            .is_some_and(|bits| bits >> (byte & 63) & 1 == 1)
    }

    /// The next place where it stands, borders included; beginning and end of the text are borders.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        match &self.finder {
            Finder::Folded(needle) if self.borders == (false, false) => {
                needle.find_letters(text, from)
            }
            Finder::Folded(needle) => needle.find(text, from),
            Finder::Exact(_) => self.find_letters(text, from),
        }
    }

    /// The next place where its letters stand, whatever stands around them.
    pub(super) fn find_letters(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        match &self.finder {
            Finder::Folded(needle) => needle.find_letters(text, from),
            Finder::Exact(finder) => {
                let start = from + finder.find(text.get(from..)?)?;
                Some(start..start + finder.needle().len())
            }
        }
    }

    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        self.find(text, 0).is_some()
    }

    /// Compares its letters from number `i` on with the beginning of a text.
    pub(super) fn eat(&self, mut i: usize, text: &[u8]) -> Eaten {
        let mut at = 0;
        while let Some(wanted) = self.letters.get(i) {
            let Some(&byte) = text.get(at) else {
                return Eaten::Upto(i);
            };
            let (c, len) = match &self.finder {
                Finder::Exact(_) => (char::from(byte), 1),
                Finder::Folded(_) if byte.is_ascii() => (char::from(byte.to_ascii_lowercase()), 1),
                Finder::Folded(_) => match first_char(text.get(at..).unwrap_or_default()) {
                    Ok((c, len)) => (c, len),
                    Err(eaten) => return eaten,
                },
            };
            if c != *wanted {
                return Eaten::No;
            }
            at += len;
            i += 1;
        }
        Eaten::All(at)
    }

    /// Where a text's end begins, if it ends with the letters before number `k`.
    pub(super) fn start_of_end(&self, text: &[u8], k: usize) -> Option<usize> {
        let start = match &self.finder {
            Finder::Exact(_) => text.len().checked_sub(k),
            Finder::Folded(_) => {
                // A character begins where a byte is no continuation of one.
                let is_start = |byte: &u8| byte & 0xc0 != 0x80;
                let mut starts = (0..text.len()).rev();
                (0..k)
                    .map(|_| starts.find(|at| text.get(*at).is_some_and(is_start)))
                    .last()
                    .flatten()
            }
        };
        start.filter(|start| self.eat(0, text.get(*start..).unwrap_or_default()) == Eaten::Upto(k))
    }
}

/// A character and its other case, which may be the same.
fn needle_forms(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase().chain(c.to_uppercase()).chain([c])
}

fn add_byte(bytes: &mut [u64; 4], byte: u8) {
    if let Some(bits) = bytes.get_mut(usize::from(byte >> 6)) {
        *bits |= 1 << (byte & 63);
    }
}

/// Whether a text can stand inside a variable (`template`): these hold no line break and no mark,
/// and a quote only behind a backslash.
fn fits_values(text: &[u8]) -> bool {
    let bare_quote = text
        .windows(2)
        .any(|pair| matches!(pair, [before, b'"'] if *before != b'\\'));
    !bare_quote && !text.iter().any(|byte| matches!(byte, b'\n' | 1 | 2))
}

/// The folded first character of a text that does not begin with ASCII, and its bytes.
fn first_char(text: &[u8]) -> Result<(char, usize), Eaten> {
    let window = text.get(..text.len().min(4)).unwrap_or_default();
    let valid = match std::str::from_utf8(window) {
        Ok(valid) => valid,
        Err(error) if error.valid_up_to() == 0 => {
            let is_cut = error.error_len().is_none() && text.len() < 4;
            return Err(if is_cut { Eaten::Unknown } else { Eaten::No });
        }
        Err(error) => {
            let valid = window.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(valid).unwrap_or_default()
        }
    };
    match valid.chars().next() {
        Some(c) => Ok((fold(c), c.len_utf8())),
        None => Err(Eaten::No),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_compared_in_any_case_or_byte_for_byte() {
        let word = Sought::in_any_case("\u{c9}tat 5").expect("not empty");
        assert_eq!(word.eat(0, "\u{e9}TAT 5 x".as_bytes()), Eaten::All(7));
        assert_eq!(word.eat(0, "\u{e9}TA".as_bytes()), Eaten::Upto(3));
        assert_eq!(word.eat(3, b"t 5"), Eaten::All(3));
        assert_eq!(word.eat(0, b"\xc3"), Eaten::Unknown);
        assert_eq!(word.eat(0, b"\xffx"), Eaten::No);
        assert!(word.start_of_end("x \u{c9}t".as_bytes(), 2) == Some(2));
        assert!(word.start_of_end("x \u{c9}".as_bytes(), 2).is_none());
        assert!(word.start_of_end(b"", 1).is_none());
        let text = Sought::exact(b"a\xff").expect("not empty");
        assert_eq!(text.eat(0, b"a\xff"), Eaten::All(2));
        assert_eq!(text.eat(0, b"A\xff"), Eaten::No);
        assert!(text.start_of_end(b"xa", 1) == Some(1));
        assert!(text.has_byte(0xff) && !text.has_byte(b'A'));
    }

    #[test]
    fn some_texts_stand_in_no_variable() {
        let fits = |text: &[u8]| Sought::exact(text).expect("not empty").fits_values;
        assert!(fits(b"\"a"));
        assert!(fits(b"a\\\"b"));
        assert!(!fits(b"a\"b"));
        assert!(!fits(b"a\nb"));
        assert!(!fits(b"a\x01"));
    }
}
