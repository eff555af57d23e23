//! Lines in memory, answered line by line as [`crate::Filter::matches`] would have it: for tests
//! of whoever asks a [`LogReader`], and the yardstick for those who keep lines better.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use model::{Labels, StoreError};

use crate::fields::{LineFields, is_envelope};
use crate::matches::LineView;
use crate::query::{LEVEL, Query};
use crate::reader::{
    Bucket, Cursor, Direction, Facet, LogReader, LogStoreStats, Record, RecordHandler, Search,
    SearchSummary, Subscription,
};

/// Lines that are all kept in memory.
#[derive(Default)]
pub struct MemoryReader {
    records: RwLock<Vec<Record>>,
    followers: Arc<Mutex<Followers>>,
}

#[derive(Default)]
struct Followers {
    next: u64,
    all: BTreeMap<u64, (Arc<Query>, Box<RecordHandler<'static>>)>,
}

/// The place of a line in the order of all lines.
fn place(record: &Record) -> (i64, u64, u64) {
    (record.time_ns, record.labels.fingerprint(), record.sequence)
}

impl MemoryReader {
    /// Keeps these lines.
    pub fn new(mut records: Vec<Record>) -> Self {
        records.sort_by_key(place);
        Self {
            records: RwLock::new(records),
            followers: Arc::default(),
        }
    }

    /// Adds a line and hands it to those who follow.
    pub fn push(&self, record: Record) {
        let mut followers = self
            .followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        followers.all.retain(|_, (query, handler)| {
            let view = LineView::new(&record.labels, record.level, &record.text);
            !query.filter.matches(&view) || handler(record.clone()).is_continue()
        });
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        let at = records.partition_point(|other| place(other) <= place(&record));
        records.insert(at, record);
    }

    /// The lines that a search finds, in its order, without its limit.
    fn found(&self, search: &Search) -> Vec<Record> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Record> = records
            .iter()
            .filter(|record| {
                let view = LineView::new(&record.labels, record.level, &record.text);
                record.time_ns >= search.start_ns
                    && record.time_ns < search.end_ns
                    && search.query.filter.matches(&view)
            })
            .cloned()
            .collect();
        if search.direction == Direction::Backward {
            found.reverse();
        }
        if let Some(Cursor {
            time_ns,
            stream,
            sequence,
        }) = search.after
        {
            let after = (time_ns, stream, sequence);
            found.retain(|record| match search.direction {
                Direction::Backward => place(record) < after,
                Direction::Forward => place(record) > after,
            });
        }
        found
    }
}

impl LogReader for MemoryReader {
    fn search(
        &self,
        search: &Search,
        handler: &mut RecordHandler<'_>,
    ) -> Result<SearchSummary, StoreError> {
        let found = self.found(search);
        let mut summary = SearchSummary {
            lines_scanned: found.len() as u64,
            limit_reached: found.len() > search.limit,
            ..SearchSummary::default()
        };
        for record in found.into_iter().take(search.limit) {
            if search.stop.is_stopped() {
                return Err(StoreError::Cancelled);
            }
            summary.lines += 1;
            if let ControlFlow::Break(()) = handler(record) {
                break;
            }
        }
        Ok(summary)
    }

    fn histogram(&self, search: &Search, step_ns: i64) -> Result<Vec<Bucket>, StoreError> {
        let first = search.start_ns.div_euclid(step_ns);
        let last = search.end_ns.saturating_sub(1).div_euclid(step_ns);
        let mut buckets: Vec<Bucket> = (first..=last)
            .map(|n| Bucket {
                start_ns: n * step_ns,
                counts: [0; 7],
            })
            .collect();
        for record in self.found(&Search {
            after: None,
            ..search.clone()
        }) {
            let at = usize::try_from(record.time_ns.div_euclid(step_ns) - first);
            let bucket = at.ok().and_then(|at| buckets.get_mut(at));
            if let Some(count) = bucket.and_then(|b| b.counts.get_mut(record.level as usize)) {
                *count += 1;
            }
        }
        Ok(buckets)
    }

    fn facets(&self, search: &Search, values_max: usize) -> Result<Vec<Facet>, StoreError> {
        let newest = Search {
            direction: Direction::Backward,
            after: None,
            ..search.clone()
        };
        let mut counts: BTreeMap<(u8, String), BTreeMap<String, u64>> = BTreeMap::new();
        for (n, record) in self.found(&newest).iter().enumerate() {
            let mut add = |rank, name: &str, value: &str| {
                let values = counts.entry((rank, name.to_owned())).or_default();
                *values.entry(value.to_owned()).or_default() += 1;
            };
            add(0, LEVEL, record.level.as_str());
            for label in &record.labels {
                add(1, &label.name, &label.value);
            }
            let fields = (n < search.limit).then(|| LineFields::of(&record.text));
            for (name, value) in fields.iter().flat_map(LineFields::without_message) {
                if !is_envelope(name) {
                    add(2, name, value);
                }
            }
        }
        Ok(counts
            .into_iter()
            .map(|((rank, name), values)| {
                let mut values: Vec<_> = values.into_iter().collect();
                values.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
                let more_values = values.len().saturating_sub(values_max) as u64;
                values.truncate(values_max);
                Facet {
                    name,
                    values,
                    more_values,
                    whole: rank < 2,
                }
            })
            .collect())
    }

    fn streams(&self, start_ns: i64, end_ns: i64) -> Result<Vec<Labels>, StoreError> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let mut streams: Vec<Labels> = records
            .iter()
            .filter(|record| record.time_ns >= start_ns && record.time_ns < end_ns)
            .map(|record| record.labels.clone())
            .collect();
        streams.sort();
        streams.dedup();
        Ok(streams)
    }

    fn tail(
        &self,
        query: Arc<Query>,
        handler: Box<RecordHandler<'static>>,
    ) -> Result<Subscription, StoreError> {
        let mut followers = self
            .followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let id = followers.next;
        followers.next += 1;
        followers.all.insert(id, (query, handler));
        let all = Arc::downgrade(&self.followers);
        Ok(Subscription::new(move || {
            if let Some(all) = all.upgrade() {
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                all.all.remove(&id);
            }
        }))
    }

    fn stats(&self) -> LogStoreStats {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let text_bytes = records.iter().map(|r| r.text.len() as u64).sum();
        LogStoreStats {
            lines: records.len() as u64,
            text_bytes,
            open_bytes: text_bytes,
            oldest_ns: records.first().map_or(0, |r| r.time_ns),
            newest_ns: records.last().map_or(0, |r| r.time_ns),
            ..LogStoreStats::default()
        }
    }
}
