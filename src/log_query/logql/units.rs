//! Durations and sizes as LogQL writes them.

use std::fmt::Write;

/// Units of Go's durations and, behind them, those that Prometheus adds, nanoseconds.
const DURATION_UNITS: [(&str, f64); 10] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("\u{b5}s", 1e3),
    ("\u{3bc}s", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3_600e9),
    ("d", 86_400e9),
    ("w", 604_800e9),
];

/// A year of Prometheus, nanoseconds.
const YEAR_NS: f64 = 365.0 * 86_400e9;

/// Units of sizes in lower case, bytes.
const BYTE_UNITS: [(&str, f64); 16] = [
    ("b", 1.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("tb", 1e12),
    ("pb", 1e15),
    ("kib", 1024.0),
    ("mib", 1_048_576.0),
    ("gib", 1_073_741_824.0),
    ("tib", 1_099_511_627_776.0),
    ("pib", 1_125_899_906_842_624.0),
    ("k", 1e3),
    ("m", 1e6),
    ("g", 1e9),
    ("t", 1e12),
    ("p", 1e15),
];

/// Reads `5m`, `1h30m`, `1.5s`, `-2ms`; nanoseconds.
pub(super) fn duration_ns(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        let tail = rest.get(digits..)?;
        let letters = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let unit = tail.get(..letters)?;
        let worth = match unit {
            "y" => YEAR_NS,
            unit => DURATION_UNITS.iter().find(|(name, _)| *name == unit)?.1,
        };
        total += number * worth;
        rest = tail.get(letters..)?;
    }
    (total < i64::MAX as f64).then_some((sign * total).round() as i64)
}

/// Reads `10KB`, `1.5 MiB`, `42`; bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',')))
        .unwrap_or(text.len());
    let number: f64 = text.get(..digits)?.replace(',', "").parse().ok()?;
    let unit = text.get(digits..)?.trim().to_ascii_lowercase();
    let worth = if unit.is_empty() {
        1.0
    } else {
        BYTE_UNITS.iter().find(|(name, _)| *name == unit)?.1
    };
    let total = number * worth;
    (total < u64::MAX as f64).then_some(total as u64)
}

/// Writes a duration so that it reads back as the same.
pub(super) fn write_duration(ns: i64) -> String {
    if ns == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    if ns < 0 {
        out.push('-');
    }
    let mut rest = ns.unsigned_abs();
    let units: [(&str, u64); 6] = [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ];
    for (unit, worth) in units {
        if rest >= worth {
            let _ = write!(out, "{}{unit}", rest / worth);
            rest %= worth;
        }
    }
    out
}

/// Writes a size so that it reads back as the same.
pub(super) fn write_bytes(bytes: u64) -> String {
    let units: [(&str, u64); 6] = [
        ("GiB", 1 << 30),
        ("GB", 1_000_000_000),
        ("MiB", 1 << 20),
        ("MB", 1_000_000),
        ("KiB", 1 << 10),
        ("KB", 1_000),
    ];
    for (unit, worth) in units {
        if bytes >= worth && bytes.is_multiple_of(worth) {
            return format!("{}{unit}", bytes / worth);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read() {
        let check = |text: &str, ns: Option<i64>| assert_eq!(duration_ns(text), ns, "{text}");
        check("5m", Some(300_000_000_000));
        check("1h30m", Some(5_400_000_000_000));
        check("1.5s", Some(1_500_000_000));
        check("291.792\u{b5}s", Some(291_792));
        check("-2ms", Some(-2_000_000));
        check("1d", Some(86_400_000_000_000));
        check("0", Some(0));
        check("5", None);
        check("5x", None);
        check("", None);
        let check = |text: &str, size: Option<u64>| assert_eq!(bytes(text), size, "{text}");
        check("10KB", Some(10_000));
        check("1.5 MiB", Some(1_572_864));
        check("42", Some(42));
        check("12 apples", None);
    }
}
