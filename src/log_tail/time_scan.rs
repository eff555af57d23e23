//! The pieces that written times are made of: numbers, months, clocks, zones.

use crate::civil::Civil;

/// Reads a written time byte by byte; every step says `None` where the text is another.
pub(crate) struct Scan<'a> {
    pub(crate) text: &'a [u8],
    /// The next byte.
    pub(crate) at: usize,
}

impl Scan<'_> {
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(crate) fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    pub(crate) fn one_of(&mut self, bytes: &[u8]) -> Option<()> {
        bytes.contains(&self.peek()?).then(|| self.at += 1)
    }

    /// Exactly so many digits.
    pub(crate) fn digits(&mut self, count: usize) -> Option<i64> {
        let value = decimal(self.text.get(self.at..self.at + count)?)?;
        self.at += count;
        Some(value)
    }

    pub(crate) fn date(&mut self, separator: u8) -> Option<Civil> {
        let year = self.digits(4)?;
        self.expect(separator)?;
        let month = self.digits(2)?;
        self.expect(separator)?;
        let day = self.digits(2)?;
        Some(Civil {
            year,
            month,
            day,
            ..Civil::default()
        })
    }

    pub(crate) fn month(&mut self) -> Option<i64> {
        let month = match self.text.get(self.at..self.at + 3)? {
            b"Jan" => 1,
            b"Feb" => 2,
            b"Mar" => 3,
            b"Apr" => 4,
            b"May" => 5,
            b"Jun" => 6,
            b"Jul" => 7,
            b"Aug" => 8,
            b"Sep" => 9,
            b"Oct" => 10,
            b"Nov" => 11,
            b"Dec" => 12,
            _ => return None,
        };
        self.at += 3;
        Some(month)
    }

    /// `03:04:05` with a fraction behind a point or a comma, of any length.
    pub(crate) fn clock(&mut self, civil: &mut Civil) -> Option<()> {
        civil.hour = self.digits(2)?;
        self.expect(b':')?;
        civil.minute = self.digits(2)?;
        self.expect(b':')?;
        civil.second = self.digits(2)?;
        if matches!(self.peek(), Some(b'.' | b',')) {
            let rest = &self.text[self.at + 1..];
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits > 0 {
                civil.nanos = fraction_value(&rest[..digits], 9);
                self.at += 1 + digits;
            }
        }
        // Five digits in a row are no seconds but a misread number.
        self.peek()
            .is_none_or(|byte| !byte.is_ascii_digit())
            .then_some(())
    }

    /// `Z`, `+01:00`, `+0100` or `+01`: seconds east of Greenwich.
    pub(crate) fn zone(&mut self) -> Option<i64> {
        let sign = match self.peek()? {
            b'Z' | b'z' => {
                self.at += 1;
                return Some(0);
            }
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let start = self.at;
        self.at += 1;
        let hours = self.digits(2);
        let colon = self.expect(b':').is_some();
        let minutes = self.digits(2);
        let ends = self.peek().is_none_or(|byte| !byte.is_ascii_alphanumeric());
        match (hours, minutes) {
            (Some(hours), minutes)
                if hours <= 18
                    && minutes.unwrap_or(0) < 60
                    && ends
                    && (!colon || minutes.is_some()) =>
            {
                Some(sign * (hours * 3600 + minutes.unwrap_or(0) * 60))
            }
            _ => {
                self.at = start;
                None
            }
        }
    }
}

/// Digits only, at most 19 of them.
pub(crate) fn decimal(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0i64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// The digits behind a point, scaled to `places`; further ones are cut off.
pub(crate) fn fraction_value(digits: &[u8], places: usize) -> i64 {
    (0..places).fold(0, |value, place| {
        value * 10 + digits.get(place).map_or(0, |byte| i64::from(byte - b'0'))
    })
}
