//! Slack: a message with one attachment.
//!
//! | posts | to |
//! |---|---|
//! | `{channel, username, icon_emoji, icon_url, link_names, text, attachments: [{…}]}` | `api_url`, the incoming webhook |
//! | the same, with `Authorization: Bearer APP_TOKEN` | `app_url`, the method `chat.postMessage` |
//!
//! Slack answers 200 also where it refuses; the reason is in the body.

use std::path::Path;

use http_client::{HttpClientConfig, Secret};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Address, Call, Outgoing, Way, address, cut, default_to, inherit, or_empty, secret_of, start_in,
};
use crate::config_file::RawGlobal;
use crate::message::Message;

/// The method that posts with a bot's token.
const APP_URL: &str = "https://slack.com/api/chat.postMessage";

/// Longest title, characters, as Alertmanager cuts it.
const TITLE_CHARS_MAX: usize = 1024;

/// Longest text of a message or attachment, characters; Slack itself cuts at 40,000.
const TEXT_CHARS_MAX: usize = 30_000;

/// `slack_configs`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Slack {
    send_resolved: Option<bool>,
    api_url: Option<Secret>,
    api_url_file: Option<String>,
    app_token: Option<Secret>,
    app_token_file: Option<String>,
    app_url: Option<String>,
    channel: Option<String>,
    icon_emoji: Option<String>,
    icon_url: Option<String>,
    link_names: bool,
    message_text: Option<String>,
    username: Option<String>,
    actions: Vec<Action>,
    callback_id: Option<String>,
    color: Option<String>,
    fallback: Option<String>,
    fields: Vec<Field>,
    footer: Option<String>,
    mrkdwn_in: Option<Vec<String>>,
    pretext: Option<String>,
    short_fields: bool,
    text: Option<String>,
    title: Option<String>,
    title_link: Option<String>,
    image_url: Option<String>,
    thumb_url: Option<String>,
    http_config: Option<HttpClientConfig>,
    timeout: Option<String>,
    pub(crate) update_message: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Field {
    title: String,
    value: String,
    short: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Action {
    r#type: String,
    text: String,
    url: Option<String>,
    style: Option<String>,
    name: Option<String>,
    value: Option<String>,
    confirm: Option<Confirm>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Confirm {
    title: Option<String>,
    text: String,
    ok_text: Option<String>,
    dismiss_text: Option<String>,
}

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "String::is_empty")]
    channel: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_emoji: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_url: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    link_names: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    attachments: [Attachment; 1],
}

#[derive(Serialize)]
struct Attachment {
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    title_link: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pretext: String,
    text: String,
    fallback: String,
    callback_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Value>,
    #[serde(skip_serializing_if = "String::is_empty")]
    image_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thumb_url: String,
    footer: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    color: String,
    mrkdwn_in: Vec<String>,
}

impl Slack {
    fn has_token(&self) -> bool {
        self.app_token.is_some() || self.app_token_file.is_some()
    }

    fn field(&self, field: &Field, message: &Message<'_>) -> Result<Value, String> {
        Ok(serde_json::json!({
            "title": message.text("fields", &field.title)?,
            "value": message.text("fields", &field.value)?,
            "short": field.short.unwrap_or(self.short_fields),
        }))
    }
}

impl Action {
    fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let confirm = self.confirm.iter().flat_map(|confirm| {
            let optional = [&confirm.title, &confirm.ok_text, &confirm.dismiss_text];
            let given = optional.into_iter().filter_map(|text| text.as_deref());
            given.chain([confirm.text.as_str()])
        });
        let optional = [&self.url, &self.style, &self.name, &self.value];
        optional
            .into_iter()
            .filter_map(|text| text.as_deref())
            .chain([self.text.as_str(), self.r#type.as_str()])
            .chain(confirm)
            .map(|text| ("actions", text))
    }

    fn filled(&self, message: &Message<'_>) -> Result<Value, String> {
        let text = |text: &str| message.text("actions", text);
        let mut action = serde_json::Map::new();
        let mut put = |key: &str, value: String| {
            if !value.is_empty() {
                action.insert(key.to_owned(), Value::String(value));
            }
        };
        put("type", text(&self.r#type)?);
        put("text", text(&self.text)?);
        for (key, value) in [
            ("url", &self.url),
            ("style", &self.style),
            ("name", &self.name),
            ("value", &self.value),
        ] {
            put(key, text(or_empty(value))?);
        }
        if let Some(confirm) = &self.confirm {
            let mut parts = serde_json::Map::new();
            for (key, value) in [
                ("title", or_empty(&confirm.title)),
                ("text", &confirm.text),
                ("ok_text", or_empty(&confirm.ok_text)),
                ("dismiss_text", or_empty(&confirm.dismiss_text)),
            ] {
                let value = text(value)?;
                if !value.is_empty() {
                    parts.insert(key.to_owned(), Value::String(value));
                }
            }
            action.insert("confirm".to_owned(), Value::Object(parts));
        }
        Ok(Value::Object(action))
    }
}

impl Way for Slack {
    const KIND: &'static str = "slack";
    const SEND_RESOLVED: bool = false;

    fn complete(&mut self, global: &RawGlobal) -> Result<(), String> {
        if self.api_url.is_some() && self.api_url_file.is_some() {
            return Err("write either api_url or api_url_file, not both".to_owned());
        }
        if self.app_token.is_some() && self.app_token_file.is_some() {
            return Err("write either app_token or app_token_file, not both".to_owned());
        }
        let has_url = self.api_url.is_some() || self.api_url_file.is_some();
        if !has_url && !self.has_token() {
            inherit(
                &mut self.app_token,
                &mut self.app_token_file,
                global.slack_app_token.as_ref(),
                global.slack_app_token_file.as_ref(),
            );
            inherit(
                &mut self.api_url,
                &mut self.api_url_file,
                global.slack_api_url.as_ref(),
                global.slack_api_url_file.as_ref(),
            );
        }
        if self.has_token() {
            if self.app_url.is_none() {
                self.app_url.clone_from(&global.slack_app_url);
            }
            default_to(&mut self.app_url, APP_URL);
            address("app_url", or_empty(&self.app_url))?;
        } else if self.api_url.is_none() && self.api_url_file.is_none() {
            return Err(
                "api_url is missing: write it here or as slack_api_url in the global section"
                    .to_owned(),
            );
        }
        if let Some(url) = &self.api_url {
            address("api_url", url.reveal())?;
        }
        for field in &self.fields {
            if field.title.is_empty() || field.value.is_empty() {
                return Err("fields: each needs a title and a value".to_owned());
            }
        }
        for action in &self.actions {
            if action.r#type.is_empty() || action.text.is_empty() {
                return Err("actions: each needs a type and a text".to_owned());
            }
            if or_empty(&action.url).is_empty() && or_empty(&action.name).is_empty() {
                return Err("actions: each needs a url or a name".to_owned());
            }
            if action.confirm.as_ref().is_some_and(|c| c.text.is_empty()) {
                return Err("actions: confirm needs a text".to_owned());
            }
        }
        for (text, name) in [
            (&mut self.icon_emoji, "iconemoji"),
            (&mut self.icon_url, "iconurl"),
            (&mut self.username, "username"),
            (&mut self.callback_id, "callbackid"),
            (&mut self.color, "color"),
            (&mut self.fallback, "fallback"),
            (&mut self.footer, "footer"),
            (&mut self.pretext, "pretext"),
            (&mut self.text, "text"),
            (&mut self.title, "title"),
            (&mut self.title_link, "titlelink"),
        ] {
            default_to(
                text,
                &format!("{{{{ template \"slack.default.{name}\" . }}}}"),
            );
        }
        Ok(())
    }

    fn files_in(&mut self, dir: &Path) {
        start_in(dir, &mut self.api_url_file);
        start_in(dir, &mut self.app_token_file);
    }

    fn texts(&self) -> Vec<(&'static str, &str)> {
        let mut texts = Vec::new();
        for (key, text) in [
            ("channel", &self.channel),
            ("icon_emoji", &self.icon_emoji),
            ("icon_url", &self.icon_url),
            ("message_text", &self.message_text),
            ("username", &self.username),
            ("callback_id", &self.callback_id),
            ("color", &self.color),
            ("fallback", &self.fallback),
            ("footer", &self.footer),
            ("pretext", &self.pretext),
            ("text", &self.text),
            ("title", &self.title),
            ("title_link", &self.title_link),
            ("image_url", &self.image_url),
            ("thumb_url", &self.thumb_url),
        ] {
            texts.extend(text.as_deref().map(|text| (key, text)));
        }
        for field in &self.fields {
            texts.push(("fields", &field.title));
            texts.push(("fields", &field.value));
        }
        texts.extend(self.actions.iter().flat_map(Action::texts));
        texts
    }

    fn prepare(&self, message: &Message<'_>) -> Result<Outgoing, String> {
        let text = |key, text: &Option<String>| message.text(key, or_empty(text));
        let fields = self.fields.iter().map(|field| self.field(field, message));
        let actions = self.actions.iter().map(|action| action.filled(message));
        let marked = ["fallback", "pretext", "text"].map(str::to_owned).to_vec();
        let body = Body {
            channel: text("channel", &self.channel)?,
            username: text("username", &self.username)?,
            icon_emoji: text("icon_emoji", &self.icon_emoji)?,
            icon_url: text("icon_url", &self.icon_url)?,
            link_names: self.link_names,
            text: cut(&text("message_text", &self.message_text)?, TEXT_CHARS_MAX),
            attachments: [Attachment {
                title: cut(&text("title", &self.title)?, TITLE_CHARS_MAX),
                title_link: text("title_link", &self.title_link)?,
                pretext: text("pretext", &self.pretext)?,
                text: cut(&text("text", &self.text)?, TEXT_CHARS_MAX),
                fallback: text("fallback", &self.fallback)?,
                callback_id: text("callback_id", &self.callback_id)?,
                fields: fields.collect::<Result<_, _>>()?,
                actions: actions.collect::<Result<_, _>>()?,
                image_url: text("image_url", &self.image_url)?,
                thumb_url: text("thumb_url", &self.thumb_url)?,
                footer: text("footer", &self.footer)?,
                color: text("color", &self.color)?,
                mrkdwn_in: self.mrkdwn_in.clone().unwrap_or(marked),
            }],
        };
        let call = if self.has_token() {
            let token = secret_of(
                "app_token",
                self.app_token.as_ref(),
                self.app_token_file.as_ref(),
            )?;
            let bearer = Secret::new(format!("Bearer {}", token.reveal()));
            Call::json(address("app_url", or_empty(&self.app_url))?, &body)?
                .header("authorization", bearer)
        } else {
            let url: Address =
                super::address_of("api_url", self.api_url.as_ref(), self.api_url_file.as_ref())?;
            Call::json(url, &body)?
        };
        Ok(Outgoing::Http(vec![Call { accept, ..call }]))
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

/// The webhook answers `ok`, the method JSON with `ok` and `error`.
fn accept(answer: &[u8]) -> Result<(), String> {
    let Ok(Value::Object(map)) = serde_json::from_slice(answer) else {
        return Ok(());
    };
    match map.get("ok") {
        Some(Value::Bool(false)) => Err(format!(
            "Slack says {}",
            map.get("error").and_then(Value::as_str).unwrap_or("no")
        )),
        _ => Ok(()),
    }
}
