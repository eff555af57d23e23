//! From head to disk: a window that is over becomes a segment of pages.
//!
//! 1. Freeze: the window leaves its targets in one step, together with its journals.
//! 2. Write: its series, in label order, into the day's file; one transaction.
//! 3. Commit: new series and the segment's row into the catalogue; now it is visible.
//! 4. Release: the frozen copy leaves memory, the journals are deleted.
//!
//! A failure (a full disk) leaves the frozen copy readable and its journals in place; the next
//! call tries again. A crash after any step loses nothing and doubles nothing.

use std::sync::Arc;
use std::time::Instant;

use model::{Labels, Samples, StoreError};

use crate::admin::tombstones::hide;
use crate::catalogue::{Change, Segment};
use crate::config::DAY_MS;
use crate::head::Frozen;
use crate::head::window::WindowData;
use crate::index::SeriesId;
use crate::pages::DayKey;
use crate::read::merge::sort_tail;
use crate::store::Shared;

/// After the end of a window so much time passes before it is sealed, as a part of the window (2 h:
/// five minutes), so that what comes a little late needs no segment of its own.
const GRACE_PART: i64 = 24;

impl Shared {
    /// Freezes every window that is over at `now_ms`; all of them with `early`.
    pub(crate) fn freeze_windows(&self, now_ms: i64, early: bool) {
        let grace_ms = self.limits.window_ms / GRACE_PART;
        let mut starts = self.head.open_windows();
        // A window may have journals but no samples: of series that are unknown after a crash.
        starts.extend(self.journals.windows());
        starts.sort_unstable();
        starts.dedup();
        for start_ms in starts {
            let end_ms = start_ms.saturating_add(self.limits.window_ms + grace_ms);
            if early || end_ms <= now_ms {
                self.head
                    .freeze(start_ms, || self.journals.detach_window(start_ms));
            }
        }
    }

    /// Seals all frozen windows; stops at the first that fails.
    pub(crate) fn seal_frozen(&self) -> Result<(), StoreError> {
        for frozen in self.head.frozen() {
            frozen.journals.sync()?;
            let started = Instant::now();
            if let Err(error) = self.seal(&frozen) {
                self.metrics.seals_failed.inc();
                return Err(error);
            }
            self.metrics.seals.inc();
            self.metrics
                .seal_seconds
                .observe(started.elapsed().as_secs_f64());
        }
        Ok(())
    }

    fn seal(&self, frozen: &Arc<Frozen>) -> Result<(), StoreError> {
        self.commit_series()?;
        if !frozen.parts.is_empty() {
            let segment = self.write_segment(frozen)?;
            // All of it may have been deleted meanwhile.
            let segment = Some(segment).filter(|s| s.samples > 0);
            self.catalogue.commit(&Change {
                add: segment.as_ref(),
                sealed: Some((frozen.start_ms, frozen.journals.number_max())),
                ..Change::default()
            })?;
            if let Some(segment) = segment {
                self.add_segment(segment);
            }
        }
        self.head.release(frozen);
        frozen.journals.delete();
        Ok(())
    }

    /// Moves new series from their journal to the catalogue. Segments may speak only of series
    /// that the catalogue has.
    pub(crate) fn commit_series(&self) -> Result<(), StoreError> {
        let mut first_new = self.series_committed.lock();
        let (files, series, next): (_, Vec<(SeriesId, Labels)>, _) = {
            // New series are journalled under the index's write lock: under the read lock the
            // journals taken away hold exactly the series below `next`.
            let index = self.index.read();
            let files = self.journals.detach_series();
            let next = index.next_id();
            let new = index.all().range(*first_new..next);
            let series = new.map(|id| (id, index.labels(id))).collect();
            (files, series, next)
        };
        if series.is_empty() && files.is_empty() {
            return Ok(());
        }
        let change = Change {
            series: &series,
            ..Change::default()
        };
        if let Err(error) = self.catalogue.commit(&change) {
            let synced = files.sync();
            self.journals.reattach_series(files);
            return synced.and(Err(error));
        }
        *first_new = next;
        files.delete();
        Ok(())
    }

    fn write_segment(&self, frozen: &Frozen) -> Result<Segment, StoreError> {
        let mut columns: Vec<Column<'_>> = Vec::new();
        // Where two targets write one series, the lower number counts first, as for readers.
        let mut parts: Vec<_> = frozen.parts.iter().collect();
        parts.sort_by_key(|(target, _)| **target);
        for (_, data) in parts {
            let likely: Arc<[i64]> = data.row_times().into();
            for (column, series) in data.series().iter().enumerate() {
                columns.push(Column {
                    series: *series,
                    at: column as u32,
                    data,
                    likely: likely.clone(),
                });
            }
        }
        {
            let index = self.index.read();
            columns.sort_by(|a, b| index.compare(a.series, b.series));
        }
        let day_ms = frozen.start_ms.div_euclid(DAY_MS) * DAY_MS;
        let day = self.days.day_or_new(DayKey::raw(day_ms));
        let id = self.catalogue.next_segment()?;
        // An attempt that failed after its pages were written may have left them.
        day.delete_unknown(|known| self.is_known(known))?;
        let tombstones = self.tombstones();
        let written = day.write_segment(id, |writer| {
            let mut samples = Samples::default();
            for group in columns.chunk_by(|a, b| a.series == b.series) {
                samples.clear();
                for column in group {
                    column.data.read(column.at, &mut samples).map_err(|error| {
                        StoreError::Damaged(format!("head of window {}: {error}", frozen.start_ms))
                    })?;
                }
                sort_tail(&mut samples, 0);
                let Some(first) = group.first() else {
                    continue;
                };
                hide(&tombstones, first.series, &mut samples);
                if !samples.is_empty() {
                    writer.series(first.series, &samples, &first.likely)?;
                }
            }
            Ok(())
        })?;
        Ok(Segment {
            id,
            window_ms: frozen.start_ms,
            day_ms,
            resolution_ms: 0,
            journal: frozen.journals.number_max(),
            start_ms: written.start_ms,
            end_ms: written.end_ms,
            samples: written.samples,
            bytes: written.bytes,
            series: written.series,
        })
    }
}

/// A series of a target.
struct Column<'a> {
    series: SeriesId,
    /// Which column of the data.
    at: u32,
    data: &'a WindowData,
    likely: Arc<[i64]>,
}
