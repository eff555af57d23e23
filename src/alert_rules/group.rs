//! A group of rules and how it stands: evaluated as a whole, rule after rule, for one time.
//!
//! 1. What earlier rules of the group made is stored before a rule that may read it.
//! 2. The expression is asked; an error, a panic or a flood concerns that rule only.
//! 3. A recording rule's samples, or the alerts and their series, are written; series that ended
//!    get their marker.
//! 4. The alerts that someone should know about are handed back.
//!
//! No clock and no task: the time is an argument, and how long things take is measured by a
//! closure that the caller brings.

mod rule;

use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use model::{Alert, Labels, SampleSink, StoreError, TargetId};

use self::rule::{RuleState, panic_text, points, recorded, within};
use crate::alerting::{Found, Timing};
use crate::expand::Expander;
use crate::query::Languages;
use crate::restore;
use crate::series::{GroupSeries, Recorded};
use crate::snapshot::{GroupSnapshot, RuleHealth};
use crate::spec::{GroupSpec, RuleOutput, RuleSpec};

/// The most alerts that one rule may have, whatever its group's `limit` says: beyond that nobody
/// reads them, and a wrong join must not fill the memory.
pub const ALERTS_PER_RULE_MAX: usize = 10_000;

/// The most series that one recording rule may make.
pub const RECORDED_SERIES_PER_RULE_MAX: usize = 100_000;

/// What an evaluation is done with.
pub struct World<'a> {
    /// Answer expressions.
    pub languages: Languages<'a>,
    /// Takes samples.
    pub sink: &'a dyn SampleSink,
    /// `$externalLabels`.
    pub external_labels: &'a Labels,
    /// `$externalURL`, without a slash at its end.
    pub external_url: &'a str,
    /// Alerts that fire are told again after so many milliseconds.
    pub resend_ms: i64,
    /// Alerts with a shorter `for` (milliseconds) are not restored after a restart.
    pub for_grace_ms: i64,
    /// How long the process may have been away for `for` to be restored, milliseconds.
    pub outage_tolerance_ms: i64,
    /// How long before its evaluation a group asks that says nothing of it itself, milliseconds.
    pub query_offset_ms: i64,
    /// Time since any fixed moment, to measure durations with.
    pub elapsed: &'a dyn Fn() -> Duration,
}

/// What came out of an evaluation.
#[derive(Debug, Default)]
pub struct Evaluation {
    /// Alerts to tell, of all rules in order.
    pub alerts: Vec<Alert>,
    /// Rules that were evaluated.
    pub rules: u64,
    /// Rules among them that failed.
    pub failures: u64,
    /// Panics among those.
    pub panics: u64,
    /// Samples that the store took.
    pub samples: u64,
    /// Samples that it did not take.
    pub samples_dropped: u64,
}

/// How often it is looked whether a built-in rule has something to say here, milliseconds.
const APPLIES_LOOK_MS: i64 = 60_000;

/// What a built-in rule needs must have been there within this time, milliseconds.
const APPLIES_BACK_MS: i64 = 60 * 60_000;

/// Evaluations after which `for` is restored: the first finds the alerts, the second knows that
/// they are not of the moment of starting.
const RESTORE_AFTER_EVALUATIONS: u32 = 2;

/// A group of rules with its state.
#[derive(Debug)]
pub struct Group {
    spec: Arc<GroupSpec>,
    interval_ms: i64,
    rules: Vec<RuleState>,
    series: GroupSeries,
    /// Series of rules that a reload took away, to be ended with the next evaluation.
    orphans: HashSet<Labels>,
    /// Evaluations to go until `for` is restored; `None` when it is.
    restore_in: Option<u32>,
    last_evaluation_ms: i64,
    duration: Duration,
}

impl Group {
    /// A group that was not evaluated yet. `restore` says whether alerts may have been pending
    /// when the process ended; until that is looked up, no `ALERTS` series are written.
    pub fn new(spec: Arc<GroupSpec>, default_interval_ms: i64, restore: bool) -> Self {
        Self {
            interval_ms: spec.interval_ms.unwrap_or(default_interval_ms).max(1),
            rules: spec.rules.iter().cloned().map(RuleState::new).collect(),
            series: GroupSeries::default(),
            orphans: HashSet::new(),
            restore_in: restore.then_some(RESTORE_AFTER_EVALUATIONS),
            last_evaluation_ms: 0,
            duration: Duration::ZERO,
            spec,
        }
    }

    /// Says which of its rules make alerts that another rule may make too; of those it is not told
    /// that they ended while the process was away.
    pub fn share(&mut self, is_shared: impl Fn(&Arc<RuleSpec>) -> bool) {
        for rule in &mut self.rules {
            rule.shared = is_shared(&rule.spec);
        }
    }

    fn data_ms(&self, now_ms: i64, world: &World<'_>) -> i64 {
        now_ms - self.spec.query_offset_ms.unwrap_or(world.query_offset_ms)
    }

    /// The rules as they were read.
    pub fn spec(&self) -> &Arc<GroupSpec> {
        &self.spec
    }

    /// Milliseconds between two evaluations.
    pub fn interval_ms(&self) -> i64 {
        self.interval_ms
    }

    /// Takes over how a group of the same name stood before a reload: rules of the same kind,
    /// name and labels, in their order, keep their alerts.
    pub fn inherit(&mut self, mut old: Group) {
        let mut left: VecDeque<RuleState> = old.rules.drain(..).collect();
        for rule in &mut self.rules {
            let same = |other: &RuleState| {
                other.spec.name == rule.spec.name
                    && other.spec.labels == rule.spec.labels
                    && std::mem::discriminant(&other.spec.output)
                        == std::mem::discriminant(&rule.spec.output)
            };
            let Some(before) = left.iter().position(same).and_then(|i| left.remove(i)) else {
                continue;
            };
            rule.alerts = before.alerts;
            rule.written = before.written;
            rule.last_evaluation_ms = before.last_evaluation_ms;
            rule.duration = before.duration;
            if rule.spec.broken.is_none() && before.spec.broken.is_none() {
                rule.health = before.health;
                rule.last_error = before.last_error;
            }
        }
        self.orphans = old.orphans;
        self.orphans
            .extend(left.into_iter().flat_map(|rule| rule.written));
        self.series = old.series;
        self.restore_in = old.restore_in;
        self.last_evaluation_ms = old.last_evaluation_ms;
        self.duration = old.duration;
    }

    /// Evaluates all rules for one time, milliseconds since 1970-01-01 UTC.
    pub fn evaluate(&mut self, now_ms: i64, world: &World<'_>) -> Evaluation {
        let started = (world.elapsed)();
        let mut result = Evaluation::default();
        let data_ms = self.data_ms(now_ms, world);
        match self.series.open(world.sink, &self.spec.target_name()) {
            Ok(target) => self.rules(target, now_ms, data_ms, world, &mut result),
            Err(error) => self.fail_all(&error, &mut result),
        }
        self.flush(data_ms, world, &mut result);
        if let Some(left) = self.restore_in {
            self.restore_in = left.checked_sub(1).filter(|left| *left > 0);
            if self.restore_in.is_none() {
                self.restore(now_ms, world);
            }
        }
        let valid_until_ms = now_ms + 4 * self.interval_ms.max(world.resend_ms);
        for rule in &mut self.rules {
            let url = || {
                let language = world.languages.of(rule.spec.source);
                let link = language.link(&rule.spec.expression);
                format!("{}{link}", world.external_url)
            };
            result.alerts.extend(rule.alerts.take_due(
                now_ms,
                world.resend_ms,
                valid_until_ms,
                &url(),
            ));
        }
        self.last_evaluation_ms = now_ms;
        self.duration = (world.elapsed)().saturating_sub(started);
        result
    }

    fn rules(
        &mut self,
        target: TargetId,
        now_ms: i64,
        data_ms: i64,
        world: &World<'_>,
        result: &mut Evaluation,
    ) {
        let mut orphans = std::mem::take(&mut self.orphans);
        if !orphans.is_empty()
            && let Err(error) = self
                .series
                .write(world.sink, target, usize::MAX, &[], &mut orphans)
        {
            tracing::warn!(group = %self.spec.name, %error, "cannot end series of removed rules");
        }
        for i in 0..self.rules.len() {
            if self.rules[i].spec.broken.is_some() || !self.applies(i, now_ms, world) {
                continue;
            }
            if self.series.is_awaited(&self.rules[i].spec.reads) {
                self.flush(data_ms, world, result);
            }
            let started = (world.elapsed)();
            result.rules += 1;
            // The state of a rule whose evaluation panics is at worst half a step behind; the
            // next evaluation sets it right.
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                self.rule(i, target, now_ms, data_ms, world)
            }));
            let rule = &mut self.rules[i];
            match outcome {
                Ok(Ok(())) => {
                    rule.health = RuleHealth::Ok;
                    rule.last_error.clear();
                }
                Ok(Err(error)) => {
                    result.failures += 1;
                    rule.fail(error);
                }
                Err(panic) => {
                    result.failures += 1;
                    result.panics += 1;
                    rule.fail(format!("the evaluation panicked: {}", panic_text(&*panic)));
                }
            }
            rule.last_evaluation_ms = now_ms;
            rule.duration = (world.elapsed)().saturating_sub(started);
        }
    }

    /// Whether a rule is to be evaluated. What it needs is looked for now and then only; one that
    /// has alerts or series goes on until they have ended.
    fn applies(&mut self, i: usize, now_ms: i64, world: &World<'_>) -> bool {
        let where_applicable = self.spec.where_applicable;
        let rule = &mut self.rules[i];
        if rule.spec.idle.is_some() {
            return false;
        }
        if !where_applicable || rule.alerts.any_active() || !rule.written.is_empty() {
            rule.not_applicable = None;
            return true;
        }
        let fresh = |looked_ms: i64| (0..APPLIES_LOOK_MS).contains(&(now_ms - looked_ms));
        if !rule.looked_ms.is_some_and(fresh) {
            let language = world.languages.of(rule.spec.source);
            let since_ms = now_ms - APPLIES_BACK_MS;
            // What cannot be said is no reason to be silent.
            let missing = language
                .missing(&rule.spec.expression, since_ms, now_ms)
                .unwrap_or_default();
            rule.not_applicable = (!missing.is_empty()).then(|| {
                let missing: Vec<String> = missing.into_iter().map(|m| m.what).collect();
                format!("not applicable here: {}", missing.join(", "))
            });
            rule.looked_ms = Some(now_ms);
        }
        rule.not_applicable.is_none()
    }

    fn rule(
        &mut self,
        i: usize,
        target: TargetId,
        now_ms: i64,
        data_ms: i64,
        world: &World<'_>,
    ) -> Result<(), String> {
        let rule = &mut self.rules[i];
        let spec = rule.spec.clone();
        let language = world.languages.of(spec.source);
        let answer = language
            .instant(&spec.expression, data_ms)
            .map_err(|error| error.to_string())?;
        let points = points(answer.value)?;
        let expander = Expander {
            query: language,
            time_ms: data_ms,
            external_labels: world.external_labels,
            external_url: world.external_url,
        };
        let samples = match &spec.output {
            RuleOutput::Recording => {
                within(points.len(), RECORDED_SERIES_PER_RULE_MAX, "series")?;
                recorded(&spec, &points, self.spec.limit)?
            }
            RuleOutput::Alerting {
                for_ms,
                keep_firing_for_ms,
                annotations,
            } => {
                within(points.len(), ALERTS_PER_RULE_MAX, "alerts")?;
                let found = points
                    .iter()
                    .map(|point| {
                        let (labels, annotations) =
                            expander.alert(&spec.name, &spec.labels, annotations, point);
                        Found {
                            labels,
                            annotations,
                            value: point.value,
                        }
                    })
                    .collect();
                let timing = Timing {
                    for_ms: *for_ms,
                    keep_firing_for_ms: *keep_firing_for_ms,
                };
                let updated = rule.alerts.update(found, timing, self.spec.limit, now_ms);
                // What they say before `for` is restored would overwrite what is to be restored.
                let series = if self.restore_in.is_some() {
                    Vec::new()
                } else {
                    let series = rule.alerts.series().into_iter();
                    series.map(|(l, v)| (l, Recorded::Number(v))).collect()
                };
                updated.map(|()| series)?
            }
        };
        self.series
            .write(world.sink, target, i, &samples, &mut rule.written)
            .map_err(|error| format!("cannot store the result: {error}"))
    }

    fn flush(&mut self, data_ms: i64, world: &World<'_>, result: &mut Evaluation) {
        match self.series.flush(world.sink, data_ms) {
            Ok(samples) => result.samples += samples as u64,
            Err((rules, samples, error)) => {
                result.samples_dropped += samples as u64;
                for i in rules {
                    if let Some(rule) = self.rules.get_mut(i) {
                        result.failures += 1;
                        rule.fail(format!("cannot store the result: {error}"));
                    }
                }
            }
        }
    }

    fn fail_all(&mut self, error: &StoreError, result: &mut Evaluation) {
        for rule in self.rules.iter_mut().filter(|r| r.spec.broken.is_none()) {
            result.rules += 1;
            result.failures += 1;
            rule.fail(format!("cannot store results: {error}"));
        }
    }

    fn restore(&mut self, now_ms: i64, world: &World<'_>) {
        for rule in &mut self.rules {
            let spec = rule.spec.clone();
            let RuleOutput::Alerting {
                for_ms,
                annotations,
                ..
            } = &spec.output
            else {
                continue;
            };
            let waits = *for_ms >= world.for_grace_ms && rule.alerts.any_active();
            let restored = if waits {
                restore::rule(&spec, *for_ms, &mut rule.alerts, now_ms, world)
            } else {
                Ok(())
            };
            // A rule that fails has not said that its alerts are over.
            let told = if rule.shared || rule.health != RuleHealth::Ok {
                Ok(())
            } else {
                let expander = Expander {
                    query: world.languages.of(spec.source),
                    time_ms: now_ms,
                    external_labels: world.external_labels,
                    external_url: world.external_url,
                };
                let texts = |labels: &Labels| expander.texts_of_ended(annotations, labels);
                restore::ended_while_away(
                    &spec,
                    &mut rule.alerts,
                    &mut rule.written,
                    now_ms,
                    world,
                    texts,
                )
            };
            if let Err(error) = restored.and(told) {
                tracing::warn!(rule = %spec.name, %error, "cannot restore how alerts stood before the start");
            }
        }
    }

    /// Ends all series of the group, which is no more.
    pub fn close(&mut self, now_ms: i64, world: &World<'_>) -> Result<(), StoreError> {
        let data_ms = self.data_ms(now_ms, world);
        self.series.close(world.sink, data_ms)
    }

    /// How the group stands.
    pub fn snapshot(&self) -> GroupSnapshot {
        GroupSnapshot {
            name: self.spec.name.to_string(),
            file: self.spec.file.to_string(),
            interval_ms: self.interval_ms,
            limit: self.spec.limit,
            rules: self.rules.iter().map(RuleState::snapshot).collect(),
            last_evaluation_ms: self.last_evaluation_ms,
            evaluation_duration_s: self.duration.as_secs_f64(),
        }
    }
}
