//! Puts the groups on a clock.
//!
//! 1. `apply` takes the groups as they are now; those that did not change go on undisturbed,
//!    changed ones inherit their predecessor's state, and the series of those that are gone are
//!    ended a little later.
//! 2. `run` sleeps until a group is due and evaluates it on a blocking thread, a few groups at a
//!    time.
//! 3. Afterwards the group's snapshot is replaced, so that pages never wait for an evaluation,
//!    and its alerts are handed on.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use model::{Alert, Labels, SampleSink, time};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::group::{Evaluation, Group, World};
use crate::metrics::Metrics;
use crate::query::{Languages, RuleQuery};
use crate::rehearse::{self, History, Rehearsal};
use crate::schedule::Schedule;
use crate::snapshot::{AlertState, GroupSnapshot, RuleKind};
use crate::spec::{GroupSpec, RuleSpec};

/// The longest sleep between two looks at the clock.
const MAX_SLEEP: Duration = Duration::from_mins(1);

/// Hands alerts on to whoever tells people about them. Called from blocking threads; must not
/// wait.
pub type Tell = Arc<dyn Fn(Vec<Alert>) + Send + Sync>;

/// Settings of rule evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Added to alerts that leave the house (where they have no label of the name), and seen by
    /// templates.
    pub external_labels: Labels,
    /// Where people reach Yagura, for links in alerts.
    pub external_url: String,
    /// For groups that name no interval.
    pub evaluation_interval: Duration,
    /// How long before its evaluation a group asks that says nothing of it itself.
    pub query_offset: Duration,
    /// Alerts that fire are told again after this time.
    pub resend_delay: Duration,
    /// Alerts with a shorter `for` are not restored after a restart, and a restored one waits at
    /// least so long.
    pub for_grace_period: Duration,
    /// How long the process may have been away for `for` to be restored.
    pub outage_tolerance: Duration,
    /// Groups that are evaluated at the same time.
    pub concurrency: usize,
}

/// Prometheus' defaults.
impl Default for Options {
    fn default() -> Self {
        Self {
            external_labels: Labels::empty(),
            external_url: String::new(),
            evaluation_interval: Duration::from_mins(1),
            query_offset: Duration::ZERO,
            resend_delay: Duration::from_mins(1),
            for_grace_period: Duration::from_mins(10),
            outage_tolerance: Duration::from_hours(1),
            concurrency: 2,
        }
    }
}

/// A group as evaluations use it. Lock order: `work`, then `snapshot`.
struct Cell {
    spec: Arc<GroupSpec>,
    schedule: Schedule,
    interval_ms: i64,
    /// Held during an evaluation.
    work: Mutex<Work>,
    /// Held for a copy only.
    snapshot: RwLock<GroupSnapshot>,
    /// Alerts in the snapshot that are pending.
    pending: AtomicI64,
    /// Alerts in the snapshot that fire.
    firing: AtomicI64,
}

struct Work {
    /// `None` once a successor has taken it over.
    group: Option<Group>,
    /// The group before a reload, whose state is still to be taken over because it was being
    /// evaluated.
    predecessor: Option<Arc<Cell>>,
}

impl Work {
    /// Takes over the predecessor's state; waits for its evaluation to end.
    fn settle(&mut self) {
        if let Some(before) = self.predecessor.take() {
            let mut old = before.work.lock();
            old.settle();
            if let (Some(group), Some(old)) = (&mut self.group, old.group.take()) {
                group.inherit(old);
            }
        }
    }
}

/// A group's place on the clock.
struct Entry {
    cell: Arc<Cell>,
    /// When it is due, milliseconds since 1970-01-01 UTC.
    due_ms: i64,
    running: bool,
    /// It is gone: what is due is the end of its series.
    closing: bool,
}

#[derive(Default)]
struct Clock {
    entries: Vec<Entry>,
    /// Whether groups were ever applied: the first ones restore what was pending.
    started: bool,
}

/// Evaluates groups of rules on a clock.
pub struct RuleManager {
    options: RwLock<Arc<Options>>,
    metrics_query: Arc<dyn RuleQuery>,
    logs_query: Arc<dyn RuleQuery>,
    sink: Arc<dyn SampleSink>,
    notify: Tell,
    metrics: Metrics,
    clock: Mutex<Clock>,
    changed: Notify,
}

impl RuleManager {
    /// A manager without groups; rules ask `metrics_query` or `logs_query`.
    pub fn new(
        options: Options,
        metrics_query: Arc<dyn RuleQuery>,
        logs_query: Arc<dyn RuleQuery>,
        sink: Arc<dyn SampleSink>,
        notify: Tell,
        metrics: Metrics,
    ) -> Self {
        Self {
            options: RwLock::new(Arc::new(normal(options))),
            metrics_query,
            logs_query,
            sink,
            notify,
            metrics,
            clock: Mutex::new(Clock::default()),
            changed: Notify::new(),
        }
    }

    /// Who answers rules.
    pub fn languages(&self) -> Languages<'_> {
        Languages {
            metrics: &*self.metrics_query,
            logs: &*self.logs_query,
        }
    }

    /// Evaluates a rule file over the kept history, with the settings in force. Blocks; nothing is
    /// stored and nobody is told.
    pub fn rehearse(
        &self,
        history: &History,
        (file, text): (&str, &str),
        (start_ms, end_ms): (i64, i64),
        stop: &dyn Fn() -> bool,
    ) -> Rehearsal {
        let options = self.options.read().clone();
        let plan = rehearse::Plan {
            file,
            text,
            start_ms,
            end_ms,
            interval_ms: options.evaluation_interval.as_millis() as i64,
            external_labels: &options.external_labels,
            external_url: &options.external_url,
        };
        rehearse::rehearse(&plan, history, &*self.logs_query, stop)
    }

    /// Replaces the settings; a new evaluation interval holds for groups from the next `apply`.
    pub fn configure(&self, options: Options) {
        *self.options.write() = Arc::new(normal(options));
    }

    /// Replaces all groups. Those that did not change go on as they are; alerts of changed ones
    /// are kept where the rule's name and labels are the same. Returns at once.
    pub fn apply(&self, specs: Vec<GroupSpec>) {
        let now_ms = time::now_ms();
        let default_ms = self.options.read().evaluation_interval.as_millis() as i64;
        let namesakes = Namesakes::of(&specs);
        let mut clock = self.clock.lock();
        let restore = (!clock.started).then_some(&namesakes);
        clock.started = true;
        let mut old = std::mem::take(&mut clock.entries);
        for spec in specs {
            let same = |e: &Entry| e.cell.spec.name == spec.name && e.cell.spec.file == spec.file;
            let before = old.iter().position(same).map(|i| old.remove(i));
            let unchanged = |e: &Entry| {
                *e.cell.spec == spec
                    && e.cell.interval_ms == interval_ms(&spec, default_ms)
                    && !(e.closing && e.running)
            };
            let entry = match before {
                Some(mut entry) if unchanged(&entry) => {
                    if entry.closing {
                        // Taken away by a reload, and back before its series were ended.
                        entry.closing = false;
                        entry.due_ms = entry.cell.schedule.after(now_ms);
                    }
                    entry
                }
                before => {
                    let before = before.map(|entry| entry.cell);
                    Entry::new(spec, default_ms, restore, before, now_ms)
                }
            };
            clock.entries.push(entry);
        }
        for mut gone in old {
            if !gone.closing {
                // Its alerts vanish at once; its series end later, for the same rules may come
                // back with the next reload.
                gone.closing = true;
                gone.due_ms = now_ms + 2 * gone.cell.interval_ms;
            }
            clock.entries.push(gone);
        }
        self.count(&clock);
        drop(clock);
        self.changed.notify_one();
    }

    /// Sets the gauges.
    fn count(&self, clock: &Clock) {
        let live = || clock.entries.iter().filter(|e| !e.closing).map(|e| &e.cell);
        let rules = || live().flat_map(|cell| &cell.spec.rules);
        let sum = |count: fn(&Cell) -> &AtomicI64| {
            live().map(|cell| count(cell).load(Ordering::Relaxed)).sum()
        };
        self.metrics.groups.set(live().count() as i64);
        self.metrics.rules.set(rules().count() as i64);
        self.metrics
            .rules_broken
            .set(rules().filter(|rule| rule.broken.is_some()).count() as i64);
        self.metrics.alerts_pending.set(sum(|cell| &cell.pending));
        self.metrics.alerts_firing.set(sum(|cell| &cell.firing));
    }

    /// How all groups stand, in the order in which they were applied.
    pub fn groups(&self) -> Vec<GroupSnapshot> {
        let cells: Vec<Arc<Cell>> = {
            let clock = self.clock.lock();
            let live = clock.entries.iter().filter(|e| !e.closing);
            live.map(|e| e.cell.clone()).collect()
        };
        cells
            .iter()
            .map(|cell| cell.snapshot.read().clone())
            .collect()
    }

    /// Evaluates the groups until it is cancelled. Evaluations that are under way then are waited
    /// for; the query behind them should give up when it is cancelled.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let mut running = JoinSet::new();
        loop {
            let wake_ms = self.start_due(&mut running);
            let now_ms = time::now_ms();
            // Woken at least once a minute, so that a clock that was set forward is noticed.
            let wait = wake_ms.map_or(MAX_SLEEP, |at| {
                Duration::from_millis((at - now_ms).max(0) as u64).min(MAX_SLEEP)
            });
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.changed.notified() => {}
                Some(_) = running.join_next(), if !running.is_empty() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    /// Starts the evaluations that are due, as far as there is room; returns when the next one
    /// is, or `None` when one that runs must end first.
    fn start_due(self: &Arc<Self>, running: &mut JoinSet<()>) -> Option<i64> {
        let now_ms = time::now_ms();
        let concurrency = self.options.read().concurrency;
        let mut clock = self.clock.lock();
        for entry in clock.entries.iter_mut().filter(|e| !e.running) {
            entry.mend_clock(now_ms);
        }
        // The one that has waited longest comes first.
        let mut due: Vec<usize> = (0..clock.entries.len())
            .filter(|i| {
                clock
                    .entries
                    .get(*i)
                    .is_some_and(|e| !e.running && e.due_ms <= now_ms)
            })
            .collect();
        due.sort_by_key(|i| clock.entries.get(*i).map(|e| e.due_ms));
        for i in due {
            if running.len() >= concurrency {
                return None;
            }
            if let Some(entry) = clock.entries.get_mut(i) {
                entry.running = true;
                let (manager, cell) = (self.clone(), entry.cell.clone());
                let (due_ms, closing) = (entry.due_ms, entry.closing);
                running.spawn_blocking(move || manager.work(&cell, due_ms, closing));
            }
        }
        let waiting = clock.entries.iter().filter(|e| !e.running);
        waiting.map(|e| e.due_ms).min()
    }

    /// One evaluation (or the end) of a group, on a blocking thread.
    fn work(&self, cell: &Arc<Cell>, due_ms: i64, closing: bool) {
        let done = catch_unwind(AssertUnwindSafe(|| {
            if closing {
                self.close(cell, due_ms);
            } else {
                self.evaluate(cell, due_ms);
            }
        }));
        if done.is_err() {
            self.metrics.evaluation_panics.inc();
            tracing::error!(group = %cell.spec.name, file = %cell.spec.file, "evaluation of a rule group panicked");
        }
        let mut clock = self.clock.lock();
        if closing {
            clock
                .entries
                .retain(|e| !(e.closing && Arc::ptr_eq(&e.cell, cell)));
            return;
        }
        let found = clock
            .entries
            .iter_mut()
            .find(|e| Arc::ptr_eq(&e.cell, cell));
        if let Some(entry) = found {
            entry.running = false;
            if !entry.closing {
                let (due_ms, missed) = cell.schedule.next(due_ms, time::now_ms());
                entry.due_ms = due_ms;
                self.metrics.iterations_missed.inc_by(missed);
            }
        }
        self.count(&clock);
    }

    fn evaluate(&self, cell: &Cell, due_ms: i64) {
        let options = self.options.read().clone();
        let started = Instant::now();
        let mut work = cell.work.lock();
        work.settle();
        let Some(group) = &mut work.group else {
            return;
        };
        let elapsed = || started.elapsed();
        let result = group.evaluate(due_ms, &self.world(&options, &elapsed));
        cell.publish(group.snapshot());
        // Under the group's lock, so that two evaluations cannot be told in the wrong order.
        self.tell(&options, result, started.elapsed());
    }

    fn close(&self, cell: &Cell, due_ms: i64) {
        let options = self.options.read().clone();
        let started = Instant::now();
        let mut work = cell.work.lock();
        work.settle();
        if let Some(mut group) = work.group.take()
            && let Err(error) = group.close(due_ms, &self.world(&options, &|| started.elapsed()))
        {
            tracing::warn!(group = %cell.spec.name, %error, "cannot end the series of a removed rule group");
        }
    }

    fn world<'a>(&'a self, options: &'a Options, elapsed: &'a dyn Fn() -> Duration) -> World<'a> {
        World {
            languages: self.languages(),
            query_offset_ms: options.query_offset.as_millis() as i64,
            sink: &*self.sink,
            external_labels: &options.external_labels,
            external_url: &options.external_url,
            resend_ms: options.resend_delay.as_millis() as i64,
            for_grace_ms: options.for_grace_period.as_millis() as i64,
            outage_tolerance_ms: options.outage_tolerance.as_millis() as i64,
            elapsed,
        }
    }

    fn tell(&self, options: &Options, result: Evaluation, took: Duration) {
        let metrics = &self.metrics;
        metrics.evaluations.inc_by(result.rules);
        metrics.evaluation_failures.inc_by(result.failures);
        metrics.evaluation_panics.inc_by(result.panics);
        metrics.evaluation_seconds.inc_by(took.as_secs_f64());
        metrics.samples.inc_by(result.samples);
        metrics.samples_dropped.inc_by(result.samples_dropped);
        metrics.alerts_sent.inc_by(result.alerts.len() as u64);
        if result.alerts.is_empty() {
            return;
        }
        let outside = |mut alert: Alert| {
            let mut labels = alert.labels.to_builder();
            for label in &options.external_labels {
                if labels.get(&label.name).is_none() {
                    labels.set(label.name.clone(), label.value.clone());
                }
            }
            alert.labels = labels.build();
            alert
        };
        (self.notify)(result.alerts.into_iter().map(outside).collect());
    }
}

fn normal(mut options: Options) -> Options {
    options.external_url = options.external_url.trim_end_matches('/').to_owned();
    options.concurrency = options.concurrency.max(1);
    options
}

fn interval_ms(spec: &GroupSpec, default_ms: i64) -> i64 {
    spec.interval_ms.unwrap_or(default_ms).max(1)
}

/// Alerting rules by name: two that have it in common may make the same series.
struct Namesakes(HashMap<Arc<str>, Vec<Arc<RuleSpec>>>);

impl Namesakes {
    fn of(specs: &[GroupSpec]) -> Self {
        let mut by_name: HashMap<Arc<str>, Vec<Arc<RuleSpec>>> = HashMap::new();
        for rule in specs.iter().flat_map(|group| &group.rules) {
            by_name
                .entry(rule.name.clone())
                .or_default()
                .push(rule.clone());
        }
        Self(by_name)
    }

    /// Whether another rule of the name has no label that tells the two apart.
    fn share(&self, rule: &Arc<RuleSpec>) -> bool {
        let others = self.0.get(&rule.name).into_iter().flatten();
        let apart = |other: &RuleSpec| {
            rule.constant_labels().any(|(key, value)| {
                other
                    .constant_labels()
                    .any(|(other_key, other_value)| key == other_key && value != other_value)
            })
        };
        others
            .filter(|other| !Arc::ptr_eq(other, rule))
            .any(|other| !apart(other))
    }
}

impl Entry {
    fn new(
        spec: GroupSpec,
        default_ms: i64,
        restore: Option<&Namesakes>,
        before: Option<Arc<Cell>>,
        now_ms: i64,
    ) -> Self {
        let spec = Arc::new(spec);
        let mut group = Group::new(spec.clone(), default_ms, restore.is_some());
        if let Some(namesakes) = restore {
            group.share(|rule| namesakes.share(rule));
        }
        let predecessor = before.filter(|before| match before.work.try_lock() {
            Some(mut old) if old.predecessor.is_none() => {
                if let Some(old) = old.group.take() {
                    group.inherit(old);
                }
                false
            }
            // It is being evaluated, and taken over before the first evaluation of this one.
            _ => true,
        });
        let interval_ms = interval_ms(&spec, default_ms);
        let schedule = Schedule::new(&spec.file, &spec.name, interval_ms);
        let snapshot = group.snapshot();
        let cell = Cell {
            schedule,
            interval_ms,
            work: Mutex::new(Work {
                group: Some(group),
                predecessor,
            }),
            snapshot: RwLock::new(snapshot.clone()),
            pending: AtomicI64::new(0),
            firing: AtomicI64::new(0),
            spec,
        };
        cell.publish(snapshot);
        Self {
            due_ms: schedule.after(now_ms),
            running: false,
            closing: false,
            cell: Arc::new(cell),
        }
    }
}

impl Entry {
    /// A clock that was set back would leave the group waiting for a time that is far away.
    fn mend_clock(&mut self, now_ms: i64) {
        let ahead_ms = self.due_ms.saturating_sub(now_ms);
        if ahead_ms > 2 * self.cell.interval_ms {
            self.due_ms = self.cell.schedule.after(now_ms);
        }
    }
}

impl Cell {
    fn publish(&self, snapshot: GroupSnapshot) {
        let (mut pending, mut firing) = (0, 0);
        for rule in &snapshot.rules {
            if let RuleKind::Alerting { alerts, .. } = &rule.kind {
                let count = |state| alerts.iter().filter(|a| a.state == state).count() as i64;
                pending += count(AlertState::Pending);
                firing += count(AlertState::Firing);
            }
        }
        *self.snapshot.write() = snapshot;
        self.pending.store(pending, Ordering::Relaxed);
        self.firing.store(firing, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod clock_tests;
