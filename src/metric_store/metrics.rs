//! What the metric store tells about itself.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};

/// The store's own metrics. The doc comment of each field is its help text.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Samples stored.
    pub samples: Counter,
    /// Samples stored although their series had a later one already.
    pub samples_out_of_order: Counter,
    /// Samples left out because their series has one at the same time.
    pub samples_duplicate: Counter,
    /// Samples left out because they are older than the out-of-order window or the retention.
    pub samples_too_old: Counter,
    /// Samples left out because their time lies too far in the future.
    pub samples_too_new: Counter,
    /// Samples refused because the disk is full or the journal cannot be written.
    pub samples_failed: Counter,
    /// Native histograms stored; they count as samples too.
    pub histograms: Counter,
    /// Native histograms left out because they are inconsistent or have too many buckets.
    pub histograms_invalid: Counter,
    /// Exemplars kept.
    pub exemplars: Counter,
    /// Exemplars left out because they are older than the newest of their series, or too long.
    pub exemplars_refused: Counter,
    /// Exemplars forgotten because there were too many.
    pub exemplars_evicted: Counter,
    /// Series refused because a limit was reached.
    pub series_refused: Counter,
    /// Of those, series refused because their target has enough.
    pub series_refused_by_target: Counter,
    /// Series that samples are being written to.
    pub head_series: Gauge,
    /// Series in the index, those that are not written to any more included.
    pub index_series: Gauge,
    /// Estimated bytes of memory of head, index and caches.
    pub memory_bytes: Gauge,
    /// Bytes of all files.
    pub disk_bytes: Gauge,
    /// Bytes of the journals.
    pub journal_bytes: Gauge,
    /// Sealed windows.
    pub segments: Gauge,
    /// Bytes appended to the journals.
    pub journal_written_bytes: Counter,
    /// Seconds that making the journals durable took.
    pub journal_sync_seconds: Histogram,
    /// Damaged tails of journals that were cut at start.
    pub journal_damaged: Counter,
    /// Samples found in journals at start.
    pub journal_replayed_samples: Counter,
    /// Samples in journals that belong to no known series (after a power loss).
    pub journal_orphaned_samples: Counter,
    /// Windows sealed.
    pub seals: Counter,
    /// Attempts to seal a window that failed and are tried again.
    pub seals_failed: Counter,
    /// Seconds that sealing a window took.
    pub seal_seconds: Histogram,
    /// Days dropped by retention or for space.
    pub days_dropped: Counter,
    /// Days of which a sample of every five minutes was kept.
    pub days_rolled_up: Counter,
    /// Days dropped without that, because it could not be written.
    pub rollups_failed: Counter,
    /// Days whose windows were rewritten as one.
    pub days_rewritten: Counter,
    /// Pages read from disk and decompressed.
    pub pages_read: Counter,
    /// Pages, directories and day files found damaged.
    pub damaged: Counter,
    /// Directories of segments that were evicted from memory.
    pub directories_evicted: Counter,
}

impl Metrics {
    /// Makes the metrics and registers them.
    pub fn new(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("yagura_metric_store");
        Self {
            samples: add(registry, "samples", "Samples stored"),
            samples_out_of_order: add(
                registry,
                "samples_out_of_order",
                "Samples stored although their series had a later one already",
            ),
            samples_duplicate: add(
                registry,
                "samples_duplicate",
                "Samples left out because their series has one at the same time",
            ),
            samples_too_old: add(
                registry,
                "samples_too_old",
                "Samples left out because they are older than the out-of-order window or the \
                 retention",
            ),
            samples_too_new: add(
                registry,
                "samples_too_new",
                "Samples left out because their time lies too far in the future",
            ),
            samples_failed: add(
                registry,
                "samples_failed",
                "Samples refused because the disk is full or the journal cannot be written",
            ),
            histograms: add(
                registry,
                "histograms",
                "Native histograms stored; they count as samples too",
            ),
            histograms_invalid: add(
                registry,
                "histograms_invalid",
                "Native histograms left out because they are inconsistent or have too many buckets",
            ),
            exemplars: add(registry, "exemplars", "Exemplars kept"),
            exemplars_refused: add(
                registry,
                "exemplars_refused",
                "Exemplars left out because they are older than the newest of their series, or \
                 too long",
            ),
            exemplars_evicted: add(
                registry,
                "exemplars_evicted",
                "Exemplars forgotten because there were too many",
            ),
            series_refused: add(
                registry,
                "series_refused",
                "Series refused because a limit was reached",
            ),
            series_refused_by_target: add(
                registry,
                "series_refused_by_target",
                "Series refused because their target has enough; they count as refused too",
            ),
            head_series: add(
                registry,
                "head_series",
                "Series that samples are being written to",
            ),
            index_series: add(
                registry,
                "index_series",
                "Series in the index, those that are not written to any more included",
            ),
            memory_bytes: add(
                registry,
                "memory_bytes",
                "Estimated bytes of memory of head, index and caches",
            ),
            disk_bytes: add(registry, "disk_bytes", "Bytes of all files"),
            journal_bytes: add(registry, "journal_bytes", "Bytes of the journals"),
            segments: add(registry, "segments", "Sealed windows"),
            journal_written_bytes: add(
                registry,
                "journal_written_bytes",
                "Bytes appended to the journals",
            ),
            journal_sync_seconds: histogram(
                registry,
                "journal_sync_seconds",
                "Seconds that making the journals durable took",
            ),
            journal_damaged: add(
                registry,
                "journal_damaged",
                "Damaged tails of journals that were cut at start",
            ),
            journal_replayed_samples: add(
                registry,
                "journal_replayed_samples",
                "Samples found in journals at start",
            ),
            journal_orphaned_samples: add(
                registry,
                "journal_orphaned_samples",
                "Samples in journals that belong to no known series (after a power loss)",
            ),
            seals: add(registry, "seals", "Windows sealed"),
            seals_failed: add(
                registry,
                "seals_failed",
                "Attempts to seal a window that failed and are tried again",
            ),
            seal_seconds: histogram(
                registry,
                "seal_seconds",
                "Seconds that sealing a window took",
            ),
            days_dropped: add(
                registry,
                "days_dropped",
                "Days dropped by retention or for space",
            ),
            days_rolled_up: add(
                registry,
                "days_rolled_up",
                "Days of which a sample of every five minutes was kept",
            ),
            rollups_failed: add(
                registry,
                "rollups_failed",
                "Days dropped for space without a rollup, because it could not be written",
            ),
            days_rewritten: add(
                registry,
                "days_rewritten",
                "Days whose windows were rewritten as one",
            ),
            pages_read: add(
                registry,
                "pages_read",
                "Pages read from disk and decompressed",
            ),
            damaged: add(
                registry,
                "damaged",
                "Pages, directories and day files found damaged",
            ),
            directories_evicted: add(
                registry,
                "directories_evicted",
                "Directories of segments that were evicted from memory",
            ),
        }
    }
}

fn add<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn histogram(registry: &mut Registry, name: &str, help: &str) -> Histogram {
    // 0.1 ms to 26 s.
    let metric = Histogram::new(exponential_buckets(0.0001, 4.0, 10));
    registry.register(name, help, metric.clone());
    metric
}
