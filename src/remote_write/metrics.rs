//! What this room counts about itself.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Which remote.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Remote {
    /// Its name.
    pub remote: String,
}

/// Counters and gauges of remote write.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Samples, histograms and exemplars that arrived, by remote.
    pub sent: Family<Remote, Counter>,
    /// Those that the remote refused for good.
    pub refused: Family<Remote, Counter>,
    /// Those that were dropped because the queue or the disk was full or they were too old.
    pub dropped: Family<Remote, Counter>,
    /// Requests that failed for now and were sent again.
    pub retries: Family<Remote, Counter>,
    /// Records of the queue that were damaged.
    pub queue_damaged: Family<Remote, Counter>,
    /// Bytes of the queue on disk.
    pub queue_bytes: Family<Remote, Gauge>,
    /// Requests at the same time in the last round.
    pub shards: Family<Remote, Gauge>,
    /// Time of the newest sample that arrived, seconds since 1970.
    pub newest_sent_seconds: Family<Remote, Gauge>,
}

impl Metrics {
    /// Registers everything; the registry's prefix is the product's.
    pub fn new(registry: &mut Registry) -> Self {
        let m = Self {
            sent: Family::default(),
            refused: Family::default(),
            dropped: Family::default(),
            retries: Family::default(),
            queue_damaged: Family::default(),
            queue_bytes: Family::default(),
            shards: Family::default(),
            newest_sent_seconds: Family::default(),
        };
        let all = registry.sub_registry_with_prefix("yagura_remote_write");
        for (name, help, family) in [
            (
                "samples",
                "Samples, histograms and exemplars that arrived",
                &m.sent,
            ),
            (
                "samples_refused",
                "Samples, histograms and exemplars that the remote refused for good",
                &m.refused,
            ),
            (
                "samples_dropped",
                "Samples, histograms and exemplars that were dropped because the queue or the disk was full or they were too old",
                &m.dropped,
            ),
            (
                "retries",
                "Requests that failed for now and were sent again",
                &m.retries,
            ),
            (
                "queue_damaged",
                "Records of the queue that were damaged",
                &m.queue_damaged,
            ),
        ] {
            all.register(name, help, family.clone());
        }
        for (name, help, family) in [
            ("queue_bytes", "Bytes of the queue on disk", &m.queue_bytes),
            (
                "shards",
                "Requests at the same time in the last round",
                &m.shards,
            ),
            (
                "newest_sent_seconds",
                "Time of the newest sample that arrived, since 1970",
                &m.newest_sent_seconds,
            ),
        ] {
            all.register(name, help, family.clone());
        }
        m
    }

    /// Takes a remote that is no more off the page.
    pub(crate) fn forget(&self, remote: &Remote) {
        let counters = [
            &self.sent,
            &self.refused,
            &self.dropped,
            &self.retries,
            &self.queue_damaged,
        ];
        for family in counters {
            family.remove(remote);
        }
        for family in [&self.queue_bytes, &self.shards, &self.newest_sent_seconds] {
            family.remove(remote);
        }
    }

    pub(crate) fn of(remote: &str) -> Remote {
        Remote {
            remote: remote.to_owned(),
        }
    }
}
