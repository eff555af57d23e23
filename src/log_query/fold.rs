//! Answers that are made of many lines: counts, sums, top lists, patterns.
//!
//! A store hands each matching line to a [`Fold`] as a [`Row`] with only those parts that were
//! [`Wanted`], so that it can read them from columns and leave the text alone.

use std::any::Any;

use model::{Labels, Level};

/// Which parts of matching lines a fold looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// [`Row::text`].
    pub text: bool,
    /// [`Row::values`]: names of labels and fields, as in `Filter::Field`.
    pub fields: Vec<String>,
    /// [`Row::pattern`].
    pub pattern: bool,
    /// Times may be rounded down to multiples of so many nanoseconds, and lines given as counts
    /// ([`Fold::lines`]). `None`: times are wanted exactly.
    pub grain_ns: Option<i64>,
}

/// A matching line, as far as it was wanted.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Labels of its stream.
    pub labels: &'a Labels,
    /// When it was written, nanoseconds since 1970-01-01 UTC.
    pub time_ns: i64,
    /// How bad it is.
    pub level: Level,
    /// Its bytes; empty unless wanted.
    pub text: &'a [u8],
    /// The values of [`Wanted::fields`], in that order: the stream's label of that name, else the
    /// first field of the line; `None` where the line has neither.
    pub values: &'a [Option<&'a str>],
    /// Its [`crate::pattern`]; empty unless wanted.
    pub pattern: &'a str,
}

/// Makes something of many lines. Each thread of a store has its own; they are merged at the end,
/// in any order.
pub trait Fold: Send {
    /// One line.
    fn line(&mut self, row: &Row<'_>);

    /// So many lines at once; only called where [`Wanted`] asks for rounded times and neither text
    /// nor pattern, and each of [`Wanted::fields`] is `level` or a label of this stream. All of
    /// them lie in the grain that begins at `time_ns`, or in its part that was searched.
    fn lines(&mut self, labels: &Labels, level: Level, time_ns: i64, count: u64);

    /// So many lines that are the same in all that is wanted; only called where [`Wanted`] asks for
    /// rounded times and neither text nor pattern. All of them lie in the grain of the row's time,
    /// or in its part that was searched.
    fn alike(&mut self, row: &Row<'_>, count: u64) {
        for _ in 0..count {
            self.line(row);
        }
    }

    /// Takes over what another fold of the same kind has gathered.
    fn merge(&mut self, other: Box<dyn Fold>);

    /// For [`Fold::merge`] and for whoever started it to get the concrete type back.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;

    /// Why it can take no more (a limit on groups or memory), in a sentence. A store looks now
    /// and then and ends with `StoreError::Limit`.
    fn refusal(&self) -> Option<String> {
        None
    }
}

/// Makes the fold of one thread.
pub type NewFold<'a> = dyn Fn() -> Box<dyn Fold> + Sync + 'a;
