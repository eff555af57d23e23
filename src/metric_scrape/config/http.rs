//! How to ask by HTTP: who we say we are, and whom we trust.

use serde::{Deserialize, Serialize};

use super::Secret;
use super::refused::with_refused_keys;

/// User name and password, each in the file or in a file of its own that is read at scrape time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// User name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// File with the user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_file: Option<String>,
    /// Password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// File with the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<String>,
}

/// The `Authorization` header: a type and credentials.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorization {
    /// Default `Bearer`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Secret>,
    /// File with the token, read at scrape time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<String>,
}

with_refused_keys! {
    /// TLS: certificates in PEM, in place or in files that are read again when they change.
    #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct TlsConfig {
        /// Certificates that are trusted instead of the system's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ca: Option<String>,
        /// File with them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ca_file: Option<String>,
        /// Our certificate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cert: Option<String>,
        /// File with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cert_file: Option<String>,
        /// Its key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key: Option<Secret>,
        /// File with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_file: Option<String>,
        /// Trust any certificate.
        #[serde(default)]
        pub insecure_skip_verify: bool,
        /// `TLS12` or `TLS13`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub min_version: Option<String>,
        /// `TLS12` or `TLS13`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_version: Option<String>,
    }
    refused {
        server_name,
    }
}

/// Everything that makes an HTTP client, gathered from a job's keys.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HttpConfig {
    /// `basic_auth`.
    pub basic_auth: Option<BasicAuth>,
    /// `authorization`, or `bearer_token` in its words.
    pub authorization: Option<Authorization>,
    /// `tls_config`.
    pub tls: TlsConfig,
    /// `follow_redirects`.
    pub follow_redirects: bool,
    /// `enable_http2`.
    pub http2: bool,
    /// `enable_compression`.
    pub compression: bool,
}

/// A key and what is wrong with it.
type Wrong = (&'static str, &'static str);

impl BasicAuth {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if self.username.is_some() && self.username_file.is_some() {
            return Err(("basic_auth", "give username or username_file, not both"));
        }
        if self.password.is_some() && self.password_file.is_some() {
            return Err(("basic_auth", "give password or password_file, not both"));
        }
        Ok(())
    }
}

impl Authorization {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if self.credentials.is_some() && self.credentials_file.is_some() {
            return Err((
                "authorization",
                "give credentials or credentials_file, not both",
            ));
        }
        if self
            .kind
            .as_deref()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("basic"))
        {
            return Err(("authorization", "for type Basic use basic_auth"));
        }
        Ok(())
    }
}

impl TlsConfig {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let wrong = |reason| Err(("tls_config", reason));
        if self.ca.is_some() && self.ca_file.is_some() {
            return wrong("give ca or ca_file, not both");
        }
        if self.cert.is_some() && self.cert_file.is_some() {
            return wrong("give cert or cert_file, not both");
        }
        if self.key.is_some() && self.key_file.is_some() {
            return wrong("give key or key_file, not both");
        }
        let has_cert = self.cert.is_some() || self.cert_file.is_some();
        let has_key = self.key.is_some() || self.key_file.is_some();
        if has_cert != has_key {
            return wrong("a certificate needs its key, and a key its certificate");
        }
        for version in [&self.min_version, &self.max_version].into_iter().flatten() {
            if !matches!(version.as_str(), "TLS12" | "TLS13") {
                return wrong("versions are TLS12 and TLS13");
            }
        }
        Ok(())
    }

    /// Files that make up the client, which is built anew when one changes.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        [&self.ca_file, &self.cert_file, &self.key_file]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }
}
