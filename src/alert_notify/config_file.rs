//! Alertmanager's configuration as people write it, as far as this room works by it: the keys,
//! read strictly. What they mean is checked in `config_check.rs`.
//!
//! A key that Alertmanager knows and this room does not is refused by name rather than ignored:
//! whoever relies on it must hear that nobody will be paged. A key that nobody knows is refused
//! with the nearest one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use yaml::Spanned;

use crate::secret::Secret;

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

/// The value of a key that Alertmanager knows and this room does not: its line.
#[derive(Debug, Clone)]
struct Refused(u64);

impl<'de> Deserialize<'de> for Refused {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Spanned::<IgnoredAny>::deserialize(deserializer)?;
        Ok(Self(value.referenced.line()))
    }
}

/// A mapping: the keys that mean something here, and those that are refused by name.
macro_rules! mapping {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($field:ident: $kind:ty,)*
    } refused { $($no:ident,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        $vis struct $name {
            $(pub(crate) $field: $kind,)*
            $($no: Option<Refused>,)*
        }

        impl $name {
            pub(crate) fn refuse(&self) -> Result<(), Mistake> {
                $(if let Some(refused) = &self.$no {
                    return Err(Mistake {
                        line: refused.0,
                        message: format!("{} is not supported yet", stringify!($no)),
                    });
                })*
                Ok(())
            }
        }
    };
}

mapping! {
    /// Alertmanager's configuration as written, its keys checked and nothing else.
    pub(crate) struct Raw {
        global: Option<RawGlobal>,
        route: Option<RawRoute>,
        receivers: Vec<RawReceiver>,
        inhibit_rules: Vec<RawInhibit>,
    } refused { templates, mute_time_intervals, time_intervals, event_recorder, tracing, }
}

mapping! {
    pub(crate) struct RawGlobal {
        resolve_timeout: Option<String>,
        http_config: Option<RawHttp>,
    } refused {
        smtp_from, smtp_smarthost, smtp_hello, smtp_auth_username, smtp_auth_password,
        smtp_auth_password_file, smtp_auth_identity, smtp_auth_secret, smtp_auth_secret_file,
        smtp_require_tls, smtp_tls_config, smtp_force_implicit_tls, jira_api_url, slack_api_url,
        slack_api_url_file, slack_app_token, slack_app_token_file, slack_app_url,
        victorops_api_key, victorops_api_key_file, victorops_api_url, pagerduty_url,
        opsgenie_api_key, opsgenie_api_key_file, opsgenie_api_url, rocketchat_api_url,
        rocketchat_token, rocketchat_token_file, rocketchat_token_id, rocketchat_token_id_file,
        wechat_api_url, wechat_api_secret, wechat_api_secret_file, wechat_api_corp_id,
        telegram_api_url, telegram_bot_token, telegram_bot_token_file, webex_api_url,
        mattermost_webhook_url, mattermost_webhook_url_file,
    }
}

mapping! {
    pub(crate) struct RawRoute {
        receiver: Option<String>,
        group_by: Option<Vec<String>>,
        r#continue: bool,
        r#match: BTreeMap<String, String>,
        match_re: BTreeMap<String, String>,
        matchers: Vec<String>,
        group_wait: Option<String>,
        group_interval: Option<String>,
        repeat_interval: Option<String>,
        routes: Vec<RawRoute>,
    } refused { labels, mute_time_intervals, active_time_intervals, }
}

mapping! {
    pub(crate) struct RawReceiver {
        name: String,
        webhook_configs: Vec<RawWebhook>,
    } refused {
        labels, discord_configs, email_configs, mattermost_configs, msteams_configs,
        msteamsv2_configs, jira_configs, opsgenie_configs, pagerduty_configs, incidentio_configs,
        pushover_configs, rocketchat_configs, slack_configs, sns_configs, telegram_configs,
        victorops_configs, webex_configs, wechat_configs,
    }
}

mapping! {
    pub(crate) struct RawWebhook {
        send_resolved: Option<bool>,
        url: Option<Secret>,
        url_file: Option<PathBuf>,
        http_config: Option<RawHttp>,
        max_alerts: usize,
        timeout: Option<String>,
    } refused { payload, }
}

mapping! {
    pub(crate) struct RawHttp {
        basic_auth: Option<RawBasic>,
        authorization: Option<RawAuthorization>,
        bearer_token: Option<Secret>,
        bearer_token_file: Option<PathBuf>,
        follow_redirects: Option<bool>,
    } refused {
        oauth2, enable_http2, proxy_url, no_proxy, proxy_from_environment, proxy_connect_header,
        tls_config, http_headers,
    }
}

mapping! {
    pub(crate) struct RawBasic {
        username: String,
        password: Option<Secret>,
        password_file: Option<PathBuf>,
    } refused { username_file, }
}

mapping! {
    pub(crate) struct RawAuthorization {
        r#type: Option<String>,
        credentials: Option<Secret>,
        credentials_file: Option<PathBuf>,
    } refused {}
}

mapping! {
    pub(crate) struct RawInhibit {
        target_match: BTreeMap<String, String>,
        target_match_re: BTreeMap<String, String>,
        target_matchers: Vec<String>,
        source_match: BTreeMap<String, String>,
        source_match_re: BTreeMap<String, String>,
        source_matchers: Vec<String>,
        equal: Vec<String>,
    } refused { name, }
}
