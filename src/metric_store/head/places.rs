//! Where does a series live? Usually in one slot of one target.

use model::TargetId;
use rustc_hash::FxHashMap;

use crate::index::SeriesId;

/// A slot of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) target: TargetId,
    pub(crate) slot: u32,
}

#[derive(Debug)]
enum Of {
    One(Place),
    /// Ascending, so that readers merge targets in the same order as sealing does. Boxed: the
    /// rare case must not widen the usual one.
    #[allow(
        clippy::box_collection,
        reason = "a pointer is as wide as a place, a vector thrice"
    )]
    Many(Box<Vec<Place>>),
}

impl Of {
    fn as_slice(&self) -> &[Place] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Many(places) => places,
        }
    }
}

/// Series → its places.
#[derive(Debug, Default)]
pub(crate) struct Places {
    of: FxHashMap<SeriesId, Of>,
}

impl Places {
    pub(crate) fn len(&self) -> usize {
        self.of.len()
    }

    pub(crate) fn series(&self) -> impl Iterator<Item = SeriesId> {
        self.of.keys().copied()
    }

    pub(crate) fn get(&self, series: SeriesId) -> &[Place] {
        self.of.get(&series).map(Of::as_slice).unwrap_or_default()
    }

    pub(crate) fn contains(&self, series: SeriesId) -> bool {
        self.of.contains_key(&series)
    }

    pub(crate) fn insert(&mut self, series: SeriesId, place: Place) {
        match self.of.get_mut(&series) {
            None => {
                self.of.insert(series, Of::One(place));
            }
            Some(Of::Many(places)) => {
                if let Err(at) = places.binary_search(&place) {
                    places.insert(at, place);
                }
            }
            Some(of) => {
                if let Of::One(first) = *of
                    && first != place
                {
                    *of = Of::Many(Box::new(vec![first.min(place), first.max(place)]));
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, series: SeriesId, place: Place) {
        let Some(of) = self.of.get_mut(&series) else {
            return;
        };
        let rest = match of {
            Of::One(one) => usize::from(*one != place),
            Of::Many(places) => {
                places.retain(|p| *p != place);
                places.len()
            }
        };
        if rest == 0 {
            self.of.remove(&series);
        }
    }

    /// Gives memory back after many have left.
    pub(crate) fn shrink(&mut self) {
        if self.of.capacity() > 4 * self.of.len() + 1024 {
            self.of.shrink_to_fit();
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.of.capacity() * (size_of::<(SeriesId, Of)>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_may_live_in_several_targets() {
        let place = |target, slot| Place {
            target: TargetId(target),
            slot,
        };
        let mut places = Places::default();
        places.insert(7, place(1, 0));
        places.insert(7, place(1, 0));
        assert_eq!(places.get(7), [place(1, 0)]);
        places.insert(7, place(2, 5));
        assert_eq!(places.get(7), [place(1, 0), place(2, 5)]);
        places.remove(7, place(1, 0));
        assert_eq!(places.get(7), [place(2, 5)]);
        places.remove(7, place(2, 5));
        assert_eq!((places.len(), places.contains(7)), (0, false));
    }
}
