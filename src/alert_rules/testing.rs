//! A metric store and a query language small enough to look through, for the tests of this room.
//!
//! An expression is the name of a metric; `boom` panics, `many` and `million` flood, `fail` fails. Series end
//! five minutes after their last sample or with a stale marker, as anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    Histogram, Labels, Matcher, MetricMetadata, Sample, SampleSink, Samples, Scrape, Selection,
    SeriesCursor, SeriesReader, SlotId, StoreError, TargetId, is_stale,
};
use parking_lot::Mutex;
use promql::{Answer, ErrorKind, Point, QueryError, Value};

use crate::query::{Reads, RuleQuery};

/// Remembers samples and answers with them.
#[derive(Default)]
pub(crate) struct Memory {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    slots: Vec<Labels>,
    samples: BTreeMap<Labels, Vec<Sample>>,
    scrapes: usize,
    full: bool,
}

impl Memory {
    pub(crate) fn put(&self, labels: &Labels, timestamp_ms: i64, value: f64) {
        let mut inner = self.inner.lock();
        inner
            .samples
            .entry(labels.clone())
            .or_default()
            .push(Sample {
                timestamp_ms,
                value,
            });
    }

    /// Sets a metric with one label `x`.
    pub(crate) fn set(&self, name: &str, x: &str, timestamp_ms: i64, value: f64) {
        let labels = Labels::from_pairs([("__name__", name), ("x", x)]);
        self.put(&labels, timestamp_ms, value);
    }

    /// Whether the disk is full.
    pub(crate) fn set_full(&self, full: bool) {
        self.inner.lock().full = full;
    }

    pub(crate) fn scrapes(&self) -> usize {
        self.inner.lock().scrapes
    }

    /// All series whose name matches, with their last sample.
    pub(crate) fn last(&self, name: &str) -> Vec<(String, String)> {
        let inner = self.inner.lock();
        let named = inner
            .samples
            .iter()
            .filter(|(l, _)| l.metric_name() == Some(name));
        named
            .filter_map(|(labels, samples)| {
                let value = samples.last()?.value;
                let value = if is_stale(value) {
                    "stale".to_owned()
                } else {
                    value.to_string()
                };
                Some((labels.to_string(), value))
            })
            .collect()
    }
}

fn error(kind: ErrorKind, message: &str) -> QueryError {
    QueryError {
        kind,
        message: message.to_owned(),
        position: None,
    }
}

impl RuleQuery for Memory {
    fn check(&self, expression: &str) -> Result<Reads, QueryError> {
        if expression.contains('(') {
            return Err(error(ErrorKind::BadData, "unclosed parenthesis"));
        }
        Ok(Reads::Only(vec![Arc::from(expression)]))
    }

    fn instant(&self, expression: &str, time_ms: i64) -> Result<Answer, QueryError> {
        let matchers = [Matcher::equal("__name__", expression)];
        let points = match expression {
            "boom" => panic!("boom"),
            "fail" => return Err(error(ErrorKind::Timeout, "took too long")),
            "many" | "million" => (0..if expression == "many" {
                20_000
            } else {
                1_000_000
            })
                .map(|i| Point {
                    labels: Labels::from_pairs([("i", i.to_string())]),
                    timestamp_ms: time_ms,
                    value: 1.0,
                    histogram: None,
                })
                .collect(),
            _ => self
                .latest(&matchers, time_ms - 300_000, time_ms)?
                .into_iter()
                .filter(|(_, sample)| !is_stale(sample.value))
                .map(|(labels, sample)| Point {
                    labels,
                    timestamp_ms: time_ms,
                    value: sample.value,
                    histogram: None,
                })
                .collect(),
        };
        Ok(Answer {
            value: Value::Vector(points),
            warnings: Vec::new(),
            infos: Vec::new(),
            samples_read: 0,
            series_read: 0,
        })
    }

    fn latest(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<(Labels, Sample)>, QueryError> {
        let inner = self.inner.lock();
        let range = |s: &&Sample| s.timestamp_ms > start_ms && s.timestamp_ms <= end_ms;
        Ok(inner
            .samples
            .iter()
            .filter(|(labels, _)| matchers.iter().all(|m| m.matches_labels(labels)))
            .filter_map(|(labels, samples)| {
                let last = samples.iter().rfind(range)?;
                Some((labels.clone(), *last))
            })
            .collect())
    }
}

impl SampleSink for Memory {
    fn open_target(&self, _: &str) -> Result<TargetId, StoreError> {
        Ok(TargetId(0))
    }

    fn open_slot(&self, _: TargetId, labels: &Labels) -> Result<SlotId, StoreError> {
        let mut inner = self.inner.lock();
        let known = inner.slots.iter().position(|l| l == labels);
        let slot = known.unwrap_or_else(|| {
            inner.slots.push(labels.clone());
            inner.slots.len() - 1
        });
        Ok(SlotId(slot as u32))
    }

    fn append(&self, scrape: Scrape<'_>) -> Result<usize, StoreError> {
        let mut inner = self.inner.lock();
        if inner.full {
            return Err(StoreError::NoSpace("disk full".to_owned()));
        }
        inner.scrapes += 1;
        for (slot, value) in scrape.samples {
            let labels = inner.slots[slot.0 as usize].clone();
            inner.samples.entry(labels).or_default().push(Sample {
                timestamp_ms: scrape.timestamp_ms,
                value: *value,
            });
        }
        Ok(scrape.samples.len())
    }

    fn append_histograms(
        &self,
        target: TargetId,
        timestamp_ms: i64,
        samples: &[(SlotId, Arc<Histogram>)],
    ) -> Result<usize, StoreError> {
        let places = samples
            .iter()
            .map(|(slot, _)| (*slot, model::histogram_nan()));
        self.append(Scrape {
            target,
            timestamp_ms,
            samples: &places.collect::<Vec<_>>(),
        })
    }

    fn close_target(&self, _: TargetId) {}

    fn describe(&self, _: &str, _: &MetricMetadata) {}
}

/// For the tests with the real language.
impl SeriesReader for Memory {
    fn select(&self, selection: &Selection) -> Result<Vec<Box<dyn SeriesCursor>>, StoreError> {
        let inner = self.inner.lock();
        let range = selection.start_ms + 1..=selection.end_ms;
        let found = inner
            .samples
            .iter()
            .filter(|(labels, _)| selection.matchers.iter().all(|m| m.matches_labels(labels)))
            .map(|(labels, samples)| {
                let mut columns = Samples::default();
                for sample in samples.iter().filter(|s| range.contains(&s.timestamp_ms)) {
                    columns.push(sample.timestamp_ms, sample.value);
                }
                (labels.clone(), columns)
            })
            .filter(|(_, samples)| !samples.is_empty())
            .collect();
        Ok(vec![Box::new(Rows(found))])
    }

    fn series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        _: usize,
    ) -> Result<(Vec<Labels>, bool), StoreError> {
        let range = |s: &Sample| s.timestamp_ms > start_ms && s.timestamp_ms <= end_ms;
        let inner = self.inner.lock();
        let all = inner.samples.iter();
        let found = all
            .filter(|(labels, _)| matchers.iter().all(|m| m.matches_labels(labels)))
            .filter(|(_, samples)| samples.iter().any(range));
        Ok((found.map(|(labels, _)| labels.clone()).collect(), false))
    }

    fn label_names(&self, matchers: &[Matcher], a: i64, b: i64) -> Result<Vec<String>, StoreError> {
        let (series, _) = self.series(matchers, a, b, usize::MAX)?;
        let labels = series.iter().flat_map(|labels| labels.iter());
        Ok(labels.map(|label| label.name.to_string()).collect())
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        a: i64,
        b: i64,
    ) -> Result<Vec<String>, StoreError> {
        let (series, _) = self.series(matchers, a, b, usize::MAX)?;
        let values = series.iter().filter_map(|labels| labels.get(name));
        Ok(values.map(str::to_owned).collect())
    }

    fn metadata(&self) -> BTreeMap<String, MetricMetadata> {
        BTreeMap::new()
    }
}

/// Series still to be handed out, in order of labels.
struct Rows(std::collections::VecDeque<(Labels, Samples)>);

impl SeriesCursor for Rows {
    fn next_series(&mut self, samples: &mut Samples) -> Result<Option<Labels>, StoreError> {
        Ok(self.0.pop_front().map(|(labels, found)| {
            *samples = found;
            labels
        }))
    }
}

/// Both languages are the one of this file.
pub(crate) fn languages(query: &dyn RuleQuery) -> crate::Languages<'_> {
    crate::Languages {
        metrics: query,
        logs: query,
    }
}
