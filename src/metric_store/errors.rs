//! Turns what the operating system and SQLite say into the words of [`StoreError`].

use std::io;
use std::path::Path;

use model::StoreError;

/// For `map_err`: what was being done, and to which file.
pub(crate) fn io_error(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let context = format!("cannot {doing} {}", path.display());
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StoreError::NoSpace(format!("{context}: {source}"))
        }
        _ => StoreError::Io { context, source },
    }
}

/// For `map_err`: what was being done, and to which database.
pub(crate) fn database_error(
    doing: &str,
    path: &Path,
) -> impl FnOnce(rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode;
    let context = format!("cannot {doing} {}", path.display());
    move |error| match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::NoSpace(format!("{context}: {error}")),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged(format!("{context}: {error}"))
        }
        // The index beside the write-ahead log cannot grow: SQLite's other word for a full disk.
        _ if error.sqlite_error().map(|e| e.extended_code)
            == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) =>
        {
            StoreError::NoSpace(format!("{context}: {error}"))
        }
        _ => StoreError::Database(format!("{context}: {error}")),
    }
}
