//! What stands between an operator and its right operand: how series find each other.

use super::Parser;
use crate::syntax::expr::{Group, Matching};
use crate::syntax::token::Kind;
use crate::value::QueryError;

impl Parser<'_, '_> {
    /// How the operands of an operator find each other.
    pub(super) fn matching(&mut self) -> Result<Matching, QueryError> {
        let mut matching = Matching {
            returns_bool: self.accept_word("bool"),
            ..Matching::default()
        };
        let token = self.now();
        if token.is_word("on") || token.is_word("ignoring") {
            self.take();
            matching.on = token.is_word("on");
            matching.labels = self.labels()?;
            let token = self.now();
            if token.is_word("group_left") || token.is_word("group_right") {
                self.take();
                matching.group = if token.is_word("group_left") {
                    Group::ManyToOne
                } else {
                    Group::OneToMany
                };
                if self.now().is("(") {
                    matching.include = self.labels()?;
                }
            }
        } else if token.is_word("group_left") || token.is_word("group_right") {
            let advice = ": write on (…) or ignoring (…) before it";
            return Err(self.unexpected_with("", "", advice));
        }
        self.fills(&mut matching)?;
        Ok(matching)
    }

    /// `fill(…)`, or `fill_left(…)` and `fill_right(…)` in either order.
    fn fills(&mut self, matching: &mut Matching) -> Result<(), QueryError> {
        loop {
            let token = self.now();
            if token.kind != Kind::Word || !self.peek(1).is("(") {
                return Ok(());
            }
            let (left, right) = match token.text.to_ascii_lowercase().as_str() {
                "fill" => (true, true),
                "fill_left" => (true, false),
                "fill_right" => (false, true),
                _ => return Ok(()),
            };
            if (left && matching.fill_left.is_some()) || (right && matching.fill_right.is_some()) {
                return Err(self.unexpected("", ""));
            }
            self.take();
            self.take();
            let value = self.signed_number("fill value", "number")?;
            self.expect(")", "fill value")?;
            if left {
                matching.fill_left = Some(value);
            }
            if right {
                matching.fill_right = Some(value);
            }
        }
    }
}
