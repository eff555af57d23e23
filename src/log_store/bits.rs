//! Sets of small numbers: rows of a block, blocks of a partition.

/// A set of the numbers below `n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bits {
    /// Bits at and beyond `n` are always clear.
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
        let mut set = Self {
            bits: vec![u64::MAX; n.div_ceil(64)],
            n,
        };
        set.clear_tail();
        set
    }

    fn clear_tail(&mut self) {
        if !self.n.is_multiple_of(64)
            && let Some(last) = self.bits.last_mut()
        {
            *last &= (1 << (self.n % 64)) - 1;
        }
    }

    pub(crate) fn insert(&mut self, number: usize) {
        debug_assert!(number < self.n);
        if let Some(word) = self.bits.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    pub(crate) fn contains(&self, number: usize) -> bool {
        self.bits
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

    /// Takes out what is in another set.
    pub(crate) fn subtract(&mut self, other: &Self) {
        for (a, b) in self.bits.iter_mut().zip(&other.bits) {
            *a &= !b;
        }
    }

    /// The numbers below `n` that are not in it.
    pub(crate) fn complement(&self) -> Self {
        let mut set = Self {
            bits: self.bits.iter().map(|word| !word).collect(),
            n: self.n,
        };
        set.clear_tail();
        set
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bits.iter().all(|word| *word == 0)
    }

    /// How many numbers are in it.
    pub(crate) fn count(&self) -> usize {
        self.bits
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Its numbers in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.bits.iter().enumerate().flat_map(|(i, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    i * 64 + bit
                })
            })
        })
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
        assert_eq!(c.count(), 5);
        assert_eq!(c.complement().count(), 125);
        assert_eq!(c.complement().complement(), c);
        assert_eq!(Bits::none(64).complement(), Bits::all(64));
        c.subtract(&a);
        assert_eq!(c.iter().collect::<Vec<_>>(), [5]);
    }
}
