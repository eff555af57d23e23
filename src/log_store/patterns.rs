//! When lines that look alike were first written: a small file per partition, so that "new since
//! half an hour" needs no look at all the lines before (docs/formats/log_store.md).
//!
//! A pattern is known by its number (`log_query::pattern_id`). A partition with very many, because
//! its lines look alike nowhere, keeps those with the most lines.

use std::fs;
use std::path::Path;

use log_query::{LineView, Stop, pattern, pattern_id};
use model::{Labels, Level, StoreError};
use rustc_hash::FxHashMap;

use crate::bits::Bits;
use crate::block::bytes::{Corrupt, Cursor, put_varint, put_zigzag};
use crate::block::decode::Block;
use crate::block::fields::ASK;
use crate::envelope;
use crate::lines::Lines;
use crate::metrics::Metrics;
use crate::search::snapshot::Snapshot;

/// The file's name in a partition's folder.
pub(crate) const FILE: &str = "patterns";

/// Version of the format; a reader refuses any other.
const VERSION: u8 = 1;
/// Patterns that a partition keeps: some ten times as many as the partitions of a busy cluster
/// have; the file takes 16 bytes for each.
pub(crate) const PATTERNS_MAX: usize = 16_384;

/// A file that claims to be longer than this is damaged.
const FILE_BYTES_MAX: usize = 4 << 20;

/// Lines of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Times of the oldest and newest of them, nanoseconds since 1970-01-01 UTC.
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
    pub(crate) lines: u64,
}

/// Patterns by number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PatternTable(FxHashMap<u64, Seen>);

impl PatternTable {
    /// The patterns of a block of these lines.
    pub(crate) fn of_block(block: &mut Block, lines: &Lines) -> Result<Self, Corrupt> {
        let column = block.patterns(&Bits::all(lines.len()))?;
        let ids: Vec<u64> = column.patterns.iter().map(|p| pattern_id(p)).collect();
        let mut table = Self::default();
        let rows = column.numbers.iter().zip(lines.times()).enumerate();
        for (row, (number, time_ns)) in rows {
            let known = (*number != ASK).then(|| ids.get(*number as usize));
            let id = known.flatten().copied();
            table.add(id.unwrap_or_else(|| id_of(lines.text(row))), *time_ns);
        }
        Ok(table)
    }

    fn add(&mut self, id: u64, time_ns: i64) {
        self.add_seen(
            id,
            Seen {
                first_ns: time_ns,
                last_ns: time_ns,
                lines: 1,
            },
        );
    }

    fn add_seen(&mut self, id: u64, more: Seen) {
        self.0
            .entry(id)
            .and_modify(|seen| {
                seen.first_ns = seen.first_ns.min(more.first_ns);
                seen.last_ns = seen.last_ns.max(more.last_ns);
                seen.lines += more.lines;
            })
            .or_insert(more);
    }

    /// Takes over what another table knows.
    pub(crate) fn merge(&mut self, other: Self) {
        for (id, seen) in other.0 {
            self.add_seen(id, seen);
        }
        // Now and then, so that lines that look alike nowhere do not fill memory.
        if self.0.len() > 4 * PATTERNS_MAX {
            self.shrink();
        }
    }

    /// Leaves out the patterns with the fewest lines beyond [`PATTERNS_MAX`].
    fn shrink(&mut self) {
        let excess = self.0.len().saturating_sub(PATTERNS_MAX);
        if excess == 0 {
            return;
        }
        let mut fewest: Vec<(u64, u64)> = self.0.iter().map(|(id, s)| (s.lines, *id)).collect();
        fewest.sort_unstable();
        for (_, id) in fewest.into_iter().take(excess) {
            self.0.remove(&id);
        }
    }

    /// The file: checksum, version, then the compressed entries by number.
    pub(crate) fn write(mut self) -> std::io::Result<Vec<u8>> {
        self.shrink();
        let mut all: Vec<(u64, Seen)> = self.0.into_iter().collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        let mut raw = Vec::with_capacity(all.len() * 24);
        put_varint(&mut raw, all.len() as u64);
        let (mut last_id, mut last_ns) = (0u64, 0i64);
        for (id, seen) in all {
            put_varint(&mut raw, id.wrapping_sub(last_id));
            put_zigzag(&mut raw, seen.first_ns.wrapping_sub(last_ns));
            put_varint(&mut raw, seen.last_ns.wrapping_sub(seen.first_ns) as u64);
            put_varint(&mut raw, seen.lines);
            (last_id, last_ns) = (id, seen.first_ns);
        }
        envelope::wrap(VERSION, &raw)
    }

    fn read(bytes: &[u8]) -> Result<Self, Corrupt> {
        let raw = envelope::unwrap(bytes, VERSION, FILE_BYTES_MAX)?;
        let mut cursor = Cursor::new(&raw);
        let mut table = Self::default();
        let (mut id, mut last_ns) = (0u64, 0i64);
        for _ in 0..cursor.varint()? {
            id = id.wrapping_add(cursor.varint()?);
            let first_ns = last_ns.wrapping_add(cursor.zigzag()?);
            last_ns = first_ns;
            let seen = Seen {
                first_ns,
                last_ns: first_ns.wrapping_add(cursor.varint()? as i64),
                lines: cursor.varint()?,
            };
            table.0.insert(id, seen);
        }
        Ok(table)
    }
}

/// The number of a line's pattern. Labels and level have no part in it.
fn id_of(text: &[u8]) -> u64 {
    let labels = Labels::empty();
    pattern_id(&pattern(&LineView::new(&labels, Level::Unknown, text)))
}

/// Reads the table of a partition. One that an earlier version has written has none.
pub(crate) fn read(folder: &Path) -> Result<PatternTable, String> {
    match fs::read(folder.join(FILE)) {
        Ok(bytes) => PatternTable::read(&bytes).map_err(|error| error.to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(PatternTable::default()),
        Err(error) => Err(error.to_string()),
    }
}

/// Answers `log_query::LogReader::first_seen`.
pub(crate) fn first_seen(
    snapshot: &Snapshot,
    asked: &[u64],
    stop: &Stop,
    metrics: &Metrics,
) -> Result<Vec<Option<i64>>, StoreError> {
    let mut first: FxHashMap<u64, Option<i64>> = asked.iter().map(|id| (*id, None)).collect();
    let is_answered = |first: &FxHashMap<u64, Option<i64>>, from_ns: i64| {
        first.values().all(|at| at.is_some_and(|at| at <= from_ns))
    };
    let mut by_age: Vec<_> = snapshot.partitions.iter().collect();
    by_age.sort_by_key(|partition| partition.row.min_ns);
    for partition in by_age {
        if stop.is_stopped() {
            return Err(StoreError::Cancelled);
        }
        // What follows is newer than all that was found.
        if is_answered(&first, partition.row.min_ns) {
            break;
        }
        let Some(table) = partition.patterns(metrics) else {
            continue;
        };
        for (id, at) in &mut first {
            if let Some(seen) = table.0.get(id) {
                *at = Some(at.map_or(seen.first_ns, |at| at.min(seen.first_ns)));
            }
        }
    }
    for (_, segment) in &snapshot.open {
        if stop.is_stopped() {
            return Err(StoreError::Cancelled);
        }
        let Some((min_ns, _)) = segment.lines.time_range() else {
            continue;
        };
        if is_answered(&first, min_ns) {
            continue;
        }
        for (text, time_ns) in segment.lines.texts().zip(segment.lines.times()) {
            if let Some(at) = first.get_mut(&id_of(text)) {
                *at = Some(at.map_or(*time_ns, |at| at.min(*time_ns)));
            }
        }
    }
    Ok(asked
        .iter()
        .map(|id| first.get(id).copied().flatten())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn those_with_the_fewest_lines_are_left_out() {
        let mut table = PatternTable::default();
        for id in 0..PATTERNS_MAX as u64 + 10 {
            table.add(id, 5);
            if id >= 10 {
                table.add(id, 7);
            }
        }
        let table = PatternTable::read(&table.write().expect("a file")).expect("a table");
        assert_eq!(table.0.len(), PATTERNS_MAX);
        assert!(!table.0.contains_key(&9));
        let seen = Seen {
            first_ns: 5,
            last_ns: 7,
            lines: 2,
        };
        assert_eq!(table.0.get(&10), Some(&seen));
    }

    proptest! {
        #[test]
        fn tables_come_back_and_damage_is_told(
            rows in prop::collection::vec((any::<u64>(), any::<i64>()), 0..50),
            at in any::<prop::sample::Index>(),
        ) {
            let mut table = PatternTable::default();
            for (id, time_ns) in &rows {
                table.add(*id, *time_ns);
                table.add(*id, 7);
            }
            let copy = PatternTable(table.0.clone());
            let mut bytes = table.write().expect("a file");
            prop_assert_eq!(PatternTable::read(&bytes), Ok(copy));
            let at = at.index(bytes.len());
            bytes[at] ^= 4;
            prop_assert!(PatternTable::read(&bytes).is_err());
        }
    }
}
