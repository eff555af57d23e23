//! Native histograms as values: what can be computed of one, and of two.
//!
//! `model::Histogram` is the value itself. `buckets` gives its buckets borders, `total` adds
//! histograms whatever their resolutions, `reset` sees a counter that began anew, `quantile` and
//! `trim` look inside, `text` writes it as Prometheus does, `literal` reads it as tests write it.

mod buckets;
mod literal;
mod quantile;
mod reset;
mod text;
mod total;
mod trim;

use model::{Buckets, Histogram, ResetHint};

pub use buckets::{Bucket, buckets};
pub use literal::{Literal, literal_end, literals};
pub(crate) use quantile::{QuantileNote, fraction, quantile, variance};
pub(crate) use reset::is_reset;
pub use text::text;
pub(crate) use total::{Incompatible, Mean, Met, Total};
pub(crate) use trim::trimmed;

/// Every count and the sum, changed by `f`; empty buckets are left out.
fn changed(histogram: &Histogram, f: impl Fn(f64) -> f64) -> Histogram {
    let side = |side: &Buckets| {
        let pairs = side.iter().map(|(index, count)| (index, f(count)));
        Buckets::from_pairs(pairs.filter(|(_, count)| *count != 0.0))
    };
    Histogram {
        zero_count: f(histogram.zero_count),
        count: f(histogram.count),
        sum: f(histogram.sum),
        positive: side(&histogram.positive),
        negative: side(&histogram.negative),
        ..histogram.clone()
    }
}

/// The histogram times a number. Below zero it can only be a gauge.
pub(crate) fn times(histogram: &Histogram, factor: f64) -> Histogram {
    let mut product = changed(histogram, |value| value * factor);
    if factor < 0.0 {
        product.reset = ResetHint::Gauge;
    }
    product
}

/// The histogram divided by a number; by zero nothing is left of its buckets.
pub(crate) fn divided(histogram: &Histogram, divisor: f64) -> Histogram {
    let mut quotient = changed(histogram, |value| value / divisor);
    if divisor == 0.0 {
        quotient.positive = Buckets::default();
        quotient.negative = Buckets::default();
    }
    if divisor < 0.0 {
        quotient.reset = ResetHint::Gauge;
    }
    quotient
}

/// Whether two histograms are the same to the bit; empty buckets and what is known about resets
/// do not count.
pub(crate) fn are_equal(a: &Histogram, b: &Histogram) -> bool {
    let bits = |h: &Histogram| [h.count, h.sum, h.zero_count].map(f64::to_bits);
    let same_side = |a: &Buckets, b: &Buckets| populated(a).eq(populated(b));
    a.schema == b.schema
        && a.zero_threshold == b.zero_threshold
        && bits(a) == bits(b)
        && total::same_bounds(&a.bounds, &b.bounds)
        && same_side(&a.positive, &b.positive)
        && same_side(&a.negative, &b.negative)
}

/// Index and bits of the buckets that are not empty.
fn populated(side: &Buckets) -> impl Iterator<Item = (i32, u64)> + '_ {
    side.iter()
        .filter(|(_, count)| *count != 0.0)
        .map(|(index, count)| (index, count.to_bits()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A histogram of counters with these positive buckets.
    pub(crate) fn exponential(schema: i32, first: i32, counts: &[f64]) -> Histogram {
        let indexes = first..;
        Histogram {
            schema,
            count: counts.iter().sum(),
            sum: counts.iter().sum::<f64>() * 2.0,
            positive: Buckets::from_pairs(indexes.zip(counts.iter().copied())),
            ..Histogram::default()
        }
    }

    /// Histograms with whole counts on both sides and in the zero bucket.
    pub(crate) fn any_histogram() -> impl Strategy<Value = Histogram> {
        let side = || {
            (
                -6..6_i32,
                prop::collection::vec((0..3_i32, 0..50_u32), 0..8),
            )
                .prop_map(|(first, steps)| {
                    let mut index = first;
                    Buckets::from_pairs(steps.into_iter().map(move |(gap, count)| {
                        index += gap + 1;
                        (index, f64::from(count))
                    }))
                })
        };
        (-2..4_i32, side(), side(), 0..9_u32, 0..3_usize).prop_map(
            |(schema, positive, negative, zero, threshold)| {
                let zero_count = f64::from(zero);
                let zero_threshold = [0.0, 1.0 / 1024.0, 0.25][threshold];
                // No bucket overlaps with the zero bucket.
                let outside =
                    |side: &Buckets| {
                        let pairs = side.iter();
                        Buckets::from_pairs(pairs.filter(|(index, _)| {
                            buckets::bound(index - 1, schema) >= zero_threshold
                        }))
                    };
                let (positive, negative) = (outside(&positive), outside(&negative));
                let in_buckets: f64 = positive.counts.iter().chain(&negative.counts).sum();
                Histogram {
                    schema,
                    zero_count,
                    zero_threshold,
                    count: in_buckets + zero_count,
                    sum: 1.5,
                    positive,
                    negative,
                    ..Histogram::default()
                }
            },
        )
    }

    #[test]
    fn scaling_keeps_the_layout_and_knows_gauges() {
        let histogram = exponential(0, 1, &[1.0, 0.0, 4.0]);
        let half = divided(&times(&histogram, 3.0), 6.0);
        assert_eq!(
            half.positive.iter().collect::<Vec<_>>(),
            [(1, 0.5), (3, 2.0)]
        );
        assert_eq!(half.reset, ResetHint::Unknown);
        assert_eq!(times(&histogram, -1.0).reset, ResetHint::Gauge);
        let by_zero = divided(&histogram, 0.0);
        assert!(by_zero.count.is_infinite() && by_zero.positive.is_empty());
    }

    #[test]
    fn equality_does_not_see_empty_buckets() {
        let a = exponential(0, 0, &[0.0, 1.0, 0.0]);
        let mut b = exponential(0, 1, &[1.0]);
        assert!(are_equal(&a, &b));
        b.sum = 2.5;
        assert!(!are_equal(&a, &b));
    }
}
