//! Adds up deltas: Prometheus' counters only know totals.
//!
//! A total begins at 0 when Yagura starts, which readers see as a counter that began anew. A delta
//! that comes again (its sender had no answer) is known by its time and left out.

use model::Labels;
use rustc_hash::FxHashMap;

/// Series with deltas; further ones are refused.
const SERIES_MAX: usize = 100_000;
/// A series without deltas for so long is forgotten.
const IDLE_MS: i64 = 3_600_000;

#[derive(Debug)]
struct Total {
    value: f64,
    time_ms: i64,
    used_ms: i64,
}

/// The totals so far.
#[derive(Debug, Default)]
pub(in crate::samples) struct Deltas(FxHashMap<u64, Total>);

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
        if self.0.len() >= SERIES_MAX && !self.0.contains_key(&key) {
            self.0.retain(|_, total| now_ms - total.used_ms < IDLE_MS);
            if self.0.len() >= SERIES_MAX {
                return Err(format!(
                    "more than {SERIES_MAX} series come as deltas: let their senders choose \
                     cumulative temporality"
                ));
            }
        }
        let total = self.0.entry(key).or_insert(Total {
            value: 0.0,
            time_ms: i64::MIN,
            used_ms: now_ms,
        });
        if time_ms <= total.time_ms {
            return Ok(None);
        }
        total.value += value;
        (total.time_ms, total.used_ms) = (time_ms, now_ms);
        Ok(Some(total.value))
    }
}
