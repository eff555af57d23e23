//! What is too old, or too much, goes: whole days, and then the series that had samples only there.

use model::StoreError;
use roaring::RoaringBitmap;

use crate::config::DAY_MS;
use crate::index::Index;
use crate::store::{MetricStore, Shared};

/// The index is rebuilt when at least so many of its series, and a quarter of them, are dead.
const DEAD_SERIES_MIN: u64 = 1000;

/// Series copied while the index's lock is held once.
const COPY_BATCH: usize = 4096;

/// Days that the forecast looks back on.
const FORECAST_DAYS: i64 = 7;

/// How the store will grow, judged by what it sealed lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// Bytes that a day of samples takes.
    pub bytes_per_day: u64,
    /// How much of the past that is judged by, milliseconds: two hours at least, a week at most.
    pub looked_at_ms: i64,
    /// What all samples will take when the oldest ones reach the retention.
    pub bytes_at_retention: u64,
}

impl Forecast {
    /// How many days of samples fit into so many bytes.
    pub fn days_in(&self, bytes: u64) -> u64 {
        bytes / self.bytes_per_day.max(1)
    }
}

impl MetricStore {
    /// What a day of samples takes on disk; `None` before the first window is sealed. Series that
    /// come and go, and the room that files keep free, are in it.
    pub fn forecast(&self, now_ms: i64) -> Option<Forecast> {
        let shared = self.shared();
        let from_ms = now_ms.saturating_sub(FORECAST_DAYS * DAY_MS);
        let segments = shared.segments();
        let lately = || segments.iter().filter(|s| s.end_ms > from_ms);
        let first_ms = lately().map(|s| s.start_ms.max(from_ms)).min()?;
        let last_ms = lately().map(|s| s.end_ms).max()?;
        let bytes = lately().map(|s| {
            // Of a day that is partly older only the younger part counts.
            let (whole, part) = (s.end_ms - s.start_ms, s.end_ms - s.start_ms.max(from_ms));
            s.bytes as f64 * (part.max(1) as f64 / whole.max(1) as f64)
        });
        let looked_at_ms = (last_ms - first_ms).max(shared.limits.window_ms);
        // Catalogue and free pages: what the files have beyond the pages.
        let pages: u64 = segments.iter().map(|s| s.bytes).sum();
        let files = shared.disk_bytes().saturating_sub(shared.journals.bytes());
        let overhead = (files as f64 / pages.max(1) as f64).clamp(1.0, 2.0);
        let per_ms = bytes.sum::<f64>() * overhead / looked_at_ms as f64;
        Some(Forecast {
            bytes_per_day: (per_ms * DAY_MS as f64) as u64,
            looked_at_ms,
            bytes_at_retention: (per_ms * shared.limits.retention_ms as f64) as u64,
        })
    }
}

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
