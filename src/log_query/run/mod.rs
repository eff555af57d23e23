//! Answers a whole query, filter and pipes, over whatever keeps the lines.
//!
//! 1. A `where` that stands right behind the filter becomes part of it: the store searches for it.
//! 2. Where the pipes up to the first one that makes rows look at one line at a time, the store
//!    folds (`groups.rs`, `patterns.rs`): in any order, on several threads, from its columns.
//! 3. Where they remember (`limit`, `sort`, `uniq`), lines come in their order (`lines.rs`).
//! 4. Rows pass the rest of the pipes in memory (`rows.rs`).

mod accumulate;
mod groups;
mod lines;
mod patterns;
mod rows;
mod sketch;
mod stages;
mod table;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::Arc;

use model::StoreError;

use crate::fold::{Fold, NewFold, Wanted};
use crate::matches::LineView;
use crate::pattern::{pattern, pattern_id};
use crate::plan::{Function, Key, Patterns, Pipe, Stats, StatsColumn, TIME, Which};
use crate::query::{Filter, Query};
use crate::reader::{LogReader, Search, SearchSummary};
pub use groups::{GROUPS_BYTES_MAX, GROUPS_MAX};
pub use lines::{Line, LineHandler, SORT_BYTES_MAX, UNIQ_MAX};
pub use patterns::{PATTERNS_MAX, TREND_PARTS};
pub use sketch::{DISTINCT_ERROR, DISTINCT_EXACT_MAX, QUANTILE_ERROR, QUANTILE_EXACT_MAX};
pub use table::{Cell, Kind, Table, TableColumn};

use groups::Groups;
use patterns::PatternFold;

/// Steps of time of one answer.
pub const STEPS_MAX: i64 = 11_000;

/// Steps that an answer has where the query does not say how wide they are, about.
const STEPS_WANTED: i64 = 100;

/// Widths of steps that people can read off, seconds.
const STEPS_S: [i64; 16] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 10_800, 21_600, 86_400,
];

/// What a query answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Lines; they went to the handler.
    Lines(SearchSummary),
    /// Rows.
    Table(Table),
}

/// Which fields of lines an answer shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Only these, in this order; `None` for all.
    pub only: Option<Vec<String>>,
    /// All but these.
    pub dropped: Vec<String>,
}

impl Query {
    /// Whether it answers rows instead of lines.
    pub fn makes_table(&self) -> bool {
        self.pipes.iter().any(Pipe::makes_table)
    }

    /// Whether an answer in lines can be continued behind its last line (`Search::after`): no pipe
    /// remembers lines that came before.
    pub fn has_pages(&self) -> bool {
        self.pipes.iter().all(Pipe::is_linewise)
    }

    /// Which fields of lines it shows.
    pub fn shown(&self) -> Shown {
        let mut shown = Shown::default();
        for pipe in &self.pipes {
            match pipe {
                Pipe::Fields(names) => {
                    shown = Shown {
                        only: Some(names.clone()),
                        dropped: Vec::new(),
                    };
                }
                Pipe::Drop(names) => {
                    if let Some(only) = &mut shown.only {
                        only.retain(|name| !names.contains(name));
                    }
                    shown.dropped.extend(names.iter().cloned());
                }
                _ => {}
            }
        }
        shown
    }

    /// The filter with every `where` that can be searched for, and the other pipes.
    fn pushed_down(&self) -> (Filter, Vec<Pipe>) {
        let mut all = vec![self.filter.clone()];
        let mut pipes = Vec::new();
        let mut searchable = true;
        for pipe in &self.pipes {
            match pipe {
                Pipe::Where(filter) if searchable => all.push(filter.clone()),
                Pipe::Fields(_) | Pipe::Drop(_) => pipes.push(pipe.clone()),
                pipe => {
                    searchable = false;
                    pipes.push(pipe.clone());
                }
            }
        }
        all.retain(|filter| !matches!(filter, Filter::All));
        let filter = match all.len() {
            0 => Filter::All,
            1 => all.remove(0),
            _ => Filter::And(all),
        };
        (filter, pipes)
    }
}

/// Answers a query: lines go to the handler as they are found, rows are returned.
///
/// Of `search`, `limit` counts the lines that come out of the pipes; `direction` is the order in
/// which lines go into them. `after` has a meaning where [`Query::has_pages`].
///
/// # Errors
/// Those of the store; `Limit` where a named limit of this room is reached, with what to do.
pub fn run(
    reader: &dyn LogReader,
    search: &Search,
    handler: &mut LineHandler<'_>,
) -> Result<Answer, StoreError> {
    let (filter, pipes) = search.query.pushed_down();
    let found = Search {
        query: Arc::new(Query::of(filter)),
        ..search.clone()
    };
    match pipes.iter().position(Pipe::makes_table) {
        None => lines_of(reader, &found, &pipes, handler).map(Answer::Lines),
        Some(at) => {
            let (before, after) = pipes.split_at(at);
            let Some((maker, after)) = after.split_first() else {
                return Ok(Answer::Table(Table::default()));
            };
            let table = table_of(reader, found, before, maker)?;
            let notes = table.notes.clone();
            let summary = table.summary;
            let mut table = rows::pass(table, after)?;
            table.summary = summary;
            for note in notes {
                if !table.notes.contains(&note) {
                    table.notes.push(note);
                }
            }
            Ok(Answer::Table(table))
        }
    }
}

fn lines_of(
    reader: &dyn LogReader,
    search: &Search,
    pipes: &[Pipe],
    handler: &mut LineHandler<'_>,
) -> Result<SearchSummary, StoreError> {
    let wanted = search.limit;
    let mut stages = lines::stages(pipes, wanted);
    let mut n_lines = 0;
    let mut limited = |line: Line| {
        if n_lines == wanted {
            return ControlFlow::Break(());
        }
        n_lines += 1;
        let flow = handler(line);
        if n_lines == wanted {
            return ControlFlow::Break(());
        }
        flow
    };
    // The store stops at its limit only where every line that it finds is answered.
    let lets_all_pass = pipes
        .iter()
        .all(|pipe| matches!(pipe, Pipe::Parse(_) | Pipe::Fields(_) | Pipe::Drop(_)));
    let all = Search {
        limit: if lets_all_pass { wanted } else { usize::MAX },
        ..search.clone()
    };
    let mut failed = None;
    let mut summary = reader.search(&all, &mut |record| {
        let line = Line {
            record,
            found: Vec::new(),
        };
        lines::push(&mut stages, line, &mut limited).unwrap_or_else(|error| {
            failed = Some(error);
            ControlFlow::Break(())
        })
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    lines::finish(&mut stages, &mut limited)?;
    summary.lines = n_lines as u64;
    summary.limit_reached |= n_lines == wanted;
    Ok(summary)
}

/// The rows of the pipe that makes them.
fn table_of(
    reader: &dyn LogReader,
    mut search: Search,
    before: &[Pipe],
    maker: &Pipe,
) -> Result<Table, StoreError> {
    let gather = |search: &Search, stats: &Stats, only_with_keys: bool| {
        let step_ns = step_of(search);
        let ordered = !before.iter().all(Pipe::is_linewise);
        let inside: &[Pipe] = if ordered { &[] } else { before };
        let plan = Arc::new(groups::Plan::new(stats, inside, step_ns, only_with_keys));
        if ordered {
            let mut groups = Groups::new(plan);
            let summary = each_line(reader, search, before, &mut |view, time_ns| {
                groups.view(view, time_ns);
                groups.refusal()
            })?;
            return Ok((groups, summary));
        }
        let new = || Box::new(Groups::new(plan.clone())) as Box<dyn Fold>;
        let (fold, summary) = fold::<Groups>(reader, search, &plan.wanted(), &new)?;
        match fold.refusal() {
            Some(reason) => Err(StoreError::Limit(reason)),
            None => Ok((fold, summary)),
        }
    };
    match maker {
        Pipe::Stats(stats) => {
            for key in &stats.by {
                if let Key::Time(Some(step_ns)) = key {
                    refuse_too_many_steps(&search, *step_ns)?;
                }
            }
            let (groups, summary) = gather(&search, stats, false)?;
            Ok(Table {
                summary,
                ..groups.table()
            })
        }
        Pipe::Top { n, fields } => {
            let (groups, summary) = gather(&search, &rows::top_stats(fields), true)?;
            Ok(Table {
                summary,
                ..rows::top_table(groups, *n)
            })
        }
        Pipe::Rate { step_ns, by } => {
            let step_ns = step_ns.unwrap_or_else(|| step_of(&search));
            refuse_too_many_steps(&search, step_ns)?;
            let mut keys = vec![Key::Time(Some(step_ns))];
            keys.extend(by.iter().cloned().map(Key::Field));
            let stats = Stats {
                columns: vec![StatsColumn {
                    name: "rate".to_owned(),
                    function: Function::Count(None),
                }],
                by: keys,
            };
            let (groups, summary) = gather(&search, &stats, false)?;
            let mut table = groups.table();
            if by.is_empty() {
                fill_steps(&mut table, &search, step_ns);
            }
            counts_to_rates(&mut table, &search, step_ns);
            Ok(Table { summary, ..table })
        }
        Pipe::Patterns(asked) => {
            if let Which::New(Some(span_ns)) = asked.which {
                // Older lines cannot be of a pattern that is new.
                search.start_ns = search.start_ns.max(search.end_ns.saturating_sub(span_ns));
            }
            patterns_of(reader, &search, before, asked)
        }
        _ => Ok(Table::default()),
    }
}

fn patterns_of(
    reader: &dyn LogReader,
    search: &Search,
    before: &[Pipe],
    asked: &Patterns,
) -> Result<Table, StoreError> {
    let ordered = !before.iter().all(Pipe::is_linewise);
    let plan = Arc::new(patterns::Plan {
        before: if ordered { Vec::new() } else { before.to_vec() },
        start_ns: search.start_ns,
        end_ns: search.end_ns,
    });
    let (mut found, summary) = if ordered {
        let mut found = PatternFold::new(plan);
        let summary = each_line(reader, search, before, &mut |view, time_ns| {
            found.add(&pattern(view), time_ns, view.level);
            None
        })?;
        (found, summary)
    } else {
        let new = || Box::new(PatternFold::new(plan.clone())) as Box<dyn Fold>;
        fold::<PatternFold>(reader, search, &plan.wanted(), &new)?
    };
    if let Which::New(_) = asked.which {
        let ids: Vec<(Box<str>, u64)> = found
            .seen
            .keys()
            .map(|pattern| (pattern.clone(), pattern_id(pattern)))
            .collect();
        let numbers: Vec<u64> = ids.iter().map(|(_, id)| *id).collect();
        let first = reader.first_seen(&numbers, &search.stop)?;
        for ((pattern, _), first_ns) in ids.iter().zip(first) {
            // What the store does not remember has been seen here first.
            if first_ns.is_some_and(|first_ns| first_ns < search.start_ns) {
                found.seen.remove(pattern);
            }
        }
    }
    // Those that patterns were taken of: pipes may have kept some of the lines back.
    let lines = found.total;
    let mut table = found.table();
    let keys: &[(&str, bool)] = match asked.which {
        Which::Frequent => &[("count", true), ("pattern", false)],
        Which::Rare => &[("count", false), ("last", true), ("pattern", false)],
        Which::New(_) => &[("first", true), ("pattern", false)],
    };
    let sort = keys.iter().map(|(name, descending)| crate::SortKey {
        name: (*name).to_owned(),
        descending: *descending,
    });
    let more = table.rows.len().saturating_sub(asked.n);
    if more > 0 {
        table.notes.push(format!("{more} more patterns"));
    }
    let mut table = rows::pass(table, &[Pipe::Sort(sort.collect()), Pipe::Limit(asked.n)])?;
    table.summary = SearchSummary { lines, ..summary };
    Ok(table)
}

/// Hands each line that passes the pipes to `take`, in order; a reason ends it.
fn each_line(
    reader: &dyn LogReader,
    search: &Search,
    pipes: &[Pipe],
    take: &mut (dyn FnMut(&LineView<'_>, i64) -> Option<String> + Send),
) -> Result<SearchSummary, StoreError> {
    let mut reason = None;
    let all = Search {
        limit: usize::MAX,
        after: None,
        ..search.clone()
    };
    let summary = lines_of(reader, &all, pipes, &mut |line| {
        let record = &line.record;
        let view = LineView::with_found(&record.labels, record.level, &record.text, &line.found);
        reason = take(&view, record.time_ns);
        match reason {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    })?;
    match reason {
        Some(reason) => Err(StoreError::Limit(reason)),
        None => Ok(summary),
    }
}

/// A fold of one kind over all lines.
fn fold<F: Fold + 'static>(
    reader: &dyn LogReader,
    search: &Search,
    wanted: &Wanted,
    new: &NewFold<'_>,
) -> Result<(F, SearchSummary), StoreError> {
    let (fold, summary) = reader.fold(search, wanted, new)?;
    match fold.into_any().downcast::<F>() {
        Ok(fold) => Ok((*fold, summary)),
        // A reader that makes up its own folds breaks the promise of the seam.
        Err(_) => Err(StoreError::Refused(
            "the log store answered something else than was asked".to_owned(),
        )),
    }
}

/// The width of steps that suits the time range of a search.
fn step_of(search: &Search) -> i64 {
    let span_s = search.end_ns.saturating_sub(search.start_ns) / 1_000_000_000;
    let least = span_s / STEPS_WANTED;
    let step_s = STEPS_S
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or_else(|| (least / 86_400 + 1) * 86_400);
    step_s.saturating_mul(1_000_000_000)
}

fn refuse_too_many_steps(search: &Search, step_ns: i64) -> Result<(), StoreError> {
    let steps = search.end_ns.saturating_sub(search.start_ns) / step_ns.max(1);
    if steps <= STEPS_MAX {
        return Ok(());
    }
    Err(StoreError::Limit(format!(
        "{steps} steps of time are more than {STEPS_MAX}: write a wider step, or narrow the time \
         range"
    )))
}

/// Adds the steps without lines, so that a chart falls to zero there.
fn fill_steps(table: &mut Table, search: &Search, step_ns: i64) {
    let first = search.start_ns.div_euclid(step_ns);
    let last = search.end_ns.saturating_sub(1).div_euclid(step_ns);
    let mut counted = std::mem::take(&mut table.rows).into_iter().peekable();
    for step in first..=last {
        let time = Cell::Time(step.saturating_mul(step_ns));
        match counted.next_if(|row| row.first() == Some(&time)) {
            Some(row) => table.rows.push(row),
            None => table.rows.push(vec![time, Cell::Count(0)]),
        }
    }
}

/// Lines per second in the part of each step that was searched.
fn counts_to_rates(table: &mut Table, search: &Search, step_ns: i64) {
    let time = table.columns.iter().position(|column| column.name == TIME);
    for row in &mut table.rows {
        let Some(Cell::Time(start)) = time.and_then(|time| row.get(time)) else {
            continue;
        };
        let from = (*start).max(search.start_ns);
        let to = start.saturating_add(step_ns).min(search.end_ns);
        let seconds = to.saturating_sub(from).max(1) as f64 / 1e9;
        if let Some(cell) = row.last_mut()
            && let Cell::Count(count) = cell
        {
            *cell = Cell::Number(*count as f64 / seconds);
        }
    }
    if let Some(column) = table.columns.last_mut() {
        column.kind = Kind::Number;
    }
}
