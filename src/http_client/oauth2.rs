//! A token from an OAuth 2 server, by client credentials:
//! <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#oauth2>.
//!
//! 1. A token is kept until shortly before it runs out; requests meanwhile share it.
//! 2. Without one, a single request asks the server, the others wait for it. A failure counts for
//!    a few seconds, so that a thousand targets do not ask a server that is down a thousand times.
//! 3. Who we are goes into the `Authorization` header or, should the server refuse that, into the
//!    body; what it has taken once is tried first from then on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::time::Instant;
use url::Url;

use crate::client::{Client, read_body};
use crate::config::{SecretHeaders, not_both};
use crate::error::place_of;
use crate::file::start_in;
use crate::proxy::ProxyKeys;
use crate::{HttpClientConfig, HttpClientError, Secret, TlsConfig, Wrong};

/// A token is renewed this long before it runs out, as in Go's library.
const RENEWED_BEFORE: Duration = Duration::from_secs(10);

/// How long a failure counts before the server is asked again.
const FAILURE_KEPT: Duration = Duration::from_secs(5);

/// Longest answer of a server; tokens are a few KB.
const ANSWER_BYTES_MAX: u64 = 256 << 10;

/// A server is given up after this time, where the caller does not do so before.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The `oauth2` section.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// Who we are.
    pub client_id: String,
    /// The password for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// File with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<String>,
    /// `client_credentials`, the only one that is carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_type: Option<String>,
    /// What the token is wanted for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Where tokens are given.
    pub token_url: String,
    /// Further parameters of the request for a token.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoint_params: BTreeMap<String, String>,
    /// Whom to trust there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    /// As in the section around.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<Secret>,
    /// As in the section around.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    /// As in the section around.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proxy_from_environment: bool,
    /// As in the section around.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proxy_connect_header: SecretHeaders,
    #[serde(default, skip_serializing)]
    client_certificate_key: Option<OfJwt>,
    #[serde(default, skip_serializing)]
    client_certificate_key_file: Option<OfJwt>,
    #[serde(default, skip_serializing)]
    client_certificate_key_id: Option<OfJwt>,
    #[serde(default, skip_serializing)]
    signature_algorithm: Option<OfJwt>,
    #[serde(default, skip_serializing)]
    iss: Option<OfJwt>,
    #[serde(default, skip_serializing)]
    audience: Option<OfJwt>,
    #[serde(default, skip_serializing)]
    claims: Option<OfJwt>,
}

/// A key that only says something about signed assertions, which are not made.
#[derive(Debug, Clone, PartialEq, Default)]
struct OfJwt;

impl<'de> Deserialize<'de> for OfJwt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl Serialize for OfJwt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

impl OAuth2 {
    pub(crate) fn check(&self) -> Result<(), Wrong> {
        const KEY: &str = "oauth2";
        let of_jwt = [
            ("client_certificate_key", &self.client_certificate_key),
            (
                "client_certificate_key_file",
                &self.client_certificate_key_file,
            ),
            ("client_certificate_key_id", &self.client_certificate_key_id),
            ("signature_algorithm", &self.signature_algorithm),
            ("iss", &self.iss),
            ("audience", &self.audience),
            ("claims", &self.claims),
        ];
        if let Some((key, _)) = of_jwt.iter().find(|(_, value)| value.is_some()) {
            let reason = format!(
                "{key} is not supported: tokens are asked for with client_id and client_secret"
            );
            return Err(Wrong::new(KEY, reason));
        }
        if let Some(kind) = self.grant_type.as_deref()
            && !matches!(kind, "" | "client_credentials")
        {
            let reason =
                format!("grant_type {kind:?} is not supported: client_credentials is the only one");
            return Err(Wrong::new(KEY, reason));
        }
        if self.client_id.is_empty() {
            return Err(Wrong::new(KEY, "client_id cannot be empty"));
        }
        let given = (
            self.client_secret.as_ref(),
            self.client_secret_file.as_ref(),
        );
        not_both(KEY, "client_secret", given.0, given.1)?;
        if !Url::parse(&self.token_url).is_ok_and(|url| url.has_host()) {
            return Err(Wrong::new(KEY, "token_url is not a URL"));
        }
        self.tls_config.as_ref().map_or(Ok(()), TlsConfig::check)?;
        self.proxy().check()
    }

    pub(crate) fn start_files_in(&mut self, dir: &Path) {
        start_in(dir, &mut self.client_secret_file);
        if let Some(tls) = &mut self.tls_config {
            tls.start_files_in(dir);
        }
    }

    fn proxy(&self) -> ProxyKeys<'_> {
        ProxyKeys {
            url: self.proxy_url.as_ref(),
            no_proxy: self.no_proxy.as_deref(),
            from_environment: self.proxy_from_environment,
            connect_header: &self.proxy_connect_header,
        }
    }

    /// How the server is asked.
    fn http_client(&self) -> HttpClientConfig {
        HttpClientConfig {
            tls_config: self.tls_config.clone(),
            proxy_url: self.proxy_url.clone(),
            no_proxy: self.no_proxy.clone(),
            proxy_from_environment: self.proxy_from_environment,
            proxy_connect_header: self.proxy_connect_header.clone(),
            ..HttpClientConfig::default()
        }
    }
}

/// What is known of a token.
#[derive(Debug, Default)]
struct State {
    /// The secret that the rest was got with: with another one it does not count.
    secret: Secret,
    token: Option<Token>,
    failure: Option<(HttpClientError, Instant)>,
    /// The server wants to be told in the body who we are.
    in_body: bool,
}

#[derive(Debug, Clone)]
struct Token {
    header: Secret,
    until: Option<Instant>,
}

/// Gives tokens, asking the server where there is none that is good.
#[derive(Debug)]
pub(crate) struct TokenSource {
    config: OAuth2,
    client: Arc<Client>,
    /// Held while the server is asked, so that only one request does: an asynchronous lock, given
    /// free when that request is dropped.
    state: tokio::sync::Mutex<State>,
}

impl TokenSource {
    pub(crate) fn new(config: OAuth2) -> Self {
        Self {
            client: Arc::new(Client::new(config.http_client())),
            config,
            state: tokio::sync::Mutex::default(),
        }
    }

    /// File with the secret.
    pub(crate) fn secret_file(&self) -> Option<&str> {
        self.config.client_secret_file.as_deref()
    }

    /// The `Authorization` header; `secret` is the present content of the secret's file.
    pub(crate) async fn header(&self, secret: Option<Secret>) -> Result<Secret, HttpClientError> {
        let secret = secret
            .or_else(|| self.config.client_secret.clone())
            .unwrap_or_default();
        let mut state = self.state.lock().await;
        if state.secret != secret {
            *state = State {
                secret,
                in_body: state.in_body,
                ..State::default()
            };
        }
        let now = Instant::now();
        if let Some(token) = &state.token
            && token.until.is_none_or(|until| now < until)
        {
            return Ok(token.header.clone());
        }
        if let Some((error, until)) = &state.failure
            && now < *until
        {
            return Err(error.clone());
        }
        match self.ask_either_way(&mut state).await {
            Ok(token) => {
                state.failure = None;
                state.token = Some(token.clone());
                Ok(token.header)
            }
            Err(error) => {
                state.failure = Some((error.clone(), Instant::now() + FAILURE_KEPT));
                Err(error)
            }
        }
    }

    async fn ask_either_way(&self, state: &mut State) -> Result<Token, HttpClientError> {
        match self.ask(&state.secret, state.in_body).await {
            Err((error, true)) => match self.ask(&state.secret, !state.in_body).await {
                Ok(token) => {
                    state.in_body = !state.in_body;
                    Ok(token)
                }
                // The first answer is the better known one.
                Err(_) => Err(error),
            },
            Err((error, false)) => Err(error),
            Ok(token) => Ok(token),
        }
    }

    /// Asks once. An error says whether the server answered and refused.
    async fn ask(&self, secret: &Secret, in_body: bool) -> Result<Token, (HttpClientError, bool)> {
        let url = Url::parse(&self.config.token_url)
            .map_err(|error| (HttpClientError::Credentials(error.to_string()), false))?;
        let place = place_of(&url);
        let failed = |reason: String, refused| {
            let place = place.clone();
            (HttpClientError::Token { place, reason }, refused)
        };
        let begun = self.client.request(Method::POST, &url);
        // Boxed: this request may in turn be part of another one, in which the same code runs.
        let request = Box::pin(begun).await.map_err(|error| (error, false))?;
        let request = if in_body {
            request
        } else {
            request.header(AUTHORIZATION, self.basic(secret))
        };
        let request = request
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .timeout(ANSWER_TIMEOUT)
            .body(self.form(in_body.then_some(secret)));
        let of_request = |error: &reqwest::Error| {
            failed(HttpClientError::of_request(error, &url).to_string(), false)
        };
        let response = request.send().await.map_err(|error| of_request(&error))?;
        let status = response.status();
        let body = read_body(response, &url, ANSWER_BYTES_MAX)
            .await
            .map_err(|error| failed(error.to_string(), false))?;
        if !status.is_success() {
            let refused = status.is_client_error();
            return Err(failed(refusal(status, &body), refused));
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| {
            failed(
                "its answer is no JSON with an access_token".to_owned(),
                false,
            )
        })?;
        if answer.access_token.reveal().is_empty() {
            return Err(failed(
                "its answer has an empty access_token".to_owned(),
                false,
            ));
        }
        Ok(answer.token(Instant::now()))
    }

    /// What is asked for, and who we are where a secret is given.
    fn form(&self, secret: Option<&Secret>) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.config.scopes.is_empty() {
            form.append_pair("scope", &self.config.scopes.join(" "));
        }
        for (name, value) in &self.config.endpoint_params {
            form.append_pair(name, value);
        }
        if let Some(secret) = secret {
            form.append_pair("client_id", &self.config.client_id);
            form.append_pair("client_secret", secret.reveal());
        }
        form.finish()
    }

    /// Name and secret, each percent-encoded first, as the standard wants it.
    fn basic(&self, secret: &Secret) -> String {
        let encode =
            |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!(
            "{}:{}",
            encode(&self.config.client_id),
            encode(secret.reveal())
        );
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
        format!("Basic {encoded}")
    }
}

/// What a server answers.
#[derive(Deserialize)]
struct Answer {
    access_token: Secret,
    token_type: Option<String>,
    /// Seconds; some servers write a text.
    expires_in: Option<serde_json::Value>,
}

impl Answer {
    fn token(self, now: Instant) -> Token {
        let kind = match self.token_type.as_deref() {
            None | Some("") => "Bearer",
            Some(kind) if kind.eq_ignore_ascii_case("bearer") => "Bearer",
            Some(kind) => kind,
        };
        let seconds = self.expires_in.and_then(|value| match value {
            serde_json::Value::String(text) => text.parse().ok(),
            other => other.as_f64(),
        });
        let lives = seconds
            .filter(|seconds: &f64| *seconds > 0.0)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Token {
            header: Secret::new(format!("{kind} {}", self.access_token.reveal())),
            until: lives.and_then(|lives| now.checked_add(lives.saturating_sub(RENEWED_BEFORE))),
        }
    }
}

/// Status and, where the server says one, its reason (RFC 6749, 5.2).
fn refusal(status: reqwest::StatusCode, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        #[serde(default)]
        error_description: String,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(said) => {
            let text = format!(
                "it answered {status}: {} {}",
                said.error, said.error_description
            );
            text.chars()
                .filter(|c| !c.is_control())
                .take(200)
                .collect::<String>()
        }
        Err(_) => format!("it answered {status}"),
    }
}
