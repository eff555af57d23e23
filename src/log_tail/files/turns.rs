//! Turns: each file that has something to read gets a chunk's worth, round after round.

use std::time::Duration;

use tracing::{info, warn};

use super::{Files, Key, Now};
use crate::follow::{Place, Surroundings, TurnEnd};
use crate::outlet::Stopped;

/// A renamed file to which nothing was written for so long is closed; a line that it does not
/// end counts as ended.
const RENAMED_QUIET: Duration = Duration::from_mins(1);
/// A file without a name is closed and forgotten when nothing was written for so long.
const GONE_QUIET: Duration = Duration::from_secs(5);

impl Files {
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
                // The other one has a turn in this round.
                more = true;
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
        self.give_due(now)?;
        self.outlet.flush()?;
        Ok(more)
    }

    /// When something that is held back must be handed over although nothing is written.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.holding.values().copied().min()
    }

    /// Hands over the records that have waited long enough for another line.
    fn give_due(&mut self, now: Now) -> Result<(), Stopped> {
        let due: Vec<Key> = (self.holding.iter())
            .filter(|(_, due)| **due <= now.elapsed)
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            let Some(entry) = self.entries.get_mut(&key) else {
                self.holding.remove(&key);
                continue;
            };
            let mut around = Surroundings {
                outlet: &mut self.outlet,
                metrics: &self.metrics,
                buffer: &mut self.buffer,
                now,
            };
            entry.follow.give_due(&mut around)?;
            let due = entry.follow.due();
            self.note_due(key, due);
            self.outlet.flush_if_large()?;
        }
        Ok(())
    }

    fn note_due(&mut self, key: Key, due: Option<Duration>) {
        match due {
            Some(due) => self.holding.insert(key, due),
            None => self.holding.remove(&key),
        };
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
            now,
        };
        let end = entry.follow.turn(&mut around)?;
        if entry.follow.bytes_read() > read_before {
            entry.active_at = now.elapsed;
        }
        let cut = entry.follow.take_cut();
        let unseen_since_ns = entry.follow.take_unseen_since();
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
        let due = entry.follow.due();
        self.note_due(key, due);
        self.count_open(key, was_open, is_open);
        match end {
            TurnEnd::More => self.enqueue(key),
            TurnEnd::Moved => self.look_wanted = true,
            TurnEnd::AtEnd | TurnEnd::Failed => {}
        }
        if let Some(cut) = cut {
            self.recover_cut(key, cut, now)?;
        }
        if let Some(since_ns) = unseen_since_ns {
            self.begin_unseen_copies(key, since_ns, now);
        }
        if forget {
            self.remember_gone(key);
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
}
