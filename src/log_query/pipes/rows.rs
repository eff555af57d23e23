//! Reads the pipes that choose and order lines or rows: `where`, `fields`, `drop`, `sort`,
//! `limit`, `uniq`; and the names and numbers of all of them.

use std::ops::Range;

use crate::parse::Parser;
use crate::pipes::leading_word;
use crate::pipes::scope::Scope;
use crate::plan::{Pipe, SortKey, TIME, TOP_DEFAULT};
use crate::query::{MESSAGE, QueryError};
use crate::term::field_name;

/// The largest number of rows or lines that a pipe can ask for.
pub const ROWS_MAX: usize = 100_000;

impl Parser<'_> {
    /// `where status:>=500 or timeout`.
    pub(super) fn where_pipe(&mut self, start: usize, scope: &Scope) -> Result<Pipe, QueryError> {
        self.skip_space();
        if self.at_end_of_pipe() {
            let example = if scope.is_table() {
                "where count > 5"
            } else {
                "where status >= 500"
            };
            return Err(self.error(
                start,
                format!("a filter must follow where, such as {example}"),
                None,
            ));
        }
        let at = self.at;
        let filter = self.filter_of_where()?;
        self.check_filter(&filter, at, scope)?;
        Ok(Pipe::Where(filter))
    }

    /// The names of `fields a, b`, `drop (a, b)`, `top 10 by (a)`; at least one.
    pub(super) fn names_of(
        &mut self,
        pipe: &str,
        start: usize,
        scope: &Scope,
    ) -> Result<Vec<String>, QueryError> {
        self.skip_space();
        self.eat_word("by");
        self.skip_space();
        let open = self.at;
        let brackets = self.eat('(');
        let mut names: Vec<String> = Vec::new();
        loop {
            self.skip_space();
            if self.at_end_of_pipe() {
                return Err(self.error(
                    start,
                    format!("{pipe} needs the name of a field, as in {pipe} status"),
                    None,
                ));
            }
            let (name, range) = self.name("a field")?;
            self.check_name(&name, range, scope)?;
            if !names.contains(&name) {
                names.push(name);
            }
            self.skip_space();
            if !self.eat(',') {
                break;
            }
        }
        if brackets && !self.eat(')') {
            return Err(self.not_closed(open));
        }
        Ok(names)
    }

    /// `sort by (count desc, path)`, `sort count desc`, `sort by (count) desc`.
    pub(super) fn sort(&mut self, start: usize, scope: &Scope) -> Result<Pipe, QueryError> {
        self.skip_space();
        self.eat_word("by");
        self.skip_space();
        let open = self.at;
        let brackets = self.eat('(');
        let mut keys = Vec::new();
        loop {
            self.skip_space();
            if self.at_end_of_pipe() {
                return Err(self.error(
                    start,
                    "what to sort by is missing, as in sort by (took desc)",
                    None,
                ));
            }
            let minus = self.eat('-');
            let (name, range) = self.name("a field")?;
            self.check_name(&name, range, scope)?;
            self.skip_space();
            let descending = self.direction().unwrap_or(minus);
            keys.push(SortKey { name, descending });
            self.skip_space();
            if !self.eat(',') {
                break;
            }
        }
        if brackets {
            if !self.eat(')') {
                return Err(self.not_closed(open));
            }
            self.skip_space();
            if let Some(descending) = self.direction() {
                for key in &mut keys {
                    key.descending = descending;
                }
            }
        }
        Ok(Pipe::Sort(keys))
    }

    fn direction(&mut self) -> Option<bool> {
        if self.eat_word("desc") || self.eat_word("descending") {
            Some(true)
        } else if self.eat_word("asc") || self.eat_word("ascending") {
            Some(false)
        } else {
            None
        }
    }

    /// `limit 10`.
    pub(super) fn limit(&mut self, start: usize) -> Result<Pipe, QueryError> {
        self.skip_space();
        match self.optional_count()? {
            Some(n) => Ok(Pipe::Limit(n)),
            None if self.at_end_of_pipe() => Ok(Pipe::Limit(TOP_DEFAULT)),
            None => Err(self.error(start, "limit needs a number, as in limit 10", None)),
        }
    }

    /// `uniq by (user)`, `uniq user`, `uniq`.
    pub(super) fn uniq(&mut self, start: usize, scope: &Scope) -> Result<Pipe, QueryError> {
        self.skip_space();
        if !self.at_end_of_pipe() {
            return Ok(Pipe::Uniq(self.names_of("uniq", start, scope)?));
        }
        Ok(Pipe::Uniq(if scope.is_table() {
            Vec::new()
        } else {
            vec![MESSAGE.to_owned()]
        }))
    }

    /// A number of rows, if one stands here.
    pub(super) fn optional_count(&mut self) -> Result<Option<usize>, QueryError> {
        let word = leading_word(self.rest());
        if !word.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(None);
        }
        match word.parse() {
            Ok(n) if (1..=ROWS_MAX).contains(&n) => {
                self.at += word.len();
                Ok(Some(n))
            }
            _ => Err(self.error(
                self.at,
                format!("write a number from 1 to {ROWS_MAX}"),
                None,
            )),
        }
    }

    /// A field that can be there.
    pub(super) fn field(&mut self, scope: &Scope) -> Result<String, QueryError> {
        let (name, range) = self.name("a field")?;
        self.check_name(&name, range, scope)?;
        Ok(name)
    }

    /// A name, plain or in quotes, in full, and where it was typed.
    pub(super) fn name(&mut self, what: &str) -> Result<(String, Range<usize>), QueryError> {
        let (name, range) = self.new_name(what)?;
        let full = match self.full_name(&name) {
            "_time" => TIME,
            "_msg" => MESSAGE,
            name => name,
        };
        Ok((full.to_owned(), range))
    }

    /// A name as it is typed.
    pub(super) fn new_name(&mut self, what: &str) -> Result<(String, Range<usize>), QueryError> {
        let start = self.at;
        let name = match self.peek() {
            Some('"') => self.quoted()?,
            Some('\'') => self.single_quoted().unwrap_or_default().to_owned(),
            _ => {
                let name = field_name(self.rest()).to_owned();
                self.at += name.len();
                name
            }
        };
        if name.is_empty() {
            return Err(self.error(start, format!("{what} must be named here"), None));
        }
        Ok((name, start..self.at))
    }

    pub(super) fn not_closed(&self, open: usize) -> QueryError {
        let word = leading_word(self.rest());
        let end = self
            .text
            .get(..self.at)
            .unwrap_or_default()
            .trim_end()
            .len();
        // Another name follows: it is the comma that is missing.
        if !word.is_empty() {
            return self.error(
                self.at,
                "write a comma between names, or close the bracket",
                self.replaced(end..self.at, ", "),
            );
        }
        self.error(
            open,
            "this bracket is not closed",
            self.replaced(end..end, ")"),
        )
    }

    /// Whether nothing more of this pipe can come.
    pub(super) fn at_end_of_pipe(&self) -> bool {
        self.rest().is_empty() || self.is_pipe_at(self.at)
    }
}
