//! Several segments of a day become one: fewer places to look, and what was deleted goes.
//!
//! 1. Write: the new segment's pages into the day's file; one transaction.
//! 2. Commit: its row comes and the old rows go, in one transaction of the catalogue. Readers that
//!    began before go on with the old pages.
//! 3. Delete: the old pages, once nobody reads them, and the room that they leave in the file.
//!
//! A crash before 2 leaves pages that nobody knows, a crash after it old pages that nobody knows:
//! both are deleted at the next start. Nothing is lost and nothing is there twice.

use std::sync::Arc;

use model::{Samples, StoreError};
use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;

use crate::admin::tombstones::hide;
use crate::catalogue::{Change, Segment};
use crate::config::DAY_MS;
use crate::pages::directory::Directory;
use crate::pages::{Day, DayKey};
use crate::read::cursor::SegmentPart;
use crate::read::merge::sort_tail;
use crate::rollup::Thinner;
use crate::store::Shared;

/// Samples to a chunk of a rewritten segment: four hours at 15 s. Whoever wants an hour of a day
/// must not decode all of it.
const CHUNK_SAMPLES: usize = 960;

/// Series whose chunks are looked up at the same time: bounds the memory of rewriting.
const SERIES_RUN: usize = 4096;

/// A day that was rewritten and got so many late parts since is rewritten again.
const LATE_PARTS_MAX: usize = 8;

/// After a failure (a full disk) rewriting is not tried again for so long.
const RETRY_MS: i64 = 3_600_000;

impl Shared {
    /// Rewrites the segments of the oldest day that is over and has several, if there is one.
    pub(crate) fn rewrite_a_day(&self, now_ms: i64) -> Result<(), StoreError> {
        self.delete_retired();
        if now_ms < *self.rewrite_after_ms.lock() {
            return Ok(());
        }
        let Some(parts) = self.day_to_rewrite(now_ms) else {
            return Ok(());
        };
        let started = std::time::Instant::now();
        let result = self.rewrite(&parts);
        match &result {
            Ok(()) => {
                self.metrics.days_rewritten.inc();
                tracing::info!(
                    day_ms = parts.first().map(|p| p.day_ms),
                    parts = parts.len(),
                    took_ms = started.elapsed().as_millis() as u64,
                    "rewrote the windows of a day as one"
                );
            }
            Err(_) => *self.rewrite_after_ms.lock() = now_ms.saturating_add(RETRY_MS),
        }
        self.delete_retired();
        result
    }

    fn day_to_rewrite(&self, now_ms: i64) -> Option<Vec<Arc<Segment>>> {
        let limits = &self.limits;
        // What may still come late needs no second rewriting.
        let settled_ms = now_ms
            .saturating_sub(limits.out_of_order_ms.min(DAY_MS))
            .saturating_sub(2 * limits.window_ms);
        let frozen = self.head.frozen();
        let mut in_head = self.head.open_windows();
        in_head.extend(frozen.iter().map(|f| f.start_ms));
        let mut days: FxHashMap<i64, Vec<Arc<Segment>>> = FxHashMap::default();
        for segment in self.segments().iter().filter(|s| s.resolution_ms == 0) {
            days.entry(segment.day_ms)
                .or_default()
                .push(segment.clone());
        }
        let is_due = |(day_ms, parts): &(i64, Vec<Arc<Segment>>)| {
            let end_ms = day_ms.saturating_add(DAY_MS);
            let rewritten = |s: &Arc<Segment>| s.end_ms - s.start_ms > 2 * limits.window_ms;
            let parts_max = if parts.iter().any(rewritten) {
                LATE_PARTS_MAX
            } else {
                1
            };
            end_ms <= settled_ms
                && parts.len() > parts_max
                && !in_head.iter().any(|w| (*day_ms..end_ms).contains(w))
        };
        let due = days.into_iter().filter(is_due);
        due.min_by_key(|(day_ms, _)| *day_ms)
            .map(|(_, parts)| parts)
    }

    /// Makes one segment of several of a day, without what is deleted.
    pub(crate) fn rewrite(&self, parts: &[Arc<Segment>]) -> Result<(), StoreError> {
        match parts.first() {
            Some(first) => self.merge(parts, first.file()),
            None => Ok(()),
        }
    }

    /// Makes one segment of several, without what is deleted, in a file: that of the parts, or of
    /// a rollup. What is damaged stops a rewriting, because the parts can stay; of a rollup, whose
    /// parts are too old to stay, it is left out and counted.
    pub(crate) fn merge(&self, parts: &[Arc<Segment>], to: DayKey) -> Result<(), StoreError> {
        let Some(first) = parts.first() else {
            return Ok(());
        };
        let rolling = parts.iter().any(|part| part.file() != to);
        let mut directories: Vec<(Arc<Segment>, Arc<Day>, Directory)> = Vec::new();
        for part in parts {
            let Some(day) = self.days.day(part.file()) else {
                // Its file was dropped, and it with it.
                continue;
            };
            match day.read_directory(part.id) {
                Ok(directory) => directories.push((part.clone(), day, directory)),
                Err(error @ StoreError::Damaged(_)) if rolling => self.lose(&error),
                Err(error) => return Err(error),
            }
        }
        let all = parts
            .iter()
            .fold(RoaringBitmap::new(), |all, p| all | &p.series);
        let series = self.sorted(&all);
        let tombstones = self.tombstones();
        let into = self.days.day_or_new(to);
        let id = self.catalogue.next_segment()?;
        into.delete_unknown(|known| self.is_known(known))?;
        let mut likely = LikelyTimes::default();
        let mut thinner = Thinner::new(to);
        let written = into.write_segment(id, |writer| {
            writer.set_samples_max(CHUNK_SAMPLES);
            let mut samples = Samples::default();
            for run in series.chunks(SERIES_RUN) {
                let of = |(segment, day, directory): &(Arc<Segment>, Arc<Day>, Directory)| {
                    SegmentPart::new(segment, day, directory, run, i64::MIN, i64::MAX)
                };
                let mut parts: Vec<SegmentPart> = directories.iter().filter_map(of).collect();
                for (at, series) in run.iter().enumerate() {
                    samples.clear();
                    let mut keys = Vec::new();
                    for part in &mut parts {
                        keys.extend(part.time_columns(at as u32));
                        // Each call goes on behind the chunk that failed.
                        while let Err(error) = part.read(at as u32, self, &mut samples) {
                            match error {
                                StoreError::Damaged(_) if rolling => self.lose(&error),
                                error => return Err(error),
                            }
                        }
                    }
                    sort_tail(&mut samples, 0);
                    hide(&tombstones, *series, &mut samples);
                    if rolling {
                        let nature = self.nature_of(*series);
                        thinner.thin(&mut samples, nature);
                    }
                    if !samples.is_empty() {
                        let likely = likely.of(&keys, &samples.timestamps_ms);
                        writer.series(*series, &samples, &likely)?;
                    }
                }
            }
            Ok(())
        })?;
        let segment = (written.samples > 0).then(|| Segment {
            id,
            window_ms: parts
                .iter()
                .map(|p| p.window_ms)
                .min()
                .unwrap_or(first.window_ms),
            day_ms: to.start_ms,
            resolution_ms: to.resolution_ms,
            journal: parts.iter().map(|p| p.journal).max().unwrap_or(0),
            start_ms: written.start_ms,
            end_ms: written.end_ms,
            samples: written.samples,
            bytes: written.bytes,
            series: written.series,
        });
        let old: Vec<u32> = parts.iter().map(|p| p.id).collect();
        self.catalogue.commit(&Change {
            add: segment.as_ref(),
            remove: &old,
            ..Change::default()
        })?;
        self.replace_segments(&old, segment);
        Ok(())
    }

    /// Counts and tells of what cannot be read and is left out.
    fn lose(&self, error: &StoreError) {
        self.metrics.damaged.inc();
        tracing::error!(%error, "samples that cannot be read are left out of a rollup");
    }

    /// Whether the catalogue speaks of a segment, or somebody may still read it.
    pub(crate) fn is_known(&self, id: u32) -> bool {
        self.segments().iter().any(|s| s.id == id) || self.retired.lock().iter().any(|s| s.id == id)
    }

    /// Deletes the pages of segments that were rewritten and that nobody reads any more. What
    /// cannot be deleted now is deleted at the next start.
    pub(crate) fn delete_retired(&self) {
        let gone: Vec<Arc<Segment>> = {
            let mut retired = self.retired.lock();
            // Whoever reads a segment holds it.
            let (free, used) = std::mem::take(&mut *retired)
                .into_iter()
                .partition(|s| Arc::strong_count(s) == 1);
            *retired = used;
            free
        };
        let mut days: Vec<DayKey> = gone.iter().map(|s| s.file()).collect();
        days.sort_unstable();
        days.dedup();
        for day in days.into_iter().filter_map(|key| self.days.day(key)) {
            let in_use = |s: &Arc<Segment>| s.file() == day.key;
            if !self.segments().iter().any(in_use) && !self.retired.lock().iter().any(in_use) {
                // The whole day is a rollup now, or all of it was deleted.
                if let Err(error) = self.days.drop_day(day.key) {
                    tracing::warn!(%error, "the file of a day that is empty is not deleted yet");
                }
                continue;
            }
            let deleted = day.delete_unknown(|id| self.is_known(id));
            if let Err(error) = deleted.and_then(|()| day.give_room_back()) {
                tracing::warn!(%error, "pages that were rewritten are not deleted yet");
            }
        }
        for segment in gone {
            self.directories.remove(segment.id);
        }
    }
}

/// Which times does a series probably share with others of its target? By the columns that its
/// chunks had in the parts.
#[derive(Debug, Default)]
struct LikelyTimes(FxHashMap<(u32, u32), Arc<[i64]>>);

impl LikelyTimes {
    fn of(&mut self, keys: &[(u32, u32)], times_ms: &[i64]) -> Arc<[i64]> {
        let known = keys.first().and_then(|key| self.0.get(key));
        if let Some(known) = known
            && let Some(first) = times_ms.first()
            && let Ok(start) = known.binary_search(first)
            && known.get(start..start + times_ms.len()) == Some(times_ms)
        {
            return known.clone();
        }
        let own: Arc<[i64]> = times_ms.into();
        for key in keys {
            let known = self.0.entry(*key).or_insert_with(|| own.clone());
            if known.len() < own.len() {
                *known = own.clone();
            }
        }
        // Not likely to be anybody else's.
        Arc::from([])
    }
}
