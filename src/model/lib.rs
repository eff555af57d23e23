//! The words that all rooms share, and the seams between rooms.
//!
//! A sample travels from a collector through [`SampleSink`] into the metric store and back out
//! through [`SeriesReader`]; a log line travels through [`LogSink`] into the log store and back
//! out through `log_query::LogReader`. Everything else here is the vocabulary of those journeys:
//! plain values without clocks, files, sockets or tasks. This room depends on no other.

pub mod alert;
pub mod bytes;
pub mod cardinality;
pub mod cut;
pub mod duration;
pub mod gap;
pub mod histogram;
pub mod labels;
pub mod log;
pub mod matcher;
pub mod sample;
pub mod series;
pub mod target;
pub mod time;

pub use alert::Alert;
pub use cardinality::{Cardinality, Counted, SeriesAdmin};
pub use cut::{cut_mark, without_cut_mark};
pub use gap::{GAP_MARK, GapReason, LogGap, is_gap};
pub use histogram::{
    Buckets, CUSTOM_BOUNDS_SCHEMA, HISTOGRAM_NAN_BITS, Histogram, ResetHint, Span, histogram_nan,
    is_histogram,
};
pub use labels::{Label, Labels, LabelsBuilder, METRIC_NAME};
pub use log::{Checkpoint, Level, LineRules, LogBatch, LogLine, LogSink, StreamId};
pub use matcher::{MatchOp, Matcher};
pub use sample::{
    Exemplar, MetricKind, MetricMetadata, STALE_NAN_BITS, Sample, SampleSink, Scrape, SlotId,
    TargetId, is_stale, stale_nan,
};
pub use series::{CoarseSpan, Samples, Selection, SeriesCursor, SeriesReader};
pub use target::{
    DiscoveryState, DroppedTarget, Health, LogCollector, LogLoss, LogSource, LogSourceState,
    RelabelStep, ScrapeTarget,
};

/// Why a store could not take or give data. Both stores speak of their failures in these words,
/// so that a collector can tell "wait and try again" from "this input is at fault".
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full or the storage budget is spent. What was accepted before is safe; the
    /// caller keeps its data and tries again later.
    #[error("no space left: {0}")]
    NoSpace(String),
    /// A limit with a name was reached (series, memory, samples, time); the message says which
    /// limit, its value, and what to narrow or raise.
    #[error("{0}")]
    Limit(String),
    /// The input breaks a promise of the seam (an unknown target, unsorted labels, a sample too
    /// old); it will be refused again.
    #[error("{0}")]
    Refused(String),
    /// The caller asked to stop, or went away, while the work was under way.
    #[error("cancelled")]
    Cancelled,
    /// Reading or writing failed; the message names the file.
    #[error("{context}: {source}")]
    Io {
        /// What was being done, and to which file.
        context: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Data on disk does not decode or fails its checksum; the message names the file and place.
    /// The rest of the store goes on answering.
    #[error("damaged data: {0}")]
    Damaged(String),
    /// The embedded database said no.
    #[error("{0}")]
    Database(String),
}
