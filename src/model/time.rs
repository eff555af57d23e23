//! Points in time as people and APIs write them. Metrics count milliseconds, logs nanoseconds,
//! both since 1970-01-01 UTC.

use jiff::Timestamp;

/// Milliseconds since 1970-01-01 UTC, now. For the edges of the house; engines take time as an
/// argument.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Nanoseconds since 1970-01-01 UTC, now. For the edges of the house.
pub fn now_ns() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

/// Writes nanoseconds as RFC 3339 in UTC with nine digits, the form of the log API.
pub fn rfc3339_ns(time_ns: i64) -> String {
    let (seconds, nanos) = (
        time_ns.div_euclid(1_000_000_000),
        time_ns.rem_euclid(1_000_000_000),
    );
    let text = Timestamp::from_second(seconds)
        .map_or_else(|_| "1970-01-01T00:00:00Z".to_owned(), |t| t.to_string());
    format!("{}.{nanos:09}Z", text.trim_end_matches('Z'))
}

/// Writes milliseconds as RFC 3339 in UTC with three digits, the form of Prometheus' API.
pub fn rfc3339_ms(time_ms: i64) -> String {
    let text = rfc3339_ns(time_ms.saturating_mul(1_000_000));
    format!("{}Z", &text[..text.len() - 7])
}

/// Reads a time as APIs take it: RFC 3339, seconds since 1970 (with a fraction), or relative to
/// `now_ns` as `now`, `now-1h`, `now-1h30m`. Returns nanoseconds.
pub fn parse_ns(text: &str, now_ns: i64) -> Option<i64> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("now") {
        if rest.is_empty() {
            return Some(now_ns);
        }
        let (sign, rest) = match rest.as_bytes().first()? {
            b'-' => (-1i64, &rest[1..]),
            b'+' => (1i64, &rest[1..]),
            _ => return None,
        };
        let span = i64::try_from(crate::duration::parse(rest).ok()?.as_nanos()).ok()?;
        return now_ns.checked_add(sign * span);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return i64::try_from(time.as_nanosecond()).ok();
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole.trim_start_matches('-')) || !digits(fraction) {
        let seconds: f64 = text.parse().ok()?;
        let ns = seconds * 1e9;
        return (ns.abs() < i64::MAX as f64).then_some(ns as i64);
    }
    let nanos: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let seconds: i64 = whole.parse().ok()?;
    let nanos = if whole.starts_with('-') {
        -nanos
    } else {
        nanos
    };
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_763_900_000_000_000_000;

    #[test]
    fn reads_every_form_that_apis_take() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(parse_ns(text, NOW), expected, "{text}");
        };
        check("now", Some(NOW));
        check("now-1h", Some(NOW - 3_600_000_000_000));
        check("now-1h30m", Some(NOW - 5_400_000_000_000));
        check("1763900000", Some(NOW));
        check("1763900000.123456789", Some(NOW + 123_456_789));
        check("1.7639e9", Some(NOW));
        check("-0.5", Some(-500_000_000));
        check("2025-11-23T12:13:20Z", Some(NOW));
        check("2025-11-23T13:13:20.5+01:00", Some(NOW + 500_000_000));
        check("yesterday", None);
        check("now*2", None);
        check("", None);
        check("1e300", None);
    }

    #[test]
    fn writes_fixed_width_times() {
        assert_eq!(rfc3339_ns(NOW + 5), "2025-11-23T12:13:20.000000005Z");
        assert_eq!(rfc3339_ms(NOW / 1_000_000 + 7), "2025-11-23T12:13:20.007Z");
    }
}
