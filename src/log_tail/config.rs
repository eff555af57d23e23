//! What the collector needs to know before it starts, and why it may refuse to start.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::reading::ReadRule;

/// Where a file without a checkpoint is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// From its first byte.
    #[default]
    Beginning,
    /// From their last whole line. For all files: only those that are there when the collector
    /// sees the machine for the first time, later ones from the beginning. For the files of a
    /// [`ReadRule`]: those that are there when the collector starts.
    End,
}

/// The folders in which logs are looked for when no globs are given.
#[derive(Debug, Clone)]
pub struct Places {
    /// The kubelet's folder: `<namespace>_<pod>_<uid>/<container>/<restart>.log` below it.
    pub pods: PathBuf,
    /// Docker's folder: `<id>/<id>-json.log` below it.
    pub docker: PathBuf,
    /// The folder of text logs.
    pub var_log: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            pods: PathBuf::from("/var/log/pods"),
            docker: PathBuf::from("/var/lib/docker/containers"),
            var_log: PathBuf::from("/var/log"),
        }
    }
}

/// The collector's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Files to follow, as globs (`*`, `?`, `[ab]` within a folder, `**` across folders). Empty:
    /// the collector looks for itself in [`Config::places`].
    pub globs: Vec<String>,
    /// Files to leave alone although a glob matches them or they were found; whole paths.
    pub exclude: Vec<String>,
    /// Where to look when there are no globs.
    pub places: Places,
    /// Lines longer than this many bytes are cut with a visible mark. Joined partial lines of
    /// containers count as one line.
    pub line_bytes_max: usize,
    /// At most this many files are held open at a time; the others are opened when their turn
    /// comes.
    pub open_files_max: usize,
    /// Where files without a checkpoint are read from.
    pub start: Start,
    /// What is read in another way than is usual; the first rule that matches counts.
    pub read: Vec<ReadRule>,
    /// Every file is looked at this often even when the operating system reports no change.
    pub rescan_interval: Duration,
    /// When the store was made, nanoseconds since 1970-01-01 UTC, where that is known: as long as
    /// it knows no positions, rotated files that were written later hold what a crash has lost.
    pub since_ns: Option<i64>,
    /// This machine's name: the label `node` of pod logs and `host` of all others.
    pub host: Option<String>,
    /// The zone of times that are written without one.
    pub zone: TimeZone,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            globs: Vec::new(),
            exclude: Vec::new(),
            places: Places::default(),
            // The kubelet and most loggers stay far below; larger ones are dumps by accident.
            line_bytes_max: 1 << 20,
            // Half of the usual soft limit of 1024, which the stores and sockets share.
            open_files_max: 512,
            start: Start::Beginning,
            read: Vec::new(),
            rescan_interval: Duration::from_secs(5),
            since_ns: None,
            host: None,
            zone: TimeZone::system(),
        }
    }
}

/// Why the collector cannot work as configured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A glob that does not parse.
    #[error("bad file pattern {pattern}: {source}")]
    Pattern {
        /// As it was configured.
        pattern: String,
        /// The place and the reason.
        source: glob::PatternError,
    },
    /// A regular expression that does not parse or is too large.
    #[error("bad pattern {pattern} for multiline records: {source}")]
    Regex {
        /// As it was configured.
        pattern: String,
        /// The place and the reason.
        source: Box<regex::Error>,
    },
    /// A rule for no files.
    #[error("a rule under logs.read names no files: give it `files: [GLOB, …]`")]
    NoFiles,
    /// A number outside its sensible range.
    #[error("{name} must be between {min} and {max}, not {value}")]
    Range {
        /// The setting.
        name: &'static str,
        /// The smallest value it can have.
        min: usize,
        /// The largest value it can have.
        max: usize,
        /// What it was set to.
        value: usize,
    },
}

/// Below this a container's ordinary lines would be cut.
const LINE_BYTES_MIN: usize = 256;
/// A line must fit into a batch, whose offsets have 32 bits, with room for others.
const LINE_BYTES_LIMIT: usize = 64 << 20;
/// With fewer the collector would open and close a file for every chunk.
const OPEN_FILES_MIN: usize = 2;
/// The most that a process can have on Linux without special settings.
const OPEN_FILES_LIMIT: usize = 1 << 20;

impl Config {
    /// Checks the numbers; the globs are checked where they are parsed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let in_range = |name, value, min, max| {
            if (min..=max).contains(&value) {
                Ok(())
            } else {
                Err(Error::Range {
                    name,
                    min,
                    max,
                    value,
                })
            }
        };
        in_range(
            "line_bytes_max",
            self.line_bytes_max,
            LINE_BYTES_MIN,
            LINE_BYTES_LIMIT,
        )?;
        in_range(
            "open_files_max",
            self.open_files_max,
            OPEN_FILES_MIN,
            OPEN_FILES_LIMIT,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_out_of_range_is_named() {
        let config = Config {
            line_bytes_max: 10,
            ..Config::default()
        };
        assert_eq!(
            config.check().expect_err("too small").to_string(),
            "line_bytes_max must be between 256 and 67108864, not 10"
        );
        assert!(Config::default().check().is_ok());
    }
}
