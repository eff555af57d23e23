//! The plug between two rooms that must not know each other: what the notifier has to remember
//! over a restart goes into the state store.

use std::sync::Arc;

use alert_notify::{LogError, NotificationEntry, NotificationLog};
use state_store::StateStore;

/// The notification log, kept in SQLite.
pub(crate) struct SentLog(pub(crate) Arc<StateStore>);

impl NotificationLog for SentLog {
    fn get(&self, group_key: &str, receiver: &str) -> Result<Option<NotificationEntry>, LogError> {
        let entry = self.0.notification(group_key, receiver)?;
        Ok(entry.map(|entry| NotificationEntry {
            firing: entry.firing.into_iter().collect(),
            resolved: entry.resolved.into_iter().collect(),
            sent_ms: entry.sent_ms,
        }))
    }

    fn put(
        &self,
        group_key: &str,
        receiver: &str,
        entry: &NotificationEntry,
        expires_ms: i64,
    ) -> Result<(), LogError> {
        let entry = state_store::NotificationEntry {
            firing: entry.firing.iter().copied().collect(),
            resolved: entry.resolved.iter().copied().collect(),
            sent_ms: entry.sent_ms,
        };
        self.0
            .put_notification(group_key, receiver, &entry, expires_ms)?;
        Ok(())
    }
}
