//! How terms are joined: `or`, spaces and `and`, negations, groups.
//!
//! Where an operator has nothing to join, the error says how to write it as a word; a small `and`
//! at the edge is one.

use super::Parser;
use crate::query::{Filter, QueryError};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    And,
    Or,
}

impl<'q> Parser<'q> {
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

    pub(super) fn at_end_of_group(&self) -> bool {
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
