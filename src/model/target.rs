//! What collectors tell about the things that they collect from: for people, not for machines.

use crate::labels::Labels;

/// Whether the last scrape worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Health {
    /// Not scraped yet.
    #[default]
    Unknown,
    /// The last scrape was stored.
    Up,
    /// The last scrape failed.
    Down,
}

impl Health {
    /// Prometheus' word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A scrape target as `/targets` and `/api/v1/targets` show it.
#[derive(Debug, Clone, Default)]
pub struct ScrapeTarget {
    /// The job of the configuration that it comes from.
    pub scrape_pool: String,
    /// Labels before relabelling, `__address__` and other meta labels included.
    pub discovered_labels: Labels,
    /// Labels after relabelling, as its series carry them.
    pub labels: Labels,
    /// The address asked, without passwords.
    pub scrape_url: String,
    /// What became of the last scrape.
    pub health: Health,
    /// Why it failed, in a sentence; empty when it did not.
    pub last_error: String,
    /// When it was last scraped, milliseconds since 1970-01-01 UTC; 0 for never.
    pub last_scrape_ms: i64,
    /// How long that took, seconds.
    pub last_scrape_duration_s: f64,
    /// Samples that the last scrape gave.
    pub last_samples: usize,
    /// Every so many milliseconds.
    pub interval_ms: i64,
    /// Given up after so many milliseconds.
    pub timeout_ms: i64,
}

/// A target that relabelling drops, as `/targets` shows it.
#[derive(Debug, Clone, Default)]
pub struct DroppedTarget {
    /// The job of the configuration that it comes from.
    pub scrape_pool: String,
    /// Labels before relabelling.
    pub discovered_labels: Labels,
    /// Number of the rule of `relabel_configs` that drops it, from 1.
    pub rule: usize,
}

/// What one rule of `relabel_configs` does to the labels of a target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RelabelStep {
    /// Number of the rule, from 1.
    pub rule: usize,
    /// What it does in a sentence without an end: `sets job to "a"`, `drops the target: …`.
    pub effect: String,
    /// It changes something.
    pub changes: bool,
    /// It drops the target; no rule after it counts.
    pub drops: bool,
}

/// Where a job's targets are found, as `/targets` shows it.
#[derive(Debug, Clone, Default)]
pub struct DiscoveryState {
    /// The job.
    pub scrape_pool: String,
    /// How they are found: `file /etc/…`, `dns …`.
    pub mechanism: String,
    /// Targets found, before relabelling.
    pub targets: usize,
    /// Why the last look failed, in a sentence; empty when it did not. The targets that were
    /// found before stay.
    pub error: String,
}

/// What the log collector is doing with a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LogSourceState {
    /// All that is there has been read; waiting for more.
    #[default]
    Following,
    /// There is more to read.
    CatchingUp,
    /// Renamed or deleted, being read to its end.
    Draining,
    /// It cannot be read or is left alone; the sentence says why and what to do.
    Failed(String),
}

/// A log source (a file, as a rule) as `/targets` shows it.
#[derive(Debug, Clone, Default)]
pub struct LogSource {
    /// Its path now.
    pub path: String,
    /// Labels of its stream.
    pub labels: Labels,
    /// The format in which it is read: `cri`, `docker`, `json`, `text`, …
    pub format: String,
    /// What is being done with it.
    pub state: LogSourceState,
    /// Bytes read since the process started.
    pub bytes_read: u64,
    /// Lines of the file read since the process started.
    pub lines_read: u64,
    /// Records that the store took since the process started; joined lines are one.
    pub records_stored: u64,
    /// Bytes of their texts.
    pub bytes_stored: u64,
    /// Lines dropped since the process started, for whatever reason.
    pub lines_dropped: u64,
    /// What was lost since the process started, by reason.
    pub losses: Vec<LogLoss>,
    /// Bytes in the file that are not read yet.
    pub lag_bytes: u64,
    /// Seconds since the last line that was read, or 0 when all is read.
    pub lag_seconds: f64,
    /// When its last line was written, nanoseconds since 1970-01-01 UTC; 0 for never.
    pub last_line_ns: i64,
    /// Why lines of it will be lost if nothing changes, in a sentence; empty where they will not.
    pub danger: String,
}

/// Lines and bytes of a source that were lost for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLoss {
    /// `refused`, `cut`, `holes`, or one of [`crate::GapReason`].
    pub reason: &'static str,
    /// How many lines, where that is known.
    pub lines: u64,
    /// How many bytes at least.
    pub bytes: u64,
}

/// What the log collector tells about itself as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogCollector {
    /// Files that it holds open now, and as many as it may.
    pub open_files: usize,
    /// At most so many.
    pub open_files_max: usize,
    /// Limits that it has reached and what to do, each a sentence.
    pub notices: Vec<String>,
}
