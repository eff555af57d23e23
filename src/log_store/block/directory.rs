//! The shapes and columns that the directory of a block tells of.

use std::ops::Range;

use super::bytes::{Corrupt, Cursor};
use super::encode::{Literals, Mark};
use super::frames::Place;
use super::ints::IntLayout;
use super::time_text::TimeForm;
use super::{SMALL_COLUMN_BYTES, kind};

/// What some lines have in common.
pub(super) struct Shape {
    /// Its literals and variables in order.
    pub(super) pieces: Vec<Piece>,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<u32>,
    /// Whether all its columns have been decoded.
    pub(super) is_prepared: bool,
}

impl Shape {
    /// Where its text begins in the directory; shapes and their constants come one after the other.
    pub(super) fn start(&self) -> usize {
        match self.pieces.first() {
            Some(Piece::Literal(range)) => range.start,
            _ => 0,
        }
    }
}

/// A part of a shape: a place in the directory, or the number of a column.
pub(super) enum Piece {
    Literal(Range<usize>),
    Column(usize),
}

/// A variable of a shape.
pub(super) struct Column {
    pub(super) stored: Stored,
    /// Decoded when first needed: integers, time differences.
    pub(super) ints: Option<Vec<i64>>,
    /// Decoded when first needed: numbers of dictionary entries.
    pub(super) ids: Option<Vec<u8>>,
}

/// How a column is stored, and where.
#[derive(Clone)]
pub(super) enum Stored {
    Constant(Range<usize>),
    Integer(IntSource),
    Decimal(IntSource, usize),
    Hex {
        start: usize,
        width: usize,
    },
    Dictionary {
        first: usize,
        count: usize,
        ids: DictionaryIds,
    },
    Text {
        first: usize,
        /// Whether it is known that values hold nothing but ASCII letters, digits and points.
        is_plain: bool,
    },
    TimeConstant(TimeForm, i64),
    Time(TimeForm, IntSource),
}

/// A column of integers.
#[derive(Clone)]
pub(super) struct IntSource(pub(super) IntLayout, pub(super) Place);

/// Numbers of dictionary entries.
#[derive(Clone)]
pub(super) struct DictionaryIds(pub(super) Place);

/// Hands out the places of payloads in the order in which they were written.
pub(super) struct Places {
    pub(super) small: usize,
    pub(super) large: usize,
}

impl Places {
    fn next(&mut self, len: usize) -> Place {
        if len < SMALL_COLUMN_BYTES {
            self.small += len;
            Place::Small(self.small - len..self.small)
        } else {
            self.large += 1;
            Place::Large(self.large - 1)
        }
    }

    pub(super) fn ints(
        &mut self,
        cursor: &mut Cursor<'_>,
        n: usize,
    ) -> Result<(IntLayout, Place), Corrupt> {
        let layout = IntLayout::read(cursor)?;
        Ok((layout, self.next(layout.payload_len(n))))
    }
}

/// Numbers of the next dictionary entry, text value and packed byte while columns are read.
#[derive(Default)]
pub(super) struct Firsts {
    dictionary: usize,
    text: usize,
    packed: usize,
}

/// Reads a shape and its columns.
pub(super) fn read_shape(
    cursor: &mut Cursor<'_>,
    rows: Vec<u32>,
    places: &mut Places,
    firsts: &mut Firsts,
) -> Result<Shape, Corrupt> {
    let text = cursor.bytes()?;
    let text_start = cursor.position() - text.len();
    let mut pieces = Vec::new();
    let mut columns = Vec::new();
    let mut at = text_start;
    for (literal, mark) in Literals::new(text) {
        pieces.push(Piece::Literal(at..at + literal.len()));
        at += literal.len();
        let form = match mark {
            None if at == text_start + text.len() => break,
            None => return Err(Corrupt("a timestamp has an unknown form")),
            Some(Mark::Variable) => {
                at += 1;
                None
            }
            Some(Mark::Time(form)) => {
                at += 2;
                Some(form)
            }
        };
        pieces.push(Piece::Column(columns.len()));
        columns.push(Column {
            stored: read_column(cursor, rows.len(), form, places, firsts)?,
            ints: None,
            ids: None,
        });
    }
    Ok(Shape {
        pieces,
        columns,
        rows,
        is_prepared: false,
    })
}

fn read_column(
    cursor: &mut Cursor<'_>,
    n: usize,
    form: Option<TimeForm>,
    places: &mut Places,
    firsts: &mut Firsts,
) -> Result<Stored, Corrupt> {
    let mut ints = |cursor: &mut Cursor<'_>| {
        let (layout, place) = places.ints(cursor, n)?;
        Ok::<_, Corrupt>(IntSource(layout, place))
    };
    Ok(match (cursor.byte()?, form) {
        (kind::CONSTANT, None) => {
            let len = cursor.bytes()?.len();
            Stored::Constant(cursor.position() - len..cursor.position())
        }
        (kind::INTEGER, None) => Stored::Integer(ints(cursor)?),
        (kind::DECIMAL, None) => {
            let digits = usize::from(cursor.byte()?);
            Stored::Decimal(ints(cursor)?, digits)
        }
        (kind::HEX, None) => {
            let width = cursor.size()?;
            let start = firsts.packed;
            firsts.packed = width
                .checked_mul(n)
                .and_then(|len| start.checked_add(len))
                .ok_or(Corrupt("a length overflows"))?;
            Stored::Hex { start, width }
        }
        (kind::DICTIONARY, None) => {
            let count = cursor.size()?;
            let first = firsts.dictionary;
            firsts.dictionary = first
                .checked_add(count)
                .ok_or(Corrupt("a length overflows"))?;
            Stored::Dictionary {
                first,
                count,
                ids: DictionaryIds(places.next(n)),
            }
        }
        (text @ (kind::TEXT | kind::PLAIN), None) => {
            let first = firsts.text;
            firsts.text += n;
            Stored::Text {
                first,
                is_plain: text == kind::PLAIN,
            }
        }
        (kind::TIME_CONSTANT, Some(form)) => Stored::TimeConstant(form, cursor.zigzag()?),
        (kind::TIME, Some(form)) => Stored::Time(form, ints(cursor)?),
        _ => return Err(Corrupt("a column has an unknown kind")),
    })
}
