//! Puts the dispatcher on a clock and its batches on the wire.
//!
//! For each batch and each way of telling its receiver: look into the notification log whether
//! there is anything to tell; tell it, with patience; remember it after it was told, never before.
//! What a restart must know (alerts, silences) is written before the caller hears that it was
//! taken.

mod telling;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use http_client::Clients;
use model::{Alert, Labels, Matcher, time};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Reached};
use crate::dispatch::{AlertGroup, AlertView, Batch, Dispatcher};
use crate::health::{Health, WayHealth};
use crate::message::Evidence;
use crate::metrics::Metrics;
use crate::patient::Patient;
use crate::receivers::Integration;
use crate::send::{Answer, once};
use crate::silences::{KeptSilence, Silence, SilenceError};
use crate::state::{KeptAlert, Kind, NotificationState};
use telling::Done;

/// Batches that are under way at the same time. A receiver that hangs holds one of them per
/// group, so there must be enough for the others.
const BATCHES_MAX: usize = 64;

/// The longest sleep between two looks at the clock, so that one that was set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(10);

/// The pause where groups are due and their receiver is busy.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// How long messages that are on the wire may take to arrive when the process ends.
const GRACE: Duration = Duration::from_secs(1);

/// How often silences that have been over for long are forgotten.
const FORGET_EVERY_MS: i64 = 60_000;

/// The longest time that a test message may take.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// An alert that came over the API.
#[derive(Debug, Clone)]
pub struct PostedAlert {
    /// The alert; an end that nobody said is filled in by [`Notifier::post`].
    pub alert: Alert,
    /// Whether its sender said when it ends.
    pub has_end: bool,
}

/// What came of a test message.
#[derive(Debug, Clone)]
pub struct TestOutcome {
    /// The receiver.
    pub receiver: String,
    /// `slack[0]`, …
    pub way: String,
    /// What the provider said, or why it was not told, in a sentence.
    pub result: Result<Answer, String>,
}

/// Tells what is known of the beginning of an alert; may take some seconds.
pub type EvidenceOf = Arc<dyn Fn(&Alert) -> Option<Evidence> + Send + Sync>;

/// Takes alerts that have begun, are over, or say something else. Must not block.
pub type ChangesTo = Arc<dyn Fn(&[Alert]) + Send + Sync>;

/// Tells receivers about alerts.
pub struct Notifier {
    dispatcher: Mutex<Dispatcher>,
    /// One change of what is kept at a time. Taken before `dispatcher`, never within.
    keeping: Mutex<()>,
    state: Arc<Patient>,
    external_url: String,
    metrics: Metrics,
    clients: Clients,
    health: Health,
    /// Plugged in once whoever knows is there.
    evidence: OnceLock<EvidenceOf>,
    /// Plugged in once whoever wants to know is there.
    changes: OnceLock<ChangesTo>,
    changed: Notify,
    forgot_ms: Mutex<i64>,
}

impl Notifier {
    /// A notifier with the alerts and silences that `state` has kept. Receivers are told that
    /// people reach Yagura at `external_url`. The process must have a rustls crypto provider
    /// installed. Reads the state, so it blocks for a moment.
    pub fn new(
        config: Config,
        state: Arc<dyn NotificationState>,
        external_url: String,
        metrics: Metrics,
    ) -> Self {
        let mut dispatcher = Dispatcher::new(Arc::new(config));
        let now_ms = time::now_ms();
        match read_kept(&*state, now_ms) {
            Ok((silences, alerts)) => {
                dispatcher.silences.take(silences);
                dispatcher.receive(alerts, now_ms);
            }
            Err(error) => {
                metrics.state_failures.inc();
                tracing::error!(%error, "cannot read alerts and silences from before the restart");
            }
        }
        Self {
            dispatcher: Mutex::new(dispatcher),
            keeping: Mutex::new(()),
            state: Arc::new(Patient::new(state, metrics.state_failures.clone())),
            external_url,
            health: Health::new(metrics.receiver_failing.clone()),
            metrics,
            clients: Clients::default(),
            evidence: OnceLock::new(),
            changes: OnceLock::new(),
            changed: Notify::new(),
            forgot_ms: Mutex::new(0),
        }
    }

    /// Says who knows what was going on when an alert began. The first one counts.
    pub fn know_evidence(&self, evidence: EvidenceOf) {
        let _ = self.evidence.set(evidence);
    }

    /// Says who wants to hear of every change of an alert at once, however short it was. The first
    /// one counts.
    pub fn tell_changes(&self, changes: ChangesTo) {
        let _ = self.changes.set(changes);
    }

    /// Takes alerts of our own rules. May block for a disk sync.
    pub fn receive(&self, alerts: Vec<Alert>) {
        self.take(alerts.into_iter().map(|alert| (alert, false)).collect());
    }

    /// Takes alerts that were sent to the API, in whose place `resolve_timeout` counts where they
    /// have no end. May block for a disk sync.
    pub fn post(&self, alerts: Vec<PostedAlert>) {
        let timeout = self.dispatcher.lock().config().resolve_timeout;
        let timeout_ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX / 4);
        let now_ms = time::now_ms();
        let alerts = alerts.into_iter().map(|posted| {
            let mut alert = posted.alert;
            if !posted.has_end {
                alert.ends_at_ms = now_ms.saturating_add(timeout_ms);
            }
            (alert, !posted.has_end)
        });
        self.take(alerts.collect());
    }

    fn take(&self, alerts: Vec<(Alert, bool)>) {
        self.metrics.alerts_received.inc_by(alerts.len() as u64);
        let now_ms = time::now_ms();
        let keeping = self.keeping.lock();
        let (received, forgotten) = {
            let mut dispatcher = self.dispatcher.lock();
            let received = dispatcher.receive(alerts, now_ms);
            (received, dispatcher.take_forgotten())
        };
        let put: Vec<(String, String)> = received
            .news
            .iter()
            .filter_map(|(alert, timeout)| {
                let kept = KeptAlert::of(alert, *timeout, now_ms);
                let document = serde_json::to_string(&kept).ok()?;
                Some((alert.fingerprint(), document))
            })
            .collect();
        self.keep_alerts(&put, &forgotten);
        drop(keeping);
        if let Some(changes) = self.changes.get()
            && !received.news.is_empty()
        {
            let news: Vec<Alert> = received.news.into_iter().map(|(alert, _)| alert).collect();
            changes(&news);
        }
        if received.refused > 0 {
            self.metrics.alerts_refused.inc_by(received.refused as u64);
            tracing::error!(
                refused = received.refused,
                "too many alerts or groups, some will not be told"
            );
        }
        self.changed.notify_one();
    }

    /// Writes alerts; a failure is said and counted, and costs only what a restart would know.
    fn keep_alerts(&self, put: &[(String, String)], forgotten: &[Labels]) {
        // An alert that was forgotten and came again in the same moment stays.
        let remove: Vec<String> = forgotten
            .iter()
            .map(fingerprint)
            .filter(|id| !put.iter().any(|(kept, _)| kept == id))
            .collect();
        if put.is_empty() && remove.is_empty() {
            return;
        }
        if let Err(error) = self.state.change_documents(Kind::Alert, put, &remove) {
            self.metrics.state_failures.inc();
            tracing::error!(%error, "cannot keep alerts, a restart may lose or repeat some");
        }
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

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.dispatcher.lock().config().clone()
    }

    /// All groups with the alerts in them that fire.
    pub fn groups(&self) -> Vec<AlertGroup> {
        self.dispatcher.lock().groups(time::now_ms())
    }

    /// All alerts that fire.
    pub fn alerts(&self) -> Vec<AlertView> {
        self.dispatcher.lock().alerts(time::now_ms())
    }

    /// Why what alerting must remember cannot be written, and since when, milliseconds since
    /// 1970-01-01 UTC. Until then it is kept in memory.
    pub fn state_trouble(&self) -> Option<(String, i64)> {
        self.state.trouble()
    }

    /// How each receiver is doing.
    pub fn health(&self) -> Vec<WayHealth> {
        let config = self.config();
        self.health.of(&config)
    }

    /// All silences, also those that are over.
    pub fn silences(&self) -> Vec<Silence> {
        self.dispatcher.lock().silences.all().cloned().collect()
    }

    /// A silence by its id.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn silence(&self, id: &str) -> Result<Silence, SilenceError> {
        self.dispatcher.lock().silences.get(id).cloned()
    }

    /// Makes a silence (empty id) or changes one; returns its id, which may be a new one. It is on
    /// disk when this returns.
    ///
    /// # Errors
    /// It is not valid, unknown, one too many, or cannot be kept.
    pub fn set_silence(&self, silence: Silence) -> Result<String, SilenceError> {
        let plan = |dispatcher: &Dispatcher| dispatcher.silences.plan_set(silence, time::now_ms());
        self.change_silences(plan)
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// It is not there, over already, or this cannot be kept.
    pub fn expire_silence(&self, id: &str) -> Result<(), SilenceError> {
        let plan = |dispatcher: &Dispatcher| dispatcher.silences.plan_expire(id, time::now_ms());
        self.change_silences(plan).map(drop)
    }

    fn change_silences(
        &self,
        plan: impl FnOnce(&Dispatcher) -> Result<Vec<Silence>, SilenceError>,
    ) -> Result<String, SilenceError> {
        let _keeping = self.keeping.lock();
        let change = plan(&self.dispatcher.lock())?;
        let not_kept = |error: String| SilenceError::NotKept(error);
        let mut put = Vec::new();
        for silence in &change {
            let document = serde_json::to_string(&KeptSilence::of(silence));
            put.push((
                silence.id.clone(),
                document.map_err(|e| not_kept(e.to_string()))?,
            ));
        }
        self.state
            .change_documents(Kind::Silence, &put, &[])
            .map_err(|error| {
                self.metrics.state_failures.inc();
                not_kept(error.to_string())
            })?;
        let id = change.last().map(|silence| silence.id.clone());
        self.dispatcher.lock().silences.take(change);
        Ok(id.unwrap_or_default())
    }

    /// Which of the alerts that fire some matchers mean.
    pub fn matching(&self, matchers: &[Matcher]) -> Vec<AlertView> {
        let mut alerts = self.alerts();
        alerts.retain(|view| {
            matchers
                .iter()
                .all(|m| m.matches_labels(&view.alert.labels))
        });
        alerts
    }

    /// The receivers that an alert with these labels would reach.
    pub fn reached_by(&self, labels: &Labels) -> Vec<Reached> {
        self.config().reached_by(labels)
    }

    /// Sends a test message to a receiver in each of its ways, once, whatever is silenced. The
    /// alert has these labels, or those of a made-up one where there are none.
    ///
    /// # Errors
    /// There is no such receiver, or it is told in no way.
    pub async fn test(&self, receiver: &str, labels: Labels) -> Result<Vec<TestOutcome>, String> {
        let config = self.config();
        let Some((name, found)) = config.receivers.get_key_value(receiver) else {
            return Err(format!("there is no receiver {receiver:?}"));
        };
        if found.integrations.is_empty() {
            return Err(format!("the receiver {receiver:?} is told in no way"));
        }
        let batch = Batch::of_test(name.clone(), &labels, time::now_ms());
        let ways = found.integrations.iter().map(|way| async {
            TestOutcome {
                receiver: name.to_string(),
                way: way.name(),
                result: self.test_one(&batch, way, &config).await,
            }
        });
        Ok(join_all(ways).await)
    }

    async fn test_one(
        &self,
        batch: &Batch,
        way: &Integration,
        config: &Arc<Config>,
    ) -> Result<Answer, String> {
        let outgoing = self
            .prepare(batch, batch.alerts.clone(), way, config)
            .await?;
        let client = self.clients.client(&way.http);
        let limit = way.timeout.unwrap_or(TEST_TIMEOUT).min(TEST_TIMEOUT);
        once(&client, &outgoing, limit).await
    }

    /// Tells receivers until it is cancelled; messages that are on the wire then get a second to
    /// arrive.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let mut under_way: JoinSet<()> = JoinSet::new();
        loop {
            let wait = self.start_due(&mut under_way);
            self.forget().await;
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
            let done = Done {
                notifier: self.clone(),
                batch,
                told: false,
            };
            under_way.spawn(self.clone().tell(done, config.clone()));
        }
        if under_way.len() >= BATCHES_MAX {
            return SLEEP_MAX;
        }
        let until = |at: i64| Duration::from_millis((at - now_ms).max(0) as u64);
        match next_due_ms.map(until) {
            None => SLEEP_MAX,
            Some(Duration::ZERO) => BUSY_PAUSE,
            Some(wait) => wait.min(SLEEP_MAX),
        }
    }

    /// Writes down which alerts are gone, and forgets old silences.
    async fn forget(self: &Arc<Self>) {
        let now_ms = time::now_ms();
        let is_time = {
            let mut forgot_ms = self.forgot_ms.lock();
            let is_time = (now_ms - *forgot_ms).abs() >= FORGET_EVERY_MS;
            if is_time {
                *forgot_ms = now_ms;
            }
            is_time
        };
        let is_idle = !is_time && !self.dispatcher.lock().has_forgotten();
        if is_idle && self.state.trouble().is_none() {
            return;
        }
        let this = self.clone();
        let work = spawn_blocking(move || {
            let _keeping = this.keeping.lock();
            this.state.try_again();
            let (alerts, silences, firing, quiet) = {
                let mut dispatcher = this.dispatcher.lock();
                let silences = dispatcher.silences.forget(now_ms);
                let (firing, quiet) = dispatcher.count(now_ms);
                (dispatcher.take_forgotten(), silences, firing, quiet)
            };
            this.metrics.alerts.set(firing as i64);
            this.metrics.alerts_suppressed.set(quiet as i64);
            this.keep_alerts(&[], &alerts);
            if !silences.is_empty()
                && let Err(error) = this.state.change_documents(Kind::Silence, &[], &silences)
            {
                this.metrics.state_failures.inc();
                tracing::error!(%error, "cannot forget old silences");
            }
        });
        if let Err(error) = work.await {
            tracing::error!(%error, "forgetting old alerts failed");
        }
    }
}

/// The key of an alert's document.
fn fingerprint(labels: &Labels) -> String {
    Alert {
        labels: labels.clone(),
        annotations: Labels::empty(),
        starts_at_ms: 0,
        ends_at_ms: 0,
        generator_url: String::new(),
    }
    .fingerprint()
}

/// What was kept before a restart: silences, alerts and whether their ends are time-outs.
type Kept = (Vec<Silence>, Vec<(Alert, bool)>);

fn read_kept(state: &dyn NotificationState, now_ms: i64) -> Result<Kept, String> {
    let documents = |kind| state.documents(kind).map_err(|error| error.to_string());
    let damaged = |what: &str, id: &str, error: &dyn std::fmt::Display| {
        tracing::error!(id, %error, "a kept {what} is damaged and left out");
    };
    let mut silences = Vec::new();
    for (id, text) in documents(Kind::Silence)? {
        let kept = serde_json::from_str::<KeptSilence>(&text).map_err(|e| e.to_string());
        match kept.and_then(|kept| kept.read(id.clone())) {
            Ok(silence) => silences.push(silence),
            Err(error) => damaged("silence", &id, &error),
        }
    }
    let mut alerts = Vec::new();
    for (id, text) in documents(Kind::Alert)? {
        match serde_json::from_str::<KeptAlert>(&text) {
            Ok(kept) => alerts.push(kept.read(now_ms)),
            Err(error) => damaged("alert", &id, &error),
        }
    }
    Ok((silences, alerts))
}
