//! The part of a Prometheus configuration file that is about scraping.
//!
//! Types for serde, strict: an unknown key is an error, and a key that Prometheus knows but we do
//! not carry out yet is refused by name ([`refused`]), never ignored. What serde cannot see is
//! checked by [`ScrapeConfig::check`]; its errors name job and key. Keys and defaults:
//! <https://prometheus.io/docs/prometheus/latest/configuration/configuration/>.

mod discovery;
mod global;
mod protocol;
pub mod refused;
mod scrape;
mod size;

pub use discovery::{DnsSdConfig, FileSdConfig, HttpSdConfig, RecordKind};
pub use global::GlobalConfig;
pub use protocol::{EscapingScheme, ScrapeProtocol, ValidationScheme};
pub use scrape::{ScrapeConfig, StaticConfig};
pub use size::Size;

/// Checks all scrape configurations of a file: each by itself, and that no job is there twice.
pub fn check(global: &GlobalConfig, configs: &[ScrapeConfig]) -> Result<(), crate::ScrapeError> {
    let mut jobs = std::collections::BTreeSet::new();
    global.check()?;
    for config in configs {
        config.check(global)?;
        if !jobs.insert(&config.job_name) {
            return Err(crate::ScrapeError::config(
                &config.job_name,
                "job_name",
                "another job has the same name",
            ));
        }
    }
    Ok(())
}

/// Serde for durations in Prometheus' notation.
pub(crate) mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    // Serde hands over a reference to the field, whatever its type.
    #[allow(clippy::ref_option)]
    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_str(&model::duration::format(*duration)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| model::duration::parse(&text).map_err(de::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
