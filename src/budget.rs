//! One budget for everything on disk (`storage.disk`), and how memory is divided
//! (`storage.memory`).
//!
//! Each store drops what is older than its own retention. Beyond that the budget is one: while
//! both together are larger than it, or the file system is nearly full, the store that is further
//! above its share gives up its oldest part (a log partition, a day of metrics). Nothing is shed
//! in silence: each time is a line in the log and a counter.

use std::path::PathBuf;
use std::sync::Arc;

use log_query::LogReader;
use log_store::LogStore;
use metric_store::MetricStore;
use model::bytes;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tracing::{error, warn};

/// Of the disk budget: logs are larger and are shed first where both could be.
const LOGS_SHARE: f64 = 0.7;
/// Free space that is left to others on the file system, bytes: below it, data is shed even
/// though the budget is not used up, because a full disk would stop all stores.
const FREE_BYTES_MIN: u64 = 256 << 20;

/// Memory for open log buffers, as a part of `storage.memory`.
const LOG_BUFFERS_PART: u64 = 8;
/// Memory for the metric head and page caches.
const METRICS_PART: u64 = 3;
/// Memory for the columns of one query.
const QUERY_PART: u64 = 4;

/// `storage.memory`, divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryShares {
    /// Open log buffers, bytes.
    pub(crate) log_buffers: u64,
    /// The metric store, bytes.
    pub(crate) metrics: u64,
    /// One PromQL query, bytes.
    pub(crate) query: u64,
}

impl MemoryShares {
    /// Divides the budget. Open log buffers stay below 64 MiB: more makes no smaller partitions.
    pub(crate) fn of(memory: u64) -> Self {
        Self {
            log_buffers: (memory / LOG_BUFFERS_PART).min(64 << 20),
            metrics: memory / METRICS_PART,
            query: memory / QUERY_PART,
        }
    }
}

/// What is on disk at this moment, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DiskUse {
    pub(crate) logs: u64,
    pub(crate) metrics: u64,
    pub(crate) free: u64,
}

/// Which store gives up its oldest part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Logs,
    Metrics,
}

/// Keeps both stores within the budget.
pub(crate) struct DiskBudget {
    pub(crate) bytes_max: u64,
    data: PathBuf,
    logs: Arc<LogStore>,
    metrics: Arc<MetricStore>,
    used: Gauge,
    shed: Counter,
    /// What could not be freed; shown on the Status page.
    trouble: Mutex<Option<String>>,
}

impl DiskBudget {
    pub(crate) fn new(
        bytes_max: u64,
        data: PathBuf,
        logs: Arc<LogStore>,
        metrics: Arc<MetricStore>,
        registry: &mut Registry,
    ) -> Self {
        let (used, shed) = (Gauge::default(), Counter::default());
        let limit: Gauge = Gauge::default();
        limit.set(bytes_max as i64);
        registry.register(
            "yagura_storage_disk_used_bytes",
            "Logs and metrics on disk",
            used.clone(),
        );
        registry.register("yagura_storage_disk_budget_bytes", "The disk budget", limit);
        registry.register(
            "yagura_storage_shed_bytes",
            "Bytes given up before their retention because of the disk budget",
            shed.clone(),
        );
        Self {
            bytes_max,
            data,
            logs,
            metrics,
            used,
            shed,
            trouble: Mutex::new(None),
        }
    }

    /// What is on disk now.
    pub(crate) fn disk_use(&self) -> DiskUse {
        let free = rustix::fs::statvfs(&self.data)
            .map_or(u64::MAX, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        DiskUse {
            logs: self.logs.stats().disk_bytes,
            metrics: self.metrics.stats().disk_bytes,
            free,
        }
    }

    /// Why the budget cannot be kept, in a sentence.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// Sheds the oldest parts until both stores fit. Blocks.
    pub(crate) fn keep(&self) {
        let mut trouble = None;
        loop {
            let now = self.disk_use();
            self.used.set((now.logs + now.metrics) as i64);
            let Some(first) = victim(now, self.bytes_max) else {
                break;
            };
            let second = match first {
                Victim::Logs => Victim::Metrics,
                Victim::Metrics => Victim::Logs,
            };
            if let Some(freed) = self.drop_oldest(first).or_else(|| self.drop_oldest(second)) {
                self.shed.inc_by(freed);
                warn!(
                    store = ?first,
                    freed,
                    used = now.logs + now.metrics,
                    budget = self.bytes_max,
                    free = now.free,
                    "gave up the oldest data to stay within the disk budget"
                );
            } else {
                trouble = Some(format!(
                    "the disk is short ({} free) and nothing old is left to give up: \
                     free some space on {} or raise storage.disk",
                    bytes::format(now.free),
                    self.data.display()
                ));
                break;
            }
        }
        *self.trouble.lock() = trouble;
    }

    fn drop_oldest(&self, victim: Victim) -> Option<u64> {
        let freed = match victim {
            Victim::Logs => self.logs.drop_oldest(),
            Victim::Metrics => self.metrics.drop_oldest(),
        };
        match freed {
            Ok(0) => None,
            Ok(freed) => Some(freed),
            Err(error) => {
                error!(store = ?victim, %error, "cannot give up old data");
                None
            }
        }
    }
}

/// Who gives way, if someone must.
fn victim(now: DiskUse, bytes_max: u64) -> Option<Victim> {
    let used = now.logs + now.metrics;
    if used <= bytes_max && now.free >= FREE_BYTES_MIN {
        return None;
    }
    let logs_over = now.logs as f64 >= used as f64 * LOGS_SHARE;
    Some(if logs_over {
        Victim::Logs
    } else {
        Victim::Metrics
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_above_its_share_gives_way() {
        let check = |logs, metrics, free: u64, expected| {
            let now = DiskUse {
                logs,
                metrics,
                free: free << 20,
            };
            assert_eq!(victim(now, 100), expected, "{now:?}");
        };
        check(60, 40, 1000, None);
        check(80, 25, 1000, Some(Victim::Logs));
        check(60, 50, 1000, Some(Victim::Metrics));
        check(60, 20, 100, Some(Victim::Logs));
        check(0, 20, 100, Some(Victim::Metrics));
    }

    #[test]
    fn memory_is_divided_within_itself() {
        for memory in [64 << 20, 512 << 20, 8 << 30] {
            let shares = MemoryShares::of(memory);
            assert!(shares.log_buffers + shares.metrics + shares.query < memory);
        }
    }
}
