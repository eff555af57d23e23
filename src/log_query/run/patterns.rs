//! `patterns`: what the lines look like, with how many there are of each and when.

use std::any::Any;
use std::cmp::Reverse;
use std::sync::Arc;

use hashbrown::HashMap;
use model::{Labels, Level};

use crate::fold::{Fold, Row, Wanted};
use crate::matches::LineView;
use crate::pattern::pattern;
use crate::plan::Pipe;
use crate::run::stages::{self, Found};
use crate::run::table::{Cell, Kind, Table, TableColumn};

/// Patterns of one answer; lines of further ones are only counted.
pub const PATTERNS_MAX: usize = 20_000;

/// Parts of the time range in the column `trend`.
pub const TREND_PARTS: usize = 24;

/// What the patterns are taken of.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Pipes that each line passes first.
    pub(crate) before: Vec<Pipe>,
    pub(crate) start_ns: i64,
    pub(crate) end_ns: i64,
}

impl Plan {
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            text: !self.before.is_empty(),
            pattern: self.before.is_empty(),
            ..Wanted::default()
        }
    }

    /// The part of the time range in which a time lies.
    fn part(&self, time_ns: i64) -> usize {
        let span = i128::from(self.end_ns) - i128::from(self.start_ns);
        let since = i128::from(time_ns) - i128::from(self.start_ns);
        let part = since * TREND_PARTS as i128 / span.max(1);
        usize::try_from(part).unwrap_or(0).min(TREND_PARTS - 1)
    }
}

/// Lines of one pattern.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) count: u64,
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
    pub(crate) trend: [u64; TREND_PARTS],
    /// The worst of the lines' levels.
    pub(crate) level: Level,
}

/// The patterns so far.
pub(crate) struct PatternFold {
    plan: Arc<Plan>,
    pub(crate) seen: HashMap<Box<str>, Seen>,
    /// Lines of patterns beyond [`PATTERNS_MAX`].
    pub(crate) others: u64,
    pub(crate) total: u64,
}

impl PatternFold {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            seen: HashMap::new(),
            others: 0,
            total: 0,
        }
    }

    pub(crate) fn add(&mut self, pattern: &str, time_ns: i64, level: Level) {
        self.total += 1;
        let part = self.plan.part(time_ns);
        let n_seen = self.seen.len();
        let seen = match self.seen.get_mut(pattern) {
            Some(seen) => seen,
            None if n_seen >= PATTERNS_MAX => {
                self.others += 1;
                return;
            }
            None => self.seen.entry(pattern.into()).or_insert(Seen {
                count: 0,
                first_ns: time_ns,
                last_ns: time_ns,
                trend: [0; TREND_PARTS],
                level,
            }),
        };
        seen.count += 1;
        seen.first_ns = seen.first_ns.min(time_ns);
        seen.last_ns = seen.last_ns.max(time_ns);
        seen.level = seen.level.max(level);
        if let Some(part) = seen.trend.get_mut(part) {
            *part += 1;
        }
    }

    /// The patterns as rows, in any order.
    pub(crate) fn table(self) -> Table {
        let column = |name: &str, kind| TableColumn {
            name: name.to_owned(),
            kind,
        };
        let total = self.total.max(1) as f64;
        let rows = self.seen.into_iter().map(|(pattern, seen)| {
            vec![
                Cell::Text(pattern.into()),
                Cell::Count(seen.count),
                Cell::Number(seen.count as f64 / total),
                Cell::Time(seen.first_ns),
                Cell::Time(seen.last_ns),
                Cell::Counts(seen.trend.to_vec()),
                Cell::Text(seen.level.as_str().to_owned()),
            ]
        });
        let mut notes = Vec::new();
        if self.others > 0 {
            notes.push(format!(
                "{} lines have patterns beyond the first {PATTERNS_MAX} and are not listed: \
                 filter before, or narrow the time range",
                self.others
            ));
        }
        Table {
            rows: rows.collect(),
            columns: vec![
                column("pattern", Kind::Text),
                column("count", Kind::Count),
                column("share", Kind::Number),
                column("first", Kind::Time),
                column("last", Kind::Time),
                column("trend", Kind::Counts),
                column("level", Kind::Text),
            ],
            notes,
            ..Table::default()
        }
    }
}

impl Fold for PatternFold {
    fn line(&mut self, row: &Row<'_>) {
        let plan = self.plan.clone();
        if plan.before.is_empty() {
            return self.add(row.pattern, row.time_ns, row.level);
        }
        let (mut level, mut found) = (row.level, Found::default());
        if stages::pass(&plan.before, row.labels, &mut level, row.text, &mut found) {
            let view = LineView::new(row.labels, level, row.text);
            self.add(&pattern(&view), row.time_ns, level);
        }
    }

    /// Never called: patterns or texts are wanted.
    fn lines(&mut self, _: &Labels, _: Level, _: i64, _: u64) {}

    fn merge(&mut self, other: Box<dyn Fold>) {
        let Ok(other) = other.into_any().downcast::<Self>() else {
            return;
        };
        self.total += other.total;
        self.others += other.others;
        // The most frequent first, so that it is the rare ones for which there is no room.
        let mut theirs: Vec<_> = other.seen.into_iter().collect();
        theirs.sort_by_key(|(_, seen)| Reverse(seen.count));
        for (pattern, theirs) in theirs {
            let n_seen = self.seen.len();
            match self.seen.get_mut(&pattern) {
                Some(mine) => {
                    mine.count += theirs.count;
                    mine.first_ns = mine.first_ns.min(theirs.first_ns);
                    mine.last_ns = mine.last_ns.max(theirs.last_ns);
                    mine.level = mine.level.max(theirs.level);
                    for (mine, theirs) in mine.trend.iter_mut().zip(theirs.trend) {
                        *mine += theirs;
                    }
                }
                None if n_seen >= PATTERNS_MAX => self.others += theirs.count,
                None => {
                    self.seen.insert(pattern, theirs);
                }
            }
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
