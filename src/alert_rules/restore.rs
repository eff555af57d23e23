//! How did alerts stand before the process ended?
//!
//! `ALERTS_FOR_STATE` holds since when an alert was pending, so that a restart does not set the clock of a long `for` back.
//! The time that the process was away does not count as waiting, and an alert that would fire
//! within the grace period gets the whole of it, so that everything has had a chance to come back.

use std::collections::{HashMap, HashSet};

use model::{Labels, METRIC_NAME, Matcher, Sample, is_stale};
use promql::QueryError;

use crate::alerting::{ALERT_STATE, ALERTS, ALERTS_FOR_STATE, Alerts};
use crate::group::World;
use crate::snapshot::AlertState;
use crate::spec::RuleSpec;

/// The matchers of a rule's own series of a name.
fn matchers(spec: &RuleSpec, name: &str) -> Vec<Matcher> {
    let own = [
        Matcher::equal(METRIC_NAME, name),
        Matcher::equal("alertname", spec.name.clone()),
    ];
    // What a template made is not known before it is filled in; the labels of the series decide.
    let constant = spec
        .constant_labels()
        .map(|(key, value)| Matcher::equal(key.clone(), value.clone()));
    own.into_iter().chain(constant).collect()
}

/// The last samples of a rule's own series before the process ended.
fn last(
    spec: &RuleSpec,
    name: &str,
    now_ms: i64,
    world: &World<'_>,
) -> Result<Vec<(Labels, Sample)>, QueryError> {
    let mut found = world.languages.metrics.latest(
        &matchers(spec, name),
        now_ms - world.outage_tolerance_ms,
        now_ms,
    )?;
    found.retain(|(_, sample)| !is_stale(sample.value) && sample.value.is_finite());
    Ok(found)
}

/// Restores since when the alerts of a rule are active.
pub(crate) fn rule(
    spec: &RuleSpec,
    for_ms: i64,
    alerts: &mut Alerts,
    now_ms: i64,
    world: &World<'_>,
) -> Result<(), QueryError> {
    let known: HashMap<Labels, Sample> = last(spec, ALERTS_FOR_STATE, now_ms, world)?
        .into_iter()
        .map(|(labels, sample)| (labels.filtered(|name| name != METRIC_NAME), sample))
        .collect();
    alerts.restore(|labels| {
        known
            .get(labels)
            .map(|sample| active_at(*sample, for_ms, now_ms, world.for_grace_ms))
    });
    Ok(())
}

/// Alerts of a rule that fired when the process ended and have not been found again: whoever was
/// told of them must hear that they are over. Prometheus leaves that to Alertmanager's patience.
///
/// Their series become part of `written`, so that the next evaluation ends them.
pub(crate) fn ended_while_away(
    spec: &RuleSpec,
    alerts: &mut Alerts,
    written: &mut HashSet<Labels>,
    now_ms: i64,
    world: &World<'_>,
    texts: impl Fn(&Labels) -> Labels,
) -> Result<(), QueryError> {
    let since: HashMap<Labels, Sample> = last(spec, ALERTS_FOR_STATE, now_ms, world)?
        .into_iter()
        .map(|(series, sample)| {
            let labels = series.filtered(|name| name != METRIC_NAME);
            written.insert(series);
            (labels, sample)
        })
        .collect();
    for (series, sample) in last(spec, ALERTS, now_ms, world)? {
        let fired = series.get(ALERT_STATE) == Some(AlertState::Firing.as_str());
        let labels = series.filtered(|name| name != METRIC_NAME && name != ALERT_STATE);
        written.insert(series);
        if fired {
            let since_ms = since.get(&labels).map_or(sample.timestamp_ms, |sample| {
                (sample.value * 1_000.0) as i64
            });
            let annotations = texts(&labels);
            alerts.ended_while_away(labels, annotations, since_ms, now_ms);
        }
    }
    Ok(())
}

/// Since when an alert counts as active, given what was last known of it.
fn active_at(sample: Sample, for_ms: i64, now_ms: i64, grace_ms: i64) -> i64 {
    let since_ms = (sample.value * 1_000.0) as i64;
    let left_ms = for_ms - (sample.timestamp_ms - since_ms);
    if left_ms <= 0 {
        // It fired already.
        since_ms
    } else if left_ms < grace_ms {
        now_ms + grace_ms - for_ms
    } else {
        since_ms + (now_ms - sample.timestamp_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_away_does_not_count_as_waiting() {
        const MINUTE: i64 = 60_000;
        // `for` is an hour, the grace period ten minutes; the process came back at minute 100.
        let check = |since_min: i64, last_seen_min: i64, expected_min: i64| {
            let sample = Sample {
                timestamp_ms: last_seen_min * MINUTE,
                value: (since_min * 60) as f64,
            };
            let active = active_at(sample, 60 * MINUTE, 100 * MINUTE, 10 * MINUTE);
            assert_eq!(active, expected_min * MINUTE);
        };
        // Fired already: goes on firing.
        check(10, 90, 10);
        // Waited 20 of 60 minutes, away for 10: as if it had begun 10 minutes later.
        check(70, 90, 80);
        // Waited 55 of 60 minutes: fires in 10 minutes, not in 5.
        check(35, 90, 50);
    }
}
