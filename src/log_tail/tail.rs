//! The collector's loop: look, listen, read, hand over.
//!
//! 1. Look at the folders: at start, every few seconds, and soon after something appeared,
//!    vanished or was renamed.
//! 2. Mark the files that are said to have changed.
//! 3. Give each marked file a turn, and again while there is more.
//! 4. Wait for the next report.
//!
//! It runs on a thread of its own, since the store may make it wait.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{LogCollector, LogSink, LogSource};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{Config, Error};
use crate::files::{Files, Now, Statuses};
use crate::find::{FILES_MAX, Finder, SourceKind};
use crate::metrics::Metrics;
use crate::outlet::{Outlet, Positions, Stopped};
use crate::reading::Readings;
use crate::watch::{Inbox, Watch};

/// How soon a wait notices that the program stops.
const CANCEL_STEP: Duration = Duration::from_millis(200);
/// After a report, others follow as a rule: so long they are gathered before reading.
const GATHER: Duration = Duration::from_millis(10);
/// Looks that reports ask for keep this distance at least…
const LOOK_GAP_MIN: Duration = Duration::from_millis(100);
/// …and take at most this part of the time.
const LOOK_SHARE: u32 = 10;

/// What was found, for the line that the program says at start and for the status page.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Where the files come from.
    pub kinds: Vec<SourceKind>,
    /// How many files there are to follow.
    pub n_files: usize,
    /// How many files were left alone by their name, by reason.
    pub left_alone: BTreeMap<&'static str, usize>,
}

/// Writes `14 log files (pod logs)`.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.n_files == 1 { "file" } else { "files" };
        write!(f, "{} log {noun}", self.n_files)?;
        for (i, kind) in self.kinds.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { " (" } else { ", " }, kind.as_str())?;
        }
        if self.kinds.is_empty() {
            Ok(())
        } else {
            f.write_str(")")
        }
    }
}

/// Follows log files into a sink.
pub struct LogTail {
    config: Config,
    sink: Arc<dyn LogSink>,
    metrics: Metrics,
    statuses: Statuses,
    positions: Positions,
    summary: Mutex<Summary>,
}

impl LogTail {
    /// Checks the settings and has a first look at what there is.
    ///
    /// # Errors
    /// A pattern that does not parse, a number out of range.
    pub fn new(config: Config, sink: Arc<dyn LogSink>, metrics: Metrics) -> Result<Self, Error> {
        config.check()?;
        Readings::new(&config)?;
        let open_files_max = i64::try_from(config.open_files_max).unwrap_or(i64::MAX);
        metrics.open_files_max.set(open_files_max);
        let mut finder = Finder::new(&config)?;
        let found = finder.find();
        let summary = Summary {
            kinds: finder.kinds().iter().copied().collect(),
            n_files: found.files.len(),
            left_alone: found.left_alone,
        };
        Ok(Self {
            config,
            sink,
            metrics,
            statuses: Statuses::default(),
            positions: Positions::default(),
            summary: Mutex::new(summary),
        })
    }

    /// What there is to follow, as of the last look.
    pub fn summary(&self) -> Summary {
        self.summary.lock().clone()
    }

    /// Every file with what is being done with it.
    pub fn sources(&self) -> Vec<LogSource> {
        let now_ns = model::time::now_ns();
        let statuses = self.statuses.read();
        statuses
            .values()
            .map(|status| status.source(now_ns))
            .collect()
    }

    /// The collector as a whole: what it holds open, and which limits it has reached.
    pub fn collector(&self) -> LogCollector {
        let metrics = &self.metrics;
        let max = self.config.open_files_max;
        let mut notices = Vec::new();
        let bound = metrics.open_files_bound_reached.get();
        if bound > 0 {
            notices.push(format!(
                "all {max} log files that may be open at a time were open ({bound} times since \
                 the start): files take turns, and one that is deleted while it is closed may \
                 lose its last lines; raise logs.open_files and the process's limit of open files"
            ));
        }
        if metrics.files_bound_reached.get() > 0 {
            notices.push(format!(
                "there are more than {FILES_MAX} log files, further ones are not followed: name \
                 fewer under logs.files"
            ));
        }
        let unwatched = metrics.watch_errors.get();
        if unwatched > 0 {
            notices.push(format!(
                "the system does not report changes of {unwatched} folders, they are looked at \
                 every {} s instead: raise fs.inotify.max_user_watches or max_user_instances",
                self.config.rescan_interval.as_secs().max(1)
            ));
        }
        LogCollector {
            open_files: usize::try_from(metrics.open_files.get()).unwrap_or(0),
            open_files_max: max,
            notices,
        }
    }

    /// Follows the files until `cancel`. Blocks its thread; returns within half a second of the
    /// cancellation unless the sink keeps it waiting. May be called again after it returned or
    /// panicked: it goes on behind what the sink has taken.
    pub fn run(&self, cancel: &CancellationToken) {
        let Err(Stopped) = self.follow(cancel);
        info!("stopped following log files");
    }

    fn follow(&self, cancel: &CancellationToken) -> Result<Infallible, Stopped> {
        let outlet = Outlet::new(
            Arc::clone(&self.sink),
            self.metrics.clone(),
            cancel.clone(),
            Arc::clone(&self.positions),
        );
        let parsed = Finder::new(&self.config).and_then(|finder| {
            let readings = Readings::new(&self.config)?;
            Ok((finder, readings))
        });
        let (finder, readings) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                warn!(%error, "cannot look for log files");
                return Err(Stopped);
            }
        };
        let mut files = Files::new(
            self.config.clone(),
            finder,
            readings,
            outlet,
            self.metrics.clone(),
            Arc::clone(&self.statuses),
            model::time::now_ns(),
        )?;
        let inbox = Arc::new(Inbox::default());
        let mut watch = Watch::new(&inbox, self.metrics.clone());
        let started = Instant::now();
        let mut looks = Looks::default();
        loop {
            if cancel.is_cancelled() {
                return Err(Stopped);
            }
            let heard = inbox.take();
            if heard.lost {
                self.metrics.events_lost.inc();
            }
            looks.wanted |= heard.structure || heard.lost || files.take_look_wanted();
            let elapsed = started.elapsed();
            if looks.is_due(elapsed) {
                let found = files.look(now(elapsed))?;
                // What happened in a new folder before it was watched is found by another look.
                let new_folders = watch.set(
                    (found.folders.iter().map(std::path::PathBuf::as_path))
                        .chain(files.link_folders()),
                );
                *self.summary.lock() = Summary {
                    kinds: files.finder().kinds().iter().copied().collect(),
                    n_files: found.files.len(),
                    left_alone: found.left_alone,
                };
                looks.done(elapsed, started.elapsed(), self.config.rescan_interval);
                looks.wanted = new_folders;
            }
            for path in &heard.paths {
                files.touched(path);
            }
            let more = files.round(now(started.elapsed()))?;
            if !more {
                let elapsed = started.elapsed();
                let due = files.next_due().map(|due| due.saturating_sub(elapsed));
                let pause = looks.until_next(elapsed).min(CANCEL_STEP);
                inbox.wait(pause.min(due.unwrap_or(pause)));
                std::thread::sleep(GATHER);
            }
        }
    }
}

fn now(elapsed: Duration) -> Now {
    Now {
        wall_ns: model::time::now_ns(),
        elapsed,
    }
}

/// When to look at the folders again; all times since the start.
#[derive(Debug, Default)]
struct Looks {
    /// A report asks for one.
    wanted: bool,
    regular_at: Duration,
    wanted_at: Duration,
}

impl Looks {
    fn is_due(&self, elapsed: Duration) -> bool {
        elapsed >= self.regular_at || (self.wanted && elapsed >= self.wanted_at)
    }

    fn done(&mut self, began: Duration, ended: Duration, interval: Duration) {
        let cost = ended.saturating_sub(began);
        self.regular_at = ended + interval.max(cost * LOOK_SHARE);
        self.wanted_at = ended + LOOK_GAP_MIN.max(cost * LOOK_SHARE);
    }

    fn until_next(&self, elapsed: Duration) -> Duration {
        let at = if self.wanted {
            self.regular_at.min(self.wanted_at)
        } else {
            self.regular_at
        };
        at.saturating_sub(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_reads_well() {
        let summary = Summary {
            kinds: vec![SourceKind::Pods, SourceKind::VarLog],
            n_files: 14,
            left_alone: BTreeMap::new(),
        };
        assert_eq!(
            summary.to_string(),
            "14 log files (pod logs, text files in /var/log)"
        );
        assert_eq!(Summary::default().to_string(), "0 log files");
    }

    #[test]
    fn looks_keep_their_distance() {
        let seconds = Duration::from_secs;
        let mut looks = Looks::default();
        assert!(looks.is_due(seconds(0)));
        looks.done(seconds(10), seconds(11), seconds(5));
        looks.wanted = true;
        assert!(!looks.is_due(seconds(20)), "a look of a second rests ten");
        assert!(looks.is_due(seconds(21)));
        assert_eq!(looks.until_next(seconds(20)), seconds(1));
    }
}
