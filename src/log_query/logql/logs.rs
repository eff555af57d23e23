//! Lines for a log query.

use std::ops::ControlFlow;
use std::sync::Arc;

use model::Labels;

use super::ast::LogExpr;
use super::error::EvalError;
use super::lower::lower;
use super::pipeline::Pipeline;
use super::pipeline::labels::DETECTED_LEVEL;
use crate::query::Query;
use crate::reader::{Cursor, Direction, LogReader, Record, Search, SearchSummary, Stop};

/// Most lines that are asked of the store at once while stages leave some of them out.
const PAGE_LINES_MAX: usize = 8_192;

/// Fewest of these.
const PAGE_LINES_MIN: usize = 256;

/// Text and labels of all lines of an answer, bytes: lines can be a megabyte each.
const ENTRY_BYTES_MAX: usize = 64 << 20;

/// A line of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Labels of its stream, without those that a stage took away.
    pub stream: Labels,
    /// What Loki keeps as structured metadata: the level that was detected.
    pub metadata: Labels,
    /// Labels that stages have made, `__error__` among them.
    pub parsed: Labels,
    /// When it was written, nanoseconds since 1970-01-01 UTC.
    pub time_ns: i64,
    /// Its text, as stages left it.
    pub line: String,
}

impl Entry {
    /// What it takes, bytes, more or less.
    fn size(&self) -> usize {
        let parsed = self.parsed.iter().map(|l| l.name.len() + l.value.len());
        self.line.len() + parsed.sum::<usize>()
    }

    /// All labels in one set, as Loki gives them unless it is asked to keep them apart.
    pub fn labels(&self) -> Labels {
        if self.metadata.is_empty() && self.parsed.is_empty() {
            return self.stream.clone();
        }
        let mut all = self.stream.to_builder();
        for label in self.metadata.iter().chain(&self.parsed) {
            all.set(label.name.clone(), label.value.clone());
        }
        all.build()
    }
}

/// Which lines are wanted.
#[derive(Debug, Clone)]
pub struct LogRequest {
    /// Inclusive start, nanoseconds since 1970-01-01 UTC.
    pub start_ns: i64,
    /// Exclusive end, nanoseconds since 1970-01-01 UTC.
    pub end_ns: i64,
    /// In which order.
    pub direction: Direction,
    /// At most so many.
    pub limit: usize,
    /// Ends it early.
    pub stop: Stop,
}

/// A log query that is ready to be asked, again and again.
#[derive(Debug, Clone)]
pub struct LogPlan {
    query: Arc<Query>,
    pipeline: Pipeline,
}

impl LogPlan {
    /// Prepares a query.
    ///
    /// # Errors
    /// `Limit`, where an expression in it takes too much memory.
    pub fn new(log: &LogExpr) -> Result<Self, EvalError> {
        let (filter, rest) = lower(log).map_err(EvalError::Limit)?;
        Ok(Self {
            query: Arc::new(Query::of(filter)),
            pipeline: Pipeline::new(&rest, None).map_err(EvalError::Limit)?,
        })
    }

    /// What the store is asked; its lines then go through [`LogPlan::apply`].
    pub fn query(&self) -> Arc<Query> {
        Arc::clone(&self.query)
    }

    /// Whether the store alone answers it: every line that it finds is a line of the answer, as it
    /// was written.
    pub fn is_pushed_down(&self) -> bool {
        self.pipeline.is_empty()
    }

    /// What becomes of a line that the store found; `None` when a stage leaves it out.
    pub fn apply(&self, record: &Record) -> Option<Entry> {
        let passed =
            self.pipeline
                .run(&record.labels, record.level, record.time_ns, &record.text)?;
        let metadata = passed
            .labels
            .detected_level()
            .map(|level| (DETECTED_LEVEL, level));
        Some(Entry {
            stream: passed.labels.of_stream(),
            metadata: Labels::from_pairs(metadata),
            parsed: Labels::from_pairs(passed.labels.parsed()),
            time_ns: record.time_ns,
            line: String::from_utf8_lossy(&passed.text).into_owned(),
        })
    }
}

/// Answers a log query.
///
/// # Errors
/// What the store says.
pub fn logs(
    reader: &dyn LogReader,
    log: &LogExpr,
    request: &LogRequest,
) -> Result<(Vec<Entry>, SearchSummary), EvalError> {
    let plan = LogPlan::new(log)?;
    let mut entries: Vec<Entry> = Vec::new();
    let mut bytes = 0;
    let summary = found(reader, &plan, request, &mut |_, entry| {
        bytes += entry.size();
        entries.push(entry);
        if bytes > ENTRY_BYTES_MAX {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    if bytes > ENTRY_BYTES_MAX {
        return Err(EvalError::Limit(format!(
            "{} lines take more than {ENTRY_BYTES_MAX} bytes: ask for fewer with limit, or shorten \
             them with line_format and keep",
            entries.len()
        )));
    }
    Ok((entries, summary))
}

/// Hands out the lines of a prepared query with the records that they come from, in the wanted
/// order, until there are as many as are wanted.
///
/// Where stages leave lines out, the store is asked for a page of lines at a time, each larger
/// than the one before.
///
/// # Errors
/// What the store says.
pub fn found(
    reader: &dyn LogReader,
    plan: &LogPlan,
    request: &LogRequest,
    take: &mut (dyn FnMut(&Record, Entry) -> ControlFlow<()> + Send),
) -> Result<SearchSummary, EvalError> {
    let mut n = 0;
    let mut total = SearchSummary::default();
    let mut search = Search {
        query: plan.query(),
        start_ns: request.start_ns,
        end_ns: request.end_ns,
        direction: request.direction,
        limit: request.limit,
        after: None,
        stop: request.stop.clone(),
    };
    if !plan.pipeline.keeps_all() {
        search.limit = request.limit.clamp(PAGE_LINES_MIN, PAGE_LINES_MAX);
    }
    let mut broken = false;
    while n < request.limit && !broken {
        let mut after = None;
        let summary = reader.search(&search, &mut |record| {
            after = Some(Cursor {
                time_ns: record.time_ns,
                stream: record.labels.fingerprint(),
                sequence: record.sequence,
            });
            if let Some(entry) = plan.apply(&record) {
                n += 1;
                if take(&record, entry).is_break() {
                    broken = true;
                    return ControlFlow::Break(());
                }
            }
            if n >= request.limit {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        total = added(total, summary);
        if !summary.limit_reached || after.is_none() {
            break;
        }
        search.after = after;
        search.limit = search.limit.saturating_mul(4).min(PAGE_LINES_MAX);
    }
    total.lines = n as u64;
    total.limit_reached = n >= request.limit;
    Ok(total)
}

/// The cost of two searches together.
pub(super) fn added(a: SearchSummary, b: SearchSummary) -> SearchSummary {
    SearchSummary {
        lines: a.lines + b.lines,
        lines_scanned: a.lines_scanned + b.lines_scanned,
        bytes_scanned: a.bytes_scanned + b.bytes_scanned,
        blocks_read: a.blocks_read + b.blocks_read,
        blocks_skipped: a.blocks_skipped + b.blocks_skipped,
        blocks_damaged: a.blocks_damaged + b.blocks_damaged,
        limit_reached: a.limit_reached || b.limit_reached,
    }
}
