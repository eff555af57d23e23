//! One file: open it, read a chunk, see that it is still the same file, hand its lines over.
//!
//! A turn reads at most one chunk, in this order, so that no race with the writer goes unseen:
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
//!
//! Knows nothing about other files: which are open, whose turn it is and who was renamed is
//! decided in `files`.

mod packed;
mod telling;

use telling::failure;
pub(crate) use telling::give_gap;

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jiff::tz::TimeZone;
use model::{Checkpoint, Labels, LogSourceState};
use tracing::info;

use crate::checkpoint::{self, State};
use crate::content::When;
use crate::decode::{Decoder, Record};
use crate::disk::{modified_ns, open_file, read_fully, read_head};
use crate::files::Now;
use crate::gz::{self, Packed};
use crate::identity::{HEAD_BYTES_MAX, Head, Inode};
use crate::lines::{Line, Splitter};
use crate::metrics::Metrics;
use crate::outlet::{Outlet, SOURCE_PREFIX, Stopped};
use crate::probe;
use crate::reading::Reading;
use crate::status::Status;
use crate::streams::Streams;

/// How much of one file is read before the next file has its turn.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;

/// So many heads of contents that were truncated are kept in mind. More of them in one tick of the
/// file system's clock (some milliseconds) would be needed for a copy of one that was read to be
/// taken for one that was not.
const HEADS_BEFORE_MAX: usize = 8;

/// Where a file is, as far as its name goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Under the name under which it was found.
    Named,
    /// Renamed: more may still be written to it for a while.
    Renamed,
    /// Without a name: what is left can be read as long as it is held open.
    Gone,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnEnd {
    /// There is more to read.
    More,
    /// Everything is read.
    AtEnd,
    /// Its path leads to another file by now.
    Moved,
    /// It cannot be read, or should not be; the status says why.
    Failed,
}

/// What a turn needs from outside.
pub(crate) struct Surroundings<'a> {
    pub(crate) outlet: &'a mut Outlet,
    pub(crate) metrics: &'a Metrics,
    /// Room for a chunk.
    pub(crate) buffer: &'a mut Vec<u8>,
    pub(crate) now: Now,
}

/// The part of a file that a truncation cut off before it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    /// The file's head before.
    pub(crate) head: Head,
    /// Where the part begins.
    pub(crate) offset: u64,
    /// How many bytes of it were known; 0 where only a copy can tell.
    pub(crate) bytes: u64,
    /// Time of the last record before it.
    pub(crate) last_ns: i64,
}

/// What is set for a file by its path and the configuration.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) labels: Labels,
    pub(crate) reading: Reading,
    pub(crate) line_bytes_max: usize,
    pub(crate) zone: TimeZone,
}

/// A file that is followed.
#[derive(Debug)]
pub(crate) struct Follow {
    source: String,
    pub(crate) path: PathBuf,
    /// The path under which it was found first.
    pub(crate) origin: PathBuf,
    pub(crate) inode: Inode,
    pub(crate) place: Place,
    head: Head,
    /// The heads before the last truncations, the last one first: those of copies, if any were
    /// made.
    heads_before: VecDeque<Head>,
    file: Option<File>,
    /// The same for a compressed file.
    packed: Option<Box<Packed>>,
    /// Whether it is a compressed file of which all was handed over that can be read.
    done: bool,
    /// The file's size at the last turn that saw this content.
    known_bytes: u64,
    /// What a truncation cut off unread, until `files` has looked for a copy.
    cut: Option<Cut>,
    splitter: Splitter,
    decoder: Decoder,
    streams: Streams,
    /// Whether the head has been looked at for whether this is a text at all.
    probed: bool,
    /// Size and time of writing of a file that is no text: it is looked at again when they change.
    refused: Option<(u64, i64)>,
    /// Position and pending parts that the store was told last.
    told: Option<(u64, [Option<u64>; 2])>,
    /// Whether the store must learn of the position even if nothing is read.
    tell: bool,
    /// When the file was last written as of the last turn or look, nanoseconds.
    written_ns: i64,
    /// When the file had been written last as of just before the last turn: all that was written
    /// before is of the content that was seen then, or older. `None` where older content is not
    /// wanted, or nothing is known.
    seen_ns: Option<i64>,
    /// Since when contents may have come and gone unseen, until `files` has looked for copies.
    unseen_since_ns: Option<i64>,
    /// Time of the last record handed over of this file or one before it, as in its checkpoint.
    last_ns: i64,
    /// Whether all that was there at the last turn has been read.
    pub(crate) at_end: bool,
    pub(crate) status: Arc<Status>,
}

impl Follow {
    /// A file that nobody has read before; `state` says where it is and where to begin.
    pub(crate) fn new(state: State, setting: Setting) -> Self {
        let (inode, offset) = (state.inode, state.offset);
        let source = format!(
            "{SOURCE_PREFIX}{:x}-{:x}-{:x}",
            inode.device, inode.number, state.told_ns
        );
        let mut follow = Self::resumed(source, state, setting);
        follow.probed = false;
        follow.told = None;
        follow.tell = offset > 0;
        follow
    }

    /// A file that an earlier process read up to `state`.
    pub(crate) fn resumed(source: String, state: State, setting: Setting) -> Self {
        let Setting {
            labels,
            reading,
            line_bytes_max,
            zone,
        } = setting;
        let mut decoder = Decoder::new(line_bytes_max, zone, &reading);
        decoder.resume(state.offset, state.pending, &state.format);
        let renamed = state.path != state.origin;
        Self {
            source,
            place: if renamed {
                Place::Renamed
            } else {
                Place::Named
            },
            inode: state.inode,
            head: state.head,
            heads_before: [state.head_before].into(),
            file: None,
            packed: None,
            done: state.done,
            known_bytes: 0,
            cut: None,
            splitter: Splitter::new(state.resume_at(), line_bytes_max),
            decoder,
            status: Arc::new(Status::new(
                state.path.to_string_lossy().into_owned(),
                labels.clone(),
            )),
            streams: Streams::new(labels),
            probed: true,
            refused: None,
            told: Some((state.offset, state.pending)),
            tell: false,
            written_ns: 0,
            seen_ns: (state.seen_ns > 0).then_some(state.seen_ns),
            unseen_since_ns: None,
            at_end: false,
            last_ns: state.last_ns,
            path: state.path,
            origin: state.origin,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.file.is_some() || self.packed.is_some()
    }

    /// Opens the file ahead of its turn, so that it can be read even if it is deleted until then.
    pub(crate) fn hold_open(&mut self) {
        if !self.is_packed() && !self.is_refused() {
            // A failure shows at the turn.
            let _ = self.open();
        }
    }

    pub(crate) fn is_packed(&self) -> bool {
        gz::is_packed(&self.path) && self.path != self.origin
    }

    /// Time of the last record of this file or one before it that was handed over.
    pub(crate) fn last_ns(&self) -> i64 {
        self.last_ns.max(self.decoder.last_ns())
    }

    /// It comes after a file whose last record has this time.
    pub(crate) fn comes_after(&mut self, last_ns: i64) {
        if last_ns > self.last_ns {
            self.last_ns = last_ns;
            self.tell = true;
        }
    }

    /// What a truncation cut off since the last call.
    pub(crate) fn take_cut(&mut self) -> Option<Cut> {
        self.cut.take()
    }

    /// Since when (as files are dated) whole contents may have been written, copied and cut off
    /// unseen, if the turns since the last call left room for that.
    pub(crate) fn take_unseen_since(&mut self) -> Option<i64> {
        self.unseen_since_ns.take()
    }

    /// It was last written at this time when it was found: what is copied and cut off before the
    /// first turn is missed.
    pub(crate) fn seen_at(&mut self, written_ns: i64) {
        self.seen_ns = Some(written_ns);
    }

    /// Where the next byte is read.
    pub(crate) fn read_until(&self) -> u64 {
        self.splitter.next()
    }

    pub(crate) fn head(&self) -> Head {
        self.head
    }

    /// The heads of the contents that were read: now and before the last truncations.
    pub(crate) fn heads(&self) -> impl Iterator<Item = Head> + '_ {
        std::iter::once(self.head).chain(self.heads_before.iter().copied())
    }

    /// Bytes read so far by this process.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.status.bytes_read.load(Relaxed)
    }

    /// Whether it was left alone because it is no text.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    pub(crate) fn close(&mut self) {
        self.file = None;
        self.packed = None;
    }

    /// The store must learn of the position although nothing is read yet.
    pub(crate) fn tell_position(&mut self) {
        self.tell = true;
    }

    /// Whether a look at the file says that it has changed since its last turn.
    pub(crate) fn has_changed(&self, metadata: &Metadata) -> bool {
        if self.is_packed() {
            return !self.done;
        }
        match self.refused {
            Some(refused) => refused != (metadata.len(), modified_ns(metadata)),
            None => {
                metadata.len() != self.splitter.next() || modified_ns(metadata) != self.written_ns
            }
        }
    }

    /// Notes how much is there to read.
    pub(crate) fn note_size(&self, size: u64) {
        if self.refused.is_some() {
            return;
        }
        // A line that is not ended and a record that may go on are read, though not handed over.
        let read = self.splitter.next();
        self.status
            .lag_bytes
            .store(size.saturating_sub(read), Relaxed);
    }

    /// Gives it another path.
    pub(crate) fn renamed_to(&mut self, path: PathBuf) {
        // A file that was read to its end and renamed is known to miss nothing.
        self.tell = self.told.is_some();
        self.place = if path == self.origin {
            Place::Named
        } else {
            Place::Renamed
        };
        self.status.set_path(path.to_string_lossy().into_owned());
        self.path = path;
    }

    /// How it begins right now, if it is open.
    pub(crate) fn open_start(&self) -> Option<Vec<u8>> {
        let mut start = vec![0; HEAD_BYTES_MAX];
        let bytes = read_fully(self.file.as_ref()?, &mut start).ok()?;
        start.truncate(bytes);
        Some(start)
    }

    /// Whether the file at `path` begins as this one does.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        read_head(path).is_ok_and(|start| self.head.grown(&start).is_some())
    }

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
    fn give_held(&mut self, around: &mut Surroundings<'_>) -> Result<(), Stopped> {
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

    /// Tells the store that the file will not be asked for again.
    pub(crate) fn forget(&self, outlet: &mut Outlet) {
        if self.told.is_some() {
            outlet.position(Checkpoint {
                source: self.source.clone(),
                state: None,
            });
        }
    }

    /// Opens the file unless it is open. `false`: another file is at its path.
    fn open(&mut self) -> io::Result<bool> {
        if self.file.is_some() {
            return Ok(true);
        }
        let file = match open_file(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if Inode::of(&file.metadata()?) != self.inode {
            return Ok(false);
        }
        self.file = Some(file);
        Ok(true)
    }

    /// Cuts the chunk into lines and hands them over.
    fn take(&mut self, read: usize, around: &mut Surroundings<'_>) -> Result<(), Stopped> {
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
    fn give_rest(&mut self, around: &mut Surroundings<'_>) -> Result<(), Stopped> {
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
    fn give_parts(&mut self, around: &mut Surroundings<'_>) -> Result<(), Stopped> {
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

    fn when(&self, now: Now) -> When {
        When {
            now_ns: now.wall_ns,
            written_ns: self.written_ns,
            elapsed: now.elapsed,
        }
    }

    /// Everything before it was handed over, except what is pending.
    fn position(&self) -> (u64, [Option<u64>; 2]) {
        self.decoder.position(self.splitter.start())
    }

    pub(crate) fn tell_position_to(&mut self, outlet: &mut Outlet, now_ns: i64) {
        let (offset, pending) = self.position();
        if self.told == Some((offset, pending)) && !self.tell {
            return;
        }
        if self.told.is_none() && offset == 0 && pending == [None, None] && !self.tell {
            return;
        }
        self.told = Some((offset, pending));
        self.tell = false;
        outlet.position(Checkpoint {
            source: self.source.clone(),
            state: Some(checkpoint::encode(&State {
                inode: self.inode,
                head: self.head,
                path: self.path.clone(),
                origin: self.origin.clone(),
                offset,
                pending,
                told_ns: now_ns,
                last_ns: self.last_ns(),
                behind: self.status.lag_bytes.load(Relaxed),
                format: self.decoder.format_name().to_owned(),
                done: self.done,
                head_before: self.heads_before.front().copied().unwrap_or_default(),
                seen_ns: self.seen_ns.unwrap_or_default(),
            })),
        });
    }
}
