//! Calls of functions, and aggregations.

use std::sync::Arc;

use super::{AFTER_OPERATOR, OR, Parser};
use crate::aggregations::AggregateOp;
use crate::functions;
use crate::syntax::error::did_you_mean;
use crate::syntax::expr::{Aggregate, Expr, Node};
use crate::syntax::signatures::{self, aggregation_signatures, function_signatures};
use crate::syntax::token::Kind;
use crate::value::QueryError;

impl Parser<'_, '_> {
    pub(super) fn call(&mut self) -> Result<Expr, QueryError> {
        let token = self.take();
        let args = self.args(&format!("call to {}", token.text))?;
        let known = function_signatures().iter().map(|f| f.name);
        // What says how to match looks like a call as well, once it is misspelt.
        let known = known
            .chain(aggregation_signatures().iter().map(|f| f.name))
            .chain(AFTER_OPERATOR);
        if signatures::find(token.text).is_none() {
            let advice = match token.text {
                // Prometheus 3 gave it another name.
                "holt_winters" => ", did you mean \"double_exponential_smoothing\"?".to_owned(),
                name => did_you_mean(name, known),
            };
            let message = format!("unknown function with name {:?}{advice}", token.text);
            return Err(self.fail_at(token.place, &message));
        }
        let Some(function) = functions::find(token.text) else {
            let message = format!("the function {} is not supported yet", token.text);
            return Err(self.fail_at(token.place, &message));
        };
        Ok(self.node(Node::Call(function, args), token.place))
    }

    /// Arguments in brackets.
    fn args(&mut self, context: &str) -> Result<Vec<Expr>, QueryError> {
        if !self.accept("(") {
            return Err(self.unexpected(context, "\"(\""));
        }
        let mut args = Vec::new();
        if self.accept(")") {
            return Ok(args);
        }
        loop {
            args.push(self.expr(OR)?);
            if self.accept(")") {
                return Ok(args);
            }
            let comma = self.now();
            if !self.accept(",") {
                return Err(self.unexpected(context, "\",\" or \")\""));
            }
            if self.now().is(")") {
                return Err(self.fail_at(
                    comma.place,
                    "trailing commas not allowed in function call args",
                ));
            }
        }
    }

    pub(super) fn aggregation(&mut self, op: AggregateOp) -> Result<Expr, QueryError> {
        let token = self.take();
        let mut grouping = self.grouping()?;
        if !self.now().is("(") {
            return Err(self.unexpected("aggregation", ""));
        }
        let args = self.args("aggregation")?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let (labels, without) = grouping.unwrap_or_default();
        let wanted = 1 + usize::from(op.param_kind().is_some());
        let count = args.len();
        if count == 0 {
            let message = "no arguments for aggregate expression provided";
            return Err(self.fail_at(token.place, message));
        }
        let mut args = args.into_iter();
        let param = if wanted == 2 { args.next() } else { None };
        let (Some(expr), None) = (args.next(), args.next()) else {
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, \
                 got {count}"
            );
            return Err(self.fail_at(token.place, &message));
        };
        let aggregate = Aggregate {
            op,
            param,
            expr,
            labels,
            without,
        };
        Ok(self.node(Node::Aggregate(Box::new(aggregate)), token.place))
    }

    /// `by (…)` or `without (…)`, if it stands here; whether it is `without`.
    #[expect(
        clippy::type_complexity,
        reason = "labels and a flag, used in one place"
    )]
    fn grouping(&mut self) -> Result<Option<(Vec<Arc<str>>, bool)>, QueryError> {
        let without = self.now().is_word("without");
        if !without && !self.now().is_word("by") {
            return Ok(None);
        }
        self.take();
        Ok(Some((self.labels()?, without)))
    }

    /// A list of labels in brackets, which may end with a comma.
    pub(super) fn labels(&mut self) -> Result<Vec<Arc<str>>, QueryError> {
        const CONTEXT: &str = "grouping opts";
        if !self.accept("(") {
            return Err(self.unexpected(CONTEXT, "\"(\""));
        }
        let mut labels = Vec::new();
        while !self.accept(")") {
            let token = self.now();
            let label: Arc<str> = match token.kind {
                // The one keyword that no label can be called by there.
                Kind::Word if !token.is_word("without") => {
                    self.take();
                    token.text.into()
                }
                Kind::Text => self.text()?.into(),
                _ => return Err(self.unexpected(CONTEXT, "label")),
            };
            if label.is_empty() {
                let message = "invalid label name for grouping: \"\"";
                return Err(self.fail_at(token.place, message));
            }
            labels.push(label);
            if !self.accept(",") && !self.now().is(")") {
                return Err(self.unexpected(CONTEXT, "\",\" or \")\""));
            }
        }
        Ok(labels)
    }
}
