//! Reads the small files of /proc and /sys.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::Config;

/// Files of /proc grow with the machine (interrupts, mounts); none comes near this.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Why a collector has nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file does not look as it should.
    #[error("{path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The machine has nothing of the kind.
    #[error("this machine has no {0}")]
    Absent(&'static str),
}

/// Access to the machine's files.
#[derive(Debug)]
pub(crate) struct Files {
    config: Config,
}

/// A file's text and where it came from.
pub(crate) struct Text {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Files {
    pub(crate) fn new(config: Config) -> Self {
        Self { config }
    }

    pub(crate) fn proc(&self, path: &str) -> Result<Text, CollectError> {
        read(&self.config.proc.join(path))
    }

    pub(crate) fn root(&self, path: &str) -> Result<Text, CollectError> {
        read(&self.config.root.join(path))
    }

    /// A file about the host's network. In a container `/proc/net` is the container's own; that
    /// of process 1 is the host's, where it may be read.
    pub(crate) fn net(&self, name: &str) -> Result<Text, CollectError> {
        self.proc(&format!("1/net/{name}"))
            .or_else(|_| self.proc(&format!("net/{name}")))
    }

    pub(crate) fn sys_path(&self, path: &str) -> PathBuf {
        self.config.sys.join(path)
    }

    /// Names in a folder of /sys, sorted; none where there is no such folder.
    pub(crate) fn sys_names(&self, path: &str) -> Vec<String> {
        names(&self.config.sys.join(path))
    }

    /// A small file of /sys, trimmed; `None` where it is missing or cannot be read (many can only
    /// be read while a device is up).
    pub(crate) fn sys_word(&self, path: &str) -> Option<String> {
        word(&self.config.sys.join(path))
    }

    /// A small file of /sys as a number.
    pub(crate) fn sys_number(&self, path: &str) -> Option<f64> {
        self.sys_word(path)?.parse().ok()
    }
}

impl Text {
    /// This file is malformed.
    pub(crate) fn malformed(&self, reason: impl Into<String>) -> CollectError {
        CollectError::Malformed {
            path: self.path.clone(),
            reason: reason.into(),
        }
    }

    /// Reads a number of this file.
    pub(crate) fn number(&self, word: Option<&str>) -> Result<f64, CollectError> {
        let Some(word) = word else {
            return Err(self.malformed("a number is missing"));
        };
        word.parse()
            .map_err(|_| self.malformed(format!("{word:?} is not a number")))
    }
}

/// Names in a folder, sorted; none where there is no such folder.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    names
}

/// A small file, trimmed; `None` where it cannot be read.
pub(crate) fn word(path: &Path) -> Option<String> {
    read(path).ok().map(|text| text.text.trim().to_owned())
}

fn read(path: &Path) -> Result<Text, CollectError> {
    let bad = |source| CollectError::Read {
        path: path.to_owned(),
        source,
    };
    let file = fs::File::open(path).map_err(bad)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(bad)?;
    Ok(Text {
        path: path.to_owned(),
        // Names of devices and mounts may be any bytes.
        text: String::from_utf8_lossy(&bytes).into_owned(),
    })
}
