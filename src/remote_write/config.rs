//! `remote_write:` of a Prometheus configuration file, one section of it.

use std::collections::BTreeMap;
use std::time::Duration;

use http_client::with_http_client_keys;
use metric_scrape::relabel::{RelabelConfig, Relabeler};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use crate::RemoteWriteError;

/// The message of remote write 1.0.
pub(crate) const V1: &str = "prometheus.WriteRequest";
/// The message of remote write 2.0.
pub(crate) const V2: &str = "io.prometheus.write.v2.Request";

with_http_client_keys! {
    /// One system that gets our samples.
    #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct RemoteWriteConfig {
        /// Where to send.
        pub url: String,
        /// Its name in metrics and of its queue; without one a hash of the URL.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// Given up after this time. Default 30s.
        #[serde(default, with = "text", skip_serializing_if = "Option::is_none")]
        pub remote_timeout: Option<Duration>,
        /// Further headers.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pub headers: BTreeMap<String, String>,
        /// Which series are sent, and under which labels.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub write_relabel_configs: Vec<RelabelConfig>,
        /// Whether exemplars are sent.
        #[serde(default)]
        pub send_exemplars: bool,
        /// Whether native histograms are sent.
        #[serde(default)]
        pub send_native_histograms: bool,
        /// Which version is spoken. Default `prometheus.WriteRequest`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub protobuf_message: Option<String>,
        /// How much at a time, and how often again.
        #[serde(default)]
        pub queue_config: QueueConfig,
        /// Whether and how often what metrics mean is sent.
        #[serde(default)]
        pub metadata_config: MetadataConfig,
    }
}

/// `queue_config`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueConfig {
    /// Taken, without meaning: the queue is on disk and bounded in bytes.
    pub capacity: Option<usize>,
    /// Requests at the same time at most. Default 50.
    pub max_shards: Option<usize>,
    /// Requests at the same time at least. Default 1.
    pub min_shards: Option<usize>,
    /// Samples of a request at most. Default 2000.
    pub max_samples_per_send: Option<usize>,
    /// Samples wait at most so long for others. Default 5s.
    #[serde(with = "text")]
    pub batch_send_deadline: Option<Duration>,
    /// The first pause before it is tried again. Default 30ms.
    #[serde(with = "text")]
    pub min_backoff: Option<Duration>,
    /// The longest pause. Default 5s.
    #[serde(with = "text")]
    pub max_backoff: Option<Duration>,
    /// Taken, without meaning: 429 is always tried again.
    pub retry_on_http_429: Option<bool>,
    /// Samples that are older are dropped. Default 0s: none are.
    #[serde(with = "text")]
    pub sample_age_limit: Option<Duration>,
}

/// `metadata_config`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetadataConfig {
    /// Default true.
    pub send: Option<bool>,
    /// Default 1m.
    #[serde(with = "text")]
    pub send_interval: Option<Duration>,
    /// Families of a request at most. Default 2000.
    pub max_samples_per_send: Option<usize>,
}

/// The same, checked, with its defaults.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) url: Url,
    pub(crate) is_v2: bool,
    pub(crate) timeout: Duration,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) relabel: Relabeler,
    pub(crate) exemplars: bool,
    pub(crate) histograms: bool,
    pub(crate) shards_min: usize,
    pub(crate) shards_max: usize,
    pub(crate) batch_samples: usize,
    pub(crate) deadline: Duration,
    pub(crate) backoff_min: Duration,
    pub(crate) backoff_max: Duration,
    pub(crate) age_max: Option<Duration>,
    pub(crate) metadata_every: Option<Duration>,
    pub(crate) metadata_batch: usize,
}

/// More requests at once help no remote and take memory here.
const SHARDS_MAX: usize = 50;
/// A request of more samples is larger than what receivers take.
const BATCH_MAX: usize = 50_000;

impl RemoteWriteConfig {
    /// Its name for people and for its queue.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            format!(
                "{:08x}",
                xxhash_rust::xxh3::xxh3_64(self.url.as_bytes()) as u32
            )
        })
    }

    pub(crate) fn settings(&self) -> Result<Settings, RemoteWriteError> {
        let wrong = |key: &'static str, why: String| RemoteWriteError::Config {
            remote: self.name(),
            key,
            why,
        };
        let url = Url::parse(&self.url).map_err(|e| wrong("url", e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(
                "url",
                "it must begin with http:// or https://".to_owned(),
            ));
        }
        let is_v2 = match self.protobuf_message.as_deref() {
            None | Some(V1) => false,
            Some(V2) => true,
            Some(other) => {
                return Err(wrong(
                    "protobuf_message",
                    format!("{other:?} is not known: use {V1} or {V2}"),
                ));
            }
        };
        let relabel = Relabeler::new(&self.write_relabel_configs);
        let http = self.http_client().check();
        http.map_err(|e| wrong("HTTP client", e.to_string()))?;
        let queue = &self.queue_config;
        let shards_max = queue.max_shards.unwrap_or(SHARDS_MAX).clamp(1, SHARDS_MAX);
        Ok(Settings {
            name: self.name(),
            url,
            is_v2,
            timeout: self.remote_timeout.unwrap_or(Duration::from_secs(30)),
            headers: self.headers.clone(),
            relabel: relabel.map_err(|why| wrong("write_relabel_configs", why))?,
            exemplars: self.send_exemplars,
            histograms: self.send_native_histograms,
            shards_min: queue.min_shards.unwrap_or(1).clamp(1, shards_max),
            shards_max,
            batch_samples: queue
                .max_samples_per_send
                .unwrap_or(2000)
                .clamp(1, BATCH_MAX),
            deadline: queue.batch_send_deadline.unwrap_or(Duration::from_secs(5)),
            backoff_min: queue.min_backoff.unwrap_or(Duration::from_millis(30)),
            backoff_max: queue.max_backoff.unwrap_or(Duration::from_secs(5)),
            age_max: queue.sample_age_limit.filter(|age| !age.is_zero()),
            metadata_every: self.metadata_config.send.unwrap_or(true).then(|| {
                let every = self.metadata_config.send_interval;
                every
                    .unwrap_or(Duration::from_mins(1))
                    .max(Duration::from_secs(1))
            }),
            metadata_batch: self
                .metadata_config
                .max_samples_per_send
                .unwrap_or(2000)
                .max(1),
        })
    }
}

/// Serde for durations in Prometheus' notation.
mod text {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    #[allow(
        clippy::ref_option,
        reason = "serde hands over a reference to the field"
    )]
    pub(super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_str(&model::duration::format(*duration)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| model::duration::parse(&text).map_err(serde::de::Error::custom))
            .transpose()
    }
}
