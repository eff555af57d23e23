//! ntfy: a notification in a topic. A kind of Yagura's own.
//!
//! | posts | to |
//! |---|---|
//! | `{topic, title, message, priority, tags, click}` | `url`, the server |

use std::path::Path;

use http_client::{HttpClientConfig, Secret};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Call, Outgoing, Way, address, cut, cut_bytes, default_to, or_empty, secret_of, start_in,
};
use crate::config_file::RawGlobal;
use crate::message::Message;

const SERVER: &str = "https://ntfy.sh";

/// ntfy makes an attachment of a longer message.
const MESSAGE_BYTES_MAX: usize = 4096;
const TITLE_CHARS_MAX: usize = 250;

/// `ntfy_configs`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ntfy {
    send_resolved: Option<bool>,
    /// The server; default `https://ntfy.sh`.
    url: Option<String>,
    /// On a public server a topic is a password.
    topic: Option<Secret>,
    topic_file: Option<String>,
    token: Option<Secret>,
    token_file: Option<String>,
    title: Option<String>,
    message: Option<String>,
    /// 1 to 5, a template.
    priority: Option<String>,
    /// Words by commas, a template; names of emoji become emoji.
    tags: Option<String>,
    /// What a tap opens, a template.
    click: Option<String>,
    timeout: Option<String>,
    http_config: Option<HttpClientConfig>,
}

impl Way for Ntfy {
    const KIND: &'static str = "ntfy";
    const SEND_RESOLVED: bool = true;

    fn complete(&mut self, _: &RawGlobal) -> Result<(), String> {
        super::one_of("topic", self.topic.as_ref(), self.topic_file.as_ref())?;
        if self.token.is_some() && self.token_file.is_some() {
            return Err("write either token or token_file, not both".to_owned());
        }
        default_to(&mut self.url, SERVER);
        address("url", or_empty(&self.url))?;
        default_to(&mut self.title, r#"{{ template "ntfy.default.title" . }}"#);
        default_to(
            &mut self.message,
            r#"{{ template "ntfy.default.message" . }}"#,
        );
        default_to(
            &mut self.priority,
            r#"{{ template "ntfy.default.priority" . }}"#,
        );
        default_to(&mut self.tags, r#"{{ template "ntfy.default.tags" . }}"#);
        default_to(&mut self.click, r#"{{ template "ntfy.default.click" . }}"#);
        Ok(())
    }

    fn files_in(&mut self, dir: &Path) {
        start_in(dir, &mut self.topic_file);
        start_in(dir, &mut self.token_file);
    }

    fn texts(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("title", or_empty(&self.title)),
            ("message", or_empty(&self.message)),
            ("priority", or_empty(&self.priority)),
            ("tags", or_empty(&self.tags)),
            ("click", or_empty(&self.click)),
        ]
    }

    fn prepare(&self, message: &Message<'_>) -> Result<Outgoing, String> {
        let text = |key, text: &Option<String>| message.text(key, or_empty(text));
        let topic = secret_of("topic", self.topic.as_ref(), self.topic_file.as_ref())?;
        let tags = text("tags", &self.tags)?;
        let tags: Vec<&str> = tags
            .split(',')
            .map(str::trim)
            .filter(|t| !t.is_empty())
            .collect();
        let fits = |text: &str| text.len() <= MESSAGE_BYTES_MAX;
        let body = message.fitting("message", or_empty(&self.message), fits)?;
        let mut body = json!({
            "topic": topic.reveal(),
            "title": cut(&text("title", &self.title)?, TITLE_CHARS_MAX),
            "message": cut_bytes(body.trim(), MESSAGE_BYTES_MAX),
            "tags": tags,
        });
        let priority = text("priority", &self.priority)?;
        if let Ok(priority @ 1..=5) = priority.trim().parse::<u8>() {
            body["priority"] = json!(priority);
        }
        let click = text("click", &self.click)?;
        if !click.trim().is_empty() {
            body["click"] = json!(click.trim());
        }
        let mut call = Call::json(address("url", or_empty(&self.url))?, &body)?;
        if self.token.is_some() || self.token_file.is_some() {
            let token = secret_of("token", self.token.as_ref(), self.token_file.as_ref())?;
            call = call.header(
                "authorization",
                Secret::new(format!("Bearer {}", token.reveal())),
            );
        }
        Ok(Outgoing::Http(vec![call]))
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
