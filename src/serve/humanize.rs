//! Numbers as people read them. Everything on the pages that is a size, a count, a span or an
//! age goes through here, so that the same value looks the same everywhere.
//! Arguments are borrowed or owned, as templates happen to have them.

use std::borrow::Borrow;

/// Powers of 1024 under the names that people use.
const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];

/// A count: `412`, `1,204`, `18.4 k`, `1.2 M`.
pub(crate) fn count(n: impl Borrow<u64>) -> String {
    match *n.borrow() {
        n @ 0..10_000 => group(n),
        n @ 10_000..1_000_000 => format!("{} k", short(n as f64 / 1e3)),
        n @ 1_000_000..1_000_000_000 => format!("{} M", short(n as f64 / 1e6)),
        n => format!("{} G", short(n as f64 / 1e9)),
    }
}

/// A count of things with its noun: `1 target`, `3 targets`.
pub(crate) fn things(n: impl Borrow<u64>, one: &str, many: &str) -> String {
    let n = *n.borrow();
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A size in bytes: `812 B`, `14.2 KB`, `3.1 GB`.
pub(crate) fn bytes(n: impl Borrow<u64>) -> String {
    let n = *n.borrow();
    if n < 1000 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", short(value), UNITS[unit])
}

/// A span of time by its largest unit or two: `38 ms`, `4.2 s`, `3 m`, `2 h 10 m`, `9 d`.
pub(crate) fn span_ms(ms: impl Borrow<i64>) -> String {
    let ms = (*ms.borrow()).max(0);
    let (s, m, h, d) = (ms / 1000, ms / 60_000, ms / 3_600_000, ms / 86_400_000);
    let pair = |major: i64, minor: i64, units: (&str, &str)| match minor {
        0 => format!("{major} {}", units.0),
        _ => format!("{major} {} {minor} {}", units.0, units.1),
    };
    match () {
        () if ms < 1000 => format!("{ms} ms"),
        () if s < 10 => format!("{} s", short(ms as f64 / 1000.0)),
        () if m < 1 => format!("{s} s"),
        () if h < 1 => format!("{m} m"),
        () if h < 10 => pair(h, m % 60, ("h", "m")),
        () if d < 2 => format!("{h} h"),
        () if d < 10 => pair(d, h % 24, ("d", "h")),
        () => format!("{d} d"),
    }
}

/// An age in words: `just now`, `12 s ago`, `3 d ago`.
pub(crate) fn ago_ms(ms: i64) -> String {
    if ms < 1000 {
        return "just now".to_owned();
    }
    let whole_seconds = ms - ms % 1000;
    format!("{} ago", span_ms(whole_seconds))
}

/// Seconds as measured: `2.4 ms`, `380 µs`, `1.2 s`.
pub(crate) fn seconds(s: impl Borrow<f64>) -> String {
    match *s.borrow() {
        s if !s.is_finite() || s < 0.0 => "–".to_owned(),
        s if s < 0.001 => format!("{} µs", short(s * 1e6)),
        s if s < 1.0 => format!("{} ms", short(s * 1e3)),
        s if s < 60.0 => format!("{} s", short(s)),
        s => span_ms((s * 1e3) as i64),
    }
}

/// A sample's value with up to five significant digits: `0.12346`, `1.5e9` becomes `1.5 G`.
pub(crate) fn value(v: f64) -> String {
    if v.is_nan() {
        return "NaN".to_owned();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let size = v.abs();
    let (scaled, unit) = match size {
        _ if size == 0.0 => return "0".to_owned(),
        _ if size >= 1e15 => return format!("{v:.3e}"),
        _ if size >= 1e12 => (v / 1e12, " T"),
        _ if size >= 1e9 => (v / 1e9, " G"),
        _ if size >= 1e6 => (v / 1e6, " M"),
        _ if size >= 1e5 => (v / 1e3, " k"),
        _ if size < 1e-4 => return format!("{v:.3e}"),
        _ => (v, ""),
    };
    let decimals = (4 - scaled.abs().log10().floor() as i64).clamp(0, 8) as usize;
    let text = format!("{scaled:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{unit}")
}

/// A share: `0.4 %`, `37 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if !p.is_finite() => "–".to_owned(),
        p if p < 0.05 => "0 %".to_owned(),
        p if p < 9.95 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// Three significant digits or fewer, without noughts that say nothing.
fn short(value: f64) -> String {
    let text = match value {
        v if v < 9.995 => format!("{v:.1}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    };
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// Digits in groups of three.
fn group(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_sizes_stay_short() {
        let check = |got: String, expected: &str| assert_eq!(got, expected);
        check(count(0_u64), "0");
        check(count(1204_u64), "1,204");
        check(count(18_420_u64), "18.4 k");
        check(count(1_200_000_u64), "1.2 M");
        check(count(3_000_000_000_u64), "3 G");
        check(things(1_u64, "target", "targets"), "1 target");
        check(bytes(0_u64), "0 B");
        check(bytes(999_u64), "999 B");
        check(bytes(1023_u64), "1 KB");
        check(bytes(14_541_u64), "14.2 KB");
        check(bytes(20_u64 << 30), "20 GB");
        check(bytes(u64::MAX), "16384 PB");
    }

    #[test]
    fn spans_name_one_or_two_units() {
        let check = |ms: i64, expected: &str| assert_eq!(span_ms(ms), expected);
        check(-5, "0 ms");
        check(38, "38 ms");
        check(4_200, "4.2 s");
        check(59_900, "59 s");
        check(185_000, "3 m");
        check(7_800_000, "2 h 10 m");
        check(7_200_000, "2 h");
        check(172_800_000, "2 d");
        check(30 * 86_400_000, "30 d");
        assert_eq!(ago_ms(400), "just now");
        assert_eq!(ago_ms(12_400), "12 s ago");
    }

    #[test]
    fn values_keep_five_digits() {
        let check = |v: f64, expected: &str| assert_eq!(value(v), expected);
        check(0.0, "0");
        check(1.0, "1");
        check(-3.25, "-3.25");
        check(0.123_456_78, "0.12346");
        check(99_999.0, "99999");
        check(1_500_000_000.0, "1.5 G");
        check(0.000_012_3, "1.230e-5");
        check(f64::NAN, "NaN");
        check(f64::NEG_INFINITY, "-Inf");
        assert_eq!(percent(0.0042), "0.4 %");
        assert_eq!(percent(0.371), "37 %");
        assert_eq!(seconds(0.000_38), "380 µs");
        assert_eq!(seconds(0.0024), "2.4 ms");
    }
}
