//! Pushover: a notification on phones.
//!
//! | posts | to |
//! |---|---|
//! | a form: `token`, `user`, `title`, `message`, `url`, `priority`, `retry`, `expire`, `ttl`, `device`, `sound`, `html`, `monospace` | Pushover's API |

use std::path::Path;

use http_client::{HttpClientConfig, Secret};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::{
    Call, Outgoing, Way, address, cut, default_to, has_at_most, one_of, or_empty, secret_of,
    start_in,
};
use crate::config_file::RawGlobal;
use crate::message::Message;

const API_URL: &str = "https://api.pushover.net/1/messages.json";

/// Pushover's limits, characters.
const TITLE_CHARS_MAX: usize = 250;
const MESSAGE_CHARS_MAX: usize = 1024;
const URL_CHARS_MAX: usize = 512;

/// `pushover_configs`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Pushover {
    send_resolved: Option<bool>,
    user_key: Option<Secret>,
    user_key_file: Option<String>,
    token: Option<Secret>,
    token_file: Option<String>,
    title: Option<String>,
    message: Option<String>,
    url: Option<String>,
    url_title: Option<String>,
    device: Option<String>,
    sound: Option<String>,
    priority: Option<String>,
    retry: Option<String>,
    expire: Option<String>,
    ttl: Option<String>,
    html: bool,
    monospace: bool,
    http_config: Option<HttpClientConfig>,
    /// Where to, in tests; people cannot write it.
    #[serde(skip)]
    pub(super) api_url: Option<String>,
}

fn seconds(key: &str, text: &str) -> Result<u64, String> {
    let duration = model::duration::parse(text).map_err(|error| format!("{key}: {error}"))?;
    Ok(duration.as_secs())
}

impl Way for Pushover {
    const KIND: &'static str = "pushover";
    const SEND_RESOLVED: bool = true;

    fn complete(&mut self, _: &RawGlobal) -> Result<(), String> {
        one_of(
            "user_key",
            self.user_key.as_ref(),
            self.user_key_file.as_ref(),
        )?;
        one_of("token", self.token.as_ref(), self.token_file.as_ref())?;
        if self.html && self.monospace {
            return Err("write either html or monospace, not both".to_owned());
        }
        default_to(
            &mut self.title,
            r#"{{ template "pushover.default.title" . }}"#,
        );
        default_to(
            &mut self.message,
            r#"{{ template "pushover.default.message" . }}"#,
        );
        default_to(&mut self.url, r#"{{ template "pushover.default.url" . }}"#);
        default_to(
            &mut self.priority,
            r#"{{ if eq .Status "firing" }}2{{ else }}0{{ end }}"#,
        );
        default_to(&mut self.retry, "1m");
        default_to(&mut self.expire, "1h");
        seconds("retry", or_empty(&self.retry))?;
        seconds("expire", or_empty(&self.expire))?;
        self.ttl.as_ref().map_or(Ok(0), |ttl| seconds("ttl", ttl))?;
        Ok(())
    }

    fn files_in(&mut self, dir: &Path) {
        start_in(dir, &mut self.user_key_file);
        start_in(dir, &mut self.token_file);
    }

    fn texts(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("title", or_empty(&self.title)),
            ("message", or_empty(&self.message)),
            ("url", or_empty(&self.url)),
            ("url_title", or_empty(&self.url_title)),
            ("priority", or_empty(&self.priority)),
            ("device", or_empty(&self.device)),
            ("sound", or_empty(&self.sound)),
        ]
    }

    fn prepare(&self, message: &Message<'_>) -> Result<Outgoing, String> {
        let text = |key, text: &Option<String>| message.text(key, or_empty(text));
        let user = secret_of(
            "user_key",
            self.user_key.as_ref(),
            self.user_key_file.as_ref(),
        )?;
        let token = secret_of("token", self.token.as_ref(), self.token_file.as_ref())?;
        let source = or_empty(&self.message);
        let fits = |text: &str| has_at_most(text, MESSAGE_CHARS_MAX);
        let body_text = if self.html {
            message.html_fitting("message", source, fits)?
        } else {
            message.fitting("message", source, fits)?
        };
        let body_text = match body_text.trim() {
            // Pushover refuses a message without text.
            "" => "(no details)".to_owned(),
            text => cut(text, MESSAGE_CHARS_MAX),
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", token.reveal());
        form.append_pair("user", user.reveal());
        form.append_pair("title", &cut(&text("title", &self.title)?, TITLE_CHARS_MAX));
        form.append_pair("message", &body_text);
        let mut optional = |key, value: &str| {
            if !value.is_empty() {
                form.append_pair(key, value);
            }
        };
        optional("url", &cut(text("url", &self.url)?.trim(), URL_CHARS_MAX));
        optional("url_title", &text("url_title", &self.url_title)?);
        let priority = text("priority", &self.priority)?;
        optional("priority", priority.trim());
        // Only emergencies are repeated until someone answers.
        if priority.trim() == "2" {
            optional(
                "retry",
                &seconds("retry", or_empty(&self.retry))?.to_string(),
            );
            optional(
                "expire",
                &seconds("expire", or_empty(&self.expire))?.to_string(),
            );
        }
        if let Some(ttl) = &self.ttl {
            optional("ttl", &seconds("ttl", ttl)?.to_string());
        }
        optional("device", &text("device", &self.device)?);
        optional("sound", &text("sound", &self.sound)?);
        optional("html", if self.html { "1" } else { "" });
        optional("monospace", if self.monospace { "1" } else { "" });
        Ok(Outgoing::Http(vec![Call {
            content_type: "application/x-www-form-urlencoded",
            body: form.finish().into_bytes(),
            ..Call::json(
                address("url", self.api_url.as_deref().unwrap_or(API_URL))?,
                &(),
            )?
        }]))
    }

    fn send_resolved(&self) -> Option<bool> {
        self.send_resolved
    }

    fn http(&self) -> Option<&HttpClientConfig> {
        self.http_config.as_ref()
    }
}
