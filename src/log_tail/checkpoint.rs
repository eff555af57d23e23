//! What the store keeps for each file, so that reading goes on at the right byte after a crash.
//!
//! The store commits it together with the lines (docs/formats/log_checkpoint.md). JSON with a
//! version; paths may hold any bytes.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::formats::Output;
use crate::identity::{Head, Inode};

const VERSION: u32 = 1;

/// How far a file has been read, and which file it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) inode: Inode,
    pub(crate) head: Head,
    /// Where the file is now.
    pub(crate) path: PathBuf,
    /// Where it was found first: what its labels come from.
    pub(crate) origin: PathBuf,
    /// Place of the first byte that was not handed over.
    pub(crate) offset: u64,
    /// For each output whose line is still in parts: where its first part starts, before
    /// `offset`.
    pub(crate) pending: [Option<u64>; 2],
    /// When this position was handed over, nanoseconds since 1970-01-01 UTC.
    pub(crate) told_ns: i64,
    /// Time of the last record that was handed over of this file or of one before it under the
    /// same name, nanoseconds; 0 for none. Rotated files that begin later were not read.
    pub(crate) last_ns: i64,
    /// Bytes that were there and not handed over when the position was.
    pub(crate) behind: u64,
    /// The word for its format, empty where it was not known yet.
    pub(crate) format: String,
    /// Whether it is a compressed file of which all was handed over that can be read.
    pub(crate) done: bool,
    /// The head before the last truncation: a copy that begins so was read.
    pub(crate) head_before: Head,
    /// When the file had been written last when it was looked at, nanoseconds; 0 where unknown.
    /// Copies of what was truncated later are of this time or newer.
    pub(crate) seen_ns: i64,
}

impl State {
    /// The position at a place of a file that nobody has read yet.
    pub(crate) fn at(
        offset: u64,
        inode: Inode,
        path: PathBuf,
        origin: PathBuf,
        now_ns: i64,
    ) -> Self {
        Self {
            inode,
            head: Head::default(),
            path,
            origin,
            offset,
            pending: [None, None],
            told_ns: now_ns,
            last_ns: 0,
            behind: 0,
            format: String::new(),
            done: false,
            head_before: Head::default(),
            seen_ns: 0,
        }
    }

    /// Where reading must go on: the first byte that is needed again.
    pub(crate) fn resume_at(&self) -> u64 {
        let pending = self.pending.iter().flatten().min();
        pending.map_or(self.offset, |start| self.offset.min(*start))
    }
}

/// A state of a version that this program does not know, or not a state at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("unknown version {0}")]
    Version(u32),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("bad hash of the head: {0}")]
    Hash(#[from] std::num::ParseIntError),
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    device: u64,
    inode: u64,
    head_bytes: u16,
    /// Hexadecimal: JSON numbers are not safe beyond 53 bits everywhere.
    head_hash: String,
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    offset: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stdout_pending: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stderr_pending: Option<u64>,
    told_ns: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    last_ns: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    behind: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    format: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    done: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    before_bytes: u16,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    before_hash: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    seen_ns: i64,
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

pub(crate) fn encode(state: &State) -> Vec<u8> {
    let stored = Stored {
        version: VERSION,
        device: state.inode.device,
        inode: state.inode.number,
        head_bytes: state.head.bytes,
        head_hash: format!("{:016x}", state.head.hash),
        path: escape(&state.path),
        origin: (state.origin != state.path).then(|| escape(&state.origin)),
        offset: state.offset,
        stdout_pending: state.pending[Output::Stdout as usize],
        stderr_pending: state.pending[Output::Stderr as usize],
        told_ns: state.told_ns,
        last_ns: state.last_ns,
        behind: state.behind,
        format: state.format.clone(),
        done: state.done,
        before_bytes: state.head_before.bytes,
        before_hash: if state.head_before.bytes > 0 {
            format!("{:016x}", state.head_before.hash)
        } else {
            String::new()
        },
        seen_ns: state.seen_ns,
    };
    serde_json::to_vec(&stored).expect("numbers and strings always serialize")
}

pub(crate) fn decode(bytes: &[u8]) -> Result<State, Unreadable> {
    let VersionOnly { version } = serde_json::from_slice(bytes)?;
    if version != VERSION {
        return Err(Unreadable::Version(version));
    }
    let stored: Stored = serde_json::from_slice(bytes)?;
    let path = unescape(&stored.path);
    Ok(State {
        inode: Inode {
            device: stored.device,
            number: stored.inode,
        },
        head: Head {
            bytes: stored.head_bytes,
            hash: u64::from_str_radix(&stored.head_hash, 16)?,
        },
        origin: stored.origin.map_or_else(|| path.clone(), |o| unescape(&o)),
        path,
        offset: stored.offset,
        pending: [stored.stdout_pending, stored.stderr_pending],
        told_ns: stored.told_ns,
        last_ns: stored.last_ns,
        behind: stored.behind,
        format: stored.format,
        done: stored.done,
        head_before: if stored.before_bytes == 0 {
            Head::default()
        } else {
            Head {
                bytes: stored.before_bytes,
                hash: u64::from_str_radix(&stored.before_hash, 16)?,
            }
        },
        seen_ns: stored.seen_ns,
    })
}

/// Writes bytes that are no UTF-8, and the percent sign itself, as `%ff`.
fn escape(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '%' {
                text.push_str("%25");
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| byte == b'%');
        let value = escaped
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(value) = value {
            bytes.push(value);
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    PathBuf::from(OsStr::from_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state() -> State {
        State {
            inode: Inode {
                device: 5,
                number: 77,
            },
            head: Head::of(b"first line"),
            path: PathBuf::from("/var/log/a.log.1"),
            origin: PathBuf::from("/var/log/a.log"),
            offset: 4096,
            pending: [Some(4000), None],
            told_ns: 1_772_359_200_000_000_000,
            last_ns: 0,
            behind: 0,
            format: String::new(),
            done: false,
            head_before: Head::default(),
            seen_ns: 0,
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        let state = state();
        assert_eq!(decode(&encode(&state)).expect("readable"), state);
        assert_eq!(state.resume_at(), 4000);
    }

    #[test]
    fn the_form_on_disk_stays() {
        let text = String::from_utf8(encode(&state())).expect("JSON");
        assert_eq!(
            text,
            r#"{"version":1,"device":5,"inode":77,"head_bytes":10,"head_hash":"7cfb7e7e86e913b5","path":"/var/log/a.log.1","origin":"/var/log/a.log","offset":4096,"stdout_pending":4000,"told_ns":1772359200000000000}"#
        );
    }

    #[test]
    fn what_is_known_besides_comes_back() {
        let state = State {
            last_ns: 7,
            behind: 9,
            format: "cri".to_owned(),
            done: true,
            head_before: Head::of(b"older"),
            seen_ns: 11,
            ..state()
        };
        assert_eq!(decode(&encode(&state)).expect("readable"), state);
    }

    #[test]
    fn a_newer_version_is_named() {
        let error = decode(br#"{"version":9,"shape":"new"}"#).expect_err("a newer version");
        assert_eq!(error.to_string(), "unknown version 9");
        assert!(decode(b"garbage").is_err());
    }

    proptest! {
        #[test]
        fn paths_of_any_bytes_come_back(bytes in proptest::collection::vec(1u8..=255, 0..40)) {
            let path = PathBuf::from(OsStr::from_bytes(&bytes));
            prop_assert_eq!(unescape(&escape(&path)), path);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&bytes);
        }
    }
}
