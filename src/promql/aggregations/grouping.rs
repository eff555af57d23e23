//! Which group a series belongs to.

use std::hash::Hasher;
use std::sync::Arc;

use model::{Label, Labels, METRIC_NAME};
use rustc_hash::{FxHashMap, FxHasher};

use crate::syntax::Aggregate;

/// The labels that `by` or `without` leaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grouping<'e> {
    labels: &'e [Arc<str>],
    without: bool,
}

impl<'e> Grouping<'e> {
    /// The grouping of an aggregation.
    pub(super) fn of(node: &'e Aggregate) -> Self {
        Self {
            labels: &node.labels,
            without: node.without,
        }
    }

    fn keeps(&self, name: &str) -> bool {
        let listed = self.labels.iter().any(|label| **label == *name);
        if self.without {
            !listed && name != METRIC_NAME
        } else {
            listed
        }
    }

    /// The labels of a series that name its group.
    fn kept<'l>(&'l self, labels: &'l Labels) -> impl Iterator<Item = &'l Label> {
        labels.iter().filter(|label| self.keeps(&label.name))
    }
}

/// Groups by number, in the order in which they appear.
#[derive(Debug)]
pub(super) struct Groups<'e> {
    grouping: Grouping<'e>,
    /// The last group with a hash; others with the same hash follow by `before`.
    by_hash: FxHashMap<u64, usize>,
    /// Labels of each group, and the group before it with the same hash.
    known: Vec<(Labels, Option<usize>)>,
}

impl<'e> Groups<'e> {
    /// No groups yet.
    pub(super) fn new(grouping: Grouping<'e>) -> Self {
        Self {
            grouping,
            by_hash: FxHashMap::default(),
            known: Vec::new(),
        }
    }

    /// The number of a series' group; a new number is always the next one. A label set is only
    /// made for new groups: most series belong to a group that is there.
    pub(super) fn group_of(&mut self, labels: &Labels) -> usize {
        let mut hasher = FxHasher::default();
        for label in self.grouping.kept(labels) {
            hasher.write(label.name.as_bytes());
            hasher.write_u8(0xff);
            hasher.write(label.value.as_bytes());
            hasher.write_u8(0xff);
        }
        let hash = hasher.finish();
        let newest = self.by_hash.get(&hash).copied();
        let mut candidate = newest;
        while let Some(index) = candidate {
            let (group, before) = &self.known[index];
            if group.iter().eq(self.grouping.kept(labels)) {
                return index;
            }
            candidate = *before;
        }
        let kept = labels.filtered(|name| self.grouping.keeps(name));
        self.known.push((kept, newest));
        self.by_hash.insert(hash, self.known.len() - 1);
        self.known.len() - 1
    }

    /// The labels of all groups, by number.
    pub(super) fn into_labels(self) -> impl ExactSizeIterator<Item = Labels> {
        self.known.into_iter().map(|(labels, _)| labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_run_together_stay_apart() {
        let by: Vec<Arc<str>> = vec!["a".into(), "b".into()];
        let mut groups = Groups::new(Grouping {
            labels: &by,
            without: false,
        });
        let labels = |a: &str, b: &str| {
            Labels::from_pairs([("a", a), ("b", b), ("c", "x"), ("__name__", "m")])
        };
        assert_eq!(groups.group_of(&labels("aa", "bb")), 0);
        assert_eq!(groups.group_of(&labels("a", "abb")), 1);
        assert_eq!(groups.group_of(&labels("aa", "bb")), 0);
        let shown: Vec<String> = groups.into_labels().map(|l| l.to_string()).collect();
        assert_eq!(shown, ["{a=\"aa\", b=\"bb\"}", "{a=\"a\", b=\"abb\"}"]);
    }

    #[test]
    fn without_drops_the_name_too() {
        let without: Vec<Arc<str>> = vec!["c".into()];
        let mut groups = Groups::new(Grouping {
            labels: &without,
            without: true,
        });
        groups.group_of(&Labels::from_pairs([
            ("a", "1"),
            ("c", "x"),
            ("__name__", "m"),
        ]));
        let shown: Vec<String> = groups.into_labels().map(|l| l.to_string()).collect();
        assert_eq!(shown, ["{a=\"1\"}"]);
    }
}
