//! Taking a push, keeping what fits, and what a scrape finds.
//!
//! A family is kept as the message that a page has of it, its labels already those of the group,
//! so that a page is made by putting messages one after the other.

use std::fmt;
use std::sync::Arc;

use metric_scrape::exposition::family::{self, Family};
use model::StoreError;
use parking_lot::Mutex;

use crate::groups::{Group, Groups, Kept};
use crate::metrics::Reason;
use crate::{GroupKey, GroupStore, Metrics, document};

/// When a group was last pushed, by the name that Pushgateway gives it.
const PUSHED: &str = "push_time_seconds";
/// When a push to a group was last refused.
const FAILED: &str = "push_failure_time_seconds";
/// What those two mean.
const PUSHED_HELP: &str = "When this group was last pushed, seconds since 1970-01-01 UTC.";
const FAILED_HELP: &str =
    "When a push to this group was last refused, seconds since 1970-01-01 UTC; 0 for never.";

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Groups. Default 5,000: one for each run of a job that never ends its group would fill a
    /// store with dead series.
    pub groups_max: usize,
    /// Bytes of all metrics together. Default 16 MiB, some 200,000 series: it is read anew at each
    /// scrape.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            groups_max: 5_000,
            bytes_max: 16 << 20,
        }
    }
}

/// What a push replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The whole group (`PUT`).
    Group,
    /// The metrics of the same names (`POST`).
    Names,
}

/// Why a push was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// It does not fit to itself or to what others have pushed; it will be refused again.
    #[error("{0}")]
    Inconsistent(String),
    /// There is no room: groups must be deleted first.
    #[error("{0}")]
    Limit(String),
    /// It could not be kept; the group is as it was.
    #[error("cannot keep the group: {0}")]
    Store(StoreError),
}

impl PushError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Inconsistent(_) => "inconsistent",
            Self::Limit(_) => "limit",
            Self::Store(_) => "store",
        }
    }
}

/// A group, to be looked at.
#[derive(Debug, Clone)]
pub struct GroupView {
    /// The labels that name it.
    pub labels: Vec<(String, String)>,
    /// When it was last pushed, milliseconds since 1970-01-01 UTC; 0 for never.
    pub pushed_ms: i64,
    /// When a push to it was last refused, likewise.
    pub failed_ms: i64,
    /// Its metrics, those about the pushes themselves included.
    pub families: Vec<PushedFamily>,
}

/// A family of a group.
#[derive(Debug, Clone)]
pub struct PushedFamily {
    /// When it was pushed, milliseconds since 1970-01-01 UTC.
    pub pushed_ms: i64,
    /// The family, with the labels of the group.
    pub family: Family,
}

/// Takes pushes and gives a page. Share it behind an `Arc`; calls block until the store has it.
pub struct Gateway {
    limits: Limits,
    store: Arc<dyn GroupStore>,
    metrics: Metrics,
    groups: Mutex<Groups>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// Brings back the groups of before. A group that cannot be read is left out, which is said in
    /// the log.
    ///
    /// # Errors
    /// Where the store cannot be read at all.
    pub fn open(
        store: Arc<dyn GroupStore>,
        limits: Limits,
        metrics: Metrics,
    ) -> Result<Self, StoreError> {
        let mut groups = Groups::default();
        for (id, document) in store.groups()? {
            match document::read(&document) {
                Ok((key, group)) => groups.insert(key, group),
                Err(why) => tracing::error!(id, why, "cannot read a group of pushed metrics"),
            }
        }
        let gateway = Self {
            limits,
            store,
            metrics,
            groups: Mutex::default(),
        };
        gateway.count(&groups);
        *gateway.groups.lock() = groups;
        Ok(gateway)
    }

    /// Takes a push.
    ///
    /// # Errors
    /// `Inconsistent` for timestamps, a series that is there twice (in another group too), a name
    /// that another group has with another type; `Limit` and `Store`. The group is as it was, but
    /// for the time of its last refusal.
    pub fn push(
        &self,
        key: &GroupKey,
        way: Way,
        families: Vec<Family>,
        now_ms: i64,
    ) -> Result<(), PushError> {
        let mut groups = self.groups.lock();
        let result = self.try_push(&mut groups, key, way, families, now_ms);
        match &result {
            Ok(()) => {
                self.metrics.pushes.inc();
            }
            Err(error) => {
                let reason = error.reason();
                self.metrics.refused.get_or_create(&Reason { reason }).inc();
                if matches!(error, PushError::Inconsistent(_)) {
                    self.note_failure(&mut groups, key, now_ms);
                }
            }
        }
        self.count(&groups);
        result
    }

    fn try_push(
        &self,
        groups: &mut Groups,
        key: &GroupKey,
        way: Way,
        families: Vec<Family>,
        now_ms: i64,
    ) -> Result<(), PushError> {
        let before = groups.by_key.get(key);
        if before.is_none() && groups.by_key.len() >= self.limits.groups_max {
            return Err(PushError::Limit(format!(
                "{} groups are kept already, which is the limit: delete some (DELETE /metrics/job/JOB), or push to one and the same group",
                self.limits.groups_max
            )));
        }
        let mut group = match (way, before) {
            (Way::Names, Some(before)) => before.clone(),
            (Way::Group, Some(before)) => Group {
                failed_ms: before.failed_ms,
                ..Group::default()
            },
            (_, None) => Group::default(),
        };
        group.pushed_ms = now_ms;
        for mut family in families {
            // They are the gateway's own: a page that was taken from one has them.
            if family.name == PUSHED || family.name == FAILED {
                continue;
            }
            take_over(key, &mut family).map_err(PushError::Inconsistent)?;
            let kept = Kept::new(&family, now_ms);
            group.families.insert(family.name, kept);
        }
        groups.check(key, &group).map_err(PushError::Inconsistent)?;
        let of_before = before.map_or(0, Group::bytes);
        let bytes = groups.bytes - of_before + group.bytes();
        if bytes > self.limits.bytes_max {
            return Err(PushError::Limit(format!(
                "all pushed metrics together would take {}, the limit is {}: delete groups (DELETE /metrics/job/JOB)",
                model::bytes::format(bytes as u64),
                model::bytes::format(self.limits.bytes_max as u64)
            )));
        }
        self.keep(groups, key, group).map_err(PushError::Store)
    }

    /// Makes a group durable, then the present one.
    fn keep(&self, groups: &mut Groups, key: &GroupKey, group: Group) -> Result<(), StoreError> {
        self.store.put(&key.id(), &document::write(key, &group))?;
        groups.remove(key);
        groups.insert(key.clone(), group);
        Ok(())
    }

    /// Notes that a push was refused, as far as there is room for it.
    fn note_failure(&self, groups: &mut Groups, key: &GroupKey, now_ms: i64) {
        let mut group = groups.by_key.get(key).cloned().unwrap_or_default();
        group.failed_ms = now_ms;
        if let Err(error) = self.keep(groups, key, group) {
            tracing::warn!(%error, "cannot keep when a push was refused");
        }
    }

    /// Forgets a group; says whether there was one.
    ///
    /// # Errors
    /// Where the store fails: the group is still there.
    pub fn delete(&self, key: &GroupKey) -> Result<bool, StoreError> {
        let mut groups = self.groups.lock();
        if !groups.by_key.contains_key(key) {
            return Ok(false);
        }
        self.store.remove(&key.id())?;
        groups.remove(key);
        self.metrics.deletions.inc();
        self.count(&groups);
        Ok(true)
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.groups.lock().by_key.is_empty()
    }

    /// What a scrape finds: a page in Prometheus' protobuf.
    pub fn page(&self) -> Vec<u8> {
        let groups = self.groups.lock();
        let mut page = Vec::with_capacity(groups.bytes + 256 * groups.by_key.len());
        let times = |of: fn(&Group) -> i64| {
            let groups = groups.by_key.iter();
            groups.map(move |(key, group)| (own_labels(key), seconds(of(group))))
        };
        let pushed = Family::gauges(PUSHED, PUSHED_HELP, times(|group| group.pushed_ms));
        let failed = Family::gauges(FAILED, FAILED_HELP, times(|group| group.failed_ms));
        for own in [pushed, failed] {
            if !own.metrics.is_empty() {
                family::append_to_page(&mut page, &own.message());
            }
        }
        for group in groups.by_key.values() {
            for kept in group.families.values() {
                family::append_to_page(&mut page, &kept.message);
            }
        }
        page
    }

    /// All groups, in order of their labels.
    pub fn groups(&self) -> Vec<GroupView> {
        // Messages are shared, so that the lock is short.
        let groups = self.groups.lock().by_key.clone();
        let groups = groups.into_iter().map(|(key, group)| {
            let own = |name, help, ms| PushedFamily {
                pushed_ms: ms,
                family: Family::gauges(name, help, [(own_labels(&key), seconds(ms))]),
            };
            let mut families = vec![
                own(PUSHED, PUSHED_HELP, group.pushed_ms),
                own(FAILED, FAILED_HELP, group.failed_ms),
            ];
            families.extend(group.families.values().filter_map(|kept| {
                // It was read when it came.
                let family = Family::from_message(&kept.message).ok()?;
                Some(PushedFamily {
                    pushed_ms: kept.pushed_ms,
                    family,
                })
            }));
            GroupView {
                labels: key.labels().to_vec(),
                pushed_ms: group.pushed_ms,
                failed_ms: group.failed_ms,
                families,
            }
        });
        groups.collect()
    }

    fn count(&self, groups: &Groups) {
        self.metrics.groups.set(groups.by_key.len() as i64);
        self.metrics.bytes.set(groups.bytes as i64);
    }
}

/// The labels of the group's own series. Without an instance of their own they say that they have
/// none, so that they do not get that of the scrape.
fn own_labels(key: &GroupKey) -> Vec<(String, String)> {
    let mut labels = key.labels().to_vec();
    if !labels.iter().any(|(name, _)| name == "instance") {
        labels.push(("instance".to_owned(), String::new()));
        labels.sort_unstable();
    }
    labels
}

/// Gives a family the labels of its group; those win.
fn take_over(key: &GroupKey, family: &mut Family) -> Result<(), String> {
    for metric in &mut family.metrics {
        if metric.timestamp_ms.is_some() {
            return Err(format!(
                "{:?} has a timestamp: pushed metrics have the time at which they are read",
                family.name
            ));
        }
        let own = own_labels(key);
        let in_key = |name: &str| key.labels().iter().any(|(n, _)| n == name);
        let has_instance = metric.labels.iter().any(|(name, _)| name == "instance");
        metric.labels.retain(|(name, _)| !in_key(name));
        let own = own
            .into_iter()
            .filter(|(name, _)| in_key(name) || !has_instance);
        metric.labels.extend(own);
        metric.labels.sort_unstable();
    }
    Ok(())
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests;
