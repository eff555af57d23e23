//! The block table of a partition: what there is to know of each block without opening it.

use model::{Level, StreamId};

use crate::block::bytes::{Corrupt, Cursor, put_varint, put_zigzag};
use crate::envelope;
use crate::search::scan::Window;

/// Version of the format; a reader refuses any other.
const VERSION: u8 = 1;
/// A table has some hundred blocks of some dozen bytes; one that claims more than this is damaged.
const TABLE_BYTES_MAX: usize = 256 << 20;

/// Nanoseconds in a minute, the grain of the summaries.
pub(crate) const MINUTE_NS: i64 = 60_000_000_000;

/// Lines of one level in one minute of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MinuteCount {
    /// Minutes since 1970-01-01 UTC.
    pub(crate) minute: i64,
    pub(crate) level: u8,
    pub(crate) lines: u32,
}

/// A block as the table knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockMeta {
    pub(crate) stream: StreamId,
    /// The number of its first line within the stream; the others follow.
    pub(crate) first_sequence: u64,
    pub(crate) lines: u32,
    /// Bytes of text in its lines.
    pub(crate) text_bytes: u64,
    /// Where it lies in the block file.
    pub(crate) offset: u64,
    pub(crate) len: u32,
    /// Times of its oldest and newest line.
    pub(crate) min_ns: i64,
    pub(crate) max_ns: i64,
    /// Counts by minute and level, ascending.
    pub(crate) counts: Vec<MinuteCount>,
    /// The levels of its lines, a bit each ([`levels_of`] the counts).
    pub(crate) levels: u8,
}

impl BlockMeta {
    /// Whether it may have lines in a time range, to the minute.
    pub(crate) fn may_have_lines_in(&self, window: Window) -> bool {
        window.overlaps(self.min_ns, self.max_ns)
            && self.counts.iter().any(|count| {
                let start_ns = count.minute.saturating_mul(MINUTE_NS);
                window.overlaps(start_ns, start_ns.saturating_add(MINUTE_NS - 1))
            })
    }
}

/// The levels of some counts, a bit each.
pub(crate) fn levels_of(counts: &[MinuteCount]) -> u8 {
    counts.iter().fold(0, |mask, c| mask | 1 << c.level)
}

/// Counts lines by minute and level.
pub(crate) fn count_minutes(times: &[i64], levels: &[u8]) -> Vec<MinuteCount> {
    let mut counts: Vec<MinuteCount> = Vec::new();
    for (time_ns, level) in times.iter().zip(levels) {
        let minute = time_ns.div_euclid(MINUTE_NS);
        // Lines come nearly in order, so the place is nearly always at the end.
        let at = counts
            .iter()
            .rposition(|c| (c.minute, c.level) <= (minute, *level))
            .map_or(0, |at| at + 1);
        match at.checked_sub(1).and_then(|i| counts.get_mut(i)) {
            Some(count) if (count.minute, count.level) == (minute, *level) => count.lines += 1,
            _ => counts.insert(
                at,
                MinuteCount {
                    minute,
                    level: *level,
                    lines: 1,
                },
            ),
        }
    }
    counts
}

/// Writes a table: checksum, version, then the compressed entries.
pub(crate) fn write(blocks: &[BlockMeta]) -> std::io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    put_varint(&mut raw, blocks.len() as u64);
    for block in blocks {
        put_varint(&mut raw, u64::from(block.stream.0));
        put_varint(&mut raw, block.first_sequence);
        put_varint(&mut raw, u64::from(block.lines));
        put_varint(&mut raw, block.text_bytes);
        put_varint(&mut raw, block.offset);
        put_varint(&mut raw, u64::from(block.len));
        put_zigzag(&mut raw, block.min_ns);
        put_zigzag(&mut raw, block.max_ns);
        put_varint(&mut raw, block.counts.len() as u64);
        let mut last_minute = 0i64;
        for count in &block.counts {
            put_zigzag(&mut raw, count.minute.wrapping_sub(last_minute));
            raw.push(count.level);
            put_varint(&mut raw, u64::from(count.lines));
            last_minute = count.minute;
        }
    }
    envelope::wrap(VERSION, &raw)
}

/// Reads a table.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<BlockMeta>, Corrupt> {
    let raw = envelope::unwrap(bytes, VERSION, TABLE_BYTES_MAX)?;
    let mut cursor = Cursor::new(&raw);
    let n = cursor.size()?;
    (0..n).map(|_| read_block(&mut cursor)).collect()
}

fn read_block(cursor: &mut Cursor<'_>) -> Result<BlockMeta, Corrupt> {
    let small = |value: u64| u32::try_from(value).map_err(|_| Corrupt("a number is too large"));
    let mut block = BlockMeta {
        stream: StreamId(small(cursor.varint()?)?),
        first_sequence: cursor.varint()?,
        lines: small(cursor.varint()?)?,
        text_bytes: cursor.varint()?,
        offset: cursor.varint()?,
        len: small(cursor.varint()?)?,
        min_ns: cursor.zigzag()?,
        max_ns: cursor.zigzag()?,
        counts: Vec::new(),
        levels: 0,
    };
    let mut minute = 0i64;
    for _ in 0..cursor.size()? {
        minute = minute.wrapping_add(cursor.zigzag()?);
        let level = cursor.byte()?;
        if usize::from(level) >= Level::ALL.len() {
            return Err(Corrupt("an unknown level"));
        }
        block.counts.push(MinuteCount {
            minute,
            level,
            lines: small(cursor.varint()?)?,
        });
    }
    block.levels = levels_of(&block.counts);
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<BlockMeta> {
        let times = [0, 1, MINUTE_NS, -1, MINUTE_NS * 3, 2];
        let levels = [3, 5, 3, 3, 0, 3];
        vec![BlockMeta {
            stream: StreamId(7),
            first_sequence: 1 << 40,
            lines: 6,
            text_bytes: 1000,
            offset: 1 << 33,
            len: 500,
            min_ns: i64::MIN,
            max_ns: i64::MAX,
            counts: count_minutes(&times, &levels),
            levels: 1 << 3 | 1 << 5 | 1,
        }]
    }

    #[test]
    fn minutes_are_counted_in_order() {
        let counts: Vec<(i64, u8, u32)> = table()[0]
            .counts
            .iter()
            .map(|c| (c.minute, c.level, c.lines))
            .collect();
        assert_eq!(
            counts,
            [(-1, 3, 1), (0, 3, 2), (0, 5, 1), (1, 3, 1), (3, 0, 1)]
        );
        assert_eq!(levels_of(&table()[0].counts), table()[0].levels);
    }

    #[test]
    fn a_table_comes_back_and_damage_is_told() {
        let bytes = write(&table()).expect("written");
        assert_eq!(read(&bytes).expect("read"), table());
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(read(&bad).is_err(), "byte {at}");
        }
    }
}
