//! Reads the numbers of Prometheus' files: the highest byte first, or seven bits a byte.

use crate::ImportError;

/// Walks over bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

fn cut() -> ImportError {
    ImportError::Bad("it ends too early".to_owned())
}

impl<'a> Reader<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], ImportError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(cut)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ImportError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(cut)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, ImportError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32, ImportError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, ImportError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn uvarint(&mut self) -> Result<u64, ImportError> {
        let mut number = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.u8()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(ImportError::Bad("a number is too long".to_owned()))
    }

    pub(super) fn varint(&mut self) -> Result<i64, ImportError> {
        self.uvarint().map(wire::message::zigzag)
    }

    pub(super) fn length(&mut self) -> Result<usize, ImportError> {
        let length = self.uvarint()?;
        usize::try_from(length).map_err(|_| cut())
    }

    pub(super) fn text(&mut self) -> Result<&'a str, ImportError> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?)
            .map_err(|_| ImportError::Bad("a text is no UTF-8".to_owned()))
    }
}
