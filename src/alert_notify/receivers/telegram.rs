//! Telegram: a message of a bot in a chat.
//!
//! | posts | to |
//! |---|---|
//! | `{chat_id, message_thread_id, text, parse_mode, disable_notification, disable_web_page_preview}` | `api_url/botTOKEN/sendMessage` |

use std::path::Path;

use http_client::{HttpClientConfig, Secret};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Call, Outgoing, Way, address, cut, cut_html, default_to, has_at_most, inherit, one_of,
    or_empty, secret_of, start_in,
};
use crate::config_file::RawGlobal;
use crate::message::Message;

const API_URL: &str = "https://api.telegram.org";

/// Telegram's limit, characters.
const TEXT_CHARS_MAX: usize = 4096;

/// `telegram_configs`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Telegram {
    send_resolved: Option<bool>,
    api_url: Option<String>,
    bot_token: Option<Secret>,
    bot_token_file: Option<String>,
    chat_id: Option<i64>,
    chat_id_file: Option<String>,
    message_thread_id: Option<i64>,
    message: Option<String>,
    disable_notifications: bool,
    parse_mode: Option<String>,
    http_config: Option<HttpClientConfig>,
}

impl Way for Telegram {
    const KIND: &'static str = "telegram";
    const SEND_RESOLVED: bool = true;

    fn complete(&mut self, global: &RawGlobal) -> Result<(), String> {
        inherit(
            &mut self.bot_token,
            &mut self.bot_token_file,
            global.telegram_bot_token.as_ref(),
            global.telegram_bot_token_file.as_ref(),
        );
        one_of(
            "bot_token",
            self.bot_token.as_ref(),
            self.bot_token_file.as_ref(),
        )?;
        one_of("chat_id", self.chat_id.as_ref(), self.chat_id_file.as_ref())?;
        if self.api_url.is_none() {
            self.api_url.clone_from(&global.telegram_api_url);
        }
        default_to(&mut self.api_url, API_URL);
        address("api_url", or_empty(&self.api_url))?;
        default_to(&mut self.parse_mode, "HTML");
        if !["", "Markdown", "MarkdownV2", "HTML"].contains(&or_empty(&self.parse_mode)) {
            return Err("parse_mode must be Markdown, MarkdownV2, HTML or empty".to_owned());
        }
        default_to(
            &mut self.message,
            r#"{{ template "telegram.default.message" . }}"#,
        );
        Ok(())
    }

    fn files_in(&mut self, dir: &Path) {
        start_in(dir, &mut self.bot_token_file);
        start_in(dir, &mut self.chat_id_file);
    }

    fn texts(&self) -> Vec<(&'static str, &str)> {
        vec![("message", or_empty(&self.message))]
    }

    fn prepare(&self, message: &Message<'_>) -> Result<Outgoing, String> {
        let source = or_empty(&self.message);
        let is_html = or_empty(&self.parse_mode) == "HTML";
        let fits = |text: &str| has_at_most(text, TEXT_CHARS_MAX);
        let text = if is_html {
            // Telegram refuses what has a tag that is not closed.
            cut_html(
                &message.html_fitting("message", source, fits)?,
                TEXT_CHARS_MAX,
            )
        } else {
            cut(&message.fitting("message", source, fits)?, TEXT_CHARS_MAX)
        };
        let chat_id = match (self.chat_id, &self.chat_id_file) {
            (Some(id), _) => id,
            (None, file) => {
                let id = secret_of("chat_id", None, file.as_ref())?;
                let number = id.reveal().parse();
                number.map_err(|_| "chat_id_file does not hold a number".to_owned())?
            }
        };
        let token = secret_of(
            "bot_token",
            self.bot_token.as_ref(),
            self.bot_token_file.as_ref(),
        )?;
        let api = or_empty(&self.api_url).trim_end_matches('/');
        let url = format!("{api}/bot{}/sendMessage", token.reveal());
        let mut body = json!({
            "chat_id": chat_id,
            "text": text,
            "disable_web_page_preview": true,
        });
        if !or_empty(&self.parse_mode).is_empty() {
            body["parse_mode"] = json!(self.parse_mode);
        }
        if self.disable_notifications {
            body["disable_notification"] = json!(true);
        }
        if let Some(thread) = self.message_thread_id.filter(|id| *id != 0) {
            body["message_thread_id"] = json!(thread);
        }
        let call = Call::json(address("api_url", &url)?, &body)?;
        Ok(Outgoing::Http(vec![call]))
    }

    fn send_resolved(&self) -> Option<bool> {
        self.send_resolved
    }

    fn http(&self) -> Option<&HttpClientConfig> {
        self.http_config.as_ref()
    }
}
