//! A text inside variables: dictionaries, the text frame and typed values are looked through as a
//! whole each, and where it is found follows the column that holds it.

use super::undone;
use crate::block::VALUE_END;
use crate::block::bytes::Corrupt;
use crate::block::crossing::{self, Edge};
use crate::block::decode::Block;
use crate::block::directory::{Piece, Shape, Stored};
use crate::block::sought::Sought;
use crate::block::verdict::Verdict;

impl Block {
    pub(super) fn find_in_dictionary(
        &mut self,
        sought: &Sought,
        is_done: &[bool],
        verdict: &mut Verdict,
    ) -> Result<(), Corrupt> {
        let hits = values_with(sought, self.dictionary_frame()?);
        if hits.is_empty() {
            return Ok(());
        }
        for number in undone(is_done) {
            let n_columns = self.shapes.get(number).map_or(0, |s| s.columns.len());
            for column in 0..n_columns {
                let Some(Stored::Dictionary { first, count, .. }) = self.stored(number, column)
                else {
                    continue;
                };
                let (first, count) = (*first, *count);
                let hits = within(&hits, first, count);
                if hits.is_empty() {
                    continue;
                }
                let mut wanted = [false; 256];
                for hit in hits {
                    if let Some(wanted) = wanted.get_mut(hit - first) {
                        *wanted = true;
                    }
                }
                self.prepare_column(number, column)?;
                let Some(shape) = self.shapes.get(number) else {
                    continue;
                };
                let Some(values) = shape.columns.get(column) else {
                    continue;
                };
                let is_sure = self.is_free(sought, shape, column);
                for (id, row) in Self::dictionary_ids(values).iter().zip(&shape.rows) {
                    if wanted[usize::from(*id)] {
                        verdict.add(*row as usize, is_sure);
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn find_in_texts(
        &mut self,
        sought: &Sought,
        is_done: &[bool],
        verdict: &mut Verdict,
    ) -> Result<(), Corrupt> {
        // Decompressing the text frame is most of the work: only if an open shape has such a column.
        let columns: Vec<(usize, usize, usize, usize)> = undone(is_done)
            .filter_map(|number| Some((number, self.shapes.get(number)?)))
            .flat_map(|(number, shape)| {
                let texts = shape.columns.iter().enumerate();
                texts.filter_map(move |(column, c)| match c.stored {
                    Stored::Text { first, .. } => Some((first, shape.rows.len(), number, column)),
                    _ => None,
                })
            })
            .collect();
        if columns.is_empty() {
            return Ok(());
        }
        let hits = values_with(sought, self.text_frame()?);
        if hits.is_empty() {
            return Ok(());
        }
        for (first, n, number, column) in columns {
            let hits = within(&hits, first, n);
            if hits.is_empty() {
                continue;
            }
            if let Some(shape) = self.shapes.get(number) {
                let is_sure = self.is_free(sought, shape, column);
                for row in hits.iter().filter_map(|hit| shape.rows.get(hit - first)) {
                    verdict.add(*row as usize, is_sure);
                }
            }
        }
        Ok(())
    }

    /// Numbers, hex and timestamps, where what is sought looks like one.
    pub(super) fn find_in_typed(
        &mut self,
        sought: &Sought,
        is_done: &[bool],
        verdict: &mut Verdict,
    ) -> Result<(), Corrupt> {
        let looks = sought.looks;
        if !looks.time && !looks.decimal && !looks.hex {
            return Ok(());
        }
        let in_hex = looks.hex && self.may_be_in_hex(sought)?;
        if !looks.time && !looks.decimal && !in_hex {
            return Ok(());
        }
        for number in undone(is_done) {
            let n_columns = self.shapes.get(number).map_or(0, |s| s.columns.len());
            for column in 0..n_columns {
                let hits = match self.stored(number, column) {
                    Some(Stored::Integer(_)) if looks.integer => {
                        self.find_in_written(sought, number, column)?
                    }
                    Some(Stored::Decimal(..)) if looks.decimal => {
                        self.find_in_written(sought, number, column)?
                    }
                    Some(Stored::Hex { width, .. })
                        if in_hex && sought.letters().len() <= width * 2 =>
                    {
                        self.find_in_hex(sought, number, column)?
                    }
                    Some(Stored::Time(..) | Stored::TimeConstant(..)) if looks.time => {
                        self.find_in_written(sought, number, column)?
                    }
                    _ => continue,
                };
                let Some(shape) = self.shapes.get(number).filter(|_| !hits.is_empty()) else {
                    continue;
                };
                let is_sure = self.is_free(sought, shape, column);
                for row in hits.iter().filter_map(|hit| shape.rows.get(*hit)) {
                    verdict.add(*row as usize, is_sure);
                }
            }
        }
        Ok(())
    }

    /// Whether words can begin and end at both ends of a column's values, as far as needed: then
    /// what stands in a value stands in the line.
    fn is_free(&self, sought: &Sought, shape: &Shape, column: usize) -> bool {
        let piece = shape
            .pieces
            .iter()
            .position(|piece| matches!(piece, Piece::Column(c) if *c == column));
        let Some(piece) = piece else {
            return false;
        };
        let edges = self.edges(sought, shape, |views| {
            (
                crossing::edge_before(views, piece, 0),
                crossing::edge_after(views, piece, 0),
            )
        });
        edges == Edge::Free
    }
}

/// Numbers of the values in a frame that hold the text, ascending.
pub(in crate::block) fn values_with(sought: &Sought, frame: &[u8]) -> Vec<usize> {
    let mut hits = Vec::new();
    let (mut from, mut value) = (0, 0);
    while let Some(place) = sought.find(frame, from) {
        // Ends are counted where it is, not noted for all values.
        let between = frame.get(from..place.start).unwrap_or_default();
        value += memchr::memchr_iter(VALUE_END, between).count();
        hits.push(value);
        // One hit per value is enough.
        let rest = frame.get(place.end..).unwrap_or_default();
        let Some(end) = memchr::memchr(VALUE_END, rest) else {
            break;
        };
        from = place.end + end + 1;
        value += 1;
    }
    hits
}

/// The part of ascending numbers that lies in `first..first + n`.
fn within(numbers: &[usize], first: usize, n: usize) -> &[usize] {
    let start = numbers.partition_point(|i| *i < first);
    let end = numbers.partition_point(|i| *i < first + n);
    numbers.get(start..end).unwrap_or_default()
}
