//! The envelope of a partition's small files: checksum, version, and the content compressed.
//!
//! crc32 of all that follows (4 bytes), version (1 byte), raw length (varint), zstd.

use crate::block::bytes::{Corrupt, Cursor, put_varint};

/// Higher levels gain little on so few bytes.
const ZSTD_LEVEL: i32 = 3;

/// Wraps a content.
pub(crate) fn wrap(version: u8, raw: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = vec![0u8; 4];
    out.push(version);
    put_varint(&mut out, raw.len() as u64);
    out.extend_from_slice(&zstd::bulk::compress(raw, ZSTD_LEVEL)?);
    let checksum = crc32fast::hash(&out[4..]);
    out[..4].copy_from_slice(&checksum.to_le_bytes());
    Ok(out)
}

/// The content of a file of this version with at most so many bytes in it.
pub(crate) fn unwrap(bytes: &[u8], version: u8, raw_bytes_max: usize) -> Result<Vec<u8>, Corrupt> {
    let mut cursor = Cursor::new(bytes);
    let checksum = cursor.take(4)?;
    let body = bytes.get(4..).unwrap_or_default();
    if checksum != crc32fast::hash(body).to_le_bytes() {
        return Err(Corrupt("the checksum does not match"));
    }
    if cursor.byte()? != version {
        return Err(Corrupt("it has an unknown version"));
    }
    let raw_len = cursor.size()?;
    if raw_len > raw_bytes_max {
        return Err(Corrupt("it is too large"));
    }
    let packed = bytes.get(cursor.position()..).unwrap_or_default();
    zstd::bulk::decompress(packed, raw_len).map_err(|_| Corrupt("it does not decompress"))
}
