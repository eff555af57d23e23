//! What the receivers of samples count about themselves.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{SampleProtocol, Written};
use crate::Refused;
use crate::metrics::{Input, Reject};

/// Counters and gauges of received samples.
#[derive(Debug, Clone)]
pub struct SampleMetrics {
    /// Requests with samples that were taken, by protocol.
    pub requests: Family<Input, Counter>,
    /// Requests with samples that were refused, by protocol and reason.
    pub requests_refused: Family<Reject, Counter>,
    /// Things that were stored, by protocol and kind.
    pub stored: Family<Stored, Counter>,
    /// Samples, histograms and exemplars that were not taken while the rest of their request was.
    pub rejected: Family<Input, Counter>,
    /// Series whose place in the store is remembered.
    pub series: Gauge,
}

/// How something came, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Stored {
    /// A [`SampleProtocol`]'s word.
    pub protocol: &'static str,
    /// `float`, `histogram` or `exemplar`.
    pub kind: &'static str,
}

impl SampleMetrics {
    /// Registers everything; the registry's prefix is the product's.
    pub fn new(registry: &mut Registry) -> Self {
        let m = Self {
            requests: Family::default(),
            requests_refused: Family::default(),
            stored: Family::default(),
            rejected: Family::default(),
            series: Gauge::default(),
        };
        let all = registry.sub_registry_with_prefix("yagura_receive");
        all.register(
            "sample_requests",
            "Requests with samples that were taken",
            m.requests.clone(),
        );
        all.register(
            "sample_requests_refused",
            "Requests with samples that were refused, by reason",
            m.requests_refused.clone(),
        );
        all.register(
            "samples",
            "Samples and exemplars that were stored or were there already, by kind",
            m.stored.clone(),
        );
        all.register(
            "samples_rejected",
            "Samples and exemplars that were not taken while the rest of their request was",
            m.rejected.clone(),
        );
        all.register(
            "sample_series",
            "Series whose place in the store is remembered",
            m.series.clone(),
        );
        m
    }

    pub(super) fn took(&self, protocol: SampleProtocol, written: &Written) {
        let protocol = protocol.as_str();
        let input = Input { protocol };
        self.requests.get_or_create(&input).inc();
        for (kind, n) in [
            ("float", written.samples),
            ("histogram", written.histograms),
            ("exemplar", written.exemplars),
        ] {
            if n > 0 {
                let stored = Stored { protocol, kind };
                self.stored.get_or_create(&stored).inc_by(n);
            }
        }
        if written.rejected > 0 {
            self.rejected.get_or_create(&input).inc_by(written.rejected);
        }
    }

    pub(super) fn refused(&self, protocol: SampleProtocol, why: &Refused) {
        let labels = Reject {
            protocol: protocol.as_str(),
            reason: why.reason(),
        };
        self.requests_refused.get_or_create(&labels).inc();
    }
}
