//! Windows that slide: functions that need not look at all samples of a window again.
//!
//! The results are the same to the bit as if every window were computed by itself.

use std::collections::VecDeque;

use super::over_time;
use super::range::Slide;

/// Up to here all whole numbers, and so sums of them, are exact.
const EXACT_MAX: f64 = (1_u64 << 53) as f64;

/// `sum_over_time`
pub(super) fn sum(slide: &Slide<'_>, out: &mut [f64]) {
    let prefix = exact_prefix(slide.values);
    each(slide, out, |low, high| match &prefix {
        Some(prefix) => prefix[high] - prefix[low],
        None => over_time::sum(&slide.values[low..high]),
    });
}

/// `avg_over_time`
pub(super) fn average(slide: &Slide<'_>, out: &mut [f64]) {
    let prefix = exact_prefix(slide.values);
    each(slide, out, |low, high| match &prefix {
        Some(prefix) => (prefix[high] - prefix[low]) / (high - low) as f64,
        None => over_time::average(&slide.values[low..high]),
    });
}

/// `min_over_time`
pub(super) fn min(slide: &Slide<'_>, out: &mut [f64]) {
    extreme(slide, out, |value, best| value < best);
}

/// `max_over_time`
pub(super) fn max(slide: &Slide<'_>, out: &mut [f64]) {
    extreme(slide, out, |value, best| value > best);
}

/// `quantile_over_time`
pub(super) fn quantile(slide: &Slide<'_>, out: &mut [f64]) {
    let mut sorted: Vec<f64> = Vec::new();
    let (mut from, mut to) = (0, 0);
    for (step, (low, high)) in slide.windows.iter().copied().enumerate() {
        if low == high {
            continue;
        }
        if low >= to {
            sorted.clear();
            sorted.extend_from_slice(&slide.values[low..high]);
            sorted.sort_unstable_by(|a, b| over_time::by_size(*a, *b));
        } else {
            let place = |sorted: &[f64], value: f64| {
                sorted.partition_point(|other| over_time::by_size(*other, value).is_lt())
            };
            for value in &slide.values[from..low] {
                sorted.remove(place(&sorted, *value));
            }
            for value in &slide.values[to..high] {
                sorted.insert(place(&sorted, *value), *value);
            }
        }
        (from, to) = (low, high);
        let q = slide.params.first().map_or(f64::NAN, |q| q.at(step));
        out[step] = match q {
            q if q < 0.0 => f64::NEG_INFINITY,
            q if q > 1.0 => f64::INFINITY,
            q if q.is_nan() => f64::NAN,
            q => over_time::quantile_of_sorted(q, &sorted),
        };
    }
}

/// Computes every window that has samples from its ends.
fn each(slide: &Slide<'_>, out: &mut [f64], f: impl Fn(usize, usize) -> f64) {
    for ((low, high), out) in slide.windows.iter().copied().zip(out) {
        if low < high {
            *out = f(low, high);
        }
    }
}

/// Sums of all values up to each, where that is exact: of whole numbers that never add up to
/// more than a float can tell apart.
fn exact_prefix(values: &[f64]) -> Option<Vec<f64>> {
    let mut prefix = Vec::with_capacity(values.len() + 1);
    let (mut sum, mut magnitude) = (0.0, 0.0);
    prefix.push(sum);
    for value in values {
        magnitude += value.abs();
        let is_exact = value.fract() == 0.0 && magnitude <= EXACT_MAX;
        if !is_exact {
            return None;
        }
        sum += value;
        prefix.push(sum);
    }
    Some(prefix)
}

/// Keeps, of the values in the window, those that could still be the extreme one: each beats all
/// that come after it.
fn extreme(slide: &Slide<'_>, out: &mut [f64], beats: impl Fn(f64, f64) -> bool) {
    let values = slide.values;
    let mut candidates: VecDeque<usize> = VecDeque::new();
    let mut seen = 0;
    for ((low, high), out) in slide.windows.iter().copied().zip(out) {
        if low == high {
            continue;
        }
        for (offset, value) in values[seen.max(low)..high].iter().enumerate() {
            if value.is_nan() {
                continue;
            }
            while candidates.back().is_some_and(|i| beats(*value, values[*i])) {
                candidates.pop_back();
            }
            candidates.push_back(seen.max(low) + offset);
        }
        seen = high;
        while candidates.front().is_some_and(|i| *i < low) {
            candidates.pop_front();
        }
        // Of equal values the first one counts, and it stands before the others. The last NaN
        // where there is nothing else.
        *out = candidates.front().map_or(values[high - 1], |i| values[*i]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{ABSENT, Scalar};
    use proptest::prelude::*;

    type Sliding = fn(&Slide<'_>, &mut [f64]);
    type Anew = Box<dyn Fn(&[f64]) -> f64>;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => (-5..5_i32).prop_map(f64::from),
            2 => -1e3..1e3_f64,
            1 => Just(f64::NAN),
            1 => Just(f64::INFINITY),
            1 => Just(-0.0),
            1 => any::<f64>().prop_map(|v| if v.is_nan() { f64::NAN } else { v }),
        ]
    }

    fn windows(count: usize) -> impl Strategy<Value = Vec<(usize, usize)>> {
        prop::collection::vec((0..4_usize, 0..4_usize), 0..20).prop_map(move |moves| {
            let (mut low, mut high) = (0, 0);
            let mut windows = Vec::new();
            for (a, b) in moves {
                high = (high + a).min(count);
                low = (low + b).min(high);
                windows.push((low, high));
            }
            windows
        })
    }

    proptest! {
        /// Sliding gives to the bit what computing every window by itself gives.
        #[test]
        fn sliding_is_computing_anew(
            (values, windows) in (prop::collection::vec(value(), 0..30))
                .prop_flat_map(|values| { let n = values.len(); (Just(values), windows(n)) }),
            q in -0.1..1.1_f64,
        ) {
            let slide = Slide {
                values: &values,
                windows: &windows,
                params: &[Scalar::Constant(q)],
            };
            let functions: [(Sliding, Anew); 5] = [
                (sum, Box::new(over_time::sum)),
                (average, Box::new(over_time::average)),
                (min, Box::new(|v| over_time::extreme(v, |a, b| a < b))),
                (max, Box::new(|v| over_time::extreme(v, |a, b| a > b))),
                (quantile, Box::new(move |v| over_time::quantile(q, &mut v.to_vec()))),
            ];
            for (name, (sliding, anew)) in functions.iter().enumerate() {
                let mut out = vec![ABSENT; windows.len()];
                sliding(&slide, &mut out);
                for ((low, high), out) in windows.iter().zip(&out) {
                    let expected = if low == high { ABSENT } else { anew(&values[*low..*high]) };
                    let same = out.to_bits() == expected.to_bits()
                        || (out.is_nan() && expected.is_nan() && low < high);
                    prop_assert!(same, "{name}: {out} {expected} of {:?}", &values[*low..*high]);
                }
            }
        }
    }
}
