//! What is committed: partitions, streams with their next numbers, and how far each source has
//! been read. One SQLite file; a partition exists when its row does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Checkpoint, Label, Labels, StoreError, StreamId};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};

use crate::failure::catalogue_failed;
use crate::streams::Stream;

/// Version of the tables, in `user_version`.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE partitions (
        id INTEGER PRIMARY KEY,
        min_ns INTEGER NOT NULL,
        max_ns INTEGER NOT NULL,
        sealed_ns INTEGER NOT NULL,
        lines INTEGER NOT NULL,
        text_bytes INTEGER NOT NULL,
        disk_bytes INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE streams (
        id INTEGER PRIMARY KEY,
        labels TEXT NOT NULL UNIQUE,
        next_sequence INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE checkpoints (
        source TEXT PRIMARY KEY,
        state BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// A partition as the catalogue knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartitionRow {
    /// Its number, which names its folder.
    pub(crate) id: u64,
    /// Times of its oldest and newest line, nanoseconds since 1970-01-01 UTC.
    pub(crate) min_ns: i64,
    pub(crate) max_ns: i64,
    /// When it was sealed.
    pub(crate) sealed_ns: i64,
    pub(crate) lines: u64,
    /// Bytes of text in its lines.
    pub(crate) text_bytes: u64,
    /// Bytes of its folder.
    pub(crate) disk_bytes: u64,
}

/// What becomes durable at once.
#[derive(Debug, Default)]
pub(crate) struct Commit<'a> {
    pub(crate) partition: Option<PartitionRow>,
    pub(crate) streams: Vec<(StreamId, Stream)>,
    pub(crate) checkpoints: Vec<(&'a str, Option<&'a [u8]>)>,
}

/// The open catalogue.
pub(crate) struct Catalogue {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Catalogue {
    /// Opens the catalogue, makes a new one where there is none, and refuses one from a newer
    /// version.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: rusqlite::Error| catalogue_failed("open", path, &error);
        let mut connection = Connection::open(path).map_err(failed)?;
        connection
            .busy_timeout(Duration::from_secs(5))
            .map_err(failed)?;
        let version: i64 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(failed)?;
        if version > VERSION {
            return Err(StoreError::Refused(format!(
                "{} was written by a newer version of Yagura (format {version}, this one reads \
                 up to {VERSION}): start that version, or point `data` to another folder",
                path.display()
            )));
        }
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(failed)?;
        // A commit is durable when it returns: the collectors' files may be rotated away then.
        connection
            .pragma_update(None, "synchronous", "FULL")
            .map_err(failed)?;
        if version == 0 {
            let transaction = connection.transaction().map_err(failed)?;
            transaction.execute_batch(TABLES).map_err(failed)?;
            transaction
                .pragma_update(None, "user_version", VERSION)
                .map_err(failed)?;
            transaction.commit().map_err(failed)?;
        }
        Ok(Self {
            path: path.to_owned(),
            connection: Mutex::new(connection),
        })
    }

    /// All partitions in the order of their numbers.
    pub(crate) fn partitions(&self) -> Result<Vec<PartitionRow>, StoreError> {
        self.read(
            "SELECT id, min_ns, max_ns, sealed_ns, lines, text_bytes, disk_bytes
             FROM partitions ORDER BY id",
            |row| {
                Ok(PartitionRow {
                    id: row.get::<_, i64>(0)? as u64,
                    min_ns: row.get(1)?,
                    max_ns: row.get(2)?,
                    sealed_ns: row.get(3)?,
                    lines: row.get::<_, i64>(4)? as u64,
                    text_bytes: row.get::<_, i64>(5)? as u64,
                    disk_bytes: row.get::<_, i64>(6)? as u64,
                })
            },
        )
    }

    /// All streams.
    pub(crate) fn streams(&self) -> Result<Vec<(StreamId, Stream)>, StoreError> {
        let rows = self.read("SELECT id, labels, next_sequence FROM streams", |row| {
            Ok((
                row.get::<_, u32>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, i64>(2)?,
            ))
        })?;
        rows.into_iter()
            .map(|(id, labels, next_sequence)| {
                let labels = read_labels(&labels).ok_or_else(|| {
                    StoreError::Damaged(format!("{}: labels of stream {id}", self.path.display()))
                })?;
                let next_sequence = next_sequence as u64;
                Ok((StreamId(id), Stream::new(labels, next_sequence)))
            })
            .collect()
    }

    /// All checkpoints.
    pub(crate) fn checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        self.read(
            "SELECT source, state FROM checkpoints ORDER BY source",
            |row| {
                Ok(Checkpoint {
                    source: row.get(0)?,
                    state: Some(row.get(1)?),
                })
            },
        )
    }

    /// The checkpoint of one source.
    pub(crate) fn checkpoint(&self, source: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let connection = self.connection.lock();
        connection
            .prepare_cached("SELECT state FROM checkpoints WHERE source = ?1")
            .and_then(|mut statement| statement.query_row([source], |row| row.get(0)).optional())
            .map_err(|error| catalogue_failed("read", &self.path, &error))
    }

    /// Makes everything durable, or nothing.
    pub(crate) fn commit(&self, commit: &Commit<'_>) -> Result<(), StoreError> {
        self.write("commit to", |transaction| {
            if let Some(p) = &commit.partition {
                transaction.execute(
                    "INSERT INTO partitions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        p.id as i64,
                        p.min_ns,
                        p.max_ns,
                        p.sealed_ns,
                        p.lines as i64,
                        p.text_bytes as i64,
                        p.disk_bytes as i64
                    ],
                )?;
            }
            let mut put_stream = transaction.prepare_cached(
                "INSERT INTO streams VALUES (?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET next_sequence = excluded.next_sequence",
            )?;
            for (id, stream) in &commit.streams {
                put_stream.execute(params![
                    id.0,
                    write_labels(&stream.labels),
                    stream.next_sequence as i64
                ])?;
            }
            let mut put = transaction.prepare_cached(
                "INSERT INTO checkpoints VALUES (?1, ?2)
                 ON CONFLICT (source) DO UPDATE SET state = excluded.state",
            )?;
            let mut forget =
                transaction.prepare_cached("DELETE FROM checkpoints WHERE source = ?1")?;
            for (source, state) in &commit.checkpoints {
                match state {
                    Some(state) => put.execute(params![source, state])?,
                    None => forget.execute(params![source])?,
                };
            }
            Ok(())
        })
    }

    /// Forgets a partition.
    pub(crate) fn drop_partition(&self, id: u64) -> Result<(), StoreError> {
        self.write("drop a partition from", |transaction| {
            transaction.execute("DELETE FROM partitions WHERE id = ?1", params![id as i64])?;
            Ok(())
        })
    }

    /// Forgets streams whose last line is gone with its partition.
    pub(crate) fn forget_streams(&self, gone: &[StreamId]) -> Result<(), StoreError> {
        self.write("forget streams in", |transaction| {
            let mut forget = transaction.prepare_cached("DELETE FROM streams WHERE id = ?1")?;
            for id in gone {
                forget.execute(params![id.0])?;
            }
            Ok(())
        })
    }

    /// The largest partition number that was ever used and is still known.
    pub(crate) fn last_partition(&self) -> Result<Option<u64>, StoreError> {
        let connection = self.connection.lock();
        connection
            .query_row("SELECT max(id) FROM partitions", [], |row| {
                row.get::<_, Option<i64>>(0)
            })
            .optional()
            .map(|id| id.flatten().map(|id| id as u64))
            .map_err(|error| catalogue_failed("read", &self.path, &error))
    }

    /// Writes a copy to a file that does not exist; durable.
    pub(crate) fn copy_to(&self, to: &Path) -> Result<(), StoreError> {
        let name = to.to_string_lossy();
        self.connection
            .lock()
            .execute("VACUUM INTO ?", [&*name])
            .map_err(|error| catalogue_failed("copy", &self.path, &error))?;
        std::fs::File::open(to)
            .and_then(|file| file.sync_all())
            .map_err(|source| crate::failure::io_failed("sync", to, source))
    }

    fn read<T>(
        &self,
        sql: &str,
        row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let connection = self.connection.lock();
        let rows = || {
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([], row)?;
            rows.collect::<rusqlite::Result<Vec<T>>>()
        };
        rows().map_err(|error| catalogue_failed("read", &self.path, &error))
    }

    fn write(
        &self,
        what: &str,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let mut connection = self.connection.lock();
        let run = || {
            let transaction = connection.transaction()?;
            work(&transaction)?;
            transaction.commit()
        };
        run().map_err(|error| catalogue_failed(what, &self.path, &error))
    }
}

/// Labels as a JSON list of pairs, sorted by name: equal sets are equal texts.
fn write_labels(labels: &Labels) -> String {
    let pairs: Vec<(&str, &str)> = labels.iter().map(|l| (&*l.name, &*l.value)).collect();
    serde_json::to_string(&pairs).unwrap_or_default()
}

fn read_labels(text: &str) -> Option<Labels> {
    let pairs: Vec<(String, String)> = serde_json::from_str(text).ok()?;
    let sorted = pairs.windows(2).all(|w| w[0].0 < w[1].0);
    let whole = pairs.iter().all(|(_, value)| !value.is_empty());
    (sorted && whole).then(|| {
        Labels::from_sorted(
            pairs
                .into_iter()
                .map(|(name, value)| Label {
                    name: name.into(),
                    value: value.into(),
                })
                .collect(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("catalogue.db");
        let partition = PartitionRow {
            id: 3,
            min_ns: -5,
            max_ns: 7,
            sealed_ns: 9,
            lines: 2,
            text_bytes: 10,
            disk_bytes: 20,
        };
        let stream = Stream::new(Labels::from_pairs([("pod", "a\"b"), ("ns", "x")]), 2);
        let catalogue = Catalogue::open(&path).expect("new");
        let commit = Commit {
            partition: Some(partition),
            streams: vec![(StreamId(1), stream.clone())],
            checkpoints: vec![("a", Some(b"1")), ("b", Some(b"2"))],
        };
        catalogue.commit(&commit).expect("committed");
        let commit = Commit {
            checkpoints: vec![("a", None), ("b", Some(b"3"))],
            ..Commit::default()
        };
        catalogue.commit(&commit).expect("committed");
        drop(catalogue);

        let catalogue = Catalogue::open(&path).expect("again");
        assert_eq!(catalogue.partitions().expect("partitions"), [partition]);
        let streams = catalogue.streams().expect("streams");
        assert_eq!(streams.len(), 1);
        assert_eq!(streams[0].1.labels, stream.labels);
        let checkpoints = catalogue.checkpoints().expect("checkpoints");
        assert_eq!(catalogue.checkpoint("a").expect("reads"), None);
        assert_eq!(
            catalogue.checkpoint("b").expect("reads"),
            Some(b"3".to_vec())
        );
        assert_eq!(
            checkpoints,
            [Checkpoint {
                source: "b".to_owned(),
                state: Some(b"3".to_vec())
            }]
        );
        catalogue.drop_partition(3).expect("dropped");
        assert_eq!(catalogue.last_partition().expect("none"), None);
    }

    #[test]
    fn a_newer_catalogue_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("catalogue.db");
        drop(Catalogue::open(&path).expect("new"));
        let connection = Connection::open(&path).expect("sqlite");
        connection
            .pragma_update(None, "user_version", 2)
            .expect("set");
        drop(connection);
        let Err(error) = Catalogue::open(&path) else {
            panic!("a newer catalogue must be refused");
        };
        assert!(error.to_string().contains("newer version"), "{error}");
    }
}
