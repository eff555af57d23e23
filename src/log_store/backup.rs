//! A copy of the store while it goes on working, and whether a store is whole.

use std::fs::{self, File};
use std::path::Path;

use model::StoreError;
use prometheus_client::registry::Registry;

use crate::catalogue::Catalogue;
use crate::failure::io_failed;
use crate::folder::lock;
use crate::metrics::Metrics;
use crate::partition::{Partition, folder_name};
use crate::store::{CATALOGUE_FILE, LogStore};

/// Problems that are told; more than these have one cause.
const PROBLEMS_MAX: usize = 100;

/// What a store holds, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Sealed partitions.
    pub partitions: u64,
    /// Blocks read and decoded.
    pub blocks: u64,
    /// Lines in them.
    pub lines: u64,
    /// What is wrong, each a sentence; at most a hundred of them.
    pub problems: Vec<String>,
}

impl Report {
    fn problem(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

impl LogStore {
    /// Seals what is open and writes a copy of everything into a folder that does not exist yet.
    /// Partitions never change: where the file system can, the copy shares their bytes. Blocks;
    /// taking lines and searching go on, sealing and dropping wait.
    ///
    /// # Errors
    /// `Io`, `NoSpace` or `Database`; the folder is half full then.
    pub fn copy_to(&self, folder: &Path) -> Result<(), StoreError> {
        self.seal()?;
        let _one_at_a_time = self.maintenance.lock();
        fs::create_dir_all(folder).map_err(|source| io_failed("create", folder, source))?;
        self.catalogue.copy_to(&folder.join(CATALOGUE_FILE))?;
        for row in self.catalogue.partitions()? {
            let name = folder_name(row.id);
            copy_folder(&self.folder.join(&name), &folder.join(&name))?;
        }
        sync(folder)
    }

    /// Verifies the store in a folder that nobody has open: reads every block.
    ///
    /// # Errors
    /// `Refused` when a process has it open or a newer version wrote it; others when not even the
    /// catalogue can be read.
    pub fn verify(folder: &Path) -> Result<Report, StoreError> {
        let _lock = lock(folder)?;
        let catalogue = Catalogue::open(&folder.join(CATALOGUE_FILE))?;
        let metrics = Metrics::new(&mut Registry::default());
        let mut report = Report::default();
        for row in catalogue.partitions()? {
            report.partitions += 1;
            let partition = Partition::open(folder, row, &metrics);
            let mut lines = 0;
            for meta in &partition.blocks {
                report.blocks += 1;
                match partition.block(meta) {
                    Ok(block) => lines += block.len() as u64,
                    Err(error) => report.problem(error.to_string()),
                }
            }
            if lines != row.lines {
                let name = folder_name(row.id);
                report.problem(format!(
                    "{name}: {lines} lines can be read, the catalogue speaks of {}",
                    row.lines
                ));
            }
            report.lines += lines;
        }
        Ok(report)
    }
}

/// Copies a folder of files that never change, and the folders within.
fn copy_folder(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(to).map_err(|source| io_failed("create", to, source))?;
    for entry in fs::read_dir(from).map_err(|source| io_failed("read", from, source))? {
        let entry = entry.map_err(|source| io_failed("read", from, source))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else if fs::hard_link(&path, &target).is_err() {
            fs::copy(&path, &target).map_err(|source| io_failed("copy", &path, source))?;
            sync(&target)?;
        }
    }
    sync(to)
}

fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| io_failed("sync", path, source))
}
