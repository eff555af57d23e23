//! Numbers as Go's `%g` and `strconv` write them, which Prometheus' messages and labels show.

/// The shortest form, with an exponent below 1e-4 and from 1e6 (`%v` and `%g`).
pub(crate) fn shortest(value: f64) -> String {
    if let Some(word) = word(value) {
        return word.to_owned();
    }
    let exponential = format!("{value:e}");
    let (digits, exponent) = exponential
        .split_once('e')
        .unwrap_or((exponential.as_str(), "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || (-4..6).contains(&exponent) {
        return plain(value);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// All digits, never an exponent (`'f'` with precision -1).
pub(crate) fn plain(value: f64) -> String {
    word(value).map_or_else(|| value.to_string(), str::to_owned)
}

fn word(value: f64) -> Option<&'static str> {
    match value {
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        value if value.is_nan() => Some("NaN"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_does() {
        assert_eq!(shortest(1.5), "1.5");
        assert_eq!(shortest(-0.0001), "-0.0001");
        assert_eq!(shortest(0.00001), "1e-05");
        assert_eq!(shortest(123_456_789.0), "1.23456789e+08");
        assert_eq!(shortest(100_000.0), "100000");
        assert_eq!(shortest(2.5e100), "2.5e+100");
        assert_eq!(shortest(f64::INFINITY), "+Inf");
        assert_eq!(plain(1e22), "10000000000000000000000");
        assert_eq!(plain(f64::NAN), "NaN");
    }
}
