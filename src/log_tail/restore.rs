//! Checkpoints of the last run, until the first look has found their files.

use std::collections::HashMap;
use std::fs::Metadata;
use std::path::Path;

use tracing::warn;

use crate::checkpoint::{self, State};
use crate::disk::read_head;
use crate::gz;
use crate::identity::Inode;
use crate::metrics::Metrics;

/// A checkpoint with its key in the store.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) source: String,
    pub(crate) state: State,
}

/// The checkpoints that no file has claimed yet.
#[derive(Debug)]
pub(crate) struct Restoring {
    /// By inode number alone: a disk may have another device number after a reboot.
    by_number: HashMap<u64, Vec<Restored>>,
    empty: bool,
    /// When the last of the positions was handed over, nanoseconds since 1970-01-01 UTC.
    told_ns: Option<i64>,
}

impl Restoring {
    pub(crate) fn new(positions: HashMap<String, Vec<u8>>, metrics: &Metrics) -> Self {
        let empty = positions.is_empty();
        let mut by_number: HashMap<u64, Vec<Restored>> = HashMap::new();
        let mut told_ns = None;
        for (source, bytes) in positions {
            match checkpoint::decode(&bytes) {
                Ok(state) => {
                    told_ns = told_ns.max(Some(state.told_ns));
                    let states = by_number.entry(state.inode.number).or_default();
                    states.push(Restored { source, state });
                }
                Err(error) => {
                    metrics.checkpoints_unreadable.inc();
                    warn!(source, %error, "cannot read the position of a log file, reading it from the beginning");
                }
            }
        }
        Self {
            by_number,
            empty,
            told_ns,
        }
    }

    /// Whether the store knows no positions at all: this machine's logs were never read.
    pub(crate) fn is_empty(&self) -> bool {
        self.empty
    }

    /// When the last of the positions was handed over.
    pub(crate) fn told_ns(&self) -> Option<i64> {
        self.told_ns
    }

    /// Takes the checkpoint of the file at `path`.
    pub(crate) fn fitting(
        &mut self,
        inode: Inode,
        path: &Path,
        metadata: &Metadata,
    ) -> Option<Restored> {
        let candidates = self.by_number.get_mut(&inode.number)?;
        let at = candidates
            .iter()
            .position(|candidate| fits(&candidate.state, path, metadata))?;
        Some(candidates.swap_remove(at))
    }

    /// Takes all that is left.
    pub(crate) fn rest(self) -> impl Iterator<Item = Restored> {
        self.by_number.into_values().flatten()
    }
}

/// Whether the file at `path`, with the same inode number, is the one of the checkpoint.
pub(crate) fn fits(state: &State, path: &Path, metadata: &Metadata) -> bool {
    // Of an empty file nothing is known: a file under its number may be any other.
    if state.head.bytes == 0 && state.offset == 0 {
        return false;
    }
    let same_device = Inode::of(metadata).device == state.inode.device;
    // On another device number it must be at the same path and have a head to compare.
    let same_disk = same_device || (path == state.path && state.head.bytes > 0);
    // A compressed file is shorter than its content, to which the offset belongs.
    same_disk
        && (metadata.len() >= state.offset || gz::is_packed(path))
        && read_head(path).is_ok_and(|start| state.head.grown(&start).is_some())
}
