//! An expression that cannot be answered, with a mark under the place.

use promql::QueryError;

/// An error with the expression and a mark under the place.
#[derive(Default)]
pub(super) struct Failure {
    pub(super) message: String,
    /// The expression up to and with the line of the place, and the mark; else empty.
    pub(super) place: String,
    pub(super) rest: String,
}

impl Failure {
    pub(super) fn new(expression: &str, error: &QueryError) -> Self {
        let Some(position) = error.position else {
            return Self {
                message: error.message.clone(),
                ..Self::default()
            };
        };
        let (mut line_start, mut line_end) = (0, None);
        for (i, c) in expression.chars().enumerate() {
            if c == '\n' && i < position {
                line_start = i + 1;
            } else if c == '\n' && line_end.is_none() {
                line_end = Some(i);
            }
        }
        let end = line_end.unwrap_or_else(|| expression.chars().count());
        let shown: String = expression.chars().take(end).collect();
        let rest: String = expression.chars().skip(end).collect();
        // Tabs keep their width, so that the mark stands where it should.
        let indent: String = expression
            .chars()
            .skip(line_start)
            .take(position.saturating_sub(line_start))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        Self {
            message: error.message.clone(),
            place: format!("{shown}\n{indent}^"),
            rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use promql::ErrorKind;

    #[test]
    fn errors_point_at_the_place() {
        let check = |expression: &str, position: usize, place: &str, rest: &str| {
            let message = "unexpected".to_owned();
            let error = QueryError {
                kind: ErrorKind::BadData,
                message,
                position: Some(position),
            };
            let failure = Failure::new(expression, &error);
            assert_eq!(
                (failure.place.as_str(), failure.rest.as_str()),
                (place, rest)
            );
        };
        check("sum(up", 3, "sum(up\n   ^", "");
        check("é + )", 4, "é + )\n    ^", "");
        check("a\n+ )\nb", 4, "a\n+ )\n  ^", "\nb");
        check("a", 99, &format!("a\n{}^", " "), "");
    }
}
