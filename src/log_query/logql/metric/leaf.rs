//! `rate({…} | … [5m])` in one pass over the lines.
//!
//! 1. The store's filter and the stages leave the lines that count.
//! 2. Of each the labels that stay make its series; where a `sum by (…)` stands around, only
//!    those labels are ever looked at ([`Keep`]).
//! 3. Its sample is added to a cell of the series ([`super::windows`]).
//! 4. Threads have tables of their own, which are merged at the end.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::{Labels, Level};

use super::windows::{Cell, Finish, Grid, Windows};
use super::{ABSENT, Asking, Column};
use crate::fold::{Fold, Row, Wanted};
use crate::logql::ast::{Grouping, LogRange, RangeOp};
use crate::logql::error::EvalError;
use crate::logql::logs::added;
use crate::logql::lower::lower;
use crate::logql::pipeline::labels::LineLabels;
use crate::logql::pipeline::{Pipeline, Unwrapper};
use crate::query::Query;
use crate::reader::{Direction, Search, SearchSummary};

/// A range aggregation works on so many series at most, before any other operation makes fewer of
/// them: some 10 MB of labels.
const SERIES_MAX: usize = 20_000;

/// Cells and single samples in memory; with what they are kept in some 100 MB.
const CELLS_MAX: usize = 2_000_000;

/// Text of the labels of all series, bytes: whole messages can be labels.
const LABEL_BYTES_MAX: usize = 64 << 20;

/// Ways of writing labels that are remembered; beyond these they are looked up anew.
const KEYS_MAX: usize = 65_536;

/// Bytes of these.
const KEY_BYTES_MAX: usize = 16 << 20;

/// Which labels of a line make its series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keep {
    All,
    Without(Vec<String>),
    By(Vec<String>),
}

impl Keep {
    fn of(grouping: Option<&Grouping>, unwrapped: Option<&str>) -> Self {
        match (grouping, unwrapped) {
            (Some(grouping), _) if grouping.without => Self::Without(grouping.labels.clone()),
            (Some(grouping), _) => Self::By(grouping.labels.clone()),
            // What became the sample is no label any more.
            (None, Some(label)) => Self::Without(vec![label.to_owned()]),
            (None, None) => Self::All,
        }
    }

    fn labels(&self, line: &LineLabels<'_>) -> Labels {
        match self {
            Self::All => line.all(),
            Self::Without(names) => line
                .all()
                .filtered(|name| !names.iter().any(|without| without == name)),
            Self::By(names) => Labels::from_pairs(
                names
                    .iter()
                    .filter_map(|name| Some((name.as_str(), line.get(name)?))),
            ),
        }
    }
}

/// Everything that the threads share.
struct Leaf {
    pipeline: Pipeline,
    unwrap: Option<Unwrapper>,
    op: RangeOp,
    keep: Keep,
    windows: Windows,
}

/// Answers a range aggregation. `outer` is the grouping of a sum around it, where it can be done
/// here.
pub(super) fn answer(
    asking: &mut Asking<'_>,
    op: RangeOp,
    parameter: Option<f64>,
    range: &LogRange,
    grouping: Option<&Grouping>,
) -> Result<Vec<Column>, EvalError> {
    let (filter, rest) = lower(&range.log).map_err(EvalError::Limit)?;
    let unwrap = range.unwrap.as_ref().map(Unwrapper::new).transpose();
    let unwrap = unwrap.map_err(EvalError::Limit)?;
    let absent = op == RangeOp::AbsentOverTime;
    let keep = if absent {
        Keep::By(Vec::new())
    } else {
        Keep::of(grouping, unwrap.as_ref().map(|u| u.label.as_str()))
    };
    let wanted = match &keep {
        Keep::By(names) => {
            let mut names = names.clone();
            if let Some(unwrap) = &unwrap {
                unwrap.names(&mut names);
            }
            Some(names)
        }
        Keep::All | Keep::Without(_) => None,
    };
    let pipeline = Pipeline::new(&rest, wanted.as_deref()).map_err(EvalError::Limit)?;
    let windows = Windows::new(asking.grid, range.range_ns, range.offset_ns);
    let counts_bytes = matches!(op, RangeOp::BytesOverTime | RangeOp::BytesRate);
    let wanted = Wanted {
        text: counts_bytes || !pipeline.is_empty(),
        ..Wanted::default()
    };
    let leaf = Arc::new(Leaf {
        pipeline,
        unwrap,
        op,
        keep,
        windows,
    });
    let (start_ns, end_ns) = windows.span();
    let search = Search {
        query: Arc::new(Query::of(filter)),
        start_ns,
        end_ns,
        direction: Direction::Forward,
        limit: usize::MAX,
        after: None,
        stop: asking.stop.clone(),
    };
    let new = || -> Box<dyn Fold> { Box::new(LeafFold::new(Arc::clone(&leaf))) };
    let (fold, summary) = asking.reader.fold(&search, &wanted, &new)?;
    let Ok(fold) = fold.into_any().downcast::<LeafFold>() else {
        return Err(EvalError::Limit(
            "the store gave another fold back".to_owned(),
        ));
    };
    // The store counts the lines that it compared; those that it only handed over were work too.
    asking.summary = added(
        asking.summary,
        SearchSummary {
            lines_scanned: summary.lines_scanned.max(fold.lines),
            bytes_scanned: summary.bytes_scanned.max(fold.bytes),
            ..summary
        },
    );
    if let Some(reason) = fold.refusal() {
        return Err(EvalError::Limit(reason));
    }
    asking.check_values(fold.series.len())?;
    let finish = Finish {
        op,
        range_ns: range.range_ns,
        parameter: parameter.unwrap_or_default(),
    };
    let mut columns: Vec<Column> = fold
        .series
        .into_iter()
        .map(|(labels, cells)| Column {
            labels,
            values: windows.values(cells, &finish),
        })
        .collect();
    columns.sort_by(|a, b| a.labels.cmp(&b.labels));
    if absent {
        return Ok(vec![absence(asking.grid, &columns, range)]);
    }
    Ok(columns)
}

/// 1 where there was no line, with the labels that the selector says for sure.
fn absence(grid: Grid, columns: &[Column], range: &LogRange) -> Column {
    let lines = columns.first().map(|column| column.values.as_slice());
    let values = (0..grid.count).map(|k| {
        let there = lines
            .and_then(|values| values.get(k))
            .is_some_and(|value| !super::is_absent(*value));
        if there { ABSENT } else { 1.0 }
    });
    let certain = range
        .log
        .selector
        .iter()
        .filter(|m| m.op == model::MatchOp::Equal);
    Column {
        labels: Labels::from_pairs(certain.map(|m| (m.name.clone(), m.value.clone()))),
        values: values.collect(),
    }
}

type Series = (Labels, BTreeMap<u32, Cell>);

/// The table of one thread.
struct LeafFold {
    leaf: Arc<Leaf>,
    series: Vec<Series>,
    by_labels: HashMap<Labels, usize>,
    /// The series of what a line's labels are written as.
    by_key: HashMap<Box<[u8]>, usize>,
    key_bytes: usize,
    label_bytes: usize,
    /// The stream of the line before, its number, and its series by level.
    last: Option<(Labels, usize, [Option<usize>; Level::ALL.len()])>,
    streams: HashMap<Labels, usize>,
    key: Vec<u8>,
    cells: usize,
    /// Lines that were handed over, and bytes of those.
    lines: u64,
    bytes: u64,
    refusal: Option<String>,
}

impl LeafFold {
    fn new(leaf: Arc<Leaf>) -> Self {
        Self {
            leaf,
            series: Vec::new(),
            by_labels: HashMap::new(),
            by_key: HashMap::new(),
            key_bytes: 0,
            label_bytes: 0,
            last: None,
            streams: HashMap::new(),
            key: Vec::new(),
            cells: 0,
            lines: 0,
            bytes: 0,
            refusal: None,
        }
    }

    /// Makes a stream the last one. The same labels are the same memory, as a rule, so that this
    /// compares two addresses.
    fn stream(&mut self, labels: &Labels) -> usize {
        if let Some((last, number, _)) = &self.last
            && last == labels
        {
            return *number;
        }
        let next = self.streams.len();
        let number = *self.streams.entry(labels.clone()).or_insert(next);
        self.last = Some((labels.clone(), number, [None; Level::ALL.len()]));
        number
    }

    fn series_of(&mut self, labels: Labels) -> usize {
        if let Some(known) = self.by_labels.get(&labels) {
            return *known;
        }
        let number = self.series.len();
        if number >= SERIES_MAX {
            self.refusal.get_or_insert_with(|| {
                format!(
                    "maximum of series ({SERIES_MAX}) reached for a single query: select fewer \
                     streams, or keep fewer labels with sum by (…)"
                )
            });
        }
        self.label_bytes += labels
            .iter()
            .map(|label| label.name.len() + label.value.len())
            .sum::<usize>();
        if self.label_bytes > LABEL_BYTES_MAX {
            self.refusal.get_or_insert_with(|| {
                format!(
                    "the labels of the series take more than {LABEL_BYTES_MAX} bytes: keep fewer \
                     and shorter ones with sum by (…)"
                )
            });
        }
        self.by_labels.insert(labels.clone(), number);
        self.series.push((labels, BTreeMap::new()));
        number
    }

    /// The series of a line that has gone through the stages.
    fn series_of_line(&mut self, stream: usize, labels: &LineLabels<'_>) -> usize {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        if let Keep::By(names) = &self.leaf.keep {
            for name in names {
                key.extend_from_slice(labels.get(name).unwrap_or_default().as_bytes());
                key.push(0xff);
            }
        } else {
            key.extend_from_slice(&stream.to_le_bytes());
            labels.write_key(&mut key);
        }
        let number = if let Some(known) = self.by_key.get(key.as_slice()) {
            *known
        } else {
            let number = self.series_of(self.leaf.keep.labels(labels));
            if self.by_key.len() >= KEYS_MAX || self.key_bytes > KEY_BYTES_MAX {
                self.by_key.clear();
                self.key_bytes = 0;
            }
            self.key_bytes += key.len();
            self.by_key.insert(key.as_slice().into(), number);
            number
        };
        self.key = key;
        number
    }

    /// The series of a line that no stage looks at: one per stream and level.
    fn series_of_stream(&mut self, labels: &Labels, level: Level) -> usize {
        self.stream(labels);
        if let Some((_, _, by_level)) = &self.last
            && let Some(Some(known)) = by_level.get(level as usize)
        {
            return *known;
        }
        let line = LineLabels::new(labels, level, None);
        let number = self.series_of(self.leaf.keep.labels(&line));
        if let Some((_, _, by_level)) = &mut self.last
            && let Some(slot) = by_level.get_mut(level as usize)
        {
            *slot = Some(number);
        }
        number
    }

    fn add(&mut self, series: usize, number: u32, cell: &Cell) {
        let Some((_, cells)) = self.series.get_mut(series) else {
            return;
        };
        self.cells += cell.samples_kept();
        if let Some(known) = cells.get_mut(&number) {
            known.add(cell);
        } else {
            cells.insert(number, cell.clone());
            self.cells += 1;
        }
        if self.cells > CELLS_MAX {
            self.refusal.get_or_insert_with(|| {
                format!(
                    "the query needs more than {CELLS_MAX} samples in memory: widen the step, \
                     narrow the range, or keep fewer labels"
                )
            });
        }
    }
}

impl Fold for LeafFold {
    fn line(&mut self, row: &Row<'_>) {
        self.lines += 1;
        self.bytes += row.text.len() as u64;
        let leaf = Arc::clone(&self.leaf);
        let Some(cell) = leaf.windows.cell(row.time_ns) else {
            return;
        };
        if leaf.pipeline.is_empty() && leaf.unwrap.is_none() {
            let value = match leaf.op {
                RangeOp::BytesOverTime | RangeOp::BytesRate => row.text.len() as f64,
                _ => 1.0,
            };
            let series = self.series_of_stream(row.labels, row.level);
            self.add(series, cell, &Cell::one(leaf.op, row.time_ns, value));
            return;
        }
        let passed = leaf
            .pipeline
            .run(row.labels, row.level, row.time_ns, row.text);
        let Some(mut passed) = passed else { return };
        let value = match (&leaf.unwrap, leaf.op) {
            (Some(unwrap), _) => unwrap.sample(&mut passed.labels),
            (None, RangeOp::BytesOverTime | RangeOp::BytesRate) => Some(passed.text.len() as f64),
            (None, _) => Some(1.0),
        };
        let Some(value) = value else { return };
        if let Some(kind) = passed.labels.error() {
            self.refusal.get_or_insert_with(|| {
                format!(
                    "pipeline error: '{kind}' for series: '{}'. Use a label filter to \
                     intentionally skip this error. (e.g | __error__!=\"{kind}\"). To skip all \
                     potential errors you can match empty errors.(e.g __error__=\"\")",
                    passed.labels.all()
                )
            });
            return;
        }
        let stream = self.stream(row.labels);
        let series = self.series_of_line(stream, &passed.labels);
        self.add(series, cell, &Cell::one(leaf.op, row.time_ns, value));
    }

    fn lines(&mut self, labels: &Labels, level: Level, time_ns: i64, count: u64) {
        // Never asked for: windows are exact to the nanosecond, so no grain is wanted.
        debug_assert!(false, "lines were given as counts");
        if let Some(cell) = self.leaf.windows.cell(time_ns) {
            let series = self.series_of_stream(labels, level);
            self.add(
                series,
                cell,
                &Cell::one(self.leaf.op, time_ns, count as f64),
            );
        }
    }

    fn merge(&mut self, other: Box<dyn Fold>) {
        let Ok(other) = other.into_any().downcast::<Self>() else {
            return;
        };
        if self.refusal.is_none() {
            self.refusal = other.refusal;
        }
        self.lines += other.lines;
        self.bytes += other.bytes;
        for (labels, cells) in other.series {
            let series = self.series_of(labels);
            for (number, cell) in cells {
                self.add(series, number, &cell);
            }
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }

    fn refusal(&self) -> Option<String> {
        self.refusal.clone()
    }
}
