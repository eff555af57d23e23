//! From the numbers of a written time to nanoseconds, with or without a zone.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

pub(crate) const SECOND_NS: i64 = 1_000_000_000;
const HOUR_S: i64 = 3600;
pub(crate) const DAY_S: i64 = 24 * HOUR_S;

/// Years outside are misread numbers, not times of a log (and would not fit into nanoseconds).
const YEARS: std::ops::RangeInclusive<i64> = 1970..=2200;

/// A time of day on a calendar, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    /// Up to 60: leap seconds are written.
    pub(crate) second: i64,
    pub(crate) nanos: i64,
}

impl Civil {
    /// Seconds since 1970 as if it were UTC, or `None` where no such time exists.
    pub(crate) fn utc_seconds(&self) -> Option<i64> {
        let valid = YEARS.contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=days_in_month(self.year, self.month)).contains(&self.day)
            && (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..=60).contains(&self.second);
        valid.then(|| {
            days_since_1970(self.year, self.month, self.day) * DAY_S
                + self.hour * HOUR_S
                + self.minute * 60
                + self.second
        })
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar, by years that begin in March (so that the leap day
/// is the last one).
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    era * 146_097 + day_of_era - 719_468
}

/// The year of a time in UTC.
pub(crate) fn year_of(time_ns: i64) -> i64 {
    Timestamp::from_nanosecond(i128::from(time_ns)).map_or(1970, |time| {
        i64::from(TimeZone::UTC.to_datetime(time).year())
    })
}

/// The zone of times that are written without one. Remembers the offset of the hour that it was
/// last asked about: the lines of a log are close together.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    rules: TimeZone,
    hour: i64,
    offset_s: i64,
}

impl Zone {
    pub(crate) fn new(zone: TimeZone) -> Self {
        Self {
            rules: zone,
            hour: i64::MIN,
            offset_s: 0,
        }
    }

    /// Seconds since 1970 of a local time, given as if it were UTC.
    pub(crate) fn utc_seconds(&mut self, local_s: i64) -> i64 {
        let hour = local_s.div_euclid(HOUR_S);
        if hour != self.hour {
            self.hour = hour;
            self.offset_s = self.offset_at(local_s).unwrap_or(0);
        }
        local_s - self.offset_s
    }

    /// In the hour that exists twice the earlier reading counts, in the one that does not exist
    /// the later.
    fn offset_at(&self, local_s: i64) -> Option<i64> {
        let local = Timestamp::from_second(local_s).ok()?;
        let local: DateTime = TimeZone::UTC.to_datetime(local);
        let time = self.rules.to_timestamp(local).ok()?;
        Some(local_s - time.as_second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_seconds_like_the_calendar() {
        let check = |text: &str, civil: Civil| {
            let expected: Timestamp = text.parse().expect("a time");
            assert_eq!(civil.utc_seconds(), Some(expected.as_second()), "{text}");
        };
        let at = |year, month, day| Civil {
            year,
            month,
            day,
            hour: 23,
            minute: 59,
            second: 58,
            nanos: 0,
        };
        check("1970-01-01T23:59:58Z", at(1970, 1, 1));
        check("2000-02-29T23:59:58Z", at(2000, 2, 29));
        check("2100-03-01T23:59:58Z", at(2100, 3, 1));
        check("2024-12-31T23:59:58Z", at(2024, 12, 31));
        assert_eq!(at(2023, 2, 29).utc_seconds(), None);
        assert_eq!(at(1600, 1, 1).utc_seconds(), None);
    }

    #[test]
    fn local_times_follow_the_zone_through_the_year() {
        let mut zone = Zone::new(TimeZone::get("Europe/Berlin").expect("a bundled zone"));
        let winter: Timestamp = "2024-01-15T12:00:00Z".parse().expect("a time");
        let summer: Timestamp = "2024-07-15T12:00:00Z".parse().expect("a time");
        assert_eq!(
            zone.utc_seconds(winter.as_second()),
            winter.as_second() - 3600
        );
        assert_eq!(
            zone.utc_seconds(summer.as_second()),
            summer.as_second() - 7200
        );
    }

    #[test]
    fn knows_the_year_of_a_time() {
        assert_eq!(year_of(0), 1970);
        assert_eq!(year_of(1_763_900_000_000_000_000), 2025);
    }
}
