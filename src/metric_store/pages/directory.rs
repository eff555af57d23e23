//! Where in a segment is a series? One entry for each chunk, sorted by series, and the columns of
//! timestamps that the chunks share.

use std::sync::Arc;

use crate::codec::varint::{Reader, put_varint, put_zigzag};
use crate::codec::{CodecError, times};
use crate::index::SeriesId;

/// A chunk of a series: at most [`super::CHUNK_SAMPLES_MAX`] samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Entry {
    pub(crate) series: SeriesId,
    /// The page, counted from 0 within the segment.
    pub(crate) page: u32,
    /// Where in the uncompressed page the chunk begins.
    pub(crate) offset: u32,
    /// Which column of timestamps.
    pub(crate) times: u32,
    /// The first timestamp of the chunk in that column.
    pub(crate) start: u32,
    /// How many samples.
    pub(crate) count: u32,
}

/// A segment's table of contents.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Directory {
    /// Sorted by series, then time.
    pub(crate) entries: Vec<Entry>,
    /// Timestamps, shared by all chunks that have the same ones.
    pub(crate) times: Vec<Arc<[i64]>>,
}

impl Directory {
    /// The chunks of a series.
    pub(crate) fn chunks(&self, series: SeriesId) -> &[Entry] {
        let start = self.entries.partition_point(|e| e.series < series);
        let rest = self.entries.get(start..).unwrap_or_default();
        let length = rest.iter().take_while(|e| e.series == series).count();
        rest.get(..length).unwrap_or_default()
    }

    /// Writes entries and timestamps (uncompressed).
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.times.len() as u64);
        for column in &self.times {
            times::encode(column, &mut out);
        }
        put_varint(&mut out, self.entries.len() as u64);
        let mut last = Entry::default();
        let difference = |a: u32, b: u32| i64::from(a) - i64::from(b);
        for e in &self.entries {
            put_varint(&mut out, u64::from(e.series - last.series));
            put_zigzag(&mut out, difference(e.page, last.page));
            put_zigzag(&mut out, difference(e.offset, last.offset));
            put_zigzag(&mut out, difference(e.times, last.times));
            put_zigzag(&mut out, difference(e.start, last.start));
            put_zigzag(&mut out, difference(e.count, last.count));
            last = *e;
        }
        out
    }

    /// Reads what [`Directory::encode`] wrote, and checks that every entry is within bounds.
    pub(crate) fn decode(raw: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(raw);
        let mut directory = Self::default();
        for _ in 0..reader.varint()? {
            let mut column = Vec::new();
            times::decode(&mut reader, &mut column)?;
            directory.times.push(column.into());
        }
        let count = reader.varint()? as usize;
        // Each entry takes six bytes at least.
        if count > reader.rest().len() / 6 {
            return Err(CodecError::Truncated);
        }
        directory.entries.reserve_exact(count);
        let mut last = Entry::default();
        let add = |base: u32, difference: i64| {
            u32::try_from(i64::from(base).saturating_add(difference))
                .map_err(|_| CodecError::Malformed("an entry out of range"))
        };
        for _ in 0..count {
            let series = i64::try_from(reader.varint()?).unwrap_or(i64::MAX);
            let entry = Entry {
                series: add(last.series, series)?,
                page: add(last.page, reader.zigzag()?)?,
                offset: add(last.offset, reader.zigzag()?)?,
                times: add(last.times, reader.zigzag()?)?,
                start: add(last.start, reader.zigzag()?)?,
                count: add(last.count, reader.zigzag()?)?,
            };
            let column = directory.times.get(entry.times as usize);
            let end = u64::from(entry.start) + u64::from(entry.count);
            if column.is_none_or(|c| end > c.len() as u64) {
                return Err(CodecError::Malformed("an entry beyond its timestamps"));
            }
            directory.entries.push(entry);
            last = entry;
        }
        Ok(directory)
    }

    /// Estimated bytes of memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        let times: usize = self.times.iter().map(|t| t.len() * 8 + 32).sum();
        self.entries.len() * size_of::<Entry>() + times
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn directories_come_back(
            columns in prop::collection::vec(prop::collection::vec(any::<i64>(), 1..50), 1..5),
            mut chunks in prop::collection::vec((any::<u32>(), any::<u32>(), any::<u32>(), 0usize..5), 0..40),
        ) {
            chunks.sort_unstable();
            let entries = chunks.iter().map(|(series, page, offset, column)| {
                let times = column % columns.len();
                let length = columns[times].len() as u32;
                let start = page % length;
                Entry {
                    series: *series,
                    page: *page,
                    offset: *offset,
                    times: times as u32,
                    start,
                    count: length - start,
                }
            });
            let directory = Directory {
                entries: entries.collect(),
                times: columns.iter().map(|c| c.as_slice().into()).collect(),
            };
            let raw = directory.encode();
            prop_assert_eq!(Directory::decode(&raw), Ok(directory));
            for cut in 0..raw.len() {
                prop_assert!(Directory::decode(&raw[..cut]).is_err());
            }
        }
    }

    #[test]
    fn chunks_are_found_by_series() {
        let entry = |series, offset| Entry {
            series,
            offset,
            ..Entry::default()
        };
        let directory = Directory {
            entries: vec![entry(1, 0), entry(3, 1), entry(3, 2), entry(9, 3)],
            times: Vec::new(),
        };
        let offsets =
            |series| -> Vec<u32> { directory.chunks(series).iter().map(|e| e.offset).collect() };
        assert_eq!(offsets(1), [0]);
        assert_eq!(offsets(3), [1, 2]);
        assert!(offsets(4).is_empty() && offsets(10).is_empty());
    }
}
