//! Which lines of a block may hold a word? Answered from shapes and columns, without rebuilding a
//! line; never leaves out a line that holds it.
//!
//! A word is never cut between shape and variable (`template`), so it stands in a literal, or in
//! one variable. The exceptions (numbers with a unit, timestamps behind a colour sequence) are left
//! to the exact comparison.

use log_query::Needle;

use super::bytes::Corrupt;
use super::decode::Block;
use super::directory::Stored;
use super::template::{begins_number_with_unit, is_colour_and_time, is_number_with_unit};
use crate::bits::Bits;
use crate::tokens::Word;

/// A word that is ready to be looked for in columns; `None` for one that columns cannot prune.
pub(crate) fn needle(word: &Word) -> Option<Needle> {
    let Word::Run(run) = word else { return None };
    if run.touches_wide {
        // A letter next to it would be no border.
        return None;
    }
    if run.is_open {
        let may_be_cut = is_cut(run.text.as_bytes(), begins_number_with_unit);
        (!may_be_cut).then(|| Needle::prefix(&run.text)).flatten()
    } else {
        let may_be_cut = is_cut(run.text.as_bytes(), is_number_with_unit);
        (!may_be_cut).then(|| Needle::whole(&run.text)).flatten()
    }
}

/// Whether a word may be cut between shape and variable.
fn is_cut(word: &[u8], has_unit: impl Fn(&[u8]) -> bool) -> bool {
    has_unit(word) || is_colour_and_time(word)
}

impl Block {
    /// The rows that may hold a word. `times` are those of the block.
    pub(crate) fn rows_with(&mut self, needle: &Needle, times: &[i64]) -> Result<Bits, Corrupt> {
        let mut found = Bits::none(self.len());
        let odd_hits: Vec<bool> = if self.odd_rows.is_empty() {
            Vec::new()
        } else {
            self.odd_texts()?.iter().map(|t| needle.is_in(t)).collect()
        };
        for (row, hit) in self.odd_rows.iter().zip(odd_hits) {
            if hit {
                found.insert(*row as usize);
            }
        }
        let looks_like = Looks::of(needle.as_str());
        let (dictionary, ends) = self.dictionary()?;
        let dictionary_hits = values_with(needle, dictionary, ends);
        // Decompressing the text frame is most of the work; hex and numbers may lie elsewhere.
        let mut text_hits: Option<Vec<usize>> = None;
        for shape in 0..self.shapes.len() {
            let columns = match self.shapes.get(shape) {
                Some(s) if self.literals(s).any(|literal| needle.is_in(literal)) => {
                    s.rows.iter().for_each(|row| found.insert(*row as usize));
                    continue;
                }
                Some(s) => s.columns.len(),
                None => 0,
            };
            for column in 0..columns {
                if let Some(Stored::Text { .. }) = self.stored(shape, column)
                    && text_hits.is_none()
                {
                    let (text, ends) = self.texts()?;
                    text_hits = Some(values_with(needle, text, ends));
                }
                let hits = (
                    &dictionary_hits[..],
                    text_hits.as_deref().unwrap_or_default(),
                );
                self.rows_of_column((shape, column), needle, looks_like, hits, times, &mut found)?;
            }
        }
        Ok(found)
    }

    fn stored(&self, shape: usize, column: usize) -> Option<&Stored> {
        Some(&self.shapes.get(shape)?.columns.get(column)?.stored)
    }

    /// Adds the rows whose value in one column holds the needle.
    fn rows_of_column(
        &mut self,
        (shape, column): (usize, usize),
        needle: &Needle,
        looks_like: Looks,
        (dictionary_hits, text_hits): (&[usize], &[usize]),
        times: &[i64],
        found: &mut Bits,
    ) -> Result<(), Corrupt> {
        let n = self.shapes.get(shape).map_or(0, |s| s.rows.len());
        let Some(stored) = self.stored(shape, column).cloned() else {
            return Ok(());
        };
        // Rows are numbered within the shape up to the end of this function.
        let rows: Vec<usize> = match stored {
            Stored::Constant(range) => {
                if needle.is_in(self.constant(&range)) {
                    (0..n).collect()
                } else {
                    return Ok(());
                }
            }
            Stored::Dictionary { first, count, .. } => {
                let hits = within(dictionary_hits, first, count);
                if hits.is_empty() {
                    return Ok(());
                }
                let mut wanted = [false; 256];
                for hit in hits {
                    if let Some(wanted) = wanted.get_mut(hit - first) {
                        *wanted = true;
                    }
                }
                self.prepare_column(shape, column)?;
                let Some(column) = self.shapes.get(shape).and_then(|s| s.columns.get(column))
                else {
                    return Ok(());
                };
                Self::dictionary_ids(column)
                    .iter()
                    .enumerate()
                    .filter(|(_, id)| wanted[usize::from(**id)])
                    .map(|(i, _)| i)
                    .collect()
            }
            Stored::Text { first, .. } => within(text_hits, first, n)
                .iter()
                .map(|i| i - first)
                .collect(),
            Stored::Integer(_) | Stored::Decimal(..) if !looks_like.number => return Ok(()),
            Stored::Time(..) | Stored::TimeConstant(..) if !looks_like.time => return Ok(()),
            Stored::Hex { width, .. } if !looks_like.hex || needle.len() > width * 2 => {
                return Ok(());
            }
            Stored::Integer(_)
            | Stored::Decimal(..)
            | Stored::Hex { .. }
            | Stored::Time(..)
            | Stored::TimeConstant(..) => self.written_rows(shape, column, needle, times)?,
        };
        if let Some(shape) = self.shapes.get(shape) {
            for row in rows {
                if let Some(row) = shape.rows.get(row) {
                    found.insert(*row as usize);
                }
            }
        }
        Ok(())
    }

    /// Rows, numbered within the shape, whose value holds the needle once it is written out.
    fn written_rows(
        &mut self,
        shape: usize,
        column: usize,
        needle: &Needle,
        times: &[i64],
    ) -> Result<Vec<usize>, Corrupt> {
        self.prepare_column(shape, column)?;
        let mut rows = Vec::new();
        let Some((rows_of_shape, column)) = self
            .shapes
            .get(shape)
            .and_then(|s| Some((&s.rows, s.columns.get(column)?)))
        else {
            return Ok(rows);
        };
        let mut text = Vec::new();
        for (i, row) in rows_of_shape.iter().enumerate() {
            let time_ns = times.get(*row as usize).copied().unwrap_or_default();
            text.clear();
            self.write_value(column, i, time_ns, &mut text)?;
            if needle.is_in(&text) {
                rows.push(i);
            }
        }
        Ok(rows)
    }
}

/// Which typed columns can hold a word at all.
#[derive(Debug, Clone, Copy)]
struct Looks {
    number: bool,
    hex: bool,
    time: bool,
}

impl Looks {
    fn of(word: &str) -> Self {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let marks = word.bytes().filter(|b| matches!(b, b't' | b'z')).count();
        Self {
            number: digits == word.len(),
            hex: word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
            time: digits > 0 && marks <= 1 && digits + marks == word.len(),
        }
    }
}

/// Numbers of the values in a frame that hold the needle, ascending.
fn values_with(needle: &Needle, frame: &[u8], ends: &[u32]) -> Vec<usize> {
    let mut hits = Vec::new();
    let mut from = 0;
    while let Some(place) = needle.find(frame, from) {
        let value = ends.partition_point(|end| (*end as usize) < place.start);
        hits.push(value);
        // One hit per value is enough.
        match ends.get(value) {
            Some(end) => from = *end as usize + 1,
            None => break,
        }
    }
    hits
}

/// The part of ascending numbers that lies in `first..first + n`.
fn within(numbers: &[usize], first: usize, n: usize) -> &[usize] {
    let start = numbers.partition_point(|i| *i < first);
    let end = numbers.partition_point(|i| *i < first + n);
    numbers.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::encode::Encoder;
    use super::*;
    use crate::lines::Lines;
    use crate::tokens::words;
    use model::Level;

    fn block(texts: &[String]) -> (Block, Vec<i64>) {
        let mut lines = Lines::default();
        for (i, text) in texts.iter().enumerate() {
            lines.push(i as i64 * 1_000_000_000, Level::Info, text.as_bytes());
        }
        let encoded = Encoder::new()
            .and_then(|mut e| e.encode(&lines))
            .expect("a block");
        let block = Block::open(encoded.bytes).expect("it opens");
        (block, lines.times().to_vec())
    }

    #[test]
    fn rows_are_the_ones_that_hold_the_word() {
        let texts: Vec<String> = (0..200)
            .map(|i| {
                format!(
                    "at 10:00:{:02}.{:06} user={} id={:08x} took {}.5s kind=\"{}\" code {}",
                    i % 60,
                    i,
                    ["ann", "bob", "cy"][i % 3],
                    i * 7919,
                    i,
                    ["a b", "c-d"][i % 2],
                    5000 + i
                )
            })
            .collect();
        let (mut block, times) = block(&texts);
        for word in [
            "ann", "d", "took", "5077", "77", "000077", "0001ee", "10", "nothing", "kind",
        ] {
            for open_end in [false, true] {
                for part in words(word, open_end) {
                    let Some(needle) = needle(&part) else {
                        continue;
                    };
                    let rows: Vec<usize> = block
                        .rows_with(&needle, &times)
                        .expect("rows")
                        .iter()
                        .collect();
                    let expected: Vec<usize> = (0..texts.len())
                        .filter(|i| needle.is_in(texts[*i].as_bytes()))
                        .collect();
                    assert_eq!(rows, expected, "{word} {open_end}");
                }
            }
        }
    }
}
