//! What the browser's side may ask of the rest of the house: traits and snapshots, handed over by
//! the binary. Closures return values that were copied under a short lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use alert_rules::rehearse::Rehearsal;
use alert_rules::{GroupSnapshot, Source};
use log_query::LogReader;
use model::{
    DiscoveryState, DroppedTarget, Labels, LogCollector, LogSource, RelabelStep, ScrapeTarget,
    SeriesAdmin, SeriesReader,
};
use tokio::sync::Semaphore;

use crate::Metrics;

/// A closure that answers a question about the present.
pub type View<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// Takes lines of JSON as VictoriaMetrics exports them, and tells how many samples they had and
/// what is wrong with some of them; an error is a sentence, and whether trying again may help.
pub type ImportLines =
    Arc<dyn Fn(&[u8]) -> Result<(u64, Vec<String>), (String, bool)> + Send + Sync>;

/// Tells what `relabel_configs` of a job (its name) do to the labels that a target was found with,
/// rule by rule; nothing for a job that is not there.
pub type RelabelSteps = Arc<dyn Fn(&str, &Labels) -> Vec<RelabelStep> + Send + Sync>;

/// See [`Services::rule_missing`].
pub type RuleMissing = Arc<dyn Fn(Source, &str, i64, i64) -> Vec<String> + Send + Sync>;

/// The doors into the rest of the house.
pub struct Services {
    /// Metrics.
    pub series: Arc<dyn SeriesReader>,
    /// Who has so many series, and how to be rid of some.
    pub series_admin: Arc<dyn SeriesAdmin>,
    /// Whether series may be deleted over HTTP.
    pub admin_api: bool,
    /// Makes a copy of everything that is stored, in the data folder; answers its name. An error
    /// is a sentence.
    pub snapshot: Arc<dyn Fn() -> Result<String, String> + Send + Sync>,
    /// One permit: copies and cleanings, which may take minutes, go one at a time.
    pub copying: Arc<Semaphore>,
    /// Logs.
    pub logs: Arc<dyn LogReader>,
    /// PromQL.
    pub engine: Arc<promql::Engine>,
    /// Settings and saved views.
    pub state: Arc<state_store::StateStore>,
    /// All rule groups with their alerts.
    pub rule_groups: View<Vec<GroupSnapshot>>,
    /// Who is told of alerts: alerts, silences, receivers.
    pub notifier: Arc<alert_notify::Notifier>,
    /// How each way of telling is doing, Alertmanagers elsewhere included.
    pub notify_health: View<Vec<alert_notify::WayHealth>>,
    /// Evaluates a rule file over the kept history; blocks.
    pub rehearse: Arc<dyn Fn(&Rehearse) -> Rehearsal + Send + Sync>,
    /// Why a rule can never fire, each a sentence: source, expression, and the time whose series
    /// count, milliseconds since 1970-01-01 UTC; blocks.
    pub rule_missing: RuleMissing,
    /// Scrape targets, the built-in collectors included.
    pub scrape_targets: View<Vec<ScrapeTarget>>,
    /// Targets that relabelling drops, by job; of each job so many as are kept.
    pub dropped_targets: View<Vec<DroppedTarget>>,
    /// How many targets relabelling drops, by job; jobs that drop none are there with 0.
    pub dropped_counts: View<BTreeMap<String, usize>>,
    /// Where targets are looked for, and why a look failed.
    pub discoveries: View<Vec<DiscoveryState>>,
    /// What relabelling does to a target.
    pub relabel_steps: RelabelSteps,
    /// Log files and what is being done with them.
    pub log_sources: View<Vec<LogSource>>,
    /// Takes what others send; `None` where nobody may send over HTTP.
    pub receiver: Option<Arc<receive::Receiver>>,
    /// Takes samples that others send; `None` where nobody may send over HTTP.
    pub samples: Option<Arc<receive::SampleReceiver>>,
    /// Takes pushes of jobs that end; `None` where nobody may send over HTTP.
    pub gateway: Option<Arc<metric_push::Gateway>>,
    /// Takes the history of other stores (lines of JSON); `None` where nobody may send over HTTP.
    pub import: Option<ImportLines>,
    /// The collector of log files as a whole.
    pub log_collector: View<LogCollector>,
    /// The appliance itself.
    pub status: View<StatusReport>,
    /// Yagura's own metrics in the OpenMetrics text format.
    pub metrics_text: View<String>,
    /// Loads the configuration anew; an error is a sentence with file and line.
    pub reload: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// Whether everything has started and nothing is being stopped (`/-/ready`).
    pub ready: View<bool>,
    /// Host names, beside `localhost` and IP addresses, under which browsers may ask.
    pub allowed_hosts: Vec<String>,
    /// Given up after this time, as Prometheus' `query.timeout`.
    pub query_timeout: std::time::Duration,
    /// A permit for each query that may run at the same time, as Prometheus'
    /// `query.max-concurrency`; the others wait.
    pub query_slots: Arc<Semaphore>,
    /// What this room counts about itself.
    pub metrics: Metrics,
}

/// What is rehearsed.
pub struct Rehearse {
    /// What messages call the file.
    pub file: String,
    /// A rule file.
    pub text: String,
    /// Beginning, milliseconds since 1970-01-01 UTC.
    pub start_ms: i64,
    /// End, milliseconds since 1970-01-01 UTC.
    pub end_ms: i64,
    /// Says yes once nobody waits for it any more.
    pub stop: Box<dyn Fn() -> bool + Send + Sync>,
}

/// How the stores grow on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// Bytes that come in a day, logs and metrics.
    pub bytes_per_day: u64,
    /// What both will take when everything has reached the time that it is kept.
    pub bytes_at_retention: u64,
}

/// A background task as the Status page shows it.
#[derive(Debug, Clone, Default)]
pub struct TaskReport {
    /// Its name.
    pub name: String,
    /// `running`, `restarting`, `stopped`.
    pub state: String,
    /// How often it was started again after a failure or a panic.
    pub restarts: u64,
    /// Panics among those.
    pub panics: u64,
    /// What it last failed with; else empty.
    pub last_error: String,
}

/// Figures since the process started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Log lines stored.
    pub log_lines: u64,
    /// Bytes of log text stored.
    pub log_bytes: u64,
    /// Log lines dropped, for whatever reason.
    pub log_lines_dropped: u64,
    /// Samples stored.
    pub samples: u64,
    /// Series in the head.
    pub head_series: u64,
    /// Notifications sent and failed.
    pub notifications: u64,
    /// Notifications that failed for good.
    pub notifications_failed: u64,
}

/// Somebody who is not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// Who: `the receiver team (slack[0])`, `the heartbeat`.
    pub what: String,
    /// Since when, milliseconds since 1970-01-01 UTC.
    pub since_ms: i64,
    /// The last error, in a sentence.
    pub error: String,
}

/// "Is the appliance itself well?" in figures.
#[derive(Debug, Clone, Default)]
pub struct StatusReport {
    /// Yagura's version.
    pub version: String,
    /// When the process started, milliseconds since 1970-01-01 UTC.
    pub started_ms: i64,
    /// Where the data lies.
    pub data_dir: String,
    /// Address that it listens on.
    pub listen: String,
    /// Configuration file, or empty.
    pub config_file: String,
    /// The configuration in force, as YAML, without secrets.
    pub config_yaml: String,
    /// Why the last reload failed, in a sentence; empty when it did not.
    pub reload_error: String,
    /// When the configuration in force was loaded, milliseconds since 1970-01-01 UTC.
    pub config_loaded_ms: i64,
    /// Other things that someone should know about, each a sentence.
    pub warnings: Vec<String>,
    /// Receivers and heartbeat, where messages do not arrive.
    pub failing: Vec<Failing>,
    /// Resident memory of the process, bytes.
    pub memory_bytes: u64,
    /// The memory budget, bytes.
    pub memory_budget_bytes: u64,
    /// CPU time used since the start, seconds.
    pub cpu_seconds: f64,
    /// Bytes on disk: logs.
    pub disk_logs_bytes: u64,
    /// Bytes on disk: metrics.
    pub disk_metrics_bytes: u64,
    /// The disk budget, bytes.
    pub disk_budget_bytes: u64,
    /// Free on the file system, bytes.
    pub disk_free_bytes: u64,
    /// Bytes on disk: what waits to be sent to remotes.
    pub disk_queues_bytes: u64,
    /// How the two stores grow; `None` while it is too early to tell.
    pub growth: Option<Growth>,
    /// Logs are kept for so long, milliseconds.
    pub retention_logs_ms: i64,
    /// Metrics are kept for so long, milliseconds.
    pub retention_metrics_ms: i64,
    /// Background tasks.
    pub tasks: Vec<TaskReport>,
    /// Figures since the start.
    pub totals: Totals,
}
