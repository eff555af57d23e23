//! Which lines of a block look alike (`log_query::pattern`)? Answered from shapes and columns.
//!
//! A pattern does not tell one number or identifier from another. So only the sentence of each line
//! is put together, its numbers and identifiers are [blurred](blur), and of the texts that come
//! out, few of them different, the patterns are made.

use log_query::pattern_of;
use rustc_hash::FxHashMap;

use super::bytes::Corrupt;
use super::decode::Block;
use super::directory::Piece;
use super::fields::{ASK, Part, Wanted};
use crate::bits::Bits;

/// The patterns of lines, row by row.
#[derive(Debug, Default)]
pub(crate) struct PatternColumn {
    /// Different patterns, in no order.
    pub(crate) patterns: Vec<String>,
    /// Per row of the block the number of its pattern, or [`ASK`]: the line has to be rebuilt and
    /// read, or was not asked for.
    pub(crate) numbers: Vec<u32>,
}

impl Block {
    /// The patterns of these rows.
    pub(crate) fn patterns(&mut self, rows: &Bits) -> Result<PatternColumn, Corrupt> {
        let mut out = Patterns {
            column: PatternColumn {
                patterns: Vec::new(),
                numbers: vec![ASK; self.len()],
            },
            by_text: FxHashMap::default(),
            by_pattern: FxHashMap::default(),
        };
        for shape in 0..self.shapes.len() {
            let is_wanted = self
                .shapes
                .get(shape)
                .is_some_and(|s| s.rows.iter().any(|row| rows.contains(*row as usize)));
            if is_wanted {
                self.read_shape_patterns(shape, rows, &mut out)?;
            }
        }
        Ok(out.column)
    }

    fn read_shape_patterns(
        &mut self,
        shape: usize,
        rows: &Bits,
        out: &mut Patterns,
    ) -> Result<(), Corrupt> {
        let Some(sentence) = self.parts_of(shape, Wanted::Message)? else {
            return Ok(());
        };
        // In quotes a backslash may read otherwise than it is written.
        let is_quoted = sentence.is_some();
        // JSON without a sentence has a pattern of its own kind.
        if !is_quoted && self.is_json(shape)? {
            return Ok(());
        }
        let parts = sentence.unwrap_or_else(|| self.all_parts(shape));
        let mut varies = false;
        for part in &parts {
            if let Part::Column(column) = part {
                self.prepare_column(shape, *column)?;
                varies = true;
            }
        }
        let mut text = Vec::new();
        if !varies {
            self.write_parts(shape, &parts, 0, &mut text)?;
            let number = out.number(&mut text, is_quoted);
            self.each_row(shape, rows, |row, _| out.put(row, number));
            return Ok(());
        }
        let mut failed = None;
        self.each_row(shape, rows, |row, index| {
            text.clear();
            // All times of a form look the same.
            match self.write_parts(shape, &parts, index, &mut text) {
                Ok(()) => {
                    let number = out.number(&mut text, is_quoted);
                    out.put(row, number);
                }
                Err(error) => failed = Some(error),
            }
        });
        failed.map_or(Ok(()), Err)
    }

    /// All of a line.
    fn all_parts(&self, shape: usize) -> Vec<Part> {
        let pieces = self.shapes.get(shape).map(|s| &s.pieces[..]);
        pieces
            .unwrap_or_default()
            .iter()
            .map(|piece| match piece {
                Piece::Literal(range) => Part::Literal(range.clone()),
                Piece::Column(column) => Part::Column(*column),
            })
            .collect()
    }
}

/// Makes all numbers and identifiers alike that a pattern does not tell apart. In each run of
/// letters and digits with a digit in it, hexadecimal digits become zeros and other letters `g`; a
/// first letter stays one (`Nov 7` is a date, `Nov a7` is none). How long they are stays, and with
/// it what makes a UUID or a time. Where a terminal colour ends is told by a letter: with these
/// only digits change.
fn blur(text: &mut [u8]) {
    let has_colours = memchr::memchr(0x1b, text).is_some();
    for run in text.split_mut(|b| !b.is_ascii_alphanumeric()) {
        if !run.iter().any(u8::is_ascii_digit) {
            continue;
        }
        for (i, byte) in run.iter_mut().enumerate() {
            *byte = match *byte {
                b'0'..=b'9' => b'0',
                letter if has_colours => letter,
                b'a'..=b'f' | b'A'..=b'F' if i == 0 => b'a',
                b'a'..=b'f' | b'A'..=b'F' => b'0',
                _ => b'g',
            };
        }
    }
}

/// Numbers patterns as they come.
struct Patterns {
    column: PatternColumn,
    by_text: FxHashMap<Vec<u8>, u32>,
    by_pattern: FxHashMap<String, u32>,
}

impl Patterns {
    fn put(&mut self, row: usize, number: u32) {
        if let Some(slot) = self.column.numbers.get_mut(row) {
            *slot = number;
        }
    }

    /// The number of the pattern of a sentence.
    fn number(&mut self, sentence: &mut [u8], is_quoted: bool) -> u32 {
        if is_quoted && memchr::memchr(b'\\', sentence).is_some() {
            return ASK;
        }
        blur(sentence);
        if let Some(number) = self.by_text.get(&*sentence) {
            return *number;
        }
        let pattern = pattern_of(&String::from_utf8_lossy(sentence));
        let number = if let Some(number) = self.by_pattern.get(&pattern) {
            *number
        } else {
            let number = self.column.patterns.len() as u32;
            self.by_pattern.insert(pattern.clone(), number);
            self.column.patterns.push(pattern);
            number
        };
        self.by_text.insert(sentence.to_vec(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::super::encode::Encoder;
    use super::*;
    use crate::lines::Lines;
    use log_query::{LineView, pattern};
    use model::{Labels, Level};
    use proptest::prelude::*;

    /// Compares patterns of columns with those of lines; returns how many columns did not know.
    fn check(texts: &[Vec<u8>]) -> usize {
        let mut lines = Lines::default();
        for (i, text) in texts.iter().enumerate() {
            lines.push(1_795_305_605_123_456_789 + i as i64, Level::Info, text);
        }
        let encoded = Encoder::new().and_then(|mut e| e.encode(&lines));
        let mut block = Block::open(encoded.expect("a block").bytes).expect("it opens");
        let column = block.patterns(&Bits::all(texts.len())).expect("patterns");
        let labels = Labels::empty();
        let mut asked = 0;
        for (text, number) in texts.iter().zip(&column.numbers) {
            let expected = pattern(&LineView::new(&labels, Level::Info, text));
            if *number == ASK {
                asked += 1;
            } else {
                let found = &column.patterns[*number as usize];
                assert_eq!(*found, expected, "{}", text.escape_ascii());
            }
        }
        asked
    }

    fn many(line: impl Fn(usize) -> String) -> Vec<Vec<u8>> {
        (0..60).map(|i| line(i).into_bytes()).collect()
    }

    #[test]
    fn patterns_of_columns_are_those_of_lines() {
        let known = |texts: &[Vec<u8>]| assert_eq!(check(texts), 0);
        known(&many(|i| {
            format!(
                "2026-11-22 00:00:{i:02},123 user {} took {i}ms of {}.{i}",
                ["ann", "bob"][i % 2],
                i % 3
            )
        }));
        known(&many(|i| {
            format!(
                "{{\"id\":\"{i:08x}\",\"msg\":\"got {i} of kind-{}\"}}",
                i % 3
            )
        }));
        known(&many(|i| {
            format!(
                "level=info msg=\"wrote {i} items to {}\" n={i}",
                ["a", "b c"][i % 2]
            )
        }));
        known(&many(|i| {
            format!("x=word{} y={} {i:016x}", i % 2, ["on", "off"][i % 2])
        }));
        known(&many(|i| "a ".repeat(i * 5)));
        let escaped = many(|i| format!("{{\"msg\":\"a \\\"{}\\\" {i}\"}}", ["b", "c"][i % 2]));
        assert_eq!(check(&escaped), escaped.len());
        // Of lines without fields a backslash is a letter like any other.
        known(&many(|i| {
            format!("C:\\dir\\{} opened {i}", ["one", "two"][i % 2])
        }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn of_any_lines_too(
            skeleton in "([a-c=:\"{},. \u{a0}é-]|Nov |\\x1b\\[3|<){0,12}",
            values in prop::collection::vec("[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}|[a-f0-9]{2}(:[a-f0-9]{2}){5}|ann@[a-c0-9]{2}.org|[0-9]{1,3}|[a-f0-9]{4}|[a-c \u{a0}é0-9]{1,4}|10:00:0[0-9]", 1..40),
        ) {
            let lines: Vec<Vec<u8>> = values
                .iter()
                .enumerate()
                .map(|(i, value)| {
                    let other = &values[(i * 7 + 3) % values.len()];
                    skeleton.replacen('<', value, 1).replace('<', other).into_bytes()
                })
                .collect();
            check(&lines);
        }
    }
}
