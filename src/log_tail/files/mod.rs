//! All files that are followed: who is who (`look`), where the rest of one is that moved
//! (`predecessors`), which rotated ones are new (`unread`), and whose turn it is (`turns`).
//!
//! Has no clock and no threads: times are arguments.

mod danger;
mod look;
mod predecessors;
mod turns;
mod unread;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use crate::config::Config;
use crate::find::{Finder, origin};
use crate::follow::{Follow, Setting};
use crate::identity::{Head, Inode};
use crate::metrics::Metrics;
use crate::outlet::{Outlet, Stopped};
use crate::reading::Readings;
use crate::restore::Restoring;
use crate::siblings::COMMIT_DELAY_MAX_NS;
use crate::status::Status;

/// A followed file's number, in the order in which they were found.
pub(crate) type Key = u64;

/// What is told about all files.
pub(crate) type Statuses = Arc<RwLock<BTreeMap<Key, Arc<Status>>>>;

/// The time of a look or a round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// Nanoseconds since 1970-01-01 UTC.
    pub(crate) wall_ns: i64,
    /// Since the collector started; never goes back.
    pub(crate) elapsed: Duration,
}

/// A file with what concerns its neighbours.
struct Entry {
    follow: Follow,
    queued: bool,
    /// The file that has to be read first.
    after: Option<Key>,
    /// When the last turn found something to read.
    active_at: Duration,
    /// A renamed file that is closed until it changes.
    settled: bool,
    /// The path behind the link, where the path is a link.
    target: Option<PathBuf>,
    /// Its account as of the last judgement of danger.
    seen: Option<danger::Seen>,
}

/// The files that are followed.
pub(crate) struct Files {
    config: Config,
    finder: Finder,
    outlet: Outlet,
    metrics: Metrics,
    statuses: Statuses,
    entries: HashMap<Key, Entry>,
    next_key: Key,
    by_inode: HashMap<Inode, Key>,
    by_path: HashMap<PathBuf, Key>,
    /// By first name: the live file and the rotated ones.
    by_origin: HashMap<PathBuf, Vec<Key>>,
    queue: VecDeque<Key>,
    /// Open files, longest open first; may name some that are closed by now.
    open: VecDeque<Key>,
    n_open: usize,
    /// Files with a record that is held back, with when it is due.
    holding: HashMap<Key, Duration>,
    readings: Readings,
    /// How fast the logs are written and read in which something happens, by first name.
    paces: HashMap<PathBuf, danger::Pace>,
    judged_at: Duration,
    /// Names under which this process has found files.
    begun: HashSet<PathBuf>,
    /// Whether the store knows no positions.
    first_ever: bool,
    restoring: Option<Restoring>,
    /// What is known of files that are followed no more, by first name.
    gone: HashMap<PathBuf, Gone>,
    /// Rotated files that were written later and are not known hold lines that nobody has read.
    unread_since_ns: i64,
    buffer: Vec<u8>,
    look_wanted: bool,
    said: Said,
}

/// What is known of the files of a name that are followed no more.
#[derive(Debug, Default)]
struct Gone {
    /// Heads of those whose checkpoints fitted nothing: copies of them are known.
    heads: Vec<Head>,
    /// Time of the last record that was handed over of them.
    last_ns: i64,
}

/// Sentences that are said once per process and not at every look.
#[derive(Default)]
struct Said {
    too_many_open: bool,
    too_many_files: bool,
    unreadable: BTreeSet<PathBuf>,
    endangered: BTreeSet<PathBuf>,
}

impl Files {
    /// Asks the store for the checkpoints, for as long as it takes.
    pub(crate) fn new(
        config: Config,
        finder: Finder,
        readings: Readings,
        mut outlet: Outlet,
        metrics: Metrics,
        statuses: Statuses,
        now_ns: i64,
    ) -> Result<Self, Stopped> {
        let restoring = Restoring::new(outlet.committed_positions()?, &metrics);
        let known_ns = restoring.told_ns().or(config.since_ns);
        let told_ns = known_ns.unwrap_or(now_ns).min(now_ns);
        statuses.write().clear();
        Ok(Self {
            config,
            finder,
            outlet,
            metrics,
            statuses,
            entries: HashMap::new(),
            next_key: 0,
            by_inode: HashMap::new(),
            by_path: HashMap::new(),
            by_origin: HashMap::new(),
            queue: VecDeque::new(),
            open: VecDeque::new(),
            n_open: 0,
            holding: HashMap::new(),
            readings,
            paces: HashMap::new(),
            judged_at: Duration::ZERO,
            begun: HashSet::new(),
            first_ever: restoring.is_empty(),
            restoring: Some(restoring),
            gone: HashMap::new(),
            unread_since_ns: told_ns.saturating_sub(COMMIT_DELAY_MAX_NS),
            buffer: Vec::new(),
            look_wanted: false,
            said: Said::default(),
        })
    }

    /// Whether something happened that only a look can explain. Asking resets it.
    pub(crate) fn take_look_wanted(&mut self) -> bool {
        std::mem::take(&mut self.look_wanted)
    }

    pub(crate) fn finder(&self) -> &Finder {
        &self.finder
    }

    /// Something happened at this path. Returns whether it is that of a followed file.
    pub(crate) fn touched(&mut self, path: &Path) -> bool {
        let Some(&key) = self.by_path.get(path) else {
            return false;
        };
        if let Some(entry) = self.entries.get(&key)
            && !entry.follow.is_refused()
        {
            self.enqueue(key);
        }
        true
    }

    /// What is set for a file that was found first at `origin`.
    fn setting(&self, origin: &Path) -> Setting {
        Setting {
            labels: origin::labels(origin, self.config.host.as_deref()),
            reading: self.readings.of(origin),
            line_bytes_max: self.config.line_bytes_max,
            zone: self.config.zone.clone(),
        }
    }

    fn insert(&mut self, mut follow: Follow, after: Option<Key>, now: Now) {
        let is_open = self.n_open < self.config.open_files_max && {
            // It must not be renamed and deleted before its turn: its inode would be given to the
            // next file, and of a file that was never read there is no head to tell them apart.
            follow.hold_open();
            follow.is_open()
        };
        let key = self.next_key;
        self.next_key += 1;
        let is_link = fs::symlink_metadata(&follow.path).is_ok_and(|m| m.is_symlink());
        let target = is_link
            .then(|| fs::canonicalize(&follow.path).ok())
            .flatten();
        let same_origin = self.by_origin.entry(follow.origin.clone()).or_default();
        same_origin.push(key);
        self.by_inode.insert(follow.inode, key);
        self.by_path.insert(follow.path.clone(), key);
        if let Some(target) = &target {
            self.by_path.insert(target.clone(), key);
        }
        self.statuses
            .write()
            .insert(key, Arc::clone(&follow.status));
        self.entries.insert(
            key,
            Entry {
                follow,
                queued: false,
                after,
                active_at: now.elapsed,
                settled: false,
                target,
                seen: None,
            },
        );
        self.count_open(key, false, is_open);
        self.enqueue(key);
    }

    fn remove(&mut self, key: Key) {
        let Some(entry) = self.entries.remove(&key) else {
            return;
        };
        if entry.follow.is_open() {
            self.count_open(key, true, false);
        }
        self.holding.remove(&key);
        if let Some(keys) = self.by_origin.get_mut(&entry.follow.origin) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.by_origin.remove(&entry.follow.origin);
            }
        }
        entry.follow.forget(&mut self.outlet);
        if self.by_inode.get(&entry.follow.inode) == Some(&key) {
            self.by_inode.remove(&entry.follow.inode);
        }
        for path in [Some(&entry.follow.path), entry.target.as_ref()]
            .into_iter()
            .flatten()
        {
            if self.by_path.get(path) == Some(&key) {
                self.by_path.remove(path);
            }
        }
        self.statuses.write().remove(&key);
    }

    /// The followed files with this first name.
    fn of_origin(&self, origin: &Path) -> impl Iterator<Item = (Key, &Entry)> {
        let keys = self.by_origin.get(origin).into_iter().flatten();
        keys.filter_map(|key| Some((*key, self.entries.get(key)?)))
    }

    fn enqueue(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(&key)
            && !std::mem::replace(&mut entry.queued, true)
        {
            self.queue.push_back(key);
        }
    }

    fn count_open(&mut self, key: Key, was_open: bool, is_open: bool) {
        if is_open && !was_open {
            self.n_open += 1;
            self.open.push_back(key);
        } else if was_open && !is_open {
            self.n_open -= 1;
        }
        self.metrics.open_files.set(self.n_open as i64);
    }

    fn path_of(&self, key: Key) -> String {
        let entry = self.entries.get(&key);
        entry.map_or_else(String::new, |entry| entry.follow.path.display().to_string())
    }

    /// Folders behind links, whose changes are reported there and not where the link is.
    pub(crate) fn link_folders(&self) -> impl Iterator<Item = &Path> {
        (self.entries.values()).filter_map(|entry| entry.target.as_deref()?.parent())
    }

    fn note_totals(&self) {
        use std::sync::atomic::Ordering::Relaxed;
        let (mut lag, mut failed) = (0, 0);
        for entry in self.entries.values() {
            lag += entry.follow.status.lag_bytes.load(Relaxed);
            failed += i64::from(entry.follow.status.is_failed());
        }
        self.metrics
            .lag_bytes
            .set(i64::try_from(lag).unwrap_or(i64::MAX));
        self.metrics.files_failed.set(failed);
    }
}
