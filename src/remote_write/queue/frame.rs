//! What stands in a file of the queue: frames, and their bodies (`docs/formats/remote_write.md`).

use std::io::{self, Read};

use model::{Exemplar, Labels};
use rustc_hash::FxHashMap;
use wire::histogram_chunk::Sample;
use wire::writer::Writer;
use wire::{Message, remote};

use super::Item;

/// The beginning of every file.
pub(super) const HEAD: [u8; 5] = *b"YgRW\x01";
/// A frame holds a scrape at most.
const FRAME_BYTES_MAX: usize = 64 << 20;

const SERIES: u8 = 1;
const FLOATS: u8 = 2;
const HISTOGRAM: u8 = 3;
const EXEMPLAR: u8 = 4;

/// Puts a body into its frame, in place of what the buffer held.
pub(super) fn wrap(body: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    out.extend_from_slice(body);
}

/// The bytes that a frame has beside its body.
pub(super) const OVERHEAD: u64 = 8;

/// What was read at a place.
pub(super) enum Frame {
    Body(Vec<u8>),
    /// No whole frame: it is not written yet, or never will be.
    End,
    Damaged,
}

impl Frame {
    /// Reads the frame that begins here.
    pub(super) fn read(file: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; OVERHEAD as usize];
        match file.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Self::End),
            other => other?,
        }
        let [a, b, c, d, e, f, g, h] = head;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let sum = u32::from_le_bytes([e, f, g, h]);
        if length > FRAME_BYTES_MAX {
            return Ok(Self::Damaged);
        }
        let mut body = vec![0; length];
        match file.read_exact(&mut body) {
            Ok(()) if crc32fast::hash(&body) == sum => Ok(Self::Body(body)),
            Ok(()) => Ok(Self::Damaged),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Self::End),
            Err(error) => Err(error),
        }
    }
}

/// A series: its number and labels.
pub(super) fn series(id: u32, labels: &Labels) -> Writer {
    let mut body = Writer::default();
    body.varint(u64::from(SERIES));
    body.varint(u64::from(id));
    write_labels(&mut body, labels);
    body
}

/// Floats of one time.
pub(super) fn floats(time_ms: i64, samples: &[(u32, f64)]) -> Writer {
    let mut body = Writer::default();
    body.varint(u64::from(FLOATS));
    body.varint(time_ms as u64);
    for (id, value) in samples {
        body.varint(u64::from(*id));
        // The bytes that differ come first: few of them for whole numbers.
        body.varint(value.to_bits().swap_bytes());
    }
    body
}

/// One item.
pub(super) fn item(id: u32, item: &Item) -> Writer {
    let mut body = Writer::default();
    match item {
        Item::Float(time_ms, value) => return floats(*time_ms, &[(id, *value)]),
        Item::Histogram(time_ms, histogram) => {
            body.varint(u64::from(HISTOGRAM));
            body.varint(u64::from(id));
            remote::write_histogram(&mut body, 1, *time_ms, histogram);
        }
        Item::Exemplar(exemplar) => {
            body.varint(u64::from(EXEMPLAR));
            body.varint(u64::from(id));
            body.always_float(2, exemplar.value);
            body.always_number(3, exemplar.timestamp_ms as u64);
            write_labels(&mut body, &exemplar.labels);
        }
    }
    body
}

/// Reads a body: a series is remembered, items are added. `None` where it is damaged.
pub(super) fn decode(
    body: &[u8],
    series: &mut FxHashMap<u32, Labels>,
    items: &mut Vec<(Labels, Item)>,
) -> Option<()> {
    let mut reader = Message::new(body);
    let kind = reader.varint().ok()?;
    match u8::try_from(kind).ok()? {
        SERIES => {
            let id = reader.varint().ok()? as u32;
            series.insert(id, read_labels(&mut reader)?);
        }
        FLOATS => {
            let time_ms = reader.varint().ok()? as i64;
            while !reader.rest().is_empty() {
                let id = reader.varint().ok()? as u32;
                let value = f64::from_bits(reader.varint().ok()?.swap_bytes());
                items.push((series.get(&id)?.clone(), Item::Float(time_ms, value)));
            }
        }
        HISTOGRAM => {
            let id = reader.varint().ok()? as u32;
            let (_, value) = reader.next().ok()??;
            if let (time_ms, Sample::Histogram(histogram)) =
                remote::read_histogram(value.bytes()).ok()?
            {
                let labels = series.get(&id)?.clone();
                items.push((labels, Item::Histogram(time_ms, histogram)));
            }
        }
        EXEMPLAR => {
            let id = reader.varint().ok()? as u32;
            let (_, value) = reader.next().ok()??;
            let (_, time) = reader.next().ok()??;
            let exemplar = Exemplar {
                value: value.float(),
                timestamp_ms: time.number() as i64,
                labels: read_labels(&mut reader)?,
            };
            items.push((series.get(&id)?.clone(), Item::Exemplar(exemplar)));
        }
        _ => return None,
    }
    Some(())
}

/// How many items a body has, as far as it is sound.
pub(super) fn count(body: &[u8]) -> u64 {
    let mut reader = Message::new(body);
    match reader.varint().map(u8::try_from) {
        Ok(Ok(FLOATS)) => {
            let mut numbers = 0;
            while !reader.rest().is_empty() && reader.varint().is_ok() {
                numbers += 1;
            }
            // The time, then two numbers for each float.
            (numbers - 1i64).max(0) as u64 / 2
        }
        Ok(Ok(HISTOGRAM | EXEMPLAR)) => 1,
        _ => 0,
    }
}

fn write_labels(out: &mut Writer, labels: &Labels) {
    for label in labels {
        out.field(1, label.name.as_bytes());
        out.field(1, label.value.as_bytes());
    }
}

fn read_labels(reader: &mut Message<'_>) -> Option<Labels> {
    let mut pairs = Vec::new();
    while let Some((_, name)) = reader.next().ok()? {
        let (_, value) = reader.next().ok()??;
        pairs.push((name.text().ok()?, value.text().ok()?));
    }
    Some(Labels::from_pairs(pairs))
}
