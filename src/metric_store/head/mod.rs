//! What is not sealed yet: the open windows of every target, in memory.
//!
//! A [`target`] holds slots (series) and open windows; a [`window`] holds rows (scrapes), blocks
//! of 32 rows encoded by column ([`block`]), series with timestamps of their own ([`loose`]) and
//! what came late. [`places`] says in which targets a series lives. A window that is over is
//! *frozen*: moved out of its targets in one step, still readable, until it is sealed.
//!
//! Lock order: `gate`, `targets` (only to look up), a target, the store's index, `places`,
//! `frozen`. The gate is read by everything that appends or takes a snapshot and written only by
//! [`Head::freeze`], which moves a pointer for each target.

pub(crate) mod block;
pub(crate) mod histograms;
pub(crate) mod loose;
pub(crate) mod places;
pub(crate) mod target;
pub(crate) mod window;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use model::{StoreError, TargetId};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use rustc_hash::FxHashMap;

use crate::index::SeriesId;
use crate::journal::SealedFiles;
use places::{Place, Places};
use target::Target;
use window::WindowData;

/// Targets that may be open at the same time; a cluster has hundreds, remote writers thousands.
const TARGETS_MAX: usize = 100_000;

/// How far ahead of the owner's clock a sample may be. That clock is told at each maintenance, and
/// stands still while a laptop sleeps: a night must fit in.
const AHEAD_MAX_MS: i64 = crate::config::DAY_MS;

/// The open targets.
#[derive(Debug, Default)]
struct Targets {
    by_name: FxHashMap<Arc<str>, TargetId>,
    by_id: FxHashMap<TargetId, Arc<Target>>,
    next_id: u32,
}

/// A window that takes no more samples and is on its way to disk.
#[derive(Debug)]
pub(crate) struct Frozen {
    /// Where the window begins.
    pub(crate) start_ms: i64,
    /// Its data, by target.
    pub(crate) parts: FxHashMap<TargetId, WindowData>,
    /// The journals that hold the same samples, to be deleted once it is sealed.
    pub(crate) journals: SealedFiles,
}

/// Everything in memory that is not sealed.
#[derive(Debug)]
pub(crate) struct Head {
    gate: RwLock<()>,
    targets: RwLock<Targets>,
    places: RwLock<Places>,
    frozen: Mutex<Vec<Arc<Frozen>>>,
    /// Time of the newest sample.
    newest_ms: AtomicI64,
    /// The last "now" that the owner told.
    clock_ms: AtomicI64,
}

/// What a sample's time allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Take it.
    Take,
    /// It is older than the out-of-order window or the retention.
    TooOld,
    /// It lies too far in the future.
    TooNew,
}

impl Head {
    pub(crate) fn new(now_ms: i64) -> Self {
        Self {
            gate: RwLock::default(),
            targets: RwLock::default(),
            places: RwLock::default(),
            frozen: Mutex::default(),
            newest_ms: AtomicI64::new(i64::MIN),
            clock_ms: AtomicI64::new(now_ms),
        }
    }

    /// Held while appending and while taking a snapshot.
    pub(crate) fn enter(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read()
    }

    /// Tells the head what time it is.
    pub(crate) fn set_clock(&self, now_ms: i64) {
        self.clock_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    /// Remembers the newest sample.
    pub(crate) fn saw(&self, time_ms: i64) {
        self.newest_ms.fetch_max(time_ms, Ordering::Relaxed);
    }

    /// Time of the newest sample, if there is any.
    pub(crate) fn newest_ms(&self) -> Option<i64> {
        Some(self.newest_ms.load(Ordering::Relaxed)).filter(|t| *t != i64::MIN)
    }

    /// Whether a sample's time allows to store it.
    pub(crate) fn admit(&self, time_ms: i64, limits: &crate::config::Limits) -> Admission {
        let clock = self.clock_ms.load(Ordering::Relaxed);
        let newest = self.newest_ms.load(Ordering::Relaxed);
        // One sample with a wrong clock must neither open windows far ahead nor make all others
        // look old: hence the bounds on both sides come from the owner's clock as well.
        if time_ms > clock.max(newest).saturating_add(AHEAD_MAX_MS) {
            return Admission::TooNew;
        }
        let reference = newest.min(clock);
        if time_ms < reference.saturating_sub(limits.out_of_order_ms)
            || time_ms < clock.saturating_sub(limits.retention_ms)
        {
            return Admission::TooOld;
        }
        Admission::Take
    }

    /// Opens a target by name; `claimed` tells a writer's call from the journal's.
    pub(crate) fn open_target(&self, name: &str, claimed: bool) -> Result<TargetId, StoreError> {
        let known = |targets: &Targets| {
            let id = *targets.by_name.get(name)?;
            let mut state = targets.by_id.get(&id)?.state.lock();
            if state.closed {
                return None;
            }
            state.claimed |= claimed;
            Some(id)
        };
        if let Some(id) = known(&self.targets.read()) {
            return Ok(id);
        }
        let mut targets = self.targets.write();
        if let Some(id) = known(&targets) {
            return Ok(id);
        }
        if targets.by_id.len() >= TARGETS_MAX {
            return Err(StoreError::Limit(format!(
                "the metric store has {TARGETS_MAX} targets open and takes no more"
            )));
        }
        let id = TargetId(targets.next_id);
        targets.next_id += 1;
        let name: Arc<str> = name.into();
        targets.by_name.insert(name.clone(), id);
        targets
            .by_id
            .insert(id, Arc::new(Target::new(id, name, claimed)));
        Ok(id)
    }

    /// Says that a target's writer is gone.
    pub(crate) fn close_target(&self, id: TargetId) {
        let mut targets = self.targets.write();
        if let Some(target) = targets.by_id.get(&id).cloned() {
            target.state.lock().claimed = false;
            target.state.lock().closed = true;
            if targets.by_name.get(&target.name) == Some(&id) {
                targets.by_name.remove(&target.name);
            }
        }
    }

    /// A target by its handle.
    pub(crate) fn target(&self, id: TargetId) -> Result<Arc<Target>, StoreError> {
        self.targets
            .read()
            .by_id
            .get(&id)
            .cloned()
            .ok_or_else(|| StoreError::Refused(format!("target {} is not open", id.0)))
    }

    /// All targets.
    pub(crate) fn targets(&self) -> Vec<Arc<Target>> {
        self.targets.read().by_id.values().cloned().collect()
    }

    /// Where series live.
    pub(crate) fn places(&self) -> &RwLock<Places> {
        &self.places
    }

    /// How many series are being written to.
    pub(crate) fn series_count(&self) -> usize {
        self.places.read().len()
    }

    /// The windows that are on their way to disk, oldest freeze first.
    pub(crate) fn frozen(&self) -> Vec<Arc<Frozen>> {
        self.frozen.lock().clone()
    }

    /// Where the open windows begin, ascending.
    pub(crate) fn open_windows(&self) -> Vec<i64> {
        let mut starts: Vec<i64> = self
            .targets()
            .iter()
            .flat_map(|t| t.state.lock().window_starts())
            .collect();
        starts.sort_unstable();
        starts.dedup();
        starts
    }

    /// Where the oldest window begins that is not sealed.
    pub(crate) fn oldest_window(&self) -> Option<i64> {
        let frozen = self.frozen();
        let frozen = frozen.iter().map(|f| f.start_ms);
        self.open_windows().into_iter().chain(frozen).min()
    }

    /// Moves a window out of all targets. `detach` takes the window's journals away from the
    /// writers and is called while nobody appends, so that the frozen data and those journals
    /// hold the same samples.
    pub(crate) fn freeze(&self, start_ms: i64, detach: impl FnOnce() -> SealedFiles) {
        let targets = self.targets();
        let _alone = self.gate.write();
        let journals = detach();
        let parts: FxHashMap<TargetId, WindowData> = targets
            .iter()
            .filter_map(|target| {
                let data = target.state.lock().take_window(start_ms)?;
                (!data.is_empty()).then_some((target.id, data))
            })
            .collect();
        if !parts.is_empty() || !journals.is_empty() {
            self.frozen.lock().push(Arc::new(Frozen {
                start_ms,
                parts,
                journals,
            }));
        }
    }

    /// Forgets a frozen window that is sealed now.
    pub(crate) fn release(&self, frozen: &Arc<Frozen>) {
        self.frozen.lock().retain(|f| !Arc::ptr_eq(f, frozen));
    }

    /// Lets go of series that have not been written for `idle_ms` before the oldest window that
    /// is not sealed, and of targets that are gone and empty.
    pub(crate) fn forget_idle(&self, idle_ms: i64) {
        let _entered = self.gate.read();
        let frozen = self.frozen();
        let oldest = self
            .open_windows()
            .into_iter()
            .chain(frozen.iter().map(|f| f.start_ms))
            .min()
            .or_else(|| self.newest_ms())
            .unwrap_or(i64::MIN);
        let horizon_ms = oldest.saturating_sub(idle_ms);
        for target in self.targets() {
            let mut state = target.state.lock();
            let in_use = !state.window_starts().is_empty()
                || frozen.iter().any(|f| f.parts.contains_key(&target.id));
            let gone = !state.claimed && !in_use;
            let horizon_ms = if gone { i64::MAX } else { horizon_ms };
            let idle = state.deactivate_before(horizon_ms);
            let mut places = self.places.write();
            for (slot, series) in idle {
                places.remove(
                    series,
                    Place {
                        target: target.id,
                        slot,
                    },
                );
            }
            drop(places);
            if gone {
                // A writer that comes back by name gets a new target.
                state.closed = true;
                drop(state);
                let mut targets = self.targets.write();
                if targets.by_name.get(&target.name) == Some(&target.id) {
                    targets.by_name.remove(&target.name);
                }
                targets.by_id.remove(&target.id);
            }
        }
        self.places.write().shrink();
    }

    /// Adds the series that have a place in the head to a set.
    pub(crate) fn add_series_to(&self, set: &mut roaring::RoaringBitmap) {
        set.extend(self.places.read().series());
    }

    /// Keeps everybody from appending and from opening slots until the guard is dropped.
    pub(crate) fn stop(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write()
    }

    /// Series that open targets may still write to: idle ones too, when they were written to
    /// after the horizon.
    pub(crate) fn slot_series(&self, horizon_ms: i64) -> Vec<SeriesId> {
        self.targets()
            .iter()
            .flat_map(|t| t.state.lock().slot_series(horizon_ms))
            .collect()
    }

    /// Forgets the slots that [`Head::slot_series`] leaves out, and returns the series of the
    /// others. To be called while everybody is stopped.
    pub(crate) fn forget_slots(&self, horizon_ms: i64) -> Vec<SeriesId> {
        for target in self.targets() {
            target.state.lock().forget_slots(horizon_ms);
        }
        self.slot_series(horizon_ms)
    }

    /// Estimated bytes of memory, and samples held.
    pub(crate) fn size(&self) -> (usize, u64) {
        let (mut bytes, mut samples) = (self.places.read().memory_bytes(), 0);
        for target in self.targets() {
            let state = target.state.lock();
            bytes += state.memory_bytes();
            samples += state.samples();
        }
        for frozen in self.frozen() {
            for data in frozen.parts.values() {
                bytes += data.memory_bytes();
                samples += data.samples();
            }
        }
        (bytes, samples)
    }
}
