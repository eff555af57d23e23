//! Which fields do the lines of a block have, and where do their values lie? So a field is read
//! like a column, and no line is rebuilt for it.
//!
//! Nothing of this is stored: it follows from the shapes.
//! 1. A **sketch** of a shape is a line of it with a digit in the place of each variable.
//!    `log_query::LineFields` reads its fields.
//! 2. The lines of the shape have the same fields, with their variables in the place of the digit,
//!    if no variable can change how the line is read. That is checked for each from where it
//!    stands and from what a variable can be (`template`): one inside quotes never holds the quote
//!    that ends them, a word never holds a space, and so on.
//! 3. Where it is not certain the answer is [`ASK`]: the line has to be rebuilt and read.
//!
//! What comes out is for each line exactly what `LineFields` says of it.

mod demand;

use std::borrow::Cow;
use std::ops::Range;

use log_query::{Form, LineFields};
use rustc_hash::FxHashMap;

use self::demand::{At, Demand, Pair};
use super::bytes::Corrupt;
use super::decode::Block;
use super::directory::{Piece, Shape, Stored};
use crate::bits::Bits;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    /// `LineFields::values(name).next()`.
    First(&'a str),
    /// The same, but [`ASK`] for lines that have several fields of that name.
    Only(&'a str),
    /// `LineFields::message`; [`ABSENT`] where the whole text is the sentence.
    Message,
}

/// The line has to be rebuilt and read, or was not asked for.
pub(crate) const ASK: u32 = u32::MAX;

/// The line has no such field.
pub(crate) const ABSENT: u32 = u32::MAX - 1;

/// The values of a field, row by row.
#[derive(Debug, Default)]
pub(crate) struct FieldColumn {
    /// Different values, in no order.
    pub(crate) values: Vec<String>,
    /// Per row of the block the number of its value, [`ABSENT`] or [`ASK`].
    pub(crate) numbers: Vec<u32>,
}

/// The fields of the lines of a shape; `None` where lines have to be asked.
pub(super) type ShapeFields = Option<Fields>;

#[derive(Debug, Default)]
pub(super) struct Fields {
    form: Form,
    pairs: Vec<(String, Vec<Part>)>,
    message: Option<usize>,
}

impl Fields {
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(name, _)| name.as_str())
    }
}

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// The same in all lines.
    Text(String),
    /// As [`Part::Text`], somewhere in the directory.
    Literal(Range<usize>),
    /// What a column says.
    Column(usize),
}

/// A piece of a sketch.
struct Placed {
    range: Range<usize>,
    what: Part,
}

impl Block {
    /// The values of a field in these rows.
    pub(crate) fn field(
        &mut self,
        wanted: Wanted<'_>,
        rows: &Bits,
    ) -> Result<FieldColumn, Corrupt> {
        let mut out = Values {
            column: FieldColumn {
                values: Vec::new(),
                numbers: vec![ASK; self.len()],
            },
            known: FxHashMap::default(),
        };
        for shape in 0..self.shapes.len() {
            let is_wanted = self
                .shapes
                .get(shape)
                .is_some_and(|s| s.rows.iter().any(|row| rows.contains(*row as usize)));
            if is_wanted {
                self.read_shape_field(shape, wanted, rows, &mut out)?;
            }
        }
        Ok(out.column)
    }

    fn read_shape_field(
        &mut self,
        shape: usize,
        wanted: Wanted<'_>,
        rows: &Bits,
        out: &mut Values,
    ) -> Result<(), Corrupt> {
        let Some(parts) = self.parts_of(shape, wanted)? else {
            return Ok(());
        };
        let Some(parts) = parts else {
            self.each_row(shape, rows, |row, _| out.put(row, ABSENT));
            return Ok(());
        };
        for part in &parts {
            if let Part::Column(column) = part {
                self.prepare_column(shape, *column)?;
            }
        }
        if let Some(number) = self.constant_of(&parts, out) {
            self.each_row(shape, rows, |row, _| out.put(row, number));
            return Ok(());
        }
        if let [Part::Column(column)] = parts[..]
            && let Some(numbers) = self.entries_of(shape, column, out)?
        {
            let Some(column) = self.shapes.get(shape).and_then(|s| s.columns.get(column)) else {
                return Ok(());
            };
            let ids = Self::dictionary_ids(column);
            self.each_row(shape, rows, |row, index| {
                let entry = ids.get(index).and_then(|id| numbers.get(usize::from(*id)));
                out.put(row, entry.copied().unwrap_or(ASK));
            });
            return Ok(());
        }
        let mut failed = None;
        let mut text = Vec::new();
        let Some(of) = self.shapes.get(shape) else {
            return Ok(());
        };
        self.each_row(shape, rows, |row, index| {
            text.clear();
            match self.write_parts_at(of, &parts, index, self.time(row), &mut text) {
                Ok(()) => {
                    let number = out.number(&text);
                    out.put(row, number);
                }
                Err(error) => failed = Some(error),
            }
        });
        failed.map_or(Ok(()), Err)
    }

    /// Calls back with each wanted row of a shape and its number within the shape.
    pub(super) fn each_row(&self, shape: usize, rows: &Bits, mut each: impl FnMut(usize, usize)) {
        let of = self.shapes.get(shape).map(|s| &s.rows[..]);
        for (index, row) in of.unwrap_or_default().iter().enumerate() {
            if rows.contains(*row as usize) {
                each(*row as usize, index);
            }
        }
    }

    /// The parts of a field's value in the lines of a shape: `None` to ask the lines, `Some(None)`
    /// where they have no such field.
    #[expect(
        clippy::option_option,
        reason = "two different ways of not having parts"
    )]
    pub(super) fn parts_of(
        &mut self,
        shape: usize,
        wanted: Wanted<'_>,
    ) -> Result<Option<Option<Vec<Part>>>, Corrupt> {
        let Some(fields) = self.shape_fields(shape)? else {
            return Ok(None);
        };
        let named = |name: &str| {
            let mut all = fields.pairs.iter().filter(move |(n, _)| n == name);
            (all.next().map(|(_, parts)| parts.clone()), all.next())
        };
        Ok(match wanted {
            Wanted::First(name) => Some(named(name).0),
            Wanted::Only(name) => match named(name) {
                (_, Some(_)) => None,
                (first, None) => Some(first),
            },
            Wanted::Message => Some(
                fields
                    .message
                    .and_then(|i| fields.pairs.get(i))
                    .map(|(_, parts)| parts.clone()),
            ),
        })
    }

    /// The number of a value that is the same in all lines, if it is.
    fn constant_of(&self, parts: &[Part], out: &mut Values) -> Option<u32> {
        let mut text = Vec::new();
        for part in parts {
            match part {
                Part::Text(value) => text.extend_from_slice(value.as_bytes()),
                Part::Literal(range) => text.extend_from_slice(self.fixed(range)),
                Part::Column(_) => return None,
            }
        }
        Some(out.number(&text))
    }

    /// The numbers of the values of a dictionary column, entry by entry.
    fn entries_of(
        &mut self,
        shape: usize,
        column: usize,
        out: &mut Values,
    ) -> Result<Option<Vec<u32>>, Corrupt> {
        let stored = self.shapes.get(shape).and_then(|s| s.columns.get(column));
        let Some(&Stored::Dictionary { first, count, .. }) = stored.map(|c| &c.stored) else {
            return Ok(None);
        };
        let mut numbers = Vec::with_capacity(count);
        for entry in first..first + count {
            let value = self.dictionary_value(entry)?;
            numbers.push(out.number(value));
        }
        Ok(Some(numbers))
    }

    fn write_parts_at(
        &self,
        shape: &Shape,
        parts: &[Part],
        index: usize,
        time_ns: i64,
        out: &mut Vec<u8>,
    ) -> Result<(), Corrupt> {
        for part in parts {
            match part {
                Part::Text(value) => out.extend_from_slice(value.as_bytes()),
                Part::Literal(range) => out.extend_from_slice(self.fixed(range)),
                Part::Column(column) => {
                    let column = shape
                        .columns
                        .get(*column)
                        .ok_or(Corrupt("a shape has no such column"))?;
                    self.write_value(column, index, time_ns, out)?;
                }
            }
        }
        Ok(())
    }

    /// Writes the parts of a line as if it had been written in 1970, for who does not look at times.
    pub(super) fn write_parts(
        &self,
        shape: usize,
        parts: &[Part],
        index: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Corrupt> {
        let of = self
            .shapes
            .get(shape)
            .ok_or(Corrupt("a line has an unknown shape"))?;
        self.write_parts_at(of, parts, index, 0, out)
    }

    /// Whether the lines of a shape are JSON; true also where that is not certain.
    pub(super) fn is_json(&mut self, shape: usize) -> Result<bool, Corrupt> {
        let fields = self.shape_fields(shape)?;
        Ok(fields.is_none_or(|fields| fields.form == Form::Json))
    }

    /// The fields of a shape's lines; worked out when first asked for.
    pub(super) fn shape_fields(&mut self, shape: usize) -> Result<Option<&Fields>, Corrupt> {
        if self.fields.len() < self.shapes.len() {
            self.fields.resize_with(self.shapes.len(), || None);
        }
        if let Some(None) = self.fields.get(shape) {
            let found = self.find_fields(shape)?;
            if let Some(slot) = self.fields.get_mut(shape) {
                *slot = Some(found);
            }
        }
        Ok(self
            .fields
            .get(shape)
            .and_then(|fields| fields.as_ref()?.as_ref()))
    }

    fn find_fields(&mut self, shape: usize) -> Result<ShapeFields, Corrupt> {
        let Some(of) = self.shapes.get(shape) else {
            return Ok(None);
        };
        let (text, placed) = self.sketch(of);
        let fields = LineFields::of(&text);
        let starts_object = text.trim_ascii_start().first() == Some(&b'{');
        if fields.is_truncated() || (starts_object && fields.form() != Form::Json) {
            return Ok(None);
        }
        let pairs: Vec<Pair> = fields
            .iter()
            .map(|(_, value)| Pair::of(value, &text))
            .collect();
        for hole in &placed {
            if let Part::Column(column) = hole.what {
                let at = At {
                    text: &text,
                    form: fields.form(),
                    hole: hole.range.clone(),
                    pairs: &pairs,
                    has_rewritten: pairs.iter().any(|pair| pair.is_rewritten),
                };
                let Some(demand) = at.demand() else {
                    return Ok(None);
                };
                if !self.satisfies(shape, column, &demand)? {
                    return Ok(None);
                }
            }
        }
        let message = fields.message().map(str::as_ptr);
        let message = message.and_then(|at| fields.iter().position(|(_, v)| v.as_ptr() == at));
        let pairs = fields
            .iter()
            .zip(&pairs)
            .map(|((name, value), pair)| {
                let parts = match &pair.value {
                    Some(span) => parts_in(span, &placed),
                    // A value that had to be changed for reading holds no variable.
                    None => vec![Part::Text(value.to_owned())],
                };
                (name.to_owned(), parts)
            })
            .collect();
        Ok(Some(Fields {
            form: fields.form(),
            pairs,
            message,
        }))
    }

    /// A line of the shape with a digit in the place of each variable.
    fn sketch(&self, shape: &Shape) -> (Vec<u8>, Vec<Placed>) {
        let mut text = Vec::new();
        let mut placed = Vec::with_capacity(shape.pieces.len());
        for piece in &shape.pieces {
            let start = text.len();
            let what = match piece {
                Piece::Literal(range) => Part::Literal(range.clone()),
                Piece::Column(column) => match shape.columns.get(*column).map(|c| &c.stored) {
                    Some(Stored::Constant(range)) => Part::Literal(range.clone()),
                    _ => Part::Column(*column),
                },
            };
            match &what {
                Part::Literal(range) => text.extend_from_slice(self.fixed(range)),
                _ => text.push(b'0'),
            }
            placed.push(Placed {
                range: start..text.len(),
                what,
            });
        }
        (text, placed)
    }

    /// Whether all values of a column are such that the line is read as the sketch is.
    fn satisfies(&mut self, shape: usize, column: usize, demand: &Demand) -> Result<bool, Corrupt> {
        let stored = self.shapes.get(shape).and_then(|s| s.columns.get(column));
        let n = self.shapes.get(shape).map_or(0, |s| s.rows.len());
        let fits = |value: &[u8]| !value.iter().any(|byte| demand.forbids(*byte));
        match stored.map(|c| c.stored.clone()) {
            _ if *demand == Demand::Nothing => Ok(true),
            Some(
                Stored::Integer(_)
                | Stored::Decimal(..)
                | Stored::Hex { .. }
                | Stored::Text { is_plain: true, .. },
            ) => Ok(true),
            Some(Stored::Time(form, _) | Stored::TimeConstant(form, _)) => Ok(match demand {
                Demand::Plain => false,
                Demand::Bare { .. } => !form.has_space(),
                Demand::NoPair { .. } | Demand::Nothing => true,
            }),
            Some(_) if demand.is_met_by_template() && !self.has_returns() => Ok(true),
            Some(Stored::Dictionary { first, count, .. }) => {
                let (frame, ends) = self.dictionary()?;
                (first..first + count).try_fold(true, |all, i| {
                    Ok(all && fits(super::frames::value(frame, ends, i)?))
                })
            }
            Some(Stored::Text { first, .. }) => {
                let (frame, ends) = self.texts()?;
                (first..first + n).try_fold(true, |all, i| {
                    Ok(all && fits(super::frames::value(frame, ends, i)?))
                })
            }
            Some(Stored::Constant(_)) | None => Ok(true),
        }
    }
}

/// The parts of a sketch that lie in a span. A variable lies in it as a whole or not at all.
fn parts_in(span: &Range<usize>, placed: &[Placed]) -> Vec<Part> {
    placed
        .iter()
        .filter_map(|piece| {
            let start = span.start.max(piece.range.start);
            let end = span.end.min(piece.range.end);
            (start < end).then(|| match &piece.what {
                Part::Literal(range) => {
                    let from = range.start + (start - piece.range.start);
                    Part::Literal(from..from + (end - start))
                }
                other => other.clone(),
            })
        })
        .collect()
}

/// Numbers values as they come.
struct Values {
    column: FieldColumn,
    known: FxHashMap<Vec<u8>, u32>,
}

impl Values {
    fn put(&mut self, row: usize, number: u32) {
        if let Some(slot) = self.column.numbers.get_mut(row) {
            *slot = number;
        }
    }

    /// The number of a value; [`ASK`] for one with a backslash, which may read otherwise.
    fn number(&mut self, value: &[u8]) -> u32 {
        if let Some(number) = self.known.get(value) {
            return *number;
        }
        let number = if memchr::memchr(b'\\', value).is_some() {
            ASK
        } else {
            let text: Cow<'_, str> = String::from_utf8_lossy(value);
            self.column.values.push(text.into_owned());
            self.column.values.len() as u32 - 1
        };
        self.known.insert(value.to_vec(), number);
        number
    }
}

#[cfg(test)]
mod tests;
