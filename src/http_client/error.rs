//! Failures in words: what happened, and what to look at.

use std::error::Error;
use std::io::ErrorKind;

use url::Url;

/// Why a request could not be made or was not answered. Its text is a sentence that names no more
/// of an address than host and port (paths of hooks are secrets), and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpClientError {
    /// A password, token or certificate cannot be used: repeating helps once someone mends it.
    #[error("{0}")]
    Credentials(String),
    /// No token from the OAuth 2 server.
    #[error("no token from {place}: {reason}")]
    Token {
        /// Host and port of the server.
        place: String,
        /// Why.
        reason: String,
    },
    /// The peer could not be reached, or did not answer like an HTTP server.
    #[error("{0}")]
    Connection(String),
    /// The answer has more bytes than the caller takes.
    #[error("the answer has more than {0} bytes")]
    TooLarge(u64),
}

impl HttpClientError {
    /// What went wrong with a request to `url`, or while its answer was read.
    pub fn of_request(error: &reqwest::Error, url: &Url) -> Self {
        Self::Connection(sentence(error, url))
    }

    /// Why TLS settings cannot be used.
    pub(crate) fn tls(reason: impl std::fmt::Display) -> Self {
        Self::Credentials(format!("the TLS settings do not work: {reason}"))
    }
}

/// Host and port of a URL.
pub(crate) fn place_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn sentence(error: &reqwest::Error, url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let place = place_of(url);
    let causes = causes(error);
    // An error without causes says its address, which may be secret.
    let deepest = causes
        .last()
        .map_or_else(|| "the request failed".to_owned(), ToString::to_string);
    let said = |part: &str| causes.iter().any(|cause| cause.to_string().contains(part));

    if error.is_redirect() {
        return format!("{place} redirects in circles or too often: {deepest}");
    }
    if said("failed to lookup address") || said("dns error") {
        return format!("cannot resolve {host}: {deepest}");
    }
    if said("peer certificate") || said("InvalidCertificate") {
        return format!(
            "the certificate of {place} is not trusted: {deepest} (see tls_config: ca_file, \
             server_name)"
        );
    }
    if said("InvalidContentType") {
        return format!("{place} does not speak TLS: should scheme be http?");
    }
    if said("tunnel") || said("proxy") || said("socks") {
        return format!("the proxy does not reach {place}: {deepest} (see proxy_url)");
    }
    if error.is_decode() {
        return format!("the answer of {place} cannot be decompressed: {deepest}");
    }
    if said("invalid HTTP version") || said("HTTP/0.9") {
        return format!("{place} does not answer in HTTP: should scheme be https?");
    }
    let kinds = causes
        .iter()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    for kind in kinds.map(std::io::Error::kind) {
        match kind {
            ErrorKind::ConnectionRefused => {
                return format!("connection refused: is anything listening on {place}?");
            }
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
                return format!("{place} broke the connection off");
            }
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                return format!("no way to {host}: {deepest}");
            }
            ErrorKind::TimedOut => return format!("connecting to {place} took too long"),
            ErrorKind::UnexpectedEof => return format!("{place} hung up in the middle"),
            _ => {}
        }
    }
    if said("connection closed before message completed") || said("end of file before message") {
        return format!("{place} hung up in the middle of its answer");
    }
    format!("{place}: {deepest}")
}

/// What is behind an error, the deepest cause last.
fn causes(error: &reqwest::Error) -> Vec<&(dyn Error + 'static)> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    causes
}
