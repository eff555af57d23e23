//! Times as senders write them: RFC 3339, and numbers whose size tells their unit.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Numbers below are seconds (until the year 5138), …
const SECONDS_BELOW: f64 = 1e11;
/// … below this milliseconds, …
const MILLIS_BELOW: f64 = 1e14;
/// … below this microseconds, and above it nanoseconds.
const MICROS_BELOW: f64 = 1e17;

/// The time of a number since 1970, nanoseconds.
pub(crate) fn of_number(number: f64) -> Option<i64> {
    let scale = match number {
        n if !n.is_finite() || n <= 0.0 => return None,
        n if n < SECONDS_BELOW => 1_000_000_000,
        n if n < MILLIS_BELOW => 1_000_000,
        n if n < MICROS_BELOW => 1_000,
        _ => 1,
    };
    // Apart, because the product of the whole has more digits than a float.
    let fraction = (number.fract() * scale as f64).round() as i64;
    let whole = (number.trunc() as i64).checked_mul(scale)?;
    whole.checked_add(fraction)
}

/// The time of a whole number since 1970, nanoseconds: exact.
pub(crate) fn of_integer(number: i64) -> Option<i64> {
    let scale = match number as f64 {
        n if n <= 0.0 => return None,
        n if n < SECONDS_BELOW => 1_000_000_000,
        n if n < MILLIS_BELOW => 1_000_000,
        n if n < MICROS_BELOW => 1_000,
        _ => 1,
    };
    number.checked_mul(scale)
}

/// The time of a text: RFC 3339, the same without a zone (then it is UTC), or a number.
pub(crate) fn of_text(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return of_integer(number);
    }
    if let Ok(number) = text.parse::<f64>() {
        return of_number(number);
    }
    let time: Timestamp = text.parse().ok().or_else(|| {
        let local: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(local).ok()
    })?;
    i64::try_from(time.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_usual_ways_to_write_a_time_are_understood() {
        let check = |text: &str, expected| assert_eq!(of_text(text), expected, "{text}");
        let at = 1_772_359_200_000_000_000;
        check("2026-03-01T10:00:00Z", Some(at));
        check("2026-03-01T10:00:00.123456789Z", Some(at + 123_456_789));
        check("2026-03-01T11:00:00.5+01:00", Some(at + 500_000_000));
        check("2026-03-01T10:00:00.25", Some(at + 250_000_000));
        check("2026-03-01 10:00:00", Some(at));
        check("1772359200", Some(at));
        check("1772359200.5", Some(at + 500_000_000));
        check("1772359200123", Some(at + 123_000_000));
        check("1772359200123456", Some(at + 123_456_000));
        check("1772359200123456789", Some(at + 123_456_789));
        check("yesterday", None);
        check("", None);
        check("-5", None);
        check("inf", None);
    }

    proptest! {
        #[test]
        fn any_text_never_panics(text in ".{0,40}") {
            of_text(&text);
        }
    }
}
