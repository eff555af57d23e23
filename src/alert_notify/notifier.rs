//! Puts the dispatcher on a clock and its batches on the wire.
//!
//! For each batch and each of its receiver's addresses: look into the notification log whether
//! there is anything to tell; tell it, with patience; remember it after it was told, never before.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use model::{Alert, time};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Webhook};
use crate::dedup;
use crate::dispatch::{AlertGroup, Batch, Dispatcher};
use crate::log::{NotificationEntry, NotificationLog};
use crate::metrics::Metrics;
use crate::payload;
use crate::send::{Clients, deliver};

/// Batches that are under way at the same time. A receiver that hangs holds one of them per
/// group, so there must be enough for the others.
const BATCHES_MAX: usize = 64;

/// The longest sleep between two looks at the clock, so that one that was set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(10);

/// How long messages that are on the wire may take to arrive when the process ends.
const GRACE: Duration = Duration::from_secs(1);

/// Why a notifier cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// TLS or the resolver cannot be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Tells receivers about alerts.
pub struct Notifier {
    dispatcher: Mutex<Dispatcher>,
    log: Arc<dyn NotificationLog>,
    external_url: String,
    metrics: Metrics,
    clients: Clients,
    changed: Notify,
}

impl Notifier {
    /// A notifier without alerts. Receivers are told that people reach Yagura at `external_url`. The
    /// process must have a rustls crypto provider installed.
    pub fn new(
        config: Config,
        log: Arc<dyn NotificationLog>,
        external_url: String,
        metrics: Metrics,
    ) -> Result<Self, NotifyError> {
        Ok(Self {
            dispatcher: Mutex::new(Dispatcher::new(Arc::new(config))),
            log,
            external_url,
            metrics,
            clients: Clients::new()?,
            changed: Notify::new(),
        })
    }

    /// Takes alerts. Short; may be called from any thread.
    pub fn receive(&self, alerts: Vec<Alert>) {
        self.metrics.alerts_received.inc_by(alerts.len() as u64);
        let refused = self.dispatcher.lock().receive(alerts, time::now_ms());
        if refused > 0 {
            self.metrics.alerts_refused.inc_by(refused as u64);
            tracing::error!(refused, "too many alerts or groups, some will not be told");
        }
        self.changed.notify_one();
    }

    /// Takes another configuration: alerts are routed anew; what receivers know already is not
    /// told again.
    pub fn apply(&self, config: Config) {
        let mut dispatcher = self.dispatcher.lock();
        if **dispatcher.config() != config {
            dispatcher.apply(Arc::new(config), time::now_ms());
        }
        drop(dispatcher);
        self.changed.notify_one();
    }

    /// All groups with the alerts in them that fire.
    pub fn groups(&self) -> Vec<AlertGroup> {
        self.dispatcher.lock().groups(time::now_ms())
    }

    /// Tells receivers until it is cancelled; messages that are on the wire then get a second to
    /// arrive.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let mut under_way: JoinSet<()> = JoinSet::new();
        loop {
            let wait = self.start_due(&mut under_way);
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.changed.notified() => {}
                Some(ended) = under_way.join_next(), if !under_way.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a notification panicked");
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
        let drained = async { while under_way.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, drained).await.is_err() {
            tracing::warn!(
                "stopped before all notifications were answered, they are told again after the start"
            );
        }
    }

    /// Starts the batches that are due; returns how long there is nothing to do.
    fn start_due(self: &Arc<Self>, under_way: &mut JoinSet<()>) -> Duration {
        let now_ms = time::now_ms();
        let room = BATCHES_MAX.saturating_sub(under_way.len());
        let (batches, config, next_due_ms) = {
            let mut dispatcher = self.dispatcher.lock();
            let batches = dispatcher.poll(now_ms, room);
            self.metrics.groups.set(dispatcher.groups_len() as i64);
            (
                batches,
                dispatcher.config().clone(),
                dispatcher.next_due_ms(),
            )
        };
        // Without the lock: a task that the runtime drops at once answers for its batch at once.
        for batch in batches {
            let answer = Answer {
                notifier: self.clone(),
                batch,
                told: false,
            };
            under_way.spawn(self.clone().tell(answer, config.clone()));
        }
        if under_way.len() >= BATCHES_MAX {
            return SLEEP_MAX;
        }
        next_due_ms.map_or(SLEEP_MAX, |at| {
            Duration::from_millis((at - now_ms).max(0) as u64).min(SLEEP_MAX)
        })
    }

    async fn tell(self: Arc<Self>, mut answer: Answer, config: Arc<Config>) {
        let batch = &answer.batch;
        let deadline = Instant::now() + Duration::from_millis(batch.timeout_ms.max(0) as u64);
        let webhooks = config
            .receivers
            .get(&batch.receiver)
            .map(|receiver| receiver.webhooks.as_slice())
            .unwrap_or_default();
        // Side by side: one that hangs must not keep the others waiting.
        let all = webhooks
            .iter()
            .enumerate()
            .map(|(i, webhook)| self.tell_one(batch, i, webhook, deadline));
        answer.told = join_all(all).await.into_iter().all(|told| told);
    }

    /// Tells one address about a batch, if there is anything to tell; whether it now knows.
    async fn tell_one(
        &self,
        batch: &Batch,
        index: usize,
        webhook: &Webhook,
        deadline: Instant,
    ) -> bool {
        let receiver = format!("{}/webhook[{index}]", batch.receiver);
        let (mut firing, mut resolved) = (BTreeSet::new(), BTreeSet::new());
        for alert in &batch.alerts {
            let set = if alert.is_resolved_at(batch.now_ms) {
                &mut resolved
            } else {
                &mut firing
            };
            set.insert(alert.labels.fingerprint());
        }
        let before = self.remembered(&batch.group_key, &receiver).await;
        let state = dedup::State {
            firing: &firing,
            resolved: &resolved,
            now_ms: batch.now_ms,
        };
        let repeat_ms = batch.repeat_interval_ms;
        if !dedup::needed(before.as_ref(), state, webhook.send_resolved, repeat_ms) {
            if !batch.alerts.is_empty() {
                self.metrics.notifications_suppressed.inc();
            }
            return true;
        }
        let alerts: Vec<&Alert> = batch
            .alerts
            .iter()
            .filter(|alert| webhook.send_resolved || !alert.is_resolved_at(batch.now_ms))
            .collect();
        if !alerts.is_empty() {
            let message = payload::message(batch, &alerts, webhook.max_alerts, &self.external_url);
            let body = match serde_json::to_vec(&message) {
                Ok(body) => body,
                Err(error) => {
                    tracing::error!(receiver, %error, "cannot write a notification");
                    return false;
                }
            };
            let started = Instant::now();
            let result = deliver(&self.clients, webhook, &body, deadline, &self.metrics).await;
            self.metrics
                .notification_seconds
                .inc_by(started.elapsed().as_secs_f64());
            if let Err(error) = result {
                self.metrics.notifications_failed.inc();
                tracing::error!(receiver, group = batch.group_key, %error, "cannot notify");
                return false;
            }
            self.metrics.notifications.inc();
        }
        let entry = NotificationEntry {
            firing,
            resolved,
            sent_ms: batch.now_ms,
        };
        let expires_ms = batch.now_ms.saturating_add(repeat_ms.saturating_mul(2));
        self.remember(batch.group_key.clone(), receiver, entry, expires_ms)
            .await;
        true
    }

    async fn remembered(&self, group_key: &str, receiver: &str) -> Option<NotificationEntry> {
        let (log, key, name) = (self.log.clone(), group_key.to_owned(), receiver.to_owned());
        let result = spawn_blocking(move || log.get(&key, &name)).await;
        match result {
            Ok(Ok(entry)) => entry,
            // Told twice is better than not at all.
            Ok(Err(error)) => {
                self.metrics.log_failures.inc();
                tracing::error!(receiver, %error, "cannot read the notification log");
                None
            }
            Err(error) => {
                self.metrics.log_failures.inc();
                tracing::error!(receiver, %error, "cannot read the notification log");
                None
            }
        }
    }

    async fn remember(
        &self,
        group_key: String,
        receiver: String,
        entry: NotificationEntry,
        expires_ms: i64,
    ) {
        let log = self.log.clone();
        let name = receiver.clone();
        let result = spawn_blocking(move || log.put(&group_key, &name, &entry, expires_ms)).await;
        let error = match result {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.metrics.log_failures.inc();
        tracing::error!(receiver, %error, "cannot write the notification log, a restart may tell again");
    }
}

/// A batch that is under way. However its task ends, the dispatcher hears of it.
struct Answer {
    notifier: Arc<Notifier>,
    batch: Batch,
    told: bool,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.notifier.dispatcher.lock().done(&self.batch, self.told);
        self.notifier.changed.notify_one();
    }
}
