//! A Prometheus data folder: blocks, and the write-ahead log of what is not in a block yet.
//!
//! A folder of a Prometheus that still runs may be read too (a block is never changed, the log is
//! read as far as it goes), but it is better stopped first, or asked for a snapshot.
//!
//! Formats: <https://github.com/prometheus/prometheus/tree/main/tsdb/docs/format>.

mod block;
mod bytes;
mod index;
mod wal;

use std::fs;
use std::path::{Path, PathBuf};

use crate::{ImportError, Report, Take, io_error};

/// What is wanted of a folder.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Series are handed over window by window of this span, aligned to 1970: what the store
    /// keeps together.
    pub window_ms: i64,
    /// What ended before this time is not read at all.
    pub oldest_ms: i64,
}

/// Reads a folder: its blocks in order of time, then the log.
///
/// # Errors
/// `Bad` where the folder holds neither blocks nor a log, `Io` where it cannot be listed, `Store`
/// where the series are not taken. Damaged blocks are told in the report.
pub fn read(folder: &Path, options: &Options, take: &mut Take<'_>) -> Result<Report, ImportError> {
    let mut report = Report::default();
    let mut blocks: Vec<(i64, i64, PathBuf)> = Vec::new();
    if folder.join("meta.json").is_file() {
        // One block by itself.
        let (start, end) = block::range(folder)?;
        blocks.push((start, end, folder.to_owned()));
    } else {
        for entry in fs::read_dir(folder).map_err(io_error("list", folder))? {
            let path = entry.map_err(io_error("list", folder))?.path();
            // Folders that are being written or deleted have an ending.
            if path.extension().is_some() || !path.join("meta.json").is_file() {
                continue;
            }
            match block::range(&path) {
                Ok((start, end)) => blocks.push((start, end, path)),
                Err(error) => report.notice(error.to_string()),
            }
        }
    }
    blocks.sort();
    let wal = folder.join("wal");
    if blocks.is_empty() && !wal.is_dir() {
        return Err(ImportError::Bad(format!(
            "{} is no Prometheus data folder: there is no block (a folder with meta.json) and no \
             folder wal",
            folder.display()
        )));
    }
    for (_, end_ms, path) in blocks {
        if end_ms <= options.oldest_ms {
            report.notice(format!(
                "{} is older than samples are kept and was left out",
                path.display()
            ));
            continue;
        }
        match block::read(&path, options, take, &mut report) {
            Ok(()) => {}
            Err(ImportError::Store(error)) => return Err(error.into()),
            Err(error) => report.notice(format!("{}: {error}", path.display())),
        }
    }
    if wal.is_dir() {
        wal::read(&wal, options, take, &mut report)?;
    }
    Ok(report)
}

#[cfg(test)]
mod tests;
