//! Alertmanagers elsewhere: alerts go there as Prometheus sends them, to `/api/v2/alerts`.
//!
//! Each has a queue of its own. What does not arrive after a few attempts is given up: an alert
//! that still fires is sent again by its rule within a minute.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http_client::{Clients, HttpClientConfig};
use model::{Alert, Labels, time};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::health::WayHealth;
use crate::metrics::Metrics;
use crate::payload::rfc3339;
use crate::receivers::{Call, Outgoing, address};
use crate::send::once;

/// Alerts in a request, as Prometheus has it.
const BATCH_MAX: usize = 256;

/// Alerts that wait for an Alertmanager; beyond, the oldest are given up.
const QUEUE_MAX: usize = 10_000;

/// How often a request is made before its alerts are given up.
const ATTEMPTS_MAX: u32 = 3;

/// The pause between attempts.
const PAUSE: Duration = Duration::from_secs(2);

/// Changes the labels of an alert on its way out; `None` leaves it out.
pub type Relabel = Arc<dyn Fn(Labels) -> Option<Labels> + Send + Sync>;

/// An Alertmanager elsewhere.
#[derive(Clone)]
pub struct ExternalAlertmanager {
    /// Where alerts are posted: `http://host:9093/prefix/api/v2/alerts`.
    pub url: String,
    /// How to ask.
    pub http: HttpClientConfig,
    /// Longest time for a request.
    pub timeout: Duration,
    /// What becomes of labels on the way.
    pub relabel: Relabel,
}

struct Peer {
    settings: ExternalAlertmanager,
    queue: Mutex<VecDeque<Alert>>,
    health: Mutex<WayHealth>,
}

/// All Alertmanagers elsewhere.
pub struct ExternalAlertmanagers {
    peers: Mutex<Vec<Arc<Peer>>>,
    clients: Clients,
    metrics: Metrics,
    changed: Notify,
}

impl ExternalAlertmanagers {
    /// None yet.
    pub fn new(metrics: Metrics) -> Self {
        Self {
            peers: Mutex::default(),
            clients: Clients::default(),
            metrics,
            changed: Notify::new(),
        }
    }

    /// Takes other ones; what waited for one that stays goes on waiting.
    ///
    /// # Errors
    /// An address is no URL.
    pub fn apply(&self, all: Vec<ExternalAlertmanager>) -> Result<(), String> {
        for settings in &all {
            address("alertmanagers", &settings.url)?;
        }
        let mut peers = self.peers.lock();
        let old = std::mem::take(&mut *peers);
        *peers = all
            .into_iter()
            .map(|settings| {
                let waiting = old.iter().find(|peer| peer.settings.url == settings.url);
                let health = WayHealth {
                    receiver: "alertmanager".to_owned(),
                    way: settings.url.clone(),
                    ..WayHealth::default()
                };
                Arc::new(Peer {
                    queue: Mutex::new(
                        waiting
                            .map(|peer| std::mem::take(&mut *peer.queue.lock()))
                            .unwrap_or_default(),
                    ),
                    health: Mutex::new(waiting.map_or(health, |peer| peer.health.lock().clone())),
                    settings,
                })
            })
            .collect();
        drop(peers);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes alerts of our own rules. Short.
    pub fn receive(&self, alerts: &[Alert]) {
        let peers = self.peers.lock().clone();
        for peer in &peers {
            let mut queue = peer.queue.lock();
            for alert in alerts {
                if let Some(labels) = (peer.settings.relabel)(alert.labels.clone()) {
                    queue.push_back(Alert {
                        labels,
                        ..alert.clone()
                    });
                }
            }
            let over = queue.len().saturating_sub(QUEUE_MAX);
            queue.drain(..over);
            if over > 0 {
                self.metrics.external_dropped.inc_by(over as u64);
                tracing::error!(
                    alertmanager = peer.settings.url,
                    over,
                    "too many alerts wait, the oldest are given up"
                );
            }
        }
        self.changed.notify_one();
    }

    /// How each of them is doing.
    pub fn health(&self) -> Vec<WayHealth> {
        let peers = self.peers.lock().clone();
        peers
            .iter()
            .map(|peer| WayHealth {
                pending: peer.queue.lock().len() as u64,
                ..peer.health.lock().clone()
            })
            .collect()
    }

    /// Sends until it is cancelled.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        loop {
            let peers = self.peers.lock().clone();
            let all = join_all(peers.iter().map(|peer| self.empty(peer)));
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = all => {}
            }
            let waiting = self
                .peers
                .lock()
                .iter()
                .any(|peer| !peer.queue.lock().is_empty());
            if waiting {
                continue;
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.changed.notified() => {}
            }
        }
    }

    /// Sends what waits for one of them.
    async fn empty(&self, peer: &Peer) {
        loop {
            let batch: Vec<Alert> = {
                let mut queue = peer.queue.lock();
                let count = queue.len().min(BATCH_MAX);
                queue.drain(..count).collect()
            };
            if batch.is_empty() {
                return;
            }
            let result = self.send(peer, &batch).await;
            let mut health = peer.health.lock();
            match result {
                Ok(()) => {
                    self.metrics.external_sent.inc_by(batch.len() as u64);
                    health.sent += 1;
                    health.arrived(time::now_ms());
                }
                Err(error) => {
                    self.metrics.external_dropped.inc_by(batch.len() as u64);
                    tracing::error!(
                        alertmanager = peer.settings.url,
                        error,
                        alerts = batch.len(),
                        "cannot send alerts"
                    );
                    health.failed += 1;
                    health.missed(&error, time::now_ms());
                }
            }
        }
    }

    async fn send(&self, peer: &Peer, alerts: &[Alert]) -> Result<(), String> {
        let body: Vec<Value> = alerts.iter().map(written).collect();
        let call = Call::json(address("alertmanagers", &peer.settings.url)?, &body)?;
        let outgoing = Outgoing::Http(vec![call]);
        let client = self.clients.client(&peer.settings.http);
        let mut attempt = 1;
        loop {
            let sent = once(&client, &outgoing, peer.settings.timeout).await;
            let Err(error) = sent else {
                return Ok(());
            };
            if attempt >= ATTEMPTS_MAX {
                return Err(error);
            }
            peer.health.lock().retries += 1;
            tokio::time::sleep(PAUSE).await;
            attempt += 1;
        }
    }
}

/// An alert as Prometheus sends it.
fn written(alert: &Alert) -> Value {
    let map = |labels: &Labels| -> serde_json::Map<String, Value> {
        let pair = |l: &model::Label| (l.name.to_string(), json!(l.value));
        labels.iter().map(pair).collect()
    };
    json!({
        "labels": map(&alert.labels),
        "annotations": map(&alert.annotations),
        "startsAt": rfc3339(alert.starts_at_ms),
        "endsAt": rfc3339(alert.ends_at_ms),
        "generatorURL": alert.generator_url,
    })
}
