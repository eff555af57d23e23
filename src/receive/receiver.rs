//! From a decoded push to a line that is found: the journal, the store, and the order of both.
//!
//! 1. Pushes wait in a queue. Whoever gets the journal takes all of them, writes them, syncs once,
//!    and hands them to the store in the same order, each with its number as checkpoint. The
//!    others find their answer when they get the journal in turn (group commit without a thread).
//! 2. While the store has no room, pushes go into the journal only; the store is *behind*, and
//!    [`Receiver::maintain`] hands over from the files what it missed, in order. After a restart
//!    it is behind by whatever it had not committed.
//! 3. A full journal refuses: the sender keeps what it has and comes again.

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use model::{Checkpoint, Labels, LineRules, LogBatch, LogSink, LogSource, StoreError, StreamId};
use parking_lot::Mutex;
use tracing::{error, info, warn};

use crate::journal::{Frame, Journal, Place, record};
use crate::metrics::{Input, Metrics};
use crate::push::{LevelOf, Protocol, Push};
use crate::senders::{Senders, Sent};
use crate::{Limits, Refused, Room};

/// The source of the one checkpoint that this room has in the store.
const SOURCE: &str = "receive-journal";
/// The version of the checkpoint's state: this byte, then the record's number (little-endian).
const STATE_VERSION: u8 = 1;
/// Pushes that wait for the journal take at most so many bytes of memory.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// A group that is written at once ends at this size: the first in it should not wait for long.
const GROUP_BYTES: usize = 16 << 20;
/// What is handed over from the files before others may have the journal.
const REPLAY_BYTES: u64 = 4 << 20;
/// From this part of the journal's bound on, sealing the store is asked for.
const SEAL_PART: u64 = 2;

/// Settings of the network inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Bounds of one request.
    pub limits: Limits,
    /// Bytes of the journal on disk; what comes beyond is refused until the store has sealed.
    /// Default 256 MiB: what the store keeps unsealed at most, and room for labels.
    pub journal_bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            journal_bytes_max: 256 << 20,
        }
    }
}

/// What [`Receiver::maintain`] asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Upkeep {
    /// The journal is half full: the store should seal, so that it can be emptied.
    pub seal: bool,
}

/// A push that waits for the journal.
struct Waiting {
    push: Push,
    frame: Frame,
    answer: Arc<OnceLock<Result<(), Refused>>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

/// The journal and what the store has of it. Who holds it decides the order of records.
struct Order {
    journal: Journal,
    /// What the store is to get next; behind [`Journal::last`] when it has everything.
    next: Place,
    /// Whether the last attempt to hand over failed, and how, so that it is told once.
    trouble: Option<String>,
}

/// Takes what others send. Share it behind an `Arc`; calls block on the disk.
pub struct Receiver {
    config: Config,
    limits: Arc<Limits>,
    sink: Arc<dyn LogSink>,
    rules: Option<Arc<dyn LineRules>>,
    level_of: LevelOf,
    metrics: Metrics,
    senders: Senders,
    room: Room,
    /// Locked for moments only, also while `order` is held.
    queue: Mutex<Queue>,
    /// Held while the disk is written. Locked before `queue`.
    order: Mutex<Order>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Receiver {
    /// Opens the journal in a folder. What the store has not committed of it is handed over by
    /// [`Receiver::maintain`].
    ///
    /// # Errors
    /// Where the folder cannot be used or a newer version has written it, or the store cannot tell
    /// what it has.
    pub fn open(
        folder: &Path,
        config: Config,
        sink: Arc<dyn LogSink>,
        level_of: LevelOf,
        metrics: Metrics,
    ) -> Result<Self, StoreError> {
        let committed = committed(&*sink)?;
        let journal = Journal::open(folder, committed)?;
        let behind = journal.last() - committed;
        if behind > 0 {
            info!(
                requests = behind,
                "received lines wait in the journal for the store"
            );
        }
        metrics.journal_bytes.set(journal.bytes() as i64);
        Ok(Self {
            limits: Arc::new(config.limits.clone()),
            config,
            sink,
            rules: None,
            level_of,
            metrics,
            senders: Senders::default(),
            room: Room::default(),
            queue: Mutex::default(),
            order: Mutex::new(Order {
                journal,
                next: Place::at(committed + 1),
                trouble: None,
            }),
        })
    }

    /// The same with processing rules, which lines meet before they come to the journal: what must
    /// not be stored is not in there either. What the journal has goes to the store directly.
    #[must_use]
    pub fn with_rules(mut self, rules: Arc<dyn LineRules>) -> Self {
        self.rules = Some(rules);
        self
    }

    /// An empty push for a decoder to fill. `now_ns` is the time of the request.
    pub fn push(&self, protocol: Protocol, now_ns: i64) -> Push {
        Push::new(
            protocol,
            now_ns,
            self.limits.clone(),
            self.level_of,
            self.sink.clone(),
        )
    }

    /// The bounds of a request.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The bounds of all requests that are under way.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// What this room counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Takes a push. When it returns `Ok`, its lines are on disk and will be found, also after a
    /// crash; as a rule they can be found already. Blocks until then.
    ///
    /// # Errors
    /// `Full` where the journal or the disk has no room, `Failed` where it cannot be written:
    /// nothing was taken.
    pub fn accept(&self, push: Push, from: Option<IpAddr>) -> Result<(), Refused> {
        let protocol = push.protocol;
        let now_ns = push.now_ns;
        let sent = Sent::of(&push);
        self.count(&push);
        let result = self.ruled(push).and_then(|push| {
            if push.batch.lines.is_empty() {
                Ok(())
            } else {
                self.write(push, now_ns)
            }
        });
        match &result {
            Ok(()) => self.senders.took(protocol, from, now_ns, sent),
            Err(why) => self.refused(protocol, from, now_ns, why),
        }
        result
    }

    /// Counts a request that was refused before it came to [`Receiver::accept`].
    pub fn refused(&self, protocol: Protocol, from: Option<IpAddr>, now_ns: i64, why: &Refused) {
        self.metrics.refused(protocol, why);
        self.senders
            .refused(protocol, from, now_ns, why.to_string());
    }

    /// The senders since the start, as `/targets` shows them.
    pub fn sources(&self) -> Vec<LogSource> {
        self.senders.sources()
    }

    /// Hands over what the store has missed and drops from the journal what it has sealed. To be
    /// called every second or so, on a thread that may block.
    ///
    /// # Errors
    /// What keeps the store from taking lines; the next call tries again.
    pub fn maintain(&self, now_ns: i64) -> Result<Upkeep, StoreError> {
        let caught_up = self.catch_up();
        let mut order = self.order.lock();
        if order.journal.bytes() == 0 {
            // The usual case where nobody sends: nothing to ask the store for.
            self.metrics.journal_oldest_seconds.set(0);
            return caught_up.map(|()| Upkeep::default());
        }
        let committed = committed(&*self.sink)?;
        order.journal.drop_until(committed);
        let bytes = order.journal.bytes();
        self.metrics.journal_bytes.set(bytes as i64);
        let since_ns = order.journal.since_ns();
        let age_ns = since_ns.map_or(0, |since| now_ns.saturating_sub(since).max(0));
        self.metrics
            .journal_oldest_seconds
            .set(age_ns / 1_000_000_000);
        caught_up.map(|()| Upkeep {
            seal: bytes >= self.config.journal_bytes_max / SEAL_PART,
        })
    }

    fn count(&self, push: &Push) {
        let input = Input {
            protocol: push.protocol.as_str(),
        };
        let m = &self.metrics;
        m.times_replaced.inc_by(push.times_replaced);
        m.lines_cut.inc_by(push.lines_cut);
        if let Some((lines, _)) = push.rejected() {
            m.lines_rejected.get_or_create(&input).inc_by(lines);
        }
    }

    /// Brings the lines of a push through the rules.
    fn ruled(&self, mut push: Push) -> Result<Push, Refused> {
        let Some(rules) = &self.rules else {
            return Ok(push);
        };
        let labels: Vec<Labels> = push.streams.iter().map(|(l, _)| l.clone()).collect();
        let batch = std::mem::take(&mut push.batch);
        let passed = rules.pass(&labels, batch, &mut |labels| {
            push.stream(labels).map_err(|why| match why {
                Refused::Failed(why) => StoreError::Database(why),
                why => StoreError::Refused(why.to_string()),
            })
        });
        push.batch = passed.map_err(|error| Refused::Failed(error.to_string()))?;
        Ok(push)
    }

    /// Steps 1 and 3 of the head of this file.
    fn write(&self, push: Push, now_ns: i64) -> Result<(), Refused> {
        let frame = record::encode(&push);
        let bytes = frame.bytes().len() + push.batch.text.len();
        let answer = Arc::new(OnceLock::new());
        {
            let mut queue = self.queue.lock();
            if queue.bytes > 0 && queue.bytes + bytes > QUEUE_BYTES_MAX {
                return Err(Refused::Full(
                    "more comes in than the disk can take at the moment: send it again later"
                        .to_owned(),
                ));
            }
            queue.bytes += bytes;
            queue.waiting.push_back(Waiting {
                push,
                frame,
                answer: answer.clone(),
            });
        }
        loop {
            let mut order = self.order.lock();
            if let Some(answer) = answer.get() {
                return answer.clone();
            }
            let group = self.take_group();
            if group.is_empty() {
                // Someone took it and failed before it had an answer.
                return Err(Refused::Failed(
                    "writing the journal failed unexpectedly: send it again later".to_owned(),
                ));
            }
            self.write_group(&mut order, group, now_ns);
        }
    }

    fn take_group(&self) -> Vec<Waiting> {
        let mut queue = self.queue.lock();
        let mut group = Vec::new();
        let mut bytes = 0;
        while bytes < GROUP_BYTES
            && let Some(waiting) = queue.waiting.pop_front()
        {
            let size = waiting.frame.bytes().len();
            bytes += size;
            queue.bytes = queue
                .bytes
                .saturating_sub(size + waiting.push.batch.text.len());
            group.push(waiting);
        }
        group
    }

    fn write_group(&self, order: &mut Order, group: Vec<Waiting>, now_ns: i64) {
        let mut frames = Vec::with_capacity(group.len());
        let mut pushes = Vec::with_capacity(group.len());
        for waiting in group {
            frames.push(waiting.frame);
            pushes.push((waiting.push, waiting.answer));
        }
        let first = match self.journal(order, &mut frames, now_ns) {
            Ok(first) => first,
            Err(why) => {
                for (_, answer) in pushes {
                    let _ = answer.set(Err(why.clone()));
                }
                return;
            }
        };
        drop(frames);
        for ((push, answer), number) in pushes.into_iter().zip(first..) {
            let input = Input {
                protocol: push.protocol.as_str(),
            };
            let m = &self.metrics;
            m.requests.get_or_create(&input).inc();
            let lines = push.batch.lines.len() as u64;
            m.lines.get_or_create(&input).inc_by(lines);
            let text_bytes = push.batch.text.len() as u64;
            m.text_bytes.get_or_create(&input).inc_by(text_bytes);
            // Only in order: while the store is behind, it gets this later, from the file.
            if order.next.number == number {
                let streams: Vec<StreamId> = push.streams.iter().map(|(_, id)| *id).collect();
                let handed = self.hand_over(number, &streams, push.batch);
                note(order, &handed);
                if handed.is_ok() {
                    order.next = Place::at(number + 1);
                }
            }
            // It is in the journal: from here on it is ours, whatever the store says.
            let _ = answer.set(Ok(()));
        }
    }

    /// Writes frames where there is room for them.
    fn journal(
        &self,
        order: &mut Order,
        frames: &mut [Frame],
        now_ns: i64,
    ) -> Result<u64, Refused> {
        let size: usize = frames.iter().map(|frame| frame.bytes().len()).sum();
        let bytes = order.journal.bytes();
        if bytes > 0 && bytes + size as u64 > self.config.journal_bytes_max {
            return Err(Refused::Full(format!(
                "the journal has reached {} because the log store has not sealed yet: send it \
                 again later",
                model::bytes::format(self.config.journal_bytes_max)
            )));
        }
        let started = Instant::now();
        let first = order.journal.append(frames, now_ns);
        self.metrics.journal_syncs.inc();
        self.metrics
            .journal_sync_seconds
            .observe(started.elapsed().as_secs_f64());
        self.metrics.journal_bytes.set(order.journal.bytes() as i64);
        first.map_err(|error| {
            note(order, &Err(&error));
            match error {
                StoreError::NoSpace(why) => Refused::Full(format!("the disk is full: {why}")),
                other => Refused::Failed(other.to_string()),
            }
        })
    }

    /// Gives a batch, whose lines name places in `streams`, to the store.
    fn hand_over(
        &self,
        number: u64,
        streams: &[StreamId],
        mut batch: LogBatch,
    ) -> Result<(), StoreError> {
        for line in &mut batch.lines {
            if let Some(stream) = streams.get(line.stream.0 as usize) {
                line.stream = *stream;
            }
        }
        let mut state = vec![STATE_VERSION];
        state.extend_from_slice(&number.to_le_bytes());
        batch.checkpoints.push(Checkpoint {
            source: SOURCE.to_owned(),
            state: Some(state),
        });
        match self.sink.append(&batch) {
            // It would be refused for ever and hold up everything behind it.
            Err(StoreError::Refused(why) | StoreError::Limit(why)) => {
                error!(%why, lines = batch.lines.len(), "the log store refuses received lines, they are lost");
                self.metrics.journal_damaged.inc();
                Ok(())
            }
            other => other,
        }
    }

    /// Hands over from the files what the store has not got, a part at a time.
    fn catch_up(&self) -> Result<(), StoreError> {
        loop {
            let mut order = self.order.lock();
            if order.next.number > order.journal.last() {
                return Ok(());
            }
            let Order { journal, next, .. } = &mut *order;
            let read = journal.read(next, REPLAY_BYTES, |number, body| {
                let Some((labels, batch)) = record::decode(body) else {
                    self.metrics.journal_damaged.inc();
                    error!(number, "a journal record cannot be decoded, its lines are lost");
                    return Ok(());
                };
                let streams = labels.iter().map(|labels| self.sink.open_stream(labels));
                let streams: Vec<StreamId> = match streams.collect::<Result<_, _>>() {
                    Ok(streams) => streams,
                    Err(StoreError::Refused(why) | StoreError::Limit(why)) => {
                        self.metrics.journal_damaged.inc();
                        error!(%why, number, "the log store refuses a stream of the journal, the lines of its request are lost");
                        return Ok(());
                    }
                    Err(other) => return Err(other),
                };
                self.hand_over(number, &streams, batch)?;
                self.metrics.journal_replayed.inc();
                Ok(())
            });
            note(&mut order, &read.as_ref().map(|_| ()));
            let read = read?;
            if read.damaged > 0 {
                self.metrics.journal_damaged.inc_by(read.damaged);
                error!(
                    requests = read.damaged,
                    "a journal is damaged, acknowledged lines are lost"
                );
            }
        }
    }
}

/// Tells of trouble with the store or the disk once, and once when it is over.
fn note<E: std::borrow::Borrow<StoreError>>(order: &mut Order, result: &Result<(), E>) {
    match result {
        Ok(()) => {
            if order.trouble.take().is_some() {
                info!("received lines go to the log store again");
            }
        }
        Err(error) => {
            let why = error.borrow().to_string();
            if order.trouble.is_none() {
                warn!(%why, "received lines stay in the journal for now");
            }
            order.trouble = Some(why);
        }
    }
}

/// The last record that the store has committed; 0 for none.
fn committed(sink: &dyn LogSink) -> Result<u64, StoreError> {
    let Some(state) = sink.committed_checkpoint(SOURCE)? else {
        return Ok(0);
    };
    match state.split_first() {
        Some((&STATE_VERSION, number)) => number
            .try_into()
            .map(u64::from_le_bytes)
            .map_err(|_| StoreError::Damaged(format!("the checkpoint {SOURCE} is no number"))),
        _ => Err(StoreError::Refused(format!(
            "the checkpoint {SOURCE} was written by a newer Yagura: start the newer one again"
        ))),
    }
}

#[cfg(test)]
mod tests;
