//! Where are the targets? Mechanisms that find them, and what they have found.
//!
//! A [`Discovery`] runs as a task and tells [`Found`] whenever it knows more; the scraper makes
//! targets of what is found ([`crate::target`]). A mechanism that fails says so and the targets
//! that were found before stay. Mechanisms of other rooms (Kubernetes) come by
//! [`crate::Plan::discoveries`].

mod dns;
mod file;
mod http;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use http_client::Clients;
use model::DiscoveryState;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::Notify;

use crate::config::ScrapeConfig;
use crate::metrics::Metrics;

pub use file::matching;

/// Labels of targets by name.
pub type TargetLabels = BTreeMap<String, String>;

/// Targets that belong together and the labels that they share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetGroup {
    /// Labels of each target; `__address__` must be among them.
    pub targets: Vec<TargetLabels>,
    /// Labels of all of them.
    pub labels: TargetLabels,
}

/// A running discovery; it ends only when it is dropped.
pub type DiscoveryTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A mechanism that finds targets.
pub trait Discovery: Send + Sync {
    /// How it is called on the targets page: `file /etc/targets/*.json`.
    fn name(&self) -> String;

    /// Looks for targets until it is dropped, and tells `found` what there is now.
    fn run(self: Arc<Self>, found: Found) -> DiscoveryTask;
}

/// Takes what a discovery has found.
#[derive(Debug, Clone)]
pub struct Found {
    place: Arc<Mutex<Place>>,
    changed: Arc<Notify>,
    metrics: Metrics,
}

/// What one discovery has found so far.
#[derive(Debug, Default)]
struct Place {
    groups: Arc<Vec<TargetGroup>>,
    error: String,
}

impl Found {
    pub(crate) fn new(changed: Arc<Notify>, metrics: Metrics) -> Self {
        Self {
            place: Arc::default(),
            changed,
            metrics,
        }
    }

    /// These are all groups that there are now.
    pub fn set(&self, groups: Vec<TargetGroup>) {
        self.update(Some(groups), String::new());
    }

    /// Looking has failed: the groups of before stay, and the page shows the sentence.
    pub fn fail(&self, error: impl Into<String>) {
        self.update(None, error.into());
    }

    /// These groups are there, and something has failed all the same.
    pub fn set_partly(&self, groups: Vec<TargetGroup>, error: impl Into<String>) {
        self.update(Some(groups), error.into());
    }

    fn update(&self, groups: Option<Vec<TargetGroup>>, error: String) {
        if !error.is_empty() {
            self.metrics.discovery_failures.inc();
        }
        let mut place = self.place.lock();
        // Once per reason: a server that is down for a night fills no log.
        if place.error != error {
            if !error.is_empty() {
                tracing::warn!(
                    error,
                    "not all targets can be found, those known before stay"
                );
            }
            place.error = error;
        }
        if let Some(groups) = groups
            && *place.groups != groups
        {
            place.groups = Arc::new(groups);
            self.changed.notify_one();
        }
    }

    pub(crate) fn groups(&self) -> Arc<Vec<TargetGroup>> {
        self.place.lock().groups.clone()
    }

    pub(crate) fn state(&self, job: &str, mechanism: String) -> DiscoveryState {
        let place = self.place.lock();
        DiscoveryState {
            scrape_pool: job.to_owned(),
            mechanism,
            targets: place.groups.iter().map(|group| group.targets.len()).sum(),
            error: place.error.clone(),
        }
    }
}

/// The mechanisms that a job's own keys name.
pub(crate) fn of_job(job: &ScrapeConfig, clients: &Clients) -> Vec<Arc<dyn Discovery>> {
    let mut all: Vec<Arc<dyn Discovery>> = Vec::new();
    for section in &job.file_sd_configs {
        all.push(Arc::new(file::FileDiscovery::new(section.clone())));
    }
    for section in &job.http_sd_configs {
        let client = clients.client(&section.http_client());
        all.push(Arc::new(http::HttpDiscovery::new(section.clone(), client)));
    }
    for section in &job.dns_sd_configs {
        all.push(Arc::new(dns::DnsDiscovery::new(section.clone())));
    }
    all
}

/// A group as files and servers write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGroup {
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    labels: TargetLabels,
}

impl WrittenGroup {
    /// The group with one more label, which says where it comes from.
    fn from(self, name: &str, place: &str) -> TargetGroup {
        let mut labels = self.labels;
        labels.insert(name.to_owned(), place.to_owned());
        TargetGroup {
            targets: self.targets.into_iter().map(at).collect(),
            labels,
        }
    }
}

/// The labels of a target that is known by its address only.
pub(crate) fn at(address: String) -> TargetLabels {
    TargetLabels::from([("__address__".to_owned(), address)])
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
