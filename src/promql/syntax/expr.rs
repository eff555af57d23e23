//! The checked expression: what the evaluator walks over, whatever parser it came from.

use std::sync::Arc;

use model::{METRIC_NAME, MatchOp, Matcher};

use crate::aggregations::AggregateOp;
use crate::binary::BinaryOp;
use crate::functions::Function;

/// A parsed and checked expression.
#[derive(Debug, Clone)]
pub struct Expr {
    pub(crate) node: Node,
    /// Where it begins, in characters from the start of the text.
    pub(crate) place: Option<usize>,
}

/// What an expression is.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Number(f64),
    Text(String),
    Selector(Selector),
    /// A selector with a range in milliseconds.
    Range(Selector, i64),
    Subquery(Box<Subquery>),
    Call(&'static Function, Vec<Expr>),
    Aggregate(Box<Aggregate>),
    Binary(Box<Binary>),
    Negate(Box<Expr>),
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
    /// Conditions, all of which must hold; the metric's name is one of them.
    pub matchers: Vec<Matcher>,
    /// Looked at so many milliseconds earlier (later where negative).
    pub offset_ms: i64,
    /// The fixed time of an `@`, where there is one.
    pub at: Option<At>,
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
    pub(crate) range_ms: i64,
    pub(crate) step_ms: Option<i64>,
    pub(crate) offset_ms: i64,
    pub(crate) at: Option<At>,
}

/// An aggregation.
#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(crate) op: AggregateOp,
    pub(crate) param: Option<Expr>,
    pub(crate) expr: Expr,
    /// Labels of `by` or `without`, sorted.
    pub(crate) labels: Vec<Arc<str>>,
    pub(crate) without: bool,
}

/// An operator with two operands.
#[derive(Debug, Clone)]
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    pub(crate) lhs: Expr,
    pub(crate) rhs: Expr,
    pub(crate) matching: Matching,
}

/// How the series of two vectors find each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matching {
    /// Whether `labels` are the only ones that count (`on`) or those that do not (`ignoring`).
    pub(crate) on: bool,
    /// Sorted.
    pub(crate) labels: Vec<Arc<str>>,
    /// Which side may have several series for one of the other.
    pub(crate) group: Group,
    /// Labels that are copied from the side with one series.
    pub(crate) include: Vec<Arc<str>>,
    /// Whether a comparison gives 0 or 1 instead of filtering.
    pub(crate) returns_bool: bool,
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
            Node::Number(_) => ValueKind::Scalar,
            Node::Text(_) => ValueKind::Text,
            Node::Range(..) | Node::Subquery(_) => ValueKind::Matrix,
            Node::Selector(_) | Node::Aggregate(_) => ValueKind::Vector,
            Node::Call(function, _) => function.returns(),
            Node::Negate(expr) => expr.kind(),
            Node::Binary(binary) => match (binary.lhs.kind(), binary.rhs.kind()) {
                (ValueKind::Scalar, ValueKind::Scalar) => ValueKind::Scalar,
                _ => ValueKind::Vector,
            },
        }
    }

    /// The parts of which it is made.
    pub(crate) fn children(&self) -> Vec<&Expr> {
        match &self.node {
            Node::Number(_) | Node::Text(_) | Node::Selector(_) | Node::Range(..) => Vec::new(),
            Node::Subquery(subquery) => vec![&subquery.expr],
            Node::Call(_, args) => args.iter().collect(),
            Node::Aggregate(aggregate) => aggregate
                .param
                .iter()
                .chain(std::iter::once(&aggregate.expr))
                .collect(),
            Node::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            Node::Negate(expr) => vec![expr],
        }
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

impl Selector {
    /// The one metric name that it asks for, where it does.
    pub fn metric_name(&self) -> Option<&str> {
        self.matchers
            .iter()
            .find(|m| &*m.name == METRIC_NAME && m.op == MatchOp::Equal && !m.value.is_empty())
            .map(|m| &*m.value)
    }
}
