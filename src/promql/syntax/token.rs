//! Cuts an expression into tokens with their places.
//!
//! What a character means depends on where it stands: between braces every word is a label's
//! name, between brackets a colon divides range and step. The first thing that is no token ends
//! the list as a token of kind [`Kind::Bad`]: the parser reports it when it gets there, so that an
//! earlier mistake is reported first.

use super::error::error_at;
use crate::value::QueryError;

/// Longest expression, bytes. Generated rules of public projects stay under 10 KB.
const EXPRESSION_BYTES_MAX: usize = 256 << 10;

/// Deepest tree: nested brackets, and operators in a row, which nest to the left. Each level is
/// one of recursion in parsing and evaluating (see `stack.rs`).
const DEPTH_MAX: usize = 400;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Word,
    /// A name with a colon, which can only be a metric's.
    Metric,
    /// A number.
    Number,
    /// A duration.
    Duration,
    /// A string with its quotes.
    Text,
    /// A bracket, comma or colon.
    Mark,
    /// An operator in symbols.
    Operator,
    /// The end of the text.
    End,
    /// Where the text stops being tokens.
    Bad,
}

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    /// As it is written.
    pub(super) text: &'t str,
    /// Where it begins, in characters from the start of the text.
    pub(super) place: usize,
    /// Where it ends, in characters from the start of the text.
    pub(super) end: usize,
}

/// The tokens of a text: at least one, the last of kind `End` or `Bad`.
#[derive(Debug)]
pub(super) struct Tokens<'t> {
    pub(super) list: Vec<Token<'t>>,
    /// What is wrong at a last token of kind `Bad`.
    pub(super) bad: String,
}

impl Token<'_> {
    /// Whether it is a keyword, in whatever case.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is a bracket, comma, colon or operator.
    pub(super) fn is(&self, mark: &str) -> bool {
        matches!(self.kind, Kind::Mark | Kind::Operator) && self.text == mark
    }
}

/// Symbols, those of two characters before those of one.
const SYMBOLS: [&str; 17] = [
    "==", "!=", "<=", "</", "<", ">=", ">/", ">", "=", "+", "-", "*", "/", "%", "^", "@", ",",
];

/// Cuts a text into tokens. White space and comments are left out.
///
/// # Errors
/// Where the text is longer or would nest deeper than we follow.
pub(super) fn scan(text: &str) -> Result<Tokens<'_>, QueryError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let message = format!("the expression is longer than {EXPRESSION_BYTES_MAX} bytes");
        return Err(error_at(text, 0, &message));
    }
    let mut scanner = Scanner {
        text,
        at: 0,
        place: 0,
        open: Vec::new(),
        list: Vec::new(),
    };
    let bad = scanner.run().err();
    let list = scanner.list;
    let (depth, place) = depth_of(&list);
    if depth > DEPTH_MAX {
        let message = format!(
            "the expression nests deeper than {DEPTH_MAX} levels (operators in a row count)"
        );
        return Err(error_at(text, place, &message));
    }
    Ok(Tokens {
        list,
        bad: bad.unwrap_or_default(),
    })
}

/// How deep the tree of a text will be at most.
pub(crate) fn depth(text: &str) -> usize {
    scan(text).map_or(0, |tokens| depth_of(&tokens.list).0)
}

/// How deep the tree will be at most, and the place where it is deepest.
fn depth_of(tokens: &[Token<'_>]) -> (usize, usize) {
    let is_operator = |token: &Token<'_>| {
        (token.kind == Kind::Operator)
            || (token.kind == Kind::Word
                && ["and", "or", "unless", "atan2"]
                    .iter()
                    .any(|word| token.is_word(word)))
    };
    // The operators in a row within each open bracket; a bracket is a level itself.
    let mut rows = vec![0usize];
    let mut now = 0;
    let mut deepest = (0, 0);
    for token in tokens {
        match token.text {
            "(" | "[" | "{" if token.kind == Kind::Mark => {
                rows.push(1);
                now += 1;
            }
            ")" | "]" | "}" if token.kind == Kind::Mark => {
                now -= rows.pop().unwrap_or_default().min(now);
            }
            // A new argument begins a tree of its own.
            "," => {
                if let Some(row) = rows.last_mut() {
                    now -= row.saturating_sub(1);
                    *row = (*row).min(1);
                }
            }
            _ if is_operator(token) => {
                if let Some(row) = rows.last_mut() {
                    *row += 1;
                    now += 1;
                }
            }
            _ => {}
        }
        if now > deepest.0 {
            deepest = (now, token.place);
        }
    }
    deepest
}

struct Scanner<'t> {
    text: &'t str,
    /// The next byte.
    at: usize,
    /// How many characters stand before it.
    place: usize,
    /// The open brackets and their places.
    open: Vec<(char, usize)>,
    list: Vec<Token<'t>>,
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The character `ahead` bytes on, as a byte: what is not ASCII is nobody's number or name.
    fn byte(&self, ahead: usize) -> u8 {
        let byte = self.text.as_bytes().get(self.at + ahead);
        byte.copied().unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        let skipped = self.rest().get(..bytes).unwrap_or_default();
        self.place += characters(skipped);
        self.at += bytes;
    }

    fn push(&mut self, kind: Kind, bytes: usize) {
        let text = self.rest().get(..bytes).unwrap_or_default();
        let place = self.place;
        self.skip(bytes);
        self.list.push(Token {
            kind,
            text,
            place,
            end: self.place,
        });
    }

    /// Ends the list here.
    fn bad<T>(&mut self, message: impl Into<String>) -> Result<T, String> {
        let bytes = self.rest().len();
        self.push(Kind::Bad, bytes);
        Err(message.into())
    }

    /// Ends the list and says that the place is that of a bracket.
    fn unclosed(&mut self, place: usize, message: &str) -> Result<(), String> {
        self.list.push(Token {
            kind: Kind::Bad,
            text: "",
            place,
            end: self.place,
        });
        Err(message.to_owned())
    }

    fn run(&mut self) -> Result<(), String> {
        loop {
            let rest = self.rest();
            let Some(c) = rest.chars().next() else {
                return match self.open.last().copied() {
                    Some(('{', place)) => self.unclosed(
                        place,
                        "unexpected end of input inside braces: this { is never closed",
                    ),
                    Some(('[', place)) => {
                        self.unclosed(place, "unclosed left bracket: this [ is never closed")
                    }
                    Some((_, place)) => {
                        self.unclosed(place, "unclosed left parenthesis: this ( is never closed")
                    }
                    None => {
                        self.push(Kind::End, 0);
                        Ok(())
                    }
                };
            };
            match c {
                ' ' | '\t' | '\n' | '\r' => self.skip(1),
                '#' => self.skip(rest.find(['\n', '\r']).unwrap_or(rest.len())),
                '"' | '\'' | '`' => {
                    let length = self.string_length(c)?;
                    self.push(Kind::Text, length);
                }
                '(' | '[' | '{' => self.opened(c)?,
                ')' | ']' | '}' => self.closed(c)?,
                _ if self.is_in('{') => self.in_braces(c)?,
                _ => self.in_expression(c)?,
            }
        }
    }

    /// Whether the innermost open bracket is this one.
    fn is_in(&self, bracket: char) -> bool {
        self.open.last().is_some_and(|(open, _)| *open == bracket)
    }

    fn opened(&mut self, c: char) -> Result<(), String> {
        if self.is_in('{') {
            let what = if c == '{' {
                "unexpected left brace"
            } else {
                "unexpected character inside braces:"
            };
            return self.bad(format!("{what} {c:?}"));
        }
        if c != '(' && self.open.iter().any(|(open, _)| *open == '[') {
            return self.bad(match c {
                '[' => format!("unexpected left bracket {c:?}"),
                _ => format!("unexpected character in duration expression: {c:?}"),
            });
        }
        self.open.push((c, self.place));
        self.push(Kind::Mark, 1);
        Ok(())
    }

    fn closed(&mut self, c: char) -> Result<(), String> {
        let expected = match c {
            ')' => '(',
            ']' => '[',
            _ => '{',
        };
        match self.open.last().copied() {
            Some((open, _)) if open == expected => {
                self.open.pop();
                self.push(Kind::Mark, 1);
                Ok(())
            }
            Some(('{', _)) => self.bad(format!("unexpected character inside braces: {c:?}")),
            Some((open, place)) => self.bad(format!(
                "unexpected {c:?}: the {open:?} of character {} is still open",
                place + 1
            )),
            None if c == '}' => self.bad("unexpected character: '}'"),
            None => self.bad(format!(
                "unexpected right {} {c:?}",
                if c == ')' { "parenthesis" } else { "bracket" }
            )),
        }
    }

    /// Labels and what they are compared by.
    fn in_braces(&mut self, c: char) -> Result<(), String> {
        match c {
            ',' => self.push(Kind::Mark, 1),
            '=' if self.byte(1) == b'~' => self.push(Kind::Operator, 2),
            '=' => self.push(Kind::Operator, 1),
            '!' if matches!(self.byte(1), b'=' | b'~') => self.push(Kind::Operator, 2),
            '!' => return self.bad("unexpected character after '!' inside braces"),
            _ if is_alphabetic(c) => {
                let length = self.word_length(false);
                self.push(Kind::Word, length);
            }
            _ => return self.bad(format!("unexpected character inside braces: {c:?}")),
        }
        Ok(())
    }

    fn in_expression(&mut self, c: char) -> Result<(), String> {
        let in_range = self.open.iter().any(|(open, _)| *open == '[');
        match c {
            ':' if in_range => self.push(Kind::Mark, 1),
            _ if is_alphabetic(c) || c == ':' => {
                let length = self.word_length(!in_range);
                let word = self.rest().get(..length).unwrap_or_default();
                let kind = if word.contains(':') {
                    Kind::Metric
                } else {
                    Kind::Word
                };
                let is_number = ["inf", "nan"].iter().any(|n| word.eq_ignore_ascii_case(n));
                self.push(if is_number { Kind::Number } else { kind }, length);
            }
            _ if c.is_ascii_digit() || (c == '.' && self.byte(1).is_ascii_digit()) => {
                return self.number();
            }
            '=' if self.byte(1) == b'~' => {
                return self.bad(
                    "unexpected character after '=': '~' (regular expressions compare labels, \
                     inside {…})",
                );
            }
            '!' if self.byte(1) == b'~' => {
                return self.bad(
                    "unexpected character after '!': '~' (regular expressions compare labels, \
                     inside {…})",
                );
            }
            '!' if self.byte(1) != b'=' => {
                return self.bad("unexpected character after '!': write != to compare");
            }
            '&' => return self.bad("unexpected character: '&' (write \"and\")"),
            '|' => return self.bad("unexpected character: '|' (write \"or\")"),
            _ => {
                let rest = self.rest();
                let Some(symbol) = SYMBOLS.iter().find(|s| rest.starts_with(**s)) else {
                    return self.bad(format!("unexpected character: {c:?}"));
                };
                let kind = if *symbol == "," {
                    Kind::Mark
                } else {
                    Kind::Operator
                };
                self.push(kind, symbol.len());
            }
        }
        Ok(())
    }

    fn word_length(&self, with_colons: bool) -> usize {
        let is_part =
            |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || (with_colons && *b == b':');
        let rest = self.rest().as_bytes();
        rest.iter().position(|b| !is_part(b)).unwrap_or(rest.len())
    }

    /// A number or duration: which characters belong to it, whether they make sense or not.
    fn number(&mut self) -> Result<(), String> {
        let bytes = self.rest().as_bytes();
        let (length, is_number) = number_length(bytes);
        if is_number {
            self.push(Kind::Number, length);
            return Ok(());
        }
        match duration_length(bytes, length) {
            Ok(length) => {
                self.push(Kind::Duration, length);
                Ok(())
            }
            Err(length) => {
                let text = self.rest().get(..length).unwrap_or_default().to_owned();
                self.bad(format!("bad number or duration syntax: {text:?}"))
            }
        }
    }

    /// The length of a string with its quotes.
    fn string_length(&mut self, quote: char) -> Result<usize, String> {
        let rest = self.rest();
        let mut chars = rest.char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                _ if c == quote => return Ok(i + 1),
                '\n' if quote != '`' => break,
                '\\' if quote != '`' => {
                    chars.next();
                }
                _ => {}
            }
        }
        if quote == '`' {
            self.bad("unterminated raw string: a ` is missing")
        } else {
            self.bad(format!("unterminated quoted string: a {quote} is missing"))
        }
    }
}

fn characters(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    }
}

fn is_alphabetic(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// How far something that may be a number goes, and whether it is one (as far as characters go).
fn number_length(bytes: &[u8]) -> (usize, bool) {
    let byte = |i: usize| bytes.get(i).copied().unwrap_or_default();
    let mut i = 0;
    let is_hex = byte(0) == b'0' && matches!(byte(1), b'x' | b'X');
    if is_hex {
        i = 2;
        if byte(i) == b'_' {
            i += 1;
        }
    }
    let is_digit = |b: u8| b.is_ascii_digit() || (is_hex && b.is_ascii_hexdigit());
    let (mut has_dot, mut has_exponent) = (false, false);
    if byte(i) == b'.' {
        has_dot = true;
        i += 1;
    }
    loop {
        match byte(i) {
            b if is_digit(b) => i += 1,
            b'.' => {
                i += 1;
                // A hexadecimal number has no fraction.
                if has_dot || is_hex || matches!(byte(i), b'_' | b'.') {
                    return (i, false);
                }
                has_dot = true;
            }
            b'e' | b'E' => {
                i += 1;
                if has_exponent {
                    return (i, false);
                }
                has_exponent = true;
                if matches!(byte(i), b'+' | b'-') {
                    i += 1;
                }
                if matches!(byte(i), b'.' | b'_' | b'e' | b'E' | 0) {
                    return (i, false);
                }
            }
            b'_' => {
                i += 1;
                if matches!(byte(i), b'.' | b'_' | b'e' | b'E' | 0) {
                    return (i, false);
                }
            }
            next => return (i, !is_alphanumeric(next)),
        }
    }
}

/// How far a duration goes whose first digits end at `i`; else how far it makes sense.
fn duration_length(bytes: &[u8], mut i: usize) -> Result<usize, usize> {
    let byte = |i: usize| bytes.get(i).copied().unwrap_or_default();
    let unit = |i: &mut usize, units: &[u8]| {
        if !units.contains(&byte(*i)) {
            return false;
        }
        *i += 1;
        // Of ms; what is no unit is found when the duration is read.
        *i += usize::from(byte(*i) == b's');
        true
    };
    if !unit(&mut i, b"smhdwy") {
        return Err((i + 1).min(bytes.len()));
    }
    while byte(i).is_ascii_digit() {
        while byte(i).is_ascii_digit() {
            i += 1;
        }
        if !unit(&mut i, b"smhdw") {
            return Err((i + 1).min(bytes.len()));
        }
    }
    if is_alphanumeric(byte(i)) {
        return Err(i + 1);
    }
    Ok(i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_tokens_and_skips_comments() {
        let tokens = scan("rate(a:b{c=~\"d)\"}[5m:1m]) # (\n >= bool 1e-3").expect("scans");
        let texts: Vec<&str> = tokens.list.iter().map(|t| t.text).collect();
        assert_eq!(
            texts,
            [
                "rate", "(", "a:b", "{", "c", "=~", "\"d)\"", "}", "[", "5m", ":", "1m", "]", ")",
                ">=", "bool", "1e-3", ""
            ]
        );
        assert_eq!(tokens.list.last().map(|t| t.kind), Some(Kind::End));
    }

    #[test]
    fn places_count_characters() {
        let tokens = scan("{a=\"ä\"} + ü").expect("short");
        let last = tokens.list.last().expect("some");
        assert_eq!((last.kind, last.place), (Kind::Bad, 10));
    }

    #[test]
    fn tells_numbers_from_durations() {
        let check = |text: &str, kind: Kind| {
            let tokens = scan(text).expect("short");
            assert_eq!(tokens.list.first().map(|t| t.kind), Some(kind), "{text}");
        };
        for number in [
            "1", "1.", ".5", "1e5", "1E-5", "0x1F", "0x_1f", "1_000", "inf", "NaN",
        ] {
            check(number, Kind::Number);
        }
        for duration in ["5m", "1h30m", "10ms", "1.5h", "2y1w", "1m1m"] {
            check(duration, Kind::Duration);
        }
        for bad in [
            "1e", "1__0", "1..2", "0b1", "1_", "5x", "1h30", "5mm", "1e5e5", "0x1.5",
        ] {
            check(bad, Kind::Bad);
        }
    }

    #[test]
    fn what_would_overflow_the_stack_is_refused() {
        for text in [
            format!("{}1{}", "(".repeat(500), ")".repeat(500)),
            format!("1{}", "+1".repeat(500)),
            format!("{}1", "-".repeat(500)),
            format!("x[{}1{}]", "(".repeat(500), ")".repeat(500)),
        ] {
            let error = scan(&text).expect_err("too deep");
            assert!(error.message.contains("deeper"), "{error}");
        }
        let wide = format!("label_join(x, \"y\", \"\"{})", ", \"l\"".repeat(1000));
        assert!(scan(&wide).is_ok(), "many arguments are not deep");
    }
}
