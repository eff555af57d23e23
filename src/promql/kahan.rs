//! Sums that do not lose small numbers beside large ones (Kahan's, in Neumaier's form), where
//! Prometheus uses them too: the results would differ otherwise.

/// A sum with what rounding took from it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kahan {
    /// The plain sum.
    pub(crate) sum: f64,
    /// What has to be added to it in the end.
    pub(crate) carry: f64,
}

impl Kahan {
    /// A sum that begins with a number.
    pub(crate) fn new(sum: f64) -> Self {
        Self { sum, carry: 0.0 }
    }

    /// Adds a number.
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        // Choices, not branches: which of them is larger cannot be foreseen.
        let (large, small) = if self.sum.abs() >= value.abs() {
            (self.sum, value)
        } else {
            (value, self.sum)
        };
        let carry = self.carry + ((large - total) + small);
        self.carry = if total.is_infinite() { 0.0 } else { carry };
        self.sum = total;
    }

    /// Adds another sum.
    pub(crate) fn merge(&mut self, other: Self) {
        self.add(other.sum);
        if !self.sum.is_infinite() {
            self.carry += other.carry;
        }
    }

    /// The result.
    pub(crate) fn total(self) -> f64 {
        if self.sum.is_infinite() {
            self.sum
        } else {
            self.sum + self.carry
        }
    }
}

/// An average that is a plain sum and a count as long as the sum fits, and a running mean after.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mean {
    kahan: Kahan,
    count: f64,
    /// Whether `kahan` holds the mean instead of the sum.
    running: bool,
}

impl Mean {
    /// Adds a number.
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.kahan = Kahan::new(value);
            return;
        }
        if !self.running {
            let mut sum = self.kahan;
            sum.add(value);
            if !sum.sum.is_infinite() {
                self.kahan = sum;
                return;
            }
            self.count -= 1.0;
            self.run_mean();
            self.count += 1.0;
        }
        let share = (self.count - 1.0) / self.count;
        self.kahan.sum *= share;
        self.kahan.carry *= share;
        self.kahan.add(value / self.count);
    }

    /// Adds another average.
    pub(crate) fn merge(&mut self, mut other: Self) {
        if other.count == 0.0 {
            return;
        }
        if self.count == 0.0 {
            *self = other;
            return;
        }
        if !self.running && !other.running {
            let mut sum = self.kahan;
            sum.merge(other.kahan);
            if !sum.sum.is_infinite() {
                self.kahan = sum;
                self.count += other.count;
                return;
            }
        }
        self.run_mean();
        other.run_mean();
        let count = self.count + other.count;
        for (mean, share) in [
            (&mut self.kahan, self.count),
            (&mut other.kahan, other.count),
        ] {
            mean.sum *= share / count;
            mean.carry *= share / count;
        }
        self.kahan.merge(other.kahan);
        self.count = count;
    }

    fn run_mean(&mut self) {
        if !self.running {
            self.running = true;
            self.kahan.sum /= self.count;
            self.kahan.carry /= self.count;
        }
    }

    /// How many numbers there were.
    pub(crate) fn count(self) -> f64 {
        self.count
    }

    /// The average of at least one number.
    pub(crate) fn mean(self) -> f64 {
        if self.running {
            self.kahan.total()
        } else if self.kahan.sum.is_infinite() {
            self.kahan.sum
        } else {
            self.kahan.sum / self.count + self.kahan.carry / self.count
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_that_cancel_leave_the_small_ones() {
        let mut sum = Kahan::default();
        for value in [1.0, 1e100, 1.0, -1e100] {
            sum.add(value);
        }
        assert_eq!(sum.total(), 2.0);
    }

    #[test]
    fn a_mean_survives_a_sum_that_does_not_fit() {
        let big = f64::MAX / 2.0;
        let mut mean = Mean::default();
        for _ in 0..5 {
            mean.add(big);
        }
        assert!((mean.mean() / big - 1.0).abs() < 1e-15);
        let mut halves = [Mean::default(); 2];
        for i in 0..6 {
            halves[i % 2].add(big);
        }
        let [mut left, right] = halves;
        left.merge(right);
        assert!((left.mean() / big - 1.0).abs() < 1e-15);
    }
}
