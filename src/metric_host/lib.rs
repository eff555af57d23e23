//! How is this machine? /proc and /sys as node_* samples.
//!
//! [`HostCollector::collect`] answers like node_exporter does: the same metric names and labels,
//! in the text format, so that rules and dashboards made for it work here. Each file in
//! `collectors/` reads one corner of the system. One that fails (a file is missing or malformed)
//! takes only its own metrics with it: `node_scrape_collector_success` is 0 and
//! [`HostCollector::problems`] says why.
//!
//! It knows no store and no schedule: the binary hands it to the scraper as a local source.

mod collectors;
mod files;
mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use parking_lot::Mutex;

pub use files::CollectError;

use crate::collectors::{COLLECTORS, filesystem::MountProbe};
use crate::files::Files;
use crate::text::Page;

/// Where the machine's files are. In a container the host's are mounted somewhere else.
#[derive(Debug, Clone)]
pub struct Config {
    /// Default `/proc`.
    pub proc: PathBuf,
    /// Default `/sys`.
    pub sys: PathBuf,
    /// The root of the file systems to measure. Default `/`.
    pub root: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
            root: "/".into(),
        }
    }
}

/// Reads the state of the machine. One per process: it remembers mounts that hang.
#[derive(Debug)]
pub struct HostCollector {
    files: Files,
    mounts: MountProbe,
    problems: Mutex<BTreeMap<&'static str, String>>,
}

impl HostCollector {
    /// Makes a collector; nothing is read yet.
    pub fn new(config: Config) -> Self {
        Self {
            mounts: MountProbe::new(config.root.clone()),
            files: Files::new(config),
            problems: Mutex::default(),
        }
    }

    /// Reads everything once and writes it in the text format. Takes some milliseconds, and up to
    /// the time set aside for mounts when one hangs: call it from a thread that may block.
    ///
    /// # Errors
    /// When no collector could read anything: most likely the paths are wrong.
    pub fn collect(&self) -> Result<String, String> {
        let mut text = String::new();
        let mut problems = BTreeMap::new();
        let mut seconds = Vec::with_capacity(COLLECTORS.len());
        for (name, collect) in COLLECTORS {
            let started = Instant::now();
            // Each has a page of its own, so that one that fails half way leaves nothing.
            let mut page = Page::default();
            match collect(self, &mut page) {
                Ok(()) => text.push_str(&page.into_text()),
                Err(error) => {
                    problems.insert(*name, error.to_string());
                }
            }
            seconds.push((*name, started.elapsed().as_secs_f64()));
        }
        // The clock needs no file and always answers.
        let is_readable = |name: &str| name != "time" && !problems.contains_key(name);
        if !COLLECTORS.iter().any(|(name, _)| is_readable(name)) {
            let first = problems.into_values().next().unwrap_or_default();
            return Err(format!("nothing can be read of this machine: {first}"));
        }
        let mut page = Page::default();
        page.gauges(
            "node_scrape_collector_duration_seconds",
            "Seconds that a collector took",
            "collector",
            seconds.iter().copied(),
        );
        page.gauges(
            "node_scrape_collector_success",
            "Whether a collector could read all that it needs",
            "collector",
            seconds
                .iter()
                .map(|(name, _)| (*name, f64::from(u8::from(!problems.contains_key(name))))),
        );
        text.push_str(&page.into_text());
        self.remember(problems);
        Ok(text)
    }

    /// Collectors whose last turn failed, and why, in a sentence.
    pub fn problems(&self) -> BTreeMap<&'static str, String> {
        self.problems.lock().clone()
    }

    fn remember(&self, problems: BTreeMap<&'static str, String>) {
        let mut known = self.problems.lock();
        for (collector, reason) in &problems {
            // Once per change. Most machines lack something, so this is no warning.
            if known.get(collector) != Some(reason) {
                tracing::debug!(collector, reason, "a collector of this machine has nothing");
            }
        }
        *known = problems;
    }
}

#[cfg(test)]
mod tests;
