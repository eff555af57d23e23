//! What asks whether something is wrong, and tells people.

use std::sync::Arc;
use std::time::Duration;

use alert_notify::{ExternalAlertmanagers, Heartbeat, Notifier, WayHealth};
use alert_rules::rehearse::{History, Rehearsal};
use alert_rules::{LogQuery, PromqlQuery, RuleManager};
use model::{Alert, SampleSink, StoreError, time};
use tokio_util::sync::CancellationToken;

use super::QUERY_TIMEOUT;
use super::stores::Stores;
use crate::budget::MemoryShares;
use crate::config::Config;
use crate::incidents::Incidents;
use crate::plugs::Remembered;
use crate::tasks::Tasks;
use crate::telemetry::OwnMetrics;

/// How often queries of log rules are looked at that may have taken too long.
const LOG_RULES_LOOK: Duration = Duration::from_secs(1);
/// How often alerts that fire are compared with the incidents that are open.
const INCIDENTS_LOOK: Duration = Duration::from_secs(1);
/// Rules that were not evaluated for so many of their intervals are in trouble.
const RULES_LATE: i64 = 5;

/// How each way of telling people is doing.
type Ways = Arc<dyn Fn() -> Vec<WayHealth> + Send + Sync>;

/// Rules, notifications, and what is remembered of both.
pub(super) struct Alerts {
    pub(super) engine: Arc<promql::Engine>,
    pub(super) rules: Arc<RuleManager>,
    pub(super) notifier: Arc<Notifier>,
    pub(super) externals: Arc<ExternalAlertmanagers>,
    pub(super) ways: Ways,
    pub(super) heartbeat: Arc<Heartbeat>,
    /// What rules are tested against.
    pub(super) history: History,
    pub(super) notified: alert_notify::Metrics,
    incidents: Arc<Incidents>,
    log_query: Arc<LogQuery>,
    /// Ends queries that are under way.
    pub(super) stopping: CancellationToken,
}

impl Alerts {
    pub(super) fn new(
        config: &Config,
        stores: &Stores,
        sink: &Arc<dyn SampleSink>,
        own: &OwnMetrics,
        external_url: &str,
    ) -> Self {
        let engine = Arc::new(promql::Engine::new(promql::Options {
            subquery_step_ms: config.prometheus.global.evaluation_interval().as_millis() as i64,
            memory_bytes_max: MemoryShares::of(config.storage.memory).query,
            ..promql::Options::default()
        }));
        let notified = own.register(alert_notify::Metrics::new);
        // With the configuration from the start: alerts from before a restart take the right
        // routes.
        let routes = config.alertmanager.clone();
        let notifier = Arc::new(Notifier::new(
            routes.unwrap_or_else(alert_notify::Config::silent),
            Arc::new(Remembered(stores.state.clone())),
            external_url.to_owned(),
            notified.clone(),
        ));
        let externals = Arc::new(ExternalAlertmanagers::new(notified.clone()));
        let stopping = CancellationToken::new();
        let rule_query = PromqlQuery::new(
            engine.clone(),
            stores.metrics.clone(),
            QUERY_TIMEOUT,
            stopping.clone(),
        );
        let log_query = Arc::new(LogQuery::new(stores.logs.clone(), QUERY_TIMEOUT));
        let rules = Arc::new(RuleManager::new(
            alert_rules::Options::default(),
            Arc::new(rule_query),
            log_query.clone(),
            sink.clone(),
            Arc::new({
                let (notifier, externals) = (notifier.clone(), externals.clone());
                let external_url = external_url.to_owned();
                move |mut alerts: Vec<Alert>| {
                    // Where a message leads: the alert's own page, which also shows its expression.
                    for alert in &mut alerts {
                        alert.generator_url =
                            format!("{external_url}/alerts/{}", alert.fingerprint());
                    }
                    externals.receive(&alerts);
                    notifier.receive(alerts);
                }
            }),
            own.register(alert_rules::Metrics::new),
        ));
        let heartbeat = Arc::new(Heartbeat::new(
            Arc::new({
                let (rules, notifier) = (rules.clone(), notifier.clone());
                move || trouble(&rules, &notifier)
            }),
            notified.clone(),
        ));
        let history = History {
            engine: engine.clone(),
            series: stores.metrics.clone(),
            timeout: QUERY_TIMEOUT,
        };
        let incidents = Arc::new(Incidents::new(
            stores.state.clone(),
            rules.clone(),
            notifier.clone(),
            history.clone(),
            stores.logs.clone(),
            external_url.to_owned(),
        ));
        notifier.tell_changes(Arc::new({
            let incidents = incidents.clone();
            move |alerts: &[Alert]| incidents.changed(alerts)
        }));
        notifier.know_evidence(Arc::new({
            let incidents = incidents.clone();
            move |alert: &Alert| incidents.evidence(alert)
        }));
        let ways: Ways = Arc::new({
            let (notifier, externals) = (notifier.clone(), externals.clone());
            move || {
                let mut ways = notifier.health();
                ways.extend(externals.health());
                ways
            }
        });
        Self {
            engine,
            rules,
            notifier,
            externals,
            ways,
            heartbeat,
            history,
            notified,
            incidents,
            log_query,
            stopping,
        }
    }

    /// Starts what watches over the rules' queries and over incidents.
    pub(super) fn keep(&self, tasks: &Tasks) {
        tasks.spawn_every("log rules", LOG_RULES_LOOK, {
            let (log_query, stopping) = (self.log_query.clone(), self.stopping.clone());
            move || {
                log_query.stop_overdue();
                if stopping.is_cancelled() {
                    log_query.stop_all();
                }
                Ok(())
            }
        });
        let incidents = self.incidents.clone();
        tasks.spawn_every("incidents", INCIDENTS_LOOK, move || {
            let kept = incidents.keep(time::now_ms());
            kept.map_err(|error| StoreError::Database(error.to_string()))
        });
    }

    /// Starts to tell people, then to evaluate rules.
    pub(super) fn start(&self, tasks: &Tasks) {
        let notifier = self.notifier.clone();
        tasks.spawn("notifications", move |cancel| notifier.clone().run(cancel));
        let externals = self.externals.clone();
        tasks.spawn("alertmanagers", move |cancel| externals.clone().run(cancel));
        let heartbeat = self.heartbeat.clone();
        tasks.spawn("heartbeat", move |cancel| heartbeat.clone().run(cancel));
        let rules = self.rules.clone();
        tasks.spawn("rules", move |cancel| rules.clone().run(cancel));
    }
}

/// When the rules of a file would have fired, and whom that would have reached.
pub(super) fn rehearse(
    rules: &RuleManager,
    notifier: &Notifier,
    history: &History,
    asked: &serve::Rehearse,
) -> Rehearsal {
    let mut done = rules.rehearse(
        history,
        (&asked.file, &asked.text),
        (asked.start_ms, asked.end_ms),
        &*asked.stop,
    );
    let config = notifier.config();
    for firing in done.rules.iter_mut().flat_map(|rule| &mut rule.firings) {
        let reached = config.reached_by(&firing.labels);
        let told = reached.iter().filter(|one| !one.ways.is_empty());
        firing.receivers = told.map(|one| one.receiver.to_string()).collect();
        firing.receivers.dedup();
    }
    done
}

/// What keeps alerts from being found or told, in a sentence; `None` while all is well.
fn trouble(rules: &RuleManager, notifier: &Notifier) -> Option<String> {
    let now_ms = time::now_ms();
    let late = rules.groups().into_iter().find(|group| {
        let patience_ms = RULES_LATE * group.interval_ms;
        group.last_evaluation_ms > 0 && now_ms - group.last_evaluation_ms > patience_ms
    });
    if let Some(group) = late {
        return Some(format!(
            "the rules of {:?} have not been evaluated for some time",
            group.name
        ));
    }
    let ways = notifier.health();
    let failing = ways.iter().find(|way| !way.last_error.is_empty())?;
    Some(format!(
        "{} of receiver {:?} does not take messages: {}",
        failing.way, failing.receiver, failing.last_error
    ))
}
