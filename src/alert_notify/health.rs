//! How each receiver is doing: what it was last told, what it last refused.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::config::Config;

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
    /// Messages that are on their way.
    pub pending: u64,
    /// Attempts in vain since the start that were made again.
    pub retries: u64,
    /// Messages that it took since the start.
    pub sent: u64,
    /// Messages given up since the start; they go with the group's next turn.
    pub failed: u64,
}

/// The health of all ways, by receiver and way.
#[derive(Debug, Default)]
pub(crate) struct Health {
    ways: Mutex<BTreeMap<(String, String), WayHealth>>,
}

impl Health {
    /// Notes something about a way.
    pub(crate) fn note(&self, receiver: &str, way: &str, change: impl FnOnce(&mut WayHealth)) {
        let mut ways = self.ways.lock();
        let entry = ways.entry((receiver.to_owned(), way.to_owned()));
        change(entry.or_insert_with(|| WayHealth {
            receiver: receiver.to_owned(),
            way: way.to_owned(),
            ..WayHealth::default()
        }));
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
            known || health.pending > 0
        });
        all
    }
}
