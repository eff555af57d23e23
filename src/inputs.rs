//! What comes over the network: its keys in the configuration, and the parts that take it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use log_store::LogStore;
use metric_push::Gateway;
use metric_scrape::exposition::Format;
use metric_scrape::{LocalPage, LocalSource, LocalTarget};
use metric_store::MetricStore;
use model::{LineRules, LogSink, LogSource, StoreError, time};
use receive::syslog::Sockets;
use receive::{Limits, Receiver};
use serde::Deserialize;

use crate::config::size;
use crate::live::OWN_INTERVAL;

/// A journal is freed by files of 16 MiB, and the store is asked to seal when it is half full: with
/// fewer than four files it would be asked all the time.
const JOURNAL_MIN: u64 = 64 << 20;
/// Bounds of a request cannot be larger: several may be under way within the memory budget.
const BODY_MAX: u64 = 256 << 20;

/// `receive:` what may be sent over HTTP, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Receive {
    /// Whether lines are taken over HTTP at all.
    pub(crate) http: bool,
    /// Bytes of a request as it is sent.
    #[serde(deserialize_with = "size")]
    pub(crate) body: u64,
    /// Bytes of a request without its compression.
    #[serde(deserialize_with = "size")]
    pub(crate) inflated_body: u64,
    /// Bytes of a line; longer ones are cut with a mark.
    #[serde(deserialize_with = "size")]
    pub(crate) line: u64,
    /// Bytes of the journal on disk.
    #[serde(deserialize_with = "size")]
    pub(crate) journal: u64,
}

impl Default for Receive {
    fn default() -> Self {
        let config = receive::Config::default();
        Self {
            http: true,
            body: config.limits.body_bytes_max as u64,
            inflated_body: config.limits.inflated_bytes_max as u64,
            line: config.limits.line_bytes_max as u64,
            journal: config.journal_bytes_max,
        }
    }
}

impl Receive {
    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let format = model::bytes::format;
        for (key, bytes) in [("body", self.body), ("inflated_body", self.inflated_body)] {
            if !(1 << 10..=BODY_MAX).contains(&bytes) {
                bail!(
                    "receive.{key} is {}, it must be between 1 KiB and {}",
                    format(bytes),
                    format(BODY_MAX)
                );
            }
        }
        if !(256..=self.inflated_body).contains(&self.line) {
            bail!(
                "receive.line is {}, it must be between 256 B and receive.inflated_body",
                format(self.line)
            );
        }
        if self.journal < JOURNAL_MIN.max(self.inflated_body) {
            bail!(
                "receive.journal is {}, at least {} and receive.inflated_body are needed",
                format(self.journal),
                format(JOURNAL_MIN)
            );
        }
        Ok(())
    }

    /// Its lines of the configuration in force.
    pub(crate) fn shown(&self) -> String {
        let size = |bytes| model::bytes::format(bytes).replace(' ', "");
        format!(
            "receive: {{ http: {}, body: {}, inflated_body: {}, line: {}, journal: {} }}\n",
            self.http,
            size(self.body),
            size(self.inflated_body),
            size(self.line),
            size(self.journal),
        )
    }

    fn config(&self) -> receive::Config {
        let defaults = Limits::default();
        let inflated = self.inflated_body as usize;
        receive::Config {
            limits: Limits {
                body_bytes_max: self.body as usize,
                inflated_bytes_max: inflated,
                // Labels and fields written out make the text of a body larger.
                text_bytes_max: inflated * 2,
                line_bytes_max: self.line as usize,
                ..defaults
            },
            journal_bytes_max: self.journal,
        }
    }

    /// Opens the journal in the data folder. Lines meet the rules before they come to it, and go
    /// from it to the store directly.
    pub(crate) fn open(
        &self,
        data: &Path,
        rules: Arc<dyn LineRules>,
        sink: Arc<dyn LogSink>,
        metrics: receive::Metrics,
    ) -> Result<Arc<Receiver>, StoreError> {
        let folder = data.join("receive");
        let receiver = Receiver::open(&folder, self.config(), sink, log_tail::level_of, metrics)?;
        Ok(Arc::new(receiver.with_rules(rules)))
    }
}

/// `syslog:` where to listen for it; nowhere by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Syslog {
    /// `host:port` for UDP.
    pub(crate) udp: Option<String>,
    /// `host:port` for TCP.
    pub(crate) tcp: Option<String>,
}

impl Syslog {
    /// Its lines of the configuration in force; none where syslog is off.
    pub(crate) fn shown(&self) -> String {
        let addresses = [("udp", &self.udp), ("tcp", &self.tcp)];
        let set = addresses.iter().filter_map(|(key, address)| {
            let address = address.as_ref()?;
            Some(format!("{key}: \"{address}\""))
        });
        let set: Vec<String> = set.collect();
        if set.is_empty() {
            String::new()
        } else {
            format!("syslog: {{ {} }}\n", set.join(", "))
        }
    }

    /// Binds the sockets.
    pub(crate) fn bind(&self) -> anyhow::Result<Arc<Sockets>> {
        let sockets = Sockets::bind(self.udp.as_deref(), self.tcp.as_deref());
        let sockets = sockets.map_err(|(what, error)| anyhow::Error::new(error).context(what))?;
        let (udp, tcp) = sockets.addresses();
        for (protocol, address) in [("udp", udp), ("tcp", tcp)] {
            if let Some(address) = address {
                tracing::info!(%address, protocol, "listening for syslog");
            }
        }
        Ok(Arc::new(sockets))
    }
}

/// Hands to the store what it has missed, and empties the journal of what it has sealed. When the
/// journal fills faster than the store seals by itself, it is asked to.
pub(crate) fn maintain(receiver: &Receiver, logs: &LogStore) -> Result<(), StoreError> {
    if receiver.maintain(time::now_ns())?.seal {
        logs.seal()?;
        receiver.maintain(time::now_ns())?;
    }
    Ok(())
}

/// What takes the history of other stores while this one runs.
pub(crate) fn import_lines(metrics: &Arc<MetricStore>) -> serve::ImportLines {
    let metrics = metrics.clone();
    Arc::new(move |text| {
        let report = metric_import::json_lines::read(text, &mut |part| {
            metrics.import(part, time::now_ms()).map(|_| ())
        });
        match report {
            Ok(report) => Ok((report.samples, report.notices)),
            Err(error) => {
                let again = matches!(
                    error,
                    metric_import::ImportError::Store(
                        StoreError::NoSpace(_) | StoreError::Io { .. } | StoreError::Database(_)
                    )
                );
                Err((error.to_string(), again))
            }
        }
    })
}

/// The target that pushed metrics are read from. Their own labels win, as those who push want it.
pub(crate) fn pushed(gateway: &Arc<Gateway>, address: SocketAddr) -> LocalTarget {
    let gateway = gateway.clone();
    LocalTarget {
        job: "pushgateway".to_owned(),
        instance: address.to_string(),
        interval: OWN_INTERVAL,
        honor_labels: true,
        source: LocalSource(Arc::new(move || {
            Ok(LocalPage {
                body: gateway.page(),
                format: Format::Protobuf,
            })
        })),
    }
}

/// Files and senders, for `/targets`.
pub(crate) fn sources(mut files: Vec<LogSource>, receiver: &Receiver) -> Vec<LogSource> {
    files.extend(receiver.sources());
    files
}
