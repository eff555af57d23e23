//! The way into the store: gathers lines and positions into batches and hands them over.
//!
//! The store's answer decides how fast files are read. While it has no room (or fails), the batch
//! is kept, tried again with growing pauses, and nothing more is read: a file can wait. Only what
//! the store refuses for good is dropped, and counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Checkpoint, Labels, Level, LogBatch, LogSink, StoreError, StreamId};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::metrics::{Metrics, Reason};
use crate::status::Status;

/// A batch is handed over at this size at the latest. One turn of one file may go beyond it by
/// what it reads.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Short lines count by number: each takes room of its own.
const BATCH_LINES_MAX: usize = 16 << 10;

/// What the sources of this room's checkpoints begin with.
pub(crate) const SOURCE_PREFIX: &str = "file-";

/// The reason of lines that the store does not take.
const REFUSED: &str = "refused";

const RETRY_PAUSE_MIN: Duration = Duration::from_millis(200);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(10);
/// How soon a pause notices that the program stops.
const CANCEL_STEP: Duration = Duration::from_millis(100);

/// The program stops: what is not handed over yet will be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped;

/// The position of every file behind the last batch that the sink took, by source; `None` until
/// the sink was asked for those of the last process. Outlives a collector that has to be started
/// again: what the sink took since then is not committed yet, but must not be sent twice.
pub(crate) type Positions = Arc<Mutex<Option<HashMap<String, Vec<u8>>>>>;

/// Collects a batch for the sink.
pub(crate) struct Outlet {
    sink: Arc<dyn LogSink>,
    metrics: Metrics,
    cancel: CancellationToken,
    positions: Positions,
    batch: LogBatch,
    /// Whose records the batch holds, for their accounts: the last one may still add to it.
    shares: Vec<Share>,
}

/// A file's part of a batch.
#[derive(Debug)]
struct Share {
    status: Arc<Status>,
    records: u64,
    bytes: u64,
}

impl Outlet {
    pub(crate) fn new(
        sink: Arc<dyn LogSink>,
        metrics: Metrics,
        cancel: CancellationToken,
        positions: Positions,
    ) -> Self {
        Self {
            sink,
            metrics,
            cancel,
            positions,
            batch: LogBatch::default(),
            shares: Vec::new(),
        }
    }

    /// Asks the store for the stream of these labels, for as long as it takes. `None`: the store
    /// refuses the stream for good, and its lines have to be dropped.
    pub(crate) fn open_stream(&mut self, labels: &Labels) -> Result<Option<StreamId>, Stopped> {
        let sink = Arc::clone(&self.sink);
        self.insist("cannot open a log stream", || sink.open_stream(labels))
    }

    /// The positions from which to go on, by source.
    pub(crate) fn committed_positions(&mut self) -> Result<HashMap<String, Vec<u8>>, Stopped> {
        if let Some(positions) = &*self.positions.lock() {
            return Ok(positions.clone());
        }
        let sink = Arc::clone(&self.sink);
        let checkpoints = self.insist("cannot read the positions of log files", || {
            sink.committed_checkpoints()
        })?;
        let positions: HashMap<String, Vec<u8>> = checkpoints
            .unwrap_or_default()
            .into_iter()
            // The rest belongs to other collectors.
            .filter(|checkpoint| checkpoint.source.starts_with(SOURCE_PREFIX))
            .filter_map(|checkpoint| Some((checkpoint.source, checkpoint.state?)))
            .collect();
        *self.positions.lock() = Some(positions.clone());
        Ok(positions)
    }

    /// The records that come next are of this file.
    pub(crate) fn begin_share(&mut self, status: &Arc<Status>) {
        match self.shares.last_mut() {
            Some(last) if Arc::ptr_eq(&last.status, status) => {}
            // Of a file that had nothing to give.
            Some(last) if last.records == 0 => last.status = Arc::clone(status),
            _ => self.shares.push(Share {
                status: Arc::clone(status),
                records: 0,
                bytes: 0,
            }),
        }
    }

    /// Adds a record to the batch.
    pub(crate) fn line(&mut self, stream: StreamId, time_ns: i64, level: Level, text: &[u8]) {
        self.batch.push(stream, time_ns, level, text);
        if let Some(share) = self.shares.last_mut() {
            share.records += 1;
            share.bytes += text.len() as u64;
        }
    }

    /// Adds the position that the lines so far bring a file to.
    pub(crate) fn position(&mut self, checkpoint: Checkpoint) {
        match self.batch.checkpoints.last_mut() {
            Some(last) if last.source == checkpoint.source => *last = checkpoint,
            _ => self.batch.checkpoints.push(checkpoint),
        }
    }

    /// Counts lines that go nowhere because the store refuses their stream.
    pub(crate) fn drop_line(&mut self, bytes: usize) {
        let reason = Reason { reason: REFUSED };
        self.metrics.lines_dropped.get_or_create(&reason).inc();
        if let Some(share) = self.shares.last() {
            share.status.count_lost(REFUSED, 1, bytes as u64);
        }
    }

    /// Hands the batch over when it is large.
    pub(crate) fn flush_if_large(&mut self) -> Result<(), Stopped> {
        if self.batch.text.len() >= BATCH_BYTES_MAX || self.batch.lines.len() >= BATCH_LINES_MAX {
            self.flush()?;
        }
        Ok(())
    }

    /// Hands over what there is, for as long as it takes.
    pub(crate) fn flush(&mut self) -> Result<(), Stopped> {
        if self.batch.lines.is_empty() && self.batch.checkpoints.is_empty() {
            return Ok(());
        }
        let sink = Arc::clone(&self.sink);
        let batch = std::mem::take(&mut self.batch);
        let taken = self.insist("cannot store log lines", || sink.append(&batch));
        let n_lines = batch.lines.len() as u64;
        self.batch = batch;
        if taken?.is_some() {
            self.metrics.lines.inc_by(n_lines);
            self.note_positions();
            for share in self.shares.drain(..) {
                share.status.count_stored(share.records, share.bytes);
            }
        } else {
            for share in self.shares.drain(..) {
                (share.status).count_lost(REFUSED, share.records, share.bytes);
            }
            let reason = Reason { reason: REFUSED };
            let dropped = self.metrics.lines_dropped.get_or_create(&reason);
            dropped.inc_by(n_lines);
        }
        self.batch.clear();
        // An unusual batch must not hold its memory for ever.
        self.batch.text.shrink_to(2 * BATCH_BYTES_MAX);
        self.batch.lines.shrink_to(2 * BATCH_LINES_MAX);
        Ok(())
    }

    fn note_positions(&mut self) {
        let mut positions = self.positions.lock();
        let positions = positions.get_or_insert_default();
        for Checkpoint { source, state } in self.batch.checkpoints.drain(..) {
            match state {
                Some(state) => positions.insert(source, state),
                None => positions.remove(&source),
            };
        }
    }

    /// Tries until it works. `None`: the store refuses this input for good.
    fn insist<T>(
        &mut self,
        what: &'static str,
        mut attempt: impl FnMut() -> Result<T, StoreError>,
    ) -> Result<Option<T>, Stopped> {
        let mut pause = RETRY_PAUSE_MIN;
        let mut failed = false;
        loop {
            if self.cancel.is_cancelled() {
                return Err(Stopped);
            }
            let error = match attempt() {
                Ok(value) => {
                    if failed {
                        info!("the log store works again, going on");
                    }
                    return Ok(Some(value));
                }
                Err(error) => error,
            };
            let reason = match &error {
                StoreError::Cancelled => return Err(Stopped),
                StoreError::Refused(_) => {
                    warn!(%error, what, "the log store refused lines, they are dropped");
                    return Ok(None);
                }
                StoreError::NoSpace(_) => "no_space",
                StoreError::Io { .. } => "io",
                StoreError::Limit(_) => "limit",
                StoreError::Damaged(_) => "damaged",
                StoreError::Database(_) => "database",
            };
            self.metrics
                .store_retries
                .get_or_create(&Reason { reason })
                .inc();
            if !failed {
                warn!(%error, what, "the log store takes nothing, files wait and it is tried again");
                failed = true;
            }
            self.pause(pause)?;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
    }

    fn pause(&self, pause: Duration) -> Result<(), Stopped> {
        let mut left = pause;
        while !left.is_zero() {
            if self.cancel.is_cancelled() {
                return Err(Stopped);
            }
            let step = left.min(CANCEL_STEP);
            std::thread::sleep(step);
            left -= step;
        }
        Ok(())
    }
}
