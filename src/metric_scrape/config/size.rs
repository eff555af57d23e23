//! Sizes in bytes as Prometheus writes them: `64MB`, `1GiB`, `512`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A size in bytes; 0 where a limit is not set. Units are powers of 1024 with or without the `i`,
/// as in Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS: [(&str, u32); 7] = [
    ("E", 60),
    ("P", 50),
    ("T", 40),
    ("G", 30),
    ("M", 20),
    ("K", 10),
    ("", 0),
];

impl Size {
    /// Reads a size.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("not a size: {text:?} (write a number and a unit, such as 64MB)");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| bad())?;
        let unit = unit.strip_suffix('B').unwrap_or(unit);
        let unit = unit.strip_suffix('i').unwrap_or(unit);
        let (_, shift) = UNITS
            .iter()
            .find(|(name, _)| unit.eq_ignore_ascii_case(name))
            .ok_or_else(bad)?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(bad)
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let exact = UNITS
            .iter()
            .find(|(_, shift)| self.0 != 0 && self.0.is_multiple_of(1 << shift));
        match exact {
            Some((unit, shift)) if *shift > 0 => write!(f, "{} {unit}iB", self.0 >> shift),
            _ => write!(f, "{} B", self.0),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string().replace(' ', ""))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_sizes() {
        let check = |text: &str, bytes: u64, back: &str| {
            let size = Size::parse(text).expect(text);
            assert_eq!(size.0, bytes, "{text}");
            assert_eq!(size.to_string(), back);
        };
        check("0", 0, "0 B");
        check("512", 512, "512 B");
        check("64MB", 64 << 20, "64 MiB");
        check("1GiB", 1 << 30, "1 GiB");
        check("1025KB", 1025 << 10, "1025 KiB");
        for bad in ["", "MB", "-1", "1.5MB", "1XB", "99999999999EB"] {
            assert!(Size::parse(bad).is_err(), "{bad}");
        }
    }
}
