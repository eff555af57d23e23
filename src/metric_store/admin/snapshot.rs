//! A copy of everything accepted until now, while the store goes on working.
//!
//! 1. Nothing is sealed, rewritten or dropped meanwhile: the copy holds maintenance up.
//! 2. For a moment nobody appends: how long each journal is then is the time of the copy.
//! 3. Catalogue and day files are copied by SQLite, the journals up to that length. All of it goes
//!    to a folder beside the wanted one, is made durable, and gets its name at the end: a copy is
//!    whole or absent.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use model::StoreError;

use crate::errors::io_error;
use crate::store::Shared;

impl Shared {
    /// Writes a copy into a folder that does not exist.
    pub(crate) fn copy_to(&self, folder: &Path) -> Result<(), StoreError> {
        if folder.exists() {
            return Err(StoreError::Refused(format!(
                "{} exists: choose a folder that does not",
                folder.display()
            )));
        }
        let name = folder.file_name().ok_or_else(|| {
            StoreError::Refused(format!("{} cannot name a copy", folder.display()))
        })?;
        let mut partial = name.to_owned();
        partial.push(".partial");
        let partial = folder.with_file_name(partial);
        let _one_at_a_time = self.maintenance.lock();
        if partial.exists() {
            // It may be of a copy that was cut short, but who knows.
            return Err(StoreError::Refused(format!(
                "{} exists: remove it, or choose another folder",
                partial.display()
            )));
        }
        let copied = self.copy_into(&partial).and_then(|()| {
            fs::rename(&partial, folder).map_err(io_error("rename", &partial))?;
            let parent = folder.parent().filter(|p| !p.as_os_str().is_empty());
            parent.map_or(Ok(()), sync_folder)
        });
        if copied.is_err() {
            let _ = fs::remove_dir_all(&partial);
        }
        copied
    }

    fn copy_into(&self, folder: &Path) -> Result<(), StoreError> {
        let days = folder.join("days");
        let journals = folder.join("journal");
        for dir in [&days, &journals] {
            fs::create_dir_all(dir).map_err(io_error("make folder", dir))?;
        }
        self.commit_families()?;
        let lengths = {
            let _alone = self.head.stop();
            let mut lengths = self.journals.lengths();
            for frozen in self.head.frozen() {
                lengths.extend(frozen.journals.lengths());
            }
            lengths
        };
        for (path, bytes) in &lengths {
            copy_start(path, *bytes, &journals)?;
        }
        self.catalogue.copy_into(folder)?;
        for day in self.days.all() {
            day.copy_into(&days)?;
        }
        [&days, &journals, folder].iter().try_for_each(sync_folder)
    }
}

/// Copies the first bytes of a journal into a folder.
fn copy_start(from: &Path, bytes: u64, dir: &Path) -> Result<(), StoreError> {
    let to: PathBuf = dir.join(from.file_name().unwrap_or_default());
    let file = File::open(from).map_err(io_error("read journal", from))?;
    let mut out = File::create(&to).map_err(io_error("create", &to))?;
    std::io::copy(&mut file.take(bytes), &mut out).map_err(io_error("write", &to))?;
    out.sync_all().map_err(io_error("sync", &to))
}

fn sync_folder(dir: impl AsRef<Path>) -> Result<(), StoreError> {
    let dir = dir.as_ref();
    File::open(dir)
        .and_then(|file| file.sync_all())
        .map_err(io_error("sync folder", dir))
}
