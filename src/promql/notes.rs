//! Warnings and infos: what makes an answer probably or possibly wrong, in Prometheus' words, so
//! that people find them where they look things up.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// At most so many warnings, and so many infos, are told; the rest is counted.
const NOTES_MAX: usize = 10;

/// The notes of one query.
#[derive(Debug)]
pub(crate) struct Notes {
    text: String,
    warnings: Mutex<BTreeSet<String>>,
    infos: Mutex<BTreeSet<String>>,
}

impl Notes {
    /// No notes yet on an expression.
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            warnings: Mutex::default(),
            infos: Mutex::default(),
        }
    }

    /// Notes that the answer is probably wrong.
    pub(crate) fn warn(&self, message: &str, place: Option<usize>) {
        let note = format!("PromQL warning: {message}{}", self.suffix(place));
        lock(&self.warnings).insert(note);
    }

    /// Notes that the answer is possibly wrong.
    pub(crate) fn info(&self, message: &str, place: Option<usize>) {
        let note = format!("PromQL info: {message}{}", self.suffix(place));
        lock(&self.infos).insert(note);
    }

    /// Warnings and infos, in order of text.
    pub(crate) fn take(self) -> (Vec<String>, Vec<String>) {
        let list = |notes: Mutex<BTreeSet<String>>, what: &str| {
            let notes = notes.into_inner().unwrap_or_else(PoisonError::into_inner);
            let more = notes.len().saturating_sub(NOTES_MAX);
            let mut list: Vec<String> = notes.into_iter().take(NOTES_MAX).collect();
            if more > 0 {
                list.push(format!("{more} more {what} annotations omitted"));
            }
            list
        };
        (list(self.warnings, "warning"), list(self.infos, "info"))
    }

    /// ` (line:column)`, both counted from 1.
    fn suffix(&self, place: Option<usize>) -> String {
        let Some(place) = place else {
            return String::new();
        };
        let before: String = self.text.chars().take(place).collect();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!(" ({line}:{column})")
    }
}

fn lock(notes: &Mutex<BTreeSet<String>>) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_columns() {
        let notes = Notes::new("sum(\n  sort(x))");
        notes.warn("w", Some(7));
        notes.info("i", None);
        notes.info("i", None);
        assert_eq!(
            notes.take(),
            (
                vec!["PromQL warning: w (2:3)".to_owned()],
                vec!["PromQL info: i".to_owned()]
            )
        );
    }

    #[test]
    fn a_flood_of_notes_is_cut_and_counted() {
        let notes = Notes::new("");
        for i in 0..25 {
            notes.warn(&format!("{i:02}"), None);
        }
        let (warnings, _) = notes.take();
        assert_eq!(warnings.len(), NOTES_MAX + 1);
        assert_eq!(warnings[NOTES_MAX], "15 more warning annotations omitted");
    }
}
