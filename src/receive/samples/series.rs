//! The places of the series that were sent lately: from a hash of the labels to a slot of the
//! store.

use model::{Labels, SampleSink, SlotId, StoreError, TargetId};
use rustc_hash::FxHashMap;

/// A series that was not sent for so long is forgotten here, and its target is closed when all of
/// its series are. The store keeps their samples.
const IDLE_MS: i64 = 2 * 3_600_000;
/// How often idle series are looked for.
const SWEEP_MS: i64 = 10 * 60_000;
/// Series that are remembered; with more, all are looked up in the store again, which is slow but
/// takes no memory. As many as the store may have written to at a time, four times.
const SERIES_MAX: usize = 1_000_000;
/// Targets beyond this share one.
const TARGETS_MAX: usize = 20_000;
/// The target of what is beyond, and of what has neither job nor instance.
const COMMON_TARGET: &str = "received";

/// A series' place in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) target: TargetId,
    pub(crate) slot: SlotId,
}

#[derive(Debug)]
struct Known {
    place: Place,
    used_ms: i64,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct SeriesTable {
    known: FxHashMap<u128, Known>,
    targets: FxHashMap<String, TargetId>,
    swept_ms: i64,
}

impl SeriesTable {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    #[inline]
    pub(super) fn find(&mut self, key: u128, now_ms: i64) -> Option<Place> {
        let known = self.known.get_mut(&key)?;
        known.used_ms = now_ms;
        Some(known.place)
    }

    pub(super) fn open(
        &mut self,
        sink: &dyn SampleSink,
        key: u128,
        labels: &Labels,
        now_ms: i64,
    ) -> Result<Place, StoreError> {
        let name = match (labels.get("job"), labels.get("instance")) {
            (None, None) => COMMON_TARGET.to_owned(),
            (job, instance) => format!(
                "{COMMON_TARGET}/{}/{}",
                job.unwrap_or_default(),
                instance.unwrap_or_default()
            ),
        };
        let name = if self.targets.len() >= TARGETS_MAX && !self.targets.contains_key(&name) {
            COMMON_TARGET.to_owned()
        } else {
            name
        };
        let target = match self.targets.get(&name) {
            Some(target) => *target,
            None => sink.open_target(&name)?,
        };
        let slot = sink.open_slot(target, labels)?;
        self.targets.insert(name, target);
        if self.known.len() >= SERIES_MAX {
            self.known.clear();
        }
        let place = Place { target, slot };
        let used_ms = now_ms;
        self.known.insert(key, Known { place, used_ms });
        Ok(place)
    }

    /// Forgets all places: the store is asked again.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.targets.clear();
    }

    /// Lets go of what was not sent for long.
    pub(super) fn sweep(&mut self, sink: &dyn SampleSink, now_ms: i64) {
        if now_ms.saturating_sub(self.swept_ms) < SWEEP_MS {
            return;
        }
        self.swept_ms = now_ms;
        self.known
            .retain(|_, known| now_ms.saturating_sub(known.used_ms) < IDLE_MS);
        let used: std::collections::BTreeSet<TargetId> =
            self.known.values().map(|k| k.place.target).collect();
        self.targets.retain(|_, target| {
            let keep = used.contains(target);
            if !keep {
                sink.close_target(*target);
            }
            keep
        });
        self.known.shrink_to(self.known.len() * 2);
    }
}
