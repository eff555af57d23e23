//! What the network inputs count about themselves.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::{Protocol, Refused};

/// How lines came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Input {
    /// A [`Protocol`]'s word.
    pub protocol: &'static str,
}

/// How lines came, and why they were not taken.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reject {
    /// A [`Protocol`]'s word.
    pub protocol: &'static str,
    /// A [`Refused`]'s word.
    pub reason: &'static str,
}

/// Counters and gauges of this room.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Requests (of syslog: groups of messages) that were taken, by protocol.
    pub requests: Family<Input, Counter>,
    /// Lines taken, by protocol.
    pub lines: Family<Input, Counter>,
    /// Bytes of text of lines taken, by protocol.
    pub text_bytes: Family<Input, Counter>,
    /// Requests that were refused, by protocol and reason.
    pub requests_refused: Family<Reject, Counter>,
    /// Lines that were not taken while the rest of their request was, by protocol.
    pub lines_rejected: Family<Input, Counter>,
    /// Lines whose time made no sense and was replaced by the time of arrival.
    pub times_replaced: Counter,
    /// Lines that were longer than the limit and were cut with a mark.
    pub lines_cut: Counter,
    /// Bytes of the journal on disk.
    pub journal_bytes: Gauge,
    /// Age of the oldest journal file that the store has not sealed yet, seconds.
    pub journal_oldest_seconds: Gauge,
    /// Times that the journal was synced.
    pub journal_syncs: Counter,
    /// How long writing and syncing a group of requests takes.
    pub journal_sync_seconds: Histogram,
    /// Requests that were handed to the store again after a restart, or later because it had no
    /// room.
    pub journal_replayed: Counter,
    /// Journal records that could not be read: acknowledged lines that the disk lost.
    pub journal_damaged: Counter,
    /// Connections of syslog senders.
    pub syslog_connections: Gauge,
}

impl Metrics {
    /// Registers everything; the registry's prefix is the product's.
    pub fn new(registry: &mut Registry) -> Self {
        let m = Self {
            requests: Family::default(),
            lines: Family::default(),
            text_bytes: Family::default(),
            requests_refused: Family::default(),
            lines_rejected: Family::default(),
            times_replaced: Counter::default(),
            lines_cut: Counter::default(),
            journal_bytes: Gauge::default(),
            journal_oldest_seconds: Gauge::default(),
            journal_syncs: Counter::default(),
            journal_sync_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 14)),
            journal_replayed: Counter::default(),
            journal_damaged: Counter::default(),
            syslog_connections: Gauge::default(),
        };
        let all = registry.sub_registry_with_prefix("yagura_receive");
        let by_protocol = [
            (
                "requests",
                "Requests (of syslog: groups of messages) that were taken",
                &m.requests,
            ),
            ("lines", "Lines taken", &m.lines),
            ("text_bytes", "Bytes of text of lines taken", &m.text_bytes),
            (
                "lines_rejected",
                "Lines that were not taken while the rest of their request was",
                &m.lines_rejected,
            ),
        ];
        for (name, help, family) in by_protocol {
            all.register(name, help, family.clone());
        }
        all.register(
            "requests_refused",
            "Requests that were refused, by reason",
            m.requests_refused.clone(),
        );
        let counters = [
            (
                "times_replaced",
                "Lines whose time made no sense and was replaced by the time of arrival",
                &m.times_replaced,
            ),
            (
                "lines_cut",
                "Lines that were longer than the limit and were cut with a mark",
                &m.lines_cut,
            ),
            (
                "journal_syncs",
                "Times that the journal was synced",
                &m.journal_syncs,
            ),
            (
                "journal_replayed",
                "Requests that were handed to the store from the journal, after a restart or because it had no room before",
                &m.journal_replayed,
            ),
            (
                "journal_damaged",
                "Journal records that could not be read: acknowledged lines that the disk lost",
                &m.journal_damaged,
            ),
        ];
        for (name, help, counter) in counters {
            all.register(name, help, counter.clone());
        }
        let gauges = [
            (
                "journal_bytes",
                "Bytes of the journal on disk",
                &m.journal_bytes,
            ),
            (
                "journal_oldest_seconds",
                "Age of the oldest journal file that the store has not sealed yet",
                &m.journal_oldest_seconds,
            ),
            (
                "syslog_connections",
                "Connections of syslog senders",
                &m.syslog_connections,
            ),
        ];
        for (name, help, gauge) in gauges {
            all.register(name, help, gauge.clone());
        }
        all.register(
            "journal_sync_seconds",
            "How long writing and syncing a group of requests takes",
            m.journal_sync_seconds.clone(),
        );
        m
    }

    /// Counts a request that was not taken.
    pub(crate) fn refused(&self, protocol: Protocol, why: &Refused) {
        let labels = Reject {
            protocol: protocol.as_str(),
            reason: why.reason(),
        };
        self.requests_refused.get_or_create(&labels).inc();
    }
}
