//! What the rules look like at this moment, for people and APIs.

use model::Labels;

use crate::spec::Source;

/// Where an alert stands. The order is the order of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum AlertState {
    /// The expression gives nothing.
    #[default]
    Inactive,
    /// It gives something, but not for long enough yet (`for`).
    Pending,
    /// Someone must know.
    Firing,
}

impl AlertState {
    /// Prometheus' word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One alert of an alerting rule.
#[derive(Debug, Clone)]
pub struct ActiveAlert {
    /// Its identity, `alertname` included.
    pub labels: Labels,
    /// Its texts, templates filled in.
    pub annotations: Labels,
    /// Pending or firing.
    pub state: AlertState,
    /// Since when the expression gives it, milliseconds since 1970-01-01 UTC.
    pub active_at_ms: i64,
    /// Since when it fires, where it does.
    pub fired_at_ms: Option<i64>,
    /// Since when the expression gives it no more, where it goes on firing all the same.
    pub keep_firing_since_ms: Option<i64>,
    /// The expression's last value.
    pub value: f64,
}

/// Whether the last evaluation worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuleHealth {
    /// Not evaluated yet.
    #[default]
    Unknown,
    /// It worked.
    Ok,
    /// It failed; `last_error` says why.
    Err,
}

impl RuleHealth {
    /// Prometheus' word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Err => "err",
        }
    }
}

/// What a rule makes.
#[derive(Debug, Clone)]
pub enum RuleKind {
    /// A new series.
    Recording,
    /// Alerts.
    Alerting {
        /// How long the expression must give an alert before it fires, milliseconds.
        for_ms: i64,
        /// How long it goes on firing after the expression gives it no more, milliseconds.
        keep_firing_for_ms: i64,
        /// Annotation templates as written.
        annotations: Labels,
        /// The alerts, most urgent first.
        alerts: Vec<ActiveAlert>,
    },
}

/// A rule.
#[derive(Debug, Clone)]
pub struct RuleSnapshot {
    /// The alert's or the new series' name.
    pub name: String,
    /// The expression as written.
    pub expression: String,
    /// Who answers it.
    pub source: Source,
    /// Extra labels as written (templates included).
    pub labels: Labels,
    /// What it makes.
    pub kind: RuleKind,
    /// Why it is not evaluated: a built-in rule that has nothing to say about this machine, or is
    /// switched off. In words.
    pub not_applicable: Option<String>,
    /// Whether the last evaluation worked.
    pub health: RuleHealth,
    /// Why it did not; else empty.
    pub last_error: String,
    /// When it was last evaluated, milliseconds since 1970-01-01 UTC; 0 for never.
    pub last_evaluation_ms: i64,
    /// How long that took, seconds.
    pub evaluation_duration_s: f64,
}

impl RuleSnapshot {
    /// The most urgent state of its alerts.
    pub fn state(&self) -> AlertState {
        match &self.kind {
            RuleKind::Recording => AlertState::Inactive,
            RuleKind::Alerting { alerts, .. } => {
                alerts.iter().map(|a| a.state).max().unwrap_or_default()
            }
        }
    }
}

/// A group of rules that are evaluated one after the other.
#[derive(Debug, Clone)]
pub struct GroupSnapshot {
    /// Its name, unique within its file.
    pub name: String,
    /// The file that it comes from, or `built-in`.
    pub file: String,
    /// Evaluated every so many milliseconds.
    pub interval_ms: i64,
    /// Most alerts or series that each of its rules may give; 0 for none but our own limits.
    pub limit: usize,
    /// Its rules in order.
    pub rules: Vec<RuleSnapshot>,
    /// When it was last evaluated, milliseconds since 1970-01-01 UTC; 0 for never.
    pub last_evaluation_ms: i64,
    /// How long that took, seconds.
    pub evaluation_duration_s: f64,
}
