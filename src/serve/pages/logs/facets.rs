//! The fields beside the lines: which values there are, how often, and links to them.

use log_query::{Facet, LEVEL, Query, field_term, terms, with_term, without_term};
use model::Level;

use super::{link, rows};
use crate::humanize;
use crate::shell::Shell;

/// Fields that are shown; the others are counted.
const FIELDS_MAX: usize = 24;

/// Values that are shown at once; the others of those asked for are in a fold.
const VALUES_FIRST: usize = 5;

/// Fields that are open from the start.
const OPEN_FIRST: usize = 8;

/// A field with more values than these is a name for single lines rather than a way to sort them:
/// it is there, but folded.
const VALUES_OPEN_MAX: u64 = 30;

/// A field.
pub(super) struct FieldView {
    pub(super) name: String,
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
}

pub(super) fn views(shell: &Shell, q: &str, facets: Vec<Facet>) -> Vec<FieldView> {
    let canonical = |term: &str| Query::parse(term).map(|query| query.text()).ok();
    let asked: Vec<String> = terms(q).iter().filter_map(|term| canonical(term)).collect();
    facets
        .into_iter()
        .filter(|facet| !facet.values.is_empty())
        .take(FIELDS_MAX)
        .enumerate()
        .map(|(i, facet)| {
            let distinct = facet.values.len() as u64 + facet.more_values;
            let most = facet.values.iter().map(|(_, n)| *n).max().unwrap_or(1);
            let mut values: Vec<ValueView> = facet
                .values
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
                        count: humanize::count(*count),
                        share: *count as f64 / most.max(1) as f64 * 100.0,
                        only: link(shell, &[("q", &only)]),
                        not: link(shell, &[("q", &with_term(q, &not))]),
                        active,
                        value: value.clone(),
                    }
                })
                .collect();
            let folded = values.split_off(VALUES_FIRST.min(values.len()));
            FieldView {
                open: (i < OPEN_FIRST && distinct <= VALUES_OPEN_MAX)
                    || values.iter().any(|value| value.active),
                name: facet.name,
                values,
                folded,
                more: facet.more_values,
            }
        })
        .collect()
}
