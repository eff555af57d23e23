//! A day's file of a store that nobody has open, to look at only.

use std::path::{Path, PathBuf};

use model::StoreError;
use parking_lot::Mutex;
use rusqlite::Connection;

use super::directory::Directory;
use super::{DayKey, SHAPE, read_blob_of};
use crate::catalogue::database;

/// An open day file.
#[derive(Debug)]
pub(crate) struct DayLook {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl DayLook {
    pub(crate) fn open(dir: &Path, key: DayKey) -> Result<Self, StoreError> {
        let path = dir.join(format!("{}.db", key.stem()));
        let (connection, _) = database::open_to_look(&path, &SHAPE)?;
        let connection = Mutex::new(connection);
        Ok(Self { path, connection })
    }

    /// The file's name.
    pub(crate) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    pub(crate) fn directory(&self, segment: u32) -> Result<Directory, StoreError> {
        super::read_directory_of(&self.connection.lock(), &self.path, segment)
    }

    pub(crate) fn page(&self, segment: u32, page: u32) -> Result<Vec<u8>, StoreError> {
        read_blob_of(
            &self.connection.lock(),
            &self.path,
            super::PAGE_BLOB,
            super::page_key(segment, page),
        )
    }
}
