//! What waits to be sent: numbered files in a folder, bounded in bytes.
//!
//! - This file writes: it begins files, explains series in each, and drops the oldest file when
//!   all together are too large.
//! - `reading.rs` reads from where the remote had everything.
//! - `frame.rs` is the format, which `docs/formats/remote_write.md` tells.
//!
//! The file `position` says how far the remote has everything. Writers do not sync: the samples
//! are safe in the store, and a power cut costs the remote what the system had not written.

mod frame;
mod reading;

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use model::{Exemplar, Histogram, Labels, StoreError};
use rustc_hash::FxHashSet;
use wire::writer::Writer;

use frame::HEAD;
use reading::Reading;

/// A file ends at this size, so that full queues lose little at a time.
const FILE_BYTES: u64 = 4 << 20;

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
                files.push(Known { number, bytes });
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
            reading: Reading::from(committed),
            committed,
            dropped: 0,
            frame: Vec::new(),
        };
        queue.forget_sent();
        Ok(queue)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Items that were dropped unread because the queue was full, since last asked.
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
        self.write(&frame::floats(time_ms, samples))
    }

    /// Adds one item.
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
        self.write(&frame::item(id, item))
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
                self.write(&frame::series(id, &labels))?;
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
        });
        while self.bytes() + FILE_BYTES > self.bytes_max && self.drop_oldest()? > 0 {}
        Ok(())
    }

    /// Drops the oldest file for want of space; returns its bytes, 0 where there is only the one
    /// that is being written.
    ///
    /// # Errors
    /// Where it cannot be deleted.
    pub fn drop_oldest(&mut self) -> Result<u64, StoreError> {
        if self.files.len() < 2 {
            return Ok(0);
        }
        let Some(oldest) = self.files.pop_front() else {
            return Ok(0);
        };
        // What was read is sent, or about to be.
        self.dropped += self.unread(oldest.number);
        let path = self.path(oldest.number);
        fs::remove_file(&path).map_err(failed("delete", &path))?;
        Ok(oldest.bytes)
    }

    fn write(&mut self, body: &Writer) -> Result<(), StoreError> {
        let Some((file, known)) = self.writing.as_mut().zip(self.files.back_mut()) else {
            return Ok(());
        };
        frame::wrap(body.bytes(), &mut self.frame);
        if let Err(error) = file.write_all(&self.frame) {
            // A frame that is there in part would hide what follows: go on in a new file.
            self.writing = None;
            return Err(failed("write to the queue in", &self.folder)(error));
        }
        known.bytes += self.frame.len() as u64;
        Ok(())
    }

    /// Remembers that the remote has everything up to a place, and deletes what it has as a whole.
    ///
    /// # Errors
    /// Where it cannot be written: the same is sent again after a restart.
    pub fn commit(&mut self, position: Position) -> Result<(), StoreError> {
        if position <= self.committed {
            return Ok(());
        }
        self.committed = position;
        // First: on a full disk there is room for the position only afterwards. Without it,
        // reading begins at the oldest file that is there.
        self.forget_sent();
        let path = self.folder.join("position");
        let beside = self.folder.join("position.new");
        let text = format!("1 {} {}\n", position.file, position.offset);
        fs::write(&beside, text)
            .and_then(|()| fs::rename(&beside, &path))
            .map_err(failed("write", &path))
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

#[cfg(test)]
mod tests;
