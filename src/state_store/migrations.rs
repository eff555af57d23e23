//! Brings the schema up to date: every step once, in order, each in its own transaction.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::StateError;

/// The steps; a database at version N has the first N. Never changed, only added to.
const MIGRATIONS: &[(&str, &str)] = &[
    (
        "0001_settings_and_notifications",
        include_str!("../../migrations/0001_settings_and_notifications.sql"),
    ),
    (
        "0002_alerting_documents",
        include_str!("../../migrations/0002_alerting_documents.sql"),
    ),
    (
        "0003_incidents",
        include_str!("../../migrations/0003_incidents.sql"),
    ),
    (
        "0004_pushed_groups",
        include_str!("../../migrations/0004_pushed_groups.sql"),
    ),
];

/// Applies the steps that are missing.
pub(crate) fn apply(connection: &mut Connection, path: &Path) -> Result<(), StateError> {
    let known = MIGRATIONS.len() as i64;
    let database = |source| StateError::Database {
        action: "read the schema version",
        path: path.to_owned(),
        source,
    };
    let version = |connection: &Connection| {
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
    };
    let found = version(connection).map_err(database)?;
    let newer = |found| StateError::Newer {
        path: path.to_owned(),
        found,
        known,
    };
    let Some(missing) = usize::try_from(found)
        .ok()
        .and_then(|n| MIGRATIONS.get(n..))
    else {
        return Err(newer(found));
    };
    for ((name, sql), number) in missing.iter().zip(found + 1..) {
        let mut step = || {
            // Immediate: of two processes that start together the second waits, then finds the
            // step done.
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if version(&transaction)? >= number {
                return Ok(());
            }
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()
        };
        step().map_err(|source| StateError::Migration {
            path: path.to_owned(),
            name,
            source,
        })?;
        tracing::info!(migration = name, path = %path.display(), "state database migrated");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StateStore;

    #[test]
    fn the_list_is_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder is there")
            .map(|entry| entry.expect("an entry").file_name())
            .filter_map(|name| Some(name.to_str()?.strip_suffix(".sql")?.to_owned()))
            .collect();
        files.sort();
        let list: Vec<&str> = MIGRATIONS.iter().map(|(name, _)| *name).collect();
        assert_eq!(files, list);
        for (number, name) in (1..).zip(&list) {
            assert!(name.starts_with(&format!("{number:04}_")), "{name}");
        }
    }

    #[test]
    fn a_database_from_a_newer_version_is_refused_with_both_versions() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("state.db");
        drop(StateStore::open(&path).expect("a new database"));
        let connection = Connection::open(&path).expect("the database");
        connection
            .pragma_update(None, "user_version", 999)
            .expect("a version");
        drop(connection);
        let error = StateStore::open(&path).expect_err("refused").to_string();
        assert!(error.contains("schema version 999"), "{error}");
        assert!(
            error.contains(&format!("up to {}", MIGRATIONS.len())),
            "{error}"
        );
        assert!(error.contains("state.db"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_database_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("state.db");
        std::fs::write(
            &path,
            "this is not a database, but long enough to look at".repeat(40),
        )
        .expect("a file");
        let error = StateStore::open(&path).expect_err("refused").to_string();
        assert!(error.contains("state.db"), "{error}");
        assert!(error.contains("not a database"), "{error}");
    }

    #[test]
    fn opening_twice_applies_each_step_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("state.db");
        let first = StateStore::open(&path).expect("a new database");
        let second = StateStore::open(&path).expect("the same database");
        first.set_setting("theme", &"dark", 1).expect("stored");
        assert_eq!(
            second.setting::<String>("theme").expect("read").as_deref(),
            Some("dark")
        );
    }
}
