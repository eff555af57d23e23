//! `notify:` of `yagura.yaml`: one line per way, and the routes that most people would write.
//!
//! It is written out as an Alertmanager configuration, which then goes the usual way:
//!
//! | severity | told by | when |
//! |---|---|---|
//! | `critical`, `page` | phones (ntfy, pushover, telegram, gotify, pagerduty, opsgenie) and chats; e-mail where there is neither | at once, again every hour |
//! | `info` | e-mail; a chat or a phone where there is none | once a day |
//! | `none` (Watchdog) | nobody | |
//! | all others | chats (slack, discord, teams, webhook); else phones, else e-mail | after 30 s, again every 12 hours |

use std::path::Path;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use url::Url;

use crate::config::{Config, ConfigError};

/// What a way is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Phone,
    Chat,
    Mail,
}

/// Key, kind of receiver, class.
const WAYS: [(&str, &str, Class); 11] = [
    ("webhook", "webhook", Class::Chat),
    ("slack", "slack", Class::Chat),
    ("discord", "discord", Class::Chat),
    ("teams", "msteamsv2", Class::Chat),
    ("ntfy", "ntfy", Class::Phone),
    ("gotify", "gotify", Class::Phone),
    ("pushover", "pushover", Class::Phone),
    ("telegram", "telegram", Class::Phone),
    ("pagerduty", "pagerduty", Class::Phone),
    ("opsgenie", "opsgenie", Class::Phone),
    ("email", "email", Class::Mail),
];

/// The ways that `notify:` names: each a mapping of one or more of the keys, or a list of them.
#[derive(Clone, Default)]
pub struct Notify {
    ways: Vec<(String, Value)>,
}

impl std::fmt::Debug for Notify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.ways.iter().map(|(kind, _)| kind))
            .finish()
    }
}

impl<'de> Deserialize<'de> for Notify {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fail = |text: String| Err(serde::de::Error::custom(text));
        let maps = match Value::deserialize(deserializer)? {
            Value::Object(map) => vec![map],
            Value::Array(list) => {
                let maps: Option<Vec<_>> = list.into_iter().map(object).collect();
                match maps {
                    Some(maps) => maps,
                    None => return fail("write a list of mappings: `- slack: URL`".to_owned()),
                }
            }
            _ => return fail("write a mapping: `notify: { slack: URL }`".to_owned()),
        };
        let mut ways = Vec::new();
        for (key, value) in maps.into_iter().flatten() {
            if !WAYS.iter().any(|(known, _, _)| *known == key) {
                let known: Vec<&str> = WAYS.iter().map(|(known, _, _)| *known).collect();
                let near = yaml::nearest(&key, known.iter().copied());
                return fail(match near {
                    Some(near) => format!("unknown key `{key}`, did you mean `{near}`?"),
                    None => format!("unknown key `{key}`, use one of: {}", known.join(", ")),
                });
            }
            match value {
                Value::Array(list) => ways.extend(list.into_iter().map(|v| (key.clone(), v))),
                value => ways.push((key, value)),
            }
        }
        Ok(Self { ways })
    }
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

impl Notify {
    /// Writes the configuration out and checks it. Messages do not repeat addresses.
    ///
    /// # Errors
    /// A way lacks something, or its address is none.
    pub fn config(&self, dir: &Path) -> Result<Config, ConfigError> {
        let failed = |message: String| ConfigError {
            file: "notify".to_owned(),
            line: 0,
            message,
        };
        let mut all: Vec<(Class, &str, Value)> = Vec::new();
        for (key, value) in &self.ways {
            let Some((_, kind, class)) = WAYS.iter().find(|(known, _, _)| known == key) else {
                continue;
            };
            let settings =
                settings(key, value).map_err(|error| failed(format!("{key}: {error}")))?;
            all.push((*class, kind, settings));
        }
        if all.is_empty() {
            return Ok(Config::silent());
        }
        // The classes that a severity goes to: the first of these lists that has any way.
        let has = |classes: &[Class]| all.iter().any(|(class, ..)| classes.contains(class));
        let choose = |choices: [&'static [Class]; 3]| {
            let found = choices.into_iter().find(|classes| has(classes));
            found.unwrap_or_default()
        };
        let critical = choose([&[Class::Phone, Class::Chat], &[Class::Mail], &[]]);
        let usual = choose([&[Class::Chat], &[Class::Phone], &[Class::Mail]]);
        let info = choose([&[Class::Mail], &[Class::Chat], &[Class::Phone]]);
        let receiver = |name: &str, classes: &[Class]| {
            let mut receiver = Map::from_iter([("name".to_owned(), json!(name))]);
            for (class, kind, settings) in &all {
                if classes.contains(class) {
                    let list = receiver
                        .entry(format!("{kind}_configs"))
                        .or_insert(json!([]));
                    if let Value::Array(list) = list {
                        list.push(settings.clone());
                    }
                }
            }
            Value::Object(receiver)
        };
        let config = json!({
            "route": {
                "receiver": "usual",
                "group_by": ["alertname", "namespace"],
                "group_wait": "30s",
                "group_interval": "5m",
                "repeat_interval": "12h",
                "routes": [
                    {"matchers": ["severity=\"none\""], "receiver": "nobody"},
                    {"matchers": ["alertname=\"Watchdog\""], "receiver": "nobody"},
                    {
                        "matchers": ["severity=~\"critical|page\""],
                        "receiver": "critical",
                        "group_wait": "0s",
                        "repeat_interval": "1h",
                    },
                    {
                        "matchers": ["severity=\"info\""],
                        "receiver": "info",
                        "group_by": [],
                        "group_wait": "5m",
                        "group_interval": "1d",
                        "repeat_interval": "1d",
                    },
                ],
            },
            "inhibit_rules": [{
                "source_matchers": ["severity=~\"critical|page\""],
                "target_matchers": ["severity=~\"warning|high|info\""],
                "equal": ["alertname", "namespace", "instance"],
            }],
            "receivers": [
                receiver("usual", usual),
                receiver("critical", critical),
                receiver("info", info),
                {"name": "nobody"},
            ],
        });
        // JSON is YAML: the one way in, with all its checks.
        let text = config.to_string();
        Config::parse(&text, "notify", dir).map_err(|error| failed(error.message))
    }
}

/// The settings of a way as its kind of receiver has them.
fn settings(key: &str, value: &Value) -> Result<Value, String> {
    let mut map = match value {
        Value::Object(map) => map.clone(),
        Value::String(text) => return short(key, text.trim()),
        _ => return Err("write an address, or a mapping".to_owned()),
    };
    // Shorter names than Alertmanager's.
    let renames: &[(&str, &str)] = match key {
        "slack" => &[("url", "api_url"), ("token", "app_token")],
        "discord" | "teams" => &[("url", "webhook_url")],
        "telegram" => &[("token", "bot_token"), ("chat", "chat_id")],
        "pushover" => &[("user", "user_key")],
        "pagerduty" => &[("key", "routing_key")],
        "opsgenie" => &[("key", "api_key")],
        "email" => &[
            ("username", "auth_username"),
            ("password", "auth_password"),
            ("password_file", "auth_password_file"),
            ("server", "smarthost"),
        ],
        _ => &[],
    };
    for (short, long) in renames {
        if let Some(value) = map.remove(*short) {
            map.insert((*long).to_owned(), value);
        }
    }
    // A list that nobody asked to hear the end of leaves people wondering.
    if matches!(key, "slack" | "email") {
        map.entry("send_resolved").or_insert(json!(true));
    }
    if key == "ntfy"
        && !map.contains_key("topic")
        && !map.contains_key("topic_file")
        && let Some(Value::String(url)) = map.get("url").cloned()
    {
        let Value::Object(parts) = short("ntfy", &url)? else {
            return Ok(Value::Object(map));
        };
        map.extend(parts);
    }
    if key == "webhook" {
        map.entry("evidence").or_insert(json!(true));
    }
    if key == "email" {
        mail_defaults(&mut map);
    }
    Ok(Value::Object(map))
}

/// One address.
fn short(key: &str, text: &str) -> Result<Value, String> {
    Ok(match key {
        "webhook" => json!({ "url": text, "evidence": true }),
        "slack" => json!({ "api_url": text, "send_resolved": true }),
        "discord" | "teams" => json!({ "webhook_url": text }),
        "pagerduty" => json!({ "routing_key": text }),
        "opsgenie" => json!({ "api_key": text }),
        "ntfy" => {
            let full = if text.contains("://") {
                text.to_owned()
            } else {
                format!("https://{text}")
            };
            let url = Url::parse(&full).map_err(|error| format!("it is no URL: {error}"))?;
            let topic = url.path().trim_matches('/').to_owned();
            if topic.is_empty() || topic.contains('/') {
                return Err("write https://SERVER/TOPIC".to_owned());
            }
            let mut server = url;
            server.set_path("");
            json!({ "url": server.as_str(), "topic": topic })
        }
        "email" => {
            let mut map = Map::from_iter([
                ("to".to_owned(), json!(text)),
                ("send_resolved".to_owned(), json!(true)),
            ]);
            mail_defaults(&mut map);
            Value::Object(map)
        }
        "telegram" => return Err("write { token: TOKEN, chat: ID }".to_owned()),
        "pushover" => return Err("write { user: KEY, token: TOKEN }".to_owned()),
        "gotify" => return Err("write { url: SERVER, token: TOKEN }".to_owned()),
        _ => return Err("write a mapping".to_owned()),
    })
}

/// Without more, mail goes to the server of this machine.
fn mail_defaults(map: &mut Map<String, Value>) {
    if !map.contains_key("smarthost") {
        map.insert("smarthost".to_owned(), json!("localhost:25"));
        map.entry("require_tls").or_insert(json!(false));
    }
    let to = map.get("to").cloned().unwrap_or_default();
    map.entry("from").or_insert(to);
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;

    fn config(text: &str) -> Result<Config, String> {
        let notify: Notify = yaml::from_str(text, "y").map_err(|error| error.to_string())?;
        notify
            .config(Path::new("."))
            .map_err(|error| error.to_string())
    }

    fn reached(text: &str, severity: &str) -> Vec<String> {
        let labels = Labels::from_pairs([("alertname", "A"), ("severity", severity)]);
        let reached = config(text).expect(text).reached_by(&labels);
        reached.into_iter().flat_map(|r| r.ways).collect()
    }

    #[test]
    fn severities_go_the_usual_ways() {
        let all = "{slack: 'https://hooks.example/x', ntfy: ntfy.sh/topic, email: me@example.org}";
        assert_eq!(reached(all, "critical"), ["slack[0]", "ntfy[0]"]);
        assert_eq!(reached(all, "warning"), ["slack[0]"]);
        assert_eq!(reached(all, "info"), ["email[0]"]);
        assert!(reached(all, "none").is_empty());
        let one = "{webhook: 'http://127.0.0.1:1/x'}";
        for severity in ["critical", "warning", "info", ""] {
            assert_eq!(reached(one, severity), ["webhook[0]"]);
        }
        assert_eq!(reached("{email: me@example.org}", "critical"), ["email[0]"]);
    }

    #[test]
    fn every_way_has_a_short_form() {
        for text in [
            "[{slack: {token: t, channel: '#a'}}, {discord: 'https://d.example/x'}]",
            "{teams: 'https://t.example/x'}",
            "{telegram: {token: t, chat: -100123}}",
            "{pushover: {user: u, token: t}}",
            "{gotify: {url: 'https://g.example', token: t}}",
            "{pagerduty: key}",
            "{opsgenie: key}",
            "{ntfy: {url: 'https://n.example/topic', token: t}}",
            "{ntfy: ['ntfy.sh/a', 'https://ntfy.sh/b']}",
            "{email: {to: me@example.org, server: 'mail.example.org:587', username: u, password: p}}",
        ] {
            config(text).expect(text);
        }
        assert_eq!(config("{}").expect("nobody").receivers.len(), 1);
    }

    #[test]
    fn mistakes_are_named_and_no_message_repeats_an_address() {
        let check = |text: &str, expected: &str| {
            let error = config(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        };
        check("{slak: x}", "did you mean `slack`?");
        check("{webhook: 'ftp://s3cret'}", "must begin with http");
        check("{webhook: 's3cret'}", "url is no URL");
        check("{telegram: s3cret}", "chat");
        check("{ntfy: 'https://ntfy.sh/'}", "TOPIC");
        check(
            "{slack: {url: 'https://s3cret', chanel: x}}",
            "did you mean `channel`?",
        );
        check("[slack]", "list of mappings");
    }
}
