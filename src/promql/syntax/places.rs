//! Where the names, numbers, strings and selectors of an expression stand, in order.
//!
//! promql-parser's tree does not say where its nodes come from. But a walk over the tree from
//! left to right meets them in the order of the text, so a list of places is enough: the walk in
//! `convert.rs` takes the next one at each node. Words that make no node (label lists, matchers,
//! ranges, offsets) are left out here.

use super::scan::{Token, TokenKind, characters_before};

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlaceKind {
    /// A function, aggregation or metric, or the brace of a selector without a name.
    Name,
    /// A number.
    Number,
    /// A string.
    Text,
}

/// The place of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: PlaceKind,
    /// Characters from the start of the text.
    pub(crate) at: usize,
}

/// Words between operands.
const OPERATOR_WORDS: [&str; 5] = ["and", "or", "unless", "atan2", "bool"];

/// Words that a list of labels or a value in parentheses may follow.
pub(crate) const LIST_WORDS: [&str; 9] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "fill",
    "fill_left",
    "fill_right",
];

/// Lists the places of all nodes that have one.
pub(crate) fn places(text: &str, tokens: &[Token<'_>]) -> Vec<Place> {
    let mut places = Vec::new();
    let mut i = 0;
    let mut add = |kind, token: &Token<'_>| {
        places.push(Place {
            kind,
            at: characters_before(text, token.start),
        });
    };
    while let Some(token) = tokens.get(i) {
        i += 1;
        let is_word_of = |words: &[&str]| words.iter().any(|w| token.is_word(w));
        match (token.kind, token.text) {
            (TokenKind::Number, _) => add(PlaceKind::Number, token),
            (TokenKind::Text, _) => add(PlaceKind::Text, token),
            (TokenKind::Word, _) if is_word_of(&["inf", "nan"]) => add(PlaceKind::Number, token),
            (TokenKind::Word, _) if is_word_of(&OPERATOR_WORDS) => {}
            (TokenKind::Word, _) if is_word_of(&LIST_WORDS) => i = skip_group(tokens, i, "(", ")"),
            (TokenKind::Word, _) if is_word_of(&["offset"]) => i = skip_signed(tokens, i),
            (TokenKind::Operator, "@") => i = skip_signed(tokens, i),
            (TokenKind::Word, _) => {
                add(PlaceKind::Name, token);
                i = skip_group(tokens, i, "{", "}");
            }
            (TokenKind::Mark, "{") => {
                add(PlaceKind::Name, token);
                i = skip_group(tokens, i - 1, "{", "}");
            }
            (TokenKind::Mark, "[") => i = skip_group(tokens, i - 1, "[", "]"),
            _ => {}
        }
    }
    places
}

/// Steps over a group in brackets, if one begins here.
pub(crate) fn skip_group(tokens: &[Token<'_>], i: usize, open: &str, close: &str) -> usize {
    if tokens.get(i).is_none_or(|t| t.text != open) {
        return i;
    }
    let length = tokens[i..].iter().position(|t| t.text == close);
    length.map_or(tokens.len(), |length| i + length + 1)
}

/// Steps over the time of an `offset` or `@`: a number with a sign, or `start()`.
pub(crate) fn skip_signed(tokens: &[Token<'_>], mut i: usize) -> usize {
    if tokens.get(i).is_some_and(|t| matches!(t.text, "+" | "-")) {
        i += 1;
    }
    i += usize::from(i < tokens.len());
    skip_group(tokens, i, "(", ")")
}

#[cfg(test)]
mod tests {
    use super::super::scan::scan;
    use super::*;

    #[test]
    fn lists_only_what_makes_a_node() {
        let check = |text: &str, expected: &[usize]| {
            let tokens = scan(text).expect(text);
            let at: Vec<usize> = places(text, &tokens).iter().map(|p| p.at).collect();
            assert_eq!(at, expected, "{text}");
        };
        check(
            "sum by (a, b) (rate(x{c=\"d\"}[5m:1m] offset -5m @ end()))",
            &[0, 15, 20],
        );
        check(
            "a{b=\"1\"} / on (c) group_left (d) {e=\"2\"} > bool 5",
            &[0, 33, 48],
        );
        check(
            "label_replace(v, \"a\", \"b\", \"c\", \"d\") or NaN",
            &[0, 14, 17, 22, 27, 32, 40],
        );
    }
}
