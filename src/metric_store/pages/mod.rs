//! The container: sealed windows as pages of 64 KB in one SQLite file for each day, and another
//! one where the day is a rollup.
//!
//! A row is a page, so that SQLite's bookkeeping is a few bytes for hundreds of chunks; a file is
//! a day, so that dropping the oldest day is an unlink. What a file holds counts only where the
//! catalogue speaks of it ([`crate::catalogue`]).

pub(crate) mod blob;
pub(crate) mod cache;
pub(crate) mod directory;
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

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

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

/// Which file: a day at a resolution, or a week, where there is a sample of every hour only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DayKey {
    /// The time between two samples of a rollup; 0 of samples as they came.
    pub(crate) resolution_ms: i64,
    /// Where the day or week begins.
    pub(crate) start_ms: i64,
}

/// The span of a file of a sample every hour: a file takes some 60 KB even where it holds little.
const WEEK_MS: i64 = 7 * crate::config::DAY_MS;

/// A Monday, 1970-01-05: weeks begin on Mondays.
const MONDAY_MS: i64 = 4 * crate::config::DAY_MS;

impl DayKey {
    /// The file of samples as they came.
    pub(crate) fn raw(start_ms: i64) -> Self {
        Self {
            resolution_ms: 0,
            start_ms,
        }
    }

    /// The file of a rollup that a time belongs to.
    pub(crate) fn rollup(resolution_ms: i64, time_ms: i64) -> Self {
        let span_ms = span_of(resolution_ms);
        let first_ms = if span_ms == WEEK_MS { MONDAY_MS } else { 0 };
        let whole = time_ms.saturating_sub(first_ms).div_euclid(span_ms);
        Self {
            resolution_ms,
            start_ms: whole.saturating_mul(span_ms).saturating_add(first_ms),
        }
    }

    /// Where the day or week ends, exclusive.
    pub(crate) fn end_ms(self) -> i64 {
        self.start_ms.saturating_add(span_of(self.resolution_ms))
    }

    /// The file's name without its end: `2026-11-23`, `2026-11-23.5m`, `2026-11-23.1h`.
    fn stem(self) -> String {
        let date = date_of(self.start_ms);
        match (self.resolution_ms % HOUR_MS, self.resolution_ms / MINUTE_MS) {
            (_, 0) => date,
            (0, minutes) => format!("{date}.{}h", minutes / 60),
            (_, minutes) => format!("{date}.{minutes}m"),
        }
    }

    /// The inverse of [`DayKey::stem`].
    fn of_stem(stem: &str) -> Option<Self> {
        let (date, resolution_ms) = match stem.split_once('.') {
            None => (stem, 0),
            Some((date, of)) => {
                let (number, unit_ms) = match of.strip_suffix('h') {
                    Some(hours) => (hours, HOUR_MS),
                    None => (of.strip_suffix('m')?, MINUTE_MS),
                };
                let number: i64 = number.parse().ok()?;
                (date, number.checked_mul(unit_ms)?)
            }
        };
        let start_ms = day_of(date)?;
        let key = Self {
            resolution_ms,
            start_ms,
        };
        Some(key).filter(|key| key.stem() == stem)
    }
}

/// The span of a file.
fn span_of(resolution_ms: i64) -> i64 {
    if resolution_ms >= crate::config::COARSE_MS {
        WEEK_MS
    } else {
        crate::config::DAY_MS
    }
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

/// The date of a day, as in its file's name: `2026-11-23`.
fn date_of(start_ms: i64) -> String {
    let (year, month, day) = civil(start_ms.div_euclid(crate::config::DAY_MS));
    format!("{year:04}-{month:02}-{day:02}")
}

/// The inverse of [`date_of`].
fn day_of(date: &str) -> Option<i64> {
    let mut parts = date.rsplitn(3, '-');
    let day: i64 = parts.next()?.parse().ok()?;
    let month: i64 = parts.next()?.parse().ok()?;
    let year: i64 = parts.next()?.parse().ok()?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year.abs() > 9999 {
        return None;
    }
    // Years begin in March here, so that the leap day is the last one.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let of_era = year.rem_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    let days = year.div_euclid(400) * 146_097 + days - 719_468;
    Some(days * crate::config::DAY_MS).filter(|start| date_of(*start) == date)
}

/// Year, month and day of a number of days since 1970-01-01 (the proleptic Gregorian calendar).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (year, month + 3)
    } else {
        (year + 1, month - 9)
    };
    (era * 400 + year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_come_back() {
        let check = |days: i64, date: &str| {
            assert_eq!(date_of(days * crate::config::DAY_MS), date);
            assert_eq!(day_of(date), Some(days * crate::config::DAY_MS));
        };
        check(0, "1970-01-01");
        check(-1, "1969-12-31");
        check(19_782, "2024-02-29");
        check(20_780, "2026-11-23");
        for days in (-100_000..100_000).step_by(37) {
            let date = date_of(days * crate::config::DAY_MS);
            assert_eq!(day_of(&date), Some(days * crate::config::DAY_MS), "{date}");
        }
        let week = DayKey::rollup(HOUR_MS, 20_784 * crate::config::DAY_MS);
        assert_eq!(week.stem(), "2026-11-23.1h");
        assert_eq!(
            DayKey::rollup(HOUR_MS, week.end_ms()).stem(),
            "2026-11-30.1h"
        );
        for minutes in [0, 5, 60, 120] {
            let key = DayKey {
                resolution_ms: minutes * MINUTE_MS,
                start_ms: 20_780 * crate::config::DAY_MS,
            };
            assert_eq!(DayKey::of_stem(&key.stem()), Some(key));
        }
        for bad in [
            "2026-11-23.0m",
            "2026-11-23.5",
            "2026-11-23.m",
            "x.5m",
            "2026-11-23.60m",
        ] {
            assert_eq!(DayKey::of_stem(bad), None, "{bad}");
        }
        for bad in ["2026-02-30", "x", "2026-13-01", "meta"] {
            assert_eq!(day_of(bad), None, "{bad}");
        }
    }
}
