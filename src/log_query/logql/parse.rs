//! Reads LogQL: expressions that give numbers. Range aggregations are read in
//! `parse_range.rs`, selectors, stages and label filters in `parse_log.rs`.
//!
//! Binary operators bind as in PromQL, `^` to the right. What looks like a range aggregation but
//! lacks its range, or has a grouping that Loki refuses, is an error that says what to write.

use super::ast::{
    BinaryOp, Expr, Grouping, LogExpr, Many, Matching, MetricExpr, RangeOp, VectorOp,
};
use super::error::ParseError;
use super::lex::{Placed, Token, tokens};
use super::re2;
use super::units;
use crate::parse::QUERY_CHARS_MAX;

/// Brackets and operators nest so deep: parsing and evaluation recurse.
pub const NESTING_MAX: usize = 64;

/// A query consists of so many tokens.
const TOKENS_MAX: usize = 4096;

/// Understands a query.
///
/// # Errors
/// Says what is wrong, where, and what is probably meant.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(text)?;
    let expr = parser.expression()?;
    parser.end()?;
    Ok(expr)
}

/// Understands a selector alone, `{app="x"}`, as `match[]` and `query` of the label calls have it.
///
/// # Errors
/// As [`parse`]; stages are refused.
pub fn parse_selector(text: &str) -> Result<Vec<model::Matcher>, ParseError> {
    let mut parser = Parser::new(text)?;
    let selector = parser.selector()?;
    parser.end()?;
    Ok(selector)
}

/// Where it stands among the tokens.
pub(super) struct Parser<'q> {
    pub(super) text: &'q str,
    tokens: Vec<Placed>,
    pub(super) at: usize,
    deep: usize,
}

pub(super) type Result<T, E = ParseError> = std::result::Result<T, E>;

impl<'q> Parser<'q> {
    fn new(text: &'q str) -> Result<Self> {
        if let Some((at, _)) = text.char_indices().nth(QUERY_CHARS_MAX) {
            let message = format!("the query is longer than {QUERY_CHARS_MAX} characters");
            return Err(ParseError::at(text, at, message));
        }
        let tokens = tokens(text)?;
        if let Some(token) = tokens.get(TOKENS_MAX) {
            let message = format!("the query has more than {TOKENS_MAX} words and signs");
            return Err(ParseError::at(text, token.at.start, message));
        }
        Ok(Self {
            text,
            tokens,
            at: 0,
            deep: 0,
        })
    }

    pub(super) fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens
            .get(self.at + ahead)
            .map_or(&Token::End, |placed| &placed.token)
    }

    pub(super) fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    /// Where the next token stands, in bytes.
    pub(super) fn place(&self) -> std::ops::Range<usize> {
        self.tokens
            .get(self.at)
            .map_or(self.text.len()..self.text.len(), |placed| placed.at.clone())
    }

    pub(super) fn error_here(&self, message: impl Into<String>) -> ParseError {
        ParseError::at(self.text, self.place().start, message)
    }

    /// Loki's words for a token that cannot stand here, and ours for what can.
    pub(super) fn unexpected(&self, wanted: &str) -> ParseError {
        let shown = self.peek().shown();
        self.error_here(format!(
            "syntax error: unexpected {shown}, expecting {wanted}"
        ))
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn need_sign(&mut self, sign: &str) -> Result<()> {
        if self.take_sign(sign) {
            return Ok(());
        }
        Err(self.unexpected(sign))
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Name(name) if name == word)
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn need_name(&mut self, what: &str) -> Result<String> {
        if let Token::Name(name) = self.peek() {
            let name = name.clone();
            self.at += 1;
            return Ok(name);
        }
        Err(self.unexpected(what))
    }

    pub(super) fn need_text(&mut self, what: &str) -> Result<String> {
        if let Token::Text(text) = self.peek() {
            let text = text.clone();
            self.at += 1;
            return Ok(text);
        }
        let error = self.unexpected(what);
        Err(match self.peek() {
            Token::Name(name) => {
                let with = format!("\"{name}\"");
                error.instead(self.text, self.place(), &with)
            }
            _ => error,
        })
    }

    /// A number with its sign.
    pub(super) fn signed_number(&mut self) -> Result<f64> {
        let negative = self.take_sign("-");
        if !negative {
            self.take_sign("+");
        }
        if let Token::Number(number) = self.peek() {
            let number = *number;
            self.at += 1;
            return Ok(if negative { -number } else { number });
        }
        Err(self.unexpected("a number"))
    }

    pub(super) fn descend(&mut self) -> Result<()> {
        self.deep += 1;
        if self.deep > NESTING_MAX {
            return Err(self.error_here(format!("nested deeper than {NESTING_MAX} levels")));
        }
        Ok(())
    }

    pub(super) fn ascend(&mut self) {
        self.deep -= 1;
    }

    fn end(&self) -> Result<()> {
        if *self.peek() == Token::End {
            return Ok(());
        }
        let error = self.unexpected("the end of the query");
        Err(if self.is_sign(")") {
            error.instead(self.text, self.place(), "")
        } else {
            error
        })
    }

    fn expression(&mut self) -> Result<Expr> {
        if *self.peek() == Token::End {
            return Err(self.unexpected("a selector such as {app=\"x\"}"));
        }
        let brackets = self
            .tokens
            .iter()
            .take_while(|placed| placed.token == Token::Sign("("))
            .count();
        if *self.peek_at(brackets) == Token::Sign("{") {
            return self.log_in_brackets(brackets).map(Expr::Log);
        }
        self.metric(0).map(Expr::Metric)
    }

    /// `({app="x"} |= "y")` means the same without its brackets.
    fn log_in_brackets(&mut self, brackets: usize) -> Result<LogExpr> {
        self.at += brackets;
        let log = self.log()?;
        for _ in 0..brackets {
            self.need_sign(")")?;
        }
        if self.is_sign("[") {
            let here = self.place().start;
            let whole = format!("count_over_time({})", self.text.trim());
            let error = ParseError::at(
                self.text,
                here,
                "a range makes numbers of lines and stands in a function such as \
                 count_over_time(…) or rate(…)",
            );
            return Err(error.instead(self.text, 0..self.text.len(), &whole));
        }
        Ok(log)
    }

    /// An expression whose operators bind at least so strongly.
    fn metric(&mut self, least: u8) -> Result<MetricExpr> {
        self.descend()?;
        let mut left = self.operand()?;
        while let Some(op) = self.operator() {
            let precedence = op.precedence();
            if precedence < least {
                break;
            }
            self.at += 1;
            let place = self.place().start;
            let bool_modifier = self.take_word("bool");
            if bool_modifier && op.comparison().is_none() {
                let message = format!(
                    "bool stands behind comparisons only, not behind {}",
                    op.as_str()
                );
                return Err(ParseError::at(self.text, place, message));
            }
            let matching = self.matching()?;
            if op.is_set() && matching.many.is_some() {
                let message = format!("no grouping allowed for {} operation", op.as_str());
                return Err(ParseError::at(self.text, place, message));
            }
            let right_assoc = op == BinaryOp::Pow;
            let right = self.metric(precedence + u8::from(!right_assoc))?;
            let literal = |side: &MetricExpr| matches!(side, MetricExpr::Number(_));
            if op.is_set() && (literal(&left) || literal(&right)) {
                let message = format!(
                    "unexpected literal for set operation {}: both sides must be series, \
                     such as vector(1)",
                    op.as_str()
                );
                return Err(ParseError::at(self.text, place, message));
            }
            left = MetricExpr::Binary {
                op,
                left: Box::new(left),
                right: Box::new(right),
                bool_modifier,
                matching,
            };
        }
        self.ascend();
        Ok(left)
    }

    fn operator(&self) -> Option<BinaryOp> {
        let word = match self.peek() {
            Token::Sign(sign) => sign,
            Token::Name(name) => name.as_str(),
            _ => return None,
        };
        BinaryOp::ALL.iter().find(|op| op.as_str() == word).copied()
    }

    fn matching(&mut self) -> Result<Matching> {
        let mut matching = Matching::default();
        if self.take_word("on") {
            matching.on = true;
            matching.labels = self.labels()?;
        } else if self.take_word("ignoring") {
            matching.labels = self.labels()?;
        } else {
            return Ok(matching);
        }
        for (word, left) in [("group_left", true), ("group_right", false)] {
            if self.take_word(word) {
                let include = if self.is_sign("(") {
                    self.labels()?
                } else {
                    Vec::new()
                };
                matching.many = Some(Many { left, include });
                break;
            }
        }
        Ok(matching)
    }

    /// `(a, b)`
    fn labels(&mut self) -> Result<Vec<String>> {
        self.need_sign("(")?;
        let mut labels = Vec::new();
        while !self.take_sign(")") {
            labels.push(self.need_name("a label or )")?);
            if !self.take_sign(",") && !self.is_sign(")") {
                return Err(self.unexpected(", or )"));
            }
        }
        Ok(labels)
    }

    fn operand(&mut self) -> Result<MetricExpr> {
        match self.peek().clone() {
            Token::Sign("(") => {
                self.descend()?;
                self.at += 1;
                let inner = self.metric(0)?;
                self.need_sign(")")?;
                self.ascend();
                Ok(inner)
            }
            Token::Sign("-" | "+") | Token::Number(_) => {
                self.signed_number().map(MetricExpr::Number)
            }
            Token::Sign("{") => Err(self.error_here(
                "lines are no numbers: count them first, as in count_over_time({…}[5m])",
            )),
            Token::Name(name) => self.call(&name),
            _ => Err(self.unexpected("a function such as rate(…), or a number")),
        }
    }

    fn call(&mut self, name: &str) -> Result<MetricExpr> {
        if let Some(op) = RangeOp::ALL.iter().find(|op| op.as_str() == name) {
            return self.range_aggregation(*op);
        }
        if let Some(op) = VectorOp::ALL.iter().find(|op| op.as_str() == name) {
            return self.vector_aggregation(*op);
        }
        match name {
            "vector" => {
                self.at += 1;
                self.need_sign("(")?;
                let number = self.signed_number()?;
                self.need_sign(")")?;
                Ok(MetricExpr::Vector(number))
            }
            "label_replace" => self.label_replace(),
            name => {
                let known = RangeOp::ALL
                    .iter()
                    .map(|op| op.as_str())
                    .chain(VectorOp::ALL.iter().map(|op| op.as_str()))
                    .chain(["vector", "label_replace"]);
                let near = known
                    .map(|word| (strsim::jaro_winkler(word, name), word))
                    .filter(|(similar, _)| *similar > 0.85)
                    .max_by(|a, b| a.0.total_cmp(&b.0));
                let error = self.error_here(format!(
                    "syntax error: unexpected {name}, which is no function of LogQL"
                ));
                Err(match near {
                    Some((_, word)) => error.instead(self.text, self.place(), word),
                    None => error,
                })
            }
        }
    }

    pub(super) fn grouping(&mut self) -> Result<Option<Grouping>> {
        let without = self.is_word("without");
        if !without && !self.is_word("by") {
            return Ok(None);
        }
        self.at += 1;
        let labels = self.labels()?;
        Ok(Some(Grouping { without, labels }))
    }

    fn vector_aggregation(&mut self, op: VectorOp) -> Result<MetricExpr> {
        let start = self.place().start;
        self.at += 1;
        let mut grouping = self.grouping()?;
        self.need_sign("(")?;
        let parameter = if op.takes_number() {
            let place = self.place().start;
            let wanted = format!("how many, as in {}(5, …)", op.as_str());
            let Token::Number(number) = *self.peek() else {
                return Err(self.unexpected(&wanted));
            };
            if number < 1.0 || number.fract() != 0.0 || number > f64::from(u32::MAX) {
                let message = format!(
                    "invalid parameter (must be greater than 0) {}({number})",
                    op.as_str()
                );
                return Err(ParseError::at(self.text, place, message));
            }
            self.at += 1;
            self.need_sign(",")?;
            Some(number as u64)
        } else {
            None
        };
        let of = Box::new(self.metric(0)?);
        self.need_sign(")")?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        if grouping.is_some() && matches!(op, VectorOp::Sort | VectorOp::SortDesc) {
            let message = format!("{} takes no by (…)", op.as_str());
            return Err(ParseError::at(self.text, start, message));
        }
        Ok(MetricExpr::Aggregate {
            op,
            parameter,
            of,
            grouping,
        })
    }

    fn label_replace(&mut self) -> Result<MetricExpr> {
        self.at += 1;
        self.need_sign("(")?;
        let of = Box::new(self.metric(0)?);
        let mut next = |what: &str| {
            self.need_sign(",")?;
            self.need_text(what)
        };
        let target = next("the label that is set")?;
        let replacement = next("its value")?;
        let source = next("the label that is looked at")?;
        self.need_sign(",")?;
        let place = self.place().start;
        let regex = self.need_text("a regular expression")?;
        self.need_sign(")")?;
        if let Err(reason) = re2::for_texts(&format!("^(?s:{regex})$")) {
            return Err(ParseError::at(self.text, place, reason));
        }
        Ok(MetricExpr::LabelReplace {
            of,
            target,
            replacement,
            source,
            regex,
        })
    }
}

/// Reads a duration as LogQL writes it (`5m`, `1.5s`, `1d`), nanoseconds.
pub fn parse_duration_ns(text: &str) -> Option<i64> {
    units::duration_ns(text)
}
