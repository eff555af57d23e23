//! Reads a time by a layout.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ZonedDateTime};

use super::{DAYS, Fill, MONTHS, Piece, ZoneForm, pieces, short};

/// What was read of a time so far; what a layout does not name is as in `0001-01-01 00:00:00 UTC`.
#[derive(Default)]
struct Read {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    afternoon: Option<bool>,
    offset_s: i32,
}

/// Reads a time by a layout; one without a zone is in UTC.
///
/// # Errors
/// A text that does not fit the layout, or names no time.
pub(crate) fn parse(text: &str, layout: &str) -> Result<ZonedDateTime, String> {
    let bad = || format!("cannot read {text:?} as a time like {layout:?}");
    let mut read = Read::default();
    let mut rest = text;
    let pieces = pieces(layout);
    for (i, piece) in pieces.iter().enumerate() {
        let more = matches!(pieces.get(i + 1), Some(Piece::Fraction { .. }));
        rest = take(rest, *piece, more, &mut read).ok_or_else(bad)?;
    }
    if !rest.is_empty() {
        return Err(bad());
    }
    read.finish().ok_or_else(bad)
}

/// Takes up to `max` digits, at least `min`.
fn digits(text: &str, min: usize, max: usize) -> Option<(i64, &str)> {
    let length = text
        .bytes()
        .take(max)
        .take_while(u8::is_ascii_digit)
        .count();
    let number = text.get(..length).filter(|_| length >= min)?;
    Some((number.parse().ok()?, text.get(length..)?))
}

fn take<'t>(
    text: &'t str,
    piece: Piece<'_>,
    fraction_next: bool,
    read: &mut Read,
) -> Option<&'t str> {
    let number = |fill: Fill| match fill {
        Some('0') => digits(text, 2, 2),
        Some(_) => digits(text.trim_start_matches(' '), 1, 2),
        None => digits(text, 1, 2),
    };
    let name = |names: &[&'static str], whole: bool| {
        (1i64..).zip(names).find_map(|(n, name)| {
            let name = if whole { name } else { short(name) };
            let head = text.get(..name.len())?;
            head.eq_ignore_ascii_case(name)
                .then(|| (n, text.get(name.len()..).unwrap_or_default()))
        })
    };
    let (value, rest) = match piece {
        Piece::Plain(plain) => return text.strip_prefix(plain),
        Piece::LongYear => digits(text, 4, 4)?,
        Piece::Year | Piece::Hour => digits(text, 2, 2)?,
        Piece::LongMonth => name(&MONTHS, true)?,
        Piece::Month => name(&MONTHS, false)?,
        Piece::LongDay => name(&DAYS, true)?,
        Piece::WeekDay => name(&DAYS, false)?,
        Piece::NumMonth(fill)
        | Piece::Day(fill)
        | Piece::Hour12(fill)
        | Piece::Minute(fill)
        | Piece::Second(fill) => number(fill)?,
        Piece::DayOfYear(_) => digits(text.trim_start_matches(' '), 1, 3)?,
        Piece::Half { .. } => {
            let half = text.get(..2)?.to_ascii_uppercase();
            read.afternoon = Some(match &*half {
                "AM" => false,
                "PM" => true,
                _ => return None,
            });
            return text.get(2..);
        }
        Piece::Fraction { .. } => return take_fraction(text, read),
        Piece::ZoneName => {
            let length = text.bytes().take_while(u8::is_ascii_alphabetic).count();
            return text.get(length..).filter(|_| (1..=6).contains(&length));
        }
        Piece::Zone(form) => return take_offset(text, form, read),
    };
    match piece {
        Piece::LongYear => read.year = Some(value),
        Piece::Year => read.year = Some(value + if value >= 69 { 1900 } else { 2000 }),
        Piece::LongMonth | Piece::Month | Piece::NumMonth(_) => read.month = Some(value),
        Piece::Day(_) => read.day = Some(value),
        Piece::DayOfYear(_) => read.day_of_year = Some(value),
        Piece::Hour | Piece::Hour12(_) => read.hour = value,
        Piece::Minute(_) => read.minute = value,
        Piece::Second(_) => {
            read.second = value;
            // Seconds may have a fraction that the layout does not name.
            if !fraction_next && rest.starts_with(['.', ',']) {
                return take_fraction(rest, read);
            }
        }
        _ => {}
    }
    Some(rest)
}

fn take_fraction<'t>(text: &'t str, read: &mut Read) -> Option<&'t str> {
    let Some(after) = text.strip_prefix(['.', ',']) else {
        return Some(text);
    };
    let length = after.bytes().take_while(u8::is_ascii_digit).count();
    let shown = after.get(..length.min(9)).filter(|_| length > 0)?;
    read.nanos = format!("{shown:0<9}").parse().ok()?;
    after.get(length..)
}

fn take_offset<'t>(text: &'t str, form: ZoneForm, read: &mut Read) -> Option<&'t str> {
    if form.z
        && let Some(rest) = text.strip_prefix('Z')
    {
        return Some(rest);
    }
    let negative = text.starts_with('-');
    let rest = text.strip_prefix(['+', '-'])?;
    let (hours, mut rest) = digits(rest, 2, 2)?;
    let mut seconds = hours * 3_600;
    for (wanted, unit) in [(form.minutes, 60), (form.seconds, 1)] {
        if wanted {
            let after = if form.colon {
                rest.strip_prefix(':')?
            } else {
                rest
            };
            let (value, after) = digits(after, 2, 2)?;
            seconds += value * unit;
            rest = after;
        }
    }
    read.offset_s = i32::try_from(if negative { -seconds } else { seconds }).ok()?;
    Some(rest)
}

impl Read {
    fn finish(self) -> Option<ZonedDateTime> {
        let small = |value: i64| i8::try_from(value).ok();
        let year = i16::try_from(self.year.unwrap_or(1)).ok()?;
        let date = match self.day_of_year {
            Some(day) => Date::new(year, 1, 1)
                .ok()?
                .checked_add(jiff::Span::new().try_days(day - 1).ok()?)
                .ok()?,
            None => Date::new(
                year,
                small(self.month.unwrap_or(1))?,
                small(self.day.unwrap_or(1))?,
            )
            .ok()?,
        };
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let time = Time::new(
            small(hour)?,
            small(self.minute)?,
            small(self.second)?,
            i32::try_from(self.nanos).ok()?,
        )
        .ok()?;
        let offset = Offset::from_seconds(self.offset_s).ok()?;
        let zone = match self.offset_s {
            0 => TimeZone::UTC,
            _ => TimeZone::fixed(offset),
        };
        let timestamp: Timestamp = offset.to_timestamp(DateTime::from_parts(date, time)).ok()?;
        Some(timestamp.to_zoned_datetime(zone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{RFC3339_NANO, format};

    #[test]
    fn reads_what_it_writes() {
        let check = |layout: &str, text: &str, expected: &str| {
            let time = parse(text, layout).map(|t| format(&t, RFC3339_NANO).expect("short"));
            assert_eq!(time.as_deref(), Ok(expected), "{layout} {text}");
        };
        check("2006-01-02", "2023-11-14", "2023-11-14T00:00:00Z");
        check(
            "2006-01-02T15:04:05Z07:00",
            "2023-11-14T23:14:05.5+01:00",
            "2023-11-14T23:14:05.5+01:00",
        );
        check(
            "Jan _2 2006 3:04PM",
            "Feb  3 2024 12:05AM",
            "2024-02-03T00:05:00Z",
        );
        check("2006 002", "2024 060", "2024-02-29T00:00:00Z");
        check("06-1-2", "69-2-3", "1969-02-03T00:00:00Z");
        for (layout, text) in [
            ("2006-01-02", "2023-13-01"),
            ("2006-01-02", "2023-02-30"),
            ("2006-01-02", "2023-02-03x"),
            ("15:04", "25:00"),
            ("-07", "+99"),
        ] {
            assert!(parse(text, layout).is_err(), "{layout} {text}");
        }
    }
}
