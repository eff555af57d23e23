//! The series of one pair: most pairs have a handful, a few have nearly all.

use roaring::RoaringBitmap;

use super::SeriesId;

/// Up to so many ids are kept as a sorted vector; a roaring bitmap of few ids costs more.
const SMALL_MAX: usize = 64;

/// A set of series.
#[derive(Debug)]
pub(crate) enum Postings {
    /// Ascending.
    Small(Vec<SeriesId>),
    /// Many.
    Large(RoaringBitmap),
}

impl Default for Postings {
    fn default() -> Self {
        Self::Small(Vec::new())
    }
}

impl Postings {
    pub(crate) fn insert(&mut self, id: SeriesId) {
        match self {
            Self::Small(ids) => {
                if let Err(at) = ids.binary_search(&id) {
                    if ids.len() == ids.capacity() {
                        // Most pairs stay at one or two series: doubling from four wastes half.
                        ids.reserve_exact((ids.len() / 2).max(1));
                    }
                    ids.insert(at, id);
                    if ids.len() > SMALL_MAX {
                        *self = Self::Large(ids.iter().copied().collect());
                    }
                }
            }
            Self::Large(ids) => {
                ids.insert(id);
            }
        }
    }

    pub(crate) fn add_to(&self, union: &mut RoaringBitmap) {
        match self {
            Self::Small(ids) => union.extend(ids.iter().copied()),
            Self::Large(ids) => *union |= ids,
        }
    }

    pub(crate) fn intersects(&self, set: &RoaringBitmap) -> bool {
        match self {
            Self::Small(ids) => ids.iter().any(|id| set.contains(*id)),
            Self::Large(ids) => !ids.is_disjoint(set),
        }
    }

    /// How many of them are in the set.
    pub(crate) fn count_in(&self, set: &RoaringBitmap) -> u64 {
        match self {
            Self::Small(ids) => ids.iter().filter(|id| set.contains(**id)).count() as u64,
            Self::Large(ids) => ids.intersection_len(set),
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Self::Small(ids) => ids.capacity() * 4,
            Self::Large(ids) => ids.serialized_size(),
        }
    }
}
