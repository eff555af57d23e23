//! One block: its index, its chunks, and what was deleted from it.
//!
//! Windows are read one after the other, all series of a window at once, because that is how they
//! are stored. A chunk that lies in two windows is read twice.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use model::{Samples, stale_nan};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use wire::crc32c::crc32c;
use wire::{histogram_chunk, xor};

use super::Options;
use super::bytes::Reader;
use super::index::{self, Chunk};
use crate::{ImportError, PART_SAMPLES, Report, Series, Take, io_error};

const CHUNKS_MAGIC: u32 = 0x85bd_40dd;
const TOMBSTONES_MAGIC: u32 = 0x0130_ba30;
/// Nearly all chunks, with head and checksum, are read with one call.
const CHUNK_BYTES_LIKELY: usize = 1024;
/// A chunk of floats has some hundred bytes, one of histograms some thousand.
const CHUNK_BYTES_MAX: u64 = 64 << 20;
/// Length of a chunk at most, before it.
const LENGTH_BYTES: usize = 10;

#[derive(Deserialize)]
struct Meta {
    version: u32,
    #[serde(rename = "minTime")]
    start_ms: i64,
    #[serde(rename = "maxTime")]
    end_ms: i64,
}

/// The time that a block covers: the first millisecond, and the first one behind it.
pub(super) fn range(folder: &Path) -> Result<(i64, i64), ImportError> {
    let path = folder.join("meta.json");
    let text = fs::read(&path).map_err(io_error("read", &path))?;
    let meta: Meta = serde_json::from_slice(&text)
        .map_err(|error| ImportError::Bad(format!("{}: {error}", path.display())))?;
    if meta.version != 1 {
        return Err(ImportError::Bad(format!(
            "{}: version {} of blocks is not known (1 is)",
            path.display(),
            meta.version
        )));
    }
    Ok((meta.start_ms, meta.end_ms))
}

/// Deleted ranges of each series, both ends included.
type Tombstones = FxHashMap<u64, Vec<(i64, i64)>>;

fn tombstones(folder: &Path) -> Result<Tombstones, ImportError> {
    let path = folder.join("tombstones");
    let file = match fs::read(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(FxHashMap::default());
        }
        Err(error) => return Err(io_error("read", &path)(error)),
    };
    let bad = |what: &str| ImportError::Bad(format!("tombstones: {what}"));
    let mut head = Reader::new(&file);
    if head.u32()? != TOMBSTONES_MAGIC || head.u8()? != 1 {
        return Err(bad("it does not begin as version 1 of tombstones"));
    }
    let length = head
        .rest()
        .len()
        .checked_sub(4)
        .ok_or_else(|| bad("it is too short"))?;
    let body = head.take(length)?;
    if crc32c(body) != head.u32()? {
        return Err(bad("it fails its checksum"));
    }
    let mut reader = Reader::new(body);
    let mut found = Tombstones::default();
    while !reader.is_empty() {
        let series = reader.uvarint()?;
        let range = (reader.varint()?, reader.varint()?);
        found.entry(series).or_default().push(range);
    }
    Ok(found)
}

/// The open chunk files of a block.
struct ChunkFiles {
    files: Vec<(File, String)>,
    buffer: Vec<u8>,
}

impl ChunkFiles {
    fn open(folder: &Path) -> Result<Self, ImportError> {
        let folder = folder.join("chunks");
        let mut names: Vec<_> = fs::read_dir(&folder)
            .map_err(io_error("list", &folder))?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.bytes().all(|b| b.is_ascii_digit())
            })
            .collect();
        names.sort();
        let mut files = Vec::new();
        for path in names {
            let file = File::open(&path).map_err(io_error("open", &path))?;
            let mut head = [0; 5];
            file.read_exact_at(&mut head, 0)
                .map_err(io_error("read", &path))?;
            let mut head = Reader::new(&head);
            if head.u32()? != CHUNKS_MAGIC || head.u8()? != 1 {
                return Err(ImportError::Bad(format!(
                    "{} does not begin as version 1 of chunks",
                    path.display()
                )));
            }
            files.push((file, path.display().to_string()));
        }
        Ok(Self {
            files,
            buffer: Vec::new(),
        })
    }

    /// Reads a chunk: its kind and its bytes.
    fn read(&mut self, place: u64) -> Result<(u8, &[u8]), ImportError> {
        let (number, at) = ((place >> 32) as usize, place & 0xffff_ffff);
        let (file, name) = self
            .files
            .get(number)
            .ok_or_else(|| ImportError::Bad(format!("there is no chunk file {}", number + 1)))?;
        let bad = |what: &str| ImportError::Bad(format!("{name}, chunk at {at}: {what}"));
        self.buffer.resize(CHUNK_BYTES_LIKELY, 0);
        let mut filled = 0;
        // Near the end of the file there is less.
        while filled < self.buffer.len() {
            let rest = self.buffer.get_mut(filled..).unwrap_or_default();
            match file.read_at(rest, at + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) => return Err(io_error("read", Path::new(name))(error)),
            }
        }
        self.buffer.truncate(filled);
        let mut head = Reader::new(
            self.buffer
                .get(..filled.min(LENGTH_BYTES))
                .unwrap_or_default(),
        );
        let length = head.uvarint().map_err(|_| bad("it ends too early"))?;
        let start = filled.min(LENGTH_BYTES) - head.rest().len();
        if length > CHUNK_BYTES_MAX {
            return Err(bad("it is too long"));
        }
        // Kind, bytes, checksum.
        let end = start + 1 + length as usize + 4;
        if end > filled {
            self.buffer.resize(end, 0);
            let rest = self.buffer.get_mut(filled..).unwrap_or_default();
            file.read_exact_at(rest, at + filled as u64)
                .map_err(|_| bad("it ends too early"))?;
        }
        let mut reader = Reader::new(self.buffer.get(start..end).unwrap_or_default());
        let checked = reader.take(1 + length as usize)?;
        if crc32c(checked) != reader.u32()? {
            return Err(bad("it fails its checksum"));
        }
        checked
            .split_first()
            .map(|(kind, bytes)| (*kind, bytes))
            .ok_or_else(|| bad("it is empty"))
    }
}

/// Decodes a chunk.
pub(super) fn decode(kind: u8, bytes: &[u8], out: &mut Samples) -> Result<(), ImportError> {
    let decoded = match kind {
        xor::ENCODING => xor::read(bytes, |time_ms, value| out.push(time_ms, value)),
        kind => histogram_chunk::read(bytes, kind, |time_ms, sample| match sample {
            histogram_chunk::Sample::Histogram(histogram) => out.push_histogram(time_ms, histogram),
            histogram_chunk::Sample::Stale => out.push(time_ms, stale_nan()),
        }),
    };
    decoded.map_err(|why| ImportError::Bad(why.to_string()))
}

/// Reads a block, window by window.
pub(super) fn read(
    folder: &Path,
    options: &Options,
    take: &mut Take<'_>,
    report: &mut Report,
) -> Result<(), ImportError> {
    let (start_ms, end_ms) = range(folder)?;
    let path = folder.join("index");
    let file = fs::read(&path).map_err(io_error("read", &path))?;
    let series = index::read(&file)?;
    drop(file);
    let deleted = tombstones(folder)?;
    let mut files = ChunkFiles::open(folder)?;
    let mut window_ms = start_ms
        .max(options.oldest_ms)
        .div_euclid(options.window_ms)
        * options.window_ms;
    let mut found = Samples::default();
    while window_ms < end_ms {
        let next_ms = window_ms.saturating_add(options.window_ms);
        let mut part: Vec<Series> = Vec::new();
        let mut n_samples = 0;
        for one in &series {
            let in_window = |c: &&Chunk| c.start_ms < next_ms && c.end_ms >= window_ms;
            let mut samples = Samples::default();
            for chunk in one.chunks.iter().filter(in_window) {
                found.clear();
                let decoded = files
                    .read(chunk.place)
                    .and_then(|(kind, bytes)| decode(kind, bytes, &mut found));
                if let Err(error) = decoded {
                    if matches!(error, ImportError::Io { .. }) {
                        return Err(error);
                    }
                    report.notice(format!("{}: {error}", one.labels));
                    continue;
                }
                let gone = deleted.get(&one.number).map(Vec::as_slice);
                let gone = gone.unwrap_or_default();
                copy(&found, &mut samples, |time_ms| {
                    (window_ms..next_ms).contains(&time_ms)
                        && (start_ms..end_ms).contains(&time_ms)
                        && !gone
                            .iter()
                            .any(|(from, to)| (*from..=*to).contains(&time_ms))
                });
            }
            if samples.is_empty() {
                continue;
            }
            n_samples += samples.len();
            report.samples += samples.len() as u64;
            part.push((one.labels.clone(), samples));
            if n_samples >= PART_SAMPLES {
                n_samples = 0;
                take(std::mem::take(&mut part))?;
            }
        }
        if !part.is_empty() {
            take(part)?;
        }
        window_ms = next_ms;
    }
    Ok(())
}

/// Adds the samples whose time is wanted.
fn copy(from: &Samples, to: &mut Samples, wanted: impl Fn(i64) -> bool) {
    let mut histograms = from.histograms.iter().peekable();
    let samples = from.timestamps_ms.iter().zip(&from.values).enumerate();
    for (at, (time_ms, value)) in samples {
        let histogram = histograms.next_if(|(place, _)| *place == at);
        if !wanted(*time_ms) {
            continue;
        }
        match histogram {
            Some((_, histogram)) => to.push_histogram(*time_ms, histogram.clone()),
            None => to.push(*time_ms, *value),
        }
    }
}
