//! The store's settings and their defaults.

use std::time::Duration;

/// Settings of the log store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Lines older than this are dropped, a whole partition at a time. Default 14 days.
    pub retention: Duration,
    /// Sealed partitions beyond so many bytes on disk are dropped, oldest first. Default 10 GiB.
    pub disk_bytes_max: u64,
    /// Open buffers, those being sealed included, take at most so many bytes of memory; whoever
    /// appends waits. Default 48 MiB.
    pub open_bytes_max: u64,
    /// Open buffers are sealed at so many bytes. Smaller partitions cost disk: 36 MiB is within
    /// 2 % of the best, 10 MiB costs 6 %, 1 MiB 70 %; sealing takes three times as much memory.
    /// Default 36 MiB.
    pub partition_bytes: u64,
    /// Open buffers are sealed at this age at the latest: what is in them must be read again from
    /// its source after a crash. Default 30 minutes.
    pub partition_age: Duration,
    /// Bytes of text in a block, more or less: a longer line is a block of its own. Default
    /// 256 KiB.
    pub block_bytes: usize,
    /// Streams known at a time. Beyond it [`model::LogSink::open_stream`] refuses. Default 200,000.
    pub streams_max: usize,
    /// Live tails at a time. Default 256.
    pub tails_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retention: Duration::from_hours(14 * 24),
            disk_bytes_max: 10 << 30,
            open_bytes_max: 48 << 20,
            partition_bytes: 36 << 20,
            partition_age: Duration::from_mins(30),
            block_bytes: 256 << 10,
            streams_max: 200_000,
            tails_max: 256,
        }
    }
}
