//! The configuration: one optional YAML file, the environment and flags, composed into what each
//! room wants to know. A flag wins over the environment, the environment over the file.
//!
//! Every key of the file is documented in `docs/configuration.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Deserializer};
use yaml::{FileOrInline, Spanned};

use crate::cli::ServeArgs;
use crate::inputs::{Receive, Syslog};

mod prometheus;

pub(crate) use prometheus::Prometheus;

const LISTEN_DEFAULT: &str = "127.0.0.1:9849";
const DATA_DEFAULT: &str = "yagura-data";
/// Below this, the stores' own buffers have no room to work.
const MEMORY_MIN: u64 = 64 << 20;
/// Below this, one sealed partition and one day of metrics do not fit.
const DISK_MIN: u64 = 256 << 20;

/// Everything that is configured, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// The file it was read from.
    pub(crate) file: Option<PathBuf>,
    pub(crate) listen: String,
    pub(crate) data: PathBuf,
    pub(crate) storage: Storage,
    pub(crate) logs: Logs,
    pub(crate) receive: Receive,
    pub(crate) syslog: Syslog,
    pub(crate) prometheus: Prometheus,
    /// Where relative paths of the Prometheus section start.
    pub(crate) prometheus_dir: PathBuf,
    pub(crate) alertmanager: Option<alert_notify::Config>,
    pub(crate) heartbeat: Option<alert_notify::HeartbeatConfig>,
    pub(crate) alerts: Alerts,
    pub(crate) dashboards: Vec<PathBuf>,
    pub(crate) allowed_hosts: Vec<String>,
    /// The address under which people reach us.
    pub(crate) external_url: Option<String>,
    /// Whether series may be deleted over HTTP.
    pub(crate) admin_api: bool,
}

/// The one budget that both stores, all queues and all caches divide, and how long data is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Storage {
    /// Bytes on disk, logs and metrics together.
    #[serde(deserialize_with = "size")]
    pub(crate) disk: u64,
    /// Bytes of memory for the whole process.
    #[serde(deserialize_with = "size")]
    pub(crate) memory: u64,
    /// Bytes on disk for what waits to be sent to a remote, for each of `remote_write`.
    #[serde(deserialize_with = "size")]
    pub(crate) remote_write_queue: u64,
    /// Log lines older than this are dropped.
    #[serde(deserialize_with = "duration")]
    pub(crate) logs: Duration,
    /// Of samples older than this one of every five minutes is kept.
    #[serde(deserialize_with = "duration")]
    pub(crate) metrics: Duration,
    /// Of those older than this one of every hour is kept; there are none where it is not longer
    /// than `metrics`.
    #[serde(deserialize_with = "duration")]
    pub(crate) metrics_5m: Duration,
    /// Those are dropped when they are older than this; there are none where it is not longer
    /// than the two above.
    #[serde(deserialize_with = "duration")]
    pub(crate) metrics_1h: Duration,
    /// How many series one target may have at the same time; newcomers are left out.
    pub(crate) series_per_target_max: usize,
}

impl Default for Storage {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            disk: 20 << 30,
            memory: 512 << 20,
            remote_write_queue: 1 << 30,
            logs: DAY * 14,
            metrics: DAY * 15,
            metrics_5m: DAY * 365,
            metrics_1h: DAY * 5 * 365,
            series_per_target_max: metric_store::Config::default().series_per_target_max,
        }
    }
}

/// Which log files are followed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Logs {
    /// Globs. None: found by itself.
    pub(crate) files: Vec<String>,
    /// Globs of files that are left alone.
    pub(crate) exclude: Vec<String>,
    /// What happens to lines before they are stored; can change while the process runs.
    pub(crate) rules: Vec<Spanned<log_rules::RuleConfig>>,
    /// At most so many log files are open at a time.
    pub(crate) open_files: usize,
    /// How some files are read: their format, where from, which lines belong together.
    pub(crate) read: Vec<log_tail::ReadRule>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            exclude: Vec::new(),
            rules: Vec::new(),
            open_files: log_tail::Config::default().open_files_max,
            read: Vec::new(),
        }
    }
}

/// What is said of the built-in rules.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Alerts {
    builtin: BTreeMap<String, BuiltinRule>,
}

/// `off`, `on`, or what is different.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum BuiltinRule {
    Is(Switch),
    Bool(bool),
    Differs(Differs),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Differs {
    #[serde(rename = "for", default)]
    hold: Option<String>,
    #[serde(default)]
    severity: Option<String>,
}

impl Alerts {
    /// Refuses times that are none.
    fn check(&self) -> anyhow::Result<()> {
        for (name, rule) in &self.builtin {
            if let BuiltinRule::Differs(Differs {
                hold: Some(hold), ..
            }) = rule
            {
                model::duration::parse(hold)
                    .with_context(|| format!("alerts.builtin.{name}.for"))?;
            }
        }
        Ok(())
    }

    /// The changes to built-in rules.
    pub(crate) fn changes(&self) -> alert_rules::BuiltinChanges {
        let change = |rule: &BuiltinRule| match rule {
            BuiltinRule::Is(switch) => alert_rules::BuiltinChange {
                on: Some(matches!(switch, Switch::On)),
                ..alert_rules::BuiltinChange::default()
            },
            BuiltinRule::Bool(on) => alert_rules::BuiltinChange {
                on: Some(*on),
                ..alert_rules::BuiltinChange::default()
            },
            BuiltinRule::Differs(differs) => alert_rules::BuiltinChange {
                on: Some(true),
                hold: differs
                    .hold
                    .as_deref()
                    .and_then(|hold| model::duration::parse(hold).ok()),
                severity: differs.severity.clone(),
            },
        };
        self.builtin
            .iter()
            .map(|(name, rule)| (name.clone(), change(rule)))
            .collect()
    }
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    listen: Option<String>,
    data: Option<PathBuf>,
    storage: Storage,
    logs: Logs,
    receive: Receive,
    syslog: Syslog,
    prometheus: Option<FileOrInline<Prometheus>>,
    alertmanager: Option<FileOrInline<alert_notify::Draft>>,
    notify: Option<alert_notify::Notify>,
    heartbeat: Option<alert_notify::HeartbeatConfig>,
    alerts: Alerts,
    dashboards: Vec<PathBuf>,
    allowed_hosts: Vec<String>,
    external_url: Option<String>,
    admin_api: bool,
}

impl Config {
    /// Reads the file (where one is named), puts flags and environment over it, and checks.
    ///
    /// # Errors
    /// One sentence with file, line, key and what to write instead.
    pub(crate) fn load(args: &ServeArgs) -> anyhow::Result<Self> {
        let (file, dir) = match &args.config {
            Some(path) => (read::<File>(path)?, folder_of(path)),
            None => (File::default(), PathBuf::from(".")),
        };
        let name = args
            .config
            .as_deref()
            .map_or_else(|| "configuration".to_owned(), |p| p.display().to_string());
        check_storage(&file.storage).with_context(|| name.clone())?;
        file.alerts.check().with_context(|| name.clone())?;
        file.receive.check().with_context(|| name.clone())?;
        if let Some(url) = &file.external_url {
            crate::address::check(url).with_context(|| name.clone())?;
        }
        let section = match (&args.prometheus_config, file.prometheus) {
            (Some(_), Some(_)) => bail!(
                "{name}: `prometheus` is set, and so is --prometheus-config: take one of them out"
            ),
            // As the shell has it: not relative to our own file.
            (Some(path), None) => Some(FileOrInline::File(std::path::absolute(path)?)),
            (None, section) => section,
        };
        let (mut prometheus, prometheus_dir) = match section {
            Some(FileOrInline::File(path)) => {
                let path = dir.join(path);
                (read(&path)?, folder_of(&path))
            }
            Some(FileOrInline::Inline(prometheus)) => (prometheus, dir.clone()),
            None => (Prometheus::default(), dir.clone()),
        };
        prometheus.settle_in(&prometheus_dir)?;
        let alertmanager = match (file.alertmanager, file.notify) {
            (Some(_), Some(_)) => bail!(
                "{name}: both `alertmanager` and `notify` are set: `notify` is the short form \
                 of a whole configuration, take one of them out"
            ),
            (Some(FileOrInline::File(path)), None) => {
                let path = dir.join(path);
                let file = path.display().to_string();
                Some(alert_notify::Config::check(
                    read(&path)?,
                    &file,
                    &folder_of(&path),
                )?)
            }
            (Some(FileOrInline::Inline(draft)), None) => {
                Some(alert_notify::Config::check(draft, &name, &dir)?)
            }
            (None, Some(notify)) => Some(notify.config(&dir).with_context(|| name.clone())?),
            (None, None) => None,
        };
        if let Some(heartbeat) = &file.heartbeat {
            let checked = heartbeat.check();
            checked.map_err(|reason| anyhow::anyhow!("{name}: {reason}"))?;
        }
        let config = Self {
            file: args.config.clone(),
            listen: args
                .listen
                .clone()
                .or(file.listen)
                .unwrap_or_else(|| LISTEN_DEFAULT.to_owned()),
            data: args
                .data
                .clone()
                .or(file.data)
                .unwrap_or_else(|| PathBuf::from(DATA_DEFAULT)),
            storage: file.storage,
            logs: file.logs,
            receive: file.receive,
            syslog: file.syslog,
            prometheus,
            prometheus_dir,
            alertmanager,
            heartbeat: file.heartbeat,
            alerts: file.alerts,
            dashboards: file.dashboards,
            allowed_hosts: file.allowed_hosts,
            external_url: file.external_url,
            admin_api: file.admin_api,
        };
        config.log_rules()?;
        config.external_alertmanagers()?;
        Ok(config)
    }

    /// The labels that all that leaves this process gets.
    pub(crate) fn external_labels(&self) -> model::Labels {
        let labels = &self.prometheus.global.external_labels;
        model::Labels::from_pairs(labels.iter().map(|(n, v)| (n.as_str(), v.as_str())))
    }

    /// The Alertmanagers elsewhere, checked.
    ///
    /// # Errors
    /// The key at fault.
    pub(crate) fn external_alertmanagers(
        &self,
    ) -> anyhow::Result<Vec<alert_notify::ExternalAlertmanager>> {
        let alerting = &self.prometheus.alerting;
        alerting.targets(&self.external_labels(), &self.prometheus_dir)
    }

    /// The processing rules, checked.
    ///
    /// # Errors
    /// All that is wrong with them, each with file, line and column.
    pub(crate) fn log_rules(&self) -> anyhow::Result<log_rules::Rules> {
        let file = self.file.as_deref().map(|file| file.display().to_string());
        log_rules::Rules::read(&self.logs.rules, &file.unwrap_or_default()).map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            anyhow::anyhow!(errors.join("; "))
        })
    }
}

impl Config {
    /// The configuration in force, for people: every default filled in, no secrets.
    pub(crate) fn shown(&self) -> String {
        use std::fmt::Write;
        let mut text = String::new();
        let storage = &self.storage;
        let _ = write!(
            text,
            "listen: {}\ndata: {}\nstorage: {{ disk: {}, memory: {}, logs: {}, metrics: {}, \
             metrics_5m: {}, metrics_1h: {}, series_per_target_max: {} }}\n",
            self.listen,
            self.data.display(),
            model::bytes::format(storage.disk).replace(' ', ""),
            model::bytes::format(storage.memory).replace(' ', ""),
            model::duration::format(storage.logs),
            model::duration::format(storage.metrics),
            model::duration::format(storage.metrics_5m),
            model::duration::format(storage.metrics_1h),
            storage.series_per_target_max,
        );
        let list = |items: &[String]| format!("[{}]", items.join(", "));
        if self.logs.files.is_empty() {
            text.push_str("logs: {}  # found by itself\n");
        } else {
            let _ = writeln!(text, "logs: {{ files: {} }}", list(&self.logs.files));
        }
        if !self.logs.rules.is_empty() {
            let _ = writeln!(
                text,
                "# processing rules of logs: {}",
                self.logs.rules.len()
            );
        }
        text.push_str(&self.receive.shown());
        text.push_str(&self.syslog.shown());
        let jobs: Vec<String> = self
            .prometheus
            .scrape_configs
            .iter()
            .map(|job| job.job_name.clone())
            .collect();
        let _ = write!(
            text,
            "prometheus:\n  global: {{ scrape_interval: {}, evaluation_interval: {} }}\n  \
             rule_files: {}\n  scrape_configs: {}  # jobs\n",
            model::duration::format(self.prometheus.global.scrape_interval()),
            model::duration::format(self.prometheus.global.evaluation_interval()),
            list(&self.prometheus.rule_files),
            list(&jobs),
        );
        text
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(yaml::from_str(&text, &path.display().to_string())?)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => PathBuf::from("."),
    }
}

fn check_storage(storage: &Storage) -> anyhow::Result<()> {
    if storage.memory < MEMORY_MIN {
        bail!(
            "storage.memory is {}, at least {} are needed",
            model::bytes::format(storage.memory),
            model::bytes::format(MEMORY_MIN)
        );
    }
    if storage.disk < DISK_MIN {
        bail!(
            "storage.disk is {}, at least {} are needed",
            model::bytes::format(storage.disk),
            model::bytes::format(DISK_MIN)
        );
    }
    if storage.series_per_target_max == 0 {
        bail!("storage.series_per_target_max is 0: no series could be stored");
    }
    for (key, kept) in [("logs", storage.logs), ("metrics", storage.metrics)] {
        if kept < Duration::from_hours(1) {
            bail!("storage.{key} is shorter than an hour: nothing could be looked up");
        }
    }
    Ok(())
}

/// A size such as `20GiB`, or a number of bytes.
pub(crate) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    model::bytes::parse(&text).map_err(serde::de::Error::custom)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    model::duration::parse(&text).map_err(serde::de::Error::custom)
}
