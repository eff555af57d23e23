//! What the numbers of series mean: rows of thousands of label sets, each text once.

use model::{Labels, StoreError};
use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;

use super::Catalogue;
use crate::codec::CodecError;
use crate::codec::varint::{Reader, put_text, put_varint};
use crate::index::SeriesId;
use crate::pages::blob;

impl Catalogue {
    /// Hands over every series.
    pub(crate) fn load_series(
        &self,
        mut take: impl FnMut(SeriesId, Labels),
    ) -> Result<(), StoreError> {
        let connection = self.connection.lock();
        let mut statement = connection
            .prepare("SELECT first_id, body FROM series ORDER BY first_id")
            .map_err(self.failed("read the series in"))?;
        let mut rows = statement
            .query([])
            .map_err(self.failed("read the series in"))?;
        while let Some(row) = rows.next().map_err(self.failed("read the series in"))? {
            let read = || -> rusqlite::Result<(u32, Vec<u8>)> { Ok((row.get(0)?, row.get(1)?)) };
            let (first, body) = read().map_err(self.failed("read the series in"))?;
            let damaged = |what: &dyn std::fmt::Display| {
                StoreError::Damaged(format!(
                    "{}: series from {first}: {what}",
                    self.path.display()
                ))
            };
            let raw = blob::unpack(&body, blob::LARGE_BYTES_MAX).map_err(|e| damaged(&e))?;
            decode_series(&raw, &mut take).map_err(|e| damaged(&e))?;
        }
        Ok(())
    }

    /// Deletes the rows of series none of which is in `keep`.
    pub(crate) fn drop_series_outside(&self, keep: &RoaringBitmap) -> Result<(), StoreError> {
        let mut connection = self.connection.lock();
        let mut write = || {
            let transaction = connection.transaction()?;
            let batches: Vec<(u32, u32)> = transaction
                .prepare("SELECT first_id, last_id FROM series")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            for (first, last) in batches {
                if keep.range_cardinality(first..=last) == 0 {
                    transaction.execute("DELETE FROM series WHERE first_id = ?", [first])?;
                }
            }
            transaction.commit()
        };
        write().map_err(self.failed("drop series in"))
    }
}

/// Numbers and labels; each text stands once and is then called by its place.
pub(super) fn encode_series(series: &[(SeriesId, Labels)]) -> Vec<u8> {
    let mut places: FxHashMap<&str, u64> = FxHashMap::default();
    let mut out = Vec::new();
    put_varint(&mut out, series.len() as u64);
    let mut last = 0;
    for (id, labels) in series {
        put_varint(&mut out, u64::from(id.wrapping_sub(last)));
        last = *id;
        put_varint(&mut out, labels.len() as u64);
        for label in labels {
            for text in [&*label.name, &*label.value] {
                let next = places.len() as u64 + 1;
                if let Some(place) = places.get(text) {
                    put_varint(&mut out, *place);
                } else {
                    places.insert(text, next);
                    out.push(0);
                    put_text(&mut out, text);
                }
            }
        }
    }
    out
}

fn decode_series(raw: &[u8], take: &mut impl FnMut(SeriesId, Labels)) -> Result<(), CodecError> {
    let mut reader = Reader::new(raw);
    let mut texts: Vec<std::sync::Arc<str>> = Vec::new();
    let mut id: SeriesId = 0;
    for _ in 0..reader.varint()? {
        id = id.wrapping_add(reader.varint()? as u32);
        let mut text = |reader: &mut Reader<'_>| match reader.varint()? {
            0 => {
                let text: std::sync::Arc<str> = reader.text()?.into();
                texts.push(text.clone());
                Ok(text)
            }
            place => texts
                .get(place as usize - 1)
                .cloned()
                .ok_or(CodecError::Malformed("an unknown text")),
        };
        let mut pairs = Vec::new();
        for _ in 0..reader.varint()? {
            pairs.push((text(&mut reader)?, text(&mut reader)?));
        }
        take(id, Labels::from_pairs(pairs));
    }
    Ok(())
}
