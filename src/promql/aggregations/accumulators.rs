//! The running states of aggregations: one entry per step of a group.

use crate::column::{ABSENT, is_absent, is_present};
use crate::kahan::{Kahan, Mean};

/// The state of one group.
pub(super) trait Accumulator: Send {
    /// Memory per step, in numbers.
    const SLOTS: usize;

    /// A group without series.
    fn new(steps: usize) -> Self;

    /// Adds a series.
    fn add(&mut self, column: &[f64]);

    /// Adds a group.
    fn merge(&mut self, other: Self);

    /// The group's value at every step.
    fn finish(self) -> Vec<f64>;
}

/// Adds every present value of a column to the state of its step.
fn each<S>(states: &mut [S], column: &[f64], mut add: impl FnMut(&mut S, f64)) {
    for (state, value) in states.iter_mut().zip(column) {
        if is_present(*value) {
            add(state, *value);
        }
    }
}

/// `sum`
pub(super) struct Sum(Vec<Kahan>);

impl Accumulator for Sum {
    const SLOTS: usize = 2;

    fn new(steps: usize) -> Self {
        Self(vec![Kahan::new(ABSENT); steps])
    }

    fn add(&mut self, column: &[f64]) {
        each(&mut self.0, column, |sum, value| {
            if is_absent(sum.sum) {
                *sum = Kahan::new(value);
            } else {
                sum.add(value);
            }
        });
    }

    fn merge(&mut self, other: Self) {
        for (sum, other) in self.0.iter_mut().zip(other.0) {
            if is_absent(sum.sum) {
                *sum = other;
            } else if is_present(other.sum) {
                sum.merge(other);
            }
        }
    }

    fn finish(self) -> Vec<f64> {
        let total = |sum: Kahan| {
            if is_absent(sum.sum) {
                ABSENT
            } else {
                sum.total()
            }
        };
        self.0.into_iter().map(total).collect()
    }
}

/// `avg`
pub(super) struct Avg(Vec<Mean>);

impl Accumulator for Avg {
    const SLOTS: usize = 4;

    fn new(steps: usize) -> Self {
        Self(vec![Mean::default(); steps])
    }

    fn add(&mut self, column: &[f64]) {
        each(&mut self.0, column, Mean::add);
    }

    fn merge(&mut self, other: Self) {
        for (mean, other) in self.0.iter_mut().zip(other.0) {
            mean.merge(other);
        }
    }

    fn finish(self) -> Vec<f64> {
        let value = |mean: Mean| {
            if mean.count() == 0.0 {
                ABSENT
            } else {
                mean.mean()
            }
        };
        self.0.into_iter().map(value).collect()
    }
}

/// An aggregation that keeps one of two values: `min` and `max`.
macro_rules! keeps_one {
    ($name:ident, $doc:literal, $beats:expr) => {
        #[doc = $doc]
        pub(super) struct $name(Vec<f64>);

        impl Accumulator for $name {
            const SLOTS: usize = 1;

            fn new(steps: usize) -> Self {
                Self(vec![ABSENT; steps])
            }

            fn add(&mut self, column: &[f64]) {
                let beats: fn(f64, f64) -> bool = $beats;
                each(&mut self.0, column, |best, value| {
                    // NaN stays only where there is nothing else; so does absence.
                    if best.is_nan() || beats(value, *best) {
                        *best = value;
                    }
                });
            }

            fn merge(&mut self, other: Self) {
                self.add(&other.0);
            }

            fn finish(self) -> Vec<f64> {
                self.0
            }
        }
    };
}

keeps_one!(Min, "`min`", |value, best| value < best);
keeps_one!(Max, "`max`", |value, best| value > best);

/// `count`
pub(super) struct Count(Vec<f64>);

impl Accumulator for Count {
    const SLOTS: usize = 1;

    fn new(steps: usize) -> Self {
        Self(vec![0.0; steps])
    }

    fn add(&mut self, column: &[f64]) {
        each(&mut self.0, column, |count, _| *count += 1.0);
    }

    fn merge(&mut self, other: Self) {
        for (count, other) in self.0.iter_mut().zip(other.0) {
            *count += other;
        }
    }

    fn finish(self) -> Vec<f64> {
        let value = |count| if count == 0.0 { ABSENT } else { count };
        self.0.into_iter().map(value).collect()
    }
}

/// `group`
pub(super) struct Group(Vec<f64>);

impl Accumulator for Group {
    const SLOTS: usize = 1;

    fn new(steps: usize) -> Self {
        Self(vec![ABSENT; steps])
    }

    fn add(&mut self, column: &[f64]) {
        each(&mut self.0, column, |group, _| *group = 1.0);
    }

    fn merge(&mut self, other: Self) {
        self.add(&other.0);
    }

    fn finish(self) -> Vec<f64> {
        self.0
    }
}

/// Count, mean and sum of squared distances from it, by Welford's method.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.mean = value;
            // A distance from infinity is no number.
            self.squares = if value.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    /// Chan's formula for two parts.
    fn merge(&mut self, other: Self) {
        if self.count == 0.0 {
            *self = other;
        } else if other.count > 0.0 {
            let count = self.count + other.count;
            let delta = other.mean - self.mean;
            self.mean += delta * other.count / count;
            self.squares += other.squares + delta * delta * self.count * other.count / count;
            self.count = count;
        }
    }

    fn variance(self) -> f64 {
        if self.count == 0.0 {
            ABSENT
        } else {
            self.squares / self.count
        }
    }
}

/// `stdvar`
pub(super) struct Stdvar(Vec<Moments>);

impl Accumulator for Stdvar {
    const SLOTS: usize = 3;

    fn new(steps: usize) -> Self {
        Self(vec![Moments::default(); steps])
    }

    fn add(&mut self, column: &[f64]) {
        each(&mut self.0, column, Moments::add);
    }

    fn merge(&mut self, other: Self) {
        for (moments, other) in self.0.iter_mut().zip(other.0) {
            moments.merge(other);
        }
    }

    fn finish(self) -> Vec<f64> {
        self.0.into_iter().map(Moments::variance).collect()
    }
}

/// `stddev`
pub(super) struct Stddev(Stdvar);

impl Accumulator for Stddev {
    const SLOTS: usize = Stdvar::SLOTS;

    fn new(steps: usize) -> Self {
        Self(Stdvar::new(steps))
    }

    fn add(&mut self, column: &[f64]) {
        self.0.add(column);
    }

    fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    fn finish(self) -> Vec<f64> {
        let root = |variance: f64| {
            if is_absent(variance) {
                ABSENT
            } else {
                variance.sqrt()
            }
        };
        self.0.finish().into_iter().map(root).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adding all series to one group, or to two that are merged, must come to the same.
    fn check<A: Accumulator>(expected: [f64; 3]) {
        let columns = [
            [1.0, ABSENT, 5.0],
            [2.0, ABSENT, f64::NAN],
            [6.0, ABSENT, ABSENT],
            [7.0, ABSENT, 3.0],
        ];
        let mut whole = A::new(3);
        for column in &columns {
            whole.add(column);
        }
        let (mut left, mut right) = (A::new(3), A::new(3));
        for (i, column) in columns.iter().enumerate() {
            let half = if i < 2 { &mut left } else { &mut right };
            half.add(column);
        }
        left.merge(right);
        for result in [whole.finish(), left.finish()] {
            for (value, expected) in result.iter().zip(expected) {
                let both_nan = value.is_nan() && expected.is_nan();
                assert_eq!(is_absent(*value), is_absent(expected), "{result:?}");
                assert!(both_nan || (value - expected).abs() < 1e-14, "{result:?}");
            }
        }
    }

    #[test]
    fn groups_can_be_split_and_merged() {
        check::<Sum>([16.0, ABSENT, f64::NAN]);
        check::<Avg>([4.0, ABSENT, f64::NAN]);
        check::<Min>([1.0, ABSENT, 3.0]);
        check::<Max>([7.0, ABSENT, 5.0]);
        check::<Count>([4.0, ABSENT, 3.0]);
        check::<Group>([1.0, ABSENT, 1.0]);
        check::<Stdvar>([6.5, ABSENT, f64::NAN]);
        check::<Stddev>([6.5f64.sqrt(), ABSENT, f64::NAN]);
    }
}
