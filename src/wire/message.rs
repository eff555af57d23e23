//! Reads protobuf messages field by field, without copying and without knowing their schema.

use crate::Malformed;

/// The value of a field, as far as the wire tells it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Integers, booleans, enums.
    Varint(u64),
    /// `fixed64`, `double`.
    Fixed64(u64),
    /// Strings, bytes, messages, packed numbers.
    Bytes(&'a [u8]),
    /// `fixed32`, `float`.
    Fixed32(u32),
}

impl<'a> Value<'a> {
    /// The bytes of a string or message; of a field that has another type on the wire, none.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            _ => b"",
        }
    }

    /// The text of a string.
    ///
    /// # Errors
    /// Where it is no UTF-8.
    pub fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()).map_err(|_| Malformed("a text is no UTF-8"))
    }

    /// The number of a field.
    pub fn number(self) -> u64 {
        match self {
            Self::Varint(number) | Self::Fixed64(number) => number,
            Self::Fixed32(number) => u64::from(number),
            Self::Bytes(_) => 0,
        }
    }

    /// The number of a `sint32` or `sint64`.
    pub fn signed(self) -> i64 {
        zigzag(self.number())
    }

    /// The number of a `double` or `float`.
    pub fn float(self) -> f64 {
        match self {
            Self::Fixed64(bits) => f64::from_bits(bits),
            Self::Fixed32(bits) => f64::from(f32::from_bits(bits)),
            Self::Varint(_) | Self::Bytes(_) => 0.0,
        }
    }

    /// Adds the numbers of a repeated integer field, packed or not.
    ///
    /// # Errors
    /// Where the packed numbers end too early.
    pub fn numbers(self, mut add: impl FnMut(u64)) -> Result<(), Malformed> {
        match self {
            Self::Bytes(bytes) => {
                let mut packed = Message::new(bytes);
                while !packed.rest.is_empty() {
                    add(packed.varint()?);
                }
            }
            other => add(other.number()),
        }
        Ok(())
    }

    /// Adds the numbers of a repeated `double` or `fixed64` field, packed or not, as bits.
    ///
    /// # Errors
    /// Where the packed numbers end too early.
    pub fn fixed64s(self, mut add: impl FnMut(u64)) -> Result<(), Malformed> {
        match self {
            Self::Bytes(bytes) => {
                let (numbers, rest) = bytes.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(CUT);
                }
                for number in numbers {
                    add(u64::from_le_bytes(*number));
                }
            }
            other => add(other.number()),
        }
        Ok(())
    }
}

/// The signed number that a `sint` stands for.
pub fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

const CUT: Malformed = Malformed("the body is no sound protobuf: a field ends too early");

/// Walks over the fields of a message.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    rest: &'a [u8],
}

impl<'a> Message<'a> {
    /// A walk from the first field.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not walked over yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Number and value of the next field.
    ///
    /// # Errors
    /// Where it is cut, or has a type that protobuf does not know (any more).
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator of results would go on after an error"
    )]
    #[inline]
    pub fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(*self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| CUT)?;
                let (taken, rest) = self.rest.split_at_checked(length).ok_or(CUT)?;
                self.rest = rest;
                Value::Bytes(taken)
            }
            5 => Value::Fixed32(u32::from_le_bytes(*self.array()?)),
            _ => {
                return Err(Malformed(
                    "the body is no sound protobuf: a field has an unknown wire type",
                ));
            }
        };
        Ok(Some((key >> 3, value)))
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(CUT)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next varint, which need not be a field's.
    ///
    /// # Errors
    /// Where it is cut or longer than ten bytes.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        // Fast path: keys, lengths and references are short.
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for (i, byte) in self.rest.iter().enumerate().take(10) {
            number |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(i + 1..).unwrap_or_default();
                return Ok(number);
            }
        }
        Err(CUT)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_come_in_their_order() {
        let bytes = [
            0x08, 0x96, 0x01, // 1: varint 150
            0x12, 0x02, b'h', b'i', // 2: "hi"
            0x1d, 1, 0, 0, 0, // 3: fixed32 1
            0x21, 2, 0, 0, 0, 0, 0, 0, 0, // 4: fixed64 2
        ];
        let mut message = Message::new(&bytes);
        let mut fields = Vec::new();
        while let Some(field) = message.next().expect("sound") {
            fields.push(field);
        }
        assert_eq!(
            fields,
            [
                (1, Value::Varint(150)),
                (2, Value::Bytes(b"hi")),
                (3, Value::Fixed32(1)),
                (4, Value::Fixed64(2)),
            ]
        );
    }

    #[test]
    fn what_is_cut_or_unknown_is_refused() {
        for bytes in [&[0x08][..], &[0x12, 5, 1], &[0x0b], &[0xff; 12], &[0x1d, 1]] {
            let mut message = Message::new(bytes);
            assert!(message.next().is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut message = Message::new(&bytes);
            while let Ok(Some((_, value))) = message.next() {
                let _ = value.numbers(|_| {});
                let _ = value.fixed64s(|_| {});
            }
        }
    }
}
