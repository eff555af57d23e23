//! Block in, lines out, and no more of it decoded than is asked for.
//!
//! Opening reads the directory; frames are decompressed and columns decoded when first needed and
//! kept while the block is open. Nothing in a block, however damaged, makes this panic.

use std::ops::Range;

use model::Level;

use super::bytes::{Corrupt, Cursor};
use super::directory::{Column, Firsts, Piece, Places, Shape, Stored, read_shape};
use super::fields::ShapeFields;
use super::frames::{Frames, Place, value, value_ends};
use super::ints::IntLayout;
use super::time_text::{self, power_of_ten};
use super::{
    FRAME_DICTIONARY, FRAME_DIRECTORY, FRAME_ODD, FRAME_PACKED, FRAME_TEXT, FRAMES_FIXED,
    HAS_ESCAPES, HAS_RETURNS, LINES_MAX, VERSION, VERSION_OLDEST,
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

    /// Decodes what [`Block::write_value`] needs for a column.
    pub(super) fn prepare_column(&mut self, shape: usize, column: usize) -> Result<(), Corrupt> {
        let Some((n, column)) = self
            .shapes
            .get_mut(shape)
            .and_then(|s| Some((s.rows.len(), s.columns.get_mut(column)?)))
        else {
            return Err(Corrupt("a shape has no such column"));
        };
        let mut is_time = false;
        match &column.stored {
            Stored::Integer(source) | Stored::Decimal(source, _) | Stored::Time(_, source) => {
                is_time = matches!(column.stored, Stored::Time(..));
                if column.ints.is_none() {
                    let payload = self.frames.payload(&source.1)?;
                    column.ints = Some(source.0.decode(payload, n)?);
                }
            }
            Stored::Dictionary { ids, count, .. } => {
                if column.ids.is_none() {
                    let payload = self.frames.payload(&ids.0)?;
                    if payload.len() != n || payload.iter().any(|id| usize::from(*id) >= *count) {
                        return Err(Corrupt("a dictionary column is wrong"));
                    }
                    column.ids = Some(payload.to_vec());
                }
                self.dictionary_ends()?;
            }
            Stored::Text { .. } => {
                self.text_ends()?;
            }
            Stored::Hex { .. } => {
                self.frame(FRAME_PACKED)?;
            }
            Stored::Constant(_) => {}
            Stored::TimeConstant(..) => is_time = true,
        }
        if is_time {
            self.prepare_times()?;
        }
        Ok(())
    }

    /// Appends one value of a prepared column.
    pub(super) fn write_value(
        &self,
        column: &Column,
        index: usize,
        time_ns: i64,
        out: &mut Vec<u8>,
    ) -> Result<(), Corrupt> {
        let int = || {
            column
                .ints
                .as_ref()
                .and_then(|ints| ints.get(index))
                .copied()
                .ok_or(Corrupt("a number is missing"))
        };
        match &column.stored {
            Stored::Constant(range) => {
                out.extend_from_slice(self.directory.get(range.clone()).unwrap_or_default());
            }
            Stored::Integer(_) => time_text::put_number(out, int()?, 1),
            Stored::Decimal(_, digits) => {
                let scale = power_of_ten(*digits);
                time_text::put_number(out, int()? / scale, 1);
                out.push(b'.');
                time_text::put_number(out, int()? % scale, *digits);
            }
            Stored::Hex { start, width } => {
                let packed = self
                    .loaded(FRAME_PACKED)
                    .get(start + index * width..start + (index + 1) * width)
                    .ok_or(Corrupt("a packed value is missing"))?;
                for byte in packed {
                    out.push(hex_char(byte >> 4));
                    out.push(hex_char(byte & 15));
                }
            }
            Stored::Dictionary { first, .. } => {
                let id = column
                    .ids
                    .as_ref()
                    .and_then(|ids| ids.get(index))
                    .ok_or(Corrupt("a dictionary number is missing"))?;
                out.extend_from_slice(self.dictionary_value(first + usize::from(*id))?);
            }
            Stored::Text { first, .. } => out.extend_from_slice(self.text_value(first + index)?),
            Stored::TimeConstant(form, difference) => {
                time_text::write(out, *form, time_ns, *difference);
            }
            Stored::Time(form, _) => time_text::write(out, *form, time_ns, int()?),
        }
        Ok(())
    }

    /// A literal or a constant.
    pub(super) fn fixed(&self, range: &Range<usize>) -> &[u8] {
        self.directory.get(range.clone()).unwrap_or_default()
    }

    /// Numbers of the dictionary entries of a prepared column, row by row.
    pub(super) fn dictionary_ids(column: &Column) -> &[u8] {
        column.ids.as_deref().unwrap_or_default()
    }

    /// The whole dictionary frame.
    pub(super) fn dictionary_frame(&mut self) -> Result<&[u8], Corrupt> {
        self.frame(FRAME_DICTIONARY)
    }

    /// The frame of all hex columns.
    pub(super) fn packed_frame(&mut self) -> Result<&[u8], Corrupt> {
        self.frame(FRAME_PACKED)
    }

    /// The whole dictionary frame and the ends of its values.
    pub(super) fn dictionary(&mut self) -> Result<(&[u8], &[u32]), Corrupt> {
        self.dictionary_ends()?;
        let ends = self.dictionary_ends.as_deref().unwrap_or_default();
        Ok((self.frames.loaded(FRAME_DICTIONARY), ends))
    }

    /// The whole text frame and the ends of its values.
    pub(super) fn texts(&mut self) -> Result<(&[u8], &[u32]), Corrupt> {
        self.text_ends()?;
        let ends = self.text_ends.as_deref().unwrap_or_default();
        Ok((self.frames.loaded(FRAME_TEXT), ends))
    }

    /// The whole text frame.
    pub(super) fn text_frame(&mut self) -> Result<&[u8], Corrupt> {
        self.frame(FRAME_TEXT)
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

    fn dictionary_ends(&mut self) -> Result<(), Corrupt> {
        if self.dictionary_ends.is_none() {
            self.dictionary_ends = Some(value_ends(self.frame(FRAME_DICTIONARY)?));
        }
        Ok(())
    }

    fn text_ends(&mut self) -> Result<(), Corrupt> {
        if self.text_ends.is_none() {
            self.text_ends = Some(value_ends(self.frame(FRAME_TEXT)?));
        }
        Ok(())
    }

    pub(super) fn dictionary_value(&self, i: usize) -> Result<&[u8], Corrupt> {
        let ends = self.dictionary_ends.as_deref().unwrap_or_default();
        value(self.loaded(FRAME_DICTIONARY), ends, i)
    }

    pub(super) fn text_value(&self, i: usize) -> Result<&[u8], Corrupt> {
        let ends = self.text_ends.as_deref().unwrap_or_default();
        value(self.loaded(FRAME_TEXT), ends, i)
    }

    fn frame(&mut self, frame: usize) -> Result<&[u8], Corrupt> {
        self.frames.load(frame)
    }

    pub(super) fn loaded(&self, frame: usize) -> &[u8] {
        self.frames.loaded(frame)
    }
}

fn hex_char(digit: u8) -> u8 {
    if digit < 10 {
        b'0' + digit
    } else {
        b'a' + digit - 10
    }
}

#[cfg(test)]
mod tests {
    use super::super::encode::Encoder;
    use super::*;
    use crate::lines::Lines;
    use proptest::prelude::*;

    const NOW: i64 = 1_795_305_605_123_456_789;

    fn round_trip(lines: &Lines) -> EncodedLen {
        let encoded = Encoder::new()
            .and_then(|mut e| e.encode(lines))
            .expect("a block");
        let len = encoded.bytes.len();
        let mut block = Block::open(encoded.bytes).expect("it opens");
        assert_eq!(block.len(), lines.len());
        assert_eq!(block.times().expect("times"), lines.times());
        assert_eq!(block.levels().expect("levels"), lines.levels());
        for (row, text) in lines.texts().enumerate() {
            let mut out = Vec::new();
            block.line(row, &mut out).expect("a line");
            assert_eq!(
                String::from_utf8_lossy(&out),
                String::from_utf8_lossy(text),
                "line {row}"
            );
            assert_eq!(out, text);
        }
        EncodedLen(len)
    }

    struct EncodedLen(usize);

    #[test]
    fn every_kind_of_column_comes_back() {
        let mut lines = Lines::default();
        for i in 0..2000i64 {
            let time_ns = NOW + i * 1_000_003;
            let text = format!(
                "{{\"ts\":\"2026-11-22T00:00:{:02}.{:03}Z\",\"n\":{},\"d\":{}.{:03},\"id\":\"{:016x}\",\"level\":\"{}\",\"same\":\"x1\",\"free\":\"v{} w\"}}",
                i % 60,
                i % 1000,
                i * 7919,
                i,
                i % 1000,
                i * 0x9e37_79b9,
                ["info", "warn"][i as usize % 2],
                i * 31
            );
            lines.push(time_ns, Level::Info, text.as_bytes());
        }
        let raw = lines.text_bytes();
        let EncodedLen(len) = round_trip(&lines);
        assert!(len * 8 < raw, "{len} of {raw}");
    }

    #[test]
    fn strange_lines_come_back() {
        let mut lines = Lines::default();
        for text in [
            &b""[..],
            b"\n",
            b"a\nb 12\nc",
            b"\x01\x02\x00",
            b"\xff\xfe 12 \"",
            b"a=\"",
            b"a=\"x\\",
            b"=\"\\\n\"",
            b"007 0.50 1e5 00.1 0.0000001",
            b"9999-12-31T23:59:59Z 23:59:60",
            b"\x1b[31mred1\x1b[0m",
            b"99999999999999999999 18446744073709551616",
        ] {
            for i in 0..5 {
                lines.push(NOW - i, Level::Error, text);
            }
        }
        round_trip(&lines);
    }

    #[test]
    fn damage_is_told_and_never_panics() {
        let mut lines = Lines::default();
        for i in 0..50 {
            lines.push(
                NOW,
                Level::Info,
                format!("took {i}ms id={i:08x}").as_bytes(),
            );
        }
        let good = Encoder::new()
            .and_then(|mut e| e.encode(&lines))
            .expect("a block")
            .bytes;
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(Block::open(bad).is_err(), "byte {at}");
        }
        // The same with a checksum that matches: wrong answers are possible, panics are not.
        for at in 4..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            let checksum = crc32fast::hash(&bad[4..]);
            bad[..4].copy_from_slice(&checksum.to_le_bytes());
            if let Ok(mut block) = Block::open(bad) {
                let _ = (block.times(), block.levels());
                for row in 0..block.len().min(100) {
                    let _ = block.line(row, &mut Vec::new());
                }
            }
        }
    }

    fn any_text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"level=info ".to_vec()),
            Just(b"\"k\":\"v\", ".to_vec()),
            (0u32..100_000).prop_map(|n| format!("{n} ").into_bytes()),
            (0u32..1000).prop_map(|n| format!("took {n}ms ").into_bytes()),
            (0u32..1000).prop_map(|n| format!("0.{n:03},").into_bytes()),
            any::<u32>().prop_map(|n| format!("id={n:08x};").into_bytes()),
            (0u32..60).prop_map(|n| format!("2026-11-22T10:00:{n:02}.123Z ").into_bytes()),
            (0u32..60).prop_map(|n| format!("10:00:{n:02},123456").into_bytes()),
            "[ -~]{0,8}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..6),
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn any_bytes_come_back(
            texts in prop::collection::vec((any_text(), any::<i64>(), 0u8..7), 1..60),
        ) {
            let mut lines = Lines::default();
            for (text, time_ns, level) in &texts {
                lines.push(*time_ns, Level::from_number(*level), text);
            }
            round_trip(&lines);
        }
    }
}
