//! Which lines of a block hold a text? Answered from shapes and columns, without rebuilding a line.
//!
//! A line is a row of pieces: literals of its shape, and variables. What is sought stands
//!
//! 1. in a literal or a constant variable: then all lines of the shape hold it,
//! 2. inside one variable ([`in_values`]): the dictionary, the text frame or the typed values are
//!    looked through,
//! 3. or over several pieces ([`super::crossing`]): then columns must end, be or begin so.
//!
//! Nearly always that decides. Where a border between words depends on more than was looked at,
//! the rows are left open in the [`Verdict`].

mod in_values;

pub(super) use in_values::values_with;

use std::ops::Range;

use super::bytes::Corrupt;
use super::crossing::{self, Crossing, Edge, Kind, View};
use super::decode::Block;
use super::directory::{Piece, Shape, Stored};
use super::sought::Sought;
use super::verdict::Verdict;
use crate::bits::Bits;

impl Block {
    /// The rows that hold a text, where they are among `among` (none: all rows); of other rows the
    /// verdict says nothing.
    pub(crate) fn find(
        &mut self,
        sought: &Sought,
        among: Option<&Bits>,
    ) -> Result<Verdict, Corrupt> {
        let mut verdict = Verdict::none(self.len());
        self.find_in_odd(sought, &mut verdict)?;
        let mut is_done = self.shapes_without(among);
        self.find_in_fixed(sought, &mut is_done, &mut verdict);
        self.find_crossing(sought, &mut is_done, among, &mut verdict)?;
        if sought.fits_values && !is_done.iter().all(|done| *done) {
            self.find_in_dictionary(sought, &is_done, &mut verdict)?;
            self.find_in_texts(sought, &is_done, &mut verdict)?;
            self.find_in_typed(sought, &is_done, &mut verdict)?;
        }
        Ok(verdict)
    }

    /// Per shape, whether none of its rows is among these.
    fn shapes_without(&self, among: Option<&Bits>) -> Vec<bool> {
        let Some(among) = among else {
            return vec![false; self.shapes.len()];
        };
        self.shapes
            .iter()
            .map(|shape| !shape.rows.iter().any(|row| among.contains(*row as usize)))
            .collect()
    }

    fn find_in_odd(&mut self, sought: &Sought, verdict: &mut Verdict) -> Result<(), Corrupt> {
        if self.odd_rows.is_empty() {
            return Ok(());
        }
        let hits: Vec<bool> = self.odd_texts()?.iter().map(|t| sought.is_in(t)).collect();
        for (row, _) in self.odd_rows.iter().zip(hits).filter(|(_, hit)| *hit) {
            verdict.add(*row as usize, true);
        }
        Ok(())
    }

    /// Literals and constants all lie in the directory, which is looked through as one text.
    fn find_in_fixed(&self, sought: &Sought, is_done: &mut [bool], verdict: &mut Verdict) {
        let mut from = 0;
        while let Some(place) = sought.find_letters(&self.directory, from) {
            from = place.start + 1;
            let number = self
                .shapes
                .partition_point(|shape| shape.start() <= place.start);
            let Some(number) = number.checked_sub(1) else {
                continue;
            };
            let (Some(shape), Some(false)) = (self.shapes.get(number), is_done.get(number)) else {
                continue;
            };
            // Not what stands between the texts, and nothing that reaches over a mark.
            let Some((piece, text)) = fixed_piece_at(shape, &place) else {
                continue;
            };
            let edges = self.edges(sought, shape, |views| {
                (
                    crossing::edge_before(views, piece, place.start - text.start),
                    crossing::edge_after(views, piece, place.end - text.start),
                )
            });
            if edges != Edge::Blocked {
                let is_sure = edges == Edge::Free;
                shape
                    .rows
                    .iter()
                    .for_each(|row| verdict.add(*row as usize, is_sure));
                if is_sure && let Some(done) = is_done.get_mut(number) {
                    *done = true;
                }
            }
        }
    }

    /// The worse of the edges at both ends of a place, where the text needs them.
    fn edges(
        &self,
        sought: &Sought,
        shape: &Shape,
        edges: impl FnOnce(&[View<'_>]) -> (Edge, Edge),
    ) -> Edge {
        let (needs_before, needs_after) = sought.borders;
        if !needs_before && !needs_after {
            return Edge::Free;
        }
        let (before, after) = edges(&self.views(shape));
        let before = if needs_before { before } else { Edge::Free };
        let after = if needs_after { after } else { Edge::Free };
        match (before, after) {
            (Edge::Free, Edge::Free) => Edge::Free,
            (Edge::Blocked, _) | (_, Edge::Blocked) => Edge::Blocked,
            _ => Edge::Unknown,
        }
    }

    /// The pieces of a shape as a search sees them.
    pub(super) fn views<'a>(&'a self, shape: &'a Shape) -> Vec<View<'a>> {
        shape
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Literal(range) => View::Fixed(self.fixed(range)),
                Piece::Column(number) => match shape.columns.get(*number).map(|c| &c.stored) {
                    Some(Stored::Constant(range)) => View::Fixed(self.fixed(range)),
                    Some(stored) => View::Variable(*number, kind_of(stored)),
                    None => View::Fixed(&[]),
                },
            })
            .collect()
    }

    fn find_crossing(
        &mut self,
        sought: &Sought,
        is_done: &mut [bool],
        among: Option<&Bits>,
        verdict: &mut Verdict,
    ) -> Result<(), Corrupt> {
        for number in 0..self.shapes.len() {
            let (Some(shape), Some(done)) = (self.shapes.get(number), is_done.get_mut(number))
            else {
                continue;
            };
            if *done || !self.may_cross(sought, shape) {
                continue;
            }
            let views = self.views(shape);
            if !crossing::may_cross(sought, &views) {
                continue;
            }
            let Some(ways) = crossing::crossings(sought, &views) else {
                let rows = shape.rows.iter();
                rows.for_each(|row| verdict.add(*row as usize, false));
                continue;
            };
            if let Some(way) = ways.iter().find(|w| w.demands.is_empty() && w.is_sure) {
                let rows = shape.rows.iter();
                rows.for_each(|row| verdict.add(*row as usize, way.is_sure));
                *done = true;
                continue;
            }
            for way in ways {
                self.add_crossing(sought, number, &way, among, verdict)?;
            }
        }
        Ok(())
    }

    /// A glance at the edges of the literals: most texts cannot cross any border of a shape.
    fn may_cross(&self, sought: &Sought, shape: &Shape) -> bool {
        let may_touch = |range: &Range<usize>| {
            let text = self.fixed(range);
            let touches = |byte: Option<&u8>| byte.is_none_or(|byte| sought.has_byte(*byte));
            touches(text.first()) || touches(text.last())
        };
        shape.pieces.iter().any(|piece| match piece {
            Piece::Literal(range) => may_touch(range),
            // Between two literals; these tell.
            Piece::Column(_) => false,
        })
    }

    /// Adds the rows of a shape that satisfy the demands of a crossing.
    fn add_crossing(
        &mut self,
        sought: &Sought,
        number: usize,
        way: &Crossing,
        among: Option<&Bits>,
        verdict: &mut Verdict,
    ) -> Result<(), Corrupt> {
        let Some(shape) = self.shapes.get(number) else {
            return Ok(());
        };
        let mut rows: Vec<u32> = (0..shape.rows.len() as u32)
            .filter(|index| {
                let row = shape.rows.get(*index as usize);
                among.is_none_or(|among| row.is_some_and(|row| among.contains(*row as usize)))
            })
            .collect();
        let mut doubtful = Vec::new();
        for (column, demand) in &way.demands {
            if rows.is_empty() {
                return Ok(());
            }
            let column = (number, *column);
            self.retain(sought, column, *demand, &mut rows, &mut doubtful)?;
        }
        let Some(shape) = self.shapes.get(number) else {
            return Ok(());
        };
        for index in rows {
            if let Some(row) = shape.rows.get(index as usize) {
                let is_sure = way.is_sure && !doubtful.contains(&index);
                verdict.add(*row as usize, is_sure);
            }
        }
        Ok(())
    }

    pub(super) fn stored(&self, shape: usize, column: usize) -> Option<&Stored> {
        Some(&self.shapes.get(shape)?.columns.get(column)?.stored)
    }
}

/// The literal or constant that holds a place of the directory: its number among the pieces,
/// and where it lies.
fn fixed_piece_at(shape: &Shape, place: &Range<usize>) -> Option<(usize, Range<usize>)> {
    shape.pieces.iter().enumerate().find_map(|(i, piece)| {
        let range = match piece {
            Piece::Literal(range) => range,
            Piece::Column(column) => match &shape.columns.get(*column)?.stored {
                Stored::Constant(range) => range,
                _ => return None,
            },
        };
        (range.start <= place.start && place.end <= range.end).then(|| (i, range.clone()))
    })
}

fn undone(is_done: &[bool]) -> impl Iterator<Item = usize> {
    let numbered = is_done.iter().enumerate();
    numbered.filter(|(_, done)| !**done).map(|(i, _)| i)
}

fn kind_of(stored: &Stored) -> Kind {
    match stored {
        Stored::Integer(_) => Kind::Integer,
        Stored::Decimal(..) => Kind::Decimal,
        Stored::Hex { .. } => Kind::Hex,
        Stored::Time(..) | Stored::TimeConstant(..) => Kind::Time,
        Stored::Constant(_) | Stored::Dictionary { .. } | Stored::Text { .. } => Kind::Any,
    }
}

#[cfg(test)]
mod tests;
