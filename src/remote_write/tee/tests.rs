//! Remotes that come and go, series that are let go, a disk that is full.

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

fn remote(name: &str, url: &str) -> RemoteWriteConfig {
    RemoteWriteConfig {
        url: url.to_owned(),
        name: Some(name.to_owned()),
        ..RemoteWriteConfig::default()
    }
}

fn tee(folder: &Path) -> (Tee, Metrics) {
    let config = remote("there", "http://127.0.0.1:1/");
    let metrics = Metrics::new(&mut Registry::default());
    let tee = Tee::new(Arc::new(Store::default()), folder, 1 << 30, metrics.clone());
    let prepared = tee.prepare(&[config]).expect("opens");
    tee.apply(prepared, Labels::from_pairs([("cluster", "home")]));
    (tee, metrics)
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
    let (items, ..) = tee.remotes()[0].queue.lock().read(10).expect("reads");
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
    let folder = tee.remotes()[0].queue.lock().folder().to_owned();
    std::fs::create_dir_all(folder).expect("makes");
    append(&tee, 3000, slot);
    let (items, ..) = tee.remotes()[0].queue.lock().read(10).expect("reads");
    assert_eq!(items.len(), 1);
}

/// What waits for a remote.
fn waiting(tee: &Tee, name: &str) -> Vec<(Labels, Item)> {
    let remotes = tee.remotes();
    let remote = remotes.iter().find(|r| r.settings.name == name);
    let remote = remote.expect("it is in force");
    let mut queue = remote.queue.lock();
    queue.rewind();
    queue.read(100).expect("reads").0
}

#[test]
fn other_remotes_come_into_force_and_queues_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let (tee, metrics) = tee(dir.path());
    let target = tee.open_target("t").expect("opens");
    let slot = tee.open_slot(target, &labels(0)).expect("opens");
    append(&tee, 1000, slot);
    let before = tee.remotes()[0].clone();

    // The same remote and another one.
    let configs = [
        remote("there", "http://127.0.0.1:1/"),
        remote("new", "http://127.0.0.1:1/"),
    ];
    let prepared = tee.prepare(&configs).expect("good");
    assert_eq!(
        tee.remotes().len(),
        1,
        "nothing changes before it is applied"
    );
    tee.apply(prepared, Labels::from_pairs([("cluster", "work")]));
    assert!(Arc::ptr_eq(&tee.remotes()[0], &before));
    append(&tee, 2000, slot);
    let clusters = |name: &str| {
        let items = waiting(&tee, name);
        let clusters = items.iter().map(|(labels, _)| labels.get("cluster"));
        clusters
            .map(|cluster| cluster.unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(clusters("there"), ["home", "work"]);
    assert_eq!(clusters("new"), ["work"]);

    // Another address: what waits goes there. The other one is gone with its queue.
    let moved = [remote("there", "http://127.0.0.1:2/")];
    tee.apply(tee.prepare(&moved).expect("good"), Labels::empty());
    tee.forget_retired();
    assert!(!Arc::ptr_eq(&tee.remotes()[0], &before));
    append(&tee, 3000, slot);
    assert_eq!(clusters("there"), ["home", "work", ""]);
    let folders = std::fs::read_dir(dir.path()).expect("lists").count();
    assert_eq!(folders, 1);

    // Gone and back again before its sender has ended.
    tee.apply(tee.prepare(&[]).expect("good"), Labels::empty());
    append(&tee, 4000, slot);
    tee.apply(tee.prepare(&moved).expect("good"), Labels::empty());
    tee.forget_retired();
    assert_eq!(clusters("there").len(), 3);
    assert_eq!(
        metrics.dropped.get_or_create(&Metrics::of("there")).get(),
        0
    );

    // A bad configuration changes nothing.
    let twice = [moved[0].clone(), moved[0].clone()];
    let error = tee.prepare(&twice).err().expect("two of a name");
    assert!(error.to_string().contains("another remote has the same"));
    assert_eq!(tee.remotes().len(), 1);
}
