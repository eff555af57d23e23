//! The frames of a block: found when it is opened, decompressed when first needed.

use std::cell::RefCell;
use std::ops::Range;

use super::bytes::{Corrupt, Cursor};
use super::{FRAME_SMALL, FRAMES_FIXED, VALUE_END};

/// A frame beyond this size is damage: blocks hold lines of a batch, whose text is below it.
const FRAME_BYTES_MAX: usize = 1 << 31;

thread_local! {
    /// Kept per thread: making one costs more than decompressing a small frame.
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
        const { RefCell::new(None) };
}

/// All frames of a block.
pub(super) struct Frames {
    bytes: Vec<u8>,
    frames: Vec<Frame>,
}

struct Frame {
    stored: Range<usize>,
    raw_len: usize,
    is_compressed: bool,
    loaded: Option<Vec<u8>>,
}

/// Where a column's payload lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Small(Range<usize>),
    Large(usize),
}

impl Frames {
    /// Finds the frames in the bytes of a block, from `start` on.
    pub(super) fn find(bytes: Vec<u8>, start: usize) -> Result<Self, Corrupt> {
        let mut frames = Vec::with_capacity(FRAMES_FIXED);
        let mut cursor = Cursor::new(&bytes);
        cursor.take(start)?;
        while !cursor.is_at_end() {
            let (raw_len, stored_len) = (cursor.size()?, cursor.size()?);
            if raw_len > FRAME_BYTES_MAX {
                return Err(Corrupt("a frame is too large"));
            }
            let is_compressed = stored_len > 0;
            let len = if is_compressed { stored_len } else { raw_len };
            let start = cursor.position();
            cursor.take(len)?;
            frames.push(Frame {
                stored: start..start + len,
                raw_len,
                is_compressed,
                loaded: None,
            });
        }
        if frames.len() < FRAMES_FIXED {
            return Err(Corrupt("frames are missing"));
        }
        Ok(Self { bytes, frames })
    }

    /// A frame, decompressed now if it was not before.
    pub(super) fn load(&mut self, frame: usize) -> Result<&[u8], Corrupt> {
        let frame = self
            .frames
            .get_mut(frame)
            .ok_or(Corrupt("a frame is missing"))?;
        if frame.loaded.is_none() {
            let stored = self.bytes.get(frame.stored.clone()).unwrap_or_default();
            frame.loaded = Some(if frame.is_compressed {
                decompress(stored, frame.raw_len)?
            } else {
                stored.to_vec()
            });
        }
        Ok(frame.loaded.as_deref().unwrap_or_default())
    }

    /// A frame that was loaded before; empty if it was not.
    pub(super) fn loaded(&self, frame: usize) -> &[u8] {
        self.frames
            .get(frame)
            .and_then(|f| f.loaded.as_deref())
            .unwrap_or_default()
    }

    /// Gives a loaded frame away.
    pub(super) fn take(&mut self, frame: usize) -> Vec<u8> {
        self.frames
            .get_mut(frame)
            .and_then(|f| f.loaded.take())
            .unwrap_or_default()
    }

    /// The payload of a column.
    pub(super) fn payload(&mut self, place: &Place) -> Result<&[u8], Corrupt> {
        match place {
            Place::Small(range) => self
                .load(FRAME_SMALL)?
                .get(range.clone())
                .ok_or(Corrupt("a small column is missing")),
            Place::Large(frame) => self.load(*frame),
        }
    }
}

fn decompress(stored: &[u8], raw_len: usize) -> Result<Vec<u8>, Corrupt> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(
                zstd::bulk::Decompressor::new().map_err(|_| Corrupt("zstd does not start"))?,
            ),
        };
        let raw = decompressor
            .decompress(stored, raw_len)
            .map_err(|_| Corrupt("a frame does not decompress"))?;
        if raw.len() == raw_len {
            Ok(raw)
        } else {
            Err(Corrupt("a frame has the wrong length"))
        }
    })
}

/// Where the values of a dictionary or text frame end.
pub(super) fn value_ends(frame: &[u8]) -> Vec<u32> {
    memchr::memchr_iter(VALUE_END, frame)
        .map(|at| at as u32)
        .collect()
}

/// A value of a dictionary or text frame.
pub(super) fn value<'a>(frame: &'a [u8], ends: &[u32], i: usize) -> Result<&'a [u8], Corrupt> {
    let end = *ends.get(i).ok_or(Corrupt("a value is missing"))? as usize;
    let start = i
        .checked_sub(1)
        .and_then(|before| ends.get(before))
        .map_or(0, |end| *end as usize + 1);
    frame.get(start..end).ok_or(Corrupt("a value is missing"))
}
