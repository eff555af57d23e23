//! How fast and how often values change over a range: `rate` and its relatives.
//!
//! `rate`, `increase` and `delta` take the difference of the last and first sample and
//! extrapolate it to the borders of the range:
//!
//! 1. A counter's resets are made good: what it had reached before each is added.
//! 2. Where the first or last sample lies further from its border than 1.1 average intervals,
//!    the series is taken to begin or end there, half an interval beyond the sample.
//! 3. A counter is not extrapolated to below zero.

use super::range::{RangeFunction, Window};
use crate::column::ABSENT;

pub(super) const RATE: RangeFunction = RangeFunction {
    needs_resets: true,
    wants_counter: true,
    ..RangeFunction::new(|w| {
        let range_s = (w.end_ms - w.start_ms) as f64 / 1000.0;
        extrapolated(w, true, range_s)
    })
};

pub(super) const INCREASE: RangeFunction = RangeFunction {
    needs_resets: true,
    wants_counter: true,
    ..RangeFunction::new(|w| extrapolated(w, true, 1.0))
};

pub(super) const DELTA: RangeFunction = RangeFunction::new(|w| extrapolated(w, false, 1.0));

pub(super) const IRATE: RangeFunction = RangeFunction::new(|w| {
    let Some((before, last, interval_ms)) = last_two(w) else {
        return ABSENT;
    };
    // After a reset the counter began at zero.
    let difference = if last < before { last } else { last - before };
    difference / (interval_ms / 1000.0)
});

pub(super) const IDELTA: RangeFunction =
    RangeFunction::new(|w| last_two(w).map_or(ABSENT, |(before, last, _)| last - before));

pub(super) const RESETS: RangeFunction = RangeFunction {
    needs_resets: true,
    ..RangeFunction::new(|w| w.resets.len() as f64)
};

pub(super) const CHANGES: RangeFunction = RangeFunction::new(|w| {
    let differs = |pair: &&[f64]| pair[0] != pair[1] && !(pair[0].is_nan() && pair[1].is_nan());
    w.values.windows(2).filter(differs).count() as f64
});

/// The two last values and the milliseconds between them.
fn last_two(w: &Window<'_>) -> Option<(f64, f64, f64)> {
    let before = w.len().checked_sub(2)?;
    let interval_ms = w.last_ms() - w.times_ms[before];
    Some((w.values[before], w.last(), interval_ms as f64))
}

fn extrapolated(w: &Window<'_>, is_counter: bool, per_seconds: f64) -> f64 {
    if w.len() < 2 {
        return ABSENT;
    }
    let mut difference = w.last() - w.first();
    if is_counter {
        for reached in w.reset_values() {
            difference += reached;
        }
    }
    let mut to_start = (w.first_ms() - w.start_ms) as f64 / 1000.0;
    let mut to_end = (w.end_ms - w.last_ms()) as f64 / 1000.0;
    let sampled = (w.last_ms() - w.first_ms()) as f64 / 1000.0;
    let interval = sampled / (w.len() - 1) as f64;
    let threshold = interval * 1.1;
    if to_start >= threshold {
        to_start = interval / 2.0;
    }
    if is_counter && difference > 0.0 && w.first() >= 0.0 {
        let to_zero = sampled * (w.first() / difference);
        to_start = to_start.min(to_zero);
    }
    if to_end >= threshold {
        to_end = interval / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    factor /= per_seconds;
    difference * factor
}
