//! Prometheus' chunk of floats: times as differences of differences, values as the exclusive or
//! with the one before.
//!
//! Two bytes say how many samples there are (the highest first), then bits follow: the first
//! sample as a signed number of seven bits a byte and the value's 64 bits; of the second the
//! difference in time as an unsigned such number; of the others the difference of differences by
//! its size: `0` none, `10` 14 bits, `110` 17, `1110` 20, `1111` 64.

use crate::Malformed;
use crate::bits::{BitReader, BitWriter, XorState};
use crate::message::zigzag;

/// The number by which Prometheus knows this kind of chunk.
pub const ENCODING: u8 = 1;

/// The most samples of a chunk: its count has two bytes.
pub const SAMPLES_MAX: usize = u16::MAX as usize;

/// Hands over all samples of a chunk in the order in which they stand.
///
/// # Errors
/// Where it is cut; the samples before were handed over.
pub fn read(chunk: &[u8], mut take: impl FnMut(i64, f64)) -> Result<(), Malformed> {
    let (count, bits) = chunk
        .split_first_chunk::<2>()
        .ok_or(Malformed("a chunk is shorter than its head"))?;
    let count = u16::from_be_bytes(*count);
    if count == 0 {
        return Ok(());
    }
    let mut reader = BitReader::new(bits);
    let mut time_ms = zigzag(reader.uvarint()?);
    let mut value = XorState::new(f64::from_bits(reader.bits(64)?));
    take(time_ms, value.value());
    let mut delta = 0i64;
    for i in 1..count {
        delta = if i == 1 {
            reader.uvarint()? as i64
        } else {
            let size = match reader.ones(4)? {
                0 => 0,
                1 => 14,
                2 => 17,
                3 => 20,
                _ => 64,
            };
            delta.wrapping_add(reader.signed(size)?)
        };
        time_ms = time_ms.wrapping_add(delta);
        take(time_ms, value.read(&mut reader)?);
    }
    Ok(())
}

/// Writes a chunk of at most [`SAMPLES_MAX`] samples, ascending in time; what is beyond is left
/// out.
pub fn write(samples: impl IntoIterator<Item = (i64, f64)>) -> Vec<u8> {
    let mut writer = BitWriter::after(vec![0, 0]);
    let mut count = 0u16;
    let (mut last_ms, mut delta) = (0i64, 0i64);
    let mut state = XorState::new(0.0);
    for (time_ms, value) in samples.into_iter().take(SAMPLES_MAX) {
        if count == 0 {
            writer.uvarint((time_ms << 1 ^ time_ms >> 63) as u64);
            writer.bits(value.to_bits(), 64);
            state = XorState::new(value);
        } else {
            let new_delta = time_ms.wrapping_sub(last_ms);
            if count == 1 {
                writer.uvarint(new_delta as u64);
            } else {
                difference(&mut writer, new_delta.wrapping_sub(delta));
            }
            delta = new_delta;
            state.write(&mut writer, value);
        }
        last_ms = time_ms;
        count += 1;
    }
    let mut bytes = writer.into_bytes();
    if let Some(head) = bytes.first_chunk_mut::<2>() {
        *head = count.to_be_bytes();
    }
    bytes
}

fn difference(writer: &mut BitWriter, dod: i64) {
    let fits = |n: u32| (-(1i64 << (n - 1)) + 1..=1i64 << (n - 1)).contains(&dod);
    let (head, head_bits, bits) = match dod {
        0 => (0, 1, 0),
        _ if fits(14) => (0b10, 2, 14),
        _ if fits(17) => (0b110, 3, 17),
        _ if fits(20) => (0b1110, 4, 20),
        _ => (0b1111, 4, 64),
    };
    writer.bits(head, head_bits);
    writer.bits(dod as u64, bits);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples(chunk: &[u8]) -> Result<Vec<(i64, u64)>, Malformed> {
        let mut out = Vec::new();
        read(chunk, |t, v| out.push((t, v.to_bits())))?;
        Ok(out)
    }

    #[test]
    fn an_empty_chunk_and_a_cut_one() {
        assert_eq!(samples(&write([])), Ok(Vec::new()));
        assert!(samples(&[0]).is_err());
        let chunk = write((0..10).map(|i| (i * 15_000, i as f64)));
        assert!(samples(&chunk[..chunk.len() - 2]).is_err());
    }

    proptest! {
        #[test]
        fn samples_come_back(
            start in -1_000_000_000_000i64..1_000_000_000_000_000,
            steps in prop::collection::vec((prop_oneof![Just(15_000i64), 0..30_000i64, 0..10_000_000_000i64], any::<u64>()), 0..200),
        ) {
            let mut time_ms = start;
            let all: Vec<(i64, u64)> = steps.iter().map(|(step, bits)| {
                time_ms += step;
                (time_ms, *bits)
            }).collect();
            let chunk = write(all.iter().map(|(t, bits)| (*t, f64::from_bits(*bits))));
            prop_assert_eq!(samples(&chunk), Ok(all));
        }

        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = samples(&bytes);
        }
    }
}
