//! Rows of named columns: what `stats`, `top`, `rate` and `patterns` answer.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::number::parse_number;
use crate::reader::SearchSummary;

/// An answer in rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// What the cells of each row mean.
    pub columns: Vec<TableColumn>,
    /// The rows, each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
    /// Where there is a column of times that are the starts of steps: the width of a step,
    /// nanoseconds. Such a table can be drawn over time.
    pub step_ns: Option<i64>,
    /// What a reader has to know to trust the figures, in sentences: which are estimates, what was
    /// left out.
    pub notes: Vec<String>,
    /// What the search for the lines cost.
    pub summary: SearchSummary,
}

/// Name and kind of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// The name under which later pipes know it.
    pub name: String,
    /// What its cells are, as far as they are not missing.
    pub kind: Kind,
}

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Cell::Text`].
    Text,
    /// [`Cell::Count`].
    Count,
    /// [`Cell::Number`].
    Number,
    /// [`Cell::Time`].
    Time,
    /// [`Cell::Counts`].
    Counts,
}

impl Kind {
    /// The word for it in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Count => "count",
            Self::Number => "number",
            Self::Time => "time",
            Self::Counts => "counts",
        }
    }
}

/// A value in a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// There is none.
    Missing,
    /// A value of a label or field, a pattern.
    Text(String),
    /// How many.
    Count(u64),
    /// A computed number; durations are seconds and sizes are bytes.
    Number(f64),
    /// Nanoseconds since 1970-01-01 UTC.
    Time(i64),
    /// How many in each of equal parts of the time range.
    Counts(Vec<u64>),
}

impl Cell {
    /// The cell as people and filters read it; empty where it is missing. Times as RFC 3339,
    /// counts over time divided by commas.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Missing => Cow::Borrowed(""),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Count(n) => Cow::Owned(n.to_string()),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Time(time_ns) => Cow::Owned(model::time::rfc3339_ns(*time_ns)),
            Self::Counts(counts) => {
                let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
                Cow::Owned(counts.join(","))
            }
        }
    }
}

/// The order of `sort`: numbers before texts, what is missing or empty last in both directions.
pub(crate) fn compare(a: &str, b: &str, descending: bool) -> Ordering {
    let turn = |order: Ordering| if descending { order.reverse() } else { order };
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    turn(match (parse_number(a), parse_number(b)) {
        (Some(x), Some(y)) => x.total_cmp(&y).then_with(|| a.cmp(b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    })
}

/// [`compare`] for cells, of which the numbers are known.
pub(crate) fn compare_cells(a: &Cell, b: &Cell, descending: bool) -> Ordering {
    let order = match (a, b) {
        (Cell::Count(a), Cell::Count(b)) => a.cmp(b),
        (Cell::Number(a), Cell::Number(b)) => a.total_cmp(b),
        (Cell::Time(a), Cell::Time(b)) => a.cmp(b),
        (a, b) => return compare(&a.text(), &b.text(), descending),
    };
    if descending { order.reverse() } else { order }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_before_texts_and_nothing_last() {
        let check = |descending: bool, expected: &[&str]| {
            let mut values = vec!["b", "", "10", "9ms", "a", "2"];
            values.sort_by(|a, b| compare(a, b, descending));
            assert_eq!(values, expected);
        };
        check(false, &["9ms", "2", "10", "a", "b", ""]);
        check(true, &["b", "a", "10", "2", "9ms", ""]);
    }
}
