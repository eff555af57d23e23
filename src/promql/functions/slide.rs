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
    each_sorted(slide, |step, sorted| {
        out[step] = match slide.param(0, step) {
            q if q < 0.0 => f64::NEG_INFINITY,
            q if q > 1.0 => f64::INFINITY,
            q if q.is_nan() => f64::NAN,
            q => over_time::quantile_of_sorted(q, sorted),
        };
    });
}

/// `mad_over_time`
pub(super) fn median_distance(slide: &Slide<'_>, out: &mut [f64]) {
    let mut distances = Vec::new();
    each_sorted(slide, |step, sorted| {
        // NaN stands first.
        let median = over_time::quantile_of_sorted(0.5, sorted);
        if sorted[0].is_nan() || !median.is_finite() {
            let (low, high) = slide.windows[step];
            out[step] = over_time::median_distance(&slide.values[low..high]);
            return;
        }
        // The distances in order, without sorting them: from the median to both sides.
        let (mut left, mut right) = sorted.split_at(sorted.partition_point(|v| *v < median));
        distances.clear();
        let needed = (sorted.len() / 2 + 2).min(sorted.len());
        while distances.len() < needed {
            let below = left.last().map(|v| (v - median).abs());
            let above = right.first().map(|v| (v - median).abs());
            let is_below = below.is_some_and(|below| above.is_none_or(|above| below < above));
            if is_below {
                left = &left[..left.len() - 1];
            } else {
                right = &right[1..];
            }
            distances.extend(if is_below { below } else { above });
        }
        out[step] = over_time::quantile_of_first(0.5, &distances, sorted.len());
    });
}

/// Hands over the values of every window that has some in order of size: those that leave are
/// taken out, those that come are put in.
fn each_sorted(slide: &Slide<'_>, mut take: impl FnMut(usize, &[f64])) {
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
        take(step, &sorted);
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
    use super::super::range::Window;
    use super::super::{Behaviour, FUNCTIONS};
    use super::*;
    use crate::column::{ABSENT, Scalar, is_present};
    use crate::grid::Grid;
    use proptest::prelude::*;

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
        /// Whatever slides gives to the bit what computing every window by itself gives.
        #[test]
        fn sliding_is_computing_anew(
            (values, windows) in (prop::collection::vec(value(), 0..30))
                .prop_flat_map(|values| { let n = values.len(); (Just(values), windows(n)) }),
            q in -0.1..1.1_f64,
        ) {
            let times_ms: Vec<i64> = (0..values.len() as i64).map(|i| i * 15_000 + i % 3).collect();
            let eval = Grid::range(60_000, 600_000, 10_000);
            let slide = Slide {
                times_ms: &times_ms,
                values: &values,
                windows: &windows,
                params: &[Scalar::Constant(q), Scalar::Constant(0.3)],
                eval,
            };
            let mut sliding = 0;
            for function in FUNCTIONS {
                let Behaviour::Range(range) = &function.behaviour else {
                    continue;
                };
                let Some(all) = range.slide else {
                    continue;
                };
                sliding += 1;
                let mut out = vec![ABSENT; windows.len()];
                all(&slide, &mut out);
                for (step, ((low, high), out)) in windows.iter().copied().zip(&out).enumerate() {
                    let window = Window {
                        times_ms: &times_ms[low..high],
                        values: &values[low..high],
                        marks: &[],
                        low,
                        start_ms: 0,
                        end_ms: 0,
                        eval_ms: eval.time_ms(step),
                        params: &[q, 0.3],
                    };
                    let anew = if low == high { ABSENT } else { (range.compute)(&window) };
                    let same = out.to_bits() == anew.to_bits()
                        || (out.is_nan() && anew.is_nan() && is_present(*out) == is_present(anew));
                    prop_assert!(same, "{}: {out} {anew} of {:?}", function.name, window.values);
                }
            }
            prop_assert_eq!(sliding, 11);
        }
    }
}
