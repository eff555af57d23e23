//! What this room tells about itself: for each rule, what it was about and what it did.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Names a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RuleLabel {
    pub(crate) rule: String,
}

/// Figures of all rules. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    lines_seen: Family<RuleLabel, Counter>,
    lines_changed: Family<RuleLabel, Counter>,
    lines_dropped: Family<RuleLabel, Counter>,
    dropped_bytes: Family<RuleLabel, Counter>,
    /// Lines that kept their labels because the store takes no more streams.
    pub(crate) streams_refused: Counter,
}

/// The counters of one rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct RuleCounters {
    lines_seen: Counter,
    lines_changed: Counter,
    lines_dropped: Counter,
    dropped_bytes: Counter,
}

/// What a rule did to one batch. It is counted only once the store has the batch: a batch that has
/// to be sent again goes through the rules again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) lines_seen: u64,
    pub(crate) lines_changed: u64,
    pub(crate) lines_dropped: u64,
    pub(crate) dropped_bytes: u64,
}

impl Metrics {
    /// Registers the figures.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("yagura_log_rules");
        for (name, help, family) in [
            (
                "lines_seen",
                "Lines that a processing rule was about: they came to it and satisfied its `if`",
                &metrics.lines_seen,
            ),
            (
                "lines_changed",
                "Lines that a processing rule changed",
                &metrics.lines_changed,
            ),
            (
                "lines_dropped",
                "Lines that were not stored because of a processing rule",
                &metrics.lines_dropped,
            ),
            (
                "dropped_bytes",
                "Text of the lines that were not stored because of a processing rule",
                &metrics.dropped_bytes,
            ),
        ] {
            registry.register(name, help, family.clone());
        }
        registry.register(
            "streams_refused",
            "Lines that kept their labels because the log store takes no more streams",
            metrics.streams_refused.clone(),
        );
        metrics
    }

    /// The counters of a rule; the same name has the same counters, also after a reload.
    pub(crate) fn of(&self, rule: &str) -> RuleCounters {
        let label = RuleLabel {
            rule: rule.to_owned(),
        };
        RuleCounters {
            lines_seen: self.lines_seen.get_or_create_owned(&label),
            lines_changed: self.lines_changed.get_or_create_owned(&label),
            lines_dropped: self.lines_dropped.get_or_create_owned(&label),
            dropped_bytes: self.dropped_bytes.get_or_create_owned(&label),
        }
    }

    /// Forgets a rule that is not in force any more.
    pub(crate) fn forget(&self, rule: &str) {
        let label = RuleLabel {
            rule: rule.to_owned(),
        };
        for family in [
            &self.lines_seen,
            &self.lines_changed,
            &self.lines_dropped,
            &self.dropped_bytes,
        ] {
            family.remove(&label);
        }
    }
}

impl RuleCounters {
    pub(crate) fn add(&self, tally: &Tally) {
        for (counter, count) in [
            (&self.lines_seen, tally.lines_seen),
            (&self.lines_changed, tally.lines_changed),
            (&self.lines_dropped, tally.lines_dropped),
            (&self.dropped_bytes, tally.dropped_bytes),
        ] {
            if count > 0 {
                counter.inc_by(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn a_rule_is_counted_under_its_name_until_it_is_forgotten() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        metrics.of("health").add(&Tally {
            lines_seen: 3,
            lines_dropped: 2,
            dropped_bytes: 40,
            ..Tally::default()
        });
        let text = |registry: &Registry| {
            let mut text = String::new();
            encode(&mut text, registry).expect("it can be written");
            text
        };
        let shown = text(&registry);
        for line in [
            "yagura_log_rules_lines_seen_total{rule=\"health\"} 3",
            "yagura_log_rules_lines_changed_total{rule=\"health\"} 0",
            "yagura_log_rules_lines_dropped_total{rule=\"health\"} 2",
            "yagura_log_rules_dropped_bytes_total{rule=\"health\"} 40",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
        metrics.forget("health");
        assert!(!text(&registry).contains("health"));
    }
}
