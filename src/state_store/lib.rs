//! What did people decide, and what were they told?
//!
//! One SQLite file for what is neither log nor sample: settings, silences, the alerts that are
//! under way, incidents, groups of pushed metrics, and the notification log that keeps a restart from repeating them. The schema is `migrations/*.sql` at the top of the
//! repository, applied in order when the file is opened; a file that a newer Yagura has written
//! is refused. Calls are synchronous and short. This room knows neither the values that it keeps
//! nor who reads them.

mod alerting;
mod incidents;
mod migrations;
mod notifications;
mod pushed;
mod settings;

use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;

pub use incidents::{DOCUMENT_BYTES_MAX, INCIDENTS_MAX, Incident, TOLD_MAX, Told};
pub use notifications::NotificationEntry;

/// How long a call waits for another process (a backup, the `sqlite3` shell) to let go.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the state cannot be opened, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A newer Yagura has written the file.
    #[error(
        "{} has schema version {found}, this Yagura knows versions up to {known}: start the newer Yagura that wrote it, or restore the file from before the upgrade",
        .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// A step of the schema failed; the file is as it was before that step.
    #[error("cannot apply migration {name} to {}: {source}", .path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// The step.
        name: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// SQLite said no: a full disk, no permission, a damaged file.
    #[error("cannot {action} in {}: {source}", .path.display())]
    Database {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A value does not decode.
    #[error("{} holds a damaged value: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which value, and how.
        what: String,
    },
    /// A value is larger than this room keeps.
    #[error("{what} has {bytes} bytes, the limit is {max}")]
    TooLarge {
        /// Which value.
        what: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}

/// The state database. One connection behind a lock: calls are rare and short.
#[derive(Debug)]
pub struct StateStore {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl StateStore {
    /// Opens the file, creates it where it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// `Newer` for a file of a newer Yagura, `Migration` and `Database` when SQLite fails.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StateError> {
        let path = path.as_ref().to_owned();
        let mut connection = Connection::open(&path)
            .and_then(|connection| {
                connection.busy_timeout(BUSY_TIMEOUT)?;
                // FULL: what a person decided, and what a receiver was told, survives a power
                // loss. A change is a few hundred bytes, so the sync is all it costs.
                connection.execute_batch(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
                )?;
                Ok(connection)
            })
            .map_err(|source| StateError::Database {
                action: "open the state database",
                path: path.clone(),
                source,
            })?;
        migrations::apply(&mut connection, &path)?;
        Ok(Self {
            path,
            connection: Mutex::new(connection),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a copy, as of now, to a file that does not exist; durable.
    ///
    /// # Errors
    /// `Database` when SQLite fails, such as where the file exists.
    pub fn copy_to(&self, to: &Path) -> Result<(), StateError> {
        self.with("copy the state database", |connection| {
            connection.execute("VACUUM INTO ?", [&*to.to_string_lossy()])?;
            let synced = std::fs::File::open(to).and_then(|file| file.sync_all());
            synced.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
        })
    }

    /// What is wrong with the file, in SQLite's words; nothing where it is sound.
    ///
    /// # Errors
    /// `Database` when it cannot even be looked at.
    pub fn check(&self) -> Result<Vec<String>, StateError> {
        self.with("check the state database", |connection| {
            let mut statement = connection.prepare("PRAGMA integrity_check")?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            let said = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(said.into_iter().filter(|line| line != "ok").collect())
        })
    }

    /// Runs something on the connection and names it when it fails.
    fn with<T>(
        &self,
        action: &'static str,
        run: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        run(&self.connection.lock()).map_err(|source| StateError::Database {
            action,
            path: self.path.clone(),
            source,
        })
    }

    fn damaged(&self, what: impl Into<String>) -> StateError {
        StateError::Damaged {
            path: self.path.clone(),
            what: what.into(),
        }
    }
}
