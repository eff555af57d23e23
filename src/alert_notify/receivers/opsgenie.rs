//! Opsgenie: an alert of the Alert API.
//!
//! | posts | to |
//! |---|---|
//! | `{alias, message, description, details, source, responders, tags, note, priority, entity, actions}` | `api_url/v2/alerts` |
//! | with `update_alerts`: `{message}` and `{description}` (PUT) | `api_url/v2/alerts/ALIAS/message`, `…/description` |
//! | when all is over: `{source}` | `api_url/v2/alerts/ALIAS/close` |
//!
//! All with `Authorization: GenieKey KEY`; the alias is the hash of the group's key, as
//! Alertmanager's.

use std::collections::BTreeMap;
use std::path::Path;

use http_client::{HttpClientConfig, Secret};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Call, Outgoing, Way, address, cut, default_to, inherit, one_of, or_empty, secret_of, start_in,
};
use crate::config_file::RawGlobal;
use crate::message::Message;
use crate::sha256;

const API_URL: &str = "https://api.opsgenie.com/";

/// Opsgenie's limits, characters.
const MESSAGE_CHARS_MAX: usize = 130;
const DESCRIPTION_CHARS_MAX: usize = 15_000;

/// `opsgenie_configs`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Opsgenie {
    send_resolved: Option<bool>,
    api_key: Option<Secret>,
    api_key_file: Option<String>,
    api_url: Option<String>,
    message: Option<String>,
    description: Option<String>,
    source: Option<String>,
    details: BTreeMap<String, String>,
    responders: Vec<Responder>,
    tags: Option<String>,
    note: Option<String>,
    priority: Option<String>,
    update_alerts: bool,
    entity: Option<String>,
    actions: Option<String>,
    http_config: Option<HttpClientConfig>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Responder {
    id: Option<String>,
    name: Option<String>,
    username: Option<String>,
    r#type: String,
}

impl Responder {
    fn filled(&self, message: &Message<'_>) -> Result<Vec<Value>, String> {
        let text = |text: &Option<String>| message.text("responders", or_empty(text));
        let kind = message.text("responders", &self.r#type)?.to_lowercase();
        let (id, name, username) = (text(&self.id)?, text(&self.name)?, text(&self.username)?);
        // `teams` names several by commas.
        if kind == "teams" {
            let names = name
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            return Ok(names
                .map(|name| json!({"name": name, "type": "team"}))
                .collect());
        }
        let mut responder = serde_json::Map::new();
        for (key, value) in [
            ("id", id),
            ("name", name),
            ("username", username),
            ("type", kind),
        ] {
            if !value.is_empty() {
                responder.insert(key.to_owned(), Value::String(value));
            }
        }
        // One that a template left without any name is left out.
        Ok(if responder.len() > 1 {
            vec![Value::Object(responder)]
        } else {
            Vec::new()
        })
    }
}

fn list(text: &str) -> Vec<&str> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

impl Way for Opsgenie {
    const KIND: &'static str = "opsgenie";
    const SEND_RESOLVED: bool = true;

    fn complete(&mut self, global: &RawGlobal) -> Result<(), String> {
        inherit(
            &mut self.api_key,
            &mut self.api_key_file,
            global.opsgenie_api_key.as_ref(),
            global.opsgenie_api_key_file.as_ref(),
        );
        one_of("api_key", self.api_key.as_ref(), self.api_key_file.as_ref())?;
        if self.api_url.is_none() {
            self.api_url.clone_from(&global.opsgenie_api_url);
        }
        default_to(&mut self.api_url, API_URL);
        address("api_url", or_empty(&self.api_url))?;
        for responder in &self.responders {
            let names = [&responder.id, &responder.name, &responder.username];
            if names.iter().all(|name| or_empty(name).is_empty()) {
                return Err("responders: each needs an id, a name or a username".to_owned());
            }
            let kind = responder.r#type.to_lowercase();
            let known = ["team", "teams", "user", "escalation", "schedule"];
            if !kind.contains("{{") && !known.contains(&&*kind) {
                return Err(format!(
                    "responders: type must be one of {}",
                    known.join(", ")
                ));
            }
        }
        default_to(
            &mut self.message,
            r#"{{ template "opsgenie.default.message" . }}"#,
        );
        default_to(
            &mut self.description,
            r#"{{ template "opsgenie.default.description" . }}"#,
        );
        default_to(
            &mut self.source,
            r#"{{ template "opsgenie.default.source" . }}"#,
        );
        Ok(())
    }

    fn files_in(&mut self, dir: &Path) {
        start_in(dir, &mut self.api_key_file);
    }

    fn texts(&self) -> Vec<(&'static str, &str)> {
        let mut texts = Vec::new();
        for (key, text) in [
            ("message", &self.message),
            ("description", &self.description),
            ("source", &self.source),
            ("tags", &self.tags),
            ("note", &self.note),
            ("priority", &self.priority),
            ("entity", &self.entity),
            ("actions", &self.actions),
        ] {
            texts.push((key, or_empty(text)));
        }
        texts.extend(self.details.values().map(|text| ("details", text.as_str())));
        for responder in &self.responders {
            let optional = [&responder.id, &responder.name, &responder.username];
            texts.extend(optional.map(|text| ("responders", or_empty(text))));
            texts.push(("responders", &responder.r#type));
        }
        texts
    }

    fn prepare(&self, message: &Message<'_>) -> Result<Outgoing, String> {
        let text = |key, text: &Option<String>| message.text(key, or_empty(text));
        let key = secret_of("api_key", self.api_key.as_ref(), self.api_key_file.as_ref())?;
        let auth = Secret::new(format!("GenieKey {}", key.reveal()));
        let alias = sha256::hex(message.group_key.as_bytes());
        let api = or_empty(&self.api_url).trim_end_matches('/');
        let call = |method: Method, path: &str, body: &Value| {
            let url = address("api_url", &format!("{api}/v2/alerts{path}"))?;
            let call = Call::json(url, body)?.header("authorization", auth.clone());
            Ok::<_, String>(Call { method, ..call })
        };
        let source = text("source", &self.source)?;
        if !message.is_firing() {
            let path = format!("/{alias}/close?identifierType=alias");
            let close = call(Method::POST, &path, &json!({ "source": source }))?;
            return Ok(Outgoing::Http(vec![close]));
        }
        let summary = cut(&text("message", &self.message)?, MESSAGE_CHARS_MAX);
        let description = cut(
            &text("description", &self.description)?,
            DESCRIPTION_CHARS_MAX,
        );
        let mut details = serde_json::Map::new();
        for label in &message.common_labels() {
            details.insert(label.name.to_string(), json!(label.value));
        }
        for (name, source) in &self.details {
            details.insert(name.clone(), json!(message.text("details", source)?));
        }
        let mut responders = Vec::new();
        for responder in &self.responders {
            responders.extend(responder.filled(message)?);
        }
        let mut body = json!({
            "alias": alias,
            "message": summary,
            "details": details,
            "source": source,
        });
        for (key, value) in [
            ("description", description.clone()),
            ("note", text("note", &self.note)?),
            ("priority", text("priority", &self.priority)?),
            ("entity", text("entity", &self.entity)?),
        ] {
            if !value.is_empty() {
                body[key] = Value::String(value);
            }
        }
        for (key, value) in [
            ("tags", text("tags", &self.tags)?),
            ("actions", text("actions", &self.actions)?),
        ] {
            let parts = list(&value);
            if !parts.is_empty() {
                body[key] = json!(parts);
            }
        }
        if !responders.is_empty() {
            body["responders"] = Value::Array(responders);
        }
        let mut calls = vec![call(Method::POST, "", &body)?];
        if self.update_alerts {
            let at = |what: &str| format!("/{alias}/{what}?identifierType=alias");
            let put = json!({ "message": summary });
            calls.push(call(Method::PUT, &at("message"), &put)?);
            let put = json!({ "description": description });
            calls.push(call(Method::PUT, &at("description"), &put)?);
        }
        Ok(Outgoing::Http(calls))
    }

    fn send_resolved(&self) -> Option<bool> {
        self.send_resolved
    }

    fn http(&self) -> Option<&HttpClientConfig> {
        self.http_config.as_ref()
    }
}
