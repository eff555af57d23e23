//! When a route is silent: `time_intervals` with times, weekdays, days of the month, months, years
//! and a location.
//!
//! An interval holds at a moment when all the fields that it has hold; a field holds when one of
//! its ranges does. Times end before their end, everything else includes it. Days of the month
//! count from the end where they are negative, and are held within the month.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// `time_intervals` of the configuration: a name and its parts.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawNamed {
    pub(crate) name: String,
    pub(crate) time_intervals: Vec<RawInterval>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawInterval {
    times: Vec<RawTimes>,
    weekdays: Vec<String>,
    days_of_month: Vec<Text>,
    months: Vec<Text>,
    years: Vec<Text>,
    location: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct RawTimes {
    start_time: String,
    end_time: String,
}

/// A text that people also write as a bare number: `years: [2030]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
enum Text {
    Number(i64),
    Text(String),
}

impl Text {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A range of numbers, both ends included.
type Range = (i32, i32);

/// One part of a named interval.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TimeInterval {
    /// Minutes of the day, the end excluded.
    times: Vec<Range>,
    /// From Sunday, 0, to Saturday, 6.
    weekdays: Vec<Range>,
    /// From 1, or from the end of the month, -1.
    days_of_month: Vec<Range>,
    months: Vec<Range>,
    years: Vec<Range>,
    zone: TimeZone,
}

const WEEKDAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl TimeInterval {
    /// Checks what was written.
    pub(crate) fn check(raw: &RawInterval) -> Result<Self, String> {
        let weekday = |text: &str| name_of(text, &WEEKDAYS, 0);
        let month = |text: &str| {
            let number = text.parse().ok().filter(|n| (1..=12).contains(n));
            number.or_else(|| name_of(text, &MONTHS, 1))
        };
        let day = |text: &str| {
            let number: i32 = text.parse().ok()?;
            (number != 0 && (-31..=31).contains(&number)).then_some(number)
        };
        let texts = |list: &[Text]| list.iter().map(Text::text).collect::<Vec<_>>();
        let zone = match raw.location.as_deref() {
            None | Some("" | "UTC") => TimeZone::UTC,
            Some("Local") => TimeZone::system(),
            Some(name) => TimeZone::get(name)
                .map_err(|_| format!("location: there is no time zone {name:?}"))?,
        };
        let interval = Self {
            times: raw.times.iter().map(times).collect::<Result<_, _>>()?,
            weekdays: ranges("weekdays", &raw.weekdays, weekday)?,
            days_of_month: ranges("days_of_month", &texts(&raw.days_of_month), day)?,
            months: ranges("months", &texts(&raw.months), month)?,
            years: ranges("years", &texts(&raw.years), |text| text.parse().ok())?,
            zone,
        };
        for (from, to) in &interval.days_of_month {
            if *from < 0 && *to > 0 {
                return Err(format!(
                    "days_of_month: {from}:{to} counts from the end to the beginning of a month"
                ));
            }
        }
        Ok(interval)
    }

    /// Whether a moment, milliseconds since 1970-01-01 UTC, lies in it.
    pub(crate) fn holds_at(&self, time_ms: i64) -> bool {
        let Ok(time) = Timestamp::from_millisecond(time_ms) else {
            return false;
        };
        let time = time.to_zoned_datetime(self.zone.clone());
        let any = |ranges: &[Range], value: i32| {
            ranges.is_empty()
                || ranges
                    .iter()
                    .any(|(from, to)| (*from..=*to).contains(&value))
        };
        let minute = i32::from(time.hour()) * 60 + i32::from(time.minute());
        let in_time = self.times.is_empty()
            || self
                .times
                .iter()
                .any(|(from, to)| (*from..*to).contains(&minute));
        let days = i32::from(time.days_in_month());
        let day = i32::from(time.day());
        let in_days = self.days_of_month.is_empty()
            || self.days_of_month.iter().any(|(from, to)| {
                let from_start = |n: i32| if n < 0 { days + n + 1 } else { n };
                let (from, to) = (from_start(*from), from_start(*to));
                // A range that lies behind the end of a short month does not hold in it.
                from <= days && (from.max(1)..=to.min(days)).contains(&day)
            });
        in_time
            && in_days
            && any(
                &self.weekdays,
                i32::from(time.weekday().to_sunday_zero_offset()),
            )
            && any(&self.months, i32::from(time.month()))
            && any(&self.years, i32::from(time.year()))
    }
}

/// Named intervals.
pub(crate) type Named = std::collections::BTreeMap<Arc<str>, Vec<TimeInterval>>;

/// Those of some names in which a moment lies.
pub(crate) fn holding<'a>(names: &'a [Arc<str>], named: &Named, time_ms: i64) -> Vec<&'a Arc<str>> {
    names
        .iter()
        .filter(|name| {
            let parts = named.get(*name).map(Vec::as_slice).unwrap_or_default();
            parts.iter().any(|part| part.holds_at(time_ms))
        })
        .collect()
}

fn name_of(text: &str, names: &[&str], first: i32) -> Option<i32> {
    let text = text.to_lowercase();
    let at = names.iter().position(|name| *name == text)?;
    Some(at as i32 + first)
}

fn ranges(
    key: &str,
    texts: &[String],
    one: impl Fn(&str) -> Option<i32>,
) -> Result<Vec<Range>, String> {
    texts
        .iter()
        .map(|text| {
            let (from, to) = text.split_once(':').unwrap_or((text, text));
            let bad = || format!("{key}: cannot read {text:?}");
            let range = (
                one(from.trim()).ok_or_else(bad)?,
                one(to.trim()).ok_or_else(bad)?,
            );
            if range.0 > range.1 && (range.0 < 0) == (range.1 < 0) {
                return Err(format!("{key}: {text:?} ends before it begins"));
            }
            Ok(range)
        })
        .collect()
}

fn times(raw: &RawTimes) -> Result<Range, String> {
    let minute = |text: &str| {
        let bad = || format!("times: {text:?} is no time, write HH:MM from 00:00 to 24:00");
        let (hour, minute) = text.split_once(':').ok_or_else(bad)?;
        let two = |text: &str| -> Option<i32> {
            (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()))
                .then(|| text.parse().ok())?
        };
        let (hour, minute) = (two(hour).ok_or_else(bad)?, two(minute).ok_or_else(bad)?);
        let valid = (hour < 24 && minute < 60) || (hour == 24 && minute == 0);
        valid.then_some(hour * 60 + minute).ok_or_else(bad)
    };
    if raw.start_time.is_empty() || raw.end_time.is_empty() {
        return Err("times: both start_time and end_time are needed".to_owned());
    }
    let range = (minute(&raw.start_time)?, minute(&raw.end_time)?);
    if range.0 >= range.1 {
        return Err(format!(
            "times: {} to {} ends before it begins; write two ranges for a night",
            raw.start_time, raw.end_time
        ));
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(text: &str) -> Result<TimeInterval, String> {
        let raw: RawInterval = yaml::from_str(text, "t").map_err(|error| error.to_string())?;
        TimeInterval::check(&raw)
    }

    #[test]
    fn all_fields_must_hold() {
        let check = |text: &str, time: &str, expected: bool| {
            let time: Timestamp = time.parse().expect(time);
            let holds = interval(text).expect(text).holds_at(time.as_millisecond());
            assert_eq!(holds, expected, "{text} at {time}");
        };
        let office =
            "{times: [{start_time: '09:00', end_time: '17:00'}], weekdays: ['monday:friday']}";
        check(office, "2026-11-23T09:00:00Z", true);
        check(office, "2026-11-23T08:59:59Z", false);
        check(office, "2026-11-23T16:59:59Z", true);
        check(office, "2026-11-23T17:00:00Z", false);
        check(office, "2026-11-22T12:00:00Z", false);
        check(
            "{times: [{start_time: '22:00', end_time: '24:00'}]}",
            "2026-01-01T23:59:59Z",
            true,
        );
        check(
            "{weekdays: [Saturday, sunday]}",
            "2026-11-22T12:00:00Z",
            true,
        );
        // The end of the month, also of a short one.
        check("{days_of_month: ['-1']}", "2026-02-28T12:00:00Z", true);
        check("{days_of_month: ['-3:-1']}", "2028-02-26T12:00:00Z", false);
        check("{days_of_month: ['-3:-1']}", "2028-02-27T12:00:00Z", true);
        check("{days_of_month: ['1:-1']}", "2026-02-14T12:00:00Z", true);
        check("{days_of_month: [31]}", "2026-02-28T12:00:00Z", false);
        check("{days_of_month: ['29:31']}", "2026-04-30T12:00:00Z", true);
        check(
            "{months: ['january:march', 12]}",
            "2026-12-30T12:00:00Z",
            true,
        );
        check("{months: ['january:march']}", "2026-04-01T00:00:00Z", false);
        check("{years: ['2026:2027', 2030]}", "2030-04-01T00:00:00Z", true);
        check("{years: [2026]}", "2030-04-01T00:00:00Z", false);
        // 09:00 in New York is 14:00 UTC in winter and 13:00 in summer.
        let ny = "{times: [{start_time: '09:00', end_time: '10:00'}], location: America/New_York}";
        check(ny, "2026-01-15T14:30:00Z", true);
        check(ny, "2026-07-15T14:30:00Z", false);
        check(ny, "2026-07-15T13:30:00Z", true);
        check("{}", "2026-07-15T13:30:00Z", true);
    }

    #[test]
    fn nonsense_is_refused() {
        let check = |text: &str, expected: &str| {
            let error = interval(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        };
        check(
            "{times: [{start_time: '9:00', end_time: '10:00'}]}",
            "HH:MM",
        );
        check(
            "{times: [{start_time: '09:00', end_time: '24:01'}]}",
            "HH:MM",
        );
        check(
            "{times: [{start_time: '22:00', end_time: '06:00'}]}",
            "two ranges",
        );
        check("{times: [{start_time: '22:00'}]}", "both");
        check("{weekdays: [funday]}", "funday");
        check("{weekdays: ['friday:monday']}", "ends before");
        check("{days_of_month: [0]}", "cannot read");
        check("{days_of_month: ['-1:1']}", "from the end");
        check("{months: [13]}", "cannot read");
        check("{location: Mars/Base}", "Mars/Base");
        check("{colour: red}", "unknown key");
    }
}
