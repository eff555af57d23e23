//! The values of typed columns: written out to be looked through, or compared where they lie.

use super::bytes::Corrupt;
use super::crossing::{Demand, Met};
use super::decode::Block;
use super::directory::Stored;
use super::find::values_with;
use super::sought::Sought;
use super::{FRAME_PACKED, VALUE_END};

impl Block {
    /// Rows, numbered within the shape, whose written value holds the text.
    pub(super) fn find_in_written(
        &mut self,
        sought: &Sought,
        shape: usize,
        column: usize,
    ) -> Result<Vec<usize>, Corrupt> {
        let mut text = Vec::new();
        self.write_values(shape, column, |value| {
            text.extend_from_slice(value);
            text.push(VALUE_END);
        })?;
        Ok(values_with(sought, &text))
    }

    /// Whether the whole bytes of a text stand anywhere among the packed values.
    pub(super) fn may_be_in_hex(&mut self, sought: &Sought) -> Result<bool, Corrupt> {
        let Some(packed) = &sought.packed else {
            // Too short to tell.
            return Ok(true);
        };
        let frame = self.packed_frame()?;
        Ok(packed.iter().any(|finder| finder.find(frame).is_some()))
    }

    /// The same for hex: first the whole bytes of the text are looked for among the packed ones.
    pub(super) fn find_in_hex(
        &mut self,
        sought: &Sought,
        shape: usize,
        column: usize,
    ) -> Result<Vec<usize>, Corrupt> {
        let Some(finders) = &sought.packed else {
            return self.find_in_written(sought, shape, column);
        };
        self.prepare_column(shape, column)?;
        let Some((n, Stored::Hex { start, width })) = self
            .shapes
            .get(shape)
            .and_then(|s| Some((s.rows.len(), &s.columns.get(column)?.stored)))
        else {
            return Ok(Vec::new());
        };
        let packed = self
            .loaded(FRAME_PACKED)
            .get(*start..start + n * width)
            .ok_or(Corrupt("a packed value is missing"))?;
        let mut rows: Vec<usize> = (finders.iter())
            .flat_map(|finder| finder.find_iter(packed))
            .map(|at| at / (*width).max(1))
            .collect();
        rows.sort_unstable();
        rows.dedup();
        let mut text = Vec::new();
        let mut hits = Vec::new();
        let Some(values) = self.shapes.get(shape).and_then(|s| s.columns.get(column)) else {
            return Ok(hits);
        };
        for row in rows {
            text.clear();
            self.write_value(values, row, 0, &mut text)?;
            if sought.is_in(&text) {
                hits.push(row);
            }
        }
        Ok(hits)
    }

    /// Calls back with the written value of each row of a column.
    pub(super) fn write_values(
        &mut self,
        shape: usize,
        column: usize,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Corrupt> {
        self.prepare_column(shape, column)?;
        let Some((shape, values)) = self
            .shapes
            .get(shape)
            .and_then(|s| Some((s, s.columns.get(column)?)))
        else {
            return Ok(());
        };
        let mut text = Vec::new();
        for (index, row) in shape.rows.iter().enumerate() {
            text.clear();
            self.write_value(values, index, self.time(*row as usize), &mut text)?;
            each(&text);
        }
        Ok(())
    }

    /// Keeps the rows, numbered within the shape, whose value is or may be as demanded; those of
    /// which that is not sure are added to `doubtful`.
    pub(super) fn retain(
        &mut self,
        sought: &Sought,
        (shape, column): (usize, usize),
        demand: Demand,
        rows: &mut Vec<u32>,
        doubtful: &mut Vec<u32>,
    ) -> Result<(), Corrupt> {
        self.prepare_column(shape, column)?;
        let Some(stored) = self.stored(shape, column).cloned() else {
            return Ok(());
        };
        let Some((shape, values)) = self
            .shapes
            .get(shape)
            .and_then(|s| Some((s, s.columns.get(column)?)))
        else {
            return Ok(());
        };
        let mut keep = |row: u32, met: Met| {
            if met == Met::Perhaps {
                doubtful.push(row);
            }
            met != Met::No
        };
        match (stored, demand) {
            (Stored::Dictionary { first, count, .. }, _) => {
                let mut met = [Met::No; 256];
                for (i, met) in met.iter_mut().enumerate().take(count) {
                    *met = demand.met(sought, self.dictionary_value(first + i)?);
                }
                let ids = Self::dictionary_ids(values);
                rows.retain(|i| {
                    let id = ids.get(*i as usize);
                    id.is_some_and(|id| keep(*i, met[usize::from(*id)]))
                });
            }
            (Stored::Text { first, .. }, _) => {
                let mut failed = Ok(());
                rows.retain(|i| match self.text_value(first + *i as usize) {
                    Ok(value) => keep(*i, demand.met(sought, value)),
                    Err(error) => {
                        failed = Err(error);
                        false
                    }
                });
                failed?;
            }
            (Stored::Integer(_), Demand::Is(from, to)) => {
                let wanted = number(sought, from, to);
                let ints = values.ints.as_deref().unwrap_or_default();
                rows.retain(|i| wanted.is_some() && ints.get(*i as usize).copied() == wanted);
            }
            (Stored::Hex { start, width }, Demand::Begins(from, edge)) => {
                let digits = sought.letters().get(from..).and_then(hex_digits);
                let Some(digits) = digits.filter(|digits| digits.len() <= width * 2) else {
                    rows.clear();
                    return Ok(());
                };
                let met = match edge {
                    Some(edge) if digits.len() == width * 2 => edge.into(),
                    // Another digit follows.
                    Some(_) => Met::No,
                    None => Met::Yes,
                };
                let packed = self.loaded(FRAME_PACKED);
                let digit_at = |row: usize, i: usize| {
                    let byte = packed.get(start + row * width + i / 2).copied();
                    byte.map(|byte| {
                        if i.is_multiple_of(2) {
                            byte >> 4
                        } else {
                            byte & 15
                        }
                    })
                };
                rows.retain(|row| {
                    let mut wanted = digits.iter().enumerate();
                    wanted.all(|(i, digit)| digit_at(*row as usize, i) == Some(*digit))
                        && keep(*row, met)
                });
            }
            _ => {
                let mut text = Vec::new();
                let mut failed = Ok(());
                rows.retain(|i| {
                    text.clear();
                    let row = shape.rows.get(*i as usize).copied().unwrap_or_default();
                    let time_ns = self.time(row as usize);
                    let written = self.write_value(values, *i as usize, time_ns, &mut text);
                    if written.is_err() {
                        failed = written;
                    }
                    keep(*i, demand.met(sought, &text))
                });
                failed?;
            }
        }
        Ok(())
    }
}

/// Some of the letters as a number that is written so.
fn number(sought: &Sought, from: usize, to: usize) -> Option<i64> {
    let digits = sought.letters().get(from..to)?;
    let text: String = digits.iter().collect();
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Digits as hex columns have them: in lower case.
fn hex_digits(letters: &[char]) -> Option<Vec<u8>> {
    let each = letters.iter().map(|c| match c {
        '0'..='9' => Some(*c as u8 - b'0'),
        'a'..='f' => Some(*c as u8 - b'a' + 10),
        _ => None,
    });
    each.collect()
}
