//! Groups of pushed metrics, which a restart must not lose.

use rusqlite::params;

use crate::{StateError, StateStore};

impl StateStore {
    /// All groups: id and document, in order of id.
    pub fn pushed_groups(&self) -> Result<Vec<(String, Vec<u8>)>, StateError> {
        self.with("read pushed groups", |connection| {
            connection
                .prepare_cached("SELECT id, document FROM pushed_groups ORDER BY id")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// Keeps a group, in place of the one with the same id.
    pub fn put_pushed_group(&self, id: &str, document: &[u8]) -> Result<(), StateError> {
        self.with("keep a pushed group", |connection| {
            let mut put = connection.prepare_cached(
                "INSERT INTO pushed_groups (id, document) VALUES (?1, ?2)
                 ON CONFLICT (id) DO UPDATE SET document = excluded.document",
            )?;
            put.execute(params![id, document]).map(|_| ())
        })
    }

    /// Forgets a group; one that is not there is forgotten already.
    pub fn remove_pushed_group(&self, id: &str) -> Result<(), StateError> {
        self.with("forget a pushed group", |connection| {
            let mut remove =
                connection.prepare_cached("DELETE FROM pushed_groups WHERE id = ?1")?;
            remove.execute([id]).map(|_| ())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_survive_a_restart_until_they_are_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("state.db");
        let store = StateStore::open(&path).expect("a database");
        store.put_pushed_group("b", &[1, 0xff]).expect("kept");
        store.put_pushed_group("a", &[2]).expect("kept");
        store.put_pushed_group("b", &[3]).expect("kept");
        drop(store);
        let store = StateStore::open(&path).expect("a database");
        let all = |store: &StateStore| store.pushed_groups().expect("groups");
        let group = |id: &str, document: &[u8]| (id.to_owned(), document.to_vec());
        assert_eq!(all(&store), [group("a", &[2]), group("b", &[3])]);
        store.remove_pushed_group("a").expect("removed");
        store.remove_pushed_group("a").expect("no matter");
        assert_eq!(all(&store), [group("b", &[3])]);
    }
}
