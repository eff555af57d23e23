//! What a line looks like without its details: `user <*> logged in from <*>`.
//!
//! Lines with the same pattern come, as a rule, from the same statement of a program. One pass
//! over the message, without looking anything up, since every line may be asked for its own:
//!
//! 1. What changes from line to line is a hole: everything with a digit in it (numbers, times,
//!    addresses, hex, UUIDs), the value of `key=value`, a quoted word, a mail address, a host with
//!    a port, the random end of a pod's name, the month before a day.
//! 2. Holes that only punctuation or spaces divide are one, so that lists and dates of any length
//!    look the same; a sign before a hole belongs to it; runs of spaces are one.
//! 3. Only the first line of several counts, and no more than [`PATTERN_CHARS_MAX`] of it.
//!
//! The pattern of ordinary words is its own pattern: who has a text with holes in it (a store's
//! template) gets the same as from the line.

use xxhash_rust::xxh3::xxh3_64;

use crate::fields::{Form, is_envelope};
use crate::matches::LineView;

/// Stands for what differs from line to line.
pub const PLACEHOLDER: &str = "<*>";

/// A longer pattern is cut, characters.
pub const PATTERN_CHARS_MAX: usize = 300;

/// A word of only these digits, so long and without a decimal one, is taken for hex.
const HEX_LETTERS_MIN: usize = 8;

/// Length of the random end of a pod's name.
const POD_END_LEN: usize = 5;

/// Punctuation that does not keep two holes apart.
const JOINS: &[u8] = b"-._:/+,;# ";

/// The number of a pattern under which a store keeps it: xxh3 of its text, the same for ever.
pub fn pattern_id(pattern: &str) -> u64 {
    xxh3_64(pattern.as_bytes())
}

/// The pattern of a line: that of its message; of JSON without one, its fields.
pub fn pattern(line: &LineView<'_>) -> String {
    let fields = line.fields();
    if fields.form() == Form::Json && fields.message().is_none() {
        let mut out = String::new();
        for (name, _) in fields.iter().filter(|(name, _)| !is_envelope(name)) {
            let before = out.len();
            if before > 0 {
                out.push(' ');
            }
            out.push_str(name);
            out.push('=');
            out.push_str(PLACEHOLDER);
            // Elements of an array have the same name.
            let (head, tail) = out.split_at(before);
            if head.ends_with(tail) && !tail.is_empty() {
                out.truncate(before);
            }
            if out.len() > PATTERN_CHARS_MAX {
                break;
            }
        }
        return pattern_of(&out);
    }
    pattern_of(&line.message())
}

/// The pattern of a message, see the head of this file.
pub fn pattern_of(message: &str) -> String {
    let mut writer = Writer {
        text: message.as_bytes(),
        message,
        at: 0,
        out: String::with_capacity(message.len().min(PATTERN_CHARS_MAX) + PLACEHOLDER.len()),
        value_end: 0,
    };
    writer.run();
    let mut out = writer.out;
    out.truncate(out.trim_end().len());
    if let Some((end, _)) = out.char_indices().nth(PATTERN_CHARS_MAX) {
        out.truncate(end);
    }
    out
}

struct Writer<'a> {
    text: &'a [u8],
    message: &'a str,
    at: usize,
    out: String,
    /// Where the last value of `key=value` ends in `out`: what follows is not joined to it.
    value_end: usize,
}

impl Writer<'_> {
    fn run(&mut self) {
        while let Some(byte) = self.text.get(self.at).copied() {
            if self.is_full() {
                return;
            }
            match byte {
                b'\n' if !self.out.is_empty() => return,
                0x1b => self.skip_colour(),
                b if b.is_ascii_whitespace() => {
                    self.at += 1;
                    if !self.out.is_empty() && !self.out.ends_with(' ') {
                        self.out.push(' ');
                    }
                }
                b if b.is_ascii_alphanumeric() => self.word(),
                b'"' | b'\'' => self.quote(byte),
                b'=' => self.equals(),
                b'@' => self.address(),
                b'<' if self.rest().starts_with(PLACEHOLDER.as_bytes()) => {
                    self.hole(self.at + PLACEHOLDER.len());
                }
                _ => self.copy_char(),
            }
        }
    }

    fn is_full(&self) -> bool {
        self.out.len() >= PATTERN_CHARS_MAX && self.out.chars().count() >= PATTERN_CHARS_MAX
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn copy_char(&mut self) {
        match self.message.get(self.at..).and_then(|s| s.chars().next()) {
            Some(c) => {
                self.out.push(c);
                self.at += c.len_utf8();
            }
            None => self.at += 1,
        }
    }

    fn copy_to(&mut self, end: usize) {
        self.out
            .push_str(self.message.get(self.at..end).unwrap_or_default());
        self.at = end;
    }

    /// A hole that takes the text up to `end`.
    fn hole(&mut self, end: usize) {
        self.at = end;
        // A sign that is no hyphen.
        let mut before = self.out.trim_end_matches(['-', '+']);
        if before.ends_with(|c: char| c.is_alphanumeric() || c == '>') {
            before = &self.out;
        }
        let joined = before.trim_end_matches(|c: char| c.is_ascii() && JOINS.contains(&(c as u8)));
        let (joined, is_hole) = (joined.len(), joined.ends_with(PLACEHOLDER));
        let before = before.len();
        if is_hole && joined != self.value_end {
            self.out.truncate(joined);
            return;
        }
        self.out.truncate(before);
        self.out.push_str(PLACEHOLDER);
    }

    /// A run of ASCII letters and digits.
    fn word(&mut self) {
        let rest = self.rest();
        if let Some(len) = uuid_len(rest).or_else(|| colons_len(rest)) {
            return self.hole(self.at + len);
        }
        let len = rest
            .iter()
            .position(|b| !b.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let word = rest.get(..len).unwrap_or_default();
        let after = rest.get(len..).unwrap_or_default();
        let end = self.at + len;
        if word.iter().any(u8::is_ascii_digit) {
            self.take_back_host();
            return self.hole(end);
        }
        let hex = len >= HEX_LETTERS_MIN && word.iter().all(u8::is_ascii_hexdigit);
        if hex || self.is_pod_end(word, after) || is_date_word(word, after) {
            return self.hole(end);
        }
        self.copy_to(end);
    }

    /// Behind `host.domain.example:`, where a port comes: the host belongs to it.
    fn take_back_host(&mut self) {
        let Some(before) = self.out.strip_suffix(':') else {
            return;
        };
        let host = |c: char| c.is_ascii_lowercase() || matches!(c, '.' | '-' | '<' | '*' | '>');
        let start = before.trim_end_matches(host).len();
        let name = before.get(start..).unwrap_or_default();
        if name.matches('.').count() >= 2 && !name.starts_with('.') {
            self.out.truncate(start);
        }
    }

    /// `x2k2z` without a digit: five letters of Kubernetes' alphabet, which has no vowels, at the
    /// end of a name with hyphens.
    fn is_pod_end(&self, word: &[u8], after: &[u8]) -> bool {
        word.len() == POD_END_LEN
            && self.out.ends_with('-')
            && !matches!(after.first(), Some(b'-' | b'_'))
            && word.iter().all(|b| b"bcdfghjklmnpqrstvwxz".contains(b))
    }

    /// A quoted word is a value, unless it is the key before a colon; a quoted sentence is text.
    fn quote(&mut self, quote: u8) {
        let opens = !self.out.ends_with(|c: char| c.is_alphanumeric());
        let inner = self.text.get(self.at + 1..).unwrap_or_default();
        let end = inner
            .iter()
            .position(|b| *b == quote || b.is_ascii_whitespace());
        let closed = end.filter(|end| inner.get(*end) == Some(&quote) && *end > 0);
        let Some(end) = closed.filter(|_| opens) else {
            return self.copy_char();
        };
        let after = self.at + 1 + end;
        if self.text.get(after + 1) == Some(&b':') {
            return self.copy_char();
        }
        self.out.push(char::from(quote));
        self.out.push_str(PLACEHOLDER);
        self.out.push(char::from(quote));
        self.at = after + 1;
    }

    /// `key=value`, at the sign.
    fn equals(&mut self) {
        let is_key = self
            .out
            .ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '>');
        let value = self.text.get(self.at + 1..).unwrap_or_default();
        if !is_key || matches!(value.first(), Some(b'=' | b'>' | b'~')) {
            return self.copy_char();
        }
        let len = match value.first() {
            Some(quote @ (b'"' | b'\'')) => value
                .get(1..)
                .and_then(|inner| inner.iter().position(|b| b == quote))
                .map_or(value.len(), |end| end + 2),
            _ => value
                .iter()
                .position(|b| b.is_ascii_whitespace() || b",;)]}&\"'".contains(b))
                .unwrap_or(value.len()),
        };
        self.out.push('=');
        self.out.push_str(PLACEHOLDER);
        self.value_end = self.out.len();
        self.at += 1 + len;
    }

    /// `ana@example.org`, at the sign: all of it is one hole.
    fn address(&mut self) {
        let part = |b: &u8| b.is_ascii_alphanumeric() || b"._-+".contains(b);
        let host = self.text.get(self.at + 1..).unwrap_or_default();
        let len = host.iter().position(|b| !part(b)).unwrap_or(host.len());
        let before = self
            .out
            .trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "._-+<*>".contains(c))
            .len();
        let named = self.out.ends_with(|c: char| c.is_ascii_alphanumeric())
            || self.out.ends_with(PLACEHOLDER);
        if len == 0 || !named {
            return self.copy_char();
        }
        self.out.truncate(before);
        self.hole(self.at + 1 + len);
    }

    /// `ESC [ 31 m`.
    fn skip_colour(&mut self) {
        let rest = self.rest();
        let end = (rest.get(1) == Some(&b'['))
            .then(|| rest.iter().position(u8::is_ascii_alphabetic))
            .flatten();
        self.at += end.map_or(1, |end| end + 1);
    }
}

/// `8-4-4-4-12` hex digits.
fn uuid_len(text: &[u8]) -> Option<usize> {
    const LEN: usize = 36;
    let uuid = text.get(..LEN)?;
    // The hyphens first: they decide almost always.
    let fits = [8, 13, 18, 23].iter().all(|i| uuid.get(*i) == Some(&b'-'))
        && uuid
            .iter()
            .enumerate()
            .all(|(i, b)| matches!(i, 8 | 13 | 18 | 23) || b.is_ascii_hexdigit());
    let ends = !text.get(LEN).is_some_and(u8::is_ascii_alphanumeric);
    (fits && ends).then_some(LEN)
}

/// `12:30:05`, `2001:db8::1`, `ff:f2:9f:15:1f:72`: hex digits with two colons or more, of which
/// one is decimal.
fn colons_len(text: &[u8]) -> Option<usize> {
    /// The longest is an IPv6 address.
    const LEN_MAX: usize = 39;
    if !text.first().is_some_and(u8::is_ascii_hexdigit) {
        return None;
    }
    let len = text
        .iter()
        .take(LEN_MAX + 1)
        .position(|b| !(b.is_ascii_hexdigit() || *b == b':'))
        .unwrap_or_else(|| text.len().min(LEN_MAX + 1));
    if len > LEN_MAX || text.get(len).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let found = text.get(..len)?;
    let found = match found.strip_suffix(b":") {
        Some(before) if !before.ends_with(b":") => before,
        _ => found,
    };
    let colons = memchr::memchr_iter(b':', found).count();
    (colons >= 2 && found.iter().any(u8::is_ascii_digit)).then_some(found.len())
}

/// The month before a day, the weekday before a date.
fn is_date_word(word: &[u8], after: &[u8]) -> bool {
    const MONTHS: &[&[u8]] = &[
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
        b"Dec",
    ];
    const DAYS: &[&[u8]] = &[b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    if word.len() != 3 || !word.first().is_some_and(u8::is_ascii_uppercase) {
        return false;
    }
    let next = after.trim_ascii_start();
    let next = next.strip_prefix(b",").unwrap_or(next).trim_ascii_start();
    let day = next.first().is_some_and(u8::is_ascii_digit) || next.starts_with(b"<*>");
    if MONTHS.contains(&word) {
        // `15/Jun/2005` is a date too.
        return day || after.starts_with(b"/");
    }
    DAYS.contains(&word) && (day || next.get(..3).is_some_and(|m| MONTHS.contains(&m)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Labels, Level};
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        let labels = Labels::default();
        let line = LineView::new(&labels, Level::Info, text.as_bytes());
        assert_eq!(pattern(&line), expected, "{text}");
    }

    #[test]
    fn numbers_times_and_addresses_are_holes() {
        check("took 15 ms", "took <*> ms");
        check("took 15.2ms, -3 left", "took <*> left");
        check("at 10.0.0.1:80 12:30 sharp", "at <*> sharp");
        check("2026-11-23T12:30:05.123Z WARN slow", "<*> WARN slow");
        check("Jun 15 02:04:59 combo up", "<*> combo up");
        check("on Wed Jun 29 14:44:35 2005 done", "on <*> done");
        check("[17/Jun/2005:10:00:00 +0200] up", "[<*>] up");
        check("Addr: fe80::c6b3:1ff:fecd:467f ok", "Addr: <*> ok");
        check("mac ff:f2:9f:15:1f:72 ok", "mac <*> ok");
        check("add: bad", "add: bad");
        check("id 7e7cc42f-3cb9-4dea-aaaa-deadbeefcafe ok", "id <*> ok");
        check("commit deadbeef by", "commit <*> by");
        check(
            "block blk_-66709 and rdd_42_11",
            "block blk_<*> and rdd_<*>",
        );
        check("sizes [1, 2, 3] and [4]", "sizes [<*>] and [<*>]");
        check("up 93% at 0x1f", "up <*>% at <*>");
        check("wait -5 s, a-b", "wait <*> s, a-b");
        check("mail to ana.b@example.org sent", "mail to <*> sent");
        check("dial proxy.cse.cuhk.edu.hk:5070 ok", "dial <*> ok");
        check("at Foo.java:12", "at Foo.java:<*>");
        check("", "");
    }

    #[test]
    fn values_are_holes_and_sentences_are_not() {
        check(
            "failure; uid=0 tty=ssh ruser= user=root",
            "failure; uid=<*> tty=<*> ruser=<*> user=<*>",
        );
        check("x => y, a == b, a = b", "x => y, a == b, a = b");
        check(
            "open \"a.txt\": no such file",
            "open \"a.txt\": no such file",
        );
        check("open \"a.txt\" failed", "open \"<*>\" failed");
        check("user 'ana' can't", "user '<*>' can't");
        check("said \"not now\" again", "said \"not now\" again");
        check(
            "GET /items/15/parts?x=a&y=b",
            "GET /items/<*>/parts?x=<*>&y=<*>",
        );
        check("pod web-7d9c5b8f6c-x2k2z up", "pod web-<*> up");
        check("pod web-7d9c5b8f6c-xkkqz up", "pod web-<*> up");
        check("pod fluent-bit-xkkqz up", "pod fluent-bit-<*> up");
        check("\u{1b}[31merror\u{1b}[0m 5", "error <*>");
        check("用户5登录", "用户<*>登录");
    }

    #[test]
    fn structured_lines_have_the_pattern_of_their_message() {
        check(r#"{"msg":"got 3 items","n":3}"#, "got <*> items");
        check(
            r#"{"ts":1,"status":200,"tags":["a","b"],"path":"/x"}"#,
            "status=<*> tags=<*> path=<*>",
        );
        check("level=info msg=\"got 3 items\" n=3", "got <*> items");
        check("a=1 b=\"x y\"", "a=<*> b=<*>");
        check("boom\n  at f (x.js:1)\n", "boom");
        let long = "wörd ".repeat(200);
        let labels = Labels::default();
        let line = LineView::new(&labels, Level::Info, long.as_bytes());
        assert_eq!(pattern(&line).chars().count(), PATTERN_CHARS_MAX - 1);
    }

    #[test]
    fn numbers_of_patterns_stay_what_they_are() {
        // They are on disk: this must never change.
        assert_eq!(pattern_id("user <*> logged in"), 10_602_422_913_363_491_024);
    }

    proptest! {
        #[test]
        fn a_pattern_of_ordinary_words_is_its_own_pattern(
            text in "(([a-z]{1,4}|[0-9]{1,3}|[a-z]=[0-9]{0,2}|[a-z]_[0-9]|10\\.0\\.0\\.[0-9]|ü|a@b\\.c|\"[a-z][0-9]\"|[a-z]-xkkqz|deadbeef|/[a-z]/[0-9])[,:;.]? ){0,12}",
        ) {
            let once = pattern_of(&text);
            prop_assert_eq!(pattern_of(&once), once, "of {:?}", text);
        }

        #[test]
        fn takes_any_text(text in "\\PC{0,80}") {
            prop_assert!(pattern_of(&text).chars().count() <= PATTERN_CHARS_MAX);
        }

        #[test]
        fn numbers_do_not_matter(a in 0u64.., b in 0u64..) {
            let line = |n: u64| pattern_of(&format!("job {n} took {n}ms in /var/{n}/x [{n}]"));
            prop_assert_eq!(line(a), line(b));
        }
    }
}
