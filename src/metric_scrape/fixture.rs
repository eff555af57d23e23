//! For tests: a store in memory that remembers all it is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    Exemplar, Histogram, Labels, MetricMetadata, SampleSink, Scrape, SlotId, StoreError, TargetId,
    is_stale,
};
use parking_lot::Mutex;

/// A store in memory.
#[derive(Default)]
pub(crate) struct MemorySink(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    targets: Vec<(String, bool)>,
    slots: Vec<Vec<String>>,
    /// Series by name: times and values.
    samples: BTreeMap<String, Vec<(i64, f64)>>,
    metadata: BTreeMap<String, MetricMetadata>,
    /// By series.
    histograms: BTreeMap<String, Vec<Arc<Histogram>>>,
    exemplars: BTreeMap<String, Vec<Exemplar>>,
    series_max: Option<usize>,
    full: bool,
}

impl MemorySink {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// From now on `append` answers that the disk is full, or no longer.
    pub(crate) fn set_full(&self, full: bool) {
        self.0.lock().full = full;
    }

    /// From now on no more series than these are taken.
    pub(crate) fn set_series_max(&self, series_max: usize) {
        self.0.lock().series_max = Some(series_max);
    }

    /// All samples of a series as text: values in order, `gone` for a stale marker.
    pub(crate) fn series(&self, name: &str) -> String {
        let memory = self.0.lock();
        let samples = memory
            .samples
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let shown: Vec<String> = samples
            .iter()
            .map(|(_, value)| {
                if is_stale(*value) {
                    "gone".to_owned()
                } else {
                    value.to_string()
                }
            })
            .collect();
        shown.join(" ")
    }

    /// All native histograms of a series.
    pub(crate) fn histograms(&self, name: &str) -> Vec<Arc<Histogram>> {
        let memory = self.0.lock();
        memory.histograms.get(name).cloned().unwrap_or_default()
    }

    /// All exemplars of a series.
    pub(crate) fn exemplars(&self, name: &str) -> Vec<Exemplar> {
        let memory = self.0.lock();
        memory.exemplars.get(name).cloned().unwrap_or_default()
    }

    /// Times of all samples of a series.
    pub(crate) fn times(&self, name: &str) -> Vec<i64> {
        let memory = self.0.lock();
        let samples = memory
            .samples
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default();
        samples.iter().map(|(time, _)| *time).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.lock().samples.keys().cloned().collect()
    }

    pub(crate) fn help(&self, family: &str) -> String {
        let memory = self.0.lock();
        memory
            .metadata
            .get(family)
            .map(|m| m.help.to_string())
            .unwrap_or_default()
    }

    /// Whether a target whose name contains `part` is open.
    pub(crate) fn is_open(&self, part: &str) -> bool {
        let memory = self.0.lock();
        memory
            .targets
            .iter()
            .any(|(name, open)| *open && name.contains(part))
    }
}

impl SampleSink for MemorySink {
    fn open_target(&self, name: &str) -> Result<TargetId, StoreError> {
        let mut memory = self.0.lock();
        if let Some(known) = memory.targets.iter().position(|(n, _)| n == name) {
            memory.targets[known].1 = true;
            return Ok(TargetId(known as u32));
        }
        memory.targets.push((name.to_owned(), true));
        memory.slots.push(Vec::new());
        Ok(TargetId(memory.targets.len() as u32 - 1))
    }

    fn open_slot(&self, target: TargetId, labels: &Labels) -> Result<SlotId, StoreError> {
        let mut memory = self.0.lock();
        let series_count: usize = memory.slots.iter().map(Vec::len).sum();
        let is_full = memory.series_max.is_some_and(|max| series_count >= max);
        let slots = &mut memory.slots[target.0 as usize];
        let name = labels.to_string();
        if let Some(known) = slots.iter().position(|n| *n == name) {
            return Ok(SlotId(known as u32));
        }
        if is_full {
            return Err(StoreError::Limit("no more series than these".to_owned()));
        }
        slots.push(name);
        Ok(SlotId(slots.len() as u32 - 1))
    }

    fn append(&self, scrape: Scrape<'_>) -> Result<usize, StoreError> {
        let mut memory = self.0.lock();
        if memory.full {
            return Err(StoreError::NoSpace("the disk is full".to_owned()));
        }
        for (slot, value) in scrape.samples {
            let name = memory.slots[scrape.target.0 as usize][slot.0 as usize].clone();
            let series = memory.samples.entry(name.clone()).or_default();
            let last = series.last().map_or(i64::MIN, |(time, _)| *time);
            assert!(
                scrape.timestamp_ms > last,
                "{name}: time does not go forward"
            );
            series.push((scrape.timestamp_ms, *value));
        }
        Ok(scrape.samples.len())
    }

    fn append_histograms(
        &self,
        target: TargetId,
        timestamp_ms: i64,
        samples: &[(SlotId, Arc<Histogram>)],
    ) -> Result<usize, StoreError> {
        for (slot, histogram) in samples {
            let mut memory = self.0.lock();
            let name = memory.slots[target.0 as usize][slot.0 as usize].clone();
            let of_series = memory.histograms.entry(name).or_default();
            of_series.push(histogram.clone());
        }
        let places = samples
            .iter()
            .map(|(slot, _)| (*slot, model::histogram_nan()));
        self.append(Scrape {
            target,
            timestamp_ms,
            samples: &places.collect::<Vec<_>>(),
        })
    }

    fn append_exemplar(&self, target: TargetId, slot: SlotId, exemplar: Exemplar) {
        let mut memory = self.0.lock();
        let name = memory.slots[target.0 as usize][slot.0 as usize].clone();
        memory.exemplars.entry(name).or_default().push(exemplar);
    }

    fn close_target(&self, target: TargetId) {
        self.0.lock().targets[target.0 as usize].1 = false;
    }

    fn describe(&self, family: &str, metadata: &MetricMetadata) {
        self.0
            .lock()
            .metadata
            .insert(family.to_owned(), metadata.clone());
    }
}
