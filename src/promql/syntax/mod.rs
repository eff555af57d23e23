//! From text to a checked expression.
//!
//! 1. `scan` cuts the text into tokens and refuses what would be too deep.
//! 2. promql-parser makes a tree of it and checks types.
//! 3. `convert` turns its tree into ours and gives the nodes their places (`places`).
//! 4. Where the parser refuses, `explain` says where and why.

mod convert;
mod duration;
mod explain;
mod expr;
mod places;
mod scan;

use std::panic::catch_unwind;

use model::{MatchOp, Matcher};

pub(crate) use duration::Asked;
pub use duration::Duration;
pub(crate) use expr::{Aggregate, Binary, Group, Matching, Node, Subquery};
pub use expr::{At, Expr, Extent, Selector, ValueKind};

use crate::stack::with_room_for;
use crate::value::{ErrorKind, QueryError};

/// Parses and checks an expression.
pub(crate) fn parse(text: &str) -> Result<Expr, QueryError> {
    let tokens = scan::scan(text)?;
    if tokens.is_empty() {
        return Err(scan::error_at(
            text,
            None,
            "the expression is empty".to_owned(),
        ));
    }
    // The parser has panicked on odd numbers. `scan` refuses those that are known; should there
    // be others, they are a bad query, not the end of whoever asked.
    let parsed = catch_unwind(|| promql_parser::parser::parse(text))
        .unwrap_or_else(|_| Err("a number or duration is out of bounds".to_owned()));
    match parsed {
        Ok(tree) => convert::convert(&tree, &places::places(text, &tokens)),
        Err(refusal) => Err(explain::explain(text, &tokens, &refusal)),
    }
}

/// How deep the tree of a text will be at most; 0 for a text that cannot be cut into tokens.
pub(crate) fn depth(text: &str) -> usize {
    scan::scan(text).map_or(0, |tokens| scan::depth(&tokens).0)
}

/// Parses a series selector, such as the `match[]` parameters of Prometheus' API carry.
///
/// # Errors
/// `BadData` when the text is no plain selector or would select everything.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, QueryError> {
    let expr = with_room_for(text, || parse(text))?;
    let Node::Selector(selector) = expr.node else {
        return Err(QueryError {
            kind: ErrorKind::BadData,
            message: format!("{text:?} is no series selector such as up{{job=\"node\"}}"),
            position: None,
        });
    };
    if selector.offset != Duration::default() || selector.at.is_some() {
        return Err(QueryError {
            kind: ErrorKind::BadData,
            message: format!("a series selector takes no offset and no @: {text:?}"),
            position: None,
        });
    }
    Ok(selector.matchers)
}

impl ValueKind {
    /// The word with its article, for messages.
    pub(crate) fn with_article(self) -> &'static str {
        match self {
            Self::Scalar => "a number",
            Self::Vector => "an instant vector",
            Self::Matrix => "a range vector",
            Self::Text => "a string",
        }
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
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_places() {
        let expr =
            parse("  sum by (a) (rate(x{b=\"c\"}[5m])) / (quantile(0.9, y))").expect("parses");
        assert_eq!(expr.place, Some(2));
        let Node::Binary(binary) = &expr.node else {
            panic!("a division: {expr:?}");
        };
        assert_eq!(binary.rhs.place, Some(37));
        let Node::Aggregate(quantile) = &binary.rhs.node else {
            panic!("an aggregation");
        };
        assert_eq!(quantile.param.as_ref().and_then(|p| p.place), Some(46));
        assert_eq!(quantile.expr.place, Some(51));
    }

    #[test]
    fn errors_say_where_and_what_to_write() {
        let check = |text: &str, position: Option<usize>, part: &str| {
            let error = parse(text).expect_err(text);
            assert_eq!(error.kind, ErrorKind::BadData);
            assert!(error.message.contains(part), "{text}: {error}");
            assert_eq!(error.position, position, "{text}: {error}");
        };
        check("", None, "empty");
        check("# only a comment", None, "empty");
        check("sum(rte(x[5m]))", Some(4), "did you mean \"rate\"?");
        check("summ(x)", Some(0), "did you mean \"sum\"?");
        check("rate(x)", Some(0), "write a range such as [5m]");
        check("sum(x[5m])", None, "rate");
        check("a b", Some(2), "operator is expected");
        check("a + ", Some(4), "ends where");
        check("a + * b", Some(4), "unexpected \"*\"");
        check("a = 1", Some(2), "write == to compare");
        check("a{b=c}", Some(4), "must stand in quotes");
        check("a{b}", Some(2), "comparison is missing");
        check("a{b=\"c\" d=\"e\"}", Some(8), "comma is missing");
        check("x[foo]", Some(2), "a duration such as 5m");
        check("a{b=~\"(\"}", None, "(");
        check("x[1e30]", Some(2), "300 years");
        check("x offset -Inf", Some(10), "300 years");
        check("1 > 2", None, "> bool");
        check("{job=~\".*\"}", None, "at least one non-empty matcher");
        check("info(x)", Some(0), "not supported yet");
        check("a offset 300000y", Some(0), "300 years");
    }

    #[test]
    fn selectors_of_match_parameters() {
        let matchers = parse_selector("up{job=~\"a|b\",x!=\"\"}").expect("a selector");
        let shown: Vec<String> = matchers.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["__name__=\"up\"", "job=~\"a|b\"", "x!=\"\""]);
        assert!(parse_selector("rate(up[5m])").is_err());
        assert!(parse_selector("up offset 5m").is_err());
    }

    #[test]
    fn garbage_never_panics() {
        use proptest::prelude::*;
        let piece = prop_oneof![
            Just("("),
            Just(")"),
            Just("{"),
            Just("}"),
            Just("["),
            Just("]"),
            Just("\""),
            Just("rate"),
            Just("sum"),
            Just("by"),
            Just("on"),
            Just("up"),
            Just("offset"),
            Just("@"),
            Just("5m"),
            Just("1e9999"),
            Just("0x"),
            Just(":"),
            Just("+"),
            Just("=="),
            Just("=~"),
            Just("ä"),
            Just("\\"),
            Just(","),
            Just("bool"),
            Just("\n"),
            Just("start")
        ];
        let text = proptest::collection::vec(piece, 0..24).prop_map(|p| p.join(" "));
        proptest!(|(text in text)| {
            if let Err(error) = parse(&text) {
                prop_assert!(!error.message.is_empty());
                let length = text.chars().count();
                prop_assert!(error.position.is_none_or(|p| p <= length));
            }
        });
    }
}
