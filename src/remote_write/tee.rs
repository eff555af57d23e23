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

use crate::config::Settings;
use crate::encode::Families;
use crate::queue::{Item, Queue};
use crate::{Metrics, RemoteWriteConfig, RemoteWriteError};

/// Families that are remembered for the remotes.
const FAMILIES_MAX: usize = 50_000;
/// With fewer series than this, idle ones are not looked for.
const SWEEP_MIN: usize = 4096;

/// A remote: its settings and its queue.
pub(crate) struct Remote {
    pub(crate) settings: Settings,
    pub(crate) config: RemoteWriteConfig,
    pub(crate) queue: Mutex<Queue>,
    pub(crate) metrics: Metrics,
    /// Whether the last thing could not be queued.
    fails: AtomicBool,
}

impl Remote {
    /// Adds `items` things to the queue. What cannot be queued is counted as dropped.
    fn add(&self, items: u64, add: impl FnOnce(&mut Queue) -> Result<(), StoreError>) {
        let remote = &self.settings.name;
        let label = Metrics::of(remote);
        let mut queue = self.queue.lock();
        let added = add(&mut queue);
        let mut dropped = queue.take_dropped();
        let bytes = queue.bytes();
        drop(queue);
        // The first failure and its end are said, what is between is counted.
        match added {
            Ok(()) => {
                if self.fails.swap(false, Ordering::Relaxed) {
                    tracing::info!(remote, "samples for a remote can be queued again");
                }
            }
            Err(error) => {
                dropped += items;
                if !self.fails.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        %error,
                        remote,
                        "samples for a remote cannot be queued: they are stored here, and the \
                         remote will not get them"
                    );
                }
            }
        }
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
    /// Whether it had a sample since idle ones were last let go.
    used: AtomicBool,
}

/// Series that had samples lately. The others are let go, and the store is asked for their labels
/// when they have samples again: a target whose series come and go costs what it uses.
#[derive(Default)]
struct Known {
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
                fails: AtomicBool::new(false),
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

    fn remember(&self, target: TargetId, slot: SlotId, labels: &Labels) {
        let remotes = self.remotes.iter();
        let sets = remotes.map(|r| self.labels_for(r, labels)).collect();
        self.known.write().insert((target, slot), sets);
    }

    /// Asks the store for slots that were let go.
    fn recall(&self, target: TargetId, slots: impl Iterator<Item = SlotId>) {
        let known = self.known.read();
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
        samples: impl Iterator<Item = (SlotId, V)> + Clone,
        add: impl Fn(&Remote, Vec<(u32, V)>, &dyn Fn(u32) -> Option<Labels>),
    ) {
        self.recall(target, samples.clone().map(|(slot, _)| slot));
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
        if !self.known.read().slots.contains_key(&(target, slot)) {
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
            self.each(scrape.target, samples, |remote, wanted, labels| {
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
            self.each(target, each, |remote, wanted, labels| {
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
            std::iter::once((slot, ())),
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
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    /// A store that knows its slots and takes everything.
    #[derive(Default)]
    struct Store(Mutex<Vec<Labels>>);

    impl SampleSink for Store {
        fn open_target(&self, _: &str) -> Result<TargetId, StoreError> {
            Ok(TargetId(0))
        }

        fn open_slot(&self, _: TargetId, labels: &Labels) -> Result<SlotId, StoreError> {
            let mut slots = self.0.lock();
            slots.push(labels.clone());
            Ok(SlotId(slots.len() as u32 - 1))
        }

        fn labels_of(&self, _: TargetId, slot: SlotId) -> Option<Labels> {
            self.0.lock().get(slot.0 as usize).cloned()
        }

        fn append(&self, scrape: Scrape<'_>) -> Result<usize, StoreError> {
            Ok(scrape.samples.len())
        }

        fn append_histograms(
            &self,
            _: TargetId,
            _: i64,
            samples: &[(SlotId, Arc<Histogram>)],
        ) -> Result<usize, StoreError> {
            Ok(samples.len())
        }

        fn close_target(&self, _: TargetId) {}

        fn describe(&self, _: &str, _: &MetricMetadata) {}
    }

    fn tee(folder: &Path) -> (Tee, Metrics) {
        let config = RemoteWriteConfig {
            url: "http://127.0.0.1:1/".to_owned(),
            name: Some("there".to_owned()),
            ..RemoteWriteConfig::default()
        };
        let metrics = Metrics::new(&mut Registry::default());
        let tee = Tee::new(
            Arc::new(Store::default()),
            &[config],
            Labels::from_pairs([("cluster", "home")]),
            folder,
            1 << 30,
            &metrics,
        );
        (tee.expect("opens"), metrics)
    }

    fn labels(i: usize) -> Labels {
        Labels::from_pairs([("__name__", "m".to_owned()), ("i", i.to_string())])
    }

    fn append(tee: &Tee, timestamp_ms: i64, slot: SlotId) {
        let scrape = Scrape {
            target: TargetId(0),
            timestamp_ms,
            samples: &[(slot, 1.0)],
        };
        assert_eq!(tee.append(scrape).expect("taken"), 1);
    }

    #[test]
    fn series_that_come_and_go_are_let_go_and_known_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let (tee, _) = tee(dir.path());
        let target = tee.open_target("t").expect("opens");
        let first = tee.open_slot(target, &labels(0)).expect("opens");
        for i in 1..20 * SWEEP_MIN {
            tee.open_slot(target, &labels(i)).expect("opens");
        }
        let known = tee.known.read().slots.len();
        assert!(known <= 3 * SWEEP_MIN, "{known}");
        assert!(!tee.known.read().slots.contains_key(&(target, first)));
        append(&tee, 1000, first);
        let (items, ..) = tee.remotes[0].queue.lock().read(10).expect("reads");
        let mut sent = labels(0).to_builder();
        sent.set("cluster", "home");
        assert_eq!(items, [(sent.build(), Item::Float(1000, 1.0))]);
    }

    #[test]
    fn what_cannot_be_queued_is_stored_and_counted_as_dropped() {
        let dir = tempfile::tempdir().expect("a folder");
        let (tee, metrics) = tee(dir.path());
        let target = tee.open_target("t").expect("opens");
        let slot = tee.open_slot(target, &labels(0)).expect("opens");
        // No file can be made in a folder that is gone, as on a disk that is full.
        std::fs::remove_dir_all(dir.path()).expect("deletes");
        append(&tee, 1000, slot);
        append(&tee, 2000, slot);
        let dropped = metrics.dropped.get_or_create(&Metrics::of("there")).get();
        assert_eq!(dropped, 2);
        let folder = tee.remotes[0].queue.lock().folder().to_owned();
        std::fs::create_dir_all(folder).expect("makes");
        append(&tee, 3000, slot);
        let (items, ..) = tee.remotes[0].queue.lock().read(10).expect("reads");
        assert_eq!(items.len(), 1);
    }
}
