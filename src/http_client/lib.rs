//! How do we reach others? The HTTP client settings that Prometheus' and Alertmanager's
//! configuration files share, and clients made of them.
//!
//! 1. [`HttpClientConfig`] is the settings: who we say we are, whom we trust, through which proxy.
//!    A section whose other keys stand beside these (a scrape job, `remote_write`) is declared by
//!    [`with_http_client_keys!`].
//! 2. [`HttpClientConfig::check`] says what serde cannot see.
//! 3. [`Clients::client`] gives the [`Client`] of some settings, the same for equal ones.
//! 4. [`Client::request`] begins a request. Files with secrets and certificates are read then, so
//!    that rotated ones count from the next request on.
//! 5. [`HttpClientError`] says in a sentence why it failed: never an address beyond host and port,
//!    never a secret.
//!
//! It knows no retry, no timeout (callers put their own around a request) and nothing about what
//! is asked for.

mod client;
mod config;
mod error;
mod file;
mod oauth2;
mod proxy;
mod secret;
mod tls;

pub use client::{Client, Clients, read_body};
pub use config::{Authorization, BasicAuth, HttpClientConfig, HttpHeader, Wrong};
pub use error::HttpClientError;
pub use file::read_secret;
pub use oauth2::OAuth2;
pub use secret::Secret;
pub use tls::{TlsConfig, TlsVersion};

#[cfg(test)]
mod tests;
