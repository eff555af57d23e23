//! One budget for everything on disk (`storage.disk`), and how memory is divided
//! (`storage.memory`).
//!
//! Each store drops what is older than its own retention. Beyond that the budget is one: while
//! both stores and the queues for remotes together are larger than it, or the file system is
//! nearly full, the oldest goes of (1) the queues, while they take more than a tenth of the budget:
//! what waits there is stored here too; (2) the store that is further above its share (a log
//! partition, a day of metrics); (3) the other store; (4) the queues. Nothing is shed in silence:
//! each time is a line in the log and a counter. Where giving up everything would not
//! make enough room, because others have filled the disk, nothing is given up: it would be lost
//! for nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use log_query::LogReader;
use log_store::LogStore;
use metric_store::MetricStore;
use model::bytes;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use remote_write::Tee;
use tracing::{error, info, warn};

/// Of the disk budget: logs are larger and are shed first where both could be.
const LOGS_SHARE: f64 = 0.7;
/// Queues for remotes that take more than this part of the disk budget give way before the stores.
const QUEUES_PART: u64 = 10;
/// Free space that is left on a large file system, bytes: below it, data is shed even though the
/// budget is not used up, because a full disk would stop all stores.
const RESERVE_BYTES_MAX: u64 = 256 << 20;
/// On a small one: this part of its size (5 %).
const RESERVE_PART: u64 = 20;
/// With less free space than this a store that cannot be opened fails for want of space: the
/// databases of all three take some hundred KB before the first line.
const START_BYTES_MIN: u64 = 1 << 20;

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
    /// Divides the budget. Open log buffers stay below 48 MiB: more hardly makes smaller
    /// partitions, and sealing takes as much again.
    pub(crate) fn of(memory: u64) -> Self {
        Self {
            log_buffers: (memory / LOG_BUFFERS_PART).min(48 << 20),
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
    /// What waits to be sent to remotes.
    pub(crate) queues: u64,
    /// Of all, what can be given up: the journals cannot.
    pub(crate) sealed: u64,
    /// Free on the file system.
    pub(crate) free: u64,
    /// What should be free there.
    pub(crate) reserve: u64,
}

impl DiskUse {
    fn used(self) -> u64 {
        self.logs
            .saturating_add(self.metrics)
            .saturating_add(self.queues)
    }

    /// How much is too much; 0 when all is well.
    fn excess(self, bytes_max: u64) -> u64 {
        self.over_budget(bytes_max).max(self.missing())
    }

    /// How much has to be given up: for the budget in any case, for free space only where that
    /// makes enough of it.
    fn to_shed(self, bytes_max: u64) -> u64 {
        let over_budget = self.over_budget(bytes_max);
        if self.missing() <= self.sealed {
            over_budget.max(self.missing())
        } else {
            over_budget
        }
    }

    fn over_budget(self, bytes_max: u64) -> u64 {
        self.used().saturating_sub(bytes_max)
    }

    fn missing(self) -> u64 {
        self.reserve.saturating_sub(self.free)
    }
}

/// A file system, bytes.
#[derive(Debug, Clone, Copy)]
struct FileSystem {
    size: u64,
    free: u64,
}

impl FileSystem {
    /// The one that holds `path`; `None` where the kernel does not say.
    fn of(path: &Path) -> Option<Self> {
        let stat = rustix::fs::statvfs(path).ok()?;
        Some(Self {
            size: stat.f_blocks.saturating_mul(stat.f_frsize),
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }

    fn reserve(self) -> u64 {
        (self.size / RESERVE_PART).min(RESERVE_BYTES_MAX)
    }
}

/// Says in front of why a store cannot be opened that the disk is full, if it is: what the
/// database says ("disk I/O error") does not always tell.
pub(crate) fn explain_failed_start(
    data: &Path,
    error: impl std::error::Error + Send + Sync + 'static,
) -> anyhow::Error {
    match FileSystem::of(data) {
        Some(disk) if disk.free < START_BYTES_MIN => anyhow::anyhow!(
            "the disk of the data folder {} is full ({} free): free some space there and start \
             again; what is stored there is untouched ({error})",
            data.display(),
            bytes::format(disk.free)
        ),
        _ => error.into(),
    }
}

/// Which store gives up its oldest part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Logs,
    Metrics,
    Queues,
}

/// Keeps both stores, and what waits to be sent, within the budget.
pub(crate) struct DiskBudget {
    pub(crate) bytes_max: u64,
    data: PathBuf,
    logs: Arc<LogStore>,
    metrics: Arc<MetricStore>,
    queues: Arc<Tee>,
    /// Bytes of the journal of received lines.
    received: Gauge,
    used: Gauge,
    free: Gauge,
    shed: Counter,
    short: Counter,
    /// What could not be freed; shown on the Status page.
    trouble: Mutex<Option<String>>,
}

impl DiskBudget {
    pub(crate) fn new(
        bytes_max: u64,
        data: PathBuf,
        logs: Arc<LogStore>,
        metrics: Arc<MetricStore>,
        queues: Arc<Tee>,
        received: Gauge,
        registry: &mut Registry,
    ) -> Self {
        let (used, free) = (Gauge::default(), Gauge::default());
        let (shed, short) = (Counter::default(), Counter::default());
        let (limit, reserve) = (Gauge::<i64>::default(), Gauge::<i64>::default());
        limit.set(bytes_max as i64);
        reserve.set(FileSystem::of(&data).map_or(0, FileSystem::reserve) as i64);
        registry.register(
            "yagura_storage_disk_used_bytes",
            "Logs, metrics and what waits to be sent to remotes on disk",
            used.clone(),
        );
        registry.register("yagura_storage_disk_budget_bytes", "The disk budget", limit);
        registry.register(
            "yagura_storage_shed_bytes",
            "Bytes given up before their retention because of the disk budget",
            shed.clone(),
        );
        registry.register(
            "yagura_storage_free_bytes",
            "Free space on the data folder's file system",
            free.clone(),
        );
        registry.register(
            "yagura_storage_reserve_bytes",
            "Free space below which old data is given up",
            reserve,
        );
        registry.register(
            "yagura_storage_short",
            "Times that space was short and giving up old data could not help",
            short.clone(),
        );
        Self {
            bytes_max,
            data,
            logs,
            metrics,
            queues,
            received,
            used,
            free,
            shed,
            short,
            trouble: Mutex::new(None),
        }
    }

    /// What is on disk now.
    pub(crate) fn disk_use(&self) -> DiskUse {
        let disk = FileSystem::of(&self.data);
        let (logs, metrics) = (self.logs.stats().disk_bytes, self.metrics.stats());
        let queues = self.queues.queue_bytes();
        let received = u64::try_from(self.received.get()).unwrap_or(0);
        DiskUse {
            logs: logs + received,
            metrics: metrics.disk_bytes,
            queues,
            sealed: (logs + metrics.disk_bytes + queues).saturating_sub(metrics.journal_bytes),
            free: disk.map_or(u64::MAX, |disk| disk.free),
            reserve: disk.map_or(0, FileSystem::reserve),
        }
    }

    /// Why the budget cannot be kept, in a sentence.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// Sheds the oldest parts until both stores fit. Blocks.
    pub(crate) fn keep(&self) {
        let now = self.disk_use();
        self.used.set(now.used() as i64);
        self.free.set(i64::try_from(now.free).unwrap_or(i64::MAX));
        // Worked out once: the space of a file that a search still reads comes back later, and
        // waiting for it by shedding more would shed everything.
        let excess = now.excess(self.bytes_max);
        let to_shed = now.to_shed(self.bytes_max);
        let mut freed = 0;
        while freed < to_shed {
            let Some(more) = self.shed_one() else {
                break;
            };
            freed += more;
        }
        let trouble = (freed < excess).then(|| {
            self.short.inc();
            format!(
                "the disk is short ({} free, {} should be) and giving up old data cannot help: \
                 free some space on {} or raise storage.disk",
                bytes::format(now.free),
                bytes::format(now.reserve),
                self.data.display()
            )
        });
        let mut told = self.trouble.lock();
        match (&*told, &trouble) {
            (None, Some(trouble)) => warn!("{trouble}"),
            (Some(_), None) => info!(free = now.free, "there is space on the disk again"),
            _ => {}
        }
        *told = trouble;
    }

    /// Gives up one part; returns its bytes, `None` when nothing is left to give up.
    fn shed_one(&self) -> Option<u64> {
        let before = self.disk_use();
        let (store, freed) = order(before, self.bytes_max)
            .into_iter()
            .find_map(|store| Some((store, self.drop_oldest(store)?)))?;
        self.shed.inc_by(freed);
        warn!(
            ?store,
            freed,
            used = before.used(),
            budget = self.bytes_max,
            free = before.free,
            "gave up the oldest data to stay within the disk budget"
        );
        Some(freed)
    }

    fn drop_oldest(&self, victim: Victim) -> Option<u64> {
        let freed = match victim {
            Victim::Logs => self.logs.drop_oldest(),
            Victim::Metrics => self.metrics.drop_oldest(),
            Victim::Queues => self.queues.drop_oldest(),
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

/// Who gives way first, and who if that one has nothing.
fn order(now: DiskUse, bytes_max: u64) -> [Victim; 3] {
    let stores = now.logs.saturating_add(now.metrics);
    let [first, second] = if now.logs as f64 >= stores as f64 * LOGS_SHARE {
        [Victim::Logs, Victim::Metrics]
    } else {
        [Victim::Metrics, Victim::Logs]
    };
    if now.queues > bytes_max / QUEUES_PART {
        [Victim::Queues, first, second]
    } else {
        [first, second, Victim::Queues]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_above_its_share_gives_way() {
        let check = |logs, metrics, free, excess, first| {
            let now = DiskUse {
                logs,
                metrics,
                queues: 0,
                sealed: logs + metrics,
                free,
                reserve: 50,
            };
            assert_eq!(now.to_shed(100), excess, "{now:?}");
            assert_eq!(order(now, 100)[0], first, "{now:?}");
        };
        check(60, 40, 1000, 0, Victim::Metrics);
        check(80, 25, 1000, 5, Victim::Logs);
        check(60, 50, 1000, 10, Victim::Metrics);
        check(60, 20, 10, 40, Victim::Logs);
        check(80, 30, 45, 10, Victim::Logs);
        check(0, 20, 35, 15, Victim::Metrics);
    }

    #[test]
    fn queues_count_and_give_way_before_the_stores_when_they_are_large() {
        let check = |queues, expected| {
            let now = DiskUse {
                logs: 80,
                metrics: 10,
                queues,
                sealed: 90 + queues,
                free: 1000,
                reserve: 50,
            };
            assert_eq!(now.to_shed(90), queues);
            assert_eq!(order(now, 100), expected);
        };
        check(11, [Victim::Queues, Victim::Logs, Victim::Metrics]);
        check(10, [Victim::Logs, Victim::Metrics, Victim::Queues]);
    }

    #[test]
    fn nothing_is_given_up_for_nothing() {
        let now = DiskUse {
            logs: 20,
            metrics: 30,
            queues: 0,
            sealed: 25,
            free: 10,
            reserve: 50,
        };
        assert_eq!((now.excess(100), now.to_shed(100)), (40, 0));
        assert_eq!(now.to_shed(45), 5, "the budget is kept all the same");
        let enough = DiskUse { sealed: 40, ..now };
        assert_eq!(enough.to_shed(100), 40);
    }

    #[test]
    fn the_reserve_follows_the_size_of_the_file_system() {
        let reserve = |size: u64| FileSystem { size, free: 0 }.reserve();
        assert_eq!(reserve(40 << 20), 2 << 20);
        assert_eq!(reserve(1 << 40), 256 << 20);
    }

    #[test]
    fn memory_is_divided_within_itself() {
        for memory in [64 << 20, 512 << 20, 8 << 30] {
            let shares = MemoryShares::of(memory);
            assert!(shares.log_buffers + shares.metrics + shares.query < memory);
        }
    }
}
