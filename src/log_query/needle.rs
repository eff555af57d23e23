//! Finds words and phrases in any case, in any bytes.
//!
//! A [`Needle`] is prepared once, when the query is checked, and then looked for in millions of
//! lines without allocating:
//!
//! 1. An ASCII needle is looked for by its two rarest bytes at once, a chunk of positions at a
//!    time, with a letter's case bit masked away: plain loops that the compiler turns into vector
//!    instructions. Only where both agree the whole needle is compared.
//! 2. Any other needle is looked for by the first byte of its first letter in both cases.
//! 3. Of each place that is found the borders are checked, where the needle asks for whole words.
//!
//! Case: letters are equal to their single upper- or lower-case partner (`É` and `é`, `Ж` and
//! `ж`). Letters that have no such partner (`ß`, the Kelvin sign, `ſ`) are equal to themselves
//! only, so that an ASCII letter is never equal to anything but itself and its ASCII partner.

use std::fmt;
use std::ops::{Deref, Range};

/// Positions that are compared together; two SSE or one AVX-512 register.
const CHUNK: usize = 64;

/// Longest run of digits and semicolons that is looked through for the start of a colour sequence.
const COLOUR_BYTES_MAX: usize = 24;

/// What stands before a place decides about a border there; more bytes than this never do.
pub const CONTEXT_BYTES: usize = COLOUR_BYTES_MAX + 3;

/// A word or phrase that is ready to be looked for. It is never empty and reads as the string that
/// was typed.
#[derive(Clone, PartialEq, Eq)]
pub struct Needle {
    text: Box<str>,
    border_before: bool,
    border_after: bool,
    whole: bool,
    finder: Finder,
}

#[derive(Clone, PartialEq, Eq)]
enum Finder {
    /// Lower-case bytes, and two of their positions with the bits that tell case.
    Ascii {
        lower: Box<[u8]>,
        rare: [(usize, u8, u8); 2],
    },
    /// Each letter in its one or two forms.
    Letters(Box<[Letter]>),
}

#[derive(Clone, PartialEq, Eq)]
struct Letter {
    forms: [Box<str>; 2],
}

impl Needle {
    /// A whole word or phrase. `None` for the empty string.
    pub fn whole(text: &str) -> Option<Self> {
        Self::new(text, true)
    }

    /// A word that may go on. `None` for the empty string.
    pub fn prefix(text: &str) -> Option<Self> {
        Self::new(text, false)
    }

    fn new(text: &str, whole: bool) -> Option<Self> {
        let (first, last) = (text.chars().next()?, text.chars().next_back()?);
        let finder = if text.is_ascii() {
            let lower: Box<[u8]> = text.to_ascii_lowercase().into_bytes().into();
            let rare = rarest_two(&lower);
            Finder::Ascii { lower, rare }
        } else {
            let letter = |c: char| Letter {
                forms: [c, partner(c).unwrap_or(c)].map(|c| c.to_string().into_boxed_str()),
            };
            Finder::Letters(text.chars().map(letter).collect())
        };
        Some(Self {
            text: text.into(),
            border_before: needs_border(first),
            border_after: whole && needs_border(last),
            whole,
            finder,
        })
    }

    /// The word as it was typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the word may go on in the text.
    pub fn is_prefix(&self) -> bool {
        !self.whole
    }

    /// Whether the needle occurs in the text.
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.find(text, 0).is_some()
    }

    /// Whether it needs a border before and after it.
    pub fn borders(&self) -> (bool, bool) {
        (self.border_before, self.border_after)
    }

    /// The first place at or after `from` where its letters stand, whatever stands around them.
    pub fn find_letters(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        match &self.finder {
            Finder::Ascii { lower, rare } => find_ascii(text, from, lower, rare),
            Finder::Letters(letters) => find_letters(text, from, letters),
        }
    }

    /// The first place at or after `from` where the needle occurs, in bytes. The text before
    /// `from` counts as context for the border.
    pub fn find(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        let mut from = from;
        loop {
            let found = self.find_letters(text, from)?;
            let borders = (!self.border_before || !letter_ends_at(text, found.start))
                && (!self.border_after || !letter_starts_at(text, found.end));
            if borders {
                return Some(found);
            }
            from = found.start + 1;
        }
    }
}

impl Deref for Needle {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Needle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl fmt::Display for Needle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The letter's other case, where there is exactly one and it leads back.
fn partner(c: char) -> Option<char> {
    fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
        let first = chars.next()?;
        chars.next().is_none().then_some(first)
    }
    let other = single(c.to_lowercase()).filter(|l| *l != c && single(l.to_uppercase()) == Some(c));
    other.or_else(|| {
        single(c.to_uppercase()).filter(|u| *u != c && single(u.to_lowercase()) == Some(c))
    })
}

/// The form of a letter by which letters are compared in any case.
pub fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    if c.is_uppercase() {
        partner(c).unwrap_or(c)
    } else {
        c
    }
}

/// Whether two strings are equal in any case.
pub(crate) fn equal_folded(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    a.chars().map(fold).eq(b.chars().map(fold))
}

/// Whether a string begins with another in any case.
pub(crate) fn starts_with_folded(text: &str, start: &str) -> bool {
    let mut text = text.chars().map(fold);
    start.chars().map(fold).all(|c| text.next() == Some(c))
}

/// Whether a character belongs to a word: letters, digits and the underscore.
pub fn is_word_char(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Whether a character belongs to a script that writes words without spaces between them (Chinese,
/// Japanese, Korean). Such characters are words of their own: there is a border at both sides.
pub fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{11ff}'
        | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{3100}'..='\u{318f}'
        | '\u{31a0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ffdc}'
        | '\u{20000}'..='\u{3ffff}')
}

fn needs_border(c: char) -> bool {
    is_word_char(c) && !is_unspaced(c)
}

/// Whether a character that needs a border ends right before `at`. The `m` of a terminal colour
/// sequence (`ESC [ 31 m`) is no letter. At most [`CONTEXT_BYTES`] before `at` are looked at.
pub fn letter_ends_at(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let Some(&last) = before.last() else {
        return false;
    };
    if last == b'm' {
        return !ends_with_colour(before);
    }
    if last.is_ascii() {
        return last == b'_' || last.is_ascii_alphanumeric();
    }
    (2..=4).any(|n| {
        before
            .len()
            .checked_sub(n)
            .and_then(|start| std::str::from_utf8(before.get(start..)?).ok())
            .and_then(|s| {
                let mut chars = s.chars();
                chars.next().filter(|_| chars.next().is_none())
            })
            .is_some_and(needs_border)
    })
}

/// Whether a character that needs a border starts at `at`. At most 4 bytes are looked at.
pub fn letter_starts_at(text: &[u8], at: usize) -> bool {
    let after = text.get(at..).unwrap_or_default();
    let Some(&first) = after.first() else {
        return false;
    };
    if first.is_ascii() {
        return first == b'_' || first.is_ascii_alphanumeric();
    }
    (2..=4).any(|n| {
        after
            .get(..n)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .and_then(|s| {
                let mut chars = s.chars();
                chars.next().filter(|_| chars.next().is_none())
            })
            .is_some_and(needs_border)
    })
}

/// Whether the bytes end with a terminal colour sequence: `ESC [`, digits and semicolons, `m`.
fn ends_with_colour(before: &[u8]) -> bool {
    let Some((b'm', rest)) = before.split_last() else {
        return false;
    };
    let numbers = rest
        .iter()
        .rev()
        .take(COLOUR_BYTES_MAX)
        .take_while(|b| b.is_ascii_digit() || **b == b';')
        .count();
    rest.get(..rest.len() - numbers)
        .is_some_and(|head| head.ends_with(b"\x1b["))
}

/// The bit that tells a letter's case, else 0.
fn case_bit(byte: u8) -> u8 {
    if byte.is_ascii_alphabetic() { 0x20 } else { 0 }
}

/// How often a byte occurs in logs, roughly; the higher the more often.
fn frequency(byte: u8) -> u8 {
    const OFTEN: &[u8] = b" e0t1aoinsr2d:l-c.3u5m4p/687g9=h\"f,[]v_w()bykx{}jqz";
    match OFTEN.iter().position(|b| *b == byte) {
        Some(rank) => u8::try_from(255 - rank * 4).unwrap_or(20),
        None => 10,
    }
}

/// Positions, case bits and values of the two rarest bytes.
fn rarest_two(lower: &[u8]) -> [(usize, u8, u8); 2] {
    let mut order: Vec<usize> = (0..lower.len()).collect();
    order.sort_by_key(|&i| lower.get(i).map_or(u8::MAX, |b| frequency(*b)));
    let pick = |n: usize| {
        let at = order.get(n).or(order.first()).copied().unwrap_or_default();
        let byte = lower.get(at).copied().unwrap_or_default();
        let bit = case_bit(byte);
        (at, bit, byte | bit)
    };
    [pick(0), pick(1)]
}

fn find_ascii(
    text: &[u8],
    from: usize,
    lower: &[u8],
    rare: &[(usize, u8, u8); 2],
) -> Option<Range<usize>> {
    let n = lower.len();
    // One past the last position where the needle can start.
    let end = text.len().checked_sub(n)? + 1;
    let [(a, a_bit, a_byte), (b, b_bit, b_byte)] = *rare;
    let here = |at: usize| {
        text.get(at..at + n)
            .is_some_and(|window| window.eq_ignore_ascii_case(lower))
            .then_some(at..at + n)
    };
    let mut at = from;
    // Fast path: whole chunks, without a branch per byte.
    while at + CHUNK <= end {
        let (Some(xs), Some(ys)) = (
            text.get(at + a..at + a + CHUNK),
            text.get(at + b..at + b + CHUNK),
        ) else {
            break;
        };
        let mut any = 0u8;
        for (x, y) in xs.iter().zip(ys) {
            any |= u8::from((x | a_bit) == a_byte) & u8::from((y | b_bit) == b_byte);
        }
        if any != 0 {
            for (i, (x, y)) in xs.iter().zip(ys).enumerate() {
                if (x | a_bit) == a_byte
                    && (y | b_bit) == b_byte
                    && let Some(found) = here(at + i)
                {
                    return Some(found);
                }
            }
        }
        at += CHUNK;
    }
    // Slow path: the rest, which is shorter than a chunk.
    let rest = text.get(at + a..end + a)?;
    rest.iter()
        .enumerate()
        .filter(|(_, x)| (**x | a_bit) == a_byte)
        .find_map(|(i, _)| here(at + i))
}

fn find_letters(text: &[u8], from: usize, letters: &[Letter]) -> Option<Range<usize>> {
    let first = letters.first()?;
    let [x, y] = [&first.forms[0], &first.forms[1]]
        .map(|form| form.as_bytes().first().copied().unwrap_or_default());
    let mut at = from;
    loop {
        at += memchr::memchr2(x, y, text.get(at..)?)?;
        if let Some(end) = letters_end(text, at, letters) {
            return Some(at..end);
        }
        at += 1;
    }
}

/// Where the letters end that begin at `at`, if they all stand there.
fn letters_end(text: &[u8], at: usize, letters: &[Letter]) -> Option<usize> {
    let mut end = at;
    for letter in letters {
        let rest = text.get(end..)?;
        let form = letter
            .forms
            .iter()
            .find(|form| rest.starts_with(form.as_bytes()))?;
        end += form.len();
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(needle: &str, text: &[u8], expected: bool) {
        let found = Needle::whole(needle).expect("not empty").is_in(text);
        assert_eq!(found, expected, "{needle:?} in {}", text.escape_ascii());
    }

    #[test]
    fn words_have_borders_and_no_case() {
        check("error", b"an ERROR occurred", true);
        check("error", b"errors", false);
        check("error", b"my_error", false);
        check("error", b"errors but then error", true);
        check("error", b"\xff\xfeerror\xff", true);
        check("12:30:05", b"2026-11-23T12:30:05Z", false);
        check("12:30:05", b"2026-11-23T12:30:05.123", false);
        check("12:30:05", b"at 12:30:05.123", true);
        check("/api/", b"GET /api/users", true);
        check("=5", b"a=5 b", true);
        check("=5", b"a=50", false);
        check("\u{e9}t\u{e9}", "L'\u{c9}T\u{c9}!".as_bytes(), true);
        check("\u{436}\u{436}", "x\u{416}\u{416}".as_bytes(), false);
        check("abc", "\u{e9}abc".as_bytes(), false);
        check("abc", "abc\u{e9}".as_bytes(), false);
        check("k", "\u{212a}".as_bytes(), false);
    }

    #[test]
    fn unspaced_scripts_need_no_borders() {
        check("登录", "用户登录失败".as_bytes(), true);
        check("error", "发生error了".as_bytes(), true);
        check("ログ", "エラーログ2".as_bytes(), true);
    }

    #[test]
    fn a_colour_sequence_is_a_border() {
        check("error", b"\x1b[31merror\x1b[0m", true);
        check("error", b"\x1b[1;31merror\x1b[0m", true);
        check("error", b"[31merror", false);
    }

    #[test]
    fn a_prefix_may_go_on() {
        let needle = Needle::prefix("time").expect("not empty");
        assert!(needle.is_in(b"a TIMEOUT"));
        assert!(!needle.is_in(b"runtime"));
        assert_eq!(needle.find(b"runtime times", 0), Some(8..12));
        assert_eq!(Needle::whole(""), None);
    }

    /// What the words on `Filter::Word` say, written down as plainly as can be.
    fn reference(needle: &str, text: &str) -> bool {
        let needle: Vec<char> = needle.chars().collect();
        let text: Vec<char> = text.chars().collect();
        let blocks = |side: Option<&char>, own: char| {
            needs_border(own) && side.is_some_and(|c| needs_border(*c))
        };
        (0..text.len()).any(|at| {
            let Some(window) = text.get(at..at + needle.len()) else {
                return false;
            };
            window
                .iter()
                .zip(&needle)
                .all(|(a, b)| fold(*a) == fold(*b))
                && !blocks(at.checked_sub(1).and_then(|i| text.get(i)), needle[0])
                && !blocks(text.get(at + needle.len()), needle[needle.len() - 1])
        })
    }

    proptest! {
        #[test]
        fn finds_what_the_reference_finds(
            needle in "[aAbB_ .éÉжЖ登1]{1,4}",
            text in "[aAbB_ .éÉжЖ登1]{0,160}",
        ) {
            let found = Needle::whole(&needle).expect("not empty").is_in(text.as_bytes());
            prop_assert_eq!(found, reference(&needle, &text));
        }

        #[test]
        fn finds_ascii_in_long_texts(
            needle in "[abAB]{1,5}",
            text in "[abAB ]{0,400}",
        ) {
            let found = Needle::whole(&needle).expect("not empty").is_in(text.as_bytes());
            prop_assert_eq!(found, reference(&needle, &text));
        }

        #[test]
        fn takes_any_bytes(
            needle in "\\PC{1,8}",
            text in proptest::collection::vec(any::<u8>(), 0..300),
            from in 0usize..400,
        ) {
            let needle = Needle::whole(&needle).expect("not empty");
            if let Some(found) = needle.find(&text, from) {
                prop_assert!(found.start >= from && found.end <= text.len());
            }
        }

        #[test]
        fn finds_itself(word in "[\\w.:/-]{1,12}", before in " {0,90}") {
            let text = format!("{before}{word} x");
            prop_assert!(Needle::whole(&word).expect("not empty").is_in(text.as_bytes()));
        }
    }
}
