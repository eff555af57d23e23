//! Durations as Prometheus writes them: `15s`, `1h30m`, `500ms`, `2w`.

use std::fmt::Write;
use std::time::Duration;

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a duration: {0:?} (write a number and a unit, such as 30s, 5m, 1h30m or 14d)")]
pub struct BadDuration(pub String);

const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a duration. Units go from large to small, each at most once; a bare `0` is allowed.
pub fn parse(text: &str) -> Result<Duration, BadDuration> {
    let bad = || BadDuration(text.to_owned());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total_ms = 0u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len()
            - tail
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let (unit, tail) = tail.split_at(letters);
        let number: u64 = number.parse().map_err(|_| bad())?;
        let (_, unit_ms) = units.find(|(name, _)| *name == unit).ok_or_else(bad)?;
        total_ms = number
            .checked_mul(*unit_ms)
            .and_then(|ms| total_ms.checked_add(ms))
            .ok_or_else(bad)?;
        rest = tail;
    }
    if text.is_empty() {
        return Err(bad());
    }
    Ok(Duration::from_millis(total_ms))
}

/// Writes a duration as Prometheus does: years and weeks only where nothing is left over.
pub fn format(duration: Duration) -> String {
    let mut ms = duration.as_millis() as u64;
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (i, (unit, unit_ms)) in UNITS.iter().enumerate() {
        let exact_only = i < 2;
        if ms >= *unit_ms && (!exact_only || ms.is_multiple_of(*unit_ms)) {
            write!(out, "{}{unit}", ms / unit_ms).expect("a String takes everything");
            ms %= unit_ms;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_prometheus_durations() {
        let check = |text: &str, ms: u64, back: &str| {
            let duration = parse(text).expect(text);
            assert_eq!(duration.as_millis() as u64, ms, "{text}");
            assert_eq!(format(duration), back);
        };
        check("0", 0, "0s");
        check("15s", 15_000, "15s");
        check("1h30m", 5_400_000, "1h30m");
        check("90m", 5_400_000, "1h30m");
        check("500ms", 500, "500ms");
        check("14d", 1_209_600_000, "2w");
        check("36h", 129_600_000, "1d12h");
    }

    #[test]
    fn refuses_what_prometheus_refuses() {
        for text in [
            "",
            "5",
            "s",
            "-5m",
            "5m1h",
            "1m1m",
            "1.5h",
            "5 m",
            "99999999999999y",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
