//! Keeps one loop per target running, and tells what the targets are doing.
//!
//! [`Scraper::apply`] checks a plan and notes it; [`Scraper::run`] starts, changes and stops loops
//! until they are what the plan says. A target is recognised by its name, which is made of job,
//! address and labels: one that both plans have goes on undisturbed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use model::{SampleSink, ScrapeTarget};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{self, GlobalConfig, ScrapeConfig};
use crate::http::{Clients, PageBudget};
use crate::local::LocalTarget;
use crate::metrics::Metrics;
use crate::scrape_loop::{self, Orders, Shared};
use crate::target::{self, TargetSpec};
use crate::{ScrapeError, local};

/// How long a loop that has panicked stays away.
const LOOPS_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// What is to be scraped.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What holds for all jobs.
    pub global: GlobalConfig,
    /// Jobs over the network.
    pub scrape_configs: Vec<ScrapeConfig>,
    /// Targets inside the process.
    pub locals: Vec<LocalTarget>,
}

/// The scraper. One per process; [`Scraper::run`] is its only task.
pub struct Scraper {
    shared: Arc<Shared>,
    wanted: Mutex<Wanted>,
    changed: Notify,
    /// What each running target shows, by name. Locked only to look up or change the list.
    shown: Mutex<BTreeMap<String, Arc<Mutex<ScrapeTarget>>>>,
}

/// The plan as targets.
#[derive(Default)]
struct Wanted {
    global: GlobalConfig,
    clients: Clients,
    jobs: Vec<(ScrapeConfig, Vec<Arc<TargetSpec>>)>,
    locals: Vec<(LocalTarget, Arc<TargetSpec>)>,
}

/// A loop that runs.
struct Running {
    spec: watch::Sender<Arc<TargetSpec>>,
    removed: CancellationToken,
    task: JoinHandle<()>,
}

impl Scraper {
    /// Makes a scraper that scrapes nothing yet.
    pub fn new(sink: Arc<dyn SampleSink>, metrics: Metrics) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            shared: Arc::new(Shared {
                sink,
                metrics,
                budget: PageBudget::default(),
                readers: Arc::new(Semaphore::new(cores)),
            }),
            wanted: Mutex::default(),
            changed: Notify::new(),
            shown: Mutex::default(),
        }
    }

    /// Takes a plan, at the start and at each reload. Targets that were there before in the same
    /// form go on undisturbed; of those that are gone all series end.
    ///
    /// # Errors
    /// `Config` names job and key; the plan before stays in force.
    pub fn apply(&self, plan: Plan) -> Result<(), ScrapeError> {
        config::check(&plan.global, &plan.scrape_configs)?;
        for local in &plan.locals {
            if local.interval.is_zero() {
                let reason = "it cannot be 0";
                return Err(ScrapeError::config(&local.job, "scrape_interval", reason));
            }
        }
        let mut wanted = self.wanted.lock();
        let wanted = &mut *wanted;
        // Labels for receivers of alerts make no difference to a scrape.
        let comparable = |global: &GlobalConfig| GlobalConfig {
            external_labels: BTreeMap::new(),
            ..global.clone()
        };
        let same_global = comparable(&wanted.global) == comparable(&plan.global);
        let mut jobs = Vec::with_capacity(plan.scrape_configs.len());
        for job in plan.scrape_configs {
            let known = wanted
                .jobs
                .iter()
                .find(|(old, _)| same_global && *old == job);
            let targets = if let Some((_, targets)) = known {
                targets.clone()
            } else {
                let client = wanted.clients.of_job(&plan.global, &job);
                target::of_job(&plan.global, &job, &client)?
            };
            jobs.push((job, targets));
        }
        wanted.jobs = jobs;
        wanted.global = plan.global;
        wanted.clients.forget_unused();
        let old = std::mem::take(&mut wanted.locals);
        let locals = plan.locals.into_iter().map(|local| {
            let known = old.iter().find(|(old, _)| old.is_same(&local));
            let spec = known.map_or_else(|| Arc::new(local.spec()), |(_, spec)| spec.clone());
            (local, spec)
        });
        wanted.locals = locals.collect();
        self.changed.notify_one();
        Ok(())
    }

    /// Scrapes until it is cancelled.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let mut running: HashMap<String, Running> = HashMap::new();
        loop {
            self.reconcile(&mut running, &cancel).await;
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.changed.notified() => {}
                // A loop that has panicked is started again.
                () = tokio::time::sleep(LOOPS_CHECK_INTERVAL) => {}
            }
        }
        for (name, loop_) in running {
            self.await_end(&name, loop_.task).await;
        }
    }

    /// What all targets are doing, by job and then by name.
    pub fn targets(&self) -> Vec<ScrapeTarget> {
        let shown = self.shown.lock();
        shown.values().map(|target| target.lock().clone()).collect()
    }

    /// Starts, changes and stops loops until they are what the plan says.
    async fn reconcile(&self, running: &mut HashMap<String, Running>, stop: &CancellationToken) {
        let wanted: HashMap<String, Arc<TargetSpec>> = {
            let wanted = self.wanted.lock();
            let targets = wanted.jobs.iter().flat_map(|(_, targets)| targets);
            let locals = wanted.locals.iter().map(|(_, spec)| spec);
            let all = targets.chain(locals);
            all.map(|spec| (spec.name.clone(), spec.clone())).collect()
        };
        // The old ones end before new ones begin: a name must not be opened before it is closed.
        let gone: Vec<String> = running
            .iter()
            .filter(|(name, loop_)| !wanted.contains_key(*name) || loop_.task.is_finished())
            .map(|(name, _)| name.clone())
            .collect();
        let mut ending = Vec::with_capacity(gone.len());
        for name in gone {
            if let Some(loop_) = running.remove(&name) {
                loop_.removed.cancel();
                ending.push((name, loop_.task));
            }
        }
        for (name, task) in ending {
            self.await_end(&name, task).await;
            self.shown.lock().remove(&name);
        }
        for (name, spec) in wanted {
            if let Some(loop_) = running.get(&name) {
                loop_.spec.send_if_modified(|current| {
                    let changed = !Arc::ptr_eq(current, &spec);
                    *current = spec;
                    changed
                });
                continue;
            }
            let loop_ = self.start(spec, stop);
            running.insert(name, loop_);
        }
        self.shared.metrics.targets.set(running.len() as i64);
    }

    fn start(&self, spec: Arc<TargetSpec>, stop: &CancellationToken) -> Running {
        let shown = Arc::new(Mutex::new(scrape_loop::unscraped(&spec)));
        self.shown.lock().insert(spec.name.clone(), shown.clone());
        let (sender, receiver) = watch::channel(spec);
        let removed = CancellationToken::new();
        let orders = Orders {
            spec: receiver,
            removed: removed.clone(),
            stop: stop.clone(),
        };
        let task = tokio::spawn(scrape_loop::run(self.shared.clone(), orders, shown));
        Running {
            spec: sender,
            removed,
            task,
        }
    }

    async fn await_end(&self, name: &str, task: JoinHandle<()>) {
        if let Err(error) = task.await {
            self.shared.metrics.panics.inc();
            let error = local::panic_text(error);
            tracing::error!(target_name = name, error, "a scrape loop panicked");
        }
    }
}

#[cfg(test)]
#[path = "scraper_tests.rs"]
mod tests;
