//! Deleting: a tombstone hides the samples at once; cleaning rewrites what holds them.
//!
//! 1. A tombstone (series, first time, last time) is durable in the catalogue before anybody sees
//!    it; every reader that begins later leaves out what it hides, wherever that lies.
//! 2. Sealing and rewriting leave it out too. [`Shared::clean_tombstones`] seals what of it is in
//!    the head and rewrites the segments that hold it; then the tombstone itself goes.
//!
//! A tombstone ends at the newest sample at most: what is scraped after deleting is new.

use std::sync::Arc;

use model::{Matcher, Samples, StoreError};
use roaring::RoaringBitmap;

use crate::catalogue::Segment;
use crate::catalogue::tombstones::Tombstone;
use crate::index::SeriesId;
use crate::read::merge::cut;
use crate::store::Shared;

/// Tombstones that may wait to be cleaned: each reader looks at all of them.
const TOMBSTONES_MAX: usize = 10_000;

impl Tombstone {
    fn overlaps(&self, segment: &Segment) -> bool {
        self.start_ms <= segment.end_ms
            && self.end_ms >= segment.start_ms
            && !self.series.is_disjoint(&segment.series)
    }
}

/// Takes out of a series what is deleted of it; its samples must be ascending.
pub(crate) fn hide(tombstones: &[Tombstone], series: SeriesId, samples: &mut Samples) {
    for tombstone in tombstones {
        if tombstone.series.contains(series) {
            cut(samples, tombstone.start_ms, tombstone.end_ms);
        }
    }
}

impl Shared {
    /// What is deleted and not yet gone.
    pub(crate) fn tombstones(&self) -> Arc<Vec<Tombstone>> {
        self.tombstones.read().clone()
    }

    /// The series that have nothing left in a span: tombstones cover all of it.
    pub(crate) fn hidden_in(&self, start_ms: i64, end_ms: i64) -> RoaringBitmap {
        let tombstones = self.tombstones();
        let covering = tombstones
            .iter()
            .filter(|t| t.start_ms <= start_ms && t.end_ms >= end_ms);
        covering.fold(RoaringBitmap::new(), |all, t| all | &t.series)
    }

    /// The series of the head that have nothing left there.
    pub(crate) fn hidden_in_head(&self) -> RoaringBitmap {
        let tombstones = self.tombstones();
        let mut hidden = RoaringBitmap::new();
        if tombstones.is_empty() {
            return hidden;
        }
        let start_ms = self.head.oldest_window().unwrap_or(i64::MIN);
        for tombstone in tombstones.iter().filter(|t| t.start_ms <= start_ms) {
            for id in &tombstone.series {
                let places = self.head.places().read().get(id).to_vec();
                let is_older = |place: &crate::head::places::Place| {
                    let target = self.head.target(place.target).ok();
                    let last = target.and_then(|t| t.state.lock().last_ms(place.slot));
                    last.is_none_or(|last| last <= tombstone.end_ms)
                };
                if places.iter().all(is_older) {
                    hidden.insert(id);
                }
            }
        }
        hidden
    }

    /// Hides samples; returns of how many series.
    pub(crate) fn delete_series(
        &self,
        selectors: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<u64, StoreError> {
        let _one_at_a_time = self.maintenance.lock();
        let end_ms = end_ms.min(self.head.newest_ms().unwrap_or(i64::MIN));
        if end_ms < start_ms {
            return Ok(0);
        }
        let before = start_ms.saturating_sub(1);
        let found = selectors.iter().fold(RoaringBitmap::new(), |all, of| {
            all | self.candidates(of, before, end_ms)
        });
        if found.is_empty() {
            return Ok(0);
        }
        if self.tombstones().len() >= TOMBSTONES_MAX {
            return Err(StoreError::Limit(format!(
                "{TOMBSTONES_MAX} deletions wait to be cleaned up: clean the tombstones first"
            )));
        }
        let id = self.catalogue.put_tombstone(&found, start_ms, end_ms)?;
        let n = found.len();
        let mut tombstones = self.tombstones.write();
        let mut all = tombstones.to_vec();
        all.push(Tombstone {
            id,
            start_ms,
            end_ms,
            series: found,
        });
        *tombstones = Arc::new(all);
        tracing::info!(series = n, start_ms, end_ms, "deleted samples");
        Ok(n)
    }

    /// Rewrites what holds deleted samples, in the head and on disk.
    pub(crate) fn clean_tombstones(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.maintenance.lock();
        let tombstones = self.tombstones();
        if tombstones.is_empty() {
            return Ok(());
        }
        let window_ms = self.limits.window_ms;
        for start_ms in self.head.open_windows() {
            let end_ms = start_ms.saturating_add(window_ms);
            if tombstones
                .iter()
                .any(|t| t.start_ms < end_ms && t.end_ms >= start_ms)
            {
                self.head
                    .freeze(start_ms, || self.journals.detach_window(start_ms));
            }
        }
        self.seal_frozen()?;
        for segment in self.segments().iter() {
            if tombstones.iter().any(|t| t.overlaps(segment)) {
                self.rewrite(std::slice::from_ref(segment))?;
            }
        }
        self.forget_tombstones(|t| tombstones.iter().any(|cleaned| cleaned.id == t.id))?;
        self.delete_retired();
        Ok(())
    }

    /// Forgets tombstones of samples that retention has dropped since.
    pub(crate) fn forget_old_tombstones(&self) -> Result<(), StoreError> {
        if self.tombstones().is_empty() {
            return Ok(());
        }
        let segments = self.segments();
        let oldest = segments.iter().map(|s| s.start_ms);
        let oldest = oldest.chain(self.head.oldest_window()).min();
        self.forget_tombstones(|t| oldest.is_none_or(|oldest| t.end_ms < oldest))
    }

    fn forget_tombstones(&self, gone: impl Fn(&Tombstone) -> bool) -> Result<(), StoreError> {
        let (out, kept): (Vec<_>, Vec<_>) =
            self.tombstones().iter().cloned().partition(|t| gone(t));
        if out.is_empty() {
            return Ok(());
        }
        let ids: Vec<u32> = out.iter().map(|t| t.id).collect();
        self.catalogue.drop_tombstones(&ids)?;
        *self.tombstones.write() = Arc::new(kept);
        Ok(())
    }
}
