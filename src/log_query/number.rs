//! Reads numbers as they stand in logs: `500`, `1.5s`, `1m30s`, `20KiB`, `93%`.
//!
//! Durations become seconds and sizes become bytes, so that `took:>100ms` finds `took=1.5s`. A
//! number without a unit stays what it is.

/// Units with what they are worth, longest first where one begins with another.
const UNITS: &[(&str, f64)] = &[
    ("ns", 1e-9),
    ("us", 1e-6),
    ("\u{b5}s", 1e-6),
    ("\u{3bc}s", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("sec", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
    ("%", 1.0),
    ("B", 1.0),
    ("kB", 1e3),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
    ("k", 1e3),
    ("K", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
];

/// The parts of which a composite duration (`1h2m3.5s`) may consist.
const DURATION_PARTS: &[&str] = &["d", "h", "m", "s", "ms", "us", "\u{b5}s", "ns"];

/// Reads a number with or without a unit; `None` where the text is anything else.
pub fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let (number, unit) = split(digits)?;
    if unit.is_empty() {
        return Some(sign * number);
    }
    if let Some((_, worth)) = UNITS.iter().find(|(name, _)| *name == unit) {
        return Some(sign * number * worth);
    }
    composite(digits).map(|seconds| sign * seconds)
}

fn composite(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let (number, tail) = split(rest)?;
        let end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(end)?;
        if !DURATION_PARTS.contains(&unit) {
            return None;
        }
        total += number * UNITS.iter().find(|(name, _)| *name == unit)?.1;
        rest = tail;
    }
    Some(total)
}

/// The number at the start of a text, which must begin with a digit or a point, and what follows.
fn split(text: &str) -> Option<(f64, &str)> {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut end = digits(0);
    let mut any = end;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        any += fraction;
        end += 1 + fraction;
    }
    if any == 0 {
        return None;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    let number: f64 = text.get(..end)?.parse().ok()?;
    Some((number, text.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_numbers_with_units() {
        let check = |text: &str, expected: Option<f64>| {
            let close = match (parse_number(text), expected) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * b.abs(),
                (a, b) => a == b,
            };
            assert!(close, "{text}: {:?}", parse_number(text));
        };
        check("500", Some(500.0));
        check("-3.5", Some(-3.5));
        check("1e3", Some(1000.0));
        check(".5", Some(0.5));
        check("1.5s", Some(1.5));
        check("120ms", Some(0.12));
        check("17µs", Some(17e-6));
        check("1m30s", Some(90.0));
        check("1h2m3.5s", Some(3723.5));
        check("20KiB", Some(20_480.0));
        check("2GB", Some(2e9));
        check("93%", Some(93.0));
        check("512Mi", Some(536_870_912.0));
        check("", None);
        check("-", None);
        check(".", None);
        check("abc", None);
        check("10.0.0.1", None);
        check("12:30", None);
        check("5 apples", None);
        check("NaN", None);
        check("inf", None);
        check("1m30q", None);
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,20}") {
            let _ = parse_number(&text);
        }

        #[test]
        fn reads_what_rust_writes(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            prop_assert_eq!(parse_number(&number.to_string()), Some(number));
        }
    }
}
