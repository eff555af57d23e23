//! What `stats`, `top`, `rate` and `patterns` answer: a table, and a drawing where its rows are
//! steps in time.

use std::collections::BTreeMap;

use log_query::{Cell, Kind, Table, field_term, terms, with_term};

use super::chart::{Tick, clock, ticks};
use super::{link, rows};
use crate::humanize;
use crate::shell::Shell;

/// Rows on the page; the API has them all.
const ROWS_MAX: usize = 1_000;

/// Lines of the drawing, as many as the palette has colours.
const SERIES_MAX: usize = 8;

/// Points of a line, at most: more than a screen is wide are not seen.
const POINTS_MAX: i64 = 4_000;

/// Height of a small drawing in a cell, in its own units.
const SPARK_HEIGHT: f64 = 16.0;

/// The table as the template draws it.
pub(super) struct TableView {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<CellView>>,
    /// `12 rows · estimates are …`
    pub(super) sentence: String,
    pub(super) notes: Vec<String>,
    pub(super) drawing: Option<Drawing>,
}

/// A column.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) is_number: bool,
}

/// A cell.
pub(super) struct CellView {
    pub(super) text: String,
    /// What rows are sorted by.
    pub(super) key: String,
    pub(super) is_number: bool,
    /// A path that draws counts over time; else empty.
    pub(super) bars: String,
    pub(super) n_bars: usize,
    /// The lines that have this value; empty where no search says so.
    pub(super) href: String,
}

/// Lines over time.
pub(super) struct Drawing {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    pub(super) max: String,
    pub(super) series: Vec<Series>,
    pub(super) ticks: Vec<Tick>,
    /// What it shows, for those who do not see it.
    pub(super) sentence: String,
}

/// One line of the drawing.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) colour: usize,
    pub(super) path: String,
}

impl TableView {
    pub(super) fn new(shell: &Shell, q: &str, table: &Table) -> Self {
        // Behind the pipes a value is a value of lines only where its column is a field's.
        let filter = &terms(q).join(" ");
        let columns: Vec<Column> = table
            .columns
            .iter()
            .map(|column| Column {
                name: column.name.clone(),
                is_number: matches!(column.kind, Kind::Count | Kind::Number),
            })
            .collect();
        let cell = |(column, cell): (&log_query::TableColumn, &Cell)| {
            let text = match cell {
                Cell::Missing => "–".to_owned(),
                Cell::Text(text) => rows::printable(text),
                Cell::Count(n) => humanize::count(*n),
                Cell::Number(share) if column.name == "share" => humanize::percent(*share),
                Cell::Number(number) => humanize::value(*number),
                Cell::Time(ns) => clock(
                    ns.div_euclid(1_000_000),
                    &shell.visit.zone,
                    "%Y-%m-%d %H:%M:%S",
                ),
                Cell::Counts(_) => String::new(),
            };
            let href = match cell {
                Cell::Text(value) if column.name != "pattern" => {
                    let term = field_term(&column.name, value, false);
                    link(shell, &[("q", &with_term(filter, &term))])
                }
                _ => String::new(),
            };
            let (bars, n_bars) = match cell {
                Cell::Counts(counts) => (bars(counts), counts.len().max(1)),
                _ => (String::new(), 0),
            };
            CellView {
                text,
                key: cell.text().into_owned(),
                is_number: matches!(cell, Cell::Count(_) | Cell::Number(_)),
                bars,
                n_bars,
                href,
            }
        };
        let shown = table.rows.iter().take(ROWS_MAX);
        let mut sentence = humanize::things(table.rows.len() as u64, "row", "rows");
        if table.rows.len() > ROWS_MAX {
            let shown = humanize::count(ROWS_MAX as u64);
            sentence.push_str(&["; the first ", &shown, " are shown"].concat());
        }
        Self {
            rows: shown
                .map(|row| table.columns.iter().zip(row).map(cell).collect())
                .collect(),
            columns,
            sentence,
            notes: table.notes.clone(),
            drawing: Drawing::of(shell, table),
        }
    }
}

/// A bar for each count, as one path.
pub(super) fn bars(counts: &[u64]) -> String {
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let bar = |(i, n): (usize, &u64)| {
        let height = (*n as f64 / most * SPARK_HEIGHT).max(1.0);
        (*n > 0).then(|| format!("M{i} {SPARK_HEIGHT}v-{height:.1}h.8V{SPARK_HEIGHT}z"))
    };
    let parts: Vec<String> = counts.iter().enumerate().filter_map(bar).collect();
    parts.concat()
}

impl Drawing {
    /// `None` for a table that has no steps in time, or nothing to draw.
    fn of(shell: &Shell, table: &Table) -> Option<Self> {
        let step_ns = table.step_ns.filter(|step| *step > 0)?;
        let position = |fits: fn(Kind) -> bool| {
            let mut columns = table.columns.iter();
            columns.position(|column| fits(column.kind))
        };
        let time = position(|kind| kind == Kind::Time)?;
        let value = position(|kind| matches!(kind, Kind::Count | Kind::Number))?;
        let range = shell.range();
        let first = range.start_ns().div_euclid(step_ns);
        let n_steps = (range.end_ns() - 1).div_euclid(step_ns) - first + 1;
        if !(1..=POINTS_MAX).contains(&n_steps) {
            return None;
        }
        let mut lines: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
        for row in &table.rows {
            let (Some(Cell::Time(ns)), Some(cell)) = (row.get(time), row.get(value)) else {
                continue;
            };
            let value = match cell {
                Cell::Count(n) => *n as f64,
                Cell::Number(number) => *number,
                _ => continue,
            };
            let names: Vec<&str> = row
                .iter()
                .filter_map(|cell| match cell {
                    Cell::Text(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect();
            let step = ns.div_euclid(step_ns) - first;
            lines
                .entry(names.join(" "))
                .or_default()
                .insert(step, value);
        }
        let n_lines = lines.len();
        let mut lines: Vec<_> = lines.into_iter().collect();
        let sum = |points: &BTreeMap<i64, f64>| points.values().sum::<f64>();
        lines.sort_by(|(_, a), (_, b)| sum(b).total_cmp(&sum(a)));
        lines.truncate(SERIES_MAX);
        let values = lines.iter().flat_map(|(_, points)| points.values());
        let max = values.copied().fold(0.0, f64::max);
        if max <= 0.0 {
            return None;
        }
        let is_count = table
            .columns
            .get(value)
            .is_some_and(|c| c.kind == Kind::Count);
        let name = table.columns.get(value).map_or("", |c| c.name.as_str());
        let (from_ms, to_ms) = (
            first * step_ns / 1_000_000,
            (first + n_steps) * step_ns / 1_000_000,
        );
        Some(Self {
            from_ms,
            to_ms,
            max: humanize::value(max),
            ticks: ticks(from_ms, to_ms, &shell.visit.zone),
            sentence: format!(
                "{name} over time, {}, at most {}",
                match n_lines {
                    n if n > SERIES_MAX => format!("the largest {SERIES_MAX} of {n} lines"),
                    n => humanize::things(n as u64, "line", "lines"),
                },
                humanize::value(max),
            ),
            series: lines
                .into_iter()
                .enumerate()
                .map(|(colour, (key, points))| Series {
                    name: if key.is_empty() { name.to_owned() } else { key },
                    colour,
                    path: path(&points, n_steps, max, is_count),
                })
                .collect(),
        })
    }
}

/// A line through the points, in percent of width and height times ten. Where nothing was counted
/// a count is 0; where nothing was measured there is a gap.
fn path(points: &BTreeMap<i64, f64>, n_steps: i64, max: f64, is_count: bool) -> String {
    let mut out = Vec::new();
    let mut pen_down = false;
    for step in 0..n_steps {
        let value = points.get(&step).copied().or(is_count.then_some(0.0));
        let Some(value) = value.filter(|value| value.is_finite()) else {
            pen_down = false;
            continue;
        };
        let x = (step as f64 + 0.5) / n_steps as f64 * 1_000.0;
        let y = 1_000.0 - (value / max).clamp(0.0, 1.0) * 960.0;
        let command = if pen_down { 'L' } else { 'M' };
        out.push(format!("{command}{x:.1} {y:.1}"));
        // A point alone has no length; it is drawn as a dot by its round end.
        if !pen_down {
            out.push("h.1".to_owned());
        }
        pen_down = true;
    }
    out.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measured_line_has_gaps_and_a_counted_one_has_zeros() {
        let points = BTreeMap::from([(0, 2.0), (2, 4.0)]);
        assert_eq!(
            path(&points, 4, 4.0, false),
            "M125.0 520.0h.1M625.0 40.0h.1"
        );
        assert_eq!(
            path(&points, 4, 4.0, true),
            "M125.0 520.0h.1L375.0 1000.0L625.0 40.0L875.0 1000.0"
        );
    }

    #[test]
    fn counts_are_bars() {
        assert_eq!(bars(&[0, 4]), "M1 16v-16.0h.8V16z");
        assert_eq!(bars(&[]), "");
    }
}
