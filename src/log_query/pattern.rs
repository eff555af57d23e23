//! What a line looks like without its details: `user <*> logged in from <*>`.
//!
//! Lines with the same pattern come, as a rule, from the same statement of a program.

use std::fmt::Write;

use xxhash_rust::xxh3::xxh3_64;

use crate::matches::LineView;

/// Stands for what differs from line to line.
pub const PLACEHOLDER: &str = "<*>";

/// A longer pattern is cut, characters.
pub const PATTERN_CHARS_MAX: usize = 300;

/// The pattern of a line: its message with everything that holds a digit replaced by
/// [`PLACEHOLDER`], neighbouring placeholders joined, runs of spaces made one.
pub fn pattern(line: &LineView<'_>) -> String {
    pattern_of(&line.message())
}

/// The pattern of a line by its message.
pub fn pattern_of(message: &str) -> String {
    let mut out = String::new();
    let mut n_chars = 0;
    for word in message.split_whitespace() {
        if n_chars >= PATTERN_CHARS_MAX {
            break;
        }
        let shown = if word.bytes().any(|b| b.is_ascii_digit()) {
            PLACEHOLDER
        } else {
            word
        };
        if shown == PLACEHOLDER && out.ends_with(PLACEHOLDER) {
            continue;
        }
        if !out.is_empty() {
            let _ = out.write_char(' ');
        }
        for c in shown.chars().take(PATTERN_CHARS_MAX - n_chars) {
            out.push(c);
            n_chars += 1;
        }
    }
    out
}

/// The number of a pattern under which a store keeps it: xxh3 of its text, the same for ever.
pub fn pattern_id(pattern: &str) -> u64 {
    xxh3_64(pattern.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Labels, Level};

    #[test]
    fn details_are_left_out() {
        let check = |text: &str, expected: &str| {
            let labels = Labels::default();
            let line = LineView::new(&labels, Level::Info, text.as_bytes());
            assert_eq!(pattern(&line), expected, "{text}");
        };
        check("took 15 ms", "took <*> ms");
        check("at 10.0.0.1 12:30 sharp", "at <*> sharp");
        check(r#"{"msg":"got 3 items","n":3}"#, "got <*> items");
        check("", "");
    }

    #[test]
    fn numbers_of_patterns_stay_what_they_are() {
        // They are on disk: this must never change.
        assert_eq!(pattern_id("user <*> logged in"), 10_602_422_913_363_491_024);
    }
}
