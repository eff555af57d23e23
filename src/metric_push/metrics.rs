//! What the gateway counts about itself.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters and gauges of the gateway.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Groups that are kept.
    pub groups: Gauge,
    /// Bytes of their metrics.
    pub bytes: Gauge,
    /// Pushes that were taken.
    pub pushes: Counter,
    /// Groups that were deleted.
    pub deletions: Counter,
    /// Pushes that were refused, by reason.
    pub refused: Family<Reason, Counter>,
}

/// Why a push was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// `inconsistent`, `limit`, `store`.
    pub reason: &'static str,
}

impl Metrics {
    /// Registers everything; the registry's prefix is the product's.
    pub fn new(registry: &mut Registry) -> Self {
        let m = Self::default();
        let all = registry.sub_registry_with_prefix("yagura_metric_push");
        all.register(
            "groups",
            "Groups of pushed metrics that are kept",
            m.groups.clone(),
        );
        all.register(
            "groups_bytes",
            "Bytes of the pushed metrics that are kept",
            m.bytes.clone(),
        );
        all.register("pushes", "Pushes that were taken", m.pushes.clone());
        all.register(
            "groups_deleted",
            "Groups of pushed metrics that were deleted",
            m.deletions.clone(),
        );
        all.register(
            "pushes_refused",
            "Pushes that were refused, by reason",
            m.refused.clone(),
        );
        m
    }
}
