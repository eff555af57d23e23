//! Cuts an expression into tokens with their places.
//!
//! What a character means depends on where it stands: between braces every word is a label's
//! name, between brackets a colon divides range and step. The first thing that is no token ends
//! the list as a token of kind [`Kind::Bad`]: the parser reports it when it gets there, so that an
//! earlier mistake is reported first.

mod depth;
mod numbers;
mod scanner;

use super::error::error_at;
use crate::value::QueryError;

pub(crate) use depth::depth;

/// Longest expression, bytes. Generated rules of public projects stay under 10 KB.
const EXPRESSION_BYTES_MAX: usize = 256 << 10;

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

/// Cuts a text into tokens. White space and comments are left out.
///
/// # Errors
/// Where the text is longer or would nest deeper than we follow.
pub(super) fn scan(text: &str) -> Result<Tokens<'_>, QueryError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let message = format!("the expression is longer than {EXPRESSION_BYTES_MAX} bytes");
        return Err(error_at(text, 0, &message));
    }
    let (list, bad) = scanner::scan(text);
    depth::check(text, &list)?;
    Ok(Tokens { list, bad })
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
