//! Quantiles and numbers of different values in bounded memory: exact up to a bound, then
//! estimates that say how good they are.

use std::collections::{BTreeMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

/// Quantiles of so many values are exact.
pub const QUANTILE_EXACT_MAX: usize = 1024;

/// Beyond that a quantile lies within this part of the true value: the width of a bucket.
pub const QUANTILE_ERROR: f64 = 0.005;

/// Buckets of a sketch: values between 1 and 10^17 times as large as the smallest.
const BUCKETS_MAX: usize = 4096;

/// So many different values are counted exactly.
pub const DISTINCT_EXACT_MAX: usize = 16_384;

/// Registers of the estimate beyond, 2^14: its standard error is 0.8 %.
const REGISTER_BITS: u32 = 14;

/// How good the estimate of different values is, as a part.
pub const DISTINCT_ERROR: f64 = 0.008;

/// The values of a group, as far as quantiles need them.
#[derive(Debug, Clone)]
pub(crate) enum Quantiles {
    Exact(Vec<f64>),
    Buckets(Box<Buckets>),
}

/// Values by the power of [`Buckets::gamma`] that they lie below.
#[derive(Debug, Clone)]
pub(crate) struct Buckets {
    negative: BTreeMap<i32, u64>,
    zero: u64,
    positive: BTreeMap<i32, u64>,
    count: u64,
    min: f64,
    max: f64,
}

impl Quantiles {
    pub(crate) fn new() -> Self {
        Self::Exact(Vec::new())
    }

    /// Adds a value so many times; says by how many bytes it has grown.
    pub(crate) fn add(&mut self, value: f64, count: u64) -> usize {
        match self {
            Self::Exact(values) if values.len() as u64 + count <= QUANTILE_EXACT_MAX as u64 => {
                values.extend(std::iter::repeat_n(value, count as usize));
                count as usize * size_of::<f64>()
            }
            Self::Exact(_) => {
                let grown = self.buckets().add(value, count);
                grown + size_of::<Buckets>()
            }
            Self::Buckets(buckets) => buckets.add(value, count),
        }
    }

    fn buckets(&mut self) -> &mut Buckets {
        if let Self::Exact(values) = self {
            let mut buckets = Buckets::new();
            for value in values.iter() {
                buckets.add(*value, 1);
            }
            *self = Self::Buckets(Box::new(buckets));
        }
        match self {
            Self::Buckets(buckets) => buckets,
            Self::Exact(_) => unreachable!("made buckets just above"),
        }
    }

    pub(crate) fn merge(&mut self, other: Self) -> usize {
        match other {
            Self::Exact(values) => values.into_iter().map(|value| self.add(value, 1)).sum(),
            Self::Buckets(other) => self.buckets().merge(&other),
        }
    }

    pub(crate) fn is_exact(&self) -> bool {
        matches!(self, Self::Exact(_))
    }

    /// The value at a quantile, between neighbours in proportion; `None` without values.
    pub(crate) fn at(&self, q: f64) -> Option<f64> {
        match self {
            Self::Exact(values) => {
                let mut values = values.clone();
                values.sort_by(f64::total_cmp);
                let rank = q * values.len().checked_sub(1)? as f64;
                let low = values.get(rank.floor() as usize)?;
                let high = values.get(rank.ceil() as usize)?;
                Some(low + (high - low) * rank.fract())
            }
            Self::Buckets(buckets) => Some(buckets.at(q)),
        }
    }
}

impl Buckets {
    fn new() -> Self {
        Self {
            negative: BTreeMap::new(),
            zero: 0,
            positive: BTreeMap::new(),
            count: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    fn gamma() -> f64 {
        (1.0 + QUANTILE_ERROR) / (1.0 - QUANTILE_ERROR)
    }

    fn add(&mut self, value: f64, count: u64) -> usize {
        self.count += count;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let before = self.negative.len() + self.positive.len();
        if value == 0.0 {
            self.zero += count;
            return 0;
        }
        let key = (value.abs().ln() / Self::gamma().ln()).ceil() as i32;
        let side = if value > 0.0 {
            &mut self.positive
        } else {
            &mut self.negative
        };
        *side.entry(key).or_default() += count;
        if side.len() > BUCKETS_MAX
            && let Some((_, smallest)) = side.pop_first()
        {
            self.zero += smallest;
        }
        let after = self.negative.len() + self.positive.len();
        // An entry of a tree of maps: key, count and its share of a node.
        after.saturating_sub(before) * 24
    }

    fn merge(&mut self, other: &Self) -> usize {
        let before = self.negative.len() + self.positive.len();
        for (mine, theirs) in [
            (&mut self.negative, &other.negative),
            (&mut self.positive, &other.positive),
        ] {
            for (key, count) in theirs {
                *mine.entry(*key).or_default() += count;
            }
            while mine.len() > BUCKETS_MAX {
                self.zero += mine.pop_first().map_or(0, |(_, count)| count);
            }
        }
        self.zero += other.zero;
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        (self.negative.len() + self.positive.len()).saturating_sub(before) * 24
    }

    fn at(&self, q: f64) -> f64 {
        let rank = q * self.count.saturating_sub(1) as f64;
        let middle = |key: i32| 2.0 * Self::gamma().powi(key) / (Self::gamma() + 1.0);
        let negative = self.negative.iter().rev().map(|(k, n)| (-middle(*k), *n));
        let positive = self.positive.iter().map(|(k, n)| (middle(*k), *n));
        let mut below = 0;
        for (value, count) in negative.chain([(0.0, self.zero)]).chain(positive) {
            below += count;
            if below as f64 > rank {
                return value.clamp(self.min, self.max);
            }
        }
        self.max
    }
}

/// Different values.
#[derive(Debug, Clone)]
pub(crate) enum Distinct {
    /// Their 64-bit hashes: two of a million values share one with a chance of 1 in 40 million.
    Exact(HashSet<u64>),
    /// The longest run of zeros that was seen in each part of the hashes (`HyperLogLog`).
    Estimate(Box<[u8]>),
}

impl Distinct {
    pub(crate) fn new() -> Self {
        Self::Exact(HashSet::new())
    }

    /// Adds a value; says by how many bytes it has grown.
    pub(crate) fn add(&mut self, value: &[u8]) -> usize {
        self.add_hash(xxh3_64(value))
    }

    fn add_hash(&mut self, hash: u64) -> usize {
        match self {
            Self::Exact(hashes) if hashes.len() < DISTINCT_EXACT_MAX || hashes.contains(&hash) => {
                usize::from(hashes.insert(hash)) * 2 * size_of::<u64>()
            }
            Self::Exact(_) => {
                register(self.registers(), hash);
                0
            }
            Self::Estimate(registers) => {
                register(registers, hash);
                0
            }
        }
    }

    fn registers(&mut self) -> &mut [u8] {
        if let Self::Exact(hashes) = self {
            let mut registers = vec![0u8; 1 << REGISTER_BITS].into_boxed_slice();
            for hash in hashes.iter() {
                register(&mut registers, *hash);
            }
            *self = Self::Estimate(registers);
        }
        match self {
            Self::Estimate(registers) => registers,
            Self::Exact(_) => unreachable!("made registers just above"),
        }
    }

    pub(crate) fn merge(&mut self, other: Self) -> usize {
        match other {
            Self::Exact(hashes) => hashes.into_iter().map(|hash| self.add_hash(hash)).sum(),
            Self::Estimate(theirs) => {
                for (mine, theirs) in self.registers().iter_mut().zip(&theirs) {
                    *mine = (*mine).max(*theirs);
                }
                0
            }
        }
    }

    pub(crate) fn is_exact(&self) -> bool {
        matches!(self, Self::Exact(_))
    }

    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Exact(hashes) => hashes.len() as u64,
            Self::Estimate(registers) => {
                let m = registers.len() as f64;
                let sum: f64 = registers.iter().map(|r| 0.5f64.powi(i32::from(*r))).sum();
                // More than [`DISTINCT_EXACT_MAX`] values: the corrections for few do not matter
                // but for the range right above, where linear counting is better.
                let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
                let empty = memchr::memchr_iter(0, registers).count() as f64;
                let count = if raw <= 2.5 * m && empty > 0.0 {
                    m * (m / empty).ln()
                } else {
                    raw
                };
                count.round() as u64
            }
        }
    }
}

fn register(registers: &mut [u8], hash: u64) {
    let index = (hash >> (64 - REGISTER_BITS)) as usize;
    let zeros = ((hash << REGISTER_BITS).leading_zeros() as u8).min(64 - REGISTER_BITS as u8) + 1;
    if let Some(register) = registers.get_mut(index) {
        *register = (*register).max(zeros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_have_exact_quantiles() {
        let mut values = Quantiles::new();
        for value in [4.0, 1.0, 3.0, 2.0] {
            values.add(value, 1);
        }
        assert_eq!(values.at(0.5), Some(2.5));
        assert_eq!(values.at(0.0), Some(1.0));
        assert_eq!(values.at(1.0), Some(4.0));
        assert_eq!(Quantiles::new().at(0.5), None);
    }

    #[test]
    fn many_values_have_good_quantiles() {
        let (mut one, mut other) = (Quantiles::new(), Quantiles::new());
        for i in -500..20_000 {
            let half = if i % 2 == 0 { &mut one } else { &mut other };
            half.add(f64::from(i), 1);
        }
        one.merge(other);
        assert!(!one.is_exact());
        for q in [0.0, 0.01, 0.5, 0.9, 0.99, 1.0] {
            let exact = -500.0 + q * 20_499.0;
            let found = one.at(q).expect("values");
            assert!(
                (found - exact).abs() <= QUANTILE_ERROR * exact.abs() + 1.0,
                "{q}: {found} for {exact}"
            );
        }
    }

    #[test]
    fn different_values_are_counted_exactly_and_then_well() {
        let (mut one, mut other) = (Distinct::new(), Distinct::new());
        for i in 0..DISTINCT_EXACT_MAX {
            one.add(&i.to_le_bytes());
            one.add(&i.to_le_bytes());
        }
        assert_eq!(one.count(), DISTINCT_EXACT_MAX as u64);
        assert!(one.is_exact());
        for i in 0..100_000usize {
            other.add(&i.to_le_bytes());
        }
        one.merge(other);
        assert!(!one.is_exact());
        let off = (one.count() as f64 / 100_000.0 - 1.0).abs();
        assert!(off < 4.0 * DISTINCT_ERROR, "{off}");
    }
}
