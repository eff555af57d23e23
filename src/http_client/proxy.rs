//! Through which proxy? `proxy_url` and its companions, or the environment.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{NoProxy, Proxy};
use url::Url;

use crate::config::SecretHeaders;
use crate::{HttpClientError, Secret, Wrong};

/// The keys about proxies of a section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProxyKeys<'a> {
    pub(crate) url: Option<&'a Secret>,
    pub(crate) no_proxy: Option<&'a str>,
    pub(crate) from_environment: bool,
    pub(crate) connect_header: &'a SecretHeaders,
}

impl ProxyKeys<'_> {
    pub(crate) fn check(&self) -> Result<(), Wrong> {
        if let Some(url) = self.url {
            if self.from_environment {
                return Err(Wrong::new(
                    "proxy_from_environment",
                    "give proxy_url or proxy_from_environment, not both",
                ));
            }
            check_url(url)?;
        }
        if self.no_proxy.is_some_and(|list| !list.is_empty()) && self.url.is_none() {
            return Err(Wrong::new("no_proxy", "it needs proxy_url"));
        }
        if !self.connect_header.is_empty() && self.url.is_none() && !self.from_environment {
            return Err(Wrong::new(
                "proxy_connect_header",
                "it needs proxy_url or proxy_from_environment",
            ));
        }
        headers(self.connect_header)
            .map_err(|reason| Wrong::new("proxy_connect_header", reason))?;
        Ok(())
    }

    /// The proxies to ask through; `environment` looks a variable up.
    pub(crate) fn build(
        &self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<Proxy>, HttpClientError> {
        let bad =
            |key: &str| HttpClientError::Credentials(format!("{key} is no address of a proxy"));
        let headers = headers(self.connect_header).map_err(|_| bad("proxy_connect_header"))?;
        let mut proxies = Vec::new();
        if let Some(url) = self.url {
            let proxy = Proxy::all(url.reveal()).map_err(|_| bad("proxy_url"))?;
            proxies.push(proxy.no_proxy(self.no_proxy.and_then(NoProxy::from_string)));
        } else if self.from_environment {
            // As curl and Go: the small name counts, too, and HTTPS has a proxy of its own.
            let either = |name: &str| {
                let given = environment(name).or_else(|| environment(&name.to_ascii_lowercase()));
                given.filter(|value| !value.is_empty())
            };
            let direct = either("NO_PROXY").as_deref().and_then(NoProxy::from_string);
            if let Some(url) = either("HTTP_PROXY") {
                let proxy = Proxy::http(&*url).map_err(|_| bad("HTTP_PROXY"))?;
                proxies.push(proxy.no_proxy(direct.clone()));
            }
            if let Some(url) = either("HTTPS_PROXY") {
                let proxy = Proxy::https(&*url).map_err(|_| bad("HTTPS_PROXY"))?;
                proxies.push(proxy.no_proxy(direct));
            }
        }
        let with_headers = |proxy: Proxy| {
            if headers.is_empty() {
                proxy
            } else {
                proxy.headers(headers.clone())
            }
        };
        Ok(proxies.into_iter().map(with_headers).collect())
    }
}

fn check_url(url: &Secret) -> Result<(), Wrong> {
    let scheme = Url::parse(url.reveal()).map(|url| url.scheme().to_owned());
    match scheme.as_deref() {
        Ok("http" | "https" | "socks5" | "socks5h") => Ok(()),
        _ => Err(Wrong::new(
            "proxy_url",
            "write http://host:port, https://host:port or socks5://host:port",
        )),
    }
}

fn headers(given: &SecretHeaders) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, values) in given {
        let name_ = HeaderName::try_from(name)
            .map_err(|_| format!("{name:?} is not the name of a header"))?;
        for value in values {
            let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| {
                format!("a value of {name} holds characters that no header can carry")
            })?;
            value.set_sensitive(true);
            headers.append(name_.clone(), value);
        }
    }
    Ok(headers)
}
