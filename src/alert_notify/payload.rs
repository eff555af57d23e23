//! Alertmanager's webhook message, version 4, and the evidence where it is asked for.

use std::collections::BTreeMap;

use model::Labels;
use serde::Serialize;
use template::notification::{self, AlertData};

use crate::message::{Evidence, Message};

/// What a time that is not known yet looks like in Go.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// The message, keys in Alertmanager's order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payload<'a> {
    receiver: &'a str,
    status: &'static str,
    alerts: Vec<PayloadAlert<'a>>,
    group_labels: BTreeMap<&'a str, &'a str>,
    common_labels: BTreeMap<String, String>,
    common_annotations: BTreeMap<String, String>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
    /// Not Alertmanager's: only where it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evidence: Option<&'a Evidence>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PayloadAlert<'a> {
    status: &'static str,
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'a str, &'a str>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: &'a str,
}

/// Makes the message; at most `max_alerts` alerts (0 for all) are in it.
pub(crate) fn message<'a>(message: &Message<'a>, max_alerts: usize) -> Payload<'a> {
    let data = message.data;
    let shown = match max_alerts {
        0 => data.alerts.as_slice(),
        max => data.alerts.get(..max).unwrap_or(&data.alerts),
    };
    let status = |resolved: bool| if resolved { "resolved" } else { "firing" };
    let alert = |alert: &'a AlertData| PayloadAlert {
        status: status(alert.resolved),
        labels: map(&alert.labels),
        annotations: map(&alert.annotations),
        starts_at: rfc3339(alert.starts_at_ms),
        ends_at: alert
            .ends_at_ms
            .map_or_else(|| ZERO_TIME.to_owned(), rfc3339),
        generator_url: &alert.generator_url,
        fingerprint: &alert.fingerprint,
    };
    let owned = |labels: &Labels| {
        let pair = |l: &model::Label| (l.name.to_string(), l.value.to_string());
        labels.iter().map(pair).collect()
    };
    Payload {
        receiver: &data.receiver,
        status: status(shown.iter().all(|alert| alert.resolved)),
        alerts: shown.iter().map(alert).collect(),
        group_labels: map(&data.group_labels),
        common_labels: owned(&notification::common(shown.iter().map(|a| &a.labels))),
        common_annotations: owned(&notification::common(shown.iter().map(|a| &a.annotations))),
        external_url: &data.external_url,
        version: "4",
        group_key: message.group_key,
        truncated_alerts: data.alerts.len() - shown.len(),
        evidence: None,
    }
}

fn map(labels: &Labels) -> BTreeMap<&str, &str> {
    labels.iter().map(|l| (&*l.name, &*l.value)).collect()
}

/// A time as Go's encoder writes it: a fraction only where there is one, without zeros at its end.
pub(crate) fn rfc3339(time_ms: i64) -> String {
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
