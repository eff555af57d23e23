//! Fetches pages of targets.
//!
//! [`JobClient`] adds what a job says about itself to a [`http_client::Client`]: the formats it
//! asks for, the size of a page, the memory for large ones.

use std::sync::Arc;
use std::time::Duration;

use http_client::{Client, Clients, HttpClientError};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use url::Url;

use crate::ScrapeError;
use crate::config::{GlobalConfig, ScrapeConfig, ScrapeProtocol, Size};
use crate::exposition::Format;

/// Memory set aside for pages larger than [`LARGE_STEP`] that are read at the same time.
const LARGE_PAGES_BYTES_MAX: u64 = 256 << 20;

/// Pages are charged in steps of this size; the first is free.
const LARGE_STEP: u64 = 1 << 20;

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

/// How one job asks.
#[derive(Debug)]
pub(crate) struct JobClient {
    client: Arc<Client>,
    accept: HeaderValue,
    compression: bool,
    fallback: Option<Format>,
}

impl JobClient {
    /// The client of a job; equal settings share connections by `clients`.
    pub(crate) fn of_job(clients: &Clients, global: &GlobalConfig, job: &ScrapeConfig) -> Self {
        let protocols = job.scrape_protocols(global);
        let accept = ScrapeProtocol::accept(&protocols, job.escaping_scheme(global));
        Self {
            client: clients.client(&job.http_client()),
            accept: HeaderValue::from_str(&accept).unwrap_or(HeaderValue::from_static("*/*")),
            compression: job.enable_compression.unwrap_or(true),
            fallback: job.fallback_scrape_protocol.map(ScrapeProtocol::format),
        }
    }

    /// Asks for the page of a target.
    pub(crate) async fn fetch(
        &self,
        url: &Url,
        timeout: Duration,
        body_bytes_max: u64,
        budget: &PageBudget,
    ) -> Result<FetchedPage, ScrapeError> {
        let deadline = Instant::now() + timeout;
        let too_late = |stage: &str| ScrapeError::Timeout {
            timeout,
            stage: stage.to_owned(),
        };
        // Tokens and files come first, and count against the time, too.
        let mut request = tokio::time::timeout_at(deadline, self.client.request(Method::GET, url))
            .await
            .map_err(|_| too_late("the credentials were not ready"))??
            .header(ACCEPT, self.accept.clone())
            .header(
                "X-Prometheus-Scrape-Timeout-Seconds",
                timeout.as_secs_f64().to_string(),
            );
        if !self.compression {
            request = request.header(ACCEPT_ENCODING, "identity");
        }
        let of_request = |error: reqwest::Error| HttpClientError::of_request(&error, url);
        let mut response = tokio::time::timeout_at(deadline, request.send())
            .await
            .map_err(|_| too_late("the target has not answered"))?
            .map_err(of_request)?;
        if response.status() != StatusCode::OK {
            return Err(ScrapeError::Status {
                status: response.status().to_string(),
                hint: hint(response.status()),
            });
        }
        let format = self.format(response.headers().get(CONTENT_TYPE))?;
        let mut body = Vec::new();
        let mut memory = Vec::new();
        loop {
            let chunk = tokio::time::timeout_at(deadline, response.chunk())
                .await
                .map_err(|_| too_late(&format!("{} bytes have come so far", body.len())))?
                .map_err(of_request)?;
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

/// What a status code often means for a scrape.
fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => ": it wants credentials (basic_auth or authorization)",
        StatusCode::FORBIDDEN => ": the credentials do not suffice, or none are given",
        StatusCode::NOT_FOUND => ": is metrics_path right?",
        status if status.is_redirection() => ": follow_redirects is off",
        status if status.is_server_error() => ": the fault is on its side",
        _ => "",
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
