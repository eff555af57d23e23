//! Which file? A day of samples as they came or of every five minutes, or a week of every hour; and
//! how it is called: `2026-11-23.db`, `2026-10-23.5m.db`, `2025-10-20.1h.db`.

use crate::config::{COARSE_MS, DAY_MS};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Which file: a day at a resolution, or a week, where there is a sample of every hour only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DayKey {
    /// The time between two samples of a rollup; 0 of samples as they came.
    pub(crate) resolution_ms: i64,
    /// Where the day or week begins.
    pub(crate) start_ms: i64,
}

/// The span of a file of a sample every hour: a file takes some 60 KB even where it holds little.
const WEEK_MS: i64 = 7 * DAY_MS;

/// A Monday, 1970-01-05: weeks begin on Mondays.
const MONDAY_MS: i64 = 4 * DAY_MS;

impl DayKey {
    /// The file of samples as they came.
    pub(crate) fn raw(start_ms: i64) -> Self {
        Self {
            resolution_ms: 0,
            start_ms,
        }
    }

    /// The file of a rollup that a time belongs to.
    pub(crate) fn rollup(resolution_ms: i64, time_ms: i64) -> Self {
        let span_ms = span_of(resolution_ms);
        let first_ms = if span_ms == WEEK_MS { MONDAY_MS } else { 0 };
        let whole = time_ms.saturating_sub(first_ms).div_euclid(span_ms);
        Self {
            resolution_ms,
            start_ms: whole.saturating_mul(span_ms).saturating_add(first_ms),
        }
    }

    /// Where the day or week ends, exclusive.
    pub(crate) fn end_ms(self) -> i64 {
        self.start_ms.saturating_add(span_of(self.resolution_ms))
    }

    /// The file's name without its end: `2026-11-23`, `2026-11-23.5m`, `2026-11-23.1h`.
    pub(super) fn stem(self) -> String {
        let date = date_of(self.start_ms);
        match (self.resolution_ms % HOUR_MS, self.resolution_ms / MINUTE_MS) {
            (_, 0) => date,
            (0, minutes) => format!("{date}.{}h", minutes / 60),
            (_, minutes) => format!("{date}.{minutes}m"),
        }
    }

    /// The inverse of [`DayKey::stem`].
    pub(super) fn of_stem(stem: &str) -> Option<Self> {
        let (date, resolution_ms) = match stem.split_once('.') {
            None => (stem, 0),
            Some((date, of)) => {
                let (number, unit_ms) = match of.strip_suffix('h') {
                    Some(hours) => (hours, HOUR_MS),
                    None => (of.strip_suffix('m')?, MINUTE_MS),
                };
                let number: i64 = number.parse().ok()?;
                (date, number.checked_mul(unit_ms)?)
            }
        };
        let start_ms = day_of(date)?;
        let key = Self {
            resolution_ms,
            start_ms,
        };
        Some(key).filter(|key| key.stem() == stem)
    }
}

/// The span of a file.
fn span_of(resolution_ms: i64) -> i64 {
    if resolution_ms >= COARSE_MS {
        WEEK_MS
    } else {
        DAY_MS
    }
}

/// The date of a day, as in its file's name: `2026-11-23`.
fn date_of(start_ms: i64) -> String {
    let (year, month, day) = civil(start_ms.div_euclid(DAY_MS));
    format!("{year:04}-{month:02}-{day:02}")
}

/// The inverse of [`date_of`].
fn day_of(date: &str) -> Option<i64> {
    let mut parts = date.rsplitn(3, '-');
    let day: i64 = parts.next()?.parse().ok()?;
    let month: i64 = parts.next()?.parse().ok()?;
    let year: i64 = parts.next()?.parse().ok()?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year.abs() > 9999 {
        return None;
    }
    // Years begin in March here, so that the leap day is the last one.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let of_era = year.rem_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    let days = year.div_euclid(400) * 146_097 + days - 719_468;
    Some(days * DAY_MS).filter(|start| date_of(*start) == date)
}

/// Year, month and day of a number of days since 1970-01-01 (the proleptic Gregorian calendar).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (year, month + 3)
    } else {
        (year + 1, month - 9)
    };
    (era * 400 + year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_come_back() {
        let check = |days: i64, date: &str| {
            assert_eq!(date_of(days * DAY_MS), date);
            assert_eq!(day_of(date), Some(days * DAY_MS));
        };
        check(0, "1970-01-01");
        check(-1, "1969-12-31");
        check(19_782, "2024-02-29");
        check(20_780, "2026-11-23");
        for days in (-100_000..100_000).step_by(37) {
            let date = date_of(days * DAY_MS);
            assert_eq!(day_of(&date), Some(days * DAY_MS), "{date}");
        }
        let week = DayKey::rollup(HOUR_MS, 20_784 * DAY_MS);
        assert_eq!(week.stem(), "2026-11-23.1h");
        assert_eq!(
            DayKey::rollup(HOUR_MS, week.end_ms()).stem(),
            "2026-11-30.1h"
        );
        for minutes in [0, 5, 60, 120] {
            let key = DayKey {
                resolution_ms: minutes * MINUTE_MS,
                start_ms: 20_780 * DAY_MS,
            };
            assert_eq!(DayKey::of_stem(&key.stem()), Some(key));
        }
        for bad in [
            "2026-11-23.0m",
            "2026-11-23.5",
            "2026-11-23.m",
            "x.5m",
            "2026-11-23.60m",
        ] {
            assert_eq!(DayKey::of_stem(bad), None, "{bad}");
        }
        for bad in ["2026-02-30", "x", "2026-13-01", "meta"] {
            assert_eq!(day_of(bad), None, "{bad}");
        }
    }
}
