//! `meta.db`: which windows are sealed, and what the numbers of series mean.
//!
//! A sealed window becomes visible with its row here. The row is committed after the window's
//! pages and together with the series that it speaks of, so that whatever is in the catalogue can
//! be read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Labels, MetricKind, MetricMetadata, StoreError};
use parking_lot::Mutex;
use roaring::RoaringBitmap;
use rusqlite::{Connection, OptionalExtension, params};
use rustc_hash::FxHashMap;

use crate::codec::CodecError;
use crate::codec::varint::{Reader, put_text, put_varint};
use crate::errors::database_error;
use crate::index::SeriesId;
use crate::pages::blob;

/// The version that this program writes, and the newest that it reads.
const VERSION: i64 = 1;

/// "YgMS": tells `file` and us what kind of database this is.
const APPLICATION_ID: i64 = 0x5967_4d53;

/// Series to a row: large enough to compress well, small enough to be dropped with what is dead.
const SERIES_BATCH: usize = 4096;

const SCHEMA: &str = "
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

/// A sealed window (or a part of one: what came late is sealed apart).
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// Its number; a window's parts are in the order of their numbers.
    pub(crate) id: u32,
    /// Where the window begins.
    pub(crate) window_ms: i64,
    /// Where the day begins in whose file the pages are.
    pub(crate) day_ms: i64,
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
        let connection = open_database(&path, "catalogue", VERSION, APPLICATION_ID, SCHEMA)?;
        Ok(Self {
            path,
            connection: Mutex::new(connection),
        })
    }

    fn failed(&self, doing: &str) -> impl FnOnce(rusqlite::Error) -> StoreError {
        database_error(doing, &self.path)
    }

    /// All sealed windows, in order of window and number.
    pub(crate) fn segments(&self) -> Result<Vec<Segment>, StoreError> {
        let connection = self.connection.lock();
        let read = || {
            let mut statement = connection.prepare(
                "SELECT id, window_ms, day_ms, journal, start_ms, end_ms, samples, bytes, series
                 FROM segments ORDER BY window_ms, id",
            )?;
            let rows = statement.query_map([], |row| {
                let series: Vec<u8> = row.get(8)?;
                let segment = Segment {
                    id: row.get(0)?,
                    window_ms: row.get(1)?,
                    day_ms: row.get(2)?,
                    journal: row.get::<_, i64>(3)? as u64,
                    start_ms: row.get(4)?,
                    end_ms: row.get(5)?,
                    samples: row.get::<_, i64>(6)? as u64,
                    bytes: row.get::<_, i64>(7)? as u64,
                    series: RoaringBitmap::new(),
                };
                Ok((segment, series))
            })?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        let rows = read().map_err(self.failed("read the segments in"))?;
        rows.into_iter()
            .map(|(segment, series)| {
                let series = RoaringBitmap::deserialize_from(&*series).map_err(|error| {
                    StoreError::Damaged(format!(
                        "{}: series of segment {}: {error}",
                        self.path.display(),
                        segment.id
                    ))
                })?;
                Ok(Segment { series, ..segment })
            })
            .collect()
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

    /// Hands over every series.
    pub(crate) fn load_series(
        &self,
        mut take: impl FnMut(SeriesId, Labels),
    ) -> Result<(), StoreError> {
        let connection = self.connection.lock();
        let mut statement = connection
            .prepare("SELECT first_id, body FROM series ORDER BY first_id")
            .map_err(self.failed("read the series in"))?;
        let mut rows = statement
            .query([])
            .map_err(self.failed("read the series in"))?;
        while let Some(row) = rows.next().map_err(self.failed("read the series in"))? {
            let read = || -> rusqlite::Result<(u32, Vec<u8>)> { Ok((row.get(0)?, row.get(1)?)) };
            let (first, body) = read().map_err(self.failed("read the series in"))?;
            let damaged = |what: &dyn std::fmt::Display| {
                StoreError::Damaged(format!(
                    "{}: series from {first}: {what}",
                    self.path.display()
                ))
            };
            let raw = blob::unpack(&body, blob::LARGE_BYTES_MAX).map_err(|e| damaged(&e))?;
            decode_series(&raw, &mut take).map_err(|e| damaged(&e))?;
        }
        Ok(())
    }

    /// Adds new series and, where there is one, a sealed window, in one transaction.
    pub(crate) fn commit(
        &self,
        series: &[(SeriesId, Labels)],
        segment: Option<&Segment>,
    ) -> Result<(), StoreError> {
        let batches: Vec<(SeriesId, SeriesId, Vec<u8>)> = series
            .chunks(SERIES_BATCH)
            .filter_map(|batch| {
                let (first, last) = (batch.first()?.0, batch.last()?.0);
                Some((first, last, blob::pack(&encode_series(batch))))
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
            if let Some(segment) = segment {
                let mut ids = Vec::with_capacity(segment.series.serialized_size());
                segment
                    .series
                    .serialize_into(&mut ids)
                    .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
                transaction.execute(
                    "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    params![
                        segment.id,
                        segment.window_ms,
                        segment.day_ms,
                        segment.journal as i64,
                        segment.start_ms,
                        segment.end_ms,
                        segment.samples as i64,
                        segment.bytes as i64,
                        ids
                    ],
                )?;
            }
            transaction.commit()
        };
        write().map_err(self.failed("write"))
    }

    /// Forgets the sealed windows of a day.
    pub(crate) fn drop_day(&self, day_ms: i64) -> Result<(), StoreError> {
        self.connection
            .lock()
            .execute("DELETE FROM segments WHERE day_ms = ?", [day_ms])
            .map(|_| ())
            .map_err(self.failed("drop a day in"))
    }

    /// Deletes the rows of series none of which is in `keep`.
    pub(crate) fn drop_series_outside(&self, keep: &RoaringBitmap) -> Result<(), StoreError> {
        let mut connection = self.connection.lock();
        let mut write = || {
            let transaction = connection.transaction()?;
            let batches: Vec<(u32, u32)> = transaction
                .prepare("SELECT first_id, last_id FROM series")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            for (first, last) in batches {
                if keep.range_cardinality(first..=last) == 0 {
                    transaction.execute("DELETE FROM series WHERE first_id = ?", [first])?;
                }
            }
            transaction.commit()
        };
        write().map_err(self.failed("drop series in"))
    }

    /// What metric families mean.
    pub(crate) fn families(&self) -> Result<BTreeMap<String, MetricMetadata>, StoreError> {
        let connection = self.connection.lock();
        let read = || {
            let mut statement =
                connection.prepare("SELECT name, kind, help, unit FROM families")?;
            let rows = statement.query_map([], |row| {
                let (kind, help, unit): (String, String, String) =
                    (row.get(1)?, row.get(2)?, row.get(3)?);
                let metadata = MetricMetadata {
                    kind: kind_of(&kind),
                    help: help.into(),
                    unit: unit.into(),
                };
                Ok((row.get(0)?, metadata))
            })?;
            rows.collect::<Result<_, _>>()
        };
        read().map_err(self.failed("read the metric families in"))
    }

    /// Remembers what metric families mean.
    pub(crate) fn put_families(
        &self,
        families: &[(String, MetricMetadata)],
    ) -> Result<(), StoreError> {
        let mut connection = self.connection.lock();
        let mut write = || {
            let transaction = connection.transaction()?;
            for (name, metadata) in families {
                transaction.execute(
                    "INSERT OR REPLACE INTO families VALUES (?, ?, ?, ?)",
                    params![
                        name,
                        metadata.kind.as_str(),
                        &*metadata.help,
                        &*metadata.unit
                    ],
                )?;
            }
            transaction.commit()
        };
        write().map_err(self.failed("write the metric families in"))
    }
}

fn kind_of(word: &str) -> MetricKind {
    [
        MetricKind::Counter,
        MetricKind::Gauge,
        MetricKind::Histogram,
        MetricKind::GaugeHistogram,
        MetricKind::Summary,
        MetricKind::Info,
        MetricKind::StateSet,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == word)
    .unwrap_or_default()
}

/// Opens a database of this store: makes it where it is missing, refuses a newer one.
pub(crate) fn open_database(
    path: &Path,
    what: &str,
    version: i64,
    application_id: i64,
    schema: &str,
) -> Result<Connection, StoreError> {
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
    if found > version {
        return Err(StoreError::Refused(format!(
            "{} was written by a newer Yagura ({what} version {found}, this one reads up to \
             {version}): start the newer one again",
            path.display()
        )));
    }
    if found == 0 {
        let mut make = || {
            let transaction = connection.transaction()?;
            transaction.execute_batch(schema)?;
            transaction.pragma_update(None, "application_id", application_id)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()
        };
        make().map_err(database_error("set up", path))?;
    }
    Ok(connection)
}

/// Numbers and labels; each text stands once and is then called by its place.
fn encode_series(series: &[(SeriesId, Labels)]) -> Vec<u8> {
    let mut places: FxHashMap<&str, u64> = FxHashMap::default();
    let mut out = Vec::new();
    put_varint(&mut out, series.len() as u64);
    let mut last = 0;
    for (id, labels) in series {
        put_varint(&mut out, u64::from(id.wrapping_sub(last)));
        last = *id;
        put_varint(&mut out, labels.len() as u64);
        for label in labels {
            for text in [&*label.name, &*label.value] {
                let next = places.len() as u64 + 1;
                if let Some(place) = places.get(text) {
                    put_varint(&mut out, *place);
                } else {
                    places.insert(text, next);
                    out.push(0);
                    put_text(&mut out, text);
                }
            }
        }
    }
    out
}

fn decode_series(raw: &[u8], take: &mut impl FnMut(SeriesId, Labels)) -> Result<(), CodecError> {
    let mut reader = Reader::new(raw);
    let mut texts: Vec<std::sync::Arc<str>> = Vec::new();
    let mut id: SeriesId = 0;
    for _ in 0..reader.varint()? {
        id = id.wrapping_add(reader.varint()? as u32);
        let mut text = |reader: &mut Reader<'_>| match reader.varint()? {
            0 => {
                let text: std::sync::Arc<str> = reader.text()?.into();
                texts.push(text.clone());
                Ok(text)
            }
            place => texts
                .get(place as usize - 1)
                .cloned()
                .ok_or(CodecError::Malformed("an unknown text")),
        };
        let mut pairs = Vec::new();
        for _ in 0..reader.varint()? {
            pairs.push((text(&mut reader)?, text(&mut reader)?));
        }
        take(id, Labels::from_pairs(pairs));
    }
    Ok(())
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
            catalogue.commit(&all, Some(&segment)).expect("commits");
        }
        let catalogue = Catalogue::open(dir.path()).expect("opens");
        assert_eq!(load(&catalogue), all);
        let segments = catalogue.segments().expect("reads");
        assert_eq!(segments.len(), 1);
        assert_eq!(format!("{:?}", segments[0]), format!("{segment:?}"));
        catalogue.drop_day(0).expect("drops");
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
    fn families_come_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let catalogue = Catalogue::open(dir.path()).expect("opens");
        let metadata = MetricMetadata {
            kind: MetricKind::GaugeHistogram,
            help: "What?".into(),
            unit: "bytes".into(),
        };
        catalogue
            .put_families(&[("f".to_owned(), metadata.clone())])
            .expect("writes");
        let families = catalogue.families().expect("reads");
        assert_eq!(families.get("f"), Some(&metadata));
    }
}
