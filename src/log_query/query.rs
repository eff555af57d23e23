//! The checked form of a query: what the parser makes and what stores read.

use model::Level;
use regex::bytes::Regex;

/// A query that has been parsed and checked.
#[derive(Debug, Clone)]
pub struct Query {
    /// Which lines are wanted.
    pub filter: Filter,
}

/// A condition on one line.
#[derive(Debug, Clone)]
pub enum Filter {
    /// Every line.
    All,
    /// All of these hold.
    And(Vec<Filter>),
    /// At least one of these holds.
    Or(Vec<Filter>),
    /// This does not hold.
    Not(Box<Filter>),
    /// The word occurs in the text, in any case, as a whole word: what stands before and after it
    /// is not a letter, digit or underscore (a word that itself begins or ends with another
    /// character needs no such border on that side). Never empty.
    Word(String),
    /// As [`Filter::Word`], but the word in the text may go on: `time*`.
    Prefix(String),
    /// The phrase occurs in the text, in any case, whole words at both ends. Never empty.
    Phrase(String),
    /// The regular expression matches somewhere in the text.
    Regex(Regex),
    /// The line's level lies in this range, both ends included: `level:error..`.
    Level(Level, Level),
    /// A field of the line or a label of its stream satisfies a test.
    Field {
        /// The full name after short names (`ns`, `pod`, `app`) have been resolved.
        name: String,
        /// What its value must be.
        test: FieldTest,
    },
}

/// A condition on a field's value. Labels of the stream come before fields in the text.
#[derive(Debug, Clone)]
pub enum FieldTest {
    /// `field:*`: it is there and not empty.
    Exists,
    /// `field:value`: equal in any case.
    Equal(String),
    /// `field:val*`: begins so, in any case.
    Prefix(String),
    /// `field:/regex/`: matches somewhere.
    Regex(Regex),
    /// `field:>=500`, `field:10..20`: a number (or a number with a unit: `1.5s`, `20KiB`) within
    /// these bounds. A value that is no number does not satisfy it.
    Range(Bound, Bound),
}

/// One end of a range of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// No end on this side.
    Open,
    /// The number itself counts.
    Included(f64),
    /// The number itself does not count.
    Excluded(f64),
}

/// A query that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at character {}", .position + 1)]
pub struct QueryError {
    /// What is wrong and what to write instead.
    pub message: String,
    /// Where, in characters from the start of the query, beginning with 0.
    pub position: usize,
    /// A query that would work and that is probably meant, where one is known.
    pub suggestion: Option<String>,
}
