//! Samples on their way into the store: a scrape is the unit.

use std::sync::Arc;

use crate::StoreError;
use crate::histogram::Histogram;
use crate::labels::Labels;

/// One value at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
    /// The value; NaN with [`STALE_NAN_BITS`] ends the series.
    pub value: f64,
}

/// The bits of the NaN that marks the end of a series, the same as Prometheus'.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The stale marker as a value. Compare with [`is_stale`], never with `==`.
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether a value is the stale marker (any other NaN is a value like others).
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// What kind of metric a family is, in Prometheus' and OpenMetrics' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MetricKind {
    /// Only goes up, but for resets.
    Counter,
    /// Goes up and down.
    Gauge,
    /// `_bucket`, `_sum`, `_count`.
    Histogram,
    /// OpenMetrics: a histogram of present state, not of events.
    GaugeHistogram,
    /// Quantiles, `_sum`, `_count`.
    Summary,
    /// OpenMetrics: labels that describe.
    Info,
    /// OpenMetrics: one of several states.
    StateSet,
    /// Not said.
    #[default]
    Unknown,
}

impl MetricKind {
    /// The word that Prometheus' API and exposition formats use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }
}

/// What an exposition says about a metric family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetricMetadata {
    /// Its kind.
    pub kind: MetricKind,
    /// Its help text, unescaped.
    pub help: Arc<str>,
    /// Its unit (OpenMetrics), or empty.
    pub unit: Arc<str>,
}

/// A writer's handle on one target (a scraped endpoint, the host collector, a rule group, the
/// log counters): the unit whose samples share a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(pub u32);

/// A series' place within its target. Slots are given out in ascending order and stay valid as
/// long as the process and the target live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

/// Samples of one target that share one timestamp.
#[derive(Debug, Clone, Copy)]
pub struct Scrape<'a> {
    /// The target.
    pub target: TargetId,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
    /// Slots and values in any order; a slot that is not listed has no sample at this time
    /// (which is not the same as a stale marker: those are listed).
    pub samples: &'a [(SlotId, f64)],
}

/// An example of what was counted: a trace, as a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Its own labels (`trace_id`, …), not its series'.
    pub labels: Labels,
    /// The observed value.
    pub value: f64,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
}

/// Where samples go: the metric store's writing side.
///
/// All calls are synchronous and short (they touch memory and append to a journal). When
/// `append` returns `Ok`, the samples survive kill -9; a power loss may take the last second.
pub trait SampleSink: Send + Sync {
    /// Opens a target by a name that is unique in the process and stable over restarts (such as
    /// `scrape/<pool>/<url>` or `rules/<file>/<group>`); the same name gives the same handle.
    fn open_target(&self, name: &str) -> Result<TargetId, StoreError>;

    /// Gives a series its slot in a target; the same labels give the same slot.
    ///
    /// # Errors
    /// `Limit` when the store takes no more series; the series that exist go on.
    fn open_slot(&self, target: TargetId, labels: &Labels) -> Result<SlotId, StoreError>;

    /// The labels of a slot, where they are known still.
    fn labels_of(&self, target: TargetId, slot: SlotId) -> Option<Labels> {
        let _ = (target, slot);
        None
    }

    /// Stores a scrape. Samples older than the out-of-order window, or equal in time to one that
    /// the series has already with another value, are counted and left out: `Ok` tells how many
    /// were stored.
    ///
    /// # Errors
    /// `NoSpace` or `Io` when nothing could be journalled; nothing was stored then.
    fn append(&self, scrape: Scrape<'_>) -> Result<usize, StoreError>;

    /// Stores native histograms that share one timestamp, in milliseconds since 1970-01-01 UTC;
    /// otherwise as [`SampleSink::append`]. Their series end by a stale marker among the floats.
    ///
    /// Those that are inconsistent ([`Histogram::check`]) or have absurdly many buckets are
    /// counted and left out.
    ///
    /// # Errors
    /// As `append`.
    fn append_histograms(
        &self,
        target: TargetId,
        timestamp_ms: i64,
        samples: &[(SlotId, Arc<Histogram>)],
    ) -> Result<usize, StoreError>;

    /// Remembers an exemplar of a series; the oldest are forgotten when there are too many.
    fn append_exemplar(&self, target: TargetId, slot: SlotId, exemplar: Exemplar) {
        let _ = (target, slot, exemplar);
    }

    /// Says that a target is gone: its slots may be forgotten. Its samples stay.
    fn close_target(&self, target: TargetId);

    /// Remembers what a metric family means. The last word wins.
    fn describe(&self, family: &str, metadata: &MetricMetadata);
}
