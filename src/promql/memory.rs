//! A [`SeriesReader`] in memory: the RAM twin of the metric store, for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{
    Histogram, Labels, Matcher, MetricMetadata, Samples, Selection, SeriesCursor, SeriesReader,
    StoreError, histogram_nan,
};

/// Series in memory. Fill it with [`MemoryReader::push`], then read it as any store.
#[derive(Debug, Clone, Default)]
pub struct MemoryReader {
    series: BTreeMap<Labels, Samples>,
    metadata: BTreeMap<String, MetricMetadata>,
}

impl MemoryReader {
    /// An empty reader.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample. Samples may come in any order; of two at the same time the last one counts.
    pub fn push(&mut self, labels: &Labels, timestamp_ms: i64, value: f64) {
        self.put(labels, timestamp_ms, value, None);
    }

    /// Adds a native histogram, otherwise as [`MemoryReader::push`].
    pub fn push_histogram(
        &mut self,
        labels: &Labels,
        timestamp_ms: i64,
        histogram: Arc<Histogram>,
    ) {
        self.put(labels, timestamp_ms, histogram_nan(), Some(histogram));
    }

    fn put(
        &mut self,
        labels: &Labels,
        timestamp_ms: i64,
        value: f64,
        histogram: Option<Arc<Histogram>>,
    ) {
        let samples = match self.series.get_mut(labels) {
            Some(samples) => samples,
            None => self.series.entry(labels.clone()).or_default(),
        };
        let at = match samples.timestamps_ms.binary_search(&timestamp_ms) {
            Ok(at) => {
                samples.values[at] = value;
                samples.histograms.retain(|(known, _)| *known != at);
                at
            }
            Err(at) => {
                samples.timestamps_ms.insert(at, timestamp_ms);
                samples.values.insert(at, value);
                let later = samples
                    .histograms
                    .iter_mut()
                    .filter(|(known, _)| *known >= at);
                later.for_each(|(known, _)| *known += 1);
                at
            }
        };
        if let Some(histogram) = histogram {
            let histograms = &mut samples.histograms;
            let place = histograms.partition_point(|(known, _)| *known < at);
            histograms.insert(place, (at, histogram));
        }
    }

    /// Says what a metric family means.
    pub fn describe(&mut self, family: &str, metadata: MetricMetadata) {
        self.metadata.insert(family.to_owned(), metadata);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.series.clear();
        self.metadata.clear();
    }

    /// Series that satisfy all matchers, with their samples after `start_ms` up to `end_ms`.
    fn matching<'a>(
        &'a self,
        matchers: &'a [Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> impl Iterator<Item = (&'a Labels, std::ops::Range<usize>, &'a Samples)> {
        self.series
            .iter()
            .filter(|(labels, _)| matchers.iter().all(|m| m.matches_labels(labels)))
            .map(move |(labels, samples)| {
                let times = &samples.timestamps_ms;
                let low = times.partition_point(|t| *t <= start_ms);
                let high = times.partition_point(|t| *t <= end_ms).max(low);
                (labels, low..high, samples)
            })
            .filter(|(_, range, _)| !range.is_empty())
    }
}

impl SeriesReader for MemoryReader {
    fn select(&self, selection: &Selection) -> Result<Vec<Box<dyn SeriesCursor>>, StoreError> {
        let found: Vec<(Labels, Samples)> = self
            .matching(&selection.matchers, selection.start_ms, selection.end_ms)
            .map(|(labels, range, samples)| {
                let samples = Samples {
                    timestamps_ms: samples.timestamps_ms[range.clone()].to_vec(),
                    values: samples.values[range.clone()].to_vec(),
                    histograms: samples
                        .histograms
                        .iter()
                        .filter(|(index, _)| range.contains(index))
                        .map(|(index, histogram)| (index - range.start, histogram.clone()))
                        .collect(),
                };
                (labels.clone(), samples)
            })
            .collect();
        if found.len() > selection.series_max {
            return Err(StoreError::Limit(format!(
                "{} series match, which is more than {} (limit series_max): narrow the selector",
                found.len(),
                selection.series_max
            )));
        }
        let size = found.len().div_ceil(selection.cursors_max.max(1)).max(1);
        let mut rest = found.into_iter().peekable();
        let mut cursors: Vec<Box<dyn SeriesCursor>> = Vec::new();
        while rest.peek().is_some() {
            let part: Vec<_> = rest.by_ref().take(size).collect();
            cursors.push(Box::new(MemoryCursor {
                series: part.into_iter(),
            }));
        }
        Ok(cursors)
    }

    fn series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<(Vec<Labels>, bool), StoreError> {
        let mut found = self.matching(matchers, start_ms, end_ms);
        let series = found
            .by_ref()
            .take(limit)
            .map(|(l, ..)| l.clone())
            .collect();
        Ok((series, found.next().is_some()))
    }

    fn label_names(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, StoreError> {
        let names: BTreeSet<&str> = self
            .matching(matchers, start_ms, end_ms)
            .flat_map(|(labels, ..)| labels.iter().map(|l| &*l.name))
            .collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, StoreError> {
        let values: BTreeSet<&str> = self
            .matching(matchers, start_ms, end_ms)
            .filter_map(|(labels, ..)| labels.get(name))
            .collect();
        Ok(values.into_iter().map(str::to_owned).collect())
    }

    fn metadata(&self) -> BTreeMap<String, MetricMetadata> {
        self.metadata.clone()
    }
}

struct MemoryCursor {
    series: std::vec::IntoIter<(Labels, Samples)>,
}

impl SeriesCursor for MemoryCursor {
    fn next_series(&mut self, samples: &mut Samples) -> Result<Option<Labels>, StoreError> {
        let Some((labels, found)) = self.series.next() else {
            return Ok(None);
        };
        *samples = found;
        Ok(Some(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_together_are_the_sorted_whole() {
        let mut reader = MemoryReader::new();
        for i in 0..10 {
            let labels = Labels::from_pairs([("__name__", "m".to_owned()), ("i", i.to_string())]);
            reader.push(&labels, 2, 1.0);
            reader.push(&labels, 1, 0.0);
        }
        let selection = Selection {
            matchers: vec![Matcher::equal("__name__", "m")],
            start_ms: 1,
            end_ms: 5,
            series_max: 10,
            cursors_max: 3,
        };
        let mut seen = Vec::new();
        let mut samples = Samples::default();
        for mut cursor in reader.select(&selection).expect("within limits") {
            while let Some(labels) = cursor.next_series(&mut samples).expect("memory") {
                assert_eq!(samples.timestamps_ms, [2], "the start is exclusive");
                seen.push(labels);
            }
        }
        assert_eq!(seen.len(), 10);
        assert!(seen.is_sorted());
        let selection = Selection {
            series_max: 9,
            ..selection
        };
        assert!(matches!(
            reader.select(&selection),
            Err(StoreError::Limit(_))
        ));
    }
}
