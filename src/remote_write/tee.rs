//! Stands in front of the store: what the store takes is queued for the remotes as well.
//!
//! A remote never holds up the store: where its queue cannot be written, that is counted, and the
//! store has the samples all the same.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{
    Exemplar, Histogram, Labels, MetricMetadata, SampleSink, Scrape, SlotId, StoreError, TargetId,
};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use crate::encode::Families;
use crate::queue::Item;
use crate::remotes::{self, Prepared, Queues, Remote};
use crate::{Metrics, RemoteWriteConfig, RemoteWriteError};

/// Families that are remembered for the remotes.
const FAMILIES_MAX: usize = 50_000;
/// With fewer series than this, idle ones are not looked for.
const SWEEP_MIN: usize = 4096;

/// A series as the store's writers know it: its labels for each remote, none where relabelling
/// drops it, and a number for the queues.
struct Series {
    id: u32,
    labels: Vec<Option<Labels>>,
    /// Whether it had a sample since idle ones were last let go.
    used: AtomicBool,
}

/// Series that had samples lately. The others are let go, and the store is asked for their labels
/// when they have samples again: a target whose series come and go costs what it uses.
#[derive(Default)]
struct Known {
    /// The remotes in force. The label sets of a series are in their order.
    remotes: Vec<Arc<Remote>>,
    external_labels: Labels,
    slots: FxHashMap<(TargetId, SlotId), Series>,
    next_id: u32,
    /// How many there may be before idle ones are let go.
    sweep_at: usize,
}

impl Known {
    fn insert(&mut self, at: (TargetId, SlotId), labels: Vec<Option<Labels>>) {
        if self.slots.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.slots
                .retain(|_, series| series.used.swap(false, Ordering::Relaxed));
            self.sweep_at = 2 * self.slots.len();
            self.slots.shrink_to(self.sweep_at.max(SWEEP_MIN));
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.slots.entry(at).or_insert(Series {
            id,
            labels,
            used: AtomicBool::new(true),
        });
    }
}

/// See the head of this file.
pub struct Tee {
    store: Arc<dyn SampleSink>,
    queues: Queues,
    known: RwLock<Known>,
    /// Remotes that are no longer in force, whose senders may still run. Locked before `known`.
    retired: Mutex<Vec<Arc<Remote>>>,
    pub(crate) changed: Notify,
    pub(crate) families: Arc<RwLock<Families>>,
}

impl fmt::Debug for Tee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tee")
            .field("remotes", &self.known.read().remotes.len())
            .finish_non_exhaustive()
    }
}

impl Tee {
    /// A tee without remotes: [`Tee::apply`] gives it some. Each has a queue in a folder below
    /// `folder`, of `queue_bytes_max` each.
    pub fn new(
        store: Arc<dyn SampleSink>,
        folder: &Path,
        queue_bytes_max: u64,
        metrics: Metrics,
    ) -> Self {
        Self {
            store,
            queues: Queues {
                folder: folder.to_owned(),
                bytes_max: queue_bytes_max,
                metrics,
            },
            known: RwLock::default(),
            retired: Mutex::default(),
            changed: Notify::new(),
            families: Arc::default(),
        }
    }

    /// Checks the remotes of a configuration, and opens the queues of new ones. Nothing changes
    /// before [`Tee::apply`]; one thread at a time.
    ///
    /// # Errors
    /// Where a setting does not work or a queue cannot be opened.
    pub fn prepare(&self, configs: &[RemoteWriteConfig]) -> Result<Prepared, RemoteWriteError> {
        let retired = self.retired.lock();
        let mut before = retired.clone();
        before.extend(self.remotes());
        self.queues.prepare(configs, &before)
    }

    /// Puts remotes into force, at the start and at each reload. Samples go to them from now on.
    pub fn apply(&self, prepared: Prepared, external_labels: Labels) {
        let mut retired = self.retired.lock();
        let mut known = self.known.write();
        let stays = |remote: &Arc<Remote>| prepared.0.iter().any(|new| Arc::ptr_eq(new, remote));
        let gone = known.remotes.iter().filter(|old| !stays(old)).cloned();
        retired.extend(gone);
        retired.retain(|old| !stays(old));
        // What a series is called there may be different now.
        known.slots.clear();
        known.remotes = prepared.0;
        known.external_labels = external_labels;
        self.changed.notify_one();
    }

    /// Bytes of all queues on disk, those of remotes that are no longer in force included.
    pub fn queue_bytes(&self) -> u64 {
        self.queued().iter().map(|r| r.queue.lock().bytes()).sum()
    }

    /// Drops the oldest file of the largest queue for want of space; what was not sent of it is
    /// counted. Returns its bytes, 0 where no queue has more than the file that it writes.
    ///
    /// # Errors
    /// Where it cannot be deleted.
    pub fn drop_oldest(&self) -> Result<u64, StoreError> {
        let remotes = self.queued();
        let largest = remotes.iter().max_by_key(|r| r.queue.lock().bytes());
        let Some(remote) = largest else {
            return Ok(0);
        };
        let mut queue = remote.queue.lock();
        let freed = queue.drop_oldest();
        let (dropped, bytes) = (queue.take_dropped(), queue.bytes());
        drop(queue);
        let (label, metrics) = (Metrics::of(&remote.settings.name), &remote.metrics);
        metrics.dropped.get_or_create(&label).inc_by(dropped);
        metrics.queue_bytes.get_or_create(&label).set(bytes as i64);
        freed
    }

    /// One remote for each queue.
    fn queued(&self) -> Vec<Arc<Remote>> {
        // In the order in which the locks are taken elsewhere.
        let retired = self.retired.lock().clone();
        let mut all = self.remotes();
        for old in retired {
            if !all.iter().any(|one| Arc::ptr_eq(&one.queue, &old.queue)) {
                all.push(old);
            }
        }
        all
    }

    /// The remotes in force.
    pub(crate) fn remotes(&self) -> Vec<Arc<Remote>> {
        self.known.read().remotes.clone()
    }

    /// Lets go of remotes that are no longer in force, once their senders have ended.
    pub(crate) fn forget_retired(&self) {
        let mut retired = self.retired.lock();
        let known = self.known.read();
        retired.retain(|old| {
            // One of the same name goes on with its queue.
            let mut current = known.remotes.iter();
            if current.any(|one| one.settings.name == old.settings.name) {
                return false;
            }
            // A configuration that is prepared and not applied yet may want it.
            let is_held = Arc::strong_count(old) > 1 || Arc::strong_count(&old.queue) > 1;
            if !is_held {
                remotes::delete(old);
            }
            is_held
        });
    }

    fn remember(&self, target: TargetId, slot: SlotId, labels: &Labels) {
        let mut known = self.known.write();
        if known.remotes.is_empty() {
            return;
        }
        let remotes = known.remotes.iter();
        let sets = remotes.map(|remote| labels_for(remote, &known.external_labels, labels));
        let sets = sets.collect();
        known.insert((target, slot), sets);
    }

    /// Asks the store for slots that were let go.
    fn recall(&self, target: TargetId, slots: impl Iterator<Item = SlotId>) {
        let known = self.known.read();
        if known.remotes.is_empty() {
            return;
        }
        let unknown: Vec<SlotId> = slots
            .filter(|slot| match known.slots.get(&(target, *slot)) {
                Some(series) => {
                    series.used.store(true, Ordering::Relaxed);
                    false
                }
                None => true,
            })
            .collect();
        drop(known);
        for slot in unknown {
            if let Some(labels) = self.store.labels_of(target, slot) {
                self.remember(target, slot, &labels);
            }
        }
    }

    /// Calls `add` for each remote with what it gets of these slots.
    fn each<V: Copy>(
        &self,
        target: TargetId,
        samples: &(impl Iterator<Item = (SlotId, V)> + Clone),
        add: impl Fn(&Remote, Vec<(u32, V)>, &dyn Fn(u32) -> Option<Labels>),
    ) {
        self.recall(target, samples.clone().map(|(slot, _)| slot));
        let known = self.known.read();
        for (at, remote) in known.remotes.iter().enumerate() {
            let mut labels: FxHashMap<u32, &Labels> = FxHashMap::default();
            let mut wanted = Vec::new();
            for (slot, value) in samples.clone() {
                if let Some(series) = known.slots.get(&(target, slot))
                    && let Some(Some(set)) = series.labels.get(at)
                {
                    labels.insert(series.id, set);
                    wanted.push((series.id, value));
                }
            }
            if !wanted.is_empty() {
                add(remote, wanted, &|id| {
                    labels.get(&id).map(|set| (*set).clone())
                });
            }
        }
    }
}

/// What a series is called there; nothing where relabelling drops it.
fn labels_for(remote: &Remote, external_labels: &Labels, labels: &Labels) -> Option<Labels> {
    let mut builder = labels.to_builder();
    for label in external_labels {
        if builder.get(&label.name).is_none() {
            builder.set(label.name.clone(), label.value.clone());
        }
    }
    remote.settings.relabel.apply(&mut builder).then_some(())?;
    let labels = builder.build();
    labels.metric_name().is_some().then_some(labels)
}

impl SampleSink for Tee {
    fn open_target(&self, name: &str) -> Result<TargetId, StoreError> {
        self.store.open_target(name)
    }

    fn open_slot(&self, target: TargetId, labels: &Labels) -> Result<SlotId, StoreError> {
        let slot = self.store.open_slot(target, labels)?;
        let known = self.known.read();
        let is_new = !known.remotes.is_empty() && !known.slots.contains_key(&(target, slot));
        drop(known);
        if is_new {
            self.remember(target, slot, labels);
        }
        Ok(slot)
    }

    fn labels_of(&self, target: TargetId, slot: SlotId) -> Option<Labels> {
        self.store.labels_of(target, slot)
    }

    fn append(&self, scrape: Scrape<'_>) -> Result<usize, StoreError> {
        let stored = self.store.append(scrape)?;
        if stored > 0 {
            let time_ms = scrape.timestamp_ms;
            let samples = scrape.samples.iter().copied();
            self.each(scrape.target, &samples, |remote, wanted, labels| {
                let items = wanted.len() as u64;
                remote.add(items, |queue| queue.floats(time_ms, &wanted, labels));
            });
        }
        Ok(stored)
    }

    fn append_histograms(
        &self,
        target: TargetId,
        timestamp_ms: i64,
        samples: &[(SlotId, Arc<Histogram>)],
    ) -> Result<usize, StoreError> {
        let stored = self
            .store
            .append_histograms(target, timestamp_ms, samples)?;
        if stored > 0 {
            let each = samples.iter().map(|(slot, histogram)| (*slot, histogram));
            self.each(target, &each, |remote, wanted, labels| {
                if remote.settings.histograms {
                    for (id, histogram) in wanted {
                        let item = Item::Histogram(timestamp_ms, histogram.clone());
                        remote.add(1, |queue| queue.item(id, &item, labels));
                    }
                }
            });
        }
        Ok(stored)
    }

    fn append_exemplar(&self, target: TargetId, slot: SlotId, exemplar: Exemplar) {
        let item = Item::Exemplar(exemplar.clone());
        self.store.append_exemplar(target, slot, exemplar);
        self.each(
            target,
            &std::iter::once((slot, ())),
            |remote, wanted, labels| {
                if remote.settings.exemplars {
                    for (id, ()) in wanted {
                        remote.add(1, |queue| queue.item(id, &item, labels));
                    }
                }
            },
        );
    }

    fn close_target(&self, target: TargetId) {
        self.known.write().slots.retain(|(of, _), _| *of != target);
        self.store.close_target(target);
    }

    fn describe(&self, family: &str, metadata: &MetricMetadata) {
        if self.families.read().get(family) != Some(metadata) {
            let mut families = self.families.write();
            if families.len() < FAMILIES_MAX || families.contains_key(family) {
                families.insert(family.to_owned(), metadata.clone());
            }
        }
        self.store.describe(family, metadata);
    }
}

#[cfg(test)]
mod tests;
