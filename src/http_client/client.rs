//! Makes clients of settings and requests of clients.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use base64::Engine as _;
use parking_lot::Mutex;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response};
use url::Url;
use xxhash_rust::xxh3::Xxh3;

use crate::oauth2::TokenSource;
use crate::{HttpClientConfig, HttpClientError, Secret, TlsConfig, file};

/// Redirects that are followed, as in Go's client.
const REDIRECTS_MAX: usize = 10;

/// Connections are kept open this long between requests: longer than a usual scrape interval, so
/// that most scrapes need no new connection.
const IDLE_MAX: Duration = Duration::from_mins(5);

/// Idle connections that are kept per peer; more were needed only while more requests ran.
const IDLE_PER_HOST_MAX: usize = 8;

/// Clients by their settings. Equal settings share a client, and with it its connections; a
/// client is forgotten when its last user is, so that there are never more than are in use.
#[derive(Debug, Default)]
pub struct Clients {
    known: Mutex<Vec<Weak<Client>>>,
}

impl Clients {
    /// The client for some settings, which were checked.
    pub fn client(&self, config: &HttpClientConfig) -> Arc<Client> {
        let mut known = self.known.lock();
        known.retain(|client| client.strong_count() > 0);
        let equal = known
            .iter()
            .filter_map(Weak::upgrade)
            .find(|client| client.config == *config);
        equal.unwrap_or_else(|| {
            let client = Arc::new(Client::new(config.clone()));
            known.push(Arc::downgrade(&client));
            client
        })
    }
}

/// Asks in the way that some settings say.
#[derive(Debug)]
pub struct Client {
    config: HttpClientConfig,
    /// What was built last, and the hash of the files that it was built from.
    built: Mutex<Option<(u64, reqwest::Client)>>,
    tokens: Option<TokenSource>,
}

/// What a request begins with.
struct Prepared {
    client: reqwest::Client,
    headers: HeaderMap,
    oauth2_secret: Option<Secret>,
}

impl Client {
    pub(crate) fn new(config: HttpClientConfig) -> Self {
        Self {
            built: Mutex::default(),
            tokens: config.oauth2.clone().map(TokenSource::new),
            config,
        }
    }

    /// Begins a request: with the credentials and headers of the settings, and a client that
    /// trusts whom they trust. The caller adds the rest, sends it, and puts its time-out around.
    ///
    /// # Errors
    /// A file cannot be used, TLS settings do not work, or there is no token.
    pub async fn request(
        self: &Arc<Self>,
        method: Method,
        url: &Url,
    ) -> Result<RequestBuilder, HttpClientError> {
        // Building a client loads the system's certificates, once; files may lie anywhere.
        let is_quick = !self.has_files() && self.built.lock().is_some();
        let mut prepared = if is_quick {
            self.prepare()?
        } else {
            let this = self.clone();
            tokio::task::spawn_blocking(move || this.prepare())
                .await
                .map_err(|error| HttpClientError::Credentials(error.to_string()))??
        };
        if let Some(tokens) = &self.tokens {
            let token = tokens.header(prepared.oauth2_secret).await?;
            let header = sensitive("the token of oauth2", &token)?;
            prepared.headers.insert(AUTHORIZATION, header);
        }
        let request = prepared.client.request(method, url.clone());
        Ok(request.headers(prepared.headers))
    }

    fn has_files(&self) -> bool {
        let config = &self.config;
        let basic = config.basic_auth.as_ref();
        let other = config.authorization();
        basic.is_some_and(|b| b.username_file.is_some() || b.password_file.is_some())
            || other.is_some_and(|a| a.credentials_file.is_some())
            || config.http_headers.values().any(|h| !h.files.is_empty())
            || self
                .tokens
                .as_ref()
                .is_some_and(|t| t.secret_file().is_some())
            || config
                .tls_config
                .as_ref()
                .is_some_and(|t| t.files().next().is_some())
    }

    /// Client and headers. Reads files, so it may block.
    fn prepare(&self) -> Result<Prepared, HttpClientError> {
        let secret_file = self.tokens.as_ref().and_then(TokenSource::secret_file);
        Ok(Prepared {
            client: self.build()?,
            headers: self.headers()?,
            oauth2_secret: secret_file.map(file::read_secret).transpose()?,
        })
    }

    fn build(&self) -> Result<reqwest::Client, HttpClientError> {
        let default = TlsConfig::default();
        let tls = self.config.tls_config.as_ref().unwrap_or(&default);
        let mut hash = Xxh3::new();
        let mut files = HashMap::new();
        for path in tls.files() {
            let content = file::read(path)?;
            hash.update(&content);
            files.insert(path, content);
        }
        let state = hash.digest();
        let mut built = self.built.lock();
        if let Some((of_state, client)) = &*built
            && *of_state == state
        {
            return Ok(client.clone());
        }
        let http2 = self.config.enable_http2.unwrap_or(true);
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("Yagura/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .redirect(if self.config.follow_redirects.unwrap_or(true) {
                Policy::limited(REDIRECTS_MAX)
            } else {
                Policy::none()
            })
            .tls_backend_preconfigured(tls.build(&files, http2)?);
        if !http2 {
            builder = builder.http1_only();
        }
        let proxies = self.config.proxy().build(|name| std::env::var(name).ok())?;
        for proxy in proxies {
            builder = builder.proxy(proxy);
        }
        let client = builder.build().map_err(HttpClientError::tls)?;
        *built = Some((state, client.clone()));
        Ok(client)
    }

    fn headers(&self) -> Result<HeaderMap, HttpClientError> {
        let mut headers = HeaderMap::new();
        if let Some(basic) = &self.config.basic_auth {
            let (user, user_file) = (basic.username.as_deref(), basic.username_file.as_deref());
            let user = file::given_or_read(user, user_file)?;
            let given = basic.password.as_ref().map(Secret::reveal);
            let password = file::given_or_read(given, basic.password_file.as_deref())?;
            let pair = format!("{}:{}", user.reveal(), password.reveal());
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            let header = sensitive("basic_auth", &Secret::new(format!("Basic {encoded}")))?;
            headers.insert(AUTHORIZATION, header);
        } else if let Some(other) = self.config.authorization() {
            let given = other.credentials.as_ref().map(Secret::reveal);
            let token = file::given_or_read(given, other.credentials_file.as_deref())?;
            let kind = other.kind.as_deref().unwrap_or("Bearer");
            let text = Secret::new(format!("{kind} {}", token.reveal()).trim_end());
            headers.insert(AUTHORIZATION, sensitive("authorization", &text)?);
        }
        for (name, header) in &self.config.http_headers {
            let bad = |_| HttpClientError::Credentials(format!("{name:?} is no name of a header"));
            let header_name = HeaderName::try_from(name).map_err(bad)?;
            for value in &header.values {
                headers.append(header_name.clone(), sensitive(name, &Secret::new(value))?);
            }
            for value in &header.secrets {
                headers.append(header_name.clone(), sensitive(name, value)?);
            }
            for path in &header.files {
                headers.append(
                    header_name.clone(),
                    sensitive(name, &file::read_secret(path)?)?,
                );
            }
        }
        Ok(headers)
    }
}

fn sensitive(of: &str, text: &Secret) -> Result<HeaderValue, HttpClientError> {
    let mut header = HeaderValue::from_str(text.reveal()).map_err(|_| {
        HttpClientError::Credentials(format!(
            "the value of {of} holds characters that no HTTP header can carry"
        ))
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// Reads the body of an answer, unless it has more than `bytes_max` bytes (uncompressed).
///
/// # Errors
/// `TooLarge`, or the connection breaks.
pub async fn read_body(
    mut response: Response,
    url: &Url,
    bytes_max: u64,
) -> Result<Vec<u8>, HttpClientError> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| HttpClientError::of_request(&error, url))?
    {
        if (body.len() + chunk.len()) as u64 > bytes_max {
            return Err(HttpClientError::TooLarge(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
