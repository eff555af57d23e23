//! One batch on its way: what is new in it, the message, the receiver, the notification log.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use model::{Alert, time};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::Notifier;
use crate::config::Config;
use crate::dedup;
use crate::dispatch::Batch;
use crate::health::Health;
use crate::message::{self, Message};
use crate::receivers::{Integration, Outgoing};
use crate::send::deliver;
use crate::state::{NotificationEntry, NotificationState};

impl Notifier {
    /// Tells a batch in each way of its receiver.
    pub(super) async fn tell(self: Arc<Self>, mut done: Done, config: Arc<Config>) {
        let batch = &done.batch;
        let deadline = Instant::now() + Duration::from_millis(batch.timeout_ms.max(0) as u64);
        let ways = config
            .receivers
            .get(&batch.receiver)
            .map(|receiver| receiver.integrations.as_slice())
            .unwrap_or_default();
        // Side by side: one that hangs must not keep the others waiting.
        let all = ways
            .iter()
            .map(|way| self.tell_one(batch, way, &config, deadline));
        done.told = join_all(all).await.into_iter().all(|told| told);
    }

    /// Tells in one way about a batch, if there is anything to tell; whether it is now known.
    async fn tell_one(
        &self,
        batch: &Batch,
        way: &Integration,
        config: &Arc<Config>,
        deadline: Instant,
    ) -> bool {
        if batch.alerts.is_empty() {
            return true;
        }
        let name = way.name();
        let receiver = format!("{}/{name}", batch.receiver);
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
        if !dedup::needed(before.as_ref(), state, way.send_resolved, repeat_ms) {
            self.metrics.notifications_suppressed.inc();
            return true;
        }
        let told = |alert: &&Alert| way.send_resolved || !alert.is_resolved_at(batch.now_ms);
        let alerts: Vec<Alert> = batch.alerts.iter().filter(told).cloned().collect();
        let brought = !alerts.is_empty();
        if brought && !self.bring(batch, alerts, way, config, deadline).await {
            return false;
        }
        let entry = NotificationEntry {
            firing,
            resolved,
            sent_ms: batch.now_ms,
        };
        let expires_ms = batch.now_ms.saturating_add(repeat_ms.saturating_mul(2));
        self.remember(batch.group_key.clone(), receiver, entry, expires_ms)
            .await;
        // Only what is remembered counts as told.
        if brought {
            self.health.note(&batch.receiver, &name, |health| {
                health.sent += 1;
                health.arrived(time::now_ms());
            });
        }
        true
    }

    /// Brings a message and notes how that went; whether it arrived.
    async fn bring(
        &self,
        batch: &Batch,
        alerts: Vec<Alert>,
        way: &Integration,
        config: &Arc<Config>,
        deadline: Instant,
    ) -> bool {
        let (receiver, name) = (&*batch.receiver, way.name());
        let started = Instant::now();
        self.health
            .note(receiver, &name, |health| health.pending += 1);
        let pending = Pending {
            health: &self.health,
            receiver,
            way: &name,
        };
        let missed = |error: &str| {
            self.metrics.retries.inc();
            self.health.note(receiver, &name, |health| {
                health.retries += 1;
                health.missed(error, time::now_ms());
            });
        };
        let result = match self.prepare(batch, alerts, way, config).await {
            Ok(outgoing) => {
                let client = self.clients.client(&way.http);
                deliver(&client, &outgoing, way.timeout, deadline, missed).await
            }
            Err(error) => Err(error),
        };
        drop(pending);
        self.metrics
            .notification_seconds
            .inc_by(started.elapsed().as_secs_f64());
        match result {
            Ok(_) => {
                self.metrics.notifications.inc();
                true
            }
            Err(error) => {
                self.metrics.notifications_failed.inc();
                tracing::error!(
                    receiver,
                    way = name,
                    group = batch.group_key,
                    error,
                    "cannot notify"
                );
                self.health.note(receiver, &name, |health| {
                    health.failed += 1;
                    health.missed(&error, time::now_ms());
                });
                false
            }
        }
    }

    /// Writes a message, on a blocking thread: templates cost time, secrets lie in files.
    pub(super) async fn prepare(
        &self,
        batch: &Batch,
        alerts: Vec<Alert>,
        way: &Integration,
        config: &Arc<Config>,
    ) -> Result<Outgoing, String> {
        let (batch, channel, config) = (batch.clone(), way.channel.clone(), config.clone());
        let external_url = self.external_url.clone();
        let evidence = self.evidence.get().cloned();
        let work = spawn_blocking(move || {
            let alerts: Vec<&Alert> = alerts.iter().collect();
            let mut data = message::data(&batch, &alerts, &external_url);
            // Of the first that fires: a message about many has room for one.
            let is_over = |alert: &&&Alert| alert.is_resolved_at(batch.now_ms);
            let firing = alerts.iter().find(|alert| !is_over(alert));
            let first = firing.or(alerts.first());
            let known = first.zip(evidence).and_then(|(alert, of)| {
                // Whoever knows more may fail; that there is an alert must be told all the same.
                catch_unwind(AssertUnwindSafe(|| of(alert))).unwrap_or_else(|_| {
                    tracing::error!(receiver = %batch.receiver, "looking for evidence panicked");
                    None
                })
            });
            // How it began is no news once it is over.
            let shown = known.map(|known| match firing {
                Some(_) => known,
                None => known.only_url(),
            });
            if let Some(shown) = &shown {
                data.more = vec![("Evidence", shown.value())];
            }
            let message = Message::new(&data, &batch.group_key, batch.now_ms, &config.wording);
            let message = message.with_evidence(shown.as_ref());
            channel.prepare(&message)
        });
        match work.await {
            Ok(result) => result,
            Err(error) => Err(format!("writing the message failed: {error}")),
        }
    }

    async fn remembered(&self, group_key: &str, receiver: &str) -> Option<NotificationEntry> {
        let (state, key, name) = (
            self.state.clone(),
            group_key.to_owned(),
            receiver.to_owned(),
        );
        let result = spawn_blocking(move || state.entry(&key, &name)).await;
        let error = match result {
            Ok(Ok(entry)) => return entry,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        // Told twice is better than not at all.
        self.metrics.state_failures.inc();
        tracing::error!(receiver, error, "cannot read the notification log");
        None
    }

    async fn remember(
        &self,
        group_key: String,
        receiver: String,
        entry: NotificationEntry,
        expires_ms: i64,
    ) {
        let state = self.state.clone();
        let name = receiver.clone();
        let result =
            spawn_blocking(move || state.put_entry(&group_key, &name, &entry, expires_ms)).await;
        let error = match result {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.metrics.state_failures.inc();
        tracing::error!(
            receiver,
            error,
            "cannot write the notification log, this may be told again"
        );
    }
}

/// A message that is on its way, however its task ends.
struct Pending<'a> {
    health: &'a Health,
    receiver: &'a str,
    way: &'a str,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.health.note(self.receiver, self.way, |health| {
            health.pending = health.pending.saturating_sub(1);
        });
    }
}

/// A batch that is under way. However its task ends, the dispatcher hears of it.
pub(super) struct Done {
    pub(super) notifier: Arc<Notifier>,
    pub(super) batch: Batch,
    pub(super) told: bool,
}

impl Drop for Done {
    fn drop(&mut self) {
        self.notifier.dispatcher.lock().done(&self.batch, self.told);
        self.notifier.changed.notify_one();
    }
}
