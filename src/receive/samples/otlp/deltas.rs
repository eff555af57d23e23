//! Adds up deltas: Prometheus' counters and histograms only know totals.
//!
//! A total begins at 0 when Yagura starts, which readers see as a counter that began anew. A delta
//! that comes again (its sender had no answer) is known by its time and left out. Totals count
//! only once the store has them: after a request that the store could not write, they are taken
//! back, so that the same deltas give the same totals when they are sent again.

use std::sync::Arc;

use model::{Histogram, Labels};
use rustc_hash::FxHashMap;

/// Series with deltas; further ones are refused.
const SERIES_MAX: usize = 100_000;
/// Series of exponential histograms among them: one takes up to 5 KB.
const HISTOGRAMS_MAX: usize = 10_000;
/// A series without deltas for so long is forgotten.
const IDLE_MS: i64 = 3_600_000;

#[derive(Debug, Clone)]
enum Sum {
    Float(f64),
    Histogram(Arc<Histogram>),
}

#[derive(Debug, Clone)]
struct Total {
    sum: Sum,
    time_ms: i64,
    used_ms: i64,
}

/// The totals so far.
#[derive(Debug, Default)]
pub(in crate::samples) struct Deltas {
    totals: FxHashMap<u64, Total>,
    histograms: usize,
    /// What totals were before the request under way; none for a new one. As large as a request.
    before: Vec<(u64, Option<Total>)>,
}

impl Deltas {
    /// The total after a delta; `None` for one that is not newer than the last.
    ///
    /// # Errors
    /// Where there is no room for another series.
    pub(super) fn add(
        &mut self,
        labels: &Labels,
        time_ms: i64,
        value: f64,
        now_ms: i64,
    ) -> Result<Option<f64>, String> {
        let key = labels.fingerprint();
        let Some(before) = self.before(key, time_ms, now_ms)? else {
            return Ok(None);
        };
        let value = match before {
            Some(Sum::Float(before)) => before + value,
            _ => value,
        };
        self.take(key, Sum::Float(value), time_ms, now_ms);
        Ok(Some(value))
    }

    /// The same for a histogram; `add` makes one of two.
    ///
    /// # Errors
    /// Where there is no room for another one.
    pub(super) fn add_histogram(
        &mut self,
        labels: &Labels,
        time_ms: i64,
        delta: Histogram,
        now_ms: i64,
        add: impl FnOnce(&Histogram, &Histogram) -> Histogram,
    ) -> Result<Option<Arc<Histogram>>, String> {
        let key = labels.fingerprint();
        let Some(before) = self.before(key, time_ms, now_ms)? else {
            return Ok(None);
        };
        let total = match &before {
            Some(Sum::Histogram(before)) => add(before, &delta),
            _ if self.histograms >= HISTOGRAMS_MAX => {
                return Err(format!(
                    "more than {HISTOGRAMS_MAX} exponential histograms come as deltas: let their \
                     senders choose cumulative temporality"
                ));
            }
            _ => delta,
        };
        let total = Arc::new(total);
        self.take(key, Sum::Histogram(total.clone()), time_ms, now_ms);
        Ok(Some(total))
    }

    /// The sum before a delta of that time, if there is one; nothing for a delta that is not news.
    #[expect(
        clippy::option_option,
        reason = "no news and no sum before are different answers"
    )]
    fn before(
        &mut self,
        key: u64,
        time_ms: i64,
        now_ms: i64,
    ) -> Result<Option<Option<Sum>>, String> {
        if let Some(total) = self.totals.get(&key) {
            return Ok((time_ms > total.time_ms).then(|| Some(total.sum.clone())));
        }
        if self.totals.len() >= SERIES_MAX {
            let idle = self.totals.iter();
            let idle = idle.filter(|(_, total)| now_ms - total.used_ms >= IDLE_MS);
            for key in idle.map(|(key, _)| *key).collect::<Vec<_>>() {
                self.put(key, None);
            }
            if self.totals.len() >= SERIES_MAX {
                return Err(format!(
                    "more than {SERIES_MAX} series come as deltas: let their senders choose \
                     cumulative temporality"
                ));
            }
        }
        Ok(Some(None))
    }

    /// Notes a new total, and what was before.
    fn take(&mut self, key: u64, sum: Sum, time_ms: i64, now_ms: i64) {
        let total = Total {
            sum,
            time_ms,
            used_ms: now_ms,
        };
        let before = self.put(key, Some(total));
        self.before.push((key, before));
    }

    /// Sets or forgets a total; tells the one of before.
    fn put(&mut self, key: u64, total: Option<Total>) -> Option<Total> {
        let count = |total: &Option<Total>| {
            let sum = total.as_ref().map(|total| &total.sum);
            usize::from(matches!(sum, Some(Sum::Histogram(_))))
        };
        self.histograms += count(&total);
        let before = match total {
            Some(total) => self.totals.insert(key, total),
            None => self.totals.remove(&key),
        };
        self.histograms -= count(&before);
        before
    }

    /// The store has what was added.
    pub(super) fn keep(&mut self) {
        self.before.clear();
    }

    /// The store does not have it, or not all of it.
    pub(super) fn take_back(&mut self) {
        while let Some((key, before)) = self.before.pop() {
            self.put(key, before);
        }
    }
}
