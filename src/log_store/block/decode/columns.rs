//! The columns of a block: decoded when first needed, then written out value by value.

use std::ops::Range;

use super::Block;
use crate::block::bytes::Corrupt;
use crate::block::directory::{Column, Stored};
use crate::block::frames::{value, value_ends};
use crate::block::time_text::{self, power_of_ten};
use crate::block::{FRAME_DICTIONARY, FRAME_PACKED, FRAME_TEXT};

impl Block {
    /// Decodes what [`Block::write_value`] needs for a column.
    pub(in crate::block) fn prepare_column(
        &mut self,
        shape: usize,
        column: usize,
    ) -> Result<(), Corrupt> {
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
    pub(in crate::block) fn write_value(
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
    pub(in crate::block) fn fixed(&self, range: &Range<usize>) -> &[u8] {
        self.directory.get(range.clone()).unwrap_or_default()
    }

    /// Numbers of the dictionary entries of a prepared column, row by row.
    pub(in crate::block) fn dictionary_ids(column: &Column) -> &[u8] {
        column.ids.as_deref().unwrap_or_default()
    }

    /// The whole dictionary frame.
    pub(in crate::block) fn dictionary_frame(&mut self) -> Result<&[u8], Corrupt> {
        self.frame(FRAME_DICTIONARY)
    }

    /// The frame of all hex columns.
    pub(in crate::block) fn packed_frame(&mut self) -> Result<&[u8], Corrupt> {
        self.frame(FRAME_PACKED)
    }

    /// The whole dictionary frame and the ends of its values.
    pub(in crate::block) fn dictionary(&mut self) -> Result<(&[u8], &[u32]), Corrupt> {
        self.dictionary_ends()?;
        let ends = self.dictionary_ends.as_deref().unwrap_or_default();
        Ok((self.frames.loaded(FRAME_DICTIONARY), ends))
    }

    /// The whole text frame and the ends of its values.
    pub(in crate::block) fn texts(&mut self) -> Result<(&[u8], &[u32]), Corrupt> {
        self.text_ends()?;
        let ends = self.text_ends.as_deref().unwrap_or_default();
        Ok((self.frames.loaded(FRAME_TEXT), ends))
    }

    /// The whole text frame.
    pub(in crate::block) fn text_frame(&mut self) -> Result<&[u8], Corrupt> {
        self.frame(FRAME_TEXT)
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

    pub(in crate::block) fn dictionary_value(&self, i: usize) -> Result<&[u8], Corrupt> {
        let ends = self.dictionary_ends.as_deref().unwrap_or_default();
        value(self.loaded(FRAME_DICTIONARY), ends, i)
    }

    pub(in crate::block) fn text_value(&self, i: usize) -> Result<&[u8], Corrupt> {
        let ends = self.text_ends.as_deref().unwrap_or_default();
        value(self.loaded(FRAME_TEXT), ends, i)
    }

    pub(in crate::block) fn loaded(&self, frame: usize) -> &[u8] {
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
