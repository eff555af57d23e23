//! What must survive a restart, and the seam to whatever keeps it: what receivers were told,
//! alerts that are not over, silences.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{Alert, Labels};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// What a receiver was last told about a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotificationEntry {
    /// Fingerprints (`Labels::fingerprint`) of the alerts that fired.
    pub firing: BTreeSet<u64>,
    /// Fingerprints of the alerts that were over.
    pub resolved: BTreeSet<u64>,
    /// When, milliseconds since 1970-01-01 UTC.
    pub sent_ms: i64,
}

/// Why the state cannot be read or written.
pub type StateError = Box<dyn std::error::Error + Send + Sync>;

/// What a kept document is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An alert that someone may have to be told of, by the fingerprint of its labels.
    Alert,
    /// A silence, by its id.
    Silence,
}

impl Kind {
    /// Its name on disk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Silence => "silence",
        }
    }
}

/// Remembers over a restart. Calls may block for a moment (a disk sync), and what they have
/// written is safe when they return.
pub trait NotificationState: Send + Sync {
    /// What a receiver was last told about a group, or `None`.
    fn entry(
        &self,
        group_key: &str,
        receiver: &str,
    ) -> Result<Option<NotificationEntry>, StateError>;

    /// Remembers what a receiver was told, at least until `expires_ms`.
    fn put_entry(
        &self,
        group_key: &str,
        receiver: &str,
        entry: &NotificationEntry,
        expires_ms: i64,
    ) -> Result<(), StateError>;

    /// All documents of a kind: id and JSON.
    fn documents(&self, kind: Kind) -> Result<Vec<(String, String)>, StateError>;

    /// Keeps documents and forgets others, all or nothing.
    fn change_documents(
        &self,
        kind: Kind,
        put: &[(String, String)],
        remove: &[String],
    ) -> Result<(), StateError>;
}

/// A group and a receiver, and what the latter was told of the former until when it counts.
type Told = HashMap<(String, String), (NotificationEntry, i64)>;

/// Remembers until the process ends: for tests, and where there is no disk.
#[derive(Debug, Default)]
pub struct MemoryState {
    entries: Mutex<Told>,
    documents: Mutex<HashMap<Kind, BTreeMap<String, String>>>,
}

impl NotificationState for MemoryState {
    fn entry(
        &self,
        group_key: &str,
        receiver: &str,
    ) -> Result<Option<NotificationEntry>, StateError> {
        let key = (group_key.to_owned(), receiver.to_owned());
        Ok(self
            .entries
            .lock()
            .get(&key)
            .map(|(entry, _)| entry.clone()))
    }

    fn put_entry(
        &self,
        group_key: &str,
        receiver: &str,
        entry: &NotificationEntry,
        expires_ms: i64,
    ) -> Result<(), StateError> {
        let mut entries = self.entries.lock();
        // Forgetting what has expired is what bounds the map.
        entries.retain(|_, (_, expires)| *expires >= entry.sent_ms);
        let key = (group_key.to_owned(), receiver.to_owned());
        entries.insert(key, (entry.clone(), expires_ms));
        Ok(())
    }

    fn documents(&self, kind: Kind) -> Result<Vec<(String, String)>, StateError> {
        let documents = self.documents.lock();
        let of_kind = documents.get(&kind).cloned().unwrap_or_default();
        Ok(of_kind.into_iter().collect())
    }

    fn change_documents(
        &self,
        kind: Kind,
        put: &[(String, String)],
        remove: &[String],
    ) -> Result<(), StateError> {
        let mut documents = self.documents.lock();
        let of_kind = documents.entry(kind).or_default();
        of_kind.extend(put.iter().cloned());
        for id in remove {
            of_kind.remove(id);
        }
        Ok(())
    }
}

/// An alert as it is kept (docs/formats/state.md).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeptAlert {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at_ms: i64,
    ends_at_ms: i64,
    updated_at_ms: i64,
    generator_url: String,
    /// Whether the end is only when it counts as over if nobody says otherwise.
    timeout: bool,
}

/// An alert whose end passed while the process did not run goes on for as long as it had to live
/// when it was last heard of, but no longer than this: its sender has not been asked yet.
const GRACE_MS_MAX: i64 = 15 * 60_000;

impl KeptAlert {
    pub(crate) fn of(alert: &Alert, timeout: bool, updated_at_ms: i64) -> Self {
        let map = |labels: &Labels| {
            let pair = |l: &model::Label| (l.name.to_string(), l.value.to_string());
            labels.iter().map(pair).collect()
        };
        Self {
            labels: map(&alert.labels),
            annotations: map(&alert.annotations),
            starts_at_ms: alert.starts_at_ms,
            ends_at_ms: alert.ends_at_ms,
            updated_at_ms,
            generator_url: alert.generator_url.clone(),
            timeout,
        }
    }

    /// The alert, and whether its end is a time-out.
    pub(crate) fn read(self, now_ms: i64) -> (Alert, bool) {
        let mut ends_at_ms = self.ends_at_ms;
        let had_to_live = self.ends_at_ms.saturating_sub(self.updated_at_ms);
        if had_to_live > 0 && ends_at_ms <= now_ms.saturating_add(had_to_live.min(GRACE_MS_MAX)) {
            ends_at_ms = now_ms.saturating_add(had_to_live.min(GRACE_MS_MAX));
        }
        let alert = Alert {
            labels: Labels::from_pairs(self.labels),
            annotations: Labels::from_pairs(self.annotations),
            starts_at_ms: self.starts_at_ms,
            ends_at_ms,
            generator_url: self.generator_url,
        };
        (alert, self.timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_that_fired_still_fires_after_a_restart_and_one_that_was_over_is_over() {
        let alert = |ends_at_ms| Alert {
            labels: Labels::from_pairs([("a", "b")]),
            annotations: Labels::from_pairs([("summary", "s")]),
            starts_at_ms: 1,
            ends_at_ms,
            generator_url: "g".to_owned(),
        };
        let read =
            |ends_at_ms, updated, now| KeptAlert::of(&alert(ends_at_ms), true, updated).read(now).0;
        assert_eq!(read(240_000, 0, 100_000).ends_at_ms, 340_000);
        assert_eq!(read(240_000, 0, 1_000_000).ends_at_ms, 1_240_000);
        assert_eq!(read(50, 60, 1_000_000).ends_at_ms, 50);
        assert_eq!(read(5, 60, 100), alert(5));
    }
}
