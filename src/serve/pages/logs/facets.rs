//! The fields beside the lines: which values there are, how often, and links to them.

use log_query::{Facet, LEVEL, Query, field_term, terms, with_term, without_term};
use model::Level;

use super::{link, rows};
use crate::humanize;
use crate::shell::Shell;

/// Fields that are listed.
const FIELDS_MAX: usize = 60;

/// Fields that are shown at once; the others are in a fold, and the search finds them.
const FIELDS_FIRST: usize = 14;

/// Values that are shown at once; the others of those asked for are in a fold.
const VALUES_FIRST: usize = 5;

/// Fields that are open from the start.
const OPEN_FIRST: usize = 8;

/// A field with more values than these is a name for single lines rather than a way to sort them:
/// it is there, but folded.
const VALUES_OPEN_MAX: u64 = 30;

/// Pinned values that are drawn, at most; the cookie that holds them is short anyway.
const PINS_MAX: usize = 40;

/// Values that this browser keeps on top: pairs of field and value.
pub(super) struct Pins(Vec<(String, String)>);

impl Pins {
    /// Reads the cookie that the script writes, `[["namespace","media"]]`; anything else is none.
    pub(super) fn parse(text: &str) -> Self {
        let pins: Vec<(String, String)> = serde_json::from_str(text).unwrap_or_default();
        Self(pins.into_iter().take(PINS_MAX).collect())
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let here = self.0.iter().filter(move |(field, _)| field == name);
        here.map(|(_, value)| value.as_str())
    }
}

/// The fields beside the lines.
pub(super) struct Fields(Vec<FieldView>);

impl Fields {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that are shown at once.
    pub(super) fn first(&self) -> &[FieldView] {
        self.0.get(..FIELDS_FIRST).unwrap_or(&self.0)
    }

    /// Those in the fold.
    pub(super) fn others(&self) -> &[FieldView] {
        self.0.get(FIELDS_FIRST..).unwrap_or_default()
    }

    /// The most frequent value of a field.
    pub(super) fn most_frequent(&self, name: &str) -> Option<&str> {
        let field = self.0.iter().find(|field| field.name == name)?;
        field.values.first().map(|value| value.value.as_str())
    }
}

/// A field.
pub(super) struct FieldView {
    pub(super) name: String,
    /// How many values it has, where that is more than can be seen.
    pub(super) distinct: String,
    pub(super) values: Vec<ValueView>,
    /// Values in the fold.
    pub(super) folded: Vec<ValueView>,
    /// Values beyond those that the store listed.
    pub(super) more: u64,
    pub(super) open: bool,
}

/// A value.
pub(super) struct ValueView {
    pub(super) value: String,
    /// Of a level, its letter.
    pub(super) letter: &'static str,
    /// Of a level, its class.
    pub(super) class: &'static str,
    pub(super) count: String,
    /// Its part of the field's most frequent value, percent.
    pub(super) share: f64,
    pub(super) only: String,
    pub(super) not: String,
    /// Whether the query asks for it; then `only` takes it out again.
    pub(super) active: bool,
    /// Whether somebody pinned it in this browser.
    pub(super) pinned: bool,
}

pub(super) fn views(shell: &Shell, q: &str, facets: Vec<Facet>, pins: &Pins) -> Fields {
    let canonical = |term: &str| Query::parse(term).map(|query| query.text()).ok();
    let asked: Vec<String> = terms(q).iter().filter_map(|term| canonical(term)).collect();
    let fields = facets
        .into_iter()
        .filter(|facet| !facet.values.is_empty())
        .take(FIELDS_MAX)
        .enumerate()
        .map(|(i, facet)| {
            let distinct = facet.values.len() as u64 + facet.more_values;
            let most = facet.values.iter().map(|(_, n)| *n).max().unwrap_or(1);
            let mut counts = facet.values.clone();
            // A pinned value is there also when it is too rare to be among the first.
            for pin in pins.of(&facet.name) {
                if !counts.iter().any(|(value, _)| value == pin) {
                    counts.push((pin.to_owned(), 0));
                }
            }
            let is_pinned = |value: &str| pins.of(&facet.name).any(|pin| pin == value);
            counts.sort_by_key(|(value, _)| !is_pinned(value));
            let n_pinned = counts.iter().filter(|(value, _)| is_pinned(value)).count();
            let mut values: Vec<ValueView> = counts
                .iter()
                .map(|(value, count)| {
                    let term = field_term(&facet.name, value, false);
                    let not = field_term(&facet.name, value, true);
                    let active = canonical(&term).is_some_and(|term| asked.contains(&term));
                    let only = if active {
                        without_term(q, &term)
                    } else {
                        with_term(q, &term)
                    };
                    let level = (facet.name == LEVEL)
                        .then(|| value.parse::<Level>().ok())
                        .flatten();
                    ValueView {
                        letter: level.map_or("", rows::letter),
                        class: level.map_or("", Level::as_str),
                        count: match count {
                            0 => "–".to_owned(),
                            count => humanize::count(*count),
                        },
                        pinned: is_pinned(value),
                        share: *count as f64 / most.max(1) as f64 * 100.0,
                        only: link(shell, &[("q", &only)]),
                        not: link(shell, &[("q", &with_term(q, &not))]),
                        active,
                        value: value.clone(),
                    }
                })
                .collect();
            let folded = values.split_off(VALUES_FIRST.max(n_pinned).min(values.len()));
            FieldView {
                open: (i < OPEN_FIRST && distinct <= VALUES_OPEN_MAX)
                    || values.iter().any(|value| value.active || value.pinned),
                distinct: if folded.is_empty() {
                    String::new()
                } else {
                    humanize::count(distinct)
                },
                name: facet.name,
                values,
                folded,
                more: facet.more_values,
            }
        })
        .collect();
    Fields(fields)
}
