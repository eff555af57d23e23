//! Amounts of bytes as people write them: `20GiB`, `512MiB`, `1.5GB`, `4096`.

/// A text that is no amount of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a size: {0:?} (write a number and a unit, such as 512MiB, 20GiB or 1GB)")]
pub struct BadSize(pub String);

const UNITS: [(&str, u64); 17] = [
    ("b", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("ki", 1 << 10),
    ("kb", 1000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mi", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gi", 1 << 30),
    ("gb", 1_000_000_000),
    ("t", 1 << 40),
    ("tib", 1 << 40),
    ("ti", 1 << 40),
    ("tb", 1_000_000_000_000),
];

/// Reads an amount of bytes. Units are those of IEC (`KiB`, and Kubernetes' `Ki`) and of SI
/// (`KB`), in any case; a bare letter is the IEC unit, a bare number counts bytes.
pub fn parse(text: &str) -> Result<u64, BadSize> {
    let bad = || BadSize(text.to_owned());
    let trimmed = text.trim();
    let split = trimmed
        .find(|c: char| c.is_ascii_alphabetic() || c.is_whitespace())
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = if unit.is_empty() {
        1
    } else {
        UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| *factor)
            .ok_or_else(bad)?
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(bad);
    }
    if !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(bad());
    }
    let bytes = number.parse::<f64>().map_err(|_| bad())? * factor as f64;
    if bytes >= 0.0 && bytes < u64::MAX as f64 {
        Ok(bytes as u64)
    } else {
        Err(bad())
    }
}

/// Writes an amount of bytes with one digit behind the point where it is not even: `1.5 GiB`.
pub fn format(bytes: u64) -> String {
    const NAMES: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < NAMES.len() {
        value /= 1024.0;
        unit += 1;
    }
    let name = NAMES.get(unit).copied().unwrap_or("B");
    if unit == 0 || value >= 100.0 || (value - value.round()).abs() < 0.05 {
        format!("{value:.0} {name}")
    } else {
        format!("{value:.1} {name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_units_that_people_write() {
        let check = |text: &str, expected: u64| assert_eq!(parse(text), Ok(expected), "{text}");
        check("0", 0);
        check("4096", 4096);
        check("20GiB", 20 << 30);
        check("512 MiB", 512 << 20);
        check("512Mi", 512 << 20);
        check("1GB", 1_000_000_000);
        check("1.5gib", 3 << 29);
        check("2T", 2 << 40);
    }

    #[test]
    fn refuses_what_is_no_size() {
        for text in ["", "GiB", "-1", "1 apple", "1e9", "99999999999T", "1.2.3M"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn writes_short_amounts() {
        let check = |bytes: u64, expected: &str| assert_eq!(format(bytes), expected);
        check(0, "0 B");
        check(1023, "1023 B");
        check(3 << 29, "1.5 GiB");
        check(20 << 30, "20 GiB");
        check(1_234_567, "1.2 MiB");
    }
}
