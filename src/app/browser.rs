//! What pages and APIs may ask of the other parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alert_rules::Source;
use metric_push::Gateway;
use model::{Labels, time};
use serve::Services;
use tokio::sync::Semaphore;

use super::QUERY_TIMEOUT;
use super::alerts::{Alerts, rehearse};
use super::collectors::Collectors;
use super::stores::Stores;
use crate::address::host_of;
use crate::backup::Backup;
use crate::config::Config;
use crate::inputs;
use crate::live::Live;
use crate::status::StatusSource;
use crate::telemetry::OwnMetrics;

/// PromQL queries of browsers and APIs at the same time; Prometheus allows 20 on larger machines.
const QUERIES_MAX: usize = 8;

/// The parts that are asked.
pub(super) struct Asked<'a> {
    pub(super) config: &'a Config,
    /// Where people reach it.
    pub(super) external_url: &'a str,
    pub(super) own: &'a OwnMetrics,
    pub(super) stores: &'a Stores,
    pub(super) alerts: &'a Alerts,
    pub(super) collectors: &'a Collectors,
    pub(super) gateway: &'a Arc<Gateway>,
    pub(super) live: &'a Arc<Live>,
    pub(super) status: StatusSource,
    /// Whether everything has been started.
    pub(super) ready: &'a Arc<AtomicBool>,
}

/// Plugs them in.
pub(super) fn services(asked: Asked<'_>) -> Services {
    let Asked {
        config,
        external_url,
        own,
        stores,
        alerts,
        collectors,
        gateway,
        live,
        status,
        ready,
    } = asked;
    let (rules, notifier) = (&alerts.rules, &alerts.notifier);
    let (scraper, tail, receiver) = (&collectors.scraper, &collectors.tail, &collectors.receiver);
    let over_http = config.receive.http;
    Services {
        series: stores.metrics.clone(),
        series_admin: stores.metrics.clone(),
        admin_api: config.admin_api,
        copying: Arc::new(Semaphore::new(1)),
        snapshot: Arc::new({
            let backup = Backup {
                data: status.data.clone(),
                metrics: stores.metrics.clone(),
                logs: stores.logs.clone(),
                state: stores.state.clone(),
            };
            move || {
                let made = backup.snapshot(time::now_ms());
                made.map_err(|error| format!("{error:#}"))
            }
        }),
        logs: stores.logs.clone(),
        engine: alerts.engine.clone(),
        state: stores.state.clone(),
        rule_missing: Arc::new({
            let rules = rules.clone();
            move |source, expression: &str, start_ms, end_ms| {
                let languages = rules.languages();
                let query = match source {
                    Source::Metrics => languages.metrics,
                    Source::Logs => languages.logs,
                };
                let found = query.missing(expression, start_ms, end_ms);
                // An expression that is wrong has its error in its evaluation.
                let found = found.unwrap_or_default();
                found.iter().map(ToString::to_string).collect()
            }
        }),
        rehearse: Arc::new({
            let (rules, notifier) = (rules.clone(), notifier.clone());
            let history = alerts.history.clone();
            move |asked: &serve::Rehearse| rehearse(&rules, &notifier, &history, asked)
        }),
        rule_groups: Arc::new({
            let rules = rules.clone();
            move || rules.groups()
        }),
        notifier: notifier.clone(),
        notify_health: alerts.ways.clone(),
        scrape_targets: Arc::new({
            let scraper = scraper.clone();
            move || scraper.targets()
        }),
        dropped_targets: Arc::new({
            let scraper = scraper.clone();
            move || scraper.dropped()
        }),
        dropped_counts: Arc::new({
            let scraper = scraper.clone();
            move || scraper.dropped_counts()
        }),
        discoveries: Arc::new({
            let scraper = scraper.clone();
            move || scraper.discoveries()
        }),
        relabel_steps: Arc::new({
            let scraper = scraper.clone();
            move |job: &str, discovered: &Labels| scraper.relabel_steps(job, discovered)
        }),
        log_sources: Arc::new({
            let (tail, receiver) = (tail.clone(), receiver.clone());
            move || inputs::sources(tail.sources(), &receiver)
        }),
        receiver: over_http.then(|| receiver.clone()),
        samples: over_http.then(|| collectors.samples.clone()),
        gateway: over_http.then(|| gateway.clone()),
        import: over_http.then(|| inputs::import_lines(&stores.metrics)),
        log_collector: Arc::new({
            let tail = tail.clone();
            move || tail.collector()
        }),
        status: Arc::new(move || status.report()),
        metrics_text: Arc::new({
            let own = own.clone();
            move || own.text()
        }),
        reload: Arc::new({
            let live = live.clone();
            move || live.reload()
        }),
        ready: Arc::new({
            let ready = ready.clone();
            move || ready.load(Ordering::Relaxed)
        }),
        // Who follows a link in a message must be let in.
        allowed_hosts: config
            .allowed_hosts
            .iter()
            .cloned()
            .chain(host_of(external_url))
            .collect(),
        query_timeout: QUERY_TIMEOUT,
        query_slots: Arc::new(Semaphore::new(QUERIES_MAX)),
        metrics: own.register(serve::Metrics::new),
    }
}
