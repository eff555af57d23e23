//! One query under way: what it reads from, its limits, what it has used up, and its notes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{SeriesReader, StoreError};
use rustc_hash::FxHashSet;

use crate::coarse::Coarse;
use crate::engine::{Context, Options};
use crate::grid::Grid;
use crate::notes::Notes;
use crate::value::{ErrorKind, QueryError};

/// What a series costs beside its column: its labels and the bookkeeping around them.
const SERIES_BYTES: u64 = 128;

/// Of series with few samples only one in so many is followed by a look at the clock, which costs
/// as much as they do.
const SHORT_SERIES_PER_LOOK: u64 = 16;

/// Up to so many samples a series is short: two hours of a scrape every 15 s.
const SHORT_SERIES_SAMPLES: usize = 480;

/// A query under way. Shared by all threads that work on it.
pub(crate) struct Query<'a> {
    /// Where the samples come from.
    pub(crate) reader: &'a dyn SeriesReader,
    /// The engine's limits and settings.
    pub(crate) options: &'a Options,
    /// Who asks, and whether they still wait.
    pub(crate) context: &'a Context<'a>,
    /// How far an instant selector looks back, milliseconds.
    pub(crate) lookback_ms: i64,
    /// Where samples are kept less often than they came.
    pub(crate) coarse: Coarse,
    /// All steps of the query: what `@ start()` and `@ end()` mean, also in subqueries.
    pub(crate) range: Grid,
    /// Whether it is a range query, also where that has one step only.
    pub(crate) is_range: bool,
    /// Warnings and infos.
    pub(crate) notes: Arc<Notes>,
    /// Selectors, by their address, of which only counts and sums of histograms are wanted.
    pub(crate) summaries: FxHashSet<usize>,
    /// What was used up.
    pub(crate) meter: Arc<Meter>,
}

impl Query<'_> {
    /// Fails once nobody waits any more or the time is over.
    pub(crate) fn check_stop(&self) -> Result<(), QueryError> {
        let Some(kind) = self.context.stop.and_then(|stop| stop()) else {
            return Ok(());
        };
        let message = match kind {
            ErrorKind::Timeout => {
                "the query took too long and was given up \
                                   (ask for a shorter range, fewer series or a larger step)"
            }
            ErrorKind::Canceled => "the query was cancelled",
            _ => "the query was stopped",
        };
        Err(QueryError {
            kind,
            message: message.to_owned(),
            position: None,
        })
    }

    /// Counts a series that was read, and fails now and then as [`Query::check_stop`] does.
    pub(crate) fn count_read(&self, samples: usize) -> Result<(), QueryError> {
        let series_before = self.meter.series_read.fetch_add(1, Ordering::Relaxed);
        let before = self
            .meter
            .samples_read
            .fetch_add(samples as u64, Ordering::Relaxed);
        let max = self.options.samples_max;
        if before.saturating_add(samples as u64) > max {
            return Err(limit(format!(
                "the query would read more than {max} samples (limit samples_max): narrow the \
                 selectors or the time range"
            )));
        }
        if samples <= SHORT_SERIES_SAMPLES && !series_before.is_multiple_of(SHORT_SERIES_PER_LOOK) {
            return Ok(());
        }
        self.check_stop()
    }

    /// Takes memory for `series` columns of `steps` slots out of the query's budget.
    pub(crate) fn hold(&self, series: usize, steps: usize) -> Result<Lease, QueryError> {
        let mut lease = Lease {
            meter: Arc::clone(&self.meter),
            bytes: 0,
        };
        lease.grow(series, steps)?;
        Ok(lease)
    }
}

/// What a query has used up and what it may.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) samples_read: AtomicU64,
    pub(crate) series_read: AtomicU64,
    bytes_held: AtomicU64,
    bytes_max: u64,
}

impl Meter {
    /// A meter at zero.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self {
            samples_read: AtomicU64::new(0),
            series_read: AtomicU64::new(0),
            bytes_held: AtomicU64::new(0),
            bytes_max,
        }
    }
}

/// Memory that a value of the query is charged with until it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    meter: Arc<Meter>,
    bytes: u64,
}

impl Lease {
    /// Takes memory for more columns.
    pub(crate) fn grow(&mut self, series: usize, steps: usize) -> Result<(), QueryError> {
        let column = (steps as u64).saturating_mul(size_of::<f64>() as u64) + SERIES_BYTES;
        let bytes = (series as u64).saturating_mul(column);
        let max = self.meter.bytes_max;
        let held = &self.meter.bytes_held;
        let fits = held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |before| {
            before.checked_add(bytes).filter(|sum| *sum <= max)
        });
        if fits.is_err() {
            return Err(limit(format!(
                "the query would hold more than {} MiB of series at a time (limit \
                 memory_bytes_max): narrow the selectors, take larger steps, or aggregate first",
                max >> 20
            )));
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Takes over the charge of another lease.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.meter
            .bytes_held
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A limit that was reached.
pub(crate) fn limit(message: String) -> QueryError {
    QueryError {
        kind: ErrorKind::Execution,
        message,
        position: None,
    }
}

/// Something that cannot be computed, at a place of the expression.
pub(crate) fn execution(message: impl Into<String>, position: Option<usize>) -> QueryError {
    QueryError {
        kind: ErrorKind::Execution,
        message: message.into(),
        position,
    }
}

/// What a failing store means for the query.
pub(crate) fn from_store(error: &StoreError) -> QueryError {
    let kind = match error {
        StoreError::Limit(_) | StoreError::Refused(_) => ErrorKind::Execution,
        StoreError::Cancelled => ErrorKind::Canceled,
        _ => ErrorKind::Internal,
    };
    QueryError {
        kind,
        message: error.to_string(),
        position: None,
    }
}
