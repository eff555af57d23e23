//! The write-ahead log: samples of the last hours, which are in no block yet.
//!
//! A log is numbered files, the oldest of which may have been summed up in a folder
//! `checkpoint.N`. A file is pages of 32 KiB, a page holds fragments of records: a byte for kind
//! and compression, two for the length, four for the checksum. A page that has no room for another
//! head is filled with zeros. The last record of a log that is still written to, or of a process
//! that was killed, may be cut: reading ends there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Histogram, Labels, Samples, stale_nan};
use rustc_hash::FxHashMap;
use wire::crc32c::crc32c;

use super::Options;
use super::bytes::Reader;
use crate::{ImportError, PART_SAMPLES, Report, Take, io_error};

const PAGE_BYTES: usize = 32 << 10;
const HEAD_BYTES: usize = 7;
/// A record larger than this is a mistake: Prometheus writes a scrape into one.
const RECORD_BYTES_MAX: usize = 256 << 20;

// Kinds of fragments.
const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;
const SNAPPY: u8 = 8;
const ZSTD: u8 = 16;

// Kinds of records.
const SERIES: u8 = 1;
const SAMPLES: u8 = 2;
const TOMBSTONES: u8 = 3;
const EXEMPLARS: u8 = 4;
const MMAP_MARKERS: u8 = 5;
const METADATA: u8 = 6;
const HISTOGRAMS: u8 = 7;
const FLOAT_HISTOGRAMS: u8 = 8;

/// Series and samples read so far.
struct Log<'a, 'b> {
    series: FxHashMap<u64, Labels>,
    /// What was not handed over yet, by series.
    waiting: FxHashMap<u64, Samples>,
    n_waiting: usize,
    oldest_ms: i64,
    take: &'a mut Take<'b>,
    report: &'a mut Report,
    unknown_kinds: std::collections::BTreeMap<u8, u64>,
    deleted: u64,
}

/// Reads the log in a folder.
pub(super) fn read(
    folder: &Path,
    options: &Options,
    take: &mut Take<'_>,
    report: &mut Report,
) -> Result<(), ImportError> {
    let mut log = Log {
        series: FxHashMap::default(),
        waiting: FxHashMap::default(),
        n_waiting: 0,
        oldest_ms: options.oldest_ms,
        take,
        report,
        unknown_kinds: std::collections::BTreeMap::new(),
        deleted: 0,
    };
    for path in files(folder)? {
        let bytes = fs::read(&path).map_err(io_error("read", &path))?;
        if let Err(error) = log.file(&bytes) {
            match error {
                ImportError::Bad(why) => log.report.notice(format!(
                    "{} was read up to a place where {why}: that is the end of the log of a \
                     Prometheus that runs or was killed, elsewhere samples are missing",
                    path.display()
                )),
                other => return Err(other),
            }
        }
    }
    log.hand_over()?;
    if log.deleted > 0 {
        log.report.notice(format!(
            "the log has {} deletions, which are not carried out: delete these series again",
            log.deleted
        ));
    }
    for (kind, count) in std::mem::take(&mut log.unknown_kinds) {
        log.report.left_out += count;
        log.report.notice(format!(
            "{count} records of the log are of kind {kind}, which is not known, and were left \
             out: stop Prometheus after it has made a block of them, or take a snapshot"
        ));
    }
    Ok(())
}

/// The files in their order: those of the last checkpoint, then those behind it.
fn files(folder: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let numbered = |folder: &Path| -> Result<Vec<(u64, PathBuf)>, ImportError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).map_err(io_error("list", folder))? {
            let path = entry.map_err(io_error("list", folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Ok(number) = name.parse() {
                found.push((number, path));
            }
        }
        found.sort();
        Ok(found)
    };
    let mut checkpoint: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(folder).map_err(io_error("list", folder))? {
        let path = entry.map_err(io_error("list", folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name
            .strip_prefix("checkpoint.")
            .and_then(|n| n.parse().ok());
        if let Some(number) = number
            && checkpoint.as_ref().is_none_or(|(last, _)| *last < number)
        {
            checkpoint = Some((number, path));
        }
    }
    let mut all: Vec<PathBuf> = Vec::new();
    let mut behind = None;
    if let Some((number, path)) = checkpoint {
        all.extend(numbered(&path)?.into_iter().map(|(_, path)| path));
        behind = Some(number);
    }
    let rest = numbered(folder)?.into_iter();
    all.extend(
        rest.filter(|(number, _)| behind.is_none_or(|b| *number > b))
            .map(|(_, path)| path),
    );
    Ok(all)
}

fn bad(why: &str) -> ImportError {
    ImportError::Bad(why.to_owned())
}

impl Log<'_, '_> {
    /// Reads the records of a file.
    fn file(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        let mut record: Vec<u8> = Vec::new();
        for page in bytes.chunks(PAGE_BYTES) {
            let mut reader = Reader::new(page);
            while reader.rest().len() > HEAD_BYTES {
                let head = reader.u8()?;
                let kind = head & 7;
                if kind == 0 {
                    // The rest of the page is empty.
                    break;
                }
                let length = usize::from(u16::from_be_bytes([reader.u8()?, reader.u8()?]));
                let sum = reader.u32()?;
                let fragment = reader
                    .take(length)
                    .map_err(|_| bad("a record ends too early"))?;
                if crc32c(fragment) != sum {
                    return Err(bad("a record fails its checksum"));
                }
                if matches!(kind, FULL | FIRST) {
                    record.clear();
                }
                if record.len() + fragment.len() > RECORD_BYTES_MAX {
                    return Err(bad("a record is too long"));
                }
                match kind {
                    FULL | FIRST | MIDDLE | LAST => record.extend_from_slice(fragment),
                    _ => return Err(bad("a fragment has an unknown kind")),
                }
                if matches!(kind, FULL | LAST) {
                    self.packed(head, &record)?;
                }
            }
        }
        Ok(())
    }

    fn packed(&mut self, head: u8, record: &[u8]) -> Result<(), ImportError> {
        if head & SNAPPY != 0 {
            let size = snap::raw::decompress_len(record).unwrap_or(usize::MAX);
            if size > RECORD_BYTES_MAX {
                return Err(bad("a record is too long"));
            }
            let plain = snap::raw::Decoder::new().decompress_vec(record);
            self.record(&plain.map_err(|_| bad("a record is no sound snappy"))?)
        } else if head & ZSTD != 0 {
            let plain = zstd::bulk::decompress(record, RECORD_BYTES_MAX);
            self.record(&plain.map_err(|_| bad("a record is no sound zstd"))?)
        } else {
            self.record(record)
        }
    }

    fn record(&mut self, record: &[u8]) -> Result<(), ImportError> {
        let mut reader = Reader::new(record);
        if reader.is_empty() {
            return Ok(());
        }
        match reader.u8()? {
            SERIES => self.series(reader)?,
            SAMPLES => self.samples(reader, |reader| {
                Ok(Some(Value::Float(f64::from_bits(reader.u64()?))))
            })?,
            HISTOGRAMS => self.samples(reader, |reader| histogram(reader, false))?,
            FLOAT_HISTOGRAMS => self.samples(reader, |reader| histogram(reader, true))?,
            TOMBSTONES => self.deleted += 1,
            EXEMPLARS | MMAP_MARKERS | METADATA => {}
            kind => *self.unknown_kinds.entry(kind).or_default() += 1,
        }
        if self.n_waiting >= PART_SAMPLES {
            self.hand_over()?;
        }
        Ok(())
    }

    fn series(&mut self, mut reader: Reader<'_>) -> Result<(), ImportError> {
        while !reader.is_empty() {
            let number = reader.u64()?;
            let count = reader.length()?;
            let mut pairs = Vec::new();
            for _ in 0..count {
                pairs.push((reader.text()?, reader.text()?));
            }
            self.series.insert(number, Labels::from_pairs(pairs));
        }
        Ok(())
    }

    /// Samples: the first series and time, then for each the difference to those, and its value.
    fn samples(
        &mut self,
        mut reader: Reader<'_>,
        mut value: impl FnMut(&mut Reader<'_>) -> Result<Option<Value>, ImportError>,
    ) -> Result<(), ImportError> {
        if reader.is_empty() {
            return Ok(());
        }
        let (series, time_ms) = (reader.u64()?, reader.u64()? as i64);
        while !reader.is_empty() {
            let series = series.wrapping_add(reader.varint()? as u64);
            let time_ms = time_ms.wrapping_add(reader.varint()?);
            let value = value(&mut reader)?;
            if time_ms < self.oldest_ms {
                continue;
            }
            let samples = self.waiting.entry(series).or_default();
            match value {
                Some(Value::Float(value)) => samples.push(time_ms, value),
                Some(Value::Histogram(histogram)) => samples.push_histogram(time_ms, histogram),
                None => self.report.left_out += 1,
            }
            self.n_waiting += 1;
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), ImportError> {
        let mut part = Vec::with_capacity(self.waiting.len());
        for (number, samples) in std::mem::take(&mut self.waiting) {
            match self.series.get(&number) {
                Some(labels) => {
                    self.report.samples += samples.len() as u64;
                    part.push((labels.clone(), samples));
                }
                None => self.report.left_out += samples.len() as u64,
            }
        }
        self.n_waiting = 0;
        if !part.is_empty() {
            (self.take)(part)?;
        }
        Ok(())
    }
}

enum Value {
    Float(f64),
    Histogram(Arc<Histogram>),
}

/// A histogram of a record. `None`: it is inconsistent.
fn histogram(reader: &mut Reader<'_>, is_float: bool) -> Result<Option<Value>, ImportError> {
    let mut found = Histogram {
        reset: match reader.u8()? {
            1 => model::ResetHint::Reset,
            2 => model::ResetHint::NotReset,
            3 => model::ResetHint::Gauge,
            _ => model::ResetHint::Unknown,
        },
        schema: i32::try_from(reader.varint()?).map_err(|_| bad("a schema is too large"))?,
        zero_threshold: f64::from_bits(reader.u64()?),
        ..Histogram::default()
    };
    let count = |reader: &mut Reader<'_>| -> Result<f64, ImportError> {
        Ok(if is_float {
            f64::from_bits(reader.u64()?)
        } else {
            reader.uvarint()? as f64
        })
    };
    found.zero_count = count(reader)?;
    found.count = count(reader)?;
    found.sum = f64::from_bits(reader.u64()?);
    for side in [true, false] {
        let spans = spans(reader)?;
        let buckets = if side {
            &mut found.positive
        } else {
            &mut found.negative
        };
        buckets.spans = spans;
    }
    for side in [true, false] {
        let buckets = if side {
            &mut found.positive
        } else {
            &mut found.negative
        };
        let mut absolute = 0i64;
        for _ in 0..reader.length()? {
            buckets.counts.push(if is_float {
                f64::from_bits(reader.u64()?)
            } else {
                absolute = absolute.wrapping_add(reader.varint()?);
                absolute as f64
            });
        }
    }
    if found.has_custom_bounds() {
        let mut bounds = Vec::new();
        for _ in 0..reader.length()? {
            bounds.push(f64::from_bits(reader.u64()?));
        }
        found.bounds = bounds.into();
    }
    if model::is_stale(found.sum) {
        return Ok(Some(Value::Float(stale_nan())));
    }
    Ok(found
        .check()
        .is_ok()
        .then(|| Value::Histogram(Arc::new(found))))
}

fn spans(reader: &mut Reader<'_>) -> Result<Vec<model::Span>, ImportError> {
    let count = reader.length()?;
    let mut spans = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        let offset = i32::try_from(reader.varint()?);
        let length = reader.u32()?;
        spans.push(model::Span {
            offset: offset.map_err(|_| bad("a span lies too far away"))?,
            length,
        });
    }
    Ok(spans)
}
