//! What the log store counts about itself.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The metrics of the log store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(crate) lines: Counter,
    pub(crate) text_bytes: Counter,
    pub(crate) append_waits: Counter,
    pub(crate) append_refused: Counter,
    pub(crate) open_bytes: Gauge,
    pub(crate) streams: Gauge,
    pub(crate) partitions: Gauge,
    pub(crate) blocks: Gauge,
    pub(crate) disk_bytes: Gauge,
    pub(crate) seals: Counter,
    pub(crate) seal_failures: Counter,
    pub(crate) seal_seconds: Histogram,
    pub(crate) partitions_dropped: Counter,
    pub(crate) blocks_damaged: Counter,
    pub(crate) index_failures: Counter,
    pub(crate) searches: Counter,
    pub(crate) search_seconds: Histogram,
    pub(crate) lines_scanned: Counter,
    pub(crate) blocks_read: Counter,
    pub(crate) blocks_skipped: Counter,
    pub(crate) tails: Gauge,
    pub(crate) tail_panics: Counter,
}

impl Metrics {
    /// Registers the metrics.
    pub fn new(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("yagura_log_store");
        let seconds = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::<u64, AtomicU64>::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let lines = counter("lines", "Lines taken");
        let text_bytes = counter("text_bytes", "Bytes of text taken");
        let append_waits = counter(
            "append_waits",
            "Batches that waited because open buffers were full",
        );
        let append_refused = counter(
            "append_refused",
            "Batches refused because open buffers were full and could not be sealed",
        );
        let seals = counter("seals", "Partitions sealed");
        let seal_failures = counter(
            "seal_failures",
            "Attempts to seal a partition that failed and will be repeated",
        );
        let partitions_dropped = counter(
            "partitions_dropped",
            "Partitions dropped because of age or size",
        );
        let blocks_damaged = counter(
            "blocks_damaged",
            "Times a block or block table was left out of an answer because it is damaged",
        );
        let index_failures = counter(
            "index_failures",
            "Times a block index could not be read, so that all its blocks were searched",
        );
        let searches = counter("searches", "Searches, histograms and facets answered");
        let lines_scanned = counter("lines_scanned", "Lines compared with a query one by one");
        let blocks_read = counter("blocks_read", "Blocks opened by queries");
        let blocks_skipped = counter(
            "blocks_skipped",
            "Blocks that the index or the block table ruled out",
        );
        let tail_panics = counter(
            "tail_panics",
            "Live tails ended because their handler panicked",
        );
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let open_bytes = gauge(
            "open_bytes",
            "Memory of open buffers, those being sealed included",
        );
        let streams = gauge("streams", "Streams known");
        let partitions = gauge("partitions", "Sealed partitions");
        let blocks = gauge("blocks", "Sealed blocks");
        let disk_bytes = gauge("disk_bytes", "Bytes of sealed partitions on disk");
        let tails = gauge("tails", "Live tails");
        let mut histogram = |name: &str, help: &str| {
            let histogram = Histogram::new(seconds);
            registry.register(name, help, histogram.clone());
            histogram
        };
        Self {
            lines,
            text_bytes,
            append_waits,
            append_refused,
            open_bytes,
            streams,
            partitions,
            blocks,
            disk_bytes,
            seals,
            seal_failures,
            seal_seconds: histogram("seal_duration_seconds", "Time taken to seal a partition"),
            partitions_dropped,
            blocks_damaged,
            index_failures,
            searches,
            search_seconds: histogram(
                "search_duration_seconds",
                "Time taken by searches, histograms and facets",
            ),
            lines_scanned,
            blocks_read,
            blocks_skipped,
            tails,
            tail_panics,
        }
    }
}
