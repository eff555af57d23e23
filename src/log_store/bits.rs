//! Sets of small numbers: rows of a block, blocks of a partition.

/// A set of the numbers below `n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bits {
    bits: Vec<u64>,
    n: usize,
}

impl Bits {
    pub(crate) fn none(n: usize) -> Self {
        Self {
            bits: vec![0; n.div_ceil(64)],
            n,
        }
    }

    pub(crate) fn all(n: usize) -> Self {
        let mut set = Self::none(n);
        (0..n).for_each(|number| set.insert(number));
        set
    }

    pub(crate) fn insert(&mut self, number: usize) {
        if let Some(word) = self.bits.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    pub(crate) fn contains(&self, number: usize) -> bool {
        number < self.n
            && self
                .bits
                .get(number / 64)
                .is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(crate) fn intersect(&mut self, other: &Self) {
        for (a, b) in self.bits.iter_mut().zip(&other.bits) {
            *a &= b;
        }
    }

    pub(crate) fn unite(&mut self, other: &Self) {
        for (a, b) in self.bits.iter_mut().zip(&other.bits) {
            *a |= b;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bits.iter().all(|word| *word == 0)
    }

    /// Its numbers in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        (0..self.n).filter(|number| self.contains(*number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_behave_like_sets() {
        let mut a = Bits::none(130);
        for n in [0, 63, 64, 129] {
            a.insert(n);
        }
        let mut b = Bits::all(130);
        b.intersect(&a);
        assert_eq!(a, b);
        assert_eq!(a.iter().collect::<Vec<_>>(), [0, 63, 64, 129]);
        assert!(!a.contains(1) && !a.contains(130) && a.contains(129));
        let mut c = Bits::none(130);
        assert!(c.is_empty());
        c.insert(5);
        c.unite(&a);
        assert_eq!(c.iter().count(), 5);
    }
}
