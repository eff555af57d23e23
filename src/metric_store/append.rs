//! The way in: targets, slots, scrapes.
//!
//! A scrape is sorted out (what is late, what is there already), written to its window's journal
//! and then stored in the head. All of it happens under its target's lock; other targets go on.

use std::sync::Arc;

use model::{
    Exemplar, Histogram, Labels, MetricMetadata, SampleSink, Scrape, SlotId, StoreError, TargetId,
    is_histogram,
};

use crate::codec;
use crate::head::Admission;
use crate::head::places::Place;
use crate::head::target::{Sorted, Target};
use crate::index::SeriesId;
use crate::journal::series;
use crate::store::{MetricStore, Shared};

/// A label set with more bytes than this is refused: it is a mistake of whoever sends it.
const LABELS_BYTES_MAX: usize = 32 << 10;

/// The index keeps series that are not written to any more for as long as their samples are kept:
/// at most so many times the series that may be written to.
const INDEX_RATIO_MAX: usize = 16;

/// Metric families that are remembered; more are forgotten at once.
const FAMILIES_MAX: usize = 100_000;

/// Buffers kept for later scrapes: more writers than this at one time is rare.
const BUFFERS_MAX: usize = 16;

/// What one append needs; reused.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) sorted: Sorted,
    pub(crate) records: Vec<u8>,
    pub(crate) codec: codec::Scratch,
}

impl Shared {
    fn take_buffers(&self) -> Buffers {
        self.buffers.lock().pop().unwrap_or_default()
    }

    fn return_buffers(&self, buffers: Buffers) {
        let mut all = self.buffers.lock();
        if all.len() < BUFFERS_MAX {
            all.push(buffers);
        }
    }

    /// Whether samples of this time may be stored; those that may not are counted.
    fn admits(&self, time_ms: i64, count: usize) -> bool {
        let refused = match self.head.admit(time_ms, &self.limits) {
            Admission::Take => return true,
            Admission::TooOld => &self.metrics.samples_too_old,
            Admission::TooNew => &self.metrics.samples_too_new,
        };
        refused.inc_by(count as u64);
        false
    }

    fn append_with(&self, scrape: &Scrape<'_>, buffers: &mut Buffers) -> Result<usize, StoreError> {
        let time_ms = scrape.timestamp_ms;
        if !self.admits(time_ms, scrape.samples.len()) {
            return Ok(0);
        }
        let _entered = self.head.enter();
        let target = self.head.target(scrape.target)?;
        let mut state = target.state.lock();
        if state.closed {
            return Err(closed(&target.name));
        }
        let window_ms = self.limits.window_of(time_ms);
        let Buffers {
            sorted,
            records,
            codec,
        } = buffers;
        state.sort_out(window_ms, time_ms, scrape.samples, sorted)?;
        self.metrics.samples_duplicate.inc_by(sorted.duplicates);
        if sorted.accepted.is_empty() {
            return Ok(0);
        }
        for (_, value) in &mut sorted.accepted {
            if is_histogram(*value) {
                // These bits only hold the place of a histogram: any other NaN is as good.
                *value = f64::NAN;
            }
        }
        records.clear();
        let written = self.journals.window_writer(window_ms).and_then(|writer| {
            if let Some((journal, slots)) = state.journal_of(window_ms) {
                let accepted = &sorted.accepted;
                journal.encode(target.id.0, &target.name, time_ms, accepted, slots, records);
            }
            self.journals.append(&writer, records)
        });
        if let Err(error) = written {
            if let Some((journal, _)) = state.journal_of(window_ms) {
                journal.forget();
            }
            self.metrics
                .samples_failed
                .inc_by(scrape.samples.len() as u64);
            return Err(error);
        }
        self.revive(&target, &sorted.revived);
        state.store(window_ms, time_ms, sorted, codec);
        self.head.saw(time_ms);
        self.metrics.samples.inc_by(sorted.accepted.len() as u64);
        self.metrics
            .samples_out_of_order
            .inc_by(sorted.late.len() as u64);
        Ok(sorted.accepted.len())
    }

    /// The same for native histograms.
    fn append_histograms_with(
        &self,
        target: TargetId,
        time_ms: i64,
        samples: &[(SlotId, Arc<Histogram>)],
        codec: &mut codec::Scratch,
    ) -> Result<usize, StoreError> {
        if !self.admits(time_ms, samples.len()) {
            return Ok(0);
        }
        let storable: Vec<(SlotId, Arc<Histogram>)> = samples
            .iter()
            .filter(|(_, histogram)| codec::histograms::is_storable(histogram))
            .cloned()
            .collect();
        let refused = samples.len() - storable.len();
        self.metrics.histograms_invalid.inc_by(refused as u64);
        let _entered = self.head.enter();
        let target = self.head.target(target)?;
        let mut state = target.state.lock();
        if state.closed {
            return Err(closed(&target.name));
        }
        let window_ms = self.limits.window_of(time_ms);
        let places: Vec<(SlotId, u32)> = storable.iter().map(|(s, _)| *s).zip(0..).collect();
        let mut sorted = Sorted::<u32>::default();
        state.sort_out(window_ms, time_ms, &places, &mut sorted)?;
        self.metrics.samples_duplicate.inc_by(sorted.duplicates);
        if sorted.accepted.is_empty() {
            return Ok(0);
        }
        let accepted: Vec<(u32, Arc<Histogram>)> = sorted
            .accepted
            .iter()
            .filter_map(|(slot, at)| Some((*slot, storable.get(*at as usize)?.1.clone())))
            .collect();
        let places = sorted.accepted.iter_mut().zip(0..);
        places.for_each(|((_, place), at)| *place = at);
        let mut records = Vec::new();
        let written = self.journals.window_writer(window_ms).and_then(|writer| {
            if let Some((journal, slots)) = state.journal_of(window_ms) {
                let (id, name) = (target.id.0, &target.name);
                journal.encode_histograms(id, name, time_ms, &accepted, slots, &mut records);
            }
            self.journals.append(&writer, &records)
        });
        if let Err(error) = written {
            if let Some((journal, _)) = state.journal_of(window_ms) {
                journal.forget();
            }
            self.metrics.samples_failed.inc_by(samples.len() as u64);
            return Err(error);
        }
        self.revive(&target, &sorted.revived);
        state.store_histograms(window_ms, time_ms, &sorted, &accepted, codec);
        self.head.saw(time_ms);
        self.metrics.samples.inc_by(accepted.len() as u64);
        self.metrics.histograms.inc_by(accepted.len() as u64);
        let late = sorted.late.len() as u64;
        self.metrics.samples_out_of_order.inc_by(late);
        Ok(accepted.len())
    }

    /// Gives series that were idle their place again.
    fn revive(&self, target: &Target, revived: &[(u32, SeriesId)]) {
        if revived.is_empty() {
            return;
        }
        let mut places = self.head.places().write();
        for (slot, series) in revived {
            let (target, slot) = (target.id, *slot);
            places.insert(*series, Place { target, slot });
        }
    }

    /// The number of a label set, new where it is new.
    pub(crate) fn series_id(&self, labels: &Labels) -> Result<SeriesId, StoreError> {
        if let Some(id) = self.index.read().find(labels) {
            return Ok(id);
        }
        let mut index = self.index.write();
        if let Some(id) = index.find(labels) {
            return Ok(id);
        }
        let indexed_max = self.limits.series_max.saturating_mul(INDEX_RATIO_MAX);
        if index.len() >= indexed_max || index.next_id() == SeriesId::MAX {
            return Err(StoreError::Limit(format!(
                "the metric store remembers {} series and takes no new ones: shorten the \
                 retention or raise the limit of {} series",
                index.len(),
                self.limits.series_max
            )));
        }
        let id = index.next_id();
        let mut record = Vec::new();
        series::encode(id, labels, &mut record);
        self.journals.append_series(&record)?;
        index.insert(id, labels);
        Ok(id)
    }

    /// Refuses a newcomer to a target that has enough.
    fn room_in_target(&self, target: &Target, n_active: usize) -> Result<(), StoreError> {
        let series_max = self.limits.series_per_target_max;
        if n_active < series_max {
            return Ok(());
        }
        self.metrics.series_refused_by_target.inc();
        Err(StoreError::Limit(format!(
            "target {:?} has {n_active} series and a target may have {series_max}: its new series \
             are left out, those that it has go on; drop some by relabelling",
            target.name
        )))
    }

    /// Refuses a newcomer where there is no room for it.
    fn room_for_series(&self) -> Result<(), StoreError> {
        let (series, series_max) = (self.head.series_count(), self.limits.series_max);
        if series >= series_max {
            return Err(StoreError::Limit(format!(
                "{series} series are being written to and the limit is {series_max}: drop some \
                 by relabelling or raise the limit"
            )));
        }
        let bytes = self.memory_bytes.load(std::sync::atomic::Ordering::Relaxed);
        if bytes >= self.limits.memory_bytes_max {
            return Err(StoreError::Limit(format!(
                "the metric store takes about {bytes} bytes of memory and the limit is {}: no \
                 new series until some have gone",
                self.limits.memory_bytes_max
            )));
        }
        Ok(())
    }

    /// Who has most series, counted once between two maintenances: a flood of newcomers asks for it
    /// again and again.
    fn told_culprit(&self) -> String {
        if let Some(culprit) = self.culprit.lock().clone() {
            return culprit;
        }
        let culprit = self.culprit();
        *self.culprit.lock() = Some(culprit.clone());
        culprit
    }

    fn open_slot(&self, target: TargetId, labels: &Labels) -> Result<SlotId, StoreError> {
        let bytes: usize = labels.iter().map(|l| l.name.len() + l.value.len()).sum();
        if labels.is_empty() || bytes > LABELS_BYTES_MAX {
            return Err(StoreError::Refused(format!(
                "a series of {} labels and {bytes} bytes: it must have at least one label and \
                 at most {LABELS_BYTES_MAX} bytes",
                labels.len()
            )));
        }
        let _entered = self.head.enter();
        let target = self.head.target(target)?;
        let known = self.index.read().find(labels);
        let newcomer = known.is_none_or(|id| !self.head.places().read().contains(id));
        // Before the target is locked: who has most is asked of all targets.
        if newcomer && let Err(StoreError::Limit(message)) = self.room_for_series() {
            return Err(StoreError::Limit(message + &self.told_culprit()));
        }
        let mut state = target.state.lock();
        if state.closed {
            return Err(closed(&target.name));
        }
        if let Some(series) = known {
            let places = self.head.places().read();
            let mut of = places.get(series).iter();
            if let Some(place) = of.find(|place| place.target == target.id) {
                return Ok(SlotId(place.slot));
            }
        }
        self.room_in_target(&target, state.n_active())?;
        let series = self.series_id(labels)?;
        let slot = state.push_slot(series);
        let place = Place {
            target: target.id,
            slot,
        };
        self.head.places().write().insert(series, place);
        Ok(SlotId(slot))
    }
}

fn closed(name: &str) -> StoreError {
    StoreError::Refused(format!("target {name:?} is closed: open it again"))
}

impl SampleSink for MetricStore {
    fn open_target(&self, name: &str) -> Result<TargetId, StoreError> {
        self.shared().head.open_target(name, true)
    }

    fn open_slot(&self, target: TargetId, labels: &Labels) -> Result<SlotId, StoreError> {
        let result = self.shared().open_slot(target, labels);
        if matches!(result, Err(StoreError::Limit(_))) {
            self.shared().metrics.series_refused.inc();
        }
        result
    }

    fn labels_of(&self, target: TargetId, slot: SlotId) -> Option<Labels> {
        let shared = self.shared();
        let target = shared.head.target(target).ok()?;
        let series = target.state.lock().series_of(slot.0)?;
        Some(shared.index.read().labels(series))
    }

    fn append(&self, scrape: Scrape<'_>) -> Result<usize, StoreError> {
        let shared = self.shared();
        let mut buffers = shared.take_buffers();
        let result = shared.append_with(&scrape, &mut buffers);
        shared.return_buffers(buffers);
        result
    }

    fn append_histograms(
        &self,
        target: TargetId,
        timestamp_ms: i64,
        samples: &[(SlotId, Arc<Histogram>)],
    ) -> Result<usize, StoreError> {
        let shared = self.shared();
        let mut buffers = shared.take_buffers();
        let codec = &mut buffers.codec;
        let result = shared.append_histograms_with(target, timestamp_ms, samples, codec);
        shared.return_buffers(buffers);
        result
    }

    fn append_exemplar(&self, target: TargetId, slot: SlotId, exemplar: Exemplar) {
        let shared = self.shared();
        let series = shared.head.target(target).ok();
        let series = series.and_then(|target| target.state.lock().series_of(slot.0));
        if let Some(series) = series {
            let outcome = shared.exemplars.lock().push(series, exemplar);
            shared.metrics.count_exemplar(outcome);
        }
    }

    fn close_target(&self, target: TargetId) {
        self.shared().head.close_target(target);
    }

    fn describe(&self, family: &str, metadata: &MetricMetadata) {
        let families = &self.shared().families;
        if families.read().all.get(family) == Some(metadata) {
            return;
        }
        let mut families = families.write();
        if families.all.len() < FAMILIES_MAX || families.all.contains_key(family) {
            families.all.insert(family.to_owned(), metadata.clone());
            families.changed.insert(family.to_owned());
        }
    }
}
