//! A column of timestamps: the first one, then differences of differences. A steady scrape takes
//! one zero byte each, which zstd makes nothing of.

use super::CodecError;
use super::varint::{Reader, put_varint, put_zigzag};

/// Appends a column: its length, then its times in milliseconds (any order, any values).
pub fn encode(times_ms: &[i64], out: &mut Vec<u8>) {
    put_varint(out, times_ms.len() as u64);
    let (mut last, mut step) = (0i64, 0i64);
    for time in times_ms {
        let next = time.wrapping_sub(last);
        put_zigzag(out, next.wrapping_sub(step));
        step = next;
        last = *time;
    }
}

/// Reads the first time of a column that has one.
pub fn first(reader: &mut Reader<'_>) -> Result<i64, CodecError> {
    reader.varint()?;
    reader.zigzag()
}

/// Reads a column.
pub fn decode(reader: &mut Reader<'_>, out: &mut Vec<i64>) -> Result<(), CodecError> {
    let count = reader.varint()? as usize;
    // Each time takes a byte at least, so a wrong count cannot ask for memory.
    if count > reader.rest().len() {
        return Err(CodecError::Truncated);
    }
    out.reserve(count);
    let (mut last, mut step) = (0i64, 0i64);
    for _ in 0..count {
        step = step.wrapping_add(reader.zigzag()?);
        last = last.wrapping_add(step);
        out.push(last);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_times_come_back(times: Vec<i64>) {
            let mut bytes = Vec::new();
            encode(&times, &mut bytes);
            let mut back = Vec::new();
            decode(&mut Reader::new(&bytes), &mut back).expect("decodes");
            prop_assert_eq!(times, back);
        }
    }
}
