//! Gotify: a message of an application. A kind of Yagura's own.
//!
//! | posts | to |
//! |---|---|
//! | `{title, message, priority, extras}` with `X-Gotify-Key: TOKEN` | `url/message` |

use std::path::Path;

use http_client::{HttpClientConfig, Secret};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Call, Outgoing, Way, address, cut, default_to, one_of, or_empty, secret_of, start_in};
use crate::config_file::RawGlobal;
use crate::message::Message;

/// Gotify has no limit; what is longer nobody reads on a phone.
const MESSAGE_CHARS_MAX: usize = 16_000;

/// `gotify_configs`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Gotify {
    send_resolved: Option<bool>,
    /// The server.
    url: Option<String>,
    /// Of the application.
    token: Option<Secret>,
    token_file: Option<String>,
    title: Option<String>,
    message: Option<String>,
    /// 0 to 10, a template.
    priority: Option<String>,
    timeout: Option<String>,
    http_config: Option<HttpClientConfig>,
}

impl Way for Gotify {
    const KIND: &'static str = "gotify";
    const SEND_RESOLVED: bool = true;

    fn complete(&mut self, _: &RawGlobal) -> Result<(), String> {
        one_of("token", self.token.as_ref(), self.token_file.as_ref())?;
        if self.url.is_none() {
            return Err("url is missing: the address of the server".to_owned());
        }
        address("url", or_empty(&self.url))?;
        default_to(
            &mut self.title,
            r#"{{ template "gotify.default.title" . }}"#,
        );
        default_to(
            &mut self.message,
            r#"{{ template "gotify.default.message" . }}"#,
        );
        default_to(
            &mut self.priority,
            r#"{{ template "gotify.default.priority" . }}"#,
        );
        Ok(())
    }

    fn files_in(&mut self, dir: &Path) {
        start_in(dir, &mut self.token_file);
    }

    fn texts(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("title", or_empty(&self.title)),
            ("message", or_empty(&self.message)),
            ("priority", or_empty(&self.priority)),
        ]
    }

    fn prepare(&self, message: &Message<'_>) -> Result<Outgoing, String> {
        let text = |key, text: &Option<String>| message.text(key, or_empty(text));
        let server = or_empty(&self.url).trim_end_matches('/');
        let token = secret_of("token", self.token.as_ref(), self.token_file.as_ref())?;
        let click = message.text("click", r#"{{ template "gotify.default.click" . }}"#)?;
        let body = json!({
            "title": cut(&text("title", &self.title)?, MESSAGE_CHARS_MAX),
            "message": cut(text("message", &self.message)?.trim(), MESSAGE_CHARS_MAX),
            "priority": text("priority", &self.priority)?.trim().parse::<u8>().unwrap_or(5),
            "extras": {
                "client::notification": {
                    "click": { "url": click.trim() },
                },
            },
        });
        let call = Call::json(address("url", &format!("{server}/message"))?, &body)?;
        Ok(Outgoing::Http(vec![call.header("x-gotify-key", token)]))
    }

    fn send_resolved(&self) -> Option<bool> {
        self.send_resolved
    }

    fn http(&self) -> Option<&HttpClientConfig> {
        self.http_config.as_ref()
    }

    fn timeout(&self) -> Option<&str> {
        self.timeout.as_deref()
    }
}
