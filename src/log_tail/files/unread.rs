//! Which rotated files has nobody read?
//!
//! Files can come, be filled and renamed, copied or compressed between two looks, or while the
//! collector was away. They are begun before the file that has their name now, oldest first.

use std::path::Path;

use tracing::info;

use super::look::Looks;
use super::{Files, Key, Now};
use crate::checkpoint::State;
use crate::content;
use crate::disk::read_head;
use crate::follow::{Follow, Place};
use crate::gz;
use crate::identity::Head;
use crate::siblings::{COMMIT_DELAY_MAX_NS, Sibling, Siblings, rotation_order};

/// So often a folder is listed again in which a rotation is going on.
pub(super) const LISTINGS_MAX: usize = 50;

impl Files {
    /// Time of the last record that was handed over of files with this first name; 0 for none.
    pub(super) fn last_ns_of(&self, origin: &Path) -> i64 {
        let followed = (self.of_origin(origin)).map(|(_, entry)| entry.follow.last_ns());
        let gone = self.gone.get(origin).map(|gone| gone.last_ns);
        followed.chain(gone).max().unwrap_or(0)
    }

    /// Oldest first: by the time of the first line, as compression may set that of writing.
    fn sort_by_age(&self, siblings: &mut [Sibling]) {
        let zone = self.config.zone.clone();
        siblings.sort_by_cached_key(|sibling| {
            let begins_ns = content::first_time(&sibling.start, &zone, sibling.written_ns);
            let since_ns = begins_ns.unwrap_or(sibling.written_ns);
            (since_ns, rotation_order(&sibling.path))
        });
    }

    /// Compressed files of a name that hold lines which nobody has read: they begin behind the
    /// last record of that name, or, where nothing is known of the name, after the last position
    /// that the store has.
    ///
    /// Under a name that this process knows, they are files that came, were renamed and compressed
    /// between two looks. What does not tell when it begins is taken for one that was read: most
    /// of them were.
    fn unread_packed(
        &mut self,
        path: &Path,
        siblings: &mut Siblings,
        looks: Looks,
    ) -> Vec<Sibling> {
        let last_ns = self.last_ns_of(path);
        let told_ns = self.unread_since_ns.saturating_add(COMMIT_DELAY_MAX_NS);
        let since_ns = if last_ns > 0 { last_ns } else { told_ns };
        let zone = self.config.zone.clone();
        // Compression may have set the time of writing, but never to an earlier one.
        let mut packed = siblings.packed_of(path, since_ns.min(told_ns));
        packed.retain(|file| {
            let begins_ns = content::first_time(&file.start, &zone, file.written_ns);
            match begins_ns {
                _ if !looks.new_name => begins_ns.is_some_and(|begins_ns| begins_ns > since_ns),
                // Nothing is stored of any file: what was written since the store was made is not.
                _ if last_ns == 0 && self.first_ever => true,
                Some(begins_ns) => begins_ns >= since_ns,
                None => true,
            }
        });
        packed
    }

    /// Rotated files of a name that may hold lines which nobody has read, oldest first.
    fn unread_siblings(
        &mut self,
        path: &Path,
        siblings: &mut Siblings,
        looks: Looks,
    ) -> Vec<Sibling> {
        let mut candidates = siblings.of(path, self.unread_since_ns);
        // Written before the last record that is known of the name: a copy that was read before
        // the truncation. Times that lie in the future must not hide a file.
        let told_ns = self.unread_since_ns.saturating_add(COMMIT_DELAY_MAX_NS);
        let read_until_ns = self.last_ns_of(path).min(told_ns);
        candidates.retain(|sibling| sibling.written_ns > read_until_ns);
        let packed = self.unread_packed(path, siblings, looks);
        if !packed.is_empty() {
            candidates.extend(packed);
            self.sort_by_age(&mut candidates);
        }
        candidates
    }

    /// Step 3: rotated files of a name that is new, which nobody has read.
    pub(super) fn begin_siblings(
        &mut self,
        path: &Path,
        siblings: &mut Siblings,
        looks: Looks,
        now: Now,
    ) {
        let mut candidates = self.unread_siblings(path, siblings, looks);
        for _ in 0..LISTINGS_MAX {
            if !siblings.have_moved(path) {
                break;
            }
            siblings.list_anew(path);
            candidates = self.unread_siblings(path, siblings, looks);
        }
        self.begin_unread(path, candidates, now);
    }

    /// The content of a live file is another one than at its last turn, or the file was empty
    /// then. Contents that came and went in between are in copies, if any were made: those that
    /// are as new as what was seen last, and of no content that was read.
    ///
    /// 1. The copy of an unseen content was last written after the truncation before it, so not
    ///    before what the last turn saw. Both times are of the file system's clock.
    /// 2. Copies of what was seen are known by their heads, older ones by their times as well.
    /// 3. A copy that is being made begins as the live file does, or it is of a content that is
    ///    cut off by now, and complete.
    ///
    /// What this cannot tell apart: contents whose first KiB is the same to the byte. And a copy
    /// that is compressed at once is only known by the head of what was being read: compression
    /// sets a new time, so that of others nobody can say when they were written.
    pub(super) fn begin_unseen_copies(&mut self, key: Key, since_ns: i64, now: Now) {
        let Some(entry) = self.entries.get(&key) else {
            return;
        };
        if entry.follow.place != Place::Named {
            return;
        }
        let origin = entry.follow.origin.clone();
        // `of` leaves out what was written at the time itself.
        let since_ns = since_ns.saturating_sub(1).max(self.unread_since_ns);
        let candidates = Siblings::default().of(&origin, since_ns);
        self.begin_unread(&origin, candidates, now);
    }

    /// Begins those rotated files of a name that are no copies of what is read.
    fn begin_unread(&mut self, path: &Path, candidates: Vec<Sibling>, now: Now) {
        if candidates.is_empty() {
            return;
        }
        let mut known: Vec<Head> =
            (self.gone.get(path)).map_or_else(Vec::new, |gone| gone.heads.clone());
        let start = read_head(path).unwrap_or_default();
        for (_, entry) in self.of_origin(path) {
            known.extend(entry.follow.heads());
        }
        for sibling in candidates {
            let is_copy = known.iter().any(|head| sibling.is_copy_of(*head));
            if is_copy
                || sibling.is_part_of(&start)
                || self.by_inode.contains_key(&sibling.inode)
                || self.is_form_of_followed(path, &sibling)
            {
                continue;
            }
            info!(path = %sibling.path.display(), "found a rotated log file that was not read, reading it first");
            known.push(Head::of(&sibling.start));
            let mut state = State::at(0, sibling.inode, sibling.path, path.to_owned(), now.wall_ns);
            // It may be compressed before its first turn: then it is known by its head.
            state.head = Head::of(&sibling.start);
            if gz::is_packed(&state.path) {
                self.metrics.packed_files.inc();
            }
            let before = self.last_renamed_from(path);
            let mut follow = Follow::new(state, self.setting(path));
            // Told before its turn: the files behind it may be read sooner, and after a restart
            // their last record would say that this one was read.
            follow.tell_position();
            follow.tell_position_to(&mut self.outlet, now.wall_ns);
            self.insert(follow, before, now);
        }
    }

    /// Whether a compressed file is what became of a followed one: then the followed one is read
    /// to its end, there or here (`vanished`). Told by its name, as its head may be that of its
    /// first line alone, which is too short to tell by itself; before its first turn nothing is
    /// known of it, and the open file is asked.
    fn is_form_of_followed(&self, origin: &Path, sibling: &Sibling) -> bool {
        gz::is_packed(&sibling.path)
            && (self.of_origin(origin)).any(|(_, entry)| {
                let follow = &entry.follow;
                (sibling.path.with_extension("") == follow.path && sibling.continues(follow.head()))
                    || (follow.head().bytes == 0
                        && (follow.open_start()).is_some_and(|start| sibling.is_part_of(&start)))
            })
    }
}
