//! Who else wants our samples? Prometheus' remote write to other systems, with a queue on disk.
//!
//! The way of a sample:
//! 1. [`Tee`] stands in front of the store: what the store has taken goes into the [`queue`] of
//!    each remote, relabelled and with the external labels.
//! 2. The queue is a folder of numbered files with a bound. It survives a restart; when it is
//!    full, the oldest file goes and is counted.
//! 3. [`Sender`] reads it in rounds, divides a round among shards by series, and sends it
//!    ([`encode`]). A round that has arrived moves the position forward. What fails for now is sent
//!    again, with growing pauses; what the remote will never take is dropped and counted.
//!
//! [`Tee::apply`] puts other remotes into force while all this runs.
//!
//! A crash or a restart in the middle sends some samples twice, which receivers leave out.

mod config;
mod encode;
mod metrics;
pub mod queue;
mod remotes;
mod sender;
mod tee;

pub use config::{MetadataConfig, QueueConfig, RemoteWriteConfig};
pub use metrics::Metrics;
pub use remotes::{Prepared, check};
use sender::Sender;
pub use tee::Tee;

/// Why remote write cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum RemoteWriteError {
    /// A setting does not work: which remote, which key, and why.
    #[error("remote_write {remote}: {key}: {why}")]
    Config {
        /// Its name, or its host.
        remote: String,
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The queue's folder cannot be used.
    #[error(transparent)]
    Queue(#[from] model::StoreError),
}
