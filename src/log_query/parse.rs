//! Reads what a person typed.
//!
//! 1. `or` splits, spaces and `and` join, `-`, `!` and `NOT` negate, parentheses group
//!    ([`joining`]).
//! 2. A term is quoted, a `/regex/`, a field with a test (file `value.rs`), or else a word.
//! 3. From a `|` on there are pipes (folder `pipes`).
//! 4. What looks like syntax but cannot be meant so is a word: `12:30:05`, `http://host`,
//!    `10.0.0.1:80`, `std::fmt`, `main()`, `--verbose`, `don't`. What cannot be understood is an
//!    error that points at its character and says what to write instead.

mod joining;

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
}

#[cfg(test)]
mod tests;
