//! The way out: selections become cursors over sealed windows and the head, in label order.
//!
//! 1. The index says which series the matchers mean; the series of the segments and of the head
//!    that overlap the range say which of them can have samples.
//! 2. They are sorted by labels and cut into as many runs as the caller can drive.
//! 3. A snapshot is taken: of the head (pointers only), then of the frozen windows, then of the
//!    segments. Samples move in that direction, so nothing is missed; what is seen twice is
//!    merged. No lock is held after that.
//!
//! Each run is a [`cursor`]. Segments are stored in label order too, so a cursor walks forward.

pub(crate) mod cursor;
pub(crate) mod merge;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    CoarseSpan, Exemplar, Labels, Matcher, MetricMetadata, Selection, SeriesCursor, SeriesReader,
    StoreError, TargetId,
};
use roaring::RoaringBitmap;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::catalogue::Segment;
use crate::config::DAY_MS;
use crate::head::Frozen;
use crate::head::places::Place;
use crate::head::window::WindowData;
use crate::index::SeriesId;
use crate::pages::directory::Directory;
use crate::store::{MetricStore, Shared};
use cursor::{Cursor, SegmentPart};

/// Below so many series a further cursor costs more than it gains.
const CURSOR_SERIES_MIN: usize = 64;

/// What a selection reads from, fixed when it was made.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) open: FxHashMap<TargetId, Vec<WindowData>>,
    pub(crate) frozen: Vec<Arc<Frozen>>,
}

impl Shared {
    /// Whether a window that begins at a time has samples that a range may ask for.
    fn overlaps(&self, window_ms: i64, start_ms: i64, end_ms: i64) -> bool {
        window_ms <= end_ms && window_ms.saturating_add(self.limits.window_ms) > start_ms
    }

    /// The segments that overlap a range, in order of window and number.
    fn segments_in(&self, start_ms: i64, end_ms: i64) -> Vec<Arc<Segment>> {
        self.segments()
            .iter()
            .filter(|s| s.start_ms <= end_ms && s.end_ms > start_ms)
            .cloned()
            .collect()
    }

    /// The series that satisfy the matchers and may have samples in the range.
    pub(crate) fn candidates(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> RoaringBitmap {
        let matching = self.index.read().matching(matchers);
        // In the order in which samples move: see the head of this file.
        let mut present = RoaringBitmap::new();
        let in_head = {
            let _entered = self.head.enter();
            let frozen = self.head.frozen();
            let frozen = frozen.iter().map(|f| f.start_ms);
            let starts = self.head.open_windows().into_iter().chain(frozen);
            starts.collect::<Vec<i64>>()
        };
        if in_head.iter().any(|w| self.overlaps(*w, start_ms, end_ms)) {
            let places = self.head.places().read();
            present.extend(matching.iter().filter(|id| places.contains(*id)));
            drop(places);
            present -= self.hidden_in_head();
        }
        for segment in self.segments_in(start_ms, end_ms) {
            let mut found = &segment.series & &matching;
            found -= self.hidden_in(segment.start_ms, segment.end_ms);
            present |= found;
        }
        present
    }

    pub(crate) fn sorted(&self, series: &RoaringBitmap) -> Vec<SeriesId> {
        self.index.read().sorted(series)
    }

    /// A segment's directory, from memory or disk; `None` where retention has dropped it.
    fn directory(&self, segment: &Segment) -> Result<Option<Arc<Directory>>, StoreError> {
        if let Some(directory) = self.directories.get(segment.id) {
            return Ok(Some(directory));
        }
        let Some(day) = self.days.day(segment.file()) else {
            return Ok(None);
        };
        let directory = match day.read_directory(segment.id) {
            Ok(directory) => Arc::new(directory),
            Err(_) if day.is_dropped() => return Ok(None),
            Err(error) => {
                self.metrics.damaged.inc();
                return Err(error);
            }
        };
        let evicted = self.directories.put(segment.id, directory.clone());
        self.metrics.directories_evicted.inc_by(evicted as u64);
        Ok(Some(directory))
    }

    fn places_of(&self, series: &[SeriesId]) -> Vec<(u32, Place)> {
        let places = self.head.places().read();
        let mut all = Vec::with_capacity(series.len());
        for (at, series) in series.iter().enumerate() {
            let found = places.get(*series).iter();
            all.extend(found.map(|place| (at as u32, *place)));
        }
        all
    }

    fn snapshot(&self, places: &[(u32, Place)], start_ms: i64, end_ms: i64) -> Snapshot {
        let targets: FxHashSet<TargetId> = places.iter().map(|(_, place)| place.target).collect();
        let wanted = |w: &&WindowData| self.overlaps(w.start_ms(), start_ms, end_ms);
        let mut open = FxHashMap::default();
        for id in targets {
            // A target that is gone has been sealed: its samples are in the segments.
            let Ok(target) = self.head.target(id) else {
                continue;
            };
            let state = target.state.lock();
            let windows: Vec<WindowData> = state.windows().filter(wanted).cloned().collect();
            if !windows.is_empty() {
                open.insert(id, windows);
            }
        }
        let mut frozen = self.head.frozen();
        frozen.retain(|f| self.overlaps(f.start_ms, start_ms, end_ms));
        Snapshot { open, frozen }
    }
}

impl SeriesReader for MetricStore {
    fn select(&self, selection: &Selection) -> Result<Vec<Box<dyn SeriesCursor>>, StoreError> {
        let shared = self.shared();
        let (start_ms, end_ms) = (selection.start_ms, selection.end_ms);
        if end_ms <= start_ms {
            return Ok(Vec::new());
        }
        let found = shared.candidates(&selection.matchers, start_ms, end_ms);
        if found.len() > selection.series_max as u64 {
            return Err(StoreError::Limit(format!(
                "the selection means {} series, more than the limit of {}: add matchers, shorten \
                 the range or raise the limit",
                found.len(),
                selection.series_max
            )));
        }
        let series = shared.sorted(&found);
        let places;
        let snapshot = {
            // Nothing is frozen between looking at the head and at what is frozen.
            let _entered = shared.head.enter();
            places = shared.places_of(&series);
            Arc::new(shared.snapshot(&places, start_ms, end_ms))
        };
        let segments = shared.segments_in(start_ms, end_ms);
        let wanted = selection.cursors_max.max(1);
        let n_cursors = wanted.min(series.len().div_ceil(CURSOR_SERIES_MIN)).max(1);
        let run = series.len().div_ceil(n_cursors).max(1);
        let mut parts: Vec<Vec<SegmentPart>> = Vec::new();
        parts.resize_with(series.len().div_ceil(run), Vec::new);
        for segment in segments {
            let Some(directory) = shared.directory(&segment)? else {
                continue;
            };
            let Some(day) = shared.days.day(segment.file()) else {
                continue;
            };
            for (part, ids) in parts.iter_mut().zip(series.chunks(run)) {
                part.extend(SegmentPart::new(
                    &segment, &day, &directory, ids, start_ms, end_ms,
                ));
            }
        }
        let cursors = series.chunks(run).zip(parts).enumerate();
        Ok(cursors
            .map(|(i, (ids, parts))| -> Box<dyn SeriesCursor> {
                let first = (i * run) as u32;
                let from = places.partition_point(|(at, _)| *at < first);
                let to = places.partition_point(|(at, _)| *at < first + ids.len() as u32);
                let places = places.get(from..to).unwrap_or_default().iter();
                Box::new(Cursor::new(
                    shared.clone(),
                    ids.to_vec(),
                    parts,
                    snapshot.clone(),
                    places.map(|(at, place)| (at - first, *place)).collect(),
                    (start_ms, end_ms),
                ))
            })
            .collect())
    }

    fn series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<(Vec<Labels>, bool), StoreError> {
        let shared = self.shared();
        let found = shared.candidates(matchers, start_ms, end_ms);
        let sorted = shared.sorted(&found);
        let index = shared.index.read();
        let labels = sorted.iter().take(limit).map(|id| index.labels(*id));
        Ok((labels.collect(), sorted.len() > limit))
    }

    fn label_names(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, StoreError> {
        let shared = self.shared();
        let found = shared.candidates(matchers, start_ms, end_ms);
        Ok(shared.index.read().label_names(&found))
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, StoreError> {
        let shared = self.shared();
        let found = shared.candidates(matchers, start_ms, end_ms);
        Ok(shared.index.read().label_values(name, &found))
    }

    fn exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, StoreError> {
        let shared = self.shared();
        let matching = {
            let index = shared.index.read();
            let all = selectors.iter().map(|matchers| index.matching(matchers));
            all.fold(RoaringBitmap::new(), |all, of| all | of)
        };
        let found = shared.exemplars.lock().of(&matching, start_ms, end_ms);
        let index = shared.index.read();
        let found = found.into_iter().map(|(id, of)| (index.labels(id), of));
        let mut found: Vec<(Labels, Vec<Exemplar>)> = found.collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn coarse_spans(&self) -> Vec<CoarseSpan> {
        let mut spans: Vec<CoarseSpan> = Vec::new();
        // Whether the segment before ended the last span.
        let mut is_open = false;
        for segment in self.shared().segments().iter() {
            let resolution_ms = segment.resolution_ms;
            let start_ms = segment.start_ms.div_euclid(DAY_MS).saturating_mul(DAY_MS);
            let days = segment.end_ms.div_euclid(DAY_MS).saturating_add(1);
            let end_ms = days.saturating_mul(DAY_MS);
            match spans.last_mut().filter(|_| is_open) {
                _ if resolution_ms == 0 => is_open = false,
                // Days without samples are no reason for another span.
                Some(last) if last.resolution_ms == resolution_ms => {
                    last.end_ms = last.end_ms.max(end_ms);
                }
                _ => {
                    is_open = true;
                    spans.push(CoarseSpan {
                        start_ms,
                        end_ms,
                        resolution_ms,
                    });
                }
            }
        }
        spans
    }

    fn metadata(&self) -> BTreeMap<String, MetricMetadata> {
        self.shared().families.read().all.clone()
    }
}
