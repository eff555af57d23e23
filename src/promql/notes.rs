//! Warnings and infos: what makes an answer probably or possibly wrong, in Prometheus' words, so
//! that people find them where they look things up.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::native::Met;

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
    pub(crate) fn take(&self) -> (Vec<String>, Vec<String>) {
        let list = |notes: &Mutex<BTreeSet<String>>, what: &str| {
            let notes = std::mem::take(&mut *lock(notes));
            let more = notes.len().saturating_sub(NOTES_MAX);
            let mut list: Vec<String> = notes.into_iter().take(NOTES_MAX).collect();
            if more > 0 {
                list.push(format!("{more} more {what} annotations omitted"));
            }
            list
        };
        (list(&self.warnings, "warning"), list(&self.infos, "info"))
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

/// What is said of native histograms.
impl Notes {
    /// A range has numbers and histograms, which cannot be computed together.
    pub(crate) fn mixed_range(&self, metric: &str, place: Option<usize>) {
        let message = "encountered a mix of histograms and floats for metric name";
        self.warn(&format!("{message} {metric:?}"), place);
    }

    /// A range has numbers and histograms, of which only the numbers count.
    pub(crate) fn ignored_in_range(&self, metric: &str, place: Option<usize>) {
        let message =
            "ignored histograms in a range containing both floats and histograms for metric name";
        self.info(&format!("{message} {metric:?}"), place);
    }

    /// A group has numbers and histograms, which cannot be aggregated together.
    pub(crate) fn mixed_group(&self, place: Option<usize>) {
        let message = "encountered a mix of histograms and floats for aggregation";
        self.warn(message, place);
    }

    /// An aggregation is of numbers only.
    pub(crate) fn ignored_in_group(&self, aggregation: &str, place: Option<usize>) {
        let message = format!("ignored histogram in {aggregation} aggregation");
        self.info(&message, place);
    }

    /// Histograms with exponential and with custom buckets meet.
    pub(crate) fn mixed_schemas(&self, metric: &str, place: Option<usize>) {
        let message = "vector contains a mix of histograms with exponential and custom buckets \
                       schemas for metric name";
        self.warn(&format!("{message} {metric:?}"), place);
    }

    /// A gauge is taken for a counter.
    pub(crate) fn not_counter(&self, metric: &str, place: Option<usize>) {
        let message = "this native histogram metric is not a counter:";
        self.warn(&format!("{message} {metric:?}"), place);
    }

    /// A counter is taken for a gauge.
    pub(crate) fn not_gauge(&self, metric: &str, place: Option<usize>) {
        let message = "this native histogram metric is not a gauge:";
        self.warn(&format!("{message} {metric:?}"), place);
    }

    /// What was met with while histograms were added, by the name of that operation.
    pub(crate) fn met(&self, met: Met, operation: &str, place: Option<usize>) {
        if met.reset_collision {
            let message = format!("conflicting counter resets during histogram {operation}");
            self.warn(&message, place);
        }
        if met.bounds_reconciled {
            let message = format!("mismatched custom buckets were reconciled during {operation}");
            self.info(&message, place);
        }
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
