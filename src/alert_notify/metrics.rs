//! What this room tells about itself.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// A way of telling a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WayLabels {
    /// Name of the receiver.
    pub receiver: String,
    /// `slack[0]`, …
    pub way: String,
}

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
    /// Whether the last message in a way was tried in vain: 1, else 0.
    pub receiver_failing: Family<WayLabels, Gauge>,
    /// Notifications left out because the receiver knows already.
    pub notifications_suppressed: Counter,
    /// Time spent on notifications.
    pub notification_seconds: Counter<f64, AtomicU64>,
    /// Failures to read or write what must survive a restart.
    pub state_failures: Counter,
    /// Alerts that fire.
    pub alerts: Gauge<i64, AtomicI64>,
    /// Alerts that fire and that nobody is told of: silenced or inhibited.
    pub alerts_suppressed: Gauge<i64, AtomicI64>,
    /// Alerts that an external Alertmanager took.
    pub external_sent: Counter,
    /// Alerts for an external Alertmanager that were given up; they are sent again while they fire.
    pub external_dropped: Counter,
    /// Calls of the outgoing heartbeat that were answered.
    pub heartbeats: Counter,
    /// Calls of the outgoing heartbeat that failed, or were left out because something is wrong.
    pub heartbeats_missed: Counter,
    /// Groups of alerts.
    pub groups: Gauge<i64, AtomicI64>,
}

impl Metrics {
    /// Registers the figures.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let m = metrics.clone();
        // Karma and others look for it to learn which API they are talking to.
        let build = Info::new(vec![
            ("version", crate::ALERTMANAGER_VERSION),
            ("branch", "yagura"),
            ("revision", env!("CARGO_PKG_VERSION")),
        ]);
        registry.register(
            "alertmanager_build",
            "The version of Alertmanager whose API is spoken here",
            build,
        );
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
            "receiver_failing",
            "Whether the last message in a way was tried in vain",
            m.receiver_failing,
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
            "state_failures",
            "Failures to read or write what must survive a restart",
            m.state_failures,
        );
        registry.register("alerts", "Alerts that fire", m.alerts);
        registry.register(
            "alerts_suppressed",
            "Alerts that fire and that nobody is told of: silenced or inhibited",
            m.alerts_suppressed,
        );
        registry.register(
            "external_sent",
            "Alerts that an external Alertmanager took",
            m.external_sent,
        );
        registry.register(
            "external_dropped",
            "Alerts for an external Alertmanager that were given up",
            m.external_dropped,
        );
        registry.register(
            "heartbeats",
            "Calls of the outgoing heartbeat that were answered",
            m.heartbeats,
        );
        registry.register(
            "heartbeats_missed",
            "Calls of the outgoing heartbeat that failed, or were left out because something is wrong",
            m.heartbeats_missed,
        );
        registry.register("groups", "Groups of alerts", m.groups);
        metrics
    }
}
