//! Reads protobuf messages field by field, without copying and without knowing their schema.

use crate::Refused;

/// The value of a field, as far as the wire tells it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    /// Integers, booleans, enums.
    Varint(u64),
    /// `fixed64`, `double`.
    Fixed64(u64),
    /// Strings, bytes, messages.
    Bytes(&'a [u8]),
    /// `fixed32`, `float`.
    Fixed32(u32),
}

impl<'a> Value<'a> {
    /// The bytes of a string or message; of a field that has another type on the wire, none.
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            _ => b"",
        }
    }

    /// The number of a field.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Varint(number) | Self::Fixed64(number) => number,
            Self::Fixed32(number) => u64::from(number),
            Self::Bytes(_) => 0,
        }
    }
}

/// Walks over the fields of a message.
#[derive(Debug, Clone)]
pub(crate) struct Message<'a> {
    rest: &'a [u8],
}

impl<'a> Message<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Number and value of the next field.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, Refused> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                let bytes = self.take(8)?;
                Value::Fixed64(u64::from_le_bytes(bytes.try_into().map_err(|_| cut())?))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| cut())?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                let bytes = self.take(4)?;
                Value::Fixed32(u32::from_le_bytes(bytes.try_into().map_err(|_| cut())?))
            }
            other => {
                return Err(Refused::Bad(format!(
                    "the body is no sound protobuf: unknown wire type {other}"
                )));
            }
        };
        Ok(Some((key >> 3, value)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Refused> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(cut)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Refused> {
        let mut number = 0u64;
        for (i, byte) in self.rest.iter().enumerate().take(10) {
            number |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(i + 1..).unwrap_or_default();
                return Ok(number);
            }
        }
        Err(cut())
    }
}

fn cut() -> Refused {
    Refused::Bad("the body is no sound protobuf: a field ends too early".to_owned())
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
            while let Ok(Some(_)) = message.next() {}
        }
    }
}
