//! Writes protobuf messages field by field.
//!
//! A message within a message is written in place: its length is put before it afterwards, which
//! moves some hundred bytes at most for each of the small messages that this is for.

/// A protobuf message that is being written.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// The message so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The finished message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// An integer, boolean or enum; 0 is what protobuf assumes and is left out.
    pub fn number(&mut self, field: u32, number: u64) {
        if number != 0 {
            self.always_number(field, number);
        }
    }

    /// An integer that is written also where it is 0: one of several alternatives.
    pub fn always_number(&mut self, field: u32, number: u64) {
        self.key(field, 0);
        self.varint(number);
    }

    /// A `sint32` or `sint64`.
    pub fn signed(&mut self, field: u32, number: i64) {
        self.number(field, zigzag(number));
    }

    /// A `double`; positive 0 is left out.
    pub fn float(&mut self, field: u32, number: f64) {
        if number.to_bits() != 0 {
            self.always_float(field, number);
        }
    }

    /// A `double` that is written also where it is 0.
    pub fn always_float(&mut self, field: u32, number: f64) {
        self.key(field, 1);
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// A string, or bytes, or a message that is there already; written also where it is empty.
    pub fn field(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// Packed integers; none are left out.
    pub fn packed(&mut self, field: u32, numbers: impl IntoIterator<Item = u64>) {
        let mut numbers = numbers.into_iter().peekable();
        if numbers.peek().is_some() {
            self.message(field, |inner| numbers.for_each(|n| inner.varint(n)));
        }
    }

    /// Packed `sint64`s; none are left out.
    pub fn packed_signed(&mut self, field: u32, numbers: impl IntoIterator<Item = i64>) {
        self.packed(field, numbers.into_iter().map(zigzag));
    }

    /// Packed `double`s; none are left out.
    pub fn packed_floats(&mut self, field: u32, numbers: &[f64]) {
        if !numbers.is_empty() {
            self.key(field, 2);
            self.varint(numbers.len() as u64 * 8);
            for number in numbers {
                self.bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
    }

    /// A message that `write` writes.
    pub fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.key(field, 2);
        let start = self.bytes.len();
        // Most are shorter than 128 bytes: one byte for the length.
        self.bytes.push(0);
        write(self);
        let length = self.bytes.len() - start - 1;
        if length < 0x80 {
            if let Some(place) = self.bytes.get_mut(start) {
                *place = length as u8;
            }
        } else {
            let mut prefix = Self::default();
            prefix.varint(length as u64);
            self.bytes.splice(start..=start, prefix.bytes);
        }
    }

    /// A varint that is no field: a part of a packed field, a length.
    pub fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn key(&mut self, field: u32, kind: u64) {
        self.varint(u64::from(field) << 3 | kind);
    }
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Message, Value};

    #[test]
    fn messages_in_messages_have_their_length() {
        for length in [0usize, 5, 124, 125, 126, 127, 128, 20_000] {
            let text = "x".repeat(length);
            let mut writer = Writer::default();
            writer.message(3, |inner| {
                inner.message(1, |inner| inner.field(2, text.as_bytes()));
            });
            writer.number(4, 7);
            let mut message = Message::new(writer.bytes());
            let (field, outer) = message.next().expect("sound").expect("there");
            assert_eq!(field, 3);
            let (_, inner) = Message::new(outer.bytes())
                .next()
                .expect("sound")
                .expect("there");
            let (_, found) = Message::new(inner.bytes())
                .next()
                .expect("sound")
                .expect("there");
            assert_eq!(found.bytes(), text.as_bytes());
            assert_eq!(message.next(), Ok(Some((4, Value::Varint(7)))));
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(signed: i64, float: f64, packed in prop::collection::vec(any::<i64>(), 1..20)) {
            let mut writer = Writer::default();
            writer.always_number(1, zigzag(signed));
            writer.always_float(2, float);
            writer.packed_signed(3, packed.iter().copied());
            let mut message = Message::new(writer.bytes());
            let mut next = || message.next().expect("sound").expect("there").1;
            prop_assert_eq!(next().signed(), signed);
            prop_assert_eq!(next().float().to_bits(), float.to_bits());
            let mut found = Vec::new();
            next().numbers(|n| found.push(crate::message::zigzag(n))).expect("sound");
            prop_assert_eq!(found, packed);
        }
    }
}
