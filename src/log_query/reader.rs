//! The seam between those who ask and whatever keeps the lines.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Labels, Level, StoreError};

use crate::first_seen;
use crate::fold::{Fold, NewFold, Row, Wanted};
use crate::matches::LineView;
use crate::pattern::pattern;
use crate::query::{LEVEL, MESSAGE, Query};

/// In which order lines are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Newest first.
    #[default]
    Backward,
    /// Oldest first.
    Forward,
}

/// A question to the store.
#[derive(Debug, Clone)]
pub struct Search {
    /// Which lines.
    pub query: Arc<Query>,
    /// Inclusive start, nanoseconds since 1970-01-01 UTC.
    pub start_ns: i64,
    /// Exclusive end, nanoseconds since 1970-01-01 UTC.
    pub end_ns: i64,
    /// In which order.
    pub direction: Direction,
    /// At most so many lines.
    pub limit: usize,
    /// Only lines that come behind this one in the wanted order: the last line of the page
    /// before. It need not exist any more. Only [`LogReader::search`] looks at it.
    pub after: Option<Cursor>,
    /// Ends it early. Every call that takes a search looks at it at least once per block and
    /// then returns [`StoreError::Cancelled`].
    pub stop: Stop,
}

/// The place of a line in the order of all lines: by time, then stream, then sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// [`Record::time_ns`].
    pub time_ns: i64,
    /// `Labels::fingerprint` of its stream.
    pub stream: u64,
    /// [`Record::sequence`].
    pub sequence: u64,
}

/// Tells a search that nobody waits for it any more. Clones are the same stop.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks for the end.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the end was asked for.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A line that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Labels of its stream.
    pub labels: Labels,
    /// Its number within its stream, counted from 0 and stable over restarts: with the stream's
    /// fingerprint it names the line for ever.
    pub sequence: u64,
    /// When it was written, nanoseconds since 1970-01-01 UTC.
    pub time_ns: i64,
    /// How bad it is.
    pub level: Level,
    /// The line as it was written, byte for byte, without its line break and envelope.
    pub text: Vec<u8>,
}

/// What a search cost and whether the answer is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchSummary {
    /// Lines handed out.
    pub lines: u64,
    /// Lines compared with the query one by one.
    pub lines_scanned: u64,
    /// Bytes of text of those.
    pub bytes_scanned: u64,
    /// Blocks opened, and blocks in the time range.
    pub blocks_read: u64,
    /// Blocks in the time range that the index or the block table ruled out.
    pub blocks_skipped: u64,
    /// Blocks that failed their checksum and were left out (also counted and logged).
    pub blocks_damaged: u64,
    /// Whether there may be more lines than were handed out.
    pub limit_reached: bool,
}

/// Counts of lines by level in a part of the time range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    /// Inclusive start, nanoseconds since 1970-01-01 UTC.
    pub start_ns: i64,
    /// Lines by [`Level`] number.
    pub counts: [u64; 7],
}

/// A field or label and its most frequent values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facet {
    /// Name of the field.
    pub name: String,
    /// Values with the number of lines that have them, most frequent first.
    pub values: Vec<(String, u64)>,
    /// Distinct values beyond those listed.
    pub more_values: u64,
    /// Whether all matching lines were counted; else the newest `search.limit`.
    pub whole: bool,
}

/// What the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogStoreStats {
    /// Lines that can be found.
    pub lines: u64,
    /// Their text, bytes.
    pub text_bytes: u64,
    /// Everything on disk, bytes.
    pub disk_bytes: u64,
    /// Open buffers in memory, bytes.
    pub open_bytes: u64,
    /// Streams known.
    pub streams: u64,
    /// Sealed partitions.
    pub partitions: u64,
    /// Sealed blocks.
    pub blocks: u64,
    /// Time of the oldest line, nanoseconds since 1970-01-01 UTC; 0 when there is none.
    pub oldest_ns: i64,
    /// Time of the newest line, nanoseconds since 1970-01-01 UTC; 0 when there is none.
    pub newest_ns: i64,
}

/// Takes lines as they are found or arrive; `Break` wants no more. Of a tail it must not block.
pub type RecordHandler<'a> = dyn FnMut(Record) -> ControlFlow<()> + Send + 'a;

/// Ends a live tail when dropped.
pub struct Subscription {
    end: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Subscription {
    /// A subscription that calls `end` when it is dropped.
    pub fn new(end: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self {
            end: Some(Box::new(end)),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end();
        }
    }
}

/// The log store's reading side. Calls are synchronous and may take long: call them from a
/// thread that may block.
pub trait LogReader: Send + Sync {
    /// Hands out matching lines in order of time (and, at equal times, of stream and sequence)
    /// until the limit is reached or the handler breaks.
    fn search(
        &self,
        search: &Search,
        handler: &mut RecordHandler<'_>,
    ) -> Result<SearchSummary, StoreError>;

    /// Counts matching lines by level in buckets of `step_ns`, aligned to multiples of it, from
    /// the bucket of `start_ns` to that of the last nanosecond before `end_ns`, empty ones
    /// included. `direction` and `limit` of the search do not matter.
    fn histogram(&self, search: &Search, step_ns: i64) -> Result<Vec<Bucket>, StoreError>;

    /// The most frequent values of levels and labels among all matching lines, and of fields among
    /// the newest `search.limit` of them, with `values_max` values each: `level` first, then
    /// labels, then fields.
    fn facets(&self, search: &Search, values_max: usize) -> Result<Vec<Facet>, StoreError>;

    /// Hands every matching line of the time range to folds, in no order, and returns them merged.
    /// `direction`, `limit` and `after` of the search do not matter.
    ///
    /// # Errors
    /// `Limit` with the fold's own sentence when it [refuses](Fold::refusal) to go on.
    fn fold(
        &self,
        search: &Search,
        wanted: &Wanted,
        new: &NewFold<'_>,
    ) -> Result<(Box<dyn Fold>, SearchSummary), StoreError> {
        let all = Search {
            direction: Direction::Forward,
            limit: usize::MAX,
            after: None,
            ..search.clone()
        };
        let mut fold = new();
        let mut refusal = None;
        let summary = self.search(&all, &mut |record| {
            feed(&mut *fold, wanted, &record);
            refusal = fold.refusal();
            match refusal {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        })?;
        match refusal {
            Some(reason) => Err(StoreError::Limit(reason)),
            None => Ok((fold, summary)),
        }
    }

    /// When lines of these patterns ([`crate::pattern_id`]) were first written, nanoseconds since
    /// 1970-01-01 UTC, among all lines that are kept; `None` for a pattern that no line has. A
    /// store may bound what it remembers of lines that look alike nowhere: then it is `None` too.
    fn first_seen(&self, patterns: &[u64], stop: &Stop) -> Result<Vec<Option<i64>>, StoreError> {
        first_seen::by_fold(self, patterns, stop)
    }

    /// Labels of all streams with lines in the time range (`start_ns` inclusive, `end_ns`
    /// exclusive), sorted.
    fn streams(&self, start_ns: i64, end_ns: i64) -> Result<Vec<Labels>, StoreError>;

    /// Calls the handler for each matching line from now on, on the thread that stores it.
    fn tail(
        &self,
        query: Arc<Query>,
        handler: Box<RecordHandler<'static>>,
    ) -> Result<Subscription, StoreError>;

    /// What the store holds.
    fn stats(&self) -> LogStoreStats;
}

/// Hands a record to a fold.
pub fn feed(fold: &mut dyn Fold, wanted: &Wanted, record: &Record) {
    let view = LineView::new(&record.labels, record.level, &record.text);
    let message = wanted
        .fields
        .iter()
        .any(|name| name == MESSAGE)
        .then(|| view.message());
    let values: Vec<Option<&str>> = wanted
        .fields
        .iter()
        .map(|name| match name.as_str() {
            LEVEL => Some(record.level.as_str()),
            name => record.labels.get(name).or_else(|| match name {
                MESSAGE => message.as_deref(),
                name => view.fields().values(name).next(),
            }),
        })
        .collect();
    let pattern = wanted.pattern.then(|| pattern(&view));
    fold.line(&Row {
        labels: &record.labels,
        time_ns: record.time_ns,
        level: record.level,
        text: if wanted.text { &record.text } else { &[] },
        values: &values,
        pattern: pattern.as_deref().unwrap_or_default(),
    });
}
