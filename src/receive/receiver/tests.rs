//! The receiver with a store that can be killed, filled and sealed.

use model::{Labels, Level};

use super::*;

/// A store in memory: what is open is lost by a crash, what is sealed stays with its checkpoint.
#[derive(Default)]
struct Store {
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    streams: Vec<Labels>,
    open: Vec<String>,
    sealed: Vec<String>,
    checkpoint: Option<Vec<u8>>,
    committed: Option<Vec<u8>>,
    is_full: bool,
}

impl Store {
    fn seal(&self) {
        let mut inside = self.inside.lock();
        let open = std::mem::take(&mut inside.open);
        inside.sealed.extend(open);
        inside.committed = inside.checkpoint.clone();
    }

    fn crash(&self) {
        let mut inside = self.inside.lock();
        inside.open.clear();
        inside.streams.clear();
        inside.checkpoint = None;
    }

    fn fill(&self, is_full: bool) {
        self.inside.lock().is_full = is_full;
    }

    fn lines(&self) -> Vec<String> {
        let inside = self.inside.lock();
        inside.sealed.iter().chain(&inside.open).cloned().collect()
    }
}

impl LogSink for Store {
    fn open_stream(&self, labels: &Labels) -> Result<StreamId, StoreError> {
        let mut inside = self.inside.lock();
        if let Some(at) = inside.streams.iter().position(|known| known == labels) {
            return Ok(StreamId(at as u32));
        }
        inside.streams.push(labels.clone());
        Ok(StreamId(inside.streams.len() as u32 - 1))
    }

    fn append(&self, batch: &LogBatch) -> Result<(), StoreError> {
        let mut inside = self.inside.lock();
        if inside.is_full {
            return Err(StoreError::NoSpace("the test says so".to_owned()));
        }
        for (line, text) in batch.iter() {
            let labels = &inside.streams[line.stream.0 as usize];
            let shown = format!("{labels} {}", String::from_utf8_lossy(text));
            inside.open.push(shown);
        }
        inside.checkpoint = batch.checkpoints[0].state.clone();
        Ok(())
    }

    fn committed_checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        Ok(Vec::new())
    }

    fn committed_checkpoint(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.inside.lock().committed.clone())
    }
}

struct World {
    folder: tempfile::TempDir,
    store: Arc<Store>,
    config: Config,
}

impl World {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            store: Arc::default(),
            config: Config::default(),
        }
    }

    fn start(&self) -> Receiver {
        let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default());
        Receiver::open(
            self.folder.path(),
            self.config.clone(),
            self.store.clone(),
            |_| Level::Unknown,
            metrics,
        )
        .expect("opens")
    }
}

fn send(receiver: &Receiver, app: &str, text: &str) -> Result<(), Refused> {
    let mut push = receiver.push(Protocol::Loki, 5_000_000_000);
    let stream = push.stream(&Labels::from_pairs([("app", app)]))?;
    push.text().extend_from_slice(text.as_bytes());
    push.end_line(stream, None, None)?;
    receiver.accept(push, None)
}

fn shown(app: &str, text: &str) -> String {
    format!("{{app={app:?}}} {text}")
}

/// Drops lines with `noise`, writes `***` for `secret`, and gives what it changed another label.
struct Cleaner;

impl LineRules for Cleaner {
    fn pass(
        &self,
        streams: &[Labels],
        batch: LogBatch,
        open: &mut dyn FnMut(&Labels) -> Result<StreamId, StoreError>,
    ) -> Result<LogBatch, StoreError> {
        let mut out = LogBatch::default();
        for (line, text) in batch.iter() {
            let text = String::from_utf8_lossy(text);
            if text.contains("noise") {
                continue;
            }
            let cleaned = text.replace("secret", "***");
            let mut stream = line.stream;
            if cleaned != text {
                let mut labels = streams[stream.0 as usize].to_builder();
                labels.set("clean", "1");
                stream = open(&labels.build())?;
            }
            out.push(stream, line.time_ns, line.level, cleaned.as_bytes());
        }
        Ok(out)
    }
}

#[test]
fn lines_meet_the_rules_before_they_come_to_the_journal() {
    let world = World::new();
    let receiver = world.start().with_rules(Arc::new(Cleaner));
    for text in ["plain", "noise", "a secret"] {
        send(&receiver, "web", text).expect("taken");
    }
    drop(receiver);
    for entry in std::fs::read_dir(world.folder.path()).expect("a folder") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a journal");
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("plain") && text.contains("***"), "{text}");
        assert!(
            !text.contains("secret") && !text.contains("noise"),
            "{text}"
        );
    }
    let expected = [
        shown("web", "plain"),
        "{app=\"web\", clean=\"1\"} a ***".to_owned(),
    ];
    assert_eq!(world.store.lines(), expected);
    // After a crash the journal goes to the store as it is.
    world.store.crash();
    let again = world.start().with_rules(Arc::new(Cleaner));
    again.maintain(0).expect("replays");
    assert_eq!(world.store.lines(), expected);
}

#[test]
fn what_was_acknowledged_is_there_once_after_each_crash() {
    let world = World::new();
    let mut expected = Vec::new();
    for round in 0..6 {
        let receiver = world.start();
        receiver.maintain(0).expect("replays");
        assert_eq!(world.store.lines(), expected, "round {round}");
        for n in 0..5 {
            let (app, text) = (format!("a{}", n % 2), format!("{round}.{n}"));
            send(&receiver, &app, &text).expect("taken");
            expected.push(shown(&app, &text));
            if n == round {
                world.store.seal();
            }
        }
        assert_eq!(world.store.lines(), expected);
        world.store.crash();
    }
}

#[test]
fn while_the_store_is_full_lines_wait_in_the_journal_in_their_order() {
    let world = World::new();
    let receiver = world.start();
    send(&receiver, "a", "one").expect("taken");
    world.store.fill(true);
    send(&receiver, "a", "two").expect("on disk");
    send(&receiver, "b", "three").expect("on disk");
    assert_eq!(world.store.lines(), [shown("a", "one")]);
    assert!(matches!(receiver.maintain(0), Err(StoreError::NoSpace(_))));
    world.store.fill(false);
    // Nothing overtakes what waits.
    send(&receiver, "a", "four").expect("on disk");
    assert_eq!(world.store.lines().len(), 1);
    receiver.maintain(0).expect("hands over");
    send(&receiver, "a", "five").expect("taken");
    let expected = [
        shown("a", "one"),
        shown("a", "two"),
        shown("b", "three"),
        shown("a", "four"),
        shown("a", "five"),
    ];
    assert_eq!(world.store.lines(), expected);
    assert_eq!(receiver.metrics().journal_replayed.get(), 3);
}

#[test]
fn a_full_journal_refuses_until_the_store_has_sealed() {
    let mut world = World::new();
    world.config.journal_bytes_max = 2_000;
    let receiver = world.start();
    let mut taken = 0;
    let refused = loop {
        match send(&receiver, "a", &"x".repeat(100)) {
            Ok(()) => taken += 1,
            Err(why) => break why,
        }
    };
    assert!(matches!(refused, Refused::Full(_)), "{refused}");
    assert!(taken > 5);
    assert!(receiver.maintain(0).expect("fine").seal);
    world.store.seal();
    assert!(!receiver.maintain(0).expect("fine").seal);
    assert_eq!(receiver.metrics().journal_bytes.get(), 0);
    send(&receiver, "a", "again").expect("room again");
    assert_eq!(world.store.lines().len(), taken + 1);
}

#[test]
fn many_senders_at_once_are_written_in_groups() {
    let world = World::new();
    let receiver = world.start();
    std::thread::scope(|scope| {
        for sender in 0..8 {
            let receiver = &receiver;
            scope.spawn(move || {
                for n in 0..20 {
                    send(receiver, "a", &format!("{sender}.{n}")).expect("taken");
                }
            });
        }
    });
    let mut lines = world.store.lines();
    assert_eq!(lines.len(), 160);
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 160);
    assert!(receiver.metrics().journal_syncs.get() <= 160);

    // And all of them are in the journal.
    world.store.crash();
    drop(receiver);
    world.start().maintain(0).expect("replays");
    assert_eq!(world.store.lines().len(), 160);
}
