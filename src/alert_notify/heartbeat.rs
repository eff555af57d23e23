//! A URL that is called while all is well, as healthchecks.io and its like want it: when the calls
//! stop, somebody else raises the alarm, also where this machine is gone.

use std::sync::Arc;
use std::time::Duration;

use http_client::{Clients, HttpClientConfig, Secret};
use model::time;
use parking_lot::Mutex;
use reqwest::Method;
use serde::{Deserialize, Deserializer};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::receivers::{Call, Outgoing, address};
use crate::send::once;

/// How often where nobody says otherwise.
const EVERY: Duration = Duration::from_mins(1);

/// More often helps nobody.
const EVERY_MIN: Duration = Duration::from_secs(1);

/// Longest time for a call.
const TIMEOUT: Duration = Duration::from_secs(10);

/// `heartbeat:` of `yagura.yaml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatConfig {
    /// Called with GET.
    url: Secret,
    /// How often; default a minute.
    #[serde(default = "every", deserialize_with = "duration")]
    every: Duration,
    #[serde(default)]
    http_config: HttpClientConfig,
}

fn every() -> Duration {
    EVERY
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    model::duration::parse(&text).map_err(serde::de::Error::custom)
}

impl HeartbeatConfig {
    /// Checks what serde cannot see; the message does not repeat the address.
    ///
    /// # Errors
    /// The address is none, or it would be called without a pause.
    pub fn check(&self) -> Result<(), String> {
        address("heartbeat.url", self.url.reveal())?;
        if self.every < EVERY_MIN {
            return Err("heartbeat.every must be at least 1s".to_owned());
        }
        self.http_config
            .check()
            .map_err(|wrong| format!("heartbeat.http_config: {wrong}"))
    }
}

/// Says what is wrong with the appliance; `None` while all is well.
type Trouble = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Calls the URL.
pub struct Heartbeat {
    config: Mutex<Option<HeartbeatConfig>>,
    trouble: Trouble,
    clients: Clients,
    metrics: Metrics,
    changed: Notify,
    /// Why the last call failed, and since when no call went well.
    failing: Mutex<Option<(String, i64)>>,
}

impl Heartbeat {
    /// A heartbeat without a URL; `trouble` is asked before each call.
    pub fn new(trouble: Trouble, metrics: Metrics) -> Self {
        Self {
            config: Mutex::default(),
            trouble,
            clients: Clients::default(),
            metrics,
            changed: Notify::new(),
            failing: Mutex::default(),
        }
    }

    /// Takes another URL, or none. It was checked.
    pub fn apply(&self, config: Option<HeartbeatConfig>) {
        let mut now = self.config.lock();
        if *now != config {
            *now = config;
            drop(now);
            *self.failing.lock() = None;
            self.changed.notify_one();
        }
    }

    /// Why the last call failed or was left out, in a sentence, and since when none went well,
    /// milliseconds since 1970-01-01 UTC; `None` after one that went well.
    pub fn failing(&self) -> Option<(String, i64)> {
        self.failing.lock().clone()
    }

    /// Calls until it is cancelled.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        loop {
            let config = self.config.lock().clone();
            let pause = config.as_ref().map(|config| config.every);
            let beat = async {
                if let Some(config) = &config {
                    self.beat(config).await;
                }
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.changed.notified() => {}
                () = beat => {}
            }
        }
    }

    async fn beat(&self, config: &HeartbeatConfig) {
        let result = match (self.trouble)() {
            Some(trouble) => Err(format!("left out: {trouble}")),
            None => self.call(config).await,
        };
        match result {
            Ok(()) => {
                self.metrics.heartbeats.inc();
                *self.failing.lock() = None;
            }
            Err(error) => {
                self.metrics.heartbeats_missed.inc();
                let mut failing = self.failing.lock();
                if failing.as_ref().is_none_or(|(last, _)| *last != error) {
                    tracing::warn!(error, "no heartbeat was sent");
                }
                let since_ms = failing.as_ref().map_or_else(time::now_ms, |(_, ms)| *ms);
                *failing = Some((error, since_ms));
            }
        }
    }

    async fn call(&self, config: &HeartbeatConfig) -> Result<(), String> {
        let call = Call {
            method: Method::GET,
            body: Vec::new(),
            ..Call::json(address("heartbeat.url", config.url.reveal())?, &())?
        };
        let client = self.clients.client(&config.http_config);
        once(&client, &Outgoing::Http(vec![call]), TIMEOUT)
            .await
            .map(drop)
    }
}
