//! Opens the databases of this store: makes them where they are missing, brings older ones up to
//! date, refuses newer ones.

use std::path::Path;
use std::time::Duration;

use model::StoreError;
use rusqlite::{Connection, OpenFlags};

use crate::errors::database_error;

/// What kind of database a file is, and how it came to its present shape.
#[derive(Debug)]
pub(crate) struct Shape {
    /// For messages.
    pub(crate) what: &'static str,
    /// Four characters that tell `file` and us.
    pub(crate) application_id: i64,
    /// What brings a database from each version to the next, from nothing (0) on.
    pub(crate) steps: &'static [&'static str],
}

impl Shape {
    /// The version that this program writes, and the newest that it reads.
    fn version(&self) -> i64 {
        self.steps.len() as i64
    }
}

/// Opens a database to read and write.
///
/// # Errors
/// `Refused` when a newer program wrote it.
pub(crate) fn open(path: &Path, shape: &Shape) -> Result<Connection, StoreError> {
    let open = || -> rusqlite::Result<(Connection, i64)> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "page_size", 16_384)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        // Pages are read once and decoded: SQLite's own cache would only hold them twice.
        connection.pragma_update(None, "cache_size", -512)?;
        let found = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((connection, found))
    };
    let (mut connection, found) = open().map_err(database_error("open", path))?;
    refuse_newer(path, shape, found)?;
    let steps = usize::try_from(found)
        .ok()
        .and_then(|n| shape.steps.get(n..));
    if let Some(steps) = steps.filter(|steps| !steps.is_empty()) {
        let mut make = || {
            let transaction = connection.transaction()?;
            for step in steps {
                transaction.execute_batch(step)?;
            }
            transaction.pragma_update(None, "application_id", shape.application_id)?;
            transaction.pragma_update(None, "user_version", shape.version())?;
            transaction.commit()
        };
        make().map_err(database_error("set up", path))?;
    }
    Ok(connection)
}

/// Opens a database to look at only, without changing a byte of it; nobody else may have it open.
/// Tells of its version.
///
/// # Errors
/// `Refused` when a newer program wrote it.
pub(crate) fn open_to_look(path: &Path, shape: &Shape) -> Result<(Connection, i64), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    // Without a log nothing beside the file is needed, not even where nothing may be written.
    let has_log = std::fs::metadata(log).is_ok_and(|m| m.len() > 0);
    let parameters = if has_log { "" } else { "?immutable=1" };
    let open = || -> rusqlite::Result<(Connection, i64)> {
        let uri = format!("file:{}{parameters}", escaped(path));
        let connection = Connection::open_with_flags(uri, flags)?;
        let found = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((connection, found))
    };
    let (connection, found) = open().map_err(database_error("open", path))?;
    refuse_newer(path, shape, found)?;
    Ok((connection, found))
}

/// A path as a URI wants it: these three have a meaning there.
fn escaped(path: &Path) -> String {
    let path = path.to_string_lossy();
    path.replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23")
}

fn refuse_newer(path: &Path, shape: &Shape, found: i64) -> Result<(), StoreError> {
    if found > shape.version() {
        return Err(StoreError::Refused(format!(
            "{} was written by a newer Yagura ({} version {found}, this one reads up to {}): \
             start the newer one again",
            path.display(),
            shape.what,
            shape.version()
        )));
    }
    Ok(())
}

/// Writes a copy of a database, as of now, to a file that does not exist; durable.
pub(crate) fn copy_to(connection: &Connection, from: &Path, to: &Path) -> Result<(), StoreError> {
    let name = to.to_str().ok_or_else(|| {
        StoreError::Refused(format!("{}: a copy's name must be UTF-8", to.display()))
    })?;
    connection
        .execute("VACUUM INTO ?", [name])
        .map_err(database_error("copy", from))?;
    std::fs::File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(crate::errors::io_error("sync", to))
}
