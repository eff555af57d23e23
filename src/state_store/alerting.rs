//! Documents of alerting: alerts that someone may have to be told of, and silences.

use rusqlite::params;

use crate::{StateError, StateStore};

impl StateStore {
    /// All documents of a kind (`alert`, `silence`): id and JSON, in order of id.
    pub fn alerting_documents(&self, kind: &str) -> Result<Vec<(String, String)>, StateError> {
        self.with("read what alerting has kept", |connection| {
            connection
                .prepare_cached(
                    "SELECT id, document FROM alerting_documents WHERE kind = ?1 ORDER BY id",
                )?
                .query_map([kind], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// Keeps documents (id and JSON) and forgets others, all or nothing.
    pub fn change_alerting_documents(
        &self,
        kind: &str,
        put: &[(String, String)],
        remove: &[String],
    ) -> Result<(), StateError> {
        self.with("write what alerting keeps", |connection| {
            let transaction = connection.unchecked_transaction()?;
            {
                let mut forget = transaction
                    .prepare_cached("DELETE FROM alerting_documents WHERE kind = ?1 AND id = ?2")?;
                for id in remove {
                    forget.execute([kind, id])?;
                }
                let mut keep = transaction.prepare_cached(
                    "INSERT INTO alerting_documents (kind, id, document) VALUES (?1, ?2, ?3)
                     ON CONFLICT (kind, id) DO UPDATE SET document = excluded.document",
                )?;
                for (id, document) in put {
                    keep.execute(params![kind, id, document])?;
                }
            }
            transaction.commit()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_survive_a_restart_by_kind_and_id() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("state.db");
        let store = StateStore::open(&path).expect("a database");
        let document = |id: &str, text: &str| (id.to_owned(), text.to_owned());
        store
            .change_alerting_documents("alert", &[document("b", "1"), document("a", "2")], &[])
            .expect("kept");
        store
            .change_alerting_documents("silence", &[document("b", "3")], &[])
            .expect("kept");
        store
            .change_alerting_documents("alert", &[document("a", "4")], &["b".to_owned()])
            .expect("changed");
        drop(store);
        let store = StateStore::open(&path).expect("the database");
        let read = |kind| store.alerting_documents(kind).expect("read");
        assert_eq!(read("alert"), [document("a", "4")]);
        assert_eq!(read("silence"), [document("b", "3")]);
    }
}
