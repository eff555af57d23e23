//! How deep the tree of a text will be: brackets in brackets, and operators in a row.

use super::{Kind, Token, scan};
use crate::syntax::error::error_at;
use crate::value::QueryError;

/// Deepest tree: nested brackets, and operators in a row, which nest to the left. Each level is
/// one of recursion in parsing and evaluating (see `stack.rs`).
const DEPTH_MAX: usize = 400;

/// Refuses what would nest deeper than we follow.
pub(super) fn check(text: &str, tokens: &[Token<'_>]) -> Result<(), QueryError> {
    let (depth, place) = depth_of(tokens);
    if depth > DEPTH_MAX {
        let message = format!(
            "the expression nests deeper than {DEPTH_MAX} levels (operators in a row count)"
        );
        return Err(error_at(text, place, &message));
    }
    Ok(())
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
