//! Whether the parts of an expression fit together: types, numbers of arguments, selectors that
//! would select everything. In Prometheus' words, with advice where a slip is common.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::METRIC_NAME;

use super::error::error_at;
use super::expr::{Aggregate, Binary, Expr, Group, Matching, Node, Selector, ValueKind};
use super::signatures;
use crate::functions::Function;
use crate::value::QueryError;

/// Checks an expression; forgets how operands match where a number is one of them.
pub(super) fn check(text: &str, expr: &mut Expr) -> Result<ValueKind, QueryError> {
    let checker = Checker { text };
    checker.expr(expr)
}

struct Checker<'t> {
    text: &'t str,
}

impl Checker<'_> {
    fn fail<T>(&self, expr: &Expr, message: &str) -> Result<T, QueryError> {
        Err(error_at(self.text, expr.place.unwrap_or_default(), message))
    }

    fn expr(&self, expr: &mut Expr) -> Result<ValueKind, QueryError> {
        let place = expr.place.unwrap_or_default();
        let fail = |message: &str| Err(error_at(self.text, place, message));
        Ok(match &mut expr.node {
            Node::Number(_) | Node::Seconds(_) => ValueKind::Scalar,
            Node::Text(_) => ValueKind::Text,
            Node::Selector(selector) => {
                self.selector(selector, place)?;
                ValueKind::Vector
            }
            Node::Range(selector, _) => {
                self.selector(selector, place)?;
                ValueKind::Matrix
            }
            Node::Subquery(subquery) => {
                let kind = self.expr(&mut subquery.expr)?;
                if kind != ValueKind::Vector {
                    return fail(&format!(
                        "subquery is only allowed on instant vector, got {} instead",
                        kind.as_str()
                    ));
                }
                ValueKind::Matrix
            }
            Node::Call(function, args) => {
                self.call(function, args, place)?;
                function.returns()
            }
            Node::Aggregate(aggregate) => {
                self.aggregate(aggregate)?;
                ValueKind::Vector
            }
            Node::Binary(binary) => self.binary(binary, place)?,
            Node::Negate(inner) | Node::Plus(inner) => match self.expr(inner)? {
                kind @ (ValueKind::Scalar | ValueKind::Vector) => kind,
                kind => {
                    return fail(&format!(
                        "unary expression only allowed on expressions of type scalar or instant \
                         vector, got {:?}",
                        kind.documented()
                    ));
                }
            },
            Node::Paren(inner) => self.expr(inner)?,
        })
    }

    fn selector(&self, selector: &Selector, place: usize) -> Result<(), QueryError> {
        let mut matchers = selector.matchers.iter();
        if selector.is_named {
            let name = matchers.next().map_or("", |matcher| &*matcher.value);
            let Some(second) = matchers.find(|matcher| &*matcher.name == METRIC_NAME) else {
                return Ok(());
            };
            let message = format!(
                "metric name must not be set twice: {name:?} or {:?}",
                second.value
            );
            return Err(error_at(self.text, place, &message));
        }
        if matchers.all(model::Matcher::matches_empty) {
            let message = "vector selector must contain at least one non-empty matcher (one that \
                           the empty value does not satisfy)";
            return Err(error_at(self.text, place, message));
        }
        Ok(())
    }

    fn call(&self, function: &Function, args: &mut [Expr], place: usize) -> Result<(), QueryError> {
        let name = function.name;
        let Some(signature) = signatures::find(name) else {
            let message = format!("unknown function with name {name:?}");
            return Err(error_at(self.text, place, &message));
        };
        let count = args.len();
        let (min, max) = (signature.args_min(), signature.args_max());
        let wanted = if Some(min) == max && count != min {
            Some(format!("{min} argument(s)"))
        } else if count < min {
            Some(format!("at least {min} argument(s)"))
        } else {
            max.filter(|max| count > *max)
                .map(|max| format!("at most {max} argument(s)"))
        };
        if let Some(wanted) = wanted {
            let message = format!(
                "expected {wanted} in call to {name:?}, got {count}: {}",
                signature.usage()
            );
            return Err(error_at(self.text, place, &message));
        }
        for (index, arg) in args.iter_mut().enumerate() {
            // What info() selects are labels: any selector without a name will do.
            if name == "info" && index == 1 {
                self.labels_to_copy(arg)?;
                continue;
            }
            let wanted = signature.args.get(index).or(signature.args.last());
            if let Some(wanted) = wanted {
                self.expect(arg, *wanted, &format!("call to function {name:?}"))?;
            }
        }
        Ok(())
    }

    fn labels_to_copy(&self, arg: &Expr) -> Result<(), QueryError> {
        match &arg.node {
            Node::Selector(selector) if !selector.is_named => Ok(()),
            Node::Selector(_) => self.fail(
                arg,
                "expected label selectors only, got vector selector instead",
            ),
            _ => self.fail(arg, "expected label selectors only"),
        }
    }

    fn expect(&self, expr: &mut Expr, wanted: ValueKind, context: &str) -> Result<(), QueryError> {
        let kind = self.expr(expr)?;
        if kind == wanted {
            return Ok(());
        }
        let advice = match (wanted, kind) {
            (ValueKind::Matrix, ValueKind::Vector) if matches!(expr.node, Node::Selector(_)) => {
                ": write a range such as [5m] after the selector"
            }
            (ValueKind::Matrix, ValueKind::Vector) => {
                ": write a subquery such as [5m:] after the expression"
            }
            (ValueKind::Vector, ValueKind::Matrix) => {
                ": a range such as [5m] needs a function like rate around it"
            }
            (ValueKind::Vector, ValueKind::Scalar) => ": vector(…) makes one of a number",
            (ValueKind::Scalar, ValueKind::Vector) => ": scalar(…) makes one of a single series",
            _ => "",
        };
        let message = format!(
            "expected type {} in {context}, got {}{advice}",
            wanted.documented(),
            kind.documented()
        );
        self.fail(expr, &message)
    }

    fn aggregate(&self, aggregate: &mut Aggregate) -> Result<(), QueryError> {
        self.expect(
            &mut aggregate.expr,
            ValueKind::Vector,
            "aggregation expression",
        )?;
        if let (Some(param), Some(wanted)) = (&mut aggregate.param, aggregate.op.param_kind()) {
            self.expect(param, wanted, "aggregation parameter")?;
        }
        Ok(())
    }

    fn binary(&self, binary: &mut Binary, place: usize) -> Result<ValueKind, QueryError> {
        let kinds = (self.expr(&mut binary.lhs)?, self.expr(&mut binary.rhs)?);
        let at_operator = |message: &str| Err(error_at(self.text, binary.op_place, message));
        let at_start = |message: &str| Err(error_at(self.text, place, message));
        let matching = &binary.matching;
        let name = binary.op.name();
        if matching.returns_bool && !binary.op.is_comparison() {
            return at_operator("bool modifier can only be used on comparison operators");
        }
        let both_scalars = kinds == (ValueKind::Scalar, ValueKind::Scalar);
        if binary.op.is_comparison() && !matching.returns_bool && both_scalars {
            return at_operator(&format!(
                "comparisons between scalars must use BOOL modifier: write {name} bool"
            ));
        }
        let included: BTreeSet<&str> = matching.include.iter().map(|label| &**label).collect();
        let twice = |label: &&Arc<str>| matching.on && included.contains(&***label);
        if let Some(label) = matching.labels.iter().find(twice) {
            return at_operator(&format!(
                "label {label:?} must not occur in ON and GROUP clause at once"
            ));
        }
        for (kind, side) in [(kinds.0, &binary.lhs), (kinds.1, &binary.rhs)] {
            let advice = match kind {
                ValueKind::Scalar | ValueKind::Vector => continue,
                ValueKind::Matrix => ": a range such as [5m] needs a function like rate around it",
                ValueKind::Text => "",
            };
            let message = format!(
                "binary expression must contain only scalar and instant vector types{advice}"
            );
            return self.fail(side, &message);
        }
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        if kinds != (ValueKind::Vector, ValueKind::Vector) {
            if !matching.labels.is_empty() {
                return at_start("vector matching only allowed between instant vectors");
            }
            if fills {
                return at_start("filling in missing series only allowed between instant vectors");
            }
            if binary.op.is_set() {
                return at_start(&format!(
                    "set operator {name:?} not allowed in binary scalar expression"
                ));
            }
            binary.matching = Matching {
                returns_bool: binary.matching.returns_bool,
                ..Matching::default()
            };
        } else if binary.op.is_set() {
            if matching.group != Group::OneToOne {
                return at_start(&format!("no grouping allowed for {name:?} operation"));
            }
            if fills {
                return at_start("filling in missing series not allowed for set operators");
            }
        }
        Ok(if both_scalars {
            ValueKind::Scalar
        } else {
            ValueKind::Vector
        })
    }
}
