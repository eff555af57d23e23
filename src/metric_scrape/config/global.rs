//! `global:`, what holds for all jobs unless they say otherwise.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::refused::with_refused_keys;
use super::{ScrapeProtocol, Size, duration_text};
use crate::ScrapeError;

with_refused_keys! {
    /// The `global` section.
    #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct GlobalConfig {
        /// Targets are scraped every so often. Default 1m.
        #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
        pub scrape_interval: Option<Duration>,
        /// A scrape is given up after this time. Default 10s, or the interval where that is less.
        #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
        pub scrape_timeout: Option<Duration>,
        /// Formats to ask for, best first. Default: OpenMetrics, then text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub scrape_protocols: Option<Vec<ScrapeProtocol>>,
        /// Rule groups are evaluated every so often. Default 1m.
        #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
        pub evaluation_interval: Option<Duration>,
        /// Rules look at the time before this much. Default 0s.
        #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
        pub rule_query_offset: Option<Duration>,
        /// Labels for whoever receives alerts or samples from us.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub external_labels: BTreeMap<String, String>,
        /// Largest page, uncompressed. 0 (default): the built-in 64 MiB.
        #[serde(default)]
        pub body_size_limit: Size,
        /// Most samples of a scrape after relabelling; 0 for no limit.
        #[serde(default)]
        pub sample_limit: u64,
        /// Most labels of a series; 0 for no limit.
        #[serde(default)]
        pub label_limit: u64,
        /// Longest label name in bytes; 0 for no limit.
        #[serde(default)]
        pub label_name_length_limit: u64,
        /// Longest label value in bytes; 0 for no limit.
        #[serde(default)]
        pub label_value_length_limit: u64,
    }
    refused {
        query_log_file,
        scrape_failure_log_file,
        target_limit,
        keep_dropped_targets,
        metric_name_validation_scheme,
        metric_name_escaping_scheme,
        scrape_native_histograms,
        convert_classic_histograms_to_nhcb,
        always_scrape_classic_histograms,
        extra_scrape_metrics,
    }
}

/// Prometheus' defaults.
const SCRAPE_INTERVAL_DEFAULT: Duration = Duration::from_mins(1);
const SCRAPE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const EVALUATION_INTERVAL_DEFAULT: Duration = Duration::from_mins(1);

impl GlobalConfig {
    /// The interval of jobs that name none.
    pub fn scrape_interval(&self) -> Duration {
        self.scrape_interval.unwrap_or(SCRAPE_INTERVAL_DEFAULT)
    }

    /// The timeout of jobs that name none, before it is cut to their interval.
    pub fn scrape_timeout(&self) -> Duration {
        self.scrape_timeout
            .unwrap_or(SCRAPE_TIMEOUT_DEFAULT.min(self.scrape_interval()))
    }

    /// The interval of rule groups that name none.
    pub fn evaluation_interval(&self) -> Duration {
        self.evaluation_interval
            .unwrap_or(EVALUATION_INTERVAL_DEFAULT)
    }

    /// Checks what serde cannot see.
    pub fn check(&self) -> Result<(), ScrapeError> {
        let bad = |key: &'static str, reason: &str| Err(ScrapeError::config("", key, reason));
        if self.scrape_interval().is_zero() {
            return bad("scrape_interval", "it cannot be 0");
        }
        if self.scrape_timeout().is_zero() {
            return bad("scrape_timeout", "it cannot be 0");
        }
        if self.scrape_timeout() > self.scrape_interval() {
            return bad("scrape_timeout", "it cannot be longer than scrape_interval");
        }
        if self.evaluation_interval().is_zero() {
            return bad("evaluation_interval", "it cannot be 0");
        }
        if self.external_labels.keys().any(String::is_empty) {
            return bad("external_labels", "a label needs a name");
        }
        Ok(())
    }
}
