//! What is wrong with a text and where, in the form and essence of Prometheus' messages
//! (`1:5: parse error: unknown function with name "rte"`), with advice where we have some.

use crate::value::{ErrorKind, QueryError};

/// How much a name may differ from a known one to be suggested (strsim's similarity, 0 to 1).
const SUGGESTION_MIN: f64 = 0.75;

/// An error at a place of the text, in characters from its start.
pub(super) fn error_at(text: &str, place: usize, message: &str) -> QueryError {
    let mut line = 1;
    let mut column = 1;
    for c in text.chars().take(place) {
        if c == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    QueryError {
        kind: ErrorKind::BadData,
        message: format!("{line}:{column}: parse error: {message}"),
        position: Some(place),
    }
}

/// The known name that is nearest to one that is not known.
pub(super) fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    // A single letter is near to everything.
    if name.len() < 2 {
        return None;
    }
    let name = name.to_ascii_lowercase();
    known
        .map(|known| (strsim::jaro_winkler(&name, known), known))
        .filter(|(similarity, _)| *similarity >= SUGGESTION_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// `, did you mean "rate"?`, where there is a near name.
pub(super) fn did_you_mean<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> String {
    nearest(name, known).map_or_else(String::new, |known| format!(", did you mean {known:?}?"))
}
