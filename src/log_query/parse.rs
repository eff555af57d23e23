//! Reads what a person typed.
//!
//! 1. `or` splits, spaces and `and` join, `-`, `!` and `NOT` negate, parentheses group.
//! 2. A term is quoted, a `/regex/`, a field with a test (file `value.rs`), or else a word.
//! 3. From a `|` on there are pipes (folder `pipes`).
//! 4. What looks like syntax but cannot be meant so is a word: `12:30:05`, `http://host`,
//!    `10.0.0.1:80`, `std::fmt`, `main()`, `--verbose`, `don't`. What cannot be understood is an
//!    error that points at its character and says what to write instead.

use regex::bytes::{Regex, RegexBuilder};

use crate::query::{Filter, Query, QueryError};
use crate::value::resolve_name;

/// A longer query is refused.
pub const QUERY_CHARS_MAX: usize = 8192;

/// Groups and negations can be nested so deep: parsing and matching recurse.
pub const GROUPS_DEEP_MAX: usize = 32;

/// A query can have so many terms: each costs on every line.
pub const TERMS_MAX: usize = 256;

/// A regular expression may take so much memory when compiled.
pub const REGEX_BYTES_MAX: usize = 1 << 20;

impl Query {
    /// Understands a query.
    ///
    /// # Errors
    /// Says what is wrong, at which character, and what is probably meant.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        parse_with_spans(text).map(|parsed| parsed.query)
    }

    /// Understands a query where only a filter can be used: a rule, a tail.
    ///
    /// # Errors
    /// As [`Query::parse`]; and a pipe is an error.
    pub fn parse_filter(text: &str) -> Result<Self, QueryError> {
        let Parsed {
            query, pipes_at, ..
        } = parse_with_spans(text)?;
        if query.pipes.is_empty() {
            return Ok(query);
        }
        let filter = text.get(..pipes_at).unwrap_or_default();
        Err(QueryError {
            message: "only a filter can be used here, without pipes".to_owned(),
            position: filter.chars().count(),
            suggestion: Some(filter.trim().to_owned()).filter(|text| !text.is_empty()),
        })
    }

    /// The query that every line satisfies.
    pub fn all() -> Self {
        Self::of(Filter::All)
    }

    /// The query that finds what a filter says, without pipes.
    pub fn of(filter: Filter) -> Self {
        Self {
            filter,
            pipes: Vec::new(),
        }
    }
}

/// A query, and where its parts lie in the text, in bytes.
pub(crate) struct Parsed {
    pub(crate) query: Query,
    /// The terms that must all hold, or the whole filter as one.
    pub(crate) terms: Vec<std::ops::Range<usize>>,
    /// Where the first pipe begins: its `|`, or the end of the text.
    pub(crate) pipes_at: usize,
}

/// Parses a query and tells where its parts lie.
pub(crate) fn parse_with_spans(text: &str) -> Result<Parsed, QueryError> {
    let mut parser = Parser {
        text,
        at: 0,
        deep: 0,
        n_terms: 0,
        spans: Vec::new(),
        in_where: false,
        made: Vec::new(),
    };
    if text.chars().nth(QUERY_CHARS_MAX).is_some() {
        return Err(QueryError {
            message: format!("the query is longer than {QUERY_CHARS_MAX} characters: shorten it"),
            position: QUERY_CHARS_MAX,
            suggestion: None,
        });
    }
    parser.refuse_selector()?;
    parser.skip_space();
    let filter = if parser.at_end_of_group() {
        Filter::All
    } else {
        parser.alternatives(None)?
    };
    if parser.peek() == Some(')') {
        return Err(parser.closes_nothing());
    }
    let terms = std::mem::take(&mut parser.spans);
    let pipes_at = parser.at;
    let pipes = parser.pipes()?;
    Ok(Parsed {
        query: Query { filter, pipes },
        terms,
        pipes_at,
    })
}

/// Compiles a regular expression; the error is a reason on one line.
pub fn compile_regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => format!(
                "this regular expression needs more than {REGEX_BYTES_MAX} bytes of memory: \
                 write it with smaller repetitions"
            ),
            error => format!(
                "not a regular expression: {}",
                error
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
            ),
        })
}

/// Where it stands in the text. Positions are bytes here and characters in errors.
pub(crate) struct Parser<'q> {
    pub(crate) text: &'q str,
    pub(crate) at: usize,
    deep: usize,
    pub(crate) n_terms: usize,
    /// The terms that must all hold, or the whole filter as one.
    spans: Vec<std::ops::Range<usize>>,
    /// In the filter of a `where` comparisons are likelier than texts: `n = 5` is one.
    pub(crate) in_where: bool,
    /// Names that pipes gave to fields and columns: they are never short for others.
    pub(crate) made: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    And,
    Or,
}

impl<'q> Parser<'q> {
    pub(crate) fn rest(&self) -> &'q str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    pub(crate) fn error(
        &self,
        at: usize,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) -> QueryError {
        QueryError {
            message: message.into(),
            position: self.text.get(..at).unwrap_or(self.text).chars().count(),
            suggestion: suggestion
                .map(|s| s.trim().to_owned())
                .filter(|s| !s.is_empty()),
        }
    }

    /// The query with a part of it written differently.
    pub(crate) fn replaced(&self, range: std::ops::Range<usize>, with: &str) -> Option<String> {
        let (before, after) = (self.text.get(..range.start)?, self.text.get(range.end..)?);
        Some(format!("{before}{with}{after}"))
    }

    /// Goes one group or negation deeper.
    pub(crate) fn descend(&mut self) -> Result<(), QueryError> {
        self.deep += 1;
        if self.deep > GROUPS_DEEP_MAX {
            return Err(self.error(
                self.at,
                format!("more than {GROUPS_DEEP_MAX} brackets or negations inside each other"),
                None,
            ));
        }
        Ok(())
    }

    pub(crate) fn ascend(&mut self) {
        self.deep -= 1;
    }

    /// The full name of a field.
    pub(crate) fn full_name<'n>(&self, name: &'n str) -> &'n str {
        if self.made.iter().any(|made| made == name) {
            name
        } else {
            resolve_name(name)
        }
    }

    /// Whether a bracket is open, or a negation.
    pub(crate) fn in_brackets(&self) -> bool {
        self.deep > 0
    }

    /// The error of a bracket that stands here and closes none.
    pub(crate) fn closes_nothing(&self) -> QueryError {
        self.error(
            self.at,
            "this bracket closes nothing: remove it, or write the text in quotes",
            self.replaced(self.at..self.at + 1, ""),
        )
    }

    /// The filter of a `where`, at its first character.
    pub(crate) fn filter_of_where(&mut self) -> Result<Filter, QueryError> {
        self.in_where = true;
        let filter = self.alternatives(None);
        self.in_where = false;
        filter
    }

    /// `a b or c`; with a field, each term is a test of that field.
    pub(crate) fn alternatives(&mut self, field: Option<&str>) -> Result<Filter, QueryError> {
        self.skip_space();
        let start = self.at;
        let mut any = vec![self.all_of(field)?];
        while let Some((Operator::Or, token)) = self.operator() {
            let at = self.at;
            self.at += token.len();
            self.skip_space();
            if self.at_end_of_group() || self.operator().is_some() {
                let suggestion = self.replaced(at..at + token.len(), "");
                return Err(self.error(at, dangling(token), suggestion));
            }
            any.push(self.all_of(field)?);
        }
        if self.deep == 0 && any.len() > 1 {
            let end = start
                + self
                    .text
                    .get(start..self.at)
                    .unwrap_or_default()
                    .trim_end()
                    .len();
            self.spans.clear();
            self.spans.push(start..end);
        }
        Ok(one_or(any, Filter::Or))
    }

    /// `a b -c`.
    fn all_of(&mut self, field: Option<&str>) -> Result<Filter, QueryError> {
        let mut all = Vec::new();
        loop {
            self.skip_space();
            if self.at_end_of_group() {
                break;
            }
            match self.operator() {
                Some((Operator::Or, _)) if !all.is_empty() => break,
                Some((operator, token)) if token != "and" || operator == Operator::Or => {
                    let at = self.at;
                    self.at += token.len();
                    self.skip_space();
                    if all.is_empty() || self.at_end_of_group() || self.operator().is_some() {
                        let suggestion = self
                            .replaced(at..at + token.len(), "")
                            .filter(|text| !text.trim().is_empty())
                            .or_else(|| Some(format!("\"{token}\"")));
                        return Err(self.error(at, dangling(token), suggestion));
                    }
                    continue;
                }
                Some((_, token)) if !all.is_empty() => {
                    // A small `and` joins; where there is nothing to join it is a word.
                    let at = self.at;
                    self.at += token.len();
                    self.skip_space();
                    if !self.at_end_of_group() && self.operator().is_none() {
                        continue;
                    }
                    self.at = at;
                }
                _ => {}
            }
            let start = self.at;
            let filter = self.negatable(field)?;
            if let Some(name) = field {
                self.refuse_two_values(name, start, all.last(), &filter)?;
            }
            if self.deep == 0 {
                self.spans.push(start..self.at);
            }
            all.push(filter);
        }
        if all.is_empty() {
            let before = self.text.get(..self.at).unwrap_or_default().trim_end();
            let open = before.strip_suffix('(').map_or(self.at, str::len);
            let end = self.at + usize::from(self.peek() == Some(')'));
            return Err(self.error(
                open,
                "there is nothing in these brackets",
                self.replaced(open..end, ""),
            ));
        }
        Ok(simplified(all))
    }

    /// `status:(500 503)` cannot be meant: a field has one value.
    fn refuse_two_values(
        &self,
        name: &str,
        start: usize,
        last: Option<&Filter>,
        this: &Filter,
    ) -> Result<(), QueryError> {
        use crate::query::FieldTest::Equal;
        let (Some(Filter::Field { test: Equal(_), .. }), Filter::Field { test: Equal(_), .. }) =
            (last, this)
        else {
            return Ok(());
        };
        Err(self.error(
            start,
            format!("{name} can hardly have two values at once: write or between them"),
            self.replaced(start..start, "or "),
        ))
    }

    fn at_end_of_group(&self) -> bool {
        matches!(self.peek(), None | Some(')')) || self.is_pipe_at(self.at)
    }

    /// The operator that stands here, as it is written.
    fn operator(&self) -> Option<(Operator, &'q str)> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')'))
            .unwrap_or(rest.len());
        let token = rest.get(..end)?;
        match token {
            "or" | "OR" | "||" => Some((Operator::Or, token)),
            "and" | "AND" | "&&" => Some((Operator::And, token)),
            _ => None,
        }
    }

    /// `-term`, `!term`, `NOT term`.
    fn negatable(&mut self, field: Option<&str>) -> Result<Filter, QueryError> {
        let start = self.at;
        let rest = self.rest();
        if let Some(after) = rest.strip_prefix("NOT")
            && (after.is_empty() || after.starts_with(|c: char| c.is_whitespace() || c == '('))
        {
            self.at += 3;
            self.skip_space();
            if self.at_end_of_group() || self.operator().is_some() {
                let suggestion = self
                    .replaced(start..start + 3, "")
                    .filter(|text| !text.trim().is_empty())
                    .or_else(|| Some("\"NOT\"".to_owned()));
                return Err(self.error(start, dangling("NOT"), suggestion));
            }
            return self.negated(field);
        }
        let mut chars = rest.chars();
        let negates = match (chars.next(), chars.next()) {
            (Some('-'), Some(next)) => !next.is_whitespace() && !"-=>)".contains(next),
            (Some('!'), Some(next)) => !next.is_whitespace() && !"=)".contains(next),
            _ => false,
        };
        if negates {
            self.at += 1;
            return self.negated(field);
        }
        self.term(field)
    }

    fn negated(&mut self, field: Option<&str>) -> Result<Filter, QueryError> {
        self.descend()?;
        let filter = self.negatable(field)?;
        self.ascend();
        Ok(Filter::Not(Box::new(filter)))
    }
}

fn dangling(operator: &str) -> String {
    match operator {
        "NOT" => "NOT needs a term after it (to find the word itself, write \"NOT\")".to_owned(),
        operator => format!(
            "{operator} needs a term on both sides (to find the text itself, write \"{operator}\")"
        ),
    }
}

fn one_or(mut filters: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.pop() {
        Some(only) if filters.is_empty() => only,
        Some(last) => {
            filters.push(last);
            many(filters)
        }
        None => Filter::All,
    }
}

/// Leaves out what says nothing.
fn simplified(all: Vec<Filter>) -> Filter {
    let said = all
        .into_iter()
        .filter(|filter| !matches!(filter, Filter::All))
        .collect();
    one_or(said, Filter::And)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_that_look_like_syntax_are_words() {
        for text in [
            "12:30:05",
            "2026-11-23T12:30:05.123Z",
            "http://host:80/path?a=b&c=d",
            "https://host/",
            "10.0.0.1:8080",
            "[::1]:8080",
            "localhost:9090",
            "std::fmt",
            "C:\\temp",
            "main()",
            "connect(2)",
            "--verbose",
            "->",
            "-",
            "!",
            "don't",
            "'tis",
            "foo\"bar",
            "error:",
            "user@host:/x",
            "/var/log/syslog",
            "//",
            "a==b",
            "a=>b",
            "{}",
            "{\"a\":1}",
            "NOTE",
            "oracle",
            "sha256:0123",
            "$5",
            "50%",
            "é",
            ":",
            "::",
            "<nil>",
            "Или",
        ] {
            match Query::parse(text).map(|query| query.filter) {
                Ok(Filter::Word(needle)) => assert_eq!(&*needle, text),
                other => panic!("{text:?} gave {other:?}"),
            }
        }
    }

    #[test]
    fn everything_is_found_by_nothing_and_star() {
        for text in ["", "  ", "*", "**", "\"\"", "(*)"] {
            let filter = Query::parse(text).expect(text).filter;
            assert!(matches!(filter, Filter::All), "{text:?} gave {filter:?}");
        }
    }

    #[test]
    fn errors_point_and_suggest() {
        let check = |text: &str, position: usize, part: &str, suggestion: Option<&str>| {
            let error = Query::parse(text).expect_err(text);
            assert_eq!(error.position, position, "{text}: {error}");
            assert!(error.message.contains(part), "{text}: {error}");
            assert_eq!(error.suggestion.as_deref(), suggestion, "{text}: {error}");
        };
        check("é \"open", 2, "quote", Some("é \"open\""));
        check("a (b", 2, "not closed", Some("a (b)"));
        check("a) b", 1, "closes nothing", Some("a b"));
        check("a or", 2, "both sides", Some("a"));
        check("or", 0, "both sides", Some("\"or\""));
        check("OR a", 0, "both sides", Some("a"));
        check("a NOT", 2, "after it", Some("a"));
        check("a ()", 2, "nothing in these", Some("a"));
        check("( ) a", 0, "nothing in these", Some("a"));
        check("a (", 2, "nothing in these", Some("a"));
        check(") a", 0, "closes nothing", Some("a"));
        check(")", 0, "closes nothing", None);
        check("\"()\" ()", 5, "nothing in these", Some("\"()\""));
        check("error|warn", 5, "or between", Some("error or warn"));
        check("x error|warn", 7, "or between", Some("x (error or warn)"));
        check(
            "level:error|warn",
            11,
            "or between",
            Some("level:(error or warn)"),
        );
        check("level:erorr", 6, "not a level", Some("level:error"));
        check("level:wran", 6, "not a level", Some("level:warn"));
        check("level:40", 6, "not a level", None);
        check(
            "level:error..info",
            6,
            "worse than",
            Some("level:info..error"),
        );
        check(
            "level:>fatal",
            6,
            "no level is > fatal",
            Some("level:fatal"),
        );
        check("level: error", 5, "right after", Some("level:error"));
        check("ns:", 2, "right after", Some("ns:*"));
        check("(ns:) a", 3, "right after", Some("(ns:*) a"));
        check("ns: | count", 2, "right after", Some("ns:* | count"));
        check(
            "status:>=abc",
            7,
            "a number must follow",
            Some("status:abc"),
        );
        check("status:20..10", 7, "more than", Some("status:10..20"));
        check(
            "status:(500 503)",
            12,
            "two values",
            Some("status:(500 or 503)"),
        );
        check("status:!", 7, "missing", None);
        check("/a(/", 0, "regular expression", Some("\"a(\""));
        check("path:/[/", 5, "regular expression", Some("path:\"[\""));
        check("/a{1000}{1000}/", 0, "memory", Some("\"a{1000}{1000}\""));
        check(
            "{app=\"x\", ns!~\"a.*\"} |= \"y\"",
            0,
            "Loki",
            Some("app:\"x\" -ns:/^(a.*)$/"),
        );
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let long = "x".repeat(QUERY_CHARS_MAX + 1);
        let error = Query::parse(&long).expect_err("too long");
        assert_eq!(error.position, QUERY_CHARS_MAX);
        let deep = format!(
            "{}a{}",
            "(".repeat(GROUPS_DEEP_MAX + 1),
            ")".repeat(GROUPS_DEEP_MAX + 1)
        );
        assert!(Query::parse(&deep).is_err());
        assert!(Query::parse(&"(".repeat(QUERY_CHARS_MAX)).is_err());
        assert!(Query::parse(&format!("{}a", "!".repeat(GROUPS_DEEP_MAX + 1))).is_err());
        assert!(Query::parse(&"a ".repeat(TERMS_MAX)).is_ok());
        let error = Query::parse(&"a ".repeat(TERMS_MAX + 1)).expect_err("too many");
        assert_eq!(error.position, 2 * TERMS_MAX);
    }

    proptest! {
        #[test]
        fn never_panics_and_points_into_the_text(text in "\\PC{0,40}") {
            if let Err(error) = Query::parse(&text) {
                prop_assert!(error.position <= text.chars().count());
            }
        }

        #[test]
        fn never_panics_on_syntax(text in r#"([a-c]|é|or|and|NOT|level|ns|status|error|:|=|-|!|\(|\)|"|/|\*|\.\.|5|>|<| |\\|'|\||\{|\}|\[|,|~|\u3000){0,20}"#) {
            if let Err(error) = Query::parse(&text) {
                prop_assert!(error.position <= text.chars().count());
                if let Some(suggestion) = error.suggestion {
                    prop_assert!(!suggestion.trim().is_empty());
                }
            }
        }

        #[test]
        fn quoted_text_is_found_as_it_is(text in "\\PC{1,20}") {
            let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
            match Query::parse(&quoted).map(|query| query.filter) {
                Ok(Filter::Phrase(needle)) => prop_assert_eq!(&*needle, text.as_str()),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
