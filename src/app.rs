//! Builds every part, starts them in order, and stops them in reverse: collectors first, stores
//! last.

mod alerts;
mod browser;
mod collectors;
mod stores;

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use metric_push::Gateway;
use model::{SampleSink, time};
use parking_lot::Mutex;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tracing::info;

use self::alerts::Alerts;
use self::browser::Asked;
use self::collectors::{Collectors, local_targets};
use self::stores::Stores;
use crate::address;
use crate::backup;
use crate::cli::ServeArgs;
use crate::config::Config;
use crate::inputs;
use crate::live::{Live, Parts};
use crate::log_counts::LogCounts;
use crate::plugs::PushedGroups;
use crate::status::StatusSource;
use crate::tasks::Tasks;
use crate::telemetry::{self, OwnMetrics};

/// All tasks together have this long to stop; what is late is named and abandoned. Sealing the
/// stores comes after it.
const STOP_WITHIN: Duration = Duration::from_millis(1_500);
/// How often it is looked whether log lines are to be counted into the metric store, which is
/// done once per scrape interval.
const COUNTS_LOOK: Duration = Duration::from_secs(1);
/// How often it is looked whether someone has pushed metrics for the first time.
const PUSHED_LOOK: Duration = Duration::from_secs(1);
/// How often it is looked what the journal of network inputs needs.
const INPUTS_LOOK: Duration = Duration::from_secs(1);
/// A query that takes longer is given up; Prometheus' `query.timeout`.
const QUERY_TIMEOUT: Duration = Duration::from_mins(2);

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
    let bound = listener.local_addr()?;
    let external_url = address::external_url(config.external_url.as_deref(), bound);
    let own = OwnMetrics::new();
    let tasks = Arc::new(Tasks::default());

    backup::remove_leftovers(&data);
    let stores = Arc::new(Stores::open(&config, &data, &own)?);
    stores.keep(&tasks);
    // Whatever writes samples writes to the store, and by the way to the remotes.
    let sink: Arc<dyn SampleSink> = stores.tee.clone();
    let alerts = Alerts::new(&config, &stores, &sink, &own, &external_url);
    alerts.keep(&tasks);
    let collectors = Collectors::new(&config, &data, &stores, &sink, &own)?;
    let live = Arc::new(Live::start(
        args.clone(),
        &config,
        Parts {
            tee: stores.tee.clone(),
            scraper: collectors.scraper.clone(),
            log_rules: collectors.log_rules.clone(),
            rules: alerts.rules.clone(),
            notifier: alerts.notifier.clone(),
            externals: alerts.externals.clone(),
            heartbeat: alerts.heartbeat.clone(),
            locals: local_targets(&own, bound),
            external_url: external_url.clone(),
        },
    )?);
    let gateway = Arc::new(Gateway::open(
        Arc::new(PushedGroups(stores.state.clone())),
        metric_push::Limits::default(),
        own.register(metric_push::Metrics::new),
    )?);
    tasks.spawn_every("pushed metrics", PUSHED_LOOK, {
        let (gateway, live) = (gateway.clone(), live.clone());
        let is_target = Arc::new(AtomicBool::new(false));
        // Nobody's first look should be at a target without anything to say.
        move || {
            if !gateway.is_empty() && !is_target.swap(true, Ordering::Relaxed) {
                live.add_local(inputs::pushed(&gateway, bound));
            }
            Ok(())
        }
    });
    let counts = own.register(|registry| LogCounts::new(sink.clone(), registry));
    let counts = Arc::new(Mutex::new(counts));
    tasks.spawn_every("log counts", COUNTS_LOOK, {
        let (logs, live) = (stores.logs.clone(), live.clone());
        move || {
            let (now_ms, mut counts) = (time::now_ms(), counts.lock());
            if counts.is_due(now_ms, live.own_interval()) {
                counts.tell(logs.counts(), now_ms)?;
            }
            Ok(())
        }
    });
    // Only now: what waits in the journal goes through the rules that `live` has loaded.
    tasks.spawn_every("network inputs", INPUTS_LOOK, {
        let (receiver, logs) = (collectors.receiver.clone(), stores.logs.clone());
        move || inputs::maintain(&receiver, &logs)
    });

    let ready = Arc::new(AtomicBool::new(false));
    let services = Arc::new(browser::services(Asked {
        config: &config,
        external_url: &external_url,
        own: &own,
        stores: &stores,
        alerts: &alerts,
        collectors: &collectors,
        gateway: &gateway,
        live: &live,
        status: StatusSource {
            started_ms,
            data,
            listen: bound.to_string(),
            config_file: config.file.clone(),
            storage: config.storage.clone(),
            live: live.clone(),
            tasks: tasks.clone(),
            budget: stores.budget.clone(),
            logs: stores.logs.clone(),
            metrics: stores.metrics.clone(),
            tail: collectors.tail.clone(),
            notified: alerts.notified.clone(),
            notifier: alerts.notifier.clone(),
            ways: alerts.ways.clone(),
            heartbeat: alerts.heartbeat.clone(),
        },
        ready: &ready,
    }));

    let tee = stores.tee.clone();
    tasks.spawn("remote write", move |cancel| tee.clone().run(cancel));
    alerts.start(&tasks);
    let listener = Arc::new(listener);
    tasks.spawn("web", move |cancel| {
        let (listener, services) = (listener.clone(), services.clone());
        async move { serve::run(&listener, services, cancel).await }
    });
    collectors.start(&tasks);
    ready.store(true, Ordering::Relaxed);

    say(&format!(
        "Yagura is at http://{}, following {}, scraping {}, {} alert rules",
        address::local(bound),
        collectors.tail.summary(),
        collectors.scraper.summary(),
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
    alerts.stopping.cancel();
    tasks.stop(Instant::now() + STOP_WITHIN).await;
    tokio::task::spawn_blocking(move || stores.close())
        .await
        .context("the stores did not close")?
        .context("the metric store did not close")?;
    info!("stopped");
    Ok(())
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

/// The one line on standard output. A closed pipe is no reason not to run.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
