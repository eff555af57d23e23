//! A block's index: which series it has, and where their chunks are.
//!
//! Only the symbols and the series are read, one after the other as they lie; the posting lists
//! are for whoever looks for a few.

use std::sync::Arc;

use model::{Label, Labels};
use rustc_hash::FxHashMap;
use wire::crc32c::crc32c;

use super::bytes::Reader;
use crate::ImportError;

const MAGIC: u32 = 0xbaaa_d700;
/// Six places and a checksum.
const CONTENTS_BYTES: usize = 6 * 8 + 4;
/// In version 2 every series begins at a multiple of this, and its number is that multiple.
const ALIGN: usize = 16;

/// A chunk of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    /// File (upper half) and place in it.
    pub(super) place: u64,
}

/// A series of a block.
#[derive(Debug)]
pub(super) struct IndexedSeries {
    /// What tombstones call it.
    pub(super) number: u64,
    pub(super) labels: Labels,
    pub(super) chunks: Vec<Chunk>,
}

/// Texts by what series call them: their place in the file (version 1) or their number.
struct Symbols(FxHashMap<u64, Arc<str>>);

impl Symbols {
    fn read(file: &[u8], at: usize, version: u8) -> Result<Self, ImportError> {
        let mut reader = Reader::new(file.get(at..).unwrap_or_default());
        let length = reader.u32()? as usize;
        let body = reader.take(length)?;
        if crc32c(body) != reader.u32()? {
            return Err(bad("the symbols fail their checksum"));
        }
        let mut reader = Reader::new(body);
        let count = reader.u32()?;
        let mut symbols = FxHashMap::default();
        for number in 0..count {
            let place = (at + 4 + body.len() - reader.rest().len()) as u64;
            let key = if version == 1 {
                place
            } else {
                u64::from(number)
            };
            symbols.insert(key, reader.text()?.into());
        }
        Ok(Self(symbols))
    }

    fn get(&self, key: u64) -> Result<Arc<str>, ImportError> {
        let found = self.0.get(&key).cloned();
        found.ok_or_else(|| bad("a series names a symbol that is not there"))
    }
}

fn bad(what: &str) -> ImportError {
    ImportError::Bad(format!("index: {what}"))
}

/// All series of an index, in the order in which they lie, which is that of their labels.
pub(super) fn read(file: &[u8]) -> Result<Vec<IndexedSeries>, ImportError> {
    let mut head = Reader::new(file);
    if head.u32()? != MAGIC {
        return Err(bad("it does not begin as an index"));
    }
    let version = head.u8()?;
    if !(1..=2).contains(&version) {
        return Err(bad(&format!(
            "version {version} is not known (1 and 2 are)"
        )));
    }
    let contents_at = file
        .len()
        .checked_sub(CONTENTS_BYTES)
        .ok_or_else(|| bad("it is too short"))?;
    let contents = file.get(contents_at..).unwrap_or_default();
    let mut reader = Reader::new(contents);
    let mut places = [0usize; 6];
    for place in &mut places {
        *place = usize::try_from(reader.u64()?).map_err(|_| bad("it is too large"))?;
    }
    let sum = contents.get(..CONTENTS_BYTES - 4).map(crc32c);
    if sum != Some(reader.u32()?) {
        return Err(bad("the table of contents fails its checksum"));
    }
    let [symbols_at, series_at, ..] = places;
    let symbols = Symbols::read(file, symbols_at, version)?;
    // Whatever comes next: newer programs leave some sections out.
    let end = places.iter().filter(|place| **place > series_at).min();
    let end = end.copied().unwrap_or(contents_at).min(contents_at);
    if series_at == 0 {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    let mut at = series_at;
    while at < end {
        if version > 1 {
            at = at.next_multiple_of(ALIGN);
        }
        let mut reader = Reader::new(file.get(at..end).unwrap_or_default());
        if reader.rest().iter().all(|byte| *byte == 0) {
            break;
        }
        let whole = reader.rest().len();
        let length = reader.length()?;
        let body = reader.take(length)?;
        if crc32c(body) != reader.u32()? {
            return Err(bad(&format!("the series at {at} fails its checksum")));
        }
        let number = if version == 1 { at } else { at / ALIGN };
        let (labels, chunks) = series(body, &symbols)?;
        all.push(IndexedSeries {
            number: number as u64,
            labels,
            chunks,
        });
        at += whole - reader.rest().len();
    }
    Ok(all)
}

fn series(body: &[u8], symbols: &Symbols) -> Result<(Labels, Vec<Chunk>), ImportError> {
    let mut reader = Reader::new(body);
    let count = reader.length()?;
    let mut labels = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        let name = symbols.get(reader.uvarint()?)?;
        let value = symbols.get(reader.uvarint()?)?;
        labels.push(Label { name, value });
    }
    let labels = Labels::from_pairs(labels.into_iter().map(|l| (l.name, l.value)));
    let count = reader.length()?;
    let mut chunks: Vec<Chunk> = Vec::with_capacity(count.min(1024));
    for _ in 0..count {
        let chunk = match chunks.last() {
            None => {
                let start_ms = reader.varint()?;
                let end_ms = start_ms.wrapping_add(reader.uvarint()? as i64);
                let place = reader.uvarint()?;
                Chunk {
                    start_ms,
                    end_ms,
                    place,
                }
            }
            Some(last) => {
                let start_ms = last.end_ms.wrapping_add(reader.uvarint()? as i64);
                let end_ms = start_ms.wrapping_add(reader.uvarint()? as i64);
                let place = last.place.wrapping_add(reader.varint()? as u64);
                Chunk {
                    start_ms,
                    end_ms,
                    place,
                }
            }
        };
        chunks.push(chunk);
    }
    Ok((labels, chunks))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = super::read(&bytes);
            let mut with_head = vec![0xba, 0xaa, 0xd7, 0x00, 2];
            with_head.append(&mut bytes);
            let _ = super::read(&with_head);
        }
    }
}
