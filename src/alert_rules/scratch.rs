//! A metric store in memory for rules that are tried out: in unit tests and rehearsals.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::{
    Histogram, Labels, Matcher, MetricMetadata, SampleSink, Scrape, Selection, SeriesCursor,
    SeriesReader, SlotId, StoreError, TargetId,
};
use parking_lot::{Mutex, MutexGuard, RwLock};
use promql::memory::MemoryReader;

use crate::series::Recorded;

/// The most samples that it takes.
const SAMPLES_MAX: usize = 10_000_000;

/// Takes samples and answers with them.
#[derive(Default)]
pub(crate) struct Scratch {
    series: RwLock<MemoryReader>,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    samples: usize,
    labels: Vec<Labels>,
    by_labels: HashMap<Labels, SlotId>,
}

impl Scratch {
    pub(crate) fn push(&self, labels: &Labels, timestamp_ms: i64, value: Recorded) {
        let mut series = self.series.write();
        match value {
            Recorded::Number(value) => series.push(labels, timestamp_ms, value),
            Recorded::Histogram(value) => series.push_histogram(labels, timestamp_ms, value),
        }
    }

    /// Counts samples that are about to be stored.
    fn room_for(&self, samples: usize) -> Result<MutexGuard<'_, Slots>, StoreError> {
        let mut slots = self.slots.lock();
        slots.samples += samples;
        if slots.samples > SAMPLES_MAX {
            return Err(StoreError::Limit(format!(
                "rules that are tried out may make {SAMPLES_MAX} samples"
            )));
        }
        Ok(slots)
    }
}

impl Slots {
    fn labels(&self, slot: SlotId) -> Result<&Labels, StoreError> {
        let labels = self.labels.get(slot.0 as usize);
        labels.ok_or_else(|| StoreError::Refused("unknown slot".to_owned()))
    }
}

impl SampleSink for Scratch {
    fn open_target(&self, _: &str) -> Result<TargetId, StoreError> {
        Ok(TargetId(0))
    }

    fn open_slot(&self, _: TargetId, labels: &Labels) -> Result<SlotId, StoreError> {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.by_labels.get(labels) {
            return Ok(*slot);
        }
        let slot = SlotId(slots.labels.len() as u32);
        slots.labels.push(labels.clone());
        slots.by_labels.insert(labels.clone(), slot);
        Ok(slot)
    }

    fn append(&self, scrape: Scrape<'_>) -> Result<usize, StoreError> {
        let slots = self.room_for(scrape.samples.len())?;
        let mut series = self.series.write();
        for (slot, value) in scrape.samples {
            series.push(slots.labels(*slot)?, scrape.timestamp_ms, *value);
        }
        Ok(scrape.samples.len())
    }

    fn append_histograms(
        &self,
        _: TargetId,
        timestamp_ms: i64,
        samples: &[(SlotId, Arc<Histogram>)],
    ) -> Result<usize, StoreError> {
        let slots = self.room_for(samples.len())?;
        let mut series = self.series.write();
        for (slot, value) in samples {
            series.push_histogram(slots.labels(*slot)?, timestamp_ms, value.clone());
        }
        Ok(samples.len())
    }

    fn close_target(&self, _: TargetId) {}

    fn describe(&self, _: &str, _: &MetricMetadata) {}
}

impl SeriesReader for Scratch {
    fn select(&self, selection: &Selection) -> Result<Vec<Box<dyn SeriesCursor>>, StoreError> {
        self.series.read().select(selection)
    }

    fn series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<(Vec<Labels>, bool), StoreError> {
        self.series.read().series(matchers, start_ms, end_ms, limit)
    }

    fn label_names(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, StoreError> {
        self.series.read().label_names(matchers, start_ms, end_ms)
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, StoreError> {
        self.series
            .read()
            .label_values(name, matchers, start_ms, end_ms)
    }

    fn metadata(&self) -> BTreeMap<String, MetricMetadata> {
        self.series.read().metadata()
    }
}
