//! Which lines are new? Finds and follows log files, reads their formats, remembers positions.
//!
//! A line's way: `find` (which files are there) → `files` (who is who after rotations, whose turn
//! it is) → `follow` (one file's bytes) → `lines` (bytes to lines) → `decode` (a line's format,
//! time and level) → `outlet` (batches into the [`model::LogSink`], with the position that they
//! bring the file to). `tail` is the loop around it, `watch` what wakes it.
//!
//! Exactly once: the files themselves are the log of what is not stored yet. A batch carries the
//! position of each file behind its lines, and the store commits both together; after a crash
//! reading goes on from there.
//!
//! Knows nothing about how lines are stored, and nothing of Kubernetes or Docker but what their
//! paths and lines look like.

mod checkpoint;
mod civil;
mod config;
mod content;
mod decode;
mod disk;
mod files;
mod find;
mod follow;
mod formats;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gz;
mod identity;
mod level_detect;
mod level_of;
mod lines;
mod metrics;
mod multiline;
mod outlet;
mod probe;
mod reading;
mod restore;
mod siblings;
mod status;
#[cfg(test)]
mod stories;
mod streams;
mod tail;
mod time_detect;
mod time_scan;
mod watch;

pub use config::{Config, Error, Places, Start};
pub use find::SourceKind;
pub use level_of::level_of;
pub use metrics::{Metrics, Reason};
pub use reading::{FormatChoice, MultilineRule, ReadRule};
pub use tail::{LogTail, Summary};
