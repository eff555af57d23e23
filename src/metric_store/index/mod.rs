//! Which series does a selection mean? Label sets by id, and posting lists from each
//! (name, value) pair to the ids that carry it.
//!
//! Strings are interned ([`symbols`]), a label set is a list of pair ids in order of names, and a
//! pair's series are a small sorted vector or a roaring bitmap ([`postings`]). [`select`] answers
//! matchers. Ids are given out in ascending order and never again; they are what journals and
//! pages call a series. The index lives in memory and is rebuilt at start from the catalogue; it
//! knows nothing of samples and files.

mod literals;
pub(crate) mod postings;
mod select;
mod symbols;

use std::cmp::Ordering;
use std::hash::Hasher;

use hashbrown::HashTable;
use model::{Label, Labels};
use roaring::RoaringBitmap;
use rustc_hash::{FxHashMap, FxHasher};

use postings::Postings;
use symbols::Symbols;

/// A label set's number.
pub(crate) type SeriesId = u32;

/// One (name, value) pair, both as symbols.
#[derive(Debug)]
struct Pair {
    name: u32,
    value: u32,
    postings: Postings,
}

/// Where a series' pair ids lie in the arena.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    length: u32,
}

/// Label sets and their posting lists.
#[derive(Debug, Default)]
pub(crate) struct Index {
    symbols: Symbols,
    pairs: Vec<Pair>,
    pair_ids: HashTable<u32>,
    /// Name symbol → its pairs.
    names: FxHashMap<u32, Vec<u32>>,
    /// Pair ids of all series, one after the other.
    arena: Vec<u32>,
    spans: FxHashMap<SeriesId, Span>,
    ids: HashTable<SeriesId>,
    all: RoaringBitmap,
    next_id: SeriesId,
}

impl Index {
    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The ids of all series.
    pub(crate) fn all(&self) -> &RoaringBitmap {
        &self.all
    }

    /// The id that the next new series gets.
    pub(crate) fn next_id(&self) -> SeriesId {
        self.next_id
    }

    /// Makes sure that ids up to this one are not given to new series.
    pub(crate) fn skip_to(&mut self, next_id: SeriesId) {
        self.next_id = self.next_id.max(next_id);
    }

    /// Whether there is a series of this id.
    pub(crate) fn contains(&self, id: SeriesId) -> bool {
        self.spans.contains_key(&id)
    }

    /// The id of a label set.
    pub(crate) fn find(&self, labels: &Labels) -> Option<SeriesId> {
        let mut pairs = Vec::with_capacity(labels.len());
        for label in labels {
            let name = self.symbols.find(&label.name)?;
            let value = self.symbols.find(&label.value)?;
            pairs.push(self.pair(name, value)?);
        }
        self.find_pairs(&pairs)
    }

    fn find_pairs(&self, pairs: &[u32]) -> Option<SeriesId> {
        self.ids
            .find(hash_pairs(pairs), |id| self.pair_list(*id) == pairs)
            .copied()
    }

    fn pair(&self, name: u32, value: u32) -> Option<u32> {
        self.pair_ids
            .find(hash_pairs(&[name, value]), |i| {
                self.pairs
                    .get(*i as usize)
                    .is_some_and(|p| p.name == name && p.value == value)
            })
            .copied()
    }

    fn pair_list(&self, id: SeriesId) -> &[u32] {
        let Span { start, length } = self.spans.get(&id).copied().unwrap_or_default();
        self.arena
            .get(start as usize..(start + length) as usize)
            .unwrap_or_default()
    }

    /// Adds a label set under an id that the caller has made sure is free. A set that is there
    /// already keeps its old id.
    pub(crate) fn insert(&mut self, id: SeriesId, labels: &Labels) {
        let mut pairs = Vec::with_capacity(labels.len());
        for label in labels {
            let name = self.symbols.intern(&label.name);
            let value = self.symbols.intern(&label.value);
            pairs.push(self.intern_pair(name, value));
        }
        if self.find_pairs(&pairs).is_some() || self.contains(id) {
            return;
        }
        self.spans.insert(
            id,
            Span {
                start: self.arena.len() as u32,
                length: pairs.len() as u32,
            },
        );
        self.arena.extend_from_slice(&pairs);
        for pair in &pairs {
            if let Some(pair) = self.pairs.get_mut(*pair as usize) {
                pair.postings.insert(id);
            }
        }
        let (spans, arena) = (&self.spans, &self.arena);
        self.ids.insert_unique(hash_pairs(&pairs), id, |id| {
            let span = spans.get(id).copied().unwrap_or_default();
            let list = arena.get(span.start as usize..(span.start + span.length) as usize);
            hash_pairs(list.unwrap_or_default())
        });
        self.all.insert(id);
        self.next_id = self.next_id.max(id + 1);
    }

    fn intern_pair(&mut self, name: u32, value: u32) -> u32 {
        if let Some(pair) = self.pair(name, value) {
            return pair;
        }
        let id = self.pairs.len() as u32;
        self.pairs.push(Pair {
            name,
            value,
            postings: Postings::default(),
        });
        let pairs = &self.pairs;
        self.pair_ids
            .insert_unique(hash_pairs(&[name, value]), id, |i| {
                pairs
                    .get(*i as usize)
                    .map_or(0, |p| hash_pairs(&[p.name, p.value]))
            });
        self.names.entry(name).or_default().push(id);
        id
    }

    /// The labels of a series; none where there is no such series.
    pub(crate) fn labels(&self, id: SeriesId) -> Labels {
        let pairs = self.pair_list(id);
        // Room for all at once: a query asks this of every series that it reads.
        let mut list = Vec::with_capacity(pairs.len());
        list.extend(pairs.iter().filter_map(|pair| {
            let pair = self.pairs.get(*pair as usize)?;
            Some(Label {
                name: self.symbols.get(pair.name)?.clone(),
                value: self.symbols.get(pair.value)?.clone(),
            })
        }));
        Labels::from_sorted(list)
    }

    /// Compares two series by their labels.
    pub(crate) fn compare(&self, a: SeriesId, b: SeriesId) -> Ordering {
        self.compare_pairs(self.pair_list(a), self.pair_list(b))
    }

    /// The series of a set in order of labels.
    pub(crate) fn sorted(&self, series: &RoaringBitmap) -> Vec<SeriesId> {
        // Their lists are looked for once, not with each comparison.
        let mut lists: Vec<(SeriesId, &[u32])> =
            series.iter().map(|id| (id, self.pair_list(id))).collect();
        lists.sort_by(|(_, a), (_, b)| self.compare_pairs(a, b));
        lists.into_iter().map(|(id, _)| id).collect()
    }

    fn compare_pairs(&self, left: &[u32], right: &[u32]) -> Ordering {
        // Fast path: equal pairs have equal ids, so strings are compared once at most.
        let difference = left.iter().zip(right).find(|(l, r)| l != r);
        let Some((l, r)) = difference else {
            return left.len().cmp(&right.len());
        };
        let text = |pair: u32| {
            let pair = self.pairs.get(pair as usize)?;
            Some((self.symbols.get(pair.name)?, self.symbols.get(pair.value)?))
        };
        text(*l).cmp(&text(*r))
    }

    /// Copies series from another index, with their ids. Building a new index of the living and
    /// dropping the old one is how series are removed: their symbols and pairs go with them.
    pub(crate) fn copy_from(&mut self, other: &Self, series: &[SeriesId]) {
        for id in series.iter().filter(|id| other.contains(**id)) {
            self.insert(*id, &other.labels(*id));
        }
    }

    /// Estimated bytes of memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        let postings: usize = self.pairs.iter().map(|p| p.postings.memory_bytes()).sum();
        self.symbols.memory_bytes()
            + postings
            + self.pairs.capacity() * size_of::<Pair>()
            + self.arena.capacity() * 4
            + self.spans.capacity() * 14
            + (self.ids.capacity() + self.pair_ids.capacity()) * 5
            + self.all.serialized_size()
    }
}

fn hash_pairs(pairs: &[u32]) -> u64 {
    let mut hasher = FxHasher::default();
    for pair in pairs {
        hasher.write_u32(*pair);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn the_same_labels_are_the_same_series() {
        let mut index = Index::default();
        let a = labels(&[("__name__", "up"), ("job", "a")]);
        let b = labels(&[("__name__", "up"), ("job", "b")]);
        index.insert(0, &a);
        index.insert(1, &b);
        index.insert(2, &a);
        assert_eq!(index.len(), 2);
        assert_eq!((index.find(&a), index.find(&b)), (Some(0), Some(1)));
        assert_eq!(index.find(&Labels::empty()), None);
        assert_eq!(index.labels(1), b);
        assert_eq!(index.compare(0, 1), Ordering::Less);
        assert_eq!(index.next_id(), 2);
    }

    #[test]
    fn order_is_the_order_of_labels() {
        let sets = [
            labels(&[("__name__", "a"), ("z", "1")]),
            labels(&[("__name__", "a")]),
            labels(&[("__name__", "a"), ("b", "2")]),
            labels(&[("A", "x"), ("__name__", "z")]),
            labels(&[("__name__", "b")]),
        ];
        let mut index = Index::default();
        for (id, set) in sets.iter().enumerate() {
            index.insert(id as u32, set);
        }
        for (i, a) in sets.iter().enumerate() {
            for (j, b) in sets.iter().enumerate() {
                assert_eq!(index.compare(i as u32, j as u32), a.cmp(b), "{a} and {b}");
            }
        }
    }

    #[test]
    fn copying_keeps_ids_and_forgets_words() {
        let mut index = Index::default();
        for id in 0..10u32 {
            index.insert(
                id,
                &labels(&[("__name__", "m"), ("pod", &format!("p{id}"))]),
            );
        }
        let mut reduced = Index::default();
        reduced.copy_from(&index, &[3, 7, 99]);
        reduced.skip_to(index.next_id());
        assert_eq!(reduced.len(), 2);
        assert_eq!(reduced.labels(7), index.labels(7));
        assert_eq!(reduced.find(&index.labels(3)), Some(3));
        assert_eq!(reduced.find(&index.labels(4)), None);
        assert_eq!(reduced.next_id(), 10);
        assert!(reduced.memory_bytes() < index.memory_bytes());
    }
}
