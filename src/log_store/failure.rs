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
        other => os_error_in(&other.to_string()).unwrap_or_else(|| io::Error::other(other)),
    };
    io_failed(what, path, source)
}

/// Of some errors tantivy keeps only the sentence; the standard library ends it with their number:
/// `(os error 28)`.
fn os_error_in(sentence: &str) -> Option<io::Error> {
    let (_, number) = sentence.rsplit_once("(os error ")?;
    let (number, _) = number.split_once(')')?;
    Some(io::Error::from_raw_os_error(number.parse().ok()?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_known_by_any_error() {
        let full = || io::Error::from_raw_os_error(28);
        let inside = TantivyError::InternalError(format!("while writing: '{}'", full()));
        for error in [TantivyError::from(full()), inside] {
            let told = index_failed("write", Path::new("/x"), error);
            assert!(matches!(told, StoreError::NoSpace(_)), "{told}");
        }
        let other = TantivyError::InternalError("(os error none)".to_owned());
        let told = index_failed("write", Path::new("/x"), other);
        assert!(matches!(told, StoreError::Io { .. }), "{told}");
    }
}
