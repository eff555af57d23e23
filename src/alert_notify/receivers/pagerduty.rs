//! PagerDuty: an event of the Events API v2.
//!
//! | posts | to |
//! |---|---|
//! | `{routing_key, event_action: trigger or resolve, dedup_key, client, client_url, payload: {…}, images, links}` | `url` |
//!
//! `dedup_key` is the hash of the group's key, as Alertmanager's, so that an incident which
//! Alertmanager opened is closed by Yagura.

use std::collections::BTreeMap;
use std::path::Path;

use http_client::{HttpClientConfig, Secret};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Call, Outgoing, Way, address, cut, default_to, one_of, or_empty, secret_of, start_in};
use crate::config_file::RawGlobal;
use crate::message::Message;
use crate::sha256;

const URL: &str = "https://events.pagerduty.com/v2/enqueue";

/// PagerDuty's limit of a summary, characters.
const SUMMARY_CHARS_MAX: usize = 1024;

/// PagerDuty's limit of an event, bytes.
const EVENT_BYTES_MAX: usize = 512_000;

/// `pagerduty_configs`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Pagerduty {
    send_resolved: Option<bool>,
    routing_key: Option<Secret>,
    routing_key_file: Option<String>,
    service_key: Option<Secret>,
    service_key_file: Option<String>,
    url: Option<String>,
    client: Option<String>,
    client_url: Option<String>,
    description: Option<String>,
    severity: Option<String>,
    source: Option<String>,
    details: BTreeMap<String, String>,
    images: Vec<Image>,
    links: Vec<Link>,
    component: Option<String>,
    group: Option<String>,
    class: Option<String>,
    http_config: Option<HttpClientConfig>,
    timeout: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Image {
    href: String,
    src: String,
    alt: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Link {
    href: String,
    text: String,
}

impl Way for Pagerduty {
    const KIND: &'static str = "pagerduty";
    const SEND_RESOLVED: bool = true;

    fn complete(&mut self, global: &RawGlobal) -> Result<(), String> {
        if self.service_key.is_some() || self.service_key_file.is_some() {
            return Err("service_key is of the old Events API v1: make an integration of the Events API v2 and write its routing_key".to_owned());
        }
        one_of(
            "routing_key",
            self.routing_key.as_ref(),
            self.routing_key_file.as_ref(),
        )?;
        if self.url.is_none() {
            self.url.clone_from(&global.pagerduty_url);
        }
        default_to(&mut self.url, URL);
        address("url", or_empty(&self.url))?;
        default_to(
            &mut self.client,
            r#"{{ template "pagerduty.default.client" . }}"#,
        );
        default_to(
            &mut self.client_url,
            r#"{{ template "pagerduty.default.clientURL" . }}"#,
        );
        default_to(
            &mut self.description,
            r#"{{ template "pagerduty.default.description" . }}"#,
        );
        default_to(&mut self.severity, "error");
        if self.source.is_none() {
            self.source.clone_from(&self.client);
        }
        for (key, text) in [
            ("firing", "{{ .Alerts.Firing | toJson }}"),
            ("resolved", "{{ .Alerts.Resolved | toJson }}"),
            ("num_firing", "{{ .Alerts.Firing | len }}"),
            ("num_resolved", "{{ .Alerts.Resolved | len }}"),
            (
                "evidence",
                r#"{{ template "pagerduty.default.evidence" . }}"#,
            ),
        ] {
            let detail = self.details.entry(key.to_owned());
            detail.or_insert_with(|| text.to_owned());
        }
        Ok(())
    }

    fn files_in(&mut self, dir: &Path) {
        start_in(dir, &mut self.routing_key_file);
        start_in(dir, &mut self.service_key_file);
    }

    fn texts(&self) -> Vec<(&'static str, &str)> {
        let mut texts = Vec::new();
        for (key, text) in [
            ("client", &self.client),
            ("client_url", &self.client_url),
            ("description", &self.description),
            ("severity", &self.severity),
            ("source", &self.source),
            ("component", &self.component),
            ("group", &self.group),
            ("class", &self.class),
        ] {
            texts.push((key, or_empty(text)));
        }
        texts.extend(self.details.values().map(|text| ("details", text.as_str())));
        for image in &self.images {
            texts.extend([&image.href, &image.src, &image.alt].map(|t| ("images", t.as_str())));
        }
        for link in &self.links {
            texts.extend([&link.href, &link.text].map(|text| ("links", text.as_str())));
        }
        texts
    }

    fn prepare(&self, message: &Message<'_>) -> Result<Outgoing, String> {
        let text = |key, text: &Option<String>| message.text(key, or_empty(text));
        let key = secret_of(
            "routing_key",
            self.routing_key.as_ref(),
            self.routing_key_file.as_ref(),
        )?;
        // A key may be chosen by a template.
        let key = message.text("routing_key", key.reveal())?;
        let mut details = serde_json::Map::new();
        for (name, source) in &self.details {
            let detail = message.text("details", source)?;
            if name == "evidence" && detail.is_empty() {
                continue;
            }
            // What is JSON by itself goes as JSON, not as a text with JSON in it.
            let value = match serde_json::from_str(&detail) {
                Ok(value @ (Value::Array(_) | Value::Object(_))) => value,
                _ => Value::String(detail),
            };
            details.insert(name.clone(), value);
        }
        let mut body = json!({
            "routing_key": key,
            "event_action": if message.is_firing() { "trigger" } else { "resolve" },
            "dedup_key": sha256::hex(message.group_key.as_bytes()),
            "client": text("client", &self.client)?,
            "client_url": text("client_url", &self.client_url)?,
            "payload": {
                "summary": cut(&text("description", &self.description)?, SUMMARY_CHARS_MAX),
                "source": text("source", &self.source)?,
                "severity": text("severity", &self.severity)?,
                "custom_details": details,
            },
        });
        for (key, source) in [
            ("class", &self.class),
            ("component", &self.component),
            ("group", &self.group),
        ] {
            let filled = text(key, source)?;
            if !filled.is_empty() {
                body["payload"][key] = json!(filled);
            }
        }
        let mut images = Vec::new();
        for image in &self.images {
            let [href, src, alt] =
                [&image.href, &image.src, &image.alt].map(|source| message.text("images", source));
            let src = src?;
            if !src.is_empty() {
                images.push(json!({"href": href?, "src": src, "alt": alt?}));
            }
        }
        let mut links = Vec::new();
        for link in &self.links {
            let href = message.text("links", &link.href)?;
            if !href.is_empty() {
                links.push(json!({"href": href, "text": message.text("links", &link.text)?}));
            }
        }
        for (key, list) in [("images", images), ("links", links)] {
            if !list.is_empty() {
                body[key] = Value::Array(list);
            }
        }
        let url = address("url", or_empty(&self.url))?;
        let mut call = Call::json(url.clone(), &body)?;
        if call.body.len() > EVENT_BYTES_MAX {
            body["payload"]["custom_details"] = json!({
                "error": format!(
                    "the details had more than PagerDuty takes ({} bytes with all), they were left out",
                    call.body.len()
                ),
            });
            call = Call::json(url, &body)?;
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
