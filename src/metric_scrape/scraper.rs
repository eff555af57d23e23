//! Keeps one loop per target running, and tells what the targets are doing.
//!
//! [`Scraper::apply`] checks a plan and notes it; [`Scraper::run`] starts, changes and stops loops
//! until they are what the plan says. A target is recognised by its name, which is made of job,
//! address and labels: one that both plans have goes on undisturbed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use http_client::Clients;
use model::{DiscoveryState, DroppedTarget, Labels, RelabelStep, SampleSink, ScrapeTarget};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{self, GlobalConfig, ScrapeConfig};
use crate::discovery::{self, Discovery, Found};
use crate::http::PageBudget;
use crate::local::LocalTarget;
use crate::metrics::Metrics;
use crate::scrape_loop::{self, Orders, Shared};
use crate::target::{Job, JobTargets, TargetSpec};
use crate::{ScrapeError, local};

/// How long a loop that has panicked stays away.
const LOOPS_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// What is to be scraped.
#[derive(Clone, Default)]
pub struct Plan {
    /// What holds for all jobs.
    pub global: GlobalConfig,
    /// Jobs over the network.
    pub scrape_configs: Vec<ScrapeConfig>,
    /// Targets inside the process.
    pub locals: Vec<LocalTarget>,
    /// Mechanisms of other rooms that find targets, each with the name of the job that they are
    /// for. One that two plans share (the same `Arc`) goes on undisturbed.
    pub discoveries: Vec<(String, Arc<dyn Discovery>)>,
}

/// The scraper. One per process; [`Scraper::run`] is its only task.
pub struct Scraper {
    shared: Arc<Shared>,
    wanted: Mutex<Wanted>,
    changed: Arc<Notify>,
    /// What each running target shows, by name. Locked only to look up or change the list.
    shown: Mutex<BTreeMap<String, Arc<Mutex<ScrapeTarget>>>>,
}

/// The plan as targets.
#[derive(Default)]
struct Wanted {
    global: GlobalConfig,
    clients: Clients,
    jobs: Vec<WantedJob>,
    locals: Vec<(LocalTarget, Arc<TargetSpec>)>,
}

/// A job of the plan and what is known of its targets.
struct WantedJob {
    job: Job,
    /// What looks for its targets, and what each has found.
    discoveries: Vec<(Arc<dyn Discovery>, Found)>,
    targets: JobTargets,
}

/// A discovery that runs; it ends when this is dropped.
struct Looking {
    discovery: Arc<dyn Discovery>,
    _task: tokio_util::task::AbortOnDropHandle<()>,
}

/// A loop that runs.
struct Running {
    spec: watch::Sender<Arc<TargetSpec>>,
    removed: CancellationToken,
    task: JoinHandle<()>,
}

/// A job of a new plan: the one of before, by its name, or a new one.
enum JobOrPlace {
    Known(String),
    New(Box<WantedJob>),
}

impl WantedJob {
    /// Whether the mechanisms of other rooms are these.
    fn is_looked_for_by(&self, given: &[Arc<dyn Discovery>]) -> bool {
        let own = self.discoveries.len().saturating_sub(given.len());
        let ours = self.job.config.file_sd_configs.len()
            + self.job.config.http_sd_configs.len()
            + self.job.config.dns_sd_configs.len();
        let theirs = self
            .discoveries
            .iter()
            .skip(own)
            .map(|(discovery, _)| discovery);
        own == ours && theirs.zip(given).all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

impl Wanted {
    /// Targets that were there before in the same form go on undisturbed.
    fn take_locals(&mut self, locals: Vec<LocalTarget>) {
        let old = std::mem::take(&mut self.locals);
        let locals = locals.into_iter().map(|local| {
            let known = old.iter().find(|(old, _)| old.is_same(&local));
            let spec = known.map_or_else(|| Arc::new(local.spec()), |(_, spec)| spec.clone());
            (local, spec)
        });
        self.locals = locals.collect();
    }
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
            changed: Arc::default(),
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
        for config in &plan.scrape_configs {
            let given = plan.discoveries.iter();
            let given: Vec<Arc<dyn Discovery>> = given
                .filter(|(job, _)| *job == config.job_name)
                .map(|(_, discovery)| discovery.clone())
                .collect();
            let known = wanted.jobs.iter().find(|old| {
                same_global && old.job.config == *config && old.is_looked_for_by(&given)
            });
            jobs.push(match known {
                Some(known) => JobOrPlace::Known(known.job.config.job_name.clone()),
                None => JobOrPlace::New(self.new_job(&plan.global, config, given, wanted)?),
            });
        }
        // All are good: now the plan may change.
        let mut old = std::mem::take(&mut wanted.jobs);
        for job in jobs {
            match job {
                JobOrPlace::New(job) => wanted.jobs.push(*job),
                JobOrPlace::Known(name) => {
                    let place = old.iter().position(|o| o.job.config.job_name == name);
                    wanted
                        .jobs
                        .extend(place.map(|place| old.swap_remove(place)));
                }
            }
        }
        wanted.global = plan.global;
        wanted.take_locals(plan.locals);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes another list of targets inside the process; jobs go on as they are.
    pub fn apply_locals(&self, locals: Vec<LocalTarget>) {
        self.wanted.lock().take_locals(locals);
        self.changed.notify_one();
    }

    fn new_job(
        &self,
        global: &GlobalConfig,
        config: &ScrapeConfig,
        given: Vec<Arc<dyn Discovery>>,
        wanted: &Wanted,
    ) -> Result<Box<WantedJob>, ScrapeError> {
        let job = Job::new(global, config, &wanted.clients)?;
        let of_before = wanted
            .jobs
            .iter()
            .find(|old| old.job.config.job_name == config.job_name);
        let own = discovery::of_job(config, &wanted.clients);
        let discoveries: Vec<_> = own
            .into_iter()
            .chain(given)
            .map(|discovery| {
                // What looked in the same place before knows the targets: they go on until the
                // new one has looked.
                let known = of_before.and_then(|old| {
                    let mut known = old.discoveries.iter();
                    known.find(|(old, _)| old.name() == discovery.name())
                });
                let found = known.map_or_else(
                    || Found::new(self.changed.clone(), self.shared.metrics.clone()),
                    |(_, found)| found.clone(),
                );
                (discovery, found)
            })
            .collect();
        let before = of_before.map_or(&[][..], |old| &old.targets.targets);
        let groups: Vec<_> = discoveries
            .iter()
            .map(|(_, found)| found.groups())
            .collect();
        let targets = job.targets(&groups, before);
        if let Some(problem) = targets.problems.first()
            && discoveries.is_empty()
        {
            return Err(ScrapeError::config(
                &config.job_name,
                "static_configs",
                problem,
            ));
        }
        Ok(Box::new(WantedJob {
            job,
            discoveries,
            targets,
        }))
    }

    /// Scrapes until it is cancelled.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let mut running: HashMap<String, Running> = HashMap::new();
        let mut looking: Vec<Looking> = Vec::new();
        loop {
            self.look(&mut looking);
            self.reconcile(&mut running, &cancel).await;
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.changed.notified() => {}
                // A loop that has panicked is started again.
                () = tokio::time::sleep(LOOPS_CHECK_INTERVAL) => {}
            }
        }
        drop(looking);
        for (name, loop_) in running {
            self.await_end(&name, loop_.task).await;
        }
    }

    /// Starts and stops discoveries until they are what the plan says, and makes targets of what
    /// they have found.
    fn look(&self, looking: &mut Vec<Looking>) {
        let mut wanted = self.wanted.lock();
        let all = wanted.jobs.iter().flat_map(|job| &job.discoveries);
        let all: Vec<_> = all.cloned().collect();
        looking.retain(|running| {
            all.iter()
                .any(|(discovery, _)| Arc::ptr_eq(discovery, &running.discovery))
        });
        for (discovery, found) in all {
            if looking
                .iter()
                .any(|running| Arc::ptr_eq(&running.discovery, &discovery))
            {
                continue;
            }
            let task = tokio::spawn(discovery.clone().run(found));
            looking.push(Looking {
                discovery,
                _task: tokio_util::task::AbortOnDropHandle::new(task),
            });
        }
        for job in &mut wanted.jobs {
            if job.discoveries.is_empty() {
                continue;
            }
            let groups: Vec<_> = job.discoveries.iter().map(|(_, f)| f.groups()).collect();
            job.targets = job.job.targets(&groups, &job.targets.targets);
        }
    }

    /// What all targets are doing, by job and then by name.
    pub fn targets(&self) -> Vec<ScrapeTarget> {
        let shown = self.shown.lock();
        shown.values().map(|target| target.lock().clone()).collect()
    }

    /// What the plan has, in words for the first line of the log: `3 targets`, `2 targets and
    /// those that 1 discovery finds`.
    pub fn summary(&self) -> String {
        let wanted = self.wanted.lock();
        let listed: usize = wanted
            .jobs
            .iter()
            .map(|job| job.targets.targets.len())
            .sum();
        let looking: usize = wanted.jobs.iter().map(|job| job.discoveries.len()).sum();
        let targets = match listed + wanted.locals.len() {
            1 => "1 target".to_owned(),
            count => format!("{count} targets"),
        };
        match looking {
            0 => targets,
            1 => format!("{targets} and those that 1 discovery finds"),
            count => format!("{targets} and those that {count} discoveries find"),
        }
    }

    /// Targets that relabelling drops, by job; of each job so many as are kept.
    pub fn dropped(&self) -> Vec<DroppedTarget> {
        let wanted = self.wanted.lock();
        let jobs = wanted.jobs.iter();
        jobs.flat_map(|job| job.targets.dropped.iter().cloned())
            .collect()
    }

    /// How many targets relabelling drops, by job.
    pub fn dropped_counts(&self) -> BTreeMap<String, usize> {
        let wanted = self.wanted.lock();
        let jobs = wanted.jobs.iter();
        jobs.map(|job| (job.job.config.job_name.clone(), job.targets.dropped_count))
            .collect()
    }

    /// Where targets are looked for, and what was found; an error also names targets that were
    /// found and cannot be asked.
    pub fn discoveries(&self) -> Vec<DiscoveryState> {
        let wanted = self.wanted.lock();
        let mut states = Vec::new();
        for job in &wanted.jobs {
            for (discovery, found) in &job.discoveries {
                let mut state = found.state(&job.job.config.job_name, discovery.name());
                if let Some(problem) = job.targets.problems.first()
                    && state.error.is_empty()
                {
                    state.error.clone_from(problem);
                }
                states.push(state);
            }
        }
        states
    }

    /// What `relabel_configs` of a job do to a target with these labels, rule by rule; nothing for
    /// a job that is not there.
    pub fn relabel_steps(&self, job: &str, discovered: &Labels) -> Vec<RelabelStep> {
        let wanted = self.wanted.lock();
        let known = wanted
            .jobs
            .iter()
            .find(|known| known.job.config.job_name == job);
        known.map_or_else(Vec::new, |known| known.job.relabel_steps(discovered))
    }

    /// Starts, changes and stops loops until they are what the plan says.
    async fn reconcile(&self, running: &mut HashMap<String, Running>, stop: &CancellationToken) {
        let wanted: HashMap<String, Arc<TargetSpec>> = {
            let wanted = self.wanted.lock();
            let targets = wanted.jobs.iter().flat_map(|job| &job.targets.targets);
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
