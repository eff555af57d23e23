//! Goes over a text, character by character, and pushes tokens.

use super::numbers::{duration_length, number_length};
use super::{Kind, Token};

/// Symbols, those of two characters before those of one.
const SYMBOLS: [&str; 17] = [
    "==", "!=", "<=", "</", "<", ">=", ">/", ">", "=", "+", "-", "*", "/", "%", "^", "@", ",",
];

/// The tokens of a text, and what is wrong where they end early.
pub(super) fn scan(text: &str) -> (Vec<Token<'_>>, String) {
    let mut scanner = Scanner {
        text,
        at: 0,
        place: 0,
        open: Vec::new(),
        in_range: false,
        list: Vec::new(),
    };
    let bad = scanner.run().err();
    (scanner.list, bad.unwrap_or_default())
}

struct Scanner<'t> {
    text: &'t str,
    /// The next byte.
    at: usize,
    /// How many characters stand before it.
    place: usize,
    /// The open brackets and their places.
    open: Vec<(char, usize)>,
    /// Whether one of them is a `[`.
    in_range: bool,
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
        if c != '(' && self.in_range {
            return self.bad(match c {
                '[' => format!("unexpected left bracket {c:?}"),
                _ => format!("unexpected character in duration expression: {c:?}"),
            });
        }
        self.open.push((c, self.place));
        self.in_range |= c == '[';
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
                // There is only one at a time.
                self.in_range &= c != ']';
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
        let in_range = self.in_range;
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
