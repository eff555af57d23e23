//! The settings, as the `http_config` of Alertmanager and the HTTP keys of Prometheus' sections
//! have them: <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#http_config>.

use std::collections::BTreeMap;
use std::path::Path;

use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::file::start_in;
use crate::proxy::ProxyKeys;
use crate::{OAuth2, Secret, TlsConfig};

/// A key and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct Wrong {
    /// The key at fault.
    pub key: &'static str,
    /// What is wrong with it, and what to write instead.
    pub reason: String,
}

impl Wrong {
    pub(crate) fn new(key: &'static str, reason: impl Into<String>) -> Self {
        Self {
            key,
            reason: reason.into(),
        }
    }
}

/// User name and password, each in place or in a file of its own that is read at each request.
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
    /// File with the token, read at each request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<String>,
}

/// The values of one header.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpHeader {
    /// Values that may be shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Values that may not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    /// Files with a value each, read at each request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

/// Declares a section whose keys stand beside those of an HTTP client: the fields that are given,
/// then those, and the methods `http_client` and `http_files_in`. Write a comma after the last
/// field; derive `Serialize`, `Deserialize` and `Default`, and deny unknown fields.
#[macro_export]
macro_rules! with_http_client_keys {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($fields:tt)* }) => {
        $(#[$meta])*
        $vis struct $name {
            $($fields)*
            /// User name and password.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub basic_auth: Option<$crate::BasicAuth>,
            /// Another `Authorization` header.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub authorization: Option<$crate::Authorization>,
            /// Old form of `authorization`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub bearer_token: Option<$crate::Secret>,
            /// Old form of `authorization`, read at each request.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub bearer_token_file: Option<String>,
            /// A token from an OAuth 2 server.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub oauth2: Option<$crate::OAuth2>,
            /// Whom to trust by TLS, and who we are.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub tls_config: Option<$crate::TlsConfig>,
            /// Through this proxy; its user and password may stand in it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub proxy_url: Option<$crate::Secret>,
            /// Hosts that are asked directly, by commas.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub no_proxy: Option<String>,
            /// Through the proxies that `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            pub proxy_from_environment: bool,
            /// What else the proxy is told.
            #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
            pub proxy_connect_header: std::collections::BTreeMap<String, Vec<$crate::Secret>>,
            /// Further headers.
            #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
            pub http_headers: std::collections::BTreeMap<String, $crate::HttpHeader>,
            /// Default true.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub follow_redirects: Option<bool>,
            /// Default true.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub enable_http2: Option<bool>,
        }

        impl $name {
            /// The keys about HTTP by themselves.
            #[must_use]
            pub fn http_client(&self) -> $crate::HttpClientConfig {
                $crate::HttpClientConfig {
                    basic_auth: self.basic_auth.clone(),
                    authorization: self.authorization.clone(),
                    bearer_token: self.bearer_token.clone(),
                    bearer_token_file: self.bearer_token_file.clone(),
                    oauth2: self.oauth2.clone(),
                    tls_config: self.tls_config.clone(),
                    proxy_url: self.proxy_url.clone(),
                    no_proxy: self.no_proxy.clone(),
                    proxy_from_environment: self.proxy_from_environment,
                    proxy_connect_header: self.proxy_connect_header.clone(),
                    http_headers: self.http_headers.clone(),
                    follow_redirects: self.follow_redirects,
                    enable_http2: self.enable_http2,
                }
            }

            /// Makes names of files that are relative start in `dir`, the folder of the
            /// configuration file.
            pub fn http_files_in(&mut self, dir: &std::path::Path) {
                let mut http = self.http_client();
                http.start_files_in(dir);
                self.basic_auth = http.basic_auth;
                self.authorization = http.authorization;
                self.bearer_token_file = http.bearer_token_file;
                self.oauth2 = http.oauth2;
                self.tls_config = http.tls_config;
                self.http_headers = http.http_headers;
            }
        }
    };
}

with_http_client_keys! {
    /// How to ask by HTTP. Equal settings share one [`crate::Client`].
    #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct HttpClientConfig {}
}

/// Headers that are made by us or by other keys.
const RESERVED_HEADERS: [&str; 17] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "transfer-encoding",
    "user-agent",
    "www-authenticate",
    "x-prometheus-remote-read-version",
    "x-prometheus-remote-write-version",
    "x-prometheus-scrape-timeout-seconds",
    "x-amz-date",
];

impl HttpClientConfig {
    /// Checks what serde cannot see.
    ///
    /// # Errors
    /// The key at fault, and what to write instead.
    pub fn check(&self) -> Result<(), Wrong> {
        let identities = [
            self.basic_auth.is_some(),
            self.authorization.is_some(),
            self.bearer_token.is_some(),
            self.bearer_token_file.is_some(),
            self.oauth2.is_some(),
        ];
        if identities.iter().filter(|given| **given).count() > 1 {
            return Err(Wrong::new(
                "authorization",
                "give one of basic_auth, authorization, oauth2, bearer_token, bearer_token_file",
            ));
        }
        self.basic_auth.as_ref().map_or(Ok(()), BasicAuth::check)?;
        self.authorization
            .as_ref()
            .map_or(Ok(()), Authorization::check)?;
        self.oauth2.as_ref().map_or(Ok(()), OAuth2::check)?;
        self.tls_config.as_ref().map_or(Ok(()), TlsConfig::check)?;
        self.proxy().check()?;
        for (name, header) in &self.http_headers {
            check_header(name, header)?;
        }
        Ok(())
    }

    /// The `Authorization` header that `authorization` or one of its old forms asks for.
    pub(crate) fn authorization(&self) -> Option<Authorization> {
        let has_bearer = self.bearer_token.is_some() || self.bearer_token_file.is_some();
        let bearer = has_bearer.then(|| Authorization {
            kind: None,
            credentials: self.bearer_token.clone(),
            credentials_file: self.bearer_token_file.clone(),
        });
        self.authorization.clone().or(bearer)
    }

    pub(crate) fn proxy(&self) -> ProxyKeys<'_> {
        ProxyKeys {
            url: self.proxy_url.as_ref(),
            no_proxy: self.no_proxy.as_deref(),
            from_environment: self.proxy_from_environment,
            connect_header: &self.proxy_connect_header,
        }
    }

    /// Makes names of files that are relative start in `dir`; `http_files_in` of a section that
    /// holds these keys calls it.
    pub fn start_files_in(&mut self, dir: &Path) {
        if let Some(basic) = &mut self.basic_auth {
            start_in(dir, &mut basic.username_file);
            start_in(dir, &mut basic.password_file);
        }
        if let Some(authorization) = &mut self.authorization {
            start_in(dir, &mut authorization.credentials_file);
        }
        start_in(dir, &mut self.bearer_token_file);
        if let Some(oauth2) = &mut self.oauth2 {
            oauth2.start_files_in(dir);
        }
        if let Some(tls) = &mut self.tls_config {
            tls.start_files_in(dir);
        }
        for header in self.http_headers.values_mut() {
            for file in &mut header.files {
                *file = dir.join(&*file).to_string_lossy().into_owned();
            }
        }
    }
}

impl BasicAuth {
    fn check(&self) -> Result<(), Wrong> {
        not_both(
            "basic_auth",
            "username",
            self.username.as_ref(),
            self.username_file.as_ref(),
        )?;
        not_both(
            "basic_auth",
            "password",
            self.password.as_ref(),
            self.password_file.as_ref(),
        )
    }
}

impl Authorization {
    fn check(&self) -> Result<(), Wrong> {
        let (given, file) = (self.credentials.as_ref(), self.credentials_file.as_ref());
        not_both("authorization", "credentials", given, file)?;
        match &self.kind {
            Some(kind) if kind.eq_ignore_ascii_case("basic") => {
                Err(Wrong::new("authorization", "for type Basic use basic_auth"))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses a value that stands in place and in a file.
pub(crate) fn not_both<T>(
    section: &'static str,
    key: &str,
    given: Option<&T>,
    file: Option<&String>,
) -> Result<(), Wrong> {
    if given.is_some() && file.is_some() {
        return Err(Wrong::new(
            section,
            format!("give {key} or {key}_file, not both"),
        ));
    }
    Ok(())
}

fn check_header(name: &str, header: &HttpHeader) -> Result<(), Wrong> {
    let wrong = |reason: String| Err(Wrong::new("http_headers", reason));
    if HeaderName::try_from(name).is_err() {
        return wrong(format!("{name:?} is not the name of a header"));
    }
    let lower = name.to_ascii_lowercase();
    if RESERVED_HEADERS.contains(&&*lower) || lower.starts_with("x-amz-") {
        return wrong(format!(
            "{name} is set by other keys or by Yagura itself: take it out"
        ));
    }
    let secrets = header.secrets.iter().map(Secret::reveal);
    let mut values = header.values.iter().map(String::as_str).chain(secrets);
    if values.any(|value| HeaderValue::from_str(value).is_err()) {
        return wrong(format!(
            "a value of {name} holds characters that no header can carry"
        ));
    }
    Ok(())
}

/// Headers by name, as `proxy_connect_header` has them.
pub(crate) type SecretHeaders = BTreeMap<String, Vec<Secret>>;
