//! The notification log: what each receiver was last told about each group of alerts.

use rusqlite::{OptionalExtension, params};

use crate::{StateError, StateStore};

/// What a receiver was last told about a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotificationEntry {
    /// Fingerprints of the alerts that fired.
    pub firing: Vec<u64>,
    /// Fingerprints of the alerts that were over.
    pub resolved: Vec<u64>,
    /// When, milliseconds since 1970-01-01 UTC.
    pub sent_ms: i64,
}

impl StateStore {
    /// What a receiver was last told about a group, or `None`.
    ///
    /// # Errors
    /// `Damaged` when the row does not decode.
    pub fn notification(
        &self,
        group_key: &str,
        receiver: &str,
    ) -> Result<Option<NotificationEntry>, StateError> {
        let row = self.with("read the notification log", |connection| {
            connection
                .prepare_cached(
                    "SELECT firing, resolved, sent_ms FROM notification_log
                     WHERE group_key = ?1 AND receiver = ?2",
                )?
                .query_row([group_key, receiver], |row| {
                    Ok((
                        row.get::<_, Vec<u8>>(0)?,
                        row.get::<_, Vec<u8>>(1)?,
                        row.get(2)?,
                    ))
                })
                .optional()
        })?;
        let Some((firing, resolved, sent_ms)) = row else {
            return Ok(None);
        };
        let decode = |bytes: &[u8]| {
            decoded(bytes).ok_or_else(|| {
                self.damaged(format!(
                    "notification log of group {group_key}, receiver {receiver}"
                ))
            })
        };
        Ok(Some(NotificationEntry {
            firing: decode(&firing)?,
            resolved: decode(&resolved)?,
            sent_ms,
        }))
    }

    /// Remembers what a receiver was told about a group, until `expires_ms`, and forgets the
    /// entries that have expired before `entry.sent_ms`.
    pub fn put_notification(
        &self,
        group_key: &str,
        receiver: &str,
        entry: &NotificationEntry,
        expires_ms: i64,
    ) -> Result<(), StateError> {
        self.with("write the notification log", |connection| {
            let transaction = connection.unchecked_transaction()?;
            transaction
                .prepare_cached("DELETE FROM notification_log WHERE expires_ms < ?1")?
                .execute([entry.sent_ms])?;
            transaction
                .prepare_cached(
                    "INSERT INTO notification_log
                     (group_key, receiver, firing, resolved, sent_ms, expires_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT (group_key, receiver) DO UPDATE
                     SET firing = excluded.firing, resolved = excluded.resolved,
                         sent_ms = excluded.sent_ms, expires_ms = excluded.expires_ms",
                )?
                .execute(params![
                    group_key,
                    receiver,
                    encoded(&entry.firing),
                    encoded(&entry.resolved),
                    entry.sent_ms,
                    expires_ms
                ])?;
            transaction.commit()
        })
    }
}

fn encoded(fingerprints: &[u64]) -> Vec<u8> {
    let mut sorted = fingerprints.to_vec();
    sorted.sort_unstable();
    sorted.into_iter().flat_map(u64::to_le_bytes).collect()
}

fn decoded(bytes: &[u8]) -> Option<Vec<u64>> {
    bytes
        .chunks(8)
        .map(|chunk| chunk.try_into().ok().map(u64::from_le_bytes))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_survives_a_restart_and_forgets_what_has_expired() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("state.db");
        let entry = |sent_ms| NotificationEntry {
            firing: vec![1, u64::MAX],
            resolved: vec![7],
            sent_ms,
        };
        let store = StateStore::open(&path).expect("a database");
        assert_eq!(store.notification("{}:{}", "hook").expect("read"), None);
        store
            .put_notification("{}:{}", "hook", &entry(100), 200)
            .expect("stored");
        drop(store);

        let store = StateStore::open(&path).expect("the database");
        assert_eq!(
            store.notification("{}:{}", "hook").expect("read"),
            Some(entry(100))
        );
        store
            .put_notification("{}:{a=\"b\"}", "hook", &entry(201), 300)
            .expect("stored");
        assert_eq!(store.notification("{}:{}", "hook").expect("read"), None);
        assert!(
            store
                .notification("{}:{a=\"b\"}", "hook")
                .expect("read")
                .is_some()
        );
    }

    #[test]
    fn fingerprints_survive_their_encoding() {
        assert_eq!(decoded(&encoded(&[3, 1, 2])), Some(vec![1, 2, 3]));
        assert_eq!(decoded(&[0; 7]), None);
    }
}
