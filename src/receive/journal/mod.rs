//! What makes an acknowledged push survive: written and synced before the sender is told
//! (`docs/formats/receive_journal.md`).
//!
//! A journal is a row of files. Records have numbers that go up by one over all files and all
//! runs; a file's name is the number of its first record. A file is written by one process only:
//! after a restart a new one is begun, and the old ones wait until the store has committed what
//! they hold. They are deleted whole.

mod file;
pub(crate) mod record;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use model::StoreError;
use tracing::warn;

use file::Writer;
pub(crate) use file::{FRAME_BYTES, Frame};

/// A new file is begun at this size, so that sealed pushes free their space soon.
const FILE_BYTES: u64 = 16 << 20;
const ENDING: &str = "journal";

/// A file and what is in it.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    first: u64,
    /// The number behind its last record.
    end: u64,
    bytes: u64,
    /// When its first record came, nanoseconds since 1970-01-01 UTC.
    since_ns: i64,
}

/// The journal. All methods need exclusive access: its owner decides the order of records.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    /// Oldest first; the last one is being written if `writer` is there.
    segments: VecDeque<Segment>,
    writer: Option<Writer>,
    next: u64,
}

/// Where reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The first record that is wanted.
    pub(crate) number: u64,
    /// The file and the byte in it where it may be; found anew where they do not fit.
    file: u64,
    offset: u64,
}

impl Place {
    /// At this record.
    pub(crate) fn at(number: u64) -> Self {
        Self {
            number,
            file: 0,
            offset: 0,
        }
    }
}

impl Journal {
    /// Opens the folder, which is made if need be. `committed` is the last record that the store
    /// has: everything until it is deleted, new records get higher numbers.
    ///
    /// # Errors
    /// `Io` or `NoSpace` where the folder cannot be used, `Refused` where a newer version wrote it.
    pub(crate) fn open(folder: &Path, committed: u64) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(io_error("make folder", folder))?;
        let mut segments = Vec::new();
        for entry in fs::read_dir(folder).map_err(io_error("list", folder))? {
            let path = entry.map_err(io_error("list", folder))?.path();
            let is_journal = path.extension().is_some_and(|e| e == ENDING);
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let Some(first) = u64::from_str_radix(&stem, 16).ok().filter(|_| is_journal) else {
                warn!(path = %path.display(), "not a journal, left alone");
                continue;
            };
            let scan = file::scan(&path, first)?;
            segments.push(Segment {
                bytes: fs::metadata(&path).map_or(0, |m| m.len()),
                path,
                first,
                end: scan.end,
                since_ns: scan.since_ns,
            });
        }
        segments.sort_by_key(|segment| segment.first);
        let last = segments.last().map_or(0, |segment| segment.end);
        let mut journal = Self {
            folder: folder.to_owned(),
            segments: segments.into(),
            writer: None,
            next: last.max(committed + 1),
        };
        journal.drop_until(committed);
        Ok(journal)
    }

    /// The number of the last record that was written, 0 for none.
    pub(crate) fn last(&self) -> u64 {
        self.next - 1
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// When the first record of the oldest file came, nanoseconds since 1970-01-01 UTC.
    pub(crate) fn since_ns(&self) -> Option<i64> {
        self.segments.front().map(|segment| segment.since_ns)
    }

    /// Writes records and syncs them: when it returns they are durable. Returns the number of the
    /// first. On an error none of them is there.
    ///
    /// # Errors
    /// `NoSpace` or `Io`.
    pub(crate) fn append(&mut self, frames: &mut [Frame], now_ns: i64) -> Result<u64, StoreError> {
        let first = self.next;
        let is_full = self.writer.as_ref().is_none_or(|w| w.bytes() >= FILE_BYTES);
        if is_full {
            self.begin(now_ns)?;
        }
        let Some((writer, segment)) = self.writer.as_mut().zip(self.segments.back_mut()) else {
            return Err(StoreError::Refused("the journal has no file".to_owned()));
        };
        for (frame, number) in frames.iter_mut().zip(first..) {
            frame.seal(number, now_ns);
        }
        if let Err(error) = writer.append(frames) {
            // What is behind the last sound record must not come back: the senders will send it
            // again. The file takes no more, whatever state it is in.
            if let Err(error) = writer.cut() {
                warn!(path = %segment.path.display(), %error, "cannot cut a journal");
            }
            segment.bytes = writer.bytes();
            self.writer = None;
            self.drop_empty();
            return Err(error);
        }
        segment.bytes = writer.bytes();
        self.next += frames.len() as u64;
        segment.end = self.next;
        Ok(first)
    }

    /// Begins a new file.
    fn begin(&mut self, now_ns: i64) -> Result<(), StoreError> {
        self.writer = None;
        self.drop_empty();
        let path = self.folder.join(format!("{:016x}.{ENDING}", self.next));
        let writer = Writer::create(&path, self.next)?;
        // The name must survive a power loss as well as the bytes.
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io_error("sync folder", &self.folder))?;
        self.segments.push_back(Segment {
            path,
            first: self.next,
            end: self.next,
            bytes: writer.bytes(),
            since_ns: now_ns,
        });
        self.writer = Some(writer);
        Ok(())
    }

    /// Removes a last file without records: its name will be used again.
    fn drop_empty(&mut self) {
        if self.segments.back().is_some_and(|s| s.first == s.end)
            && let Some(segment) = self.segments.pop_back()
        {
            remove(&segment.path);
        }
    }

    /// Deletes the files that hold nothing behind this record.
    pub(crate) fn drop_until(&mut self, committed: u64) {
        while let Some(segment) = self.segments.front()
            && segment.end <= committed + 1
        {
            if self.segments.len() == 1 {
                self.writer = None;
            }
            remove(&segment.path);
            self.segments.pop_front();
        }
    }

    /// Hands records to `take`, from `place` on and in their order, until it has got `bytes_max`
    /// of them or there are no more; `place` moves behind each that was taken. What is damaged is
    /// passed over and counted in the answer.
    ///
    /// # Errors
    /// What `take` says, or `Io` where a file cannot be read.
    pub(crate) fn read(
        &self,
        place: &mut Place,
        bytes_max: u64,
        mut take: impl FnMut(u64, &[u8]) -> Result<(), StoreError>,
    ) -> Result<Read, StoreError> {
        let mut read = Read::default();
        let mut left = bytes_max;
        for segment in &self.segments {
            if segment.end <= place.number {
                continue;
            }
            if place.file != segment.first {
                place.file = segment.first;
                place.offset = 0;
            }
            let mut reader = file::Reader::open(&segment.path, place.offset)?;
            while place.number < segment.end {
                let Some(found) = reader.next()? else {
                    // Records that were acknowledged are gone: the disk lost them.
                    read.damaged += segment.end - place.number;
                    place.number = segment.end;
                    break;
                };
                if found.number >= place.number {
                    take(found.number, found.body)?;
                    place.number = found.number + 1;
                    left = left.saturating_sub(found.body.len() as u64 + 1);
                }
                place.offset = reader.offset();
                if left == 0 {
                    read.more = true;
                    return Ok(read);
                }
            }
        }
        Ok(read)
    }
}

/// How reading ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Read {
    /// Records that could not be read.
    pub(crate) damaged: u64,
    /// Whether there are more.
    pub(crate) more: bool,
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        warn!(path = %path.display(), %error, "cannot delete a journal that is not needed any more");
    }
}

/// Turns what the system says into the words of the seam; a full disk is its own case.
fn io_error(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let context = format!("cannot {what} {}", path.display());
    move |source| match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            StoreError::NoSpace(context)
        }
        _ => StoreError::Io { context, source },
    }
}

#[cfg(test)]
mod tests;
