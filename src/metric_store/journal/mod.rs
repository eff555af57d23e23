//! What makes an accepted sample survive: written before `append` returns, durable within a second.
//!
//! There is a journal file for each window (rows of values, [`rows`]) and one for new series
//! ([`series`]), all framed and checked alike ([`file`]). A file is written by one process only:
//! after a restart a new one is begun, and the old ones wait until their window is sealed or
//! their series are in the catalogue. Files are numbered; the number of a sealed window's last
//! journal stands in the catalogue, so that a crash between sealing and deleting does no harm.

pub(crate) mod file;
pub(crate) mod histograms;
pub(crate) mod row_decoder;
pub(crate) mod row_encoder;
pub(crate) mod rows;
pub(crate) mod series;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::StoreError;
use parking_lot::Mutex;

use crate::errors::io_error;
use crate::metrics::Metrics;
use file::{Header, Kind, Quota, Writer};

/// Windows that may have journals at the same time. Two are usual; more come with a backlog, and
/// each costs an open file.
const WINDOWS_MAX: usize = 64;

/// A finished journal.
#[derive(Debug, Clone)]
pub(crate) struct OldFile {
    pub(crate) path: PathBuf,
    pub(crate) number: u64,
}

/// Journals that can be deleted once what they hold is sealed.
#[derive(Debug, Default)]
pub(crate) struct SealedFiles {
    files: Vec<OldFile>,
    /// The one that was being written: its last second may not be durable.
    writer: Option<Arc<Writer>>,
}

impl SealedFiles {
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The highest file number, or 0.
    pub(crate) fn number_max(&self) -> u64 {
        self.files.iter().map(|f| f.number).max().unwrap_or(0)
    }

    /// Deletes the files. One that cannot be deleted is skipped at the next start, by its number.
    pub(crate) fn delete(&self) {
        for file in &self.files {
            if let Err(error) = fs::remove_file(&file.path) {
                tracing::warn!(path = %file.path.display(), %error, "cannot delete a sealed journal");
            }
        }
    }

    /// Makes what they hold durable, in case it takes long until it is sealed.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.writer.as_ref().map_or(Ok(()), |writer| writer.sync())
    }

    /// The files and how much of each is to be copied: nobody writes to them any more.
    pub(crate) fn lengths(&self) -> Vec<(PathBuf, u64)> {
        lengths_of(&self.files).collect()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|f| file_bytes(&f.path)).sum()
    }
}

/// The journal of one window: the file being written, and older ones.
#[derive(Debug, Default)]
struct Chain {
    writer: Option<Arc<Writer>>,
    older: Vec<OldFile>,
}

impl Chain {
    fn into_files(self) -> SealedFiles {
        let current = self.writer.iter().map(|w| w.as_old_file());
        SealedFiles {
            files: self.older.into_iter().chain(current).collect(),
            writer: self.writer,
        }
    }

    fn bytes(&self) -> u64 {
        let older: u64 = self.older.iter().map(|f| file_bytes(&f.path)).sum();
        older + self.writer.as_ref().map_or(0, |w| w.bytes())
    }
}

#[derive(Debug, Default)]
struct State {
    windows: BTreeMap<i64, Chain>,
    series: Chain,
    next_number: u64,
}

/// All journals of a store.
#[derive(Debug)]
pub(crate) struct Journals {
    dir: PathBuf,
    state: Mutex<State>,
    metrics: Metrics,
    /// Bytes that tests allow to be written.
    pub(crate) quota: Quota,
}

impl Journals {
    /// Lists the journals in a folder (made when missing), in the order of their numbers.
    pub(crate) fn open(dir: &Path, metrics: Metrics) -> Result<(Self, Vec<OldFile>), StoreError> {
        fs::create_dir_all(dir).map_err(io_error("make folder", dir))?;
        let files = list(dir)?;
        let next_number = files.last().map_or(1, |f| f.number + 1);
        let journals = Self {
            dir: dir.to_owned(),
            state: Mutex::new(State {
                next_number,
                ..State::default()
            }),
            metrics,
            quota: Quota::default(),
        };
        Ok((journals, files))
    }

    /// Takes over a file of an earlier run.
    pub(crate) fn adopt(&self, file: OldFile, header: &Header) {
        let mut state = self.state.lock();
        match header.kind {
            Kind::Window => state.windows.entry(header.window_ms).or_default(),
            Kind::Series => &mut state.series,
        }
        .older
        .push(file);
    }

    /// Makes sure that new files get numbers above this one.
    pub(crate) fn skip_to(&self, number: u64) {
        let mut state = self.state.lock();
        state.next_number = state.next_number.max(number);
    }

    /// The file that takes a window's rows.
    pub(crate) fn window_writer(&self, window_ms: i64) -> Result<Arc<Writer>, StoreError> {
        let mut state = self.state.lock();
        if let Some(writer) = state.windows.get(&window_ms).and_then(|c| c.writer.clone()) {
            return Ok(writer);
        }
        if state.windows.len() >= WINDOWS_MAX && !state.windows.contains_key(&window_ms) {
            return Err(StoreError::Limit(format!(
                "{WINDOWS_MAX} windows of samples wait to be sealed: try again in a minute"
            )));
        }
        let writer = self.create(&mut state, Kind::Window, window_ms)?;
        state.windows.entry(window_ms).or_default().writer = Some(writer.clone());
        Ok(writer)
    }

    /// Appends records of new series.
    pub(crate) fn append_series(&self, records: &[u8]) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        let writer = if let Some(writer) = state.series.writer.clone() {
            writer
        } else {
            let writer = self.create(&mut state, Kind::Series, 0)?;
            state.series.writer = Some(writer.clone());
            writer
        };
        drop(state);
        self.append(&writer, records)
    }

    /// Appends records to a file.
    pub(crate) fn append(&self, writer: &Writer, records: &[u8]) -> Result<(), StoreError> {
        writer.append(records, &self.quota)?;
        self.metrics
            .journal_written_bytes
            .inc_by(records.len() as u64);
        Ok(())
    }

    fn create(
        &self,
        state: &mut State,
        kind: Kind,
        window_ms: i64,
    ) -> Result<Arc<Writer>, StoreError> {
        let number = state.next_number;
        let path = self.dir.join(format!("{number:010}.journal"));
        let header = Header {
            kind,
            window_ms,
            number,
        };
        let writer = Writer::create(&path, &header, &self.quota)?;
        state.next_number += 1;
        // The name must survive a power loss as well as the bytes.
        File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(io_error("sync folder", &self.dir))?;
        Ok(Arc::new(writer))
    }

    /// Takes a window's journals away; the next row of the window begins a new file.
    pub(crate) fn detach_window(&self, window_ms: i64) -> SealedFiles {
        let chain = self.state.lock().windows.remove(&window_ms);
        chain.unwrap_or_default().into_files()
    }

    /// Takes the journals of new series away.
    pub(crate) fn detach_series(&self) -> SealedFiles {
        std::mem::take(&mut self.state.lock().series).into_files()
    }

    /// Gives the journals of new series back, because they are still needed.
    pub(crate) fn reattach_series(&self, files: SealedFiles) {
        self.state.lock().series.older.extend(files.files);
    }

    /// Windows that have journals.
    pub(crate) fn windows(&self) -> Vec<i64> {
        self.state.lock().windows.keys().copied().collect()
    }

    /// Makes everything written so far durable: new series before the rows that speak of them.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let writers: Vec<Arc<Writer>> = {
            let state = self.state.lock();
            let series = state.series.writer.iter();
            series
                .chain(state.windows.values().filter_map(|c| c.writer.as_ref()))
                .cloned()
                .collect()
        };
        for writer in writers {
            writer.sync()?;
        }
        Ok(())
    }

    /// All files that are not on their way out and the bytes in them that count; to be called while
    /// nobody appends.
    pub(crate) fn lengths(&self) -> Vec<(PathBuf, u64)> {
        let state = self.state.lock();
        let chains = std::iter::once(&state.series).chain(state.windows.values());
        let of = |chain: &Chain| -> Vec<(PathBuf, u64)> {
            let current = chain.writer.iter().map(|w| (w.as_old_file().path, w.end()));
            lengths_of(&chain.older).chain(current).collect()
        };
        chains.flat_map(of).collect()
    }

    /// Bytes of all journals that are not on their way out.
    pub(crate) fn bytes(&self) -> u64 {
        let state = self.state.lock();
        state.series.bytes() + state.windows.values().map(Chain::bytes).sum::<u64>()
    }
}

fn lengths_of(files: &[OldFile]) -> impl Iterator<Item = (PathBuf, u64)> {
    files.iter().map(|f| (f.path.clone(), file_bytes(&f.path)))
}

/// The journals in a folder, in the order of their numbers.
pub(crate) fn list(dir: &Path) -> Result<Vec<OldFile>, StoreError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
        let path = entry.map_err(io_error("list", dir))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name
            .strip_suffix(".journal")
            .and_then(|n| n.parse::<u64>().ok());
        if let Some(number) = number {
            files.push(OldFile { path, number });
        } else {
            tracing::warn!(path = %path.display(), "not a journal, left alone");
        }
    }
    files.sort_by_key(|f| f.number);
    Ok(files)
}

fn file_bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |m| m.len())
}
