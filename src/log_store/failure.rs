//! Puts failures of files, index and catalogue into the words of [`StoreError`].

use std::io;
use std::path::Path;

use model::StoreError;
use tantivy::TantivyError;
use tantivy::directory::error::{OpenReadError, OpenWriteError};

/// A failed operation on a file; a full disk is told apart.
pub(crate) fn io_failed(what: &str, path: &Path, source: io::Error) -> StoreError {
    let context = format!("cannot {what} {}", path.display());
    if is_full(&source) {
        StoreError::NoSpace(format!("{context}: {source}"))
    } else {
        StoreError::Io { context, source }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// A failed operation on an index.
pub(crate) fn index_failed(what: &str, path: &Path, error: TantivyError) -> StoreError {
    let source = match error {
        TantivyError::IoError(source) => copy(&source),
        TantivyError::OpenWriteError(OpenWriteError::IoError { io_error, .. })
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. }) => copy(&io_error),
        other => io::Error::other(other),
    };
    io_failed(what, path, source)
}

/// tantivy shares its errors; what counts is their kind and their sentence.
fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(
        || io::Error::new(error.kind(), error.to_string()),
        io::Error::from_raw_os_error,
    )
}

/// A failed operation on the catalogue.
pub(crate) fn catalogue_failed(what: &str, path: &Path, error: &rusqlite::Error) -> StoreError {
    let message = format!("cannot {what} {}: {error}", path.display());
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => StoreError::NoSpace(message),
        // The index beside the write-ahead log cannot grow: SQLite's other word for a full disk.
        _ if error.sqlite_error().map(|e| e.extended_code)
            == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) =>
        {
            StoreError::NoSpace(message)
        }
        _ => StoreError::Database(message),
    }
}
