//! What is told about each file: written by the reader, read by pages, never in each other's way.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use model::{Labels, LogSource, LogSourceState};
use parking_lot::Mutex;

/// The state of one file for people. Counters are atomics; words are behind a lock that is held
/// only to copy them.
#[derive(Debug)]
pub(crate) struct Status {
    labels: Labels,
    words: Mutex<Words>,
    pub(crate) bytes_read: AtomicU64,
    pub(crate) lines_read: AtomicU64,
    pub(crate) lines_dropped: AtomicU64,
    pub(crate) lag_bytes: AtomicU64,
    pub(crate) last_line_ns: AtomicI64,
}

#[derive(Debug)]
struct Words {
    path: String,
    format: &'static str,
    state: LogSourceState,
}

impl Status {
    pub(crate) fn new(path: String, labels: Labels) -> Self {
        Self {
            labels,
            words: Mutex::new(Words {
                path,
                format: "",
                state: LogSourceState::CatchingUp,
            }),
            bytes_read: AtomicU64::new(0),
            lines_read: AtomicU64::new(0),
            lines_dropped: AtomicU64::new(0),
            lag_bytes: AtomicU64::new(0),
            last_line_ns: AtomicI64::new(0),
        }
    }

    pub(crate) fn set_path(&self, path: String) {
        self.words.lock().path = path;
    }

    pub(crate) fn set_format(&self, format: &'static str) {
        self.words.lock().format = format;
    }

    pub(crate) fn set_state(&self, state: LogSourceState) {
        self.words.lock().state = state;
    }

    pub(crate) fn is_failed(&self) -> bool {
        matches!(self.words.lock().state, LogSourceState::Failed(_))
    }

    /// A copy as of now.
    pub(crate) fn source(&self, now_ns: i64) -> LogSource {
        let lag_bytes = self.lag_bytes.load(Ordering::Relaxed);
        let last_line_ns = self.last_line_ns.load(Ordering::Relaxed);
        let behind = lag_bytes > 0 && last_line_ns > 0;
        let words = self.words.lock();
        LogSource {
            path: words.path.clone(),
            labels: self.labels.clone(),
            format: words.format.to_owned(),
            state: words.state.clone(),
            bytes_read: self.bytes_read.load(Ordering::Relaxed),
            lines_read: self.lines_read.load(Ordering::Relaxed),
            lines_dropped: self.lines_dropped.load(Ordering::Relaxed),
            lag_bytes,
            lag_seconds: if behind {
                now_ns.saturating_sub(last_line_ns).max(0) as f64 / 1e9
            } else {
                0.0
            },
            last_line_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_counted_only_while_there_is_more_to_read() {
        let status = Status::new("/a".to_owned(), Labels::empty());
        status.last_line_ns.store(5_000_000_000, Ordering::Relaxed);
        assert_eq!(status.source(9_000_000_000).lag_seconds, 0.0);
        status.lag_bytes.store(10, Ordering::Relaxed);
        assert_eq!(status.source(9_000_000_000).lag_seconds, 4.0);
    }
}
