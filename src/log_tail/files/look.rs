//! A look at the folders: who is who after files came, went and were renamed.
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

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, Metadata};
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

use tracing::{debug, info, warn};

use super::{Files, Key, Now};
use crate::checkpoint::State;
use crate::config::Start;
use crate::disk::{last_line_end, read_head};
use crate::find::{FILES_MAX, Found};
use crate::follow::{Follow, Place};
use crate::identity::{Head, Inode};
use crate::outlet::Stopped;
use crate::restore::{Restored, Restoring};
use crate::siblings::Siblings;

/// What kind of look found a new file.
#[derive(Debug, Clone, Copy)]
struct Looks {
    /// It is the first of this process.
    first_look: bool,
    /// It is the first ever, and files that are there already are read from their end.
    at_end: bool,
}

/// What a found path leads to.
struct Seen {
    path: PathBuf,
    metadata: Metadata,
}

impl Files {
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
        let looks = Looks {
            first_look,
            at_end: first_look && first_ever && self.config.start == Start::End,
        };
        let mut siblings = Siblings::default();
        for (inode, seen) in new {
            if !looks.at_end {
                self.begin_siblings(&seen.path, &mut siblings, now);
            }
            self.begin(inode, seen, looks, now);
        }
        self.outlet.flush()?;
        self.metrics.files.set(self.entries.len() as i64);
        self.note_totals();
        Ok(found)
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
        let setting = self.setting(&state.origin);
        let follow = Follow::resumed(source, state, setting);
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
            let state = State::at(0, sibling.inode, sibling.path, path.to_owned(), now.wall_ns);
            let before = self.last_renamed_from(path);
            let follow = Follow::new(state, self.setting(path));
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
    fn begin(&mut self, inode: Inode, seen: Seen, looks: Looks, now: Now) {
        let Looks { first_look, at_end } = looks;
        if self.entries.len() >= FILES_MAX {
            self.metrics.files_bound_reached.inc();
            if !std::mem::replace(&mut self.said.too_many_files, true) {
                warn!(files_max = FILES_MAX, path = %seen.path.display(), "too many log files, further ones are not followed");
            }
            return;
        }
        let setting = self.setting(&seen.path);
        // A rule for the file says more than the setting for all, and counts at each start.
        let at_end = match setting.reading.start {
            Start::End if setting.reading.start_named => first_look,
            Start::End => at_end,
            Start::Beginning => false,
        };
        let offset = if at_end {
            last_line_end(&seen.path).unwrap_or(seen.metadata.len())
        } else {
            0
        };
        let before = self.last_renamed_from(&seen.path);
        let path = seen.path.clone();
        let state = State::at(offset, inode, seen.path, path.clone(), now.wall_ns);
        let mut follow = Follow::new(state, setting);
        if at_end {
            follow.tell_position();
        }
        follow.note_size(seen.metadata.len());
        debug!(path = %path.display(), offset, "following log file");
        self.insert(follow, before, now);
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
