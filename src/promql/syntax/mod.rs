//! From text to a checked expression, and back.
//!
//! 1. `token` cuts the text into tokens and refuses what would be too deep.
//! 2. `parser` makes a tree of them that keeps all that is written.
//! 3. `check` sees whether types, numbers of arguments and selectors fit.
//! 4. [`Expr::settled`] turns the tree into what the evaluator walks over.
//!
//! `print`, `json` and `outline` show the tree as text, as Prometheus' API does, and to people;
//! `signatures` knows what functions take and are for.

mod check;
mod duration;
mod error;
mod expr;
mod json;
mod literal;
mod needed;
mod outline;
mod parser;
mod print;
mod signatures;
mod token;

use model::{MatchOp, Matcher};

pub(crate) use duration::Asked;
pub use duration::Duration;
pub(crate) use expr::{Aggregate, Binary, Group, Matching, Node, Subquery};
pub use expr::{At, Expr, Extent, Selector, ValueKind};
pub use outline::{Outline, OutlineKind};
pub use signatures::{Signature, aggregation_signatures, function_signatures};
pub(crate) use token::depth;

use crate::stack::with_room_for;
use crate::value::{ErrorKind, QueryError};

/// Parses and checks an expression, on this thread's stack.
pub(crate) fn parse_here(text: &str) -> Result<Expr, QueryError> {
    let tokens = token::scan(text)?;
    let mut expr = parser::parse(text, &tokens)?;
    check::check(text, &mut expr)?;
    Ok(expr)
}

/// Parses and checks an expression.
///
/// # Errors
/// `BadData`, with the place, what was expected there, and what was probably meant.
pub fn parse(text: &str) -> Result<Expr, QueryError> {
    with_room_for(text, || parse_here(text))
}

/// An expression as Prometheus' `/api/v1/format_query` writes it: with blanks in their places, and
/// on several lines where one would be longer than 100 characters. Comments are lost.
///
/// # Errors
/// `BadData` when it does not parse, or would take megabytes of blanks.
pub fn format(text: &str) -> Result<String, QueryError> {
    with_room_for(text, || {
        print::pretty(&parse_here(text)?).ok_or_else(|| {
            let message = "the expression nests too deep to be set in lines".to_owned();
            refused(message)
        })
    })
}

/// An expression on one line, in the same form.
///
/// # Errors
/// `BadData` when it does not parse.
pub fn format_line(text: &str) -> Result<String, QueryError> {
    with_room_for(text, || Ok(print::line(&parse_here(text)?)))
}

/// The tree of an expression as Prometheus' `/api/v1/parse_query` gives it.
///
/// # Errors
/// `BadData` when it does not parse.
pub fn tree_json(text: &str) -> Result<serde_json::Value, QueryError> {
    with_room_for(text, || Ok(json::tree(&parse_here(text)?)))
}

/// The structure of an expression for people: what each part does, and where it stands.
///
/// # Errors
/// `BadData` when it does not parse.
pub fn explain(text: &str) -> Result<Outline, QueryError> {
    with_room_for(text, || Ok(outline::outline(&parse_here(text)?)))
}

/// Parses a series selector, such as the `match[]` parameters of Prometheus' API carry.
///
/// # Errors
/// `BadData` when the text is no plain selector or would select everything.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, QueryError> {
    let Node::Selector(selector) = parse(text)?.node else {
        return Err(refused(format!(
            "{text:?} is no series selector such as up{{job=\"node\"}}"
        )));
    };
    let is_plain = selector.offset == Duration::default()
        && selector.at.is_none()
        && selector.extent == Extent::Plain;
    if !is_plain {
        return Err(refused(format!(
            "a series selector takes no offset, no @ and no anchored or smoothed: {text:?}"
        )));
    }
    Ok(selector.matchers)
}

fn refused(message: String) -> QueryError {
    QueryError {
        kind: ErrorKind::BadData,
        message,
        position: None,
    }
}

/// Whether a text is a label name that results may carry.
pub(crate) fn is_label_name(name: &str) -> bool {
    !name.is_empty()
}

/// Whether a matcher fixes the label to one value.
pub(crate) fn fixes_value(matcher: &Matcher) -> bool {
    matcher.op == MatchOp::Equal
}

#[cfg(test)]
mod tests;
