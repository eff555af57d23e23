//! Values as unit test files write them: `1+2x3 _ stale -1x2 NaN`.
//!
//! `a+bxn` is a and n further values, each b more than the one before; `axn` is n+1 times a; `_` is
//! no value, `_xn` are n of those; `stale` ends the series.

use model::stale_nan;

/// The most values that one series may have: a test of a year at 30 seconds.
pub(super) const VALUES_MAX: usize = 1_100_000;

/// Reads the values of a series, one per interval; `None` where there is none.
///
/// # Errors
/// Names the item that is none.
pub(super) fn values(text: &str) -> Result<Vec<Option<f64>>, String> {
    if text.contains("{{") {
        return Err("native histograms ({{…}}) are not understood in input_series yet".to_owned());
    }
    let mut values = Vec::new();
    for item in text.split_whitespace() {
        add(item, &mut values)?;
        if values.len() > VALUES_MAX {
            return Err(format!("a series may have {VALUES_MAX} values"));
        }
    }
    Ok(values)
}

fn add(item: &str, values: &mut Vec<Option<f64>>) -> Result<(), String> {
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
            Some(stale_nan()),
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
                values.push(Some(value));
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

    #[test]
    fn values_are_expanded() {
        let check = |text: &str, expected: &[f64]| {
            let values: Vec<f64> = values(text)
                .unwrap_or_else(|error| panic!("{error}"))
                .into_iter()
                .map(|value| value.unwrap_or(-999.0))
                .collect();
            assert_eq!(values, expected, "{text}");
        };
        check("1 2 3.5", &[1.0, 2.0, 3.5]);
        check("1+2x3", &[1.0, 3.0, 5.0, 7.0]);
        check("5-1x2", &[5.0, 4.0, 3.0]);
        check("-2+1x2", &[-2.0, -1.0, 0.0]);
        check("3x2 _ _x2", &[3.0, 3.0, 3.0, -999.0, -999.0, -999.0]);
        check("1e3+1e-1x1", &[1000.0, 1000.1]);
        check("-Inf +Inf", &[f64::NEG_INFINITY, f64::INFINITY]);
        check("", &[]);
        assert!(model::is_stale(
            values("stale").expect("one")[0].expect("a value")
        ));
        assert!(values("NaN").expect("one")[0].expect("a value").is_nan());
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
            "{{schema:1}}",
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
