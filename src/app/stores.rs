//! The stores: opened before everything else, kept within their bounds, closed last.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use log_store::LogStore;
use metric_store::MetricStore;
use model::time;
use remote_write::Tee;
use state_store::StateStore;
use tracing::error;

use crate::budget::{DiskBudget, MemoryShares, explain_failed_start};
use crate::config::Config;
use crate::tasks::Tasks;
use crate::telemetry::OwnMetrics;

/// The metric journal is synced this often: a power loss takes at most this much.
const JOURNAL_SYNC: Duration = Duration::from_secs(1);
/// How often the log store looks whether something is to be sealed or dropped.
const LOG_MAINTENANCE: Duration = Duration::from_secs(1);
/// The metric store seals every two hours; looking costs a walk over its targets.
const METRIC_MAINTENANCE: Duration = Duration::from_secs(30);
/// How often the disk budget is looked at.
const BUDGET: Duration = Duration::from_secs(15);

/// All that is kept on disk.
pub(super) struct Stores {
    pub(super) state: Arc<StateStore>,
    pub(super) metrics: Arc<MetricStore>,
    /// The way into `metrics`, with the queues of those elsewhere who keep samples too.
    pub(super) tee: Arc<Tee>,
    pub(super) logs: Arc<LogStore>,
    pub(super) budget: Arc<DiskBudget>,
    /// Of the journal of what is sent, which the budget counts.
    pub(super) received: receive::Metrics,
}

impl Stores {
    /// Opens everything in the data folder and goes on where the last process stopped.
    pub(super) fn open(config: &Config, data: &Path, own: &OwnMetrics) -> anyhow::Result<Self> {
        let storage = &config.storage;
        let shares = MemoryShares::of(storage.memory);
        let state = StateStore::open(data.join("state.db"));
        let state = Arc::new(state.map_err(|error| explain_failed_start(data, error))?);
        let metrics = MetricStore::open(
            &data.join("metrics"),
            metric_store::Config {
                retention: storage.metrics,
                rollup_retention: storage.metrics_5m,
                hourly_retention: storage.metrics_1h,
                series_per_target_max: storage.series_per_target_max,
                disk_bytes_max: storage.disk,
                memory_bytes_max: shares.metrics,
                ..metric_store::Config::default()
            },
            own.register(metric_store::Metrics::new),
            time::now_ms(),
        );
        let metrics = Arc::new(metrics.map_err(|error| explain_failed_start(data, error))?);
        let logs = LogStore::open(
            &data.join("logs"),
            log_store::Config {
                retention: storage.logs,
                disk_bytes_max: storage.disk,
                open_bytes_max: shares.log_buffers,
                ..log_store::Config::default()
            },
            own.register(log_store::Metrics::new),
            time::now_ns(),
        );
        let logs = Arc::new(logs.map_err(|error| explain_failed_start(data, error))?);
        let received = own.register(receive::Metrics::new);
        let tee = Arc::new(Tee::new(
            metrics.clone(),
            &data.join("remote_write"),
            storage.remote_write_queue,
            own.register(remote_write::Metrics::new),
        ));
        let budget = Arc::new(own.register(|registry| {
            DiskBudget::new(
                storage.disk,
                data.to_owned(),
                logs.clone(),
                metrics.clone(),
                tee.clone(),
                received.journal_bytes.clone(),
                registry,
            )
        }));
        Ok(Self {
            state,
            metrics,
            tee,
            logs,
            budget,
            received,
        })
    }

    /// Starts what keeps them durable and within their bounds.
    pub(super) fn keep(&self, tasks: &Tasks) {
        tasks.spawn_every("metric journal", JOURNAL_SYNC, {
            let metrics = self.metrics.clone();
            move || metrics.sync()
        });
        tasks.spawn_every("metric store", METRIC_MAINTENANCE, {
            let metrics = self.metrics.clone();
            move || metrics.maintain(time::now_ms())
        });
        tasks.spawn_every("log store", LOG_MAINTENANCE, {
            let logs = self.logs.clone();
            move || logs.maintain(time::now_ns())
        });
        tasks.spawn_every("disk budget", BUDGET, {
            let budget = self.budget.clone();
            move || {
                budget.keep();
                Ok(())
            }
        });
    }

    /// Makes everything durable, when nobody writes any more. Blocks.
    pub(super) fn close(&self) -> Result<(), model::StoreError> {
        // A seal that fails costs only time: the files are read again.
        if let Err(error) = self.logs.seal() {
            error!(%error, "cannot seal the log buffers");
        }
        self.logs.close();
        self.metrics.close()
    }
}
