//! The checked form of a query: what the parser makes and what stores read.

use model::{Level, Matcher};
use regex::bytes::Regex;

use crate::needle::Needle;
use crate::plan::Pipe;

/// A query that has been parsed and checked.
#[derive(Debug, Clone)]
pub struct Query {
    /// Which lines are wanted.
    pub filter: Filter,
    /// What is done with them, in this order. A store does not look at them:
    /// [`crate::run`] does what they say.
    pub pipes: Vec<Pipe>,
}

/// The name of the sentence that a person reads: a field of JSON or logfmt lines
/// (`LineFields::message`), the whole text of others.
pub const MESSAGE: &str = "message";

/// The name under which a line's level is asked for: the record's own, not a field of the text.
pub const LEVEL: &str = "level";

/// A condition on one line. [`Filter::matches`] is its meaning.
///
/// "In any case" means that an ASCII letter is equal to its other case, and another letter to its
/// single upper- or lower-case partner (`É` and `é`); nothing else is equal. The text is bytes:
/// invalid UTF-8 in it is neither letter nor digit.
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
    /// is not a letter, digit or underscore. No such border is needed on a side where the word
    /// itself begins or ends with another character, or where either neighbour belongs to a
    /// script without spaces (Chinese, Japanese, Korean: [`crate::is_unspaced`]). The `m` that
    /// ends a terminal colour sequence (`ESC [ 31 m`) is no letter. A word can hold any characters
    /// but spaces: `12:30:05`, `/api/users`, `a=b`.
    Word(Needle),
    /// As [`Filter::Word`], but the word in the text may go on: `time*`.
    Prefix(Needle),
    /// The phrase occurs in the text, in any case, with the borders of [`Filter::Word`] at both
    /// ends and exactly the spaces that were typed.
    Phrase(Needle),
    /// The regular expression matches somewhere in the text.
    Regex(Regex),
    /// The line's level lies in this range, both ends included: `level:error..`.
    Level(Level, Level),
    /// A label of the line's stream, and nothing in the line itself, satisfies a matcher; a label
    /// that the stream does not have is empty. The language has no words for it: it is for those
    /// who select streams, as LogQL does.
    Label(Matcher),
    /// A label of the line's stream or a field of the line satisfies a test. The label counts
    /// where the stream has one of that name, else any of the line's fields of that name
    /// (`LineFields::values`), for [`MESSAGE`] the sentence, for [`LEVEL`] the level's word. A line without such a field does not
    /// satisfy the test.
    Field {
        /// The full name after short names (`ns`, `po`, `c`) have been resolved; nested names are
        /// joined by dots. Upper and lower case differ.
        name: String,
        /// What its value must be.
        test: FieldTest,
    },
}

/// A condition on a field's value; [`FieldTest::matches`] is its meaning.
#[derive(Debug, Clone)]
pub enum FieldTest {
    /// `field:*`: it is there and not empty.
    Exists,
    /// `field:value`: equal in any case. Never empty.
    Equal(String),
    /// `field:val*`: begins so, in any case.
    Prefix(String),
    /// `message:word`, `message:"a phrase"`, `message:pre*`: occurs in the value as
    /// [`Filter::Word`] or [`Filter::Prefix`] do in the text.
    Contains(Needle),
    /// `field:/regex/`: matches somewhere. A value with stars elsewhere than at its end
    /// (`pod:*x2k2z`) becomes one that matches the whole value in any case.
    Regex(Regex),
    /// `field:>=500`, `field:10..20`: a number (or a number with a unit: `1.5s`, `20KiB`, see
    /// [`crate::parse_number`]) within these bounds. A value that is no number does not satisfy
    /// it.
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
