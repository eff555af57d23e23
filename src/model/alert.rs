//! An alert on its way from the rule that found it to whoever must know.

use crate::labels::Labels;

/// An alert instance as Alertmanager knows it: identified by its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Identity, `alertname` included.
    pub labels: Labels,
    /// Texts for people: `summary`, `description`, `runbook_url`, …
    pub annotations: Labels,
    /// When it began to fire, milliseconds since 1970-01-01 UTC.
    pub starts_at_ms: i64,
    /// When it ended or, for one that still fires, when it counts as ended if nobody says
    /// otherwise. Milliseconds since 1970-01-01 UTC.
    pub ends_at_ms: i64,
    /// A link to the expression behind it.
    pub generator_url: String,
}

impl Alert {
    /// Whether it is over at a given time.
    pub fn is_resolved_at(&self, now_ms: i64) -> bool {
        self.ends_at_ms <= now_ms
    }

    /// The key of its labels, as 16 hex digits: what links and APIs use.
    pub fn fingerprint(&self) -> String {
        format!("{:016x}", self.labels.fingerprint())
    }
}
