//! Which fields and labels do the matching lines have, and with which values most often?

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::ControlFlow;

use log_query::{Direction, Facet, LEVEL, LineFields, Record, Search, is_envelope};
use model::StoreError;

use crate::metrics::Metrics;
use crate::search;
use crate::search::snapshot::Snapshot;

/// Longer values are sentences, not facets; they are left out.
const VALUE_BYTES_MAX: usize = 256;

/// Fields beyond these are left out: lines with random keys would else fill memory.
const FIELDS_MAX: usize = 500;

/// Answers [`log_query::LogReader::facets`].
pub(crate) fn facets(
    snapshot: &Snapshot,
    asked: &Search,
    values_max: usize,
    metrics: &Metrics,
) -> Result<Vec<Facet>, StoreError> {
    let newest = Search {
        direction: Direction::Backward,
        ..asked.clone()
    };
    let mut counts = Counts::default();
    search::search(snapshot, &newest, metrics, &mut |record| {
        counts.add(&record);
        ControlFlow::Continue(())
    })?;
    Ok(counts.finish(values_max))
}

/// How often each value of each field was there. The number of lines bounds it.
#[derive(Default)]
struct Counts {
    levels: HashMap<String, u64>,
    labels: HashMap<String, HashMap<String, u64>>,
    fields: HashMap<String, HashMap<String, u64>>,
}

impl Counts {
    fn add(&mut self, record: &Record) {
        *self
            .levels
            .entry(record.level.as_str().to_owned())
            .or_default() += 1;
        for label in &record.labels {
            count(&mut self.labels, &label.name, &label.value);
        }
        let fields = LineFields::of(&record.text);
        for (name, value) in fields.without_message() {
            let is_label = record.labels.get(name).is_some();
            if !is_label && !is_envelope(name) && !value.is_empty() {
                count(&mut self.fields, name, value);
            }
        }
    }

    fn finish(self, values_max: usize) -> Vec<Facet> {
        let mut facets = Vec::new();
        if !self.levels.is_empty() {
            facets.push(facet(LEVEL.to_owned(), self.levels, values_max));
        }
        for group in [self.labels, self.fields] {
            let mut group: Vec<(u64, Facet)> = group
                .into_iter()
                .map(|(name, values)| (values.values().sum(), facet(name, values, values_max)))
                .collect();
            // What most lines have comes first.
            group.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.name.cmp(&y.name)));
            facets.extend(group.into_iter().map(|(_, facet)| facet));
        }
        facets
    }
}

fn count(fields: &mut HashMap<String, HashMap<String, u64>>, name: &str, value: &str) {
    if value.len() > VALUE_BYTES_MAX {
        return;
    }
    // Looked up before a key is made: nearly all are known already.
    if let Some(values) = fields.get_mut(name) {
        if let Some(n) = values.get_mut(value) {
            *n += 1;
        } else {
            values.insert(value.to_owned(), 1);
        }
    } else if fields.len() < FIELDS_MAX {
        fields.insert(name.to_owned(), HashMap::from([(value.to_owned(), 1)]));
    }
}

fn facet(name: String, values: HashMap<String, u64>, values_max: usize) -> Facet {
    let mut values: Vec<(String, u64)> = values.into_iter().collect();
    values.sort_by(|a, b| (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0)));
    let more_values = values.len().saturating_sub(values_max) as u64;
    values.truncate(values_max);
    Facet {
        name,
        values,
        more_values,
    }
}
