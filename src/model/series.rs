//! Series on their way out of the store: the seam between PromQL and whatever keeps the samples.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::StoreError;
use crate::histogram::{Histogram, histogram_nan};
use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::sample::{Exemplar, MetricMetadata};

/// Which samples are wanted: series that satisfy all matchers, samples with
/// `start_ms < timestamp <= end_ms` (left-open, as Prometheus 3's ranges are).
#[derive(Debug, Clone)]
pub struct Selection {
    /// Conditions, all of which must hold. An empty list selects every series.
    pub matchers: Vec<Matcher>,
    /// Exclusive start, milliseconds since 1970-01-01 UTC.
    pub start_ms: i64,
    /// Inclusive end, milliseconds since 1970-01-01 UTC.
    pub end_ms: i64,
    /// Refuse with `StoreError::Limit` when more series than this would be answered.
    pub series_max: usize,
    /// How many cursors the caller can drive at the same time; the store may give fewer.
    pub cursors_max: usize,
}

/// Columns of one series: times ascending, without duplicates; both of the same length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamps_ms: Vec<i64>,
    /// Values, stale markers included. Where a sample is a native histogram,
    /// [`crate::histogram_nan`] holds its place.
    pub values: Vec<f64>,
    /// The native histograms: their places in the columns, ascending, and the values. Empty for
    /// nearly all series.
    pub histograms: Vec<(usize, Arc<Histogram>)>,
}

impl Samples {
    /// Empties both columns and keeps their memory.
    pub fn clear(&mut self) {
        self.timestamps_ms.clear();
        self.values.clear();
        self.histograms.clear();
    }

    /// Adds one sample at the end.
    pub fn push(&mut self, timestamp_ms: i64, value: f64) {
        self.timestamps_ms.push(timestamp_ms);
        self.values.push(value);
    }

    /// Adds one native histogram at the end.
    pub fn push_histogram(&mut self, timestamp_ms: i64, histogram: Arc<Histogram>) {
        self.histograms.push((self.values.len(), histogram));
        self.push(timestamp_ms, histogram_nan());
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.timestamps_ms.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.timestamps_ms.is_empty()
    }
}

/// A span of time of which samples are kept less often than they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoarseSpan {
    /// Where it begins, milliseconds since 1970-01-01 UTC.
    pub start_ms: i64,
    /// Where it ends, exclusive.
    pub end_ms: i64,
    /// A series has a sample every so many milliseconds.
    pub resolution_ms: i64,
}

/// Walks one part of a selection, series by series, in label order.
pub trait SeriesCursor: Send {
    /// Overwrites `samples` with the next series' samples and returns its labels, or `None` at
    /// the end. A series without a sample in the range is left out.
    fn next_series(&mut self, samples: &mut Samples) -> Result<Option<Labels>, StoreError>;
}

/// The metric store's reading side. Calls are synchronous and may take long: call them from a
/// thread that may block.
pub trait SeriesReader: Send + Sync {
    /// Answers a selection as one or more cursors. Each walks its series in label order, and all
    /// labels of a cursor come before all labels of the next, so that reading them one after
    /// the other gives the whole answer in order and reading them side by side uses all cores.
    fn select(&self, selection: &Selection) -> Result<Vec<Box<dyn SeriesCursor>>, StoreError>;

    /// The label sets of all series that satisfy every matcher and have (or may have) a sample
    /// in the range; sorted; at most `limit`, and whether there were more.
    fn series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<(Vec<Labels>, bool), StoreError>;

    /// Names of all labels of the matching series, sorted.
    fn label_names(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, StoreError>;

    /// Values of a label over the matching series, sorted.
    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, StoreError>;

    /// Exemplars of the series that satisfy one of the selectors, with
    /// `start_ms <= timestamp <= end_ms`: sorted by labels, then time.
    fn exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, StoreError> {
        let _ = (selectors, start_ms, end_ms);
        Ok(Vec::new())
    }

    /// The spans of which samples are kept less often than they came (rollups of what is old),
    /// in order of their starts. Whoever looks back over a short range has to look further there.
    fn coarse_spans(&self) -> Vec<CoarseSpan> {
        Vec::new()
    }

    /// What is known of each metric family, by its name.
    fn metadata(&self) -> BTreeMap<String, MetricMetadata>;
}
