//! A filter as it is decided on the columns of a block.
//!
//! What the labels of a stream say is settled when the condition is made. [`Condition::decide`]
//! tells the rows that satisfy it for sure and those that may; joined by and, or and not they stay
//! right. What it leaves open is compared line by line by `Filter::matches`, the meaning of it all.

use log_query::{FieldTest, Filter, LEVEL, MESSAGE, Needle, Regex};
use model::{Labels, Level};

use super::literals::{Clause, required};
use super::plan::ALL_LEVELS;
use crate::bits::Bits;
use crate::block::bytes::Corrupt;
use crate::block::decode::Block;
use crate::block::fields::{ABSENT, ASK, Wanted};
use crate::block::sought::Sought;
use crate::block::verdict::Verdict;
use crate::tokens::{self, Word};

/// A condition on the lines of streams with certain labels.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// One of these levels, a bit each.
    Levels(u8),
    /// The text holds this.
    Text(Sought),
    /// The text holds one of each of these; that is all of it where `is_exact`.
    Regex {
        clauses: Vec<Vec<Sought>>,
        is_exact: bool,
    },
    /// A field satisfies a test.
    Field(FieldCondition),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
}

/// A test of a field that is no label.
#[derive(Debug, Clone)]
pub(crate) struct FieldCondition {
    name: String,
    test: FieldTest,
    /// What lines hold that satisfy it, unless a backslash writes it differently.
    words: Vec<Sought>,
}

impl Condition {
    /// What a filter says of the lines of a stream with these labels.
    pub(crate) fn of(filter: &Filter, labels: &Labels) -> Self {
        match filter {
            Filter::All => Self::Levels(ALL_LEVELS),
            Filter::And(all) => Self::All(all.iter().map(|f| Self::of(f, labels)).collect()),
            Filter::Or(any) => Self::Any(any.iter().map(|f| Self::of(f, labels)).collect()),
            Filter::Not(filter) => Self::Not(Box::new(Self::of(filter, labels))),
            Filter::Word(needle) | Filter::Phrase(needle) | Filter::Prefix(needle) => {
                Self::Text(Sought::needle(needle))
            }
            Filter::Regex(regex) => Self::of_regex(regex),
            Filter::Level(from, to) => Self::levels(|level| (*from..=*to).contains(&level)),
            Filter::Label(matcher) => Self::all_or_none(matcher.matches_labels(labels)),
            Filter::Field { name, test } => Self::of_field(name, test, labels),
        }
    }

    fn all_or_none(is_met: bool) -> Self {
        Self::Levels(if is_met { ALL_LEVELS } else { 0 })
    }

    fn levels(wanted: impl Fn(Level) -> bool) -> Self {
        let bits = Level::ALL.iter().filter(|level| wanted(**level));
        Self::Levels(bits.fold(0, |mask, level| mask | 1 << *level as u8))
    }

    fn of_regex(regex: &Regex) -> Self {
        let required = required(regex);
        let mut clauses: Vec<Vec<Sought>> = required.clauses.iter().map(sought_of).collect();
        // Few texts first: what they rule out need not be looked through for the many.
        clauses.sort_by_key(Vec::len);
        Self::Regex {
            clauses,
            is_exact: required.is_exact,
        }
    }

    fn of_field(name: &str, test: &FieldTest, labels: &Labels) -> Self {
        if name == LEVEL {
            return Self::levels(|level| test.matches(level.as_str()));
        }
        if let Some(value) = labels.get(name) {
            return Self::all_or_none(test.matches(value));
        }
        let mut words = match test {
            FieldTest::Equal(value) => whole_words(value, false),
            FieldTest::Prefix(start) => whole_words(start, true),
            // Whether what it ends with may go on is not told: the weaker need is right for both.
            FieldTest::Contains(needle) => whole_words(needle.as_str(), true),
            FieldTest::Exists | FieldTest::Regex(_) | FieldTest::Range(..) => Vec::new(),
        };
        // The sentence has no name in a text without fields.
        if name != MESSAGE {
            words.extend(whole_words(name, false));
        }
        Self::Field(FieldCondition {
            name: name.to_owned(),
            test: test.clone(),
            words,
        })
    }

    /// What is known of the rows of a block, as far as they are among `among` (none: all rows).
    /// `levels` are those that the block has, a bit each.
    pub(crate) fn decide(
        &self,
        block: &mut Block,
        levels: u8,
        among: Option<&Bits>,
    ) -> Result<Verdict, Corrupt> {
        let n = block.len();
        match self {
            Self::Levels(mask) if levels & !mask == 0 => Ok(Verdict::all(n)),
            Self::Levels(mask) if levels & mask == 0 => Ok(Verdict::none(n)),
            Self::Levels(mask) => {
                let mut found = Bits::none(n);
                for (row, level) in block.levels()?.iter().enumerate() {
                    if mask >> level & 1 == 1 {
                        found.insert(row);
                    }
                }
                Ok(Verdict::exactly(found))
            }
            Self::Text(sought) => block.find(sought, among),
            Self::Regex { clauses, is_exact } => {
                let mut verdict = Verdict::all(n);
                for clause in clauses {
                    let mut of_clause = Verdict::none(n);
                    let left = verdict.maybe.clone();
                    for sought in clause {
                        of_clause.or(&block.find(sought, Some(narrower(&left, among)))?);
                    }
                    verdict.and(&of_clause);
                    if verdict.maybe.is_empty() {
                        break;
                    }
                }
                if !is_exact {
                    verdict.sure = Bits::none(n);
                }
                Ok(verdict)
            }
            Self::Field(field) => field.decide(block, among),
            Self::All(all) => {
                let mut verdict = Verdict::all(n);
                for condition in all {
                    if verdict.maybe.is_empty() {
                        break;
                    }
                    let left = verdict.maybe.clone();
                    verdict.and(&condition.decide(block, levels, Some(narrower(&left, among)))?);
                }
                Ok(verdict)
            }
            Self::Any(any) => {
                let mut verdict = Verdict::none(n);
                for condition in any {
                    verdict.or(&condition.decide(block, levels, among)?);
                }
                Ok(verdict)
            }
            Self::Not(condition) => Ok(condition.decide(block, levels, among)?.not()),
        }
    }
}

impl FieldCondition {
    fn decide(&self, block: &mut Block, among: Option<&Bits>) -> Result<Verdict, Corrupt> {
        let n = block.len();
        let rows = among.cloned().unwrap_or_else(|| Bits::all(n));
        let is_message = self.name == MESSAGE;
        let wanted = if is_message {
            Wanted::Message
        } else {
            Wanted::Only(&self.name)
        };
        let column = block.field(wanted, &rows)?;
        let met: Vec<bool> = column.values.iter().map(|v| self.test.matches(v)).collect();
        let mut sure = Bits::none(n);
        let mut left = Bits::none(n);
        for row in rows.iter() {
            match column.numbers.get(row).copied().unwrap_or(ASK) {
                // The whole text is the sentence, or the line has no such field.
                ABSENT if !is_message => {}
                ABSENT | ASK => left.insert(row),
                number => {
                    if met.get(number as usize).copied().unwrap_or_default() {
                        sure.insert(row);
                    }
                }
            }
        }
        // Only now: nearly always columns tell, and the texts need not be looked through.
        if !block.has_escapes() {
            for word in &self.words {
                if left.is_empty() {
                    break;
                }
                let of_word = block.find(word, Some(&left))?;
                left.intersect(&of_word.maybe);
            }
        }
        left.unite(&sure);
        Ok(Verdict { sure, maybe: left })
    }
}

/// The smaller of two sets of rows of which the first lies within the second.
fn narrower<'a>(left: &'a Bits, among: Option<&'a Bits>) -> &'a Bits {
    match among {
        Some(among) if among.count() < left.count() => among,
        _ => left,
    }
}

fn sought_of(clause: &Clause) -> Vec<Sought> {
    let each = clause.texts.iter().filter_map(|text| {
        if clause.any_case {
            std::str::from_utf8(text).ok().and_then(Sought::in_any_case)
        } else {
            Sought::exact(text)
        }
    });
    each.collect()
}

/// The words of a value or name that stand in the line in one piece each. Where a character beyond
/// ASCII stands next to one, it is perhaps no whole word there: such are left out.
fn whole_words(text: &str, open_end: bool) -> Vec<Sought> {
    tokens::words(text, open_end)
        .into_iter()
        .filter_map(|word| match word {
            Word::Run(run) if !run.touches_wide && run.is_open => Needle::prefix(&run.text),
            Word::Run(run) if !run.touches_wide => Needle::whole(&run.text),
            Word::Run(_) | Word::Pair(_) => None,
        })
        .map(|needle| Sought::needle(&needle))
        .collect()
}
