//! What brings samples and lines in: scrapes, files, the network.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use log_rules::LogRules;
use log_tail::LogTail;
use metric_host::HostCollector;
use metric_scrape::{LocalSource, LocalTarget, Scraper};
use model::SampleSink;
use receive::{Receiver, SampleReceiver, syslog};

use super::stores::Stores;
use crate::budget::explain_failed_start;
use crate::config::Config;
use crate::live::OWN_INTERVAL;
use crate::tasks::Tasks;
use crate::telemetry::OwnMetrics;

/// The collectors, which are started last and stopped first.
pub(super) struct Collectors {
    pub(super) scraper: Arc<Scraper>,
    /// Whatever lines are collected come to the store through the processing rules.
    pub(super) log_rules: Arc<LogRules>,
    pub(super) tail: Arc<LogTail>,
    pub(super) receiver: Arc<Receiver>,
    pub(super) samples: Arc<SampleReceiver>,
    syslog: Arc<syslog::Sockets>,
}

impl Collectors {
    pub(super) fn new(
        config: &Config,
        data: &Path,
        stores: &Stores,
        sink: &Arc<dyn SampleSink>,
        own: &OwnMetrics,
    ) -> anyhow::Result<Self> {
        let scraper = Arc::new(Scraper::new(
            sink.clone(),
            own.register(metric_scrape::Metrics::new),
        ));
        let logs = &stores.logs;
        let log_rules = Arc::new(LogRules::new(
            logs.clone(),
            own.register(log_rules::Metrics::new),
        ));
        let tail = Arc::new(LogTail::new(
            log_tail::Config {
                globs: config.logs.files.clone(),
                exclude: exclude_own(config, data),
                read: config.logs.read.clone(),
                open_files_max: config.logs.open_files,
                since_ns: made_ns(&data.join("logs")),
                host: Some(host_name()),
                ..log_tail::Config::default()
            },
            log_rules.clone(),
            own.register(log_tail::Metrics::new),
        )?);
        let received = stores.received.clone();
        let receiver = config
            .receive
            .open(data, log_rules.clone(), logs.clone(), received);
        let receiver = receiver.map_err(|error| explain_failed_start(data, error))?;
        let samples = Arc::new(SampleReceiver::new(
            sink.clone(),
            receiver.limits().clone(),
            receiver.room().clone(),
            own.register(receive::SampleMetrics::new),
        ));
        Ok(Self {
            scraper,
            log_rules,
            tail,
            receiver,
            samples,
            syslog: config.syslog.bind()?,
        })
    }

    /// Starts to collect.
    pub(super) fn start(&self, tasks: &Tasks) {
        if !self.syslog.is_empty() {
            let (receiver, syslog) = (self.receiver.clone(), self.syslog.clone());
            tasks.spawn("syslog", move |cancel| {
                receive::syslog::run(receiver.clone(), syslog.clone(), cancel)
            });
        }
        let scraper = self.scraper.clone();
        tasks.spawn("scraper", move |cancel| scraper.clone().run(cancel));
        let tail = self.tail.clone();
        tasks.spawn_thread("log collector", move |cancel| tail.run(&cancel));
    }
}

/// Yagura must not follow files of its own: each line about a line would make another line.
fn exclude_own(config: &Config, data: &Path) -> Vec<String> {
    let mut exclude = config.logs.exclude.clone();
    exclude.push(format!("{}/**/*", data.display()));
    exclude
}

/// When a folder was made, nanoseconds since 1970-01-01 UTC, where the file system knows.
fn made_ns(folder: &Path) -> Option<i64> {
    let made = std::fs::metadata(folder).and_then(|m| m.created()).ok()?;
    let since = made.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_nanos()).ok()
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// This machine and Yagura itself: targets that need no network.
pub(super) fn local_targets(own: &OwnMetrics, address: SocketAddr) -> Vec<LocalTarget> {
    let host = HostCollector::new(metric_host::Config::default());
    let own = own.clone();
    let interval = OWN_INTERVAL;
    vec![
        LocalTarget {
            job: "node-exporter".to_owned(),
            instance: host_name(),
            interval,
            honor_labels: false,
            source: LocalSource(Arc::new(move || host.collect().map(Into::into))),
        },
        LocalTarget {
            job: "yagura".to_owned(),
            instance: address.to_string(),
            interval,
            honor_labels: false,
            source: LocalSource(Arc::new(move || Ok(own.text().into()))),
        },
    ]
}
