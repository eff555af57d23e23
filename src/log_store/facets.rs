//! Which fields and labels do the matching lines have, and with which values most often?

use std::any::Any;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::ControlFlow;

use log_query::{Direction, Facet, Fold, LEVEL, LineFields, Row, Search, Wanted, is_envelope};
use model::{Labels, Level, StoreError};

use crate::metrics::Metrics;
use crate::search;
use crate::search::fold::fold;
use crate::search::snapshot::Snapshot;

/// Longer values are sentences, not facets; they are left out.
const VALUE_BYTES_MAX: usize = 256;

/// Fields beyond these are left out: lines with random keys would else fill memory.
const FIELDS_MAX: usize = 500;

/// Levels and labels do not depend on the time: they may be counted in pieces as coarse as a day.
const ANY_GRAIN_NS: i64 = 86_400_000_000_000;

/// Answers [`log_query::LogReader::facets`].
///
/// 1. Levels and labels of all lines that match, mostly from what the block tables say.
/// 2. Fields of the newest: their names are only known from the lines themselves.
pub(crate) fn facets(
    snapshot: &Snapshot,
    asked: &Search,
    values_max: usize,
    metrics: &Metrics,
) -> Result<Vec<Facet>, StoreError> {
    let wanted = Wanted {
        grain_ns: Some(ANY_GRAIN_NS),
        ..Wanted::default()
    };
    let new = || -> Box<dyn Fold> { Box::new(Streams::default()) };
    let (streams, _) = fold(snapshot, asked, &wanted, &new, metrics)?;
    let streams = streams.into_any().downcast::<Streams>();
    let mut facets = streams.map_or_else(|_| Vec::new(), |streams| streams.finish(values_max));

    let newest = Search {
        direction: Direction::Backward,
        ..asked.clone()
    };
    let mut fields = ByName::default();
    search::search(snapshot, &newest, metrics, &mut |record| {
        for (name, value) in LineFields::of(&record.text).without_message() {
            let is_label = record.labels.get(name).is_some();
            if !is_label && !is_envelope(name) && !value.is_empty() {
                count(&mut fields, name, value, 1);
            }
        }
        ControlFlow::Continue(())
    })?;
    facets.extend(most_first(fields, values_max, false));
    Ok(facets)
}

/// Lines by stream and level.
#[derive(Default)]
struct Streams(HashMap<Labels, [u64; 7]>);

impl Streams {
    fn finish(&self, values_max: usize) -> Vec<Facet> {
        let mut levels: HashMap<String, u64> = HashMap::new();
        let mut labels = ByName::default();
        for (stream, counts) in &self.0 {
            for (number, n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
                let level = Level::from_number(number as u8).as_str();
                *levels.entry(level.to_owned()).or_default() += n;
            }
            for label in stream {
                count(&mut labels, &label.name, &label.value, counts.iter().sum());
            }
        }
        let levels =
            (!levels.is_empty()).then(|| facet(LEVEL.to_owned(), levels, values_max, true));
        levels
            .into_iter()
            .chain(most_first(labels, values_max, true))
            .collect()
    }
}

impl Fold for Streams {
    fn line(&mut self, row: &Row<'_>) {
        self.lines(row.labels, row.level, row.time_ns, 1);
    }

    fn lines(&mut self, labels: &Labels, level: Level, _time_ns: i64, count: u64) {
        let counts = match self.0.get_mut(labels) {
            Some(counts) => counts,
            None => self.0.entry(labels.clone()).or_default(),
        };
        if let Some(n) = counts.get_mut(level as usize) {
            *n += count;
        }
    }

    fn merge(&mut self, other: Box<dyn Fold>) {
        if let Ok(other) = other.into_any().downcast::<Self>() {
            for (labels, theirs) in other.0 {
                let mine = self.0.entry(labels).or_default();
                for (mine, theirs) in mine.iter_mut().zip(theirs) {
                    *mine += theirs;
                }
            }
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// How often each value of each name was there. The number of lines or of streams bounds it.
type ByName = HashMap<String, HashMap<String, u64>>;

/// What most lines have comes first.
fn most_first(names: ByName, values_max: usize, whole: bool) -> Vec<Facet> {
    let mut facets: Vec<(u64, Facet)> = names
        .into_iter()
        .map(|(name, values)| {
            (
                values.values().sum(),
                facet(name, values, values_max, whole),
            )
        })
        .collect();
    facets.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.name.cmp(&y.name)));
    facets.into_iter().map(|(_, facet)| facet).collect()
}

fn count(fields: &mut ByName, name: &str, value: &str, lines: u64) {
    if value.len() > VALUE_BYTES_MAX {
        return;
    }
    // Looked up before a key is made: nearly all are known already.
    if let Some(values) = fields.get_mut(name) {
        if let Some(n) = values.get_mut(value) {
            *n += lines;
        } else {
            values.insert(value.to_owned(), lines);
        }
    } else if fields.len() < FIELDS_MAX {
        fields.insert(name.to_owned(), HashMap::from([(value.to_owned(), lines)]));
    }
}

fn facet(name: String, values: HashMap<String, u64>, values_max: usize, whole: bool) -> Facet {
    let mut values: Vec<(String, u64)> = values.into_iter().collect();
    values.sort_by(|a, b| (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0)));
    let more_values = values.len().saturating_sub(values_max) as u64;
    values.truncate(values_max);
    Facet {
        name,
        values,
        more_values,
        whole,
    }
}
