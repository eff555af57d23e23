//! The reading side: answers `log_query`'s questions from snapshots of the store.

use std::collections::BTreeSet;
use std::sync::Arc;

use log_query::{
    Bucket, Facet, Fold, LogReader, LogStoreStats, NewFold, Query, RecordHandler, Search,
    SearchSummary, Stop, Subscription, Wanted,
};
use model::{Labels, StoreError, StreamId};

use crate::search::scan::Window;
use crate::store::LogStore;
use crate::{facets, histogram, patterns, search};

impl LogReader for LogStore {
    fn search(
        &self,
        asked: &Search,
        handler: &mut RecordHandler<'_>,
    ) -> Result<SearchSummary, StoreError> {
        search::search(&self.snapshot(), asked, &self.metrics, handler)
    }

    fn histogram(&self, asked: &Search, step_ns: i64) -> Result<Vec<Bucket>, StoreError> {
        histogram::histogram(&self.snapshot(), asked, step_ns, &self.metrics)
    }

    fn facets(&self, asked: &Search, values_max: usize) -> Result<Vec<Facet>, StoreError> {
        facets::facets(&self.snapshot(), asked, values_max, &self.metrics)
    }

    fn first_seen(&self, asked: &[u64], stop: &Stop) -> Result<Vec<Option<i64>>, StoreError> {
        patterns::first_seen(&self.snapshot(), asked, stop, &self.metrics)
    }

    fn fold(
        &self,
        asked: &Search,
        wanted: &Wanted,
        new: &NewFold<'_>,
    ) -> Result<(Box<dyn Fold>, SearchSummary), StoreError> {
        search::fold::fold(&self.snapshot(), asked, wanted, new, &self.metrics)
    }

    fn streams(&self, start_ns: i64, end_ns: i64) -> Result<Vec<Labels>, StoreError> {
        let window = Window { start_ns, end_ns };
        let snapshot = self.snapshot();
        let mut ids: BTreeSet<StreamId> = BTreeSet::new();
        for (id, segment) in &snapshot.open {
            // Only whole blocks have a table to look times up in; segments are small.
            let times = segment.lines.times();
            if !ids.contains(id) && times.iter().any(|time_ns| window.contains(*time_ns)) {
                ids.insert(*id);
            }
        }
        for partition in snapshot.partitions.iter() {
            for block in &partition.blocks {
                // A block whose times reach over the range may have none in it; with counts per
                // minute that is told to the minute.
                if !ids.contains(&block.stream) && block.may_have_lines_in(window) {
                    ids.insert(block.stream);
                }
            }
        }
        let mut labels: Vec<Labels> = ids
            .into_iter()
            .filter_map(|id| snapshot.labels(id))
            .collect();
        labels.sort_unstable();
        Ok(labels)
    }

    fn tail(
        &self,
        query: Arc<Query>,
        handler: Box<RecordHandler<'static>>,
    ) -> Result<Subscription, StoreError> {
        self.tails().add(query, handler)
    }

    fn stats(&self) -> LogStoreStats {
        self.count_all()
    }
}
