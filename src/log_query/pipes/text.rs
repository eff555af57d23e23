//! Writes a pipe back as text that means the same.

use std::fmt;
use std::time::Duration;

use crate::pipes::stats::quantile_call;
use crate::pipes::words;
use crate::plan::{Function, How, Key, Parse, Patterns, Pipe, SortKey, Which};
use crate::term::field_name;
use crate::text::{quoted, slashed};
use crate::value::resolve_name;

/// Words that would be read as something else where a name stands.
const NOT_BARE: &[&str] = &[
    "by",
    "as",
    "from",
    "asc",
    "desc",
    "ascending",
    "descending",
    "group",
    "distinct",
    "json",
    "logfmt",
    "pattern",
    "regexp",
];

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(parse) => write!(f, "{parse}"),
            Self::Where(filter) => write!(f, "where {filter}"),
            Self::Fields(names) => write!(f, "fields {}", list(names)),
            Self::Drop(names) => write!(f, "drop {}", list(names)),
            Self::Sort(keys) => {
                let keys: Vec<String> = keys.iter().map(SortKey::to_string).collect();
                write!(f, "sort by ({})", keys.join(", "))
            }
            Self::Limit(n) => write!(f, "limit {n}"),
            Self::Uniq(names) if names.is_empty() => f.write_str("uniq"),
            Self::Uniq(names) => write!(f, "uniq by ({})", list(names)),
            Self::Stats(stats) => {
                f.write_str("stats ")?;
                for (i, column) in stats.columns.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{}", column.function)?;
                    if column.name != column.function.column() {
                        write!(f, " as {}", written(&column.name))?;
                    }
                }
                by(f, &stats.by.iter().map(Key::to_string).collect::<Vec<_>>())
            }
            Self::Top { n, fields } => write!(f, "top {n} {}", list(fields)),
            Self::Rate { step_ns, by: names } => {
                f.write_str("rate")?;
                if let Some(step_ns) = step_ns {
                    write!(f, " {}", duration(*step_ns))?;
                }
                by(
                    f,
                    &names.iter().map(|name| written(name)).collect::<Vec<_>>(),
                )
            }
            Self::Patterns(patterns) => write!(f, "{patterns}"),
        }
    }
}

impl fmt::Display for Parse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("parse ")?;
        match &self.how {
            How::Json => f.write_str("json")?,
            How::Logfmt => f.write_str("logfmt")?,
            How::Pattern(template) => f.write_str(&quoted(&template.text))?,
            How::Regex(regex) => f.write_str(&slashed(regex.as_str()))?,
        }
        match &self.from {
            Some(field) => write!(f, " from {}", written(field)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quantile(q, field) => f.write_str(&quantile_call(*q, &written(field))),
            function => write!(f, "{}({})", function.name(), list(function.fields())),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => f.write_str(&written(name)),
            Self::Time(None) => f.write_str("time"),
            Self::Time(Some(step_ns)) => write!(f, "time {}", duration(*step_ns)),
        }
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&written(&self.name))?;
        f.write_str(if self.descending { " desc" } else { "" })
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("patterns")?;
        match self.which {
            Which::Frequent => {}
            Which::Rare => f.write_str(" rare")?,
            Which::New(None) => f.write_str(" new")?,
            Which::New(Some(span_ns)) => write!(f, " new {}", duration(span_ns))?,
        }
        write!(f, " {}", self.n)
    }
}

fn by(f: &mut fmt::Formatter<'_>, keys: &[String]) -> fmt::Result {
    if keys.is_empty() {
        return Ok(());
    }
    write!(f, " by ({})", keys.join(", "))
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| written(name)).collect();
    names.join(", ")
}

/// A name as it is, or in quotes where it would be read as something else.
pub(crate) fn written(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let plain = field_name(name) == name
        && !name.is_empty()
        && resolve_name(name) == name
        && !NOT_BARE.contains(&lower.as_str())
        && !words::is_pipe(name);
    if plain { name.to_owned() } else { quoted(name) }
}

/// Steps are whole milliseconds: they were read as such.
fn duration(ns: i64) -> String {
    model::duration::format(Duration::from_millis(ns.unsigned_abs() / 1_000_000))
}
