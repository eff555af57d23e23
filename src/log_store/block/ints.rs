//! Columns of integers: a base, and differences in as few bytes as the widest needs, byte planes
//! one after the other so that zstd finds the runs in the high ones.
//!
//! Two ways, whichever is narrower: differences from the smallest value, or differences between
//! neighbours less the smallest of these. All arithmetic wraps, so that any `i64` comes back.

use super::bytes::{Corrupt, Cursor, put_zigzag};

/// How a column of integers is laid out; the payload itself lies elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IntLayout {
    /// First value (neighbours) or smallest value.
    base: i64,
    /// Smallest difference between neighbours, where these are stored.
    step: Option<i64>,
    /// Bytes per value, 0 to 8.
    width: usize,
}

impl IntLayout {
    /// Bytes of payload for `n` values.
    pub(crate) fn payload_len(&self, n: usize) -> usize {
        self.stored(n) * self.width
    }

    fn stored(&self, n: usize) -> usize {
        n.saturating_sub(usize::from(self.step.is_some()))
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Corrupt> {
        let head = cursor.byte()?;
        let width = usize::from(head >> 1);
        if width > 8 {
            return Err(Corrupt("integers wider than eight bytes"));
        }
        let base = cursor.zigzag()?;
        let step = (head & 1 == 1).then(|| cursor.zigzag()).transpose()?;
        Ok(Self { base, step, width })
    }

    fn write(&self, head: &mut Vec<u8>) {
        head.push((self.width as u8) << 1 | u8::from(self.step.is_some()));
        put_zigzag(head, self.base);
        if let Some(step) = self.step {
            put_zigzag(head, step);
        }
    }

    /// Decodes `n` values from their payload.
    pub(crate) fn decode(&self, payload: &[u8], n: usize) -> Result<Vec<i64>, Corrupt> {
        let stored = self.stored(n);
        if payload.len() != stored * self.width {
            return Err(Corrupt("a column of integers has the wrong length"));
        }
        let mut values = vec![0u64; stored];
        if stored > 0 {
            for (plane, bytes) in payload.chunks_exact(stored).enumerate() {
                for (value, byte) in values.iter_mut().zip(bytes) {
                    *value |= u64::from(*byte) << (8 * plane);
                }
            }
        }
        Ok(match self.step {
            None => values
                .into_iter()
                .map(|v| self.base.wrapping_add(v as i64))
                .collect(),
            Some(step) => {
                let mut out = Vec::with_capacity(n);
                let mut last = self.base;
                out.extend((n > 0).then_some(last));
                for v in values {
                    last = last.wrapping_add(v as i64).wrapping_add(step);
                    out.push(last);
                }
                out
            }
        })
    }
}

/// Encodes values: the layout goes to `head`, the payload is returned.
pub(crate) fn encode(values: &[i64], head: &mut Vec<u8>) -> Vec<u8> {
    let (min, max) = bounds(values.iter().copied());
    let range = max.wrapping_sub(min) as u64;
    let steps = || values.windows(2).map(|w| w[1].wrapping_sub(w[0]));
    let (step_min, step_max) = bounds(steps());
    let step_range = step_max.wrapping_sub(step_min) as u64;
    let by_steps = values.len() > 1 && bytes_for(step_range) < bytes_for(range);
    let layout = IntLayout {
        base: if by_steps { values[0] } else { min },
        step: by_steps.then_some(step_min),
        width: bytes_for(if by_steps { step_range } else { range }),
    };
    layout.write(head);
    if by_steps {
        planes(
            steps().map(|v| v.wrapping_sub(step_min) as u64),
            values.len() - 1,
            layout.width,
        )
    } else {
        planes(
            values.iter().map(|v| v.wrapping_sub(min) as u64),
            values.len(),
            layout.width,
        )
    }
}

fn bounds(values: impl Iterator<Item = i64>) -> (i64, i64) {
    values
        .fold(None, |bounds: Option<(i64, i64)>, v| match bounds {
            None => Some((v, v)),
            Some((min, max)) => Some((min.min(v), max.max(v))),
        })
        .unwrap_or_default()
}

fn bytes_for(range: u64) -> usize {
    (64 - range.leading_zeros() as usize).div_ceil(8)
}

fn planes(values: impl Iterator<Item = u64>, n: usize, width: usize) -> Vec<u8> {
    let mut out = vec![0u8; n * width];
    if width > 0 {
        for (i, value) in values.enumerate() {
            for (plane, byte) in value.to_le_bytes().iter().take(width).enumerate() {
                out[plane * n + i] = *byte;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(values: &[i64]) -> usize {
        let mut head = Vec::new();
        let payload = encode(values, &mut head);
        let layout = IntLayout::read(&mut Cursor::new(&head)).expect("a layout");
        assert_eq!(layout.payload_len(values.len()), payload.len());
        assert_eq!(
            layout.decode(&payload, values.len()).expect("values"),
            values
        );
        payload.len()
    }

    #[test]
    fn regular_columns_need_no_payload() {
        assert_eq!(check(&[]), 0);
        assert_eq!(check(&[7]), 0);
        assert_eq!(check(&[7; 100]), 0);
        assert_eq!(check(&[10, 20, 30, 40]), 0);
        assert_eq!(check(&[i64::MIN, i64::MAX]), 0);
        assert_eq!(check(&[1, 200, 3, 250]), 4);
    }

    proptest! {
        #[test]
        fn any_integers_come_back(values in prop::collection::vec(any::<i64>(), 0..100)) {
            check(&values);
        }
    }
}
