//! Cuts an expression into tokens with their places.
//!
//! promql-parser says neither where a node stands in the text nor, mostly, where an error is, it
//! panics on some durations, and its tree costs stack and time in proportion to its depth. So we
//! look at the text first: this scan refuses what would be too deep or too long, finds strings
//! and brackets that do not close, and gives the other files of this folder the places.

use crate::value::{ErrorKind, QueryError};

/// Longest expression, bytes. Generated rules of public projects stay under 10 KB.
const EXPRESSION_BYTES_MAX: usize = 256 << 10;

/// Most tokens of an expression: the parser looks at the whole tree below each node.
const TOKENS_MAX: usize = 20_000;

/// Deepest tree: nested brackets, and operators in a row, which nest to the left. Each level is
/// one of recursion in parsing and evaluating (see `stack.rs`).
const DEPTH_MAX: usize = 400;

/// Longest duration that may be written as a number of seconds: some 300 years.
const DURATION_SECONDS_MAX: f64 = 1e10;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A name or a keyword.
    Word,
    /// A number or a duration.
    Number,
    /// A string with its quotes.
    Text,
    /// A bracket, comma or colon.
    Mark,
    /// An operator in symbols.
    Operator,
}

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'t> {
    pub(crate) kind: TokenKind,
    /// As it is written.
    pub(crate) text: &'t str,
    /// Where it begins, in bytes.
    pub(crate) start: usize,
}

impl Token<'_> {
    /// Whether it is a keyword, in whatever case.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }
}

/// Symbols of two characters, before those of one.
const OPERATORS: [&str; 17] = [
    "==", "!=", "=~", "!~", ">=", "<=", "+", "-", "*", "/", "%", "^", "=", "<", ">", "@", "!",
];

/// Operators of other languages, and what to write instead.
const FOREIGN: [(&str, &str); 4] = [
    ("&&", "write \"and\""),
    ("||", "write \"or\""),
    ("&", "write \"and\""),
    ("|", "write \"or\""),
];

/// Cuts a text into tokens. White space and comments are left out.
pub(crate) fn scan(text: &str) -> Result<Vec<Token<'_>>, QueryError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err(error_at(
            text,
            None,
            format!("the expression is longer than {EXPRESSION_BYTES_MAX} bytes"),
        ));
    }
    let mut tokens = Vec::new();
    let mut open: Vec<(char, usize)> = Vec::new();
    let mut start = 0;
    while let Some(c) = text[start..].chars().next() {
        let rest = &text[start..];
        let (kind, length) = match c {
            _ if c.is_whitespace() => {
                start += c.len_utf8();
                continue;
            }
            '#' => {
                start += rest.find(['\n', '\r']).unwrap_or(rest.len());
                continue;
            }
            '"' | '\'' | '`' => (TokenKind::Text, string_length(text, start, c)?),
            '(' | '[' | '{' => {
                open.push((c, start));
                (TokenKind::Mark, 1)
            }
            ')' | ']' | '}' => {
                close(text, &mut open, c, start)?;
                (TokenKind::Mark, 1)
            }
            ',' => (TokenKind::Mark, 1),
            ':' if matches!(open.last(), Some(('[', _))) => (TokenKind::Mark, 1),
            _ if c.is_ascii_alphabetic() || c == '_' || c == ':' => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
                let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                (TokenKind::Word, length)
            }
            _ if c.is_ascii_digit() || c == '.' => (TokenKind::Number, number_length(rest)),
            _ => (TokenKind::Operator, operator_length(text, start)?),
        };
        tokens.push(Token {
            kind,
            text: &rest[..length],
            start,
        });
        start += length;
    }
    if let Some((bracket, place)) = open.pop() {
        return Err(error_at(
            text,
            Some(place),
            format!("{bracket:?} is never closed"),
        ));
    }
    check_size(text, &tokens)?;
    check_durations(text, &tokens)?;
    Ok(tokens)
}

/// Refuses durations written as numbers of seconds that no duration can hold: the parser would
/// panic.
fn check_durations(text: &str, tokens: &[Token<'_>]) -> Result<(), QueryError> {
    let mut in_range = false;
    let mut after_offset = false;
    for token in tokens {
        match token.text {
            "[" => in_range = true,
            "]" => in_range = false,
            "+" | "-" if after_offset => continue,
            _ if in_range || after_offset => {
                let seconds = token.text.parse::<f64>();
                if seconds.is_ok_and(|s| s.is_nan() || s.abs() > DURATION_SECONDS_MAX) {
                    return Err(error_at(
                        text,
                        Some(token.start),
                        "a duration of more than 300 years".to_owned(),
                    ));
                }
            }
            _ => {}
        }
        after_offset = token.is_word("offset");
    }
    Ok(())
}

/// Refuses trees that are too large.
fn check_size(text: &str, tokens: &[Token<'_>]) -> Result<(), QueryError> {
    let (depth, place) = depth(tokens);
    if depth > DEPTH_MAX {
        return Err(error_at(
            text,
            Some(place),
            format!(
                "the expression nests deeper than {DEPTH_MAX} levels (operators in a row count)"
            ),
        ));
    }
    if tokens.len() > TOKENS_MAX {
        return Err(error_at(
            text,
            None,
            format!("the expression has more than {TOKENS_MAX} words and symbols"),
        ));
    }
    Ok(())
}

/// How deep the tree will be at most, and the byte where it is deepest.
pub(crate) fn depth(tokens: &[Token<'_>]) -> (usize, usize) {
    let is_operator = |token: &Token<'_>| {
        token.kind == TokenKind::Operator
            || ["and", "or", "unless", "atan2"]
                .iter()
                .any(|w| token.is_word(w))
    };
    // The operators in a row within each open bracket; a bracket is a level itself.
    let mut rows = vec![0usize];
    let mut now = 0;
    let mut deepest = (0, 0);
    for token in tokens {
        match token.text {
            "(" | "[" | "{" if token.kind == TokenKind::Mark => {
                rows.push(1);
                now += 1;
            }
            ")" | "]" | "}" if token.kind == TokenKind::Mark => {
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
            deepest = (now, token.start);
        }
    }
    deepest
}

fn close(
    text: &str,
    open: &mut Vec<(char, usize)>,
    c: char,
    start: usize,
) -> Result<(), QueryError> {
    let expected = match c {
        ')' => '(',
        ']' => '[',
        _ => '{',
    };
    match open.pop() {
        Some((bracket, _)) if bracket == expected => Ok(()),
        Some((bracket, place)) => Err(error_at(
            text,
            Some(start),
            format!(
                "unexpected {c:?}: the {bracket:?} of character {} is still open",
                characters_before(text, place) + 1
            ),
        )),
        None => Err(error_at(
            text,
            Some(start),
            format!("unexpected {c:?}: there is no {expected:?} before it"),
        )),
    }
}

/// The length of a string with its quotes.
fn string_length(text: &str, start: usize, quote: char) -> Result<usize, QueryError> {
    let mut chars = text[start..].char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        match c {
            _ if c == quote => return Ok(i + 1),
            '\n' if quote != '`' => break,
            '\\' if quote != '`' => {
                let next = chars.next().map(|(_, c)| c);
                check_escape(text, start + i, next)?;
            }
            _ => {}
        }
    }
    Err(error_at(
        text,
        Some(start),
        format!("the string is never closed: a {quote} is missing"),
    ))
}

/// Refuses escapes of single bytes above 0x7f: they cannot stand alone in UTF-8.
fn check_escape(text: &str, start: usize, escaped: Option<char>) -> Result<(), QueryError> {
    let digits = &text[start + 1..];
    let byte = match escaped {
        Some('x') => digits.get(1..3).map(|d| u32::from_str_radix(d, 16)),
        Some('0'..='7') => digits.get(..3).map(|d| u32::from_str_radix(d, 8)),
        _ => None,
    };
    if let Some(Ok(0x80..)) = byte {
        return Err(error_at(
            text,
            Some(start),
            "this escape makes the text invalid UTF-8: write the character itself".to_owned(),
        ));
    }
    Ok(())
}

/// The length of a number or duration: digits, letters, and the sign of an exponent.
fn number_length(rest: &str) -> usize {
    let is_hex = rest.starts_with("0x") || rest.starts_with("0X");
    let mut length = 0;
    let mut before = ' ';
    for c in rest.chars() {
        let is_exponent_sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E') && !is_hex;
        if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || is_exponent_sign) {
            break;
        }
        length += 1;
        before = c;
    }
    length
}

fn operator_length(text: &str, start: usize) -> Result<usize, QueryError> {
    let rest = &text[start..];
    if let Some(operator) = OPERATORS.iter().find(|o| rest.starts_with(**o)) {
        return Ok(operator.len());
    }
    if let Some((operator, advice)) = FOREIGN.iter().find(|(o, _)| rest.starts_with(o)) {
        return Err(error_at(
            text,
            Some(start),
            format!("{operator:?} is no operator of PromQL: {advice}"),
        ));
    }
    let c = rest.chars().next().unwrap_or(' ');
    Err(error_at(text, Some(start), format!("unexpected {c:?}")))
}

/// How many characters stand before a byte.
pub(crate) fn characters_before(text: &str, byte: usize) -> usize {
    text.get(..byte).map_or(0, |before| before.chars().count())
}

/// An error in the text, `byte` bytes from its start.
pub(crate) fn error_at(text: &str, byte: Option<usize>, message: String) -> QueryError {
    let position = byte.map(|byte| characters_before(text, byte));
    let message = match position {
        Some(position) => format!("{message} (at character {})", position + 1),
        None => message,
    };
    QueryError {
        kind: ErrorKind::BadData,
        message,
        position,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_tokens_and_skips_comments() {
        let texts: Vec<&str> = scan("rate(a:b{c=~\"d)\"}[5m:1m]) # (\n >= bool 1e-3")
            .expect("scans")
            .iter()
            .map(|t| t.text)
            .collect();
        assert_eq!(
            texts,
            [
                "rate", "(", "a:b", "{", "c", "=~", "\"d)\"", "}", "[", "5m", ":", "1m", "]", ")",
                ">=", "bool", "1e-3"
            ]
        );
    }

    #[test]
    fn says_where_brackets_and_strings_break() {
        let check = |text: &str, position: usize, part: &str| {
            let error = scan(text).expect_err(text);
            assert_eq!(error.position, Some(position), "{text}: {error}");
            assert!(error.message.contains(part), "{text}: {error}");
        };
        check("sum(rate(x[5m])", 3, "never closed");
        check("sum(x))", 6, "no '('");
        check("x[5m)", 4, "'[' of character 2");
        check("x{a=\"b}", 4, "string is never closed");
        check("ä && b", 0, "unexpected");
        check("a && b", 2, "write \"and\"");
        check("x{a=\"\\xff\"}", 5, "UTF-8");
    }

    #[test]
    fn what_would_overflow_the_stack_is_refused() {
        for text in [
            format!("{}1{}", "(".repeat(500), ")".repeat(500)),
            format!("1{}", "+1".repeat(500)),
            format!("{}1", "-".repeat(500)),
        ] {
            let error = scan(&text).expect_err("too deep");
            assert!(error.message.contains("deeper"), "{error}");
        }
        let wide = format!("label_join(x, \"y\", \"\"{})", ", \"l\"".repeat(1000));
        assert!(scan(&wide).is_ok(), "many arguments are not deep");
    }
}
