//! Incidents: when an alert begins to fire, what was going on is found out and kept, so that the
//! link in a message never dies and the message itself can say more than its words.
//!
//! 1. Every second the alerts that have begun since, however short, and those that fire are
//!    compared with the incidents that are open.
//! 2. For a new one, curve and log lines are looked up ([`alert_evidence`]) and kept in the state
//!    store; at most [`BEGUN_MAX`] per turn, so that a storm of alerts does not hold up the others.
//! 3. One that fires no more is ended.
//! 4. A message that is written earlier than that asks at once.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use alert_evidence::{Evidence, Question, Words};
use alert_notify::Notifier;
use alert_rules::rehearse::History;
use alert_rules::{GroupSnapshot, RuleKind, RuleManager, RuleSnapshot, Source};
use log_query::{LogReader, Stop};
use log_store::LogStore;
use model::{Alert, Labels, time};
use parking_lot::Mutex;
use state_store::{Incident, StateStore};

/// Alerts whose evidence is looked up in one turn.
const BEGUN_MAX: usize = 10;

/// Alerts that wait to be looked at, at most.
const WAITING_MAX: usize = 1_000;

/// Looking up the evidence of one alert takes no longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Alerts whose evidence is at hand for messages, at most; beyond, the state store is asked.
const AT_HAND_MAX: usize = 1_000;

/// Keeps incidents.
pub(crate) struct Incidents {
    state: Arc<StateStore>,
    rules: Arc<RuleManager>,
    notifier: Arc<Notifier>,
    history: History,
    logs: Arc<LogStore>,
    external_url: String,
    /// Fingerprints and beginnings of those that fire; `None` until they were read.
    open: Mutex<Option<HashMap<String, i64>>>,
    /// Alerts that have begun and were not looked at yet.
    begun: Mutex<VecDeque<Alert>>,
    /// When alerts ended that did so since the last turn, by fingerprint.
    ended: Mutex<HashMap<String, i64>>,
    /// What messages say, by fingerprint and beginning.
    at_hand: Mutex<BTreeMap<(String, i64), Words>>,
}

impl Incidents {
    pub(crate) fn new(
        state: Arc<StateStore>,
        rules: Arc<RuleManager>,
        notifier: Arc<Notifier>,
        history: History,
        logs: Arc<LogStore>,
        external_url: String,
    ) -> Self {
        Self {
            state,
            rules,
            notifier,
            history,
            logs,
            external_url,
            open: Mutex::new(None),
            begun: Mutex::default(),
            ended: Mutex::default(),
            at_hand: Mutex::default(),
        }
    }

    /// Takes alerts that have begun or ended, so that none is too short to be kept.
    pub(crate) fn changed(&self, alerts: &[Alert]) {
        let now_ms = time::now_ms();
        let (mut begun, mut ended) = (self.begun.lock(), self.ended.lock());
        for alert in alerts {
            if alert.is_resolved_at(now_ms) {
                if ended.len() < WAITING_MAX {
                    ended.insert(alert.fingerprint(), alert.ends_at_ms);
                }
            } else if begun.len() < WAITING_MAX {
                // Beyond that those that last are found all the same.
                begun.push_back(alert.clone());
            }
        }
    }

    /// Begins and ends incidents. Blocks; an error is the state store's.
    pub(crate) fn keep(&self, now_ms: i64) -> Result<(), state_store::StateError> {
        let mut guard = self.open.lock();
        let open = match &mut *guard {
            Some(open) => open,
            empty => empty.insert(self.state.open_incidents()?.into_iter().collect()),
        };
        let alerts = self.notifier.alerts();
        let mut there: HashSet<String> = HashSet::new();
        let mut begun: Vec<(String, Alert)> = Vec::new();
        while begun.len() < BEGUN_MAX
            && let Some(alert) = self.begun.lock().pop_front()
        {
            let fingerprint = alert.fingerprint();
            if !open.contains_key(&fingerprint) && !begun.iter().any(|(f, _)| *f == fingerprint) {
                begun.push((fingerprint, alert));
            }
        }
        for view in alerts {
            let fingerprint = view.alert.fingerprint();
            let is_new = !open.contains_key(&fingerprint)
                && !begun.iter().any(|(known, _)| *known == fingerprint);
            if is_new && begun.len() < BEGUN_MAX {
                begun.push((fingerprint.clone(), view.alert));
            }
            there.insert(fingerprint);
        }
        let mut ends = std::mem::take(&mut *self.ended.lock());
        let over: Vec<(String, i64)> = open
            .iter()
            .filter(|(fingerprint, _)| !there.contains(*fingerprint))
            .map(|(fingerprint, started_ms)| (fingerprint.clone(), *started_ms))
            .collect();
        for (fingerprint, started_ms) in over {
            // The alert says itself when it ended, unless that was before a restart.
            let ended_ms = ends.remove(&fingerprint).filter(|end| *end >= started_ms);
            let ended_ms = ended_ms.map_or(now_ms, |end| end.min(now_ms));
            self.state
                .end_incident(&fingerprint, started_ms, ended_ms)?;
            self.at_hand
                .lock()
                .remove(&(fingerprint.clone(), started_ms));
            open.remove(&fingerprint);
        }
        for (fingerprint, alert) in begun {
            let evidence = self.gather(&alert, now_ms);
            let incident = Incident {
                fingerprint: fingerprint.clone(),
                started_ms: alert.starts_at_ms,
                ended_ms: None,
                document: document(&evidence),
            };
            self.state.put_incident(&incident)?;
            self.remember(&fingerprint, alert.starts_at_ms, Words::of(&evidence));
            open.insert(fingerprint, alert.starts_at_ms);
        }
        // The ends of those that began in this turn are for the next one.
        ends.retain(|fingerprint, _| {
            open.contains_key(fingerprint) && !there.contains(fingerprint)
        });
        let mut ended = self.ended.lock();
        for (fingerprint, end_ms) in ends {
            ended.entry(fingerprint).or_insert(end_ms);
        }
        Ok(())
    }

    /// What a message about an alert may say; `None` for an alert that nobody knows.
    pub(crate) fn evidence(&self, alert: &Alert) -> Option<alert_notify::Evidence> {
        let key = (alert.fingerprint(), alert.starts_at_ms);
        let known = self.at_hand.lock().get(&key).cloned();
        let words = match known {
            Some(words) => words,
            None => self.look_up(alert, &key)?,
        };
        Some(alert_notify::Evidence {
            text: words.text(),
            sparkline: words.sparkline,
            lines: words.lines,
            url: format!("{}/alerts/{}", self.external_url, key.0),
        })
    }

    fn look_up(&self, alert: &Alert, key: &(String, i64)) -> Option<Words> {
        let kept = self.state.incidents_of(&key.0, 1).ok()?;
        let of_now = kept.first().filter(|one| one.started_ms == key.1);
        let read = of_now.and_then(|one| serde_json::from_str::<Evidence>(&one.document).ok());
        let words = if let Some(evidence) = read {
            Words::of(&evidence)
        } else {
            // A test message's alert is made up.
            let groups = self.rules.groups();
            rule_of(&groups, &alert.labels)?;
            Words::of(&self.gather(alert, time::now_ms()))
        };
        self.remember(&key.0, key.1, words.clone());
        Some(words)
    }

    fn remember(&self, fingerprint: &str, started_ms: i64, words: Words) {
        let mut at_hand = self.at_hand.lock();
        if at_hand.len() >= AT_HAND_MAX {
            at_hand.pop_first();
        }
        at_hand.insert((fingerprint.to_owned(), started_ms), words);
    }

    fn gather(&self, alert: &Alert, now_ms: i64) -> Evidence {
        let mut evidence = Evidence {
            labels: Evidence::texts(&alert.labels),
            annotations: Evidence::texts(&alert.annotations),
            active_at_ms: alert.starts_at_ms,
            ..Evidence::default()
        };
        let groups = self.rules.groups();
        let mut rule_labels = Labels::empty();
        if let Some((group, rule, active)) = rule_of(&groups, &alert.labels) {
            evidence.expression.clone_from(&rule.expression);
            evidence.is_log_rule = rule.source == Source::Logs;
            evidence.rule_id = serve::rule_id(group, rule);
            evidence.active_at_ms = active.active_at_ms;
            evidence.value = active.value.is_finite().then_some(active.value);
            rule_labels = rule.labels.clone();
        }
        let expression = evidence.expression.clone();
        let question = Question {
            labels: &alert.labels,
            rule_labels: &rule_labels,
            expression: &expression,
            is_log_rule: evidence.is_log_rule,
            active_at_ms: evidence.active_at_ms,
            until_ms: now_ms,
        };
        let stop = Stop::default();
        // The task runs on a thread of the runtime's: whoever is there keeps the time.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let stop = stop.clone();
            runtime.spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                stop.stop();
            });
        }
        let logs: &dyn LogReader = &*self.logs;
        let (engine, series) = (&self.history.engine, &*self.history.series);
        evidence.gather(&question, engine, series, logs, &stop);
        evidence
    }
}

/// The rule that an alert comes from.
fn rule_of<'a>(
    groups: &'a [GroupSnapshot],
    labels: &Labels,
) -> Option<(
    &'a GroupSnapshot,
    &'a RuleSnapshot,
    &'a alert_rules::ActiveAlert,
)> {
    groups.iter().find_map(|group| {
        group.rules.iter().find_map(|rule| {
            let RuleKind::Alerting { alerts, .. } = &rule.kind else {
                return None;
            };
            let alert = alerts.iter().find(|alert| alert.labels == *labels)?;
            Some((group, rule, alert))
        })
    })
}

/// The document of an incident: without lines, then without anything but words, where it would be
/// too large.
fn document(evidence: &Evidence) -> String {
    let fits = |text: &String| text.len() <= state_store::DOCUMENT_BYTES_MAX;
    let text = serde_json::to_string(evidence).unwrap_or_default();
    if fits(&text) {
        return text;
    }
    let mut less = evidence.clone();
    if let Some(logs) = &mut less.logs {
        logs.lines.truncate(5);
        "most lines were too long to be kept".clone_into(&mut logs.note);
    }
    less.expression.clear();
    let text = serde_json::to_string(&less).unwrap_or_default();
    if fits(&text) {
        return text;
    }
    less.annotations.clear();
    less.logs = None;
    let text = serde_json::to_string(&less).unwrap_or_default();
    if fits(&text) { text } else { "{}".to_owned() }
}
