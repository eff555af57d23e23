//! An expression as a tree with the number of series at each part; and, where there are none,
//! which selector found nothing, and what is there instead.

use model::{MatchOp, Matcher};

use crate::engine::{Context, Engine};
use crate::grid::Grid;
use crate::query::{Query, from_store};
use crate::syntax::{self, Asked, Expr, Node, Outline, Selector, ValueKind};
use crate::value::QueryError;

/// Most existing values that are told of a label.
const VALUES_MAX: usize = 10;

/// A part of an expression with what it gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The part; its children are those of this tree, not repeated here.
    pub part: Outline,
    /// How many series it gave, unless it gives a number or a text.
    pub series: Option<usize>,
    /// Why it found nothing, if it is a selector that did.
    pub missing: Option<Missing>,
    /// The parts that it is made of, from left to right.
    pub children: Vec<Explained>,
}

/// The condition of a selector that no series satisfies together with the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The condition, such as `job="nod"`; empty if several conditions exclude each other.
    pub condition: String,
    /// The label that it is about.
    pub label: String,
    /// Values that the label has where the other conditions hold, the most similar ones first;
    /// empty if no series has the label.
    pub values: Vec<String>,
}

impl Engine {
    /// Evaluates every part of an expression at one time, in milliseconds since 1970-01-01 UTC,
    /// and tells how many series each gives. Costs as much as evaluating each part by itself.
    ///
    /// # Errors
    /// As [`Engine::instant`].
    pub fn explain(
        &self,
        reader: &dyn model::SeriesReader,
        text: &str,
        time_ms: i64,
        context: &Context<'_>,
    ) -> Result<Explained, QueryError> {
        let grid = Grid::instant(time_ms);
        crate::stack::with_room_for(text, || {
            let outline = syntax::explain(text)?;
            let expr = syntax::parse_here(text)?.settled(Asked::default())?;
            let query = self.query(reader, text, &expr, grid, false, context);
            part(&query, outline, &expr, &grid)
        })
    }
}

fn part(
    query: &Query<'_>,
    mut outline: Outline,
    expr: &Expr,
    grid: &Grid,
) -> Result<Explained, QueryError> {
    let parts = std::mem::take(&mut outline.children);
    let children = parts
        .into_iter()
        .zip(expr.children())
        .map(|(outline, child)| part(query, outline, child, grid))
        .collect::<Result<Vec<_>, _>>()?;
    let series = match expr.kind() {
        ValueKind::Scalar | ValueKind::Text => None,
        ValueKind::Vector => Some(query.vector(expr, grid)?.series.len()),
        ValueKind::Matrix => {
            let (mut rows, _lease) = query.matrix(expr, grid)?;
            rows.retain(|row| !row.samples.is_empty());
            Some(rows.len())
        }
    };
    let missing = match &expr.node {
        Node::Selector(selector) if series == Some(0) => {
            missing(query, selector, query.lookback_ms, grid)?
        }
        Node::Range(selector, range) if series == Some(0) => {
            missing(query, selector, range.ms, grid)?
        }
        _ => None,
    };
    Ok(Explained {
        part: outline,
        series,
        missing,
        children,
    })
}

/// Looks for the condition without which there would be series.
fn missing(
    query: &Query<'_>,
    selector: &Selector,
    back_ms: i64,
    grid: &Grid,
) -> Result<Option<Missing>, QueryError> {
    let end_ms = query.look_at(selector, grid).end_ms();
    let start_ms = end_ms.saturating_sub(back_ms);
    let is_there = |matchers: &[Matcher]| -> Result<bool, QueryError> {
        query.check_stop()?;
        let found = query.reader.series(matchers, start_ms, end_ms, 1);
        Ok(!found.map_err(|e| from_store(&e))?.0.is_empty())
    };
    if is_there(&selector.matchers)? {
        // The series are there, but end here.
        return Ok(None);
    }
    for (index, matcher) in selector.matchers.iter().enumerate() {
        let mut others = selector.matchers.clone();
        others.remove(index);
        let is_alone = others.is_empty();
        if !is_alone && !is_there(&others)? {
            continue;
        }
        let values = query
            .reader
            .label_values(&matcher.name, &others, start_ms, end_ms)
            .map_err(|e| from_store(&e))?;
        return Ok(Some(Missing {
            condition: matcher.to_string(),
            label: matcher.name.to_string(),
            values: nearest(values, matcher),
        }));
    }
    // Not even without one of them: the first that excludes everything by itself.
    for matcher in &selector.matchers {
        if !is_there(std::slice::from_ref(matcher))? {
            let values = query
                .reader
                .label_values(&matcher.name, &[], start_ms, end_ms)
                .map_err(|e| from_store(&e))?;
            return Ok(Some(Missing {
                condition: matcher.to_string(),
                label: matcher.name.to_string(),
                values: nearest(values, matcher),
            }));
        }
    }
    Ok(Some(Missing {
        condition: String::new(),
        label: String::new(),
        values: Vec::new(),
    }))
}

/// Some of the values: those most like the one that was asked for first.
fn nearest(mut values: Vec<String>, matcher: &Matcher) -> Vec<String> {
    if matches!(matcher.op, MatchOp::Equal | MatchOp::Regex) {
        values.sort_by_cached_key(|value| strsim::damerau_levenshtein(value, &matcher.value));
    }
    values.truncate(VALUES_MAX);
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryReader;
    use model::Labels;

    fn explain(text: &str) -> Explained {
        let mut reader = MemoryReader::new();
        for (job, instance) in [("node", "a"), ("node", "b"), ("db", "a")] {
            let labels =
                Labels::from_pairs([("__name__", "up"), ("job", job), ("instance", instance)]);
            reader.push(&labels, 0, 1.0);
        }
        let context = Context::default();
        Engine::default()
            .explain(&reader, text, 0, &context)
            .expect(text)
    }

    #[test]
    fn every_part_tells_its_series() {
        let tree = explain("sum by (job) (up) / on (job) (count(up{job=\"node\"}) by (job) > 1)");
        assert_eq!(tree.series, Some(1));
        let counts: Vec<_> = tree.children.iter().map(|part| part.series).collect();
        assert_eq!(counts, [Some(2), Some(1)]);
        assert_eq!(tree.children[0].children[0].series, Some(3));
        let comparison = &tree.children[1];
        assert_eq!(comparison.children[0].children[0].series, Some(2));
        assert_eq!(comparison.children[1].series, None);
    }

    #[test]
    fn an_empty_selector_says_what_is_there_instead() {
        let missing = |text: &str| {
            let tree = explain(text);
            assert_eq!(tree.series, Some(0), "{text}");
            tree.children[0].missing.clone().expect(text)
        };
        let found = missing("rate(up{job=\"nod\", instance=\"b\"}[5m])");
        assert_eq!(found.condition, "job=\"nod\"");
        assert_eq!(found.values, ["node"]);
        let found = missing("sum(upp)");
        assert_eq!(
            (found.label.as_str(), found.values),
            ("__name__", vec!["up".to_owned()])
        );
        let found = missing("sum(up{job=\"db\", instance=\"b\"})");
        assert_eq!(
            (found.condition.as_str(), found.values[0].as_str()),
            ("job=\"db\"", "node")
        );
        let found = missing("sum(up{zone=\"x\"})");
        assert!(found.values.is_empty());
    }
}
