//! What was deleted: hidden from every reader until nothing on disk holds it any more.

use model::StoreError;
use roaring::RoaringBitmap;
use rusqlite::params;

use super::{Catalogue, bytes_of};

/// Samples of some series that count as gone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tombstone {
    pub(crate) id: u32,
    /// The first time that is hidden.
    pub(crate) start_ms: i64,
    /// The last one.
    pub(crate) end_ms: i64,
    pub(crate) series: RoaringBitmap,
}

impl Catalogue {
    /// All tombstones, oldest first.
    pub(crate) fn tombstones(&self) -> Result<Vec<Tombstone>, StoreError> {
        let rows = {
            let connection = self.connection.lock();
            let read = || {
                let mut statement = connection
                    .prepare("SELECT id, start_ms, end_ms, series FROM tombstones ORDER BY id")?;
                let rows = statement.query_map([], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?;
                rows.collect::<Result<Vec<(u32, i64, i64, Vec<u8>)>, _>>()
            };
            read().map_err(self.failed("read the tombstones in"))?
        };
        rows.into_iter()
            .map(|(id, start_ms, end_ms, series)| {
                Ok(Tombstone {
                    id,
                    start_ms,
                    end_ms,
                    series: self.set_of(&series, "series of tombstone", id)?,
                })
            })
            .collect()
    }

    /// Remembers a tombstone; returns its number.
    pub(crate) fn put_tombstone(
        &self,
        series: &RoaringBitmap,
        start_ms: i64,
        end_ms: i64,
    ) -> Result<u32, StoreError> {
        let connection = self.connection.lock();
        let write = || {
            connection.execute(
                "INSERT INTO tombstones (start_ms, end_ms, series) VALUES (?, ?, ?)",
                params![start_ms, end_ms, bytes_of(series)?],
            )?;
            Ok(connection.last_insert_rowid() as u32)
        };
        write().map_err(self.failed("write a tombstone to"))
    }

    /// Forgets tombstones that hide nothing any more.
    pub(crate) fn drop_tombstones(&self, ids: &[u32]) -> Result<(), StoreError> {
        let mut connection = self.connection.lock();
        let mut write = || {
            let transaction = connection.transaction()?;
            for id in ids {
                transaction.execute("DELETE FROM tombstones WHERE id = ?", [id])?;
            }
            transaction.commit()
        };
        write().map_err(self.failed("drop tombstones in"))
    }
}
