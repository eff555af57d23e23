//! What this room tells about itself.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Figures of rule evaluation. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Rules evaluated.
    pub evaluations: Counter,
    /// Rule evaluations that failed.
    pub evaluation_failures: Counter,
    /// Rule evaluations that panicked.
    pub evaluation_panics: Counter,
    /// Time spent evaluating groups.
    pub evaluation_seconds: Counter<f64, AtomicU64>,
    /// Evaluations of a group that were left out because it was late.
    pub iterations_missed: Counter,
    /// Samples of recording rules and alert states that were stored.
    pub samples: Counter,
    /// Samples of rules that the metric store did not take.
    pub samples_dropped: Counter,
    /// Alerts handed over for notification.
    pub alerts_sent: Counter,
    /// Rule groups.
    pub groups: Gauge<i64, AtomicI64>,
    /// Rules.
    pub rules: Gauge<i64, AtomicI64>,
    /// Rules that cannot be evaluated because they are written wrongly.
    pub rules_broken: Gauge<i64, AtomicI64>,
    /// Alerts that are pending.
    pub alerts_pending: Gauge<i64, AtomicI64>,
    /// Alerts that fire.
    pub alerts_firing: Gauge<i64, AtomicI64>,
}

impl Metrics {
    /// Registers the figures.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let m = metrics.clone();
        let registry = registry.sub_registry_with_prefix("yagura_alert_rules");
        registry.register("evaluations", "Rules evaluated", m.evaluations);
        registry.register(
            "evaluation_failures",
            "Rule evaluations that failed",
            m.evaluation_failures,
        );
        registry.register(
            "evaluation_panics",
            "Rule evaluations that panicked",
            m.evaluation_panics,
        );
        registry.register(
            "evaluation_seconds",
            "Time spent evaluating groups",
            m.evaluation_seconds,
        );
        registry.register(
            "iterations_missed",
            "Evaluations of a group that were left out because it was late",
            m.iterations_missed,
        );
        registry.register(
            "samples",
            "Samples of recording rules and alert states that were stored",
            m.samples,
        );
        registry.register(
            "samples_dropped",
            "Samples of rules that the metric store did not take",
            m.samples_dropped,
        );
        registry.register(
            "alerts_sent",
            "Alerts handed over for notification",
            m.alerts_sent,
        );
        registry.register("groups", "Rule groups", m.groups);
        registry.register("rules", "Rules", m.rules);
        registry.register(
            "rules_broken",
            "Rules that cannot be evaluated because they are written wrongly",
            m.rules_broken,
        );
        registry.register(
            "alerts_pending",
            "Alerts that are pending",
            m.alerts_pending,
        );
        registry.register("alerts_firing", "Alerts that fire", m.alerts_firing);
        metrics
    }
}
