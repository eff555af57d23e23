//! Fetches a page by HTTP, within its timeout and its size.
//!
//! [`Clients`] shares one `reqwest::Client` among all jobs with the same connection settings;
//! [`JobClient`] adds what a job says about itself. Files with secrets and certificates are read
//! at scrape time, so that rotated tokens work; a client is built anew when its certificates have
//! changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use parking_lot::Mutex;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use url::Url;
use xxhash_rust::xxh3::Xxh3;

use crate::ScrapeError;
use crate::config::{
    Authorization, BasicAuth, GlobalConfig, HttpConfig, ScrapeConfig, ScrapeProtocol, Secret, Size,
    TlsConfig,
};
use crate::exposition::Format;

mod words;

/// Redirects that are followed, as in Go's client.
const REDIRECTS_MAX: usize = 10;

/// Connections that are kept open beyond a scrape. Longer than the usual interval, so that most
/// scrapes need no new connection.
const IDLE_MAX: Duration = Duration::from_mins(5);

/// Memory set aside for pages larger than [`LARGE_STEP`] that are read at the same time.
const LARGE_PAGES_BYTES_MAX: u64 = 256 << 20;

/// Pages are charged in steps of this size; the first is free.
const LARGE_STEP: u64 = 1 << 20;

/// Files with secrets and certificates are small; a mistaken path must not fill the memory.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Formats that are asked for unless the configuration says otherwise.
const PROTOCOLS_DEFAULT: [ScrapeProtocol; 4] = [
    ScrapeProtocol::OpenMetrics1,
    ScrapeProtocol::OpenMetrics0,
    ScrapeProtocol::Text1,
    ScrapeProtocol::Text0,
];

/// Memory for large pages, shared by all targets.
#[derive(Debug, Clone)]
pub(crate) struct PageBudget(Arc<Semaphore>);

impl Default for PageBudget {
    fn default() -> Self {
        let steps = LARGE_PAGES_BYTES_MAX / LARGE_STEP;
        Self(Arc::new(Semaphore::new(steps as usize)))
    }
}

/// A page and the memory that it was granted, given back when it is dropped.
pub(crate) struct FetchedPage {
    pub(crate) body: Vec<u8>,
    pub(crate) format: Format,
    pub(crate) memory: Vec<OwnedSemaphorePermit>,
}

/// What makes a `reqwest::Client`.
#[derive(Debug, Clone, PartialEq)]
struct Connection {
    tls: TlsConfig,
    follow_redirects: bool,
    http2: bool,
    compression: bool,
}

/// A client and the state of the files that it was made from.
#[derive(Debug)]
struct SharedClient {
    connection: Connection,
    built: Mutex<Option<(u64, reqwest::Client)>>,
}

/// Clients of all jobs.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    shared: Vec<Arc<SharedClient>>,
}

/// How one job asks.
#[derive(Debug)]
pub(crate) struct JobClient {
    client: Arc<SharedClient>,
    basic_auth: Option<BasicAuth>,
    authorization: Option<Authorization>,
    accept: HeaderValue,
    fallback: Option<Format>,
}

impl Clients {
    /// The client of a job.
    pub(crate) fn of_job(&mut self, global: &GlobalConfig, job: &ScrapeConfig) -> Arc<JobClient> {
        let http: HttpConfig = job.http();
        let connection = Connection {
            tls: http.tls,
            follow_redirects: http.follow_redirects,
            http2: http.http2,
            compression: http.compression,
        };
        let known = self.shared.iter().find(|c| c.connection == connection);
        let client = known.cloned().unwrap_or_else(|| {
            let client = Arc::new(SharedClient {
                connection,
                built: Mutex::default(),
            });
            self.shared.push(client.clone());
            client
        });
        let protocols = job
            .scrape_protocols
            .as_deref()
            .or(global.scrape_protocols.as_deref())
            .unwrap_or(&PROTOCOLS_DEFAULT);
        Arc::new(JobClient {
            client,
            basic_auth: http.basic_auth,
            authorization: http.authorization,
            accept: accept_header(protocols),
            fallback: job.fallback_scrape_protocol.map(format_of),
        })
    }

    /// Forgets clients that no job uses any more.
    pub(crate) fn forget_unused(&mut self) {
        self.shared.retain(|client| Arc::strong_count(client) > 1);
    }
}

impl SharedClient {
    /// The client; reads files where it is made from some, so it may block.
    fn get(&self) -> Result<reqwest::Client, ScrapeError> {
        let mut hash = Xxh3::new();
        let mut files = HashMap::new();
        for path in self.connection.tls.files() {
            let content = read_file(path)?;
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
        let client = self.connection.build(&files)?;
        *built = Some((state, client.clone()));
        Ok(client)
    }
}

impl Connection {
    fn build(&self, files: &HashMap<&str, Vec<u8>>) -> Result<reqwest::Client, ScrapeError> {
        let bad = |error: reqwest::Error| ScrapeError::Credentials(words::of_tls(&error));
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("Yagura/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(1)
            .gzip(self.compression)
            .redirect(if self.follow_redirects {
                Policy::limited(REDIRECTS_MAX)
            } else {
                Policy::none()
            });
        if !self.http2 {
            builder = builder.http1_only();
        }
        let tls = &self.tls;
        builder = builder.tls_danger_accept_invalid_certs(tls.insecure_skip_verify);
        // Text in place or the content of a file, whichever is given.
        let pem = |text: Option<&str>, file: Option<&str>| match (text, file) {
            (Some(text), _) => Some(text.as_bytes().to_vec()),
            (None, Some(path)) => files.get(path).cloned(),
            (None, None) => None,
        };
        if let Some(ca) = pem(tls.ca.as_deref(), tls.ca_file.as_deref()) {
            let roots = reqwest::Certificate::from_pem_bundle(&ca).map_err(bad)?;
            builder = builder.tls_certs_only(roots);
        }
        let cert = pem(tls.cert.as_deref(), tls.cert_file.as_deref());
        let key = pem(
            tls.key.as_ref().map(Secret::reveal),
            tls.key_file.as_deref(),
        );
        if let (Some(mut identity), Some(key)) = (cert, key) {
            identity.push(b'\n');
            identity.extend(key);
            builder = builder.identity(reqwest::Identity::from_pem(&identity).map_err(bad)?);
        }
        let version = |name: &str| match name {
            "TLS13" => reqwest::tls::Version::TLS_1_3,
            _ => reqwest::tls::Version::TLS_1_2,
        };
        if let Some(name) = &tls.min_version {
            builder = builder.tls_version_min(version(name));
        }
        if let Some(name) = &tls.max_version {
            builder = builder.tls_version_max(version(name));
        }
        builder.build().map_err(bad)
    }
}

impl JobClient {
    fn has_files(&self) -> bool {
        let basic = self.basic_auth.as_ref();
        let other = self.authorization.as_ref();
        basic.is_some_and(|b| b.username_file.is_some() || b.password_file.is_some())
            || other.is_some_and(|a| a.credentials_file.is_some())
            || self.client.connection.tls.files().next().is_some()
    }

    /// The client and the `Authorization` header. May block.
    fn prepare(&self) -> Result<(reqwest::Client, Option<HeaderValue>), ScrapeError> {
        Ok((self.client.get()?, self.authorization_header()?))
    }

    fn authorization_header(&self) -> Result<Option<HeaderValue>, ScrapeError> {
        let text = if let Some(basic) = &self.basic_auth {
            let user = given_or_file(basic.username.as_deref(), basic.username_file.as_deref())?;
            let password = basic.password.as_ref().map(Secret::reveal);
            let password = given_or_file(password, basic.password_file.as_deref())?;
            let pair = format!("{user}:{password}");
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            format!("Basic {encoded}")
        } else if let Some(other) = &self.authorization {
            let token = other.credentials.as_ref().map(Secret::reveal);
            let token = given_or_file(token, other.credentials_file.as_deref())?;
            let kind = other.kind.as_deref().unwrap_or("Bearer");
            format!("{kind} {token}").trim_end().to_owned()
        } else {
            return Ok(None);
        };
        let mut header = HeaderValue::from_str(&text).map_err(|_| {
            ScrapeError::Credentials(
                "the credentials hold characters that no HTTP header can carry".to_owned(),
            )
        })?;
        header.set_sensitive(true);
        Ok(Some(header))
    }

    /// Asks for the page of a target.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        url: &Url,
        timeout: Duration,
        body_bytes_max: u64,
        budget: &PageBudget,
    ) -> Result<FetchedPage, ScrapeError> {
        let deadline = Instant::now() + timeout;
        // Building a client loads the system's certificates, once; files may lie anywhere.
        let quick = !self.has_files() && self.client.built.lock().is_some();
        let (client, authorization) = if quick {
            self.prepare()?
        } else {
            let this = self.clone();
            tokio::task::spawn_blocking(move || this.prepare())
                .await
                .map_err(|error| ScrapeError::Panicked(crate::local::panic_text(error)))??
        };
        let mut request = client
            .get(url.clone())
            .header(ACCEPT, self.accept.clone())
            .header(
                "X-Prometheus-Scrape-Timeout-Seconds",
                timeout.as_secs_f64().to_string(),
            );
        if let Some(header) = authorization {
            request = request.header(AUTHORIZATION, header);
        }
        let too_late = |stage: String| ScrapeError::Timeout { timeout, stage };
        let mut response = tokio::time::timeout_at(deadline, request.send())
            .await
            .map_err(|_| too_late("the target has not answered".to_owned()))?
            .map_err(|error| ScrapeError::Connection(words::of_failure(&error, url)))?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(ScrapeError::Status {
                status: response.status().to_string(),
                hint: words::of_status(response.status()),
            });
        }
        let format = self.format(response.headers().get(CONTENT_TYPE))?;
        let mut body = Vec::new();
        let mut memory = Vec::new();
        loop {
            let chunk = tokio::time::timeout_at(deadline, response.chunk())
                .await
                .map_err(|_| too_late(format!("{} bytes have come so far", body.len())))?
                .map_err(|error| ScrapeError::Connection(words::of_failure(&error, url)))?;
            let Some(chunk) = chunk else {
                break;
            };
            let length = (body.len() + chunk.len()) as u64;
            if length >= body_bytes_max {
                return Err(ScrapeError::BodyLimit(Size(body_bytes_max)));
            }
            let steps = length.saturating_sub(1) / LARGE_STEP;
            let granted: u64 = memory
                .iter()
                .map(OwnedSemaphorePermit::num_permits)
                .sum::<usize>() as u64;
            if let Ok(missing) = u32::try_from(steps.saturating_sub(granted))
                && missing > 0
            {
                let permit = budget.0.clone().try_acquire_many_owned(missing);
                memory.push(permit.map_err(|_| ScrapeError::Busy(Size(LARGE_PAGES_BYTES_MAX)))?);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(FetchedPage {
            body,
            format,
            memory,
        })
    }

    fn format(&self, content_type: Option<&HeaderValue>) -> Result<Format, ScrapeError> {
        let text = content_type
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default();
        Format::from_content_type(text)
            .or(self.fallback)
            .ok_or_else(|| {
                ScrapeError::ContentType(match text {
                    "" => "no Content-Type".to_owned(),
                    text => text.chars().take(100).collect(),
                })
            })
    }
}

fn format_of(protocol: ScrapeProtocol) -> Format {
    match protocol {
        ScrapeProtocol::Text0 | ScrapeProtocol::Text1 => Format::Text,
        ScrapeProtocol::OpenMetrics0 | ScrapeProtocol::OpenMetrics1 => Format::OpenMetrics,
    }
}

/// The `Accept` header: formats by falling weight, then anything.
fn accept_header(protocols: &[ScrapeProtocol]) -> HeaderValue {
    let mut parts: Vec<String> = Vec::new();
    // Prometheus counts down from here; exporters may compare.
    let mut weight = 6;
    for protocol in protocols {
        let media_type = match protocol {
            ScrapeProtocol::OpenMetrics1 => {
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8"
            }
            ScrapeProtocol::OpenMetrics0 => "application/openmetrics-text;version=0.0.1",
            ScrapeProtocol::Text1 => "text/plain;version=1.0.0;escaping=allow-utf-8",
            ScrapeProtocol::Text0 => "text/plain;version=0.0.4",
        };
        parts.push(format!("{media_type};q=0.{weight}"));
        weight = (weight - 1).max(1);
    }
    parts.push(format!("*/*;q=0.{weight}"));
    HeaderValue::from_str(&parts.join(",")).unwrap_or(HeaderValue::from_static("*/*"))
}

/// The text in place, or that of the file, without blanks at its end; nothing where neither is.
fn given_or_file(text: Option<&str>, file: Option<&str>) -> Result<String, ScrapeError> {
    match (text, file) {
        (Some(text), _) => Ok(text.to_owned()),
        (None, None) => Ok(String::new()),
        (None, Some(path)) => {
            let content = read_file(path)?;
            let text = String::from_utf8(content)
                .map_err(|_| ScrapeError::Credentials(format!("{path} is not a text file")))?;
            Ok(text.trim_end().to_owned())
        }
    }
}

fn read_file(path: &str) -> Result<Vec<u8>, ScrapeError> {
    use std::io::Read as _;
    let bad = |error| ScrapeError::Credentials(format!("cannot read {path}: {error}"));
    let file = std::fs::File::open(path).map_err(bad)?;
    let mut content = Vec::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut content)
        .map_err(bad)?;
    Ok(content)
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
