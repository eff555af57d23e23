//! What pipes do to the rows of a table.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use model::{Labels, Level, StoreError};

use crate::fold::Fold;
use crate::matches::LineView;
use crate::plan::{Function, Key, Pipe, SortKey, Stats, StatsColumn};
use crate::query::{Filter, LEVEL};
use crate::run::groups::{Groups, Plan, push_value};
use crate::run::table::{Cell, Kind, Table, TableColumn, compare_cells};

/// Takes a table through the pipes behind the one that made it.
pub(crate) fn pass(mut table: Table, pipes: &[Pipe]) -> Result<Table, StoreError> {
    for pipe in pipes {
        match pipe {
            Pipe::Where(filter) => keep(&mut table, filter),
            Pipe::Fields(names) => choose(&mut table, names),
            Pipe::Drop(names) => {
                let kept: Vec<String> = table
                    .columns
                    .iter()
                    .map(|column| column.name.clone())
                    .filter(|name| !names.contains(name))
                    .collect();
                choose(&mut table, &kept);
            }
            Pipe::Sort(keys) => sort(&mut table, keys),
            Pipe::Limit(n) => table.rows.truncate(*n),
            Pipe::Uniq(names) => uniq(&mut table, names),
            Pipe::Stats(stats) => table = group(&table, stats, false)?.0.table(),
            Pipe::Top { n, fields } => {
                let (groups, notes) = group(&table, &top_stats(fields), true)?;
                table = top_table(groups, *n);
                table.notes.extend(notes);
            }
            // The parser lets them stand only where there are lines.
            Pipe::Parse(_) | Pipe::Rate { .. } | Pipe::Patterns(_) => {}
        }
    }
    Ok(table)
}

/// `top` as `stats`.
pub(crate) fn top_stats(fields: &[String]) -> Stats {
    Stats {
        columns: vec![StatsColumn {
            name: "count".to_owned(),
            function: Function::Count(None),
        }],
        by: fields.iter().cloned().map(Key::Field).collect(),
    }
}

/// The most frequent groups with their share of everything.
pub(crate) fn top_table(groups: Groups, n: usize) -> Table {
    let total = groups.total().max(1) as f64;
    let mut table = groups.table();
    let others = table.rows.len().saturating_sub(n);
    table.rows.truncate(n);
    table.columns.push(TableColumn {
        name: "share".to_owned(),
        kind: Kind::Number,
    });
    for row in &mut table.rows {
        let count = match row.last() {
            Some(Cell::Count(count)) => *count as f64,
            _ => 0.0,
        };
        row.push(Cell::Number(count / total));
    }
    if others > 0 {
        table.notes.push(format!("{others} more values"));
    }
    table
}

/// The rows of a table in groups, and what was noted about them before.
fn group(
    table: &Table,
    stats: &Stats,
    only_with_keys: bool,
) -> Result<(Groups, Vec<String>), StoreError> {
    let plan = Plan::new(stats, &[], 1, only_with_keys);
    let places: Vec<Option<usize>> = plan
        .wanted()
        .fields
        .iter()
        .map(|f| place(table, f))
        .collect();
    let mut groups = Groups::new(Arc::new(plan));
    for (i, row) in table.rows.iter().enumerate() {
        let values: Vec<Option<Cow<'_, str>>> = places
            .iter()
            .map(|place| row.get((*place)?).map(Cell::text))
            .collect();
        // The order of the rows stands for the time: `first` is that of the first row.
        groups.add(&values, i as i64, 1);
        if let Some(reason) = groups.refusal() {
            return Err(StoreError::Limit(reason));
        }
    }
    Ok((groups, table.notes.clone()))
}

fn place(table: &Table, name: &str) -> Option<usize> {
    table.columns.iter().position(|column| column.name == name)
}

fn keep(table: &mut Table, filter: &Filter) {
    let names: Vec<String> = table.columns.iter().map(|c| c.name.clone()).collect();
    let labels = Labels::empty();
    table.rows.retain(|row| {
        let columns: Vec<(String, String)> = names
            .iter()
            .zip(row)
            .filter(|(_, cell)| **cell != Cell::Missing)
            .map(|(name, cell)| (name.clone(), cell.text().into_owned()))
            .collect();
        let text: Vec<&str> = columns.iter().map(|(_, value)| value.as_str()).collect();
        let text = text.join(" ");
        let level = columns
            .iter()
            .find(|(name, _)| name == LEVEL)
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or(Level::Unknown);
        filter.matches(&LineView::of_row(&labels, level, text.as_bytes(), &columns))
    });
}

fn choose(table: &mut Table, names: &[String]) {
    let places: Vec<usize> = names.iter().filter_map(|name| place(table, name)).collect();
    table.columns = places
        .iter()
        .filter_map(|place| table.columns.get(*place).cloned())
        .collect();
    for row in &mut table.rows {
        *row = places
            .iter()
            .filter_map(|place| row.get(*place).cloned())
            .collect();
    }
    if !table.columns.iter().any(|column| column.kind == Kind::Time) {
        table.step_ns = None;
    }
}

fn sort(table: &mut Table, keys: &[SortKey]) {
    let keys: Vec<(usize, bool)> = keys
        .iter()
        .filter_map(|key| Some((place(table, &key.name)?, key.descending)))
        .collect();
    table.rows.sort_by(|a, b| {
        keys.iter()
            .map(|(place, descending)| match (a.get(*place), b.get(*place)) {
                (Some(a), Some(b)) => compare_cells(a, b, *descending),
                _ => std::cmp::Ordering::Equal,
            })
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    });
}

fn uniq(table: &mut Table, names: &[String]) {
    let places: Vec<usize> = if names.is_empty() {
        (0..table.columns.len()).collect()
    } else {
        names.iter().filter_map(|name| place(table, name)).collect()
    };
    let mut seen = HashSet::new();
    table.rows.retain(|row| {
        let mut key = Vec::new();
        for place in &places {
            push_value(&mut key, row.get(*place).map(Cell::text).as_deref());
        }
        seen.insert(key)
    });
}
