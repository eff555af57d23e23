//! Values as unit test files write them: `1+2x3 _ stale -1x2 NaN`.
//!
//! `a+bxn` is a and n further values, each b more than the one before; `axn` is n+1 times a; `_` is
//! no value, `_xn` are n of those; `stale` ends the series. A native histogram stands in two pairs
//! of braces: `{{schema:0 count:3 sum:4 buckets:[1 2]}}`, `{{…}}+{{…}}xn`.

use std::sync::Arc;

use model::stale_nan;
use promql::native::{literal_end, literals};

use crate::series::Recorded;

/// The most values that one series may have: a test of a year at 30 seconds.
pub(super) const VALUES_MAX: usize = 1_100_000;

/// Reads the values of a series, one per interval; `None` where there is none.
///
/// # Errors
/// Names the item that is none.
pub(super) fn values(text: &str) -> Result<Vec<Option<Recorded>>, String> {
    let mut values = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let histograms = literal_end(rest);
        let end = histograms.or_else(|| rest.find(char::is_whitespace));
        let (item, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.trim_start();
        if histograms.is_some() {
            for literal in literals(item, VALUES_MAX)? {
                values.push(Some(Recorded::Histogram(Arc::new(literal.histogram))));
            }
        } else {
            add(item, &mut values)?;
        }
        if values.len() > VALUES_MAX {
            return Err(format!("a series may have {VALUES_MAX} values"));
        }
    }
    Ok(values)
}

fn add(item: &str, values: &mut Vec<Option<Recorded>>) -> Result<(), String> {
    let (body, times) = match item.rsplit_once('x') {
        Some((body, times)) => {
            let times: usize = times
                .parse()
                .map_err(|_| format!("{item:?}: a number of times follows the x"))?;
            (body, Some(times.min(VALUES_MAX + 1)))
        }
        None => (item, None),
    };
    match body {
        "_" => values.extend(std::iter::repeat_n(None, times.unwrap_or(1))),
        "stale" => values.extend(std::iter::repeat_n(
            Some(Recorded::Number(stale_nan())),
            times.map_or(1, |n| n + 1),
        )),
        body => {
            let (start, step) = match (sign(body), times) {
                (Some(at), Some(_)) => {
                    (number(item, body.get(..at))?, number(item, body.get(at..))?)
                }
                _ => (number(item, Some(body))?, 0.0),
            };
            let mut value = start;
            for _ in 0..=times.unwrap_or_default() {
                values.push(Some(Recorded::Number(value)));
                value += step;
            }
        }
    }
    Ok(())
}

/// Where `+b` or `-b` begins; the sign of a number or of its exponent is none.
fn sign(body: &str) -> Option<usize> {
    let bytes = body.as_bytes();
    let signs = bytes.windows(2).enumerate().filter(
        |(_, pair)| matches!(pair, [before, b'+' | b'-'] if !matches!(before, b'e' | b'E')),
    );
    signs.map(|(at, _)| at + 1).next()
}

fn number(item: &str, text: Option<&str>) -> Result<f64, String> {
    let text = text.unwrap_or_default();
    let value = match text.trim_start_matches(['+', '-']) {
        "NaN" | "nan" => Some(f64::NAN),
        "Inf" | "inf" if text.starts_with('-') => Some(f64::NEG_INFINITY),
        "Inf" | "inf" => Some(f64::INFINITY),
        // Rust reads more words than these as numbers.
        digits if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => text.parse().ok(),
        _ => None,
    };
    value.ok_or_else(|| format!("{item:?} is no value: write a number, a+bxn, _ or stale"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers; -999 where there is no value or no number.
    fn numbers(text: &str) -> Vec<f64> {
        let number = |value| match value {
            Some(Recorded::Number(value)) => value,
            _ => -999.0,
        };
        let values = values(text).unwrap_or_else(|error| panic!("{error}"));
        values.into_iter().map(number).collect()
    }

    #[test]
    fn values_are_expanded() {
        let check = |text: &str, expected: &[f64]| assert_eq!(numbers(text), expected, "{text}");
        check("1 2 3.5", &[1.0, 2.0, 3.5]);
        check("1+2x3", &[1.0, 3.0, 5.0, 7.0]);
        check("5-1x2", &[5.0, 4.0, 3.0]);
        check("-2+1x2", &[-2.0, -1.0, 0.0]);
        check("3x2 _ _x2", &[3.0, 3.0, 3.0, -999.0, -999.0, -999.0]);
        check("1e3+1e-1x1", &[1000.0, 1000.1]);
        check("-Inf +Inf", &[f64::NEG_INFINITY, f64::INFINITY]);
        check("", &[]);
        assert!(model::is_stale(numbers("stale")[0]));
        assert!(numbers("NaN")[0].is_nan());
    }

    #[test]
    fn histograms_stand_among_numbers() {
        let text = "1 {{schema:0 sum:1 count:1 buckets:[1]}}+{{sum:2 count:1 buckets:[1]}}x2 _ 5";
        assert_eq!(numbers(text), [1.0, -999.0, -999.0, -999.0, -999.0, 5.0]);
        let values = values(text).expect("values");
        let Some(Recorded::Histogram(last)) = &values[3] else {
            panic!("a histogram");
        };
        assert_eq!((last.sum, last.count), (5.0, 3.0));
        assert_eq!(values[4], None);
    }

    #[test]
    fn what_is_no_value_is_named() {
        for text in [
            "1 two",
            "1x",
            "1xx2",
            "+x2",
            "infinity",
            "1+x3",
            "{{schema:one}}",
            "{{count:1}} two",
        ] {
            assert!(values(text).is_err(), "{text}");
        }
        assert!(
            values("1x99999999999")
                .expect_err("too many")
                .contains("may have")
        );
    }
}
