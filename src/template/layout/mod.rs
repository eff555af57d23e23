//! Times by Go's reference time: `2006-01-02T15:04:05Z07:00` written, and read in `read.rs`.
//!
//! A layout is cut into pieces, each a part of the reference time or plain text. The same pieces
//! serve writing and reading.

mod read;

use std::fmt::Write as _;

use jiff::ZonedDateTime;

pub(crate) use read::parse;

use crate::OUTPUT_BYTES_MAX;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// How Go prints a time that nobody formatted.
pub(crate) const STRING: &str = "2006-01-02 15:04:05.999999999 -0700 MST";

/// How Go writes a time in JSON.
pub(crate) const RFC3339_NANO: &str = "2006-01-02T15:04:05.999999999Z07:00";

/// What stands before a number that is shorter than its field.
type Fill = Option<char>;

const NONE: Fill = None;
const ZERO: Fill = Some('0');
const SPACE: Fill = Some(' ');

/// A piece of a layout.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Piece<'a> {
    Plain(&'a str),
    LongYear,
    Year,
    LongMonth,
    Month,
    NumMonth(Fill),
    LongDay,
    WeekDay,
    Day(Fill),
    DayOfYear(char),
    Hour,
    Hour12(Fill),
    Minute(Fill),
    Second(Fill),
    Half {
        upper: bool,
    },
    /// A point or comma and digits; zeros at the end are left out where `trim`.
    Fraction {
        point: char,
        digits: usize,
        trim: bool,
    },
    ZoneName,
    Zone(ZoneForm),
}

/// How a difference from UTC is written.
#[derive(Debug, Clone, Copy, PartialEq)]
struct ZoneForm {
    /// `Z` for UTC.
    z: bool,
    colon: bool,
    minutes: bool,
    seconds: bool,
}

/// The form that a layout shows: `-07:00`, `Z0700`, …
const fn zone(shown: &'static str) -> Piece<'static> {
    let bytes = shown.as_bytes();
    let colon = bytes.len() > 3 && bytes[3] == b':';
    Piece::Zone(ZoneForm {
        z: bytes[0] == b'Z',
        colon,
        minutes: bytes.len() > 3,
        seconds: bytes.len() > if colon { 6 } else { 5 },
    })
}

/// What a layout may begin with; of two that fit, the longer one comes first.
const NAMED: &[(&str, Piece<'static>)] = &[
    ("January", Piece::LongMonth),
    ("Jan", Piece::Month),
    ("Monday", Piece::LongDay),
    ("Mon", Piece::WeekDay),
    ("MST", Piece::ZoneName),
    ("2006", Piece::LongYear),
    ("002", Piece::DayOfYear('0')),
    ("__2", Piece::DayOfYear(' ')),
    ("01", Piece::NumMonth(ZERO)),
    ("02", Piece::Day(ZERO)),
    ("03", Piece::Hour12(ZERO)),
    ("04", Piece::Minute(ZERO)),
    ("05", Piece::Second(ZERO)),
    ("06", Piece::Year),
    ("15", Piece::Hour),
    ("PM", Piece::Half { upper: true }),
    ("pm", Piece::Half { upper: false }),
    ("_2", Piece::Day(SPACE)),
    ("-07:00:00", zone("-07:00:00")),
    ("-070000", zone("-070000")),
    ("-07:00", zone("-07:00")),
    ("-0700", zone("-0700")),
    ("-07", zone("-07")),
    ("Z07:00:00", zone("Z07:00:00")),
    ("Z070000", zone("Z070000")),
    ("Z07:00", zone("Z07:00")),
    ("Z0700", zone("Z0700")),
    ("Z07", zone("Z07")),
    ("1", Piece::NumMonth(NONE)),
    ("2", Piece::Day(NONE)),
    ("3", Piece::Hour12(NONE)),
    ("4", Piece::Minute(NONE)),
    ("5", Piece::Second(NONE)),
];

/// Cuts a layout into its pieces.
fn pieces(layout: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut plain, mut at) = (0, 0);
    while let Some(rest) = layout.get(at..).filter(|rest| !rest.is_empty()) {
        let step = rest.chars().next().map_or(1, char::len_utf8);
        match piece(rest) {
            Some((piece, length)) => {
                if plain < at {
                    pieces.push(Piece::Plain(layout.get(plain..at).unwrap_or_default()));
                }
                pieces.push(piece);
                at += length;
                plain = at;
            }
            None => at += step,
        }
    }
    if plain < layout.len() {
        pieces.push(Piece::Plain(layout.get(plain..).unwrap_or_default()));
    }
    pieces
}

fn piece(rest: &str) -> Option<(Piece<'static>, usize)> {
    if let Some(fraction) = fraction(rest) {
        return Some(fraction);
    }
    let (name, piece) = NAMED.iter().find(|(name, _)| rest.starts_with(name))?;
    let after = rest.get(name.len()..).unwrap_or_default();
    match *name {
        // `Janet` is no month and `Money` no day.
        "Jan" | "Mon" if after.starts_with(|c: char| c.is_ascii_lowercase()) => None,
        // `_2006` is an underscore and a year.
        "_2" if rest.starts_with("_2006") => None,
        _ => Some((*piece, name.len())),
    }
}

/// `.000`, `,999`: a run of equal digits that no other digit follows.
fn fraction(rest: &str) -> Option<(Piece<'static>, usize)> {
    let mut chars = rest.chars();
    let point = chars.next().filter(|c| matches!(c, '.' | ','))?;
    let digit = chars.next().filter(|c| matches!(c, '0' | '9'))?;
    let digits = 1 + chars.clone().take_while(|c| *c == digit).count();
    let next = chars.nth(digits - 1);
    if next.is_some_and(|c| c.is_ascii_digit()) {
        return None;
    }
    let piece = Piece::Fraction {
        point,
        digits,
        trim: digit == '9',
    };
    Some((piece, 1 + digits))
}

/// The name of a month, from 1.
pub(crate) fn month_name(month: i8) -> &'static str {
    named(&MONTHS, i64::from(month) - 1)
}

/// The name of a day of the week.
pub(crate) fn day_name(time: &ZonedDateTime) -> &'static str {
    named(&DAYS, i64::from(time.weekday().to_sunday_zero_offset()))
}

fn named(names: &[&'static str], at: i64) -> &'static str {
    let found = usize::try_from(at).ok().and_then(|i| names.get(i));
    found.copied().unwrap_or_default()
}

fn short(name: &str) -> &str {
    name.get(..3).unwrap_or(name)
}

/// Writes a time by a layout.
pub(crate) fn format(time: &ZonedDateTime, layout: &str) -> Result<String, String> {
    if layout.len() > OUTPUT_BYTES_MAX / 16 {
        return Err("the layout of a time is too long".to_owned());
    }
    let mut out = String::with_capacity(layout.len() + 16);
    for piece in pieces(layout) {
        write(time, piece, &mut out);
    }
    Ok(out)
}

fn write(time: &ZonedDateTime, piece: Piece<'_>, out: &mut String) {
    let mut number = |value: i64, fill: Fill, width: usize| {
        let text = value.to_string();
        if let Some(fill) = fill {
            out.extend(std::iter::repeat_n(fill, width.saturating_sub(text.len())));
        }
        out.push_str(&text);
    };
    let hour = i64::from(time.hour());
    match piece {
        Piece::LongYear => number(time.year().into(), ZERO, 4),
        Piece::Year => number(i64::from(time.year()).rem_euclid(100), ZERO, 2),
        Piece::NumMonth(fill) => number(time.month().into(), fill, 2),
        Piece::Day(fill) => number(time.day().into(), fill, 2),
        Piece::DayOfYear(fill) => number(time.day_of_year().into(), Some(fill), 3),
        Piece::Hour => number(hour, ZERO, 2),
        Piece::Hour12(fill) => number((hour + 11) % 12 + 1, fill, 2),
        Piece::Minute(fill) => number(time.minute().into(), fill, 2),
        Piece::Second(fill) => number(time.second().into(), fill, 2),
        Piece::Plain(text) => out.push_str(text),
        Piece::LongMonth => out.push_str(month_name(time.month())),
        Piece::Month => out.push_str(short(month_name(time.month()))),
        Piece::LongDay => out.push_str(day_name(time)),
        Piece::WeekDay => out.push_str(short(day_name(time))),
        Piece::Half { upper } => out.push_str(match (hour >= 12, upper) {
            (true, true) => "PM",
            (true, false) => "pm",
            (false, true) => "AM",
            (false, false) => "am",
        }),
        Piece::Fraction {
            point,
            digits,
            trim,
        } => {
            let nanos = format!("{:09}", time.subsec_nanosecond());
            let mut shown = nanos.get(..digits.min(9)).unwrap_or(&nanos);
            if trim {
                shown = shown.trim_end_matches('0');
            }
            if !shown.is_empty() {
                out.push(point);
                out.push_str(shown);
                if !trim {
                    out.extend(std::iter::repeat_n('0', digits.saturating_sub(9)));
                }
            }
        }
        Piece::ZoneName => out.push_str(&zone_name(time)),
        Piece::Zone(form) => write_offset(time.offset().seconds(), form, out),
    }
}

fn write_offset(seconds: i32, form: ZoneForm, out: &mut String) {
    if form.z && seconds == 0 {
        out.push('Z');
        return;
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let all = seconds.unsigned_abs();
    let colon = if form.colon { ":" } else { "" };
    // Writing to a string cannot fail.
    let _ = write!(out, "{sign}{:02}", all / 3_600);
    if form.minutes {
        let _ = write!(out, "{colon}{:02}", all / 60 % 60);
    }
    if form.seconds {
        let _ = write!(out, "{colon}{:02}", all % 60);
    }
}

/// `CET`, `UTC`, or the difference from UTC where the zone has no name.
fn zone_name(time: &ZonedDateTime) -> String {
    let info = time.time_zone().to_offset_info(time.timestamp());
    let name = info.abbreviation();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return name.to_owned();
    }
    let seconds = time.offset().seconds();
    let form = ZoneForm {
        z: false,
        colon: false,
        minutes: seconds % 3_600 != 0,
        seconds: false,
    };
    let mut out = String::new();
    write_offset(seconds, form, &mut out);
    out
}

/// Nanoseconds as Go prints a duration: `1h2m3.5s`, `1.5ms`, `0s`.
pub(crate) fn duration(ns: i64) -> String {
    if ns == 0 {
        return "0s".to_owned();
    }
    let sign = if ns < 0 { "-" } else { "" };
    let all = ns.unsigned_abs();
    let decimal = |value: u64, unit: u64| {
        let text = format!("{}.{:0>9}", value / unit, {
            // The fraction, as nine digits of the unit.
            (value % unit) * (1_000_000_000 / unit)
        });
        let text = text.trim_end_matches('0');
        text.strip_suffix('.').unwrap_or(text).to_owned()
    };
    match all {
        0..1_000 => format!("{sign}{all}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", decimal(all, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", decimal(all, 1_000_000)),
        _ => {
            let (minutes, rest) = (all / 60_000_000_000, all % 60_000_000_000);
            let seconds = decimal(rest, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;

    fn at(ns: i128, zone: &str) -> ZonedDateTime {
        Timestamp::from_nanosecond(ns)
            .expect("a time")
            .to_zoned_datetime(TimeZone::get(zone).expect("a zone"))
    }

    #[test]
    fn writes_times_as_go_does() {
        let time = at(1_700_000_045_060_700_000, "Europe/Berlin");
        let check = |layout: &str, expected: &str| {
            assert_eq!(format(&time, layout).as_deref(), Ok(expected), "{layout}");
        };
        check("2006-01-02 15:04:05 MST", "2023-11-14 23:14:05 CET");
        check("2006-01-02T15:04:05Z07:00", "2023-11-14T23:14:05+01:00");
        check(STRING, "2023-11-14 23:14:05.0607 +0100 CET");
        check("Mon, 02 Jan 2006 3:04PM", "Tue, 14 Nov 2023 11:14PM");
        check("Monday January _2 '06", "Tuesday November 14 '23");
        check("15:04:05.000 .00 ,999999", "23:14:05.060 .06 ,0607");
        check("-07 -0700 -07:00:00 Z0700", "+01 +0100 +01:00:00 +0100");
        check("002 __2 1/2 3:4:5 pm", "318 318 11/14 11:14:5 pm");
        check("Janet Money _2006", "Janet Money _2023");
        check("at the hour of ä", "at the hour of ä");
        let utc = at(0, "UTC");
        assert_eq!(
            format(&utc, STRING).as_deref(),
            Ok("1970-01-01 00:00:00 +0000 UTC")
        );
        assert_eq!(
            format(&utc, "3 Z07:00 Jan _2 __2").as_deref(),
            Ok("12 Z Jan  1   1")
        );
    }

    #[test]
    fn durations_read_as_in_go() {
        let check = |ns: i64, expected: &str| assert_eq!(duration(ns), expected);
        check(0, "0s");
        check(15, "15ns");
        check(1_500, "1.5µs");
        check(2_000_000, "2ms");
        check(1_500_000_000, "1.5s");
        check(3_661_000_000_000, "1h1m1s");
        check(-90_000_000_000, "-1m30s");
        check(360_000_000_000_000, "100h0m0s");
        check(i64::MIN, "-2562047h47m16.854775808s");
    }
}
