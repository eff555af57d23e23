//! The container: sealed windows as pages of 64 KB in one SQLite file for each day, and another
//! one where the day is a rollup.
//!
//! A row is a page, so that SQLite's bookkeeping is a few bytes for hundreds of chunks; a file is
//! a day, so that dropping the oldest day is an unlink. What a file holds counts only where the
//! catalogue speaks of it ([`crate::catalogue`]).

pub(crate) mod blob;
pub(crate) mod cache;
pub(crate) mod directory;
mod key;
pub(crate) mod look;
pub(crate) mod writer;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::StoreError;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};

use crate::catalogue::database;
use crate::errors::{database_error, io_error};
use blob::{LARGE_BYTES_MAX, PAGE_BYTES_MAX};
use directory::Directory;
use writer::{SegmentWriter, Written};

pub(crate) use key::DayKey;

/// A page is written when it has so many bytes before compression: 250 chunks of two hours, few
/// enough to decompress for one of them.
pub(crate) const PAGE_BYTES: usize = 64 << 10;

/// A chunk has at most so many samples, so that a page stays a page: 2 h at one a second.
pub(crate) const CHUNK_SAMPLES_MAX: usize = 8192;

/// "YgMP".
pub(crate) const SHAPE: database::Shape = database::Shape {
    what: "page file",
    application_id: 0x5967_4d50,
    steps: &[VERSION_1, VERSION_2],
};

/// Idle connections kept for reading one day: as many as cores that usually read side by side.
const READERS_IDLE_MAX: usize = 4;

/// A file of which more than this part (one in so many) is free is shrunk.
const FREE_PART: i64 = 5;

const VERSION_1: &str = "
    CREATE TABLE segments (id INTEGER PRIMARY KEY, directory BLOB NOT NULL);
    CREATE TABLE pages (id INTEGER PRIMARY KEY, body BLOB NOT NULL);";

/// The same tables; chunks may have native histograms.
const VERSION_2: &str = "";

/// The key of a page: segment above, number within it below.
fn page_key(segment: u32, page: u32) -> i64 {
    i64::from(segment) << 32 | i64::from(page)
}

/// The pages of one day.
#[derive(Debug)]
pub(crate) struct Day {
    pub(crate) key: DayKey,
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    /// Retention has unlinked the file.
    dropped: AtomicBool,
    /// Pages of SQLite that tests allow the file to have.
    #[cfg(test)]
    pub(crate) pages_max: std::sync::atomic::AtomicU32,
}

impl Day {
    fn new(dir: &Path, key: DayKey) -> Self {
        Self {
            key,
            path: dir.join(format!("{}.db", key.stem())),
            readers: Mutex::default(),
            dropped: AtomicBool::new(false),
            #[cfg(test)]
            pages_max: std::sync::atomic::AtomicU32::new(0),
        }
    }

    fn open(&self) -> Result<Connection, StoreError> {
        database::open(&self.path, &SHAPE)
    }

    fn failed(&self, doing: &str) -> impl FnOnce(rusqlite::Error) -> StoreError {
        database_error(doing, &self.path)
    }

    /// Whether retention has unlinked the file.
    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    /// Writes a segment: `fill` hands its series to the writer. All of it is durable when this
    /// returns, or none of it.
    pub(crate) fn write_segment(
        &self,
        segment: u32,
        fill: impl FnOnce(&mut SegmentWriter<'_>) -> Result<(), StoreError>,
    ) -> Result<Written, StoreError> {
        let mut connection = self.open()?;
        #[cfg(test)]
        if let pages @ 1.. = self.pages_max.load(Ordering::Relaxed) {
            connection
                .pragma_update(None, "max_page_count", pages)
                .map_err(self.failed("limit"))?;
        }
        let transaction = connection
            .transaction()
            .map_err(self.failed("write pages to"))?;
        let mut writer = SegmentWriter::new(&transaction, segment, &self.path);
        fill(&mut writer)?;
        let written = writer.finish()?;
        transaction
            .commit()
            .map_err(self.failed("commit pages to"))?;
        // Into the main file at once, so that a copy of it is a backup. Readers may hold this up;
        // then the next seal does it.
        let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = checkpoint {
            tracing::debug!(path = %self.path.display(), %error, "checkpoint put off");
        }
        Ok(written)
    }

    /// Deletes segments that the catalogue does not know: a crash came between pages and
    /// catalogue.
    pub(crate) fn delete_unknown(&self, known: impl Fn(u32) -> bool) -> Result<(), StoreError> {
        let mut connection = self.open()?;
        let mut clean = || {
            let ids: Vec<u32> = connection
                .prepare("SELECT id FROM segments")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let unknown: Vec<u32> = ids.into_iter().filter(|id| !known(*id)).collect();
            if unknown.is_empty() {
                return Ok(());
            }
            let transaction = connection.transaction()?;
            for id in unknown {
                transaction.execute("DELETE FROM segments WHERE id = ?", [id])?;
                transaction.execute(
                    "DELETE FROM pages WHERE id >= ? AND id <= ?",
                    params![page_key(id, 0), page_key(id, u32::MAX)],
                )?;
            }
            transaction.commit()
        };
        clean().map_err(self.failed("clean up"))
    }

    /// Returns the room of deleted pages to the file system, where it is a good part of the file.
    pub(crate) fn give_room_back(&self) -> Result<(), StoreError> {
        let connection = self.open()?;
        let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get(0));
        let shrink = || -> rusqlite::Result<()> {
            let (free, all): (i64, i64) = (number("freelist_count")?, number("page_count")?);
            if free * FREE_PART > all {
                connection.execute_batch("VACUUM")?;
                connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            }
            Ok(())
        };
        shrink().map_err(self.failed("shrink"))
    }

    /// Writes a copy into a folder.
    pub(crate) fn copy_into(&self, dir: &Path) -> Result<(), StoreError> {
        let to = dir.join(self.path.file_name().unwrap_or_default());
        database::copy_to(&self.open()?, &self.path, &to)
    }

    fn with_reader<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.readers.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            // Opening would make a new, empty file where retention has just unlinked one.
            None if self.is_dropped() => return Err(StoreError::Cancelled),
            None => self.open()?,
        };
        let result = read(&connection)?;
        let mut readers = self.readers.lock();
        if readers.len() < READERS_IDLE_MAX && !self.is_dropped() {
            readers.push(connection);
        }
        Ok(result)
    }

    /// Reads and decompresses a page.
    pub(crate) fn read_page(&self, segment: u32, page: u32) -> Result<Vec<u8>, StoreError> {
        let key = page_key(segment, page);
        self.with_reader(|connection| read_blob_of(connection, &self.path, PAGE_BLOB, key))
    }

    /// Reads a segment's directory.
    pub(crate) fn read_directory(&self, segment: u32) -> Result<Directory, StoreError> {
        self.with_reader(|connection| read_directory_of(connection, &self.path, segment))
    }

    /// Closes connections that nobody reads with at the moment.
    pub(crate) fn close_idle(&self) {
        self.readers.lock().clear();
    }

    /// Unlinks the file. Whoever reads it goes on reading.
    fn drop_file(&self) -> Result<(), StoreError> {
        self.dropped.store(true, Ordering::Release);
        self.close_idle();
        for file in database_files(&self.path) {
            if file.exists() {
                fs::remove_file(&file).map_err(io_error("delete", &file))?;
            }
        }
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        database_bytes(&self.path)
    }
}

/// Where a kind of blob stands, and how large it may be.
#[derive(Debug, Clone, Copy)]
struct BlobKind {
    what: &'static str,
    query: &'static str,
    bytes_max: usize,
}

const PAGE_BLOB: BlobKind = BlobKind {
    what: "page",
    query: "SELECT body FROM pages WHERE id = ?",
    bytes_max: PAGE_BYTES_MAX,
};

const DIRECTORY_BLOB: BlobKind = BlobKind {
    what: "directory",
    query: "SELECT directory FROM segments WHERE id = ?",
    bytes_max: LARGE_BYTES_MAX,
};

fn read_blob_of(
    connection: &Connection,
    path: &Path,
    kind: BlobKind,
    key: i64,
) -> Result<Vec<u8>, StoreError> {
    let damaged = |why: &dyn std::fmt::Display| {
        StoreError::Damaged(format!("{}: {} {key:#x}: {why}", path.display(), kind.what))
    };
    let body: Option<Vec<u8>> = connection
        .prepare_cached(kind.query)
        .and_then(|mut statement| statement.query_row([key], |row| row.get(0)).optional())
        .map_err(database_error("read", path))?;
    let body = body.ok_or_else(|| damaged(&"it is missing"))?;
    blob::unpack(&body, kind.bytes_max).map_err(|error| damaged(&error))
}

fn read_directory_of(
    connection: &Connection,
    path: &Path,
    segment: u32,
) -> Result<Directory, StoreError> {
    let raw = read_blob_of(connection, path, DIRECTORY_BLOB, i64::from(segment))?;
    Directory::decode(&raw).map_err(|error| {
        StoreError::Damaged(format!(
            "{}: directory {segment:#x}: {error}",
            path.display()
        ))
    })
}

/// What SQLite puts beside a database's main file: its log, the log's index, and, while the file is
/// new, a rollback journal.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A SQLite database's files, the main one first.
fn database_files(path: &Path) -> [PathBuf; 4] {
    let [wal, shm, journal] = BESIDE;
    ["", wal, shm, journal].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

/// Bytes of a database on disk.
pub(crate) fn database_bytes(path: &Path) -> u64 {
    let bytes = |file: &PathBuf| fs::metadata(file).map_or(0, |m| m.len());
    database_files(path).iter().map(bytes).sum()
}

/// All days.
#[derive(Debug)]
pub(crate) struct Days {
    dir: PathBuf,
    days: Mutex<BTreeMap<DayKey, Arc<Day>>>,
}

impl Days {
    /// Lists the day files of a folder, which is made when it is missing.
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(io_error("make folder", dir))?;
        let mut days = BTreeMap::new();
        for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
            let path = entry.map_err(io_error("list", dir))?.path();
            let is_database = path.extension().is_some_and(|e| e == "db");
            let stem = path.file_stem().and_then(|s| s.to_str());
            if let (true, Some(key)) = (is_database, stem.and_then(DayKey::of_stem)) {
                days.insert(key, Arc::new(Day::new(dir, key)));
            }
            // The process ended while it deleted a day.
            let name = path.to_string_lossy();
            let main = BESIDE.iter().find_map(|end| name.strip_suffix(end));
            if main.is_some_and(|main| !Path::new(main).exists()) {
                fs::remove_file(&path).map_err(io_error("delete", &path))?;
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            days: Mutex::new(days),
        })
    }

    /// A day; made when it is missing.
    pub(crate) fn day_or_new(&self, key: DayKey) -> Arc<Day> {
        let mut days = self.days.lock();
        let day = days
            .entry(key)
            .or_insert_with(|| Arc::new(Day::new(&self.dir, key)));
        day.clone()
    }

    /// A day, if there is one.
    pub(crate) fn day(&self, key: DayKey) -> Option<Arc<Day>> {
        self.days.lock().get(&key).cloned()
    }

    /// All days: those as they came, then the rollups; oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Day>> {
        self.days.lock().values().cloned().collect()
    }

    /// Unlinks a day's file; returns the bytes that it had.
    pub(crate) fn drop_day(&self, key: DayKey) -> Result<u64, StoreError> {
        let Some(day) = self.days.lock().remove(&key) else {
            return Ok(0);
        };
        let bytes = day.disk_bytes();
        if let Err(error) = day.drop_file() {
            self.days.lock().insert(key, day);
            return Err(error);
        }
        Ok(bytes)
    }

    /// Bytes of a day's file.
    pub(crate) fn disk_bytes_of(&self, key: DayKey) -> u64 {
        self.day(key).map_or(0, |day| day.disk_bytes())
    }

    /// Bytes of all day files.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.all().iter().map(|day| day.disk_bytes()).sum()
    }
}
