//! Selectors, and what follows an operand: ranges, subqueries, `offset`, `@`, `anchored`.

use model::{METRIC_NAME, MatchOp, Matcher};

use super::Parser;
use crate::syntax::duration::Duration;
use crate::syntax::expr::{At, Expr, Extent, Node, Selector, Subquery};
use crate::syntax::token::Kind;
use crate::value::QueryError;

/// Times beyond this are refused: Prometheus' own bound is what milliseconds hold in 64 bits.
const AT_MS_MAX: f64 = 9.0e18;

impl Parser<'_, '_> {
    /// A metric's name, matchers in braces, or both.
    pub(super) fn selector(&mut self) -> Result<Expr, QueryError> {
        let token = self.now();
        let is_named = matches!(token.kind, Kind::Word | Kind::Metric);
        let mut matchers = Vec::new();
        if is_named {
            self.take();
            matchers.push(Matcher::equal(METRIC_NAME, token.text));
        }
        if self.accept("{") {
            while !self.accept("}") {
                matchers.push(self.matcher()?);
                if !self.accept(",") && !self.now().is("}") {
                    return Err(self.unexpected("label matching", "\",\" or \"}\""));
                }
            }
        }
        let selector = Selector {
            matchers,
            is_named,
            offset: Duration::default(),
            at: None,
            extent: Extent::Plain,
        };
        Ok(self.node(Node::Selector(selector), token.place))
    }

    /// `name = "value"`, or the metric's name in quotes.
    fn matcher(&mut self) -> Result<Matcher, QueryError> {
        const CONTEXT: &str = "label matching";
        let label = self.now();
        let name = match label.kind {
            Kind::Word => self.take().text.to_owned(),
            Kind::Text => {
                let name = self.text()?;
                if self.now().is(",") || self.now().is("}") {
                    return Ok(Matcher::equal(METRIC_NAME, name));
                }
                name
            }
            _ => return Err(self.unexpected(CONTEXT, "identifier or \"}\"")),
        };
        let op = match (self.now().kind, self.now().text) {
            (Kind::Operator, "=") => MatchOp::Equal,
            (Kind::Operator, "!=") => MatchOp::NotEqual,
            (Kind::Operator, "=~") => MatchOp::Regex,
            (Kind::Operator, "!~") => MatchOp::NotRegex,
            _ => {
                let advice = ": =, !=, =~ or !~";
                return Err(self.unexpected_with(CONTEXT, "label matching operator", advice));
            }
        };
        self.take();
        if self.now().kind != Kind::Text {
            let advice = match self.now().kind {
                Kind::Word | Kind::Number => ": the value of a label stands in quotes",
                _ => "",
            };
            return Err(self.unexpected_with(CONTEXT, "string", advice));
        }
        let value = self.text()?;
        Matcher::new(name, op, value)
            .map_err(|error| self.fail_at(label.place, &format!("error parsing regexp: {error}")))
    }

    /// Takes what follows an operand; whether there was anything.
    pub(super) fn follow(&mut self, operand: &mut Expr) -> Result<bool, QueryError> {
        let token = self.now();
        if token.is("[") {
            self.range(operand)?;
        } else if token.is("@") {
            self.take();
            let at = self.time()?;
            let fields = fields_of(&mut operand.node);
            let Some((_, slot, _)) = fields else {
                return Err(self.fail_at(
                    token.place,
                    "@ modifier must be preceded by an instant vector selector or range vector \
                     selector or a subquery",
                ));
            };
            if slot.replace(at).is_some() {
                let message = "@ <timestamp> may not be set multiple times";
                return Err(self.fail_at(token.place, message));
            }
        } else if token.is_word("offset") {
            self.take();
            let offset = self.offset()?;
            let Some((slot, ..)) = fields_of(&mut operand.node) else {
                return Err(self.fail_at(
                    token.place,
                    "offset modifier must be preceded by an instant vector selector or range \
                     vector selector or a subquery",
                ));
            };
            if *slot != Duration::default() {
                let message = "offset may not be set multiple times";
                return Err(self.fail_at(token.place, message));
            }
            *slot = offset;
        } else if token.is_word("anchored") || token.is_word("smoothed") {
            self.take();
            let word = token.text.to_ascii_lowercase();
            let extent = match word.as_str() {
                "anchored" => Extent::Anchored,
                _ => Extent::Smoothed,
            };
            let slot = match fields_of(&mut operand.node) {
                Some((_, _, Some(slot))) => slot,
                Some((_, _, None)) => {
                    let message = format!("{word} modifier is not supported for subqueries");
                    return Err(self.fail_at(token.place, &message));
                }
                None => {
                    let message = format!(
                        "{word} modifier must be preceded by an instant vector selector or range \
                         vector selector"
                    );
                    return Err(self.fail_at(token.place, &message));
                }
            };
            if *slot != Extent::Plain && *slot != extent {
                let message = "anchored and smoothed modifiers cannot be used together";
                return Err(self.fail_at(token.place, message));
            }
            *slot = extent;
        } else {
            return Ok(false);
        }
        operand.end = Some(self.end());
        Ok(true)
    }

    /// `[5m]` or `[5m:1m]`
    fn range(&mut self, operand: &mut Expr) -> Result<(), QueryError> {
        let open = self.take();
        let range = self.positive_duration("subquery or range selector")?;
        if self.accept(":") {
            let step = if self.now().is("]") {
                None
            } else {
                Some(self.positive_duration("subquery selector")?)
            };
            self.expect("]", "subquery selector")?;
            let place = operand.place;
            let inner = std::mem::replace(
                operand,
                Expr {
                    node: Node::Number(0.0),
                    place,
                    end: None,
                },
            );
            operand.node = Node::Subquery(Box::new(Subquery {
                expr: inner,
                range,
                step,
                offset: Duration::default(),
                at: None,
            }));
            return Ok(());
        }
        if !self.accept("]") {
            return Err(self.unexpected("subquery or range", "\":\" or \"]\""));
        }
        let refusal = match std::mem::replace(&mut operand.node, Node::Number(0.0)) {
            Node::Selector(selector) if selector.offset != Duration::default() => {
                "no offset modifiers allowed before range"
            }
            Node::Selector(selector) if selector.at.is_some() => {
                "no @ modifiers allowed before range"
            }
            Node::Selector(selector) => {
                operand.node = Node::Range(selector, range);
                return Ok(());
            }
            _ => {
                "ranges only allowed for vector selectors: over an expression write a subquery, \
                 such as [5m:]"
            }
        };
        Err(self.fail_at(open.place, refusal))
    }

    /// The time of an `@`.
    fn time(&mut self) -> Result<At, QueryError> {
        let token = self.now();
        if token.is_word("start") || token.is_word("end") {
            self.take();
            self.expect("(", "@")?;
            self.expect(")", "@")?;
            return Ok(if token.is_word("start") {
                At::Start
            } else {
                At::End
            });
        }
        let seconds = self.signed_number("@", "timestamp")?;
        let ms = (seconds * 1000.0).round();
        if ms.is_nan() || ms.abs() > AT_MS_MAX {
            let message = format!("timestamp out of bounds for @ modifier: {seconds}");
            return Err(self.fail_at(token.place, &message));
        }
        Ok(At::Time(ms as i64))
    }
}

/// What offset, `@` and extent of something are kept in.
fn fields_of(node: &mut Node) -> Option<(&mut Duration, &mut Option<At>, Option<&mut Extent>)> {
    match node {
        Node::Selector(selector) | Node::Range(selector, _) => Some((
            &mut selector.offset,
            &mut selector.at,
            Some(&mut selector.extent),
        )),
        Node::Subquery(subquery) => Some((&mut subquery.offset, &mut subquery.at, None)),
        _ => None,
    }
}
