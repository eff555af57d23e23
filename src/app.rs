//! Builds every part, starts them in order, and stops them in reverse: collectors first, stores
//! last.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alert_notify::{ExternalAlertmanagers, Heartbeat, Notifier};
use alert_rules::{LogQuery, PromqlQuery, RuleManager, Source};
use anyhow::Context;
use log_rules::LogRules;
use log_store::LogStore;
use log_tail::LogTail;
use metric_host::HostCollector;
use metric_push::Gateway;
use metric_scrape::{LocalSource, LocalTarget, Scraper};
use metric_store::MetricStore;
use model::{SampleSink, StoreError, time};
use parking_lot::Mutex;
use receive::SampleReceiver;
use remote_write::Tee;
use serve::Services;
use state_store::StateStore;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::backup::Backup;
use crate::budget::{DiskBudget, MemoryShares, explain_failed_start};
use crate::cli::ServeArgs;
use crate::config::Config;
use crate::incidents::Incidents;
use crate::inputs;
use crate::live::{Live, OWN_INTERVAL, Parts};
use crate::log_counts::LogCounts;
use crate::plugs::{PushedGroups, Remembered};
use crate::status::StatusSource;
use crate::tasks::Tasks;
use crate::telemetry::{self, OwnMetrics};

/// All tasks together have this long to stop; what is late is named and abandoned. Sealing the
/// stores comes after it.
const STOP_WITHIN: Duration = Duration::from_millis(1_500);
/// The metric journal is synced this often: a power loss takes at most this much.
const JOURNAL_SYNC: Duration = Duration::from_secs(1);
/// How often stores look whether something is to be sealed or dropped.
const MAINTENANCE: Duration = Duration::from_secs(1);
/// The metric store seals every two hours; looking costs a walk over its targets.
const METRIC_MAINTENANCE: Duration = Duration::from_secs(30);
/// How often it is looked whether log lines are to be counted into the metric store, which is
/// done once per scrape interval.
const COUNTS_LOOK: Duration = Duration::from_secs(1);

/// How often it is looked whether someone has pushed metrics for the first time.
const PUSHED_LOOK: Duration = Duration::from_secs(1);

/// How often queries of log rules are looked at that may have taken too long.
const LOG_RULES_LOOK: Duration = Duration::from_secs(1);
/// How often the disk budget is looked at.
const BUDGET: Duration = Duration::from_secs(15);
/// A query that takes longer is given up; Prometheus' `query.timeout`.
const QUERY_TIMEOUT: Duration = Duration::from_mins(2);
/// Rules that were not evaluated for so many of their intervals are in trouble.
const RULES_LATE: i64 = 5;
/// PromQL queries of browsers and APIs at the same time; Prometheus allows 20 on larger machines.
const QUERIES_MAX: usize = 8;

/// Runs until a signal ends it.
pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    telemetry::start_logging(args.log.as_deref());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("yagura")
        .build()
        .context("cannot start the async runtime")?;
    let result = runtime.block_on(serve(args));
    // A blocking call that hangs (a dead network mount, say) must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

async fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let started_ms = time::now_ms();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // The one TLS stack of the process. A second call would fail, and there is none.
    let _ = rustls::crypto::ring::default_provider().install_default();

    let config = Config::load(args)?;
    let data = prepare_data(&config.data)?;
    let listener = TcpListener::bind(&config.listen)
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let external_url = crate::address::external_url(config.external_url.as_deref(), address);
    let own = OwnMetrics::new();
    let tasks = Arc::new(Tasks::default());
    let shares = MemoryShares::of(config.storage.memory);

    crate::backup::remove_leftovers(&data);

    // Stores.
    let state = StateStore::open(data.join("state.db"));
    let state = Arc::new(state.map_err(|error| explain_failed_start(&data, error))?);
    let metrics = MetricStore::open(
        &data.join("metrics"),
        metric_store::Config {
            retention: config.storage.metrics,
            rollup_retention: config.storage.metrics_5m,
            hourly_retention: config.storage.metrics_1h,
            series_per_target_max: config.storage.series_per_target_max,
            disk_bytes_max: config.storage.disk,
            memory_bytes_max: shares.metrics,
            ..metric_store::Config::default()
        },
        own.register(metric_store::Metrics::new),
        time::now_ms(),
    );
    let metrics = Arc::new(metrics.map_err(|error| explain_failed_start(&data, error))?);
    let logs = LogStore::open(
        &data.join("logs"),
        log_store::Config {
            retention: config.storage.logs,
            disk_bytes_max: config.storage.disk,
            open_bytes_max: shares.log_buffers,
            ..log_store::Config::default()
        },
        own.register(log_store::Metrics::new),
        time::now_ns(),
    );
    let logs = Arc::new(logs.map_err(|error| explain_failed_start(&data, error))?);
    let received = own.register(receive::Metrics::new);
    // Whatever writes samples writes to the store, and by the way to the remotes.
    let tee = Arc::new(Tee::new(
        metrics.clone(),
        &data.join("remote_write"),
        config.storage.remote_write_queue,
        own.register(remote_write::Metrics::new),
    ));
    let sink: Arc<dyn SampleSink> = tee.clone();

    let budget = Arc::new(own.register(|registry| {
        DiskBudget::new(
            config.storage.disk,
            data.clone(),
            logs.clone(),
            metrics.clone(),
            tee.clone(),
            received.journal_bytes.clone(),
            registry,
        )
    }));
    let stores = (metrics.clone(), logs.clone());
    tasks.spawn_every("metric journal", JOURNAL_SYNC, {
        let metrics = metrics.clone();
        move || metrics.sync()
    });
    tasks.spawn_every("metric store", METRIC_MAINTENANCE, {
        let metrics = metrics.clone();
        move || metrics.maintain(time::now_ms())
    });
    tasks.spawn_every("log store", MAINTENANCE, {
        let logs = logs.clone();
        move || logs.maintain(time::now_ns())
    });
    tasks.spawn_every("disk budget", BUDGET, {
        let budget = budget.clone();
        move || {
            budget.keep();
            Ok(())
        }
    });

    // Alerting.
    let engine = Arc::new(promql::Engine::new(promql::Options {
        subquery_step_ms: config.prometheus.global.evaluation_interval().as_millis() as i64,
        memory_bytes_max: shares.query,
        ..promql::Options::default()
    }));
    let stopping = CancellationToken::new();
    let notified = own.register(alert_notify::Metrics::new);
    // With the configuration from the start: alerts from before a restart take the right routes.
    let notifier = Arc::new(Notifier::new(
        config
            .alertmanager
            .clone()
            .unwrap_or_else(alert_notify::Config::silent),
        Arc::new(Remembered(state.clone())),
        external_url.clone(),
        notified.clone(),
    ));
    let externals = Arc::new(ExternalAlertmanagers::new(notified.clone()));
    let rule_query = Arc::new(PromqlQuery::new(
        engine.clone(),
        metrics.clone(),
        QUERY_TIMEOUT,
        stopping.clone(),
    ));
    let log_query = Arc::new(LogQuery::new(logs.clone(), QUERY_TIMEOUT));
    tasks.spawn_every("log rules", LOG_RULES_LOOK, {
        let (log_query, stopping) = (log_query.clone(), stopping.clone());
        move || {
            log_query.stop_overdue();
            if stopping.is_cancelled() {
                log_query.stop_all();
            }
            Ok(())
        }
    });
    let rules = Arc::new(RuleManager::new(
        alert_rules::Options::default(),
        rule_query,
        log_query,
        sink.clone(),
        Arc::new({
            let (notifier, externals) = (notifier.clone(), externals.clone());
            let external_url = external_url.clone();
            move |mut alerts: Vec<model::Alert>| {
                // Where a message leads: the alert's own page, which also shows its expression.
                for alert in &mut alerts {
                    alert.generator_url = format!("{external_url}/alerts/{}", alert.fingerprint());
                }
                externals.receive(&alerts);
                notifier.receive(alerts);
            }
        }),
        own.register(alert_rules::Metrics::new),
    ));

    // Collectors.
    let scraper = Arc::new(Scraper::new(
        sink.clone(),
        own.register(metric_scrape::Metrics::new),
    ));
    // Whatever is collected comes to the store through the processing rules.
    let log_rules = Arc::new(LogRules::new(
        logs.clone(),
        own.register(log_rules::Metrics::new),
    ));
    let tail = Arc::new(LogTail::new(
        log_tail::Config {
            globs: config.logs.files.clone(),
            exclude: exclude_own(&config, &data),
            read: config.logs.read.clone(),
            open_files_max: config.logs.open_files,
            since_ns: made_ns(&data.join("logs")),
            host: Some(host_name()),
            ..log_tail::Config::default()
        },
        log_rules.clone(),
        own.register(log_tail::Metrics::new),
    )?);
    let receiver = config
        .receive
        .open(&data, log_rules.clone(), logs.clone(), received);
    let receiver = receiver.map_err(|error| explain_failed_start(&data, error))?;
    let samples = Arc::new(SampleReceiver::new(
        sink.clone(),
        receiver.limits().clone(),
        receiver.room().clone(),
        own.register(receive::SampleMetrics::new),
    ));
    let syslog = config.syslog.bind()?;
    let heartbeat = Arc::new(Heartbeat::new(
        Arc::new({
            let (rules, notifier) = (rules.clone(), notifier.clone());
            move || trouble(&rules, &notifier)
        }),
        notified.clone(),
    ));
    let live = Arc::new(Live::start(
        args.clone(),
        &config,
        Parts {
            tee: tee.clone(),
            scraper: scraper.clone(),
            log_rules,
            rules: rules.clone(),
            notifier: notifier.clone(),
            externals: externals.clone(),
            heartbeat: heartbeat.clone(),
            locals: local_targets(&own, address),
            external_url: external_url.clone(),
        },
    )?);

    let gateway = Arc::new(Gateway::open(
        Arc::new(PushedGroups(state.clone())),
        metric_push::Limits::default(),
        own.register(metric_push::Metrics::new),
    )?);
    tasks.spawn_every("pushed metrics", PUSHED_LOOK, {
        let (gateway, live) = (gateway.clone(), live.clone());
        let is_target = Arc::new(AtomicBool::new(false));
        // Nobody's first look should be at a target without anything to say.
        move || {
            if !gateway.is_empty() && !is_target.swap(true, Ordering::Relaxed) {
                live.add_local(inputs::pushed(&gateway, address));
            }
            Ok(())
        }
    });

    let counts = own.register(|registry| LogCounts::new(sink.clone(), registry));
    let counts = Arc::new(Mutex::new(counts));
    tasks.spawn_every("log counts", COUNTS_LOOK, {
        let (logs, live) = (logs.clone(), live.clone());
        move || {
            let (now_ms, mut counts) = (time::now_ms(), counts.lock());
            if counts.is_due(now_ms, live.own_interval()) {
                counts.tell(logs.counts(), now_ms)?;
            }
            Ok(())
        }
    });

    let history = alert_rules::rehearse::History {
        engine: engine.clone(),
        series: metrics.clone(),
        timeout: QUERY_TIMEOUT,
    };

    let incidents = Arc::new(Incidents::new(
        state.clone(),
        rules.clone(),
        notifier.clone(),
        history.clone(),
        logs.clone(),
        external_url.clone(),
    ));
    notifier.know_evidence(Arc::new({
        let incidents = incidents.clone();
        move |alert: &model::Alert| incidents.evidence(alert)
    }));
    notifier.tell_changes(Arc::new({
        let incidents = incidents.clone();
        move |alerts: &[model::Alert]| incidents.changed(alerts)
    }));
    tasks.spawn_every("incidents", MAINTENANCE, move || {
        let kept = incidents.keep(time::now_ms());
        kept.map_err(|error| StoreError::Database(error.to_string()))
    });

    // The browser's side.
    let ready = Arc::new(AtomicBool::new(false));
    let ways: Arc<dyn Fn() -> Vec<alert_notify::WayHealth> + Send + Sync> = Arc::new({
        let (notifier, externals) = (notifier.clone(), externals.clone());
        move || {
            let mut ways = notifier.health();
            ways.extend(externals.health());
            ways
        }
    });
    let status = Arc::new(StatusSource {
        started_ms,
        data: data.clone(),
        listen: address.to_string(),
        config_file: config.file.clone(),
        storage: config.storage.clone(),
        live: live.clone(),
        tasks: tasks.clone(),
        budget,
        logs: logs.clone(),
        metrics: metrics.clone(),
        tail: tail.clone(),
        notified,
        notifier: notifier.clone(),
        ways: ways.clone(),
        heartbeat: heartbeat.clone(),
    });
    // Only now: what waits in the journal goes through the rules that `live` has loaded.
    tasks.spawn_every("network inputs", MAINTENANCE, {
        let (receiver, logs) = (receiver.clone(), logs.clone());
        move || inputs::maintain(&receiver, &logs)
    });
    let services = Arc::new(Services {
        series_admin: metrics.clone(),
        admin_api: config.admin_api,
        copying: Arc::new(Semaphore::new(1)),
        snapshot: Arc::new({
            let backup = Backup {
                data: data.clone(),
                metrics: metrics.clone(),
                logs: logs.clone(),
                state: state.clone(),
            };
            move || {
                let made = backup.snapshot(time::now_ms());
                made.map_err(|error| format!("{error:#}"))
            }
        }),
        series: metrics,
        logs,
        engine,
        state,
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
            move |asked: &serve::Rehearse| {
                let mut done = rules.rehearse(
                    &history,
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
        }),
        rule_groups: Arc::new({
            let rules = rules.clone();
            move || rules.groups()
        }),
        notifier: notifier.clone(),
        notify_health: ways,
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
            move |job: &str, discovered: &model::Labels| scraper.relabel_steps(job, discovered)
        }),
        log_sources: Arc::new({
            let (tail, receiver) = (tail.clone(), receiver.clone());
            move || inputs::sources(tail.sources(), &receiver)
        }),
        receiver: config.receive.http.then(|| receiver.clone()),
        samples: config.receive.http.then_some(samples),
        gateway: config.receive.http.then(|| gateway.clone()),
        import: config.receive.http.then(|| inputs::import_lines(&stores.0)),
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
            .chain(crate::address::host_of(&external_url))
            .collect(),
        query_timeout: QUERY_TIMEOUT,
        query_slots: Arc::new(Semaphore::new(QUERIES_MAX)),
        metrics: own.register(serve::Metrics::new),
    });

    tasks.spawn("remote write", move |cancel| tee.clone().run(cancel));
    tasks.spawn("notifications", move |cancel| notifier.clone().run(cancel));
    tasks.spawn("alertmanagers", move |cancel| externals.clone().run(cancel));
    tasks.spawn("heartbeat", move |cancel| heartbeat.clone().run(cancel));
    tasks.spawn("rules", move |cancel| rules.clone().run(cancel));
    let listener = Arc::new(listener);
    tasks.spawn("web", move |cancel| {
        let (listener, services) = (listener.clone(), services.clone());
        async move { serve::run(&listener, services, cancel).await }
    });
    if !syslog.is_empty() {
        tasks.spawn("syslog", move |cancel| {
            receive::syslog::run(receiver.clone(), syslog.clone(), cancel)
        });
    }
    let targets = scraper.summary();
    tasks.spawn("scraper", move |cancel| scraper.clone().run(cancel));
    let summary = tail.summary();
    tasks.spawn_thread("log collector", move |cancel| tail.run(&cancel));
    ready.store(true, Ordering::Relaxed);

    say(&format!(
        "Yagura is at http://{}, following {summary}, scraping {targets}, {} alert rules",
        crate::address::local(address),
        live.report().rules
    ));

    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => {
                let live = live.clone();
                // The outcome is on the Status page and in the log.
                let _ = tokio::task::spawn_blocking(move || live.reload()).await;
            }
        }
    }
    info!("stopping");
    ready.store(false, Ordering::Relaxed);
    stopping.cancel();
    tasks.stop(Instant::now() + STOP_WITHIN).await;
    tokio::task::spawn_blocking(move || {
        let (metrics, logs) = stores;
        // A seal that fails costs only time: the files are read again.
        if let Err(error) = logs.seal() {
            error!(%error, "cannot seal the log buffers");
        }
        logs.close();
        metrics.close()
    })
    .await
    .context("the stores did not close")?
    .context("the metric store did not close")?;
    info!("stopped");
    Ok(())
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

/// Creates the data folder, readable for nobody else: logs hold what they hold.
fn prepare_data(data: &Path) -> anyhow::Result<std::path::PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(data)
        .with_context(|| format!("cannot create the data folder {}", data.display()))?;
    data.canonicalize()
        .with_context(|| format!("cannot use the data folder {}", data.display()))
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
fn local_targets(own: &OwnMetrics, address: SocketAddr) -> Vec<LocalTarget> {
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

/// The one line on standard output. A closed pipe is no reason not to run.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
