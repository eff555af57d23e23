//! An alert on its way from the rule that found it to whoever must know.

use crate::labels::Labels;

/// An alert instance as Alertmanager knows it: identified by its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Identity, `alertname` included.
    pub labels: Labels,
    /// Texts for people: `summary`, `description`, `runbook_url`, …
    pub annotations: Labels,
    /// When it began to fire, milliseconds since 1970-01-01 UTC.
    pub starts_at_ms: i64,
    /// When it ended or, for one that still fires, when it counts as ended if nobody says
    /// otherwise. Milliseconds since 1970-01-01 UTC.
    pub ends_at_ms: i64,
    /// A link to the expression behind it.
    pub generator_url: String,
}

impl Alert {
    /// Whether it is over at a given time.
    pub fn is_resolved_at(&self, now_ms: i64) -> bool {
        self.ends_at_ms <= now_ms
    }

    /// The key of its labels, as 16 hex digits: what links and APIs use. The same as
    /// Alertmanager's (FNV-1a over names and values in order of name, 0xff behind each), so that
    /// receivers go on recognising their alerts.
    pub fn fingerprint(&self) -> String {
        Self::fingerprint_of(&self.labels)
    }

    /// The key of labels, where there is no alert at hand; see [`Alert::fingerprint`].
    pub fn fingerprint_of(labels: &Labels) -> String {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let bytes = labels.iter().flat_map(|label| {
            let (name, value) = (label.name.bytes(), label.value.bytes());
            name.chain([0xff]).chain(value).chain([0xff])
        });
        let hash = bytes.fold(OFFSET, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(PRIME)
        });
        format!("{hash:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_alertmanagers() {
        let check = |pairs: &[(&str, &str)], expected: &str| {
            let alert = Alert {
                labels: Labels::from_pairs(pairs.iter().copied()),
                annotations: Labels::empty(),
                starts_at_ms: 0,
                ends_at_ms: 0,
                generator_url: String::new(),
            };
            assert_eq!(alert.fingerprint(), expected);
        };
        check(&[], "cbf29ce484222325");
        check(&[("alertname", "A")], "d2c6efc389df0927");
    }
}
