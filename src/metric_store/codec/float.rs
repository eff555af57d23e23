//! Floats with full mantissas: pco where there are enough of them, else XOR with the value before
//! in whole bytes.

use pco::ChunkConfig;
use pco::standalone::{simple_compress_into, simple_decompress_into};

use super::CodecError;
use super::varint::Reader;

/// Below so many values pco's own header eats what it gains.
const PCO_VALUES_MIN: usize = 24;

/// Appends a pco chunk; `false` (and nothing appended that the caller may keep) where XOR is the
/// better choice.
pub fn encode_pco(values: &[f64], out: &mut Vec<u8>) -> bool {
    if values.len() < PCO_VALUES_MIN {
        return false;
    }
    let start = out.len();
    let written = simple_compress_into(values, &ChunkConfig::default(), &mut *out);
    written.is_ok() && out.len() - start < values.len() * 8
}

/// Appends the `count` values of a pco chunk.
pub fn decode_pco(bytes: &[u8], count: usize, out: &mut Vec<f64>) -> Result<(), CodecError> {
    let base = out.len();
    out.resize(base + count, 0.0);
    let target = out.get_mut(base..).unwrap_or_default();
    match simple_decompress_into(bytes, target) {
        Ok(progress) if progress.n_processed == count => Ok(()),
        Ok(_) => Err(CodecError::Malformed("a pco chunk of another length")),
        Err(_) => Err(CodecError::Malformed("not a pco chunk")),
    }
}

/// Appends each value XOR the one before: a byte with the number of zero bytes below (high four
/// bits) and of bytes that follow (low four bits), then those.
pub fn encode_xor(values: &[f64], out: &mut Vec<u8>) {
    let mut previous = 0u64;
    for value in values {
        put_xor(value.to_bits() ^ previous, out);
        previous = value.to_bits();
    }
}

/// Appends `count` values written by [`encode_xor`].
pub fn decode_xor(
    reader: &mut Reader<'_>,
    count: usize,
    out: &mut Vec<f64>,
) -> Result<(), CodecError> {
    let mut previous = 0u64;
    for _ in 0..count {
        previous ^= get_xor(reader)?;
        out.push(f64::from_bits(previous));
    }
    Ok(())
}

/// Appends 64 bits that are zero at both ends.
pub fn put_xor(difference: u64, out: &mut Vec<u8>) {
    if difference == 0 {
        out.push(0);
        return;
    }
    let low = difference.trailing_zeros() / 8;
    let bytes = 8 - low - difference.leading_zeros() / 8;
    out.push((low << 4 | bytes) as u8);
    let shifted = (difference >> (low * 8)).to_le_bytes();
    out.extend(shifted.iter().take(bytes as usize));
}

/// Reads what [`put_xor`] wrote.
pub fn get_xor(reader: &mut Reader<'_>) -> Result<u64, CodecError> {
    let head = reader.byte()?;
    let (low, n) = (u32::from(head >> 4), usize::from(head & 15));
    if low as usize + n > 8 {
        return Err(CodecError::Malformed("an XOR of more than 8 bytes"));
    }
    let mut word = [0u8; 8];
    for (to, from) in word.iter_mut().zip(reader.bytes(n)?) {
        *to = *from;
    }
    Ok(u64::from_le_bytes(word).checked_shl(low * 8).unwrap_or(0))
}
