//! Which names a pipe can read: lines can have any field until some are taken away; rows have the
//! columns that were made.

use crate::parse::Parser;
use crate::pipes::words::nearest;
use crate::plan::{How, Pipe, TIME};
use crate::query::{Filter, LEVEL, MESSAGE, QueryError};

/// The names behind the pipes so far.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    /// Lines. With `only`, no other fields but these; never those in `gone`.
    Lines {
        only: Option<Vec<String>>,
        gone: Vec<String>,
    },
    /// Rows with these columns.
    Table(Vec<String>),
}

/// What every line has, whatever `fields` and `drop` say: it is what a line is found by.
const ALWAYS: &[&str] = &[TIME, LEVEL, MESSAGE];

impl Scope {
    pub(crate) fn lines() -> Self {
        Self::Lines {
            only: None,
            gone: Vec::new(),
        }
    }

    pub(crate) fn is_table(&self) -> bool {
        matches!(self, Self::Table(_))
    }

    /// The names behind one more pipe.
    pub(crate) fn pass(&mut self, pipe: &Pipe) {
        match (&mut *self, pipe) {
            (_, Pipe::Where(_) | Pipe::Sort(_) | Pipe::Limit(_) | Pipe::Uniq(_))
            | (Self::Table(_), Pipe::Parse(_)) => {}
            (Self::Lines { only, gone }, Pipe::Parse(parse)) => match &parse.how {
                How::Json | How::Logfmt => {
                    // What comes out of it only the lines know.
                    *only = None;
                    gone.clear();
                }
                How::Pattern(template) => {
                    add(only, gone, template.names());
                }
                How::Regex(regex) => {
                    add(only, gone, regex.capture_names().flatten());
                }
            },
            (Self::Lines { only, gone }, Pipe::Fields(names)) => {
                *only = Some(names.clone());
                gone.clear();
            }
            (Self::Lines { only, gone }, Pipe::Drop(names)) => {
                if let Some(only) = only {
                    only.retain(|name| !names.contains(name));
                }
                gone.extend(names.iter().cloned());
            }
            (Self::Table(columns), Pipe::Fields(names)) => columns.clone_from(names),
            (Self::Table(columns), Pipe::Drop(names)) => {
                columns.retain(|column| !names.contains(column));
            }
            (_, Pipe::Stats(stats)) => {
                let by = stats.by.iter().map(|key| key.column().to_owned());
                let computed = stats.columns.iter().map(|column| column.name.clone());
                *self = Self::Table(by.chain(computed).collect());
            }
            (_, Pipe::Top { fields, .. }) => *self = table(fields, &["count", "share"]),
            (_, Pipe::Rate { by, .. }) => {
                let mut columns = vec![TIME.to_owned()];
                columns.extend(by.iter().cloned());
                *self = table(&columns, &["rate"]);
            }
            (_, Pipe::Patterns(_)) => {
                *self = table(
                    &[],
                    &[
                        "pattern", "count", "share", "first", "last", "trend", "level",
                    ],
                );
            }
        }
    }

    /// Whether a name can be there; if not, why, and what may be meant.
    fn lookup(&self, name: &str) -> Result<(), (String, Option<String>)> {
        match self {
            Self::Lines { only, gone } => {
                if ALWAYS.contains(&name) {
                    return Ok(());
                }
                if gone.iter().any(|n| n == name) {
                    return Err((format!("{name} was dropped before"), None));
                }
                match only {
                    Some(only) if !only.iter().any(|n| n == name) => Err((
                        format!(
                            "{name} is not there any more: fields kept only {}",
                            only.join(", ")
                        ),
                        nearest(name, only.iter().map(String::as_str)).map(str::to_owned),
                    )),
                    _ => Ok(()),
                }
            }
            Self::Table(columns) if columns.iter().any(|n| n == name) => Ok(()),
            Self::Table(columns) => Err((
                format!(
                    "no column is called {name}: there are {}",
                    columns.join(", ")
                ),
                nearest(name, columns.iter().map(String::as_str)).map(str::to_owned),
            )),
        }
    }
}

fn table(names: &[String], more: &[&str]) -> Scope {
    let more = more.iter().map(|name| (*name).to_owned());
    Scope::Table(names.iter().cloned().chain(more).collect())
}

fn add<'a>(
    only: &mut Option<Vec<String>>,
    gone: &mut Vec<String>,
    names: impl Iterator<Item = &'a str>,
) {
    for name in names {
        gone.retain(|n| n != name);
        if let Some(only) = only {
            only.push(name.to_owned());
        }
    }
}

impl Parser<'_> {
    /// Refuses a name that cannot be there; it was typed at `range`.
    pub(crate) fn check_name(
        &self,
        name: &str,
        range: std::ops::Range<usize>,
        scope: &Scope,
    ) -> Result<(), QueryError> {
        scope.lookup(name).map_err(|(message, meant)| {
            let suggestion = meant.and_then(|meant| self.replaced(range.clone(), &meant));
            self.error(range.start, message, suggestion)
        })
    }

    /// Refuses a filter that reads what cannot be there; it was typed from `start` on.
    pub(crate) fn check_filter(
        &self,
        filter: &Filter,
        start: usize,
        scope: &Scope,
    ) -> Result<(), QueryError> {
        let mut names = Vec::new();
        collect_names(filter, &mut names);
        for name in names {
            let typed = self.text.get(start..self.at).unwrap_or_default();
            let at = typed.find(name).map_or(start, |i| start + i);
            let end = if typed.contains(name) {
                at + name.len()
            } else {
                at
            };
            self.check_name(name, at..end, scope)?;
        }
        Ok(())
    }
}

fn collect_names<'a>(filter: &'a Filter, names: &mut Vec<&'a str>) {
    match filter {
        Filter::And(all) | Filter::Or(all) => {
            for filter in all {
                collect_names(filter, names);
            }
        }
        Filter::Not(filter) => collect_names(filter, names),
        Filter::Level(..) => names.push(LEVEL),
        Filter::Field { name, .. } => names.push(name),
        Filter::All
        | Filter::Label(_)
        | Filter::Word(_)
        | Filter::Prefix(_)
        | Filter::Phrase(_)
        | Filter::Regex(_) => {}
    }
}
