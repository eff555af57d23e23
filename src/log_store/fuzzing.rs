//! Doors for the fuzz targets in `tests/fuzz`: what reads bytes from the disk, without a disk.
//! Only there with the feature `fuzzing`.

use log_query::{LineFields, Needle};
use model::Level;

use crate::bits::Bits;
use crate::block::bytes::Corrupt;
use crate::block::decode::Block;
use crate::block::encode::Encoder;
use crate::block::fields::{ABSENT, ASK, Wanted};
use crate::block::sought::Sought;
use crate::lines::Lines;
use crate::table;

/// Reads a block in every way; `body` is what follows its checksum. Any bytes may be refused, none
/// may panic.
pub fn read_block(body: &[u8]) {
    // What is wrong is said by the error; that there is one is no finding.
    let _ = read_all(with_checksum(body));
}

/// Reads a table of blocks; `body` is what follows its checksum.
pub fn read_table(body: &[u8]) {
    let _ = table::read(&with_checksum(body));
}

/// The body of the block of these lines: a seed.
pub fn block_of(text: &[u8]) -> Vec<u8> {
    let lines = lines_of(text);
    let encoder = Encoder::new();
    let block = encoder.and_then(|mut encoder| encoder.encode(&lines));
    let mut bytes = block.map(|block| block.bytes).unwrap_or_default();
    bytes.drain(..4.min(bytes.len()));
    bytes
}

/// Writes lines into a block and reads them back: the same bytes, times, levels and fields.
///
/// # Panics
/// Where they are not the same.
pub fn round_trip(text: &[u8]) {
    let lines = lines_of(text);
    let bytes = with_checksum(&block_of(text));
    let mut block = Block::open(bytes).expect("a block that was just written");
    assert_eq!(block.len(), lines.len());
    assert_eq!(block.times().expect("times"), lines.times());
    assert_eq!(block.levels().expect("levels"), lines.levels());
    for (row, text) in lines.texts().enumerate() {
        let mut line = Vec::new();
        block.line(row, &mut line).expect("a line");
        assert_eq!(line, text, "line {row}");
    }
    let needle = Needle::whole("error").expect("a word");
    let verdict = block.find(&Sought::needle(&needle), None).expect("rows");
    for (row, text) in lines.texts().enumerate() {
        let holds = needle.is_in(text);
        assert!(
            !holds || verdict.maybe.contains(row),
            "line {row} holds the word and is left out"
        );
        assert!(
            holds || !verdict.sure.contains(row),
            "line {row} does not hold the word"
        );
    }
    block.summary(&lines).expect("a summary");
    let rows = Bits::all(block.len());
    for name in ["level", "a", "msg", "http.status"] {
        let column = block.field(Wanted::First(name), &rows);
        let column = column.expect("a field");
        for (row, text) in lines.texts().enumerate() {
            let fields = LineFields::of(text);
            let expected = fields.values(name).next();
            match column.numbers[row] {
                ASK => {}
                ABSENT => assert_eq!(None, expected, "{name} of line {row}"),
                number => {
                    let value = &column.values[number as usize];
                    assert_eq!(Some(&**value), expected, "{name} of line {row}");
                }
            }
        }
    }
}

fn with_checksum(body: &[u8]) -> Vec<u8> {
    let mut bytes = crc32fast::hash(body).to_le_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

/// Lines of a text; time and level of each depend on its bytes.
fn lines_of(text: &[u8]) -> Lines {
    let mut lines = Lines::default();
    for (i, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let first = line.first().copied().unwrap_or_default();
        let time_ns = i as i64 * 1_000_000_007 + i64::from(first) * 1_000;
        lines.push(time_ns, Level::from_number(first % 7), line);
    }
    lines
}

fn read_all(bytes: Vec<u8>) -> Result<(), Corrupt> {
    let mut block = Block::open(bytes)?;
    block.times()?;
    block.levels()?;
    let rows = Bits::all(block.len());
    block.field(Wanted::First("level"), &rows)?;
    block.field(Wanted::Message, &rows)?;
    if let Some(needle) = Needle::whole("error") {
        block.find(&Sought::needle(&needle), None)?;
    }
    let mut line = Vec::new();
    for row in 0..block.len() {
        line.clear();
        block.line(row, &mut line)?;
    }
    Ok(())
}
