//! Bare words: how far they go, what stars in them mean, and the words of other languages that
//! people try first (pipes, Loki's selectors), which are refused with what to write instead.

use crate::needle::Needle;
use crate::parse::{Parser, compile_regex};
use crate::query::{Filter, QueryError};
use crate::term::field_name;

impl<'q> Parser<'q> {
    /// A bare word, up to a space or a bracket that it did not open.
    pub(crate) fn bare(&mut self) -> Result<&'q str, QueryError> {
        let rest = self.rest();
        let mut open = 0usize;
        let mut end = rest.len();
        for (i, c) in rest.char_indices() {
            match c {
                '(' => open += 1,
                ')' if open == 0 => {
                    end = i;
                    break;
                }
                ')' => open -= 1,
                '|' if open == 0 && i == 0 && self.is_pipe_at(self.at) => {
                    end = 0;
                    break;
                }
                '|' if open == 0 && self.is_named_pipe_at(self.at + i) => {
                    end = i;
                    break;
                }
                '|' => return Err(self.refuse_pipe(i)),
                c if c.is_whitespace() => {
                    // `connect(2, 80)` goes on to its bracket, if there is one.
                    let tail = rest.get(i..).unwrap_or_default();
                    if open == 0 || !tail.contains(')') {
                        end = i;
                        break;
                    }
                }
                _ => {}
            }
        }
        self.at += end;
        Ok(rest.get(..end).unwrap_or_default())
    }

    pub(crate) fn word(&mut self) -> Result<Filter, QueryError> {
        let start = self.at;
        let word = self.bare()?;
        if word.is_empty() {
            return Err(self.error(start, "a word, field or phrase is missing here", None));
        }
        if word.chars().all(|c| c == '*') {
            return Ok(Filter::All);
        }
        match (word.find('*'), word.strip_suffix('*')) {
            (None, _) => Ok(Needle::whole(word).map_or(Filter::All, Filter::Word)),
            (Some(star), Some(stem)) if star == stem.len() => {
                Ok(Needle::prefix(stem).map_or(Filter::All, Filter::Prefix))
            }
            _ => {
                let parts: Vec<String> = word
                    .trim_matches('*')
                    .split('*')
                    .map(regex::escape)
                    .collect();
                let border = |stars: bool, c: Option<char>| {
                    let word_char = c.is_some_and(crate::needle::is_word_char);
                    if stars || !word_char { "" } else { r"\b" }
                };
                let before = border(word.starts_with('*'), word.chars().next());
                let after = border(word.ends_with('*'), word.chars().next_back());
                compile_regex(&format!("(?i){before}{}{after}", parts.join(r"\S*")))
                    .map(Filter::Regex)
                    .map_err(|reason| self.error(start, reason, None))
            }
        }
    }

    /// A `|` stands in the word that begins here, `i` bytes on.
    fn refuse_pipe(&self, i: usize) -> QueryError {
        let at = self.at + i;
        let rest = self.rest();
        if i == 0 && self.in_brackets() && !rest.starts_with("||") {
            return self.error(
                at,
                "a pipe cannot stand in brackets: close them before it; write a | that stands in \
                 the text in quotes",
                None,
            );
        }
        if i == 0 {
            return self.error(
                at,
                "write || with spaces around it, or write or",
                self.replaced(at..at + 2, "or "),
            );
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || c == ')')
            .unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        let before = self.text.get(..self.at).unwrap_or_default();
        let joined = word
            .split('|')
            .filter(|s| !s.is_empty())
            .collect::<Vec<_>>()
            .join(" or ");
        let range = self.at..self.at + end;
        self.error(
            at,
            "write or between alternatives, or put text with a | in quotes",
            self.replaced(
                range,
                &if before.is_empty() && end == rest.len() {
                    joined
                } else {
                    format!("({joined})")
                },
            ),
        )
    }

    /// `{app="x"} |= "y"` is Loki's language: the likeliest first try of those who know it.
    pub(crate) fn refuse_selector(&self) -> Result<(), QueryError> {
        let start = self.text.len() - self.text.trim_start().len();
        let Some((inside, _)) = self
            .text
            .trim_start()
            .strip_prefix('{')
            .and_then(|rest| rest.split_once('}'))
        else {
            return Ok(());
        };
        let mut terms = Vec::new();
        for matcher in inside.split(',').map(str::trim).filter(|m| !m.is_empty()) {
            let name = field_name(matcher);
            let rest = matcher.get(name.len()..).unwrap_or_default().trim_start();
            let operator = ["=~", "!~", "!=", "="]
                .into_iter()
                .find(|operator| rest.starts_with(operator));
            let value = operator.and_then(|operator| {
                let value = rest.get(operator.len()..)?.trim();
                value.strip_prefix('"')?.strip_suffix('"')
            });
            let (Some(operator), Some(value), false) = (operator, value, name.is_empty()) else {
                return Ok(());
            };
            let sign = if operator.starts_with('!') { "-" } else { "" };
            terms.push(if operator.ends_with('~') {
                format!("{sign}{name}:/^({})$/", value.replace('/', "\\/"))
            } else {
                format!("{sign}{name}:\"{value}\"")
            });
        }
        if terms.is_empty() {
            return Ok(());
        }
        Err(self.error(
            start,
            "this is a selector of Loki: here a field is written name:value",
            Some(terms.join(" ")),
        ))
    }
}
