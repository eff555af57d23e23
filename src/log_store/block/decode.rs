//! Block in, lines out, and no more of it decoded than is asked for.
//!
//! Opening reads the directory; frames are decompressed and columns decoded when first needed and
//! kept while the block is open. Nothing in a block, however damaged, makes this panic.

mod columns;

use std::ops::Range;

use model::Level;

use super::bytes::{Corrupt, Cursor};
use super::directory::{Firsts, Piece, Places, Shape, read_shape};
use super::fields::ShapeFields;
use super::frames::{Frames, Place};
use super::ints::IntLayout;
use super::{
    FRAME_DIRECTORY, FRAME_ODD, FRAMES_FIXED, HAS_ESCAPES, HAS_RETURNS, LINES_MAX, VERSION,
    VERSION_OLDEST,
};

/// An open block.
pub(crate) struct Block {
    frames: Frames,
    pub(super) directory: Vec<u8>,
    has_escapes: bool,
    has_returns: bool,
    times: (IntLayout, Place),
    /// Decoded when first needed, as are the levels.
    decoded_times: Option<Vec<i64>>,
    levels: (IntLayout, Place),
    decoded_levels: Option<Vec<u8>>,
    pub(super) shapes: Vec<Shape>,
    /// Per shape the fields of its lines, once they have been asked for.
    pub(super) fields: Vec<Option<ShapeFields>>,
    /// Rows that are kept as they are.
    pub(super) odd_rows: Vec<u32>,
    /// Per row the number of its shape plus one (0: odd) and its index among those rows.
    rows: Vec<(u32, u32)>,
    odd: Option<Vec<Range<usize>>>,
    dictionary_ends: Option<Vec<u32>>,
    text_ends: Option<Vec<u32>>,
}

impl Block {
    /// Opens a block after checking version and checksum.
    pub(crate) fn open(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let mut cursor = Cursor::new(&bytes);
        let checksum = cursor.take(4)?;
        let body = bytes.get(4..).unwrap_or_default();
        if checksum != crc32fast::hash(body).to_le_bytes() {
            return Err(Corrupt("the checksum does not match"));
        }
        let version = cursor.byte()?;
        if !(VERSION_OLDEST..=VERSION).contains(&version) {
            return Err(Corrupt("the block has an unknown version"));
        }
        let start = cursor.position();
        Self::read_directory(Frames::find(bytes, start)?, version)
    }

    fn read_directory(mut frames: Frames, version: u8) -> Result<Self, Corrupt> {
        frames.load(FRAME_DIRECTORY)?;
        let directory = frames.take(FRAME_DIRECTORY);
        let mut cursor = Cursor::new(&directory);
        let n = cursor.size()?;
        let holds = cursor.byte()?;
        if n > LINES_MAX {
            return Err(Corrupt("too many lines"));
        }
        let mut places = Places {
            small: 0,
            large: FRAMES_FIXED,
        };
        let times = places.ints(&mut cursor, n)?;
        let levels = places.ints(&mut cursor, n)?;
        let (layout, place) = places.ints(&mut cursor, n)?;
        let ids = layout.decode(frames.payload(&place)?, n)?;
        let shape_count = cursor.size()?;
        if shape_count > n {
            return Err(Corrupt("more shapes than lines"));
        }
        let mut rows_of: Vec<Vec<u32>> = vec![Vec::new(); shape_count + 1];
        let mut rows = Vec::with_capacity(n);
        for (row, id) in ids.into_iter().enumerate() {
            let of_shape = usize::try_from(id)
                .ok()
                .and_then(|id| rows_of.get_mut(id))
                .ok_or(Corrupt("a line has an unknown shape"))?;
            rows.push((id as u32, of_shape.len() as u32));
            of_shape.push(row as u32);
        }
        let mut rows_of = rows_of.into_iter();
        let odd_rows = rows_of.next().unwrap_or_default();
        let mut firsts = Firsts::default();
        let mut shapes = Vec::with_capacity(shape_count);
        for rows in rows_of {
            shapes.push(read_shape(&mut cursor, rows, &mut places, &mut firsts)?);
        }
        Ok(Self {
            frames,
            has_escapes: holds & HAS_ESCAPES != 0,
            // What is not told may be so.
            has_returns: holds & HAS_RETURNS != 0 || version == VERSION_OLDEST,
            times,
            decoded_times: None,
            levels,
            decoded_levels: None,
            fields: Vec::new(),
            shapes,
            odd_rows,
            rows,
            odd: None,
            dictionary_ends: None,
            text_ends: None,
            directory,
        })
    }

    /// How many lines it holds.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether a backslash stands in any line, so that a field's value may be written otherwise
    /// than it reads.
    pub(crate) fn has_escapes(&self) -> bool {
        self.has_escapes
    }

    /// Whether there may be a carriage return or form feed in any line.
    pub(super) fn has_returns(&self) -> bool {
        self.has_returns
    }

    /// Times of all lines, nanoseconds since 1970-01-01 UTC.
    pub(crate) fn times(&mut self) -> Result<Vec<i64>, Corrupt> {
        let (layout, place) = self.times.clone();
        let n = self.len();
        layout.decode(self.frames.payload(&place)?, n)
    }

    /// Decodes the times for [`Block::time`].
    pub(crate) fn prepare_times(&mut self) -> Result<(), Corrupt> {
        if self.decoded_times.is_none() {
            self.decoded_times = Some(self.times()?);
        }
        Ok(())
    }

    /// The time of a line, once they have been prepared.
    pub(crate) fn time(&self, row: usize) -> i64 {
        let times = self.decoded_times.as_deref().unwrap_or_default();
        times.get(row).copied().unwrap_or_default()
    }

    /// Decodes the levels for [`Block::level`].
    pub(crate) fn prepare_levels(&mut self) -> Result<(), Corrupt> {
        if self.decoded_levels.is_none() {
            self.decoded_levels = Some(self.levels()?);
        }
        Ok(())
    }

    /// The number of the level of a line, once they have been prepared.
    pub(crate) fn level(&self, row: usize) -> u8 {
        let levels = self.decoded_levels.as_deref().unwrap_or_default();
        levels.get(row).copied().unwrap_or_default()
    }

    /// Numbers of the levels of all lines.
    pub(crate) fn levels(&mut self) -> Result<Vec<u8>, Corrupt> {
        let (layout, place) = self.levels.clone();
        let n = self.len();
        let levels = layout.decode(self.frames.payload(&place)?, n)?;
        levels
            .into_iter()
            .map(|level| match u8::try_from(level) {
                Ok(level) if usize::from(level) < Level::ALL.len() => Ok(level),
                _ => Err(Corrupt("an unknown level")),
            })
            .collect()
    }

    /// Appends the text of a line.
    pub(crate) fn line(&mut self, row: usize, out: &mut Vec<u8>) -> Result<(), Corrupt> {
        let &(id, index) = self.rows.get(row).ok_or(Corrupt("no such line"))?;
        let Some(shape) = (id as usize).checked_sub(1) else {
            let range = self
                .odd_lines()?
                .get(index as usize)
                .cloned()
                .ok_or(Corrupt("a line as it was is missing"))?;
            out.extend_from_slice(self.frame(FRAME_ODD)?.get(range).unwrap_or_default());
            return Ok(());
        };
        self.prepare_shape(shape)?;
        let time_ns = self.time(row);
        let Some(shape) = self.shapes.get(shape) else {
            return Err(Corrupt("a line has an unknown shape"));
        };
        for piece in &shape.pieces {
            match piece {
                Piece::Literal(range) => {
                    let literal = self.directory.get(range.clone());
                    out.extend_from_slice(literal.unwrap_or_default());
                }
                Piece::Column(column) => {
                    let column = shape
                        .columns
                        .get(*column)
                        .ok_or(Corrupt("a shape has no such column"))?;
                    self.write_value(column, index as usize, time_ns, out)?;
                }
            }
        }
        Ok(())
    }

    /// Decodes what [`Block::write_value`] needs for all columns of a shape.
    fn prepare_shape(&mut self, shape: usize) -> Result<(), Corrupt> {
        let n = match self.shapes.get(shape) {
            Some(shape) if !shape.is_prepared => shape.columns.len(),
            _ => return Ok(()),
        };
        (0..n).try_for_each(|column| self.prepare_column(shape, column))?;
        if let Some(shape) = self.shapes.get_mut(shape) {
            shape.is_prepared = true;
        }
        Ok(())
    }

    /// The texts of the lines kept as they are.
    pub(super) fn odd_texts(&mut self) -> Result<Vec<&[u8]>, Corrupt> {
        let ranges = self.odd_lines()?.to_vec();
        let frame = self.frame(FRAME_ODD)?;
        Ok(ranges
            .into_iter()
            .map(|r| frame.get(r).unwrap_or_default())
            .collect())
    }

    fn odd_lines(&mut self) -> Result<&[Range<usize>], Corrupt> {
        if self.odd.is_none() {
            let n = self.odd_rows.len();
            let mut ranges = Vec::with_capacity(n);
            let mut cursor = Cursor::new(self.frame(FRAME_ODD)?);
            for _ in 0..n {
                let len = cursor.size()?;
                let start = cursor.position();
                cursor.take(len)?;
                ranges.push(start..start + len);
            }
            self.odd = Some(ranges);
        }
        Ok(self.odd.as_deref().unwrap_or_default())
    }

    fn frame(&mut self, frame: usize) -> Result<&[u8], Corrupt> {
        self.frames.load(frame)
    }
}

#[cfg(test)]
mod tests;
