//! From tokens to the tree, by recursive descent with precedences.
//!
//! What follows something (`[5m]`, `offset`, `@`, `anchored`) binds tightest, then `^` (to the
//! right), a sign, `*`, `+`, comparisons, `and` and `unless`, and last `or` (all to the left). How
//! deep it may go was seen to before the first token was parsed, and every step takes a token, so
//! this ends on any input in linear time.

mod calls;
mod durations;
mod matching;
mod selectors;

use super::error::{did_you_mean, error_at};
use super::expr::{Binary, Expr, Node};
use super::literal;
use super::token::{Kind, Token, Tokens};
use crate::aggregations::AggregateOp;
use crate::binary::BinaryOp;
use crate::value::QueryError;

/// How tightly operators bind.
const OR: u8 = 1;
const AND: u8 = 2;
const COMPARISON: u8 = 3;
const SUM: u8 = 4;
const PRODUCT: u8 = 5;
const POWER: u8 = 6;

/// Words that stand after an operand.
const AFTER_OPERAND: [&str; 10] = [
    "and", "or", "unless", "atan2", "offset", "anchored", "smoothed", "by", "without", "bool",
];

/// Words that stand after an operator.
const AFTER_OPERATOR: [&str; 8] = [
    "bool",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "fill",
    "fill_left",
    "fill_right",
];

/// Parses a text whose types are yet to be checked.
pub(super) fn parse(text: &str, tokens: &Tokens<'_>) -> Result<Expr, QueryError> {
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
    };
    if parser.now().kind == Kind::End {
        return Err(parser.fail_at(0, "no expression found in input: it is empty"));
    }
    let expr = parser.expr(OR)?;
    let token = parser.now();
    if token.kind == Kind::End {
        return Ok(expr);
    }
    let advice = match (token.kind, token.text) {
        (Kind::Operator, "=") => ": write == to compare".to_owned(),
        (Kind::Word, word) => match did_you_mean(word, AFTER_OPERAND.into_iter()) {
            none if none.is_empty() => ": an operator is missing before it".to_owned(),
            meant => meant,
        },
        (Kind::Mark, ",") => ": arguments stand in the brackets of a call".to_owned(),
        _ => ": an operator is missing before it".to_owned(),
    };
    Err(parser.unexpected_with("", "", &advice))
}

struct Parser<'p, 't> {
    text: &'t str,
    tokens: &'p Tokens<'t>,
    /// The next token.
    at: usize,
}

impl<'t> Parser<'_, 't> {
    fn peek(&self, ahead: usize) -> Token<'t> {
        let list = &self.tokens.list;
        let last = list.last().copied().unwrap_or(Token {
            kind: Kind::End,
            text: "",
            place: 0,
            end: 0,
        });
        list.get(self.at + ahead).copied().unwrap_or(last)
    }

    fn now(&self) -> Token<'t> {
        self.peek(0)
    }

    fn take(&mut self) -> Token<'t> {
        let token = self.now();
        self.at += 1;
        token
    }

    /// Takes a bracket, comma, colon or operator if it is the next token.
    fn accept(&mut self, mark: &str) -> bool {
        let is = self.now().is(mark);
        self.at += usize::from(is);
        is
    }

    /// Takes a keyword if it is the next token.
    fn accept_word(&mut self, word: &str) -> bool {
        let is = self.now().is_word(word);
        self.at += usize::from(is);
        is
    }

    /// Where the last token that was taken ends.
    fn end(&self) -> usize {
        let before = self.at.checked_sub(1);
        before
            .and_then(|at| self.tokens.list.get(at))
            .map_or(0, |t| t.end)
    }

    fn node(&self, node: Node, place: usize) -> Expr {
        Expr {
            node,
            place: Some(place),
            end: Some(self.end()),
        }
    }

    fn fail_at(&self, place: usize, message: &str) -> QueryError {
        error_at(self.text, place, message)
    }

    /// The next token cannot stand here.
    fn unexpected(&self, context: &str, expected: &str) -> QueryError {
        self.unexpected_with(context, expected, "")
    }

    fn unexpected_with(&self, context: &str, expected: &str, advice: &str) -> QueryError {
        let token = self.now();
        if token.kind == Kind::Bad {
            return self.fail_at(token.place, &self.tokens.bad);
        }
        let mut message = format!("unexpected {}", described(&token));
        if !context.is_empty() {
            message.push_str(" in ");
            message.push_str(context);
        }
        if !expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(expected);
        }
        message.push_str(advice);
        self.fail_at(token.place, &message)
    }

    fn expect(&mut self, mark: &str, context: &str) -> Result<(), QueryError> {
        if self.accept(mark) {
            return Ok(());
        }
        Err(self.unexpected(context, &format!("{mark:?}")))
    }

    /// An expression of operators that bind at least so tightly.
    fn expr(&mut self, least: u8) -> Result<Expr, QueryError> {
        let mut lhs = self.operand()?;
        while let Some((op, precedence)) = operator(&self.now()) {
            if precedence < least {
                break;
            }
            let op_place = self.take().place;
            let matching = self.matching()?;
            let rhs = self.expr(if precedence == POWER {
                precedence
            } else {
                precedence + 1
            })?;
            let place = lhs.place.unwrap_or_default();
            let binary = Binary {
                op,
                op_place,
                lhs,
                rhs,
                matching,
            };
            lhs = self.node(Node::Binary(Box::new(binary)), place);
        }
        Ok(lhs)
    }

    /// An operand with its signs before and all that follows it.
    fn operand(&mut self) -> Result<Expr, QueryError> {
        let token = self.now();
        if token.is("-") || token.is("+") {
            self.take();
            let inner = self.expr(POWER)?;
            let negative = token.is("-");
            let node = match inner.node {
                Node::Number(value) => Node::Number(if negative { -value } else { value }),
                Node::Seconds(value) => Node::Seconds(if negative { -value } else { value }),
                _ if negative => Node::Negate(Box::new(inner)),
                _ => Node::Plus(Box::new(inner)),
            };
            return Ok(self.node(node, token.place));
        }
        let mut operand = self.primary()?;
        while self.follow(&mut operand)? {}
        Ok(operand)
    }

    fn primary(&mut self) -> Result<Expr, QueryError> {
        let token = self.now();
        match token.kind {
            Kind::Number => {
                self.take();
                let value = self.number_of(&token)?;
                Ok(self.node(Node::Number(value), token.place))
            }
            Kind::Duration => {
                self.take();
                let seconds = self.seconds_of(&token)?;
                Ok(self.node(Node::Seconds(seconds), token.place))
            }
            Kind::Text => {
                let text = self.text()?;
                Ok(self.node(Node::Text(text), token.place))
            }
            Kind::Mark if token.text == "(" => {
                self.take();
                let inner = self.expr(OR)?;
                if !self.accept(")") {
                    let advice = match (self.now().kind, self.now().text) {
                        (Kind::Mark, ",") => "",
                        _ => ": an operator or \")\" is missing before it",
                    };
                    return Err(self.unexpected_with("", "", advice));
                }
                Ok(self.node(Node::Paren(Box::new(inner)), token.place))
            }
            Kind::Mark if token.text == "{" => self.selector(),
            Kind::Metric => self.selector(),
            Kind::Word => self.named(),
            _ => {
                Err(self.unexpected_with("", "", ": a metric, number or function is expected here"))
            }
        }
    }

    /// Something that begins with a word: an aggregation, a call or a selector.
    fn named(&mut self) -> Result<Expr, QueryError> {
        let token = self.now();
        let next = self.peek(1);
        let name = token.text.to_ascii_lowercase();
        if let Some(op) = AggregateOp::find(&name)
            && (next.is("(") || next.is_word("by") || next.is_word("without"))
        {
            return self.aggregation(op);
        }
        // Words that are operators or say how to match are no names.
        let is_reserved = [
            "bool",
            "on",
            "ignoring",
            "group_left",
            "group_right",
            "atan2",
        ]
        .contains(&name.as_str());
        if is_reserved {
            return Err(self.unexpected_with(
                "",
                "",
                ": a metric, number or function is expected here",
            ));
        }
        if next.is("(") {
            return self.call();
        }
        self.selector()
    }

    /// A number or duration with a sign before it.
    fn signed_number(&mut self, context: &str, expected: &str) -> Result<f64, QueryError> {
        let negative = self.now().is("-");
        if negative || self.now().is("+") {
            self.take();
        }
        let token = self.now();
        let value = match token.kind {
            Kind::Number => self.number_of(&token)?,
            Kind::Duration => self.seconds_of(&token)?,
            _ => return Err(self.unexpected(context, expected)),
        };
        self.take();
        Ok(if negative { -value } else { value })
    }

    fn number_of(&self, token: &Token<'_>) -> Result<f64, QueryError> {
        literal::number(token.text).ok_or_else(|| {
            let message = format!("error parsing number: {:?} is none", token.text);
            self.fail_at(token.place, &message)
        })
    }

    fn seconds_of(&self, token: &Token<'_>) -> Result<f64, QueryError> {
        literal::duration_ms(token.text)
            .map(|ms| ms as f64 / 1000.0)
            .map_err(|message| self.fail_at(token.place, &message))
    }

    /// The value of the string that is the next token.
    fn text(&mut self) -> Result<String, QueryError> {
        let token = self.take();
        literal::text(token.text)
            .map_err(|(characters, message)| self.fail_at(token.place + characters, &message))
    }
}

/// The operator that a token is, and how tightly it binds.
fn operator(token: &Token<'_>) -> Option<(BinaryOp, u8)> {
    Some(match token.kind {
        Kind::Operator => match token.text {
            "+" => (BinaryOp::Add, SUM),
            "-" => (BinaryOp::Sub, SUM),
            "*" => (BinaryOp::Mul, PRODUCT),
            "/" => (BinaryOp::Div, PRODUCT),
            "%" => (BinaryOp::Mod, PRODUCT),
            "^" => (BinaryOp::Pow, POWER),
            "==" => (BinaryOp::Equal, COMPARISON),
            "!=" => (BinaryOp::NotEqual, COMPARISON),
            ">" => (BinaryOp::Greater, COMPARISON),
            "<" => (BinaryOp::Less, COMPARISON),
            ">=" => (BinaryOp::GreaterOrEqual, COMPARISON),
            "<=" => (BinaryOp::LessOrEqual, COMPARISON),
            "</" => (BinaryOp::TrimUpper, COMPARISON),
            ">/" => (BinaryOp::TrimLower, COMPARISON),
            _ => return None,
        },
        Kind::Word if token.is_word("and") => (BinaryOp::And, AND),
        Kind::Word if token.is_word("unless") => (BinaryOp::Unless, AND),
        Kind::Word if token.is_word("or") => (BinaryOp::Or, OR),
        Kind::Word if token.is_word("atan2") => (BinaryOp::Atan2, PRODUCT),
        _ => return None,
    })
}

/// A token in words, as Prometheus names it.
fn described(token: &Token<'_>) -> String {
    let word = token.text.to_ascii_lowercase();
    let is = |words: &[&str]| words.contains(&word.as_str());
    match token.kind {
        Kind::End => "end of input".to_owned(),
        Kind::Bad => "character".to_owned(),
        Kind::Number => format!("number {:?}", token.text),
        Kind::Duration => format!("duration {:?}", token.text),
        Kind::Metric => format!("metric identifier {:?}", token.text),
        Kind::Text => match token.text.char_indices().nth(10) {
            Some((end, _)) => {
                let start = token.text.get(..end).unwrap_or_default();
                format!("string {start:?}...")
            }
            None => format!("string {:?}", token.text),
        },
        Kind::Mark => format!("{:?}", token.text),
        Kind::Operator if token.text == "=" => format!("{:?}", token.text),
        Kind::Operator => format!("<op:{}>", token.text),
        Kind::Word if is(&["and", "or", "unless", "atan2"]) => format!("<op:{}>", token.text),
        Kind::Word if is(&["start", "end", "step", "range"]) => format!("{:?}", token.text),
        Kind::Word if is(&AFTER_OPERAND) || is(&AFTER_OPERATOR) => format!("<{}>", token.text),
        Kind::Word if AggregateOp::find(&word).is_some() => format!("<aggr:{}>", token.text),
        Kind::Word => format!("identifier {:?}", token.text),
    }
}
