//! What this room tells about itself.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Figures of notification. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Alerts received.
    pub alerts_received: Counter,
    /// Alerts refused because too many alerts or groups were there already.
    pub alerts_refused: Counter,
    /// Notifications that a receiver accepted.
    pub notifications: Counter,
    /// Notifications given up: refused by the receiver, or not accepted in time.
    pub notifications_failed: Counter,
    /// Attempts that failed and were made again.
    pub retries: Counter,
    /// Notifications left out because the receiver knows already.
    pub notifications_suppressed: Counter,
    /// Time spent on notifications.
    pub notification_seconds: Counter<f64, AtomicU64>,
    /// Failures to read or write the notification log.
    pub log_failures: Counter,
    /// Groups of alerts.
    pub groups: Gauge<i64, AtomicI64>,
}

impl Metrics {
    /// Registers the figures.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let m = metrics.clone();
        let registry = registry.sub_registry_with_prefix("yagura_alert_notify");
        registry.register("alerts_received", "Alerts received", m.alerts_received);
        registry.register(
            "alerts_refused",
            "Alerts refused because too many alerts or groups were there already",
            m.alerts_refused,
        );
        registry.register(
            "notifications",
            "Notifications that a receiver accepted",
            m.notifications,
        );
        registry.register(
            "notifications_failed",
            "Notifications given up: refused by the receiver, or not accepted in time",
            m.notifications_failed,
        );
        registry.register(
            "retries",
            "Attempts that failed and were made again",
            m.retries,
        );
        registry.register(
            "notifications_suppressed",
            "Notifications left out because the receiver knows already",
            m.notifications_suppressed,
        );
        registry.register(
            "notification_seconds",
            "Time spent on notifications",
            m.notification_seconds,
        );
        registry.register(
            "log_failures",
            "Failures to read or write the notification log",
            m.log_failures,
        );
        registry.register("groups", "Groups of alerts", m.groups);
        metrics
    }
}
