//! Is this still the file that I was reading?
//!
//! A path says nothing: rotation gives it to another file. An inode says little: it is given to
//! the next file as soon as the last descriptor of the old one is closed, and copytruncate
//! empties it in place. So a file is known by device, inode and a hash of its first bytes. The
//! head of a young file is short; its length is recorded with the hash, and both grow until
//! [`HEAD_BYTES_MAX`].

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use xxhash_rust::xxh3::xxh3_64;

/// Enough for the first lines of a container's log, whose time stamps differ in nanoseconds, and
/// for most banners that programs write at start; small enough to be read again at every turn.
pub(crate) const HEAD_BYTES_MAX: usize = 1024;

/// A file's number on its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Inode {
    pub(crate) device: u64,
    pub(crate) number: u64,
}

impl Inode {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            number: metadata.ino(),
        }
    }
}

/// Hash of a file's first bytes, and of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Head {
    /// At most [`HEAD_BYTES_MAX`]; 0 fits every file.
    pub(crate) bytes: u16,
    pub(crate) hash: u64,
}

impl Head {
    /// The head of a file that begins with these bytes.
    pub(crate) fn of(start: &[u8]) -> Self {
        let start = start.get(..HEAD_BYTES_MAX).unwrap_or(start);
        if start.is_empty() {
            return Self::default();
        }
        Self {
            bytes: start.len() as u16,
            hash: xxh3_64(start),
        }
    }

    /// Compares with a file that begins with `start` now. Returns the head to remember from here
    /// on (longer where the file has grown), or `None` where it is another file.
    pub(crate) fn grown(self, start: &[u8]) -> Option<Self> {
        let known = start.get(..usize::from(self.bytes))?;
        if Self::of(known) != self {
            return None;
        }
        if start.len() > known.len() && known.len() < HEAD_BYTES_MAX {
            return Some(Self::of(start));
        }
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growing_head_stays_the_same_file() {
        let young = Head::of(b"first");
        let grown = young.grown(b"first line\n").expect("the same file");
        assert_eq!(grown.bytes, 11);
        assert_eq!(young.grown(b"fir"), None, "shorter: truncated");
        assert_eq!(young.grown(b"other line"), None, "rewritten");
        assert_eq!(
            Head::of(b"").grown(b"anything"),
            Some(Head::of(b"anything"))
        );
    }

    #[test]
    fn a_full_head_stops_growing() {
        let long = vec![b'x'; HEAD_BYTES_MAX * 2];
        let head = Head::of(&long);
        assert_eq!(usize::from(head.bytes), HEAD_BYTES_MAX);
        assert_eq!(head.grown(&long), Some(head));
    }
}
