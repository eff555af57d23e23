//! Rotated files that nobody has followed.
//!
//! A file can be made, filled and renamed away between two looks, or before a crash that came
//! before the store had committed anything of it. Then only its new name is there: that of a
//! followed file with something behind it (`app.log.1`, `0.log.20260301-100000`). Such a file is
//! read from its beginning if it was written recently; older ones were there before the collector
//! came and are left alone. A copy of a followed file (copytruncate, a backup) has the same head
//! and is left alone too.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::disk::{modified_ns, read_head};
use crate::find::names;
use crate::identity::{Head, Inode};

/// The store commits lines this long after they came at the latest, with a margin: a file that was
/// not written for longer is either known by its checkpoint or was never followed.
pub(crate) const COMMIT_DELAY_MAX_NS: i64 = 3600 * 1_000_000_000;

/// Files that share a shorter beginning need not be copies: most lines begin with the date.
const TELLING_HEAD_BYTES: u16 = 64;

/// A file in a followed file's folder.
#[derive(Debug, Clone)]
struct Neighbour {
    name: String,
    path: PathBuf,
}

/// A rotated file.
#[derive(Debug)]
pub(crate) struct Sibling {
    pub(crate) path: PathBuf,
    pub(crate) inode: Inode,
    pub(crate) start: Vec<u8>,
    pub(crate) bytes: u64,
    written_ns: i64,
}

impl Sibling {
    /// Whether this file begins as the one with this head did (which must have been read).
    pub(crate) fn is_copy_of(&self, head: Head) -> bool {
        let telling = head.bytes >= TELLING_HEAD_BYTES || u64::from(head.bytes) == self.bytes;
        telling && self.continues(head)
    }

    /// Like [`Sibling::is_copy_of`], for a file that is known to have been truncated.
    pub(crate) fn continues(&self, head: Head) -> bool {
        head.bytes > 0 && head.grown(&self.start).is_some()
    }

    /// Whether this is a copy of the beginning of a file that begins with `start`, or all of it.
    pub(crate) fn is_part_of(&self, start: &[u8]) -> bool {
        start.starts_with(&self.start)
    }
}

/// The folders that one look has listed for siblings.
#[derive(Debug, Default)]
pub(crate) struct Siblings {
    folders: HashMap<PathBuf, Vec<Neighbour>>,
}

impl Siblings {
    /// Plain files named like `path` with something behind, written after `since_ns`, the one
    /// written first before the others.
    pub(crate) fn of(&mut self, path: &Path, since_ns: i64) -> Vec<Sibling> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Vec::new();
        };
        let name = name.to_string_lossy();
        let neighbours = self
            .folders
            .entry(folder.to_owned())
            .or_insert_with(|| list(folder));
        let mut siblings: Vec<Sibling> = neighbours
            .iter()
            .filter(|neighbour| is_rotated_name(&neighbour.name, &name))
            .filter_map(|neighbour| sibling(&neighbour.path))
            .filter(|sibling| sibling.written_ns > since_ns)
            .collect();
        siblings.sort_by(|a, b| (a.written_ns, &a.path).cmp(&(b.written_ns, &b.path)));
        siblings
    }
}

fn is_rotated_name(name: &str, of: &str) -> bool {
    let behind = name.strip_prefix(of);
    behind.is_some_and(|behind| behind.starts_with(['.', '-']) && behind.len() > 1)
        && names::compressed(name).is_none()
        && !names::temporary(name)
}

fn list(folder: &Path) -> Vec<Neighbour> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .filter_map(Result::ok)
        .map(|entry| Neighbour {
            name: entry.file_name().to_string_lossy().into_owned(),
            path: entry.path(),
        })
        .collect()
}

fn sibling(path: &Path) -> Option<Sibling> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let start = read_head(path).ok()?;
    // Empty: being copied, or nothing to read.
    (!start.is_empty()).then(|| Sibling {
        path: path.to_owned(),
        inode: Inode::of(&metadata),
        start,
        bytes: metadata.len(),
        written_ns: modified_ns(&metadata),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_are_told_from_others() {
        let check = |name, of, expected| assert_eq!(is_rotated_name(name, of), expected, "{name}");
        check("a.log.1", "a.log", true);
        check("a.log-20260301", "a.log", true);
        check("0.log.20260301-100000", "0.log", true);
        check("a.log.2.gz", "a.log", false);
        check("a.log", "a.log", false);
        check("a.log.swp", "a.log", false);
        check("b.log.1", "a.log", false);
        check("a.log2", "a.log", false);
    }
}
