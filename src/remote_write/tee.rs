//! Stands in front of the store: what the store takes is queued for the remotes as well.
//!
//! A remote never holds up the store: where its queue cannot be written, that is counted, and the
//! store has the samples all the same.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use model::{
    Exemplar, Histogram, Labels, MetricMetadata, SampleSink, Scrape, SlotId, StoreError, TargetId,
};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use crate::config::Settings;
use crate::encode::Families;
use crate::queue::{Item, Queue};
use crate::{Metrics, RemoteWriteConfig, RemoteWriteError};

/// Families that are remembered for the remotes.
const FAMILIES_MAX: usize = 50_000;

/// A remote: its settings and its queue.
pub(crate) struct Remote {
    pub(crate) settings: Settings,
    pub(crate) config: RemoteWriteConfig,
    pub(crate) queue: Mutex<Queue>,
    pub(crate) metrics: Metrics,
}

impl Remote {
    fn add(&self, add: impl FnOnce(&mut Queue) -> Result<(), StoreError>) {
        let label = Metrics::of(&self.settings.name);
        let mut queue = self.queue.lock();
        if let Err(error) = add(&mut queue) {
            self.metrics.queue_damaged.get_or_create(&label).inc();
            tracing::debug!(%error, remote = self.settings.name, "cannot queue samples");
        }
        let dropped = queue.take_dropped();
        let bytes = queue.bytes();
        drop(queue);
        if dropped > 0 {
            self.metrics.dropped.get_or_create(&label).inc_by(dropped);
        }
        self.metrics
            .queue_bytes
            .get_or_create(&label)
            .set(bytes as i64);
    }
}

/// A series as the store's writers know it: its labels for each remote, none where relabelling
/// drops it, and a number for the queues.
struct Series {
    id: u32,
    labels: Vec<Option<Labels>>,
}

#[derive(Default)]
struct Known {
    slots: FxHashMap<(TargetId, SlotId), Series>,
    next_id: u32,
}

/// See the head of this file.
pub struct Tee {
    store: Arc<dyn SampleSink>,
    remotes: Vec<Arc<Remote>>,
    external_labels: Labels,
    known: RwLock<Known>,
    families: Arc<RwLock<Families>>,
}

impl fmt::Debug for Tee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tee")
            .field("remotes", &self.remotes.len())
            .finish_non_exhaustive()
    }
}

impl Tee {
    /// A tee with a queue for each remote, in folders below `folder`, of `queue_bytes_max` each.
    ///
    /// # Errors
    /// Where a setting does not work or a queue cannot be opened.
    pub fn new(
        store: Arc<dyn SampleSink>,
        configs: &[RemoteWriteConfig],
        external_labels: Labels,
        folder: &Path,
        queue_bytes_max: u64,
        metrics: &Metrics,
    ) -> Result<Self, RemoteWriteError> {
        let mut remotes: Vec<Arc<Remote>> = Vec::new();
        for config in configs {
            let settings = config.settings()?;
            if remotes
                .iter()
                .any(|other| other.settings.name == settings.name)
            {
                return Err(RemoteWriteError::Config {
                    remote: settings.name,
                    key: "name",
                    why: "another remote has the same".to_owned(),
                });
            }
            // A name may hold anything; its hash is a folder's name.
            let hash = xxhash_rust::xxh3::xxh3_64(settings.name.as_bytes());
            let queue = Queue::open(&folder.join(format!("{hash:016x}")), queue_bytes_max)?;
            remotes.push(Arc::new(Remote {
                settings,
                config: config.clone(),
                queue: Mutex::new(queue),
                metrics: metrics.clone(),
            }));
        }
        Ok(Self {
            store,
            remotes,
            external_labels,
            known: RwLock::default(),
            families: Arc::default(),
        })
    }

    /// The senders, one for each remote: to be run as tasks.
    pub fn senders(&self) -> Vec<crate::Sender> {
        let remotes = self.remotes.iter();
        remotes
            .map(|remote| crate::Sender::new(remote.clone(), self.families.clone()))
            .collect()
    }

    fn labels_for(&self, remote: &Remote, labels: &Labels) -> Option<Labels> {
        let mut builder = labels.to_builder();
        for label in &self.external_labels {
            if builder.get(&label.name).is_none() {
                builder.set(label.name.clone(), label.value.clone());
            }
        }
        remote.settings.relabel.apply(&mut builder).then_some(())?;
        let labels = builder.build();
        labels.metric_name().is_some().then_some(labels)
    }

    /// Calls `add` for each remote with what it gets of these slots.
    fn each<V: Copy>(
        &self,
        target: TargetId,
        samples: impl Iterator<Item = (SlotId, V)> + Clone,
        add: impl Fn(&Remote, Vec<(u32, V)>, &dyn Fn(u32) -> Option<Labels>),
    ) {
        let known = self.known.read();
        for (at, remote) in self.remotes.iter().enumerate() {
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

impl SampleSink for Tee {
    fn open_target(&self, name: &str) -> Result<TargetId, StoreError> {
        self.store.open_target(name)
    }

    fn open_slot(&self, target: TargetId, labels: &Labels) -> Result<SlotId, StoreError> {
        let slot = self.store.open_slot(target, labels)?;
        let sets = self
            .remotes
            .iter()
            .map(|r| self.labels_for(r, labels))
            .collect();
        let mut known = self.known.write();
        let id = known.next_id;
        known.next_id = known.next_id.wrapping_add(1);
        known
            .slots
            .entry((target, slot))
            .or_insert(Series { id, labels: sets });
        Ok(slot)
    }

    fn append(&self, scrape: Scrape<'_>) -> Result<usize, StoreError> {
        let stored = self.store.append(scrape)?;
        if stored > 0 {
            let time_ms = scrape.timestamp_ms;
            let samples = scrape.samples.iter().copied();
            self.each(scrape.target, samples, |remote, wanted, labels| {
                remote.add(|queue| queue.floats(time_ms, &wanted, labels));
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
            self.each(target, each, |remote, wanted, labels| {
                if remote.settings.histograms {
                    for (id, histogram) in wanted {
                        let item = Item::Histogram(timestamp_ms, histogram.clone());
                        remote.add(|queue| queue.item(id, &item, labels));
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
            std::iter::once((slot, ())),
            |remote, wanted, labels| {
                if remote.settings.exemplars {
                    for (id, ()) in wanted {
                        remote.add(|queue| queue.item(id, &item, labels));
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
