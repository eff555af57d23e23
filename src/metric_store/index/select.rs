//! Matchers against the posting lists.

use model::{MatchOp, Matcher};
use roaring::RoaringBitmap;

use super::literals::words;
use super::postings::Postings;
use super::{Index, Pair};

/// The values that a matcher names outright.
enum Named {
    /// Exactly these.
    Values(Vec<String>),
    /// Only asking each value tells.
    Ask,
}

fn named(matcher: &Matcher) -> Named {
    match matcher.op {
        MatchOp::Equal | MatchOp::NotEqual => Named::Values(vec![matcher.value.to_string()]),
        MatchOp::Regex | MatchOp::NotRegex => {
            words(&matcher.value).map_or(Named::Ask, Named::Values)
        }
    }
}

impl Index {
    /// The series that satisfy every matcher; all of them where there is no matcher.
    pub(crate) fn matching(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let mut found: Option<RoaringBitmap> = None;
        let mut excluded = RoaringBitmap::new();
        // Equality first: it is cheap and usually leaves little.
        let mut ordered: Vec<&Matcher> = matchers.iter().collect();
        ordered.sort_by_key(|m| m.op != MatchOp::Equal);
        for matcher in ordered {
            if matcher.matches_empty() {
                // A series without the label satisfies it: take away those that have the label
                // with a value that does not.
                self.union(matcher, false, &mut excluded);
                continue;
            }
            let mut union = RoaringBitmap::new();
            self.union(matcher, true, &mut union);
            let rest = match found {
                None => union,
                Some(found) => found & union,
            };
            if rest.is_empty() {
                return rest;
            }
            found = Some(rest);
        }
        found.unwrap_or_else(|| self.all.clone()) - excluded
    }

    /// Adds the series that have the matcher's label with a value for which the matcher says
    /// `wanted`.
    fn union(&self, matcher: &Matcher, wanted: bool, union: &mut RoaringBitmap) {
        let Some(name) = self.symbols.find(&matcher.name) else {
            return;
        };
        let positive = matches!(matcher.op, MatchOp::Equal | MatchOp::Regex);
        // The values named are those for which a positive matcher says yes, a negative one no.
        if let (true, Named::Values(values)) = (positive == wanted, named(matcher)) {
            for value in values {
                let pair = self.symbols.find(&value).and_then(|v| self.pair(name, v));
                if let Some(pair) = pair.and_then(|p| self.pairs.get(p as usize)) {
                    pair.postings.add_to(union);
                }
            }
            return;
        }
        for (pair, value) in self.pairs_of(name) {
            if matcher.matches(value) == wanted {
                pair.postings.add_to(union);
            }
        }
    }

    fn pairs_of(&self, name: u32) -> impl Iterator<Item = (&Pair, &str)> {
        let ids = self.names.get(&name).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| {
            let pair = self.pairs.get(*id as usize)?;
            Some((pair, &**self.symbols.get(pair.value)?))
        })
    }

    /// Hands over each label with its values and their series.
    pub(crate) fn each_label(
        &self,
        mut take: impl FnMut(&str, &mut dyn Iterator<Item = (&str, &Postings)>),
    ) {
        for name in self.names.keys() {
            if let Some(text) = self.symbols.get(*name) {
                let mut values = self
                    .pairs_of(*name)
                    .map(|(pair, value)| (value, &pair.postings));
                take(text, &mut values);
            }
        }
    }

    /// Names of all labels that series of the set have, sorted.
    pub(crate) fn label_names(&self, series: &RoaringBitmap) -> Vec<String> {
        let mut names: Vec<String> = self
            .names
            .keys()
            .filter(|name| {
                self.pairs_of(**name)
                    .any(|(pair, _)| pair.postings.intersects(series))
            })
            .filter_map(|name| Some(self.symbols.get(*name)?.to_string()))
            .collect();
        names.sort_unstable();
        names
    }

    /// Values that a label has on series of the set, sorted.
    pub(crate) fn label_values(&self, name: &str, series: &RoaringBitmap) -> Vec<String> {
        let Some(name) = self.symbols.find(name) else {
            return Vec::new();
        };
        let mut values: Vec<String> = self
            .pairs_of(name)
            .filter(|(pair, _)| pair.postings.intersects(series))
            .map(|(_, value)| value.to_owned())
            .collect();
        values.sort_unstable();
        values
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;

    fn index() -> Index {
        let mut index = Index::default();
        for id in 0..200u32 {
            let mut pairs = vec![
                (
                    "__name__",
                    if id % 2 == 0 { "even" } else { "odd" }.to_owned(),
                ),
                ("n", id.to_string()),
            ];
            if id % 5 == 0 {
                pairs.push(("five", "yes".to_owned()));
            }
            index.insert(id, &Labels::from_pairs(pairs));
        }
        index
    }

    #[test]
    fn the_index_agrees_with_asking_every_series() {
        let index = index();
        let operators = [
            MatchOp::Equal,
            MatchOp::NotEqual,
            MatchOp::Regex,
            MatchOp::NotRegex,
        ];
        let names = ["__name__", "n", "five", "absent"];
        let values = [
            "", "even", "7", "1.*", "7|8|even", "|yes", "(1|2)", ".+", ".*", "y.s",
        ];
        let mut checked = 0;
        for op in operators {
            for name in names {
                for value in values {
                    let one = Matcher::new(name, op, value).expect("a valid pattern");
                    let two = Matcher::equal("__name__", "odd");
                    for matchers in [vec![one.clone()], vec![one.clone(), two]] {
                        let asked: RoaringBitmap = index
                            .all()
                            .iter()
                            .filter(|id| {
                                let labels = index.labels(*id);
                                matchers.iter().all(|m| m.matches_labels(&labels))
                            })
                            .collect();
                        assert_eq!(index.matching(&matchers), asked, "{matchers:?}");
                        checked += 1;
                    }
                }
            }
        }
        assert_eq!(checked, 320);
    }

    #[test]
    fn names_and_values_are_those_of_the_set() {
        let index = index();
        let set = RoaringBitmap::from_iter([1u32, 2]);
        assert_eq!(index.label_names(&set), ["__name__", "n"]);
        assert_eq!(index.label_values("n", &set), ["1", "2"]);
        assert_eq!(index.label_values("five", index.all()), ["yes"]);
        assert!(index.label_values("absent", index.all()).is_empty());
    }
}
