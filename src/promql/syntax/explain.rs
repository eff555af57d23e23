//! Why an expression does not parse: the place, and what to write instead.
//!
//! promql-parser often says no more than that the query is invalid. Once it has refused a text,
//! this file walks over the tokens with a rough grammar (an operand, then an operator, then an
//! operand…), which finds the place of most slips; and it adds advice to the messages that are
//! exact but short.

use super::places::{LIST_WORDS, skip_group, skip_signed};
use super::scan::{Token, TokenKind, error_at};
use crate::aggregations::AggregateOp;
use crate::functions;
use crate::value::QueryError;

/// How much a name may differ from a known one to be suggested (strsim's similarity, 0 to 1).
const SUGGESTION_MIN: f64 = 0.75;

/// Turns the parser's refusal into an error with a place and advice.
pub(super) fn explain(text: &str, tokens: &[Token<'_>], refusal: &str) -> QueryError {
    if let Some(name) = quoted(refusal, "unknown function with name '") {
        let advice = suggestion(name).unwrap_or_default();
        let at = call_of(tokens, name);
        return error_at(text, at, format!("unknown function {name:?}{advice}"));
    }
    // What the walk finds has a place, and it only runs once the parser has refused.
    if let Err(error) = walk(text, tokens) {
        return error;
    }
    if refusal == "invalid promql query" {
        return error_at(text, None, "the expression does not parse".to_owned());
    }
    let name = quoted(refusal, "function '").or_else(|| quoted(refusal, "call to '"));
    let at = name.and_then(|name| call_of(tokens, name));
    error_at(text, at, format!("{refusal}{}", advice(refusal)))
}

/// What stands between a phrase and the next quote.
fn quoted<'t>(text: &'t str, phrase: &str) -> Option<&'t str> {
    let rest = &text[text.find(phrase)? + phrase.len()..];
    rest.split('\'').next()
}

/// Where a function is called.
fn call_of(tokens: &[Token<'_>], name: &str) -> Option<usize> {
    tokens
        .windows(2)
        .find(|pair| pair[0].is_word(name) && pair[1].text == "(")
        .map(|pair| pair[0].start)
}

/// The known function or aggregation nearest to a name.
fn suggestion(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    functions::names()
        .chain(AggregateOp::names())
        .map(|known| (strsim::jaro_winkler(&name, known), known))
        .filter(|(similarity, _)| *similarity >= SUGGESTION_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| format!(", did you mean {known:?}?"))
}

fn advice(refusal: &str) -> &'static str {
    if refusal.starts_with("expected type matrix") && refusal.ends_with("got vector") {
        ": write a range such as [5m] after the selector"
    } else if refusal.starts_with("expected type vector") && refusal.ends_with("got matrix") {
        ": a range such as [5m] needs a function like rate around it"
    } else if refusal.contains("ranges only allowed for vector selectors") {
        ": over an expression write a subquery, such as [5m:]"
    } else if refusal.contains("comparisons between scalars must use BOOL") {
        ": write == bool, > bool, …"
    } else {
        ""
    }
}

/// Finds the first token that cannot stand where it stands.
fn walk(text: &str, tokens: &[Token<'_>]) -> Result<(), QueryError> {
    let mut wants_operand = true;
    let mut i = 0;
    while let Some(token) = tokens.get(i) {
        let fail = |message: String| Err(error_at(text, Some(token.start), message));
        i += 1;
        if wants_operand {
            match (token.kind, token.text) {
                (TokenKind::Operator, "+" | "-") | (TokenKind::Mark, "(") => {}
                (TokenKind::Mark, ")") if i >= 2 && tokens[i - 2].text == "(" => {
                    wants_operand = false;
                }
                (TokenKind::Number | TokenKind::Text, _) => wants_operand = false,
                (TokenKind::Mark, "{") => {
                    check_matchers(text, tokens, i - 1)?;
                    i = skip_group(tokens, i - 1, "{", "}");
                    wants_operand = false;
                }
                (TokenKind::Word, _) => {
                    i = after_name(text, tokens, i)?;
                    wants_operand = tokens.get(i - 1).is_some_and(|t| t.text == "(");
                }
                (_, found) => {
                    return fail(format!(
                        "unexpected {found:?}: a metric, number or function is expected here"
                    ));
                }
            }
        } else {
            let is_word_of = |words: &[&str]| words.iter().any(|w| token.is_word(w));
            match (token.kind, token.text) {
                (TokenKind::Mark, ")") => {}
                (TokenKind::Mark, ",") => wants_operand = true,
                (TokenKind::Mark, "[") => {
                    check_range(text, tokens, i)?;
                    i = skip_group(tokens, i - 1, "[", "]");
                }
                (TokenKind::Operator, "@") => i = skip_signed(tokens, i),
                (TokenKind::Operator, "=") => {
                    return fail("unexpected \"=\": write == to compare".to_owned());
                }
                (TokenKind::Operator, found @ ("=~" | "!~")) => {
                    return fail(format!(
                        "unexpected {found:?}: regular expressions compare labels, inside {{…}}"
                    ));
                }
                (TokenKind::Operator, _) => {
                    wants_operand = true;
                    i = after_operator(tokens, i);
                }
                _ if is_word_of(&["and", "or", "unless", "atan2"]) => {
                    wants_operand = true;
                    i = after_operator(tokens, i);
                }
                _ if is_word_of(&["by", "without"]) => i = skip_group(tokens, i, "(", ")"),
                _ if is_word_of(&["offset"]) => {
                    if tokens.get(i).is_none() {
                        return fail("a duration is missing after offset".to_owned());
                    }
                    i = skip_signed(tokens, i);
                }
                (_, found) => {
                    return fail(format!(
                        "unexpected {found:?}: an operator is expected between two expressions"
                    ));
                }
            }
        }
    }
    if wants_operand {
        let message = "the expression ends where a metric, number or function is expected";
        return Err(error_at(text, Some(text.len()), message.to_owned()));
    }
    Ok(())
}

/// Steps over `by (…)`, a selector's braces or the `(` of a call after a name.
fn after_name(text: &str, tokens: &[Token<'_>], mut i: usize) -> Result<usize, QueryError> {
    let is_list = |t: &Token<'_>| t.is_word("by") || t.is_word("without");
    if tokens.get(i).is_some_and(is_list) && tokens.get(i + 1).is_some_and(|t| t.text == "(") {
        i = skip_group(tokens, i + 1, "(", ")");
    }
    match tokens.get(i).map(|t| t.text) {
        Some("(") => Ok(i + 1),
        Some("{") => {
            check_matchers(text, tokens, i)?;
            Ok(skip_group(tokens, i, "{", "}"))
        }
        _ => Ok(i),
    }
}

/// Steps over `bool`, `on (…)` and their like.
fn after_operator(tokens: &[Token<'_>], mut i: usize) -> usize {
    while let Some(token) = tokens.get(i) {
        if token.is_word("bool") {
            i += 1;
        } else if LIST_WORDS.iter().any(|w| token.is_word(w)) {
            i = skip_group(tokens, i + 1, "(", ")");
        } else {
            break;
        }
    }
    i
}

/// Checks `name = "value"` with commas between, from the opening brace on.
fn check_matchers(text: &str, tokens: &[Token<'_>], open: usize) -> Result<(), QueryError> {
    let end = skip_group(tokens, open, "{", "}");
    let inside = tokens
        .get(open + 1..end.saturating_sub(1))
        .unwrap_or_default();
    for matcher in inside.split(|t| t.text == ",") {
        let Some(first) = matcher.first() else {
            continue;
        };
        let fail = |token: &Token<'_>, message: &str| {
            Err(error_at(text, Some(token.start), message.to_owned()))
        };
        match matcher {
            [name] if name.kind == TokenKind::Text => {}
            [name] => {
                let message = format!("a comparison is missing after the label {:?}", name.text);
                return fail(name, &message);
            }
            [_, op, ..] if !matches!(op.text, "=" | "!=" | "=~" | "!~") => {
                return fail(op, "a label is compared by =, !=, =~ or !~");
            }
            [_, op] => return fail(op, "the value to compare with is missing"),
            [_, _, value] if value.kind == TokenKind::Text => {}
            [_, _, value] => return fail(value, "the value of a label must stand in quotes"),
            [_, _, _, more, ..] => return fail(more, "a comma is missing between two matchers"),
            [] => return fail(first, "unexpected matcher"),
        }
    }
    Ok(())
}

/// Checks that a range begins with a duration.
fn check_range(text: &str, tokens: &[Token<'_>], i: usize) -> Result<(), QueryError> {
    match tokens.get(i) {
        Some(token) if token.kind != TokenKind::Number => Err(error_at(
            text,
            Some(token.start),
            "a duration such as 5m is expected in [ ]".to_owned(),
        )),
        _ => Ok(()),
    }
}
