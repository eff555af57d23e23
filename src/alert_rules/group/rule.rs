//! One rule of a group: how it stands, and what its expression's answer may be.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use model::Labels;
use promql::{Point, Value};

use crate::alerting::Alerts;
use crate::expand;
use crate::series::Recorded;
use crate::snapshot::{RuleHealth, RuleKind, RuleSnapshot};
use crate::spec::{RuleOutput, RuleSpec, Text};

/// How one rule stands.
#[derive(Debug)]
pub(super) struct RuleState {
    pub(super) spec: Arc<RuleSpec>,
    /// Whether another rule may make series that look like this one's: then what stood before a
    /// restart cannot be told apart.
    pub(super) shared: bool,
    /// Why it is not evaluated at present, in words.
    pub(super) not_applicable: Option<String>,
    /// When that was last looked at.
    pub(super) looked_ms: Option<i64>,
    pub(super) alerts: Alerts,
    /// Series of the last evaluation.
    pub(super) written: HashSet<Labels>,
    pub(super) health: RuleHealth,
    pub(super) last_error: String,
    pub(super) last_evaluation_ms: i64,
    pub(super) duration: Duration,
}

impl RuleState {
    pub(super) fn new(spec: Arc<RuleSpec>) -> Self {
        let (health, last_error) = match &spec.broken {
            Some(reason) => (RuleHealth::Err, reason.clone()),
            None => (RuleHealth::Unknown, String::new()),
        };
        Self {
            shared: false,
            not_applicable: spec.idle.clone(),
            looked_ms: None,
            spec,
            alerts: Alerts::default(),
            written: HashSet::new(),
            health,
            last_error,
            last_evaluation_ms: 0,
            duration: Duration::ZERO,
        }
    }

    pub(super) fn fail(&mut self, error: String) {
        self.health = RuleHealth::Err;
        self.last_error = error;
    }

    /// As pages and APIs see it.
    pub(super) fn snapshot(&self) -> RuleSnapshot {
        let sources = |texts: &[(Arc<str>, Text)]| {
            Labels::from_pairs(texts.iter().map(|(k, t)| (k.clone(), t.source.clone())))
        };
        RuleSnapshot {
            name: self.spec.name.to_string(),
            expression: self.spec.expression.to_string(),
            source: self.spec.source,
            labels: sources(&self.spec.labels),
            kind: match &self.spec.output {
                RuleOutput::Recording => RuleKind::Recording,
                RuleOutput::Alerting {
                    for_ms,
                    keep_firing_for_ms,
                    annotations,
                } => RuleKind::Alerting {
                    for_ms: *for_ms,
                    keep_firing_for_ms: *keep_firing_for_ms,
                    annotations: sources(annotations),
                    alerts: self.alerts.snapshot(),
                },
            },
            not_applicable: self.not_applicable.clone(),
            health: self.health,
            last_error: self.last_error.clone(),
            last_evaluation_ms: self.last_evaluation_ms,
            evaluation_duration_s: self.duration.as_secs_f64(),
        }
    }
}

/// The series of an answer; a number is one without labels.
pub(super) fn points(value: Value) -> Result<Vec<Point>, String> {
    match value {
        Value::Vector(points) => Ok(points),
        Value::Scalar {
            timestamp_ms,
            value,
        } => Ok(vec![Point {
            labels: Labels::empty(),
            timestamp_ms,
            value,
            histogram: None,
        }]),
        Value::String { .. } | Value::Matrix(_) => {
            Err("rule result is not a vector or scalar".to_owned())
        }
    }
}

pub(super) fn within(count: usize, max: usize, what: &str) -> Result<(), String> {
    if count > max {
        return Err(format!(
            "the expression gives {count} {what}, a rule may give {max}: aggregate or select fewer"
        ));
    }
    Ok(())
}

pub(super) fn recorded(
    spec: &RuleSpec,
    points: &[Point],
    limit: usize,
) -> Result<Vec<(Labels, Recorded)>, String> {
    if limit > 0 && points.len() > limit {
        return Err(format!(
            "exceeded limit of {limit} with {} series",
            points.len()
        ));
    }
    let samples: Vec<(Labels, Recorded)> = points
        .iter()
        .map(|point| {
            let value = match &point.histogram {
                Some(histogram) => Recorded::Histogram(histogram.clone()),
                None => Recorded::Number(point.value),
            };
            (expand::recorded(&spec.name, &spec.labels, point), value)
        })
        .collect();
    let mut seen = HashSet::with_capacity(samples.len());
    match samples.iter().find(|(labels, _)| !seen.insert(labels)) {
        Some((labels, _)) => Err(format!(
            "vector contains metrics with the same labelset after applying rule labels: {labels}"
        )),
        None => Ok(samples),
    }
}

pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
