//! Settings by name, as JSON values: what a person chose in the pages.

use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{StateError, StateStore};

/// The largest setting, bytes of JSON.
pub(crate) const SETTING_BYTES_MAX: usize = 1 << 20;

impl StateStore {
    /// Reads a setting; `None` where nobody has set it.
    ///
    /// # Errors
    /// `Damaged` when the value is of another type than it was stored as.
    pub fn setting<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        let text = self.with("read a setting", |connection| {
            connection
                .prepare_cached("SELECT value FROM settings WHERE name = ?1")?
                .query_row([name], |row| row.get::<_, String>(0))
                .optional()
        })?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| self.damaged(format!("setting {name}: {error}")))
    }

    /// Stores a setting; the last word wins. `now_ms` is kept beside it.
    ///
    /// # Errors
    /// `TooLarge` beyond 1 MiB of JSON.
    pub fn set_setting<T: Serialize>(
        &self,
        name: &str,
        value: &T,
        now_ms: i64,
    ) -> Result<(), StateError> {
        let text = serde_json::to_string(value)
            .map_err(|error| self.damaged(format!("setting {name}: {error}")))?;
        if text.len() > SETTING_BYTES_MAX {
            return Err(StateError::TooLarge {
                what: format!("setting {name}"),
                bytes: text.len(),
                max: SETTING_BYTES_MAX,
            });
        }
        self.with("store a setting", |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO settings (name, value, updated_ms) VALUES (?1, ?2, ?3)
                     ON CONFLICT (name) DO UPDATE
                     SET value = excluded.value, updated_ms = excluded.updated_ms",
                )?
                .execute(params![name, text, now_ms])
                .map(drop)
        })
    }

    /// Removes a setting; whether it was there.
    pub fn remove_setting(&self, name: &str) -> Result<bool, StateError> {
        self.with("remove a setting", |connection| {
            connection
                .prepare_cached("DELETE FROM settings WHERE name = ?1")?
                .execute([name])
                .map(|rows| rows > 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_stored_replaced_and_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = StateStore::open(dir.path().join("state.db")).expect("a database");
        assert_eq!(store.setting::<Vec<u32>>("columns").expect("read"), None);
        store.set_setting("columns", &[1, 2], 5).expect("stored");
        store.set_setting("columns", &[3], 6).expect("replaced");
        assert_eq!(
            store.setting::<Vec<u32>>("columns").expect("read"),
            Some(vec![3])
        );
        let error = store
            .setting::<String>("columns")
            .expect_err("another type")
            .to_string();
        assert!(error.contains("setting columns"), "{error}");
        assert!(store.remove_setting("columns").expect("removed"));
        assert!(!store.remove_setting("columns").expect("not there"));
    }

    #[test]
    fn a_setting_beyond_the_limit_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = StateStore::open(dir.path().join("state.db")).expect("a database");
        let value = "x".repeat(SETTING_BYTES_MAX);
        let error = store.set_setting("big", &value, 0).expect_err("refused");
        assert!(matches!(error, StateError::TooLarge { .. }), "{error}");
    }
}
