//! Floats as Go's strconv writes them: `%v`, `%e`, `%f`, `%g`.
//!
//! Rust's own formatting gives the digits (the shortest that read back, or correctly rounded ones);
//! what differs is when an exponent is written and how.

/// From this decimal exponent on, `%v` writes an exponent: `999999` but `1e+06`.
const SHORTEST_EXPONENT: i32 = 6;

/// The most digits after the point that a format may ask for. A float has no more than 1,074.
pub(crate) const PRECISION_MAX: usize = 1_100;

/// `%v`: the shortest digits that read back as the same number.
pub(crate) fn shortest(value: f64) -> String {
    if let Some(special) = special(value) {
        return special.to_owned();
    }
    let (digits, exponent) = split(&format!("{:e}", value.abs()));
    general(value, &digits, exponent, SHORTEST_EXPONENT)
}

/// `%.Ng`: at most `precision` significant digits, without trailing zeros.
pub(crate) fn significant(value: f64, precision: usize) -> String {
    if let Some(special) = special(value) {
        return special.to_owned();
    }
    let precision = precision.clamp(1, PRECISION_MAX);
    let (digits, exponent) = split(&format!("{:.*e}", precision - 1, value.abs()));
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        trimmed => trimmed,
    };
    let count = digits.len() as i32;
    let mut threshold = precision as i32;
    if threshold > count && count > exponent {
        threshold = count;
    }
    general(value, digits, exponent, threshold)
}

/// `%.Nf`.
pub(crate) fn fixed(value: f64, precision: usize) -> String {
    match special(value) {
        Some(special) => special.to_owned(),
        None => format!("{:.*}", precision.min(PRECISION_MAX), value),
    }
}

/// `%.Ne`.
pub(crate) fn scientific(value: f64, precision: usize) -> String {
    if let Some(special) = special(value) {
        return special.to_owned();
    }
    let text = format!("{:.*e}", precision.min(PRECISION_MAX), value);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!(
        "{mantissa}{}",
        exponent_text(exponent.parse().unwrap_or_default())
    )
}

fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value == f64::INFINITY {
        Some("+Inf")
    } else if value == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

/// Splits `1.25e-7` into its digits (`125`) and its decimal exponent.
fn split(text: &str) -> (String, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    (
        mantissa.chars().filter(|c| *c != '.').collect(),
        exponent.parse().unwrap_or_default(),
    )
}

fn exponent_text(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("e{sign}{:02}", exponent.abs())
}

/// Writes digits plainly, or with an exponent below -4 and from `threshold` on.
fn general(value: f64, digits: &str, exponent: i32, threshold: i32) -> String {
    let mut out = String::new();
    if value.is_sign_negative() {
        out.push('-');
    }
    if exponent < -4 || exponent >= threshold {
        let (first, rest) = digits.split_at(1);
        out.push_str(first);
        if !rest.is_empty() {
            out.push('.');
            out.push_str(rest);
        }
        out.push_str(&exponent_text(exponent));
    } else if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        out.push_str(digits);
    } else {
        let whole = exponent as usize + 1;
        if digits.len() > whole {
            let (before, after) = digits.split_at(whole);
            out.push_str(before);
            out.push('.');
            out.push_str(after);
        } else {
            out.push_str(digits);
            out.extend(std::iter::repeat_n('0', whole - digits.len()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_values_as_go_does() {
        let check = |value: f64, expected: &str| assert_eq!(shortest(value), expected);
        check(0.0, "0");
        check(-0.0, "-0");
        check(123_456.0, "123456");
        check(999_999.0, "999999");
        check(1e6, "1e+06");
        check(1_234_567.0, "1.234567e+06");
        check(12_345_678.9, "1.23456789e+07");
        check(2_097_152.0, "2.097152e+06");
        check(1e20, "1e+20");
        check(1e100, "1e+100");
        check(0.0001, "0.0001");
        check(0.00001, "1e-05");
        check(0.000_123_45, "0.00012345");
        check(-12.5, "-12.5");
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
    }

    #[test]
    fn rounds_to_significant_digits_as_go_does() {
        let check = |value: f64, precision: usize, expected: &str| {
            assert_eq!(significant(value, precision), expected);
        };
        check(123.456_789, 4, "123.5");
        check(100.0, 3, "100");
        check(100_000.0, 4, "1e+05");
        check(1e8, 4, "1e+08");
        check(0.0, 4, "0");
        check(12.5, 4, "12.5");
        check(999.96, 4, "1000");
        check(9_999.96, 4, "1e+04");
        check(1.0, 0, "1");
        check(0.000_012_34, 2, "1.2e-05");
    }

    #[test]
    fn rounds_halves_to_even_and_pads_exponents() {
        assert_eq!(fixed(0.5, 0), "0");
        assert_eq!(fixed(1.5, 0), "2");
        assert_eq!(fixed(123_456.789, 2), "123456.79");
        assert_eq!(scientific(1_234.5, 2), "1.23e+03");
        assert_eq!(scientific(0.0, 1), "0.0e+00");
    }
}
