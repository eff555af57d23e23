//! Reading and writing the small parts of which formats on disk are made: variable-length
//! integers (seven bits a byte, lowest first) and lengths with bytes.

/// Data that do not decode. The caller knows the file and says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Corrupt(pub(crate) &'static str);

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes a signed number so that small ones of both signs are short.
pub(crate) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads from the front of a slice; nothing it is given can make it panic.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Corrupt> {
        let end = self
            .at
            .checked_add(n)
            .ok_or(Corrupt("a length overflows"))?;
        let taken = self
            .bytes
            .get(self.at..end)
            .ok_or(Corrupt("it ends too early"))?;
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Corrupt> {
        let byte = *self
            .bytes
            .get(self.at)
            .ok_or(Corrupt("it ends too early"))?;
        self.at += 1;
        Ok(byte)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Corrupt("a number is too long"))
    }

    /// A varint that counts or measures something in memory.
    pub(crate) fn size(&mut self) -> Result<usize, Corrupt> {
        usize::try_from(self.varint()?).map_err(|_| Corrupt("a length overflows"))
    }

    pub(crate) fn zigzag(&mut self) -> Result<i64, Corrupt> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Corrupt> {
        let n = self.size()?;
        self.take(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let mut out = Vec::new();
        let signed = [0, 1, -1, 63, -64, 64, i64::MAX, i64::MIN];
        for value in signed {
            put_zigzag(&mut out, value);
        }
        put_varint(&mut out, u64::MAX);
        put_bytes(&mut out, b"abc");
        let mut cursor = Cursor::new(&out);
        for value in signed {
            assert_eq!(cursor.zigzag(), Ok(value));
        }
        assert_eq!(cursor.varint(), Ok(u64::MAX));
        assert_eq!(cursor.bytes(), Ok(&b"abc"[..]));
        assert!(cursor.is_at_end());
    }

    #[test]
    fn broken_input_is_refused() {
        assert!(Cursor::new(&[0x80]).varint().is_err());
        assert!(Cursor::new(&[0xff; 12]).varint().is_err());
        assert!(Cursor::new(&[200, 1, 1]).bytes().is_err());
    }
}
