//! Since when was an alert pending before the process ended?
//!
//! `ALERTS_FOR_STATE` holds it, so that a restart does not set the clock of a long `for` back.
//! The time that the process was away does not count as waiting, and an alert that would fire
//! within the grace period gets the whole of it, so that everything has had a chance to come back.

use std::collections::HashMap;

use model::{Labels, METRIC_NAME, Matcher, Sample, is_stale};
use promql::QueryError;

use crate::alerting::{ALERTS_FOR_STATE, Alerts};
use crate::group::World;
use crate::spec::RuleSpec;

/// Restores the alerts of one rule.
pub(crate) fn rule(
    spec: &RuleSpec,
    for_ms: i64,
    alerts: &mut Alerts,
    now_ms: i64,
    world: &World<'_>,
) -> Result<(), QueryError> {
    let mut matchers = vec![
        Matcher::equal(METRIC_NAME, ALERTS_FOR_STATE),
        Matcher::equal("alertname", spec.name.clone()),
    ];
    // What a template made is not known before it is filled in; the labels of the series decide.
    matchers.extend(
        spec.labels
            .iter()
            .filter(|(key, text)| text.template.is_constant() && &**key != "alertname")
            .map(|(key, text)| Matcher::equal(key.clone(), text.source.clone())),
    );
    let known: HashMap<Labels, Sample> = world
        .query
        .latest(&matchers, now_ms - world.outage_tolerance_ms, now_ms)?
        .into_iter()
        .filter(|(_, sample)| !is_stale(sample.value) && sample.value.is_finite())
        .map(|(labels, sample)| (labels.filtered(|name| name != METRIC_NAME), sample))
        .collect();
    alerts.restore(|labels| {
        known
            .get(labels)
            .map(|sample| active_at(*sample, for_ms, now_ms, world.for_grace_ms))
    });
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
