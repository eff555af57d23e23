//! `?group=pattern`: similar lines as one row, with how many there are, when, since when, and
//! links to only them or all but them.
//!
//! 1. Every matching line goes through a fold that counts by pattern and part of the time range.
//! 2. The most frequent, rarest or newest patterns are kept; the store says when each of those was
//!    first written among all lines that it has.
//! 3. A pattern becomes a term with a regular expression, with `.*` where lines differ.

use std::any::Any;
use std::collections::HashMap;

use log_query::{
    Fold, LogReader, MESSAGE, NewFold, PATTERN_CHARS_MAX, PLACEHOLDER, Query, Row, Search, Wanted,
    pattern_id, with_term,
};
use model::{Labels, Level, StoreError};

use super::table::bars;
use super::{link, rows};
use crate::humanize;
use crate::shell::Shell;

/// Patterns that are told apart; lines with others are only counted.
const PATTERNS_MAX: usize = 10_000;

/// Rows of the page.
const ROWS_MAX: usize = 200;

/// Parts of the time range that a row's drawing shows.
const PARTS: usize = 40;

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
}

/// What is known of a pattern's lines.
#[derive(Debug, Default, Clone)]
struct Seen {
    lines: u64,
    parts: Vec<u64>,
    worst: Level,
}

/// Counts lines by pattern.
struct Count {
    patterns: HashMap<String, Seen>,
    from_ns: i64,
    step_ns: i64,
    lines: u64,
    /// Lines whose pattern is one too many.
    others: u64,
}

impl Count {
    fn new(from_ns: i64, step_ns: i64) -> Self {
        Self {
            patterns: HashMap::new(),
            from_ns,
            step_ns,
            lines: 0,
            others: 0,
        }
    }

    fn seen(&mut self, pattern: &str) -> Option<&mut Seen> {
        if !self.patterns.contains_key(pattern) {
            if self.patterns.len() >= PATTERNS_MAX {
                return None;
            }
            let seen = Seen {
                parts: vec![0; PARTS],
                ..Seen::default()
            };
            self.patterns.insert(pattern.to_owned(), seen);
        }
        self.patterns.get_mut(pattern)
    }
}

impl Fold for Count {
    fn line(&mut self, row: &Row<'_>) {
        self.lines += 1;
        let part = (row.time_ns.saturating_sub(self.from_ns) / self.step_ns).max(0);
        let part = usize::try_from(part).unwrap_or(PARTS).min(PARTS - 1);
        let Some(seen) = self.seen(row.pattern) else {
            self.others += 1;
            return;
        };
        seen.lines += 1;
        seen.worst = seen.worst.max(row.level);
        if let Some(lines) = seen.parts.get_mut(part) {
            *lines += 1;
        }
    }

    fn lines(&mut self, _labels: &Labels, _level: Level, _time_ns: i64, count: u64) {
        // Patterns are wanted, so lines come one by one; counts without one are at least counted.
        self.lines += count;
        self.others += count;
    }

    fn merge(&mut self, other: Box<dyn Fold>) {
        let Ok(other) = other.into_any().downcast::<Self>() else {
            return;
        };
        self.lines += other.lines;
        self.others += other.others;
        for (pattern, theirs) in other.patterns {
            let Some(seen) = self.seen(&pattern) else {
                self.others += theirs.lines;
                continue;
            };
            seen.lines += theirs.lines;
            seen.worst = seen.worst.max(theirs.worst);
            for (part, lines) in seen.parts.iter_mut().zip(theirs.parts) {
                *part += lines;
            }
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// A pattern with its lines, counted.
pub(super) struct Group {
    pattern: String,
    seen: Seen,
    first_ns: Option<i64>,
}

/// All that was found.
pub(super) struct Groups {
    shown: Vec<Group>,
    n_patterns: usize,
    lines: u64,
    others: u64,
}

impl Groups {
    /// Asks the store.
    pub(super) fn find(
        logs: &dyn LogReader,
        search: &Search,
        order: Order,
    ) -> Result<Self, StoreError> {
        let span_ns = search.end_ns.saturating_sub(search.start_ns);
        let step_ns = (span_ns / PARTS as i64).max(1);
        let wanted = Wanted {
            pattern: true,
            ..Wanted::default()
        };
        let start_ns = search.start_ns;
        let new: &NewFold<'_> = &move || Box::new(Count::new(start_ns, step_ns));
        let (fold, _) = logs.fold(search, &wanted, new)?;
        let count = fold
            .into_any()
            .downcast::<Count>()
            .map_or_else(|_| Count::new(start_ns, step_ns), |count| *count);
        let n_patterns = count.patterns.len();
        let mut groups: Vec<Group> = count
            .patterns
            .into_iter()
            .map(|(pattern, seen)| Group {
                pattern,
                seen,
                first_ns: None,
            })
            .collect();
        groups.sort_by(|a, b| {
            let by_lines = b.seen.lines.cmp(&a.seen.lines);
            let by_lines = if order == Order::Rare {
                by_lines.reverse()
            } else {
                by_lines
            };
            by_lines.then_with(|| a.pattern.cmp(&b.pattern))
        });
        // Which are new is known only when the store has been asked about all of them.
        if order != Order::New {
            groups.truncate(ROWS_MAX);
        }
        let ids: Vec<u64> = groups
            .iter()
            .map(|group| pattern_id(&group.pattern))
            .collect();
        let first = logs.first_seen(&ids, &search.stop)?;
        for (group, first_ns) in groups.iter_mut().zip(first) {
            group.first_ns = first_ns;
        }
        if order == Order::New {
            groups.sort_by_key(|group| std::cmp::Reverse(group.first_ns));
            groups.truncate(ROWS_MAX);
        }
        Ok(Self {
            shown: groups,
            n_patterns,
            lines: count.lines,
            others: count.others,
        })
    }
}

/// The table as the template draws it.
pub(super) struct GroupsView {
    pub(super) rows: Vec<GroupRow>,
    /// `12 patterns in 3,178 lines`
    pub(super) sentence: String,
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
            let lines = group.seen.lines;
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
                level: group.seen.worst,
                letter: rows::letter(group.seen.worst),
                count: humanize::count(lines),
                percent: humanize::percent(lines as f64 / found.lines.max(1) as f64),
                first_ms: group.first_ns.map(|ns| ns.div_euclid(1_000_000)),
                is_new: group.first_ns.is_some_and(|ns| ns >= start_ns),
                bars: bars(&group.seen.parts),
                only: leading(""),
                not: leading("-"),
            }
        });
        let rows: Vec<GroupRow> = rows.collect();
        let mut sentence = format!(
            "{} in {}",
            humanize::things(found.n_patterns as u64, "pattern", "patterns"),
            humanize::things(found.lines, "line", "lines"),
        );
        if found.n_patterns > rows.len() {
            sentence.push_str(&["; ", &rows.len().to_string(), " are shown"].concat());
        }
        if found.others > 0 {
            let others = humanize::things(found.others, "line", "lines");
            sentence.push_str(&["; ", &others, " of still others are not told apart"].concat());
        }
        Self {
            rows,
            sentence,
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

    #[test]
    fn counts_of_threads_come_together() {
        let fold = |patterns: &[(&str, i64)]| {
            let mut count = Count::new(0, 10);
            for (pattern, time_ns) in patterns {
                count.line(&Row {
                    labels: &Labels::empty(),
                    time_ns: *time_ns,
                    level: Level::Warn,
                    text: &[],
                    values: &[],
                    pattern,
                });
            }
            count
        };
        let mut one = fold(&[("a", 0), ("b", 5)]);
        one.merge(Box::new(fold(&[("a", 11), ("c", 100_000)])));
        assert_eq!((one.lines, one.others, one.patterns.len()), (4, 0, 3));
        let a = &one.patterns["a"];
        assert_eq!((a.lines, a.parts[0], a.parts[1]), (2, 1, 1));
        assert_eq!(one.patterns["c"].parts[PARTS - 1], 1);
    }
}
