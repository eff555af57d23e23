//! Functions that order a vector. They have an effect at the end of an instant query only.

use std::cmp::Ordering;

use super::Args;
use crate::column::{Series, Vector};
use crate::grid::Grid;
use crate::query::Query;
use crate::value::QueryError;

/// Smallest first, NaN last.
pub(super) fn sort(query: &Query<'_>, args: &Args<'_>, grid: &Grid) -> Result<Vector, QueryError> {
    sorted(query, args, grid, true, |a, b| {
        by_value(a, b, f64::total_cmp)
    })
}

/// Largest first, NaN last.
pub(super) fn sort_desc(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    sorted(query, args, grid, true, |a, b| {
        by_value(a, b, |a, b| b.total_cmp(a))
    })
}

/// By the values of labels, numbers within them by size.
pub(super) fn sort_by_label(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let names = label_names(args)?;
    sorted(query, args, grid, false, |a, b| by_labels(a, b, &names))
}

/// The reverse of [`sort_by_label`].
pub(super) fn sort_by_label_desc(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let names = label_names(args)?;
    sorted(query, args, grid, false, |a, b| by_labels(b, a, &names))
}

fn sorted(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
    numbers_only: bool,
    compare: impl Fn(&Series, &Series) -> Ordering,
) -> Result<Vector, QueryError> {
    if query.is_range {
        query.notes.warn(
            "sort is ineffective for range queries since results are always ordered by labels",
            args.expr.place,
        );
    }
    let mut vector = query.vector(args.expr_of(0)?, grid)?;
    if numbers_only {
        // Histograms are neither larger nor smaller than others.
        for series in &mut vector.series {
            series.column.take_histograms();
        }
        vector.drop_empty();
    }
    if grid.count == 1 {
        vector.series.sort_by(compare);
        vector.ordered = true;
    }
    Ok(vector)
}

fn by_value(a: &Series, b: &Series, compare: impl Fn(&f64, &f64) -> Ordering) -> Ordering {
    let value = |series: &Series| series.column.values.first().copied().unwrap_or(f64::NAN);
    let (a, b) = (value(a), value(b));
    match (a.is_nan(), b.is_nan()) {
        (false, false) => compare(&a, &b),
        (a, b) => a.cmp(&b),
    }
}

fn label_names<'e>(args: &Args<'e>) -> Result<Vec<&'e str>, QueryError> {
    (1..args.args.len()).map(|i| args.text(i)).collect()
}

fn by_labels(a: &Series, b: &Series, names: &[&str]) -> Ordering {
    names
        .iter()
        .map(|name| {
            let value = |series: &Series| series.labels.get_shared(name).cloned();
            let (a, b) = (value(a), value(b));
            natural(
                a.as_deref().unwrap_or_default(),
                b.as_deref().unwrap_or_default(),
            )
        })
        .find(|ordering| ordering.is_ne())
        .unwrap_or_else(|| a.labels.cmp(&b.labels))
}

/// Compares texts, runs of digits by the number that they are.
fn natural(mut a: &str, mut b: &str) -> Ordering {
    while let (Some(x), Some(y)) = (a.chars().next(), b.chars().next()) {
        let ordering = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (number_a, rest_a) = split_digits(a);
            let (number_b, rest_b) = split_digits(b);
            (a, b) = (rest_a, rest_b);
            let (short_a, short_b) = (
                number_a.trim_start_matches('0'),
                number_b.trim_start_matches('0'),
            );
            (short_a.len().cmp(&short_b.len()))
                .then_with(|| short_a.cmp(short_b))
                .then_with(|| number_a.len().cmp(&number_b.len()))
        } else {
            (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]);
            x.cmp(&y)
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
    a.len().cmp(&b.len())
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_compare_as_numbers() {
        for (small, large) in [
            ("a2", "a10"),
            ("a", "a1"),
            ("1.11.3", "1.111.3"),
            ("1.2.3", "1.11.3"),
            ("x7y", "x07z"),
            ("ä9", "ä10"),
            ("99999999999999999999998", "99999999999999999999999"),
        ] {
            assert_eq!(natural(small, large), Ordering::Less, "{small} {large}");
            assert_eq!(natural(large, small), Ordering::Greater, "{small} {large}");
        }
        assert_eq!(natural("a1", "a1"), Ordering::Equal);
    }
}
