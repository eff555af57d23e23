//! What lies inside of a native histogram: quantiles, shares of observations, the variance.
//!
//! Within an exponential bucket observations are taken to be spread evenly over the logarithms,
//! within the zero bucket and custom buckets over the values.

use model::Histogram;

use super::buckets::{Bucket, buckets};
use crate::kahan::Kahan;

/// What should be said about a quantile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuantileNote {
    /// There are so many NaNs that the quantile is one of them.
    IsNan,
    /// There are NaNs, which count as larger than anything.
    Skewed,
}

/// The quantile, and what should be said about it.
pub(crate) fn quantile(q: f64, histogram: &Histogram) -> (f64, Option<QuantileNote>) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if histogram.count == 0.0 || q.is_nan() {
        return (f64::NAN, None);
    }
    // From the nearer end, so that rounding costs least. NaNs are in no bucket and counted at
    // the upper end: only the lower end is reliable then.
    let forward = histogram.sum.is_nan() || q < 0.5;
    let mut all = buckets(histogram);
    if !forward {
        all.reverse();
    }
    let mut rank = histogram.count * if forward { q } else { 1.0 - q };
    let mut count = 0.0;
    let mut found = None;
    let mut rest = all.iter();
    for bucket in rest.by_ref().filter(|bucket| bucket.count != 0.0) {
        count += bucket.count;
        found = Some(*bucket);
        if count >= rank {
            break;
        }
    }
    let Some(mut bucket) = found else {
        let note = histogram.sum.is_nan().then_some(QuantileNote::IsNan);
        return (if note.is_some() { f64::NAN } else { 0.0 }, note);
    };
    if histogram.has_custom_bounds() {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return (bucket.upper, None);
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return (bucket.lower, None);
        }
    } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
        halve_zero_bucket(histogram, &mut bucket);
    }
    let counted = count.min(histogram.count);
    if counted < rank {
        return if histogram.sum.is_nan() {
            (f64::NAN, Some(QuantileNote::IsNan))
        } else {
            (bucket.upper, None)
        };
    }
    rank = if forward {
        rank - (counted - bucket.count)
    } else {
        counted - rank
    };
    let in_buckets = counted + rest.map(|bucket| bucket.count).sum::<f64>();
    let note =
        (histogram.sum.is_nan() && in_buckets < histogram.count).then_some(QuantileNote::Skewed);
    let share = rank / bucket.count;
    let is_linear = histogram.has_custom_bounds() || (bucket.lower <= 0.0 && bucket.upper >= 0.0);
    let value = if is_linear {
        bucket.lower + (bucket.upper - bucket.lower) * share
    } else {
        let (low, high) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
        if bucket.lower > 0.0 {
            (low + (high - low) * share).exp2()
        } else {
            -(high + (low - high) * (1.0 - share)).exp2()
        }
    };
    (value, note)
}

/// A zero bucket beside positive buckets only is taken to begin at zero, and one beside negative
/// buckets only to end there.
fn halve_zero_bucket(histogram: &Histogram, bucket: &mut Bucket) {
    match (histogram.negative.is_empty(), histogram.positive.is_empty()) {
        (true, false) => bucket.lower = 0.0,
        (false, true) => bucket.upper = 0.0,
        _ => {}
    }
}

/// The share of observations between two values, and whether NaNs were left out.
pub(crate) fn fraction(lower: f64, upper: f64, histogram: &Histogram) -> (f64, bool) {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, false);
    }
    if lower >= upper {
        return (0.0, false);
    }
    let all = buckets(histogram);
    let in_buckets: f64 = all.iter().map(|bucket| bucket.count).sum();
    let has_nans = histogram.sum.is_nan() && in_buckets < histogram.count;
    let total = if histogram.sum.is_nan() {
        in_buckets
    } else {
        histogram.count
    };
    let rank = |value: f64| rank_of(value, histogram, &all).map_or(total, |rank| rank.min(total));
    ((rank(upper) - rank(lower)) / histogram.count, has_nans)
}

/// How many observations lie below a value; `None` where all do.
fn rank_of(value: f64, histogram: &Histogram, all: &[Bucket]) -> Option<f64> {
    let mut below = 0.0;
    for bucket in all {
        let mut bucket = *bucket;
        let is_zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
        if is_zero {
            halve_zero_bucket(histogram, &mut bucket);
        }
        if bucket.lower >= value {
            return Some(below);
        }
        if bucket.upper > value {
            if histogram.has_custom_bounds() || is_zero {
                // Within a bucket without an end nothing can be said.
                return Some(if bucket.lower == f64::NEG_INFINITY {
                    bucket.count
                } else {
                    let width = bucket.upper - bucket.lower;
                    below + bucket.count * (value - bucket.lower) / width
                });
            }
            return Some(below + bucket.count * log_share(&bucket, value));
        }
        below += bucket.count;
    }
    None
}

/// Which share of an exponential bucket lies below a value within it.
pub(super) fn log_share(bucket: &Bucket, value: f64) -> f64 {
    let log = |value: f64| value.abs().log2();
    let (low, high, at) = (log(bucket.lower), log(bucket.upper), log(value));
    if bucket.lower >= 0.0 {
        (at - low) / (high - low)
    } else {
        1.0 - (at - high) / (low - high)
    }
}

/// The variance of the observations, each taken to lie in the middle of its bucket.
pub(crate) fn variance(histogram: &Histogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let mut squares = Kahan::default();
    for bucket in buckets(histogram) {
        if bucket.count == 0.0 {
            continue;
        }
        let middle = if histogram.has_custom_bounds() {
            f64::midpoint(bucket.lower, bucket.upper)
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
        };
        let distance = middle - mean;
        squares.add(bucket.count * distance * distance);
    }
    (squares.sum + squares.carry) / histogram.count
}

#[cfg(test)]
mod tests {
    use super::super::tests::{any_histogram, exponential};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_are_interpolated_over_logarithms() {
        let histogram = exponential(0, 1, &[5.0]);
        assert_eq!(quantile(0.5, &histogram), (2f64.sqrt(), None));
        let mut mirrored = histogram.clone();
        std::mem::swap(&mut mirrored.positive, &mut mirrored.negative);
        assert!((quantile(0.5, &mirrored).0 + 2f64.sqrt()).abs() < 1e-15);
        assert!(quantile(f64::NAN, &histogram).0.is_nan());
        assert_eq!(quantile(1.5, &histogram).0, f64::INFINITY);
        assert!(quantile(0.5, &Histogram::default()).0.is_nan());
    }

    #[test]
    fn nans_are_told() {
        let mut histogram = exponential(0, 0, &[12.0]);
        (histogram.count, histogram.sum) = (15.0, f64::NAN);
        assert_eq!(quantile(0.8, &histogram), (1.0, Some(QuantileNote::Skewed)));
        let (value, note) = quantile(0.81, &histogram);
        assert!(value.is_nan());
        assert_eq!(note, Some(QuantileNote::IsNan));
        assert_eq!(fraction(f64::NEG_INFINITY, 1.0, &histogram), (0.8, true));
    }

    proptest! {
        /// A share and its quantile are inverse to each other.
        #[test]
        fn a_quantile_lies_above_its_share(histogram in any_histogram(), q in 0.01..0.99_f64) {
            prop_assume!(histogram.count > 0.0);
            let (value, _) = quantile(q, &histogram);
            let (share, _) = fraction(f64::NEG_INFINITY, value, &histogram);
            prop_assert!(share <= q + 1e-9, "{} is {} of {:?}", value, share, histogram);
            let (more, _) = fraction(f64::NEG_INFINITY, value + value.abs() * 1e-9 + 1e-300, &histogram);
            prop_assert!(more >= q - 1e-6, "{} is {} of {:?}", value, more, histogram);
        }
    }
}
