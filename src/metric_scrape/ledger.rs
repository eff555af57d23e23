//! Hands a scrape to the store: samples, stale markers, and what the scrape tells about itself.
//!
//! Synchronous: the loop calls it on a blocking thread. All samples that share the scrape's time go
//! in one `append`, so either the whole scrape is there or nothing of it.

use std::sync::Arc;
use std::time::Duration;

use model::{Exemplar, Histogram, SampleSink, Scrape, SlotId, StoreError, TargetId, stale_nan};

use crate::ScrapeError;
use crate::exposition::{Format, metadata};
use crate::metrics::Metrics;
use crate::page::{Commit, Counts, Pages, ReadOptions};
use crate::series::report_labels;
use crate::target::TargetSpec;

/// The scrape's own metrics, as Prometheus names them.
const REPORT: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    // Only with `extra_scrape_metrics`.
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];

/// How many of them are always there.
const REPORT_USUAL: usize = 5;

/// The value of `scrape_body_size_bytes` for a page that was cut off.
const BODY_CUT_OFF: f64 = -1.0;

/// Samples that claim to be from later than this are left out.
const FUTURE_MAX_MS: i64 = 10 * 60 * 1000;

/// What became of a scrape, for the targets page.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The samples were stored.
    pub(crate) up: bool,
    /// What went wrong, in a sentence; with `up`, what part of it did not work.
    pub(crate) error: Option<String>,
    /// Samples on the page after relabelling.
    pub(crate) samples: usize,
}

/// When a scrape took place and how long it took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScrapeTime {
    /// The time that its samples get, milliseconds since 1970-01-01 UTC.
    pub(crate) timestamp_ms: i64,
    /// From asking to having the whole page.
    pub(crate) duration: Duration,
}

/// What one target has in the store.
pub(crate) struct Ledger {
    sink: Arc<dyn SampleSink>,
    metrics: Metrics,
    pages: Pages,
    opened: Option<Opened>,
    last_timestamp_ms: i64,
}

#[derive(Clone)]
struct Opened {
    target: TargetId,
    report: [Option<SlotId>; REPORT.len()],
}

impl Ledger {
    pub(crate) fn new(sink: Arc<dyn SampleSink>, metrics: Metrics) -> Self {
        Self {
            sink,
            metrics,
            pages: Pages::default(),
            opened: None,
            last_timestamp_ms: 0,
        }
    }

    /// Stores a page, or the fact that there is none.
    pub(crate) fn store(
        &mut self,
        spec: &TargetSpec,
        page: Result<(Vec<u8>, Format), ScrapeError>,
        time: ScrapeTime,
    ) -> Outcome {
        let mut counts = Counts::default();
        let result = self.try_store(spec, page, time, &mut counts);
        self.metrics
            .lines_unexpected
            .inc_by(counts.unexpected as u64);
        self.metrics
            .samples_duplicate
            .inc_by(counts.duplicates as u64);
        let (up, error) = match result {
            Ok(complaint) => {
                self.metrics.scrapes.inc();
                (true, complaint)
            }
            Err(error) => {
                self.metrics.failed(error.reason());
                (false, Some(error.to_string()))
            }
        };
        Outcome {
            up,
            error,
            samples: counts.kept,
        }
    }

    fn try_store(
        &mut self,
        spec: &TargetSpec,
        page: Result<(Vec<u8>, Format), ScrapeError>,
        time: ScrapeTime,
        counts: &mut Counts,
    ) -> Result<Option<String>, ScrapeError> {
        let opened = self.open(spec)?;
        let body_bytes = match &page {
            Ok((page, _)) => page.len() as f64,
            Err(ScrapeError::BodyLimit(_)) => BODY_CUT_OFF,
            Err(_) => 0.0,
        };
        let read =
            page.and_then(|(page, format)| self.read(spec, opened.target, &page, format, counts));
        let (mut commit, failure) = match read {
            Ok(commit) => (commit, None),
            Err(error) => {
                let commit = Commit {
                    stale: self.pages.fail(spec.timestamps),
                    ..Commit::default()
                };
                (commit, Some(error))
            }
        };
        counts.duplicates += commit.duplicates;
        let report = [
            f64::from(u8::from(failure.is_none())),
            time.duration.as_secs_f64(),
            counts.scraped as f64,
            counts.kept as f64,
            commit.added as f64,
            spec.timeout.as_secs_f64(),
            spec.samples_max.unwrap_or(0) as f64,
            body_bytes,
        ];
        let mut samples = std::mem::take(&mut commit.samples);
        samples.extend(commit.stale.iter().map(|slot| (*slot, stale_nan())));
        let own = opened.report.iter().zip(report);
        samples.extend(own.filter_map(|(slot, value)| Some(((*slot)?, value))));

        self.last_timestamp_ms = time.timestamp_ms;
        let scrape = Scrape {
            target: opened.target,
            timestamp_ms: time.timestamp_ms,
            samples: &samples,
        };
        match self.sink.append(scrape) {
            Ok(stored) => {
                self.metrics.samples.inc_by(stored as u64);
            }
            Err(error) => {
                // The markers are owed: they are written with the next scrape that is stored.
                self.pages.owe_markers(commit.stale);
                return Err(failure.unwrap_or(ScrapeError::Store(error)));
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        self.append_timed(opened.target, &mut commit.timed, time.timestamp_ms)?;
        self.append_histograms(opened.target, &mut commit.histograms, time.timestamp_ms)?;
        for exemplar in commit.exemplars {
            let found = Exemplar {
                labels: exemplar.labels,
                value: exemplar.value,
                timestamp_ms: exemplar.timestamp_ms.unwrap_or(time.timestamp_ms),
            };
            // The store counts those that it does not take.
            self.sink
                .append_exemplar(opened.target, exemplar.slot, found);
        }
        Ok(commit.refused.map(|(count, error)| {
            self.metrics.series_refused.inc_by(count as u64);
            format!("{count} new series were not stored: {error}")
        }))
    }

    /// Opens the target and its own series, where that has not succeeded before.
    fn open(&mut self, spec: &TargetSpec) -> Result<Opened, StoreError> {
        let wanted = if spec.extra_metrics {
            REPORT.len()
        } else {
            REPORT_USUAL
        };
        let mut opened = match &self.opened {
            Some(opened) if opened.report.iter().take(wanted).all(Option::is_some) => {
                return Ok(opened.clone());
            }
            Some(opened) => opened.clone(),
            None => Opened {
                target: self.sink.open_target(&spec.name)?,
                report: [None; REPORT.len()],
            },
        };
        for (slot, metric) in opened.report.iter_mut().zip(REPORT).take(wanted) {
            // A store that is full may refuse these; the target goes on without.
            if slot.is_none() {
                let labels = report_labels(&spec.labels, metric);
                *slot = self.sink.open_slot(opened.target, &labels).ok();
            }
        }
        self.opened = Some(opened.clone());
        Ok(opened)
    }

    /// Reads a page and opens slots for its new series.
    fn read(
        &mut self,
        spec: &TargetSpec,
        target: TargetId,
        page: &[u8],
        format: Format,
        counts: &mut Counts,
    ) -> Result<Commit, ScrapeError> {
        self.metrics.page_bytes.inc_by(page.len() as u64);
        let options = ReadOptions {
            format,
            timestamps: spec.timestamps,
            kept_max: spec.samples_max.unwrap_or(usize::MAX),
            histograms: spec.histograms,
        };
        let mut resolve =
            |pairs: &[crate::exposition::line::Pair<'_>]| spec.rules.labels(&spec.labels, pairs);
        let reading = self.pages.read(page, options, &mut resolve, counts)?;
        if let Some(limit) = spec.samples_max
            && counts.kept > limit
        {
            return Err(ScrapeError::SampleLimit {
                kept: counts.kept,
                limit,
            });
        }
        if reading.metadata_changed {
            for (family, metadata) in metadata::families(page, format) {
                self.sink.describe(&family, &metadata);
            }
        }
        let sink = &self.sink;
        Ok(self.pages.commit(reading, spec.timestamps, &mut |labels| {
            sink.open_slot(target, labels)
        }))
    }

    /// Stores samples that have times of their own, one `append` per time.
    fn append_timed(
        &self,
        target: TargetId,
        timed: &mut Vec<(i64, SlotId, f64)>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let before = timed.len();
        timed.retain(|(time, ..)| *time <= now_ms.saturating_add(FUTURE_MAX_MS));
        self.metrics
            .samples_future
            .inc_by((before - timed.len()) as u64);
        timed.sort_by_key(|(time, ..)| *time);
        for group in timed.chunk_by(|a, b| a.0 == b.0) {
            let samples: Vec<_> = group
                .iter()
                .map(|(_, slot, value)| (*slot, *value))
                .collect();
            let stored = self.sink.append(Scrape {
                target,
                timestamp_ms: group[0].0,
                samples: &samples,
            })?;
            self.metrics.samples.inc_by(stored as u64);
        }
        Ok(())
    }

    /// Stores native histograms, one `append_histograms` per time.
    fn append_histograms(
        &self,
        target: TargetId,
        histograms: &mut Vec<(Option<i64>, SlotId, Arc<Histogram>)>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let before = histograms.len();
        let time_of = |time: Option<i64>| time.unwrap_or(now_ms);
        histograms.retain(|(time, ..)| time_of(*time) <= now_ms.saturating_add(FUTURE_MAX_MS));
        self.metrics
            .samples_future
            .inc_by((before - histograms.len()) as u64);
        histograms.sort_by_key(|(time, ..)| time_of(*time));
        for group in histograms.chunk_by(|a, b| time_of(a.0) == time_of(b.0)) {
            let samples: Vec<_> = group
                .iter()
                .map(|(_, slot, histogram)| (*slot, histogram.clone()))
                .collect();
            let stored = self
                .sink
                .append_histograms(target, time_of(group[0].0), &samples)?;
            self.metrics.samples.inc_by(stored as u64);
        }
        Ok(())
    }

    /// The target goes on under other rules: its lines may mean other series now.
    pub(crate) fn rules_changed(&mut self, spec: &TargetSpec) {
        self.pages.forget_keys(spec.timestamps);
    }

    /// The target is no more: all its series end, its own ones too.
    pub(crate) fn close(&mut self, spec: &TargetSpec, now_ms: i64) {
        let Some(opened) = self.opened.take() else {
            return;
        };
        let mut samples: Vec<(SlotId, f64)> = self
            .pages
            .fail(spec.timestamps)
            .into_iter()
            .chain(opened.report.into_iter().flatten())
            .map(|slot| (slot, stale_nan()))
            .collect();
        samples.sort_unstable_by_key(|(slot, _)| *slot);
        let scrape = Scrape {
            target: opened.target,
            // A marker at the time of the last sample would be refused.
            timestamp_ms: now_ms.max(self.last_timestamp_ms + 1),
            samples: &samples,
        };
        if let Err(error) = self.sink.append(scrape) {
            tracing::warn!(target_name = %spec.name, %error, "cannot mark the series of a removed target as ended");
        }
        self.sink.close_target(opened.target);
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "histogram_tests.rs"]
mod histogram_tests;
