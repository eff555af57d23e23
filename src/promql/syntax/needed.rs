//! Which selectors an expression cannot do without: where one of them selects nothing, the
//! expression gives nothing.

use crate::binary::BinaryOp;

use super::expr::{Expr, Node, Selector};

/// Functions that give something where there is nothing.
const FOR_NOTHING: [&str; 3] = ["absent", "absent_over_time", "scalar"];

impl Expr {
    /// The selectors without which it gives nothing, from left to right. Those of `absent` and of
    /// the right side of `unless` are none of them, nor are those of `or`, which is content with
    /// either side.
    pub fn needed(&self) -> Vec<&Selector> {
        let mut found = Vec::new();
        self.collect_needed(&mut found);
        found
    }

    fn collect_needed<'e>(&'e self, found: &mut Vec<&'e Selector>) {
        match &self.node {
            Node::Selector(selector) | Node::Range(selector, _) => found.push(selector),
            Node::Call(function, _) if FOR_NOTHING.contains(&function.name) => {}
            Node::Binary(binary) if binary.op == BinaryOp::Or => {}
            Node::Binary(binary) if binary.op == BinaryOp::Unless => {
                binary.lhs.collect_needed(found);
            }
            Node::Binary(binary)
                if binary.matching.fill_left.is_some() || binary.matching.fill_right.is_some() => {}
            _ => {
                for child in self.children() {
                    child.collect_needed(found);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Engine;

    #[test]
    fn what_an_expression_cannot_do_without() {
        let check = |text: &str, expected: &[&str]| {
            let needed = Engine::default().needed(text).expect("an expression");
            let names: Vec<&str> = needed.iter().map(|s| &*s.matchers[0].value).collect();
            assert_eq!(names, expected, "{text}");
        };
        check("a / on (x) rate(b[5m]) > 0.5", &["a", "b"]);
        check("absent(a) and b", &["b"]);
        check("a or b", &[]);
        check("(a or b) * c unless d", &["c"]);
        check("sum(a) > scalar(b)", &["a"]);
        check("vector(1)", &[]);
        check("max_over_time((a - b)[1h:])", &["a", "b"]);
    }
}
