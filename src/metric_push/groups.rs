//! All groups in memory: what they hold, and whether another one fits beside them.
//!
//! Three things must hold over all groups, since a scrape finds them on one page: a name has one
//! type, a series is there once, and nobody has the name of a part of a histogram.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use metric_scrape::exposition::family::{Family, FamilyKind};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::GroupKey;

/// How their series end.
const PARTS: [&str; 3] = ["_bucket", "_count", "_sum"];
/// Types that make several series of one metric.
const PARTED: [FamilyKind; 3] = [
    FamilyKind::Histogram,
    FamilyKind::GaugeHistogram,
    FamilyKind::Summary,
];

/// A group as it is kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub(crate) pushed_ms: i64,
    pub(crate) failed_ms: i64,
    pub(crate) families: BTreeMap<String, Kept>,
}

/// A family as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) pushed_ms: i64,
    pub(crate) kind: FamilyKind,
    pub(crate) message: Arc<[u8]>,
    /// A hash of name and labels for each metric.
    series: Vec<u64>,
}

impl Kept {
    pub(crate) fn new(family: &Family, pushed_ms: i64) -> Self {
        let metrics = family.metrics.iter();
        Self {
            pushed_ms,
            kind: family.kind,
            message: family.message().into(),
            series: metrics.map(|m| hash(&family.name, &m.labels)).collect(),
        }
    }

    /// Bytes that it takes.
    fn bytes(&self) -> usize {
        self.message.len() + 8 * self.series.len()
    }
}

fn hash(name: &str, labels: &[(String, String)]) -> u64 {
    let part = |hash, text: &str| xxh3_64_with_seed(text.as_bytes(), hash);
    let mut hash = part(labels.len() as u64, name);
    // An empty label is none.
    for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        hash = part(part(hash, name), value);
    }
    hash
}

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub(crate) by_key: BTreeMap<GroupKey, Group>,
    /// Bytes of all their families.
    pub(crate) bytes: usize,
    /// Type of each name, and how many groups have it.
    kinds: HashMap<String, (FamilyKind, usize)>,
    /// Every series.
    series: HashSet<u64>,
}

impl Group {
    pub(crate) fn bytes(&self) -> usize {
        self.families.values().map(Kept::bytes).sum()
    }
}

impl Groups {
    pub(crate) fn insert(&mut self, key: GroupKey, group: Group) {
        self.bytes += group.bytes();
        for (name, kept) in &group.families {
            let (_, n) = self.kinds.entry(name.clone()).or_insert((kept.kind, 0));
            *n += 1;
            self.series.extend(&kept.series);
        }
        self.by_key.insert(key, group);
    }

    pub(crate) fn remove(&mut self, key: &GroupKey) {
        let Some(group) = self.by_key.remove(key) else {
            return;
        };
        self.bytes -= group.bytes();
        for (name, kept) in &group.families {
            if let Some((_, n)) = self.kinds.get_mut(name) {
                *n -= 1;
                if *n == 0 {
                    self.kinds.remove(name);
                }
            }
            for series in &kept.series {
                self.series.remove(series);
            }
        }
    }

    /// Says why a group could not stand beside the others.
    pub(crate) fn check(&self, key: &GroupKey, group: &Group) -> Result<(), String> {
        let before = self.by_key.get(key);
        for (name, kept) in &group.families {
            let of_before = before.and_then(|before| before.families.get(name));
            if let Some((kind, n)) = self.kinds.get(name)
                && *kind != kept.kind
                && *n > usize::from(of_before.is_some())
            {
                return Err(format!(
                    "{name:?} is pushed as {}, another group has it as {}: give it another name, or delete that group",
                    kept.kind.as_str().to_lowercase(),
                    kind.as_str().to_lowercase()
                ));
            }
            let kind_of = |name: &str| {
                let beside = group.families.get(name).map(|kept| kept.kind);
                beside.or_else(|| self.kinds.get(name).map(|(kind, _)| *kind))
            };
            // What a histogram or a summary makes of its name must be free.
            for suffix in PARTS {
                let part = format!("{name}{suffix}");
                let clash = if PARTED.contains(&kept.kind) && kind_of(&part).is_some() {
                    Some((&*part, &**name))
                } else {
                    let whole = name.strip_suffix(suffix);
                    let whole = whole.filter(|w| kind_of(w).is_some_and(|k| PARTED.contains(&k)));
                    whole.map(|whole| (&**name, whole))
                };
                if let Some((part, whole)) = clash {
                    return Err(format!(
                        "{part:?} is also what the histogram or summary {whole:?} calls a part of itself"
                    ));
                }
            }
            let mut own = HashSet::with_capacity(kept.series.len());
            let of_before: HashSet<u64> = of_before
                .map(|kept| kept.series.iter().copied().collect())
                .unwrap_or_default();
            for series in &kept.series {
                if !own.insert(*series) {
                    return Err(format!(
                        "a metric of {name:?} is there twice, with the labels of the group put in"
                    ));
                }
                if self.series.contains(series) && !of_before.contains(series) {
                    return Err(format!(
                        "a metric of {name:?} is in another group already, with the same labels"
                    ));
                }
            }
        }
        Ok(())
    }
}
