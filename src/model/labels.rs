//! Label sets: what names a series, a stream, a target and an alert.

use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

/// The label that carries a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// One name and value. Strings are shared: a store interns them and hands out clones.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// Name, any non-empty UTF-8.
    pub name: Arc<str>,
    /// Value, non-empty (a label with an empty value is a label that is not there).
    pub value: Arc<str>,
}

/// An immutable set of labels, sorted by name, each name once, no empty values. Cheap to clone.
///
/// The order of two sets is the order of their (name, value) pairs, as in Prometheus.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[Label]>);

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        Self(Arc::from([]))
    }

    /// Builds a set from pairs in any order. Of a name that comes twice the last value counts;
    /// empty values are left out.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<Arc<str>>,
        V: Into<Arc<str>>,
    {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name, value);
        }
        builder.build()
    }

    /// Takes labels that are already sorted by name, unique and non-empty (checked in debug
    /// builds): the fast path of stores.
    pub fn from_sorted(labels: Vec<Label>) -> Self {
        debug_assert!(labels.windows(2).all(|w| w[0].name < w[1].name));
        debug_assert!(labels.iter().all(|l| !l.value.is_empty()));
        Self(labels.into())
    }

    /// Returns the value of a label, or `None` where the set does not have it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_shared(name).map(|value| &**value)
    }

    /// Like [`Labels::get`], as the shared string.
    pub fn get_shared(&self, name: &str) -> Option<&Arc<str>> {
        // Sets are small (about ten labels): a scan beats a binary search.
        self.0.iter().find(|l| &*l.name == name).map(|l| &l.value)
    }

    /// The metric's name, where there is one.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// The labels in order of name.
    pub fn iter(&self) -> std::slice::Iter<'_, Label> {
        self.0.iter()
    }

    /// How many labels the set has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the set has no labels.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A builder that starts with these labels.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder {
            labels: self.0.to_vec(),
        }
    }

    /// The set reduced to the labels for which `keep` says yes.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|l| keep(&l.name)).cloned().collect())
    }

    /// A 64-bit fingerprint that is stable across processes and versions (xxh3 over names and
    /// values with separators): fit for keys on disk and in links.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Xxh3::new();
        for label in self {
            hash.update(label.name.as_bytes());
            hash.update(&[0xff]);
            hash.update(label.value.as_bytes());
            hash.update(&[0xff]);
        }
        hash.digest()
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = &'a Label;
    type IntoIter = std::slice::Iter<'a, Label>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?}", self.name, self.value)
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes `name{a="b", c="d"}` as Prometheus shows series.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        if let Some(name) = name {
            f.write_str(name)?;
        }
        let mut rest = self.iter().filter(|l| &*l.name != METRIC_NAME).peekable();
        if rest.peek().is_none() && name.is_some() {
            return Ok(());
        }
        f.write_str("{")?;
        for (i, label) in rest.enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{}={:?}", label.name, label.value)?;
        }
        f.write_str("}")
    }
}

/// Builds or changes a label set.
#[derive(Debug, Clone, Default)]
pub struct LabelsBuilder {
    labels: Vec<Label>,
}

impl LabelsBuilder {
    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> &mut Self {
        let (name, value) = (name.into(), value.into());
        if value.is_empty() {
            return self.remove(&name);
        }
        match self.labels.iter_mut().find(|l| l.name == name) {
            Some(label) => label.value = value,
            None => self.labels.push(Label { name, value }),
        }
        self
    }

    /// Removes a label where it is there.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.labels.retain(|l| &*l.name != name);
        self
    }

    /// The value set so far.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|l| &*l.name == name)
            .map(|l| &*l.value)
    }

    /// The finished set.
    pub fn build(mut self) -> Labels {
        self.labels.retain(|l| !l.value.is_empty());
        self.labels.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Labels(self.labels.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_deduplicates_and_drops_empty_values() {
        let labels = Labels::from_pairs([("b", "1"), ("a", "2"), ("b", "3"), ("c", "")]);
        assert_eq!(labels.to_string(), r#"{a="2", b="3"}"#);
    }

    #[test]
    fn shows_series_like_prometheus() {
        let check = |pairs: &[(&str, &str)], expected: &str| {
            assert_eq!(
                Labels::from_pairs(pairs.iter().copied()).to_string(),
                expected
            );
        };
        check(&[], "{}");
        check(&[("__name__", "up")], "up");
        check(&[("job", "n"), ("__name__", "up")], r#"up{job="n"}"#);
        check(&[("path", "a\"b\\")], r#"{path="a\"b\\"}"#);
    }

    #[test]
    fn fingerprints_tell_sets_apart() {
        let a = Labels::from_pairs([("a", "bc")]);
        let b = Labels::from_pairs([("ab", "c")]);
        assert_ne!(a.fingerprint(), b.fingerprint());
        assert_eq!(a.fingerprint(), a.to_builder().build().fingerprint());
    }
}
