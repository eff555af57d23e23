//! Sections that say where lists of targets come from.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::duration_text;

/// Prometheus' defaults.
const FILE_REFRESH_DEFAULT: Duration = Duration::from_mins(5);
const HTTP_REFRESH_DEFAULT: Duration = Duration::from_mins(1);
const DNS_REFRESH_DEFAULT: Duration = Duration::from_secs(30);

/// `file_sd_configs`: files that list targets, in JSON or YAML.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSdConfig {
    /// Names of files; the last part may hold `*`.
    pub files: Vec<String>,
    /// They are read again at least so often. Default 5m.
    #[serde(
        default,
        with = "duration_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub refresh_interval: Option<Duration>,
}

http_client::with_http_client_keys! {
    /// `http_sd_configs`: a server that lists targets, in JSON.
    #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct HttpSdConfig {
        /// Where the list is.
        pub url: String,
        /// It is asked so often. Default 1m.
        #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
        pub refresh_interval: Option<Duration>,
    }
}

/// `dns_sd_configs`: names whose records list targets.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsSdConfig {
    /// The names.
    pub names: Vec<String>,
    /// Which records. Default `SRV`.
    #[serde(default, rename = "type")]
    pub kind: RecordKind,
    /// The port of targets; SRV records say one themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// They are looked up so often. Default 30s.
    #[serde(
        default,
        with = "duration_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub refresh_interval: Option<Duration>,
}

/// A kind of DNS record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordKind {
    /// Host and port of a service.
    #[default]
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Mail servers.
    Mx,
    /// Name servers.
    Ns,
}

fn check_refresh(interval: Duration) -> Result<(), String> {
    if interval.is_zero() {
        Err("refresh_interval cannot be 0".to_owned())
    } else {
        Ok(())
    }
}

impl FileSdConfig {
    /// How often the files are read again at least.
    pub fn refresh_interval(&self) -> Duration {
        self.refresh_interval.unwrap_or(FILE_REFRESH_DEFAULT)
    }

    pub(crate) fn files_in(&mut self, dir: &Path) {
        for file in &mut self.files {
            *file = dir.join(&*file).to_string_lossy().into_owned();
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        check_refresh(self.refresh_interval())?;
        if self.files.is_empty() {
            return Err("name at least one file".to_owned());
        }
        for file in &self.files {
            let (dir, name) = file.rsplit_once('/').unwrap_or(("", file));
            let known = [".json", ".yml", ".yaml"];
            if !known
                .iter()
                .any(|end| name.to_ascii_lowercase().ends_with(end))
            {
                return Err(format!("{file:?} does not end in .json, .yml or .yaml"));
            }
            if dir.contains('*') || name.matches('*').count() > 1 {
                return Err(format!(
                    "{file:?}: one * may stand in the last part of the name"
                ));
            }
        }
        Ok(())
    }
}

impl HttpSdConfig {
    /// How often the server is asked.
    pub fn refresh_interval(&self) -> Duration {
        self.refresh_interval.unwrap_or(HTTP_REFRESH_DEFAULT)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        check_refresh(self.refresh_interval())?;
        match Url::parse(&self.url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {}
            _ => return Err("url must begin with http:// or https:// and name a host".to_owned()),
        }
        let http = self.http_client();
        http.check().map_err(|wrong| wrong.to_string())
    }
}

impl DnsSdConfig {
    /// How often the names are looked up.
    pub fn refresh_interval(&self) -> Duration {
        self.refresh_interval.unwrap_or(DNS_REFRESH_DEFAULT)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        check_refresh(self.refresh_interval())?;
        if self.names.is_empty() {
            return Err("name at least one name".to_owned());
        }
        if self.kind != RecordKind::Srv && self.port.unwrap_or_default() == 0 {
            return Err("a port is needed: only SRV records say one".to_owned());
        }
        Ok(())
    }
}
