//! The store as its owner sees it: open, sync, maintain, close.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use model::{MetricMetadata, StoreError};
use parking_lot::{Mutex, RwLock};

use crate::admin::cardinality::Births;
use crate::append::Buffers;
use crate::catalogue::tombstones::Tombstone;
use crate::catalogue::{Catalogue, Segment};
use crate::config::{Config, Limits};
use crate::errors::io_error;
use crate::exemplars::Exemplars;
use crate::head::Head;
use crate::index::{Index, SeriesId};
use crate::journal::Journals;
use crate::metrics::Metrics;
use crate::pages::cache::DirectoryCache;
use crate::pages::{Days, database_bytes};

/// Series leave the head when they have not been written for so many windows before the oldest
/// one that is not sealed.
const IDLE_WINDOWS: i64 = 1;

/// The part of the memory that directories of sealed windows may take.
const CACHE_PART: u64 = 4;

/// What metric families mean.
#[derive(Debug, Default)]
pub(crate) struct Families {
    pub(crate) all: BTreeMap<String, MetricMetadata>,
    /// Those that the catalogue does not have yet.
    pub(crate) changed: BTreeSet<String>,
}

/// All parts of a store; cursors hold it too.
///
/// Lock order: `maintenance`, the head's (see there), `series_committed`, `index`, the journals',
/// then all others, which are held for a moment only.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) head: Head,
    pub(crate) index: RwLock<Index>,
    /// Series below this number are in the catalogue.
    pub(crate) series_committed: Mutex<SeriesId>,
    pub(crate) journals: Journals,
    pub(crate) catalogue: Catalogue,
    pub(crate) days: Days,
    segments: RwLock<Arc<Vec<Arc<Segment>>>>,
    /// Segments that were rewritten; their pages are still there, because somebody may read them.
    pub(crate) retired: Mutex<Vec<Arc<Segment>>>,
    /// No rewriting before this time.
    pub(crate) rewrite_after_ms: Mutex<i64>,
    pub(crate) tombstones: RwLock<Arc<Vec<Tombstone>>>,
    pub(crate) births: Births,
    /// Who has most series, as of the last refusal since the last maintenance.
    pub(crate) culprit: Mutex<Option<String>>,
    pub(crate) directories: DirectoryCache,
    pub(crate) families: RwLock<Families>,
    pub(crate) exemplars: Mutex<Exemplars>,
    pub(crate) buffers: Mutex<Vec<Buffers>>,
    /// Estimated bytes of memory, as of the last maintenance.
    pub(crate) memory_bytes: AtomicU64,
    /// Sealing and retention go one at a time.
    pub(crate) maintenance: Mutex<()>,
    pub(crate) dir: PathBuf,
    /// Keeps other processes out for as long as it is open.
    _lock: File,
}

impl Shared {
    /// The sealed windows, in order of window and number.
    pub(crate) fn segments(&self) -> Arc<Vec<Arc<Segment>>> {
        self.segments.read().clone()
    }

    /// Makes a sealed window visible.
    pub(crate) fn add_segment(&self, segment: Segment) {
        let mut segments = self.segments.write();
        let mut all: Vec<Arc<Segment>> = segments.to_vec();
        all.push(Arc::new(segment));
        all.sort_by_key(|s| (s.window_ms, s.id));
        *segments = Arc::new(all);
    }

    /// Puts a segment in the place of others in one step; those are retired.
    pub(crate) fn replace_segments(&self, old: &[u32], new: Option<Segment>) {
        let mut segments = self.segments.write();
        let (gone, mut all): (Vec<_>, Vec<_>) =
            segments.iter().cloned().partition(|s| old.contains(&s.id));
        all.extend(new.map(Arc::new));
        all.sort_by_key(|s| (s.window_ms, s.id));
        self.retired.lock().extend(gone);
        *segments = Arc::new(all);
    }

    /// Takes sealed windows away; returns them.
    pub(crate) fn remove_segments(&self, gone: impl Fn(&Segment) -> bool) -> Vec<Arc<Segment>> {
        let mut segments = self.segments.write();
        let (out, kept) = segments.iter().cloned().partition(|s| gone(s));
        *segments = Arc::new(kept);
        out
    }

    /// Bytes of all files.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.days.disk_bytes() + database_bytes(&self.dir.join("meta.db")) + self.journal_bytes()
    }

    fn journal_bytes(&self) -> u64 {
        let frozen = self.head.frozen();
        let waiting: u64 = frozen.iter().map(|f| f.journals.bytes()).sum();
        waiting + self.journals.bytes()
    }

    pub(crate) fn commit_families(&self) -> Result<(), StoreError> {
        let changed: Vec<(String, MetricMetadata)> = {
            let mut families = self.families.write();
            let names = std::mem::take(&mut families.changed);
            let known = |name: String| families.all.get(&name).map(|m| (name.clone(), m.clone()));
            names.into_iter().filter_map(known).collect()
        };
        if changed.is_empty() {
            return Ok(());
        }
        self.catalogue.put_families(&changed).inspect_err(|_| {
            let names = changed.iter().map(|(name, _)| name.clone());
            self.families.write().changed.extend(names);
        })
    }

    fn measure(&self) -> MetricStoreStats {
        let (head_bytes, head_samples) = self.head.size();
        let (index_series, index_bytes) = {
            let index = self.index.read();
            (index.len(), index.memory_bytes())
        };
        let exemplars = self.exemplars.lock().memory_bytes();
        let memory_bytes = head_bytes + index_bytes + self.directories.memory_bytes() + exemplars;
        let memory_bytes = memory_bytes as u64;
        self.memory_bytes.store(memory_bytes, Ordering::Relaxed);
        let segments = self.segments();
        let sealed_samples: u64 = segments.iter().map(|s| s.samples).sum();
        let oldest_sealed = segments.iter().map(|s| s.start_ms).min();
        let newest_sealed = segments.iter().map(|s| s.end_ms).max();
        let frozen = self.head.frozen();
        let oldest_head = self.head.open_windows().into_iter();
        let oldest_head = oldest_head.chain(frozen.iter().map(|f| f.start_ms)).min();
        let stats = MetricStoreStats {
            head_series: self.head.series_count(),
            index_series,
            targets: self.head.targets().len(),
            samples_total: sealed_samples + head_samples,
            samples_head: head_samples,
            segments: segments.len(),
            days: self.days.all().len(),
            windows_waiting: frozen.len(),
            memory_bytes,
            head_bytes: head_bytes as u64,
            disk_bytes: self.disk_bytes(),
            journal_bytes: self.journal_bytes(),
            oldest_ms: oldest_sealed.into_iter().chain(oldest_head).min(),
            newest_ms: newest_sealed.into_iter().chain(self.head.newest_ms()).max(),
        };
        let metrics = &self.metrics;
        metrics.head_series.set(stats.head_series as i64);
        metrics.index_series.set(stats.index_series as i64);
        metrics.memory_bytes.set(stats.memory_bytes as i64);
        metrics.disk_bytes.set(stats.disk_bytes as i64);
        metrics.journal_bytes.set(stats.journal_bytes as i64);
        metrics.segments.set(stats.segments as i64);
        stats
    }
}

/// What a store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricStoreStats {
    /// Series that are being written to.
    pub head_series: usize,
    /// Series that have samples or are being written to.
    pub index_series: usize,
    /// Open targets.
    pub targets: usize,
    /// Samples, sealed and not.
    pub samples_total: u64,
    /// Samples that are not sealed.
    pub samples_head: u64,
    /// Sealed windows (and parts of windows).
    pub segments: usize,
    /// Day files.
    pub days: usize,
    /// Windows that are over and could not be sealed yet.
    pub windows_waiting: usize,
    /// Estimated bytes of memory.
    pub memory_bytes: u64,
    /// Of those, the head's.
    pub head_bytes: u64,
    /// Bytes of all files.
    pub disk_bytes: u64,
    /// Of those, the journals'.
    pub journal_bytes: u64,
    /// Time of the oldest sample; where it is not sealed, of its window's begin. `None` when
    /// there is no sample.
    pub oldest_ms: Option<i64>,
    /// Time of the newest sample.
    pub newest_ms: Option<i64>,
}

/// An embedded store of metric samples. Cheap to clone; all clones are the same store.
#[derive(Debug, Clone)]
pub struct MetricStore {
    shared: Arc<Shared>,
}

impl MetricStore {
    /// Opens the store in a folder, which is made when it is missing, and brings back everything
    /// that was accepted. A damaged tail of a journal is cut, counted and logged.
    ///
    /// # Errors
    /// `Refused` when another process has the folder open, when a newer program wrote it, or when
    /// the window does not divide a day; `Damaged` when the catalogue cannot be read; `Io` and
    /// `NoSpace` when files cannot be read or made.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the owner hands its settings over, as to every room"
    )]
    pub fn open(
        dir: &Path,
        config: Config,
        metrics: Metrics,
        now_ms: i64,
    ) -> Result<Self, StoreError> {
        let limits = Limits::new(&config)?;
        fs::create_dir_all(dir).map_err(io_error("make folder", dir))?;
        let lock = lock(dir)?;
        let catalogue = Catalogue::open(dir)?;
        let families = Families {
            all: catalogue.families()?,
            changed: BTreeSet::new(),
        };
        let (journals, files) = Journals::open(&dir.join("journal"), metrics.clone())?;
        let cache_bytes = usize::try_from(limits.memory_bytes_max / CACHE_PART);
        let shared = Shared {
            limits,
            metrics,
            head: Head::new(now_ms),
            index: RwLock::default(),
            series_committed: Mutex::default(),
            journals,
            catalogue,
            days: Days::open(&dir.join("days"))?,
            segments: RwLock::default(),
            retired: Mutex::default(),
            rewrite_after_ms: Mutex::new(i64::MIN),
            tombstones: RwLock::default(),
            births: Births::default(),
            culprit: Mutex::default(),
            directories: DirectoryCache::new(cache_bytes.unwrap_or(usize::MAX)),
            families: RwLock::new(families),
            exemplars: Mutex::default(),
            buffers: Mutex::default(),
            memory_bytes: AtomicU64::new(0),
            maintenance: Mutex::default(),
            dir: dir.to_owned(),
            _lock: lock,
        };
        shared.recover(files)?;
        *shared.tombstones.write() = Arc::new(shared.catalogue.tombstones()?);
        let next_id = shared.index.read().next_id();
        *shared.culprit.lock() = None;
        shared.births.mark(now_ms, next_id);
        shared.measure();
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Makes every accepted sample durable, with one `fdatasync` for each journal written to
    /// (usually one). To be called each second.
    pub fn sync(&self) -> Result<(), StoreError> {
        let started = Instant::now();
        let result = self.shared.journals.sync();
        self.shared
            .metrics
            .journal_sync_seconds
            .observe(started.elapsed().as_secs_f64());
        result
    }

    /// Does what is due: seals windows that are over, drops sealed journals and old days, lets go
    /// of idle series. To be called each minute or so, on a thread that may block; appending and
    /// reading go on meanwhile.
    ///
    /// # Errors
    /// The first thing that failed; the rest was done all the same, and the next call tries
    /// again. Nothing is lost by a failure.
    pub fn maintain(&self, now_ms: i64) -> Result<(), StoreError> {
        let shared = &self.shared;
        shared.head.set_clock(now_ms);
        let _one_at_a_time = shared.maintenance.lock();
        let early = shared.measure().head_bytes > shared.limits.memory_bytes_max / 2;
        shared.freeze_windows(now_ms, early);
        let sealed = shared.seal_frozen();
        shared
            .head
            .forget_idle(IDLE_WINDOWS * shared.limits.window_ms);
        shared.births.mark(now_ms, shared.index.read().next_id());
        let families = shared.commit_families();
        let rewritten = shared.rewrite_a_day(now_ms);
        let forgotten = shared.forget_old_tombstones();
        let retained = shared.enforce_retention(now_ms);
        let series = shared.forget_dead_series(now_ms);
        shared.days.all().iter().for_each(|day| day.close_idle());
        shared.measure();
        let done = sealed.and(families).and(rewritten).and(forgotten);
        done.and(retained).and(series)
    }

    /// Lets go of the oldest day to make room: of a day of samples a rollup stays, rollups go
    /// when samples as they came are left of the last two days only. Returns how many bytes that
    /// freed, 0 when nothing is sealed.
    pub fn drop_oldest(&self) -> Result<u64, StoreError> {
        let _one_at_a_time = self.shared.maintenance.lock();
        self.shared.shed()
    }

    /// Counts and sizes, as of now. Walks all targets: for a status page, not for a loop.
    pub fn stats(&self) -> MetricStoreStats {
        self.shared.measure()
    }

    /// Makes every accepted sample durable at the end. The folder is free for others once all clones and
    /// cursors are gone.
    pub fn close(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.shared.maintenance.lock();
        let synced = self.sync();
        if let Err(error) = self.shared.commit_families() {
            // The next scrape brings them again: no reason to call the end a failure.
            tracing::warn!(%error, "what metrics mean is not stored, the next scrape tells it again");
        }
        synced
    }

    #[cfg(test)]
    pub(crate) fn journal_quota(&self) -> &crate::journal::file::Quota {
        &self.shared.journals.quota
    }
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("LOCK");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Refused(format!(
            "{} is in use by another process: stop it first, or choose another folder",
            dir.display()
        ))),
        Err(TryLockError::Error(source)) => Err(io_error("lock", &path)(source)),
    }
}
