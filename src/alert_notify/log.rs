//! What receivers were told: the seam to whatever remembers it over a restart.

use std::collections::{BTreeSet, HashMap};

use parking_lot::Mutex;

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

/// Why the log cannot be read or written.
pub type LogError = Box<dyn std::error::Error + Send + Sync>;

/// Remembers what receivers were told. Calls may block for a moment (a disk sync) and are made
/// from blocking threads.
pub trait NotificationLog: Send + Sync {
    /// What a receiver was last told about a group, or `None`.
    fn get(&self, group_key: &str, receiver: &str) -> Result<Option<NotificationEntry>, LogError>;

    /// Remembers what a receiver was told, at least until `expires_ms`.
    fn put(
        &self,
        group_key: &str,
        receiver: &str,
        entry: &NotificationEntry,
        expires_ms: i64,
    ) -> Result<(), LogError>;
}

/// Remembers until the process ends: for tests, and where there is no disk.
#[derive(Debug, Default)]
pub struct MemoryLog {
    entries: Mutex<HashMap<(String, String), (NotificationEntry, i64)>>,
}

impl NotificationLog for MemoryLog {
    fn get(&self, group_key: &str, receiver: &str) -> Result<Option<NotificationEntry>, LogError> {
        let key = (group_key.to_owned(), receiver.to_owned());
        Ok(self
            .entries
            .lock()
            .get(&key)
            .map(|(entry, _)| entry.clone()))
    }

    fn put(
        &self,
        group_key: &str,
        receiver: &str,
        entry: &NotificationEntry,
        expires_ms: i64,
    ) -> Result<(), LogError> {
        let mut entries = self.entries.lock();
        // Forgetting what has expired is what bounds the map.
        entries.retain(|_, (_, expires)| *expires >= entry.sent_ms);
        let key = (group_key.to_owned(), receiver.to_owned());
        entries.insert(key, (entry.clone(), expires_ms));
        Ok(())
    }
}
