//! How each receiver is doing: what it was last told, what it last refused.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::config::Config;
use crate::metrics::WayLabels;

/// A way of telling a receiver, and how it is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WayHealth {
    /// The receiver's name.
    pub receiver: String,
    /// `slack[0]`, …
    pub way: String,
    /// When it last took a message, milliseconds since 1970-01-01 UTC; 0 for never.
    pub last_success_ms: i64,
    /// When a message last failed for good or was last tried in vain; 0 for never.
    pub last_failure_ms: i64,
    /// Why, in a sentence; empty once a message arrived again.
    pub last_error: String,
    /// Since when no message has arrived although one was tried, milliseconds since 1970-01-01
    /// UTC; 0 while messages arrive.
    pub failing_since_ms: i64,
    /// Messages that are on their way.
    pub pending: u64,
    /// Attempts in vain since the start that were made again.
    pub retries: u64,
    /// Messages that it took since the start.
    pub sent: u64,
    /// Messages given up since the start; they go with the group's next turn.
    pub failed: u64,
}

impl WayHealth {
    /// A message has arrived.
    pub(crate) fn arrived(&mut self, now_ms: i64) {
        self.last_success_ms = now_ms;
        self.failing_since_ms = 0;
        self.last_error.clear();
    }

    /// A message was tried in vain.
    pub(crate) fn missed(&mut self, error: &str, now_ms: i64) {
        self.last_failure_ms = now_ms;
        if self.failing_since_ms == 0 {
            self.failing_since_ms = now_ms;
        }
        error.clone_into(&mut self.last_error);
    }
}

/// The health of all ways, by receiver and way.
#[derive(Debug)]
pub(crate) struct Health {
    ways: Mutex<BTreeMap<(String, String), WayHealth>>,
    /// 1 for those that fail, for the alert about them.
    failing: Family<WayLabels, Gauge>,
}

impl Health {
    pub(crate) fn new(failing: Family<WayLabels, Gauge>) -> Self {
        Self {
            ways: Mutex::default(),
            failing,
        }
    }

    /// Notes something about a way.
    pub(crate) fn note(&self, receiver: &str, way: &str, change: impl FnOnce(&mut WayHealth)) {
        let mut ways = self.ways.lock();
        let entry = ways.entry((receiver.to_owned(), way.to_owned()));
        let health = entry.or_insert_with(|| WayHealth {
            receiver: receiver.to_owned(),
            way: way.to_owned(),
            ..WayHealth::default()
        });
        change(health);
        let gauge = self.failing.get_or_create(&labels(receiver, way));
        gauge.set(i64::from(health.failing_since_ms > 0));
    }

    /// All ways of a configuration; others are forgotten.
    pub(crate) fn of(&self, config: &Config) -> Vec<WayHealth> {
        let mut ways = self.ways.lock();
        let mut all = Vec::new();
        for (name, receiver) in &config.receivers {
            for way in receiver.ways() {
                let key = (name.to_string(), way.clone());
                all.push(ways.get(&key).cloned().unwrap_or_else(|| WayHealth {
                    receiver: name.to_string(),
                    way,
                    ..WayHealth::default()
                }));
            }
        }
        // What a reload took out must not stay for ever.
        ways.retain(|(name, way), health| {
            let known = all.iter().any(|h| h.receiver == *name && h.way == *way);
            let stays = known || health.pending > 0;
            if !stays {
                self.failing.remove(&labels(name, way));
            }
            stays
        });
        all
    }
}

fn labels(receiver: &str, way: &str) -> WayLabels {
    WayLabels {
        receiver: receiver.to_owned(),
        way: way.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_fails_from_its_first_failure_until_a_message_arrives() {
        let failing = Family::<WayLabels, Gauge>::default();
        let health = Health::new(failing.clone());
        let note = |change: &dyn Fn(&mut WayHealth)| health.note("team", "slack[0]", change);
        let value = || failing.get_or_create(&labels("team", "slack[0]")).get();
        note(&|way| way.missed("first", 10));
        note(&|way| way.missed("second", 20));
        assert_eq!(value(), 1);
        note(&|way| {
            assert_eq!((way.failing_since_ms, &*way.last_error), (10, "second"));
            way.arrived(30);
        });
        assert_eq!(value(), 0);
        note(&|way| assert_eq!((way.failing_since_ms, &*way.last_error), (0, "")));
        // A receiver that a reload took out is not missed.
        note(&|way| way.missed("again", 40));
        health.of(&Config::silent());
        assert_eq!(value(), 0);
    }
}
