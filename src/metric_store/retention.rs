//! What is too old, or too much, goes: whole days, and then the series that had samples only there.

use model::StoreError;
use roaring::RoaringBitmap;

use crate::config::DAY_MS;
use crate::index::Index;
use crate::store::Shared;

/// The index is rebuilt when at least so many of its series, and a quarter of them, are dead.
const DEAD_SERIES_MIN: u64 = 1000;

/// Series copied while the index's lock is held once.
const COPY_BATCH: usize = 4096;

impl Shared {
    /// Drops days that are wholly older than the retention, then the oldest ones while all files
    /// together take more than they may.
    pub(crate) fn enforce_retention(&self, now_ms: i64) -> Result<(), StoreError> {
        let horizon_ms = now_ms.saturating_sub(self.limits.retention_ms);
        while let Some(day_ms) = self.oldest_day() {
            let too_old = day_ms.saturating_add(DAY_MS) <= horizon_ms;
            if !too_old && self.disk_bytes() <= self.limits.disk_bytes_max {
                break;
            }
            self.drop_day(day_ms)?;
        }
        Ok(())
    }

    /// Where the oldest day with sealed windows begins.
    pub(crate) fn oldest_day(&self) -> Option<i64> {
        self.segments().iter().map(|s| s.day_ms).min()
    }

    /// Drops a day; returns the bytes that it had.
    pub(crate) fn drop_day(&self, day_ms: i64) -> Result<u64, StoreError> {
        // The file first: on a full disk the catalogue cannot be written before something is
        // gone. A catalogue that still speaks of the day is corrected at the next start.
        let dropped = self.remove_segments(|s| s.day_ms == day_ms);
        let bytes = match self.days.drop_day(day_ms) {
            Ok(bytes) => bytes,
            Err(error) => {
                for segment in dropped {
                    self.add_segment((*segment).clone());
                }
                return Err(error);
            }
        };
        for segment in dropped {
            self.directories.remove(segment.id);
        }
        self.metrics.days_dropped.inc();
        tracing::info!(day_ms, bytes, "dropped the oldest day of samples");
        self.catalogue.drop_day(0, day_ms)?;
        Ok(bytes)
    }

    /// Removes series that have neither samples nor a writer from index and catalogue, when
    /// there are many.
    pub(crate) fn forget_dead_series(&self, now_ms: i64) -> Result<(), StoreError> {
        let horizon_ms = now_ms.saturating_sub(self.limits.retention_ms);
        let (all, copied_to) = {
            let index = self.index.read();
            (index.all().clone(), index.next_id())
        };
        let mut live = RoaringBitmap::new();
        for segment in self.segments().iter() {
            live |= &segment.series;
        }
        self.head.add_series_to(&mut live);
        live.extend(self.head.slot_series(horizon_ms));
        let dead = all.len() - all.intersection_len(&live);
        if dead < DEAD_SERIES_MIN || dead * 4 < all.len() {
            return Ok(());
        }
        let mut rebuilt = Index::default();
        let kept: Vec<u32> = (&all & &live).iter().collect();
        for batch in kept.chunks(COPY_BATCH) {
            rebuilt.copy_from(&self.index.read(), batch);
        }
        {
            // Nobody opens slots or appends: catch up with what came meanwhile, and swap.
            let _alone = self.head.stop();
            let mut index = self.index.write();
            let mut later = RoaringBitmap::new();
            self.head.add_series_to(&mut later);
            later.extend(self.head.forget_slots(horizon_ms));
            later |= index.all().range(copied_to..).collect::<RoaringBitmap>();
            let later: Vec<u32> = later.iter().filter(|id| !rebuilt.contains(*id)).collect();
            rebuilt.copy_from(&index, &later);
            rebuilt.skip_to(index.next_id());
            live.extend(later);
            *index = rebuilt;
        }
        tracing::info!(dead, "forgot series without samples");
        self.catalogue.drop_series_outside(&live)
    }
}
