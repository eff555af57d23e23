//! What leaves the dispatcher: batches to tell, alerts and groups to look at.

use std::sync::Arc;

use model::{Alert, Labels};

/// The least time that telling may take, so that a group interval below a second still leaves a
/// receiver room to answer.
pub(super) const TIMEOUT_MS_MIN: i64 = 10_000;

/// A group's identity: the route's place in the tree and the labels that its alerts share.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GroupId {
    pub(super) route: String,
    pub(super) labels: Labels,
}

/// A group that is to be told.
#[derive(Debug, Clone)]
pub struct Batch {
    pub(crate) id: GroupId,
    /// Alertmanager's key of the group: `{}/{severity="critical"}:{alertname="X"}`.
    pub group_key: String,
    /// Name of the receiver.
    pub receiver: Arc<str>,
    /// The labels that the group is named by.
    pub group_labels: Labels,
    /// Its alerts that may be told, those of one job and instance together.
    pub alerts: Vec<Alert>,
    /// All its alerts, the silent ones included.
    pub(super) all: Vec<Alert>,
    /// When it became due; alerts that ended until then are over.
    pub now_ms: i64,
    /// Told again after so many milliseconds.
    pub repeat_interval_ms: i64,
    /// Time that telling may take, milliseconds.
    pub timeout_ms: i64,
}

impl Batch {
    /// A made-up alert for a receiver, to see whether it can be told. Labels that are given come
    /// before made-up ones.
    pub(crate) fn of_test(receiver: Arc<str>, labels: &Labels, now_ms: i64) -> Self {
        let mut builder = labels.to_builder();
        if labels.get("alertname").is_none() {
            builder.set("alertname", "YaguraTest");
        }
        if labels.get("severity").is_none() {
            builder.set("severity", "info");
        }
        let labels = builder.build();
        let alert = Alert {
            annotations: Labels::from_pairs([
                ("summary", "A test notification from Yagura"),
                (
                    "description",
                    "Nothing is wrong: somebody tests whether this arrives.",
                ),
            ]),
            starts_at_ms: now_ms,
            ends_at_ms: now_ms.saturating_add(300_000),
            generator_url: String::new(),
            labels: labels.clone(),
        };
        let group_labels = labels.filtered(|name| name == "alertname");
        Self {
            id: GroupId {
                route: "test".to_owned(),
                labels: group_labels.clone(),
            },
            group_key: format!("{{}}/test:{}", group_name(&group_labels)),
            receiver,
            group_labels,
            all: vec![alert.clone()],
            alerts: vec![alert],
            now_ms,
            repeat_interval_ms: 0,
            timeout_ms: TIMEOUT_MS_MIN,
        }
    }
}

/// An alert, for people and APIs.
#[derive(Debug, Clone)]
pub struct AlertView {
    /// The alert.
    pub alert: Alert,
    /// When it was last heard of, milliseconds since 1970-01-01 UTC.
    pub updated_at_ms: i64,
    /// Names of the receivers that its routes lead to.
    pub receivers: Vec<Arc<str>>,
    /// Fingerprints of the alerts that keep it quiet.
    pub inhibited_by: Vec<String>,
    /// Ids of the silences that it lies under.
    pub silenced_by: Vec<String>,
    /// Names of the time intervals that keep all its groups quiet at the moment.
    pub muted_by: Vec<String>,
}

impl AlertView {
    /// Whether something keeps it from being told.
    pub fn is_suppressed(&self) -> bool {
        !(self.inhibited_by.is_empty() && self.silenced_by.is_empty() && self.muted_by.is_empty())
    }
}

/// A group, for people and APIs.
#[derive(Debug, Clone)]
pub struct AlertGroup {
    /// The key of its route and its labels, as Alertmanager writes it.
    pub group_key: String,
    /// Name of the receiver.
    pub receiver: Arc<str>,
    /// The labels that the group is named by.
    pub labels: Labels,
    /// Its alerts that are not over.
    pub alerts: Vec<AlertView>,
    /// When it is told of what is new, milliseconds since 1970-01-01 UTC.
    pub due_ms: i64,
}

/// The labels of a group in its key: as [`Labels`] is shown, but never as a metric's name.
pub(super) fn group_name(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|label| format!("{}={:?}", label.name, label.value))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}
