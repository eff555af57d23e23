//! Values and timestamps: the numbers that Go's `ParseFloat` reads, without hexadecimal floats
//! and underscores, as Prometheus wants it.

/// Reads a number at the start of `bytes` and says how many bytes it took. Fast path: numbers
/// only; `Inf`, `NaN`, and what does not fit into a float, give `None` and go to [`value`].
#[inline]
pub(crate) fn leading(bytes: &[u8]) -> Option<(f64, usize)> {
    // Counters and flags are mostly short integers: reading them here takes half the time.
    let mut integer = 0u64;
    let mut digits = 0;
    while let Some(byte) = bytes.get(digits) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        // Fifteen digits always fit into a float's 53 bits.
        if digits == 15 {
            return leading_float(bytes);
        }
        integer = integer * 10 + u64::from(digit);
        digits += 1;
    }
    match bytes.get(digits) {
        _ if digits == 0 => leading_float(bytes),
        Some(b'.' | b'e' | b'E') => leading_float(bytes),
        _ => Some((integer as f64, digits)),
    }
}

fn leading_float(bytes: &[u8]) -> Option<(f64, usize)> {
    let (value, length) = fast_float2::parse_partial::<f64, _>(bytes).ok()?;
    value.is_finite().then_some((value, length))
}

/// Reads a whole value: a decimal number, or an infinity or NaN in any case.
pub fn value(bytes: &[u8]) -> Option<f64> {
    let (sign, rest) = match bytes.first()? {
        b'+' => (1.0, &bytes[1..]),
        b'-' => (-1.0, &bytes[1..]),
        _ => (1.0, bytes),
    };
    if rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity") {
        return Some(sign * f64::INFINITY);
    }
    if bytes.eq_ignore_ascii_case(b"nan") {
        return Some(f64::NAN);
    }
    let number: f64 = fast_float2::parse(bytes).ok()?;
    number.is_finite().then_some(number)
}

/// Reads a timestamp in whole milliseconds (text format).
pub(crate) fn timestamp_ms(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Reads a timestamp in seconds with a fraction (OpenMetrics), as milliseconds.
pub(crate) fn timestamp_s(bytes: &[u8]) -> Option<i64> {
    let ms = value(bytes)? * 1000.0;
    (ms.abs() < i64::MAX as f64).then_some(ms.round() as i64)
}

/// A number as the value of a label, `le` or `quantile`: as OpenMetrics writes it, always with a
/// point or an exponent, so that `1` and `1.0` are the same series.
pub(crate) fn label_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let magnitude = number.abs();
    // Go turns to exponents below 1e-4 and from 1e6, with two digits at least.
    if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = format!("{number}");
    if text.contains('.') {
        text
    } else {
        format!("{text}.0")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_numbers_that_go_reads() {
        let check = |text: &str, expected: Option<f64>| {
            let got = value(text.as_bytes());
            assert_eq!(got.map(f64::to_bits), expected.map(f64::to_bits), "{text}");
        };
        check("0", Some(0.0));
        check("-0", Some(-0.0));
        check("+12", Some(12.0));
        check("1.", Some(1.0));
        check(".5", Some(0.5));
        check("1e-9", Some(1e-9));
        check("1.795425734e+09", Some(1_795_425_734.0));
        check(
            "123456789012345678901234567890",
            Some(1.234_567_890_123_456_8e29),
        );
        check("+Inf", Some(f64::INFINITY));
        check("-inf", Some(f64::NEG_INFINITY));
        check("Infinity", Some(f64::INFINITY));
        check("NaN", Some(f64::NAN));
        for bad in [
            "", "+", ".", "e5", "1e", "0x1p3", "1_000", "1e999", "-NaN", "1 ", "twelve", "1,5",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn numbers_in_labels_are_written_one_way() {
        let check = |number: f64, expected: &str| assert_eq!(label_text(number), expected);
        check(1.0, "1.0");
        check(0.0, "0.0");
        check(-2.0, "-2.0");
        check(0.25, "0.25");
        check(10_000.0, "10000.0");
        check(0.0001, "0.0001");
        check(0.00001, "1e-05");
        check(2.5e-9, "2.5e-09");
        check(1e21, "1e+21");
        check(1e6, "1e+06");
        check(123_456_789.0, "1.23456789e+08");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
        check(f64::NAN, "NaN");
    }

    #[test]
    fn reads_timestamps() {
        assert_eq!(timestamp_ms(b"1395066363000"), Some(1_395_066_363_000));
        assert_eq!(timestamp_ms(b"-1"), Some(-1));
        assert_eq!(timestamp_ms(b"1.5"), None);
        assert_eq!(timestamp_s(b"1520879607.789"), Some(1_520_879_607_789));
        assert_eq!(timestamp_s(b"NaN"), None);
        assert_eq!(timestamp_s(b"1e300"), None);
    }

    proptest! {
        #[test]
        fn the_fast_path_agrees_with_the_slow_one(number: f64, exponent in any::<bool>()) {
            prop_assume!(number.is_finite());
            let text = if exponent { format!("{number:e}") } else { format!("{number}") };
            let (fast, length) = leading(text.as_bytes()).expect("a number");
            prop_assert_eq!(length, text.len());
            prop_assert_eq!(fast.to_bits(), number.to_bits());
            prop_assert_eq!(value(text.as_bytes()).map(f64::to_bits), Some(number.to_bits()));
        }

        #[test]
        fn integers_stop_where_they_end(integer: u64, tail in "[ \n#x]") {
            let text = format!("{integer}{tail}");
            let (value, length) = leading(text.as_bytes()).expect("a number");
            prop_assert_eq!(length, text.len() - 1);
            prop_assert_eq!(value.to_bits(), (integer as f64).to_bits());
        }
    }
}
