//! Microsoft Teams by a workflow: an adaptive card.
//!
//! | posts | to |
//! |---|---|
//! | `{type: message, attachments: [adaptive card with title and text]}` | `webhook_url` |

use std::path::Path;

use http_client::{HttpClientConfig, Secret};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Call, Outgoing, Way, address, address_of, cut_bytes, default_to, one_of, or_empty, start_in,
};
use crate::config_file::RawGlobal;
use crate::message::Message;

/// A card may have 28 KB with everything around it.
const TEXT_BYTES_MAX: usize = 20 << 10;
const TITLE_BYTES_MAX: usize = 2 << 10;

/// `msteamsv2_configs`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MsTeams {
    send_resolved: Option<bool>,
    webhook_url: Option<Secret>,
    webhook_url_file: Option<String>,
    title: Option<String>,
    text: Option<String>,
    http_config: Option<HttpClientConfig>,
}

impl Way for MsTeams {
    const KIND: &'static str = "msteamsv2";
    const SEND_RESOLVED: bool = true;

    fn complete(&mut self, _: &RawGlobal) -> Result<(), String> {
        let (url, file) = (self.webhook_url.as_ref(), self.webhook_url_file.as_ref());
        one_of("webhook_url", url, file)?;
        if let Some(url) = url {
            address("webhook_url", url.reveal())?;
        }
        default_to(
            &mut self.title,
            r#"{{ template "msteamsv2.default.title" . }}"#,
        );
        default_to(
            &mut self.text,
            r#"{{ template "msteamsv2.default.text" . }}"#,
        );
        Ok(())
    }

    fn files_in(&mut self, dir: &Path) {
        start_in(dir, &mut self.webhook_url_file);
    }

    fn texts(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("title", or_empty(&self.title)),
            ("text", or_empty(&self.text)),
        ]
    }

    fn prepare(&self, message: &Message<'_>) -> Result<Outgoing, String> {
        let (url, file) = (self.webhook_url.as_ref(), self.webhook_url_file.as_ref());
        let url = address_of("webhook_url", url, file)?;
        let title = message.text("title", or_empty(&self.title))?;
        let text = message.text("text", or_empty(&self.text))?;
        let body = json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": [
                        {
                            "type": "TextBlock",
                            "text": cut_bytes(&title, TITLE_BYTES_MAX),
                            "weight": "Bolder",
                            "size": "Medium",
                            "wrap": true,
                            "style": "heading",
                            "color": if message.is_firing() { "Attention" } else { "Good" },
                        },
                        {
                            "type": "TextBlock",
                            "text": cut_bytes(&text, TEXT_BYTES_MAX),
                            "wrap": true,
                        },
                    ],
                    "msteams": { "width": "full" },
                },
            }],
        });
        Ok(Outgoing::Http(vec![Call::json(url, &body)?]))
    }

    fn send_resolved(&self) -> Option<bool> {
        self.send_resolved
    }

    fn http(&self) -> Option<&HttpClientConfig> {
        self.http_config.as_ref()
    }
}
