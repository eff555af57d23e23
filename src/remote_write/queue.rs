//! What waits to be sent: numbered files in a folder, bounded in bytes.
//!
//! A file begins with `YgRW` and a version; then frames: length (u32, little-endian), crc32, body.
//! The first byte of a body is its kind: 1 a series (number, labels), 2 floats of one time, 3 a
//! native histogram, 4 an exemplar. Numbers and lengths are those of protobuf. A file explains
//! every series that it speaks of, so that it can be read alone, and the one before it can go.
//!
//! The file `position` says how far the remote has everything. Writers do not sync: the samples
//! are safe in the store, and a power cut costs the remote what the system had not written.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use model::{Exemplar, Histogram, Labels, StoreError};
use rustc_hash::{FxHashMap, FxHashSet};
use wire::histogram_chunk::Sample;
use wire::writer::Writer;
use wire::{Message, remote};

const HEAD: [u8; 5] = *b"YgRW\x01";
/// A file ends at this size, so that full queues lose little at a time.
const FILE_BYTES: u64 = 4 << 20;
/// A frame holds a scrape at most.
const FRAME_BYTES_MAX: usize = 64 << 20;

const SERIES: u8 = 1;
const FLOATS: u8 = 2;
const HISTOGRAM: u8 = 3;
const EXEMPLAR: u8 = 4;

/// A thing that is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A float.
    Float(i64, f64),
    /// A native histogram.
    Histogram(i64, std::sync::Arc<Histogram>),
    /// An exemplar.
    Exemplar(Exemplar),
}

impl Item {
    /// Its time, milliseconds since 1970-01-01 UTC.
    pub fn time_ms(&self) -> i64 {
        match self {
            Self::Float(time_ms, _) | Self::Histogram(time_ms, _) => *time_ms,
            Self::Exemplar(exemplar) => exemplar.timestamp_ms,
        }
    }
}

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    file: u64,
    offset: u64,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    number: u64,
    bytes: u64,
    /// Items, as far as this process has written them; 0 for files of an earlier one.
    items: u64,
}

/// A queue on disk. One writes, one reads; both through a lock of their owner.
#[derive(Debug)]
pub struct Queue {
    folder: PathBuf,
    bytes_max: u64,
    files: VecDeque<Known>,
    writing: Option<File>,
    /// Series that the file being written explains.
    explained: FxHashSet<u32>,
    reading: Reading,
    committed: Position,
    /// Items that were dropped because the queue was full, since last asked.
    dropped: u64,
    frame: Vec<u8>,
}

#[derive(Debug, Default)]
struct Reading {
    at: Position,
    file: Option<(u64, File)>,
    series: FxHashMap<u32, Labels>,
}

fn failed(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let context = format!("cannot {doing} {}", path.display());
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::NoSpace(context),
        _ => StoreError::Io { context, source },
    }
}

impl Queue {
    /// Opens the queue in a folder, which is made where it is missing. Reading begins where the
    /// remote had everything.
    ///
    /// # Errors
    /// Where the folder cannot be used.
    pub fn open(folder: &Path, bytes_max: u64) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(failed("make folder", folder))?;
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
            let path = entry.map_err(failed("list", folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(number) = name.strip_suffix(".queue").and_then(|n| n.parse().ok()) {
                let bytes = fs::metadata(&path).map_err(failed("look at", &path))?.len();
                files.push(Known {
                    number,
                    bytes,
                    items: 0,
                });
            }
        }
        files.sort_by_key(|file| file.number);
        let committed = read_position(folder).unwrap_or_default();
        let mut queue = Self {
            folder: folder.to_owned(),
            bytes_max: bytes_max.max(2 * FILE_BYTES),
            files: files.into(),
            writing: None,
            explained: FxHashSet::default(),
            reading: Reading {
                at: committed,
                ..Reading::default()
            },
            committed,
            dropped: 0,
            frame: Vec::new(),
        };
        queue.forget_sent();
        Ok(queue)
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Items that were dropped because the queue was full, since last asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Adds floats of one time; `labels` is asked for the labels of a series that the file does
    /// not explain yet.
    ///
    /// # Errors
    /// Where it cannot be written: nothing was added then.
    pub fn floats(
        &mut self,
        time_ms: i64,
        samples: &[(u32, f64)],
        labels: impl Fn(u32) -> Option<Labels>,
    ) -> Result<(), StoreError> {
        self.rotate()?;
        self.explain(samples.iter().map(|(id, _)| *id), labels)?;
        let mut body = Writer::default();
        body.varint(u64::from(FLOATS));
        body.varint(time_ms as u64);
        for (id, value) in samples {
            body.varint(u64::from(*id));
            body.varint(value.to_bits().swap_bytes());
        }
        self.write(body.bytes(), samples.len() as u64)
    }

    /// Adds a native histogram or an exemplar.
    ///
    /// # Errors
    /// As [`Queue::floats`].
    pub fn item(
        &mut self,
        id: u32,
        item: &Item,
        labels: impl Fn(u32) -> Option<Labels>,
    ) -> Result<(), StoreError> {
        self.rotate()?;
        self.explain([id].into_iter(), labels)?;
        let mut body = Writer::default();
        match item {
            Item::Float(time_ms, value) => {
                return self.floats(*time_ms, &[(id, *value)], |_| None);
            }
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
        self.write(body.bytes(), 1)
    }

    fn explain(
        &mut self,
        ids: impl Iterator<Item = u32>,
        labels: impl Fn(u32) -> Option<Labels>,
    ) -> Result<(), StoreError> {
        for id in ids {
            if self.explained.contains(&id) {
                continue;
            }
            if let Some(labels) = labels(id) {
                let mut body = Writer::default();
                body.varint(u64::from(SERIES));
                body.varint(u64::from(id));
                write_labels(&mut body, &labels);
                self.write(body.bytes(), 0)?;
                self.explained.insert(id);
            }
        }
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:010}.queue"))
    }

    /// Begins a new file where there is none or the last one is full, and drops the oldest where
    /// all together are too large.
    fn rotate(&mut self) -> Result<(), StoreError> {
        let is_full = self
            .files
            .back()
            .is_none_or(|file| file.bytes >= FILE_BYTES);
        if self.writing.is_some() && !is_full {
            return Ok(());
        }
        let number = self.files.back().map_or(self.committed.file, |f| f.number) + 1;
        let path = self.path(number);
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(&path)
            .map_err(failed("make", &path))?;
        file.write_all(&HEAD).map_err(failed("write", &path))?;
        self.writing = Some(file);
        self.explained.clear();
        self.files.push_back(Known {
            number,
            bytes: HEAD.len() as u64,
            items: 0,
        });
        while self.bytes() + FILE_BYTES > self.bytes_max && self.files.len() > 1 {
            if let Some(oldest) = self.files.pop_front() {
                self.dropped += oldest.items.max(1);
                let path = self.path(oldest.number);
                fs::remove_file(&path).map_err(failed("delete", &path))?;
            }
        }
        Ok(())
    }

    fn write(&mut self, body: &[u8], items: u64) -> Result<(), StoreError> {
        let Some((file, known)) = self.writing.as_mut().zip(self.files.back_mut()) else {
            return Ok(());
        };
        self.frame.clear();
        self.frame
            .extend_from_slice(&(body.len() as u32).to_le_bytes());
        self.frame
            .extend_from_slice(&crc32fast::hash(body).to_le_bytes());
        self.frame.extend_from_slice(body);
        if let Err(error) = file.write_all(&self.frame) {
            // A frame that is there in part would hide what follows: go on in a new file.
            self.writing = None;
            return Err(failed("write to the queue in", &self.folder)(error));
        }
        known.bytes += self.frame.len() as u64;
        known.items += items;
        Ok(())
    }

    /// Reads further items, at least one frame's and up to about `items_max`, to the place that is
    /// to be committed when they have arrived. Frames that are damaged are told by number.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn read(
        &mut self,
        items_max: usize,
    ) -> Result<(Vec<(Labels, Item)>, Position, u64), StoreError> {
        let mut items = Vec::new();
        let mut damaged = 0;
        while items.len() < items_max {
            let Some(known) = self.next_file() else {
                break;
            };
            if !self.enter(known.number)? {
                damaged += 1;
                continue;
            }
            match self.frame()? {
                Frame::Body(body) => {
                    if self.decode(&body, &mut items).is_none() {
                        damaged += 1;
                    }
                }
                // The file that is written to goes on; another one is done.
                Frame::End if self.files.back().is_some_and(|f| f.number == known.number) => break,
                Frame::End => self.leave(known.number),
                Frame::Damaged => {
                    damaged += 1;
                    self.leave(known.number);
                }
            }
        }
        Ok((items, self.reading.at, damaged))
    }

    /// The file to read from: that of the position, or the next one where it is gone.
    fn next_file(&self) -> Option<Known> {
        let at = self.reading.at.file;
        self.files.iter().find(|file| file.number >= at).copied()
    }

    fn leave(&mut self, number: u64) {
        self.reading = Reading {
            at: Position {
                file: number + 1,
                offset: 0,
            },
            ..Reading::default()
        };
    }

    /// Opens a file and, where reading goes on in its middle, learns the series before. Says no to
    /// one that is no queue's file.
    fn enter(&mut self, number: u64) -> Result<bool, StoreError> {
        if self
            .reading
            .file
            .as_ref()
            .is_some_and(|(n, _)| *n == number)
        {
            return Ok(true);
        }
        let path = self.path(number);
        let mut file = File::open(&path).map_err(failed("open", &path))?;
        let mut head = [0; HEAD.len()];
        if file.read_exact(&mut head).is_err() || head != HEAD {
            self.leave(number);
            return Ok(false);
        }
        let to = match self.reading.at {
            Position { file, offset } if file == number => offset,
            _ => 0,
        };
        self.reading = Reading {
            at: Position {
                file: number,
                offset: HEAD.len() as u64,
            },
            file: Some((number, file)),
            series: FxHashMap::default(),
        };
        let mut passed = Vec::new();
        while self.reading.at.offset < to
            && let Frame::Body(body) = self.frame()?
        {
            passed.clear();
            let _ = self.decode(&body, &mut passed);
        }
        Ok(true)
    }

    fn frame(&mut self) -> Result<Frame, StoreError> {
        let Some((_, file)) = &mut self.reading.file else {
            return Ok(Frame::End);
        };
        let mut read = || -> io::Result<Frame> {
            file.seek(SeekFrom::Start(self.reading.at.offset))?;
            let mut head = [0; 8];
            let mut filled = 0;
            while filled < head.len() {
                let rest = head.get_mut(filled..).unwrap_or_default();
                match file.read(rest)? {
                    0 => return Ok(Frame::End),
                    n => filled += n,
                }
            }
            let [a, b, c, d, e, f, g, h] = head;
            let length = u32::from_le_bytes([a, b, c, d]) as usize;
            let sum = u32::from_le_bytes([e, f, g, h]);
            if length > FRAME_BYTES_MAX {
                return Ok(Frame::Damaged);
            }
            let mut body = vec![0; length];
            match file.read_exact(&mut body) {
                Ok(()) if crc32fast::hash(&body) == sum => Ok(Frame::Body(body)),
                Ok(()) => Ok(Frame::Damaged),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Frame::End),
                Err(error) => Err(error),
            }
        };
        let frame = read().map_err(failed("read the queue in", &self.folder))?;
        if let Frame::Body(body) = &frame {
            self.reading.at.offset += 8 + body.len() as u64;
        }
        Ok(frame)
    }

    fn decode(&mut self, body: &[u8], items: &mut Vec<(Labels, Item)>) -> Option<()> {
        let mut reader = Message::new(body);
        let kind = reader.varint().ok()?;
        let series = &mut self.reading.series;
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

    /// Remembers that the remote has everything up to a place.
    ///
    /// # Errors
    /// Where it cannot be written: the same is sent again after a restart.
    pub fn commit(&mut self, position: Position) -> Result<(), StoreError> {
        if position <= self.committed {
            return Ok(());
        }
        self.committed = position;
        let path = self.folder.join("position");
        let beside = self.folder.join("position.new");
        let text = format!("1 {} {}\n", position.file, position.offset);
        fs::write(&beside, text)
            .and_then(|()| fs::rename(&beside, &path))
            .map_err(failed("write", &path))?;
        self.forget_sent();
        Ok(())
    }

    /// Deletes files that the remote has as a whole.
    fn forget_sent(&mut self) {
        while self.files.len() > 1
            && let Some(first) = self.files.front().copied()
            && first.number < self.committed.file
        {
            self.files.pop_front();
            let path = self.path(first.number);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot delete a file of the queue");
            }
        }
    }
}

enum Frame {
    Body(Vec<u8>),
    End,
    Damaged,
}

fn read_position(folder: &Path) -> Option<Position> {
    let text = fs::read_to_string(folder.join("position")).ok()?;
    let mut words = text.split_whitespace();
    if words.next()? != "1" {
        return None;
    }
    Some(Position {
        file: words.next()?.parse().ok()?,
        offset: words.next()?.parse().ok()?,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(id: u32) -> Option<Labels> {
        Some(Labels::from_pairs([
            ("__name__", "m".to_owned()),
            ("i", id.to_string()),
        ]))
    }

    fn add(queue: &mut Queue, time_ms: i64, ids: std::ops::Range<u32>) {
        let samples: Vec<_> = ids.map(|id| (id, time_ms as f64 + f64::from(id))).collect();
        queue.floats(time_ms, &samples, labels).expect("writes");
    }

    #[test]
    fn what_is_written_is_read_also_after_a_restart() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut queue = Queue::open(dir.path(), 1 << 30).expect("opens");
        add(&mut queue, 1000, 0..3);
        add(&mut queue, 2000, 0..2);
        let exemplar = Item::Exemplar(Exemplar {
            labels: Labels::from_pairs([("trace_id", "t")]),
            value: 0.5,
            timestamp_ms: 2001,
        });
        queue.item(2, &exemplar, labels).expect("writes");
        let histogram = Item::Histogram(2002, std::sync::Arc::new(Histogram::default()));
        queue.item(7, &histogram, labels).expect("writes");
        let (items, position, damaged) = queue.read(3).expect("reads");
        assert_eq!((items.len(), damaged), (3, 0));
        queue.commit(position).expect("commits");
        drop(queue);
        let mut queue = Queue::open(dir.path(), 1 << 30).expect("opens");
        add(&mut queue, 3000, 1..2);
        let (items, ..) = queue.read(100).expect("reads");
        let expected = vec![
            (labels(0).expect("some"), Item::Float(2000, 2000.0)),
            (labels(1).expect("some"), Item::Float(2000, 2001.0)),
            (labels(2).expect("some"), exemplar),
            (labels(7).expect("some"), histogram),
            (labels(1).expect("some"), Item::Float(3000, 3001.0)),
        ];
        assert_eq!(items, expected);
        let (items, ..) = queue.read(100).expect("reads");
        assert!(items.is_empty());
        add(&mut queue, 4000, 1..2);
        assert_eq!(queue.read(100).expect("reads").0.len(), 1);
    }

    #[test]
    fn a_full_queue_loses_the_oldest_and_says_so() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut queue = Queue::open(dir.path(), 0).expect("opens");
        for time_ms in 0..300 {
            add(&mut queue, time_ms, 0..5_000);
        }
        assert!(
            queue.bytes() <= 2 * FILE_BYTES + (1 << 17),
            "{}",
            queue.bytes()
        );
        let dropped = queue.take_dropped();
        let mut read = 0;
        loop {
            let (items, position, damaged) = queue.read(100_000).expect("reads");
            assert_eq!(damaged, 0);
            if items.is_empty() {
                break;
            }
            read += items.len() as u64;
            queue.commit(position).expect("commits");
        }
        assert_eq!(read + dropped, 300 * 5_000);
        assert!(dropped > 0);
        assert_eq!(queue.files.len(), 1, "what was sent is deleted");
    }

    #[test]
    fn damage_costs_a_file_at_most() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut queue = Queue::open(dir.path(), 1 << 30).expect("opens");
        add(&mut queue, 1000, 0..100);
        add(&mut queue, 2000, 0..100);
        drop(queue);
        let path = dir.path().join("0000000001.queue");
        let mut bytes = fs::read(&path).expect("reads");
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        fs::write(&path, bytes).expect("writes");
        let mut queue = Queue::open(dir.path(), 1 << 30).expect("opens");
        add(&mut queue, 3000, 0..100);
        let (items, _, damaged) = queue.read(1000).expect("reads");
        assert_eq!((items.len(), damaged), (200, 1));
    }
}
