//! Writes one segment: chunks into pages, equal timestamps once, the directory at the end.

use std::path::Path;
use std::sync::Arc;

use model::{Samples, StoreError};
use roaring::RoaringBitmap;
use rusqlite::{Transaction, params};
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::Xxh3;

use super::directory::{Directory, Entry};
use super::{CHUNK_SAMPLES_MAX, PAGE_BYTES, blob, page_key};
use crate::codec::{Scratch, chunk, histograms};
use crate::errors::database_error;
use crate::index::SeriesId;

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) series: RoaringBitmap,
    pub(crate) samples: u64,
    /// Compressed bytes, directory included.
    pub(crate) bytes: u64,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
}

/// Takes series in label order.
pub(crate) struct SegmentWriter<'a> {
    transaction: &'a Transaction<'a>,
    path: &'a Path,
    segment: u32,
    /// Samples to a chunk, at most.
    samples_max: usize,
    page: Vec<u8>,
    n_pages: u32,
    entries: Vec<Entry>,
    columns: TimeColumns,
    scratch: Scratch,
    written: Written,
}

impl<'a> SegmentWriter<'a> {
    pub(crate) fn new(transaction: &'a Transaction<'a>, segment: u32, path: &'a Path) -> Self {
        Self {
            transaction,
            path,
            segment,
            samples_max: CHUNK_SAMPLES_MAX,
            page: Vec::with_capacity(PAGE_BYTES * 2),
            n_pages: 0,
            entries: Vec::new(),
            columns: TimeColumns::default(),
            scratch: Scratch::default(),
            written: Written {
                start_ms: i64::MAX,
                end_ms: i64::MIN,
                ..Written::default()
            },
        }
    }

    /// Makes chunks shorter than the longest possible.
    pub(crate) fn set_samples_max(&mut self, samples_max: usize) {
        self.samples_max = samples_max.clamp(1, CHUNK_SAMPLES_MAX);
    }

    /// Adds a series with its samples, ascending in time. `likely` are timestamps that the series
    /// probably shares with others: those of its target's scrapes.
    pub(crate) fn series(
        &mut self,
        series: SeriesId,
        samples: &Samples,
        likely: &Arc<[i64]>,
    ) -> Result<(), StoreError> {
        let mut start = 0;
        while start < samples.len() {
            let end = chunk_end(samples, start, self.samples_max);
            let times = samples.timestamps_ms.get(start..end).unwrap_or_default();
            let (column, first) = self.columns.place(times, likely);
            self.entries.push(Entry {
                series,
                page: self.n_pages,
                offset: self.page.len() as u32,
                times: column,
                start: first,
                count: times.len() as u32,
            });
            chunk::encode(samples, start, end, &mut self.scratch, &mut self.page);
            start = end;
            if self.page.len() >= PAGE_BYTES {
                self.flush()?;
            }
        }
        let written = &mut self.written;
        if let (Some(first), Some(last)) =
            (samples.timestamps_ms.first(), samples.timestamps_ms.last())
        {
            written.series.insert(series);
            written.samples += samples.len() as u64;
            written.start_ms = written.start_ms.min(*first);
            written.end_ms = written.end_ms.max(*last);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.page.is_empty() {
            return Ok(());
        }
        let body = blob::pack(&self.page);
        self.written.bytes += body.len() as u64;
        self.transaction
            .prepare_cached("INSERT INTO pages VALUES (?, ?)")
            .and_then(|mut statement| {
                statement.execute(params![page_key(self.segment, self.n_pages), body])
            })
            .map_err(database_error("write a page to", self.path))?;
        self.n_pages += 1;
        self.page.clear();
        Ok(())
    }

    /// Writes the last page and the directory.
    pub(crate) fn finish(mut self) -> Result<Written, StoreError> {
        self.flush()?;
        // Chunks of one series stay in order of time: the sort is stable.
        self.entries.sort_by_key(|e| e.series);
        let directory = Directory {
            entries: self.entries,
            times: self.columns.columns,
        };
        let body = blob::pack(&directory.encode());
        self.written.bytes += body.len() as u64;
        self.transaction
            .execute(
                "INSERT INTO segments VALUES (?, ?)",
                params![self.segment, body],
            )
            .map_err(database_error("write a directory to", self.path))?;
        Ok(self.written)
    }
}

/// Where the chunk that begins at `start` ends: the histograms of a chunk are one group.
fn chunk_end(samples: &Samples, start: usize, samples_max: usize) -> usize {
    let end = samples.len().min(start + samples_max);
    let of = |from: usize| samples.histograms.partition_point(|(at, _)| *at < from);
    if samples.histograms.is_empty() {
        return end;
    }
    let within = samples.histograms.get(of(start)..of(end));
    let within = within.unwrap_or_default();
    let group: Vec<_> = within.iter().map(|(_, h)| h.clone()).collect();
    let next = within.get(histograms::group_length(&group));
    next.map_or(end, |(at, _)| *at)
}

/// Columns of timestamps, each kept once.
#[derive(Debug, Default)]
struct TimeColumns {
    columns: Vec<Arc<[i64]>>,
    by_hash: FxHashMap<u64, u32>,
    /// Columns of whole targets, by where they lie in memory; held, so that no others come to lie
    /// there.
    of_targets: FxHashMap<usize, (Arc<[i64]>, u32)>,
}

impl TimeColumns {
    /// The column and the place in it where exactly these times stand; added where there is none.
    fn place(&mut self, times: &[i64], likely: &Arc<[i64]>) -> (u32, u32) {
        // Fast path: a part of the target's scrapes without a gap, which nearly all series are.
        if let Some(first) = times.first()
            && let Ok(start) = likely.binary_search(first)
            && likely.get(start..start + times.len()) == Some(times)
        {
            let key = likely.as_ptr() as usize;
            if let Some((_, column)) = self.of_targets.get(&key) {
                return (*column, start as u32);
            }
            let column = self.find_or_add(likely, || likely.clone());
            self.of_targets.insert(key, (likely.clone(), column));
            return (column, start as u32);
        }
        (self.find_or_add(times, || times.into()), 0)
    }

    fn find_or_add(&mut self, times: &[i64], make: impl FnOnce() -> Arc<[i64]>) -> u32 {
        let mut hash = Xxh3::new();
        for time in times {
            hash.update(&time.to_le_bytes());
        }
        let hash = hash.digest();
        let known = self.by_hash.get(&hash).copied();
        if let Some(column) = known
            && self
                .columns
                .get(column as usize)
                .is_some_and(|c| **c == *times)
        {
            return column;
        }
        let column = self.columns.len() as u32;
        self.columns.push(make());
        self.by_hash.insert(hash, column);
        column
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_times_are_kept_once() {
        let likely: Arc<[i64]> = (0..100).map(|i| i * 15).collect();
        let mut columns = TimeColumns::default();
        assert_eq!(columns.place(&likely, &likely), (0, 0));
        assert_eq!(columns.place(&likely[20..40], &likely), (0, 20));
        let own = [1i64, 16, 31];
        assert_eq!(columns.place(&own, &likely), (1, 0));
        assert_eq!(columns.place(&own, &likely), (1, 0));
        let gap = [0i64, 30];
        assert_eq!(columns.place(&gap, &likely), (2, 0));
        assert_eq!(columns.columns.len(), 3);
        // Others that come to lie where dropped ones lay are not taken for them.
        for i in 0..100 {
            let short_lived: Arc<[i64]> = (0..100).map(|n| n * 15 + i % 2).collect();
            let (column, start) = columns.place(&short_lived, &short_lived);
            assert_eq!(start, 0);
            assert_eq!(columns.columns[column as usize], short_lived);
        }
    }
}
