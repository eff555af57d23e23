//! What is known of the rows of a block with regard to a condition: those that satisfy it for sure
//! and those that may. Only what lies between the two has to be looked at line by line.

use crate::bits::Bits;

/// Two sets of rows, the first within the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) sure: Bits,
    pub(crate) maybe: Bits,
}

impl Verdict {
    /// No row satisfies it.
    pub(crate) fn none(n: usize) -> Self {
        Self::exactly(Bits::none(n))
    }

    /// Every row satisfies it.
    pub(crate) fn all(n: usize) -> Self {
        Self::exactly(Bits::all(n))
    }

    /// These rows satisfy it, and no others.
    pub(crate) fn exactly(rows: Bits) -> Self {
        Self {
            maybe: rows.clone(),
            sure: rows,
        }
    }

    /// Adds a row, for sure or perhaps.
    pub(super) fn add(&mut self, row: usize, is_sure: bool) {
        if is_sure {
            self.sure.insert(row);
        }
        self.maybe.insert(row);
    }

    /// Both conditions.
    pub(crate) fn and(&mut self, other: &Self) {
        self.sure.intersect(&other.sure);
        self.maybe.intersect(&other.maybe);
    }

    /// Either condition.
    pub(crate) fn or(&mut self, other: &Self) {
        self.sure.unite(&other.sure);
        self.maybe.unite(&other.maybe);
    }

    /// The opposite condition.
    pub(crate) fn not(self) -> Self {
        Self {
            sure: self.maybe.complement(),
            maybe: self.sure.complement(),
        }
    }

    /// The rows that have to be looked at.
    pub(crate) fn open(&self) -> Bits {
        let mut open = self.maybe.clone();
        open.subtract(&self.sure);
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_joined_without_saying_too_much() {
        let rows = |rows: &[usize]| {
            let mut bits = Bits::none(4);
            for row in rows {
                bits.insert(*row);
            }
            bits
        };
        let a = Verdict {
            sure: rows(&[0]),
            maybe: rows(&[0, 1]),
        };
        let not = a.clone().not();
        assert_eq!(not.sure, rows(&[2, 3]));
        assert_eq!(not.maybe, rows(&[1, 2, 3]));
        assert_eq!(not.open(), rows(&[1]));
        let mut both = a.clone();
        both.and(&not);
        assert_eq!(both.sure, rows(&[]));
        assert_eq!(both.maybe, rows(&[1]));
        let mut either = a;
        either.or(&not);
        assert_eq!(either.sure, rows(&[0, 2, 3]));
        assert_eq!(either.maybe, rows(&[0, 1, 2, 3]));
    }
}
