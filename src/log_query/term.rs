//! Reads one term: quoted, in brackets, a `/regex/`, a field with a test, or else a word.

use regex::bytes::Regex;

use model::Level;

use crate::needle::Needle;
use crate::number::parse_number;
use crate::parse::{Parser, TERMS_MAX, compile_regex};
use crate::query::{Filter, LEVEL, Query, QueryError};
use crate::value::is_known_field;

/// Words that stand before a colon in texts and are no fields.
const NEVER_FIELDS: &[&str] = &["localhost", "sha256", "sha512", "urn", "mailto"];

impl<'q> Parser<'q> {
    pub(crate) fn term(&mut self, field: Option<&str>) -> Result<Filter, QueryError> {
        self.n_terms += 1;
        if self.n_terms > TERMS_MAX {
            return Err(self.error(self.at, format!("more than {TERMS_MAX} terms"), None));
        }
        if self.peek() == Some('(') {
            return self.group(field);
        }
        if let Some(name) = field {
            return self.value(name);
        }
        match self.peek() {
            Some('"') => {
                let quoted = self.quoted()?;
                if self.peek() == Some(':') && !quoted.is_empty() {
                    self.at += 1;
                    return self.value(self.full_name(&quoted));
                }
                if self.peek() == Some('*') {
                    self.at += 1;
                    return Ok(Needle::prefix(&quoted).map_or(Filter::All, Filter::Prefix));
                }
                Ok(Needle::whole(&quoted).map_or(Filter::All, Filter::Phrase))
            }
            Some('\'') => match self.single_quoted() {
                Some(quoted) => Ok(Needle::whole(quoted).map_or(Filter::All, Filter::Phrase)),
                None => self.word(),
            },
            Some('/') => match self.regex()? {
                Some(regex) => Ok(Filter::Regex(regex)),
                None => self.word(),
            },
            _ => match self.field_term()? {
                Some(filter) => Ok(filter),
                None => self.word(),
            },
        }
    }

    /// `( … )`, at the opening bracket.
    pub(crate) fn group(&mut self, field: Option<&str>) -> Result<Filter, QueryError> {
        let open = self.at;
        self.descend()?;
        self.at += 1;
        let filter = self.alternatives(field)?;
        self.ascend();
        if self.peek() != Some(')') {
            let closed = format!("{})", self.text.trim_end());
            return Err(self.error(open, "this bracket is not closed", Some(closed)));
        }
        self.at += 1;
        Ok(filter)
    }

    /// `"…"`, at the opening quote. `\"` and `\\` stand for the second character.
    pub(crate) fn quoted(&mut self) -> Result<String, QueryError> {
        let open = self.at;
        let mut out = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += i + 1;
                    return Ok(out);
                }
                '\\' => match chars.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                    Some((_, next)) => out.push(next),
                    None => out.push('\\'),
                },
                c => out.push(c),
            }
        }
        let closed = format!("{}\"", self.text.trim_end());
        let suggestion = Self::parses(&closed)
            .then_some(closed)
            .or_else(|| self.replaced(open..open + 1, ""));
        Err(self.error(open, "this quote is not closed", suggestion))
    }

    fn parses(text: &str) -> bool {
        Query::parse(text).is_ok()
    }

    /// `'…'`, at the opening quote, if the closing one ends the term.
    pub(crate) fn single_quoted(&mut self) -> Option<&'q str> {
        let inner = self.rest().get(1..)?;
        let end = inner.find('\'')?;
        let after = inner.get(end + 1..)?;
        ends_term(after).then(|| {
            self.at += end + 2;
            inner.get(..end).unwrap_or_default()
        })
    }

    /// `/…/` or `/…/i`, at the opening slash. `None` when the next slash does not end the term:
    /// then it is a path.
    pub(crate) fn regex(&mut self) -> Result<Option<Regex>, QueryError> {
        let start = self.at;
        let Some(inner) = self.rest().get(1..) else {
            return Ok(None);
        };
        let mut escaped = false;
        let end = inner.find(|c: char| {
            let found = c == '/' && !escaped;
            escaped = c == '\\' && !escaped;
            found
        });
        let Some(end) = end.filter(|end| *end > 0) else {
            return Ok(None);
        };
        let after = inner.get(end + 1..).unwrap_or_default();
        let (flag, after) = match after.strip_prefix('i') {
            Some(after) => ("(?i)", after),
            None => ("", after),
        };
        if !ends_term(after) {
            return Ok(None);
        }
        let pattern = inner.get(..end).unwrap_or_default().replace("\\/", "/");
        let regex = compile_regex(&format!("{flag}{pattern}"));
        let regex = regex.map_err(|reason| {
            let literal = format!("\"{}\"", pattern.replace('\\', "\\\\").replace('"', "\\\""));
            let suggestion = self.replaced(start..self.text.len() - after.len(), &literal);
            self.error(start, reason, suggestion)
        })?;
        self.at = self.text.len() - after.len();
        Ok(Some(regex))
    }

    /// `name:test`, `name=value`, `name>=number`; `None` when this is no such thing.
    fn field_term(&mut self) -> Result<Option<Filter>, QueryError> {
        let rest = self.rest();
        let name = field_name(rest);
        let after = rest.get(name.len()..).unwrap_or_default();
        if name.is_empty() || after.is_empty() {
            return Ok(None);
        }
        let start = self.at;
        let full = self.full_name(name);
        if let Some(value) = after.strip_prefix(':') {
            if value.starts_with("//")
                || value.starts_with([':', '\\'])
                || NEVER_FIELDS.contains(&name)
            {
                return Ok(None);
            }
            if ends_term(value) {
                if !is_known_field(full) {
                    return Ok(None);
                }
                let colon = start + name.len();
                let gap = value.len() - value.trim_start().len();
                let joined = if ends_term(value.trim_start()) {
                    self.replaced(start..colon + 1, &format!("{name}:*"))
                } else {
                    self.replaced(colon + 1..colon + 1 + gap, "")
                };
                return Err(self.error(
                    colon,
                    format!("write the value right after {name}: (or put the text in quotes)"),
                    joined,
                ));
            }
            self.at += name.len() + 1;
            return self.value(full).map(Some);
        }
        if let Some(error) = self.turned_sign(name, after) {
            return Err(error);
        }
        let (negated, value) = match after.strip_prefix("!=") {
            Some(value) => (true, Some(value)),
            None => (false, after.strip_prefix('=')),
        };
        if let Some(value) = value {
            let value = match value.strip_prefix('=') {
                Some(value) if self.in_where && !negated => value,
                _ => value,
            };
            if value.starts_with(['=', '~', '>']) || ends_term(value) {
                return Ok(None);
            }
            self.at = self.text.len() - value.len();
            let filter = if self.in_where {
                self.value(full)?
            } else {
                self.equals(name, full)?
            };
            return Ok(Some(if negated {
                Filter::Not(Box::new(filter))
            } else {
                filter
            }));
        }
        if after.starts_with(['<', '>']) {
            self.at += name.len();
            let found = self.comparison(full)?;
            if found.is_none() {
                self.at = start;
            }
            return Ok(found);
        }
        self.spaced_comparison(name, full)
    }

    /// `status >= 500`, and in a `where` also `status = 500`, `user != "ana"`.
    fn spaced_comparison(&mut self, name: &str, full: &str) -> Result<Option<Filter>, QueryError> {
        let start = self.at;
        let after = self.rest().get(name.len()..).unwrap_or_default();
        let tail = after.trim_start();
        if tail.len() == after.len() {
            return Ok(None);
        }
        let sign_at = self.text.len() - tail.len();
        if let Some(sign) = compares(tail) {
            let value = tail.get(sign.len()..).unwrap_or_default().trim_start();
            if !is_measure(first_word(value), full) {
                return Ok(None);
            }
            self.at = sign_at;
            let found = self.comparison(full)?;
            if found.is_none() {
                self.at = start;
            }
            return Ok(found);
        }
        if !self.in_where {
            return Ok(None);
        }
        let Some(sign) = ["!=", "==", "="].into_iter().find(|s| tail.starts_with(s)) else {
            return Ok(None);
        };
        self.at = sign_at + sign.len();
        self.skip_space();
        if ends_term(self.rest()) {
            return Err(self.error(sign_at, format!("a value for {full} is missing here"), None));
        }
        let filter = self.value(full)?;
        Ok(Some(if sign == "!=" {
            Filter::Not(Box::new(filter))
        } else {
            filter
        }))
    }

    /// `status=>500`: the sign the wrong way round, where a number shows that it is one.
    fn turned_sign(&self, name: &str, after: &str) -> Option<QueryError> {
        let sign = after.get(..2).filter(|s| matches!(*s, "=>" | "=<"))?;
        let value = first_word(after.get(2..)?);
        if !is_measure(value, self.full_name(name)) {
            return None;
        }
        let right = if sign == "=>" { ">=" } else { "<=" };
        let at = self.at + name.len();
        Some(self.error(
            at,
            format!("write {right} instead of {sign} (or put the text in quotes)"),
            self.replaced(at..at + 2, right),
        ))
    }
}

/// The sign of a comparison of numbers at the start of a text.
fn compares(text: &str) -> Option<&'static str> {
    ["<=", ">=", "<", ">"]
        .into_iter()
        .find(|sign| text.starts_with(sign))
}

/// Whether `<` and `>` can compare with this: a number, or a level where it is about levels.
fn is_measure(text: &str, name: &str) -> bool {
    parse_number(text).is_some() || (name == LEVEL && text.parse::<Level>().is_ok())
}

/// Whether a word behind another would be read as a comparison with it.
pub(crate) fn reads_as_comparison(word: &str) -> bool {
    if matches!(word, "=" | "==" | "!=") {
        return true;
    }
    compares(word).is_some_and(|sign| {
        let value = word.get(sign.len()..).unwrap_or_default();
        value.is_empty() || is_measure(value, LEVEL)
    })
}

fn first_word(text: &str) -> &str {
    let end = text
        .find(|c: char| c.is_whitespace() || matches!(c, ')' | '|'))
        .unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// Whether a term ends before this text.
pub(crate) fn ends_term(after: &str) -> bool {
    after.starts_with(|c: char| c.is_whitespace() || matches!(c, ')' | '|')) || after.is_empty()
}

/// The field name at the start of a text: letters, digits and `_ - .`, beginning with a letter,
/// `_` or `@`; with slashes only behind a dot, as in `app.kubernetes.io/name`.
pub(crate) fn field_name(text: &str) -> &str {
    if !text.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '@') {
        return "";
    }
    let end = text
        .char_indices()
        .find(|(i, c)| !(c.is_alphanumeric() || "_-./".contains(*c) || (*c == '@' && *i == 0)))
        .map_or(text.len(), |(i, _)| i);
    let name = text.get(..end).unwrap_or_default();
    match name.split_once('/') {
        Some((domain, _)) if !domain.contains('.') => "",
        _ => name,
    }
}
