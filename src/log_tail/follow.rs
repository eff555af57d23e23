//! One file: what is known of it, where reading stands, whether it is still the same.
//!
//! A turn (`turn`) reads a chunk of it and hands its lines over; a compressed file has turns of its
//! own (`packed`). What the outside is told stands in `telling`.
//!
//! Knows nothing about other files: which are open, whose turn it is and who was renamed is
//! decided in `files`.

mod packed;
mod telling;
mod turn;

pub(crate) use telling::give_gap;

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use jiff::tz::TimeZone;
use model::Labels;

use crate::checkpoint::State;
use crate::decode::Decoder;
use crate::disk::{modified_ns, open_file, read_fully, read_head};
use crate::files::Now;
use crate::gz::{self, Packed};
use crate::identity::{HEAD_BYTES_MAX, Head, Inode};
use crate::lines::Splitter;
use crate::metrics::Metrics;
use crate::outlet::{Outlet, SOURCE_PREFIX};
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
}
