//! Numbers for people: Prometheus' humanize functions.

use crate::float;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

fn four_digits(value: f64) -> String {
    float::significant(value, 4)
}

fn scaled_down(mut value: f64, by: f64, prefixes: [&'static str; 8]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < by {
            break;
        }
        prefix = next;
        value /= by;
    }
    (value, prefix)
}

fn scaled_up(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    (value, prefix)
}

/// Metric prefixes: 123456.789 is `123.5k`.
pub(crate) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    let (value, prefix) = if value.abs() >= 1.0 {
        scaled_down(value, 1000.0, LARGE)
    } else {
        scaled_up(value)
    };
    format!("{}{prefix}", four_digits(value))
}

/// Binary prefixes: 1e6 is `976.6ki`.
pub(crate) fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four_digits(value);
    }
    let (value, prefix) = scaled_down(value, 1024.0, BINARY);
    format!("{}{prefix}", four_digits(value))
}

/// Seconds as days, hours, minutes, seconds and parts of them: 3661 is `1h 1m 1s`.
pub(crate) fn duration(value: f64) -> String {
    if !value.is_finite() {
        return four_digits(value);
    }
    if value == 0.0 {
        return format!("{}s", four_digits(value));
    }
    if value.abs() < 1.0 {
        let (value, prefix) = scaled_up(value);
        return format!("{}{prefix}s", four_digits(value));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = value.abs() as i64;
    let (seconds, minutes, hours, days) = (
        whole % 60,
        whole / 60 % 60,
        whole / 3_600 % 24,
        whole / 86_400,
    );
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", four_digits(value.abs()))
    }
}

/// A ratio in percent: 0.1 is `10%`.
pub(crate) fn percentage(value: f64) -> String {
    format!("{}%", four_digits(value * 100.0))
}

/// Seconds since 1970 as milliseconds, which is what Prometheus keeps of them; `None` for what is
/// no number.
///
/// # Errors
/// Times that nanoseconds in 64 bits cannot express.
pub(crate) fn time(value: f64) -> Result<Option<i64>, String> {
    if !value.is_finite() {
        return Ok(None);
    }
    let ns = value * 1e9;
    if ns >= i64::MAX as f64 || ns <= i64::MIN as f64 {
        return Err(format!(
            "{} cannot be represented as a nanoseconds timestamp since it overflows int64",
            float::shortest(value)
        ));
    }
    // Go divides towards zero.
    Ok(Some(ns as i64 / 1_000_000))
}

/// Seconds since 1970 as Go prints a time in UTC.
///
/// # Errors
/// As [`time`].
pub(crate) fn timestamp(value: f64) -> Result<String, String> {
    match time(value)? {
        Some(ms) => crate::builtins::printed(&crate::Value::time_ms(ms)),
        None => Ok(four_digits(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_numbers_as_prometheus_does() {
        let check = |f: fn(f64) -> String, value: f64, expected: &str| {
            assert_eq!(f(value), expected, "{value}");
        };
        check(humanize, 0.1, "100m");
        check(humanize, 1e6, "1M");
        check(humanize, 1e-5, "10u");
        check(humanize, 123_456.789, "123.5k");
        check(humanize, 3_661.0, "3.661k");
        check(humanize, -2.0, "-2");
        check(humanize, f64::NAN, "NaN");
        check(humanize1024, 1e6, "976.6ki");
        check(humanize1024, 123_456.789, "120.6ki");
        check(humanize1024, 0.5, "0.5");
        check(duration, 0.1, "100ms");
        check(duration, 1e6, "11d 13h 46m 40s");
        check(duration, 3_661.0, "1h 1m 1s");
        check(duration, 1e-5, "10us");
        check(duration, 123_456.789, "1d 10h 17m 36s");
        check(duration, 0.0, "0s");
        check(duration, -61.0, "-1m 1s");
        check(duration, 59.95, "59.95s");
        check(percentage, 0.1, "10%");
        check(percentage, 1e6, "1e+08%");
        check(percentage, 3_661.0, "3.661e+05%");
    }

    #[test]
    fn says_times_as_go_does() {
        assert_eq!(
            timestamp(3_661.0).as_deref(),
            Ok("1970-01-01 01:01:01 +0000 UTC")
        );
        assert_eq!(
            timestamp(0.1).as_deref(),
            Ok("1970-01-01 00:00:00.1 +0000 UTC")
        );
        assert!(timestamp(1e20).is_err());
    }
}
