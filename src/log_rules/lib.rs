//! What of it do we keep, and how? Keeps, drops, redacts, renames and samples lines before they
//! are stored.
//!
//! [`LogRules`] is a `model::LogSink` around the store's: files and network inputs go through the
//! same rules. Its way:
//!
//! 1. [`config`]: rules as they are written under `logs.rules`; [`Rules::read`] checks them and
//!    names file, line and column of what is wrong.
//! 2. `sink` takes a batch, `pass` brings each line through the rules in their order, and what is
//!    left goes on together with the batch's checkpoints: a position is reached whether or not its
//!    lines were kept.
//! 3. What a rule does is one file each: `redact`, `sample`, `rename`, `merge`; `object` rewrites
//!    JSON for the last two.
//!
//! Without rules the batch is handed on as it came. This room knows no store, no file and no
//! clock; it decides by a line's own bytes, time and labels, so that a line that is read again
//! after a crash meets the same fate.

pub mod config;
mod labels;
mod merge;
mod metrics;
mod object;
mod pass;
mod presets;
mod read;
mod redact;
mod rename;
mod rule;
mod sample;
mod sink;
#[cfg(test)]
mod tests;

pub use config::RuleConfig;
pub use metrics::Metrics;
pub use read::{NAME_CHARS_MAX, RULES_MAX};
pub use rule::Rules;
pub use sink::LogRules;
