//! How often has each field which value in the lines of each level of a block? Counted once, when
//! the block is made, so that a list of the most frequent values need not open it.
//!
//! 1. Where a shape says which fields its lines have ([`super::fields`]), values come from columns;
//!    other lines are read, if they are few.
//! 2. A field is counted for a level where that is cheap and short: its values are constants or
//!    entries of dictionaries, or the level has few lines (errors, mostly). Identifiers and
//!    measurements, which differ from line to line, are not worth a list.
//!
//! What is counted is what `LineFields` says of the lines, to the byte; what is not counted is said
//! not to be.

use std::collections::{BTreeMap, BTreeSet};

use log_query::LineFields;
use rustc_hash::FxHashMap;

use super::bytes::Corrupt;
use super::decode::Block;
use super::directory::Stored;
use super::fields::{ABSENT, ASK, Part, Wanted};
use crate::bits::Bits;
use crate::lines::Lines;

/// How many levels there are.
pub(crate) const LEVELS: usize = 7;

/// Different values of a field that are counted for a level of a block.
const VALUES_MAX: usize = 32;

/// Longer values are sentences; a list of them is seldom asked for, and dear.
const VALUE_BYTES_MAX: usize = 128;

/// So many values that all differ are taken for identifiers.
const UNIQUE_MAX: usize = 8;

/// A level with more lines has its fields counted only where columns list their values.
const RARE_LINES_MAX: usize = 48;

/// Lines of a block that are read because no column tells of their fields.
const READ_LINES_MAX: usize = 64;

/// Fields of a block that are looked at; lines with random keys have more.
const FIELDS_MAX: usize = 128;

/// What a block has in its fields.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// Levels of which all fields are among `fields`, a bit each.
    pub(crate) known: u8,
    pub(crate) fields: Vec<FieldSummary>,
}

/// A field of a block.
#[derive(Debug)]
pub(crate) struct FieldSummary {
    pub(crate) name: String,
    /// Levels for which it is counted, a bit each. Lines of them that are not counted have no such
    /// field.
    pub(crate) levels: u8,
    pub(crate) counts: Vec<ValueCount>,
}

/// Lines of a level with a value.
#[derive(Debug)]
pub(crate) struct ValueCount {
    pub(crate) level: u8,
    pub(crate) value: String,
    pub(crate) lines: u32,
}

/// The lines of a block while it is looked at.
struct Look<'a> {
    lines: &'a Lines,
    lines_of_level: [usize; LEVELS],
    /// Per shape its levels, a bit each; 0 for one that does not tell of its fields.
    levels_of_shape: Vec<u8>,
    /// Levels and fields of lines that were read.
    read: BTreeMap<String, Vec<(u8, String)>>,
}

impl Block {
    /// Counts the values of the fields. `lines` are those of the block.
    pub(crate) fn summary(&mut self, lines: &Lines) -> Result<Summary, Corrupt> {
        let mut names = BTreeSet::new();
        let mut look = Look {
            lines,
            lines_of_level: [0; LEVELS],
            levels_of_shape: vec![0; self.shapes.len()],
            read: BTreeMap::new(),
        };
        for level in lines.levels() {
            if let Some(n) = look.lines_of_level.get_mut(usize::from(*level)) {
                *n += 1;
            }
        }
        let mut asked = Bits::none(self.len());
        self.odd_rows
            .iter()
            .for_each(|row| asked.insert(*row as usize));
        for shape in 0..self.shapes.len() {
            let tells = self.field_names(shape, &mut names)?;
            let rows = self.shapes.get(shape).map(|s| &s.rows[..]);
            for row in rows.unwrap_or_default() {
                if !tells {
                    asked.insert(*row as usize);
                } else if let Some(levels) = look.levels_of_shape.get_mut(shape) {
                    *levels |= 1 << look.lines.levels().get(*row as usize).unwrap_or(&0);
                }
            }
        }
        let mut known = look.read_lines(&asked);
        names.extend(look.read.keys().cloned());
        if names.len() > FIELDS_MAX {
            known = 0;
        }
        let mut fields = Vec::new();
        if known != 0 {
            for name in names {
                fields.push(self.field_summary(name, known, &look)?);
            }
        }
        Ok(Summary { known, fields })
    }

    /// Adds the names of a shape's fields; `false` where it does not tell.
    fn field_names(&mut self, shape: usize, names: &mut BTreeSet<String>) -> Result<bool, Corrupt> {
        let Some(fields) = self.shape_fields(shape)? else {
            return Ok(false);
        };
        for name in fields.names() {
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        }
        Ok(true)
    }

    fn field_summary(
        &mut self,
        name: String,
        known: u8,
        look: &Look<'_>,
    ) -> Result<FieldSummary, Corrupt> {
        let mut levels = known;
        for shape in 0..self.shapes.len() {
            let of_shape = look.levels_of_shape.get(shape).copied().unwrap_or_default();
            if of_shape & levels != 0 {
                levels &= !(of_shape & self.unlisted(shape, &name, look)?);
            }
        }
        if levels == 0 {
            return Ok(FieldSummary {
                name,
                levels,
                counts: Vec::new(),
            });
        }
        let mut rows = Bits::none(self.len());
        for (row, level) in look.lines.levels().iter().enumerate() {
            if levels >> level & 1 == 1 {
                rows.insert(row);
            }
        }
        let column = self.field(Wanted::First(&name), &rows)?;
        let mut by_number: FxHashMap<(u8, u32), u32> = FxHashMap::default();
        for (shape, of_shape) in self.shapes.iter().zip(&look.levels_of_shape) {
            if of_shape & levels == 0 {
                continue;
            }
            for row in &shape.rows {
                let row = *row as usize;
                let level = look.lines.levels().get(row).copied().unwrap_or_default();
                if levels >> level & 1 == 0 {
                    continue;
                }
                match column.numbers.get(row).copied().unwrap_or(ASK) {
                    ABSENT => {}
                    // It reads otherwise than it is written.
                    ASK => levels &= !(1 << level),
                    number => *by_number.entry((level, number)).or_default() += 1,
                }
            }
        }
        let mut counts: FxHashMap<(u8, &str), u32> = FxHashMap::default();
        for ((level, number), lines) in by_number {
            if let Some(value) = column.values.get(number as usize) {
                *counts.entry((level, value)).or_default() += lines;
            }
        }
        for (level, value) in look.read.get(&name).into_iter().flatten() {
            *counts.entry((*level, value)).or_default() += 1;
        }
        Ok(worth_keeping(&name, levels, &counts))
    }

    /// The levels for which the values of a field in the lines of a shape are not counted.
    fn unlisted(&mut self, shape: usize, name: &str, look: &Look<'_>) -> Result<u8, Corrupt> {
        let parts = match self.parts_of(shape, Wanted::First(name))? {
            Some(Some(parts)) => parts,
            Some(None) => return Ok(0),
            None => return Ok(u8::MAX),
        };
        let Some(of_shape) = self.shapes.get(shape) else {
            return Ok(u8::MAX);
        };
        let stored = |part: &Part| match part {
            Part::Column(column) => of_shape.columns.get(*column).map(|c| &c.stored),
            Part::Text(_) | Part::Literal(_) => None,
        };
        if let [part] = &parts[..] {
            match stored(part) {
                None | Some(Stored::Dictionary { .. } | Stored::Constant(_)) => return Ok(0),
                Some(
                    Stored::Hex { .. }
                    | Stored::Decimal(..)
                    | Stored::Time(..)
                    | Stored::TimeConstant(..),
                ) => return Ok(u8::MAX),
                Some(Stored::Integer(_) | Stored::Text { .. }) => {}
            }
        } else if parts.iter().all(|part| stored(part).is_none()) {
            return Ok(0);
        }
        let is_frequent = |level: &usize| {
            look.lines_of_level
                .get(*level)
                .is_some_and(|n| *n > RARE_LINES_MAX)
        };
        Ok((0..LEVELS)
            .filter(is_frequent)
            .fold(0, |mask, level| mask | 1 << level))
    }
}

impl Look<'_> {
    /// Reads the fields of these lines. Returns the levels of which all lines are known by now.
    fn read_lines(&mut self, asked: &Bits) -> u8 {
        let mut left = READ_LINES_MAX;
        let mut known = (0..LEVELS).fold(0, |mask, level| mask | 1u8 << level);
        for row in asked.iter() {
            let level = self.lines.levels().get(row).copied().unwrap_or_default();
            if known >> level & 1 == 0 {
                continue;
            }
            if left == 0 {
                known &= !(1 << level);
                continue;
            }
            left -= 1;
            let fields = LineFields::of(self.lines.text(row));
            let mut names = BTreeSet::new();
            for (name, value) in fields.iter() {
                // The first of a name counts.
                if names.insert(name) {
                    let of_name = self.read.entry(name.to_owned()).or_default();
                    of_name.push((level, value.to_owned()));
                }
            }
        }
        known
    }
}

/// Leaves out the levels with too many values, too long ones, or none but identifiers.
fn worth_keeping(name: &str, mut levels: u8, counts: &FxHashMap<(u8, &str), u32>) -> FieldSummary {
    for level in 0..LEVELS as u8 {
        let of_level = counts.iter().filter(|((l, _), _)| *l == level);
        let (mut n, mut is_unique, mut is_long) = (0, true, false);
        for ((_, value), lines) in of_level {
            n += 1;
            is_unique &= *lines == 1;
            is_long |= value.len() > VALUE_BYTES_MAX;
        }
        if n > VALUES_MAX || is_long || (is_unique && n > UNIQUE_MAX) {
            levels &= !(1 << level);
        }
    }
    let mut counts: Vec<ValueCount> = counts
        .iter()
        .filter(|((level, _), _)| levels >> level & 1 == 1)
        .map(|((level, value), lines)| ValueCount {
            level: *level,
            value: (*value).to_owned(),
            lines: *lines,
        })
        .collect();
    counts.sort_unstable_by(|a, b| (a.level, &a.value).cmp(&(b.level, &b.value)));
    FieldSummary {
        name: name.to_owned(),
        levels,
        counts,
    }
}
