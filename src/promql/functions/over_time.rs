//! Aggregations over the samples of a range: `avg_over_time` and its relatives.

use super::range::{RangeFunction, Window};
use crate::kahan::{Kahan, Mean};

pub(super) const SUM: RangeFunction = RangeFunction::new(|w| {
    let mut sum = Kahan::default();
    w.values.iter().for_each(|v| sum.add(*v));
    sum.total()
});

pub(super) const AVG: RangeFunction = RangeFunction::new(|w| {
    let mut mean = Mean::default();
    w.values.iter().for_each(|v| mean.add(*v));
    mean.mean()
});

pub(super) const MIN: RangeFunction = RangeFunction::new(|w| w.values[index_of_min(w)]);

pub(super) const MAX: RangeFunction = RangeFunction::new(|w| w.values[index_of_max(w)]);

pub(super) const COUNT: RangeFunction = RangeFunction::new(|w| w.len() as f64);

pub(super) const LAST: RangeFunction = RangeFunction {
    keeps_name: true,
    ..RangeFunction::new(|w| w.values[w.len() - 1])
};

pub(super) const FIRST: RangeFunction = RangeFunction {
    keeps_name: true,
    ..RangeFunction::new(|w| w.values[0])
};

pub(super) const PRESENT: RangeFunction = RangeFunction::new(|_| 1.0);

pub(super) const STDVAR: RangeFunction = RangeFunction::new(variance);

pub(super) const STDDEV: RangeFunction = RangeFunction::new(|w| variance(w).sqrt());

/// The median of the distances from the median.
pub(super) const MAD: RangeFunction = RangeFunction::new(|w| {
    if w.values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let median = quantile(0.5, &mut w.values.to_vec());
    let mut distances: Vec<f64> = w.values.iter().map(|v| (v - median).abs()).collect();
    quantile(0.5, &mut distances)
});

pub(super) const QUANTILE: RangeFunction = RangeFunction {
    check: Some(|query, q, _, place| {
        note_quantile(query, q, place);
        Ok(())
    }),
    ..RangeFunction::new(|w| quantile(w.param(0), &mut w.values.to_vec()))
};

pub(super) const TS_OF_MIN: RangeFunction =
    RangeFunction::new(|w| w.times_ms[index_of_min(w)] as f64 / 1000.0);

pub(super) const TS_OF_MAX: RangeFunction =
    RangeFunction::new(|w| w.times_ms[index_of_max(w)] as f64 / 1000.0);

pub(super) const TS_OF_FIRST: RangeFunction = RangeFunction::new(|w| w.first_ms() as f64 / 1000.0);

pub(super) const TS_OF_LAST: RangeFunction = RangeFunction::new(|w| w.last_ms() as f64 / 1000.0);

/// The last sample with the smallest value; NaN only where there is nothing else.
fn index_of_min(w: &Window<'_>) -> usize {
    index_of(w.values, |value, best| value <= best)
}

/// The last sample with the largest value; NaN only where there is nothing else.
fn index_of_max(w: &Window<'_>) -> usize {
    index_of(w.values, |value, best| value >= best)
}

fn index_of(values: &[f64], beats: impl Fn(f64, f64) -> bool) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate().skip(1) {
        if beats(*value, values[best]) || values[best].is_nan() {
            best = i;
        }
    }
    best
}

/// Variance of the whole population, by Welford's method with corrected sums.
fn variance(w: &Window<'_>) -> f64 {
    let (mut mean, mut squares) = (Kahan::default(), Kahan::default());
    for (i, value) in w.values.iter().enumerate() {
        let delta = value - (mean.sum + mean.carry);
        mean.add(delta / (i + 1) as f64);
        squares.add(delta * (value - (mean.sum + mean.carry)));
    }
    (squares.sum + squares.carry) / w.len() as f64
}

/// The value below which a share `q` of the values lies, interpolated; NaN counts as smallest.
/// Sorts the values.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.total_cmp(b),
        (a, b) => b.cmp(&a),
    });
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Notes a share that is none.
pub(crate) fn note_quantile(query: &crate::query::Query<'_>, q: f64, place: Option<usize>) {
    if !(0.0..=1.0).contains(&q) {
        let q = go_number(q);
        query.notes.warn(
            &format!("quantile value should be between 0 and 1, got {q}"),
            place,
        );
    }
}

/// A number as Prometheus' messages write it.
pub(crate) fn go_number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}
