//! Regular expressions as Loki takes them: RE2. The syntax of the regex crate is the same but for
//! character classes, in which it knows classes within classes and operators.

use regex::bytes;

use crate::parse::{REGEX_BYTES_MAX, compile_regex};

/// Compiles an expression for lines.
pub(super) fn for_lines(pattern: &str) -> Result<bytes::Regex, String> {
    compile_regex(&translated(pattern))
}

/// Compiles an expression for texts.
pub(super) fn for_texts(pattern: &str) -> Result<regex::Regex, String> {
    regex::RegexBuilder::new(&translated(pattern))
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default();
            format!(
                "not a regular expression: {}",
                reason.trim_start_matches("error: ")
            )
        })
}

/// The expression with what only the crate understands in classes taken for what it is in RE2:
/// a character.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match c {
            '\\' => {
                out.push(c);
                out.extend(chars.next());
                continue;
            }
            '[' if !in_class => {
                in_class = true;
                out.push(c);
                out.extend(chars.next_if_eq(&'^'));
                // A bracket that stands first belongs to the class.
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
                continue;
            }
            '[' if next == Some(':') => {
                // [:alpha:], up to its own closing bracket.
                out.push(c);
                while let Some(c) = chars.next() {
                    out.push(c);
                    if c == ':' && chars.peek() == Some(&']') {
                        out.extend(chars.next());
                        break;
                    }
                }
                continue;
            }
            '[' => out.push('\\'),
            '&' | '~' if in_class && next == Some(c) => out.push('\\'),
            ']' => in_class = false,
            _ => {}
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_re2() {
        let check = |pattern: &str, text: &str, expected: bool| {
            let regex = for_texts(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(regex.is_match(text), expected, "{pattern} on {text}");
            let regex = for_lines(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(
                regex.is_match(text.as_bytes()),
                expected,
                "{pattern} on {text}"
            );
        };
        check("^[[]$", "[", true);
        check("^[[a]$", "a", true);
        check("^[^[]$", "[", false);
        check("^[]a]+$", "]a", true);
        check("^[[:digit:]x]+$", "1x", true);
        check("^[a&&b]+$", "&b", true);
        check(r"^[\[\]]+$", "[]", true);
        check(r"\[(\w+)\]", "[x]", true);
        assert!(for_texts("[a").is_err() && for_lines("(").is_err());
    }
}
