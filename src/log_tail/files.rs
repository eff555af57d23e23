//! All files that are followed: who is who after a look at the folders, and whose turn it is.
//!
//! A look ([`Files::look`]) works in this order:
//!
//! 1. The paths that were found are asked for their inodes.
//! 2. Every followed file that is not under its path any more is looked for: among the found
//!    paths, then by inode in its folder. There it was renamed, else it is gone.
//! 3. Found inodes that nobody follows go on from a checkpoint if one fits, else they are new.
//!    A new file under a name from which another was renamed waits until that one is read.
//!    Rotated files of that name that nobody has followed (`siblings`) come before it.
//! 4. At the first look, checkpoints that fit no found file are looked for in their folder, since
//!    they may have been renamed in the meantime: by inode, else (truncated in place) as a copy
//!    with the same head. What is not there any more is forgotten.
//!
//! Turns ([`Files::round`]) go round all files that have something to read, a chunk each. Has no
//! clock and no threads: times are arguments.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fs::{self, Metadata};
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tracing::{debug, info, warn};

use crate::checkpoint::State;
use crate::config::{Config, Start};
use crate::find::{FILES_MAX, Finder, Found, origin};
use crate::follow::{Follow, Place, Surroundings, TurnEnd, last_line_end, read_head};
use crate::identity::{Head, Inode};
use crate::metrics::Metrics;
use crate::outlet::{Outlet, Stopped};
use crate::restore::{Restored, Restoring};
use crate::siblings::{COMMIT_DELAY_MAX_NS, Siblings};
use crate::status::Status;

/// A renamed file to which nothing was written for so long is closed; a line that it does not
/// end counts as ended.
const RENAMED_QUIET: Duration = Duration::from_mins(1);
/// A file without a name is closed and forgotten when nothing was written for so long.
const GONE_QUIET: Duration = Duration::from_secs(5);

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
    queue: VecDeque<Key>,
    /// Open files, longest open first; may name some that are closed by now.
    open: VecDeque<Key>,
    n_open: usize,
    restoring: Option<Restoring>,
    /// Heads of files whose checkpoints fitted nothing, by first name: copies of them are known.
    heads_gone: HashMap<PathBuf, Vec<Head>>,
    /// Rotated files that were written later and are not known hold lines that nobody has read.
    unread_since_ns: i64,
    buffer: Vec<u8>,
    look_wanted: bool,
    said: Said,
}

/// Sentences that are said once per process and not at every look.
#[derive(Default)]
struct Said {
    too_many_open: bool,
    too_many_files: bool,
    unreadable: BTreeSet<PathBuf>,
}

/// What a found path leads to.
struct Seen {
    path: PathBuf,
    metadata: Metadata,
}

impl Files {
    /// Asks the store for the checkpoints, for as long as it takes.
    pub(crate) fn new(
        config: Config,
        finder: Finder,
        mut outlet: Outlet,
        metrics: Metrics,
        statuses: Statuses,
        now_ns: i64,
    ) -> Result<Self, Stopped> {
        let restoring = Restoring::new(outlet.committed_positions()?, &metrics);
        let told_ns = restoring.told_ns().unwrap_or(now_ns).min(now_ns);
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
            queue: VecDeque::new(),
            open: VecDeque::new(),
            n_open: 0,
            restoring: Some(restoring),
            heads_gone: HashMap::new(),
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

    /// Looks at the folders and finds out who is who. Returns what was found, with the folders
    /// in which files could appear.
    pub(crate) fn look(&mut self, now: Now) -> Result<Found, Stopped> {
        let found = self.finder.find();
        self.say_unreadable(&found);
        let mut here: HashMap<Inode, Seen> = HashMap::new();
        for path in &found.files {
            // Gone again, or in a folder that cannot be entered: the next look tells.
            let Ok(metadata) = fs::metadata(path) else {
                continue;
            };
            if metadata.is_file() {
                here.entry(Inode::of(&metadata)).or_insert_with(|| Seen {
                    path: path.clone(),
                    metadata,
                });
            }
        }
        let keys: Vec<Key> = self.entries.keys().copied().collect();
        for key in keys {
            self.look_at(key, &here, now);
        }
        let restoring = self.restoring.take();
        let first_look = restoring.is_some();
        let first_ever = restoring.as_ref().is_some_and(Restoring::is_empty);
        if let Some(mut restoring) = restoring {
            for (inode, seen) in &here {
                if let Some(restored) = restoring.fitting(*inode, &seen.path, &seen.metadata) {
                    self.resume(restored, seen.path.clone(), *inode, now);
                }
            }
            for restored in restoring.rest() {
                self.resume_renamed_or_forget(restored, &found, now);
            }
        }
        let mut new: Vec<(Inode, Seen)> = here
            .into_iter()
            .filter(|(inode, _)| !self.by_inode.contains_key(inode))
            .collect();
        new.sort_by(|a, b| a.1.path.cmp(&b.1.path));
        let at_end = first_look && first_ever && self.config.start == Start::End;
        let mut siblings = Siblings::default();
        for (inode, seen) in new {
            if !at_end {
                self.begin_siblings(&seen.path, &mut siblings, now);
            }
            self.begin(inode, seen, at_end, now);
        }
        self.outlet.flush()?;
        self.metrics.files.set(self.entries.len() as i64);
        self.note_totals();
        Ok(found)
    }

    /// Gives each file that has something to read a turn. Returns whether there is more to read.
    pub(crate) fn round(&mut self, now: Now) -> Result<bool, Stopped> {
        let mut more = false;
        for _ in 0..self.queue.len() {
            let Some(key) = self.queue.pop_front() else {
                break;
            };
            if !self.entries.contains_key(&key) {
                continue;
            }
            if self.must_wait(key) {
                self.queue.push_back(key);
                continue;
            }
            if !self.make_room(key) {
                self.queue.push_back(key);
                continue;
            }
            more |= self.turn(key, now)?;
            self.outlet.flush_if_large()?;
        }
        self.outlet.flush()?;
        Ok(more)
    }

    fn turn(&mut self, key: Key, now: Now) -> Result<bool, Stopped> {
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(false);
        };
        entry.queued = false;
        entry.settled = false;
        let was_open = entry.follow.is_open();
        let read_before = entry.follow.bytes_read();
        let mut around = Surroundings {
            outlet: &mut self.outlet,
            metrics: &self.metrics,
            buffer: &mut self.buffer,
            now_ns: now.wall_ns,
        };
        let end = entry.follow.turn(&mut around)?;
        if entry.follow.bytes_read() > read_before {
            entry.active_at = now.elapsed;
        }
        let quiet = now.elapsed.saturating_sub(entry.active_at);
        let mut forget = false;
        if end == TurnEnd::AtEnd {
            match entry.follow.place {
                Place::Gone if quiet >= GONE_QUIET => {
                    entry.follow.finish(&mut around)?;
                    forget = true;
                }
                Place::Renamed if quiet >= RENAMED_QUIET => {
                    entry.follow.finish(&mut around)?;
                    entry.follow.close();
                    entry.settled = true;
                }
                _ => {}
            }
        }
        let is_open = entry.follow.is_open();
        self.count_open(key, was_open, is_open);
        match end {
            TurnEnd::More => self.enqueue(key),
            TurnEnd::Moved => self.look_wanted = true,
            TurnEnd::AtEnd | TurnEnd::Failed => {}
        }
        if forget {
            info!(path = %self.path_of(key), "log file was deleted, all of it is read");
            self.metrics.files_gone.inc();
            self.remove(key);
        }
        Ok(end == TurnEnd::More)
    }

    /// Whether a file has to wait until the one that was renamed before it is read.
    fn must_wait(&mut self, key: Key) -> bool {
        let Some(before) = self.entries.get(&key).and_then(|entry| entry.after) else {
            return false;
        };
        let waits = self.entries.get(&before).is_some_and(|entry| {
            !entry.follow.at_end && entry.queued && !entry.follow.status.is_failed()
        });
        if !waits && let Some(entry) = self.entries.get_mut(&key) {
            entry.after = None;
        }
        waits
    }

    /// Sees to it that a file can be opened within the bound. `false`: not now.
    fn make_room(&mut self, key: Key) -> bool {
        let is_open = |files: &Self, key| {
            let entry = files.entries.get(&key);
            entry.is_some_and(|entry| entry.follow.is_open())
        };
        if is_open(self, key) || self.n_open < self.config.open_files_max {
            return true;
        }
        for _ in 0..self.open.len() {
            let Some(oldest) = self.open.pop_front() else {
                break;
            };
            if !is_open(self, oldest) {
                continue;
            }
            let Some(entry) = self.entries.get_mut(&oldest) else {
                continue;
            };
            if entry.follow.place == Place::Gone {
                // Closed, it could not be opened again.
                self.open.push_back(oldest);
                continue;
            }
            entry.follow.close();
            self.count_open(oldest, true, false);
            self.metrics.open_files_bound_reached.inc();
            if !std::mem::replace(&mut self.said.too_many_open, true) {
                warn!(
                    open_files_max = self.config.open_files_max,
                    files = self.entries.len(),
                    "more log files than may be open at a time, they are opened in turn; a file \
                     that is deleted while it is closed may lose its last lines"
                );
            }
            return true;
        }
        false
    }

    /// Step 2: is a followed file still where it was?
    fn look_at(&mut self, key: Key, here: &HashMap<Inode, Seen>, now: Now) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        let follow = &mut entry.follow;
        if follow.place == Place::Gone {
            return self.enqueue(key);
        }
        let seen = here.get(&follow.inode);
        let there = match seen {
            Some(seen) if seen.path == follow.path => Some(seen.metadata.clone()),
            // Renamed before, or another name of a found file: still there?
            _ => fs::metadata(&follow.path)
                .ok()
                .filter(|metadata| Inode::of(metadata) == follow.inode),
        };
        if let Some(metadata) = there {
            follow.note_size(metadata.len());
            let failed = follow.status.is_failed() && !follow.is_refused();
            let waits_for_end = follow.place == Place::Renamed && !entry.settled;
            if follow.has_changed(&metadata) || failed || waits_for_end {
                self.enqueue(key);
            }
            return;
        }
        let candidate = seen
            .map(|seen| seen.path.clone())
            .or_else(|| by_inode_in(follow.path.parent()?, follow.inode));
        // While a file is open its inode is given to no other.
        let candidate = candidate.filter(|path| follow.is_open() || follow.is_at(path));
        match candidate {
            Some(path) => {
                debug!(from = %follow.path.display(), to = %path.display(), "log file was renamed");
                self.metrics.rotations.inc();
                entry.settled = false;
                entry.active_at = now.elapsed;
                // What was written since the last turn comes before the new file's lines.
                entry.follow.at_end = false;
                let old = std::mem::replace(&mut entry.follow.path, path.clone());
                let target = entry.target.take();
                entry.follow.renamed_to(path.clone());
                self.by_path.remove(&old);
                if let Some(target) = target {
                    self.by_path.remove(&target);
                }
                self.by_path.insert(path, key);
                self.enqueue(key);
            }
            None if follow.is_open() => {
                follow.place = Place::Gone;
                follow.at_end = false;
                entry.active_at = now.elapsed;
                let path = follow.path.clone();
                self.by_path.remove(&path);
                self.enqueue(key);
            }
            None => {
                if follow.at_end {
                    self.metrics.files_gone.inc();
                } else {
                    self.metrics.files_lost.inc();
                    warn!(path = %follow.path.display(), "log file vanished before it was read to its end, lines may be missing");
                }
                self.remove(key);
            }
        }
    }

    /// Step 3: goes on where an earlier process stopped.
    fn resume(&mut self, restored: Restored, path: PathBuf, inode: Inode, now: Now) {
        let Restored { source, mut state } = restored;
        // Found under a name that a pattern matches: its labels still come from its first name.
        state.path = path;
        state.inode = inode;
        let labels = origin::labels(&state.origin, self.config.host.as_deref());
        let follow = Follow::resumed(source, state, labels, &self.config);
        self.insert(follow, None, now);
    }

    /// Step 4: a checkpoint whose file was not found under a name that a pattern matches.
    fn resume_renamed_or_forget(&mut self, restored: Restored, found: &Found, now: Now) {
        let state = &restored.state;
        let is_it = |path: &Path| {
            let inode = fs::metadata(path).ok().filter(Metadata::is_file)?;
            (Inode::of(&inode).number == state.inode.number
                && crate::restore::fits(state, path, &inode))
            .then(|| (path.to_owned(), Inode::of(&inode)))
        };
        let place = is_it(&state.path).or_else(|| {
            let folder = state.path.parent()?;
            let device = fs::metadata(folder)
                .ok()
                .map(|metadata| Inode::of(&metadata).device)?;
            is_it(&by_inode_in(
                folder,
                Inode {
                    device,
                    ..state.inode
                },
            )?)
        });
        match place {
            // Where it always was: the configuration names it no more. Its position is kept, in
            // case that the configuration changes back.
            Some((path, _)) if path == state.origin && !found.files.contains(&path) => {}
            Some((path, inode)) => {
                if !self.by_inode.contains_key(&inode) {
                    self.resume(restored, path, inode, now);
                }
            }
            None => {
                if let Some(restored) = self.resume_copy(restored, now) {
                    self.forget_lost(restored);
                }
            }
        }
    }

    /// Step 4: the rest of a file that was copied and truncated is in the copy. Gives the
    /// checkpoint back where there is none.
    fn resume_copy(&mut self, restored: Restored, now: Now) -> Option<Restored> {
        let state = &restored.state;
        let truncated = fs::metadata(&state.origin)
            .is_ok_and(|metadata| Inode::of(&metadata).number == state.inode.number);
        if !truncated {
            return Some(restored);
        }
        let mut copies = Siblings::default().of(&state.origin, state.told_ns);
        copies.retain(|copy| {
            copy.continues(state.head)
                && copy.bytes >= state.offset
                && !self.by_inode.contains_key(&copy.inode)
        });
        let Some(copy) = copies.pop() else {
            return Some(restored);
        };
        self.resume(restored, copy.path, copy.inode, now);
        None
    }

    fn forget_lost(&mut self, restored: Restored) {
        let Restored { source, state } = restored;
        debug!(path = %state.path.display(), "log file is gone or was rewritten since the last run");
        self.metrics.files_lost.inc();
        self.heads_gone
            .entry(state.origin)
            .or_default()
            .push(state.head);
        self.outlet.position(model::Checkpoint {
            source,
            state: None,
        });
    }

    /// Step 3: rotated files of a name that is new, which nobody has read.
    fn begin_siblings(&mut self, path: &Path, siblings: &mut Siblings, now: Now) {
        let candidates = siblings.of(path, self.unread_since_ns);
        if candidates.is_empty() {
            return;
        }
        let mut known: Vec<Head> = self.heads_gone.get(path).cloned().unwrap_or_default();
        let start = read_head(path).unwrap_or_default();
        for entry in self
            .entries
            .values()
            .filter(|entry| entry.follow.origin == path)
        {
            known.extend(entry.follow.heads());
        }
        for sibling in candidates {
            let is_copy = known.iter().any(|head| sibling.is_copy_of(*head));
            if is_copy || sibling.is_part_of(&start) || self.by_inode.contains_key(&sibling.inode) {
                continue;
            }
            info!(path = %sibling.path.display(), "found a rotated log file that was not read, reading it first");
            known.push(Head::of(&sibling.start));
            let state = State {
                inode: sibling.inode,
                head: Head::default(),
                path: sibling.path,
                origin: path.to_owned(),
                offset: 0,
                pending: [None, None],
                told_ns: now.wall_ns,
            };
            let labels = origin::labels(path, self.config.host.as_deref());
            let before = self.last_renamed_from(path);
            let follow = Follow::new(state, labels, now.wall_ns, &self.config);
            self.insert(follow, before, now);
        }
    }

    /// The file that had this name last, while it is not read to its end.
    fn last_renamed_from(&self, path: &Path) -> Option<Key> {
        let renamed = self.entries.iter().filter(|(_, entry)| {
            entry.follow.origin == path
                && entry.follow.place != Place::Named
                && !entry.follow.at_end
        });
        renamed.map(|(key, _)| *key).max()
    }

    /// Step 3: a file that nobody has read.
    fn begin(&mut self, inode: Inode, seen: Seen, at_end: bool, now: Now) {
        if self.entries.len() >= FILES_MAX {
            self.metrics.files_bound_reached.inc();
            if !std::mem::replace(&mut self.said.too_many_files, true) {
                warn!(files_max = FILES_MAX, path = %seen.path.display(), "too many log files, further ones are not followed");
            }
            return;
        }
        let offset = if at_end {
            last_line_end(&seen.path).unwrap_or(seen.metadata.len())
        } else {
            0
        };
        let labels = origin::labels(&seen.path, self.config.host.as_deref());
        let before = self.last_renamed_from(&seen.path);
        let path = seen.path.clone();
        let state = State {
            inode,
            head: Head::default(),
            origin: path.clone(),
            path: seen.path,
            offset,
            pending: [None, None],
            told_ns: now.wall_ns,
        };
        let mut follow = Follow::new(state, labels, now.wall_ns, &self.config);
        if at_end {
            follow.tell_position();
        }
        follow.note_size(seen.metadata.len());
        debug!(path = %path.display(), offset, "following log file");
        self.insert(follow, before, now);
    }

    fn insert(&mut self, follow: Follow, after: Option<Key>, now: Now) {
        let key = self.next_key;
        self.next_key += 1;
        let is_link = fs::symlink_metadata(&follow.path).is_ok_and(|m| m.is_symlink());
        let target = is_link
            .then(|| fs::canonicalize(&follow.path).ok())
            .flatten();
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
            },
        );
        self.enqueue(key);
    }

    fn remove(&mut self, key: Key) {
        let Some(entry) = self.entries.remove(&key) else {
            return;
        };
        if entry.follow.is_open() {
            self.count_open(key, true, false);
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

    fn say_unreadable(&mut self, found: &Found) {
        for (folder, error) in &found.unreadable {
            if self.said.unreadable.insert(folder.clone()) {
                warn!(folder = %folder.display(), %error, "cannot list folder, log files in it are not found");
            }
        }
        // Said again when it becomes unreadable again.
        let unreadable: BTreeSet<&Path> = found
            .unreadable
            .iter()
            .map(|(folder, _)| folder.as_path())
            .collect();
        self.said
            .unreadable
            .retain(|folder| unreadable.contains(folder.as_path()));
    }
}

/// The path of an inode in a folder, without asking every file.
fn by_inode_in(folder: &Path, inode: Inode) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.ino() == inode.number)
        .map(|entry| entry.path())
        .find(|path| fs::metadata(path).is_ok_and(|metadata| Inode::of(&metadata) == inode))
}
