//! A journal file: a header, then framed records to the end.
//!
//! ```text
//! header  magic "YgRJ", version u16, 0 u16, number of its first record u64, crc32 u32
//! frame   length of what follows u32, crc32 of it u32, number u64, received at (ns) i64, body
//! ```
//! All numbers are little-endian. The last frame of a file may be cut off by a crash: it was not
//! acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use model::StoreError;
use tracing::warn;

use super::io_error;

const MAGIC: [u8; 4] = *b"YgRJ";
/// The version that this program writes, and the newest that it reads.
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 20;
/// Length and checksum, before what they are about.
const LEAD_BYTES: usize = 8;
/// What stands before a record's body.
pub(crate) const FRAME_BYTES: usize = LEAD_BYTES + 16;
/// A frame that says it is larger is damage: a request has at most 64 MiB of text.
const BODY_BYTES_MAX: usize = 256 << 20;

/// A record on its way to the file: room for the frame, then the body.
#[derive(Debug)]
pub(crate) struct Frame(Vec<u8>);

impl Frame {
    /// `bytes` begins with [`FRAME_BYTES`] of anything.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Fills in number, time, length and checksum.
    pub(super) fn seal(&mut self, number: u64, now_ns: i64) {
        let Some((lead, rest)) = self.0.split_at_mut_checked(LEAD_BYTES) else {
            return;
        };
        let stamp = number.to_le_bytes().into_iter().chain(now_ns.to_le_bytes());
        for (to, from) in rest.iter_mut().zip(stamp) {
            *to = from;
        }
        let length = (rest.len() as u32).to_le_bytes();
        let crc = crc32fast::hash(rest).to_le_bytes();
        for (to, from) in lead.iter_mut().zip(length.into_iter().chain(crc)) {
            *to = from;
        }
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    path: PathBuf,
    /// Where the next record goes.
    offset: u64,
}

impl Writer {
    pub(super) fn create(path: &Path, first: u64) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(io_error("create journal", path))?;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&[0; 2]);
        header.extend_from_slice(&first.to_le_bytes());
        let crc = crc32fast::hash(&header);
        header.extend_from_slice(&crc.to_le_bytes());
        let written = file.write_all_at(&header, 0);
        if let Err(error) = written {
            // Nothing refers to it, and its name will be used again.
            let _ = std::fs::remove_file(path);
            return Err(io_error("write journal", path)(error));
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            offset: HEADER_BYTES as u64,
        })
    }

    /// Writes frames and syncs them. After an error the end is unknown: [`Writer::cut`].
    pub(super) fn append(&mut self, frames: &[Frame]) -> Result<(), StoreError> {
        let mut end = self.offset;
        for frame in frames {
            self.file
                .write_all_at(frame.bytes(), end)
                .map_err(io_error("write journal", &self.path))?;
            end += frame.bytes().len() as u64;
        }
        self.file
            .sync_data()
            .map_err(io_error("sync journal", &self.path))?;
        self.offset = end;
        Ok(())
    }

    /// Cuts off what was written by an append that failed.
    pub(super) fn cut(&self) -> std::io::Result<()> {
        self.file.set_len(self.offset)?;
        self.file.sync_data()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.offset
    }

    /// One whose every write fails.
    #[cfg(test)]
    pub(super) fn read_only(path: &Path, offset: u64) -> Self {
        Self {
            file: File::open(path).expect("the file is there"),
            path: path.to_owned(),
            offset,
        }
    }
}

/// A record as it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'r> {
    pub(super) number: u64,
    pub(super) received_ns: i64,
    pub(super) body: &'r [u8],
}

/// Reads the records of a file.
pub(super) struct Reader {
    file: BufReader<File>,
    path: PathBuf,
    size: u64,
    offset: u64,
    record: Vec<u8>,
}

impl Reader {
    /// Opens a file at a place that [`Reader::offset`] gave, or 0 for its first record.
    pub(super) fn open(path: &Path, offset: u64) -> Result<Self, StoreError> {
        let mut file = File::open(path).map_err(io_error("read journal", path))?;
        let size = file
            .metadata()
            .map_err(io_error("read journal", path))?
            .len();
        let offset = offset.max(HEADER_BYTES as u64);
        file.seek(SeekFrom::Start(offset))
            .map_err(io_error("read journal", path))?;
        Ok(Self {
            file: BufReader::with_capacity(256 << 10, file),
            path: path.to_owned(),
            size,
            offset,
            record: Vec::new(),
        })
    }

    /// Where the next record begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next sound record; `None` at the end and where the file is damaged.
    pub(super) fn next(&mut self) -> Result<Option<Found<'_>>, StoreError> {
        let left = self.size.saturating_sub(self.offset);
        if left < FRAME_BYTES as u64 {
            return Ok(None);
        }
        let mut lead = [0u8; LEAD_BYTES];
        let failed = io_error("read journal", &self.path);
        if let Err(error) = self.file.read_exact(&mut lead) {
            return Err(failed(error));
        }
        let (length, crc) = lead.split_at(4);
        let (length, crc) = (number(length) as usize, number(crc) as u32);
        let fits = length as u64 <= left - LEAD_BYTES as u64;
        if !fits || !(FRAME_BYTES - LEAD_BYTES..=BODY_BYTES_MAX).contains(&length) {
            return Ok(None);
        }
        self.record.resize(length, 0);
        if let Err(error) = self.file.read_exact(&mut self.record) {
            return Err(failed(error));
        }
        if crc32fast::hash(&self.record) != crc {
            return Ok(None);
        }
        self.offset += (LEAD_BYTES + length) as u64;
        let (stamp, body) = self.record.split_at(FRAME_BYTES - LEAD_BYTES);
        let (first, second) = stamp.split_at(8);
        Ok(Some(Found {
            number: number(first),
            received_ns: number(second) as i64,
            body,
        }))
    }
}

fn number(bytes: &[u8]) -> u64 {
    let bytes = bytes.iter().rev();
    bytes.fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// What a file of an earlier run holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scan {
    /// The number behind its last sound record.
    pub(super) end: u64,
    /// When its first record came; 0 where it has none.
    pub(super) since_ns: i64,
}

/// Looks through a file of an earlier run and cuts off what a crash left behind its last record.
pub(super) fn scan(path: &Path, first: u64) -> Result<Scan, StoreError> {
    let mut scan = Scan {
        end: first,
        since_ns: 0,
    };
    let mut header = Vec::new();
    File::open(path)
        .and_then(|file| file.take(HEADER_BYTES as u64).read_to_end(&mut header))
        .map_err(io_error("read journal", path))?;
    if !is_sound(&header, path, first)? {
        warn!(path = %path.display(), "the head of a journal is damaged, what it held is lost");
        return Ok(scan);
    }
    let mut reader = Reader::open(path, 0)?;
    while let Some(found) = reader.next()? {
        if scan.end == first {
            scan.since_ns = found.received_ns;
        }
        scan.end = found.number + 1;
    }
    let (sound, size) = (reader.offset(), reader.size);
    if sound < size {
        warn!(
            path = %path.display(),
            bytes = size - sound,
            "the end of a journal is not whole; it was not acknowledged, or the disk lost it"
        );
        let cut = OpenOptions::new().write(true).open(path);
        cut.and_then(|file| file.set_len(sound))
            .map_err(io_error("cut journal", path))?;
    }
    Ok(scan)
}

fn is_sound(header: &[u8], path: &Path, first: u64) -> Result<bool, StoreError> {
    let Some((body, crc)) = header.split_at_checked(HEADER_BYTES - 4) else {
        // A crash right behind the creation.
        return Ok(false);
    };
    if !body.starts_with(&MAGIC) || number(crc) != u64::from(crc32fast::hash(body)) {
        return Ok(false);
    }
    let version = number(body.get(4..6).unwrap_or_default());
    if version > u64::from(VERSION) {
        return Err(StoreError::Refused(format!(
            "{} was written by a newer Yagura (version {version}, this one reads up to \
             {VERSION}): start the newer one again",
            path.display()
        )));
    }
    Ok(number(body.get(8..16).unwrap_or_default()) == first)
}
