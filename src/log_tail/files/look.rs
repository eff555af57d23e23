//! A look at the folders: who is who after files came, went and were renamed.
//!
//! 1. The paths that were found are asked for their inodes.
//! 2. Every followed file that is not under its path any more is looked for: among the found
//!    paths, then by inode in its folder. There it was renamed, else it is gone.
//! 3. Found inodes that nobody follows go on from a checkpoint if one fits, else they are new.
//!    A new file under a name from which another was renamed waits until that one is read.
//!    Rotated files of that name that nobody has followed (`siblings`) come before it.
//!    Such a one may be the found file itself, renamed since it was found: it is begun once.
//! 4. (`predecessors`) At the first look, checkpoints that fit no found file are looked for in their folder, since
//!    they may have been renamed in the meantime: by inode, else (truncated in place) as a copy
//!    with the same head. What is not there any more is forgotten.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, Metadata};
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

use tracing::{debug, warn};

use super::{Files, Key, Now};
use crate::checkpoint::State;
use crate::config::Start;
use crate::disk::{last_line_end, modified_ns};
use crate::find::{FILES_MAX, Found};
use crate::follow::{Follow, Place};
use crate::identity::Inode;
use crate::outlet::Stopped;
use crate::siblings::Siblings;

/// So many names of files that are gone are kept in mind at least.
const NAMES_MIN: usize = 1_000;

/// What kind of look found a new file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looks {
    /// It is the first of this process.
    first_look: bool,
    /// The name is seen for the first time by this process: compressed files may hold what was
    /// written before it.
    pub(super) new_name: bool,
    /// It is the first ever, and files that are there already are read from their end.
    at_end: bool,
}

/// What a look has found, before it is compared with what is known. Files go on changing their
/// names in the meantime.
pub(crate) struct Sight {
    found: Found,
    here: HashMap<Inode, Seen>,
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
        let sight = self.see();
        self.understand(sight, now)
    }

    /// Step 1.
    pub(crate) fn see(&mut self) -> Sight {
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
        Sight { found, here }
    }

    /// The other steps.
    pub(crate) fn understand(&mut self, sight: Sight, now: Now) -> Result<Found, Stopped> {
        let Sight { found, here } = sight;
        let keys: Vec<Key> = self.entries.keys().copied().collect();
        for key in keys {
            self.look_at(key, &here, now)?;
        }
        let restoring = self.restoring.take();
        let first_look = restoring.is_some();
        if let Some(mut restoring) = restoring {
            for (inode, seen) in &here {
                if let Some(restored) = restoring.fitting(*inode, &seen.path, &seen.metadata) {
                    self.begun.insert(seen.path.clone());
                    self.resume(restored, seen.path.clone(), *inode, now);
                }
            }
            for restored in restoring.rest() {
                self.resume_renamed_or_forget(restored, &found, now)?;
            }
        }
        let mut new: Vec<(Inode, Seen)> = here
            .into_iter()
            .filter(|(inode, _)| !self.by_inode.contains_key(inode))
            .collect();
        new.sort_by(|a, b| a.1.path.cmp(&b.1.path));
        let looks = Looks {
            first_look,
            new_name: false,
            at_end: first_look && self.first_ever && self.config.start == Start::End,
        };
        let mut siblings = Siblings::default();
        for (inode, seen) in new {
            // Not only at the first look: the name may have been free just then.
            let looks = Looks {
                new_name: self.begun.insert(seen.path.clone()),
                ..looks
            };
            if !looks.at_end {
                self.begin_siblings(&seen.path, &mut siblings, looks, now);
            }
            // It was renamed after step 1 and has just been begun under its new name. Begun here
            // too, it would be read twice; whatever has its name now is found by the next look.
            if self.by_inode.contains_key(&inode) {
                self.look_wanted = true;
                continue;
            }
            self.begin(inode, seen, looks, now);
        }
        self.outlet.flush()?;
        self.metrics.files.set(self.entries.len() as i64);
        self.forget_names(&found);
        self.note_totals();
        self.judge_danger(now);
        Ok(found)
    }

    /// Step 2: is a followed file still where it was?
    fn look_at(&mut self, key: Key, here: &HashMap<Inode, Seen>, now: Now) -> Result<(), Stopped> {
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(());
        };
        let follow = &mut entry.follow;
        if follow.place == Place::Gone {
            self.enqueue(key);
            return Ok(());
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
            return Ok(());
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
            None => return self.vanished(key, now),
        }
        Ok(())
    }

    /// Step 3: a file that nobody has read.
    fn begin(&mut self, inode: Inode, seen: Seen, looks: Looks, now: Now) {
        let Looks {
            first_look, at_end, ..
        } = looks;
        if self.entries.len() >= FILES_MAX {
            self.metrics.files_bound_reached.inc();
            if !std::mem::replace(&mut self.said.too_many_files, true) {
                warn!(files_max = FILES_MAX, path = %seen.path.display(), "too many log files, further ones are not followed");
            }
            return;
        }
        let Some(place) = place_of(&seen.path, inode) else {
            // Gone since step 1, perhaps into a compressed form: the next look begins anew.
            self.begun.remove(&seen.path);
            self.look_wanted = true;
            return;
        };
        let setting = self.setting(&seen.path);
        // A rule for the file says more than the setting for all, and counts at each start.
        let at_end = match setting.reading.start {
            Start::End if setting.reading.start_named => first_look,
            Start::End => at_end,
            Start::Beginning => false,
        };
        let offset = if at_end {
            last_line_end(&place).unwrap_or(seen.metadata.len())
        } else {
            0
        };
        let before = self.last_renamed_from(&seen.path);
        let path = seen.path;
        self.look_wanted |= place != path;
        let state = State::at(offset, inode, place, path.clone(), now.wall_ns);
        let mut follow = Follow::new(state, setting);
        if at_end {
            follow.tell_position();
        } else {
            follow.seen_at(modified_ns(&seen.metadata));
        }
        // Told even while it is empty: compressed files that end before are known to be read.
        follow.comes_after(self.last_ns_of(&path));
        follow.note_size(seen.metadata.len());
        debug!(path = %path.display(), offset, "following log file");
        self.insert(follow, before, now);
    }

    /// Names that are long gone need not be kept in mind.
    fn forget_names(&mut self, found: &Found) {
        if self.begun.len() > 2 * found.files.len() + NAMES_MIN {
            let followed = &self.by_origin;
            self.begun
                .retain(|path| found.files.contains(path) || followed.contains_key(path));
        }
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

/// Where a file is that was at this path a moment ago: there or renamed in its folder.
fn place_of(path: &Path, inode: Inode) -> Option<PathBuf> {
    let is_there = fs::metadata(path).is_ok_and(|metadata| Inode::of(&metadata) == inode);
    if is_there {
        return Some(path.to_owned());
    }
    by_inode_in(path.parent()?, inode)
}

/// The path of an inode in a folder, without asking every file.
pub(super) fn by_inode_in(folder: &Path, inode: Inode) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.ino() == inode.number)
        .map(|entry| entry.path())
        .find(|path| fs::metadata(path).is_ok_and(|metadata| Inode::of(&metadata) == inode))
}
