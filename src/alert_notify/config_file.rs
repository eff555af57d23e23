//! Alertmanager's configuration as people write it: all the keys of its documentation, read
//! strictly. What they mean is checked in `config_check.rs`; the keys of receivers stand with the
//! code that sends (`receivers/*.rs`).
//!
//! Written back (for `/api/v2/status` and `amtool config show`) secrets read `<secret>`.

use std::collections::BTreeMap;

use http_client::{HttpClientConfig, Secret, TlsConfig};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use yaml::Spanned;

use crate::receivers::{
    Discord, Email, Gotify, MsTeams, Ntfy, Opsgenie, Pagerduty, Pushover, Slack, Telegram, Webhook,
};
use crate::time_interval::RawNamed;

/// A mistake at a line; 0 where it is not known.
pub(crate) struct Mistake {
    pub(crate) line: u64,
    pub(crate) message: String,
}

impl From<String> for Mistake {
    fn from(message: String) -> Self {
        Self { line: 0, message }
    }
}

/// A configuration as written, its keys checked and nothing else.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Draft {
    pub(crate) global: RawGlobal,
    pub(crate) templates: Vec<String>,
    pub(crate) route: Option<RawRoute>,
    pub(crate) receivers: Vec<RawReceiver>,
    pub(crate) inhibit_rules: Vec<RawInhibit>,
    pub(crate) mute_time_intervals: Vec<RawNamed>,
    pub(crate) time_intervals: Vec<RawNamed>,
    pub(crate) event_recorder: Option<EventRecorder>,
    pub(crate) tracing: Option<Tracing>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawGlobal {
    pub(crate) resolve_timeout: Option<String>,
    pub(crate) http_config: Option<HttpClientConfig>,
    pub(crate) smtp_from: Option<String>,
    pub(crate) smtp_smarthost: Option<String>,
    pub(crate) smtp_hello: Option<String>,
    pub(crate) smtp_auth_username: Option<String>,
    pub(crate) smtp_auth_password: Option<Secret>,
    pub(crate) smtp_auth_password_file: Option<String>,
    pub(crate) smtp_auth_identity: Option<String>,
    pub(crate) smtp_auth_secret: Option<Secret>,
    pub(crate) smtp_auth_secret_file: Option<String>,
    pub(crate) smtp_require_tls: Option<bool>,
    pub(crate) smtp_tls_config: Option<TlsConfig>,
    pub(crate) smtp_force_implicit_tls: Option<bool>,
    pub(crate) slack_api_url: Option<Secret>,
    pub(crate) slack_api_url_file: Option<String>,
    pub(crate) slack_app_token: Option<Secret>,
    pub(crate) slack_app_token_file: Option<String>,
    pub(crate) slack_app_url: Option<String>,
    pub(crate) pagerduty_url: Option<String>,
    pub(crate) opsgenie_api_key: Option<Secret>,
    pub(crate) opsgenie_api_key_file: Option<String>,
    pub(crate) opsgenie_api_url: Option<String>,
    pub(crate) telegram_api_url: Option<String>,
    pub(crate) telegram_bot_token: Option<Secret>,
    pub(crate) telegram_bot_token_file: Option<String>,
    // Settings of kinds that Yagura does not send to: known, and without effect.
    jira_api_url: Option<Known>,
    victorops_api_key: Option<Known>,
    victorops_api_key_file: Option<Known>,
    victorops_api_url: Option<Known>,
    rocketchat_api_url: Option<Known>,
    rocketchat_token: Option<Known>,
    rocketchat_token_file: Option<Known>,
    rocketchat_token_id: Option<Known>,
    rocketchat_token_id_file: Option<Known>,
    wechat_api_url: Option<Known>,
    wechat_api_secret: Option<Known>,
    wechat_api_secret_file: Option<Known>,
    wechat_api_corp_id: Option<Known>,
    webex_api_url: Option<Known>,
    mattermost_webhook_url: Option<Known>,
    mattermost_webhook_url_file: Option<Known>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawRoute {
    pub(crate) receiver: Option<Spanned<String>>,
    pub(crate) group_by: Option<Vec<String>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) r#continue: bool,
    pub(crate) r#match: BTreeMap<String, String>,
    pub(crate) match_re: BTreeMap<String, String>,
    pub(crate) matchers: Vec<Spanned<String>>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) group_wait: Option<String>,
    pub(crate) group_interval: Option<String>,
    pub(crate) repeat_interval: Option<String>,
    pub(crate) mute_time_intervals: Vec<Spanned<String>>,
    pub(crate) active_time_intervals: Vec<Spanned<String>>,
    pub(crate) routes: Vec<RawRoute>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawReceiver {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) discord_configs: Vec<Discord>,
    pub(crate) email_configs: Vec<Email>,
    pub(crate) gotify_configs: Vec<Gotify>,
    pub(crate) msteamsv2_configs: Vec<MsTeams>,
    pub(crate) ntfy_configs: Vec<Ntfy>,
    pub(crate) opsgenie_configs: Vec<Opsgenie>,
    pub(crate) pagerduty_configs: Vec<Pagerduty>,
    pub(crate) pushover_configs: Vec<Pushover>,
    pub(crate) slack_configs: Vec<Slack>,
    pub(crate) telegram_configs: Vec<Telegram>,
    pub(crate) webhook_configs: Vec<Webhook>,
    // Kinds that Yagura does not send to: their keys are checked, and whoever routes to them is
    // told by name (config_check.rs).
    pub(crate) incidentio_configs: Vec<Incidentio>,
    pub(crate) jira_configs: Vec<Jira>,
    pub(crate) mattermost_configs: Vec<Mattermost>,
    pub(crate) msteams_configs: Vec<MsTeamsOld>,
    pub(crate) rocketchat_configs: Vec<Rocketchat>,
    pub(crate) sns_configs: Vec<Sns>,
    pub(crate) victorops_configs: Vec<Victorops>,
    pub(crate) webex_configs: Vec<Webex>,
    pub(crate) wechat_configs: Vec<Wechat>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawInhibit {
    pub(crate) name: Option<String>,
    pub(crate) target_match: BTreeMap<String, String>,
    pub(crate) target_match_re: BTreeMap<String, String>,
    pub(crate) target_matchers: Vec<Spanned<String>>,
    pub(crate) source_match: BTreeMap<String, String>,
    pub(crate) source_match_re: BTreeMap<String, String>,
    pub(crate) source_matchers: Vec<Spanned<String>>,
    pub(crate) equal: Vec<String>,
}

/// The value of a key that Alertmanager knows and that means nothing here. It may be a secret, so
/// it is not kept.
#[derive(Debug, Clone)]
pub(crate) struct Known;

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl Serialize for Known {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("<secret>")
    }
}

/// Declares a section of which only the keys are known.
macro_rules! known_keys {
    ($($name:ident { $($key:ident)* })*) => {
        $(
            #[derive(Debug, Clone, Default, Deserialize, Serialize)]
            #[serde(deny_unknown_fields, default)]
            #[allow(clippy::struct_field_names, reason = "the names are the keys of the file")]
            pub(crate) struct $name {
                $($key: Option<Known>,)*
            }
        )*
    };
}

known_keys! {
    Incidentio {
        send_resolved http_config url url_file alert_source_token alert_source_token_file
        max_alerts timeout
    }
    Jira {
        send_resolved api_url api_type project summary description labels priority issue_type
        resolve_transition reopen_transition wont_fix_resolution reopen_duration fields
        custom_fields http_config
    }
    Mattermost {
        send_resolved webhook_url webhook_url_file channel username icon_url icon_emoji fallback
        color title title_link text pretext author_name author_link author_icon fields thumb_url
        footer footer_icon image_url attachments props priority http_config
    }
    MsTeamsOld { send_resolved webhook_url webhook_url_file title summary text http_config }
    Rocketchat {
        send_resolved api_url channel token token_file token_id token_id_file color emoji icon_url
        text title title_link image_url thumb_url link_names fields short_fields actions http_config
    }
    Sns {
        send_resolved api_url sigv4 topic_arn subject phone_number target_arn message attributes
        http_config use_aws_http_client
    }
    Victorops {
        send_resolved api_key api_key_file api_url routing_key message_type entity_display_name
        state_message monitoring_tool custom_fields http_config
    }
    Webex { send_resolved api_url room_id message http_config }
    Wechat {
        send_resolved api_secret api_secret_file api_url corp_id message message_type agent_id
        to_user to_party to_tag http_config
    }
    Tracing {
        client_type endpoint sampling_fraction insecure tls_config http_headers compression timeout
    }
    EventRecorder { file_outputs webhook_outputs kafka_outputs stdout_outputs }
}
