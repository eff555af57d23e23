//! "Is the appliance itself well?": gathers the figures of the Status page from every part.

use std::path::PathBuf;
use std::sync::Arc;

use alert_notify::{Heartbeat, Notifier, WayHealth};
use log_query::LogReader;
use log_store::LogStore;
use log_tail::LogTail;
use metric_store::MetricStore;
use model::time;
use serve::{Failing, Growth, StatusReport, Totals};

use crate::budget::DiskBudget;
use crate::config::Storage;
use crate::live::Live;
use crate::tasks::Tasks;
use crate::telemetry::ProcessFigures;

/// Everything that the report is made of.
pub(crate) struct StatusSource {
    pub(crate) started_ms: i64,
    pub(crate) data: PathBuf,
    pub(crate) listen: String,
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) storage: Storage,
    pub(crate) live: Arc<Live>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) budget: Arc<DiskBudget>,
    pub(crate) logs: Arc<LogStore>,
    pub(crate) metrics: Arc<MetricStore>,
    pub(crate) tail: Arc<LogTail>,
    pub(crate) notified: alert_notify::Metrics,
    pub(crate) notifier: Arc<Notifier>,
    /// How each way of telling is doing.
    pub(crate) ways: Arc<dyn Fn() -> Vec<WayHealth> + Send + Sync>,
    pub(crate) heartbeat: Arc<Heartbeat>,
}

impl StatusSource {
    /// How the stores grow; `None` before there is an hour of sealed samples to judge by. Where
    /// there is not yet an hour of sealed lines, there are few.
    fn growth(&self) -> Option<Growth> {
        let (now_ms, now_ns) = (time::now_ms(), time::now_ns());
        let metrics = self.metrics.forecast(now_ms)?;
        let logs = self.logs.bytes_per_day(now_ns).unwrap_or(0);
        let days = self.storage.logs.as_secs_f64() / 86_400.0;
        Some(Growth {
            bytes_per_day: metrics.bytes_per_day.saturating_add(logs),
            bytes_at_retention: metrics
                .bytes_at_retention
                .saturating_add((logs as f64 * days) as u64),
        })
    }

    /// How things stand now.
    pub(crate) fn report(&self) -> StatusReport {
        let live = self.live.report();
        let process = ProcessFigures::read();
        let disk = self.budget.disk_use();
        let metrics = self.metrics.stats();
        let logs = self.logs.stats();
        let sources = self.tail.sources();
        let mut warnings = live.warnings;
        warnings.extend(self.budget.trouble());
        warnings.extend(
            self.logs
                .last_error()
                .map(|error| format!("the log store cannot write: {error}")),
        );
        warnings.extend(self.notifier.state_trouble().map(|(error, _)| {
            format!(
                "state.db cannot be written ({error}): alerts and who was told of them are kept in \
                 memory until it can, silences cannot be made"
            )
        }));
        StatusReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_ms: self.started_ms,
            data_dir: self.data.display().to_string(),
            listen: self.listen.clone(),
            config_file: self
                .config_file
                .as_ref()
                .map(|path| path.display().to_string())
                .unwrap_or_default(),
            config_yaml: live.yaml,
            reload_error: live.error,
            config_loaded_ms: live.loaded_ms,
            warnings,
            failing: self.failing(),
            memory_bytes: process.resident_bytes,
            memory_budget_bytes: self.storage.memory,
            cpu_seconds: process.cpu_seconds,
            disk_logs_bytes: disk.logs,
            disk_metrics_bytes: disk.metrics,
            disk_queues_bytes: disk.queues,
            growth: self.growth(),
            disk_budget_bytes: self.budget.bytes_max,
            disk_free_bytes: disk.free,
            retention_logs_ms: self.storage.logs.as_millis() as i64,
            retention_metrics_ms: self.storage.metrics.as_millis() as i64,
            tasks: self.tasks.report(),
            totals: Totals {
                log_lines: logs.lines,
                log_bytes: logs.text_bytes,
                log_lines_dropped: sources.iter().map(|source| source.lines_dropped).sum(),
                samples: metrics.samples_total,
                head_series: metrics.head_series as u64,
                notifications: self.notified.notifications.get(),
                notifications_failed: self.notified.notifications_failed.get(),
            },
        }
    }

    /// Who is not reached.
    fn failing(&self) -> Vec<Failing> {
        let ways = (self.ways)().into_iter();
        let ways = ways.filter(|way| way.failing_since_ms > 0);
        let mut failing: Vec<Failing> = ways
            .map(|way| Failing {
                what: format!("the receiver {} ({})", way.receiver, way.way),
                since_ms: way.failing_since_ms,
                error: way.last_error,
            })
            .collect();
        failing.extend(self.heartbeat.failing().map(|(error, since_ms)| Failing {
            what: "the heartbeat".to_owned(),
            since_ms,
            error,
        }));
        failing
    }
}
