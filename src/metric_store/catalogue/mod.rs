//! `meta.db`: which windows are sealed, and what the numbers of series mean.
//!
//! A sealed window becomes visible with its row here. The row is committed after the window's
//! pages and together with the series that it speaks of, so that whatever is in the catalogue can
//! be read.

pub(crate) mod database;
mod families;
mod series;
pub(crate) mod tombstones;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::{Labels, StoreError};
use parking_lot::Mutex;
use roaring::RoaringBitmap;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::errors::database_error;
use crate::index::SeriesId;
use crate::pages::{DayKey, blob};

/// Series to a row: large enough to compress well, small enough to be dropped with what is dead.
const SERIES_BATCH: usize = 4096;

/// "YgMS".
pub(crate) const SHAPE: database::Shape = database::Shape {
    what: "catalogue",
    application_id: 0x5967_4d53,
    steps: &[VERSION_1, VERSION_2],
};

const VERSION_1: &str = "
    CREATE TABLE segments (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        window_ms INTEGER NOT NULL,
        day_ms INTEGER NOT NULL,
        journal INTEGER NOT NULL,
        start_ms INTEGER NOT NULL,
        end_ms INTEGER NOT NULL,
        samples INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        series BLOB NOT NULL
    );
    CREATE TABLE series (
        first_id INTEGER PRIMARY KEY,
        last_id INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    CREATE TABLE families (
        name TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        help TEXT NOT NULL,
        unit TEXT NOT NULL
    ) WITHOUT ROWID;";

/// Segments of several windows, of rollups, and what was deleted.
const VERSION_2: &str = "
    ALTER TABLE segments ADD COLUMN resolution_ms INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE sealed (
        window_ms INTEGER PRIMARY KEY,
        journal INTEGER NOT NULL
    );
    INSERT INTO sealed SELECT window_ms, max(journal) FROM segments GROUP BY window_ms;
    CREATE TABLE tombstones (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        start_ms INTEGER NOT NULL,
        end_ms INTEGER NOT NULL,
        series BLOB NOT NULL
    );";

/// A sealed window (a part of one: what came late is sealed apart; or the windows of a day in one).
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// Its number; a window's parts are in the order of their numbers.
    pub(crate) id: u32,
    /// Where the window begins.
    pub(crate) window_ms: i64,
    /// Where the day begins in whose file the pages are.
    pub(crate) day_ms: i64,
    /// The time between two of its samples where it is a rollup, 0 where it is not.
    pub(crate) resolution_ms: i64,
    /// The highest number of the journals that it holds.
    pub(crate) journal: u64,
    /// Time of the first sample.
    pub(crate) start_ms: i64,
    /// Time of the last sample.
    pub(crate) end_ms: i64,
    pub(crate) samples: u64,
    /// Compressed bytes.
    pub(crate) bytes: u64,
    /// Which series have samples in it.
    pub(crate) series: RoaringBitmap,
}

/// What is to be changed together.
#[derive(Debug, Default)]
pub(crate) struct Change<'a> {
    /// New series.
    pub(crate) series: &'a [(SeriesId, Labels)],
    /// A new segment.
    pub(crate) add: Option<&'a Segment>,
    /// Numbers of segments that go.
    pub(crate) remove: &'a [u32],
    /// A window and the highest number of its journals that are sealed now.
    pub(crate) sealed: Option<(i64, u64)>,
}

impl Segment {
    /// Which file its pages are in.
    pub(crate) fn file(&self) -> DayKey {
        DayKey {
            resolution_ms: self.resolution_ms,
            start_ms: self.day_ms,
        }
    }
}

fn segment_of(row: &Row<'_>) -> rusqlite::Result<(Segment, Vec<u8>)> {
    let segment = Segment {
        id: row.get(0)?,
        window_ms: row.get(1)?,
        day_ms: row.get(2)?,
        resolution_ms: row.get(3)?,
        journal: row.get::<_, i64>(4)? as u64,
        start_ms: row.get(5)?,
        end_ms: row.get(6)?,
        samples: row.get::<_, i64>(7)? as u64,
        bytes: row.get::<_, i64>(8)? as u64,
        series: RoaringBitmap::new(),
    };
    Ok((segment, row.get(9)?))
}

fn bytes_of(series: &RoaringBitmap) -> rusqlite::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(series.serialized_size());
    series
        .serialize_into(&mut bytes)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    Ok(bytes)
}

/// The open `meta.db`.
#[derive(Debug)]
pub(crate) struct Catalogue {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Catalogue {
    /// Opens the catalogue, or makes an empty one.
    ///
    /// # Errors
    /// `Refused` when a newer program wrote it.
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("meta.db");
        let connection = database::open(&path, &SHAPE)?;
        Ok(Self {
            path,
            connection: Mutex::new(connection),
        })
    }

    fn failed(&self, doing: &str) -> impl FnOnce(rusqlite::Error) -> StoreError {
        database_error(doing, &self.path)
    }

    /// A look at the catalogue of a store that nobody has open; changes nothing.
    pub(crate) fn open_to_look(dir: &Path) -> Result<(Self, i64), StoreError> {
        let path = dir.join("meta.db");
        let (connection, version) = database::open_to_look(&path, &SHAPE)?;
        let connection = Mutex::new(connection);
        Ok((Self { path, connection }, version))
    }

    /// Writes a copy into a folder.
    pub(crate) fn copy_into(&self, dir: &Path) -> Result<(), StoreError> {
        database::copy_to(&self.connection.lock(), &self.path, &dir.join("meta.db"))
    }

    /// All segments, in order of window and number.
    pub(crate) fn segments(&self) -> Result<Vec<Segment>, StoreError> {
        let connection = self.connection.lock();
        let read = || {
            let mut statement = connection.prepare(
                "SELECT id, window_ms, day_ms, resolution_ms, journal, start_ms, end_ms, samples,
                        bytes, series
                 FROM segments ORDER BY window_ms, id",
            )?;
            let rows = statement.query_map([], segment_of)?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        let rows = read().map_err(self.failed("read the segments in"))?;
        rows.into_iter()
            .map(|(segment, series)| {
                let series = self.set_of(&series, "series of segment", segment.id)?;
                Ok(Segment { series, ..segment })
            })
            .collect()
    }

    /// A set of series as it stands in the database.
    fn set_of(&self, bytes: &[u8], what: &str, id: u32) -> Result<RoaringBitmap, StoreError> {
        RoaringBitmap::deserialize_from(bytes).map_err(|error| {
            StoreError::Damaged(format!("{}: {what} {id}: {error}", self.path.display()))
        })
    }

    /// The highest journal number that is sealed, by window.
    pub(crate) fn sealed(&self) -> Result<BTreeMap<i64, u64>, StoreError> {
        let connection = self.connection.lock();
        let read = || {
            let mut statement = connection.prepare("SELECT window_ms, journal FROM sealed")?;
            let rows =
                statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
            rows.collect::<Result<_, _>>()
        };
        read().map_err(self.failed("read the sealed windows in"))
    }

    /// The number that the next segment gets.
    pub(crate) fn next_segment(&self) -> Result<u32, StoreError> {
        let last: Option<i64> = self
            .connection
            .lock()
            .query_row(
                "SELECT seq FROM sqlite_sequence WHERE name = 'segments'",
                [],
                |row| row.get(0),
            )
            .optional()
            .map_err(self.failed("read the segments in"))?;
        Ok(last.unwrap_or(0) as u32 + 1)
    }

    /// Makes a change in one transaction.
    pub(crate) fn commit(&self, change: &Change<'_>) -> Result<(), StoreError> {
        let batches: Vec<(SeriesId, SeriesId, Vec<u8>)> = change
            .series
            .chunks(SERIES_BATCH)
            .filter_map(|batch| {
                let (first, last) = (batch.first()?.0, batch.last()?.0);
                Some((first, last, blob::pack(&series::encode_series(batch))))
            })
            .collect();
        let mut connection = self.connection.lock();
        let mut write = || {
            let transaction = connection.transaction()?;
            for (first, last, body) in &batches {
                transaction.execute(
                    "INSERT OR REPLACE INTO series VALUES (?, ?, ?)",
                    params![first, last, body],
                )?;
            }
            for id in change.remove {
                transaction.execute("DELETE FROM segments WHERE id = ?", [id])?;
            }
            if let Some((window_ms, journal)) = change.sealed {
                transaction.execute(
                    "INSERT INTO sealed VALUES (?1, ?2)
                     ON CONFLICT DO UPDATE SET journal = max(journal, ?2)",
                    params![window_ms, journal as i64],
                )?;
            }
            if let Some(segment) = change.add {
                transaction.execute(
                    "INSERT INTO segments (id, window_ms, day_ms, resolution_ms, journal,
                         start_ms, end_ms, samples, bytes, series)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    params![
                        segment.id,
                        segment.window_ms,
                        segment.day_ms,
                        segment.resolution_ms,
                        segment.journal as i64,
                        segment.start_ms,
                        segment.end_ms,
                        segment.samples as i64,
                        segment.bytes as i64,
                        bytes_of(&segment.series)?
                    ],
                )?;
            }
            transaction.commit()
        };
        write().map_err(self.failed("write"))
    }

    /// Forgets the segments of a day at one resolution.
    pub(crate) fn drop_day(&self, key: DayKey) -> Result<(), StoreError> {
        let mut connection = self.connection.lock();
        let mut write = || {
            let transaction = connection.transaction()?;
            transaction.execute(
                "DELETE FROM segments WHERE resolution_ms = ? AND day_ms = ?",
                [key.resolution_ms, key.start_ms],
            )?;
            if key.resolution_ms == 0 {
                transaction.execute(
                    "DELETE FROM sealed WHERE window_ms >= ?1 AND window_ms < ?1 + ?2",
                    [key.start_ms, crate::config::DAY_MS],
                )?;
            }
            transaction.commit()
        };
        write().map_err(self.failed("drop a day in"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(range: std::ops::Range<u32>) -> Vec<(SeriesId, Labels)> {
        range
            .map(|id| {
                let pod = format!("pod-{}", id / 3);
                let labels = [
                    ("__name__", "m".to_owned()),
                    ("pod", pod),
                    ("i", id.to_string()),
                ];
                (id, Labels::from_pairs(labels))
            })
            .collect()
    }

    fn load(catalogue: &Catalogue) -> Vec<(SeriesId, Labels)> {
        let mut loaded = Vec::new();
        catalogue
            .load_series(|id, labels| loaded.push((id, labels)))
            .expect("loads");
        loaded
    }

    #[test]
    fn series_and_segments_come_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let all = series(5..10_000);
        let segment = Segment {
            id: 1,
            window_ms: 7_200_000,
            day_ms: 0,
            resolution_ms: 0,
            journal: 9,
            start_ms: 7_200_005,
            end_ms: 7_300_000,
            samples: 77,
            bytes: 1000,
            series: all.iter().map(|(id, _)| *id).collect(),
        };
        {
            let catalogue = Catalogue::open(dir.path()).expect("opens");
            assert_eq!(catalogue.next_segment().expect("reads"), 1);
            let change = Change {
                series: &all,
                add: Some(&segment),
                remove: &[],
                sealed: Some((7_200_000, 9)),
            };
            catalogue.commit(&change).expect("commits");
        }
        let catalogue = Catalogue::open(dir.path()).expect("opens");
        assert_eq!(load(&catalogue), all);
        let segments = catalogue.segments().expect("reads");
        assert_eq!(segments.len(), 1);
        assert_eq!(format!("{:?}", segments[0]), format!("{segment:?}"));
        let sealed = BTreeMap::from([(7_200_000, 9)]);
        assert_eq!(catalogue.sealed().expect("reads"), sealed);
        let rollup = DayKey {
            resolution_ms: 300_000,
            start_ms: 0,
        };
        catalogue.drop_day(rollup).expect("drops");
        assert_eq!(catalogue.segments().expect("reads").len(), 1);
        catalogue.drop_day(DayKey::raw(0)).expect("drops");
        assert!(catalogue.sealed().expect("reads").is_empty());
        assert!(catalogue.segments().expect("reads").is_empty());
        assert_eq!(
            catalogue.next_segment().expect("reads"),
            2,
            "numbers do not come again"
        );
        let keep = RoaringBitmap::from_iter([9_999u32]);
        catalogue.drop_series_outside(&keep).expect("drops");
        assert_eq!(load(&catalogue).len(), 9_995 - 2 * SERIES_BATCH);
    }

    #[test]
    fn a_newer_catalogue_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        drop(Catalogue::open(dir.path()).expect("opens"));
        Connection::open(dir.path().join("meta.db"))
            .and_then(|c| c.pragma_update(None, "user_version", 99))
            .expect("updates");
        let error = Catalogue::open(dir.path()).expect_err("refused");
        assert!(matches!(error, StoreError::Refused(_)));
        assert!(error.to_string().contains("version 99"), "{error}");
    }

    #[test]
    fn a_catalogue_of_version_1_goes_on() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("meta.db");
        let old = Connection::open(&path).expect("opens");
        old.execute_batch(VERSION_1).expect("makes");
        let series = bytes_of(&RoaringBitmap::from_iter([3u32])).expect("writes");
        for (id, journal) in [(1, 4), (2, 7)] {
            old.execute(
                "INSERT INTO segments VALUES (?, 7200000, 0, ?, 7200001, 7200002, 2, 100, ?)",
                params![id, journal, series],
            )
            .expect("inserts");
        }
        old.pragma_update(None, "user_version", 1).expect("updates");
        drop(old);
        let catalogue = Catalogue::open(dir.path()).expect("opens");
        let segments = catalogue.segments().expect("reads");
        assert_eq!(segments.len(), 2);
        assert_eq!(segments[1].resolution_ms, 0);
        let sealed = BTreeMap::from([(7_200_000, 7)]);
        assert_eq!(catalogue.sealed().expect("reads"), sealed);
    }
}
