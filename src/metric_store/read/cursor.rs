//! Walks a run of series, each through the segments, the frozen windows and the open ones.

use std::sync::Arc;

use model::{Labels, Samples, SeriesCursor, StoreError};
use rustc_hash::FxHashMap;

use super::Snapshot;
use super::merge::{sort_tail, trim_tail};
use crate::admin::tombstones::hide;
use crate::catalogue::Segment;
use crate::catalogue::tombstones::Tombstone;
use crate::codec::{CodecError, chunk};
use crate::head::places::Place;
use crate::head::window::WindowData;
use crate::index::SeriesId;
use crate::pages::Day;
use crate::pages::directory::{Directory, Entry};
use crate::store::Shared;

/// What a cursor needs of one segment: its own chunks, not the whole directory, which may have
/// to leave memory for others.
#[derive(Debug)]
pub(crate) struct SegmentPart {
    /// Held so that its pages are not deleted meanwhile.
    segment: Arc<Segment>,
    day: Arc<Day>,
    /// Place of the series in the cursor's run, and chunk; ascending.
    chunks: Vec<(u32, Entry)>,
    next: usize,
    times: FxHashMap<u32, Arc<[i64]>>,
    page: Option<(u32, Vec<u8>)>,
}

impl SegmentPart {
    /// `None` where the segment has nothing of these series in the range.
    pub(crate) fn new(
        segment: &Arc<Segment>,
        day: &Arc<Day>,
        directory: &Directory,
        series: &[SeriesId],
        start_ms: i64,
        end_ms: i64,
    ) -> Option<Self> {
        let mut chunks = Vec::new();
        let mut times = FxHashMap::default();
        for (at, id) in series.iter().enumerate() {
            if !segment.series.contains(*id) {
                continue;
            }
            for entry in directory.chunks(*id) {
                let Some(column) = directory.times.get(entry.times as usize) else {
                    continue;
                };
                let span = chunk_times(column, entry);
                let outside = span.first().is_none_or(|t| *t > end_ms)
                    || span.last().is_none_or(|t| *t <= start_ms);
                if !outside {
                    chunks.push((at as u32, *entry));
                    times.entry(entry.times).or_insert_with(|| column.clone());
                }
            }
        }
        (!chunks.is_empty()).then(|| Self {
            segment: segment.clone(),
            day: day.clone(),
            chunks,
            next: 0,
            times,
            page: None,
        })
    }

    /// Appends the samples of the series at a place of the run, whatever their time.
    pub(crate) fn read(
        &mut self,
        at: u32,
        shared: &Shared,
        out: &mut Samples,
    ) -> Result<(), StoreError> {
        while let Some((_, entry)) = self.chunks.get(self.next).filter(|(of, _)| *of == at) {
            let entry = *entry;
            self.next += 1;
            if self
                .page
                .as_ref()
                .is_none_or(|(page, _)| *page != entry.page)
            {
                match self.day.read_page(self.segment.id, entry.page) {
                    Ok(page) => self.page = Some((entry.page, page)),
                    // Retention was faster than the reader: these samples are no more.
                    Err(_) if self.day.is_dropped() => continue,
                    Err(error) => {
                        shared.metrics.damaged.inc();
                        return Err(error);
                    }
                }
                shared.metrics.pages_read.inc();
            }
            let page = self.page.as_ref().map(|(_, page)| page.as_slice());
            let bytes = page.and_then(|page| page.get(entry.offset as usize..));
            let times = self.times.get(&entry.times).map(|c| chunk_times(c, &entry));
            let (Some(bytes), Some(times)) = (bytes, times) else {
                return Err(self.damaged(&entry, CodecError::Truncated));
            };
            chunk::decode(bytes, times.len(), out).map_err(|error| self.damaged(&entry, error))?;
            out.timestamps_ms.extend_from_slice(times);
        }
        Ok(())
    }

    /// Segment and column of times of each chunk that [`SegmentPart::read`] is going to read.
    pub(crate) fn time_columns(&self, at: u32) -> impl Iterator<Item = (u32, u32)> {
        let rest = self.chunks.get(self.next..).unwrap_or_default();
        let chunks = rest.iter().take_while(move |(of, _)| *of == at);
        chunks.map(|(_, entry)| (self.segment.id, entry.times))
    }

    fn damaged(&self, entry: &Entry, error: CodecError) -> StoreError {
        StoreError::Damaged(format!(
            "segment {} page {} offset {}: {error}",
            self.segment.id, entry.page, entry.offset
        ))
    }
}

fn chunk_times<'a>(column: &'a [i64], entry: &Entry) -> &'a [i64] {
    let start = entry.start as usize;
    column
        .get(start..start + entry.count as usize)
        .unwrap_or_default()
}

/// One run of a selection.
#[derive(Debug)]
pub(crate) struct Cursor {
    shared: Arc<Shared>,
    series: Vec<SeriesId>,
    at: usize,
    segments: Vec<SegmentPart>,
    snapshot: Arc<Snapshot>,
    tombstones: Arc<Vec<Tombstone>>,
    /// Place of the series in the run, and where it lives in the head; ascending.
    places: Vec<(u32, Place)>,
    next_place: usize,
    range_ms: (i64, i64),
}

impl Cursor {
    pub(crate) fn new(
        shared: Arc<Shared>,
        series: Vec<SeriesId>,
        segments: Vec<SegmentPart>,
        snapshot: Arc<Snapshot>,
        places: Vec<(u32, Place)>,
        range_ms: (i64, i64),
    ) -> Self {
        let tombstones = shared.tombstones();
        Self {
            shared,
            series,
            tombstones,
            at: 0,
            segments,
            snapshot,
            places,
            next_place: 0,
            range_ms,
        }
    }

    fn read_window(
        window: &WindowData,
        slot: u32,
        (start_ms, end_ms): (i64, i64),
        samples: &mut Samples,
    ) -> Result<(), StoreError> {
        let Some(column) = window.column(slot) else {
            return Ok(());
        };
        let read = window.read_between(column, start_ms, end_ms, samples);
        read.map_err(|error| {
            StoreError::Damaged(format!("head of window {}: {error}", window.start_ms()))
        })
    }

    fn read_head(&mut self, at: u32, samples: &mut Samples) -> Result<(), StoreError> {
        while let Some((_, place)) = self.places.get(self.next_place).filter(|(of, _)| *of == at) {
            self.next_place += 1;
            for frozen in &self.snapshot.frozen {
                if let Some(window) = frozen.parts.get(&place.target) {
                    Self::read_window(window, place.slot, self.range_ms, samples)?;
                }
            }
            let open = self.snapshot.open.get(&place.target);
            for window in open.map(Vec::as_slice).unwrap_or_default() {
                Self::read_window(window, place.slot, self.range_ms, samples)?;
            }
        }
        Ok(())
    }
}

impl SeriesCursor for Cursor {
    fn next_series(&mut self, samples: &mut Samples) -> Result<Option<Labels>, StoreError> {
        while let Some(series) = self.series.get(self.at).copied() {
            let at = self.at as u32;
            self.at += 1;
            samples.clear();
            for segment in &mut self.segments {
                segment.read(at, &self.shared, samples)?;
            }
            self.read_head(at, samples)?;
            sort_tail(samples, 0);
            let (start_ms, end_ms) = self.range_ms;
            trim_tail(samples, 0, start_ms, end_ms);
            hide(&self.tombstones, series, samples);
            if samples.is_empty() {
                continue;
            }
            let labels = self.shared.index.read().labels(series);
            // No labels: the series has left the index because retention dropped all it had.
            if !labels.is_empty() {
                return Ok(Some(labels));
            }
        }
        samples.clear();
        Ok(None)
    }
}
