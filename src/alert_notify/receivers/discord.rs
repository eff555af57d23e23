//! Discord: a message with one embed.
//!
//! | posts | to |
//! |---|---|
//! | `{content, username, avatar_url, embeds: [{title, description, color}]}` | `webhook_url` |

use std::path::Path;

use http_client::{HttpClientConfig, Secret};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Call, Outgoing, Way, address, address_of, cut, default_to, has_at_most, one_of, or_empty,
    start_in,
};
use crate::config_file::RawGlobal;
use crate::message::Message;

/// Discord's limits, characters.
const TITLE_CHARS_MAX: usize = 256;
const DESCRIPTION_CHARS_MAX: usize = 4096;
const CONTENT_CHARS_MAX: usize = 2000;

const RED: u32 = 0x99_2D_22;
const GREEN: u32 = 0x2E_CC_71;

/// `discord_configs`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Discord {
    send_resolved: Option<bool>,
    webhook_url: Option<Secret>,
    webhook_url_file: Option<String>,
    title: Option<String>,
    message: Option<String>,
    content: Option<String>,
    username: Option<String>,
    avatar_url: Option<String>,
    http_config: Option<HttpClientConfig>,
}

impl Way for Discord {
    const KIND: &'static str = "discord";
    const SEND_RESOLVED: bool = true;

    fn complete(&mut self, _: &RawGlobal) -> Result<(), String> {
        let (url, file) = (self.webhook_url.as_ref(), self.webhook_url_file.as_ref());
        one_of("webhook_url", url, file)?;
        if let Some(url) = url {
            address("webhook_url", url.reveal())?;
        }
        default_to(
            &mut self.title,
            r#"{{ template "discord.default.title" . }}"#,
        );
        default_to(
            &mut self.message,
            r#"{{ template "discord.default.message" . }}"#,
        );
        default_to(
            &mut self.content,
            r#"{{ template "discord.default.content" . }}"#,
        );
        Ok(())
    }

    fn files_in(&mut self, dir: &Path) {
        start_in(dir, &mut self.webhook_url_file);
    }

    fn texts(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("title", or_empty(&self.title)),
            ("message", or_empty(&self.message)),
            ("content", or_empty(&self.content)),
        ]
    }

    fn prepare(&self, message: &Message<'_>) -> Result<Outgoing, String> {
        let (url, file) = (self.webhook_url.as_ref(), self.webhook_url_file.as_ref());
        let url = address_of("webhook_url", url, file)?;
        let title = message.text("title", or_empty(&self.title))?;
        let description = message.fitting("message", or_empty(&self.message), |text| {
            has_at_most(text, DESCRIPTION_CHARS_MAX)
        })?;
        let content = message.text("content", or_empty(&self.content))?;
        let mut body = json!({
            "content": cut(&content, CONTENT_CHARS_MAX),
            "embeds": [{
                "title": cut(&title, TITLE_CHARS_MAX),
                "description": cut(&description, DESCRIPTION_CHARS_MAX),
                "color": if message.is_firing() { RED } else { GREEN },
            }],
        });
        for (key, text) in [
            ("username", &self.username),
            ("avatar_url", &self.avatar_url),
        ] {
            if !or_empty(text).is_empty() {
                body[key] = json!(text);
            }
        }
        Ok(Outgoing::Http(vec![Call::json(url, &body)?]))
    }

    fn send_resolved(&self) -> Option<bool> {
        self.send_resolved
    }

    fn http(&self) -> Option<&HttpClientConfig> {
        self.http_config.as_ref()
    }
}
