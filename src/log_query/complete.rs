//! What can stand where the cursor is: for completion while a query is typed.
//!
//! The text before the cursor is taken apart at pipes and spaces, not parsed: it is not finished.
//! Whoever asks knows which fields and values there are; this file knows which kind of word is
//! next, and all words of the language.

use crate::pipes::{FUNCTIONS, PIPES, Scope, leading_word, resolve_pipe};
use crate::query::Query;
use crate::term::field_name;
use crate::value::resolve_name;

/// What is expected at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The first character of what is being typed: a completion replaces the text from here.
    pub from: usize,
    /// The character behind it: the cursor.
    pub to: usize,
    /// What was typed of it so far.
    pub typed: String,
    /// What it can become, the likeliest first; empty where nothing is known.
    pub expected: Vec<Expected>,
    /// A filter that finds the lines that the query is about so far, without what is being typed.
    pub filter: String,
}

/// A kind of word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// The name of a label or field, followed by a colon where `colon`.
    Field {
        /// Whether a value comes next.
        colon: bool,
    },
    /// One of these columns.
    Columns(Vec<String>),
    /// A value of this field.
    Value(String),
    /// One of these words of the language.
    Words(&'static [&'static str]),
}

/// What can stand at the cursor, which is before character `at` of the text.
pub fn complete(text: &str, at: usize) -> Completion {
    let end = text.char_indices().nth(at).map_or(text.len(), |(i, _)| i);
    let before = text.get(..end).unwrap_or_default();
    let (bars, quote) = bars_and_quote(before);
    let start = bars.last().map_or(0, |bar| bar + 1);
    let part = before.get(start..).unwrap_or_default();
    // Inside of quotes what is typed begins with the term that they belong to.
    let head = quote.map_or(part, |quote| before.get(start..quote).unwrap_or_default());
    let begin = head.rfind(is_border).map_or(0, |i| i + border_len(head, i));
    let token = part.get(begin..).unwrap_or_default();
    let words = part.get(..part.len() - token.len()).unwrap_or_default();
    let filter = match bars.first() {
        Some(bar) => before.get(..*bar).unwrap_or_default(),
        None => words,
    };
    let filter = match Query::parse_filter(filter) {
        Ok(query) => query.text(),
        Err(_) => "*".to_owned(),
    };
    let columns = bars.last().and_then(|bar| columns(before.get(..*bar)?));
    let typed_at = |typed: &str| before.chars().count() - typed.chars().count();
    let (typed, expected) = if bars.is_empty() {
        in_filter(token, words, None)
    } else {
        in_pipe(token, words, columns)
    };
    // A quote inside which nothing is known.
    let expected = match (quote, &expected[..]) {
        (Some(_), [Expected::Value(_), ..]) | (None, _) => expected,
        (Some(_), _) => Vec::new(),
    };
    Completion {
        from: typed_at(typed),
        to: before.chars().count(),
        typed: typed.to_owned(),
        expected,
        filter,
    }
}

fn is_border(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | ',')
}

fn border_len(text: &str, at: usize) -> usize {
    let c = text.get(at..).and_then(|rest| rest.chars().next());
    c.map_or(1, char::len_utf8)
}

/// Where pipes begin, and the quote that is open at the end.
fn bars_and_quote(text: &str) -> (Vec<usize>, Option<usize>) {
    let mut bars = Vec::new();
    let mut quote = None;
    let mut chars = text.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        match (c, quote) {
            ('\\', Some(_)) => {
                chars.next();
            }
            ('"', Some(_)) => quote = None,
            ('"', None) => quote = Some(i),
            ('|', None) if chars.next_if(|(_, next)| *next == '|').is_none() => bars.push(i),
            _ => {}
        }
    }
    (bars, quote)
}

/// The columns behind a query; `None` where it gives lines or is not understood.
fn columns(text: &str) -> Option<Vec<String>> {
    let query = Query::parse(text).ok()?;
    let mut scope = Scope::lines();
    for pipe in &query.pipes {
        scope.pass(pipe);
    }
    match scope {
        Scope::Table(columns) => Some(columns),
        Scope::Lines { .. } => None,
    }
}

/// A name: a column behind rows, else a field.
fn name(columns: Option<Vec<String>>, colon: bool) -> Expected {
    columns.map_or(Expected::Field { colon }, Expected::Columns)
}

fn in_filter<'t>(
    token: &'t str,
    words: &str,
    columns: Option<Vec<String>>,
) -> (&'t str, Vec<Expected>) {
    let token = token.trim_start_matches(['-', '!']);
    let field = field_name(token);
    let after = token.get(field.len()..).unwrap_or_default();
    if !field.is_empty()
        && let Some(value) = after
            .strip_prefix(':')
            .or_else(|| after.strip_prefix("!="))
            .or_else(|| after.strip_prefix('='))
    {
        let value = value.trim_start_matches(['<', '>', '=', '"', '!']);
        if columns.is_some() {
            return (value, Vec::new());
        }
        return (value, vec![Expected::Value(resolve_name(field).to_owned())]);
    }
    // `level:(error or w`: the field stands before the bracket.
    if let Some(open) = words.rfind('(').filter(|open| {
        !words
            .get(*open..)
            .is_some_and(|inside| inside.contains(')'))
    }) && let Some(head) = words.get(..open).and_then(|head| head.strip_suffix(':'))
    {
        let begin = head.rfind(is_border).map_or(0, |i| i + border_len(head, i));
        let field = head
            .get(begin..)
            .unwrap_or_default()
            .trim_start_matches('-');
        if columns.is_none() && field_name(field) == field && !field.is_empty() {
            return (token, vec![Expected::Value(resolve_name(field).to_owned())]);
        }
    }
    let mut expected = vec![name(columns, true)];
    if !words.trim().is_empty() {
        expected.push(Expected::Words(&["or", "|"]));
    }
    (token, expected)
}

fn in_pipe<'t>(
    token: &'t str,
    words: &str,
    columns: Option<Vec<String>>,
) -> (&'t str, Vec<Expected>) {
    let pipe = leading_word(words.trim_start()).to_ascii_lowercase();
    if pipe.is_empty() {
        return (token, vec![Expected::Words(PIPES)]);
    }
    let rest = words.trim_start().get(pipe.len()..).unwrap_or_default();
    let has = |word: &str| rest.split(is_border).any(|w| w.eq_ignore_ascii_case(word));
    let last = rest.split(is_border).rfind(|word| !word.is_empty());
    let is_last = |word: &str| last.is_some_and(|last| last.eq_ignore_ascii_case(word));
    let expected = match resolve_pipe(&pipe) {
        "where" => return in_filter(token, rest, columns),
        "sort" if last.is_some() && !rest.trim_end().ends_with([',', '(']) && !is_last("by") => {
            vec![Expected::Words(&["desc", "asc"])]
        }
        "sort" => vec![name(columns, false), Expected::Words(&["by"])],
        "parse" | "json" | "logfmt" => {
            if is_last("from") || is_last("json") || is_last("logfmt") {
                vec![name(columns, false)]
            } else {
                vec![Expected::Words(&["json", "logfmt", "from"])]
            }
        }
        "rate" if !has("by") => vec![Expected::Words(&["1m", "5m", "1h", "by"])],
        "patterns" => vec![Expected::Words(&["new", "rare"])],
        "fields" | "drop" | "uniq" | "top" | "rate" => vec![name(columns, false)],
        "stats" | "count" => {
            let open = rest.rfind('(');
            let inside = open.filter(|open| !rest.get(*open..).is_some_and(|r| r.contains(')')));
            if inside.is_some() || has("by") {
                let mut expected = vec![name(columns, false)];
                if has("by") {
                    expected.push(Expected::Words(&["time 1m", "time 5m", "time 1h"]));
                }
                expected
            } else if rest.trim_end().is_empty() || rest.trim_end().ends_with(',') {
                vec![Expected::Words(FUNCTIONS)]
            } else {
                vec![Expected::Words(&["by", "as"])]
            }
        }
        _ => Vec::new(),
    };
    (token, expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `^` marks the cursor.
    fn check(text: &str, typed: &str, filter: &str, expected: &[Expected]) {
        let at = text.chars().position(|c| c == '^').expect("a cursor");
        let found = complete(&text.replace('^', ""), at);
        assert_eq!(found.typed, typed, "{text}");
        assert_eq!(found.filter, filter, "{text}");
        assert_eq!(found.expected, expected, "{text}");
        assert_eq!(found.to - found.from, typed.chars().count(), "{text}");
    }

    #[test]
    fn filters_expect_fields_and_values() {
        let field = Expected::Field { colon: true };
        let more = Expected::Words(&["or", "|"]);
        let value = |name: &str| Expected::Value(name.to_owned());
        check("^", "", "*", std::slice::from_ref(&field));
        check("na^", "na", "*", std::slice::from_ref(&field));
        check("error na^ x", "na", "error", &[field, more]);
        check("é ns:me^", "me", "é", &[value("namespace")]);
        check("-level:>=wa^", "wa", "*", &[value("level")]);
        check("level:(error or w^", "w", "*", &[value("level")]);
        check("app:\"my a^", "my a", "*", &[value("app")]);
        check("\"some te^", "\"some te", "*", &[]);
    }

    #[test]
    fn pipes_expect_their_words() {
        let field = Expected::Field { colon: false };
        check("a | st^", "st", "a", &[Expected::Words(PIPES)]);
        check("a | stats c^", "c", "a", &[Expected::Words(FUNCTIONS)]);
        check("a | stats sum(to^", "to", "a", std::slice::from_ref(&field));
        check(
            "a | stats count() b^",
            "b",
            "a",
            &[Expected::Words(&["by", "as"])],
        );
        check(
            "a | stats count() by (po^",
            "po",
            "a",
            &[
                field.clone(),
                Expected::Words(&["time 1m", "time 5m", "time 1h"]),
            ],
        );
        check("a | top 10 pa^", "pa", "a", &[field]);
        check(
            "a | stats count() as n by (pod) | sort by (^",
            "",
            "a",
            &[
                Expected::Columns(vec!["pod".into(), "n".into()]),
                Expected::Words(&["by"]),
            ],
        );
        check(
            "a | patterns n^",
            "n",
            "a",
            &[Expected::Words(&["new", "rare"])],
        );
        check(
            "a | where ns:x^",
            "x",
            "a",
            &[Expected::Value("namespace".to_owned())],
        );
    }

    proptest! {
        #[test]
        fn takes_any_text(text in "[a-c|:\"()\\\\ é,-]{0,24}", at in 0usize..30) {
            let found = complete(&text, at);
            prop_assert!(found.from <= found.to && found.to <= text.chars().count());
        }
    }
}
