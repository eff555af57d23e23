//! One entry of `scrape_configs:`, a job.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::refused::with_refused_keys;
use super::{
    DnsSdConfig, EscapingScheme, FileSdConfig, GlobalConfig, HttpSdConfig, ScrapeProtocol, Size,
    ValidationScheme, duration_text,
};
use crate::ScrapeError;
use crate::exposition::histogram::Limits;
use crate::page::Histograms;
use crate::relabel::{RelabelConfig, Relabeler};

/// Targets with labels of their own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticConfig {
    /// Addresses, `host:port`.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Labels that all of them get.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

with_refused_keys! {
    /// A job: whom to ask, how, and what to make of the answer.
    #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct ScrapeConfig {
        /// Its name, the label `job` unless relabelling says otherwise.
        pub job_name: String,
        /// Default: the global one.
        #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
        pub scrape_interval: Option<Duration>,
        /// Default: the global one, or the interval where that is less.
        #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
        pub scrape_timeout: Option<Duration>,
        /// Formats to ask for, best first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub scrape_protocols: Option<Vec<ScrapeProtocol>>,
        /// The format of targets that do not name one that we know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fallback_scrape_protocol: Option<ScrapeProtocol>,
        /// Default `/metrics`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub metrics_path: Option<String>,
        /// `http` (default) or `https`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub scheme: Option<String>,
        /// Parameters of the request.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub params: BTreeMap<String, Vec<String>>,
        /// Labels of the page win over those of the target. Default: they get `exported_`.
        #[serde(default)]
        pub honor_labels: bool,
        /// Timestamps of the page count. Default true.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub honor_timestamps: Option<bool>,
        /// Series with timestamps of their own are marked stale like others.
        #[serde(default)]
        pub track_timestamps_staleness: bool,
        /// Ask for gzip. Default true.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub enable_compression: Option<bool>,
        /// The targets.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub static_configs: Vec<StaticConfig>,
        /// Files that list targets.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub file_sd_configs: Vec<FileSdConfig>,
        /// Servers that list targets.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub http_sd_configs: Vec<HttpSdConfig>,
        /// Names whose records list targets.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub dns_sd_configs: Vec<DnsSdConfig>,
        /// Rules for the labels of targets.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub relabel_configs: Vec<RelabelConfig>,
        /// Rules for the labels of series.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub metric_relabel_configs: Vec<RelabelConfig>,
        /// Largest page, uncompressed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub body_size_limit: Option<Size>,
        /// Most samples of a scrape after relabelling.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub sample_limit: Option<u64>,
        /// Most labels of a series.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub label_limit: Option<u64>,
        /// Longest label name in bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub label_name_length_limit: Option<u64>,
        /// Longest label value in bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub label_value_length_limit: Option<u64>,
        /// Most targets; with more, none is scraped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub target_limit: Option<u64>,
        /// Most dropped targets that are kept to be shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub keep_dropped_targets: Option<u64>,
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
        /// Old name of `always_scrape_classic_histograms`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub scrape_classic_histograms: Option<bool>,
        /// Not carried out: only `false` is taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub convert_classic_histograms_to_nhcb: Option<bool>,
        /// Most buckets of a native histogram: one with more is made coarser, and fails the scrape
        /// where that does not help. 0 (default) for no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub native_histogram_bucket_limit: Option<u64>,
        /// How many times as wide a bucket is at least as the one before: finer native histograms
        /// are made coarser. 0 (default) for no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub native_histogram_min_bucket_factor: Option<f64>,
        /// Three more series about each scrape.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub extra_scrape_metrics: Option<bool>,
        /// Taken and not carried out: failures are shown with each target and counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub scrape_failure_log_file: Option<String>,
    }
    refused {
        aws_sd_configs,
        azure_sd_configs,
        consul_sd_configs,
        digitalocean_sd_configs,
        docker_sd_configs,
        dockerswarm_sd_configs,
        ec2_sd_configs,
        eureka_sd_configs,
        gce_sd_configs,
        hetzner_sd_configs,
        ionos_sd_configs,
        kubernetes_sd_configs,
        kuma_sd_configs,
        lightsail_sd_configs,
        linode_sd_configs,
        marathon_sd_configs,
        nerve_sd_configs,
        nomad_sd_configs,
        oci_sd_configs,
        openstack_sd_configs,
        outscale_sd_configs,
        ovhcloud_sd_configs,
        puppetdb_sd_configs,
        scaleway_sd_configs,
        serverset_sd_configs,
        stackit_sd_configs,
        triton_sd_configs,
        uyuni_sd_configs,
        vultr_sd_configs,
    }
}

impl ScrapeConfig {
    /// How often.
    pub fn scrape_interval(&self, global: &GlobalConfig) -> Duration {
        self.scrape_interval
            .unwrap_or_else(|| global.scrape_interval())
    }

    /// Given up after.
    pub fn scrape_timeout(&self, global: &GlobalConfig) -> Duration {
        let interval = self.scrape_interval(global);
        self.scrape_timeout
            .unwrap_or_else(|| global.scrape_timeout().min(interval))
    }

    /// Formats to ask for, best first.
    pub fn scrape_protocols(&self, global: &GlobalConfig) -> Vec<ScrapeProtocol> {
        let given = self
            .scrape_protocols
            .as_ref()
            .or(global.scrape_protocols.as_ref());
        given.cloned().unwrap_or_else(|| {
            ScrapeProtocol::defaults(self.scrape_native_histograms(global)).to_vec()
        })
    }

    /// Whether native histograms are kept.
    pub fn scrape_native_histograms(&self, global: &GlobalConfig) -> bool {
        self.scrape_native_histograms
            .or(global.scrape_native_histograms)
            .unwrap_or(false)
    }

    /// What is made of histograms.
    pub(crate) fn histograms(&self, global: &GlobalConfig) -> Histograms {
        Histograms {
            native: self.scrape_native_histograms(global),
            classic_always: self
                .always_scrape_classic_histograms
                .or(self.scrape_classic_histograms)
                .or(global.always_scrape_classic_histograms)
                .unwrap_or(false),
            custom_bounds: self
                .convert_classic_histograms_to_nhcb
                .or(global.convert_classic_histograms_to_nhcb)
                .unwrap_or(false),
            limits: Limits::new(
                self.native_histogram_bucket_limit.unwrap_or(0),
                self.native_histogram_min_bucket_factor.unwrap_or(0.0),
            ),
        }
    }

    /// Which names are good.
    pub fn validation_scheme(&self, global: &GlobalConfig) -> ValidationScheme {
        self.metric_name_validation_scheme
            .or(global.metric_name_validation_scheme)
            .unwrap_or_default()
    }

    /// What exporters are asked to do with other names.
    pub fn escaping_scheme(&self, global: &GlobalConfig) -> EscapingScheme {
        self.metric_name_escaping_scheme
            .or(global.metric_name_escaping_scheme)
            .unwrap_or(match self.validation_scheme(global) {
                ValidationScheme::Utf8 => EscapingScheme::AllowUtf8,
                ValidationScheme::Legacy => EscapingScheme::Underscores,
            })
    }

    /// Makes names of files that are relative start in `dir`, the folder of the configuration
    /// file.
    pub fn files_in(&mut self, dir: &Path) {
        self.http_files_in(dir);
        for section in &mut self.http_sd_configs {
            section.http_files_in(dir);
        }
        for section in &mut self.file_sd_configs {
            section.files_in(dir);
        }
    }

    /// Checks what serde cannot see. Errors name job and key.
    pub fn check(&self, global: &GlobalConfig) -> Result<(), ScrapeError> {
        self.wrong(global)
            .map_err(|(key, reason)| ScrapeError::config(&self.job_name, key, reason))
    }

    fn wrong(&self, global: &GlobalConfig) -> Result<(), (&'static str, String)> {
        let wrong = |key, reason: &str| Err((key, reason.to_owned()));
        if self.job_name.is_empty() {
            return wrong("job_name", "it cannot be empty");
        }
        let interval = self.scrape_interval(global);
        if interval.is_zero() {
            return wrong("scrape_interval", "it cannot be 0");
        }
        if self.scrape_timeout(global).is_zero() {
            return wrong("scrape_timeout", "it cannot be 0");
        }
        if self.scrape_timeout(global) > interval {
            let shown = model::duration::format(interval);
            return wrong(
                "scrape_timeout",
                &format!("it cannot be longer than scrape_interval, {shown}"),
            );
        }
        if let Some(protocols) = &self.scrape_protocols {
            ScrapeProtocol::check(protocols).map_err(|why| ("scrape_protocols", why))?;
        }
        if let Some(scheme) = &self.scheme
            && !matches!(scheme.as_str(), "http" | "https")
        {
            return wrong("scheme", &format!("{scheme:?} is neither http nor https"));
        }
        self.http_client()
            .check()
            .map_err(|wrong| (wrong.key, wrong.reason))?;
        if self.escaping_scheme(global) == EscapingScheme::AllowUtf8
            && self.validation_scheme(global) == ValidationScheme::Legacy
        {
            return wrong(
                "metric_name_escaping_scheme",
                "allow-utf-8 contradicts metric_name_validation_scheme: legacy",
            );
        }
        if self
            .native_histogram_min_bucket_factor
            .is_some_and(|factor| !factor.is_finite() || factor < 0.0)
        {
            return wrong("native_histogram_min_bucket_factor", "it is no ratio");
        }
        for section in &self.file_sd_configs {
            section.check().map_err(|why| ("file_sd_configs", why))?;
        }
        for section in &self.http_sd_configs {
            section.check().map_err(|why| ("http_sd_configs", why))?;
        }
        for section in &self.dns_sd_configs {
            section.check().map_err(|why| ("dns_sd_configs", why))?;
        }
        Relabeler::new(&self.relabel_configs).map_err(|why| ("relabel_configs", why))?;
        Relabeler::new(&self.metric_relabel_configs)
            .map_err(|why| ("metric_relabel_configs", why))?;
        // Relabelling may make an address of anything (probes list URLs); then each target is
        // checked when it is made.
        if self.relabel_configs.is_empty() {
            for target in self.static_configs.iter().flat_map(|c| &c.targets) {
                crate::target::check_address(target).map_err(|why| ("static_configs", why))?;
            }
        }
        Ok(())
    }
}
