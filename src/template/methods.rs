//! Methods of values, as templates call them: `.StartsAt.Format "15:04"`, `.Alerts.Firing`,
//! `.CommonLabels.Remove .GroupLabels.Names`. Each is what Go's or Alertmanager's type has.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use model::Labels;

use crate::layout;
use crate::value::{Value, sorted_pairs};

/// A name and its value.
type NameAndValue = (Arc<str>, Arc<str>);

/// What a method gives, `None` where the value has no such method.
type Answer = Option<Result<Value, String>>;

/// Calls a method of a value.
pub(crate) fn call(value: &Value, name: &str, args: &[Value]) -> Answer {
    match value {
        Value::KeyValues(labels) => key_values(labels, name, args),
        Value::Pairs(pairs) => self::pairs(pairs, name, args),
        Value::List(list) => alerts(list, name, args),
        Value::Time(time) => self::time(time, name, args),
        Value::Duration(ns) => duration(*ns, name, args),
        _ => None,
    }
}

fn wrong(name: &str, wanted: usize, args: &[Value]) -> String {
    format!(
        "wrong number of args for {name}: want {wanted} got {}",
        args.len()
    )
}

/// The answer of a method without arguments.
#[allow(clippy::unnecessary_wraps, reason = "as every other method answers")]
fn without(name: &str, args: &[Value], answer: impl FnOnce() -> Value) -> Answer {
    Some(if args.is_empty() {
        Ok(answer())
    } else {
        Err(wrong(name, 0, args))
    })
}

fn key_values(labels: &Labels, name: &str, args: &[Value]) -> Answer {
    match name {
        "SortedPairs" => without(name, args, || Value::Pairs(sorted_pairs(labels).into())),
        "Names" | "Values" | "String" => pairs(&Arc::from(sorted_pairs(labels)), name, args),
        "Remove" => Some(match args {
            [Value::List(names)] => {
                let gone = |label: &str| {
                    names
                        .iter()
                        .any(|name| name.as_text().is_some_and(|name| &**name == label))
                };
                Ok(Value::KeyValues(labels.filtered(|label| !gone(label))))
            }
            [other] => Err(format!(
                "wrong type for value; expected []string; got {}",
                other.type_name()
            )),
            args => Err(wrong(name, 1, args)),
        }),
        _ => None,
    }
}

fn pairs(pairs: &Arc<[NameAndValue]>, name: &str, args: &[Value]) -> Answer {
    let list = |of: fn(&NameAndValue) -> Arc<str>| {
        Value::List(pairs.iter().map(|pair| Value::Str(of(pair))).collect())
    };
    match name {
        "Names" => without(name, args, || list(|pair| pair.0.clone())),
        "Values" => without(name, args, || list(|pair| pair.1.clone())),
        "String" => without(name, args, || {
            let texts: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
            Value::str(texts.join(", "))
        }),
        _ => None,
    }
}

/// `.Alerts.Firing` and `.Alerts.Resolved`.
fn alerts(list: &Arc<[Value]>, name: &str, args: &[Value]) -> Answer {
    let status = match name {
        "Firing" => "firing",
        "Resolved" => "resolved",
        _ => return None,
    };
    let has = |alert: &&Value| match alert.field("Status") {
        Some(Value::Str(text)) => &*text == status,
        _ => false,
    };
    without(name, args, || {
        Value::List(list.iter().filter(has).cloned().collect())
    })
}

/// Nanoseconds of a duration or whole number.
fn ns(value: &Value) -> Result<i64, String> {
    match value {
        Value::Duration(ns) | Value::Int(ns) => Ok(*ns),
        other => Err(format!(
            "wrong type for value; expected time.Duration; got {}",
            other.type_name()
        )),
    }
}

fn other_time(value: &Value) -> Result<&ZonedDateTime, String> {
    match value {
        Value::Time(time) => Ok(time),
        other => Err(format!(
            "wrong type for value; expected time.Time; got {}",
            other.type_name()
        )),
    }
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_text().map(|text| &**text).ok_or_else(|| {
        format!(
            "wrong type for value; expected string; got {}",
            value.type_name()
        )
    })
}

/// The nanoseconds between two times, as many as 64 bits hold.
pub(crate) fn between(from: &ZonedDateTime, to: &ZonedDateTime) -> i64 {
    let ns = to.timestamp().as_nanosecond() - from.timestamp().as_nanosecond();
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

fn made(time: ZonedDateTime) -> Value {
    Value::Time(Arc::new(time))
}

/// Go's zero time: 0001-01-01 00:00:00 UTC, milliseconds.
pub(crate) const ZERO_TIME_MS: i64 = -62_135_596_800_000;

fn time(time: &Arc<ZonedDateTime>, name: &str, args: &[Value]) -> Answer {
    let stamp = time.timestamp();
    let int = |value: i64| without(name, args, || Value::Int(value));
    let whole = |ns: i128| {
        without(name, args, || {
            Value::Int(i64::try_from(ns).unwrap_or(i64::MAX))
        })
    };
    match name {
        "Unix" => int(stamp.as_second()),
        "UnixMilli" => int(stamp.as_millisecond()),
        "UnixMicro" => int(stamp.as_microsecond()),
        "UnixNano" => whole(stamp.as_nanosecond()),
        "Year" => int(time.year().into()),
        "Day" => int(time.day().into()),
        "Hour" => int(time.hour().into()),
        "Minute" => int(time.minute().into()),
        "Second" => int(time.second().into()),
        "Nanosecond" => int(time.subsec_nanosecond().into()),
        "YearDay" => int(time.day_of_year().into()),
        "Month" => without(name, args, || Value::str(layout::month_name(time.month()))),
        "Weekday" => without(name, args, || Value::str(layout::day_name(time))),
        "IsZero" => without(name, args, || {
            Value::Bool(stamp.as_nanosecond() == i128::from(ZERO_TIME_MS) * 1_000_000)
        }),
        "UTC" | "Local" => without(name, args, || made(time.with_time_zone(TimeZone::UTC))),
        "String" | "GoString" => without(name, args, || {
            Value::str(layout::format(time, layout::STRING).unwrap_or_default())
        }),
        "Format" | "Add" | "Sub" | "Before" | "After" | "Equal" | "Compare" | "Truncate"
        | "Round" => Some(match args {
            [arg] => time_with(time, name, arg),
            args => Err(wrong(name, 1, args)),
        }),
        "AddDate" => Some(match args {
            [Value::Int(years), Value::Int(months), Value::Int(days)] => {
                add_date(time, *years, *months, *days)
            }
            args => Err(wrong(name, 3, args)),
        }),
        _ => None,
    }
}

fn add_date(time: &ZonedDateTime, years: i64, months: i64, days: i64) -> Result<Value, String> {
    let far = |_| "the time is too far away".to_owned();
    let span = jiff::Span::new()
        .try_years(years)
        .and_then(|span| span.try_months(months))
        .and_then(|span| span.try_days(days))
        .map_err(far)?;
    time.checked_add(span).map(made).map_err(far)
}

fn time_with(time: &ZonedDateTime, name: &str, arg: &Value) -> Result<Value, String> {
    let far = || "the time is too far away".to_owned();
    let order = |arg: &Value| Ok::<_, String>(time.timestamp().cmp(&other_time(arg)?.timestamp()));
    Ok(match name {
        "Format" => Value::str(layout::format(time, text(arg)?)?),
        "Add" => made(
            time.checked_add(SignedDuration::from_nanos(ns(arg)?))
                .map_err(|_| far())?,
        ),
        "Sub" => Value::Duration(between(other_time(arg)?, time)),
        "Before" => Value::Bool(order(arg)?.is_lt()),
        "After" => Value::Bool(order(arg)?.is_gt()),
        "Equal" => Value::Bool(order(arg)?.is_eq()),
        "Compare" => Value::Int(order(arg)? as i64),
        // `Truncate` and `Round` count from Go's zero time.
        _ => {
            let unit = i128::from(ns(arg)?);
            if unit <= 0 {
                return Ok(made(time.clone()));
            }
            let zero = i128::from(ZERO_TIME_MS) * 1_000_000;
            let since = time.timestamp().as_nanosecond() - zero;
            let rest = since.rem_euclid(unit);
            let up = name == "Round" && rest * 2 >= unit;
            let at = zero + since - rest + if up { unit } else { 0 };
            let stamp = Timestamp::from_nanosecond(at).map_err(|_| far())?;
            made(stamp.to_zoned_datetime(time.time_zone().clone()))
        }
    })
}

fn duration(ns_all: i64, name: &str, args: &[Value]) -> Answer {
    let float = |unit: f64| without(name, args, || Value::Float(ns_all as f64 / unit));
    let int = |unit: i64| without(name, args, || Value::Int(ns_all / unit));
    match name {
        "Hours" => float(3.6e12),
        "Minutes" => float(6e10),
        "Seconds" => float(1e9),
        "Milliseconds" => int(1_000_000),
        "Microseconds" => int(1_000),
        "Nanoseconds" => int(1),
        "Abs" => without(name, args, || Value::Duration(ns_all.saturating_abs())),
        "String" => without(name, args, || Value::str(layout::duration(ns_all))),
        "Round" | "Truncate" => Some(match args {
            [arg] => ns(arg).map(|unit| {
                if unit <= 0 {
                    return Value::Duration(ns_all);
                }
                let rest = ns_all % unit;
                let cut = ns_all - rest;
                let away = name == "Round" && rest.saturating_abs() >= unit - rest.abs();
                Value::Duration(if away {
                    cut.saturating_add(unit * ns_all.signum())
                } else {
                    cut
                })
            }),
            args => Err(wrong(name, 1, args)),
        }),
        _ => None,
    }
}
