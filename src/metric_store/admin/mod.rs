//! The store's third side, beside writing and reading: who has so many series, what is to be
//! forgotten, a copy of everything.
//!
//! [`cardinality`] counts, [`tombstones`] hides what was deleted and rewrites what holds it,
//! [`snapshot`] copies a store that goes on working, [`check`] verifies one that nobody has open.

pub(crate) mod cardinality;
pub(crate) mod check;
mod snapshot;
pub(crate) mod tombstones;

use std::path::Path;

use model::{Cardinality, Matcher, SeriesAdmin, StoreError};

use crate::store::MetricStore;

impl SeriesAdmin for MetricStore {
    fn cardinality(&self, limit: usize) -> Result<Cardinality, StoreError> {
        Ok(self.shared().cardinality(limit))
    }

    fn delete_series(
        &self,
        selectors: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<u64, StoreError> {
        self.shared().delete_series(selectors, start_ms, end_ms)
    }

    fn clean_tombstones(&self) -> Result<(), StoreError> {
        self.shared().clean_tombstones()
    }

    fn snapshot(&self, folder: &Path) -> Result<(), StoreError> {
        self.shared().copy_to(folder)
    }
}
