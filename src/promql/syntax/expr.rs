//! The checked expression: as it is written, and ([`Expr::settled`]) as the evaluator walks over
//! it.

use std::sync::Arc;

use model::{METRIC_NAME, MatchOp, Matcher};

use crate::aggregations::AggregateOp;
use crate::binary::BinaryOp;
use crate::functions::Function;
use crate::value::QueryError;

use super::duration::{Asked, Duration};

/// A parsed and checked expression.
#[derive(Debug, Clone)]
pub struct Expr {
    pub(crate) node: Node,
    /// Where it begins, in characters from the start of the text.
    pub(crate) place: Option<usize>,
    /// Where it ends: the place after its last character.
    pub(crate) end: Option<usize>,
}

/// What an expression is. Those that are marked so, a settled expression does not have.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Number(f64),
    /// A number of seconds that is written as a duration (unsettled).
    Seconds(f64),
    Text(String),
    Selector(Selector),
    /// A selector with a range.
    Range(Selector, Duration),
    Subquery(Box<Subquery>),
    Call(&'static Function, Vec<Expr>),
    Aggregate(Box<Aggregate>),
    Binary(Box<Binary>),
    Negate(Box<Expr>),
    /// A sign that changes nothing (unsettled).
    Plus(Box<Expr>),
    /// Something in brackets (unsettled).
    Paren(Box<Expr>),
}

/// What kind of value an expression has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// A number at every step.
    Scalar,
    /// Series with one value at every step.
    Vector,
    /// Series with many values at every step.
    Matrix,
    /// A text.
    Text,
}

/// Which series an expression reads, and from when.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    /// Conditions, all of which must hold; the metric's name is one of them, and the first where
    /// it stands before the braces.
    pub matchers: Vec<Matcher>,
    /// Whether the metric's name stands before the braces.
    pub(crate) is_named: bool,
    /// Looked at so much earlier (later where negative).
    pub offset: Duration,
    /// The fixed time of an `@`, where there is one.
    pub at: Option<At>,
    /// What counts as the samples of a range.
    pub extent: Extent,
}

/// What counts as the samples of a range (experimental in Prometheus 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extent {
    /// Those after its start, up to its end.
    #[default]
    Plain,
    /// `anchored`: also the last one before its start.
    Anchored,
    /// `smoothed`: values at its start and end are interpolated from the samples around them.
    Smoothed,
}

/// The time of an `@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Milliseconds since 1970-01-01 UTC.
    Time(i64),
    /// The first step of the query.
    Start,
    /// The last step of the query.
    End,
}

/// An expression evaluated over a range of its own.
#[derive(Debug, Clone)]
pub(crate) struct Subquery {
    pub(crate) expr: Expr,
    pub(crate) range: Duration,
    pub(crate) step: Option<Duration>,
    pub(crate) offset: Duration,
    pub(crate) at: Option<At>,
}

/// An aggregation.
#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(crate) op: AggregateOp,
    pub(crate) param: Option<Expr>,
    pub(crate) expr: Expr,
    /// Labels of `by` or `without`; once settled, sorted and each once.
    pub(crate) labels: Vec<Arc<str>>,
    pub(crate) without: bool,
}

/// An operator with two operands.
#[derive(Debug, Clone)]
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    /// Where the operator stands, in characters from the start of the text.
    pub(crate) op_place: usize,
    pub(crate) lhs: Expr,
    pub(crate) rhs: Expr,
    pub(crate) matching: Matching,
}

/// How the series of two vectors find each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matching {
    /// Whether `labels` are the only ones that count (`on`) or those that do not (`ignoring`).
    pub(crate) on: bool,
    /// Once settled, sorted and each once.
    pub(crate) labels: Vec<Arc<str>>,
    /// Which side may have several series for one of the other.
    pub(crate) group: Group,
    /// Labels that are copied from the side with one series.
    pub(crate) include: Vec<Arc<str>>,
    /// Whether a comparison gives 0 or 1 instead of filtering.
    pub(crate) returns_bool: bool,
    /// What stands for a missing series of the left side: `fill`, `fill_left` (experimental in
    /// Prometheus 3).
    pub(crate) fill_left: Option<f64>,
    /// What stands for a missing series of the right side: `fill`, `fill_right`.
    pub(crate) fill_right: Option<f64>,
}

/// Which side may have several series for one of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Group {
    #[default]
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
}

impl Expr {
    /// What kind of value it has.
    pub fn kind(&self) -> ValueKind {
        match &self.node {
            Node::Number(_) | Node::Seconds(_) => ValueKind::Scalar,
            Node::Text(_) => ValueKind::Text,
            Node::Range(..) | Node::Subquery(_) => ValueKind::Matrix,
            Node::Selector(_) | Node::Aggregate(_) => ValueKind::Vector,
            Node::Call(function, _) => function.returns(),
            Node::Negate(expr) | Node::Plus(expr) | Node::Paren(expr) => expr.kind(),
            Node::Binary(binary) => match (binary.lhs.kind(), binary.rhs.kind()) {
                (ValueKind::Scalar, ValueKind::Scalar) => ValueKind::Scalar,
                _ => ValueKind::Vector,
            },
        }
    }

    /// The parts of which it is made.
    pub(crate) fn children(&self) -> Vec<&Expr> {
        match &self.node {
            Node::Number(_)
            | Node::Seconds(_)
            | Node::Text(_)
            | Node::Selector(_)
            | Node::Range(..) => Vec::new(),
            Node::Subquery(subquery) => vec![&subquery.expr],
            Node::Call(_, args) => args.iter().collect(),
            Node::Aggregate(aggregate) => aggregate
                .param
                .iter()
                .chain(std::iter::once(&aggregate.expr))
                .collect(),
            Node::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            Node::Negate(expr) | Node::Plus(expr) | Node::Paren(expr) => vec![expr],
        }
    }

    /// The expression as the evaluator wants it: without brackets and signs that change nothing,
    /// and with every duration as a number.
    ///
    /// # Errors
    /// `BadData` where a formula of durations gives none.
    pub(crate) fn settled(mut self, asked: Asked) -> Result<Self, QueryError> {
        self.settle(asked)?;
        Ok(self)
    }

    fn settle(&mut self, asked: Asked) -> Result<(), QueryError> {
        match &mut self.node {
            Node::Number(_) | Node::Text(_) => {}
            Node::Seconds(seconds) => self.node = Node::Number(*seconds),
            Node::Selector(selector) => selector.offset.settle(asked, true)?,
            Node::Range(selector, range) => {
                selector.offset.settle(asked, true)?;
                range.settle(asked, false)?;
            }
            Node::Subquery(subquery) => {
                subquery.range.settle(asked, false)?;
                if let Some(step) = &mut subquery.step {
                    step.settle(asked, false)?;
                }
                subquery.offset.settle(asked, true)?;
                subquery.expr.settle(asked)?;
            }
            Node::Call(_, args) => args.iter_mut().try_for_each(|arg| arg.settle(asked))?,
            Node::Aggregate(aggregate) => {
                settle_labels(&mut aggregate.labels);
                if let Some(param) = &mut aggregate.param {
                    param.settle(asked)?;
                }
                aggregate.expr.settle(asked)?;
            }
            Node::Binary(binary) => {
                settle_labels(&mut binary.matching.labels);
                settle_labels(&mut binary.matching.include);
                binary.lhs.settle(asked)?;
                binary.rhs.settle(asked)?;
            }
            Node::Negate(inner) => inner.settle(asked)?,
            Node::Plus(inner) | Node::Paren(inner) => {
                inner.settle(asked)?;
                let inner = std::mem::replace(&mut inner.node, Node::Number(0.0));
                self.node = inner;
            }
        }
        Ok(())
    }

    /// All selectors in it, from left to right.
    pub fn selectors(&self) -> Vec<&Selector> {
        let mut found = Vec::new();
        self.collect_selectors(&mut found);
        found
    }

    fn collect_selectors<'e>(&'e self, found: &mut Vec<&'e Selector>) {
        if let Node::Selector(selector) | Node::Range(selector, _) = &self.node {
            found.push(selector);
        }
        for child in self.children() {
            child.collect_selectors(found);
        }
    }
}

fn settle_labels(labels: &mut Vec<Arc<str>>) {
    labels.sort_unstable();
    labels.dedup();
}

impl ValueKind {
    /// The word with its article, for messages of the evaluation.
    pub(crate) fn with_article(self) -> &'static str {
        match self {
            Self::Scalar => "a number",
            Self::Vector => "an instant vector",
            Self::Matrix => "a range vector",
            Self::Text => "a string",
        }
    }

    /// The word that Prometheus' documentation has for it.
    pub fn documented(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::Text => "string",
        }
    }

    /// The word that Prometheus' API has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
            Self::Text => "string",
        }
    }
}

impl Selector {
    /// The one metric name that it asks for, where it does.
    pub fn metric_name(&self) -> Option<&str> {
        self.matchers
            .iter()
            .find(|m| &*m.name == METRIC_NAME && m.op == MatchOp::Equal && !m.value.is_empty())
            .map(|m| &*m.value)
    }
}
