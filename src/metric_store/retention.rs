//! What is too old, or too much, goes: whole days, and then the series that had samples only there.
//! A day of samples leaves rollups behind ([`crate::rollup`]), which go last.

use std::sync::Arc;

use model::StoreError;
use roaring::RoaringBitmap;

use crate::catalogue::Segment;
use crate::config::{COARSE_MS, DAY_MS, FINE_MS};
use crate::index::Index;
use crate::pages::DayKey;
use crate::store::{MetricStore, Shared};

/// The index is rebuilt when at least so many of its series, and a quarter of them, are dead.
const DEAD_SERIES_MIN: u64 = 1000;

/// Series copied while the index's lock is held once.
const COPY_BATCH: usize = 4096;

/// Days that the forecast looks back on.
const FORECAST_DAYS: i64 = 7;

/// Days that become rollups in one go, so that sealing does not wait for long: reading a long
/// history in takes a few calls.
const ROLLED_AT_ONCE: usize = 8;

/// For want of space the rollups go before the last days' samples do: today's and yesterday's.
const RAW_DAYS_MIN: usize = 2;

/// How the store will grow, judged by what it sealed lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// Bytes that a day of samples takes.
    pub bytes_per_day: u64,
    /// How much of the past that is judged by, milliseconds: an hour at least, a week at most.
    pub looked_at_ms: i64,
    /// What all samples and rollups will take when the oldest ones reach the retention.
    pub bytes_at_retention: u64,
}

/// Less than this tells nothing of a day: the first window may be minutes only.
const FORECAST_MIN_MS: i64 = 3_600_000;

/// What rollups take of the bytes of the samples as they came, by resolution; measured at 15 s
/// between scrapes.
const ROLLED_PARTS: [(i64, f64); 2] = [(FINE_MS, 0.14), (COARSE_MS, 0.021)];

impl Forecast {
    /// How many days of samples fit into so many bytes.
    pub fn days_in(&self, bytes: u64) -> u64 {
        bytes / self.bytes_per_day.max(1)
    }
}

impl MetricStore {
    /// What a day of samples takes on disk; `None` before an hour of them is sealed. Series that
    /// come and go, and the room that files keep free, are in it.
    pub fn forecast(&self, now_ms: i64) -> Option<Forecast> {
        let shared = self.shared();
        let from_ms = now_ms.saturating_sub(FORECAST_DAYS * DAY_MS);
        let segments = shared.segments();
        let as_it_came = |s: &&Arc<Segment>| s.resolution_ms == 0 && s.end_ms > from_ms;
        let lately = || segments.iter().filter(as_it_came);
        let first_ms = lately().map(|s| s.start_ms.max(from_ms)).min()?;
        let last_ms = lately().map(|s| s.end_ms).max()?;
        let bytes = lately().map(|s| {
            // Of a day that is partly older only the younger part counts.
            let (whole, part) = (s.end_ms - s.start_ms, s.end_ms - s.start_ms.max(from_ms));
            s.bytes as f64 * (part.max(1) as f64 / whole.max(1) as f64)
        });
        let looked_at_ms = last_ms.saturating_sub(first_ms);
        if looked_at_ms < FORECAST_MIN_MS {
            return None;
        }
        // Catalogue and free pages: what the files have beyond the pages.
        let pages: u64 = segments.iter().map(|s| s.bytes).sum();
        let files = shared.disk_bytes().saturating_sub(shared.journals.bytes());
        let overhead = (files as f64 / pages.max(1) as f64).clamp(1.0, 2.0);
        let per_ms = bytes.sum::<f64>() * overhead / looked_at_ms as f64;
        let mut at_retention = 0.0;
        let mut since_ms = 0;
        for level in &shared.limits.levels {
            let part = ROLLED_PARTS
                .iter()
                .find(|(ms, _)| *ms == level.resolution_ms);
            let part = part.map_or(1.0, |(_, part)| *part);
            at_retention += per_ms * part * (level.kept_ms - since_ms) as f64;
            since_ms = level.kept_ms;
        }
        Some(Forecast {
            bytes_per_day: (per_ms * DAY_MS as f64) as u64,
            looked_at_ms,
            bytes_at_retention: at_retention as u64,
        })
    }
}

impl Shared {
    /// Lets go of days that are wholly older than the retention, then of the oldest ones while all
    /// files together take more than they may.
    pub(crate) fn enforce_retention(&self, now_ms: i64) -> Result<(), StoreError> {
        let is_over = |key: DayKey, kept_ms: i64| key.end_ms() <= now_ms.saturating_sub(kept_ms);
        let limits = &self.limits;
        let mut n_rolled = 0;
        for key in self.files() {
            let kept_ms = limits.kept_at(key.resolution_ms);
            let is_there = self.segments().iter().any(|s| s.file() == key);
            if !is_over(key, kept_ms) || !is_there {
                continue;
            }
            let mut coarser = limits.coarser_than(key.resolution_ms);
            let Some(level) = coarser.find(|level| !is_over(key, level.kept_ms)) else {
                self.drop_day(key)?;
                continue;
            };
            let to = DayKey::rollup(level.resolution_ms, key.start_ms);
            // Days wait for the last one of their week.
            if is_over(to, kept_ms) && n_rolled < ROLLED_AT_ONCE {
                n_rolled += 1;
                self.roll_up(key.resolution_ms, to)?;
            }
        }
        while self.disk_bytes() > limits.disk_bytes_max && self.shed()? > 0 {}
        Ok(())
    }

    /// The files that hold sealed samples: those as they came, then the rollups; oldest first.
    fn files(&self) -> Vec<DayKey> {
        let mut files: Vec<DayKey> = self.segments().iter().map(|s| s.file()).collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// Makes room: lets go of what is worth least. Returns the bytes that this frees, 0 when
    /// nothing is sealed.
    ///
    /// The oldest day of samples becomes a rollup; when only the last days have samples as they
    /// came, the oldest samples of every five minutes become samples of every hour, a week of them
    /// at a time; when there are none, the oldest week of those goes; then the rest.
    pub(crate) fn shed(&self) -> Result<u64, StoreError> {
        let files = self.files();
        let n_raw = files.iter().filter(|k| k.resolution_ms == 0).count();
        let (raw, rollups) = files.split_at(n_raw);
        let coarser = |key: &DayKey| self.limits.coarser_than(key.resolution_ms).next();
        let raw_to_roll = raw.first().filter(|_| n_raw > RAW_DAYS_MIN);
        let to_roll = raw_to_roll.or(rollups.first());
        if let Some(oldest) = to_roll
            && let Some(level) = coarser(oldest)
        {
            let to = DayKey::rollup(level.resolution_ms, oldest.start_ms);
            return match self.roll_up(oldest.resolution_ms, to) {
                Ok(freed) => Ok(freed),
                Err(error) => {
                    self.metrics.rollups_failed.inc();
                    tracing::warn!(%error, "a day has to go and leaves no rollup behind");
                    self.drop_day(*oldest)
                }
            };
        }
        match rollups.first().or(raw.first()) {
            Some(oldest) => self.drop_day(*oldest),
            None => Ok(0),
        }
    }

    /// Puts a rollup in the place of the days at a resolution that lie in its file's span;
    /// returns the bytes that this frees once nobody reads them any more, at least one.
    fn roll_up(&self, resolution_ms: i64, to: DayKey) -> Result<u64, StoreError> {
        let is_of = |key: DayKey| {
            key.resolution_ms == resolution_ms && (to.start_ms..to.end_ms()).contains(&key.start_ms)
        };
        let segments = self.segments();
        // What the rollup's file has already becomes one with it.
        let parts = segments
            .iter()
            .filter(|s| is_of(s.file()) || s.file() == to);
        let mut parts: Vec<Arc<Segment>> = parts.cloned().collect();
        parts.sort_by_key(|s| s.id);
        drop(segments);
        let keys: Vec<DayKey> = self.files().into_iter().filter(|k| is_of(*k)).collect();
        let bytes_of = |keys: &[DayKey]| keys.iter().map(|k| self.days.disk_bytes_of(*k)).sum();
        let before: u64 = bytes_of(&keys);
        let there = self.days.disk_bytes_of(to);
        let started = std::time::Instant::now();
        self.merge(&parts, to)?;
        let n_parts = parts.len();
        drop(parts);
        // Their segments went with the exchange; what they remember of journals goes here.
        for key in &keys {
            self.catalogue.drop_day(*key)?;
        }
        self.delete_retired();
        let after = self.days.disk_bytes_of(to).saturating_sub(there);
        self.metrics.days_rolled_up.inc_by(keys.len() as u64);
        tracing::info!(
            from_ms = to.start_ms,
            resolution_ms = to.resolution_ms,
            days = keys.len(),
            parts = n_parts,
            before,
            after,
            took_ms = started.elapsed().as_millis() as u64,
            "kept fewer samples of the oldest days"
        );
        Ok(before.saturating_sub(after).max(1))
    }

    /// Drops a day; returns the bytes that it had.
    pub(crate) fn drop_day(&self, key: DayKey) -> Result<u64, StoreError> {
        // The file first: on a full disk the catalogue cannot be written before something is
        // gone. A catalogue that still speaks of the day is corrected at the next start.
        let dropped = self.remove_segments(|s| s.file() == key);
        let bytes = match self.days.drop_day(key) {
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
        tracing::info!(
            day_ms = key.start_ms,
            resolution_ms = key.resolution_ms,
            bytes,
            "dropped the oldest day of samples"
        );
        self.catalogue.drop_day(key)?;
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
