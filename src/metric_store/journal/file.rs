//! A journal file: a header, then framed records, then zeros.
//!
//! The file is filled with zeros ahead of the records, so that syncing it does not have to write
//! the file system's own bookkeeping. A record that could not be written wholly is overwritten by
//! the next one; reading ends at the first frame that is not sound.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::StoreError;
use parking_lot::Mutex;

use super::OldFile;
use crate::codec::CodecError;
use crate::errors::io_error;

/// The first bytes of every journal.
const MAGIC: [u8; 4] = *b"YgMJ";

/// The version that this program writes, and the newest that it reads.
pub(crate) const VERSION: u16 = 2;

/// Bytes of the header.
pub(crate) const HEADER_BYTES: u64 = 28;

/// Zeros are written ahead in pieces of this size: a second of 100,000 series.
const AHEAD_BYTES: u64 = 1 << 20;

/// A frame larger than this is damage: a scrape of two million new series takes less.
const FRAME_BYTES_MAX: u32 = 64 << 20;

/// What a journal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Rows of one window.
    Window,
    /// New series.
    Series,
}

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Where the window begins; 0 for series.
    pub(crate) window_ms: i64,
    /// The file's number.
    pub(crate) number: u64,
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        let kind: u16 = match self.kind {
            Kind::Window => 1,
            Kind::Series => 2,
        };
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&self.window_ms.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `Ok(None)` where the header is damaged.
    fn decode(bytes: &[u8], path: &Path) -> Result<Option<Self>, StoreError> {
        let mut rest = bytes;
        let mut take = |n: usize| -> &[u8] {
            let (head, tail) = rest.split_at_checked(n).unwrap_or_default();
            rest = tail;
            head
        };
        let magic = take(4);
        let version = little_endian(take(2));
        let kind = little_endian(take(2));
        let window_ms = little_endian(take(8)) as i64;
        let number = little_endian(take(8));
        let crc = little_endian(take(4));
        let body = bytes.get(..bytes.len().saturating_sub(4));
        if magic != MAGIC || body.map(crc32fast::hash).map(u64::from) != Some(crc) {
            return Ok(None);
        }
        if version > u64::from(VERSION) {
            return Err(StoreError::Refused(format!(
                "{} was written by a newer Yagura (journal version {version}, this one reads up \
                 to {VERSION}): start the newer one again",
                path.display()
            )));
        }
        let kind = match kind {
            1 => Kind::Window,
            2 => Kind::Series,
            _ => return Ok(None),
        };
        Ok(Some(Self {
            kind,
            window_ms,
            number,
        }))
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Begins a frame at the end of `out`; [`end_frame`] with the returned place completes it.
pub(crate) fn begin_frame(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(&[0; 8]);
    at
}

/// Completes a frame: length and checksum of what follows them.
pub(crate) fn end_frame(out: &mut [u8], at: usize) {
    let Some((head, body)) = out.get_mut(at..).and_then(|f| f.split_at_mut_checked(8)) else {
        return;
    };
    let length = (body.len() as u32).to_le_bytes();
    let crc = crc32fast::hash(body).to_le_bytes();
    for (to, from) in head.iter_mut().zip(length.into_iter().chain(crc)) {
        *to = from;
    }
}

/// Stands in for a full disk in tests: how many bytes may still be written.
#[derive(Debug, Clone)]
pub(crate) struct Quota(Arc<AtomicU64>);

impl Default for Quota {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl Quota {
    #[cfg(test)]
    pub(crate) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    fn take(&self, bytes: u64) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) == u64::MAX {
            return Ok(());
        }
        self.0
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            })
            .map(|_| ())
            .map_err(|_| io::Error::from(io::ErrorKind::StorageFull))
    }
}

/// Where the next record goes, and how far zeros reach.
#[derive(Debug)]
struct Tail {
    offset: u64,
    filled: u64,
}

/// A journal that is being written.
#[derive(Debug)]
pub(crate) struct Writer {
    file: File,
    path: PathBuf,
    number: u64,
    tail: Mutex<Tail>,
    dirty: AtomicBool,
}

impl Writer {
    /// Creates the file and writes its header.
    pub(crate) fn create(path: &Path, header: &Header, quota: &Quota) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .map_err(io_error("create", path))?;
        let writer = Self {
            file,
            path: path.to_owned(),
            number: header.number,
            tail: Mutex::new(Tail {
                offset: 0,
                filled: 0,
            }),
            dirty: AtomicBool::new(false),
        };
        if let Err(error) = writer.append(&header.encode(), quota) {
            // Nothing refers to the file yet, and its number will be used again.
            let _ = std::fs::remove_file(path);
            return Err(error);
        }
        Ok(writer)
    }

    /// Writes records at the end. On an error the end stays where it was.
    pub(crate) fn append(&self, records: &[u8], quota: &Quota) -> Result<(), StoreError> {
        let mut tail = self.tail.lock();
        let end = tail.offset + records.len() as u64;
        if end > tail.filled {
            let ahead = end.next_multiple_of(AHEAD_BYTES);
            let zeros = vec![0; (ahead - tail.filled) as usize];
            quota
                .take(zeros.len() as u64)
                .and_then(|()| self.file.write_all_at(&zeros, tail.filled))
                .map_err(io_error("extend journal", &self.path))?;
            tail.filled = ahead;
        }
        self.file
            .write_all_at(records, tail.offset)
            .map_err(io_error("write journal", &self.path))?;
        tail.offset = end;
        self.dirty.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes what was written durable. Appending goes on meanwhile.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.file.sync_data().map_err(|error| {
            self.dirty.store(true, Ordering::Release);
            io_error("sync journal", &self.path)(error)
        })
    }

    pub(crate) fn as_old_file(&self) -> OldFile {
        OldFile {
            path: self.path.clone(),
            number: self.number,
        }
    }

    /// Where the next record goes.
    pub(crate) fn end(&self) -> u64 {
        self.tail.lock().offset
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.tail.lock().filled
    }
}

/// How reading a journal ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// `None` where the header itself is damaged.
    pub(crate) header: Option<Header>,
    /// Sound records.
    pub(crate) records: u64,
    /// Where the sound records end.
    pub(crate) sound: u64,
    /// Where the first unsound byte is, if there is one that is not zero.
    pub(crate) damaged_at: Option<u64>,
}

/// Reads a journal's header.
pub(crate) fn read_header(path: &Path) -> Result<Option<Header>, StoreError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(HEADER_BYTES).read_to_end(&mut bytes))
        .map_err(io_error("read journal", path))?;
    Header::decode(&bytes, path)
}

/// Hands every sound record of a journal to `take`, in order, with a constant amount of memory.
/// What is damaged, and everything after it, is cut off the file.
pub(crate) fn replay(
    path: &Path,
    take: impl FnMut(&[u8]) -> Result<(), CodecError>,
) -> Result<Replayed, StoreError> {
    let replayed = scan(path, take)?;
    cut(path, &replayed);
    Ok(replayed)
}

/// Cuts off what is damaged, so that it is told once, and the zeros, which nobody will fill any
/// more.
pub(crate) fn cut(path: &Path, replayed: &Replayed) {
    if replayed.header.is_none() {
        return;
    }
    let cut = OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| file.set_len(replayed.sound));
    if let Err(error) = cut {
        tracing::warn!(path = %path.display(), %error, "cannot cut the end of a journal");
    }
}

/// The same without changing the file.
pub(crate) fn scan(
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), CodecError>,
) -> Result<Replayed, StoreError> {
    let failed = |error| io_error("read journal", path)(error);
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut replayed = Replayed {
        header: None,
        records: 0,
        sound: 0,
        damaged_at: None,
    };
    let mut header = vec![0; HEADER_BYTES as usize];
    let mut sound = 0;
    if size >= HEADER_BYTES {
        reader.read_exact(&mut header).map_err(failed)?;
        replayed.header = Header::decode(&header, path)?;
    }
    if replayed.header.is_none() {
        replayed.damaged_at = Some(0);
        return Ok(replayed);
    }
    sound += HEADER_BYTES;
    let mut body = Vec::new();
    while size - sound >= 8 {
        let mut frame = [0u8; 8];
        reader.read_exact(&mut frame).map_err(failed)?;
        let (length, crc) = frame.split_at(4);
        let (length, crc) = (little_endian(length) as u32, little_endian(crc) as u32);
        let fits = u64::from(length) <= size - sound - 8 && length <= FRAME_BYTES_MAX;
        if length == 0 || !fits {
            break;
        }
        body.resize(length as usize, 0);
        reader.read_exact(&mut body).map_err(failed)?;
        if crc32fast::hash(&body) != crc || take(&body).is_err() {
            break;
        }
        replayed.records += 1;
        sound += 8 + u64::from(length);
    }
    if !only_zeros_after(path, sound).map_err(failed)? {
        replayed.damaged_at = Some(sound);
    }
    replayed.sound = sound;
    Ok(replayed)
}

fn only_zeros_after(path: &Path, offset: u64) -> io::Result<bool> {
    let file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    let mut at = offset;
    loop {
        let n = file.read_at(&mut buffer, at)?;
        if n == 0 {
            return Ok(true);
        }
        if buffer.iter().take(n).any(|b| *b != 0) {
            return Ok(false);
        }
        at += n as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let at = begin_frame(&mut out);
        out.extend_from_slice(body);
        end_frame(&mut out, at);
        out
    }

    fn header() -> Header {
        Header {
            kind: Kind::Window,
            window_ms: 7_200_000,
            number: 3,
        }
    }

    fn write(path: &Path, bodies: &[&[u8]]) {
        let writer = Writer::create(path, &header(), &Quota::default()).expect("creates");
        for body in bodies {
            writer
                .append(&frame(body), &Quota::default())
                .expect("appends");
        }
        writer.sync().expect("syncs");
    }

    fn read(path: &Path) -> (Vec<Vec<u8>>, Replayed) {
        let mut bodies = Vec::new();
        let replayed = replay(path, |body| {
            bodies.push(body.to_vec());
            Ok(())
        });
        (bodies, replayed.expect("reads"))
    }

    #[test]
    fn records_come_back_and_zeros_are_cut() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("j");
        write(&path, &[b"one", b"two"]);
        let (bodies, replayed) = read(&path);
        assert_eq!(bodies, [b"one", b"two"]);
        assert_eq!(replayed.header, Some(header()));
        assert_eq!((replayed.records, replayed.damaged_at), (2, None));
        let size = std::fs::metadata(&path).expect("is there").len();
        assert_eq!(size, HEADER_BYTES + 22);
        assert_eq!(read(&path).0.len(), 2);
    }

    #[test]
    fn every_cut_and_every_flipped_bit_keeps_the_records_before_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("j");
        write(&path, &[b"first", b"second", b"third"]);
        read(&path);
        let whole = std::fs::read(&path).expect("reads");
        let ends = [13usize, 27, 40].map(|n| n + HEADER_BYTES as usize);
        for at in HEADER_BYTES as usize..whole.len() {
            let sound = ends.iter().filter(|end| **end <= at).count();
            std::fs::write(&path, &whole[..at]).expect("writes");
            assert_eq!(read(&path).0.len(), sound, "cut at {at}");

            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            std::fs::write(&path, &flipped).expect("writes");
            let (bodies, replayed) = read(&path);
            assert_eq!(bodies.len(), sound, "flipped at {at}");
            assert!(replayed.damaged_at.is_some());
            assert_eq!(read(&path).1.damaged_at, None, "the damage is cut");
        }
        for at in 0..HEADER_BYTES as usize {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            std::fs::write(&path, &flipped).expect("writes");
            let header = replay(&path, |_| Ok(())).expect("reads").header;
            assert_eq!(header, None, "flipped at {at}");
        }
    }

    #[test]
    fn a_newer_version_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("j");
        write(&path, &[]);
        let mut bytes = std::fs::read(&path).expect("reads");
        bytes[4] = 9;
        let crc = crc32fast::hash(&bytes[..24]).to_le_bytes();
        bytes[24..28].copy_from_slice(&crc);
        std::fs::write(&path, &bytes).expect("writes");
        let error = replay(&path, |_| Ok(())).expect_err("refused");
        assert!(error.to_string().contains("newer Yagura"), "{error}");
    }

    #[test]
    fn a_full_disk_leaves_the_end_where_it_was() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("j");
        let quota = Quota::default();
        let writer = Writer::create(&path, &header(), &quota).expect("creates");
        let big = frame(&vec![7; AHEAD_BYTES as usize]);
        quota.set(10);
        let error = writer.append(&big, &quota).expect_err("full");
        assert!(matches!(error, StoreError::NoSpace(_)), "{error}");
        writer.append(&frame(b"small"), &quota).expect("fits");
        quota.set(u64::MAX);
        writer.append(&big, &quota).expect("there is room again");
        let (bodies, replayed) = read(&path);
        assert_eq!((bodies.len(), replayed.damaged_at), (2, None));
    }
}
