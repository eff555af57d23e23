//! Floats that are short decimals, as integers: 0.125 is 125 at scale 3. The conversion is taken
//! only where dividing gives back the very same bits.

use super::CodecError;

/// The largest scale tried: of what exporters print, hardly anything has more places and still
/// fits 53 bits.
pub const SCALE_MAX: u8 = 12;

const POWERS: [f64; SCALE_MAX as usize + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
];

/// Integers up to here are exact as floats.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The integer that stands for a value at a scale, or `None` where none gives the same bits back.
#[inline]
pub fn integer(value: f64, scale: u8) -> Option<i64> {
    let power = *POWERS.get(usize::from(scale))?;
    let scaled = value * power;
    // False for NaN too.
    let small = scaled.abs() < EXACT_MAX;
    if !small {
        return None;
    }
    let integer = (scaled + 0.5f64.copysign(scaled)) as i64;
    (value_unchecked(integer, scale).to_bits() == value.to_bits()).then_some(integer)
}

/// The value of an integer at a scale.
pub fn value(integer: i64, scale: u8) -> Result<f64, CodecError> {
    if scale > SCALE_MAX {
        return Err(CodecError::Malformed("a decimal scale beyond 12"));
    }
    Ok(value_unchecked(integer, scale))
}

/// Like [`value`]; a scale that cannot be gives NaN.
#[inline]
pub fn value_unchecked(integer: i64, scale: u8) -> f64 {
    if scale == 0 {
        // Fast path: most metrics are whole numbers, and a division costs as much as the rest.
        return integer as f64;
    }
    integer as f64 / POWERS.get(usize::from(scale)).copied().unwrap_or(f64::NAN)
}

/// The integer and the smallest scale for one value.
pub fn shortest(value: f64) -> Option<(i64, u8)> {
    (0..=SCALE_MAX).find_map(|scale| Some((integer(value, scale)?, scale)))
}

/// A column as integers at one scale, and what does not fit beside it.
#[derive(Debug, Default)]
pub struct Decimals {
    /// One for each value; an exception repeats the integer before it.
    pub integers: Vec<i64>,
    /// The scale of all of them.
    pub scale: u8,
    /// Place and bits of each value that is not its integer.
    pub exceptions: Vec<(u32, u64)>,
}

impl Decimals {
    /// Converts a column; `false` where too many finite values are no short decimals.
    pub fn convert(&mut self, values: &[f64]) -> bool {
        // One odd value in sixteen costs ten bytes there and saves far more on its neighbours.
        let odd_max = values.len() / 16;
        let mut scale = 0;
        // Each round either ends or raises the scale.
        loop {
            match self.convert_at(values, scale, odd_max) {
                Round::Done => {
                    self.scale = scale;
                    self.fill_front();
                    return true;
                }
                Round::Raise(higher) => scale = higher,
                Round::Floats => return false,
            }
        }
    }

    fn convert_at(&mut self, values: &[f64], scale: u8, odd_max: usize) -> Round {
        self.integers.clear();
        self.exceptions.clear();
        let mut last = 0;
        let mut odd = 0;
        for (i, v) in values.iter().enumerate() {
            if let Some(m) = integer(*v, scale) {
                last = m;
            } else {
                if v.is_finite() && v.to_bits() != (-0.0f64).to_bits() {
                    let higher = (scale + 1..=SCALE_MAX).find(|s| integer(*v, *s).is_some());
                    if let Some(higher) = higher {
                        return Round::Raise(higher);
                    }
                    odd += 1;
                    if odd > odd_max {
                        return Round::Floats;
                    }
                }
                self.exceptions.push((i as u32, v.to_bits()));
            }
            self.integers.push(last);
        }
        Round::Done
    }

    /// Exceptions at the front take the first real integer, so that the column begins calmly.
    fn fill_front(&mut self) {
        let n = self
            .exceptions
            .iter()
            .enumerate()
            .take_while(|(i, (at, _))| *i == *at as usize)
            .count();
        if let Some(first) = self.integers.get(n).copied() {
            self.integers.iter_mut().take(n).for_each(|x| *x = first);
        }
    }
}

enum Round {
    Done,
    Raise(u8),
    Floats,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_only_what_comes_back_bit_for_bit() {
        let check = |value: f64, expected: Option<(i64, u8)>| {
            assert_eq!(shortest(value), expected, "{value}");
        };
        check(0.0, Some((0, 0)));
        check(-0.0, None);
        check(17.0, Some((17, 0)));
        check(-0.125, Some((-125, 3)));
        check(0.1 + 0.2, None);
        check(1e15, Some((1_000_000_000_000_000, 0)));
        check(1e17, None);
        check(f64::NAN, None);
        check(f64::NEG_INFINITY, None);
    }
}
