//! The answer as a table: series as rows, their labels as columns.

use model::Label;
use promql::Point;

use crate::humanize;

/// Rows of the table; the page says when there are more.
const ROWS_MAX: usize = 500;

/// Series as rows, their labels as columns.
pub(super) struct Table {
    pub(super) common: Vec<Label>,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<(Vec<String>, String)>,
    pub(super) found: usize,
}

impl Table {
    pub(super) fn of_points(points: &[Point]) -> Self {
        Self::new(points.iter().map(|p| (&p.labels, shown(p))), points.len())
    }

    /// Of a range selector: how many samples there are and the last of them.
    pub(super) fn of_series(series: &[promql::RangeSeries]) -> Self {
        let rows = series.iter().map(|s| {
            let last = s.samples.values.last().copied().unwrap_or(f64::NAN);
            let samples = humanize::things(s.samples.len() as u64, "sample", "samples");
            (
                &s.labels,
                format!("{samples}, last {}", humanize::value(last)),
            )
        });
        Self::new(rows, series.len())
    }

    fn new<'a>(rows: impl Iterator<Item = (&'a model::Labels, String)>, found: usize) -> Self {
        let rows: Vec<(&model::Labels, String)> = rows.take(ROWS_MAX).collect();
        let mut common: Vec<Label> = match rows.as_slice() {
            [(first, _), _, ..] => first.iter().cloned().collect(),
            _ => Vec::new(),
        };
        let mut columns: Vec<String> = Vec::new();
        for (labels, _) in &rows {
            common.retain(|label| labels.get(&label.name) == Some(&label.value));
            for label in *labels {
                if !columns.iter().any(|name| **name == *label.name) {
                    columns.push(label.name.to_string());
                }
            }
        }
        columns.retain(|name| !common.iter().any(|label| *label.name == **name));
        let rows = rows
            .into_iter()
            .map(|(labels, value)| {
                let cell = |name: &String| labels.get(name).unwrap_or_default().to_owned();
                (columns.iter().map(cell).collect(), value)
            })
            .collect();
        Self {
            common,
            columns,
            rows,
            found,
        }
    }
}

/// A value; of a native histogram how much was observed.
fn shown(point: &Point) -> String {
    match &point.histogram {
        Some(histogram) => format!(
            "{} observations, sum {}",
            humanize::value(histogram.count),
            humanize::value(histogram.sum)
        ),
        None => humanize::value(point.value),
    }
}
