//! A push as the body of a journal record, and back.
//!
//! ```text
//! streams: count, then per stream its labels: count, then name and value (length, bytes)
//! lines:   count, then per line: stream, time since the line before (zigzag), level, text length
//! texts:   of all lines, one after the other
//! ```
//! All numbers are varints (7 bits a byte, the lowest first).

use model::{Labels, Level, LogBatch, LogLine, StreamId};

use super::{FRAME_BYTES, Frame};
use crate::push::Push;

/// Writes a push.
pub(crate) fn encode(push: &Push) -> Frame {
    let text = &push.batch.text;
    // Most lines need five bytes beside their text.
    let expected = FRAME_BYTES + text.len() + push.batch.lines.len() * 8 + push.streams.len() * 128;
    let mut out = Vec::with_capacity(expected);
    out.resize(FRAME_BYTES, 0);
    write_varint(&mut out, push.streams.len() as u64);
    for (labels, _) in &push.streams {
        write_varint(&mut out, labels.len() as u64);
        for label in labels {
            write_text(&mut out, &label.name);
            write_text(&mut out, &label.value);
        }
    }
    write_varint(&mut out, push.batch.lines.len() as u64);
    let (mut time_ns, mut end) = (0i64, 0u32);
    for line in &push.batch.lines {
        write_varint(&mut out, u64::from(line.stream.0));
        write_varint(&mut out, zigzag(line.time_ns.wrapping_sub(time_ns)));
        out.push(line.level as u8);
        write_varint(&mut out, u64::from(line.text_end - end));
        (time_ns, end) = (line.time_ns, line.text_end);
    }
    out.extend_from_slice(text.get(..end as usize).unwrap_or_default());
    Frame::new(out)
}

/// Reads a push: the label sets, and the lines with the places of their sets as streams. `None`
/// where it does not decode.
pub(crate) fn decode(body: &[u8]) -> Option<(Vec<Labels>, LogBatch)> {
    let mut rest = body;
    let count = read_varint(&mut rest)?;
    let mut streams = Vec::new();
    for _ in 0..count {
        let n_labels = read_varint(&mut rest)?;
        let mut pairs = Vec::new();
        for _ in 0..n_labels {
            pairs.push((read_text(&mut rest)?, read_text(&mut rest)?));
        }
        streams.push(Labels::from_pairs(pairs));
    }
    let count = read_varint(&mut rest)?;
    let mut batch = LogBatch::default();
    let (mut time_ns, mut end) = (0i64, 0u32);
    for _ in 0..count {
        let stream = u32::try_from(read_varint(&mut rest)?).ok()?;
        if stream as usize >= streams.len() {
            return None;
        }
        time_ns = time_ns.wrapping_add(unzigzag(read_varint(&mut rest)?));
        let (level, after) = rest.split_first()?;
        rest = after;
        let length = u32::try_from(read_varint(&mut rest)?).ok()?;
        end = end.checked_add(length)?;
        batch.lines.push(LogLine {
            stream: StreamId(stream),
            time_ns,
            level: Level::from_number(*level),
            text_end: end,
        });
    }
    if rest.len() != end as usize {
        return None;
    }
    batch.text = rest.to_vec();
    Some((streams, batch))
}

fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    write_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for (i, byte) in rest.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            *rest = rest.get(i + 1..)?;
            return Some(number);
        }
    }
    None
}

fn read_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(read_varint(rest)?).ok()?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Protocol;
    use crate::push::tests::{NOW_NS, push};

    proptest! {
        #[test]
        fn a_push_comes_back(
            lines in proptest::collection::vec(
                (0u8..4, -1_000_000_000i64..1_000_000_000, proptest::collection::vec(any::<u8>(), 0..30)),
                0..20,
            )
        ) {
            let mut push = push(Protocol::Loki);
            for (app, after, text) in &lines {
                let labels = Labels::from_pairs([("app", app.to_string()), ("env", "é".to_owned())]);
                let stream = push.stream(&labels).expect("a stream");
                push.text().extend_from_slice(text);
                push.end_line(stream, Some(NOW_NS + after), None).expect("a line");
            }
            let frame = encode(&push);
            let (streams, batch) = decode(&frame.bytes()[FRAME_BYTES..]).expect("decodes");
            let expected: Vec<Labels> = push.streams.iter().map(|(l, _)| l.clone()).collect();
            prop_assert_eq!(streams, expected);
            prop_assert_eq!(batch.lines, push.batch.lines);
            prop_assert_eq!(batch.text, push.batch.text);
        }

        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            decode(&bytes);
        }
    }
}
