//! `http_sd_configs`: a server that lists targets.

use std::sync::Arc;
use std::time::Duration;

use http_client::{Client, HttpClientError, read_body};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use url::Url;

use super::{Discovery, DiscoveryTask, Found, TargetGroup, WrittenGroup};
use crate::config::HttpSdConfig;

/// A server is given up after this time; the next question waits for it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest answer: room for some 500,000 targets.
const ANSWER_BYTES_MAX: u64 = 32 << 20;

/// Label that says which server a target comes from.
const URL_LABEL: &str = "__meta_url";

/// Targets that a server lists.
pub(super) struct HttpDiscovery {
    config: HttpSdConfig,
    client: Arc<Client>,
}

impl HttpDiscovery {
    pub(super) fn new(config: HttpSdConfig, client: Arc<Client>) -> Self {
        Self { config, client }
    }

    async fn ask(&self) -> Result<Vec<TargetGroup>, String> {
        let url = Url::parse(&self.config.url).map_err(|error| error.to_string())?;
        let place = format!(
            "{}:{}",
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or_default()
        );
        let request = self.client.request(Method::GET, &url).await;
        let response = request
            .map_err(|error| error.to_string())?
            .header(ACCEPT, "application/json")
            .header(
                "X-Prometheus-Refresh-Interval-Seconds",
                self.config.refresh_interval().as_secs_f64().to_string(),
            )
            .send()
            .await
            .map_err(|error| HttpClientError::of_request(&error, &url).to_string())?;
        if response.status() != StatusCode::OK {
            return Err(format!("{place} answered {}", response.status()));
        }
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let media_type = kind.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(format!(
                "{place} answered with Content-Type {media_type:?}, not application/json"
            ));
        }
        let body = read_body(response, &url, ANSWER_BYTES_MAX).await;
        let body = body.map_err(|error| format!("{place}: {error}"))?;
        let groups: Vec<WrittenGroup> = serde_json::from_slice(&body)
            .map_err(|error| format!("the list of {place} does not read: {error}"))?;
        let groups = groups
            .into_iter()
            .map(|group| group.from(URL_LABEL, &self.config.url));
        Ok(groups.collect())
    }
}

impl Discovery for HttpDiscovery {
    fn name(&self) -> String {
        // Parameters and passwords may be secrets.
        let mut url = Url::parse(&self.config.url).ok();
        if let Some(url) = &mut url {
            url.set_query(None);
            let _ = url.set_password(None);
        }
        format!("http {}", url.map(String::from).unwrap_or_default())
    }

    fn run(self: Arc<Self>, found: Found) -> DiscoveryTask {
        Box::pin(async move {
            let interval = self.config.refresh_interval();
            loop {
                match tokio::time::timeout(ANSWER_TIMEOUT, self.ask()).await {
                    Ok(Ok(groups)) => found.set(groups),
                    Ok(Err(error)) => found.fail(error),
                    Err(_) => found.fail(format!("{} has not answered in time", self.name())),
                }
                tokio::time::sleep(interval).await;
            }
        })
    }
}
