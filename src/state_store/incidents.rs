//! Incidents: what was found out when an alert began to fire, and which receivers were told.
//!
//! Both are kept for [`RETENTION_MS`], and no more than [`INCIDENTS_MAX`] and [`TOLD_MAX`] of
//! them: the oldest go first.

use rusqlite::{OptionalExtension, Row, params};

use crate::{StateError, StateStore};

/// Incidents that are over are kept for so long, milliseconds: 180 days.
pub(crate) const RETENTION_MS: i64 = 180 * 86_400_000;

/// The most incidents.
pub const INCIDENTS_MAX: usize = 5_000;

/// The most entries of who was told what.
pub const TOLD_MAX: usize = 50_000;

/// The largest document of an incident, bytes. All together stay below 160 MB, and as they are
/// mostly a tenth of this, below 20.
pub const DOCUMENT_BYTES_MAX: usize = 32 << 10;

/// An alert from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Incident {
    /// Fingerprint of its labels as Alertmanager computes it, 16 hex digits.
    pub fingerprint: String,
    /// Milliseconds since 1970-01-01 UTC.
    pub started_ms: i64,
    /// `None` while it fires.
    pub ended_ms: Option<i64>,
    /// What was found out, as JSON.
    pub document: String,
}

/// A receiver that was told of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Name of the receiver, a slash, the way: `team/slack[0]`.
    pub receiver: String,
    /// Milliseconds since 1970-01-01 UTC.
    pub told_ms: i64,
    /// Whether it was told that the alert is over.
    pub resolved: bool,
}

fn incident(row: &Row<'_>) -> rusqlite::Result<Incident> {
    Ok(Incident {
        fingerprint: row.get(0)?,
        started_ms: row.get(1)?,
        ended_ms: row.get(2)?,
        document: row.get(3)?,
    })
}

impl StateStore {
    /// Keeps an incident, or what is new about one that is there; forgets the oldest beyond the
    /// limits.
    ///
    /// # Errors
    /// `TooLarge` for a document beyond [`DOCUMENT_BYTES_MAX`].
    pub fn put_incident(&self, new: &Incident) -> Result<(), StateError> {
        if new.document.len() > DOCUMENT_BYTES_MAX {
            return Err(StateError::TooLarge {
                what: format!("the incident of alert {}", new.fingerprint),
                bytes: new.document.len(),
                max: DOCUMENT_BYTES_MAX,
            });
        }
        self.with("write an incident", |connection| {
            let transaction = connection.unchecked_transaction()?;
            transaction
                .prepare_cached(
                    "INSERT INTO incidents (fingerprint, started_ms, ended_ms, document)
                     VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (fingerprint, started_ms) DO UPDATE
                     SET ended_ms = excluded.ended_ms, document = excluded.document",
                )?
                .execute(params![
                    new.fingerprint,
                    new.started_ms,
                    new.ended_ms,
                    new.document
                ])?;
            transaction
                .prepare_cached(
                    "DELETE FROM incidents WHERE ended_ms < ?1 OR started_ms < (
                         SELECT started_ms FROM incidents ORDER BY started_ms DESC
                         LIMIT 1 OFFSET ?2)",
                )?
                .execute(params![
                    new.started_ms.saturating_sub(RETENTION_MS),
                    INCIDENTS_MAX as i64 - 1
                ])?;
            transaction.commit()
        })
    }

    /// Says that an incident is over.
    pub fn end_incident(
        &self,
        fingerprint: &str,
        started_ms: i64,
        ended_ms: i64,
    ) -> Result<(), StateError> {
        self.with("end an incident", |connection| {
            connection
                .prepare_cached(
                    "UPDATE incidents SET ended_ms = ?3
                     WHERE fingerprint = ?1 AND started_ms = ?2 AND ended_ms IS NULL",
                )?
                .execute(params![fingerprint, started_ms, ended_ms])
                .map(drop)
        })
    }

    /// Incidents that began before a time, newest first.
    pub fn incidents_before(
        &self,
        before_ms: i64,
        limit: usize,
    ) -> Result<Vec<Incident>, StateError> {
        self.with("read incidents", |connection| {
            connection
                .prepare_cached(
                    "SELECT fingerprint, started_ms, ended_ms, document FROM incidents
                     WHERE started_ms < ?1 ORDER BY started_ms DESC, fingerprint LIMIT ?2",
                )?
                .query_map(params![before_ms, limit as i64], incident)?
                .collect()
        })
    }

    /// The incidents of one alert, newest first.
    pub fn incidents_of(
        &self,
        fingerprint: &str,
        limit: usize,
    ) -> Result<Vec<Incident>, StateError> {
        self.with("read the incidents of an alert", |connection| {
            connection
                .prepare_cached(
                    "SELECT fingerprint, started_ms, ended_ms, document FROM incidents
                     WHERE fingerprint = ?1 ORDER BY started_ms DESC LIMIT ?2",
                )?
                .query_map(params![fingerprint, limit as i64], incident)?
                .collect()
        })
    }

    /// Incidents that nobody has ended: fingerprint and beginning.
    pub fn open_incidents(&self) -> Result<Vec<(String, i64)>, StateError> {
        self.with("read open incidents", |connection| {
            connection
                .prepare_cached(
                    "SELECT fingerprint, started_ms FROM incidents WHERE ended_ms IS NULL",
                )?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// Remembers that a receiver was told of alerts (xxh3-64 of their labels).
    pub fn put_told(
        &self,
        receiver: &str,
        alerts: impl IntoIterator<Item = (u64, bool)>,
        told_ms: i64,
    ) -> Result<(), StateError> {
        self.with("write who was told", |connection| {
            let transaction = connection.unchecked_transaction()?;
            let mut insert = transaction.prepare_cached(
                "INSERT OR REPLACE INTO told (alert, receiver, told_ms, resolved)
                 VALUES (?1, ?2, ?3, ?4)",
            )?;
            for (alert, resolved) in alerts {
                insert.execute(params![
                    format!("{alert:016x}"),
                    receiver,
                    told_ms,
                    resolved
                ])?;
            }
            drop(insert);
            transaction
                .prepare_cached(
                    "DELETE FROM told WHERE told_ms < ?1 OR told_ms < (
                         SELECT told_ms FROM told ORDER BY told_ms DESC LIMIT 1 OFFSET ?2)",
                )?
                .execute(params![
                    told_ms.saturating_sub(RETENTION_MS),
                    TOLD_MAX as i64 - 1
                ])?;
            transaction.commit()
        })
    }

    /// Who was told of an alert since a time, newest first.
    pub fn told(&self, alert: u64, since_ms: i64, limit: usize) -> Result<Vec<Told>, StateError> {
        self.with("read who was told", |connection| {
            connection
                .prepare_cached(
                    "SELECT receiver, told_ms, resolved FROM told
                     WHERE alert = ?1 AND told_ms >= ?2 ORDER BY told_ms DESC, receiver LIMIT ?3",
                )?
                .query_map(
                    params![format!("{alert:016x}"), since_ms, limit as i64],
                    |row| {
                        Ok(Told {
                            receiver: row.get(0)?,
                            told_ms: row.get(1)?,
                            resolved: row.get(2)?,
                        })
                    },
                )?
                .collect()
        })
    }

    /// How many incidents are kept.
    pub fn incidents_len(&self) -> Result<u64, StateError> {
        self.with("count incidents", |connection| {
            let n: Option<i64> = connection
                .prepare_cached("SELECT count(*) FROM incidents")?
                .query_row([], |row| row.get(0))
                .optional()?;
            Ok(n.unwrap_or(0).unsigned_abs())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident(fingerprint: &str, started_ms: i64) -> Incident {
        Incident {
            fingerprint: fingerprint.to_owned(),
            started_ms,
            ended_ms: None,
            document: "{}".to_owned(),
        }
    }

    #[test]
    fn incidents_survive_and_end_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("state.db");
        let store = StateStore::open(&path).expect("a database");
        for one in [incident("a", 10), incident("b", 20), incident("a", 30)] {
            store.put_incident(&one).expect("kept");
        }
        store.end_incident("a", 10, 15).expect("ended");
        store.end_incident("a", 10, 99).expect("ended before");
        drop(store);
        let store = StateStore::open(&path).expect("the database");
        let starts = |list: Vec<Incident>| list.iter().map(|i| i.started_ms).collect::<Vec<_>>();
        assert_eq!(
            starts(store.incidents_before(i64::MAX, 9).expect("read")),
            [30, 20, 10]
        );
        assert_eq!(starts(store.incidents_before(30, 1).expect("read")), [20]);
        let of_a = store.incidents_of("a", 9).expect("read");
        assert_eq!(of_a[1].ended_ms, Some(15));
        let mut open = store.open_incidents().expect("read");
        open.sort();
        assert_eq!(open, [("a".to_owned(), 30), ("b".to_owned(), 20)]);
    }

    #[test]
    fn what_is_old_or_too_large_is_not_kept() {
        let store = StateStore::open(":memory:").expect("a database");
        let old = Incident {
            ended_ms: Some(50),
            ..incident("old", 10)
        };
        store.put_incident(&old).expect("kept");
        store.put_incident(&incident("open", 20)).expect("kept");
        let now = incident("new", RETENTION_MS + 100);
        store.put_incident(&now).expect("kept");
        assert_eq!(store.incidents_len().expect("counted"), 2);
        let huge = Incident {
            document: "x".repeat(DOCUMENT_BYTES_MAX + 1),
            ..incident("huge", 1)
        };
        let error = store.put_incident(&huge).expect_err("refused");
        assert!(error.to_string().contains("alert huge"), "{error}");
    }

    #[test]
    fn only_the_newest_incidents_are_kept() {
        let store = StateStore::open(":memory:").expect("a database");
        for start in 0..INCIDENTS_MAX as i64 + 10 {
            store.put_incident(&incident("a", start)).expect("kept");
        }
        assert_eq!(
            store.incidents_len().expect("counted"),
            INCIDENTS_MAX as u64
        );
        let newest = store.incidents_of("a", 1).expect("read");
        assert_eq!(newest[0].started_ms, INCIDENTS_MAX as i64 + 9);
    }

    #[test]
    fn who_was_told_is_remembered_by_alert() {
        let store = StateStore::open(":memory:").expect("a database");
        store
            .put_told("r/webhook[0]", [(1, false), (2, false)], 10)
            .expect("kept");
        store
            .put_told("r/webhook[0]", [(1, true)], 20)
            .expect("kept");
        let told = store.told(1, 0, 9).expect("read");
        let shown: Vec<(i64, bool)> = told.iter().map(|t| (t.told_ms, t.resolved)).collect();
        assert_eq!(shown, [(20, true), (10, false)]);
        assert_eq!(store.told(1, 15, 9).expect("read").len(), 1);
        store
            .put_told("r/webhook[0]", [(3, false)], RETENTION_MS + 100)
            .expect("kept");
        assert_eq!(store.told(1, 0, 9).expect("read"), []);
    }
}
