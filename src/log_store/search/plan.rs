//! Which blocks may hold lines that satisfy a filter, as far as index and block table can tell.
//!
//! A [`Need`] follows from a filter and the labels of a stream. It never rules out a line that
//! `Filter::matches` accepts; where it is [exact](Need::is_exact), it accepts no other either, and
//! no line has to be looked at. Within a block the [`Condition`] decides.

use std::sync::Arc;

use log_query::{FieldTest, Filter, LEVEL, MESSAGE};
use model::{Labels, Level, StreamId};
use rustc_hash::FxHashMap;

use super::condition::Condition;
use super::literals::{Clause, required};
use crate::bits::Bits;
use crate::block::time_text::is_word_byte;
use crate::index::BlockIndex;
use crate::table::BlockMeta;
use crate::tokens::{self, Lookup, Marker, Word};

/// All levels, a bit each.
pub(crate) const ALL_LEVELS: u8 = 0x7f;

/// Fewer letters at the end of a regular expression's text begin too many words to look them all up.
const OPEN_WORD_BYTES_MIN: usize = 4;

/// What a line must have.
#[derive(Debug, Clone)]
pub(crate) enum Need {
    /// One of these levels, a bit each. All levels: nothing at all. None: no line will do.
    Levels(u8),
    /// All of these words.
    Words(Vec<Lookup>),
    /// All of these words, unless a backslash somewhere in the line writes them differently.
    FieldWords(Vec<Lookup>),
    All(Vec<Need>),
    Any(Vec<Need>),
}

impl Need {
    const ANYTHING: Self = Self::Levels(ALL_LEVELS);
    const NOTHING: Self = Self::Levels(0);

    /// What the filter needs of lines of a stream with these labels.
    pub(crate) fn of(filter: &Filter, labels: &Labels) -> Self {
        match filter {
            Filter::All => Self::ANYTHING,
            Filter::And(all) => Self::all(all.iter().map(|f| Self::of(f, labels)).collect()),
            Filter::Or(any) => Self::any(any.iter().map(|f| Self::of(f, labels)).collect()),
            Filter::Not(filter) => {
                let need = Self::of(filter, labels);
                need.complement().unwrap_or(Self::ANYTHING_INEXACT)
            }
            Filter::Word(needle) | Filter::Phrase(needle) => {
                Self::Words(needed(needle.as_str(), false))
            }
            Filter::Prefix(needle) => Self::Words(needed(needle.as_str(), true)),
            Filter::Regex(regex) => Self::inexact(
                required(regex)
                    .clauses
                    .iter()
                    .map(Self::of_clause)
                    .collect(),
            ),
            Filter::Level(from, to) => Self::levels(|level| (*from..=*to).contains(&level)),
            Filter::Label(matcher) if matcher.matches_labels(labels) => Self::ANYTHING,
            Filter::Label(_) => Self::NOTHING,
            Filter::Field { name, test } => Self::of_field(name, test, labels),
        }
    }

    /// Anything may satisfy it, and every line has to be compared.
    const ANYTHING_INEXACT: Self = Self::Words(Vec::new());

    /// What a clause of a regular expression needs: words that it holds whole.
    fn of_clause(clause: &Clause) -> Self {
        let needs = clause.texts.iter().map(|text| {
            let inner = std::str::from_utf8(text).ok().map(without_first_run);
            Self::Words(inner.map(words_of_text).unwrap_or_default())
        });
        Self::any(needs.collect())
    }

    /// All of these, and lines have to be looked at even if they need nothing.
    fn inexact(mut needs: Vec<Self>) -> Self {
        needs.push(Self::ANYTHING_INEXACT);
        Self::all(needs)
    }

    fn levels(wanted: impl Fn(Level) -> bool) -> Self {
        let bits = Level::ALL.iter().filter(|level| wanted(**level));
        Self::Levels(bits.fold(0, |mask, level| mask | 1 << *level as u8))
    }

    fn of_field(name: &str, test: &FieldTest, labels: &Labels) -> Self {
        if name == LEVEL {
            return Self::levels(|level| test.matches(level.as_str()));
        }
        if let Some(value) = labels.get(name) {
            return if test.matches(value) {
                Self::ANYTHING
            } else {
                Self::NOTHING
            };
        }
        let mut words = match test {
            FieldTest::Equal(value) => needed(value, false),
            FieldTest::Prefix(start) => needed(start, true),
            // Whether what it ends with may go on is not told: the weaker need is right for both.
            FieldTest::Contains(needle) => needed(needle.as_str(), true),
            FieldTest::Exists | FieldTest::Regex(_) | FieldTest::Range(..) => Vec::new(),
        };
        // The sentence has no name in a text without fields.
        if name != MESSAGE {
            words.extend(needed(name, false));
        }
        Self::FieldWords(words)
    }

    fn all(needs: Vec<Self>) -> Self {
        let mut levels = ALL_LEVELS;
        let mut rest = Vec::new();
        for need in needs {
            match need {
                Self::Levels(mask) => levels &= mask,
                Self::All(inner) => rest.extend(inner),
                other => rest.push(other),
            }
        }
        if levels == 0 || rest.is_empty() {
            return Self::Levels(levels);
        }
        if levels != ALL_LEVELS {
            rest.push(Self::Levels(levels));
        }
        Self::All(rest)
    }

    fn any(needs: Vec<Self>) -> Self {
        let mut levels = 0;
        let mut rest = Vec::new();
        for need in needs {
            match need {
                Self::Levels(mask) => levels |= mask,
                other => rest.push(other),
            }
        }
        if levels == ALL_LEVELS || rest.is_empty() {
            return Self::Levels(levels);
        }
        if levels != 0 {
            rest.push(Self::Levels(levels));
        }
        Self::Any(rest)
    }

    /// The opposite, where that is known exactly. What consists of levels only has become one
    /// mask above.
    fn complement(&self) -> Option<Self> {
        match self {
            Self::Levels(mask) => Some(Self::Levels(!mask & ALL_LEVELS)),
            _ => None,
        }
    }

    /// Whether lines that have it satisfy the filter without being compared; then the levels.
    pub(crate) fn is_exact(&self) -> Option<u8> {
        match self {
            Self::Levels(mask) => Some(*mask),
            _ => None,
        }
    }

    /// Whether no line will do.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Levels(0))
    }

    /// The blocks of a partition that may hold such lines.
    pub(crate) fn blocks(
        &self,
        index: Option<&BlockIndex>,
        table: &[BlockMeta],
    ) -> tantivy::Result<Bits> {
        let n = table.len();
        Ok(match self {
            Self::Levels(ALL_LEVELS) => Bits::all(n),
            Self::Levels(mask) => {
                let mut found = Bits::none(n);
                for (i, block) in table.iter().enumerate() {
                    if block.levels & mask != 0 {
                        found.insert(i);
                    }
                }
                found
            }
            Self::Words(words) => blocks_with(words, index, n)?,
            Self::FieldWords(words) => {
                let mut found = blocks_with(words, index, n)?;
                if let Some(index) = index {
                    found.unite(&index.with_marker(Marker::Escapes)?);
                }
                found
            }
            Self::All(needs) => {
                let mut found = Bits::all(n);
                for need in needs {
                    found.intersect(&need.blocks(index, table)?);
                }
                found
            }
            Self::Any(needs) => {
                let mut found = Bits::none(n);
                for need in needs {
                    found.unite(&need.blocks(index, table)?);
                }
                found
            }
        })
    }
}

fn needed(text: &str, open_end: bool) -> Vec<Lookup> {
    let words = tokens::words(text, open_end);
    words.iter().map(Word::lookup).collect()
}

/// What to look up for a text that may go on at its end.
fn words_of_text(text: &str) -> Vec<Lookup> {
    let tail = text
        .bytes()
        .rev()
        .take_while(|byte| is_word_byte(*byte))
        .count();
    if tail >= OPEN_WORD_BYTES_MIN {
        return needed(text, true);
    }
    needed(text.get(..text.len() - tail).unwrap_or_default(), false)
}

/// A text without the word that may have begun before it.
fn without_first_run(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii() && is_word_byte(c as u8))
}

fn blocks_with(words: &[Lookup], index: Option<&BlockIndex>, n: usize) -> tantivy::Result<Bits> {
    let mut found = Bits::all(n);
    let Some(index) = index else {
        return Ok(found);
    };
    for word in words {
        if *word == Lookup::Nothing {
            continue;
        }
        if found.is_empty() {
            break;
        }
        found.intersect(&index.blocks_with(word)?);
    }
    Ok(found)
}

/// The needs of a filter for all streams of a search. Streams on whose labels the filter decides
/// alike share one, so that the index is asked once for all of them.
pub(crate) struct Plan<'a> {
    filter: &'a Filter,
    by_stream: FxHashMap<StreamId, (usize, Labels)>,
    by_outcome: FxHashMap<Vec<bool>, usize>,
    needs: Vec<(Arc<Need>, Arc<Condition>)>,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(filter: &'a Filter) -> Self {
        Self {
            filter,
            by_stream: FxHashMap::default(),
            by_outcome: FxHashMap::default(),
            needs: Vec::new(),
        }
    }

    /// Prepares a stream.
    pub(crate) fn add_stream(&mut self, id: StreamId, labels: &Labels) {
        if self.by_stream.contains_key(&id) {
            return;
        }
        let mut outcome = Vec::new();
        label_outcomes(self.filter, labels, &mut outcome);
        let number = *self.by_outcome.entry(outcome).or_insert_with(|| {
            let need = Need::of(self.filter, labels);
            let condition = Condition::of(self.filter, labels);
            self.needs.push((Arc::new(need), Arc::new(condition)));
            self.needs.len() - 1
        });
        self.by_stream.insert(id, (number, labels.clone()));
    }

    pub(crate) fn has_stream(&self, id: StreamId) -> bool {
        self.by_stream.contains_key(&id)
    }

    /// What is known of a prepared stream.
    pub(crate) fn stream(&self, id: StreamId) -> Option<OfStream<'_>> {
        let (number, labels) = self.by_stream.get(&id)?;
        let (need, condition) = self.needs.get(*number)?;
        Some(OfStream {
            number: *number,
            need,
            condition,
            labels,
        })
    }
}

/// What a plan holds for a stream.
#[derive(Clone, Copy)]
pub(crate) struct OfStream<'a> {
    /// The number of its need and condition: streams with the same number share them.
    pub(crate) number: usize,
    pub(crate) need: &'a Need,
    pub(crate) condition: &'a Condition,
    pub(crate) labels: &'a Labels,
}

/// What the labels decide, test by test: "there and right", "there", in the filter's order.
fn label_outcomes(filter: &Filter, labels: &Labels, out: &mut Vec<bool>) {
    match filter {
        Filter::And(inner) | Filter::Or(inner) => {
            for filter in inner {
                label_outcomes(filter, labels, out);
            }
        }
        Filter::Not(inner) => label_outcomes(inner, labels, out),
        Filter::Label(matcher) => out.push(matcher.matches_labels(labels)),
        Filter::Field { name, test } if name != LEVEL => {
            let value = labels.get(name);
            out.push(value.is_some());
            out.push(value.is_some_and(|value| test.matches(value)));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log_query::Query;

    fn need(query: &str) -> Need {
        let labels = Labels::from_pairs([("namespace", "shop")]);
        Need::of(&Query::parse(query).expect(query).filter, &labels)
    }

    #[test]
    fn label_matchers_are_decided_exactly() {
        let labels = Labels::from_pairs([("namespace", "shop")]);
        let check = |name: &str, value: &str, expected| {
            let filter = Filter::Label(model::Matcher::equal(name, value));
            assert_eq!(
                Need::of(&filter, &labels).is_exact(),
                expected,
                "{name}={value}"
            );
        };
        check("namespace", "shop", Some(ALL_LEVELS));
        check("namespace", "other", Some(0));
        check("pod", "", Some(ALL_LEVELS));
        check("pod", "x", Some(0));
    }

    #[test]
    fn labels_and_levels_are_decided_exactly() {
        let check = |query: &str, expected: Option<u8>| {
            assert_eq!(need(query).is_exact(), expected, "{query}");
        };
        check("", Some(ALL_LEVELS));
        check("ns:shop", Some(ALL_LEVELS));
        check("ns:other", Some(0));
        check("-ns:other", Some(ALL_LEVELS));
        check("level:error", Some(1 << 5));
        check("-level:error ns:shop", Some(ALL_LEVELS & !(1 << 5)));
        check("level:error or level:warn", Some(1 << 5 | 1 << 4));
        check("timeout ns:other", Some(0));
        check("timeout", None);
        check("-timeout", None);
        check("-/x/", None);
        check("status:500", None);
    }
}
