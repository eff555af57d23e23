//! Streams of bits, the first bit of a byte the highest, and the three ways in which Prometheus'
//! chunks write numbers into them: varbits, and the exclusive or of neighbouring floats.
//!
//! A varbit begins with ones that say how many bits the number has, ended by a zero (none after
//! eight ones):
//!
//! | ones | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 |
//! |---|---|---|---|---|---|---|---|---|---|
//! | bits | 0 (the number is 0) | 3 | 6 | 9 | 12 | 18 | 25 | 56 | 64 |

use crate::Malformed;

const CUT: Malformed = Malformed("a chunk ends too early");

/// Bits of a varbit by its leading ones.
const VARBIT_SIZES: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// Reads bits.
#[derive(Debug, Clone)]
pub struct BitReader<'a> {
    rest: &'a [u8],
    /// Bits taken from `rest`, the next one the highest.
    held: u64,
    n_held: u32,
}

impl<'a> BitReader<'a> {
    /// From the first bit.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            held: 0,
            n_held: 0,
        }
    }

    fn fill(&mut self) {
        while self.n_held <= 56
            && let Some((byte, rest)) = self.rest.split_first()
        {
            self.held |= u64::from(*byte) << (56 - self.n_held);
            self.n_held += 8;
            self.rest = rest;
        }
    }

    /// The next bit.
    ///
    /// # Errors
    /// At the end.
    #[inline]
    pub fn bit(&mut self) -> Result<bool, Malformed> {
        Ok(self.bits(1)? == 1)
    }

    /// The next `n` bits, at most 64.
    ///
    /// # Errors
    /// At the end.
    #[inline]
    pub fn bits(&mut self, n: u32) -> Result<u64, Malformed> {
        if n > 32 {
            return Ok(self.bits(n - 32)? << 32 | self.bits(32)?);
        }
        if self.n_held < n {
            self.fill();
            if self.n_held < n {
                return Err(CUT);
            }
        }
        if n == 0 {
            return Ok(0);
        }
        let found = self.held >> (64 - n);
        self.held <<= n;
        self.n_held -= n;
        Ok(found)
    }

    /// A number of seven bits a byte, the lowest first, as Go's `binary` writes it.
    ///
    /// # Errors
    /// At the end, or where it is longer than ten bytes.
    pub fn uvarint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for i in 0..10 {
            let byte = self.bits(8)?;
            number |= (byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed("a number of a chunk is too long"))
    }

    /// Leading ones, at most `most`; the zero that ends them is taken too.
    ///
    /// # Errors
    /// At the end.
    pub fn ones(&mut self, most: u32) -> Result<u32, Malformed> {
        let mut n = 0;
        while n < most && self.bit()? {
            n += 1;
        }
        Ok(n)
    }

    /// A signed number of `n` bits: those above the middle are negative.
    ///
    /// # Errors
    /// At the end.
    pub fn signed(&mut self, n: u32) -> Result<i64, Malformed> {
        let bits = self.bits(n)?;
        if n == 0 || n >= 64 {
            return Ok(bits as i64);
        }
        if bits > 1 << (n - 1) {
            return Ok(bits.wrapping_sub(1 << n) as i64);
        }
        Ok(bits as i64)
    }

    /// A signed varbit.
    ///
    /// # Errors
    /// At the end.
    pub fn varbit(&mut self) -> Result<i64, Malformed> {
        let n = self.varbit_size()?;
        self.signed(n)
    }

    /// An unsigned varbit.
    ///
    /// # Errors
    /// At the end.
    pub fn varbit_unsigned(&mut self) -> Result<u64, Malformed> {
        let n = self.varbit_size()?;
        self.bits(n)
    }

    fn varbit_size(&mut self) -> Result<u32, Malformed> {
        let ones = self.ones(8)?;
        VARBIT_SIZES.get(ones as usize).copied().ok_or(CUT)
    }
}

/// Writes bits.
#[derive(Debug, Clone, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are still free.
    free: u32,
}

impl BitWriter {
    /// Behind bytes that are there already.
    pub fn after(bytes: Vec<u8>) -> Self {
        Self { bytes, free: 0 }
    }

    /// What was written; the last byte is filled with zeros.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What was written, to be changed in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// One bit.
    pub fn bit(&mut self, bit: bool) {
        self.bits(u64::from(bit), 1);
    }

    /// The lowest `n` bits of a number, at most 64.
    pub fn bits(&mut self, number: u64, n: u32) {
        let mut left = n;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let take = left.min(self.free);
            let part = (number >> (left - take)) & ((1 << take) - 1);
            self.free -= take;
            left -= take;
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part as u8) << self.free;
            }
        }
    }

    /// A number of seven bits a byte, the lowest first.
    pub fn uvarint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bits(number & 0x7f | 0x80, 8);
            number >>= 7;
        }
        self.bits(number, 8);
    }

    fn varbit_head(&mut self, ones: usize) {
        let ones = ones as u32;
        self.bits(u64::MAX, ones);
        if ones < 8 {
            self.bit(false);
        }
    }

    /// A signed varbit.
    pub fn varbit(&mut self, number: i64) {
        let fits = |n: u32| match n {
            0 => number == 0,
            64 => true,
            n => (-(1i64 << (n - 1)) + 1..=1i64 << (n - 1)).contains(&number),
        };
        self.put_varbit(number as u64, fits);
    }

    /// An unsigned varbit.
    pub fn varbit_unsigned(&mut self, number: u64) {
        self.put_varbit(number, |n| n == 64 || number >> n == 0);
    }

    fn put_varbit(&mut self, number: u64, fits: impl Fn(u32) -> bool) {
        // The last size fits everything.
        let ones = VARBIT_SIZES.iter().position(|n| fits(*n)).unwrap_or(8);
        self.varbit_head(ones);
        self.bits(number, VARBIT_SIZES.get(ones).copied().unwrap_or(64));
    }
}

/// What a column of floats remembers to write the next one as the difference to the last.
#[derive(Debug, Clone, Copy)]
pub struct XorState {
    /// The last value's bits.
    pub bits: u64,
    leading: u32,
    trailing: u32,
    /// Whether the two above say anything yet.
    known: bool,
}

impl XorState {
    /// After a first value.
    pub fn new(value: f64) -> Self {
        Self {
            bits: value.to_bits(),
            leading: 0,
            trailing: 0,
            known: false,
        }
    }

    /// The last value.
    pub fn value(&self) -> f64 {
        f64::from_bits(self.bits)
    }

    /// Reads the next value.
    ///
    /// # Errors
    /// At the end.
    pub fn read(&mut self, reader: &mut BitReader<'_>) -> Result<f64, Malformed> {
        if reader.bit()? {
            if reader.bit()? {
                self.leading = reader.bits(5)? as u32;
                let significant = match reader.bits(6)? as u32 {
                    0 => 64,
                    n => n,
                };
                let left = 64u32.checked_sub(self.leading + significant);
                self.trailing = left.ok_or(Malformed("a value of a chunk has too many bits"))?;
            }
            let significant = 64 - self.leading - self.trailing;
            self.bits ^= reader.bits(significant)? << self.trailing;
        }
        Ok(self.value())
    }

    /// Writes the next value.
    pub fn write(&mut self, writer: &mut BitWriter, value: f64) {
        let difference = value.to_bits() ^ self.bits;
        self.bits = value.to_bits();
        if difference == 0 {
            writer.bit(false);
            return;
        }
        // Five bits for the leading zeros.
        let leading = difference.leading_zeros().min(31);
        let trailing = difference.trailing_zeros();
        writer.bit(true);
        if self.known && leading >= self.leading && trailing >= self.trailing {
            writer.bit(false);
        } else {
            (self.leading, self.trailing, self.known) = (leading, trailing, true);
            writer.bit(true);
            writer.bits(u64::from(leading), 5);
            // 64 significant bits are written as 0.
            writer.bits(u64::from(64 - leading - trailing), 6);
        }
        let significant = 64 - self.leading - self.trailing;
        writer.bits(difference >> self.trailing, significant);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn varbits_have_the_documented_sizes() {
        let size = |number: i64| {
            let mut writer = BitWriter::default();
            writer.varbit(number);
            writer.len() * 8 - writer.free as usize
        };
        for (number, bits) in [
            (0, 1),
            (4, 5),
            (-3, 5),
            (5, 9),
            (32, 9),
            (33, 13),
            (-255, 13),
            (2048, 17),
            (131_072, 24),
            (16_777_216, 32),
            (1 << 55, 64),
            (i64::MIN, 72),
        ] {
            assert_eq!(size(number), bits, "{number}");
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec((any::<i64>(), 0u32..64), 0..50)) {
            let mut writer = BitWriter::default();
            for (number, shift) in &numbers {
                writer.varbit(number >> shift);
                writer.varbit_unsigned(*number as u64 >> shift);
                writer.uvarint(*number as u64 >> shift);
            }
            let bytes = writer.into_bytes();
            let mut reader = BitReader::new(&bytes);
            for (number, shift) in &numbers {
                prop_assert_eq!(reader.varbit(), Ok(number >> shift));
                prop_assert_eq!(reader.varbit_unsigned(), Ok(*number as u64 >> shift));
                prop_assert_eq!(reader.uvarint(), Ok(*number as u64 >> shift));
            }
        }

        #[test]
        fn floats_come_back(values in prop::collection::vec(any::<u64>(), 1..50)) {
            let mut writer = BitWriter::default();
            let mut state = XorState::new(1.0);
            for bits in &values {
                state.write(&mut writer, f64::from_bits(*bits));
            }
            let bytes = writer.into_bytes();
            let mut reader = BitReader::new(&bytes);
            let mut state = XorState::new(1.0);
            for bits in &values {
                prop_assert_eq!(state.read(&mut reader).map(f64::to_bits), Ok(*bits));
            }
        }
    }
}
