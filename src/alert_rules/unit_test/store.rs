//! The metric store of a unit test: in memory, written by the test and by the rules.

use std::collections::{BTreeMap, HashMap};

use model::{
    Labels, Matcher, MetricMetadata, SampleSink, Scrape, Selection, SeriesCursor, SeriesReader,
    SlotId, StoreError, TargetId,
};
use parking_lot::{Mutex, RwLock};
use promql::memory::MemoryReader;

/// Takes samples and answers with them.
#[derive(Default)]
pub(super) struct TestStore {
    series: RwLock<MemoryReader>,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    labels: Vec<Labels>,
    by_labels: HashMap<Labels, SlotId>,
}

impl TestStore {
    pub(super) fn push(&self, labels: &Labels, timestamp_ms: i64, value: f64) {
        self.series.write().push(labels, timestamp_ms, value);
    }
}

impl SampleSink for TestStore {
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
        let slots = self.slots.lock();
        let mut series = self.series.write();
        for (slot, value) in scrape.samples {
            let labels = slots
                .labels
                .get(slot.0 as usize)
                .ok_or_else(|| StoreError::Refused("unknown slot".to_owned()))?;
            series.push(labels, scrape.timestamp_ms, *value);
        }
        Ok(scrape.samples.len())
    }

    fn close_target(&self, _: TargetId) {}

    fn describe(&self, _: &str, _: &MetricMetadata) {}
}

impl SeriesReader for TestStore {
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
