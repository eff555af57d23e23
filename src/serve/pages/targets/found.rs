//! Where a job's targets are found, what relabelling does to each, and which ones it drops.

use std::collections::BTreeMap;

use model::{DiscoveryState, DroppedTarget, Label, Labels, RelabelStep, ScrapeTarget};

use crate::{Services, humanize};

/// Dropped targets listed per job; the page says how many there are.
const DROPPED_MAX: usize = 50;

/// What is known of a job beside its targets.
#[derive(Default)]
pub(super) struct Found {
    pub(super) looks: Vec<DiscoveryState>,
    pub(super) dropped: Vec<Dropped>,
    /// All of them, those that are not listed included.
    pub(super) dropped_count: usize,
}

/// A target that relabelling drops.
pub(super) struct Dropped {
    pub(super) address: String,
    /// Other labels by which it was found.
    pub(super) labels: Vec<Label>,
    /// Which rule drops it, and why.
    pub(super) reason: String,
}

/// How a target came to its labels.
pub(super) struct Origin {
    pub(super) discovered: Vec<Label>,
    pub(super) steps: Vec<RelabelStep>,
    /// `every 15 s, given up after 10 s`
    pub(super) rhythm: String,
}

impl Found {
    /// Gathers what is known, by job.
    pub(super) fn gather(services: &Services) -> BTreeMap<String, Self> {
        let mut jobs: BTreeMap<String, Self> = BTreeMap::new();
        for look in (services.discoveries)() {
            let job = jobs.entry(look.scrape_pool.clone()).or_default();
            job.looks.push(look);
        }
        for (name, count) in (services.dropped_counts)() {
            if count > 0 {
                jobs.entry(name).or_default().dropped_count = count;
            }
        }
        for target in (services.dropped_targets)() {
            let job = jobs.entry(target.scrape_pool.clone()).or_default();
            if job.dropped.len() < DROPPED_MAX {
                job.dropped.push(Dropped::new(services, target));
            }
        }
        jobs
    }

    /// Why targets may be missing.
    pub(super) fn errors(&self) -> impl Iterator<Item = &DiscoveryState> {
        self.looks.iter().filter(|look| !look.error.is_empty())
    }

    /// Leaves only what has the words in it.
    pub(super) fn narrow(&mut self, needle: &str) {
        let has = |text: &str| text.to_lowercase().contains(needle);
        self.dropped.retain(|target| {
            let mut labels = target.labels.iter();
            has(&target.address)
                || has(&target.reason)
                || labels.any(|label| has(&format!("{}={}", label.name, label.value)))
        });
        self.dropped_count = self.dropped.len();
        self.looks
            .retain(|look| has(&look.mechanism) || has(&look.error));
    }
}

impl Dropped {
    fn new(services: &Services, target: DroppedTarget) -> Self {
        let DroppedTarget {
            scrape_pool,
            discovered_labels: labels,
            rule,
        } = target;
        let steps = (services.relabel_steps)(&scrape_pool, &labels);
        let reason = match steps.iter().find(|step| step.drops) {
            Some(step) => format!("rule {} {}", step.rule, step.effect),
            None => format!("rule {rule} of relabel_configs drops it"),
        };
        Self {
            address: labels.get("__address__").unwrap_or_default().to_owned(),
            labels: told(&labels),
            reason,
        }
    }
}

impl Origin {
    pub(super) fn new(services: &Services, target: &ScrapeTarget) -> Self {
        let labels = &target.discovered_labels;
        Self {
            discovered: labels.iter().cloned().collect(),
            steps: (services.relabel_steps)(&target.scrape_pool, labels),
            rhythm: format!(
                "Asked every {}, given up after {}.",
                humanize::span_ms(target.interval_ms),
                humanize::span_ms(target.timeout_ms)
            ),
        }
    }
}

/// Labels that tell a target from others: not what every target has.
fn told(labels: &Labels) -> Vec<Label> {
    let usual = |name: &str| name.starts_with("__") && !name.starts_with("__meta_");
    let labels = labels.iter().filter(|label| !usual(&label.name));
    labels.cloned().collect()
}
