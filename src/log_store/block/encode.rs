//! Lines in, block out.
//!
//! 1. Take each line apart; lines of equal shape go together. Lines that hold the marks of shapes
//!    themselves are kept as they are ("odd").
//! 2. Of each variable of each shape try the forms from cheap to dear: constant, dictionary,
//!    integer, decimal, packed hex, text.
//! 3. Compress the frames and put length and checksum before them.

use rustc_hash::FxHashMap;

use super::bytes::{put_bytes, put_varint, put_zigzag};
use super::template::{self, VARIABLE, Variable};
use super::time_text::TimeForm;
use super::{
    COMPRESS_MIN_BYTES, FRAMES_FIXED, HAS_ESCAPES, HAS_RETURNS, SMALL_COLUMN_BYTES, VALUE_END,
    VERSION, ints, kind,
};
use crate::lines::Lines;
use crate::tokens::TermSet;

/// Level of zstd: level 3 gains 3 % for twice the time.
const ZSTD_LEVEL: i32 = 1;

/// A dictionary's values are numbered in one byte.
const DICTIONARY_MAX: usize = 255;

/// With fewer values than this a column's layout costs more than it saves.
const TYPED_VALUES_MIN: usize = 4;

/// Integers with more digits may not fit or not come back the same.
const INTEGER_DIGITS_MAX: usize = 17;

/// Digits of a decimal behind and before the point.
const DECIMAL_FRACTION_MAX: usize = 6;
const DECIMAL_WHOLE_MAX: usize = 9;

/// Writes blocks and keeps its memory from one to the next.
pub(crate) struct Encoder {
    compressor: zstd::bulk::Compressor<'static>,
    terms: TermSet,
}

/// A finished block.
#[derive(Debug)]
pub(crate) struct EncodedBlock {
    /// Its bytes, checksum included.
    pub(crate) bytes: Vec<u8>,
    /// The words by which it is to be found, with spaces between them.
    pub(crate) terms: String,
}

/// The lines of one shape while a block is being made.
struct Shape {
    rows: usize,
    /// Per variable its values, as places in the block's text or time differences.
    columns: Vec<Vec<Value>>,
}

#[derive(Clone, Copy)]
enum Value {
    Text { start: u32, end: u32 },
    Time(i64),
}

/// The parts of a block before compression.
#[derive(Default)]
struct Parts {
    directory: Vec<u8>,
    dictionary: Vec<u8>,
    text: Vec<u8>,
    packed: Vec<u8>,
    small: Vec<u8>,
    odd: Vec<u8>,
    large: Vec<Vec<u8>>,
}

impl Parts {
    /// Puts a column's payload where the reader looks for one of its size.
    fn put_payload(&mut self, payload: Vec<u8>) {
        if payload.len() < SMALL_COLUMN_BYTES {
            self.small.extend_from_slice(&payload);
        } else {
            self.large.push(payload);
        }
    }

    fn put_ints(&mut self, values: &[i64]) {
        let payload = ints::encode(values, &mut self.directory);
        self.put_payload(payload);
    }
}

impl Encoder {
    /// Makes an encoder; fails only where memory does.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            compressor: zstd::bulk::Compressor::new(ZSTD_LEVEL)?,
            terms: TermSet::default(),
        })
    }

    /// Encodes lines, which must not be none.
    pub(crate) fn encode(&mut self, lines: &Lines) -> std::io::Result<EncodedBlock> {
        self.terms.clear();
        let mut parts = Parts::default();
        put_varint(&mut parts.directory, lines.len() as u64);
        let mut holds = 0;
        if memchr::memchr(b'\\', lines.all_text()).is_some() {
            holds |= HAS_ESCAPES;
            self.terms.add_escapes();
        }
        if memchr::memchr2(b'\r', b'\x0c', lines.all_text()).is_some() {
            holds |= HAS_RETURNS;
        }
        parts.directory.push(holds);
        parts.put_ints(lines.times());
        let levels: Vec<i64> = lines.levels().iter().map(|l| i64::from(*l)).collect();
        parts.put_ints(&levels);
        self.put_lines(lines, &mut parts);
        let bytes = self.pack(&parts)?;
        Ok(EncodedBlock {
            bytes,
            terms: self.terms.join(),
        })
    }

    fn put_lines(&mut self, lines: &Lines, parts: &mut Parts) {
        let mut numbers: FxHashMap<Vec<u8>, u32> = FxHashMap::default();
        let mut shapes: Vec<(Vec<u8>, Shape)> = Vec::new();
        let mut ids: Vec<i64> = Vec::with_capacity(lines.len());
        let (mut shape_text, mut variables) = (Vec::new(), Vec::new());
        let mut offset = 0u32;
        for (text, time_ns) in lines.texts().zip(lines.times()) {
            let line_start = offset;
            offset += text.len() as u32;
            if template::is_odd(text) {
                // Number 0 is kept for odd lines.
                ids.push(0);
                put_bytes(&mut parts.odd, text);
                self.terms.add_text(text);
                continue;
            }
            shape_text.clear();
            variables.clear();
            template::take_apart(text, *time_ns, &mut shape_text, &mut variables);
            let number = if let Some(number) = numbers.get(&shape_text) {
                *number
            } else {
                let number = shapes.len() as u32;
                numbers.insert(shape_text.clone(), number);
                let columns = vec![Vec::new(); variables.len()];
                shapes.push((shape_text.clone(), Shape { rows: 0, columns }));
                number
            };
            ids.push(i64::from(number) + 1);
            let Some((_, shape)) = shapes.get_mut(number as usize) else {
                continue;
            };
            shape.rows += 1;
            for (column, variable) in shape.columns.iter_mut().zip(&variables) {
                column.push(match *variable {
                    Variable::Text { start, end } => Value::Text {
                        start: line_start + start,
                        end: line_start + end,
                    },
                    Variable::Time(difference) => Value::Time(difference),
                });
            }
        }
        parts.put_ints(&ids);
        put_varint(&mut parts.directory, shapes.len() as u64);
        for (text, shape) in &shapes {
            put_bytes(&mut parts.directory, text);
            self.add_shape_terms(text);
            for column in &shape.columns {
                self.put_column(lines.all_text(), column, shape.rows, parts);
            }
        }
    }

    /// Adds the words of a shape: its variables are borders between words.
    fn add_shape_terms(&mut self, shape: &[u8]) {
        for (literal, form) in Literals::new(shape) {
            self.terms.add_text(literal);
            if let Some(Mark::Time(form)) = form {
                self.terms.add_time(form);
            }
        }
    }

    fn put_column(&mut self, text: &[u8], column: &[Value], rows: usize, parts: &mut Parts) {
        if matches!(column.first(), Some(Value::Time(_))) {
            let times: Vec<i64> = column
                .iter()
                .map(|v| match v {
                    Value::Time(difference) => *difference,
                    Value::Text { .. } => 0,
                })
                .collect();
            put_times(&times, parts);
            return;
        }
        let values: Vec<&[u8]> = column
            .iter()
            .map(|v| match v {
                Value::Text { start, end } => {
                    text.get(*start as usize..*end as usize).unwrap_or_default()
                }
                Value::Time(_) => &[],
            })
            .collect();
        let Some((first, rest)) = values.split_first() else {
            return;
        };
        if rest.iter().all(|v| v == first) {
            parts.directory.push(kind::CONSTANT);
            put_bytes(&mut parts.directory, first);
            self.terms.add_text(first);
            return;
        }
        if rows >= TYPED_VALUES_MIN {
            if self.put_dictionary(&values, parts) {
                return;
            }
            for value in &values {
                self.terms.add_text(value);
            }
            if put_integers(&values, parts)
                || put_decimals(&values, parts)
                || put_hex(&values, parts)
            {
                return;
            }
        } else {
            for value in &values {
                self.terms.add_text(value);
            }
        }
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'.';
        let all_plain = values.iter().all(|value| value.iter().all(is_plain));
        let kind = if all_plain { kind::PLAIN } else { kind::TEXT };
        parts.directory.push(kind);
        for value in values {
            parts.text.extend_from_slice(value);
            parts.text.push(VALUE_END);
        }
    }

    /// A dictionary, where values come back often enough.
    fn put_dictionary(&mut self, values: &[&[u8]], parts: &mut Parts) -> bool {
        let limit = (values.len() / 3).min(DICTIONARY_MAX);
        let mut numbers: FxHashMap<&[u8], u8> = FxHashMap::default();
        let mut entries: Vec<&[u8]> = Vec::new();
        let mut ids = Vec::with_capacity(values.len());
        for value in values {
            if let Some(number) = numbers.get(value) {
                ids.push(*number);
                continue;
            }
            if entries.len() >= limit {
                return false;
            }
            let number = entries.len() as u8;
            numbers.insert(value, number);
            entries.push(value);
            ids.push(number);
        }
        // Beyond this the ids cost as much as typed values do.
        if entries.len() > 64.max(values.len() / 16) {
            return false;
        }
        parts.directory.push(kind::DICTIONARY);
        put_varint(&mut parts.directory, entries.len() as u64);
        for entry in entries {
            parts.dictionary.extend_from_slice(entry);
            parts.dictionary.push(VALUE_END);
            self.terms.add_text(entry);
        }
        parts.put_payload(ids);
        true
    }

    /// Compresses the frames: checksum, version, then each frame with its two lengths.
    fn pack(&mut self, parts: &Parts) -> std::io::Result<Vec<u8>> {
        let mut out = vec![0u8; 4];
        out.push(VERSION);
        let fixed: [&[u8]; FRAMES_FIXED] = [
            &parts.directory,
            &parts.dictionary,
            &parts.text,
            &parts.packed,
            &parts.small,
            &parts.odd,
        ];
        let large = parts.large.iter().map(Vec::as_slice);
        for frame in fixed.into_iter().chain(large) {
            put_varint(&mut out, frame.len() as u64);
            let compressed = if frame.len() < COMPRESS_MIN_BYTES {
                None
            } else {
                Some(self.compressor.compress(frame)?).filter(|z| z.len() < frame.len())
            };
            // Stored length 0 says: not compressed.
            put_varint(&mut out, compressed.as_ref().map_or(0, Vec::len) as u64);
            out.extend_from_slice(compressed.as_deref().unwrap_or(frame));
        }
        let checksum = crc32fast::hash(&out[4..]);
        out[..4].copy_from_slice(&checksum.to_le_bytes());
        Ok(out)
    }
}

/// What stands in a shape behind a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Variable,
    Time(TimeForm),
}

/// The literals of a shape, each with the mark behind it; the last one has none.
pub(super) struct Literals<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Literals<'a> {
    pub(super) fn new(shape: &'a [u8]) -> Self {
        Self { rest: Some(shape) }
    }
}

impl<'a> Iterator for Literals<'a> {
    type Item = (&'a [u8], Option<Mark>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        let Some(at) = memchr::memchr2(VARIABLE, template::TIME, rest) else {
            self.rest = None;
            return Some((rest, None));
        };
        let (literal, marked) = rest.split_at(at);
        let (mark, behind) = match marked {
            [template::TIME, form, behind @ ..] => {
                (TimeForm::from_byte(*form).map(Mark::Time), behind)
            }
            [_, behind @ ..] => (Some(Mark::Variable), behind),
            [] => (None, marked),
        };
        self.rest = Some(behind);
        Some((literal, mark))
    }
}

fn put_times(differences: &[i64], parts: &mut Parts) {
    let first = differences.first().copied().unwrap_or_default();
    if differences.iter().all(|d| *d == first) {
        parts.directory.push(kind::TIME_CONSTANT);
        put_zigzag(&mut parts.directory, first);
    } else {
        parts.directory.push(kind::TIME);
        parts.put_ints(differences);
    }
}

fn put_integers(values: &[&[u8]], parts: &mut Parts) -> bool {
    let Some(numbers) = values
        .iter()
        .map(|v| integer(v))
        .collect::<Option<Vec<i64>>>()
    else {
        return false;
    };
    parts.directory.push(kind::INTEGER);
    parts.put_ints(&numbers);
    true
}

fn put_decimals(values: &[&[u8]], parts: &mut Parts) -> bool {
    let Some((_, digits)) = values.first().and_then(|v| decimal(v)) else {
        return false;
    };
    let same = |v: &&[u8]| decimal(v).filter(|d| d.1 == digits).map(|d| d.0);
    let Some(numbers) = values.iter().map(same).collect::<Option<Vec<i64>>>() else {
        return false;
    };
    parts.directory.push(kind::DECIMAL);
    parts.directory.push(digits as u8);
    parts.put_ints(&numbers);
    true
}

fn put_hex(values: &[&[u8]], parts: &mut Parts) -> bool {
    let Some(width) = values.first().map(|v| v.len()) else {
        return false;
    };
    let is_hex = |v: &&[u8]| v.len() == width && v.iter().all(|b| hex_digit(*b).is_some());
    if width < 4 || !width.is_multiple_of(2) || !values.iter().all(is_hex) {
        return false;
    }
    parts.directory.push(kind::HEX);
    put_varint(&mut parts.directory, (width / 2) as u64);
    for value in values {
        for pair in value.chunks_exact(2) {
            let digit = |i: usize| pair.get(i).and_then(|b| hex_digit(*b)).unwrap_or_default();
            parts.packed.push(digit(0) << 4 | digit(1));
        }
    }
    true
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// An integer that is written the same way again.
fn integer(text: &[u8]) -> Option<i64> {
    let (first, rest) = text.split_first()?;
    if text.len() > INTEGER_DIGITS_MAX || (*first == b'0' && !rest.is_empty()) {
        return None;
    }
    digits(text)
}

/// A decimal that is written the same way again, without its point, and its digits behind it.
fn decimal(text: &[u8]) -> Option<(i64, usize)> {
    let point = memchr::memchr(b'.', text)?;
    let (whole, fraction) = (text.get(..point)?, text.get(point + 1..)?);
    if whole.len() > DECIMAL_WHOLE_MAX || !(1..=DECIMAL_FRACTION_MAX).contains(&fraction.len()) {
        return None;
    }
    let scale = super::time_text::power_of_ten(fraction.len());
    Some((integer(whole)? * scale + digits(fraction)?, fraction.len()))
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0i64, |value, byte| {
        byte.is_ascii_digit()
            .then(|| value * 10 + i64::from(byte - b'0'))
    })
}
