//! What an expression compares its value with, where it ends so: `a / b < 0.1`.
//!
//! What follows an `and` or `unless` only filters: the value is that of the part before it. The
//! text is looked at, not the tree, so that the words of the left side stay as they were written.

/// A comparison with something that needs no series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison<'a> {
    /// The side that changes over time.
    pub left: &'a str,
    /// `<`, `==`, …
    pub operator: &'a str,
    /// The other side, without `bool`.
    pub right: &'a str,
}

impl Comparison<'_> {
    /// The other side, where it is a number written out.
    pub fn number(&self) -> Option<f64> {
        self.right.parse().ok()
    }
}

/// The last comparison of an expression outside all brackets; `None` where there is none, or no
/// telling which side counts.
pub fn comparison(expression: &str) -> Option<Comparison<'_>> {
    let expression = expression.get(..filtered_at(expression))?;
    let mut depth = 0_i32;
    let mut quote = None;
    let mut last: Option<(usize, usize)> = None;
    for (at, c) in expression.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(' | '{' | '[') => depth += 1,
            (None, ')' | '}' | ']') => depth -= 1,
            (None, '<' | '>' | '=' | '!') if depth == 0 => {
                last = Some(
                    last.filter(|(_, end)| *end == at)
                        .map_or((at, at + 1), |(start, _)| (start, at + 1)),
                );
            }
            _ => {}
        }
    }
    let (start, end) = last?;
    let right = expression.get(end..)?.trim();
    let right = match right.strip_prefix("bool") {
        Some(rest) if rest.starts_with([' ', '(', '\n', '\t']) => rest.trim(),
        _ => right,
    };
    let found = Comparison {
        left: expression.get(..start)?.trim(),
        operator: expression.get(start..end)?,
        right,
    };
    (!found.left.is_empty() && !right.is_empty()).then_some(found)
}

/// Where the part of an expression ends that gives the value: at the first `and` or `unless`
/// outside all brackets and quotes, else at the end. With an `or` there is no telling: at 0.
fn filtered_at(expression: &str) -> usize {
    let mut depth = 0_i32;
    let mut quote = None;
    let mut word_start = None;
    for (at, c) in expression.char_indices().chain([(expression.len(), ' ')]) {
        let in_word = quote.is_none() && (c.is_ascii_alphanumeric() || c == '_' || c == ':');
        if in_word {
            word_start.get_or_insert(at);
            continue;
        }
        if let Some(start) = word_start.take()
            && depth == 0
        {
            match expression.get(start..at) {
                Some("and" | "unless") => return start,
                Some("or") => return 0,
                _ => {}
            }
        }
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(' | '{' | '[') => depth += 1,
            (None, ')' | '}' | ']') => depth -= 1,
            _ => {}
        }
    }
    expression.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_read_where_the_expression_ends_with_one() {
        let check = |expression: &str, expected: Option<(&str, &str, &str)>| {
            let found = comparison(expression).map(|c| (c.left, c.operator, c.right));
            assert_eq!(found, expected, "{expression}");
        };
        check("up == 0", Some(("up", "==", "0")));
        check("a / b < 0.1", Some(("a / b", "<", "0.1")));
        check(
            "sum by (x) (rate(e{code=~\"5..\"}[5m])) >= bool 1e3",
            Some(("sum by (x) (rate(e{code=~\"5..\"}[5m]))", ">=", "1e3")),
        );
        check("a > b", Some(("a", ">", "b")));
        check("a > bools", Some(("a", ">", "bools")));
        check("a > 1 and b == 0", Some(("a", ">", "1")));
        check("a < 0 unless on (x) b > 5", Some(("a", "<", "0")));
        check("a and b > 5", None);
        check("a > 1 or b > 5", None);
        check("sum(a and b) > 2", Some(("sum(a and b)", ">", "2")));
        check("(a > 1)", None);
        check("absent(up{job=\"x > 1\"})", None);
        check("é > 1", Some(("é", ">", "1")));
        check("> 1", None);
    }
}
