//! Will lines be rotated away before they are read? Told beforehand, from how fast each log is
//! written and read and how much of it is kept.
//!
//! 1. At each look, what was written and read since the last one gives two paces per log, over
//!    all files of its name; half of the old pace stays, so that a burst alone is no danger.
//! 2. What is kept of a pod's log is known: the kubelet's own limits. Of others it is not; there
//!    a log is in danger that has fallen far behind and falls further.
//!
//! Renamed files stay open until they are read, so the danger is real only where the collector
//! stops, or has more files than it may hold open; but then it is too late to say so.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tracing::warn;

use super::{Files, Now};
use crate::find::origin;

/// The kubelet rotates at this size (`containerLogMaxSize`)…
const KUBELET_FILE_BYTES: u64 = 10 << 20;
/// …and keeps so many files (`containerLogMaxFiles`).
const KUBELET_FILES: u64 = 5;
/// Less that is unread is read within the next second.
const UNREAD_BYTES_MIN: u64 = 1 << 20;
/// So much unread, and more every second, is danger where nobody knows what is kept.
const FAR_BEHIND_BYTES: u64 = 64 << 20;
/// Told so long beforehand.
const HORIZON_S: f64 = 600.0;
/// A log that grows slower than this, bytes per second, is not rotated soon.
const STILL: f64 = 1024.0;
/// Paces over less time are noise.
const PACE_MIN: Duration = Duration::from_secs(2);

/// How fast a log is written and read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    /// Bytes per second.
    written: f64,
    read: f64,
}

/// What a file's account said at the last look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    bytes_read: u64,
    lag_bytes: u64,
}

/// All files of a name together, since the last look.
#[derive(Debug, Clone, Copy, Default)]
struct Delta {
    read: u64,
    written: i64,
    unread: u64,
}

impl Files {
    /// Judges every log and says so in the status of its files.
    pub(super) fn judge_danger(&mut self, now: Now) {
        let span = now.elapsed.saturating_sub(self.judged_at);
        if span < PACE_MIN {
            return;
        }
        self.judged_at = now.elapsed;
        let mut deltas: HashMap<PathBuf, Delta> = HashMap::new();
        for entry in self.entries.values_mut() {
            let status = &entry.follow.status;
            let seen = Seen {
                bytes_read: status.bytes_read.load(Relaxed),
                lag_bytes: status.lag_bytes.load(Relaxed),
            };
            // What was there before the first look was not written since.
            let before = entry.seen.replace(seen).unwrap_or(Seen {
                bytes_read: 0,
                lag_bytes: seen.bytes_read + seen.lag_bytes,
            });
            // Fast path: nothing was written and nothing is left.
            if seen.bytes_read == before.bytes_read && seen.lag_bytes == 0 {
                continue;
            }
            let read = seen.bytes_read.saturating_sub(before.bytes_read);
            let delta = deltas.entry(entry.follow.origin.clone()).or_default();
            delta.read += read;
            delta.written += read as i64 + seen.lag_bytes as i64 - before.lag_bytes as i64;
            delta.unread += seen.lag_bytes;
        }
        let seconds = span.as_secs_f64();
        self.paces.retain(|origin, _| deltas.contains_key(origin));
        let mut dangers: HashMap<PathBuf, String> = HashMap::new();
        for (origin, delta) in deltas {
            let pace = self.paces.entry(origin.clone()).or_default();
            let mix = |old: f64, new: f64| f64::midpoint(old, new);
            pace.written = mix(pace.written, delta.written.max(0) as f64 / seconds);
            pace.read = mix(pace.read, delta.read as f64 / seconds);
            if let Some(danger) = judge(kept_bytes(&origin), delta.unread, *pace) {
                dangers.insert(origin, danger);
            }
        }
        for entry in self.entries.values() {
            let danger = dangers.get(&entry.follow.origin).cloned();
            entry.follow.status.set_danger(danger.unwrap_or_default());
        }
        for (origin, danger) in &dangers {
            if !self.said.endangered.contains(origin) {
                warn!(path = %origin.display(), danger, "lines of a log are in danger of being lost");
            }
        }
        self.metrics.files_endangered.set(dangers.len() as i64);
        self.said.endangered = dangers.into_keys().collect();
    }
}

/// How much of a log is kept by those who rotate it, as far as that is known.
fn kept_bytes(path: &Path) -> Option<u64> {
    origin::is_pod_log(path).then_some(KUBELET_FILE_BYTES * KUBELET_FILES)
}

/// Why lines will be lost, or `None` where they will not.
fn judge(kept: Option<u64>, unread: u64, pace: Pace) -> Option<String> {
    if unread < UNREAD_BYTES_MIN || pace.written < STILL {
        return None;
    }
    let falling = pace.written - pace.read;
    let size = |bytes: f64| model::bytes::format(bytes as u64);
    let paces = format!(
        "{}/s are written and {}/s are read",
        size(pace.written),
        size(pace.read)
    );
    let Some(kept) = kept else {
        return (unread > FAR_BEHIND_BYTES && falling > 0.0).then(|| {
            format!(
                "{paces}; {} are not read yet, and what is rotated away before is lost",
                size(unread as f64)
            )
        });
    };
    let room = kept.saturating_sub(unread);
    if falling > 0.0 && room as f64 / falling < HORIZON_S {
        let minutes = (room as f64 / falling / 60.0).ceil().max(1.0) as u64;
        let unit = if minutes == 1 { "minute" } else { "minutes" };
        return Some(format!(
            "{paces}: in about {minutes} {unit} lines will be rotated away unread"
        ));
    }
    (unread > kept / 2).then(|| {
        format!(
            "{} are not read yet, and the kubelet keeps about {}: lines may be rotated away unread",
            size(unread as f64),
            size(kept as f64)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn pace(written: u64, read: u64) -> Pace {
        Pace {
            written: (written * MIB) as f64,
            read: (read * MIB) as f64,
        }
    }

    #[test]
    fn a_log_that_is_read_in_time_is_in_no_danger() {
        assert_eq!(judge(Some(50 * MIB), 0, pace(9, 0)), None);
        assert_eq!(judge(Some(50 * MIB), 10 * MIB, pace(1, 20)), None);
        assert_eq!(judge(None, 900 * MIB, pace(1, 20)), None, "catching up");
        assert_eq!(judge(None, 2 * MIB, pace(2, 1)), None);
        assert_eq!(judge(Some(50 * MIB), 45 * MIB, pace(0, 20)), None, "still");
    }

    #[test]
    fn danger_is_told_beforehand_and_in_words() {
        assert_eq!(
            judge(Some(50 * MIB), 10 * MIB, pace(3, 2)).as_deref(),
            Some(
                "3 MiB/s are written and 2 MiB/s are read: in about 1 minute lines will be \
                 rotated away unread"
            )
        );
        let kept = judge(Some(50 * MIB), 30 * MIB, pace(1, 2)).expect("danger");
        assert!(kept.starts_with("30 MiB are not read yet"), "{kept}");
        let unknown = judge(None, 100 * MIB, pace(3, 2)).expect("danger");
        assert!(
            unknown.contains("what is rotated away before is lost"),
            "{unknown}"
        );
    }
}
