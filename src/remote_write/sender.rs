//! Empties a remote's queue.
//!
//! In rounds: as many samples are read as the shards take, each series goes to the shard of its
//! hash so that its samples stay in order, the shards send at the same time, and when all have
//! arrived the queue is told. There are as many shards as what waits fills, within the bounds.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http_client::{Client, Clients, HttpClientError};
use model::{Labels, StoreError};
use parking_lot::RwLock;
use reqwest::{Method, StatusCode, header};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Metrics;
use crate::config::{V1, V2};
use crate::encode::{self, Families};
use crate::queue::Item;
use crate::remotes::Remote;

/// The longest pause that a remote may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);
/// How long to wait after the queue could not be read or written.
const QUEUE_PAUSE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const REASON_BYTES_MAX: u64 = 64 << 10;
/// Characters of an answer that are shown.
const REASON_CHARS_MAX: usize = 300;

/// See the head of this file.
pub(crate) struct Sender {
    remote: Arc<Remote>,
    families: Arc<RwLock<Families>>,
    client: Arc<Client>,
}

/// What became of a request.
enum Outcome {
    Arrived,
    /// Never again.
    Refused(String),
    /// Later, perhaps after a pause that the remote has named.
    Later(String, Option<Duration>),
}

impl Sender {
    pub(crate) fn new(remote: Arc<Remote>, families: Arc<RwLock<Families>>) -> Self {
        let client = Clients::default().client(&remote.config.http_client());
        Self {
            remote,
            families,
            client,
        }
    }

    /// Sends until it is cancelled. What did not arrive by then is sent after the next start.
    pub(crate) async fn run(self: Arc<Self>, cancel: CancellationToken) {
        while let Err(error) = self.rounds(&cancel).await {
            let remote = &self.remote.settings.name;
            tracing::error!(%error, remote, "cannot use the queue of a remote, trying again");
            tokio::select! {
                () = cancel.cancelled() => return,
                () = sleep(QUEUE_PAUSE) => {}
            }
        }
    }

    async fn rounds(&self, cancel: &CancellationToken) -> Result<(), StoreError> {
        let settings = &self.remote.settings;
        // A round that a failure has ended did not arrive as a whole.
        self.remote.queue.lock().rewind();
        let mut metadata_due = Instant::now() + settings.deadline;
        loop {
            let round = settings.batch_samples * settings.shards_max;
            let (items, position, damaged) = {
                let remote = self.remote.clone();
                let read = tokio::task::spawn_blocking(move || remote.queue.lock().read(round));
                read.await
                    .map_err(|error| StoreError::Database(error.to_string()))??
            };
            let label = Metrics::of(&settings.name);
            let metrics = &self.remote.metrics;
            metrics.queue_damaged.get_or_create(&label).inc_by(damaged);
            let few = items.len() < settings.batch_samples;
            if !items.is_empty() {
                tokio::select! {
                    () = self.round(items) => {}
                    () = cancel.cancelled() => return Ok(()),
                }
                self.remote.queue.lock().commit(position)?;
            }
            if let Some(every) = settings.metadata_every
                && !settings.is_v2
                && Instant::now() >= metadata_due
            {
                metadata_due = Instant::now() + every;
                tokio::select! {
                    () = self.tell_families() => {}
                    () = cancel.cancelled() => return Ok(()),
                }
            }
            if few {
                // Others may come along until the deadline.
                tokio::select! {
                    () = cancel.cancelled() => return Ok(()),
                    () = sleep(settings.deadline) => {}
                }
            }
        }
    }

    /// Sends some items; returns when each has arrived or was given up for good.
    async fn round(&self, mut items: Vec<(Labels, Item)>) {
        let settings = &self.remote.settings;
        let label = Metrics::of(&settings.name);
        if let Some(age) = settings.age_max {
            let oldest_ms = model::time::now_ms() - age.as_millis() as i64;
            let before = items.len();
            items.retain(|(_, item)| item.time_ms() >= oldest_ms);
            let dropped = (before - items.len()) as u64;
            self.remote
                .metrics
                .dropped
                .get_or_create(&label)
                .inc_by(dropped);
        }
        let wanted = items.len().div_ceil(settings.batch_samples);
        let shards = wanted.clamp(settings.shards_min, settings.shards_max);
        self.remote
            .metrics
            .shards
            .get_or_create(&label)
            .set(shards as i64);
        let mut parts: Vec<Vec<(Labels, Item)>> = vec![Vec::new(); shards];
        for (labels, item) in items {
            let shard = (labels.fingerprint() % shards as u64) as usize;
            if let Some(part) = parts.get_mut(shard) {
                part.push((labels, item));
            }
        }
        join_all(parts.iter().map(|part| self.shard(part))).await;
    }

    async fn shard(&self, items: &[(Labels, Item)]) {
        let settings = &self.remote.settings;
        for batch in items.chunks(settings.batch_samples) {
            let message = if settings.is_v2 {
                encode::v2(batch, &self.families.read())
            } else {
                encode::v1(batch)
            };
            let newest_ms = batch.iter().map(|(_, item)| item.time_ms()).max();
            self.deliver(&message, batch.len() as u64, newest_ms).await;
        }
    }

    async fn tell_families(&self) {
        let families = self.families.read().clone();
        let all: Vec<_> = families.iter().collect();
        for batch in all.chunks(self.remote.settings.metadata_batch) {
            let message = encode::v1_metadata(batch.iter().copied());
            self.deliver(&message, 0, None).await;
        }
    }

    /// Sends a request until it arrives or is refused.
    async fn deliver(&self, message: &[u8], n: u64, newest_ms: Option<i64>) {
        let settings = &self.remote.settings;
        let metrics = &self.remote.metrics;
        let label = Metrics::of(&settings.name);
        let Ok(body) = snap::raw::Encoder::new().compress_vec(message) else {
            // Only what is larger than 4 GiB cannot be packed.
            metrics.refused.get_or_create(&label).inc_by(n);
            return;
        };
        let mut pause = settings.backoff_min;
        let mut failures = 0u64;
        loop {
            match self.attempt(&body).await {
                Outcome::Arrived => {
                    metrics.sent.get_or_create(&label).inc_by(n);
                    if let Some(newest_ms) = newest_ms {
                        let newest = metrics.newest_sent_seconds.get_or_create(&label);
                        newest.set(newest_ms / 1000);
                    }
                    if failures > 0 {
                        info!(remote = settings.name, failures, "samples arrive again");
                    }
                    return;
                }
                Outcome::Refused(why) => {
                    metrics.refused.get_or_create(&label).inc_by(n);
                    warn!(
                        remote = settings.name,
                        samples = n,
                        why,
                        "a remote refuses samples, in part perhaps"
                    );
                    return;
                }
                Outcome::Later(why, after) => {
                    metrics.retries.get_or_create(&label).inc();
                    if failures == 0 {
                        warn!(
                            remote = settings.name,
                            why, "samples do not arrive, trying again"
                        );
                    }
                    failures += 1;
                    sleep(after.unwrap_or(pause).min(RETRY_AFTER_MAX)).await;
                    pause = (pause * 2)
                        .min(settings.backoff_max)
                        .max(Duration::from_millis(1));
                }
            }
        }
    }

    async fn attempt(&self, body: &[u8]) -> Outcome {
        let settings = &self.remote.settings;
        match timeout(settings.timeout, self.request(body)).await {
            Err(_) => Outcome::Later(
                format!("no answer within {} s", settings.timeout.as_secs_f64()),
                None,
            ),
            Ok(Err(error)) => Outcome::Later(error.to_string(), None),
            Ok(Ok(outcome)) => outcome,
        }
    }

    async fn request(&self, body: &[u8]) -> Result<Outcome, HttpClientError> {
        let settings = &self.remote.settings;
        let url = &settings.url;
        let (kind, version) = if settings.is_v2 {
            (V2, "2.0.0")
        } else {
            (V1, "0.1.0")
        };
        let mut request = self.client.request(Method::POST, url).await?;
        for (name, value) in &settings.headers {
            request = request.header(name, value);
        }
        let request = request
            .header(header::CONTENT_ENCODING, "snappy")
            .header(
                header::USER_AGENT,
                concat!("yagura/", env!("CARGO_PKG_VERSION")),
            )
            .header("X-Prometheus-Remote-Write-Version", version);
        let request = if settings.is_v2 {
            request.header(
                header::CONTENT_TYPE,
                format!("application/x-protobuf;proto={kind}"),
            )
        } else {
            request.header(header::CONTENT_TYPE, "application/x-protobuf")
        };
        let response = request.body(body.to_vec()).send().await;
        let response = response.map_err(|error| HttpClientError::of_request(&error, url))?;
        let status = response.status();
        if status.is_success() {
            return Ok(Outcome::Arrived);
        }
        let after = response.headers().get(header::RETRY_AFTER);
        let after = after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let answer = http_client::read_body(response, url, REASON_BYTES_MAX).await;
        let answer = answer.unwrap_or_default();
        let answer = String::from_utf8_lossy(&answer);
        let reason: String = answer.trim().chars().take(REASON_CHARS_MAX).collect();
        let why = format!("{status}: {reason}");
        Ok(
            if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                Outcome::Later(why, after.map(Duration::from_secs))
            } else {
                Outcome::Refused(why)
            },
        )
    }
}
