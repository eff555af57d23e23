//! Prometheus' own configuration file, taken as it is: `--prometheus-config FILE`, or the section
//! `prometheus` of ours.
//!
//! A section that is not carried out and whose absence would change what is scraped, told or sent
//! on is refused by name; one that only tunes Prometheus itself is taken, and the Status page says
//! that it means nothing here.

use std::path::Path;

use anyhow::bail;
use metric_scrape::discovery::matching;
use metric_scrape::{GlobalConfig, ScrapeConfig};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::alerting::Alerting;

/// More files of scrape jobs are not read.
const SCRAPE_FILES_MAX: usize = 1_000;

/// A Prometheus configuration file, as far as it is carried out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Prometheus {
    pub(crate) global: GlobalConfig,
    pub(crate) scrape_configs: Vec<ScrapeConfig>,
    /// Globs of further files with `scrape_configs`, relative to this file.
    scrape_config_files: Vec<String>,
    /// Globs of rule files, relative to this file.
    pub(crate) rule_files: Vec<String>,
    /// Alertmanagers elsewhere, instead of or beside the built-in one.
    pub(crate) alerting: Alerting,
    /// Others who get our samples.
    pub(crate) remote_write: Vec<remote_write::RemoteWriteConfig>,
    remote_read: Option<Unsupported>,
    storage: Option<IgnoredAny>,
    tracing: Option<IgnoredAny>,
    otlp: Option<IgnoredAny>,
    runtime: Option<IgnoredAny>,
}

/// A key that Prometheus knows and that is refused by name rather than left out in silence.
#[derive(Debug, Clone)]
struct Unsupported;

impl<'de> Deserialize<'de> for Unsupported {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom(
            "Yagura does not carry out this section yet: take it out",
        ))
    }
}

/// A file that `scrape_config_files` names.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ScrapeFile {
    scrape_configs: Vec<ScrapeConfig>,
}

impl Prometheus {
    /// Makes names of files start in `dir`, the folder of the file, and reads those of further
    /// scrape jobs.
    ///
    /// # Errors
    /// A sentence with file and place.
    pub(super) fn settle_in(&mut self, dir: &Path) -> anyhow::Result<()> {
        for job in &mut self.scrape_configs {
            job.files_in(dir);
        }
        for remote in &mut self.remote_write {
            remote.http_files_in(dir);
        }
        let mut paths = Vec::new();
        for pattern in &self.scrape_config_files {
            let found = matching(&dir.join(pattern));
            paths.extend(found.map_err(|why| anyhow::anyhow!("scrape_config_files: {why}"))?);
        }
        paths.sort();
        paths.dedup();
        if paths.len() > SCRAPE_FILES_MAX {
            bail!("scrape_config_files: more than {SCRAPE_FILES_MAX} files match");
        }
        for path in paths {
            let mut file: ScrapeFile = super::read(&path)?;
            let dir = super::folder_of(&path);
            for job in &mut file.scrape_configs {
                job.files_in(&dir);
            }
            self.scrape_configs.append(&mut file.scrape_configs);
        }
        Ok(())
    }

    /// What is taken and means nothing here, each a sentence.
    pub(crate) fn idle_keys(&self) -> Vec<String> {
        let log_file = self.global.scrape_failure_log_file.is_some()
            || self
                .scrape_configs
                .iter()
                .any(|job| job.scrape_failure_log_file.is_some());
        let keys = [
            (
                self.storage.is_some(),
                "storage",
                "Yagura's own `storage` says how much is kept",
            ),
            (self.tracing.is_some(), "tracing", "Yagura sends no traces"),
            (
                self.otlp.is_some(),
                "otlp",
                "OTLP is taken with Yagura's own settings",
            ),
            (self.runtime.is_some(), "runtime", "it is about Go"),
            (
                self.global.query_log_file.is_some(),
                "query_log_file",
                "queries are not logged to a file",
            ),
            (
                log_file,
                "scrape_failure_log_file",
                "failures are shown with each target",
            ),
        ];
        let given = keys.iter().filter(|(given, ..)| *given);
        given
            .map(|(_, key, why)| format!("`prometheus: {key}` is not carried out: {why}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn settled(dir: &Path, text: &str) -> anyhow::Result<Prometheus> {
        let mut prometheus: Prometheus = yaml::from_str(text, "prometheus.yml")?;
        prometheus.settle_in(dir)?;
        Ok(prometheus)
    }

    #[test]
    fn further_files_of_jobs_are_read_and_start_in_their_own_folder() {
        let dir = tempfile::tempdir().expect("a folder");
        let jobs = dir.path().join("jobs");
        std::fs::create_dir(&jobs).expect("a folder");
        let write = |name: &str, text: &str| {
            std::fs::write(jobs.join(name), text).expect("it can be written");
        };
        write(
            "a.yml",
            "scrape_configs: [{job_name: a, bearer_token_file: t}]\n",
        );
        write("b.yml", "scrape_configs: [{job_name: b}]\n");
        write("c.txt", "nothing");
        let text = "scrape_configs: [{job_name: own, bearer_token_file: t}]\n\
                    scrape_config_files: ['jobs/*.yml']\nruntime: {gogc: 75}\n";
        let prometheus = settled(dir.path(), text).expect("a good file");
        let names: Vec<&str> = prometheus
            .scrape_configs
            .iter()
            .map(|j| &*j.job_name)
            .collect();
        assert_eq!(names, ["own", "a", "b"]);
        let token = |index: usize| {
            let job: &ScrapeConfig = &prometheus.scrape_configs[index];
            job.bearer_token_file.clone().map(PathBuf::from)
        };
        assert_eq!(token(0), Some(dir.path().join("t")));
        assert_eq!(token(1), Some(jobs.join("t")));
        assert_eq!(prometheus.idle_keys().len(), 1);

        write("b.yml", "scrape_config: []\n");
        let error = settled(dir.path(), text).expect_err("a misspelt key");
        let error = format!("{error:#}");
        assert!(
            error.contains("b.yml:1:1") && error.contains("scrape_configs"),
            "{error}"
        );
    }

    #[test]
    fn sections_that_are_not_carried_out_are_refused_by_name() {
        let error = settled(Path::new("."), "remote_read: [{url: 'http://a/'}]\n");
        let error = error.expect_err("it is refused").to_string();
        assert!(error.contains("take it out"), "{error}");
    }
}
