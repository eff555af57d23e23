//! Functions that rewrite labels.

use model::METRIC_NAME;
use regex::Regex;

use super::Args;
use crate::column::Vector;
use crate::grid::Grid;
use crate::query::{Query, execution};
use crate::syntax::is_label_name;
use crate::value::QueryError;

/// `label_replace(v, to, replacement, from, regex)`: where the whole value of `from` matches, the
/// label `to` gets the replacement with its `$1` filled in.
pub(super) fn label_replace(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let to = label_name(args, 1, "destination", "label_replace")?;
    let replacement = args.text(2)?;
    let from = args.text(3)?;
    let pattern = args.text(4)?;
    let regex = Regex::new(&format!("^(?s:{pattern})$")).map_err(|_| {
        let place = args.expr_of(4).ok().and_then(|arg| arg.place);
        execution(
            format!("invalid regular expression in label_replace(): {pattern}"),
            place,
        )
    })?;
    rewrite(query, args, grid, to, |labels| {
        let captures = regex.captures(labels.get(from).unwrap_or_default())?;
        let mut value = String::new();
        captures.expand(replacement, &mut value);
        Some(value)
    })
}

/// `label_join(v, to, separator, from, …)`: the label `to` gets the values of the others.
pub(super) fn label_join(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let to = label_name(args, 1, "destination", "label_join")?;
    let separator = args.text(2)?;
    let from: Vec<&str> = (3..args.args.len())
        .map(|i| label_name(args, i, "source", "label_join"))
        .collect::<Result<_, _>>()?;
    rewrite(query, args, grid, to, |labels| {
        let values: Vec<&str> = from
            .iter()
            .map(|name| labels.get(name).unwrap_or_default())
            .collect();
        Some(values.join(separator))
    })
}

/// Gives a label a new value in all series for which there is one.
fn rewrite(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
    to: &str,
    value: impl Fn(&model::Labels) -> Option<String>,
) -> Result<Vector, QueryError> {
    let mut vector = query.vector(args.expr_of(0)?, grid)?;
    for series in &mut vector.series {
        if let Some(value) = value(&series.labels) {
            let mut builder = series.labels.to_builder();
            builder.set(to, value);
            series.labels = builder.build();
            if to == METRIC_NAME {
                series.drops_name = false;
            }
        }
    }
    vector.merge_same_labels()?;
    Ok(vector)
}

fn label_name<'e>(
    args: &Args<'e>,
    index: usize,
    which: &str,
    function: &str,
) -> Result<&'e str, QueryError> {
    let name = args.text(index)?;
    if is_label_name(name) {
        return Ok(name);
    }
    Err(execution(
        format!("invalid {which} label name in {function}(): {name}"),
        args.expr_of(index)?.place,
    ))
}
