//! Small readings of files.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::gz;
use crate::identity::HEAD_BYTES_MAX;

/// Where a last line's end is looked for.
const TAIL_BYTES: u64 = 256 << 10;

/// When a file was last written, nanoseconds since 1970-01-01 UTC.
pub(crate) fn modified_ns(metadata: &Metadata) -> i64 {
    metadata
        .mtime()
        .saturating_mul(1_000_000_000)
        .saturating_add(metadata.mtime_nsec())
}

/// Opens for reading. Not blocking, in case that the path has become a named pipe.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path)
}

/// The first bytes of the file at a path; of a compressed one those of its content.
pub(crate) fn read_head(path: &Path) -> io::Result<Vec<u8>> {
    if gz::is_packed(path) {
        return gz::head(path);
    }
    let mut start = vec![0; HEAD_BYTES_MAX];
    let bytes = read_fully(&open_file(path)?, &mut start)?;
    start.truncate(bytes);
    Ok(start)
}

/// Reads from the file's beginning until the buffer is full or the file ends.
pub(crate) fn read_fully(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Where the last whole line of a file ends, looked for in its last chunk.
pub(crate) fn last_line_end(path: &Path) -> io::Result<u64> {
    let file = open_file(path)?;
    let size = file.metadata()?.len();
    let from = size.saturating_sub(TAIL_BYTES);
    let mut tail = vec![0; (size - from) as usize];
    let read = file.read_at(&mut tail, from)?;
    tail.truncate(read);
    let last = memchr::memrchr(b'\n', &tail);
    Ok(last.map_or(size, |at| from + at as u64 + 1))
}
