//! Reads `parse`: `parse json`, `parse logfmt from log`, `parse "<ip> - <user> <_>" from request`,
//! `parse /took=(?P<took>\S+)/`.

use crate::parse::Parser;
use crate::pipes::leading_word;
use crate::pipes::scope::Scope;
use crate::pipes::words::nearest;
use crate::plan::{How, Parse, Pipe, Template};
use crate::query::QueryError;

/// Holes of one template: each is a search in every line.
pub const HOLES_MAX: usize = 64;

impl Parser<'_> {
    /// Behind its name; `kind` where the name said already what is parsed (LogQL's `| json`).
    pub(super) fn parse_pipe(
        &mut self,
        start: usize,
        scope: &Scope,
        kind: Option<&str>,
    ) -> Result<Pipe, QueryError> {
        self.skip_space();
        let mut from = self.from(scope)?;
        let at = self.at;
        let how = match kind {
            Some("json") => How::Json,
            Some("logfmt") => How::Logfmt,
            Some("regexp") => self.regex_in_quotes(start)?,
            _ => match self.peek() {
                Some('"') => {
                    let text = self.quoted()?;
                    How::Pattern(self.template(&text, at)?)
                }
                Some('\'') => match self.single_quoted() {
                    Some(text) => {
                        let text = text.to_owned();
                        How::Pattern(self.template(&text, at)?)
                    }
                    None => return Err(self.error(at, "this quote is not closed", None)),
                },
                Some('/') => match self.regex().map_err(as_it_is)? {
                    Some(regex) => self.named(regex, at)?,
                    None => {
                        return Err(self.error(
                            at,
                            "a regular expression ends with a slash: /took=(?P<took>.+)/",
                            self.replaced(self.text.len()..self.text.len(), "/"),
                        ));
                    }
                },
                _ if self.eat_word("json") => How::Json,
                _ if self.eat_word("logfmt") => How::Logfmt,
                _ if self.eat_word("regexp") => {
                    self.skip_space();
                    self.regex_in_quotes(start)?
                }
                _ if self.eat_word("pattern") => {
                    self.skip_space();
                    return self.parse_pipe(start, scope, None);
                }
                _ => return Err(self.no_parser(at)),
            },
        };
        self.skip_space();
        if from.is_none() {
            from = self.from(scope)?;
        }
        // `parse json payload`: the field without `from`.
        let named = matches!(how, How::Json | How::Logfmt) && from.is_none();
        if named && !self.at_end_of_pipe() {
            from = Some(self.field(scope)?);
        }
        if scope.is_table() {
            return Err(self.error(
                start,
                "rows cannot be parsed: write parse before the pipe that makes them",
                None,
            ));
        }
        match &how {
            How::Json | How::Logfmt => {}
            How::Pattern(template) => self.made.extend(template.names().map(str::to_owned)),
            How::Regex(regex) => {
                let names = regex.capture_names().flatten();
                self.made.extend(names.map(str::to_owned));
            }
        }
        Ok(Pipe::Parse(Parse { how, from }))
    }

    fn from(&mut self, scope: &Scope) -> Result<Option<String>, QueryError> {
        if !self.eat_word("from") {
            return Ok(None);
        }
        self.skip_space();
        let field = self.field(scope)?;
        self.skip_space();
        Ok(Some(field))
    }

    fn no_parser(&self, at: usize) -> QueryError {
        let word = leading_word(self.rest());
        let rest = self.rest();
        let line = rest.split('|').next().unwrap_or_default().trim_end();
        let meant = nearest(&word.to_ascii_lowercase(), ["json", "logfmt"].into_iter());
        let suggestion = match meant {
            Some(meant) => self.replaced(at..at + word.len(), meant),
            // A template without its quotes.
            None if line.contains('<') && line.contains('>') => {
                let quoted = format!("\"{}\"", line.replace('"', "\\\""));
                self.replaced(at..at + line.len(), &quoted)
            }
            None => None,
        };
        self.error(
            at,
            "parse needs json, logfmt, a \"<ip> - <user>\" in quotes, or a /regular (?P<name>.)/",
            suggestion,
        )
    }

    /// LogQL's `regexp "…"`.
    fn regex_in_quotes(&mut self, start: usize) -> Result<How, QueryError> {
        let at = self.at;
        let text = match self.peek() {
            Some('"') => self.quoted()?,
            Some('/') => {
                return match self.regex().map_err(as_it_is)? {
                    Some(regex) => self.named(regex, at),
                    None => Err(self.error(at, "this regular expression is not closed", None)),
                };
            }
            _ => {
                return Err(self.error(
                    start,
                    "a regular expression must follow, as in parse /took=(?P<took>.+)/",
                    None,
                ));
            }
        };
        let regex =
            crate::parse::compile_regex(&text).map_err(|reason| self.error(at, reason, None))?;
        self.named(regex, at)
    }

    fn named(&self, regex: regex::bytes::Regex, at: usize) -> Result<How, QueryError> {
        if regex.capture_names().flatten().next().is_some() {
            return Ok(How::Regex(regex));
        }
        let typed = self.text.get(at..self.at).unwrap_or_default();
        let suggestion = typed
            .find('(')
            .filter(|i| !typed.get(i + 1..).is_some_and(|rest| rest.starts_with('?')))
            .and_then(|i| self.replaced(at + i..at + i + 1, "(?P<name>"));
        Err(self.error(
            at,
            "no group has a name: write (?P<name>…) around what is to become a field",
            suggestion,
        ))
    }

    /// Checks a template; `at` is its opening quote.
    fn template(&self, text: &str, at: usize) -> Result<Template, QueryError> {
        // Positions are those of the text behind the quote; an escape before moves them by one,
        // which is near enough to point at.
        let error = |i: usize, message: String, suggestion: Option<String>| {
            let place = (at + 1 + i).min(self.at);
            self.error(place, message, suggestion)
        };
        let mut template = Template {
            text: text.to_owned(),
            before: String::new(),
            holes: Vec::new(),
        };
        let mut i = 0;
        while let Some(rest) = text.get(i..).filter(|rest| !rest.is_empty()) {
            if let Some((name, len)) = hole(rest) {
                if template.holes.len() == HOLES_MAX {
                    return Err(error(i, format!("more than {HOLES_MAX} holes"), None));
                }
                if template
                    .holes
                    .last()
                    .is_some_and(|(_, after)| after.is_empty())
                {
                    return Err(error(
                        i,
                        "two holes stand side by side: write what stands between them".to_owned(),
                        None,
                    ));
                }
                if let Some(name) = name
                    && template.names().any(|known| known == name)
                {
                    return Err(error(i, format!("<{name}> stands here twice"), None));
                }
                template
                    .holes
                    .push((name.map(str::to_owned), String::new()));
                i += len;
                continue;
            }
            let Some(c) = rest.chars().next() else { break };
            match template.holes.last_mut() {
                Some((_, after)) => after.push(c),
                None => template.before.push(c),
            }
            i += c.len_utf8();
        }
        if template.names().next().is_none() {
            return Err(error(
                0,
                "no hole has a name: write <name> where a field is, as in \"took <took> ms\""
                    .to_owned(),
                None,
            ));
        }
        Ok(template)
    }
}

/// Elsewhere the text of a bad regular expression can be searched for; it cannot be parsed with.
fn as_it_is(error: QueryError) -> QueryError {
    QueryError {
        suggestion: None,
        ..error
    }
}

/// The hole at the start of a text: its name (`None` for `<_>` and `<*>`) and its length.
pub(crate) fn hole(text: &str) -> Option<(Option<&str>, usize)> {
    let inner = text.strip_prefix('<')?;
    let end = inner.find('>')?;
    let name = inner.get(..end)?;
    let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '@')
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || "_.-@".contains(c));
    match name {
        "_" | "*" | "" => Some((None, end + 2)),
        name if is_name => Some((Some(name), end + 2)),
        _ => None,
    }
}
