//! A turn of a compressed file: it never grows, so there is nothing to watch out for but damage.
//!
//! 1. Unpack a chunk. What lies before the position is dropped, a chunk per turn, so that other
//!    files have theirs.
//! 2. Hand over its lines with the position behind them.
//! 3. At the end, or where it is damaged, hand over the rest and note that it is done: after a
//!    restart it is not opened again.

use std::fs;
use std::io;
use std::sync::atomic::Ordering::Relaxed;

use model::{GapReason, LogSourceState};
use tracing::warn;

use super::{CHUNK_BYTES, Follow, Surroundings, TurnEnd};
use crate::disk::modified_ns;
use crate::gz::{self, Packed};
use crate::identity::Head;
use crate::outlet::Stopped;

/// A compressed file that was written to more recently may not be finished, nanoseconds.
const SETTLED_NS: i64 = 5_000_000_000;

impl Follow {
    /// The file has been compressed; goes on where the plain one was left.
    pub(crate) fn becomes_packed(
        &mut self,
        path: std::path::PathBuf,
        inode: crate::identity::Inode,
    ) {
        self.close();
        self.inode = inode;
        self.renamed_to(path);
        self.at_end = false;
        self.tell = true;
    }

    /// Errors of the file outside, the end of everything inside.
    pub(super) fn try_turn_packed(
        &mut self,
        around: &mut Surroundings<'_>,
    ) -> io::Result<Result<TurnEnd, Stopped>> {
        if self.done {
            self.at_end = true;
            self.status.lag_bytes.store(0, Relaxed);
            self.status.set_state(LogSourceState::Following);
            return Ok(Ok(TurnEnd::AtEnd));
        }
        let mut file = match self.packed.take() {
            Some(file) => file,
            None => match Packed::open(&self.path) {
                Ok((file, inode)) if inode == self.inode => Box::new(file),
                Ok(_) => return Ok(Ok(TurnEnd::Moved)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Ok(TurnEnd::Moved));
                }
                Err(error) => return Err(error),
            },
        };
        around.buffer.resize(CHUNK_BYTES, 0);
        let position = self.splitter.next();
        let before = position.saturating_sub(file.at);
        let room = usize::try_from(before).map_or(CHUNK_BYTES, |before| before.min(CHUNK_BYTES));
        let skipping = room > 0;
        let room = if skipping { room } else { CHUNK_BYTES };
        let (read, result) = file.read(&mut around.buffer[..room]);
        let metadata = fs::metadata(&self.path)?;
        self.written_ns = modified_ns(&metadata);
        if result.is_err() && around.now.wall_ns.saturating_sub(self.written_ns) < SETTLED_NS {
            // Still being written, perhaps: from the start again at the next look.
            return Ok(Ok(TurnEnd::Failed));
        }
        let mut taken = Ok(());
        if !skipping {
            if position == 0 {
                self.head = Head::of(around.buffer.get(..read).unwrap_or_default());
                self.probed = true;
            }
            taken = self.take(read, around);
        }
        let ended = read < room || result.is_err();
        if taken.is_ok() && ended {
            taken = self.end_packed(result, around);
        } else {
            self.packed = Some(file);
        }
        self.at_end = ended;
        self.tell_position_to(around.outlet, around.now.wall_ns);
        let size = if ended {
            0
        } else {
            gz::content_bytes(&self.path).unwrap_or(0)
        };
        let damaged = self.status.is_failed() && ended;
        let state = damaged.then(|| self.status.source(0).state);
        self.note(if skipping { 0 } else { read }, size, around.metrics);
        if let Some(state) = state {
            self.status.set_state(state);
        }
        let end = if ended { TurnEnd::AtEnd } else { TurnEnd::More };
        Ok(taken.map(|()| end))
    }

    fn end_packed(
        &mut self,
        result: io::Result<()>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Stopped> {
        self.give_rest(around)?;
        if let Err(error) = result {
            warn!(path = %self.path.display(), %error, "compressed log file is damaged, what is behind the damage is missing");
            let known = gz::content_bytes(&self.path).unwrap_or(0);
            let missing = known.saturating_sub(self.splitter.next());
            // A file that was cut off has no size at its end, but any bytes.
            let plausible = if error.kind() == io::ErrorKind::UnexpectedEof {
                0
            } else {
                missing
            };
            let gap = self.gap(plausible, GapReason::Damaged, self.written_ns);
            self.give_gap(&gap, around)?;
            self.status.set_state(LogSourceState::Failed(format!(
                "the compressed file is damaged ({error}): what is behind the damage is missing"
            )));
        }
        self.done = true;
        self.tell = true;
        Ok(())
    }
}
