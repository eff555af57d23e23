//! Failures in words: what happened, and what to look at.

use std::error::Error;
use std::io::ErrorKind;

use reqwest::StatusCode;
use url::Url;

/// Why a target could not be asked.
pub(super) fn of_failure(error: &reqwest::Error, url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let place = format!("{host}:{port}");
    let causes = causes(error);
    let deepest = causes
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string);
    let said = |part: &str| causes.iter().any(|cause| cause.to_string().contains(part));

    if error.is_redirect() {
        return format!("the target redirects in circles or too often: {deepest}");
    }
    if said("failed to lookup address") || said("dns error") {
        return format!("cannot resolve {host}: {deepest}");
    }
    if said("peer certificate") || said("InvalidCertificate") {
        return format!(
            "the certificate of {place} is not trusted: {deepest} (see tls_config, ca_file)"
        );
    }
    if said("InvalidContentType") {
        return format!("{place} does not speak TLS: should scheme be http?");
    }
    if error.is_decode() {
        return format!("the page cannot be decompressed: {deepest}");
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

/// Why certificates or keys cannot be used.
pub(super) fn of_tls(error: &reqwest::Error) -> String {
    let causes = causes(error);
    let deepest = causes
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string);
    format!("the TLS settings do not work: {deepest}")
}

/// What a status code often means for a scrape.
pub(super) fn of_status(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => ": it wants credentials (basic_auth or authorization)",
        StatusCode::FORBIDDEN => ": the credentials do not suffice, or none are given",
        StatusCode::NOT_FOUND => ": is metrics_path right?",
        status if status.is_redirection() => ": follow_redirects is off",
        status if status.is_server_error() => ": the fault is on its side",
        _ => "",
    }
}
