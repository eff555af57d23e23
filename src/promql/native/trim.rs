//! Cutting a histogram at a value: `</` keeps what lies below, `>/` what lies above.
//!
//! Of a bucket that is cut a part remains, by the same interpolation as for quantiles; of a bucket
//! without an end nothing remains, for nobody knows where in it the observations lie. The sum
//! loses what was removed, each observation taken to lie in the middle of the removed part.

use model::{Buckets, Histogram};

use super::buckets::{Bucket, buckets};
use super::quantile::log_share;

/// What is left of one bucket, and of the sum.
#[derive(Debug, Clone, Copy)]
struct Cut {
    kept: f64,
    removed_sum: f64,
}

/// The part of a histogram below a value, or above.
pub(crate) fn trimmed(histogram: &Histogram, value: f64, keeps_below: bool) -> Histogram {
    let is_custom = histogram.has_custom_bounds();
    // Without the zero bucket: its border does not move those of its neighbours here.
    let plain = Histogram {
        zero_threshold: 0.0,
        zero_count: 0.0,
        ..histogram.clone()
    };
    let all = buckets(&plain);
    let cuts: Vec<Cut> = all
        .iter()
        .map(|bucket| cut(bucket, value, keeps_below, is_custom))
        .collect();
    let mut removed_sum: f64 = 0.0;
    let mut count: f64 = 0.0;
    for cut in &cuts {
        removed_sum += cut.removed_sum;
        count += cut.kept;
    }
    let is_there = |bucket: &&Bucket| bucket.count != 0.0;
    let has_negative = all.iter().filter(is_there).any(|b| b.lower < 0.0);
    let has_positive = all.iter().filter(is_there).any(|b| b.upper > 0.0);
    let split = histogram.negative.counts.len().min(cuts.len());
    let (negative, positive) = cuts.split_at(split);
    let side = |side: &Buckets, cuts: &mut dyn Iterator<Item = &Cut>| {
        let pairs = side.iter().zip(cuts).map(|((i, _), cut)| (i, cut.kept));
        Buckets::from_pairs(pairs.filter(|(_, kept)| *kept != 0.0))
    };
    let mut left = Histogram {
        positive: side(&histogram.positive, &mut positive.iter()),
        negative: side(&histogram.negative, &mut negative.iter().rev()),
        ..histogram.clone()
    };
    if histogram.zero_count > 0.0 {
        let (low, high) = (-histogram.zero_threshold, histogram.zero_threshold);
        let below = if value <= low {
            0.0
        } else if value >= high {
            1.0
        } else {
            (value - low) / (high - low)
        };
        left.zero_count *= if keeps_below { below } else { 1.0 - below };
        count += left.zero_count;
    }
    left.count = count;
    left.sum = match histogram.sum - removed_sum {
        _ if count == 0.0 => 0.0,
        sum if (!has_negative && sum < 0.0) || (!has_positive && sum > 0.0) => 0.0,
        sum => sum,
    };
    left
}

fn cut(bucket: &Bucket, value: f64, keeps_below: bool, is_custom: bool) -> Cut {
    let Bucket {
        lower,
        upper,
        count,
        ..
    } = *bucket;
    let all = Cut {
        kept: count,
        removed_sum: 0.0,
    };
    let is_kept = if keeps_below {
        upper <= value
    } else {
        lower >= value
    };
    if count == 0.0 || is_kept {
        return all;
    }
    if lower == f64::NEG_INFINITY || upper == f64::INFINITY {
        return cut_endless(bucket, value, keeps_below);
    }
    let middle = |a: f64, b: f64| {
        if is_custom {
            f64::midpoint(lower, upper)
        } else {
            (a * b)
                .abs()
                .sqrt()
                .copysign(if lower >= 0.0 { 1.0 } else { -1.0 })
        }
    };
    let is_removed = if keeps_below {
        lower >= value
    } else {
        upper <= value
    };
    if is_removed {
        // Prometheus forgets the sign of negative buckets here.
        let middle = if is_custom {
            middle(lower, upper)
        } else {
            (lower * upper).sqrt()
        };
        return Cut {
            kept: 0.0,
            removed_sum: count * middle,
        };
    }
    let share = if is_custom {
        (value - lower) / (upper - lower)
    } else {
        log_share(bucket, value)
    };
    let below = count * share;
    let (kept, middle) = if keeps_below {
        (below, middle(lower, value))
    } else {
        (count - below, middle(value, upper))
    };
    Cut {
        kept,
        removed_sum: (count - kept) * middle,
    }
}

/// A bucket without an end on one side, of which something must go.
fn cut_endless(bucket: &Bucket, value: f64, keeps_below: bool) -> Cut {
    let Bucket {
        lower,
        upper,
        count,
        ..
    } = *bucket;
    let (kept, middle) = if lower == f64::NEG_INFINITY {
        // The lowest bucket is taken to begin at zero if it can.
        if value >= 0.0 && upper > value && upper.is_finite() {
            if keeps_below {
                (count * value / upper, f64::midpoint(value, upper))
            } else {
                (count * (1.0 - value / upper), value / 2.0)
            }
        } else {
            (0.0, upper)
        }
    } else {
        (0.0, lower)
    };
    let removed = count - kept;
    Cut {
        kept,
        // Nothing can be said of the sum of a bucket without any border.
        removed_sum: if removed == 0.0 {
            0.0
        } else {
            removed * middle
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{any_histogram, exponential};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_border_cuts_no_bucket() {
        let histogram = exponential(0, 1, &[2.0, 4.0]);
        let below = trimmed(&histogram, 2.0, true);
        assert_eq!(below.positive.iter().collect::<Vec<_>>(), [(1, 2.0)]);
        let above = trimmed(&histogram, 2.0, false);
        assert_eq!(above.positive.iter().collect::<Vec<_>>(), [(2, 4.0)]);
        assert_eq!((below.count, above.count), (2.0, 4.0));
    }

    #[test]
    fn endless_buckets_go_as_a_whole() {
        let custom = Histogram {
            schema: model::CUSTOM_BOUNDS_SCHEMA,
            bounds: [5.0, 10.0].into(),
            ..exponential(0, 0, &[4.0, 2.0, 1.0])
        };
        assert_eq!(trimmed(&custom, 50.0, true).count, 6.0);
        assert_eq!(trimmed(&custom, f64::INFINITY, true).count, 7.0);
        assert_eq!(trimmed(&custom, 2.5, true).count, 2.0, "from zero to 5");
        assert_eq!(trimmed(&custom, 2.5, false).count, 5.0);
    }

    proptest! {
        /// What lies below and above is all there is.
        #[test]
        fn both_parts_are_the_whole(histogram in any_histogram(), value in -40.0..40.0_f64) {
            let (below, above) = (trimmed(&histogram, value, true), trimmed(&histogram, value, false));
            let sum = below.count + above.count;
            prop_assert!((sum - histogram.count).abs() <= 1e-9 * histogram.count, "{sum}");
        }
    }
}
