//! How often do fields have which values in each block? A small file per partition, so that the
//! most frequent values of a field are counted without opening a block (docs/formats/log_store.md).
//!
//! Each field lies in an envelope of its own: only what is asked for is read. A value is written
//! once per field and partition.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustc_hash::FxHashMap;

use crate::block::bytes::{Corrupt, Cursor, put_bytes, put_varint};
use crate::block::summary::{FieldSummary, LEVELS, Summary};
use crate::envelope;

/// The file's name in a partition's folder.
pub(crate) const FILE: &str = "values";

/// Version of the format; a reader refuses any other.
const VERSION: u8 = 1;

/// Fields of a partition. Blocks that have others are said not to be known.
const FIELDS_MAX: usize = 512;

/// A part of the file that claims to be longer than this is damaged.
const PART_BYTES_MAX: usize = 64 << 20;

/// The file of a partition in the making; blocks come in their order.
#[derive(Default)]
pub(crate) struct ValuesWriter {
    /// Per block the levels of which all fields are named.
    known: Vec<u8>,
    fields: BTreeMap<String, FieldWriter>,
}

#[derive(Default)]
struct FieldWriter {
    numbers: FxHashMap<String, u32>,
    /// The values as they come, each as *bytes*.
    values: Vec<u8>,
    /// What is said of blocks.
    blocks: Vec<u8>,
    last_block: usize,
}

impl ValuesWriter {
    /// Adds the next block.
    pub(crate) fn add(&mut self, summary: Summary) {
        let block = self.known.len();
        let mut known = summary.known;
        for field in summary.fields {
            let is_full = self.fields.len() >= FIELDS_MAX;
            if is_full && !self.fields.contains_key(&field.name) {
                known = 0;
                continue;
            }
            let writer = self.fields.entry(field.name.clone()).or_default();
            writer.add(block, &field);
        }
        self.known.push(known);
    }

    /// The file: the length of the first part (4 bytes), which says which fields there are, and
    /// then a part for each.
    pub(crate) fn write(self) -> std::io::Result<Vec<u8>> {
        let mut directory = Vec::new();
        put_bytes(&mut directory, &self.known);
        put_varint(&mut directory, self.fields.len() as u64);
        let mut parts = Vec::new();
        for (name, field) in self.fields {
            let mut raw = Vec::with_capacity(field.values.len() + field.blocks.len() + 8);
            put_varint(&mut raw, field.numbers.len() as u64);
            raw.extend_from_slice(&field.values);
            raw.extend_from_slice(&field.blocks);
            let part = envelope::wrap(VERSION, &raw)?;
            put_bytes(&mut directory, name.as_bytes());
            put_varint(&mut directory, part.len() as u64);
            parts.extend_from_slice(&part);
        }
        let directory = envelope::wrap(VERSION, &directory)?;
        let len = u32::try_from(directory.len()).map_err(std::io::Error::other)?;
        Ok([&len.to_le_bytes()[..], &directory, &parts].concat())
    }
}

impl FieldWriter {
    fn add(&mut self, block: usize, field: &FieldSummary) {
        put_varint(&mut self.blocks, (block - self.last_block) as u64);
        self.last_block = block;
        self.blocks.push(field.levels);
        for level in levels_in(field.levels) {
            let of_level = field.counts.iter().filter(|c| c.level == level);
            put_varint(&mut self.blocks, of_level.clone().count() as u64);
            for count in of_level {
                let next = self.numbers.len() as u32;
                let number = self.numbers.get(&count.value).copied().unwrap_or_else(|| {
                    self.numbers.insert(count.value.clone(), next);
                    put_bytes(&mut self.values, count.value.as_bytes());
                    next
                });
                put_varint(&mut self.blocks, u64::from(number));
                put_varint(&mut self.blocks, u64::from(count.lines));
            }
        }
    }
}

/// The levels of a mask, ascending.
fn levels_in(mask: u8) -> impl Iterator<Item = u8> {
    (0..LEVELS as u8).filter(move |level| mask >> level & 1 == 1)
}

/// A field's values in the blocks of a partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FieldValues {
    pub(crate) values: Vec<String>,
    blocks: Vec<OfBlock>,
    counts: Vec<Count>,
}

/// What is known of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OfBlock {
    /// Levels for which the values are counted, a bit each.
    levels: u8,
    /// The part of the counts.
    start: usize,
    end: usize,
}

/// Lines of a level with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) level: u8,
    pub(crate) lines: u32,
    value: u32,
}

impl FieldValues {
    /// The counts of a block, where the values are counted for all of these levels. Lines that are
    /// not among them have no such field.
    pub(crate) fn of_block(&self, block: usize, levels: u8) -> Option<&[Count]> {
        let of_block = self.blocks.get(block)?;
        if levels & !of_block.levels != 0 {
            return None;
        }
        self.counts.get(of_block.start..of_block.end)
    }

    pub(crate) fn value(&self, count: Count) -> &str {
        self.values
            .get(count.value as usize)
            .map_or("", String::as_str)
    }

    fn parse(known: &[u8], part: Option<&[u8]>) -> Result<Self, Corrupt> {
        let unseen = |levels: &u8| OfBlock {
            levels: *levels,
            start: 0,
            end: 0,
        };
        let mut field = Self {
            values: Vec::new(),
            blocks: known.iter().map(unseen).collect(),
            counts: Vec::new(),
        };
        let Some(part) = part else {
            return Ok(field);
        };
        let raw = envelope::unwrap(part, VERSION, PART_BYTES_MAX)?;
        let mut cursor = Cursor::new(&raw);
        for _ in 0..cursor.size()? {
            let len = cursor.size()?;
            let value = std::str::from_utf8(cursor.take(len)?);
            let value = value.map_err(|_| Corrupt("a value is no text"))?;
            field.values.push(value.to_owned());
        }
        let mut block = 0usize;
        while !cursor.is_at_end() {
            block = block.saturating_add(cursor.size()?);
            let levels = cursor.byte()?;
            let start = field.counts.len();
            for level in levels_in(levels) {
                for _ in 0..cursor.size()? {
                    let count = Count {
                        level,
                        value: small(cursor.varint()?)?,
                        lines: small(cursor.varint()?)?,
                    };
                    if count.value as usize >= field.values.len() {
                        return Err(Corrupt("a value is missing"));
                    }
                    field.counts.push(count);
                }
            }
            let end = field.counts.len();
            let known = known.get(block).copied().unwrap_or_default();
            *(field.blocks.get_mut(block)).ok_or(Corrupt("there is no such block"))? = OfBlock {
                levels: levels & known,
                start,
                end,
            };
        }
        Ok(field)
    }
}

fn small(value: u64) -> Result<u32, Corrupt> {
    u32::try_from(value).map_err(|_| Corrupt("a number is too large"))
}

/// Reads what a partition says of a field; `None` for one of an earlier version.
pub(crate) fn read(folder: &Path, name: &str) -> Result<Option<FieldValues>, String> {
    let file = match File::open(folder.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let size = file.metadata().map_err(|error| error.to_string())?.len();
    let read = |start: u64, len: usize| {
        if start.saturating_add(len as u64) > size {
            return Err(Corrupt("the file is too short").to_string());
        }
        let mut bytes = vec![0; len];
        let read = file.read_exact_at(&mut bytes, start);
        read.map(|()| bytes).map_err(|error| error.to_string())
    };
    let len = read(0, 4)?;
    let len = <[u8; 4]>::try_from(len).map_or(0, u32::from_le_bytes) as usize;
    let directory = envelope::unwrap(&read(4, len)?, VERSION, PART_BYTES_MAX);
    let directory = directory.map_err(|error| error.to_string())?;
    let (known, part) = find(&directory, name).map_err(|error| error.to_string())?;
    let part = match part {
        Some((start, part_len)) => Some(read((4 + len) as u64 + start, part_len)?),
        None => None,
    };
    FieldValues::parse(&known, part.as_deref())
        .map(Some)
        .map_err(|error| error.to_string())
}

/// A field in the first part of the file: what is known of blocks, and where its own part lies
/// behind this one.
#[expect(clippy::type_complexity, reason = "read once, right above")]
fn find(directory: &[u8], name: &str) -> Result<(Vec<u8>, Option<(u64, usize)>), Corrupt> {
    let mut cursor = Cursor::new(directory);
    let n_blocks = cursor.size()?;
    let known = cursor.take(n_blocks)?.to_vec();
    let mut start = 0u64;
    for _ in 0..cursor.size()? {
        let len = cursor.size()?;
        let is_it = cursor.take(len)? == name.as_bytes();
        let part_len = cursor.size()?;
        if is_it {
            return Ok((known, Some((start, part_len))));
        }
        start = start.saturating_add(part_len as u64);
    }
    Ok((known, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::decode::Block;
    use crate::block::encode::Encoder;
    use crate::lines::Lines;
    use log_query::LineFields;
    use model::Level;
    use proptest::prelude::*;

    /// Writes blocks of these lines and compares what is read of a field with what lines say.
    /// Returns for how many blocks and levels it is known.
    fn check(blocks: &[Vec<(u8, String)>], name: &str) -> usize {
        let mut writer = ValuesWriter::default();
        for texts in blocks {
            let mut lines = Lines::default();
            for (i, (level, text)) in texts.iter().enumerate() {
                lines.push(i as i64, Level::from_number(*level), text.as_bytes());
            }
            let encoded = Encoder::new().and_then(|mut e| e.encode(&lines));
            let mut block = Block::open(encoded.expect("a block").bytes).expect("it opens");
            writer.add(block.summary(&lines).expect("a summary"));
        }
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(FILE), writer.write().expect("a file")).expect("written");
        let field = read(folder.path(), name).expect("readable").expect("it");
        let mut n_known = 0;
        for (block, texts) in blocks.iter().enumerate() {
            for level in 0..LEVELS as u8 {
                let Some(counts) = field.of_block(block, 1 << level) else {
                    continue;
                };
                n_known += 1;
                let mut found: BTreeMap<String, u32> = BTreeMap::new();
                for count in counts.iter().filter(|count| count.level == level) {
                    *found.entry(field.value(*count).to_owned()).or_default() += count.lines;
                }
                let mut expected: BTreeMap<String, u32> = BTreeMap::new();
                for (_, text) in texts.iter().filter(|(l, _)| *l == level) {
                    if let Some(value) = LineFields::of(text.as_bytes()).values(name).next() {
                        *expected.entry(value.to_owned()).or_default() += 1;
                    }
                }
                assert_eq!(found, expected, "{name} at level {level}");
            }
        }
        n_known
    }

    #[test]
    fn errors_are_counted_where_their_values_are_no_column_of_a_list() {
        let texts: Vec<(u8, String)> = (0..600)
            .map(|i| {
                let level = if i % 40 == 0 { 5 } else { 3 };
                (
                    level,
                    format!("{{\"path\":\"/cart/{}\",\"took\":{i}.5}}", 1000 + i % 240),
                )
            })
            .collect();
        let blocks = [texts];
        // Infos have too many paths; other levels have no lines.
        assert_eq!(check(&blocks, "path"), LEVELS - 1);
        assert_eq!(check(&blocks, "took"), LEVELS - 2);
        assert_eq!(check(&blocks, "other"), LEVELS);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn what_is_counted_is_what_lines_say(
            kinds in prop::collection::vec(
                (0u8..7, "(\\{\"a\":\"?[a-c0-9]{1,3}\"?,\"b\":(1|2\\.5|\"x y\"|null)\\}|a=[a-c\"\\\\]{1,3} b=1 a=2|plain [ab=]{3}|\u{1}odd a=1)"),
                1..8,
            ),
            repeats in 1usize..40,
        ) {
            let mut texts = Vec::new();
            for i in 0..repeats {
                for (level, kind) in &kinds {
                    let text = kind.replace('c', &(i % 7).to_string());
                    texts.push((*level, text));
                }
            }
            let blocks = [texts.clone(), kinds, texts];
            for name in ["a", "b", "none"] {
                check(&blocks, name);
            }
        }
    }
}
