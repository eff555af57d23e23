//! Integers of similar size, bit-packed: blocks of 64, each with its own base and width, and with
//! outliers patched in so that one of them does not widen its block.
//!
//! Before packing, the power of two that divides all of them is taken out: sizes in bytes are
//! often multiples of 4096.

use super::CodecError;
use super::varint::{Reader, put_varint, put_zigzag, unzigzag, varint_len, zigzag};

/// Values to a block.
const BLOCK: usize = 64;

/// The bit of a block's first byte that says: patches follow.
const PATCHED: u8 = 0x80;

/// How many outliers a block may have: the steps that are tried.
const OUTLIERS: [usize; 7] = [1, 2, 3, 4, 6, 8, 12];

/// Buffers that packing reuses.
#[derive(Debug, Default)]
pub struct PackScratch {
    sorted: Vec<i64>,
    patches: Vec<u8>,
}

/// The bits that packing without patches takes, to choose between forms of the same column.
pub fn ranges(values: &[i64]) -> usize {
    let block = |block: &[i64]| {
        let low = block.iter().copied().min().unwrap_or_default();
        let high = block.iter().copied().max().unwrap_or_default();
        block.len() * bits(high.wrapping_sub(low) as u64) as usize
    };
    values.chunks(BLOCK).map(block).sum()
}

/// An estimate of the bits that packing with patches takes.
pub fn spread(values: &[i64]) -> usize {
    if values.is_empty() {
        return 0;
    }
    let mean = values.iter().map(|x| *x as f64).sum::<f64>() / values.len() as f64;
    let mean = mean as i64;
    values
        .iter()
        .map(|x| bits(x.wrapping_sub(mean).unsigned_abs()) as usize)
        .sum()
}

#[inline]
fn bits(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// Appends the values. `patch` looks for outliers, which costs a sort for each block.
pub fn encode(values: &[i64], patch: bool, scratch: &mut PackScratch, out: &mut Vec<u8>) {
    let union = values.iter().fold(0i64, |a, b| a | *b);
    let shift = if union == 0 {
        0
    } else {
        union.trailing_zeros()
    };
    out.push(shift as u8);
    let mut block = [0i64; BLOCK];
    for chunk in values.chunks(BLOCK) {
        let block = &mut block[..chunk.len()];
        for (to, from) in block.iter_mut().zip(chunk) {
            *to = from >> shift;
        }
        encode_block(block, patch, scratch, out);
    }
}

/// Base and width of a block.
struct Frame {
    base: i64,
    width: u32,
    cost: usize,
}

fn frame(block: &[i64], patch: bool, sorted: &mut Vec<i64>) -> Frame {
    let low = block.iter().copied().min().unwrap_or_default();
    let high = block.iter().copied().max().unwrap_or_default();
    let width = bits(high.wrapping_sub(low) as u64);
    let n = block.len();
    let mut best = Frame {
        base: low,
        width,
        cost: n * width as usize + 8 * varint_len(zigzag(low)),
    };
    if !patch || width <= 1 || n < 8 {
        return best;
    }
    sorted.clear();
    sorted.extend_from_slice(block);
    sorted.sort_unstable();
    for outliers in OUTLIERS {
        let kept = n - outliers.min(n - 1);
        // The narrowest run of `kept` values; there are `outliers + 1` of them.
        let narrowest = sorted
            .windows(kept)
            .enumerate()
            .map(|(i, w)| (w[kept - 1].wrapping_sub(w[0]) as u64, i))
            .min();
        let Some((span, at)) = narrowest else {
            continue;
        };
        let (width, base) = (bits(span), sorted.get(at).copied().unwrap_or_default());
        let left_out = sorted.iter().take(at).chain(sorted.iter().skip(at + kept));
        let patches: usize = left_out
            .map(|x| 1 + varint_len(zigzag(x.wrapping_sub(base))))
            .sum();
        let cost = n * width as usize + 8 * (varint_len(zigzag(base)) + 1 + patches);
        if cost < best.cost {
            best = Frame { base, width, cost };
        }
    }
    best
}

fn encode_block(block: &[i64], patch: bool, scratch: &mut PackScratch, out: &mut Vec<u8>) {
    let Frame { base, width, .. } = frame(block, patch, &mut scratch.sorted);
    let mask = mask(width);
    let head_at = out.len();
    out.push(width as u8);
    put_zigzag(out, base);
    scratch.patches.clear();
    let mut n_patches = 0u8;
    let mut acc = 0u128;
    let mut filled = 0;
    for (i, x) in block.iter().enumerate() {
        let mut offset = x.wrapping_sub(base) as u64;
        if *x < base || offset > mask {
            n_patches += 1;
            scratch.patches.push(i as u8);
            put_zigzag(&mut scratch.patches, offset as i64);
            offset = 0;
        }
        acc |= u128::from(offset) << filled;
        filled += width;
        while filled >= 8 {
            out.push(acc as u8);
            acc >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(acc as u8);
    }
    if n_patches > 0 {
        if let Some(head) = out.get_mut(head_at) {
            *head |= PATCHED;
        }
        put_varint(out, u64::from(n_patches));
        out.extend_from_slice(&scratch.patches);
    }
}

#[inline]
fn mask(width: u32) -> u64 {
    u64::MAX.checked_shr(64 - width).unwrap_or(0)
}

/// Reads `count` values and hands each to `take`.
#[inline]
pub fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    mut take: impl FnMut(i64),
) -> Result<(), CodecError> {
    let shift = u32::from(reader.byte()?);
    if shift > 63 {
        return Err(CodecError::Malformed("a shift beyond 63"));
    }
    let mut offsets = [0u64; BLOCK];
    let mut left = count;
    while left > 0 {
        let n = left.min(BLOCK);
        let head = reader.byte()?;
        let width = u32::from(head & !PATCHED);
        if width > 64 {
            return Err(CodecError::Malformed("a width beyond 64"));
        }
        let base = reader.zigzag()?;
        let packed = reader.bytes((n * width as usize).div_ceil(8))?;
        unpack(packed, width, &mut offsets);
        if head & PATCHED != 0 {
            for _ in 0..reader.varint()? {
                let at = usize::from(reader.byte()?);
                let offset = unzigzag(reader.varint()?);
                *offsets
                    .get_mut(at)
                    .ok_or(CodecError::Malformed("a patch beyond its block"))? = offset as u64;
            }
        }
        for offset in &offsets[..n] {
            take((offset.wrapping_add(base as u64) as i64) << shift);
        }
        left -= n;
    }
    Ok(())
}

/// Unpacks a block; where it is a short one, the rest of `offsets` is zeros or noise.
fn unpack(packed: &[u8], width: u32, offsets: &mut [u64; BLOCK]) {
    if width == 0 {
        offsets.fill(0);
        return;
    }
    // A padded copy, so that every value can be read with one wide load.
    let mut padded = [0u8; BLOCK * 8 + 16];
    for (to, from) in padded.iter_mut().zip(packed) {
        *to = *from;
    }
    let mask = mask(width);
    let width = width as usize;
    if width <= 56 {
        for (i, offset) in offsets.iter_mut().enumerate() {
            let at = i * width;
            let word = padded[at >> 3..]
                .first_chunk()
                .map_or(0, |b| u64::from_le_bytes(*b));
            *offset = (word >> (at & 7)) & mask;
        }
    } else {
        for (i, offset) in offsets.iter_mut().enumerate() {
            let at = i * width;
            let word = padded[at >> 3..]
                .first_chunk()
                .map_or(0, |b| u128::from_le_bytes(*b));
            *offset = (word >> (at & 7)) as u64 & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(values: &[i64], patch: bool) -> usize {
        let mut out = Vec::new();
        encode(values, patch, &mut PackScratch::default(), &mut out);
        let mut back = Vec::new();
        let mut reader = Reader::new(&out);
        decode(&mut reader, values.len(), |x| back.push(x)).expect("decodes");
        assert!(reader.is_empty());
        assert_eq!(values, back);
        out.len()
    }

    proptest! {
        #[test]
        fn integers_come_back(
            values in prop::collection::vec(-(1i64 << 60)..(1 << 60), 0..200),
            small in prop::collection::vec(-9i64..9, 0..200),
            shift in 0u32..8,
        ) {
            let shifted: Vec<i64> = small.iter().map(|x| x << shift).collect();
            for patch in [false, true] {
                round_trip(&values, patch);
                round_trip(&shifted, patch);
                round_trip(&[values.as_slice(), small.as_slice()].concat(), patch);
            }
        }
    }

    #[test]
    fn outliers_do_not_widen_their_block() {
        let mut values = vec![5i64; 64];
        values[10] = 1 << 40;
        values[20] = -(1 << 40);
        assert!(round_trip(&values, true) < 24);
        assert!(round_trip(&values, false) > 300);
    }
}
