//! Alertmanager's webhook message, version 4.

use std::collections::BTreeMap;

use model::{Alert, Labels};
use serde::Serialize;

use crate::dispatch::Batch;

/// What a time that is not known yet looks like in Go.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// The message, keys in Alertmanager's order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message<'a> {
    receiver: &'a str,
    status: &'static str,
    alerts: Vec<MessageAlert<'a>>,
    group_labels: BTreeMap<&'a str, &'a str>,
    common_labels: BTreeMap<&'a str, &'a str>,
    common_annotations: BTreeMap<&'a str, &'a str>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageAlert<'a> {
    status: &'static str,
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'a str, &'a str>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
}

/// Makes the message of a batch; `alerts` are those of it that this receiver hears of, and at most
/// `max_alerts` of them (0 for all) are in the message.
pub(crate) fn message<'a>(
    batch: &'a Batch,
    alerts: &[&'a Alert],
    max_alerts: usize,
    external_url: &'a str,
) -> Message<'a> {
    let shown = match max_alerts {
        0 => alerts,
        max => alerts.get(..max).unwrap_or(alerts),
    };
    let status = |alert: &Alert| {
        if alert.is_resolved_at(batch.now_ms) {
            "resolved"
        } else {
            "firing"
        }
    };
    Message {
        receiver: &batch.receiver,
        status: if shown.iter().any(|alert| status(alert) == "firing") {
            "firing"
        } else {
            "resolved"
        },
        alerts: shown
            .iter()
            .map(|alert| MessageAlert {
                status: status(alert),
                labels: map(&alert.labels),
                annotations: map(&alert.annotations),
                starts_at: rfc3339(alert.starts_at_ms),
                ends_at: match status(alert) {
                    "firing" => ZERO_TIME.to_owned(),
                    _ => rfc3339(alert.ends_at_ms),
                },
                generator_url: &alert.generator_url,
                fingerprint: alert.fingerprint(),
            })
            .collect(),
        group_labels: map(&batch.group_labels),
        common_labels: common(shown.iter().map(|alert| &alert.labels)),
        common_annotations: common(shown.iter().map(|alert| &alert.annotations)),
        external_url,
        version: "4",
        group_key: &batch.group_key,
        truncated_alerts: alerts.len() - shown.len(),
    }
}

fn map(labels: &Labels) -> BTreeMap<&str, &str> {
    labels.iter().map(|l| (&*l.name, &*l.value)).collect()
}

/// The pairs that all sets have.
fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> BTreeMap<&'a str, &'a str> {
    let mut common = sets.next().map(map).unwrap_or_default();
    for set in sets {
        common.retain(|name, value| set.get(name) == Some(*value));
    }
    common
}

/// A time as Go's encoder writes it: a fraction only where there is one, without zeros at its end.
fn rfc3339(time_ms: i64) -> String {
    let text = model::time::rfc3339_ms(time_ms);
    let text = text.trim_end_matches('Z').trim_end_matches('0');
    // `…:20.` and `…:2` of `…:20.000`.
    match text.strip_suffix('.') {
        Some(seconds) => format!("{seconds}Z"),
        None => format!("{text}Z"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_does() {
        let check = |ms: i64, expected: &str| assert_eq!(rfc3339(ms), expected);
        check(1_763_900_000_000, "2025-11-23T12:13:20Z");
        check(1_763_900_000_500, "2025-11-23T12:13:20.5Z");
        check(1_763_900_000_007, "2025-11-23T12:13:20.007Z");
    }
}
