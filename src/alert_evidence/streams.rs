//! Which log streams are about the same thing as an alert? Those that have the same labels, the
//! narrowest that are there: container, pod, app, unit, namespace, machine.

use log_query::{Filter, field_term};
use model::{Labels, Matcher};

/// Sets of labels that name one thing, the narrowest first. An alert must have all of a set.
const SETS: [&[&str]; 15] = [
    &["namespace", "pod", "container"],
    &["namespace", "pod"],
    &["pod"],
    &["file"],
    &["filename"],
    &["unit"],
    &["namespace", "app"],
    &["namespace", "service"],
    &["namespace", "container"],
    &["namespace", "job"],
    &["app"],
    &["service"],
    &["container"],
    &["namespace"],
    &["job"],
];

/// Labels that may name a machine, of alerts and of streams.
const MACHINES: [&str; 4] = ["node", "host", "hostname", "instance"];

/// What the streams have in common with the alert.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Names and values of the streams' labels.
    pub labels: Vec<(String, String)>,
}

impl Scope {
    /// The condition on lines.
    pub fn filter(&self) -> Filter {
        let label = |(name, value): &(String, String)| {
            Filter::Label(Matcher::equal(name.as_str(), value.as_str()))
        };
        Filter::And(self.labels.iter().map(label).collect())
    }

    /// The same in the words of the search language.
    pub fn query(&self) -> String {
        let term = |(name, value): &(String, String)| field_term(name, value, false);
        self.labels.iter().map(term).collect::<Vec<_>>().join(" ")
    }
}

/// The narrowest set of labels that an alert shares with one of the streams.
pub fn scope(alert: &Labels, streams: &[Labels]) -> Option<Scope> {
    let exists = |pairs: &[(&str, &str)]| {
        let fits = |stream: &Labels| pairs.iter().all(|(n, v)| stream.get(n) == Some(v));
        streams.iter().any(fits)
    };
    let owned = |pairs: &[(&str, &str)]| Scope {
        labels: pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    };
    for set in SETS {
        let pairs: Option<Vec<(&str, &str)>> = set
            .iter()
            .map(|name| Some((*name, alert.get(name).filter(|value| !value.is_empty())?)))
            .collect();
        // Who has a pod is not answered with its whole namespace's lines under another name.
        if let Some(pairs) = pairs
            && exists(&pairs)
        {
            return Some(owned(&pairs));
        }
    }
    MACHINES
        .iter()
        .filter_map(|name| alert.get(name))
        .map(without_port)
        .filter(|machine| !machine.is_empty())
        .find_map(|machine| {
            let name = MACHINES.iter().find(|name| exists(&[(name, machine)]))?;
            Some(owned(&[(name, machine)]))
        })
}

/// `pi5-02:9100` is the machine `pi5-02`.
fn without_port(instance: &str) -> &str {
    match instance.rsplit_once(':') {
        Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) => {
            host.trim_start_matches('[').trim_end_matches(']')
        }
        _ => instance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_labels_in_common_win() {
        let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        let streams = [
            labels(&[("namespace", "media"), ("pod", "web-1"), ("container", "c")]),
            labels(&[("host", "pi5-02"), ("filename", "/var/log/syslog")]),
        ];
        let check = |alert: &[(&str, &str)], expected: &str| {
            let found = scope(&labels(alert), &streams).map(|scope| scope.query());
            assert_eq!(found.unwrap_or_default(), expected, "{alert:?}");
        };
        let pod = [("namespace", "media"), ("pod", "web-1")];
        check(
            &[&pod[..], &[("container", "c")]].concat(),
            "namespace:media pod:web-1 container:c",
        );
        // A container that is gone: its pod.
        check(
            &[&pod[..], &[("container", "x")]].concat(),
            "namespace:media pod:web-1",
        );
        check(
            &[("namespace", "media"), ("pod", "web-2")],
            "namespace:media",
        );
        check(
            &[("instance", "pi5-02:9100"), ("job", "node")],
            "host:pi5-02",
        );
        check(&[("instance", "pi5-02")], "host:pi5-02");
        check(&[("instance", "nas:9100")], "");
        check(&[("severity", "critical")], "");
    }
}
