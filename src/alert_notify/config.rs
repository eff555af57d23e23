//! Who is told what, when: a configuration that was checked. What people write, and how it is
//! checked, is in `config_file.rs` and `config_check.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use url::Url;

use crate::config_check::check;
use crate::config_file::{Mistake, Raw};
use crate::route::{GroupBy, InhibitRule, Route};
use crate::secret::Secret;

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(.file, *.line))]
pub struct ConfigError {
    /// The file's name as the user knows it.
    pub file: String,
    /// Line, from 1; 0 where it is not known.
    pub line: u64,
    /// What is wrong and what to write instead.
    pub message: String,
}

fn place(file: &str, line: u64) -> String {
    match line {
        0 => format!("{file}: "),
        line => format!("{file}:{line}: "),
    }
}

/// Who is told what, when.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// How long an alert fires that was received without an end.
    pub resolve_timeout: Duration,
    /// The routing tree.
    pub route: Route,
    /// Receivers by name.
    pub receivers: BTreeMap<Arc<str>, Receiver>,
    /// Which alerts silence which.
    pub inhibit_rules: Vec<InhibitRule>,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Receiver {
    /// Addresses that are sent JSON.
    pub webhooks: Vec<Webhook>,
}

/// An address that is sent Alertmanager's JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Where to.
    pub url: UrlSource,
    /// Whether the end of alerts is told, too.
    pub send_resolved: bool,
    /// The most alerts in a message; 0 for all.
    pub max_alerts: usize,
    /// How to ask.
    pub http: HttpConfig,
    /// Longest time for one attempt, where it is set.
    pub timeout: Option<Duration>,
}

/// Where a URL is known from.
#[derive(Debug, Clone, PartialEq)]
pub enum UrlSource {
    /// From the configuration. URLs of hooks hold tokens.
    Given(Secret),
    /// From a file, read anew for each message so that it may be rotated.
    File(PathBuf),
}

/// How HTTP requests are made.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpConfig {
    /// What goes into the header `Authorization`.
    pub authorization: Option<Authorization>,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            authorization: None,
            follow_redirects: true,
        }
    }
}

/// What goes into the header `Authorization`.
#[derive(Debug, Clone, PartialEq)]
pub enum Authorization {
    /// User and password.
    Basic(String, SecretSource),
    /// A scheme, such as `Bearer`, and credentials.
    Scheme(String, SecretSource),
}

/// Where a secret is known from.
#[derive(Debug, Clone, PartialEq)]
pub enum SecretSource {
    /// From the configuration.
    Given(Secret),
    /// From a file, read anew for each message.
    File(PathBuf),
}

impl Config {
    /// The one-line way: everything goes to one webhook, grouped by alert name.
    ///
    /// # Errors
    /// The address is no HTTP URL; the message does not repeat it.
    pub fn webhook(url: &str) -> Result<Self, ConfigError> {
        let failed = |message| ConfigError {
            file: "notify".to_owned(),
            line: 0,
            message,
        };
        let webhook = Webhook {
            url: UrlSource::Given(http_url(url).map_err(failed)?),
            send_resolved: true,
            max_alerts: 0,
            http: HttpConfig::default(),
            timeout: None,
        };
        let name: Arc<str> = Arc::from("webhook");
        let mut config = Self::silent();
        config.route.receiver = name.clone();
        config.route.group_by = GroupBy::Labels([Arc::from("alertname")].into());
        // A few seconds are enough for the alerts of one cause on one machine to come together.
        config.route.group_wait_ms = 5_000;
        config.receivers = BTreeMap::from([(
            name,
            Receiver {
                webhooks: vec![webhook],
            },
        )]);
        Ok(config)
    }

    /// Nobody is told; alerts are seen on the pages only.
    pub fn silent() -> Self {
        let name: Arc<str> = Arc::from("nobody");
        Self {
            resolve_timeout: Duration::from_mins(5),
            route: Route {
                id: "{}".to_owned(),
                key: "{}".to_owned(),
                matchers: Vec::new(),
                receiver: name.clone(),
                group_by: GroupBy::Labels(BTreeSet::new()),
                group_wait_ms: 30_000,
                group_interval_ms: 300_000,
                repeat_interval_ms: 14_400_000,
                goes_on: false,
                routes: Vec::new(),
            },
            receivers: BTreeMap::from([(name, Receiver::default())]),
            inhibit_rules: Vec::new(),
        }
    }

    /// Reads and checks a configuration; `file` is its name in messages.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let raw: Raw = yaml::from_str(text, file).map_err(|error| ConfigError {
            file: error.file,
            line: error.line,
            message: error.message,
        })?;
        check(raw).map_err(|Mistake { line, message }| ConfigError {
            file: file.to_owned(),
            line,
            message,
        })
    }
}

/// For configurations that hold this one in place: reads and checks it.
impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        check(raw).map_err(|mistake| {
            serde::de::Error::custom(match mistake.line {
                0 => mistake.message,
                line => format!("{} (line {line})", mistake.message),
            })
        })
    }
}

/// Checks a URL without ever repeating it.
pub(crate) fn http_url(text: &str) -> Result<Secret, String> {
    match Url::parse(text.trim()) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(Secret::new(url))
        }
        Ok(_) => Err("the webhook's address must begin with http:// or https://".to_owned()),
        Err(error) => Err(format!("the webhook's address is no URL: {error}")),
    }
}
