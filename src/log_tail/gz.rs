//! Rotated files that were compressed: read in order, without unpacking them anywhere.
//!
//! Positions count the bytes as they were before compression, so a checkpoint of the plain file
//! fits its compressed form. To go on in the middle, what is before it is unpacked and dropped.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::disk::open_file;
use crate::identity::{HEAD_BYTES_MAX, Inode};

/// The bytes at the end of a gzip file that hold the size of its content.
const SIZE_BYTES: u64 = 4;

/// Whether a path is that of a compressed file, by its name.
pub(crate) fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "gz")
}

/// A compressed file that is being read.
#[derive(Debug)]
pub(crate) struct Packed {
    decoder: MultiGzDecoder<File>,
    /// Where in the unpacked content the next byte is.
    pub(crate) at: u64,
}

impl Packed {
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Inode)> {
        let file = open_file(path)?;
        let inode = Inode::of(&file.metadata()?);
        let decoder = MultiGzDecoder::new(file);
        Ok((Self { decoder, at: 0 }, inode))
    }

    /// Reads until the buffer is full or the content ends. What was read before an error counts,
    /// and comes with it.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> (usize, io::Result<()>) {
        let mut filled = 0;
        let mut result = Ok(());
        while filled < buffer.len() {
            match self.decoder.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.at += filled as u64;
        (filled, result)
    }
}

/// The first bytes of the content, as many as identify a file.
pub(crate) fn head(path: &Path) -> io::Result<Vec<u8>> {
    let (mut packed, _) = Packed::open(path)?;
    let mut start = vec![0; HEAD_BYTES_MAX];
    let (read, result) = packed.read(&mut start);
    if read == 0 {
        result?;
    }
    start.truncate(read);
    Ok(start)
}

/// The size of the content as the file tells it: exact below 4 GiB, for a file of one member.
pub(crate) fn content_bytes(path: &Path) -> io::Result<u64> {
    let file = open_file(path)?;
    let size = file.metadata()?.len();
    let mut bytes = [0; SIZE_BYTES as usize];
    file.read_exact_at(&mut bytes, size.saturating_sub(SIZE_BYTES))?;
    Ok(u64::from(u32::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).expect("in memory");
        encoder.finish().expect("in memory")
    }

    #[test]
    fn content_comes_in_order_over_members() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log.gz");
        std::fs::write(&path, [packed(b"one\n"), packed(b"two\n")].concat()).expect("written");
        let (mut file, _) = Packed::open(&path).expect("opened");
        let mut buffer = [0; 6];
        let (read, result) = file.read(&mut buffer);
        assert_eq!((read, &buffer, result.is_ok()), (6, b"one\ntw", true));
        let (read, result) = file.read(&mut buffer);
        assert_eq!((read, &buffer[..2], result.is_ok()), (2, &b"o\n"[..], true));
        assert_eq!(file.at, 8);
        assert_eq!(head(&path).expect("a head"), b"one\ntwo\n");
    }

    #[test]
    fn what_comes_before_the_damage_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log.gz");
        let content: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let mut bytes = packed(&content);
        std::fs::write(&path, &bytes).expect("written");
        assert_eq!(content_bytes(&path).expect("a size"), 800_000);
        bytes.truncate(bytes.len() / 2);
        std::fs::write(&path, &bytes).expect("written");
        let (mut file, _) = Packed::open(&path).expect("opened");
        let mut buffer = vec![0; content.len()];
        let (read, result) = file.read(&mut buffer);
        assert!(result.is_err() && read > 1000, "{read} {result:?}");
        assert_eq!(buffer[..read], content[..read]);
    }
}
