//! Time: that of the query, that of samples, and the calendar (UTC).

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::Args;
use crate::column::{Map, Scalar, Slot};
use crate::grid::Grid;
use crate::query::Query;
use crate::value::QueryError;

/// The time of each step, seconds.
pub(super) fn time(_: &Query<'_>, _: &Args<'_>, grid: &Grid) -> Result<Scalar, QueryError> {
    Ok(times(grid))
}

/// The time of each step, seconds.
pub(super) fn times(grid: &Grid) -> Scalar {
    let time = |step| grid.time_ms(step) as f64 / 1000.0;
    Scalar::Steps((0..grid.count).map(time).collect())
}

/// The first step of the query, seconds.
pub(super) fn start(query: &Query<'_>, _: &Args<'_>, _: &Grid) -> Result<Scalar, QueryError> {
    Ok(Scalar::Constant(query.range.start_ms as f64 / 1000.0))
}

/// The last step of the query as it was asked, seconds.
pub(super) fn end(query: &Query<'_>, _: &Args<'_>, _: &Grid) -> Result<Scalar, QueryError> {
    Ok(Scalar::Constant(query.range.end_ms() as f64 / 1000.0))
}

/// The step of the query, seconds; 0 for an instant query.
pub(super) fn step(query: &Query<'_>, _: &Args<'_>, _: &Grid) -> Result<Scalar, QueryError> {
    Ok(Scalar::Constant(query.range.step_ms as f64 / 1000.0))
}

/// The length of the query's range, seconds; 0 for an instant query.
pub(super) fn range(query: &Query<'_>, _: &Args<'_>, _: &Grid) -> Result<Scalar, QueryError> {
    let length_ms = query.range.end_ms() - query.range.start_ms;
    Ok(Scalar::Constant(length_ms as f64 / 1000.0))
}

/// The time of each value, seconds. Of a plain selector that is the time of the sample, which a
/// leaf sees to; of anything else it is the step.
pub(super) fn timestamp(_: &Query<'_>, _: &Args<'_>, grid: &Grid) -> Result<Map, QueryError> {
    let grid = *grid;
    let seconds = move |step| grid.time_ms(step) as f64 / 1000.0;
    let map = Map::new(true, move |step, _| seconds(step));
    Ok(map.with_histograms(move |step, _| Slot::Number(seconds(step))))
}

/// Each name here is a function of a vector of seconds since 1970-01-01 UTC.
macro_rules! of_the_calendar {
    ($($name:ident: $formula:expr;)*) => {
        $(
            pub(super) fn $name(
                _: &Query<'_>,
                _: &Args<'_>,
                _: &Grid,
            ) -> Result<Map, QueryError> {
                let formula: fn(DateTime) -> i16 = $formula;
                Ok(Map::new(true, move |_, seconds| {
                    date(seconds).map_or(f64::NAN, |date| f64::from(formula(date)))
                }))
            }
        )*
    };
}

of_the_calendar! {
    minute: |date| i16::from(date.minute());
    hour: |date| i16::from(date.hour());
    day_of_week: |date| i16::from(date.weekday().to_sunday_zero_offset());
    day_of_month: |date| i16::from(date.day());
    day_of_year: |date| date.day_of_year();
    days_in_month: |date| i16::from(date.days_in_month());
    month: |date| i16::from(date.month());
    year: |date| date.year();
}

/// The date of a time, or `None` beyond the years -9999 to 9999.
fn date(seconds: f64) -> Option<DateTime> {
    if !seconds.is_finite() {
        return None;
    }
    // Parts of a second are cut off, also those before 1970.
    let time = Timestamp::from_second(seconds as i64).ok()?;
    Some(TimeZone::UTC.to_datetime(time))
}
