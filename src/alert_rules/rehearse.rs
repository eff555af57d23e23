//! Rehearsal: when would a rule have fired, had it been there already?
//!
//! The rules of a file are evaluated over the kept history by the same state machines that
//! evaluate them live; what they would write goes into a memory of its own and is read back
//! together with the history, so that rules see each other. Nobody is told and nothing is stored.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use model::{
    Labels, Matcher, MetricMetadata, Samples, Selection, SeriesCursor, SeriesReader, StoreError,
};
use promql::Engine;
use tokio_util::sync::CancellationToken;

use crate::alerting::{ALERTS, ALERTS_FOR_STATE};
use crate::doctor::Missing;
use crate::file::{Loaded, Problem, parse};
use crate::group::{Group, World};
use crate::promql_query::PromqlQuery;
use crate::query::{Languages, RuleQuery};
use crate::scratch::Scratch;
use crate::snapshot::{AlertState, RuleKind};
use crate::spec::{RuleOutput, RuleSpec};

/// The most evaluations of rules that one rehearsal makes; beyond, the steps get wider.
pub const EVALUATIONS_MAX: i64 = 100_000;

/// The most alerts that one rule's history lists.
pub const FIRINGS_MAX: usize = 1_000;

/// The most alerts of one rule that are followed at a time.
const OPEN_MAX: usize = 10_000;

/// What is rehearsed.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// What problems call the file.
    pub file: &'a str,
    /// A rule file.
    pub text: &'a str,
    /// Beginning, milliseconds since 1970-01-01 UTC.
    pub start_ms: i64,
    /// End, milliseconds since 1970-01-01 UTC.
    pub end_ms: i64,
    /// The interval of groups that name none, milliseconds.
    pub interval_ms: i64,
    /// `$externalLabels`.
    pub external_labels: &'a Labels,
    /// `$externalURL`.
    pub external_url: &'a str,
}

/// The kept metrics.
#[derive(Clone)]
pub struct History {
    /// Computes.
    pub engine: Arc<Engine>,
    /// Has the series.
    pub series: Arc<dyn SeriesReader>,
    /// A single query may take so long.
    pub timeout: Duration,
}

/// A time during which an alert would have fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Firing {
    /// Its labels.
    pub labels: Labels,
    /// Its texts at the moment when it fired.
    pub annotations: Labels,
    /// When it would have fired, milliseconds since 1970-01-01 UTC.
    pub from_ms: i64,
    /// When it would have ended; `None` where it would fire still.
    pub to_ms: Option<i64>,
    /// The expression's value when it fired.
    pub value: f64,
    /// Who would have been told; filled in by whoever knows the routes.
    pub receivers: Vec<String>,
}

/// What came of one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsed {
    /// The group's name.
    pub group: String,
    /// The rule's name.
    pub name: String,
    /// Whether it is an alert; else it records.
    pub is_alert: bool,
    /// When it would have fired, in order of time.
    pub firings: Vec<Firing>,
    /// Whether there were more than are listed.
    pub is_cut: bool,
    /// How many alerts were pending at most, without ever firing or before.
    pub pending_max: usize,
    /// Why it can never fire, each a sentence; what other rules of the file record is there.
    pub missing: Vec<Missing>,
    /// The last error of its evaluation, or empty.
    pub error: String,
    /// Evaluations that failed.
    pub failures: u64,
}

/// A rehearsal.
#[derive(Debug, Clone, Default)]
pub struct Rehearsal {
    /// The rules in order.
    pub rules: Vec<Rehearsed>,
    /// What is wrong with the file.
    pub problems: Vec<Problem>,
    /// Time between evaluations, milliseconds: the widest of its groups.
    pub step_ms: i64,
}

/// Rehearses the rules of a file. `stop` is asked before every evaluation; where it says yes, the
/// rehearsal ends with what was found so far.
pub fn rehearse(
    plan: &Plan<'_>,
    history: &History,
    logs: &dyn RuleQuery,
    stop: &dyn Fn() -> bool,
) -> Rehearsal {
    let query = |series| {
        let cancel = CancellationToken::new();
        PromqlQuery::new(history.engine.clone(), series, history.timeout, cancel)
    };
    let checked = query(history.series.clone());
    let Loaded { groups, problems } = parse(
        plan.file,
        plan.text,
        Languages {
            metrics: &checked,
            logs,
        },
    );
    let rules = || groups.iter().flat_map(|group| &group.rules);
    let recorded = rules().filter(|rule| rule.output == RuleOutput::Recording);
    let mut made: HashSet<Arc<str>> = recorded.map(|rule| rule.name.clone()).collect();
    made.extend([Arc::from(ALERTS), Arc::from(ALERTS_FOR_STATE)]);
    let n_rules = rules().count() as i64;
    let scratch = Arc::new(Scratch::default());
    let metrics = query(Arc::new(Overlay {
        history: history.series.clone(),
        own: scratch.clone(),
        made: Arc::new(made),
    }));
    let languages = Languages {
        metrics: &metrics,
        logs,
    };
    // Wide enough steps that all evaluations together stay within the limit.
    let span_ms = (plan.end_ms - plan.start_ms).max(0);
    let step_min_ms = (span_ms.saturating_mul(n_rules) / EVALUATIONS_MAX).max(1_000);
    let mut rehearsal = Rehearsal {
        problems,
        ..Rehearsal::default()
    };
    let stage = |spec: crate::spec::GroupSpec| {
        let step_ms = spec
            .interval_ms
            .unwrap_or(plan.interval_ms)
            .max(step_min_ms);
        rehearsal.step_ms = rehearsal.step_ms.max(step_ms);
        let rules = spec.rules.iter().map(|rule| Watched::new(&spec.name, rule));
        Stage {
            rules: rules.collect(),
            group: Group::new(Arc::new(spec), step_ms, false),
            step_ms,
            next_ms: plan.start_ms,
        }
    };
    let mut stages: Vec<Stage> = groups.into_iter().map(stage).collect();
    let world = World {
        languages,
        sink: &*scratch,
        external_labels: plan.external_labels,
        external_url: plan.external_url,
        query_offset_ms: 0,
        resend_ms: i64::MAX / 8,
        for_grace_ms: 0,
        outage_tolerance_ms: 0,
        elapsed: &|| Duration::ZERO,
    };
    // The group that is due first comes first, so that groups see each other as they would live.
    while let Some(stage) = stages
        .iter_mut()
        .filter(|stage| stage.next_ms <= plan.end_ms)
        .min_by_key(|stage| stage.next_ms)
    {
        if stop() {
            break;
        }
        stage.evaluate(&world);
    }
    for stage in stages {
        for (watched, rule) in stage.rules.into_iter().zip(&stage.group.spec().rules) {
            let mut done = watched.finish();
            // What cannot be parsed is told already.
            done.missing = languages
                .of(rule.source)
                .missing(&rule.expression, plan.start_ms, plan.end_ms)
                .unwrap_or_default();
            rehearsal.rules.push(done);
        }
    }
    rehearsal
}

struct Stage {
    group: Group,
    rules: Vec<Watched>,
    step_ms: i64,
    next_ms: i64,
}

impl Stage {
    fn evaluate(&mut self, world: &World<'_>) {
        let now_ms = self.next_ms;
        self.group.evaluate(now_ms, world);
        for (watched, rule) in self.rules.iter_mut().zip(self.group.snapshot().rules) {
            if !rule.last_error.is_empty() {
                watched.done.failures += 1;
                watched.done.error = rule.last_error;
            }
            let RuleKind::Alerting { alerts, .. } = rule.kind else {
                continue;
            };
            let pending = alerts
                .iter()
                .filter(|a| a.state == AlertState::Pending)
                .count();
            watched.done.pending_max = watched.done.pending_max.max(pending);
            let mut firing = BTreeMap::new();
            for alert in alerts.into_iter().filter(|a| a.state == AlertState::Firing) {
                firing.insert(alert.labels.clone(), alert);
            }
            watched.end_those_not_in(&firing, now_ms);
            for (labels, alert) in firing {
                if watched.open.len() < OPEN_MAX && !watched.open.contains_key(&labels) {
                    let begun = Firing {
                        labels: labels.clone(),
                        annotations: alert.annotations,
                        from_ms: now_ms,
                        to_ms: None,
                        value: alert.value,
                        receivers: Vec::new(),
                    };
                    watched.open.insert(labels, begun);
                }
            }
        }
        self.next_ms += self.step_ms;
    }
}

/// A rule and what it has done so far.
struct Watched {
    done: Rehearsed,
    open: BTreeMap<Labels, Firing>,
}

impl Watched {
    fn new(group: &str, rule: &RuleSpec) -> Self {
        Self {
            done: Rehearsed {
                group: group.to_owned(),
                name: rule.name.to_string(),
                is_alert: rule.output != RuleOutput::Recording,
                firings: Vec::new(),
                is_cut: false,
                pending_max: 0,
                missing: Vec::new(),
                error: rule.broken.clone().unwrap_or_default(),
                failures: 0,
            },
            open: BTreeMap::new(),
        }
    }

    fn end_those_not_in<T>(&mut self, firing: &BTreeMap<Labels, T>, now_ms: i64) {
        let over: Vec<Labels> = self
            .open
            .keys()
            .filter(|labels| !firing.contains_key(*labels))
            .cloned()
            .collect();
        for labels in over {
            if let Some(mut ended) = self.open.remove(&labels) {
                ended.to_ms = Some(now_ms);
                self.list(ended);
            }
        }
    }

    fn list(&mut self, firing: Firing) {
        if self.done.firings.len() < FIRINGS_MAX {
            self.done.firings.push(firing);
        } else {
            self.done.is_cut = true;
        }
    }

    fn finish(mut self) -> Rehearsed {
        for (_, firing) in std::mem::take(&mut self.open) {
            self.list(firing);
        }
        self.done
            .firings
            .sort_by(|a, b| (a.from_ms, &a.labels).cmp(&(b.from_ms, &b.labels)));
        self.done
    }
}

/// The history with what the rehearsed rules have written: of the series that they make, only what
/// they made counts.
struct Overlay {
    history: Arc<dyn SeriesReader>,
    own: Arc<Scratch>,
    made: Arc<HashSet<Arc<str>>>,
}

/// Series of the history without those that the rehearsed rules make.
struct Without {
    inner: Box<dyn SeriesCursor>,
    made: Arc<HashSet<Arc<str>>>,
}

impl SeriesCursor for Without {
    fn next_series(&mut self, samples: &mut Samples) -> Result<Option<Labels>, StoreError> {
        while let Some(labels) = self.inner.next_series(samples)? {
            if !labels
                .metric_name()
                .is_some_and(|name| self.made.contains(name))
            {
                return Ok(Some(labels));
            }
        }
        Ok(None)
    }
}

impl SeriesReader for Overlay {
    fn coarse_spans(&self) -> Vec<model::CoarseSpan> {
        self.history.coarse_spans()
    }

    fn select(&self, selection: &Selection) -> Result<Vec<Box<dyn SeriesCursor>>, StoreError> {
        let without = |inner| {
            let made = self.made.clone();
            Box::new(Without { inner, made }) as Box<dyn SeriesCursor>
        };
        let history = self.history.select(selection)?.into_iter().map(without);
        let mut all: Vec<Box<dyn SeriesCursor>> = history.collect();
        all.extend(self.own.select(selection)?);
        Ok(all)
    }

    fn series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<(Vec<Labels>, bool), StoreError> {
        let (own, cut) = self.own.series(matchers, start_ms, end_ms, limit)?;
        if !own.is_empty() {
            return Ok((own, cut));
        }
        self.history.series(matchers, start_ms, end_ms, limit)
    }

    fn label_names(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, StoreError> {
        let mut names = self.history.label_names(matchers, start_ms, end_ms)?;
        names.extend(self.own.label_names(matchers, start_ms, end_ms)?);
        Ok(names)
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, StoreError> {
        let mut values = self
            .history
            .label_values(name, matchers, start_ms, end_ms)?;
        values.extend(self.own.label_values(name, matchers, start_ms, end_ms)?);
        Ok(values)
    }

    fn metadata(&self) -> BTreeMap<String, MetricMetadata> {
        self.history.metadata()
    }
}

#[cfg(test)]
mod tests {
    use promql::memory::MemoryReader;

    use super::*;
    use crate::testing::Memory;

    const MINUTE: i64 = 60_000;

    fn rehearsed(text: &str, load: &dyn Fn(i64) -> f64) -> Rehearsal {
        let mut history = MemoryReader::new();
        let series = Labels::from_pairs([("__name__", "load"), ("host", "a")]);
        for minute in 0..600 {
            history.push(&series, minute * MINUTE, load(minute));
        }
        let metrics = History {
            engine: Arc::default(),
            series: Arc::new(history),
            timeout: Duration::from_mins(1),
        };
        let labels = Labels::empty();
        let plan = Plan {
            file: "new.yml",
            text,
            start_ms: 10 * MINUTE,
            end_ms: 599 * MINUTE,
            interval_ms: MINUTE,
            external_labels: &labels,
            external_url: "",
        };
        rehearse(&plan, &metrics, &Memory::default(), &|| false)
    }

    #[test]
    fn it_says_when_a_rule_would_have_fired() {
        let text = "groups:\n- name: g\n  rules:\n  - {record: load:double, expr: load * 2}\n  - {alert: High, expr: 'max_over_time(load:double[3m]) > 10', for: 5m, annotations: {summary: '{{ $labels.host }} {{ $value }}'}}\n  - {alert: Never, expr: lod > 1}\n";
        // Twice above the threshold: for 20 minutes, and for two, which is not long enough.
        let rehearsal = rehearsed(text, &|minute| {
            if (100..120).contains(&minute) || (300..302).contains(&minute) {
                9.0
            } else {
                1.0
            }
        });
        assert_eq!(rehearsal.problems, []);
        let [record, high, never] = rehearsal.rules.as_slice() else {
            panic!("three rules: {rehearsal:?}");
        };
        assert!(!record.is_alert && record.firings.is_empty() && record.error.is_empty());
        assert_eq!(high.firings.len(), 1, "{high:?}");
        let firing = &high.firings[0];
        assert_eq!(firing.from_ms, 105 * MINUTE);
        assert_eq!(firing.to_ms, Some(122 * MINUTE));
        assert_eq!(firing.annotations.get("summary"), Some("a 18"));
        assert_eq!(high.missing, []);
        assert_eq!(high.pending_max, 1);
        let missing: Vec<String> = never.missing.iter().map(ToString::to_string).collect();
        assert_eq!(missing, ["no metric `lod`"]);
    }

    #[test]
    fn what_fires_still_has_no_end_and_mistakes_are_told() {
        let text = "groups:\n- name: g\n  rules:\n  - {alert: Now, expr: load > 5}\n  - {alert: Bad, expr: 'load >'}\n";
        let rehearsal = rehearsed(text, &|minute| if minute < 500 { 1.0 } else { 6.0 });
        assert_eq!(rehearsal.problems.len(), 1);
        assert_eq!(rehearsal.rules[0].firings[0].to_ms, None);
        assert!(!rehearsal.rules[1].error.is_empty());
    }
}
