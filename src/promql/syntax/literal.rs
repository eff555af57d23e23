//! The values of numbers, durations and strings, as Go reads them.

use super::duration::DURATION_MS_MAX;

/// The value of a number: decimal, hexadecimal (`0x1F`), octal (`017`), `Inf` or `NaN`, with
/// underscores between digits.
pub(super) fn number(text: &str) -> Option<f64> {
    if text.eq_ignore_ascii_case("inf") {
        return Some(f64::INFINITY);
    }
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    if !underscores_divide_digits(text) {
        return None;
    }
    let plain = text.replace('_', "");
    if let Some(digits) = plain
        .strip_prefix("0x")
        .or_else(|| plain.strip_prefix("0X"))
    {
        return i64::from_str_radix(digits, 16)
            .ok()
            .map(|value| value as f64);
    }
    let whole = match plain.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => i64::from_str_radix(digits, 8),
        _ => plain.parse(),
    };
    // What is no whole number, or no octal one (08), is read as a decimal one.
    match whole {
        Ok(value) => Some(value as f64),
        Err(_) => plain.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// Underscores stand between digits, or after the prefix of a hexadecimal number.
fn underscores_divide_digits(text: &str) -> bool {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let is_hex = digits.is_some();
    let mut after_digit = is_hex;
    let mut after_underscore = false;
    for byte in digits.unwrap_or(text).bytes() {
        let is_digit = byte.is_ascii_digit() || (is_hex && byte.is_ascii_hexdigit());
        if (byte == b'_' && !after_digit) || (byte != b'_' && !is_digit && after_underscore) {
            return false;
        }
        after_underscore = byte == b'_';
        after_digit = is_digit;
    }
    !after_underscore
}

/// The milliseconds of a duration.
pub(super) fn duration_ms(text: &str) -> Result<i64, String> {
    let duration = model::duration::parse(text)
        .map_err(|_| format!("not a valid duration string: {text:?} (write 90s or 1h30m)"))?;
    i64::try_from(duration.as_millis())
        .ok()
        .filter(|ms| *ms <= DURATION_MS_MAX)
        .ok_or_else(|| "duration out of range".to_owned())
}

/// The value of a string with its quotes, or what is wrong and how many characters from its
/// start.
pub(super) fn text(quoted: &str) -> Result<String, (usize, String)> {
    let quote = quoted.chars().next().unwrap_or('"');
    let inner = quoted
        .get(1..quoted.len().saturating_sub(1))
        .unwrap_or_default();
    if quote == '`' {
        return Ok(inner.to_owned());
    }
    if !inner.contains('\\') {
        return Ok(inner.to_owned());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars().enumerate();
    let mut buffer = [0; 4];
    while let Some((i, c)) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            continue;
        }
        let fail = |message: String| Err((i + 1, message));
        let Some((_, escaped)) = chars.next() else {
            return fail("escape sequence not terminated".to_owned());
        };
        let (digits, radix) = match escaped {
            'a' => (0, 7),
            'b' => (0, 8),
            't' => (0, 9),
            'n' => (0, 10),
            'v' => (0, 11),
            'f' => (0, 12),
            'r' => (0, 13),
            '\\' => (0, u32::from(b'\\')),
            _ if escaped == quote => (0, u32::from(quote)),
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => (3, 8),
            _ => {
                return fail(format!(
                    "unknown escape sequence \\{escaped} (write \\\\ for a backslash)"
                ));
            }
        };
        // Of an escape without digits the "radix" is the character itself.
        let mut value = if digits == 0 { radix } else { 0 };
        let mut left = digits;
        let mut next = escaped.to_digit(8).filter(|_| radix == 8);
        while left > 0 {
            let digit = match next.take() {
                Some(digit) => Some(digit),
                None => chars.next().and_then(|(_, c)| c.to_digit(radix)),
            };
            let Some(digit) = digit else {
                return fail("illegal character in escape sequence".to_owned());
            };
            value = value.wrapping_mul(radix).wrapping_add(digit);
            left -= 1;
        }
        match (digits, u8::try_from(value), char::from_u32(value)) {
            // Bytes may make a character together.
            (0 | 2 | 3, Ok(byte), _) => bytes.push(byte),
            (4 | 8, _, Some(c)) => {
                bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            }
            _ => return fail("escape sequence is an invalid Unicode code point".to_owned()),
        }
    }
    String::from_utf8(bytes).map_err(|_| {
        let message = "the escapes make no valid UTF-8: write the characters themselves";
        (0, message.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_all_forms() {
        let check = |text: &str, expected: Option<f64>| {
            assert_eq!(number(text), expected, "{text}");
        };
        check("0", Some(0.0));
        check("1_000.5", Some(1000.5));
        check(".5", Some(0.5));
        check("5.", Some(5.0));
        check("0x1F", Some(31.0));
        check("0X_1f", Some(31.0));
        check("017", Some(15.0));
        check("08", Some(8.0));
        check("0_7", Some(7.0));
        check("1e3", Some(1000.0));
        check("9223372036854775808", Some(9_223_372_036_854_775_808.0));
        check("iNf", Some(f64::INFINITY));
        assert!(number("nAn").is_some_and(f64::is_nan));
        for bad in [
            "0x",
            "1e400",
            "1e+",
            "1__0",
            "_1",
            "1_",
            "0xffffffffffffffffff",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn strings_with_all_escapes() {
        let check = |quoted: &str, expected: &str| {
            assert_eq!(text(quoted).as_deref(), Ok(expected), "{quoted}");
        };
        check(r#""a\n\t\\\"'""#, "a\n\t\\\"'");
        check(r#"'\'"'"#, "'\"");
        check(r"`\n`", r"\n");
        check(r#""\x41\101\u00e4\U0001F600""#, "AAä😀");
        check(r#""\xc3\xa4""#, "ä");
        check(r#""\a\b\f\r\v""#, "\u{7}\u{8}\u{c}\r\u{b}");
        for bad in [
            r#""\d""#,
            r#""\'""#,
            r#""\xff""#,
            r#""\ud800""#,
            r#""\x4""#,
            r#""\400""#,
        ] {
            assert!(text(bad).is_err(), "{bad}");
        }
    }
}
