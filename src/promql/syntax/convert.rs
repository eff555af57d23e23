//! From promql-parser's tree to ours: the only file that knows its types.

use std::sync::Arc;
use std::time::{self, SystemTime};

use model::{METRIC_NAME, MatchOp, Matcher};
use promql_parser::label;
use promql_parser::parser as ast;

use super::duration::{DURATION_MS_MAX, Duration};
use super::expr::{
    Aggregate, At, Binary, Expr, Extent, Group, Matching, Node, Selector, Subquery, ValueKind,
};
use super::places::{Place, PlaceKind};
use crate::aggregations::AggregateOp;
use crate::binary::BinaryOp;
use crate::functions;
use crate::value::{ErrorKind, QueryError};

/// Converts a tree and gives its nodes their places.
pub(super) fn convert(tree: &ast::Expr, places: &[Place]) -> Result<Expr, QueryError> {
    let mut converter = Converter {
        places: places.iter(),
        lost: false,
    };
    let mut expr = converter.expr(tree)?;
    if converter.lost {
        forget_places(&mut expr);
    }
    Ok(expr)
}

/// No place is better than a wrong one.
fn forget_places(expr: &mut Expr) {
    expr.place = None;
    match &mut expr.node {
        Node::Number(_)
        | Node::Seconds(_)
        | Node::Text(_)
        | Node::Selector(_)
        | Node::Range(..) => {}
        Node::Subquery(subquery) => forget_places(&mut subquery.expr),
        Node::Call(_, args) => args.iter_mut().for_each(forget_places),
        Node::Aggregate(aggregate) => {
            aggregate.param.iter_mut().for_each(forget_places);
            forget_places(&mut aggregate.expr);
        }
        Node::Binary(binary) => {
            forget_places(&mut binary.lhs);
            forget_places(&mut binary.rhs);
        }
        Node::Negate(expr) | Node::Plus(expr) | Node::Paren(expr) => forget_places(expr),
    }
}

struct Converter<'p> {
    places: std::slice::Iter<'p, Place>,
    /// Whether the places stopped fitting the tree.
    lost: bool,
}

impl Converter<'_> {
    fn place(&mut self, kind: PlaceKind) -> Option<usize> {
        let place = self.places.next().filter(|place| place.kind == kind);
        self.lost |= place.is_none();
        place.map(|place| place.at)
    }

    fn expr(&mut self, tree: &ast::Expr) -> Result<Expr, QueryError> {
        let (node, place) = match tree {
            ast::Expr::Paren(paren) => return self.expr(&paren.expr),
            ast::Expr::NumberLiteral(number) => {
                (Node::Number(number.val), self.place(PlaceKind::Number))
            }
            ast::Expr::StringLiteral(text) => {
                (Node::Text(text.val.clone()), self.place(PlaceKind::Text))
            }
            ast::Expr::VectorSelector(tree) => {
                let place = self.place(PlaceKind::Name);
                (Node::Selector(selector(tree, place)?), place)
            }
            ast::Expr::MatrixSelector(tree) => {
                let place = self.place(PlaceKind::Name);
                let range = Duration::of_ms(positive(tree.range, "a range", place)?);
                (Node::Range(selector(&tree.vs, place)?, range), place)
            }
            ast::Expr::Subquery(tree) => {
                let expr = self.expr(&tree.expr)?;
                let place = expr.place;
                let step = tree.step.map(|step| positive(step, "a step", place));
                let subquery = Subquery {
                    range: Duration::of_ms(positive(tree.range, "a range", place)?),
                    step: step.transpose()?.map(Duration::of_ms),
                    offset: Duration::of_ms(offset(tree.offset.as_ref(), place)?),
                    at: tree.at.as_ref().map(at).transpose()?,
                    expr,
                };
                (Node::Subquery(Box::new(subquery)), place)
            }
            ast::Expr::Unary(tree) => {
                let expr = self.expr(&tree.expr)?;
                let place = expr.place;
                (Node::Negate(Box::new(expr)), place)
            }
            ast::Expr::Call(tree) => self.call(tree)?,
            ast::Expr::Aggregate(tree) => self.aggregate(tree)?,
            ast::Expr::Binary(tree) => self.binary(tree)?,
            ast::Expr::Extension(_) => {
                return Err(bad("this kind of expression is not supported", None));
            }
        };
        Ok(Expr {
            node,
            place,
            end: None,
        })
    }

    fn call(&mut self, tree: &ast::Call) -> Result<(Node, Option<usize>), QueryError> {
        let place = self.place(PlaceKind::Name);
        let name = tree.func.name;
        let Some(function) = functions::find(name) else {
            return Err(bad(
                format!("the function {name} is not supported yet"),
                place,
            ));
        };
        let args: Vec<Expr> = (tree.args.args.iter())
            .map(|arg| self.expr(arg))
            .collect::<Result<_, _>>()?;
        for (arg, wanted) in args.iter().zip(&tree.func.arg_types) {
            let wanted = match wanted {
                ast::value::ValueType::Vector => ValueKind::Vector,
                ast::value::ValueType::Scalar => ValueKind::Scalar,
                ast::value::ValueType::Matrix => ValueKind::Matrix,
                ast::value::ValueType::String => ValueKind::Text,
            };
            // The parser lets some literals through that it takes for special cases.
            if arg.kind() != wanted {
                return Err(bad(
                    format!(
                        "{name} takes {} here, not {}",
                        wanted.with_article(),
                        arg.kind().with_article()
                    ),
                    arg.place,
                ));
            }
        }
        Ok((Node::Call(function, args), place))
    }

    fn aggregate(
        &mut self,
        tree: &ast::AggregateExpr,
    ) -> Result<(Node, Option<usize>), QueryError> {
        let place = self.place(PlaceKind::Name);
        let name = tree.op.to_string();
        let op = AggregateOp::find(&name)
            .ok_or_else(|| bad(format!("the aggregation {name} is not supported"), place))?;
        let param = tree.param.as_ref().map(|param| self.expr(param));
        let param = param.transpose()?;
        let expr = self.expr(&tree.expr)?;
        let (labels, without) = match &tree.modifier {
            None => (Vec::new(), false),
            Some(ast::LabelModifier::Include(labels)) => (sorted(labels), false),
            Some(ast::LabelModifier::Exclude(labels)) => (sorted(labels), true),
        };
        let wanted = op.param_kind();
        if param.as_ref().map(Expr::kind) != wanted {
            return Err(bad(
                match wanted {
                    Some(kind) => format!("{name} takes {} first", kind.with_article()),
                    None => format!("{name} takes no parameter"),
                },
                place,
            ));
        }
        let aggregate = Aggregate {
            op,
            param,
            expr,
            labels,
            without,
        };
        Ok((Node::Aggregate(Box::new(aggregate)), place))
    }

    fn binary(&mut self, tree: &ast::BinaryExpr) -> Result<(Node, Option<usize>), QueryError> {
        let lhs = self.expr(&tree.lhs)?;
        let rhs = self.expr(&tree.rhs)?;
        let place = lhs.place;
        let name = tree.op.to_string();
        let op = BinaryOp::find(&name)
            .ok_or_else(|| bad(format!("the operator {name} is not supported"), place))?;
        let matching = match &tree.modifier {
            None => Matching::default(),
            Some(modifier) => matching(modifier),
        };
        let binary = Binary {
            op,
            lhs,
            rhs,
            matching,
        };
        Ok((Node::Binary(Box::new(binary)), place))
    }
}

fn matching(modifier: &ast::BinModifier) -> Matching {
    let (on, labels) = match &modifier.matching {
        None => (false, Vec::new()),
        Some(ast::LabelModifier::Include(labels)) => (true, sorted(labels)),
        Some(ast::LabelModifier::Exclude(labels)) => (false, sorted(labels)),
    };
    let (group, include) = match &modifier.card {
        ast::VectorMatchCardinality::OneToOne | ast::VectorMatchCardinality::ManyToMany => {
            (Group::OneToOne, Vec::new())
        }
        ast::VectorMatchCardinality::ManyToOne(labels) => (Group::ManyToOne, sorted(labels)),
        ast::VectorMatchCardinality::OneToMany(labels) => (Group::OneToMany, sorted(labels)),
    };
    Matching {
        on,
        labels,
        group,
        include,
        returns_bool: modifier.return_bool,
        fill_left: modifier.fill_values.lhs,
        fill_right: modifier.fill_values.rhs,
    }
}

fn selector(tree: &ast::VectorSelector, place: Option<usize>) -> Result<Selector, QueryError> {
    if !tree.matchers.or_matchers.is_empty() {
        return Err(bad(
            "\"or\" between matchers is not supported: use =~\"a|b\", or \"or\" between selectors",
            place,
        ));
    }
    let mut matchers = Vec::with_capacity(tree.matchers.matchers.len() + 1);
    if let Some(name) = &tree.name {
        matchers.push(Matcher::equal(METRIC_NAME, name.as_str()));
    }
    for matcher in &tree.matchers.matchers {
        let op = match &matcher.op {
            label::MatchOp::Equal => MatchOp::Equal,
            label::MatchOp::NotEqual => MatchOp::NotEqual,
            label::MatchOp::Re(_) => MatchOp::Regex,
            label::MatchOp::NotRe(_) => MatchOp::NotRegex,
        };
        let matcher = Matcher::new(matcher.name.as_str(), op, matcher.value.as_str())
            .map_err(|error| bad(error.to_string(), place))?;
        matchers.push(matcher);
    }
    Ok(Selector {
        matchers,
        is_named: tree.name.is_some(),
        offset: Duration::of_ms(offset(tree.offset.as_ref(), place)?),
        at: tree.at.as_ref().map(at).transpose()?,
        extent: Extent::Plain,
    })
}

fn sorted(labels: &label::Labels) -> Vec<Arc<str>> {
    let mut labels: Vec<Arc<str>> = labels.labels.iter().map(|l| l.as_str().into()).collect();
    labels.sort_unstable();
    labels.dedup();
    labels
}

fn milliseconds(duration: time::Duration, place: Option<usize>) -> Result<i64, QueryError> {
    i64::try_from(duration.as_millis())
        .ok()
        .filter(|ms| *ms <= DURATION_MS_MAX)
        .ok_or_else(|| bad("a duration of more than 300 years", place))
}

fn positive(duration: time::Duration, what: &str, place: Option<usize>) -> Result<i64, QueryError> {
    match milliseconds(duration, place)? {
        0 => Err(bad(format!("{what} must be at least 1ms"), place)),
        ms => Ok(ms),
    }
}

fn offset(offset: Option<&ast::Offset>, place: Option<usize>) -> Result<i64, QueryError> {
    match offset {
        None => Ok(0),
        Some(ast::Offset::Pos(duration)) => milliseconds(*duration, place),
        Some(ast::Offset::Neg(duration)) => milliseconds(*duration, place).map(|ms| -ms),
    }
}

fn at(modifier: &ast::AtModifier) -> Result<At, QueryError> {
    let time = match modifier {
        ast::AtModifier::Start => return Ok(At::Start),
        ast::AtModifier::End => return Ok(At::End),
        ast::AtModifier::At(time) => time,
    };
    let (sign, span) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => (1, after),
        Err(before) => (-1, before.duration()),
    };
    milliseconds(span, None).map(|ms| At::Time(sign * ms))
}

fn bad(message: impl Into<String>, position: Option<usize>) -> QueryError {
    let mut message = message.into();
    if let Some(position) = position {
        message = format!("{message} (at character {})", position + 1);
    }
    QueryError {
        kind: ErrorKind::BadData,
        message,
        position,
    }
}
