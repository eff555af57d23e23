//! `stats`, `top` and `rate`: lines in groups, as a [`Fold`] that a store feeds from its columns.
//!
//! 1. A group's key is the values of its fields and its step of time, written one after the other.
//! 2. Where no pipe stands before, the store hands over only the fields that are read, or counts.
//!    Else each line passes through the pipes first and its values are looked up in what they
//!    found.
//! 3. At the end groups become rows: over time in order of time, else with the largest first.

use std::any::Any;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use hashbrown::HashMap;
use model::{Labels, Level};

use crate::fold::{Fold, Row, Wanted};
use crate::matches::LineView;
use crate::plan::{Function, Key, Pipe, Stats, StatsColumn};
use crate::query::LEVEL;
use crate::run::accumulate::{Accumulator, kind};
use crate::run::sketch::{DISTINCT_ERROR, DISTINCT_EXACT_MAX, QUANTILE_ERROR, QUANTILE_EXACT_MAX};
use crate::run::stages::{self, Found};
use crate::run::table::{Cell, Kind, Table, TableColumn, compare_cells};

/// Groups of one answer.
pub const GROUPS_MAX: usize = 200_000;

/// Memory that the groups of one answer may take on each thread, bytes.
pub const GROUPS_BYTES_MAX: usize = 64 << 20;

/// Where nothing depends on the time, counts may come in pieces as coarse as this.
const ANY_GRAIN_NS: i64 = 86_400_000_000_000;

/// What a group costs beside its key and its columns: an entry of the map.
const GROUP_BYTES: usize = 64;

/// What is grouped by what: `Stats` made ready.
#[derive(Debug)]
pub(crate) struct Plan {
    by: Vec<Key>,
    columns: Vec<StatsColumn>,
    /// Pipes that each line passes first.
    before: Vec<Pipe>,
    /// All fields that are read, each once.
    fields: Vec<String>,
    /// For each key the place of its field in `fields`; `None` for the time.
    key_fields: Vec<Option<usize>>,
    /// For each column the places of its fields.
    column_fields: Vec<Vec<usize>>,
    step_ns: i64,
    /// Whether lines without any value of the keys are left out (`top`).
    only_with_keys: bool,
}

impl Plan {
    /// `step_ns`: the width of steps where a key asks for time without saying.
    pub(crate) fn new(stats: &Stats, before: &[Pipe], step_ns: i64, only_with_keys: bool) -> Self {
        let mut fields: Vec<String> = Vec::new();
        let mut place = |name: &String| {
            if let Some(place) = fields.iter().position(|known| known == name) {
                place
            } else {
                fields.push(name.clone());
                fields.len() - 1
            }
        };
        let key_fields = stats.by.iter().map(|key| match key {
            Key::Field(name) => Some(place(name)),
            Key::Time(_) => None,
        });
        let key_fields = key_fields.collect();
        let columns = stats.columns.iter();
        let column_fields =
            columns.map(|column| column.function.fields().iter().map(&mut place).collect());
        let column_fields = column_fields.collect();
        let step_ns = stats.by.iter().find_map(|key| match key {
            Key::Time(step) => Some(step.unwrap_or(step_ns)),
            Key::Field(_) => None,
        });
        Self {
            by: stats.by.clone(),
            columns: stats.columns.clone(),
            before: before.to_vec(),
            fields,
            key_fields,
            column_fields,
            step_ns: step_ns.unwrap_or(1).max(1),
            only_with_keys,
        }
    }

    fn has_time(&self) -> bool {
        self.key_fields.contains(&None)
    }

    /// What the store has to hand over.
    pub(crate) fn wanted(&self) -> Wanted {
        if self.reads_text() {
            return Wanted {
                text: true,
                ..Wanted::default()
            };
        }
        let exact = self
            .columns
            .iter()
            .any(|column| matches!(column.function, Function::First(_) | Function::Last(_)));
        let grain = if self.has_time() {
            self.step_ns
        } else {
            ANY_GRAIN_NS
        };
        Wanted {
            fields: self.fields.clone(),
            grain_ns: (!exact).then_some(grain),
            ..Wanted::default()
        }
    }

    /// Whether values have to be looked up in the line itself: what pipes found, or its own time.
    fn reads_text(&self) -> bool {
        !self.before.is_empty() || self.fields.iter().any(|name| name == crate::plan::TIME)
    }
}

/// The groups so far.
pub(crate) struct Groups {
    plan: Arc<Plan>,
    by_key: HashMap<Box<[u8]>, Vec<Accumulator>>,
    bytes: usize,
    /// Lines that came, those without keys included.
    total: u64,
    key: Vec<u8>,
}

impl Groups {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            by_key: HashMap::new(),
            bytes: 0,
            total: 0,
            key: Vec::new(),
        }
    }

    /// A line with what pipes found in it.
    pub(crate) fn view(&mut self, view: &LineView<'_>, time_ns: i64) {
        let plan = self.plan.clone();
        let values: Vec<_> = plan
            .fields
            .iter()
            .map(|name| stages::value(view, time_ns, name))
            .collect();
        self.add(&values, time_ns, 1);
    }

    /// So many lines with these values of `Plan::fields`.
    pub(crate) fn add(&mut self, values: &[Option<Cow<'_, str>>], time_ns: i64, count: u64) {
        let plan = self.plan.clone();
        self.total += count;
        self.key.clear();
        let mut any = false;
        for field in &plan.key_fields {
            if let Some(place) = field {
                let value = values.get(*place).and_then(Option::as_deref);
                let value = value.filter(|value| !value.is_empty());
                any |= value.is_some();
                push_value(&mut self.key, value);
            } else {
                let step = time_ns
                    .div_euclid(plan.step_ns)
                    .saturating_mul(plan.step_ns);
                self.key.extend_from_slice(&step.to_be_bytes());
            }
        }
        if plan.only_with_keys && !any {
            return;
        }
        let group = if let Some(group) = self.by_key.get_mut(self.key.as_slice()) {
            group
        } else {
            self.bytes +=
                GROUP_BYTES + self.key.len() + plan.columns.len() * size_of::<Accumulator>();
            let columns = plan.columns.iter();
            let new = columns.map(|c| Accumulator::new(&c.function)).collect();
            self.by_key
                .entry(self.key.clone().into_boxed_slice())
                .or_insert(new)
        };
        for (accumulator, places) in group.iter_mut().zip(&plan.column_fields) {
            self.bytes += match places.as_slice() {
                [] => accumulator.add(&[], time_ns, count),
                [place] => {
                    let value = values.get(*place).unwrap_or(&None);
                    accumulator.add(std::slice::from_ref(value), time_ns, count)
                }
                places => {
                    let values: Vec<_> = places
                        .iter()
                        .map(|place| values.get(*place).cloned().flatten())
                        .collect();
                    accumulator.add(&values, time_ns, count)
                }
            };
        }
    }

    /// Lines that came, for shares.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The groups as rows: over time in order of time, else the largest of the first column first;
    /// equal ones by their keys.
    pub(crate) fn table(self) -> Table {
        let plan = &self.plan;
        let keys = plan.by.iter().map(|key| TableColumn {
            name: key.column().to_owned(),
            kind: match key {
                Key::Field(_) => Kind::Text,
                Key::Time(_) => Kind::Time,
            },
        });
        let computed = plan.columns.iter().map(|column| TableColumn {
            name: column.name.clone(),
            kind: kind(&column.function),
        });
        let mut groups = self.by_key;
        if plan.by.is_empty() && groups.is_empty() {
            // Everything is one group, also when it is empty.
            let columns = plan.columns.iter();
            let empty = columns.map(|c| Accumulator::new(&c.function)).collect();
            groups.insert(Box::default(), empty);
        }
        let mut estimates = [false; 2];
        let mut rows: Vec<Vec<Cell>> = Vec::with_capacity(groups.len());
        for (key, group) in &groups {
            let mut row = read_key(key, &plan.by);
            for (accumulator, column) in group.iter().zip(&plan.columns) {
                if !accumulator.is_exact() {
                    let quantile = matches!(accumulator, Accumulator::Quantile(_));
                    estimates[usize::from(quantile)] = true;
                }
                row.push(accumulator.cell(&column.function));
            }
            rows.push(row);
        }
        let time = plan.by.iter().position(|key| matches!(key, Key::Time(_)));
        let first = plan.by.len();
        rows.sort_by(|a, b| {
            let by = |place: usize, descending: bool| match (a.get(place), b.get(place)) {
                (Some(a), Some(b)) => compare_cells(a, b, descending),
                _ => Ordering::Equal,
            };
            let main = match time {
                Some(time) => by(time, false),
                None => by(first, true),
            };
            (0..first).fold(main, |order, place| order.then_with(|| by(place, false)))
        });
        let mut notes = Vec::new();
        if estimates[0] {
            notes.push(format!(
                "count_distinct is an estimate where it is more than {DISTINCT_EXACT_MAX}: its \
                 standard error is {} %",
                DISTINCT_ERROR * 100.0
            ));
        }
        if estimates[1] {
            notes.push(format!(
                "quantiles of more than {QUANTILE_EXACT_MAX} values are within {} % of the value",
                QUANTILE_ERROR * 100.0
            ));
        }
        Table {
            columns: keys.chain(computed).collect(),
            rows,
            step_ns: time.map(|_| plan.step_ns),
            notes,
            ..Table::default()
        }
    }
}

impl Fold for Groups {
    fn line(&mut self, row: &Row<'_>) {
        let plan = self.plan.clone();
        if plan.reads_text() {
            let (mut level, mut found) = (row.level, Found::default());
            if stages::pass(&plan.before, row.labels, &mut level, row.text, &mut found) {
                let view = LineView::with_found(row.labels, level, row.text, &found.fields);
                self.view(&view, row.time_ns);
            }
            return;
        }
        self.alike(row, 1);
    }

    fn alike(&mut self, row: &Row<'_>, count: u64) {
        match row.values {
            [] => self.add(&[], row.time_ns, count),
            [value] => self.add(&[value.map(Cow::Borrowed)], row.time_ns, count),
            values => {
                let values: Vec<_> = values.iter().map(|v| v.map(Cow::Borrowed)).collect();
                self.add(&values, row.time_ns, count);
            }
        }
    }

    fn lines(&mut self, labels: &Labels, level: Level, time_ns: i64, count: u64) {
        let plan = self.plan.clone();
        let values: Vec<_> = plan
            .fields
            .iter()
            .map(|name| match name.as_str() {
                LEVEL => Some(Cow::Borrowed(level.as_str())),
                name => labels.get(name).map(Cow::Borrowed),
            })
            .collect();
        self.add(&values, time_ns, count);
    }

    fn merge(&mut self, other: Box<dyn Fold>) {
        let Ok(other) = other.into_any().downcast::<Self>() else {
            return;
        };
        self.total += other.total;
        for (key, theirs) in other.by_key {
            if let Some(mine) = self.by_key.get_mut(&key) {
                for (mine, theirs) in mine.iter_mut().zip(theirs) {
                    self.bytes += mine.merge(theirs);
                }
            } else {
                self.bytes += GROUP_BYTES + key.len();
                self.by_key.insert(key, theirs);
            }
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }

    fn refusal(&self) -> Option<String> {
        let by = || {
            let names: Vec<&str> = self.plan.by.iter().map(Key::column).collect();
            names.join(", ")
        };
        if self.by_key.len() > GROUPS_MAX {
            return Some(format!(
                "more than {GROUPS_MAX} groups by {}: filter before, or group by something with \
                 fewer values",
                by()
            ));
        }
        (self.bytes > GROUPS_BYTES_MAX).then(|| {
            format!(
                "the groups by {} take more than {} MiB of memory: filter before, group by \
                 something with fewer values, or narrow the time range",
                by(),
                GROUPS_BYTES_MAX >> 20
            )
        })
    }
}

/// Appends a value so that it can be told from what follows: its length plus one (0: missing).
pub(crate) fn push_value(key: &mut Vec<u8>, value: Option<&str>) {
    let length = value.map_or(0, |value| value.len() as u32 + 1);
    key.extend_from_slice(&length.to_be_bytes());
    key.extend_from_slice(value.unwrap_or_default().as_bytes());
}

/// The cells of a group's key.
fn read_key(mut key: &[u8], by: &[Key]) -> Vec<Cell> {
    let mut cells = Vec::with_capacity(by.len() + 4);
    for part in by {
        let cell = match part {
            Key::Time(_) => key.split_first_chunk().map(|(time, rest)| {
                key = rest;
                Cell::Time(i64::from_be_bytes(*time))
            }),
            Key::Field(_) => key.split_first_chunk().and_then(|(length, rest)| {
                match u32::from_be_bytes(*length).checked_sub(1) {
                    None => {
                        key = rest;
                        Some(Cell::Missing)
                    }
                    Some(length) => {
                        let (value, rest) = rest.split_at_checked(length as usize)?;
                        key = rest;
                        Some(Cell::Text(String::from_utf8_lossy(value).into_owned()))
                    }
                }
            }),
        };
        cells.push(cell.unwrap_or(Cell::Missing));
    }
    cells
}
