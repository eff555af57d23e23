//! Timestamps inside lines: recognised, turned into a difference from the record's own time, and
//! written back to the byte.
//!
//! Known forms: `2026-11-22T10:00:05` and `2026-11-22 10:00:05` (1970 to 2261), or `10:00:05`
//! alone; then nothing, or `.` or `,` with exactly 3, 6 or 9 digits; then perhaps `Z`. A word that
//! goes on behind it makes it no timestamp: the tokenizer relies on that (`crate::tokens`).

const NS_PER_S: i64 = 1_000_000_000;
const S_PER_DAY: i64 = 86_400;

/// Which of the known forms a timestamp has, in one byte: bits 0-1 the shape, 2-3 the fraction,
/// 4 a comma before it, 5 `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeForm(u8);

const DATE_T: u8 = 0;
const DATE_SPACE: u8 = 1;
const CLOCK: u8 = 2;
const COMMA: u8 = 1 << 4;
const ZULU: u8 = 1 << 5;

impl TimeForm {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        (byte < 0x40 && byte & 3 <= CLOCK).then_some(Self(byte))
    }

    pub(crate) fn byte(self) -> u8 {
        self.0
    }

    /// Digits of the fraction: 0, 3, 6 or 9.
    pub(crate) fn digits(self) -> usize {
        usize::from(self.0 >> 2 & 3) * 3
    }

    /// Whether a date is part of it.
    pub(crate) fn has_date(self) -> bool {
        self.0 & 3 != CLOCK
    }

    /// Whether date and time are written with a space between them.
    pub(crate) fn has_space(self) -> bool {
        self.0 & 3 == DATE_SPACE
    }

    /// The record's time in the units of this form (its last digit).
    fn base(self, time_ns: i64) -> i64 {
        let unit_ns = NS_PER_S / power_of_ten(self.digits());
        let time_ns = if self.has_date() {
            time_ns
        } else {
            time_ns.rem_euclid(S_PER_DAY * NS_PER_S)
        };
        time_ns.div_euclid(unit_ns)
    }
}

/// A timestamp found at the start of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FoundTime {
    /// Bytes of the text.
    pub(crate) len: usize,
    pub(crate) form: TimeForm,
    /// Difference from the record's time in units of the form.
    pub(crate) difference: i64,
}

/// Recognises a timestamp at the start of a text that begins with a digit.
pub(crate) fn find(text: &[u8], time_ns: i64) -> Option<FoundTime> {
    let (mut form, mut len, seconds) = if text.get(4) == Some(&b'-') {
        let shape = match text.get(10)? {
            b'T' => DATE_T,
            b' ' => DATE_SPACE,
            _ => return None,
        };
        let year = two_digits(text, 0)? * 100 + two_digits(text, 2)?;
        let (month, day) = (two_digits(text, 5)?, two_digits(text, 8)?);
        // Up to 2261 nanoseconds since 1970 fit into 64 bits.
        if text.get(7) != Some(&b'-') || !(1970..=2261).contains(&year) {
            return None;
        }
        let days = days_from_civil(year, month, day);
        if civil_from_days(days) != (year, month, day) {
            return None;
        }
        (shape, 19, days * S_PER_DAY + clock(text.get(11..)?)?)
    } else {
        (CLOCK, 8, clock(text)?)
    };
    let mut units = seconds;
    if let Some(mark @ (b'.' | b',')) = text.get(len) {
        let digits = text
            .get(len + 1..)?
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        if digits > 0 {
            if !matches!(digits, 3 | 6 | 9) {
                return None;
            }
            for byte in text.get(len + 1..len + 1 + digits)? {
                units = units * 10 + i64::from(byte - b'0');
            }
            form |= (digits as u8 / 3) << 2;
            form |= if *mark == b',' { COMMA } else { 0 };
            len += 1 + digits;
        }
    }
    if text.get(len) == Some(&b'Z') {
        form |= ZULU;
        len += 1;
    }
    if text.get(len).is_some_and(|b| is_word_byte(*b)) {
        return None;
    }
    let form = TimeForm(form);
    Some(FoundTime {
        len,
        form,
        difference: units.wrapping_sub(form.base(time_ns)),
    })
}

/// Writes the timestamp that [`find`] took apart. Any input gives some text.
pub(crate) fn write(out: &mut Vec<u8>, form: TimeForm, time_ns: i64, difference: i64) {
    let units = form.base(time_ns).wrapping_add(difference);
    let per_second = power_of_ten(form.digits());
    let seconds = units.div_euclid(per_second);
    let second_of_day = seconds.rem_euclid(S_PER_DAY);
    if form.has_date() {
        let (year, month, day) = civil_from_days(seconds.div_euclid(S_PER_DAY));
        put_number(out, year, 4);
        out.push(b'-');
        put_number(out, month, 2);
        out.push(b'-');
        put_number(out, day, 2);
        out.push(if form.0 & 3 == DATE_T { b'T' } else { b' ' });
    }
    put_number(out, second_of_day / 3600, 2);
    out.push(b':');
    put_number(out, second_of_day / 60 % 60, 2);
    out.push(b':');
    put_number(out, second_of_day % 60, 2);
    if form.digits() > 0 {
        out.push(if form.0 & COMMA == 0 { b'.' } else { b',' });
        put_number(out, units.rem_euclid(per_second), form.digits());
    }
    if form.0 & ZULU != 0 {
        out.push(b'Z');
    }
}

/// Writes a number that is not negative with at least `width` digits.
pub(crate) fn put_number(out: &mut Vec<u8>, value: i64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut rest = value.unsigned_abs();
    let mut n = 0;
    for digit in digits.iter_mut().rev() {
        if rest == 0 {
            break;
        }
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        n += 1;
    }
    out.extend_from_slice(&digits[20 - n.max(width.clamp(1, 20))..]);
}

pub(crate) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

pub(crate) fn power_of_ten(digits: usize) -> i64 {
    10i64.pow(digits.min(18) as u32)
}

/// `HH:MM:SS` at the start of a text, as seconds.
fn clock(text: &[u8]) -> Option<i64> {
    if text.get(2) != Some(&b':') || text.get(5) != Some(&b':') {
        return None;
    }
    let (h, m, s) = (
        two_digits(text, 0)?,
        two_digits(text, 3)?,
        two_digits(text, 6)?,
    );
    (h < 24 && m < 60 && s < 60).then_some(h * 3600 + m * 60 + s)
}

fn two_digits(text: &[u8], at: usize) -> Option<i64> {
    match text.get(at..at + 2)? {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(i64::from(a - b'0') * 10 + i64::from(b - b'0')),
        _ => None,
    }
}

/// Days since 1970-01-01 of a date in the Gregorian calendar, counting years from March so that
/// the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date of a day since 1970-01-01: the inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_305_605_123_456_789;

    #[test]
    fn known_forms_come_back_to_the_byte() {
        let check = |text: &str, expected: Option<usize>| {
            let found = find(text.as_bytes(), NOW);
            assert_eq!(found.map(|f| f.len), expected, "{text}");
            if found.is_none() {
                return;
            }
            for time in [NOW, 0, i64::MIN, i64::MAX] {
                let found = find(text.as_bytes(), time).expect("still a timestamp");
                let mut out = Vec::new();
                write(&mut out, found.form, time, found.difference);
                assert_eq!(out, &text.as_bytes()[..found.len], "{text}");
                assert_eq!(TimeForm::from_byte(found.form.byte()), Some(found.form));
            }
        };
        check("2026-11-22T00:00:05.123456789Z rest", Some(30));
        check("2026-11-22 00:00:05,123 INFO", Some(23));
        check("2026-11-22T00:00:05Z", Some(20));
        check("2024-02-29T23:59:59.000000+01:00", Some(26));
        check("23:59:59", Some(8));
        check("00:00:00.000", Some(12));
        check("00:00:00. next", Some(8));
        check("2025-02-29T00:00:00", None);
        check("2026-11-22T24:00:00", None);
        check("1969-12-31T00:00:00", None);
        check("2026-11-22T00:00:05.12", None);
        check("00:00:05x", None);
        check("00:00:05Zulu", None);
        check("1:2", None);
        check("2026-", None);
    }
}
