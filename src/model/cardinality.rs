//! Who has so many series, and how to be rid of some: what the cardinality page, `status/tsdb`
//! and the admin API ask of the metric store.

use std::path::Path;

use crate::StoreError;
use crate::matcher::Matcher;

/// A name with a figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// A metric, a label, `label=value`, or a target.
    pub name: String,
    /// How many (series, values or bytes, as its list says).
    pub count: u64,
}

/// The figures of the series that are being written to. Lists are sorted, the most first.
#[derive(Debug, Clone, Default)]
pub struct Cardinality {
    /// Series being written to.
    pub series: u64,
    /// At most so many.
    pub series_max: u64,
    /// Pairs of label and value in use.
    pub label_pairs: u64,
    /// Metrics by number of series.
    pub metrics: Vec<Counted>,
    /// Labels by number of distinct values.
    pub labels: Vec<Counted>,
    /// Labels by bytes of their distinct values.
    pub label_bytes: Vec<Counted>,
    /// `label=value` by number of series.
    pub pairs: Vec<Counted>,
    /// Targets by number of series.
    pub targets: Vec<Counted>,
    /// Metrics by number of series that began within the last hour.
    pub churn: Vec<Counted>,
    /// Series that began within the last hour.
    pub churn_series: u64,
    /// Oldest sample that is not sealed, milliseconds since 1970-01-01 UTC.
    pub head_start_ms: Option<i64>,
    /// Newest sample, milliseconds since 1970-01-01 UTC.
    pub head_end_ms: Option<i64>,
}

/// The metric store's third side, beside writing and reading. Calls are synchronous and may take
/// long: call them from a thread that may block.
pub trait SeriesAdmin: Send + Sync {
    /// The figures, at most `limit` names per list.
    fn cardinality(&self, limit: usize) -> Result<Cardinality, StoreError>;

    /// Hides all samples with `start_ms <= timestamp <= end_ms` of the series that satisfy one of
    /// the selectors, at once and for good; tells of how many series. The bytes go when
    /// [`SeriesAdmin::clean_tombstones`] or the next rewriting of their day comes.
    fn delete_series(
        &self,
        selectors: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<u64, StoreError>;

    /// Rewrites what holds deleted samples.
    fn clean_tombstones(&self) -> Result<(), StoreError>;

    /// Writes a copy of everything accepted until now into a folder that does not exist yet. The
    /// copy is a store of its own: open it, or put it in the place of the original.
    fn snapshot(&self, folder: &Path) -> Result<(), StoreError>;
}
