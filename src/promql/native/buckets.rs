//! The borders of a histogram's buckets.

use model::Histogram;

/// A bucket with its borders.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Where it begins.
    pub lower: f64,
    /// Where it ends.
    pub upper: f64,
    /// Whether an observation of just `lower` is in it.
    pub lower_inclusive: bool,
    /// Whether an observation of just `upper` is in it.
    pub upper_inclusive: bool,
    /// How many observations are in it, not cumulative.
    pub count: f64,
}

/// All buckets from the lowest to the highest, empty ones that are listed included; the zero
/// bucket only where something is in it.
pub fn buckets(histogram: &Histogram) -> Vec<Bucket> {
    if histogram.has_custom_bounds() {
        return histogram
            .positive
            .iter()
            .map(|(index, count)| custom(histogram, index, count))
            .collect();
    }
    let zero = histogram.zero_threshold;
    // A bucket that overlaps with the zero bucket begins where that one ends.
    let magnitudes = |index: i32| {
        let lower = bound(index.saturating_sub(1), histogram.schema);
        let upper = bound(index, histogram.schema);
        (if lower < zero { zero } else { lower }, upper)
    };
    let mut all: Vec<Bucket> = histogram
        .negative
        .iter()
        .map(|(index, count)| {
            let (near, far) = magnitudes(index);
            exponential(-far, -near, count)
        })
        .collect();
    all.reverse();
    if histogram.zero_count > 0.0 {
        all.push(Bucket {
            lower: -zero,
            upper: zero,
            lower_inclusive: true,
            upper_inclusive: true,
            count: histogram.zero_count,
        });
    }
    all.extend(histogram.positive.iter().map(|(index, count)| {
        let (near, far) = magnitudes(index);
        exponential(near, far, count)
    }));
    all
}

fn exponential(lower: f64, upper: f64, count: f64) -> Bucket {
    Bucket {
        lower,
        upper,
        lower_inclusive: lower < 0.0,
        upper_inclusive: upper > 0.0,
        count,
    }
}

fn custom(histogram: &Histogram, index: i32, count: f64) -> Bucket {
    let bound = |index: i32| usize::try_from(index).map(|i| histogram.bounds.get(i).copied());
    Bucket {
        lower: bound(index.saturating_sub(1))
            .map_or(f64::NEG_INFINITY, |bound| bound.unwrap_or(f64::INFINITY)),
        upper: bound(index).map_or(f64::NEG_INFINITY, |bound| bound.unwrap_or(f64::INFINITY)),
        lower_inclusive: index == 0,
        upper_inclusive: true,
        count,
    }
}

/// Where the exponential bucket with an index ends, in magnitude.
pub(super) fn bound(index: i32, schema: i32) -> f64 {
    // The exponent of the border, in parts of a power of two.
    let parts = 1_i64 << schema.clamp(0, 16);
    let index = i64::from(index) << (-schema).clamp(0, 16);
    let (whole, part) = (index.div_euclid(parts), index.rem_euclid(parts));
    match (whole, part) {
        // The border of the last bucket is the largest number there is.
        (1024, 0) => f64::MAX,
        (1024.., _) => f64::INFINITY,
        (whole, 0) => (whole as f64).exp2(),
        (whole, part) => (part as f64 / parts as f64).exp2() * (whole as f64).exp2(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::tests::exponential;

    #[test]
    fn borders_are_powers_of_two_and_their_roots() {
        assert_eq!(bound(0, 3), 1.0);
        assert_eq!(bound(8, 3), 2.0);
        assert_eq!(bound(-1, 0), 0.5);
        assert_eq!(bound(2, -2), 256.0);
        assert!((bound(1, 1) - 2f64.sqrt()).abs() < 1e-15);
        assert_eq!(bound(1024, 0), f64::MAX);
        assert_eq!(bound(1025, 0), f64::INFINITY);
        assert_eq!(bound(i32::MAX, -4), f64::INFINITY);
        assert_eq!(bound(i32::MIN, -4), 0.0);
    }

    #[test]
    fn buckets_ascend_and_leave_room_for_zero() {
        let mut histogram = exponential(0, -1, &[1.0, 2.0]);
        histogram.negative = histogram.positive.clone();
        histogram.zero_count = 3.0;
        histogram.zero_threshold = 0.3;
        let shown: Vec<_> = buckets(&histogram)
            .iter()
            .map(|b| (b.lower, b.upper, b.count))
            .collect();
        assert_eq!(
            shown,
            [
                (-1.0, -0.5, 2.0),
                (-0.5, -0.3, 1.0),
                (-0.3, 0.3, 3.0),
                (0.3, 0.5, 1.0),
                (0.5, 1.0, 2.0),
            ]
        );
    }
}
