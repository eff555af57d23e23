//! Trends over a range: straight lines by least squares, and double exponential smoothing.

use super::range::{RangeFunction, Window};
use crate::column::ABSENT;
use crate::kahan::Kahan;
use crate::query::execution;

/// The slope of the line, per second.
pub(super) const DERIV: RangeFunction = RangeFunction::new(|w| {
    if w.len() < 2 {
        return ABSENT;
    }
    line(w, w.first_ms()).0
});

/// Where the line will be some seconds after the step.
pub(super) const PREDICT_LINEAR: RangeFunction = RangeFunction {
    needs_eval_time: true,
    ..RangeFunction::new(|w| {
        if w.len() < 2 {
            return ABSENT;
        }
        let (slope, intercept) = line(w, w.eval_ms);
        slope * w.param(0) + intercept
    })
};

/// Holt's linear method: a level smoothed by the first factor, a trend by the second.
pub(super) const DOUBLE_EXPONENTIAL_SMOOTHING: RangeFunction = RangeFunction {
    check: Some(|_, factor, index, place| {
        if factor > 0.0 && factor < 1.0 {
            return Ok(());
        }
        let what = if index == 0 { "smoothing" } else { "trend" };
        Err(execution(
            format!("invalid {what} factor: expected 0 < factor < 1, got {factor}"),
            place,
        ))
    }),
    ..RangeFunction::new(|w| {
        if w.len() < 2 {
            return ABSENT;
        }
        let (smoothing, trending) = (w.param(0), w.param(1));
        let mut trend = w.values[1] - w.values[0];
        let (mut before, mut level) = (0.0, w.values[0]);
        for (i, value) in w.values.iter().enumerate().skip(1) {
            if i > 1 {
                trend = trending * (level - before) + (1.0 - trending) * trend;
            }
            let next = smoothing * value + (1.0 - smoothing) * (level + trend);
            (before, level) = (level, next);
        }
        level
    })
};

/// The line of least squares: its slope per second, and its value at a time.
fn line(w: &Window<'_>, at_ms: i64) -> (f64, f64) {
    let first = w.first();
    if w.values.iter().all(|v| *v == first) {
        // No rounding can tilt a constant.
        return if first.is_infinite() {
            (f64::NAN, f64::NAN)
        } else {
            (0.0, first)
        };
    }
    let mut sums = [Kahan::default(); 4];
    for (time_ms, y) in w.times_ms.iter().zip(w.values) {
        let x = (time_ms - at_ms) as f64 / 1000.0;
        for (sum, value) in sums.iter_mut().zip([x, *y, x * y, x * x]) {
            sum.add(value);
        }
    }
    let n = w.len() as f64;
    let [x, y, xy, xx] = sums.map(|sum| sum.sum + sum.carry);
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}
