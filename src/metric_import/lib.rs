//! What did other stores keep? History that moves over: a Prometheus data folder ([`prometheus`]),
//! VictoriaMetrics' JSON lines ([`json_lines`]), exposition text with timestamps ([`text`]).
//!
//! Readers hand over series with their samples, in parts that fit into memory, to a closure; where
//! they go it does not know. What cannot be read is named in the [`Report`] and left out; the rest
//! goes on.

pub mod json_lines;
pub mod prometheus;
pub mod text;

use std::io;
use std::path::Path;

use model::{Labels, Samples, StoreError};

/// A series, or a part of one: times ascend within a part, as far as their source has them so.
pub type Series = (Labels, Samples);

/// Where series go.
pub type Take<'a> = dyn FnMut(Vec<Series>) -> Result<(), StoreError> + 'a;

/// Samples that are handed over at once: with times, values and labels about 100 MB.
pub(crate) const PART_SAMPLES: usize = 4_000_000;
/// Notices that are kept; the others are counted.
const NOTICES_MAX: usize = 20;

/// Why an import ended early.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read.
    #[error("{context}: {source}")]
    Io {
        /// What was being done, and to which file.
        context: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// It is not what it is said to be; the sentence says what is wrong and where.
    #[error("{0}")]
    Bad(String),
    /// Whoever takes the series does not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(crate) fn io_error(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> ImportError {
    let context = format!("cannot {doing} {}", path.display());
    move |source| ImportError::Io { context, source }
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Samples that were handed over.
    pub samples: u64,
    /// Samples that were left out because they could not be read or are of a kind that is not
    /// known.
    pub left_out: u64,
    /// What should be known about what was left out, each a sentence.
    pub notices: Vec<String>,
    /// Further such sentences that were not kept.
    pub more_notices: u64,
}

impl Report {
    pub(crate) fn notice(&mut self, sentence: String) {
        if self.notices.len() < NOTICES_MAX {
            self.notices.push(sentence);
        } else {
            self.more_notices += 1;
        }
    }
}
