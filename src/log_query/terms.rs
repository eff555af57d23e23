//! Edits the text of a query: facets and chips are links to the same query with one term more or
//! less. What the person typed stays as it was typed.

use crate::parse::{Parsed, parse_with_spans};
use crate::query::{Filter, Query};
use crate::text::{written_name, written_value};

/// The term `name:value`, with quotes where they are needed; with `-` before it when `negated`.
pub fn field_term(name: &str, value: &str, negated: bool) -> String {
    let sign = if negated { "-" } else { "" };
    format!(
        "{sign}{}:{}",
        written_name(name),
        written_value(name, value)
    )
}

/// The terms of a query that must all hold, as they were typed; a query with `or` outside of
/// brackets is one term. None for a query that cannot be understood.
pub fn terms(text: &str) -> Vec<String> {
    let Ok(parsed) = parse_with_spans(text) else {
        return Vec::new();
    };
    parsed
        .terms
        .into_iter()
        .filter_map(|span| text.get(span))
        .filter(|term| *term != "*")
        .map(str::to_owned)
        .collect()
}

/// The query with a term added. A term that is there already is not added twice, and one that says
/// the opposite gives way.
pub fn with_term(text: &str, term: &str) -> String {
    let Ok(Parsed {
        query, pipes_at, ..
    }) = parse_with_spans(text)
    else {
        return format!("{} {term}", text.trim());
    };
    let wanted = canonical(term);
    let opposite = opposite(term);
    let mut kept: Vec<String> = terms(text)
        .into_iter()
        .filter(|term| {
            let term = canonical(term);
            term != wanted && Some(&term) != opposite.as_ref()
        })
        .collect();
    if matches!(query.filter, Filter::Or(_)) {
        for term in &mut kept {
            // `a=b` is a field or that text, and one term all the same.
            if term.contains(char::is_whitespace) {
                *term = format!("({term})");
            }
        }
    }
    kept.push(term.to_owned());
    with_pipes(&kept.join(" "), text, pipes_at)
}

/// The query without a term; unchanged where it does not have it.
pub fn without_term(text: &str, term: &str) -> String {
    let unwanted = canonical(term);
    let all = terms(text);
    let kept: Vec<String> = all
        .iter()
        .filter(|term| canonical(term) != unwanted)
        .cloned()
        .collect();
    let Ok(parsed) = parse_with_spans(text) else {
        return text.to_owned();
    };
    if kept.len() == all.len() {
        return text.to_owned();
    }
    with_pipes(&kept.join(" "), text, parsed.pipes_at)
}

/// A new filter with the pipes of the query as they were typed.
fn with_pipes(filter: &str, text: &str, pipes_at: usize) -> String {
    let pipes = text.get(pipes_at..).unwrap_or_default().trim();
    format!("{filter} {pipes}").trim().to_owned()
}

fn canonical(term: &str) -> String {
    Query::parse(term).map_or_else(|_| term.to_owned(), |query| query.text())
}

fn opposite(term: &str) -> Option<String> {
    let query = Query::parse(term).ok()?;
    let filter = match query.filter {
        Filter::Not(filter) => *filter,
        filter => Filter::Not(Box::new(filter)),
    };
    Some(filter.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn terms_are_as_typed() {
        let check = |text: &str, expected: &[&str]| assert_eq!(terms(text), expected, "{text}");
        check("", &[]);
        check("*", &[]);
        check(
            "error  ns:media AND -(a or b) \"x y\"",
            &["error", "ns:media", "-(a or b)", "\"x y\""],
        );
        check(" a or b ", &["a or b"]);
        check("(a b) c=d", &["(a b)", "c=d"]);
        check("\"open", &[]);
    }

    #[test]
    fn terms_come_and_go() {
        let with = |text: &str, term: &str, expected: &str| {
            assert_eq!(with_term(text, term), expected, "{text} + {term}");
        };
        with("", "level:error", "level:error");
        with("*", "level:error", "level:error");
        with("timeout", "level:error", "timeout level:error");
        with("timeout level:err", "level:error", "timeout level:error");
        with("-ns:a b", "namespace:a", "b namespace:a");
        with("namespace:a b", "-namespace:a", "b -namespace:a");
        with("a or b", "level:error", "(a or b) level:error");
        with("a=b", "level:error", "a=b level:error");
        with("a | stats  count()", "b", "a b | stats  count()");
        with("| stats count()", "b", "b | stats count()");
        let without = |text: &str, term: &str, expected: &str| {
            assert_eq!(without_term(text, term), expected, "{text} - {term}");
        };
        without("timeout ns:media x", "namespace:media", "timeout x");
        without("timeout", "timeout", "");
        without("timeout", "other", "timeout");
        without("a or b", "a or b", "");
        without("a b | limit 5", "b", "a | limit 5");
        without("a|limit 5", "a", "|limit 5");
    }

    #[test]
    fn field_terms_are_quoted_where_needed() {
        let check = |name: &str, value: &str, expected: &str| {
            assert_eq!(field_term(name, value, false), expected);
        };
        check("namespace", "media", "namespace:media");
        check("user", "Ana B", "user:\"Ana B\"");
        check("path", "/a/b", "path:/a/b");
        check("path", "/a/", "path:\"/a/\"");
        check("a b", "c", "\"a b\":c");
        check("v", "1..2", "v:\"1..2\"");
        check("v", "x*", "v:\"x*\"");
        check("v", "", "v:\"\"");
        check("app.kubernetes.io/name", "x", "app.kubernetes.io/name:x");
        check("localhost", "80", "\"localhost\":80");
        assert_eq!(field_term("level", "error", true), "-level:error");
    }

    proptest! {
        #[test]
        fn a_field_term_tests_that_value(name in "[\\PC]{1,8}", value in "[\\PC]{1,12}") {
            let term = field_term(&name, &value, false);
            let resolved = crate::value::resolve_name(&name);
            prop_assume!(resolved != "level" && resolved != "message");
            match Query::parse(&term).map(|query| query.filter) {
                Ok(Filter::Field { name: n, test: crate::FieldTest::Equal(v) }) => {
                    prop_assert_eq!(n, resolved);
                    prop_assert_eq!(v, value);
                }
                other => prop_assert!(false, "{term:?} gave {other:?}"),
            }
        }

        #[test]
        fn adding_and_removing_keeps_the_rest(text in "([a-c]|ns:x|\"y z\"| ){0,8}") {
            let term = "k:v";
            let back = without_term(&with_term(&text, term), term);
            prop_assert_eq!(Query::parse(&back).expect("parses").text(), Query::parse(&text).expect("parses").text());
        }
    }
}
