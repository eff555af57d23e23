//! Reads what stands behind the filter: `| parse … | stats … | sort …`.
//!
//! 1. A `|` that begins a term outside of brackets begins a pipe; inside a word it does so where
//!    the name of a pipe follows (`error|stats count()`). `||` is `or`.
//! 2. Each pipe reads itself (`stats.rs`, `reading.rs`, `rows.rs`) with the [`Scope`] that says
//!    which names can be there, so that a misspelt column is an error and not an empty answer.
//! 3. Words of other languages are either understood (`filter`, `keep`, `head`, `json`: LogsQL and
//!    LogQL) or answered with ours (`select`, `grep`, `summarize`).

mod reading;
mod rows;
mod scope;
mod stats;
#[cfg(test)]
mod tests;
mod text;
mod words;

pub use reading::HOLES_MAX;
pub use rows::ROWS_MAX;
pub(crate) use scope::Scope;
pub use stats::STATS_COLUMNS_MAX;
pub(crate) use words::{FUNCTIONS, PIPES, resolve_pipe};

use crate::parse::Parser;
use crate::plan::Pipe;
use crate::query::QueryError;
use words::{nearest, ours};

/// A query can have so many pipes: each costs on every line.
pub const PIPES_MAX: usize = 32;

impl Parser<'_> {
    /// Whether a pipe begins at this byte: a `|` outside of brackets that is not `||`.
    pub(crate) fn is_pipe_at(&self, at: usize) -> bool {
        let rest = self.text.get(at..).unwrap_or_default();
        !self.in_brackets() && rest.starts_with('|') && !rest.starts_with("||")
    }

    /// Whether the name of a pipe stands behind the `|` at this byte, so that it is a pipe even in
    /// the middle of a word.
    pub(crate) fn is_named_pipe_at(&self, at: usize) -> bool {
        let name = || {
            let rest = self.text.get(at + 1..).unwrap_or_default().trim_start();
            let name = leading_word(rest);
            let ends = !rest
                .get(name.len()..)
                .is_some_and(|rest| rest.starts_with(['|', ':', '=', '.', '-', '/']));
            ends && words::is_pipe(name)
        };
        self.is_pipe_at(at) && name()
    }

    /// All pipes up to the end of the query, at the first `|`.
    pub(crate) fn pipes(&mut self) -> Result<Vec<Pipe>, QueryError> {
        let mut pipes = Vec::new();
        let mut scope = Scope::lines();
        loop {
            self.skip_space();
            if self.rest().is_empty() {
                return Ok(pipes);
            }
            let bar = self.at;
            if !self.is_pipe_at(bar) {
                return Err(self.no_pipe_here(&pipes));
            }
            if pipes.len() == PIPES_MAX {
                return Err(self.error(bar, format!("more than {PIPES_MAX} pipes"), None));
            }
            self.at += 1;
            self.skip_space();
            let pipe = self.pipe(bar, &scope, pipes.is_empty())?;
            scope.pass(&pipe);
            pipes.push(pipe);
        }
    }

    /// One pipe, at its name.
    fn pipe(&mut self, bar: usize, scope: &Scope, first: bool) -> Result<Pipe, QueryError> {
        let start = self.at;
        let name = leading_word(self.rest()).to_owned();
        self.at += name.len();
        let lower = name.to_ascii_lowercase();
        let spelled = words::resolve_pipe(&lower);
        match spelled {
            "where" => self.where_pipe(start, scope),
            "fields" => Ok(Pipe::Fields(self.names_of("fields", start, scope)?)),
            "drop" => Ok(Pipe::Drop(self.names_of("drop", start, scope)?)),
            "sort" => self.sort(start, scope),
            "limit" => self.limit(start),
            "uniq" => self.uniq(start, scope),
            "parse" => self.parse_pipe(start, scope, None),
            "json" | "logfmt" => self.parse_pipe(start, scope, Some(spelled)),
            "pattern" if self.rest().trim_start().starts_with(['"', '\'']) => {
                self.parse_pipe(start, scope, Some("pattern"))
            }
            "regexp" => self.parse_pipe(start, scope, Some("regexp")),
            "stats" => self.stats(start, scope),
            "top" => self.top(start, scope),
            "rate" => self.rate(start, scope),
            "patterns" => self.patterns(start, scope),
            // `| count() by (status)` can only mean `| stats count() by (status)`.
            _ if words::is_function(spelled)
                && (spelled == "count" || self.rest().trim_start().starts_with('(')) =>
            {
                self.at = start;
                self.stats(start, scope)
            }
            _ => Err(self.unknown_pipe(bar, start, &name, first)),
        }
    }

    fn unknown_pipe(&self, bar: usize, start: usize, name: &str, first: bool) -> QueryError {
        let rest = self.text.get(start..).unwrap_or_default();
        if let Some(error) = self.loki_line_filter(bar, first) {
            return error;
        }
        if rest.trim().is_empty() {
            return self.error(
                bar,
                format!("a pipe must follow here: {}", PIPES.join(", ")),
                self.text.get(..bar).map(str::to_owned),
            );
        }
        if name.is_empty() {
            return self.error(
                start,
                format!(
                    "the name of a pipe must follow here ({}); write a | that stands in the text \
                     in quotes",
                    PIPES.join(", ")
                ),
                None,
            );
        }
        let lower = name.to_ascii_lowercase();
        let place = start..start + name.len();
        let meant = if lower == "pattern" {
            Some("patterns")
        } else {
            ours(&lower).or_else(|| nearest(&lower, PIPES.iter().copied()))
        };
        let function = || nearest(&lower, FUNCTIONS.iter().copied());
        let suggestion = match meant {
            Some(pipe) => self.replaced(place, pipe),
            None if rest.contains('(') && function().is_some() => {
                self.replaced(place, &format!("stats {}", function().unwrap_or_default()))
            }
            None => self.replaced(bar..bar + 1, "or"),
        };
        self.error(
            start,
            format!(
                "{name} is no pipe: there are {} (for alternatives write or; put text with a | in \
                 quotes)",
                PIPES.join(", ")
            ),
            suggestion,
        )
    }

    /// `|= "text"` and `|~ "regex"` are Loki's.
    fn loki_line_filter(&self, bar: usize, first: bool) -> Option<QueryError> {
        let rest = self.text.get(bar..)?;
        let operator = rest.get(..2).filter(|op| matches!(*op, "|=" | "|~"))?;
        let after = rest.get(2..)?.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '`'));
        let suggestion = quote.and_then(|quote| {
            let inside = after.get(1..)?;
            let end = inside.find(quote)?;
            let text = inside.get(..end)?;
            let term = if operator == "|~" {
                format!("/{}/", text.replace('/', "\\/"))
            } else {
                format!("\"{text}\"")
            };
            let term = if first {
                term
            } else {
                format!("| where {term}")
            };
            self.replaced(bar..self.text.len() - inside.len() + end + 1, &term)
        });
        Some(self.error(
            bar,
            format!("{operator} is Loki's: here the text itself is the filter"),
            suggestion,
        ))
    }

    /// Something stands behind a pipe that is none of its words.
    fn no_pipe_here(&self, pipes: &[Pipe]) -> QueryError {
        if self.peek() == Some(')') {
            return self.closes_nothing();
        }
        let word = leading_word(self.rest());
        if words::is_pipe(word) {
            return self.error(
                self.at,
                format!("a | is missing before {word}"),
                self.replaced(self.at..self.at, "| "),
            );
        }
        if let Some(Pipe::Fields(_) | Pipe::Drop(_) | Pipe::Uniq(_) | Pipe::Top { .. }) =
            pipes.last()
            && !word.is_empty()
        {
            let end = self
                .text
                .get(..self.at)
                .unwrap_or_default()
                .trim_end()
                .len();
            return self.error(
                self.at,
                "write a comma between names",
                self.replaced(end..self.at, ", "),
            );
        }
        self.error(
            self.at,
            "this does not belong to the pipe: write | before the next one",
            self.text
                .get(..self.at)
                .map(|text| text.trim_end().to_owned()),
        )
    }

    /// The word if it stands here on its own, in any case; passes over it.
    fn eat_word(&mut self, word: &str) -> bool {
        let here = leading_word(self.rest());
        let found = here.eq_ignore_ascii_case(word);
        if found {
            self.at += here.len();
        }
        found
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }
}

/// The letters, digits and underscores at the start of a text.
pub(crate) fn leading_word(text: &str) -> &str {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}
