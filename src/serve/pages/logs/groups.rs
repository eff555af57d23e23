//! `?group=pattern`: similar lines as one row, with how many there are, when, since when, and
//! links to only them or all but them.
//!
//! 1. The query is asked with the pipe `patterns` behind it.
//! 2. The store says when each of the patterns shown was first written among all lines that it has.
//! 3. A pattern becomes a term with a regular expression, with `.*` where lines differ.

use std::ops::ControlFlow;
use std::sync::Arc;

use log_query::{
    Answer, Cell, LogReader, MESSAGE, PATTERN_CHARS_MAX, PATTERNS_MAX, PLACEHOLDER, Patterns, Pipe,
    Query, Search, TREND_PARTS, Table, Which, pattern_id, with_term,
};
use model::{Level, StoreError};

use super::table::bars;
use super::{link, rows};
use crate::humanize;
use crate::shell::Shell;

/// Rows of the page.
const ROWS_MAX: usize = 200;

/// In which order rows stand, as `sort=` in the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Frequent,
    Rare,
    New,
}

impl Order {
    pub(super) const ALL: [Self; 3] = [Self::Frequent, Self::Rare, Self::New];

    pub(super) fn parse(text: &str) -> Self {
        let named = Self::ALL.into_iter().find(|order| order.name() == text);
        named.unwrap_or(Self::Frequent)
    }

    /// Its word, in the address and on the page.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Frequent => "frequent",
            Self::Rare => "rare",
            Self::New => "new",
        }
    }

    fn which(self) -> Which {
        match self {
            Self::Frequent => Which::Frequent,
            Self::Rare => Which::Rare,
            Self::New => Which::New(None),
        }
    }
}

/// A pattern with its lines, counted.
struct Group {
    pattern: String,
    lines: u64,
    share: f64,
    trend: Vec<u64>,
    worst: Level,
    first_ns: Option<i64>,
}

impl Group {
    /// Reads a row of what `patterns` answers.
    fn of(table: &Table, row: &[Cell]) -> Self {
        let mut group = Self {
            pattern: String::new(),
            lines: 0,
            share: 0.0,
            trend: Vec::new(),
            worst: Level::Unknown,
            first_ns: None,
        };
        for (column, cell) in table.columns.iter().zip(row) {
            match (column.name.as_str(), cell) {
                ("pattern", Cell::Text(pattern)) => group.pattern.clone_from(pattern),
                ("count", Cell::Count(lines)) => group.lines = *lines,
                ("share", Cell::Number(share)) => group.share = *share,
                ("trend", Cell::Counts(trend)) => group.trend.clone_from(trend),
                ("level", Cell::Text(level)) => group.worst = level.parse().unwrap_or_default(),
                _ => {}
            }
        }
        group
    }
}

/// All that was found.
#[derive(Default)]
pub(super) struct Groups {
    shown: Vec<Group>,
    n_patterns: usize,
    lines: u64,
    notes: Vec<String>,
}

impl Groups {
    /// Asks the store.
    pub(super) fn find(
        logs: &dyn LogReader,
        search: &Search,
        order: Order,
    ) -> Result<Self, StoreError> {
        let mut query = Query::clone(&search.query);
        query.pipes.push(Pipe::Patterns(Patterns {
            // All, so that the page can say how many there are.
            n: PATTERNS_MAX,
            which: order.which(),
        }));
        let search = Search {
            query: Arc::new(query),
            ..search.clone()
        };
        let answer = log_query::run(logs, &search, &mut |_| ControlFlow::Continue(()))?;
        let Answer::Table(table) = answer else {
            // Cannot be: the last pipe makes a table.
            return Ok(Self::default());
        };
        let shown = table.rows.iter().take(ROWS_MAX);
        let mut shown: Vec<Group> = shown.map(|row| Group::of(&table, row)).collect();
        let ids: Vec<u64> = shown
            .iter()
            .map(|group| pattern_id(&group.pattern))
            .collect();
        let first = logs.first_seen(&ids, &search.stop)?;
        for (group, first_ns) in shown.iter_mut().zip(first) {
            group.first_ns = first_ns;
        }
        Ok(Self {
            shown,
            n_patterns: table.rows.len(),
            lines: table.summary.lines,
            notes: table.notes,
        })
    }
}

/// The table as the template draws it.
pub(super) struct GroupsView {
    pub(super) rows: Vec<GroupRow>,
    /// Parts of the range that a row's drawing shows.
    pub(super) n_bars: usize,
    /// `12 patterns in 3,178 lines`
    pub(super) sentence: String,
    /// What to know about the figures, in sentences.
    pub(super) notes: Vec<String>,
    /// What stands in the place of rows where there is none.
    pub(super) nothing: &'static str,
    /// The orders, with their links and whether one is the present one.
    pub(super) orders: Vec<(&'static str, String, bool)>,
    /// The page with the lines.
    pub(super) lines_href: String,
}

/// A row.
pub(super) struct GroupRow {
    /// The pattern, cut where lines differ.
    pub(super) parts: Vec<String>,
    pub(super) level: Level,
    pub(super) letter: &'static str,
    pub(super) count: String,
    pub(super) percent: String,
    /// When the first such line was written, milliseconds since 1970-01-01 UTC.
    pub(super) first_ms: Option<i64>,
    /// Whether that was within the range: nothing like it was there before.
    pub(super) is_new: bool,
    /// A path that draws a bar for each part of the range.
    pub(super) bars: String,
    pub(super) only: String,
    pub(super) not: String,
}

impl GroupsView {
    pub(super) fn new(shell: &Shell, q: &str, found: &Groups, order: Order) -> Self {
        let start_ns = shell.range().start_ns();
        let rows = found.shown.iter().map(|group| {
            let term = term(&group.pattern);
            let leading = |sign: &str| {
                let q = term
                    .as_ref()
                    .map_or(q.to_owned(), |term| with_term(q, &format!("{sign}{term}")));
                link(shell, &[("q", &q), ("group", ""), ("sort", "")])
            };
            GroupRow {
                parts: group
                    .pattern
                    .split(PLACEHOLDER)
                    .map(rows::printable)
                    .collect(),
                level: group.worst,
                letter: rows::letter(group.worst),
                count: humanize::count(group.lines),
                percent: humanize::percent(group.share),
                first_ms: group.first_ns.map(|ns| ns.div_euclid(1_000_000)),
                is_new: group.first_ns.is_some_and(|ns| ns >= start_ns),
                bars: bars(&group.trend),
                only: leading(""),
                not: leading("-"),
            }
        });
        let rows: Vec<GroupRow> = rows.collect();
        let (one, many) = match order {
            Order::New => ("new pattern", "new patterns"),
            Order::Frequent | Order::Rare => ("pattern", "patterns"),
        };
        let mut sentence = format!(
            "{} in {}",
            humanize::things(found.n_patterns as u64, one, many),
            humanize::things(found.lines, "line", "lines"),
        );
        if found.n_patterns > rows.len() {
            sentence.push_str(&["; ", &rows.len().to_string(), " are shown"].concat());
        }
        Self {
            rows,
            n_bars: TREND_PARTS,
            sentence,
            notes: found.notes.clone(),
            nothing: match order {
                Order::New if found.lines > 0 => "Nothing here is new in this range.",
                _ => "No line fits.",
            },
            orders: Order::ALL
                .into_iter()
                .map(|one| {
                    let href = link(shell, &[("sort", one.name())]);
                    (one.name(), href, one == order)
                })
                .collect(),
            lines_href: link(shell, &[("group", ""), ("sort", "")]),
        }
    }
}

/// The term that finds the lines of a pattern; `None` where there is nothing to hold on to.
fn term(pattern: &str) -> Option<String> {
    let is_cut = pattern.chars().count() >= PATTERN_CHARS_MAX;
    let words = pattern.split_whitespace().collect::<Vec<_>>();
    if words.iter().all(|word| *word == PLACEHOLDER) {
        return None;
    }
    let parts: Vec<String> = words
        .join(" ")
        .split(PLACEHOLDER)
        .map(|part| escaped(part).replace(' ', r"\s+"))
        .collect();
    let end = if is_cut { "" } else { r"\s*$" };
    let term = format!(r"{MESSAGE}:/^\s*{}{end}/", parts.join(".*"));
    Query::parse(&term).is_ok().then_some(term)
}

/// A text that a regular expression between slashes takes as it is.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~/".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use log_query::{LineView, pattern};
    use model::Labels;

    #[test]
    fn a_patterns_term_finds_its_lines() {
        for text in [
            "took 15 ms",
            "GET /api/items/869 200 29 ms",
            "a  (b) [c] 12 {d} ^$ \\ #x",
            r#"{"msg":"got 3 items/day","n":3}"#,
            "naïve 7 – “quoted”",
        ] {
            let labels = Labels::empty();
            let line = LineView::new(&labels, Level::Info, text.as_bytes());
            let pattern = pattern(&line);
            let term = term(&pattern).expect("a term");
            let query = Query::parse(&term).expect("valid");
            assert!(query.filter.matches(&line), "{text}: {term}");
            let other = LineView::new(&labels, Level::Info, b"something else");
            assert!(!query.filter.matches(&other), "{term}");
        }
        assert_eq!(term(PLACEHOLDER), None);
        assert_eq!(term(""), None);
    }
}
