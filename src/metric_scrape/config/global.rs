//! `global:`, what holds for all jobs unless they say otherwise.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EscapingScheme, ScrapeProtocol, Size, ValidationScheme, duration_text};
use crate::ScrapeError;

/// The `global` section.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalConfig {
    /// Targets are scraped every so often. Default 1m.
    #[serde(
        default,
        with = "duration_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub scrape_interval: Option<Duration>,
    /// A scrape is given up after this time. Default 10s, or the interval where that is less.
    #[serde(
        default,
        with = "duration_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub scrape_timeout: Option<Duration>,
    /// Formats to ask for, best first. Default: OpenMetrics, then text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrape_protocols: Option<Vec<ScrapeProtocol>>,
    /// Rule groups are evaluated every so often. Default 1m.
    #[serde(
        default,
        with = "duration_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub evaluation_interval: Option<Duration>,
    /// Rules look at the time before this much. Default 0s.
    #[serde(
        default,
        with = "duration_text",
        skip_serializing_if = "Option::is_none"
    )]
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
    /// Most targets of a job; 0 for no limit.
    #[serde(default)]
    pub target_limit: u64,
    /// Most dropped targets of a job that are kept to be shown; 0 for as many as there is room.
    #[serde(default)]
    pub keep_dropped_targets: u64,
    /// Which metric and label names are good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_name_validation_scheme: Option<ValidationScheme>,
    /// What exporters are asked to do with other names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_name_escaping_scheme: Option<EscapingScheme>,
    /// Native histograms are kept, and protobuf is asked for first. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrape_native_histograms: Option<bool>,
    /// The classic form of a histogram is kept also where it has a native one. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub always_scrape_classic_histograms: Option<bool>,
    /// Classic histograms become native ones with custom bounds. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convert_classic_histograms_to_nhcb: Option<bool>,
    /// Three more series about each scrape. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_scrape_metrics: Option<bool>,
    /// Taken and not carried out: queries are not logged to a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_log_file: Option<String>,
    /// Taken and not carried out: failures are shown with each target and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrape_failure_log_file: Option<String>,
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
        if let Some(protocols) = &self.scrape_protocols
            && let Err(why) = ScrapeProtocol::check(protocols)
        {
            return bad("scrape_protocols", &why);
        }
        if self.external_labels.keys().any(String::is_empty) {
            return bad("external_labels", "a label needs a name");
        }
        Ok(())
    }
}
