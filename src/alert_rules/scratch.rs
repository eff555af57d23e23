//! A metric store in memory for rules that are tried out: in unit tests and rehearsals.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::{
    Histogram, Labels, Matcher, MetricMetadata, SampleSink, Scrape, Selection, SeriesCursor,
    SeriesReader, SlotId, StoreError, TargetId,
};
use parking_lot::{Mutex, RwLock};
use promql::memory::MemoryReader;

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
    pub(crate) fn push(&self, labels: &Labels, timestamp_ms: i64, value: f64) {
        self.series.write().push(labels, timestamp_ms, value);
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
        let mut slots = self.slots.lock();
        slots.samples += scrape.samples.len();
        if slots.samples > SAMPLES_MAX {
            return Err(StoreError::Limit(format!(
                "rules that are tried out may make {SAMPLES_MAX} samples"
            )));
        }
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

    /// Rules record numbers; a histogram among their results is refused before it comes here.
    fn append_histograms(
        &self,
        _: TargetId,
        _: i64,
        _: &[(SlotId, Arc<Histogram>)],
    ) -> Result<usize, StoreError> {
        Err(StoreError::Refused(
            "native histograms are not recorded where rules are tried out".to_owned(),
        ))
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
