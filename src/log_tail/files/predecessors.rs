//! Where is the rest of a file that is not where it was? In its renamed, compressed or copied
//! form, or gone.
//!
//! What cannot be found any more is said in the stream itself (`model::LogGap`).

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

use model::{GapReason, LogGap};
use tracing::{debug, info, warn};

use super::look::by_inode_in;
use super::unread::LISTINGS_MAX;
use super::{Files, Key, Now};
use crate::checkpoint::State;
use crate::find::Found;
use crate::follow::{self, Cut, Follow, Place, Surroundings};
use crate::formats::Output;
use crate::gz;
use crate::identity::{Head, Inode};
use crate::outlet::Stopped;
use crate::restore::Restored;
use crate::siblings::{Sibling, Siblings};
use crate::streams::Streams;

/// Names of which is kept in mind until when they were read, after their files are gone.
const GONE_MAX: usize = 10_000;

/// The part of a file that is looked for.
struct Part<'a> {
    /// The file's first name.
    origin: &'a Path,
    head: Head,
    /// Where the part begins.
    offset: u64,
}

impl Files {
    /// Step 3: goes on where an earlier process stopped.
    pub(super) fn resume(&mut self, restored: Restored, path: PathBuf, inode: Inode, now: Now) {
        let Restored { source, mut state } = restored;
        // Found under a name that a pattern matches: its labels still come from its first name.
        let renamed = state.path != path;
        state.path = path;
        state.inode = inode;
        let setting = self.setting(&state.origin);
        if gz::is_packed(&state.path) && !state.done {
            self.metrics.packed_files.inc();
        }
        let mut follow = Follow::resumed(source, state, setting);
        if renamed {
            follow.tell_position();
        }
        self.insert(follow, None, now);
    }

    /// Step 4: a checkpoint whose file was not found under a name that a pattern matches.
    pub(super) fn resume_renamed_or_forget(
        &mut self,
        restored: Restored,
        found: &Found,
        now: Now,
    ) -> Result<(), Stopped> {
        let mut restored = restored;
        for _ in 0..LISTINGS_MAX {
            let mut siblings = Siblings::default();
            let origin = restored.state.origin.clone();
            // What is not there any more at the end was moved meanwhile.
            siblings.list(&origin);
            match place_of_state(&restored.state) {
                // Where it always was: the configuration names it no more. Its position is kept,
                // in case that the configuration changes back.
                Some((path, _)) if path == origin && !found.files.contains(&path) => return Ok(()),
                Some((path, inode)) => {
                    if !self.by_inode.contains_key(&inode) {
                        self.resume(restored, path, inode, now);
                    }
                    return Ok(());
                }
                None => match self.resume_elsewhere(restored, now) {
                    None => return Ok(()),
                    Some(left) => restored = left,
                },
            }
            // It may have been under a name that was looked at before or behind it.
            if !siblings.have_moved(&origin) {
                break;
            }
        }
        self.forget_lost(restored, now)
    }

    /// Step 4: the rest of a file is in its compressed form, or in a copy if it was copied and
    /// truncated. Gives the checkpoint back where there is neither.
    fn resume_elsewhere(&mut self, restored: Restored, now: Now) -> Option<Restored> {
        let state = &restored.state;
        let part = Part {
            origin: &state.origin,
            head: state.head,
            offset: state.offset,
        };
        let truncated = fs::metadata(&state.origin)
            .is_ok_and(|metadata| Inode::of(&metadata).number == state.inode.number);
        let copy = truncated.then(|| self.copy_of(&part)).flatten();
        let Some(copy) = copy.or_else(|| self.packed_form_of(&part)) else {
            return Some(restored);
        };
        self.resume(restored, copy.path, copy.inode, now);
        None
    }

    /// A plain copy that holds a part of a file.
    fn copy_of(&self, part: &Part<'_>) -> Option<Sibling> {
        let mut copies = Siblings::default().of(part.origin, 0);
        copies.retain(|copy| self.holds(copy, part));
        copies.pop()
    }

    /// A compressed file that holds a part of a file.
    fn packed_form_of(&self, part: &Part<'_>) -> Option<Sibling> {
        let mut packed = Siblings::default().packed_of(part.origin, 0);
        packed.retain(|file| self.holds(file, part));
        packed.pop()
    }

    fn holds(&self, file: &Sibling, part: &Part<'_>) -> bool {
        file.continues(part.head)
            && file.bytes >= part.offset
            && !self.by_inode.contains_key(&file.inode)
    }

    /// Step 4: nothing holds the rest of the file. Where more than nothing may be missing, its
    /// stream gets a mark.
    fn forget_lost(&mut self, restored: Restored, now: Now) -> Result<(), Stopped> {
        let Restored { source, state } = restored;
        debug!(path = %state.path.display(), "log file is gone or was rewritten since the last run");
        let at_origin = fs::metadata(&state.origin).ok();
        let was_live = state.path == state.origin;
        let reason = match &at_origin {
            Some(metadata) if Inode::of(metadata).number != state.inode.number => {
                GapReason::RotatedAway
            }
            Some(metadata) if metadata.len() < state.offset => GapReason::Truncated,
            Some(_) => GapReason::Replaced,
            None => GapReason::Deleted,
        };
        // A file that was renamed and read to its end has nothing more to say, nor has one whose
        // writer is gone with it.
        let known = state.head.bytes > 0 || state.offset > 0;
        if known && !state.done && (state.behind > 0 || (was_live && at_origin.is_some())) {
            self.metrics.files_lost.inc();
            let gap = LogGap {
                bytes: state.behind,
                from_ns: state.last_ns,
                to_ns: now.wall_ns,
                reason,
                path: state.path.to_string_lossy().into_owned(),
            };
            warn!(path = %state.path.display(), bytes = state.behind, reason = reason.as_str(), "lines of a log file are missing, its stream says so");
            self.metrics.count_gap(&gap);
            let output = matches!(&*state.format, "cri" | "docker").then_some(Output::Stdout);
            let mut streams = Streams::new(self.setting(&state.origin).labels);
            follow::give_gap(&gap, output, &mut streams, &mut self.outlet)?;
        }
        let gone = self.gone.entry(state.origin).or_default();
        gone.heads.extend([state.head, state.head_before]);
        gone.last_ns = gone.last_ns.max(state.last_ns);
        self.outlet.position(model::Checkpoint {
            source,
            state: None,
        });
        Ok(())
    }

    /// A followed file is not there any more, and it is not open.
    pub(super) fn vanished(&mut self, key: Key, now: Now) -> Result<(), Stopped> {
        let Some(entry) = self.entries.get(&key) else {
            return Ok(());
        };
        let follow = &entry.follow;
        let part = Part {
            origin: &follow.origin,
            head: follow.head(),
            offset: follow.read_until(),
        };
        // What was read to its end may have grown between its last turn and its compression.
        let packed = self.packed_form_of(&part);
        if let Some(packed) = packed.filter(|it| !follow.at_end || it.bytes > part.offset) {
            self.go_on_packed(key, packed, now);
            return Ok(());
        }
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(());
        };
        let follow = &mut entry.follow;
        let mut around = Surroundings {
            outlet: &mut self.outlet,
            metrics: &self.metrics,
            buffer: &mut self.buffer,
            now,
        };
        let lag = follow.status.lag_bytes.load(Relaxed);
        if follow.at_end || follow.is_refused() {
            self.metrics.files_gone.inc();
        } else {
            self.metrics.files_lost.inc();
            warn!(path = %follow.path.display(), "log file vanished before it was read to its end, its stream says so");
            let reason = if follow.place == Place::Renamed {
                GapReason::RotatedAway
            } else {
                GapReason::Deleted
            };
            let gap = follow.gap(lag, reason, now.wall_ns);
            follow.give_gap(&gap, &mut around)?;
        }
        if !follow.is_refused() {
            follow.finish(&mut around)?;
        }
        self.remember_gone(key);
        self.remove(key);
        Ok(())
    }

    fn go_on_packed(&mut self, key: Key, packed: Sibling, now: Now) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        info!(path = %packed.path.display(), "log file was compressed before it was read to its end, going on in the compressed form");
        self.metrics.packed_files.inc();
        let (old_path, old_inode) = (entry.follow.path.clone(), entry.follow.inode);
        entry
            .follow
            .becomes_packed(packed.path.clone(), packed.inode);
        entry.active_at = now.elapsed;
        entry.settled = false;
        if self.by_path.get(&old_path) == Some(&key) {
            self.by_path.remove(&old_path);
        }
        if self.by_inode.get(&old_inode) == Some(&key) {
            self.by_inode.remove(&old_inode);
        }
        self.by_path.insert(packed.path, key);
        self.by_inode.insert(packed.inode, key);
        self.enqueue(key);
    }

    /// A truncation cut off what was not read: it is in a copy if one was made, else it is gone.
    pub(super) fn recover_cut(&mut self, key: Key, cut: Cut, now: Now) -> Result<(), Stopped> {
        let Some(entry) = self.entries.get(&key) else {
            return Ok(());
        };
        let origin = entry.follow.origin.clone();
        let part = Part {
            origin: &origin,
            head: cut.head,
            offset: cut.offset,
        };
        let copy = (self.copy_of(&part)).or_else(|| self.packed_form_of(&part));
        if cut.bytes == 0 && copy.as_ref().is_none_or(|copy| copy.bytes <= cut.offset) {
            return Ok(());
        }
        if let Some(copy) = copy {
            info!(path = %copy.path.display(), "the rest of a truncated log file is read from its copy");
            let mut state = State::at(
                cut.offset,
                copy.inode,
                copy.path,
                origin.clone(),
                now.wall_ns,
            );
            state.head = cut.head;
            state.last_ns = cut.last_ns;
            if gz::is_packed(&state.path) {
                self.metrics.packed_files.inc();
            }
            let follow = Follow::new(state, self.setting(&origin));
            self.insert(follow, None, now);
            return Ok(());
        }
        if let Some(entry) = self.entries.get_mut(&key) {
            let mut gap = entry
                .follow
                .gap(cut.bytes, GapReason::Truncated, now.wall_ns);
            gap.from_ns = cut.last_ns;
            let mut around = Surroundings {
                outlet: &mut self.outlet,
                metrics: &self.metrics,
                buffer: &mut self.buffer,
                now,
            };
            entry.follow.give_gap(&gap, &mut around)?;
        }
        Ok(())
    }

    /// Keeps in mind until when a file was read that is followed no more.
    pub(super) fn remember_gone(&mut self, key: Key) {
        if let Some(entry) = self.entries.get(&key)
            && self.gone.len() < GONE_MAX
        {
            let last_ns = entry.follow.last_ns();
            let gone = self.gone.entry(entry.follow.origin.clone()).or_default();
            gone.last_ns = gone.last_ns.max(last_ns);
        }
    }

    /// The file that had this name last, while it is not read to its end.
    pub(super) fn last_renamed_from(&self, path: &Path) -> Option<Key> {
        let renamed = (self.of_origin(path))
            .filter(|(_, entry)| entry.follow.place != Place::Named && !entry.follow.at_end);
        renamed.map(|(key, _)| key).max()
    }
}

/// Where the file of a checkpoint is: under its path, or renamed in its folder.
fn place_of_state(state: &State) -> Option<(PathBuf, Inode)> {
    let is_it = |path: &Path| {
        let inode = fs::metadata(path).ok().filter(Metadata::is_file)?;
        (Inode::of(&inode).number == state.inode.number
            && crate::restore::fits(state, path, &inode))
        .then(|| (path.to_owned(), Inode::of(&inode)))
    };
    is_it(&state.path).or_else(|| {
        let folder = state.path.parent()?;
        let device = Inode::of(&fs::metadata(folder).ok()?).device;
        is_it(&by_inode_in(
            folder,
            Inode {
                device,
                ..state.inode
            },
        )?)
    })
}
