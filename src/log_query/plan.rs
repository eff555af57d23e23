//! What is done with the lines that a filter found: the checked form of `| stats … | sort …`.
//!
//! Pipes stand in the order in which they were typed; each takes what the one before it gives.
//! Until one of them [makes a table](Pipe::makes_table) that is lines, from there on rows of named
//! columns. The parser (folder `pipes`) has checked that every name a pipe reads can be there.

use regex::bytes::Regex;

use crate::query::Filter;

/// Rows of `top`, patterns of `patterns` and lines of `limit` when no number is given.
pub const TOP_DEFAULT: usize = 10;

/// The name under which a line's time is asked for, and of the column that holds it.
pub const TIME: &str = "time";

/// One step behind the filter.
#[derive(Debug, Clone)]
pub enum Pipe {
    /// `parse …`: reads more fields out of each line. Never loses a line.
    Parse(Parse),
    /// `where …`: keeps the lines or rows that satisfy a filter. In rows a word is looked for in
    /// the cells.
    Where(Filter),
    /// `fields a, b`: of each line or row only these, in this order. Never empty.
    Fields(Vec<String>),
    /// `drop a, b`: of each line or row all but these. Never empty.
    Drop(Vec<String>),
    /// `sort by (a desc, b)`: in this order. Never empty.
    Sort(Vec<SortKey>),
    /// `limit n`: the first so many. At least 1.
    Limit(usize),
    /// `uniq by (a, b)`: of the lines or rows with the same values only the first. Empty for whole
    /// rows; of lines never empty.
    Uniq(Vec<String>),
    /// `stats …`: one row per group.
    Stats(Stats),
    /// `top 10 a, b`: the most frequent values with their `count` and `share` of all lines.
    Top {
        /// At most so many rows, at least 1.
        n: usize,
        /// Never empty.
        fields: Vec<String>,
    },
    /// `rate 1m by (a)`: lines per second, over time.
    Rate {
        /// Width of a step, nanoseconds, above 0; `None`: as suits the time range.
        step_ns: Option<i64>,
        /// A row for each of their values in each step.
        by: Vec<String>,
    },
    /// `patterns …`: what the lines look like, see [`crate::pattern`].
    Patterns(Patterns),
}

/// `stats count(), avg(took) by (namespace, time 5m)`.
#[derive(Debug, Clone)]
pub struct Stats {
    /// What is computed for each group; never empty, names differ.
    pub columns: Vec<StatsColumn>,
    /// What makes a group; empty for one row over everything. They are columns of the answer too,
    /// the first ones.
    pub by: Vec<Key>,
}

/// One column that `stats` computes.
#[derive(Debug, Clone, PartialEq)]
pub struct StatsColumn {
    /// Its name, as given behind `as` or made of function and field: `count`, `p99_took`.
    pub name: String,
    /// What it holds.
    pub function: Function,
}

/// What is computed of a group. A field that a line does not have or that is empty does not take
/// part; neither does, where numbers are wanted, a value that [`crate::parse_number`] cannot read.
#[derive(Debug, Clone, PartialEq)]
pub enum Function {
    /// `count()`: lines; `count(f)`: lines that have `f`.
    Count(Option<String>),
    /// `sum(f)`.
    Sum(String),
    /// `avg(f)`.
    Avg(String),
    /// `min(f)`, of numbers.
    Min(String),
    /// `max(f)`, of numbers.
    Max(String),
    /// `quantile(0.99, f)`, `p99(f)`, `median(f)`: the value below which so large a part of the
    /// values lies, from 0 to 1.
    Quantile(f64, String),
    /// `count_distinct(f, g)`: different combinations of values, where at least one is there.
    CountDistinct(Vec<String>),
    /// `first(f)`: the value of the oldest line that has one.
    First(String),
    /// `last(f)`: the value of the newest line that has one.
    Last(String),
}

/// What lines of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The value of a label or field.
    Field(String),
    /// The time rounded down to steps of so many nanoseconds (`None`: as suits the time range),
    /// as the column [`TIME`].
    Time(Option<i64>),
}

/// One criterion of an order. Numbers come in numeric order, before texts; what is missing comes
/// last in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// Label, field or column.
    pub name: String,
    /// Largest first.
    pub descending: bool,
}

/// `patterns 10`, `patterns new 30m`, `patterns rare 10`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns {
    /// At most so many rows, at least 1.
    pub n: usize,
    /// Which ones.
    pub which: Which,
}

/// Which patterns come first, or at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Which {
    /// Those with most lines.
    #[default]
    Frequent,
    /// Those with fewest lines.
    Rare,
    /// Those whose first line among all lines that are kept, whatever the filter and the time
    /// range, lies within so many nanoseconds before the end of the range (`None`: within the
    /// range); the newest first.
    New(Option<i64>),
}

/// `parse json`, `parse "<ip> <_> <status>" from request`, …
#[derive(Debug, Clone)]
pub struct Parse {
    /// How it is read.
    pub how: How,
    /// What is read: a field; `None` for the message.
    pub from: Option<String>,
}

/// How a text becomes fields.
#[derive(Debug, Clone)]
pub enum How {
    /// `parse json`: the object that begins at the first `{`.
    Json,
    /// `parse logfmt`: its `key=value` pairs.
    Logfmt,
    /// `parse "<ip> - <user> [<_>]"`: literal texts with names between them.
    Pattern(Template),
    /// `parse /user=(?P<user>\w+)/`: its named groups. At least one has a name.
    Regex(Regex),
}

/// A text with holes: `<name>` takes what stands up to the literal behind it, `<_>` and `<*>` pass
/// over it. Between two holes there is always a literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// As it was typed.
    pub text: String,
    /// The literal before the first hole: looked for anywhere; empty: from the start.
    pub before: String,
    /// The holes, each with its name (`None`: not kept) and the literal behind it (empty at the
    /// end: up to the end of the text).
    pub holes: Vec<(Option<String>, String)>,
}

impl Pipe {
    /// Whether it makes rows of lines.
    pub fn makes_table(&self) -> bool {
        matches!(
            self,
            Self::Stats(_) | Self::Top { .. } | Self::Rate { .. } | Self::Patterns(_)
        )
    }

    /// Whether it looks at one line or row at a time, so that the order does not matter and
    /// nothing has to be remembered.
    pub fn is_linewise(&self) -> bool {
        matches!(
            self,
            Self::Parse(_) | Self::Where(_) | Self::Fields(_) | Self::Drop(_)
        )
    }
}

impl Function {
    /// Its name in the language, without the field.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Count(_) => "count",
            Self::Sum(_) => "sum",
            Self::Avg(_) => "avg",
            Self::Min(_) => "min",
            Self::Max(_) => "max",
            Self::Quantile(..) => "quantile",
            Self::CountDistinct(_) => "count_distinct",
            Self::First(_) => "first",
            Self::Last(_) => "last",
        }
    }

    /// The fields that it reads.
    pub fn fields(&self) -> &[String] {
        match self {
            Self::Count(None) => &[],
            Self::CountDistinct(fields) => fields,
            Self::Count(Some(field))
            | Self::Sum(field)
            | Self::Avg(field)
            | Self::Min(field)
            | Self::Max(field)
            | Self::Quantile(_, field)
            | Self::First(field)
            | Self::Last(field) => std::slice::from_ref(field),
        }
    }

    /// The name of its column when none is given.
    pub fn column(&self) -> String {
        let function = match self {
            Self::Quantile(q, _) => percent_name(*q),
            function => function.name().to_owned(),
        };
        let mut parts = vec![function];
        parts.extend(self.fields().iter().cloned());
        parts.join("_")
    }
}

impl Key {
    /// The name of its column.
    pub fn column(&self) -> &str {
        match self {
            Self::Field(name) => name,
            Self::Time(_) => TIME,
        }
    }
}

/// `p99` for 0.99, `p99.9` for 0.999.
pub(crate) fn percent_name(q: f64) -> String {
    // Rounded where a multiplication has left the decimal that was meant.
    format!("p{}", (q * 1e8).round() / 1e6)
}

impl Template {
    /// The names of its holes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.holes.iter().filter_map(|(name, _)| name.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_names_that_can_be_typed() {
        let check = |function: Function, name: &str| assert_eq!(function.column(), name);
        check(Function::Count(None), "count");
        check(Function::Count(Some("user".into())), "count_user");
        check(Function::Quantile(0.99, "took".into()), "p99_took");
        check(Function::Quantile(0.999, "took".into()), "p99.9_took");
        check(Function::Quantile(0.57, "took".into()), "p57_took");
        check(
            Function::CountDistinct(vec!["a".into(), "b".into()]),
            "count_distinct_a_b",
        );
    }
}
