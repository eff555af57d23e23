//! The store's folder: its lock, and what a crash has left in it (docs/formats/log_store.md).

use std::fs::{self, File, TryLockError};
use std::path::Path;

use model::StoreError;
use tracing::info;

use crate::failure::io_failed;
use crate::partition;

const LOCK_FILE: &str = "lock";

/// Takes the folder's lock, so that two processes never write one store.
pub(crate) fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK_FILE);
    let file = File::create(&path).map_err(|source| io_failed("create", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Refused(format!(
            "{} is in use by another process: stop it, or give this one another data folder",
            folder.display()
        ))),
        Err(TryLockError::Error(source)) => Err(io_failed("lock", &path, source)),
    }
}

/// Removes partitions that were not finished, or not committed, before a crash.
pub(crate) fn remove_leftovers(folder: &Path, known: &[u64]) -> Result<(), StoreError> {
    let failed = |source| io_failed("read", folder, source);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let Some(id) = partition::folder_number(name) else {
            continue;
        };
        let is_known = known.contains(&id) && name == partition::folder_name(id);
        if !is_known {
            info!(
                folder = name,
                "removing a partition that was never committed"
            );
            partition::remove_quietly(&entry.path());
        }
    }
    Ok(())
}
