//! Doors for `tests/fuzz`: bytes that a disk may give back, without the checksums before them.

use std::sync::Arc;

use model::{Histogram, Samples};

use crate::codec::{CodecError, chunk};
use crate::index::SeriesId;
use crate::journal::row_decoder::{RowDecoder, RowTaker};
use crate::pages::directory::Directory;

/// Reads a chunk of a page.
pub fn read_chunk(bytes: &[u8], count: usize) -> Result<Samples, CodecError> {
    let mut samples = Samples::default();
    chunk::decode(bytes, count, &mut samples)?;
    Ok(samples)
}

/// Reads a segment's directory.
pub fn read_directory(bytes: &[u8]) -> bool {
    Directory::decode(bytes).is_ok()
}

/// Reads records of a journal, each after a byte with its length; tells of how many rows.
pub fn read_journal(mut bytes: &[u8]) -> usize {
    let (mut decoder, mut rows) = (RowDecoder::default(), Rows::default());
    while let Some((length, rest)) = bytes.split_first() {
        let (body, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        if decoder.decode(body, &mut rows).is_err() {
            break;
        }
        bytes = rest;
    }
    rows.0
}

#[derive(Default)]
struct Rows(usize);

impl RowTaker for Rows {
    fn target(&mut self, _: u32, _: &str) {}
    fn slot(&mut self, _: u32, _: u32, _: SeriesId) {}
    fn row(&mut self, _: u32, _: i64, _: &[(u32, f64)]) {
        self.0 += 1;
    }
    fn histograms(&mut self, _: u32, _: i64, _: &[(u32, Arc<Histogram>)]) {
        self.0 += 1;
    }
}
