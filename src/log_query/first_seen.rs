//! When lines of a pattern were first written, found by looking at every line: what a store does
//! that remembers nothing of patterns.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use model::{Labels, Level, StoreError};

use crate::fold::{Fold, Row, Wanted};
use crate::pattern::pattern_id;
use crate::query::Query;
use crate::reader::{Direction, LogReader, Search, Stop};

/// Answers [`LogReader::first_seen`] by a fold over all lines.
pub(crate) fn by_fold(
    reader: &(impl LogReader + ?Sized),
    patterns: &[u64],
    stop: &Stop,
) -> Result<Vec<Option<i64>>, StoreError> {
    let all = Search {
        query: Arc::new(Query::all()),
        start_ns: i64::MIN,
        end_ns: i64::MAX,
        direction: Direction::Forward,
        limit: usize::MAX,
        after: None,
        stop: stop.clone(),
    };
    let wanted = Wanted {
        pattern: true,
        ..Wanted::default()
    };
    let new = || {
        let asked = patterns.iter().map(|pattern| (*pattern, None)).collect();
        Box::new(FirstTimes(asked)) as Box<dyn Fold>
    };
    let (fold, _) = reader.fold(&all, &wanted, &new)?;
    let first = match fold.into_any().downcast::<FirstTimes>() {
        Ok(first) => first.0,
        Err(_) => HashMap::new(),
    };
    Ok(patterns
        .iter()
        .map(|pattern| first.get(pattern).copied().flatten())
        .collect())
}

/// The patterns that were asked for, with the time of the oldest line of each.
struct FirstTimes(HashMap<u64, Option<i64>>);

impl FirstTimes {
    fn add(&mut self, pattern: u64, time_ns: i64) {
        if let Some(first) = self.0.get_mut(&pattern) {
            *first = Some(first.map_or(time_ns, |first| first.min(time_ns)));
        }
    }
}

impl Fold for FirstTimes {
    fn line(&mut self, row: &Row<'_>) {
        self.add(pattern_id(row.pattern), row.time_ns);
    }

    /// Never called: patterns are wanted.
    fn lines(&mut self, _: &Labels, _: Level, _: i64, _: u64) {}

    fn merge(&mut self, other: Box<dyn Fold>) {
        if let Ok(other) = other.into_any().downcast::<Self>() {
            for (pattern, first) in other.0 {
                if let Some(time_ns) = first {
                    self.add(pattern, time_ns);
                }
            }
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_line_of_each_pattern_counts() {
        let labels = Labels::empty();
        let line = |time_ns, pattern| Row {
            labels: &labels,
            time_ns,
            level: Level::Info,
            text: &[],
            values: &[],
            pattern,
        };
        let asked = || HashMap::from([(pattern_id("a <*>"), None), (pattern_id("b"), None)]);
        let (mut one, mut other) = (FirstTimes(asked()), FirstTimes(asked()));
        one.line(&line(7, "a <*>"));
        one.line(&line(5, "not asked for"));
        other.line(&line(3, "a <*>"));
        other.line(&line(9, "a <*>"));
        one.merge(Box::new(other));
        assert_eq!(one.0.get(&pattern_id("a <*>")), Some(&Some(3)));
        assert_eq!(one.0.get(&pattern_id("b")), Some(&None));
        assert_eq!(one.0.len(), 2);
    }
}
