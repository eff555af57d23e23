//! The ways to tell people: one file per kind, each with its keys, what it posts, and the limits
//! of its provider.
//!
//! A kind is plain code: it takes a message and says what is to go over the wire ([`Outgoing`]);
//! `send.rs` and `mail.rs` carry that out, with patience.

mod discord;
mod email;
mod gotify;
mod msteams;
mod ntfy;
mod opsgenie;
mod pagerduty;
mod pushover;
mod slack;
mod telegram;
mod webhook;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use http_client::{HttpClientConfig, Secret};
use reqwest::Method;
use serde::Serialize;
use url::Url;

pub(crate) use discord::Discord;
pub(crate) use email::{Email, Mail, SmtpSecurity};
pub(crate) use gotify::Gotify;
pub(crate) use msteams::MsTeams;
pub(crate) use ntfy::Ntfy;
pub(crate) use opsgenie::Opsgenie;
pub(crate) use pagerduty::Pagerduty;
pub(crate) use pushover::Pushover;
pub(crate) use slack::Slack;
pub(crate) use telegram::Telegram;
pub(crate) use webhook::Webhook;

use crate::config_file::RawGlobal;
use crate::message::Message;

/// What a kind of receiver must be able to do.
pub(crate) trait Way {
    /// Its name, as in `KIND_configs`.
    const KIND: &'static str;
    /// Whether the end of alerts is told where nobody says otherwise.
    const SEND_RESOLVED: bool;

    /// Fills in what the global section says, and checks. The message names key and remedy.
    fn complete(&mut self, global: &RawGlobal) -> Result<(), String>;

    /// Makes names of files that are relative start in a folder.
    fn files_in(&mut self, dir: &Path);

    /// Keys that are templates, and their texts.
    fn texts(&self) -> Vec<(&'static str, &str)>;

    /// What goes over the wire. Reads files of secrets, so it may block.
    fn prepare(&self, message: &Message<'_>) -> Result<Outgoing, String>;

    /// Its `send_resolved`.
    fn send_resolved(&self) -> Option<bool>;

    /// Its `http_config`.
    fn http(&self) -> Option<&HttpClientConfig>;

    /// Its `timeout`.
    fn timeout(&self) -> Option<&str> {
        None
    }
}

/// One way of telling one receiver.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Integration {
    /// `slack`, `webhook`, …
    pub(crate) kind: &'static str,
    /// Its number among those of its kind in the receiver.
    pub(crate) index: usize,
    pub(crate) send_resolved: bool,
    /// Longest time for one attempt, where it is set.
    pub(crate) timeout: Option<Duration>,
    pub(crate) http: HttpClientConfig,
    pub(crate) channel: Channel,
}

impl Integration {
    /// `slack[0]`
    pub(crate) fn name(&self) -> String {
        format!("{}[{}]", self.kind, self.index)
    }
}

/// Writes the enum of all kinds and hands calls on to each.
macro_rules! channels {
    ($($kind:ident),*) => {
        /// A kind of receiver and its settings.
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) enum Channel {
            $($kind(Box<$kind>),)*
        }

        impl Channel {
            pub(crate) fn prepare(&self, message: &Message<'_>) -> Result<Outgoing, String> {
                match self {
                    $(Self::$kind(way) => way.prepare(message),)*
                }
            }

            pub(crate) fn texts(&self) -> Vec<(&'static str, &str)> {
                match self {
                    $(Self::$kind(way) => way.texts(),)*
                }
            }
        }

        $(impl From<$kind> for Channel {
            fn from(way: $kind) -> Self {
                Self::$kind(Box::new(way))
            }
        })*
    };
}

channels!(
    Discord, Email, Gotify, MsTeams, Ntfy, Opsgenie, Pagerduty, Pushover, Slack, Telegram, Webhook
);

/// What goes over the wire.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// Requests, one after the other; the first that fails ends it.
    Http(Vec<Call>),
    /// An e-mail.
    Mail(Box<Mail>),
}

/// An HTTP request.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Address,
    pub(crate) content_type: &'static str,
    /// `Authorization` and the like.
    pub(crate) headers: Vec<(&'static str, Secret)>,
    pub(crate) body: Vec<u8>,
    /// Looks into an answer with a good status: some providers say "no" there.
    pub(crate) accept: fn(&[u8]) -> Result<(), String>,
}

/// A URL that may hold a token; shown without.
#[derive(Clone, PartialEq)]
pub(crate) struct Address(pub(crate) Url);

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.host_str().unwrap_or("<secret>"))
    }
}

impl Call {
    /// Posts JSON.
    pub(crate) fn json(url: Address, body: &impl Serialize) -> Result<Self, String> {
        Ok(Self {
            method: Method::POST,
            url,
            content_type: "application/json",
            headers: Vec::new(),
            body: serde_json::to_vec(body)
                .map_err(|error| format!("cannot write the message: {error}"))?,
            accept: |_| Ok(()),
        })
    }

    pub(crate) fn header(mut self, name: &'static str, value: Secret) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// Checks a URL; the message does not repeat it.
pub(crate) fn address(key: &str, text: &str) -> Result<Address, String> {
    match Url::parse(text.trim()) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Address(url)),
        Ok(_) => Err(format!("{key} must begin with http:// or https://")),
        Err(error) => Err(format!("{key} is no URL: {error}")),
    }
}

/// A URL from its place or from its file.
pub(crate) fn address_of(
    key: &str,
    given: Option<&Secret>,
    file: Option<&String>,
) -> Result<Address, String> {
    address(key, secret_of(key, given, file)?.reveal())
}

/// A secret from its place or from its file.
pub(crate) fn secret_of(
    key: &str,
    given: Option<&Secret>,
    file: Option<&String>,
) -> Result<Secret, String> {
    match (given, file) {
        (Some(secret), _) => Ok(secret.clone()),
        (None, Some(file)) => http_client::read_secret(file).map_err(|error| error.to_string()),
        (None, None) => Err(format!("{key} is not set")),
    }
}

/// Refuses a secret that stands in place and in a file, or in neither.
pub(crate) fn one_of<T>(key: &str, given: Option<&T>, file: Option<&String>) -> Result<(), String> {
    match (given, file) {
        (Some(_), Some(_)) => Err(format!("write either {key} or {key}_file, not both")),
        (None, None) => Err(format!("{key} is missing (or {key}_file)")),
        _ => Ok(()),
    }
}

/// Takes secret and file from the global section where the receiver has neither.
pub(crate) fn inherit<T: Clone>(
    given: &mut Option<T>,
    file: &mut Option<String>,
    global: Option<&T>,
    global_file: Option<&String>,
) {
    if given.is_none() && file.is_none() {
        *given = global.cloned();
        if given.is_none() {
            *file = global_file.cloned();
        }
    }
}

/// Sets what is not set.
pub(crate) fn default_to(text: &mut Option<String>, default: &str) {
    text.get_or_insert_with(|| default.to_owned());
}

/// Makes the name of a file that is relative start in a folder.
pub(crate) fn start_in(dir: &Path, path: &mut Option<String>) {
    if let Some(path) = path
        && !path.is_empty()
    {
        *path = dir.join(&*path).to_string_lossy().into_owned();
    }
}

/// A text of at most so many characters, with `…` at its end where it was cut.
pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Whether a text has at most so many characters.
pub(crate) fn has_at_most(text: &str, chars_max: usize) -> bool {
    text.chars().count() <= chars_max
}

/// HTML of at most so many characters: cut between tags and entities, with the open ones closed.
pub(crate) fn cut_html(html: &str, chars_max: usize) -> String {
    /// Tags that are closed at the end: more are not open at once in any text of ours.
    const CLOSING_CHARS_MAX: usize = 64;
    if has_at_most(html, chars_max) {
        return html.to_owned();
    }
    let room = chars_max.saturating_sub(CLOSING_CHARS_MAX);
    let mut kept: String = html.chars().take(room).collect();
    for (opens, ends) in [('<', '>'), ('&', ';')] {
        if let Some(at) = kept.rfind(opens)
            && kept.get(at..).is_some_and(|rest| !rest.contains(ends))
        {
            kept.truncate(at);
        }
    }
    let mut open: Vec<&str> = Vec::new();
    for part in kept.split('<').skip(1) {
        let name = |text: &'_ str| text.find([' ', '>']).unwrap_or(text.len());
        match part.strip_prefix('/') {
            Some(_) => drop(open.pop()),
            None => open.extend(part.get(..name(part))),
        }
    }
    let mut closing = String::new();
    for tag in open.iter().rev() {
        closing.push_str("</");
        closing.push_str(tag);
        closing.push('>');
    }
    if closing.len() >= CLOSING_CHARS_MAX {
        return "…".to_owned();
    }
    format!("{kept}…{closing}")
}

/// A text of at most so many bytes, with `…` at its end where it was cut.
pub(crate) fn cut_bytes(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let mut end = bytes_max.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// The text of an optional template; the empty text where there is none.
#[allow(clippy::ref_option, reason = "called with fields, hundreds of times")]
pub(crate) fn or_empty(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}
