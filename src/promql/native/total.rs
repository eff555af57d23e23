//! Adding histograms: counts, sums and buckets, each without losing small numbers beside large
//! ones, whatever the resolutions and zero buckets of the histograms.
//!
//! 1. The coarser resolution wins: buckets of the finer one are joined.
//! 2. The wider zero bucket wins, and widens until its border cuts no bucket.
//! 3. Of custom bounds those remain that all histograms have.

use std::cmp::Ordering;
use std::sync::Arc;

use model::{Buckets, Histogram, ResetHint};

use super::buckets::bound;
use super::times;
use crate::kahan::Kahan;

/// Histograms with exponential and with custom buckets do not add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incompatible;

/// What was met with while adding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Met {
    /// One histogram begins anew, the other goes on.
    pub(crate) reset_collision: bool,
    /// Their custom bounds differ.
    pub(crate) bounds_reconciled: bool,
}

/// A bucket that is being added up.
type Sum = (i32, Kahan);

/// Histograms that are being added up.
#[derive(Debug, Clone)]
pub(crate) struct Total {
    schema: i32,
    reset: ResetHint,
    zero_threshold: f64,
    zero_count: Kahan,
    count: Kahan,
    sum: Kahan,
    positive: Vec<Sum>,
    negative: Vec<Sum>,
    bounds: Arc<[f64]>,
}

impl Total {
    /// A total of one histogram.
    pub(crate) fn of(first: &Histogram) -> Self {
        let side = |side: &Buckets| side.iter().map(|(i, n)| (i, Kahan::new(n))).collect();
        Self {
            schema: first.schema,
            reset: first.reset,
            zero_threshold: first.zero_threshold,
            zero_count: Kahan::new(first.zero_count),
            count: Kahan::new(first.count),
            sum: Kahan::new(first.sum),
            positive: side(&first.positive),
            negative: side(&first.negative),
            bounds: Arc::clone(&first.bounds),
        }
    }

    /// Adds a histogram, or subtracts it where `sign` is -1.
    pub(crate) fn add(&mut self, other: &Histogram, sign: f64) -> Result<Met, Incompatible> {
        let custom = other.has_custom_bounds();
        if custom != (self.schema == model::CUSTOM_BOUNDS_SCHEMA) {
            return Err(Incompatible);
        }
        let mut met = Met {
            reset_collision: self.join_hints(other.reset),
            bounds_reconciled: false,
        };
        self.count.add(sign * other.count);
        self.sum.add(sign * other.sum);
        if custom {
            if same_bounds(&self.bounds, &other.bounds) {
                add_side(&mut self.positive, other.positive.iter(), sign);
            } else {
                met.bounds_reconciled = true;
                self.add_other_bounds(other, sign);
            }
            return Ok(met);
        }
        let zero_count = self.join_zero_buckets(other);
        self.zero_count.add(sign * zero_count);
        if other.schema < self.schema {
            for side in [&mut self.positive, &mut self.negative] {
                coarsen(side, self.schema - other.schema);
            }
            self.schema = other.schema;
        }
        let finer = other.schema - self.schema;
        for (into, from) in [
            (&mut self.positive, &other.positive),
            (&mut self.negative, &other.negative),
        ] {
            let outside = from
                .iter()
                .filter(|(index, _)| bound(*index, other.schema) > self.zero_threshold)
                .map(|(index, count)| (coarser(index, finer), count));
            add_side(into, outside, sign);
        }
        Ok(met)
    }

    /// Multiplies everything by a number.
    fn scale(&mut self, factor: f64) {
        let numbers = [&mut self.zero_count, &mut self.count, &mut self.sum];
        let sides = self.positive.iter_mut().chain(&mut self.negative);
        for kahan in numbers.into_iter().chain(sides.map(|(_, kahan)| kahan)) {
            kahan.sum *= factor;
            kahan.carry *= factor;
        }
    }

    /// Whether a number has become too large.
    fn overflows(&self) -> bool {
        let sides = self.positive.iter().chain(&self.negative);
        [self.zero_count, self.count, self.sum]
            .iter()
            .chain(sides.map(|(_, kahan)| kahan))
            .any(|kahan| kahan.sum.is_infinite())
    }

    /// The sum.
    pub(crate) fn finish(&self) -> Histogram {
        self.finish_with(Kahan::total)
    }

    fn finish_with(&self, value: impl Fn(Kahan) -> f64) -> Histogram {
        let side = |side: &[Sum]| {
            let pairs = side.iter().map(|(index, kahan)| (*index, value(*kahan)));
            Buckets::from_pairs(pairs.filter(|(_, count)| *count != 0.0))
        };
        Histogram {
            reset: self.reset,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: value(self.zero_count),
            count: value(self.count),
            sum: value(self.sum),
            positive: side(&self.positive),
            negative: side(&self.negative),
            bounds: Arc::clone(&self.bounds),
        }
    }

    /// A gauge stays a gauge; otherwise what is not known of both is not known of the sum.
    fn join_hints(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, Unknown};
        match (self.reset, other) {
            (a, b) if a == b => {}
            (Gauge, _) | (_, Gauge) => self.reset = Gauge,
            (Unknown, _) | (_, Unknown) => self.reset = Unknown,
            _ => {
                self.reset = Unknown;
                return true;
            }
        }
        false
    }

    /// Widens the zero bucket so that it holds those of both; returns what the other one's holds
    /// then.
    fn join_zero_buckets(&mut self, other: &Histogram) -> f64 {
        let (mut count, mut threshold) = (other.zero_count, other.zero_threshold);
        while let Some(Ordering::Less | Ordering::Greater) =
            threshold.partial_cmp(&self.zero_threshold)
        {
            if self.zero_threshold > threshold {
                (count, threshold) = widened(
                    other.schema,
                    || other.positive.iter(),
                    || other.negative.iter(),
                    other.zero_count,
                    self.zero_threshold,
                );
            }
            if threshold > self.zero_threshold {
                let pairs = |side: &[Sum]| -> Vec<(i32, f64)> {
                    side.iter().map(|(i, kahan)| (*i, kahan.total())).collect()
                };
                let (positive, negative) = (pairs(&self.positive), pairs(&self.negative));
                let (zero, wide) = widened(
                    self.schema,
                    || positive.iter().copied(),
                    || negative.iter().copied(),
                    self.zero_count.total(),
                    threshold,
                );
                self.zero_count = Kahan::new(zero);
                self.zero_threshold = wide;
                let schema = self.schema;
                for side in [&mut self.positive, &mut self.negative] {
                    side.retain(|(index, _)| bound(index.saturating_sub(1), schema) >= wide);
                }
            }
        }
        count
    }

    /// Adds a histogram with other custom bounds.
    fn add_other_bounds(&mut self, other: &Histogram, sign: f64) {
        let common: Arc<[f64]> = self
            .bounds
            .iter()
            .copied()
            .filter(|bound| other.bounds.contains(bound))
            .collect();
        // The bucket among the common ones that a bucket is part of.
        let place = |index: i32, bounds: &[f64]| -> i32 {
            let upper = usize::try_from(index).ok().and_then(|i| bounds.get(i));
            let place = upper.map_or(common.len(), |upper| {
                common.partition_point(|bound| bound < upper)
            });
            place as i32
        };
        let mut mine: Vec<Sum> = Vec::new();
        for (index, kahan) in &self.positive {
            let index = place(*index, &self.bounds);
            match mine.last_mut() {
                Some((last, sum)) if *last == index => sum.merge(*kahan),
                _ => mine.push((index, *kahan)),
            }
        }
        self.positive = mine;
        let theirs = other.positive.iter();
        let theirs = theirs.map(|(index, count)| (place(index, &other.bounds), count));
        add_side(&mut self.positive, theirs, sign);
        self.bounds = common;
    }
}

/// Histograms that are being averaged: a total and a count as long as the total fits, a running
/// mean after.
#[derive(Debug, Clone)]
pub(crate) struct Mean {
    total: Total,
    count: f64,
    /// Whether `total` holds the mean instead of the sum.
    running: bool,
}

impl Mean {
    /// The mean of one histogram.
    pub(crate) fn of(first: &Histogram) -> Self {
        Self {
            total: Total::of(first),
            count: 1.0,
            running: false,
        }
    }

    /// Adds a histogram.
    pub(crate) fn add(&mut self, other: &Histogram) -> Result<Met, Incompatible> {
        if !self.running {
            let mut total = self.total.clone();
            let met = total.add(other, 1.0)?;
            if !total.overflows() {
                self.total = total;
                self.count += 1.0;
                return Ok(met);
            }
            self.running = true;
            self.total.scale(1.0 / self.count);
        }
        self.count += 1.0;
        self.total.scale((self.count - 1.0) / self.count);
        self.total.add(&times(other, 1.0 / self.count), 1.0)
    }

    /// Adds another mean.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<Met, Incompatible> {
        if !self.running && !other.running {
            let mut total = self.total.clone();
            let met = total.add(&other.total.finish(), 1.0)?;
            if !total.overflows() {
                self.total = total;
                self.count += other.count;
                return Ok(met);
            }
        }
        let count = self.count + other.count;
        let mut mean = Total::of(&times(&self.finish(), self.count / count));
        let met = mean.add(&times(&other.finish(), other.count / count), 1.0)?;
        *self = Self {
            total: mean,
            count,
            running: true,
        };
        Ok(met)
    }

    /// The mean.
    pub(crate) fn finish(&self) -> Histogram {
        let n = if self.running { 1.0 } else { self.count };
        self.total.finish_with(|kahan| {
            if kahan.sum.is_infinite() {
                kahan.sum
            } else {
                kahan.sum / n + kahan.carry / n
            }
        })
    }
}

/// Whether custom bounds are the same to the bit.
pub(super) fn same_bounds(a: &[f64], b: &[f64]) -> bool {
    let bits = |bounds: &[f64]| -> Vec<u64> { bounds.iter().map(|x| x.to_bits()).collect() };
    std::ptr::eq(a, b) || (a.len() == b.len() && bits(a) == bits(b))
}

/// The index of the bucket that a bucket is part of where the resolution is `steps` coarser.
pub(super) fn coarser(index: i32, steps: i32) -> i32 {
    (index.saturating_sub(1) >> steps.clamp(0, 31)) + 1
}

fn coarsen(side: &mut Vec<Sum>, steps: i32) {
    let mut joined: Vec<Sum> = Vec::with_capacity(side.len());
    for (index, kahan) in side.drain(..) {
        let index = coarser(index, steps);
        match joined.last_mut() {
            Some((last, sum)) if *last == index => sum.merge(kahan),
            _ => joined.push((index, kahan)),
        }
    }
    *side = joined;
}

/// Adds counts by ascending index, several of which may be the same.
fn add_side(into: &mut Vec<Sum>, from: impl Iterator<Item = (i32, f64)>, sign: f64) {
    let mut at = 0;
    for (index, count) in from {
        while into.get(at).is_some_and(|(known, _)| *known < index) {
            at += 1;
        }
        let count = sign * count;
        match into.get_mut(at) {
            Some((known, kahan)) if *known == index => kahan.add(count),
            _ => into.insert(at, (index, Kahan::new(count))),
        }
    }
}

/// What the zero bucket would hold if it reached to `threshold`, and how far it must reach so
/// that its border cuts no bucket with something in it.
pub(super) fn widened<P, N>(
    schema: i32,
    positive: impl Fn() -> P,
    negative: impl Fn() -> N,
    zero_count: f64,
    mut threshold: f64,
) -> (f64, f64)
where
    P: Iterator<Item = (i32, f64)>,
    N: Iterator<Item = (i32, f64)>,
{
    loop {
        let mut count = zero_count;
        let before = threshold;
        swallow(schema, positive(), &mut count, &mut threshold);
        let reached = threshold;
        swallow(schema, negative(), &mut count, &mut threshold);
        // What was said of the positive side does not hold any more after the negative side
        // moved the border, nor the other way round if both did.
        if threshold == reached {
            return (count, threshold);
        }
        debug_assert!(threshold > before);
    }
}

fn swallow(
    schema: i32,
    side: impl Iterator<Item = (i32, f64)>,
    count: &mut f64,
    threshold: &mut f64,
) {
    for (index, in_bucket) in side {
        if bound(index.saturating_sub(1), schema) >= *threshold {
            break;
        }
        *count += in_bucket;
        let upper = bound(index, schema);
        if upper > *threshold {
            if in_bucket != 0.0 {
                *threshold = upper;
            }
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{any_histogram, exponential};
    use super::*;
    use crate::native::are_equal;
    use proptest::prelude::*;

    fn sum(a: &Histogram, b: &Histogram, sign: f64) -> Histogram {
        let mut total = Total::of(a);
        total.add(b, sign).expect("both exponential");
        total.finish()
    }

    fn in_buckets(h: &Histogram) -> f64 {
        h.zero_count
            + h.positive
                .counts
                .iter()
                .chain(&h.negative.counts)
                .sum::<f64>()
    }

    proptest! {
        /// Nothing is lost or counted twice, whatever is reconciled.
        #[test]
        fn counts_add_up(a in any_histogram(), b in any_histogram()) {
            let ab = sum(&a, &b, 1.0);
            prop_assert_eq!(ab.count, a.count + b.count);
            prop_assert_eq!(in_buckets(&ab), in_buckets(&a) + in_buckets(&b));
            prop_assert!(ab.zero_threshold >= a.zero_threshold.max(b.zero_threshold));
            prop_assert_eq!(ab.schema, a.schema.min(b.schema));
            prop_assert!(are_equal(&ab, &sum(&b, &a, 1.0)), "the order does not matter");
        }

        /// Subtracting what was added leaves what was there, in the layout of the sum.
        #[test]
        fn subtraction_undoes_addition(a in any_histogram(), b in any_histogram()) {
            let left = sum(&sum(&a, &b, 1.0), &b, -1.0);
            prop_assert_eq!(left.count, a.count);
            prop_assert_eq!(in_buckets(&left), in_buckets(&a));
            let nothing = sum(&a, &a, -1.0);
            prop_assert!(nothing.positive.is_empty() && nothing.negative.is_empty());
        }

        #[test]
        fn the_mean_of_equals_is_one_of_them(a in any_histogram(), n in 1..5_usize) {
            let mut mean = Mean::of(&a);
            for _ in 1..n {
                mean.add(&a).expect("the same kind");
            }
            prop_assert!(are_equal(&mean.finish(), &times(&a, 1.0)));
        }
    }

    #[test]
    fn the_zero_bucket_widens_to_a_border() {
        // The border 0.3 lies within the bucket from 0.25 to 0.5.
        let mut wide = exponential(0, 3, &[1.0]);
        (wide.zero_threshold, wide.zero_count) = (0.3, 2.0);
        let total = sum(&wide, &exponential(0, -3, &[1.0, 1.0, 4.0, 1.0]), 1.0);
        assert_eq!((total.zero_threshold, total.zero_count), (0.5, 8.0));
        assert_eq!(
            total.positive.iter().collect::<Vec<_>>(),
            [(0, 1.0), (3, 1.0)]
        );
    }

    #[test]
    fn common_bounds_remain() {
        let custom = |bounds: &[f64], counts: &[f64]| Histogram {
            schema: model::CUSTOM_BOUNDS_SCHEMA,
            bounds: bounds.into(),
            ..exponential(0, 0, counts)
        };
        let mut total = Total::of(&custom(&[2.0, 4.0, 6.0], &[1.0, 2.0, 5.0, 7.0]));
        let bounds = [1.0, 2.0, 3.0, 6.0, 8.0];
        let met = total.add(&custom(&bounds, &[1.0; 6]), 1.0);
        assert!(met.is_ok_and(|met| met.bounds_reconciled));
        let sum = total.finish();
        assert_eq!(*sum.bounds, [2.0, 6.0]);
        assert_eq!(sum.positive.counts, [3.0, 9.0, 9.0]);
        assert_eq!(
            total.add(&exponential(0, 0, &[1.0]), 1.0),
            Err(Incompatible)
        );
    }

    #[test]
    fn a_mean_survives_counts_that_do_not_fit() {
        let big = exponential(0, 0, &[f64::MAX / 2.0]);
        let mut mean = Mean::of(&big);
        for _ in 0..4 {
            mean.add(&big).expect("the same kind");
        }
        assert!((mean.finish().count / big.count - 1.0).abs() < 1e-15);
    }
}
