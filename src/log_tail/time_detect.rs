//! Finds the time that a line itself gives, by bytes and without regular expressions.
//!
//! Looked for at the start of the line (behind brackets and a syslog priority), and failing that
//! anywhere in its first bytes, where web servers and some frameworks write it:
//!
//! - RFC 3339 and its relatives: `2024-01-02T03:04:05.678Z`, `2024-01-02 03:04:05,678 +0100`,
//!   `2024/01/02 03:04:05` (Go, nginx)
//! - syslog: `Jan  2 03:04:05` (no year), `<34>1 2024-01-02T…` (RFC 5424)
//! - klog: `I0102 03:04:05.678901` (no year)
//! - Apache and nginx access logs: `[02/Jan/2024:03:04:05 +0100]`; Apache error logs:
//!   `[Tue Jan 02 03:04:05.678 2024]`; Redis: `02 Jan 2024 03:04:05.678`
//! - log4j's short form: `24/01/02 03:04:05`; Android: `01-02 03:04:05.678` (no year)
//! - seconds, milliseconds, microseconds or nanoseconds since 1970
//!
//! A time without a year gets the latest year that does not put it after the newest time that is
//! possible; a time without a zone is in the configured one.

use crate::civil::{Civil, DAY_S, SECOND_NS, Zone, year_of};
use crate::time_scan::{Scan, decimal, fraction_value};

/// How far into a line a time is looked for.
const SEARCH_BYTES_MAX: usize = 96;

/// What a written time is read against.
pub(crate) struct Context<'a> {
    /// The zone of times without one.
    pub(crate) zone: &'a mut Zone,
    /// When the line was written at the latest, nanoseconds.
    pub(crate) newest_ns: i64,
}

/// A time that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Nanoseconds since 1970-01-01 UTC.
    pub(crate) time_ns: i64,
    /// Where in the line it ends.
    pub(crate) end: usize,
}

/// Finds a line's own time.
pub(crate) fn detect(line: &[u8], context: &mut Context<'_>) -> Option<Stamp> {
    if let Some(stamp) = leading(line, context) {
        return Some(stamp);
    }
    let at = lead(line);
    // Slow path: somewhere in the first bytes, at the beginning of a number or a month's name.
    for place in (at + 1)..line.len().min(SEARCH_BYTES_MAX) {
        let before = line[place - 1];
        let here = line[place];
        let boundary = !before.is_ascii_alphanumeric() && before != b'.' && before != b'-';
        if !boundary {
            continue;
        }
        let stamp = if here.is_ascii_digit() {
            dashed(line, place, context)
                .or_else(|| access_log(line, place))
                .or_else(|| day_month_year(line, place, context))
        } else if here.is_ascii_uppercase() {
            month_day(line, place, context)
        } else {
            None
        };
        if stamp.is_some() {
            return stamp;
        }
    }
    None
}

/// Finds the time with which a line begins.
pub(crate) fn leading(line: &[u8], context: &mut Context<'_>) -> Option<Stamp> {
    at_start(line, lead(line), context)
}

/// The place behind what may stand before a leading time.
fn lead(line: &[u8]) -> usize {
    let mut at = 0;
    if line.first() == Some(&b'<') {
        at = after_priority(line).unwrap_or(0);
    }
    while matches!(line.get(at), Some(b'[' | b'(' | b' ' | b'"')) && at < SEARCH_BYTES_MAX {
        at += 1;
    }
    at
}

/// Reads a text that is nothing but a time: the value of a field, or a container log's stamp.
pub(crate) fn whole(text: &[u8], context: &mut Context<'_>) -> Option<i64> {
    let stamp = at_start(text, 0, context)?;
    (stamp.end == text.len()).then_some(stamp.time_ns)
}

/// A number of seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by size
/// (a number of seconds may have a fraction).
pub(crate) fn epoch(number: &[u8]) -> Option<i64> {
    let digits = number.iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = decimal(number.get(..digits)?)?;
    let (scale, fraction_digits) = match digits {
        9..=10 => (SECOND_NS, 9),
        12..=13 => (1_000_000, 6),
        15..=16 => (1_000, 3),
        18..=19 => (1, 0),
        _ => return None,
    };
    let fraction = match number.get(digits) {
        None => 0,
        Some(b'.') => {
            let rest = number.get(digits + 1..)?;
            if !rest.iter().all(u8::is_ascii_digit) {
                return None;
            }
            fraction_value(rest, fraction_digits)
        }
        Some(_) => return None,
    };
    whole.checked_mul(scale)?.checked_add(fraction)
}

/// The strict form of container logs: RFC 3339 with any fraction and zone. Returns the time and
/// the place behind it.
pub(crate) fn rfc3339(text: &[u8]) -> Option<Stamp> {
    let mut scan = Scan { text, at: 0 };
    let mut civil = scan.date(b'-')?;
    scan.expect(b'T')?;
    scan.clock(&mut civil)?;
    let offset_s = scan.zone()?;
    Some(Stamp {
        time_ns: in_zone(&civil, offset_s)?,
        end: scan.at,
    })
}

/// The times that a line may begin with, chosen by the first byte.
fn at_start(line: &[u8], at: usize, context: &mut Context<'_>) -> Option<Stamp> {
    let first = *line.get(at)?;
    if first.is_ascii_digit() {
        return dashed(line, at, context)
            .or_else(|| access_log(line, at))
            .or_else(|| day_month_year(line, at, context))
            .or_else(|| short_year(line, at, context))
            .or_else(|| logcat(line, at, context))
            .or_else(|| leading_epoch(line, at));
    }
    if first.is_ascii_uppercase() {
        return month_day(line, at, context)
            .or_else(|| klog(line, at, context))
            .or_else(|| {
                month_day(line, at + 4, context).filter(|_| line.get(at + 3) == Some(&b' '))
            });
    }
    None
}

/// `2024-01-02T03:04:05…` and `2024/01/02 03:04:05…`.
fn dashed(line: &[u8], at: usize, context: &mut Context<'_>) -> Option<Stamp> {
    let separator = *line.get(at + 4)?;
    if separator != b'-' && separator != b'/' {
        return None;
    }
    let mut scan = Scan { text: line, at };
    let mut civil = scan.date(separator)?;
    scan.one_of(b"T t_")?;
    // apt writes two spaces.
    scan.expect(b' ');
    scan.clock(&mut civil)?;
    Some(Stamp {
        time_ns: zoned_or_local(&mut scan, &civil, context)?,
        end: scan.at,
    })
}

/// `24/01/02 03:04:05`.
fn short_year(line: &[u8], at: usize, context: &mut Context<'_>) -> Option<Stamp> {
    let mut scan = Scan { text: line, at };
    let mut civil = Civil {
        year: 2000 + scan.digits(2)?,
        ..Civil::default()
    };
    scan.expect(b'/')?;
    civil.month = scan.digits(2)?;
    scan.expect(b'/')?;
    civil.day = scan.digits(2)?;
    scan.expect(b' ')?;
    scan.clock(&mut civil)?;
    Some(Stamp {
        time_ns: local(&civil, context)?,
        end: scan.at,
    })
}

/// `01-02 03:04:05.678`.
fn logcat(line: &[u8], at: usize, context: &mut Context<'_>) -> Option<Stamp> {
    let mut scan = Scan { text: line, at };
    let mut civil = Civil {
        month: scan.digits(2)?,
        ..Civil::default()
    };
    scan.expect(b'-')?;
    civil.day = scan.digits(2)?;
    scan.expect(b' ')?;
    scan.clock(&mut civil)?;
    Some(Stamp {
        time_ns: without_year(civil, context)?,
        end: scan.at,
    })
}

/// `02/Jan/2024:03:04:05 +0100`.
fn access_log(line: &[u8], at: usize) -> Option<Stamp> {
    if line.get(at + 2) != Some(&b'/') {
        return None;
    }
    let mut scan = Scan { text: line, at };
    let mut civil = Civil {
        day: scan.digits(2)?,
        ..Civil::default()
    };
    scan.expect(b'/')?;
    civil.month = scan.month()?;
    scan.expect(b'/')?;
    civil.year = scan.digits(4)?;
    scan.expect(b':')?;
    scan.clock(&mut civil)?;
    scan.expect(b' ')?;
    let offset_s = scan.zone()?;
    Some(Stamp {
        time_ns: in_zone(&civil, offset_s)?,
        end: scan.at,
    })
}

/// `02 Jan 2024 03:04:05.678`.
fn day_month_year(line: &[u8], at: usize, context: &mut Context<'_>) -> Option<Stamp> {
    if line.get(at + 2) != Some(&b' ') {
        return None;
    }
    let mut scan = Scan { text: line, at };
    let mut civil = Civil {
        day: scan.digits(2)?,
        ..Civil::default()
    };
    scan.expect(b' ')?;
    civil.month = scan.month()?;
    scan.expect(b' ')?;
    civil.year = scan.digits(4)?;
    scan.expect(b' ')?;
    scan.clock(&mut civil)?;
    Some(Stamp {
        time_ns: zoned_or_local(&mut scan, &civil, context)?,
        end: scan.at,
    })
}

/// `Jan  2 03:04:05`, with the year behind it or without one.
fn month_day(line: &[u8], at: usize, context: &mut Context<'_>) -> Option<Stamp> {
    let mut scan = Scan { text: line, at };
    let mut civil = Civil {
        month: scan.month()?,
        ..Civil::default()
    };
    scan.expect(b' ')?;
    if scan.peek() == Some(b' ') {
        scan.at += 1;
        civil.day = scan.digits(1)?;
    } else {
        civil.day = scan.digits(2).or_else(|| scan.digits(1))?;
    }
    scan.expect(b' ')?;
    scan.clock(&mut civil)?;
    let mut with_year = Scan {
        text: line,
        at: scan.at,
    };
    let year = with_year.expect(b' ').and_then(|()| with_year.digits(4));
    if let Some(year) = year
        && (1970..2200).contains(&year)
        && matches!(with_year.peek(), None | Some(b']' | b' ' | b':'))
    {
        civil.year = year;
        return Some(Stamp {
            time_ns: local(&civil, context)?,
            end: with_year.at,
        });
    }
    Some(Stamp {
        time_ns: without_year(civil, context)?,
        end: scan.at,
    })
}

/// `I0102 03:04:05.678901`.
fn klog(line: &[u8], at: usize, context: &mut Context<'_>) -> Option<Stamp> {
    let mut scan = Scan {
        text: line,
        at: at + 1,
    };
    if !b"IWEF".contains(line.get(at)?) {
        return None;
    }
    let mut civil = Civil {
        month: scan.digits(2)?,
        day: scan.digits(2)?,
        ..Civil::default()
    };
    scan.expect(b' ')?;
    scan.clock(&mut civil)?;
    Some(Stamp {
        time_ns: without_year(civil, context)?,
        end: scan.at,
    })
}

/// A number of seconds and so on, up to the next space or bracket.
fn leading_epoch(line: &[u8], at: usize) -> Option<Stamp> {
    let rest = line.get(at..)?;
    let bytes = rest
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
        .count();
    if !matches!(
        rest.get(bytes),
        None | Some(b' ' | b'\t' | b']' | b':' | b'|')
    ) {
        return None;
    }
    Some(Stamp {
        time_ns: epoch(&rest[..bytes])?,
        end: at + bytes,
    })
}

/// The place behind `<34>` and, in RFC 5424, its version.
fn after_priority(line: &[u8]) -> Option<usize> {
    let digits = line[1..].iter().take_while(|b| b.is_ascii_digit()).count();
    if !(1..=3).contains(&digits) || line.get(digits + 1) != Some(&b'>') {
        return None;
    }
    let at = digits + 2;
    Some(if line.get(at..)?.starts_with(b"1 ") {
        at + 2
    } else {
        at
    })
}

/// The time in the zone written behind it (directly, behind a space with four digits, or as
/// `UTC`), else in the configured one.
fn zoned_or_local(scan: &mut Scan<'_>, civil: &Civil, context: &mut Context<'_>) -> Option<i64> {
    if let Some(offset_s) = scan.zone() {
        return in_zone(civil, offset_s);
    }
    let rest = scan.text.get(scan.at..).unwrap_or_default();
    if rest.starts_with(b" UTC") || rest.starts_with(b" GMT") {
        scan.at += 4;
        return in_zone(civil, 0);
    }
    if let [b' ', b'+' | b'-', digits @ ..] = rest
        && digits
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
            == 4
    {
        scan.at += 1;
        if let Some(offset_s) = scan.zone() {
            return in_zone(civil, offset_s);
        }
        scan.at -= 1;
    }
    local(civil, context)
}

fn in_zone(civil: &Civil, offset_s: i64) -> Option<i64> {
    (civil.utc_seconds()? - offset_s)
        .checked_mul(SECOND_NS)?
        .checked_add(civil.nanos)
}

fn local(civil: &Civil, context: &mut Context<'_>) -> Option<i64> {
    let seconds = context.zone.utc_seconds(civil.utc_seconds()?);
    seconds.checked_mul(SECOND_NS)?.checked_add(civil.nanos)
}

/// The latest year that puts the time at most a day after the newest possible one (clocks and
/// zones differ). 29 February goes back to the last leap year.
fn without_year(mut civil: Civil, context: &mut Context<'_>) -> Option<i64> {
    let newest_ns = context.newest_ns.saturating_add(DAY_S * SECOND_NS);
    let newest_year = year_of(newest_ns);
    (newest_year - 8..=newest_year).rev().find_map(|year| {
        civil.year = year;
        local(&civil, context).filter(|time_ns| *time_ns <= newest_ns)
    })
}

#[cfg(test)]
mod tests;
