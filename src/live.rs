//! The configuration in force while the process runs: loaded at start, replaced by SIGHUP or
//! `POST /-/reload`. A bad new one leaves the old one running and is shown on the Status page.

use std::sync::Arc;
use std::time::Duration;

use alert_notify::{ExternalAlertmanagers, Heartbeat, Notifier};
use alert_rules::RuleManager;
use log_rules::LogRules;
use metric_scrape::{LocalTarget, Plan, Scraper};
use model::time;
use parking_lot::Mutex;
use remote_write::Tee;
use tracing::{error, info, warn};

use crate::cli::ServeArgs;
use crate::config::Config;

/// How often this machine, Yagura itself and log lines are counted, unless targets are asked more
/// often: Prometheus' default of a minute is too coarse for the first look at a machine.
pub(crate) const OWN_INTERVAL: Duration = Duration::from_secs(15);

/// What people may want to know about the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// The configuration in force, as YAML, without secrets.
    pub(crate) yaml: String,
    /// When it was loaded, milliseconds since 1970-01-01 UTC.
    pub(crate) loaded_ms: i64,
    /// Why the last reload failed; else empty.
    pub(crate) error: String,
    /// What does not work although the configuration as a whole does, each a sentence.
    pub(crate) warnings: Vec<String>,
    /// Rules that were loaded, the built-in ones included.
    pub(crate) rules: usize,
}

/// Hands the configuration to the parts that can change while they run.
pub(crate) struct Live {
    args: ServeArgs,
    tee: Arc<Tee>,
    scraper: Arc<Scraper>,
    log_rules: Arc<LogRules>,
    rules: Arc<RuleManager>,
    notifier: Arc<Notifier>,
    externals: Arc<ExternalAlertmanagers>,
    heartbeat: Arc<Heartbeat>,
    /// Locked after `reloading`.
    locals: Mutex<Vec<LocalTarget>>,
    external_url: String,
    /// One reload at a time.
    reloading: Mutex<()>,
    report: Mutex<Report>,
    /// See [`OWN_INTERVAL`].
    own_interval: Mutex<Duration>,
    /// What only a restart can change, as it was at start.
    fixed: Fixed,
}

/// Settings that are read once.
#[derive(Debug, Clone, PartialEq)]
struct Fixed {
    listen: String,
    data: std::path::PathBuf,
    storage: crate::config::Storage,
    logs: crate::config::Logs,
    receive: crate::inputs::Receive,
    syslog: crate::inputs::Syslog,
    allowed_hosts: Vec<String>,
    external_url: Option<String>,
}

impl Fixed {
    fn of(config: &Config) -> Self {
        Self {
            listen: config.listen.clone(),
            data: config.data.clone(),
            storage: config.storage.clone(),
            logs: crate::config::Logs {
                // They are replaced at once.
                rules: Vec::new(),
                ..config.logs.clone()
            },
            receive: config.receive.clone(),
            syslog: config.syslog.clone(),
            allowed_hosts: config.allowed_hosts.clone(),
            external_url: config.external_url.clone(),
        }
    }

    /// The keys that differ.
    fn changed(&self, new: &Self) -> Vec<&'static str> {
        let mut keys = Vec::new();
        let mut note = |differs: bool, key| {
            if differs {
                keys.push(key);
            }
        };
        note(self.listen != new.listen, "listen");
        note(self.data != new.data, "data");
        note(self.storage != new.storage, "storage");
        note(self.logs != new.logs, "logs");
        note(self.receive != new.receive, "receive");
        note(self.syslog != new.syslog, "syslog");
        note(self.allowed_hosts != new.allowed_hosts, "allowed_hosts");
        note(self.external_url != new.external_url, "external_url");
        keys
    }
}

/// The parts that [`Live`] tells about changes.
pub(crate) struct Parts {
    pub(crate) tee: Arc<Tee>,
    pub(crate) scraper: Arc<Scraper>,
    pub(crate) log_rules: Arc<LogRules>,
    pub(crate) rules: Arc<RuleManager>,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) externals: Arc<ExternalAlertmanagers>,
    pub(crate) heartbeat: Arc<Heartbeat>,
    pub(crate) locals: Vec<LocalTarget>,
    pub(crate) external_url: String,
}

impl Live {
    /// Puts the first configuration into force.
    ///
    /// # Errors
    /// As a reload: one sentence.
    pub(crate) fn start(args: ServeArgs, config: &Config, parts: Parts) -> anyhow::Result<Self> {
        let live = Self {
            args,
            tee: parts.tee,
            scraper: parts.scraper,
            log_rules: parts.log_rules,
            rules: parts.rules,
            notifier: parts.notifier,
            externals: parts.externals,
            heartbeat: parts.heartbeat,
            locals: Mutex::new(parts.locals),
            external_url: parts.external_url,
            reloading: Mutex::new(()),
            report: Mutex::new(Report::default()),
            own_interval: Mutex::new(OWN_INTERVAL),
            fixed: Fixed::of(config),
        };
        live.apply(config)?;
        Ok(live)
    }

    /// What people may want to know about it.
    pub(crate) fn report(&self) -> Report {
        self.report.lock().clone()
    }

    /// How often the built-in targets are asked.
    pub(crate) fn own_interval(&self) -> Duration {
        *self.own_interval.lock()
    }

    /// Asks one more target inside the process, from now on and after each reload.
    pub(crate) fn add_local(&self, local: LocalTarget) {
        let _no_reload = self.reloading.lock();
        self.locals.lock().push(local);
        let locals = self.locals_at(self.own_interval());
        self.scraper.apply_locals(locals);
    }

    /// The built-in targets, asked that often.
    fn locals_at(&self, interval: Duration) -> Vec<LocalTarget> {
        let mut locals = self.locals.lock().clone();
        for local in &mut locals {
            local.interval = interval;
        }
        locals
    }

    /// Reads the files again. Blocks.
    ///
    /// # Errors
    /// One sentence with file, line and key; the configuration before stays in force.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let _one_at_a_time = self.reloading.lock();
        let result = Config::load(&self.args).and_then(|config| self.apply(&config));
        match result {
            Ok(()) => {
                info!("loaded the configuration anew");
                Ok(())
            }
            Err(reason) => {
                let reason = format!("{reason:#}");
                error!(
                    reason,
                    "cannot use the new configuration, the old one stays"
                );
                self.report.lock().error.clone_from(&reason);
                Err(reason)
            }
        }
    }

    fn apply(&self, config: &Config) -> anyhow::Result<()> {
        let prometheus = &config.prometheus;
        let own_interval = OWN_INTERVAL.min(prometheus.global.scrape_interval());
        // The only steps that can refuse come first, so that a reload is all or nothing.
        let log_rules = config.log_rules()?;
        let externals = config.external_alertmanagers()?;
        let remotes = self.tee.prepare(&prometheus.remote_write)?;
        let refused = |reason: String| anyhow::anyhow!("alerting: {reason}");
        self.externals.apply(externals).map_err(refused)?;
        self.scraper.apply(Plan {
            global: prometheus.global.clone(),
            scrape_configs: prometheus.scrape_configs.clone(),
            locals: self.locals_at(own_interval),
            discoveries: Vec::new(),
        })?;
        self.tee.apply(remotes, config.external_labels());
        *self.own_interval.lock() = own_interval;
        self.log_rules.replace(log_rules);
        let alertmanager = config
            .alertmanager
            .clone()
            .unwrap_or_else(alert_notify::Config::silent);
        let mut warnings = alertmanager.warnings.clone();
        let awaits_watchdog = alertmanager.awaits("Watchdog");
        self.notifier.apply(alertmanager);
        self.heartbeat.apply(config.heartbeat.clone());
        self.rules.configure(alert_rules::Options {
            external_labels: config.external_labels(),
            external_url: self.external_url.clone(),
            evaluation_interval: prometheus.global.evaluation_interval(),
            query_offset: prometheus.global.rule_query_offset.unwrap_or_default(),
            ..alert_rules::Options::default()
        });
        let mut loaded = alert_rules::load(
            &prometheus.rule_files,
            &config.prometheus_dir,
            self.rules.languages(),
        );
        // It always fires: that is of use where somebody waits for it.
        let mut changes = config.alerts.changes();
        if awaits_watchdog {
            let change = changes.entry("Watchdog".to_owned()).or_default();
            change.on = change.on.or(Some(true));
        }
        let mut built_in = alert_rules::builtin(self.rules.languages(), &changes, &loaded.groups);
        let mut groups = std::mem::take(&mut built_in.groups);
        groups.append(&mut loaded.groups);
        let n_rules = groups.iter().map(|group| group.rules.len()).sum();
        self.rules.apply(groups);

        let problems = built_in.problems.iter().chain(&loaded.problems);
        warnings.extend(problems.map(ToString::to_string));
        warnings.extend(prometheus.idle_keys());
        for key in self.fixed.changed(&Fixed::of(config)) {
            warnings.push(format!(
                "`{key}` was changed: restart Yagura to use the new value"
            ));
        }
        if !config.dashboards.is_empty() {
            warnings.push(
                "`dashboards` is set, but this version does not show dashboards yet".to_owned(),
            );
        }
        for warning in &warnings {
            warn!(warning, "the configuration works only in part");
        }
        *self.report.lock() = Report {
            yaml: config.shown(),
            loaded_ms: time::now_ms(),
            error: String::new(),
            warnings,
            rules: n_rules,
        };
        Ok(())
    }
}
