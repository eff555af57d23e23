//! Rotated files that nobody has followed.
//!
//! A file can be made, filled and renamed away between two looks, or before a crash that came
//! before the store had committed anything of it. Then only its new name is there: that of a
//! followed file with something behind it (`app.log.1`, `0.log.20260301-100000`). Such a file is
//! read from its beginning if it was written recently; older ones were there before the collector
//! came and are left alone. So is a compressed one (`app.log.2.gz`) that begins behind the last
//! line of its name: it was compressed between two looks, or while the collector was away. A copy
//! of a followed file (copytruncate, a backup) has the same head and is left alone too.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::disk::{modified_ns, read_head};
use crate::find::names;
use crate::gz;
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
    /// Its inode's number when the folder was listed.
    number: u64,
}

/// A rotated file.
#[derive(Debug)]
pub(crate) struct Sibling {
    pub(crate) path: PathBuf,
    pub(crate) inode: Inode,
    pub(crate) start: Vec<u8>,
    pub(crate) bytes: u64,
    pub(crate) written_ns: i64,
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
    /// Compressed files named like `path` with something behind, written at `since_ns` or later, of
    /// which no plain form is there any more, the one rotated first before the others.
    pub(crate) fn packed_of(&mut self, path: &Path, since_ns: i64) -> Vec<Sibling> {
        let Some(name) = path.file_name() else {
            return Vec::new();
        };
        let name = name.to_string_lossy();
        let neighbours = self.neighbours(path);
        let mut siblings: Vec<Sibling> = (neighbours.iter())
            .filter(|neighbour| {
                let plain = neighbour.name.strip_suffix(".gz");
                plain.is_some_and(|plain| {
                    // It may have been compressed since the folder was listed.
                    is_rotated_name(plain, &name) && !path.with_file_name(plain).exists()
                })
            })
            .filter_map(|neighbour| sibling(&neighbour.path, since_ns))
            .collect();
        siblings.sort_by_cached_key(|sibling| rotation_order(&sibling.path));
        siblings
    }

    /// Plain files named like `path` with something behind, written after `since_ns`, the one
    /// written first before the others.
    pub(crate) fn of(&mut self, path: &Path, since_ns: i64) -> Vec<Sibling> {
        let Some(name) = path.file_name() else {
            return Vec::new();
        };
        let name = name.to_string_lossy();
        let neighbours = self.neighbours(path);
        let mut siblings: Vec<Sibling> = neighbours
            .iter()
            .filter(|neighbour| is_rotated_name(&neighbour.name, &name))
            .filter_map(|neighbour| sibling(&neighbour.path, since_ns.saturating_add(1)))
            .collect();
        siblings.sort_by(|a, b| (a.written_ns, &a.path).cmp(&(b.written_ns, &b.path)));
        siblings
    }

    /// Whether a rotated file of this name is not where it was when the folder was listed: then a
    /// rotation is going on, and what has become of it was not seen.
    pub(crate) fn have_moved(&mut self, path: &Path) -> bool {
        let Some(name) = path.file_name() else {
            return false;
        };
        let name = name.to_string_lossy();
        self.neighbours(path).iter().any(|neighbour| {
            let plain = neighbour.name.strip_suffix(".gz");
            is_rotated_name(plain.unwrap_or(&neighbour.name), &name)
                && fs::symlink_metadata(&neighbour.path)
                    .map_or(true, |metadata| metadata.ino() != neighbour.number)
        })
    }

    /// Lists the folder of a path, if that was not done before.
    pub(crate) fn list(&mut self, path: &Path) {
        let _ = self.neighbours(path);
    }

    /// Forgets what was in the folder of a path.
    pub(crate) fn list_anew(&mut self, path: &Path) {
        if let Some(folder) = path.parent() {
            self.folders.remove(folder);
        }
    }

    /// What is in the folder of a path.
    fn neighbours(&mut self, path: &Path) -> &[Neighbour] {
        let Some(folder) = path.parent() else {
            return &[];
        };
        (self.folders.entry(folder.to_owned())).or_insert_with(|| list(folder))
    }
}

/// Orders rotated files by age, oldest first: numbers count backwards (`x.log.2` before
/// `x.log.1`), dates forwards.
pub(crate) fn rotation_order(path: &Path) -> (std::cmp::Reverse<u32>, String) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let ending = name
        .rsplit_once(['.', '-'])
        .map_or("", |(_, ending)| ending);
    let number = (ending.len() <= 3)
        .then(|| ending.parse().ok())
        .flatten()
        .unwrap_or_default();
    let dated = if number == 0 {
        name.to_owned()
    } else {
        String::new()
    };
    (std::cmp::Reverse(number), dated)
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
            number: entry.ino(),
        })
        .collect()
}

/// A file written at `since_ns` or later; of older ones not even the head is read.
fn sibling(path: &Path, since_ns: i64) -> Option<Sibling> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    if modified_ns(&metadata) < since_ns {
        return None;
    }
    let start = read_head(path).ok()?;
    // Empty: being copied, or nothing to read.
    (!start.is_empty()).then(|| Sibling {
        path: path.to_owned(),
        inode: Inode::of(&metadata),
        start,
        bytes: if gz::is_packed(path) {
            gz::content_bytes(path).unwrap_or(0)
        } else {
            metadata.len()
        },
        written_ns: modified_ns(&metadata),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_are_ordered_by_age() {
        let mut names = [
            "a.log.1",
            "a.log.10.gz",
            "a.log.2.gz",
            "a.log.3",
            "a.log-20260302.gz",
            "a.log-20260301.gz",
        ];
        names.sort_by_cached_key(|name| rotation_order(Path::new(name)));
        assert_eq!(
            names,
            [
                "a.log.10.gz",
                "a.log.3",
                "a.log.2.gz",
                "a.log.1",
                "a.log-20260301.gz",
                "a.log-20260302.gz",
            ]
        );
        let mut names = ["0.log.20260301-110000", "0.log.20260301-100000.gz"];
        names.sort_by_cached_key(|name| rotation_order(Path::new(name)));
        assert_eq!(names[0], "0.log.20260301-100000.gz");
    }

    #[test]
    fn a_rotation_since_the_listing_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["a.log", "a.log.1", "a.log.2.gz", "b.log.1"] {
            fs::write(path(name), name).expect("written");
        }
        let mut siblings = Siblings::default();
        assert!(!siblings.have_moved(&path("a.log")));
        fs::remove_file(path("b.log.1")).expect("removed");
        assert!(!siblings.have_moved(&path("a.log")), "of another name");
        fs::rename(path("a.log.2.gz"), path("a.log.3.gz")).expect("renamed");
        assert!(siblings.have_moved(&path("a.log")), "nothing is there");
        fs::rename(path("a.log.1"), path("a.log.2.gz")).expect("renamed");
        assert!(siblings.have_moved(&path("a.log")), "another is there");
        siblings.list_anew(&path("a.log"));
        assert!(!siblings.have_moved(&path("a.log")));
    }

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
