//! What is told about each file: written by the reader, read by pages, never in each other's way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use model::{Labels, LogLoss, LogSource, LogSourceState};
use parking_lot::Mutex;

/// The state of one file for people. Counters are atomics; words are behind a lock that is held
/// only to copy them.
#[derive(Debug)]
pub(crate) struct Status {
    labels: Labels,
    words: Mutex<Words>,
    losses: Mutex<BTreeMap<&'static str, Loss>>,
    pub(crate) bytes_read: AtomicU64,
    pub(crate) lines_read: AtomicU64,
    pub(crate) records_stored: AtomicU64,
    pub(crate) bytes_stored: AtomicU64,
    pub(crate) lag_bytes: AtomicU64,
    pub(crate) last_line_ns: AtomicI64,
}

#[derive(Debug)]
struct Words {
    path: String,
    format: &'static str,
    state: LogSourceState,
    danger: String,
}

/// What was lost for one reason.
#[derive(Debug, Clone, Copy, Default)]
struct Loss {
    lines: u64,
    bytes: u64,
}

impl Status {
    pub(crate) fn new(path: String, labels: Labels) -> Self {
        Self {
            labels,
            words: Mutex::new(Words {
                path,
                format: "",
                state: LogSourceState::CatchingUp,
                danger: String::new(),
            }),
            losses: Mutex::default(),
            bytes_read: AtomicU64::new(0),
            lines_read: AtomicU64::new(0),
            records_stored: AtomicU64::new(0),
            bytes_stored: AtomicU64::new(0),
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

    /// Why lines will be lost if nothing changes; empty where they will not.
    pub(crate) fn set_danger(&self, danger: String) {
        self.words.lock().danger = danger;
    }

    pub(crate) fn is_failed(&self) -> bool {
        matches!(self.words.lock().state, LogSourceState::Failed(_))
    }

    /// Adds records that the store took.
    pub(crate) fn count_stored(&self, records: u64, bytes: u64) {
        self.records_stored.fetch_add(records, Ordering::Relaxed);
        self.bytes_stored.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds lines or bytes that are lost.
    pub(crate) fn count_lost(&self, reason: &'static str, lines: u64, bytes: u64) {
        if lines == 0 && bytes == 0 {
            return;
        }
        let mut losses = self.losses.lock();
        let loss = losses.entry(reason).or_default();
        loss.lines += lines;
        loss.bytes += bytes;
    }

    /// A copy as of now.
    pub(crate) fn source(&self, now_ns: i64) -> LogSource {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let lag_bytes = get(&self.lag_bytes);
        let last_line_ns = self.last_line_ns.load(Ordering::Relaxed);
        let behind = lag_bytes > 0 && last_line_ns > 0;
        let losses: Vec<LogLoss> = (self.losses.lock().iter())
            .map(|(reason, loss)| LogLoss {
                reason,
                lines: loss.lines,
                bytes: loss.bytes,
            })
            .collect();
        let words = self.words.lock();
        LogSource {
            path: words.path.clone(),
            labels: self.labels.clone(),
            format: words.format.to_owned(),
            state: words.state.clone(),
            bytes_read: get(&self.bytes_read),
            lines_read: get(&self.lines_read),
            records_stored: get(&self.records_stored),
            bytes_stored: get(&self.bytes_stored),
            lines_dropped: losses.iter().map(|loss| loss.lines).sum(),
            losses,
            lag_bytes,
            lag_seconds: if behind {
                now_ns.saturating_sub(last_line_ns).max(0) as f64 / 1e9
            } else {
                0.0
            },
            last_line_ns,
            danger: words.danger.clone(),
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

    #[test]
    fn losses_are_told_by_reason() {
        let status = Status::new("/a".to_owned(), Labels::empty());
        status.count_lost("refused", 2, 10);
        status.count_lost("cut", 0, 5);
        status.count_lost("refused", 1, 1);
        status.count_lost("cut", 0, 0);
        let source = status.source(0);
        let losses: Vec<_> = (source.losses.iter())
            .map(|loss| (loss.reason, loss.lines, loss.bytes))
            .collect();
        assert_eq!(losses, [("cut", 0, 5), ("refused", 3, 11)]);
        assert_eq!(source.lines_dropped, 3);
    }
}
