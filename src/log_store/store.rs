//! The store itself: takes lines, seals them, drops what is too old, and hands out snapshots.
//!
//! The life of a line:
//! 1. `append` puts it into the open buffers; from then on searches find it.
//! 2. `seal` takes all open buffers and checkpoints at one instant as a [`Generation`]; lines that
//!    come later go to new buffers. The generation stays searchable while it is written.
//! 3. The partition's folder is written beside, synced and renamed; then one transaction commits
//!    partition, stream numbers and checkpoints; then, under the lock, the partition takes the
//!    generation's place.
//!
//! After a crash before the transaction the sources are read again from the committed checkpoints;
//! after it, from the new ones. When sealing fails the generation stays where it is and is tried
//! again; nothing accepted is lost.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use log_query::LogStoreStats;
use model::{Checkpoint, Labels, LogBatch, LogSink, StoreError, StreamId};
use parking_lot::{Condvar, Mutex, RwLock};
use tracing::{info, warn};

use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::failure::io_failed;
use crate::folder::{lock, remove_leftovers};
use crate::lines::Lines;
use crate::metrics::Metrics;
use crate::open::{Generation, OpenBuffers};
use crate::partition::{self, Partition};
use crate::retention;
use crate::seal::Failure;
use crate::search::snapshot::Snapshot;
use crate::streams::{LineCount, Streams};
use crate::tail::{NewLine, Tails};

pub(crate) const CATALOGUE_FILE: &str = "catalogue.db";

/// The log store. Share it behind an `Arc`; all methods take `&self`.
pub struct LogStore {
    pub(crate) folder: PathBuf,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) catalogue: Catalogue,
    /// What was committed before this process started.
    checkpoints_at_start: Vec<Checkpoint>,
    /// One seal or drop at a time. Locked before `state`.
    pub(crate) maintenance: Mutex<()>,
    /// Locked before `streams`.
    pub(crate) state: Mutex<State>,
    /// Told when open buffers have been sealed, when that failed, and at the end.
    pub(crate) freed: Condvar,
    pub(crate) streams: Arc<RwLock<Streams>>,
    tails: Arc<Tails>,
    /// The time last given, for seals that nobody gives a time to.
    pub(crate) now_ns: AtomicI64,
    /// Held as long as the store is open.
    _lock: File,
}

pub(crate) struct State {
    pub(crate) open: OpenBuffers,
    pub(crate) sealing: Option<Arc<Generation>>,
    pub(crate) partitions: Arc<Vec<Arc<Partition>>>,
    pub(crate) next_partition: u64,
    pub(crate) failure: Option<Failure>,
    pub(crate) is_closed: bool,
}

impl State {
    /// Memory of open buffers, those being sealed included.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.open.memory_bytes + self.sealing.as_ref().map_or(0, |g| g.memory_bytes)
    }
}

impl LogStore {
    /// Opens the store in a folder, which is made if need be, and removes what a crash has left
    /// half written. `now_ns` is the time in nanoseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// `Refused` when another process has it open or a newer version has written it; `Io`,
    /// `NoSpace`, `Database` or `Damaged` (the catalogue's streams) when it cannot be read.
    pub fn open(
        folder: &Path,
        config: Config,
        metrics: Metrics,
        now_ns: i64,
    ) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|source| io_failed("create", folder, source))?;
        let lock = lock(folder)?;
        let catalogue = Catalogue::open(&folder.join(CATALOGUE_FILE))?;
        let rows = catalogue.partitions()?;
        remove_leftovers(folder, &rows.iter().map(|row| row.id).collect::<Vec<_>>())?;
        let partitions: Vec<Arc<Partition>> = rows
            .into_iter()
            .filter(|row| !forget_if_gone(folder, &catalogue, row.id))
            .map(|row| Arc::new(Partition::open(folder, row, &metrics)))
            .collect();
        let streams = Streams::new(catalogue.streams()?, config.streams_max);
        let checkpoints_at_start = catalogue.checkpoints()?;
        let next_partition = catalogue.last_partition()?.map_or(0, |id| id + 1);
        let store = Self {
            folder: folder.to_owned(),
            catalogue,
            checkpoints_at_start,
            maintenance: Mutex::new(()),
            state: Mutex::new(State {
                open: OpenBuffers::default(),
                sealing: None,
                partitions: Arc::new(partitions),
                next_partition,
                failure: None,
                is_closed: false,
            }),
            freed: Condvar::new(),
            streams: Arc::new(RwLock::new(streams)),
            tails: Tails::new(config.tails_max, metrics.clone()),
            now_ns: AtomicI64::new(now_ns),
            config,
            metrics,
            _lock: lock,
        };
        store.forget_gone_streams()?;
        store.update_gauges();
        Ok(store)
    }

    /// Does what is due: seals open buffers that are full or old, drops partitions that are too
    /// old or too many. To be called every second or so, on a thread that may block.
    ///
    /// # Errors
    /// What went wrong; it has been reported, and the next call tries again.
    pub fn maintain(&self, now_ns: i64) -> Result<(), StoreError> {
        self.now_ns.store(now_ns, Ordering::Relaxed);
        let sealed = if self.is_seal_due(now_ns) {
            self.seal()
        } else {
            // A failure lasts until an attempt succeeds, also while the next one is not due.
            let state = self.state.lock();
            state.failure.as_ref().map_or(Ok(()), |f| Err(f.error()))
        };
        // Retention also when sealing fails: it is what makes room.
        let dropped = self.drop_expired(now_ns);
        self.update_gauges();
        sealed.and(dropped)
    }

    fn drop_expired(&self, now_ns: i64) -> Result<(), StoreError> {
        let _one_at_a_time = self.maintenance.lock();
        let rows: Vec<_> = self.partitions().iter().map(|p| p.row).collect();
        let expired = retention::expired(
            &rows,
            now_ns,
            self.config.retention,
            self.config.disk_bytes_max,
        );
        for id in expired {
            self.drop_partition(id)?;
        }
        Ok(())
    }

    /// Drops the partition with the oldest lines, to make room. Returns the bytes that were freed
    /// on disk; 0 when there is no partition.
    ///
    /// # Errors
    /// `Database` or `NoSpace` when the catalogue cannot be written.
    pub fn drop_oldest(&self) -> Result<u64, StoreError> {
        let _one_at_a_time = self.maintenance.lock();
        let oldest = self
            .partitions()
            .iter()
            .min_by_key(|p| (p.row.max_ns.min(p.row.sealed_ns), p.row.id))
            .map(|p| p.row.id);
        let freed = match oldest {
            Some(id) => self.drop_partition(id)?,
            None => 0,
        };
        self.update_gauges();
        Ok(freed)
    }

    /// Forgets a partition, then removes its folder. The caller holds `maintenance`.
    ///
    /// On a full disk the catalogue cannot be written before something is gone. Then the folder
    /// goes first, and if the catalogue cannot be written even so, the next start corrects it.
    fn drop_partition(&self, id: u64) -> Result<u64, StoreError> {
        let forgotten = self.catalogue.drop_partition(id);
        let is_full = matches!(forgotten, Err(StoreError::NoSpace(_)));
        if !is_full {
            forgotten?;
        }
        let dropped = {
            let mut state = self.state.lock();
            let (dropped, kept): (Vec<_>, Vec<_>) = state
                .partitions
                .iter()
                .cloned()
                .partition(|p| p.row.id == id);
            state.partitions = Arc::new(kept);
            dropped
        };
        let mut freed = 0;
        for partition in dropped {
            partition.remove();
            freed += partition.row.disk_bytes;
            self.metrics.partitions_dropped.inc();
            info!(
                partition = id,
                lines = partition.row.lines,
                bytes = partition.row.disk_bytes,
                "dropped the oldest log lines"
            );
        }
        if is_full && let Err(error) = self.catalogue.drop_partition(id) {
            warn!(%error, partition = id, "a dropped partition is still in the catalogue");
        }
        Ok(freed)
    }

    /// At the start only: forgets streams that have no line left, so that they do not pile up over
    /// months of short-lived pods.
    fn forget_gone_streams(&self) -> Result<(), StoreError> {
        let partitions = self.partitions();
        if partitions.iter().any(|p| p.blocks.is_empty()) {
            // A damaged table does not say which streams it has.
            return Ok(());
        }
        let alive: std::collections::HashSet<StreamId> = partitions
            .iter()
            .flat_map(|p| p.blocks.iter().map(|b| b.stream))
            .collect();
        let mut streams = self.streams.write();
        let gone = streams.retain(|id| alive.contains(&id));
        if gone.is_empty() {
            return Ok(());
        }
        self.catalogue.forget_streams(&gone)
    }

    /// Ends the store: whoever waits in `append` gets `Cancelled`, and so does every later call.
    /// Lines that are not sealed will be read again from their sources; call [`LogStore::seal`]
    /// before to spare that.
    pub fn close(&self) {
        self.state.lock().is_closed = true;
        self.freed.notify_all();
    }

    /// Bytes that a day of lines takes on disk, judged by the last day; `None` before an hour of
    /// them is sealed.
    pub fn bytes_per_day(&self, now_ns: i64) -> Option<u64> {
        let rows: Vec<_> = self.partitions().iter().map(|p| p.row).collect();
        retention::bytes_per_day(&rows, now_ns)
    }

    /// Why lines cannot be sealed at present, in a sentence; `None` when all is well.
    pub fn last_error(&self) -> Option<String> {
        let state = self.state.lock();
        state.failure.as_ref().map(|f| f.error().to_string())
    }

    /// How many lines of each stream and level (by number) were taken since the process started.
    /// Streams without a line since then are left out.
    pub fn counts(&self) -> Vec<(Labels, [LineCount; 7])> {
        self.streams.read().taken()
    }

    pub(crate) fn partitions(&self) -> Arc<Vec<Arc<Partition>>> {
        Arc::clone(&self.state.lock().partitions)
    }

    /// Everything that can be found now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.state.lock();
        let sealing = state.sealing.iter().flat_map(|g| g.segments());
        Snapshot {
            open: state
                .open
                .segments()
                .chain(sealing)
                .map(|(id, segment)| (id, Arc::clone(segment)))
                .collect(),
            partitions: Arc::clone(&state.partitions),
            streams: Arc::clone(&self.streams),
        }
    }

    pub(crate) fn tails(&self) -> &Arc<Tails> {
        &self.tails
    }

    /// What [`log_query::LogReader::stats`] tells.
    pub(crate) fn count_all(&self) -> LogStoreStats {
        let snapshot = self.snapshot();
        let open_bytes = self.state.lock().memory_bytes() as u64;
        let mut stats = LogStoreStats {
            open_bytes,
            streams: self.streams.read().len() as u64,
            partitions: snapshot.partitions.len() as u64,
            ..LogStoreStats::default()
        };
        let mut range: Option<(i64, i64)> = None;
        let mut widen = |min_ns: i64, max_ns: i64| {
            range = Some(match range {
                None => (min_ns, max_ns),
                Some((min, max)) => (min.min(min_ns), max.max(max_ns)),
            });
        };
        for (_, segment) in &snapshot.open {
            stats.lines += segment.lines.len() as u64;
            stats.text_bytes += segment.lines.text_bytes() as u64;
            if let Some((min_ns, max_ns)) = segment.lines.time_range() {
                widen(min_ns, max_ns);
            }
        }
        for partition in snapshot.partitions.iter() {
            stats.lines += partition.row.lines;
            stats.text_bytes += partition.row.text_bytes;
            stats.disk_bytes += partition.row.disk_bytes;
            stats.blocks += partition.blocks.len() as u64;
            widen(partition.row.min_ns, partition.row.max_ns);
        }
        (stats.oldest_ns, stats.newest_ns) = range.unwrap_or_default();
        stats
    }

    fn update_gauges(&self) {
        let stats = self.count_all();
        self.metrics.open_bytes.set(stats.open_bytes as i64);
        self.metrics.streams.set(stats.streams as i64);
        self.metrics.partitions.set(stats.partitions as i64);
        self.metrics.blocks.set(stats.blocks as i64);
        self.metrics.disk_bytes.set(stats.disk_bytes as i64);
    }
}

/// Whether a partition's folder is gone: dropped on a full disk, before the catalogue could be
/// written, or taken away by somebody. Then the catalogue is told now, or at a later start.
fn forget_if_gone(folder: &Path, catalogue: &Catalogue, id: u64) -> bool {
    let path = folder.join(partition::folder_name(id));
    if !matches!(path.try_exists(), Ok(false)) {
        return false;
    }
    warn!(path = %path.display(), "the folder of a partition is gone, it is forgotten");
    if let Err(error) = catalogue.drop_partition(id) {
        warn!(%error, partition = id, "a partition that is gone is still in the catalogue");
    }
    true
}

impl LogSink for LogStore {
    fn open_stream(&self, labels: &Labels) -> Result<StreamId, StoreError> {
        self.streams.write().open(labels)
    }

    fn append(&self, batch: &LogBatch) -> Result<(), StoreError> {
        self.check(batch)?;
        let bytes = Lines::memory_bytes(batch.lines.len(), batch.text.len());
        self.wait_for_room(bytes)?;
        // Two batches may find the same room; the excess is at most a batch per collector.
        let is_tailed = !self.tails.is_empty();
        let mut told = Vec::new();
        {
            let mut state = self.state.lock();
            if state.is_closed {
                return Err(StoreError::Cancelled);
            }
            if !batch.lines.is_empty() || !batch.checkpoints.is_empty() {
                let now_ns = self.now_ns.load(Ordering::Relaxed);
                state.open.since_ns.get_or_insert(now_ns);
            }
            let mut streams = self.streams.write();
            for (line, text) in batch.iter() {
                let Some(stream) = streams.get_mut(line.stream) else {
                    continue;
                };
                let sequence = stream.take_line(line.level, text.len());
                if is_tailed {
                    told.push((stream.labels.clone(), sequence));
                }
                state
                    .open
                    .push(line.stream, sequence, line.time_ns, line.level, text);
            }
            for checkpoint in &batch.checkpoints {
                state.open.reach(checkpoint);
            }
        }
        self.metrics.lines.inc_by(batch.lines.len() as u64);
        self.metrics.text_bytes.inc_by(batch.text.len() as u64);
        if is_tailed {
            let lines = batch.iter().zip(&told);
            self.tails
                .tell(lines.map(|((line, text), (labels, sequence))| NewLine {
                    labels,
                    sequence: *sequence,
                    time_ns: line.time_ns,
                    level: line.level,
                    text,
                }));
        }
        Ok(())
    }

    fn committed_checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        Ok(self.checkpoints_at_start.clone())
    }

    fn committed_checkpoint(&self, source: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.catalogue.checkpoint(source)
    }
}

impl LogStore {
    /// Refuses a batch that breaks a promise of the seam, before anything of it is taken.
    fn check(&self, batch: &LogBatch) -> Result<(), StoreError> {
        let streams = self.streams.read();
        let mut end = 0;
        for line in &batch.lines {
            if streams.get(line.stream).is_none() {
                return Err(StoreError::Refused(format!(
                    "a line of stream {}, which was never opened",
                    line.stream.0
                )));
            }
            if line.text_end < end || line.text_end as usize > batch.text.len() {
                return Err(StoreError::Refused(
                    "a batch whose lines do not fit its text".to_owned(),
                ));
            }
            end = line.text_end;
        }
        Ok(())
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        self.close();
    }
}
