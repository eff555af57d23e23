//! One entry of `scrape_configs:`, a job.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::refused::with_refused_keys;
use super::{
    Authorization, BasicAuth, GlobalConfig, HttpConfig, Secret, Size, TlsConfig, duration_text,
};
use crate::ScrapeError;
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

/// A format that a target may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScrapeProtocol {
    /// Text format 0.0.4.
    #[serde(rename = "PrometheusText0.0.4")]
    Text0,
    /// Text format 1.0.0.
    #[serde(rename = "PrometheusText1.0.0")]
    Text1,
    /// OpenMetrics 0.0.1.
    #[serde(rename = "OpenMetricsText0.0.1")]
    OpenMetrics0,
    /// OpenMetrics 1.0.0.
    #[serde(rename = "OpenMetricsText1.0.0")]
    OpenMetrics1,
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
        /// Default true.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub enable_http2: Option<bool>,
        /// Default true.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub follow_redirects: Option<bool>,
        /// User name and password.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub basic_auth: Option<BasicAuth>,
        /// Another `Authorization` header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub authorization: Option<Authorization>,
        /// Old form of `authorization`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub bearer_token: Option<Secret>,
        /// Old form of `authorization`, read at scrape time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub bearer_token_file: Option<String>,
        /// Whom to trust by TLS.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub tls_config: Option<TlsConfig>,
        /// The targets.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub static_configs: Vec<StaticConfig>,
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
    }
    refused {
        aws_sd_configs,
        azure_sd_configs,
        consul_sd_configs,
        digitalocean_sd_configs,
        dns_sd_configs,
        docker_sd_configs,
        dockerswarm_sd_configs,
        ec2_sd_configs,
        eureka_sd_configs,
        file_sd_configs,
        gce_sd_configs,
        hetzner_sd_configs,
        http_sd_configs,
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
        oauth2,
        proxy_url,
        no_proxy,
        proxy_from_environment,
        proxy_connect_header,
        http_headers,
        scrape_failure_log_file,
        target_limit,
        keep_dropped_targets,
        metric_name_validation_scheme,
        metric_name_escaping_scheme,
        native_histogram_bucket_limit,
        native_histogram_min_bucket_factor,
        scrape_native_histograms,
        convert_classic_histograms_to_nhcb,
        always_scrape_classic_histograms,
        extra_scrape_metrics,
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

    /// The keys about HTTP, with their defaults.
    pub fn http(&self) -> HttpConfig {
        let bearer = (self.bearer_token.is_some() || self.bearer_token_file.is_some()).then(|| {
            Authorization {
                kind: None,
                credentials: self.bearer_token.clone(),
                credentials_file: self.bearer_token_file.clone(),
            }
        });
        HttpConfig {
            basic_auth: self.basic_auth.clone(),
            authorization: self.authorization.clone().or(bearer),
            tls: self.tls_config.clone().unwrap_or_default(),
            follow_redirects: self.follow_redirects.unwrap_or(true),
            http2: self.enable_http2.unwrap_or(true),
            compression: self.enable_compression.unwrap_or(true),
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
        if self.scrape_protocols.as_ref().is_some_and(Vec::is_empty) {
            return wrong("scrape_protocols", "name at least one, or remove the key");
        }
        if let Some(scheme) = &self.scheme
            && !matches!(scheme.as_str(), "http" | "https")
        {
            return wrong("scheme", &format!("{scheme:?} is neither http nor https"));
        }
        let identities = [
            self.basic_auth.is_some(),
            self.authorization.is_some(),
            self.bearer_token.is_some(),
            self.bearer_token_file.is_some(),
        ];
        if identities.iter().filter(|given| **given).count() > 1 {
            return wrong(
                "authorization",
                "give one of basic_auth, authorization, bearer_token, bearer_token_file",
            );
        }
        let http = self.http();
        let parts = [
            http.basic_auth.as_ref().map_or(Ok(()), BasicAuth::check),
            http.authorization
                .as_ref()
                .map_or(Ok(()), Authorization::check),
            http.tls.check(),
        ];
        for part in parts {
            part.map_err(|(key, reason)| (key, reason.to_owned()))?;
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
