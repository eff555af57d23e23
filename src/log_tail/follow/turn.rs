//! A turn: open the file, read a chunk, see that it is still the same file, hand its lines over.
//!
//! It reads at most one chunk, in this order, so that no race with the writer goes unseen:
//!
//! 1. read at the position where the last turn ended,
//! 2. read the head again and ask for the size,
//! 3. the file is shorter than what was just read: it was truncated after the read; the chunk
//!    counts, and reading starts again at 0,
//! 4. the head is another one: it was truncated (or replaced under a reused inode) before the
//!    read; the chunk is of the new content and is dropped, and reading starts again at 0,
//! 5. else the chunk's lines are handed over together with the position behind them.
//!
//! Where the content is another one than at the last turn, or the file was empty then, whole
//! contents may have been written, copied and cut off in between. `files` is told since when, and
//! looks for their copies.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use model::LogSourceState;
use tracing::info;

use super::telling::failure;
use super::{CHUNK_BYTES, Cut, Follow, HEADS_BEFORE_MAX, Place, Surroundings, TurnEnd};
use crate::content::When;
use crate::decode::Record;
use crate::disk::{modified_ns, read_fully};
use crate::files::Now;
use crate::identity::HEAD_BYTES_MAX;
use crate::lines::Line;
use crate::outlet::Stopped;
use crate::probe;

impl Follow {
    /// Reads a chunk and hands its lines over.
    pub(crate) fn turn(&mut self, around: &mut Surroundings<'_>) -> Result<TurnEnd, Stopped> {
        around.outlet.begin_share(&self.status);
        let turn = if self.is_packed() {
            self.try_turn_packed(around)
        } else {
            self.try_turn(around)
        };
        match turn {
            Ok(end) => end,
            Err(error) => {
                around.metrics.read_errors.inc();
                self.close();
                self.at_end = false;
                self.status
                    .set_state(LogSourceState::Failed(failure(&error)));
                Ok(TurnEnd::Failed)
            }
        }
    }

    /// Errors of the file outside, the end of everything inside.
    fn try_turn(&mut self, around: &mut Surroundings<'_>) -> io::Result<Result<TurnEnd, Stopped>> {
        if !self.open()? {
            return Ok(Ok(TurnEnd::Moved));
        }
        let Some(file) = &self.file else {
            return Ok(Ok(TurnEnd::Moved));
        };
        around.buffer.resize(CHUNK_BYTES, 0);
        let from = self.splitter.next();
        let seen_ns = modified_ns(&file.metadata()?);
        let read = file.read_at(around.buffer, from)?;
        let mut start = [0; HEAD_BYTES_MAX];
        let start_bytes = read_fully(file, &mut start)?;
        let start = &start[..start_bytes];
        let metadata = file.metadata()?;
        self.written_ns = modified_ns(&metadata);
        let upto = from + read as u64;
        let shorter = metadata.len() < upto;
        let head = self.head.grown(start).filter(|_| !shorter);
        let was_empty = self.head.bytes == 0 && !start.is_empty();
        if head.is_none() || was_empty {
            self.unseen_since_ns = self.unseen_since_ns.or(self.seen_ns);
        }
        self.seen_ns = Some(seen_ns);

        if !self.probed && !start.is_empty() && head.is_some() {
            if let Some(reason) = probe::not_text(start) {
                self.status
                    .set_state(LogSourceState::Failed(reason.to_owned()));
                self.refused = Some((metadata.len(), self.written_ns));
                self.at_end = true;
                self.close();
                return Ok(Ok(TurnEnd::Failed));
            }
            self.probed = true;
            self.refused = None;
        }
        let taken = match head {
            Some(head) => {
                self.head = head;
                self.known_bytes = metadata.len();
                self.take(read, around)
            }
            // Step 3: what was read is of the content that is gone now.
            None if shorter => (self.take(read, around)).and_then(|()| self.restart(around)),
            None => self.restart(around),
        };
        self.at_end = head.is_some() && upto >= metadata.len();
        // The file that has its name now comes next, and must not overtake what is held back.
        let taken = match taken {
            Ok(()) if self.at_end && self.place != Place::Named => self.give_held(around),
            taken => taken,
        };
        self.tell_position_to(around.outlet, around.now.wall_ns);
        self.note(read, metadata.len(), around.metrics);
        let end = if self.at_end {
            TurnEnd::AtEnd
        } else {
            TurnEnd::More
        };
        Ok(taken.map(|()| end))
    }

    /// When something that is held back must be handed over even if nothing is written.
    pub(crate) fn due(&self) -> Option<Duration> {
        // While there is more to read, the line that decides may be in it.
        self.decoder.due().filter(|_| self.at_end)
    }

    /// Hands over what is due by now.
    pub(crate) fn give_due(&mut self, around: &mut Surroundings<'_>) -> Result<(), Stopped> {
        around.outlet.begin_share(&self.status);
        self.give_until(around.now.elapsed, around)?;
        self.tell_position_to(around.outlet, around.now.wall_ns);
        self.status
            .last_line_ns
            .store(self.decoder.last_ns(), Relaxed);
        Ok(())
    }

    /// Hands over the records that are held back, but no unfinished line.
    pub(super) fn give_held(&mut self, around: &mut Surroundings<'_>) -> Result<(), Stopped> {
        self.give_until(Duration::MAX, around)
    }

    fn give_until(&mut self, due: Duration, around: &mut Surroundings<'_>) -> Result<(), Stopped> {
        let Self {
            decoder, streams, ..
        } = self;
        let outlet = &mut *around.outlet;
        decoder.give_due(due, &mut |record: Record<'_>| streams.give(record, outlet))
    }

    /// Hands over what no line break ends, since none will come.
    pub(crate) fn finish(&mut self, around: &mut Surroundings<'_>) -> Result<(), Stopped> {
        around.outlet.begin_share(&self.status);
        self.give_rest(around)?;
        self.tell_position_to(around.outlet, around.now.wall_ns);
        self.note(0, 0, around.metrics);
        Ok(())
    }

    /// Cuts the chunk into lines and hands them over.
    pub(super) fn take(
        &mut self,
        read: usize,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Stopped> {
        let when = self.when(around.now);
        let Self {
            splitter,
            decoder,
            streams,
            ..
        } = self;
        let outlet = &mut *around.outlet;
        let chunk = around.buffer.get(..read).unwrap_or_default();
        splitter.feed(chunk, &mut |line: Line<'_>| {
            decoder.line(&line, when, &mut |record: Record<'_>| {
                streams.give(record, outlet)
            })
        })
    }

    /// Hands over the unfinished line and the unfinished record.
    pub(super) fn give_rest(&mut self, around: &mut Surroundings<'_>) -> Result<(), Stopped> {
        let when = self.when(around.now);
        let Self {
            splitter,
            decoder,
            streams,
            ..
        } = self;
        let outlet = &mut *around.outlet;
        let mut give = |record: Record<'_>| streams.give(record, outlet);
        splitter.finish(&mut |line: Line<'_>| decoder.line(&line, when, &mut give))?;
        decoder.finish(when, &mut give)
    }

    /// Hands over the unfinished record, but not the unfinished line.
    pub(super) fn give_parts(&mut self, around: &mut Surroundings<'_>) -> Result<(), Stopped> {
        let when = self.when(around.now);
        let Self {
            decoder, streams, ..
        } = self;
        let outlet = &mut *around.outlet;
        decoder.finish(when, &mut |record: Record<'_>| streams.give(record, outlet))
    }

    /// Starts at the beginning: the content is another one.
    fn restart(&mut self, around: &mut Surroundings<'_>) -> Result<(), Stopped> {
        let unread = self.known_bytes.saturating_sub(self.splitter.next());
        info!(path = %self.path.display(), "log file was truncated or rewritten, reading it from its start");
        around.metrics.truncations.inc();
        let at_line_end = self.splitter.next() == self.splitter.start();
        // The rest of an unfinished line is gone; what there is of it is kept.
        if unread == 0 && !at_line_end {
            self.give_rest(around)?;
        } else {
            // The rest of the line may be in a copy; so may lines that came since the last look,
            // where nothing is known to be unread.
            self.give_parts(around)?;
            let offset = self.splitter.start();
            self.cut = Some(Cut {
                head: self.head,
                offset,
                bytes: unread + self.splitter.next().saturating_sub(offset),
                last_ns: self.last_ns(),
            });
        }
        self.splitter.restart();
        self.decoder.restart();
        self.heads_before.push_front(std::mem::take(&mut self.head));
        self.heads_before.truncate(HEADS_BEFORE_MAX);
        self.known_bytes = 0;
        self.tell = true;
        Ok(())
    }

    pub(super) fn when(&self, now: Now) -> When {
        When {
            now_ns: now.wall_ns,
            written_ns: self.written_ns,
            elapsed: now.elapsed,
        }
    }
}
