//! A webhook: Alertmanager's JSON, version 4, or a payload of the user's own.
//!
//! | posts | to |
//! |---|---|
//! | the message of `payload.rs`, or `payload` with its texts filled in | `url` |

use std::path::Path;

use http_client::{HttpClientConfig, Secret};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Call, Outgoing, Way, address, address_of, one_of, start_in};
use crate::config_file::RawGlobal;
use crate::message::Message;
use crate::payload;

/// `webhook_configs`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Webhook {
    send_resolved: Option<bool>,
    url: Option<Secret>,
    url_file: Option<String>,
    http_config: Option<HttpClientConfig>,
    /// The most alerts in a message; 0 for all.
    max_alerts: usize,
    timeout: Option<String>,
    payload: Option<Value>,
    /// Whether the message has `evidence`, a key that Alertmanager does not know.
    evidence: bool,
}

impl Way for Webhook {
    const KIND: &'static str = "webhook";
    const SEND_RESOLVED: bool = true;

    fn complete(&mut self, _: &RawGlobal) -> Result<(), String> {
        one_of("url", self.url.as_ref(), self.url_file.as_ref())?;
        if let Some(url) = &self.url {
            address("url", url.reveal())?;
        }
        Ok(())
    }

    fn files_in(&mut self, dir: &Path) {
        start_in(dir, &mut self.url_file);
    }

    fn texts(&self) -> Vec<(&'static str, &str)> {
        let mut texts = Vec::new();
        if let Some(payload) = &self.payload {
            collect(payload, &mut texts);
        }
        texts
    }

    fn prepare(&self, message: &Message<'_>) -> Result<Outgoing, String> {
        let url = address_of("url", self.url.as_ref(), self.url_file.as_ref())?;
        let call = match &self.payload {
            None => {
                let mut payload = payload::message(message, self.max_alerts);
                payload.evidence = message.evidence.filter(|_| self.evidence);
                Call::json(url, &payload)
            }
            Some(payload) => Call::json(url, &filled(payload, message)?),
        }?;
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

fn collect<'a>(value: &'a Value, texts: &mut Vec<(&'static str, &'a str)>) {
    match value {
        Value::String(text) => texts.push(("payload", text)),
        Value::Array(list) => list.iter().for_each(|value| collect(value, texts)),
        Value::Object(map) => map.values().for_each(|value| collect(value, texts)),
        _ => {}
    }
}

fn filled(value: &Value, message: &Message<'_>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => Value::String(message.text("payload", text)?),
        Value::Array(list) => list
            .iter()
            .map(|value| filled(value, message))
            .collect::<Result<_, _>>()?,
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| Ok((key.clone(), filled(value, message)?)))
            .collect::<Result<_, String>>()?,
        other => other.clone(),
    })
}
