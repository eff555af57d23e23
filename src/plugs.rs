//! Plugs between rooms that must not know each other: what the notifier and the gateway for pushed
//! metrics have to remember over a restart goes into the state store.

use std::sync::Arc;

use alert_notify::{Kind, NotificationEntry, NotificationState, StateError};
use metric_push::GroupStore;
use model::StoreError;
use state_store::StateStore;

/// What alerting remembers, kept in SQLite.
pub(crate) struct Remembered(pub(crate) Arc<StateStore>);

impl NotificationState for Remembered {
    fn entry(
        &self,
        group_key: &str,
        receiver: &str,
    ) -> Result<Option<NotificationEntry>, StateError> {
        let entry = self.0.notification(group_key, receiver)?;
        Ok(entry.map(|entry| NotificationEntry {
            firing: entry.firing.into_iter().collect(),
            resolved: entry.resolved.into_iter().collect(),
            sent_ms: entry.sent_ms,
        }))
    }

    fn put_entry(
        &self,
        group_key: &str,
        receiver: &str,
        entry: &NotificationEntry,
        expires_ms: i64,
    ) -> Result<(), StateError> {
        let entry = state_store::NotificationEntry {
            firing: entry.firing.iter().copied().collect(),
            resolved: entry.resolved.iter().copied().collect(),
            sent_ms: entry.sent_ms,
        };
        self.0
            .put_notification(group_key, receiver, &entry, expires_ms)?;
        // For the alerts' own pages: a failure must not make a receiver hear twice.
        let told = |alerts: Vec<u64>, over| alerts.into_iter().map(move |alert| (alert, over));
        let alerts = told(entry.firing, false).chain(told(entry.resolved, true));
        if let Err(error) = self.0.put_told(receiver, alerts, entry.sent_ms) {
            tracing::warn!(%error, "cannot remember who was told of alerts");
        }
        Ok(())
    }

    fn documents(&self, kind: Kind) -> Result<Vec<(String, String)>, StateError> {
        Ok(self.0.alerting_documents(kind.as_str())?)
    }

    fn change_documents(
        &self,
        kind: Kind,
        put: &[(String, String)],
        remove: &[String],
    ) -> Result<(), StateError> {
        self.0
            .change_alerting_documents(kind.as_str(), put, remove)?;
        Ok(())
    }
}

/// Groups of pushed metrics, kept in SQLite.
pub(crate) struct PushedGroups(pub(crate) Arc<StateStore>);

impl GroupStore for PushedGroups {
    fn groups(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.0.pushed_groups().map_err(|error| database(&error))
    }

    fn put(&self, id: &str, document: &[u8]) -> Result<(), StoreError> {
        self.0
            .put_pushed_group(id, document)
            .map_err(|error| database(&error))
    }

    fn remove(&self, id: &str) -> Result<(), StoreError> {
        self.0
            .remove_pushed_group(id)
            .map_err(|error| database(&error))
    }
}

fn database(error: &state_store::StateError) -> StoreError {
    StoreError::Database(error.to_string())
}
