//! Adds up deltas: Prometheus' counters only know totals.
//!
//! A total begins at 0 when Yagura starts, which readers see as a counter that began anew. A delta
//! that comes again (its sender had no answer) is known by its time and left out. Totals count
//! only once the store has them: after a request that the store could not write, they are taken
//! back, so that the same deltas give the same totals when they are sent again.

use model::Labels;
use rustc_hash::FxHashMap;

/// Series with deltas; further ones are refused.
const SERIES_MAX: usize = 100_000;
/// A series without deltas for so long is forgotten.
const IDLE_MS: i64 = 3_600_000;

#[derive(Debug, Clone, Copy)]
struct Total {
    value: f64,
    time_ms: i64,
    used_ms: i64,
}

/// The totals so far.
#[derive(Debug, Default)]
pub(in crate::samples) struct Deltas {
    totals: FxHashMap<u64, Total>,
    /// What totals were before the request under way; none for a new one. As large as a request.
    before: Vec<(u64, Option<Total>)>,
}

impl Deltas {
    /// The total after a delta; `None` for one that is not newer than the last.
    pub(super) fn add(
        &mut self,
        labels: &Labels,
        time_ms: i64,
        value: f64,
        now_ms: i64,
    ) -> Result<Option<f64>, String> {
        let key = labels.fingerprint();
        let before = self.totals.get(&key).copied();
        if before.is_none() && self.totals.len() >= SERIES_MAX {
            self.totals
                .retain(|_, total| now_ms - total.used_ms < IDLE_MS);
            if self.totals.len() >= SERIES_MAX {
                return Err(format!(
                    "more than {SERIES_MAX} series come as deltas: let their senders choose \
                     cumulative temporality"
                ));
            }
        }
        if before.is_some_and(|total| time_ms <= total.time_ms) {
            return Ok(None);
        }
        let value = before.map_or(0.0, |total| total.value) + value;
        self.before.push((key, before));
        let total = Total {
            value,
            time_ms,
            used_ms: now_ms,
        };
        self.totals.insert(key, total);
        Ok(Some(value))
    }

    /// The store has what was added.
    pub(super) fn keep(&mut self) {
        self.before.clear();
    }

    /// The store does not have it, or not all of it.
    pub(super) fn take_back(&mut self) {
        while let Some((key, before)) = self.before.pop() {
            match before {
                Some(total) => self.totals.insert(key, total),
                None => self.totals.remove(&key),
            };
        }
    }
}
