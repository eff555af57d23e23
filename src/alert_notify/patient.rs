//! What must survive a restart, while it cannot be written: on a full disk it is kept in memory,
//! so that nobody is told twice and nothing is forgotten, and written once that is possible.
//!
//! Silences are the exception: who makes one is told that it was not kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::time;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;

use crate::state::{Kind, NotificationEntry, NotificationState, StateError};

/// Entries, and alerts, that wait to be written, at most.
const WAITING_MAX: usize = 20_000;

/// Group and receiver, what the latter was told of the former, and until when that counts.
type Told = BTreeMap<(String, String), (NotificationEntry, i64)>;

/// What waits to be written.
#[derive(Debug, Default)]
struct Waiting {
    told: Told,
    /// Documents of alerts by id; `None` for one that is to be forgotten.
    alerts: BTreeMap<String, Option<String>>,
    /// Why, and since when.
    trouble: Option<(String, i64)>,
}

/// A state that cannot always be written.
pub(crate) struct Patient {
    inner: Arc<dyn NotificationState>,
    waiting: Mutex<Waiting>,
    failures: Counter,
}

impl Patient {
    pub(crate) fn new(inner: Arc<dyn NotificationState>, failures: Counter) -> Self {
        Self {
            inner,
            waiting: Mutex::default(),
            failures,
        }
    }

    /// Why the last write failed, and since when none went well, milliseconds since 1970-01-01
    /// UTC.
    pub(crate) fn trouble(&self) -> Option<(String, i64)> {
        self.waiting.lock().trouble.clone()
    }

    /// Writes what waits, if anything does.
    pub(crate) fn try_again(&self) {
        let mut waiting = self.waiting.lock();
        if waiting.told.is_empty() && waiting.alerts.is_empty() {
            return;
        }
        let result = self.write(&mut waiting);
        self.note(&mut waiting, result);
    }

    fn write(&self, waiting: &mut Waiting) -> Result<(), StateError> {
        if !waiting.alerts.is_empty() {
            let put: Vec<(String, String)> = waiting
                .alerts
                .iter()
                .filter_map(|(id, document)| Some((id.clone(), document.clone()?)))
                .collect();
            let gone = waiting.alerts.iter().filter(|(_, d)| d.is_none());
            let remove: Vec<String> = gone.map(|(id, _)| id.clone()).collect();
            self.inner.change_documents(Kind::Alert, &put, &remove)?;
            waiting.alerts.clear();
        }
        while let Some(((group, receiver), (entry, expires_ms))) = waiting.told.pop_first() {
            let written = self.inner.put_entry(&group, &receiver, &entry, expires_ms);
            if let Err(error) = written {
                waiting.told.insert((group, receiver), (entry, expires_ms));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Says it once when it begins and once when it is over.
    fn note(&self, waiting: &mut Waiting, result: Result<(), StateError>) {
        match result {
            Ok(()) => {
                if waiting.trouble.take().is_some() {
                    tracing::info!("what alerting must remember can be written again");
                }
            }
            Err(error) => {
                self.failures.inc();
                let error = error.to_string();
                if waiting.trouble.is_none() {
                    tracing::error!(
                        error,
                        "cannot write what alerting must remember: it is kept in memory until it can"
                    );
                }
                let since_ms = waiting.trouble.as_ref().map(|(_, since_ms)| *since_ms);
                waiting.trouble = Some((error, since_ms.unwrap_or_else(time::now_ms)));
            }
        }
    }
}

impl NotificationState for Patient {
    fn entry(
        &self,
        group_key: &str,
        receiver: &str,
    ) -> Result<Option<NotificationEntry>, StateError> {
        let key = (group_key.to_owned(), receiver.to_owned());
        if let Some((entry, _)) = self.waiting.lock().told.get(&key) {
            return Ok(Some(entry.clone()));
        }
        self.inner.entry(group_key, receiver)
    }

    fn put_entry(
        &self,
        group_key: &str,
        receiver: &str,
        entry: &NotificationEntry,
        expires_ms: i64,
    ) -> Result<(), StateError> {
        let mut waiting = self.waiting.lock();
        let key = (group_key.to_owned(), receiver.to_owned());
        if waiting.told.len() >= WAITING_MAX && !waiting.told.contains_key(&key) {
            return Err("too much waits to be written".into());
        }
        waiting.told.insert(key, (entry.clone(), expires_ms));
        let result = self.write(&mut waiting);
        self.note(&mut waiting, result);
        Ok(())
    }

    fn documents(&self, kind: Kind) -> Result<Vec<(String, String)>, StateError> {
        self.inner.documents(kind)
    }

    fn change_documents(
        &self,
        kind: Kind,
        put: &[(String, String)],
        remove: &[String],
    ) -> Result<(), StateError> {
        if kind == Kind::Silence {
            return self.inner.change_documents(kind, put, remove);
        }
        let mut waiting = self.waiting.lock();
        if waiting.alerts.len() + put.len() + remove.len() > WAITING_MAX {
            return Err("too much waits to be written".into());
        }
        for id in remove {
            waiting.alerts.insert(id.clone(), None);
        }
        for (id, document) in put {
            waiting.alerts.insert(id.clone(), Some(document.clone()));
        }
        let result = self.write(&mut waiting);
        self.note(&mut waiting, result);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::state::MemoryState;

    /// A state on a disk that may be full.
    #[derive(Default)]
    struct Disk {
        is_full: AtomicBool,
        kept: MemoryState,
    }

    impl Disk {
        fn room(&self) -> Result<(), StateError> {
            if self.is_full.load(Ordering::Relaxed) {
                return Err("database or disk is full".into());
            }
            Ok(())
        }
    }

    impl NotificationState for Disk {
        fn entry(&self, group: &str, to: &str) -> Result<Option<NotificationEntry>, StateError> {
            self.kept.entry(group, to)
        }

        fn put_entry(
            &self,
            group: &str,
            to: &str,
            entry: &NotificationEntry,
            expires_ms: i64,
        ) -> Result<(), StateError> {
            self.room()?;
            self.kept.put_entry(group, to, entry, expires_ms)
        }

        fn documents(&self, kind: Kind) -> Result<Vec<(String, String)>, StateError> {
            self.kept.documents(kind)
        }

        fn change_documents(
            &self,
            kind: Kind,
            put: &[(String, String)],
            remove: &[String],
        ) -> Result<(), StateError> {
            self.room()?;
            self.kept.change_documents(kind, put, remove)
        }
    }

    #[test]
    fn what_a_full_disk_refuses_is_known_and_written_later() {
        let disk = Arc::new(Disk::default());
        let patient = Patient::new(disk.clone(), Counter::default());
        let document = |id: &str, text: &str| [(id.to_owned(), text.to_owned())];
        let change = |kind, put: &[(String, String)], remove: &[&str]| {
            let remove: Vec<String> = remove.iter().map(ToString::to_string).collect();
            patient.change_documents(kind, put, &remove)
        };
        change(Kind::Alert, &document("old", "1"), &[]).expect("kept");
        disk.is_full.store(true, Ordering::Relaxed);
        let told = NotificationEntry {
            firing: [7].into(),
            ..NotificationEntry::default()
        };
        patient.put_entry("g", "r", &told, 100).expect("in memory");
        change(Kind::Alert, &document("new", "2"), &["old"]).expect("in memory");
        change(Kind::Silence, &document("s", "3"), &[]).expect_err("its maker must know");
        // Who was told is known, so nobody is told twice.
        assert_eq!(patient.entry("g", "r").expect("read"), Some(told.clone()));
        let (why, since_ms) = patient.trouble().expect("trouble");
        assert!(why.contains("full") && since_ms > 0, "{why}");
        patient.try_again();
        assert_eq!(patient.trouble().expect("trouble").1, since_ms);

        disk.is_full.store(false, Ordering::Relaxed);
        patient.try_again();
        assert_eq!(patient.trouble(), None);
        assert_eq!(disk.entry("g", "r").expect("read"), Some(told));
        let kept = disk.documents(Kind::Alert).expect("read");
        assert_eq!(kept, document("new", "2"));
    }
}
