//! Brings one message to one webhook: again and again where that may help, within a deadline.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, StatusCode};
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::{Authorization, SecretSource, UrlSource, Webhook, http_url};
use crate::metrics::Metrics;
use crate::secret::Secret;

/// The wait after the first attempt that failed; each further wait is half as long again.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);

/// The longest wait between two attempts.
const BACKOFF_MAX: Duration = Duration::from_mins(1);

/// The longest time for one attempt, unless the configuration says otherwise. A receiver that
/// takes longer is not likely to answer at all.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// So much of an answer is repeated in messages, bytes.
const ANSWER_SHOWN_BYTES: usize = 200;

/// The largest secret file, bytes.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// The clients that requests are made with.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    following: Client,
    staying: Client,
}

impl Clients {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let client = |redirects| {
            Client::builder()
                .redirect(redirects)
                .user_agent(concat!("Yagura/", env!("CARGO_PKG_VERSION")))
                .build()
        };
        Ok(Self {
            following: client(reqwest::redirect::Policy::limited(5))?,
            staying: client(reqwest::redirect::Policy::none())?,
        })
    }
}

/// Why an attempt failed. The texts hold no address.
struct Failure {
    message: String,
    retry: bool,
}

fn final_failure(message: String) -> Failure {
    Failure {
        message,
        retry: false,
    }
}

/// Sends a body until it is accepted, refused for good, or the deadline passes.
///
/// # Errors
/// A sentence without address or token.
pub(crate) async fn deliver(
    clients: &Clients,
    webhook: &Webhook,
    body: &[u8],
    deadline: Instant,
    metrics: &Metrics,
) -> Result<(), String> {
    let mut wait = BACKOFF_FIRST;
    let mut attempts = 1u32;
    loop {
        let limit = Instant::now() + webhook.timeout.unwrap_or(ATTEMPT_TIMEOUT);
        let failure = match timeout_at(limit.min(deadline), attempt(clients, webhook, body)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failure)) => failure,
            Err(_) => Failure {
                message: "no answer in time".to_owned(),
                retry: true,
            },
        };
        if !failure.retry {
            return Err(failure.message);
        }
        if Instant::now() + wait >= deadline {
            return Err(format!(
                "{} (attempt {attempts}, given up)",
                failure.message
            ));
        }
        metrics.retries.inc();
        sleep(wait).await;
        wait = (wait * 3 / 2).min(BACKOFF_MAX);
        attempts += 1;
    }
}

async fn attempt(clients: &Clients, webhook: &Webhook, body: &[u8]) -> Result<(), Failure> {
    let url = match &webhook.url {
        UrlSource::Given(url) => url.clone(),
        UrlSource::File(path) => {
            let text = secret_file(path).await.map_err(final_failure)?;
            http_url(text.expose()).map_err(final_failure)?
        }
    };
    let client = if webhook.http.follow_redirects {
        &clients.following
    } else {
        &clients.staying
    };
    let mut request = client
        .post(url.expose())
        .header(CONTENT_TYPE, "application/json")
        .body(body.to_vec());
    request = match &webhook.http.authorization {
        None => request,
        Some(Authorization::Basic(user, password)) => {
            let password = secret(password).await.map_err(final_failure)?;
            request.basic_auth(user, Some(password.expose()))
        }
        Some(Authorization::Scheme(scheme, credentials)) => {
            let credentials = secret(credentials).await.map_err(final_failure)?;
            request.header(AUTHORIZATION, format!("{scheme} {}", credentials.expose()))
        }
    };
    let mut response = request.send().await.map_err(|error| Failure {
        retry: !error.is_builder() && !error.is_redirect(),
        message: reason(error),
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let mut answer = Vec::new();
    while answer.len() < ANSWER_SHOWN_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => answer.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    Err(Failure {
        message: refusal(status, &answer),
        retry: status.is_server_error(),
    })
}

/// What went wrong with a request, down to the cause, without its address.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

fn refusal(status: StatusCode, answer: &[u8]) -> String {
    let shown = &answer[..answer.len().min(ANSWER_SHOWN_BYTES)];
    let text: String = String::from_utf8_lossy(shown)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match text.trim() {
        "" => format!("the receiver answered {status}"),
        text => format!("the receiver answered {status}: {text}"),
    }
}

async fn secret(source: &SecretSource) -> Result<Secret, String> {
    match source {
        SecretSource::Given(secret) => Ok(secret.clone()),
        SecretSource::File(path) => secret_file(path).await,
    }
}

async fn secret_file(path: &Path) -> Result<Secret, String> {
    let cannot = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let bytes = tokio::fs::metadata(path).await.map_err(cannot)?.len();
    if bytes > SECRET_BYTES_MAX {
        return Err(format!(
            "{} has {bytes} bytes, that is no secret",
            path.display()
        ));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(cannot)?;
    Ok(Secret::new(text.trim()))
}
